
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION telemed_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE assignment (
    patient text NOT NULL COLLATE pg_catalog."C",
    doctor text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE audit_certificate (
    doctor text NOT NULL COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    bytes bytea NOT NULL,
    CONSTRAINT audit_certificate_fingerprint_check CHECK ((octet_length(fingerprint) = 32))
);

CREATE TABLE audit_entry (
    doctor text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    link bytea NOT NULL,
    CONSTRAINT audit_entry_at_check CHECK ((at >= 0)),
    CONSTRAINT audit_entry_link_check CHECK ((octet_length(link) = 32)),
    CONSTRAINT audit_entry_number_check CHECK ((number > 0))
);

CREATE TABLE audit_head (
    doctor text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    link bytea NOT NULL,
    at bigint NOT NULL,
    certificate bytea NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT audit_head_at_check CHECK ((at >= 0)),
    CONSTRAINT audit_head_link_check CHECK ((octet_length(link) = 32)),
    CONSTRAINT audit_head_number_check CHECK ((number > 0))
);

CREATE TABLE certificate (
    serial bytea NOT NULL,
    fingerprint bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    bytes bytea NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    ticket bytea,
    created bigint NOT NULL,
    not_after bigint NOT NULL,
    CONSTRAINT certificate_created_check CHECK ((created >= 0)),
    CONSTRAINT certificate_fingerprint_check CHECK ((octet_length(fingerprint) = 32)),
    CONSTRAINT certificate_not_after_check CHECK ((not_after >= 0)),
    CONSTRAINT certificate_serial_check CHECK ((octet_length(serial) = 16)),
    CONSTRAINT certificate_state_check CHECK ((state = ANY (ARRAY['inactive'::text, 'active'::text, 'frozen'::text, 'revoked'::text])))
);

CREATE TABLE consultation (
    id bytea NOT NULL,
    patient text NOT NULL COLLATE pg_catalog."C",
    written bigint NOT NULL,
    begun bigint NOT NULL,
    ended bigint,
    sealed bytea NOT NULL,
    CONSTRAINT consultation_begun_check CHECK ((begun >= 0)),
    CONSTRAINT consultation_ended_check CHECK ((ended >= 0)),
    CONSTRAINT consultation_id_check CHECK ((octet_length(id) = 16)),
    CONSTRAINT consultation_written_check CHECK ((written >= 0))
);

CREATE TABLE counter (
    name text NOT NULL COLLATE pg_catalog."C",
    last bigint NOT NULL,
    CONSTRAINT counter_last_check CHECK ((last >= 0)),
    CONSTRAINT counter_name_check CHECK ((name = ANY (ARRAY['message'::text, 'incoming'::text])))
)
WITH (fillfactor='50');

CREATE TABLE delivery (
    message bigint NOT NULL,
    device bytea NOT NULL,
    patient text NOT NULL COLLATE pg_catalog."C",
    queued bigint NOT NULL,
    sent bigint,
    delivered bigint,
    confirmed bigint,
    sealed_confirmation bytea,
    open boolean DEFAULT true NOT NULL,
    CONSTRAINT delivery_check CHECK (((confirmed IS NULL) = (sealed_confirmation IS NULL))),
    CONSTRAINT delivery_confirmed_check CHECK ((confirmed >= 0)),
    CONSTRAINT delivery_delivered_check CHECK ((delivered >= 0)),
    CONSTRAINT delivery_device_check CHECK ((octet_length(device) = 32)),
    CONSTRAINT delivery_queued_check CHECK ((queued >= 0)),
    CONSTRAINT delivery_sent_check CHECK ((sent >= 0))
);

CREATE TABLE fact (
    doctor text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL
);

CREATE TABLE incoming (
    number bigint NOT NULL,
    device bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    patient text NOT NULL COLLATE pg_catalog."C",
    id bytea NOT NULL,
    boundary text COLLATE pg_catalog."C",
    written bigint NOT NULL,
    received bigint NOT NULL,
    shown bigint,
    sealed bytea NOT NULL,
    CONSTRAINT incoming_boundary_check CHECK ((boundary = ANY (ARRAY['opens'::text, 'closes'::text]))),
    CONSTRAINT incoming_device_check CHECK ((octet_length(device) = 32)),
    CONSTRAINT incoming_id_check CHECK ((octet_length(id) = 16)),
    CONSTRAINT incoming_number_check CHECK ((number > 0)),
    CONSTRAINT incoming_received_check CHECK ((received >= 0)),
    CONSTRAINT incoming_shown_check CHECK ((shown >= 0)),
    CONSTRAINT incoming_written_check CHECK ((written >= 0))
);

CREATE TABLE join_ticket (
    id bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    request bytea,
    answer bytea,
    CONSTRAINT join_ticket_check CHECK (((state <> 'open'::text) OR (request IS NULL))),
    CONSTRAINT join_ticket_check1 CHECK (((state = 'answered'::text) = (answer IS NOT NULL))),
    CONSTRAINT join_ticket_created_check CHECK ((created >= 0)),
    CONSTRAINT join_ticket_expires_check CHECK ((expires >= 0)),
    CONSTRAINT join_ticket_id_check CHECK ((octet_length(id) = 16)),
    CONSTRAINT join_ticket_request_check CHECK ((octet_length(request) <= 10000)),
    CONSTRAINT join_ticket_role_check CHECK ((role = ANY (ARRAY['doctor'::text, 'assistant'::text, 'auditor'::text]))),
    CONSTRAINT join_ticket_state_check CHECK ((state = ANY (ARRAY['open'::text, 'asked'::text, 'answered'::text, 'used'::text, 'revoked'::text])))
);

CREATE TABLE last_commit (
    connection bytea NOT NULL,
    number bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    owner name DEFAULT CURRENT_USER NOT NULL,
    CONSTRAINT last_commit_connection_check CHECK ((octet_length(connection) = 16)),
    CONSTRAINT last_commit_number_check CHECK ((number >= 0))
)
WITH (fillfactor='50');

CREATE TABLE last_timestamp (
    serial bytea NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT last_timestamp_at_check CHECK ((at >= 0)),
    CONSTRAINT last_timestamp_serial_check CHECK ((octet_length(serial) = 16))
);

CREATE TABLE message (
    number bigint NOT NULL,
    id bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    patient text COLLATE pg_catalog."C",
    boundary text COLLATE pg_catalog."C",
    urgent boolean NOT NULL,
    written bigint NOT NULL,
    expires bigint,
    ended boolean DEFAULT false NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT message_boundary_check CHECK ((boundary = ANY (ARRAY['opens'::text, 'closes'::text]))),
    CONSTRAINT message_check CHECK (((kind = 'private'::text) = (patient IS NOT NULL))),
    CONSTRAINT message_expires_check CHECK ((expires >= 0)),
    CONSTRAINT message_id_check CHECK ((octet_length(id) = 16)),
    CONSTRAINT message_kind_check CHECK ((kind = ANY (ARRAY['broadcast'::text, 'chosen'::text, 'private'::text]))),
    CONSTRAINT message_number_check CHECK ((number > 0)),
    CONSTRAINT message_written_check CHECK ((written >= 0))
);

CREATE TABLE node (
    doctor text NOT NULL COLLATE pg_catalog."C",
    started timestamp with time zone NOT NULL,
    seen timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE prekey (
    doctor text NOT NULL COLLATE pg_catalog."C",
    kid bytea NOT NULL,
    bytes bytea NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    CONSTRAINT prekey_kid_check CHECK ((octet_length(kid) = 8)),
    CONSTRAINT prekey_not_after_check CHECK ((not_after >= 0)),
    CONSTRAINT prekey_not_before_check CHECK ((not_before >= 0))
);

CREATE TABLE presence (
    device bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    session bytea NOT NULL,
    answered timestamp with time zone NOT NULL,
    CONSTRAINT presence_device_check CHECK ((octet_length(device) = 32)),
    CONSTRAINT presence_session_check CHECK ((octet_length(session) = 16))
)
WITH (fillfactor='50');

CREATE TABLE record (
    patient text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    changed bigint NOT NULL,
    archived bigint,
    version bigint NOT NULL,
    sealed bytea NOT NULL,
    contact bytea,
    CONSTRAINT record_archived_check CHECK ((archived >= 0)),
    CONSTRAINT record_changed_check CHECK ((changed >= 0)),
    CONSTRAINT record_created_check CHECK ((created >= 0)),
    CONSTRAINT record_version_check CHECK ((version > 0))
);

CREATE TABLE roster (
    doctor text NOT NULL COLLATE pg_catalog."C",
    entry bytea NOT NULL
);

CREATE TABLE staff (
    id text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    certificate bytea NOT NULL,
    joined bigint NOT NULL,
    CONSTRAINT staff_joined_check CHECK ((joined >= 0)),
    CONSTRAINT staff_role_check CHECK ((role = ANY (ARRAY['doctor'::text, 'assistant'::text, 'auditor'::text])))
);

CREATE TABLE telemed_schema (
    version bigint NOT NULL,
    application text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT telemed_schema_version_check CHECK ((version > 0))
);

CREATE TABLE ticket (
    id bytea NOT NULL,
    doctor text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT ticket_created_check CHECK ((created >= 0)),
    CONSTRAINT ticket_expires_check CHECK ((expires >= 0)),
    CONSTRAINT ticket_id_check CHECK ((octet_length(id) = 16)),
    CONSTRAINT ticket_state_check CHECK ((state = ANY (ARRAY['open'::text, 'used'::text, 'frozen'::text, 'revoked'::text])))
);

CREATE TABLE welcomed (
    device bytea NOT NULL,
    CONSTRAINT welcomed_device_check CHECK ((octet_length(device) = 32))
);

INSERT INTO assignment VALUES ('P2', 'D2');
INSERT INTO assignment VALUES ('P3', 'D1');
INSERT INTO assignment VALUES ('P1', 'D2');

INSERT INTO audit_certificate VALUES ('D1', '\x9d63e9c3b5b14d065bc055605732e6713838ef218656bf17e40c12742a778074', '\x01f8f4e69ead5109a0d2e2e68605fc83ef528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74431000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf34a4000001a967bd18a4f6e21169cadc12973b06038bfd9113fa44738165407b6cc0aa77c71841d8ede45131e362955ec0dbebe60ab06e48d7bad01f23a4019d41e68c39e8f2c993e119254f3a1a71974bc6a7dadd41c8b46ff34885616a194160b506917fe4b0457db271b48f63ebd3e848645fe179fa353259f7820404aafc41faa742c1a862154edbc18d3ebfba892697defdd003b3321f044633fe0a4cee3f996abfef6dbac63cffe377d19e6fd1a8f7d0ad1cbc5d8466b70ba0b532bd5b01aa496839542361c6d2e87844cdf8bb39559bcf6da845eec0aad600c246766a446372b70007a0db0a4664428592b86c6cedbe3bfc3c93a8eb1aa68ab78f04196b8c8851189f2177d2532e1da41c13c3c43e373fedcc186fe8b42fbe3d892f3eb435d2e1893647d10c64cb15a50e97862b92bcb711a8c547a6635f1c1d4c24af1aba755e961d6ef4280d777c252cfc4b27c52326be4a10c38d654e47773b4d4dd60405a47aed6c5a694cb2b90179e627c7606d7829f3bc2afb8d6fe45202abf6b9edc5fd0ba7d03a67b82ba24a39738acb6a699629f7432cd310b7c2f09d70536db9d9f41448e179d022e468dd5383cf720032b0cb6af919bd0e7da554b740f60b038fe025dc6ef652ffea05eba6630fce87425a7e8ade114fc41e2f98c9ad08b485d5fad90c04e26c98e7cb446fdf1aedd77d408bb689d51a08f092b5dd97dd94da13cb11f08d6fb14a6746be83c4075de8516a7fe83922e4cca35c5a9478f51aa15019f3097d4136e4d4b04db55e03eb4bc88c802a801b85b0079428e58358b58efb7013435801959e14cfc789ab3a745224e2759d77af8e543276c6f8f89376902cb0caef9f6b8f44d9b739463db6a3d152aa3b1dd944f03402ec69ebc0206f006a1afa42d26a11d2617e266fbabd5732c358b04242ebc992f8ce0fc7f2ad16e28d4f15d990f2443256b45d14459cea38fe39e2c467ce500d429741dfb9d91eb2797d01a9eb690ba5128fe3a3e0ecc0ab8bb2876c08bfe19a317b331e3a020069fdccb6a8774ed33e96f0b814887ee9b03c914f730fe9db606803786ee36d6d59872926a547594091');
INSERT INTO audit_certificate VALUES ('D2', '\x4eb32e9926a00e175abb8e1558e699e7829dfcf2b07f59c766d5a349827e9076', '\x014f164329ae3b782bf85292c9375eba55528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74432000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf39d9000001a967bd1dd95c00181cf0eb471b6acbd2925dd1da2ad06bc4ea90ad36b68586f26f53b4f724e14efe1bb342b50ec1f726d904e89b1f370cc413f14411abcb9ac51f965f43f4a7c759a6e8b19ec52a95c111921fe4f4cc3c2276c203e9bb84b9b77111a0d65ee379a1d890ea1e7fbe9e4ceeb785136576406a4bfc9e4224da9970c85ac04dc4a1b8ccb147dd93a81d58eb7802cccb0a6de315f99cfe3b07aee76f73caaf5407c7e1d713827181e1438696983b9b17bd1a4e378c3bb1ad632fbde39eb7c87fceb03027c4bdd573636c0098fd39bf484b22914abd5f030d7e4199d2e22d4e79e303f4b1c04d57728a161b9c7a71b1f6e6628b4353c540354d25ec84d56d89275b439bbc211a2ce546b691902cddb209944b9d0c8c3549f71b1e9d6924ad93d7f924239654aea04a6480f282d69600bfd6525db6cebdf35b9b080d5fedf0ef6879625eaacb7f286e5455ac119d383dc0781674671406fc44db6a76572be0be7dddb7b94fe68657ae0ad5d0db7ae8ac8b9eb277de1e368d0ea7ecae68b0c6fb9c8d5fbc8191ea5291532a4b47882e63b129b9a8a32924485a24e3341bc597cafbb3493943a3f43bac1badee94bb512163a5e7184357d9cf3128d1bdcc8fdd9370e2a392bb5a98f9617dab9a007c83e2237df3daf412b19caad2ef271801445cf1b0f1282d23cca31c4b9ce9704b8d941f93c290c084c1dba3919b4f41598bf971cf79078463ba0428eea2f64fe53524daf876030e4b73ebddc0064c97538dbc2b58c7f6f319e9a07fecdec2f40be34e861fb21832084922cfe456723e5f1abe6ca4253dfd077b4fecb944c9892ca785348df49f3520bc05c657a0f7087311dd05803f4a368db56cd9e74f67b837f0a95239ead492601499b38f645bb4686969e89009cc1dc3c9a1d96d3bb861c132bec6a7e25183b83bb7c1bc3524327084ea1edc8026ae44a999508cf1f7c524f07dc15b040720028ff8685e8fee7a95246b5bee8a76abf64dbd0dfd802b0e0998e49285b7b42cc41d207ffaafe6599e55fc500834e57dffd7b1ff6103018bb2f2a6e4925223d99ab73c72c342f04082e94651dc');
INSERT INTO audit_certificate VALUES ('A1', '\xe5aa7df2239b98d79da9a3a77e25d3a5bcfbac28b1bde45fc515fa4569e26c2c', '\x01555bbcdaa9d89d948bfba655061e8884528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74131000000000000000000000000000000000000000000000000000000000000046e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf3e65000001a967bd2265dc71c2efde0942de462fc65af6c2549070c6711e95a9d42b46278c366ad74c165a47401476f5f9aba1899a08d5b176f51c4dfbc1db00854d4cb0041b5188fee76d09a95402a07238f985be7e70d81bd32d7bab72a386d5da72823204a13e87a67dc17e67a286f3dac0e2b710cd5638fc99641803685bd1c0d3ffdfb7280898eeee42e3a0bd7ece26e19caccaf7ec14a269094dc4e16451e277849fa6091b386de97e14110613290918e63769cf33cabb550287f59d28b5de8ebfe561a1470b2db126336e0402f0437def05a1018a5434b97c3d54f44a5e75ffd548e7417e688ddc05ca088df085069d0292c332d679ae1da07371adf254d78f4b9f4cb2aef5c71d08d80f222c51c00b97683b717cdf47bd2cfcb16fa0740aad39ed21bb07174603b4542f12974a3e99c751d1d6076fd69c71587ee60526d4b1b7edb485e0a210d673291ea8f05fd27372145da4f951434c12658bc0fcb03096de0a0c4009f73980bddd3d8a875b7929d98a56bba9acd5e01a6245a6fb7f507c5f3e94b7d64b96c1cd4faf3e35951199a49bbc18c31107011683c772cb3960837638c434693572bc8af79e5bb16ca735fa81efaba49b088f6c4c890daa88e27184ef6781d4719ad1ebc75a2de50a7a32a90299355a534784c0dc277187ea25b87ab1746e807bd8e9c63a6131b4823c9ee42a9f027bd533ca4ba7202f71e3b25b621a8f1230198134106ad44eb92c9024f9d63d51e78280c642b85ba951898a8da5969e0c0fc57b954462870726f00cfe4b13cc40e91141ed309f53ec138925ed37d5b74c7a831fc0ae0554edeb1e5d433520bef74743cd2184261040761b89b562786feb16f9f160dce1af831db76c76a227370367e3aff4eeee1a11d88325ba2687d54609a9a637491ab99304bbace11e4c1d51f1e97f873dcba866f911bff882f12e3380597d4b95692d4a22990f2c6250f76eb40b0d2c7075bc5f615399325f572cb6985786f3ca1de65a2f295ce0cc8766bd4df00de7616b5ea87d9a4004c70c41ba557529d20eeafcdfe3cd66898739ef835c03268de832fdae892996d78de655fab65aa8');

INSERT INTO audit_entry VALUES ('D1', 1, 1795479146820, 'D1', 'founded', '', '', '\x7144f4ca0bd7fbb6c9255608c1890d4bfb92427e0f759d0c3b8288404b24e3f8');
INSERT INTO audit_entry VALUES ('D1', 2, 1795479146860, 'D1', 'key changed', '', 'new recovery code', '\x30be28dafad9fb15a8cbc31ae764ab5a360458982c238aaaa1c4b9576a5fe516');
INSERT INTO audit_entry VALUES ('D1', 3, 1795479146878, 'server', 'started', '', 'telemed 0.1.0 on 127.0.0.1:7461', '\x21a7189c8bbb9ca7bd447142c611b58e7acd9ed7a16b2579e4892c92c0fa986a');
INSERT INTO audit_entry VALUES ('D1', 4, 1795479146878, 'server', 'head signed', '', '', '\xe0be19ee3c75f4105fb572aab641804a9a4545bd604d3add7e0536f1d5c4f7ec');
INSERT INTO audit_entry VALUES ('D1', 5, 1795479147052, 'D1', 'join ticket made', 'D2', 'ticket aa1d7c72 for a doctor, good until 2026-11-25 00:12:26', '\x7787cf8804c75744a8f83eafda96bfb0175ccc19a2f9db9aed8bc6c10f8ca714');
INSERT INTO audit_entry VALUES ('D1', 6, 1795479147996, 'D1', 'staff admitted', 'D2', 'doctor, certificate 4f164329ae3b782bf85292c9375eba55, ticket aa1d7c72', '\x3411f579ab0552a2fb85495e21fa15849917e3f774740862fbc8c5d53d150e23');
INSERT INTO audit_entry VALUES ('D2', 1, 1795479148171, 'D2', 'clinic joined', 'D2', 'doctor by the word of D1, ticket aa1d7c72, root 54776b7d5565870fbfbedcb73497838b0022ebaf62bc743654923f4f4774ee9c', '\xed49357738d5eebbbf27c5d4e7dbf4fdc13fb143982c3ee82b62e99c4e6ef5f9');
INSERT INTO audit_entry VALUES ('D2', 2, 1795479148385, 'server', 'head signed', '', '', '\xdd0ec2b57aab030bcd24910a11d7b04b97e82a0ded1e1da8698b14ade034a4bc');
INSERT INTO audit_entry VALUES ('D2', 3, 1795479148528, 'server', 'started', '', 'telemed 0.1.0 on 127.0.0.1:7462', '\x5a98ba55108cbf8884eaed382e27187366d7318d9f27a15a439c823ff5280d84');
INSERT INTO audit_entry VALUES ('D2', 4, 1795479148528, 'server', 'head signed', '', '', '\xae9c960a61b942aafbddb5596ba34a90b11fd2d9e1381bc144751cfc47226e98');
INSERT INTO audit_entry VALUES ('D1', 7, 1795479148546, 'D1', 'join ticket made', 'A1', 'ticket 79f01287 for a assistant, good until 2026-11-25 00:12:28', '\x3d5d12cc14975452222e97b7a0b82905047c27f7695464c2998be72b82c20700');
INSERT INTO audit_entry VALUES ('D1', 8, 1795479149185, 'D1', 'staff admitted', 'A1', 'assistant, certificate 555bbcdaa9d89d948bfba655061e8884, ticket 79f01287', '\x43843266df8ce6d0495d324f475064b34a0f94167becdd9d6746c81ebd8e2920');
INSERT INTO audit_entry VALUES ('A1', 1, 1795479149396, 'A1', 'clinic joined', 'A1', 'assistant by the word of D1, ticket 79f01287, root 54776b7d5565870fbfbedcb73497838b0022ebaf62bc743654923f4f4774ee9c', '\x540e3b31475aef94467f3dc5e52f0dfd21195adbb617c37ff7a7013052bc8113');
INSERT INTO audit_entry VALUES ('A1', 2, 1795479149569, 'server', 'head signed', '', '', '\xe7ad92965ef3572821f71083d047cfc0b4ac3d059b2cd29cfb0281954e78eb0c');
INSERT INTO audit_entry VALUES ('D1', 9, 1795479149581, 'D1', 'join ticket made', 'R1', 'ticket 78c6c00d for a auditor, good until 2026-11-25 00:12:29', '\xd756730549e50975060b8a055d4e08a83d28572f53393d8f14305e52515b77cc');
INSERT INTO audit_entry VALUES ('D1', 10, 1795479149683, 'D1', 'ticket made', 'P1', 'ticket 111a0258, good until 2026-11-25 00:12:29', '\x4c304bdd5ea4ada0b7d0d2366f0d1c28232cfbb1a72ba7f37543e0127dac001f');
INSERT INTO audit_entry VALUES ('D1', 11, 1795479149820, 'P1', 'enrolled', 'P1', 'certificate 493093ee07cd67c669bfaa032596886a', '\xb66cd48a62b998a58365d427062c99437f8a0efd5b1ff06368f68940e4c42a27');
INSERT INTO audit_entry VALUES ('D2', 5, 1795479150010, 'D2', 'ticket made', 'P2', 'ticket eb58ad9d, good until 2026-11-25 00:12:30', '\x3eb656c0f0fca00d0a7ac14286e507d342646cf96e10faae23efc1ce183ea65c');
INSERT INTO audit_entry VALUES ('D2', 6, 1795479150117, 'P2', 'enrolled', 'P2', 'certificate d7afd223c31850b5d2ac1ecc460f730c', '\x0c6ce253ec156ef3d4ec6a68335eb30ca4bb040cc06bb56f327105fb1d29772b');
INSERT INTO audit_entry VALUES ('D1', 12, 1795479150220, 'D1', 'ticket made', 'P3', 'ticket b8e25c02, good until 2026-11-25 00:12:30', '\x8bdd84761476b2ac8e3825361ab90f4cd55445e013030138456bed697117c084');
INSERT INTO audit_entry VALUES ('D1', 13, 1795479150378, 'P1', 'joined', 'P1', 'anew', '\xb3d554a3685b55f5311fef97b677fa94b0d8f2848223f38ee6adf5b6c2f34a17');
INSERT INTO audit_entry VALUES ('D2', 7, 1795479150398, 'P2', 'joined', 'P2', 'anew', '\xa3d8dd8625ba7bd4ac7b66bb45b01af6d421d5331714af8641c52b2364af846c');
INSERT INTO audit_entry VALUES ('D1', 14, 1795479150575, 'D1', 'record added', 'P1', 'version 1', '\xddfcfe24b000906291691f083f186a14b49f1329d8f965f77c758ee9310b9ce8');
INSERT INTO audit_entry VALUES ('D1', 15, 1795479150633, 'D1', 'record changed', 'P1', 'consultation noted', '\xc59a94d7f4c95a77dfc669e7e451214b6c5e0cbe11db8e4a6c53164cbdfaca0c');
INSERT INTO audit_entry VALUES ('D1', 16, 1795479150664, 'D1', 'message', 'P1', 'message 1a766f', '\x7d5a49175831e78d28126c6582072b24d3ebfc20835d812f1372b009bbd6b2e1');
INSERT INTO audit_entry VALUES ('D1', 17, 1795479150757, 'P1', 'delivered', '', 'message 1a766f, device fbb529', '\x7755568db6b000aa4606170784ea37df1d6bb48bb071801adc4c7fc7f2b99a29');
INSERT INTO audit_entry VALUES ('D2', 8, 1795479150794, 'D2', 'broadcast', '', 'message 22eee0, to all 2 patients of the clinic', '\x84a119bf5518b22382d49f4953edacdd372f8f1c0510a311b684251346205c1d');
INSERT INTO audit_entry VALUES ('D2', 9, 1795479150856, 'P2', 'delivered', '', 'message 22eee0, device bcfd19', '\xf10c84fbae8b29ab6349bba2f7ae2ea92052c77b9a8f277a97c3de802741745d');
INSERT INTO audit_entry VALUES ('D1', 18, 1795479150881, 'P1', 'delivered', '', 'message 22eee0, device fbb529', '\xd742dbdfdf7123f35ed6a160532e89ef281a46a13184603d973eacd91d691254');
INSERT INTO audit_entry VALUES ('D1', 19, 1795479151022, 'P1', 'confirmed', '', 'message 22eee0, device fbb529', '\x222d73b14b338e80635257dd139afea5cd734ff7c1bc62969e7a08a77fd468e6');
INSERT INTO audit_entry VALUES ('D1', 20, 1795479151105, 'D1', 'messages read', '', 'deliveries, message 2 (22eee0)', '\xfb4b02cd4786ca4ce090e3d9e976e019653e947fdcc20de88ff7db1c3d622dbc');
INSERT INTO audit_entry VALUES ('D1', 21, 1795479151118, 'P1', 'received', '', 'message f03147, device fbb529', '\x39eee7d6e5b3eeb346d23b383f83d3fbdb450c1cae0ca3ed8cdf647ddf0d9e61');
INSERT INTO audit_entry VALUES ('D1', 22, 1795479151149, 'D1', 'messages read', '', 'inbox, 1 messages', '\x6b91a0ede48eba2ec0fa9380f34695eb773e6a18a64b7a31d108848bd24adbad');
INSERT INTO audit_entry VALUES ('D1', 23, 1795479151162, 'D1', 'message', 'P1', 'message 5a6bcb', '\x8b8955cd01b4768115fecf20a0c1aa630efca9b631a0f7d45dedd2ecc1259add');
INSERT INTO audit_entry VALUES ('D1', 24, 1795479151178, 'P1', 'delivered', '', 'message 5a6bcb, device fbb529', '\x892d6a1821f30d809e58e807a62c0c94a1b7e307cda84d1b0e86c5e770856226');
INSERT INTO audit_entry VALUES ('A1', 3, 1795479151361, 'A1', 'message', 'P2', 'message 591819', '\xba30766c4a26c1c4463e9a35e13b0d0e8fe870b135a3f6570a67cc09da20c11e');
INSERT INTO audit_entry VALUES ('A1', 4, 1795479151366, 'server', 'head signed', '', '', '\x00148c6c12e12b2124607ddb88161a3c8c05ea33709b9038f5662dab2cdf927b');
INSERT INTO audit_entry VALUES ('D2', 10, 1795479151434, 'P2', 'delivered', '', 'message 591819, device bcfd19', '\xf4ceb43edd51836372517598539cc9e4fd9b700e3882a7e6715c7be7b16012e2');
INSERT INTO audit_entry VALUES ('D1', 25, 1795479151691, 'D1', 'messages read', '', 'deliveries, 4 messages', '\x6457766a2f3379829fa52ae64bdb4ad210a58a5a33aa0cd02a8c793f7e7dc59e');
INSERT INTO audit_entry VALUES ('D1', 26, 1795479152719, 'P1', 'left', 'P1', 'asked for it', '\x8ff4a4732fe2c11bf4075fa37c4c98dad544c510647ad536cce7ed1c17dac331');
INSERT INTO audit_entry VALUES ('D2', 11, 1795479152719, 'P2', 'left', 'P2', 'asked for it', '\x4057a9331e4f3575a090c154d9b93b9f6d922021f37b9b545f2d4dc6bd4d255e');
INSERT INTO audit_entry VALUES ('D1', 27, 1795479153749, 'D1', 'message', 'P1', 'message 37001d', '\xa66bbe7bfc0bb1700d7efad3a8070947b383bd2614243a6eb9af3fbd8cc64a2e');
INSERT INTO audit_entry VALUES ('D1', 28, 1795479153792, 'D1', 'patient transferred', 'P1', 'to doctor D2', '\xeadc4831c47ad75332020579d1283bc1680c48ea48c44c64506aa2f00e56618b');
INSERT INTO audit_entry VALUES ('D1', 29, 1795479153883, 'D1', 'key changed', '', 'new recovery code', '\xa57f82184b12a970685ad4b4e542f73bd4b907064973337d43c00f517f0996a3');
INSERT INTO audit_entry VALUES ('D1', 30, 1795479153893, 'server', 'stopped', '', '', '\x900b70468cdea7c3067eb6b5a2f0b697699f06c4c9e707b3466d4e3f67c6745c');
INSERT INTO audit_entry VALUES ('D1', 31, 1795479153893, 'server', 'head signed', '', '', '\x501f893aa18671ec43d6af9b9dddb4c2f5dbcd138c14618bd30418f50c42db7c');
INSERT INTO audit_entry VALUES ('D2', 12, 1795479153976, 'server', 'stopped', '', '', '\x1c138e9ea2a47e117db70d7174e0a2a5f14a5abb53b1140546444a70e4045341');
INSERT INTO audit_entry VALUES ('D2', 13, 1795479153976, 'server', 'head signed', '', '', '\x6656aab0f2b59c4e7a27c4e527381f5cc3b20bb1db7d6f69b9eac45e6fa6c90a');
INSERT INTO audit_entry VALUES ('D2', 14, 1795479154311, 'D2', 'messages read', 'P1', 'history, 5 messages', '\xb19539f36a8db75ca00677920947a358bc279796ccc92af6b30b0785c005c42a');

INSERT INTO audit_head VALUES ('D1', 4, '\xe0be19ee3c75f4105fb572aab641804a9a4545bd604d3add7e0536f1d5c4f7ec', 1795479146878, '\x9d63e9c3b5b14d065bc055605732e6713838ef218656bf17e40c12742a778074', '\x23115e3f184981b987099b8e2712dc9f5cbb460d81dce5cf7ea28d15dfd8f118cb4b9048e0e0146e7cb686e52e5fa6cd81a28aae23a0e5ee44ae39a1188fa7f34100f1aa259bf5a09647e56bf7209d64f778916a2eb3596fa068d7c82b315b8789f08fb3868deaca3a2a2601a98d4d28bdbcf9233de7415956666a275ab9afb5fc43aa025424991b978190e52e5645f1bb85e56a58d45c2ffd3b3c1d21a47b08fb54e33fb79d3796e7cdcc52cd8f68252257b3a22197e79142bdfa03761774517233abf3bc5ec306a07f42a4d1a704f25a51ed65f48e15e1676243dcaa6cff4c9c52e630f5a05cb2ee66a0a5017ebb49c725bc49569e65ceb1c41dc2532d0e327c426b1cc34cff057b49901eb677e5ff72e3b9f70c489c2ace5c87475f1b1318d881f5b35086e3e733c9baf7c599cbf2a9894297417642e6253dc092e04d8ed3be2ea8c0b253168e9344504cc0d44709a9bdf33e62b6af34d736604384f0ac3b30707d243a7b6cd324f862ea2c8ac582c9618afe71841c13e5144862a8f5fd30123e67916a14c162abbc9c819ff44134575e35c3c03c08f6a41cf8631a0f591e2635484b8453134cb4498fd68f58f23d805687cb2333e64d784ab83d120f36d28e14fa668fafa6aa7b8241e4f4b95d4a810c57f096ed6990db0e2179cdcebdadf9fab9b1205854c299027a036a05870a3bcd781684e8ad0e4b0cf1a99029cabd');
INSERT INTO audit_head VALUES ('D2', 2, '\xdd0ec2b57aab030bcd24910a11d7b04b97e82a0ded1e1da8698b14ade034a4bc', 1795479148385, '\x4eb32e9926a00e175abb8e1558e699e7829dfcf2b07f59c766d5a349827e9076', '\xfad6b79ecf2dd1e59f01877936578c46281d1b43a3c50c6e1ab32f9ea8b0b0b31d5acb3c3410f67d1bed710933715fa6f5a5d15c1b721daf56b8f886c698f67f5abeea2c4fed897d66c54e7d96093155a29069509a914bfea2e98644378154c42409129e7b3a3dafeef1b4380effcdd76431e5f5ff98c5697cb23b6153773b8718484dfcdbd26308dbefa9010682c888e30e603bd3f39fa1bfd23e6447312e42b4ea24037ce1e10d59371846fc69f14c2bda26b187924089c71df918562b0abc2b015e1f9bc6021bcd6a9bc03e291ef9f1ed5d487b48cd606886dcd6c8c47dd43e5e456f3eb082391088238b540a830fb36db7264adfb47fe16e1d4a1ac8224f4b8f835c5b9b84026a3f315a52e1a035f62971020e5bb0c5ba9d29011d6c162f9155bc3c093eb41e4849f8ac4b7fced5bef6ea31dc2b7b67019fbf4eee9cf8829603e6af17610ac0b8553797edcf682ccc348c6bce215bce7f47d35b993bbc009a8014ccfc4316f8bfd2f6ca8dcd54b96f3fa3f18b3828abe6aeda5aab46762c63fd942d502830f5486542ad65c392bd19f79b67e1d35009408b09cd546922fc4e61c84c1335e586a435faa2dbc2e843fa04b14db87db3c5ca4d2a130d273f0255e1de28ddf7ac81e566738e740337b4fefcb12697a72a1cb85848ef0f102aaeecd7eeee6b89d6acdde12f6a921759b6d5bea6be2ebb4b5909ade6f5a439742a');
INSERT INTO audit_head VALUES ('D2', 4, '\xae9c960a61b942aafbddb5596ba34a90b11fd2d9e1381bc144751cfc47226e98', 1795479148528, '\x4eb32e9926a00e175abb8e1558e699e7829dfcf2b07f59c766d5a349827e9076', '\xa5c3e9c8cfbec74d8b471603e757de568d8fb9581ac6b4c3a3ccf3cfbc95c6ddb124d8bc05c1ec9e137815f194c67a0e189533d26ec23a1e430c45366c0bcbdfe3bfc95761a8842713498536cedc11bae1a7154a1f56866344368e20ac34835a059a2f5bda4d5e6156700df30cefeb8136e9b290b2e4ab08e908ef66b4c5310653ad07b958367c202eca429bebba15d857073c327c6095177c0b02295fda5c866621b2880e041be62309a93ecb6fff35e10579a7bd1ad29c12980f3bdaa05944cc4644dfc55f7391236829299918279fad16d9b210a03ed736bd438bab4ff3835d752d737623f3a1d9963342f659b47b71d79e74492d5480e801a9e864754c77447700c6f303edbf2c3a13ac185d3f26f52da73b8f181cc76ff670a493715ef761d100cbd240ebe2028c8e3385041c4ccc315aaeaff54be90d4cf02096ecacc45113c78d370cff03afdc1c2fe9e54958b81958ba0aab1b9149f12cf6501aafc7705b86b77bdf6c183aa2f6b01e0ff696e421eeb3843097440496c406f3a2988c8a44f312b5ec9e88b9085307b30c2c816ea9697dd98aa971873f2ed124802d52af5fbfb86eb12f56ae6f827708e66a126f2a6622564a55cfa0388f7daab2eb70d325249626492a3ab5feadbe21272a10945336fd0debde0f7b14bc83541374ac5b17608fcfa1c402ec7f735cae0cf2c6ea694116fbcd8f93fd0981c02331c159');
INSERT INTO audit_head VALUES ('A1', 2, '\xe7ad92965ef3572821f71083d047cfc0b4ac3d059b2cd29cfb0281954e78eb0c', 1795479149569, '\xe5aa7df2239b98d79da9a3a77e25d3a5bcfbac28b1bde45fc515fa4569e26c2c', '\x7d8e944e82977e078f6d441b8f72d11f104b43960e6ac8990771bae29ec45e0f8d795a60e376abefbe68b5644ec5f63876725d9bf94382e7c3c027f4daa3d60b4449b24561e7b2b1640237ae2ccdf8e56b084120e305022cfbede089bdef00c14553f2fc532d7b7cd3735b5fa3eca74ab65786dd6b0e2034f4d6b4dc9f246518ad5e18ab40ece628b39b8351e37d23f9f9c415645ace789774c944b81ff536a6375931288a027fd6425994e8ced2e5a9aba521d3cc5da817130922d3f4431e637e2876c1d8166cf554b53f01db4580e00d1ddf36a62cea5d8219f0a5ed3d2a2d6bb98ed3ca4bd64fdf3dd045c7b6b9b8ed956f0a5b4dc21a81f275f66c58e7240d0a861426183f7a3d21cad54c8f3c73b4cc92386961d80ede903f5c893a1df5e505e99bf684292b543f860a4bfbb03e9839690e4cecea2d4a4a59fd453739b02f94210388ce624f372a401b0df3d760d6c8bf34ea34401db8230e7d9653f58c56003bd265d010efae1373d8deb6e3619e07522f75b071a8c16cbaf290af5deee466d3fda1970fb729cf21146fb093bd4280ea7ac2283cdcb33a723d3fd3dedda1f8c58281b00b69a08109ed1ceaeceae86584f01737787a163a002e423a31e96575325cbd6cc8a19c2d7dd9183fb72b6f9180cfc4f0ba0a6c9270ece58330337b59dd9d51d6ccf79204992adfc26bb1ea607f8ed387425136514621db6edc97');
INSERT INTO audit_head VALUES ('A1', 4, '\x00148c6c12e12b2124607ddb88161a3c8c05ea33709b9038f5662dab2cdf927b', 1795479151366, '\xe5aa7df2239b98d79da9a3a77e25d3a5bcfbac28b1bde45fc515fa4569e26c2c', '\xb42c747e19a3da04c2ffafb6d5341ef98d52efb74632f584c2eae5e6eadea91a4563097f38184239d8f92b87c829e237d6fde38462701aef51d6162f56179968dd89db20e30876c4969b3580117f87a8402168c952dfd4db876ba3e63a4133bb2a6a7e1c361778a4696059ca627cff5868893ce377772b1a87aa37d59f65f25dddb32151f00fb6136cc7025559e5bef79829e5c8c7e9bc367877bf3d2ba789f6fe725184ba3b65b04221be6e485f55d74fdd3390de9634892dac3b23a7de9dde7e6a7ecd5b89a134023d51af5d3b93dca0da519f15ddb41681f156583c26537b89bfe120b66aad8050aa8995ab36512b920bdbccc8d4517d1ee194698fb6cbf52d9977007c89688a8267e6364188f47867f5bcfa03f4800823968b68ec069250e433bd95ec6724982e82c7ff85c03cc06dccef040456bb1e94056fa7fcd849709246d4e1b4f5e455ccd83a45b9cc2a9544b5d536b2fd7e36a40ccac8dc5713ce4d6dc047f248fa23a77480b0ca4f39d11d25d8dcaa430918369ef5bb283734964aa72d90b136b48cec94e7d01b7bbef46e068ac394b32e66b4531bd8cb7180519d170b523ed56a5a748f7bb3c5672f7e9f7d28041d8029a18b3031dbf14bf2619af601fd0a9b20e033d4ca8881ea1cfdb2836419d46418ecdc1e5bd6ecf088b8496eab63d1f88e17faafd50bc3203bee7b751866f1bd9e3e1eb84c79e2b35da5');
INSERT INTO audit_head VALUES ('D1', 31, '\x501f893aa18671ec43d6af9b9dddb4c2f5dbcd138c14618bd30418f50c42db7c', 1795479153893, '\x9d63e9c3b5b14d065bc055605732e6713838ef218656bf17e40c12742a778074', '\xa18fe1628d07838087dd26b24a8c986caf6674d378cc1017004b2222673c4c4c0ecf22d8407b6daa85a1a28093b8e47f8551f04a95025e63600c60f2baf1a251b044ec5a732a7371634a81d1e30f6a20c0dc631501efebd0f7fcc839864dd5df3b1bfa66c49a196ba2d90a9daf7a4ea1379444ecb07a07335eb049475021c8452dd4c00326a954f5ca6bc480cee2880fe04dd0a01b065229e6a28f6901f57278129e1bd3d3a387d517d79d883ad0eea0cd391be3fe99d5145f4d04b2104d4839b048f9c4ff9160003ab691151a9684a19bbea5b723a04f21f51f42a22cbbc0470b3bb0abd215c6b21b1f69df00845d0f417fd6ca044a81cf92aa3b50e91ae8215fd436ae4c5a8b63fda56af8b617c3de864ae659cd6a88bad6fc72a6207bce2bbb1b01070b902e7e48ae5a46f5efd94ae518543f193253e757b68fac9ef3f9aad04588ffe55dc826261d636c19f8a12f0bbc18af9cda616694c38c5cac952fc912e24e03ff3f625482baeec6ec10e0297044bdd4427dec7c90d1e6273e656499b571870a408fdb5671d5ed89910907fac5bae2521590a5a79bd1fc90bb2e1976dbc7ee6d30ac6728a72133cb44ff1ac40aebdb820203f69c9348a32f824e83609d2dc3f216c335d53fecf6d4f03e56a4c04cd0565bb0a42129ef14d21c0e8ec2da153695f4a9fe28cfbc919852b2576b68229b0d76e4f1e9a9f1d5fec3e93ea1');
INSERT INTO audit_head VALUES ('D2', 13, '\x6656aab0f2b59c4e7a27c4e527381f5cc3b20bb1db7d6f69b9eac45e6fa6c90a', 1795479153976, '\x4eb32e9926a00e175abb8e1558e699e7829dfcf2b07f59c766d5a349827e9076', '\xce6885183b5751b260ea5fe68bd5fa591ec318f298388e70ace720ed04a39337e1d61d2f8480875d596bf3decb3c274295b45d7c944468fb60bab40a4e3801444fdac5cae07000c5a2791594c2e56d17f98db7b7ea983c2caded0b15232cdadb6e34c866a2ad9c3646a60b32e7c92a8b247f59a28149e8a696d1168857703d21a2edba30fac25c6f60c84f1d0f6088253655fcc89ea1b535181336dda0a37d52afb254c48ec5e768172b7876618ddad7acd71d7bcb29fe3c90e5f241de6c6b9c3914f91cddaa5f28ef22b23dbd496c6af6a7a47ca4e609e5259b8968e72f7c4c5c8496f2a9691add564f5c6138292555013105016e83c00f8028cd3d1170bc2a6c46816b91be2dd2b535cfa6511b894eb9bce5d9d7b5e987fabec58c759c73fcd848b424bca63d1f3c323259db95a2595bbc5a426af90c93d2703aa5e175134d63214f7a2725477069b78c2926ff7417792d6c1a23ecb7826670a3568082a5cdae59998f2487eba4bf708dd3f81885ec11adb456a9f56152ed2c7f3f9f867e5625a06d71f351e28763244d7836e5a0a236d424170c8c406aa0ee2b149397e085d5241315813aaa3b74a7017b070de1058a28928f600f1b46e5572175c440e90636a356cd4f749f9782aefc8455d05e7c486efb3774328c474aeec1f6599e1cd6e0e47821a3b9f0b9706dce3941f1560088650ca89fb8318d25cfceb603b625ab');

INSERT INTO certificate VALUES ('\x493093ee07cd67c669bfaa032596886a', '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'D1', 'P1', '\x01493093ee07cd67c669bfaa032596886a528388bee1fb08d617352f228a2860dfb6f4ea6bef404f0d4337127ccddadcc59add78ed4a26b4549e53a7805d9d9cd05031000000000000000000000000000000000000000000000000000000000000036e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf40f7000001a96296c8f7b2839b67ca52d073d4030a3e7021458cc21363b131c01c50d18a048ec03e4ce1f70cf56fa2ba8febbc0e4e8024824d26a54d3b9a3ec1be568aaeb5af0fa141eb5b0f636eb111ab1cf7a406f5d5a40b7133f6104109b460ac93b73962660f8d2daf52c0bf9c6a95af908005c9f3a2a17cbfd134bea73f622074166d8246f70308249b409403cc855135750ee46f8b2ed386fc99fafce2145d7b794ab54c0588427bb452a669ddc04edb92b29b1b935b7f53fb363a22ee89753657162a0121e8a57c52ad347fe4fc3ade61e7ace374e0eb6e842a37aada9e32ce9e97ada0790615bcf64a0c310dcc8735a8bccf2066749f6020b312b0db73cfc616b11a5a85b69c5b2036d4f1a58f403c4f77e4cea0e2a6ec1597c670555bc2bbb9d5dc8a437dd6f1e8fcde8ae60246569ad333453a043525faf39e9019ddce13410e931c84c854db7c9d46b6502b96fcd5b6cbe19c9d5562d70f3f0a261494e89e541d643a6a8750148d0880ef72372b32cc157640482b2bdec9a0f45cac734a20576a6cd3ecdbb6afe7d1d4c4a30ca6b1a552c29bf76bbf660d50c003a34fb4cf63186a2ddf96e82edfb1476b7024bd5ea7685cca6b3d240065869cc940ad705849abe6589a7a9ba4d780f4933b5cc6a7b59cbc9714c971700e40739e06632584788608a5cf1aca544bc5bde888dc1fec682c02622150ed057a0762fa534104dec8e0a64734a58362f1314eb3bf705118a4178bbe0a3170dccf5dc231fd1f75f7ea2f1cd4e1e00448cdf437bac4a52b2fbd9e68154a58a069d20b42fc60dae223dfc7acb7bde77e4e7933a0ec3e64f16d407fa8ea0f0b428a45b13965f1029f0ca2029113d6ddf68a375d2e6b1b77df9428e1772b7c66f4e3500754554aa9659148d358c1a9a64b404c0ee8ee14b8893b6f134faf24e3bdbb9b5d8f69fdf34e34c2f9e7cfdc1b2889def838099bdefedbf5a2060cd41fdd259511dfa461e73c42e8f1ff6acceeaf765f285be32af942335e4cf85b8f5f1fba0ecb0111c7ab8c074eea13ee67ec44f585abaa4ceb6c4b45f573cc1cf30e0cf85ad5bf5657595a24866e6bcaaa61480ab61adb8fc58bc6426bb67d1ac2e6e41288d1e4b01dd6e9a976c2229f99b90946f286f12bfe5228335da7aa7af66c1e0352fed0a6923274a8f817c84862487ce1b4bec4f81897966d157fc3c70d44ca42b5c14ef76b96bb9112db38f31085a2031cd3d2a0e070181e8e41aca19b7ca7f78969d41d8f336a65d2e2fd1c0cc58c7de0c0b341f689a72f298b357f09d785aa2321d6723f7a9f798eea3fb1dcd89ad194ba948ee96d1ca27aebbc857acc8c945a9c15b1a0825535d95110d9f6a37627524aa1f48f5c710355c6b6ead46fbcc1b44124de64f44b601f1f1694eff63d96770384330dd116febaaf30d734697d0197c54cb64aa3ca56adcbc09225f4', 'active', '\x111a0258dcaa6a4bbe7ab6b53dc81bee', 1795479149815, 1827015149815);
INSERT INTO certificate VALUES ('\xd7afd223c31850b5d2ac1ecc460f730c', '\xbcfd19149a1a8f2e3704f28b223eff79c4d4374245793ce671272897850bbab4', 'D2', 'P2', '\x01d7afd223c31850b5d2ac1ecc460f730c528388bee1fb08d617352f228a2860df425a19a1063b383e8efb06aca12850f2b180f291031c5136200df0afed5616985032000000000000000000000000000000000000000000000000000000000000036e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf4220000001a96296ca2077b9997e2f368e64c97ef1317c0904621a2313ec1172bcb209aa38b05ee5939adbaeaf406759d164f7388d624e48a1cd5663639bf660eb15ca192c567631695b62ca668fe22c9d1037294f8b1b72e9afb36f9f4527def4dc91b73e2d29018b745617d5599ed0f919ac84a122f27ddcae77f6d29d50c972fe2302974ea2b982172d960edcd70239f8fc8faa5558d616ffbd1aaa0828a8f2cf4a634355b05d34b29cd5d7036bcf32e40fe3bf5498927c356d2981fcadec75bbcce7057b259da37f18bf06fbd75777056c58678b1ce6d43a5451ec2b7f5c16be22de5c5897f4613923c50553352477277f1c7f70f6861631dace739eeb17c78b95c1d60ea02ca56137e5d9fe9d9b57c724edb2df6f74f3f2f1302893d76d524918a1235b4be3982fba009e7603657f3a71d7127dda2ea4f0d1d12032276b2de563654233c8c613079836d99e028019f6eea9e507cd59746787ab9a3aab7280bba410c4e2f1c4c08d1dbcb7fc30259da500f7d1330038b085a651287a4a2c5b7c314841b4da5a09bddcf01f5ca7b143725f6f19ccdd6f8a62902ce758ee03058ae48c73b8a8ef2f427d170ed16f21f70504e920a869edfbecc2f09dd3c4aa1162d7d155fcfcbbb48b9b8bb7d756a548a8f251eda2ade613f4ea2df3bd98487cf6c8db8cb889b899b0750e4a58e94c474a4216cb4ed0e3fa440634e3442e2506edd8c3dec28cbdc2951d296ee658a93a02e02fa499713f4df95f660d0c6b53cf9da0c6d337d8b51433dd153792c86e15872d2f1de70c3c478f99888cb744e0d8a2627917da506b0014639b8ff22c97d4f28275684c8635273fadba68181753e8fcb36f2dcf15ced1df2a01df2cbf7751690281f99081cb6e6452cc3b4f8ea08bd856233cdb680f612dc7754d422ad688e973954d538fe666cf17d364c376bc913a1a15a5473b6cb24939d12703e7bbead97d3f3d27cca6f470dc88cd9d75dc9513e8c3d437bf198be135beb228c9d83afd1045f387ac5de0d6939fcbb7daae1430578f8a2b2bc2996c1941100215955f217cae08fec19608794e2153b038fb6e404d307c51a0225ce0658e5c825be3f5b5b4607e9a3bc252c8d6e22d55a9ed963772e725c66e83a1a4dd59187d77eb6524e00f9b03884a8e53c22bb8e1475b5df580bbaef44ef956cc3525a7772a79f50004a8466c08cfe8fdfb06b0d44e73df81de88b9ed205ad315c931ee9b446f29efe0143d4ef6292c783541ac14ebe729ddba66340c982e8663e919c1dc4f36543ec6e33848fc88db9c6b175d1708d45a4bf992bed38208e63ad321f9e8d3d5e857219101082c626d3069bd6ba19c9e0bb8a49e7526ad3c9e3325562796897dbf7337b7a8da090dc232fe91478875f61b7b9b898bf9b02db3732af9ff60e1fcd19a9e71b28e5699e3436f9091d14c284aab75f558a84bc1be13', 'active', '\xeb58ad9d0dfc7fd9229042702105e943', 1795479150112, 1827015150112);

INSERT INTO consultation VALUES ('\x0e2cbcf757b99da7e5b08b11490d46c5', 'P1', 1795479150624, 1795479150624, NULL, '\x9a81f2578e605adb523880d37c91a530b6c1b66b6cfe0fdaf1128e1740ec6ff0d94369544cb3f45606c6c26fa196ef5099c5044c27bd5e26549095eee7c4e805b92616b4497b2a3c5f726b67df46cda95e5175c6a88f5c0093fa88f16fbcbad689d09830d76c8065adda8835f08e0e3ed573be1e292d068f9d40690e1e79f81fe2ddb0bce122516b1a5b61b8a56965eb8387246908e4cd14de48bc8ac0a085ca5247e9dd3991b4c6ebf146236cbe946db151d22b2c0aba8e894697a0b24ca545b3b08fe86e0e25c825c78aaf4be9805f69a2386d8f10a56ea637a1b7e1bdb92321c3d90d1e5ce63506bfbfc8fa854209a3063cbbbee8308444cc96a465d4df005194f9febac5694c28e38508d1c5b5b11c3a7b85ba8efcc72dcb1bd9d8ae7d6e91054efe176b8a41fde308168fbc605fa772a430e45dcc10513e1955c4473955');

INSERT INTO counter VALUES ('incoming', 1);
INSERT INTO counter VALUES ('message', 5);

INSERT INTO delivery VALUES (1, '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'P1', 1795479150652, 1795479150748, 1795479150757, NULL, NULL, false);
INSERT INTO delivery VALUES (2, '\xbcfd19149a1a8f2e3704f28b223eff79c4d4374245793ce671272897850bbab4', 'P2', 1795479150769, 1795479150840, 1795479150856, NULL, NULL, false);
INSERT INTO delivery VALUES (2, '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'P1', 1795479150769, 1795479150878, 1795479150881, 1795479151022, '\xe224fbf41e3295b4de2ef7cdec9b5345aba173bde5f5e84466ea373de9a29303170d49124194b7be47ff242801ccda4b1570a2f453e77c182030593a2bb8417faedad92e113b54dbfeae71c72c963e9c79dd5224f58e4fcbda5b144dba5078e53eed2776ed883bf9fd61205f138988f43bad4f9e0e6261874f99ca2f4bfdfe24481d91c6b79a4c9093c87afaf94e3d11fda7935525eef0f23701eb163869438340d5fd8495c3aaa72515b55239296dce0ee77de8715874e50a4cffb4ae78010f80e23d69c1cca5d4753ae46da65d5d74ca330230eacfee0f397affaa340fbfda9da03600a58ab39df377a3471bf0993d65b7757449b95c18da2a658a13f0f717f4fa4d9d87c6e0d6302ed051b87a90bd511378f5644918fb24709238c58ce360db13760bb90b65876ea978b46aaa4f4a92bfc5ce0987550d75c885b2fc8759b6cac3b2dc5376e33a59132f37955a3ad6ef619f83129ba3e898d2f50d4abb76ac39ffb4439d0ed21cad73c847e35cb9bf764dbd2686d1a04a42c839be9e2e9ef259b98648975c90ddba211e0a01610b0415e8aa98a62d4ff5951970f19bc3a8587e101d01958e7a0aeb544eaeb3e3d4cf8df2263e1dab36aa7df7fe4c223b35e5b6f0d766747603a21b25b1c9591905da9e080d6a27312f7648775b0925664526667ee6165db5c4045e3dbddd1035eac1229a235e5c81f689e77feb65696297b43bbf73a65dac8a1ccab99bfd3b8c3e5b4e34f3f7e5f280361eb47522d9c530ba647674010c3b2b0142b93400eb7320dd233c36cfe7388e01f898db3e5f1cd74306340a3a5424763e99778b71c2dec5875475f551ad35de0782d6d73d894bf3cbbeb95ebcef7946ae43b7cac7c74480080b51ef63252beb01450ce86d73faa8a2265ff9a497974929edac45903176f486736f9706b52a472dcb6ac7907de7663a467b23c5a7c0729c100da94a6f93935cae59d593aab3d897d510b01d93cb46a37407a529852cf20ca2dc0f406e2f6413888c071f361c5278c846992c70a392482893b6e219a4fc76264c0787ca1ce3e5512b18bbaff85bc96f84d69b122811217c1e9a288a980b3cb40ab23e07fd35d1d5eccdd49cc5c069aebef9a76c4dde8c8520011cdfa80859931984a66b08505a7fef3aa852009df41aedb5af71ea384ef72f5d191437398f3779ae32328da65a24b50b8e705d184deb6ef646740252250fbe3d0dd5fe797c6a27e4f6295f9e25dc30870c5e6655c4ef9b0cee6f5c7e9c40da3b125710a497a89eaf34790a1b8b9eb96cb9e7ff85cb1999becc156a5edfd103e2d58faf5a140ff660e6c9b6d3bb3b1816527d36e0a5c958c850de6a1115b0a5aa4e89adace5bffb4c53cb6cec045a47f05bda74e2e536f8e1b4a9afb1726338172b160552e50eefe870fa81f21a4fcc967ed656f130b35cd9943ef33cc09660be6c87aa292362887402a94d88f40db37a5e423e962d7da21ece28b0ac3aff88ebaa2d3f5ca06d07e8d2c1bc6839ffa99604b82a491a8cacb268855e9fd3', false);
INSERT INTO delivery VALUES (3, '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'P1', 1795479151162, 1795479151172, 1795479151178, NULL, NULL, false);
INSERT INTO delivery VALUES (4, '\xbcfd19149a1a8f2e3704f28b223eff79c4d4374245793ce671272897850bbab4', 'P2', 1795479151360, 1795479151421, 1795479151434, NULL, NULL, false);
INSERT INTO delivery VALUES (5, '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'P1', 1795479153726, NULL, NULL, NULL, NULL, true);

INSERT INTO fact VALUES ('', 'group', '\x');
INSERT INTO fact VALUES ('', 'root certificate', '\x017b056d051bfdd4cfedf1f640f3cd108b528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b7726f6f7400000000000000000000000000000000000000000000000000000000016e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf34a40000027e51a8b8a4e5809f4076b7881cb9abd439f9d113718c5c6354f24f41fa0329253a0f951110a6534644580a17eb32566c6244dba5319ee979c30fd1aaadb3123a53bc35d3a3108956e4c3a9b355cdd6f28d465332dd206ceb4ddd8d3bae6364c96faae5fdb2c54c4a5e2ce499aafda4dd0d3d015161bb5a1ddf4a808f1e926f01e5234c9817d7674401104ab62e0c84b585b9cbcc1e412c48de31c13e9f739a19047a1b3f8356bed7b854b591531fe6cf21611971bce5a59bcc779357ae0f8274e09d94be6caccf67b01846bbd4a7bd20cc29db6c5e37bd50d64a62a5b5ce34440771571618f84916d0a1880a74df5156b480aae023c26765a44c05cf768631acdd8a5db9c622a0a8a1d29bbe175f2b8d35da3d0819b9d584ef47bf8365f8724a9e4d1ac862683d32138a03839cf1eb58dad18b09a8adf5522f40c4320b1498fbe1ad08d35b89c114fec8772150a0851fcb36764eadf1e96f103c9338e55f0f577dbdcd405fa04679605d13833587972f22d9b37e365866fd2a9aaa5ce782e6294db793af529afaf8c288782703986ee423175fe2a3a57a7214a3acc428511ee3182e2271146521b05f7128e3841e515416130e5fddf2973448ff83efaa2447866bb7415d404f1b4ad0cb0df924b3de1130c0b8b23d5ac0f60f83cec46701058ee3c600f1c7466ea03d495dbe0e63c8aaf0410f610bee9bfcacba56003c3386a1a9f534707471954d874182890ed5f46459829d9842fe50c5156d6eec0441d4f85937d933dfbf0bc7c89beec901b6b9053928f8f698d0aeafcc6fa6b3309fa2dac807641d269174bf23ee17fafc4d59a34d1de2ebb8f6e3a9930102e7803e9402872224883eeb19548f99bdc4fc607179d8e947dd9e32cd72eb0be4eba82cd080db392bbee00b737629b086ab4157492e5ac3877aef7c70ef02ed454f13891f0bce6768047da780eab47640196669e237255b6fe4bffd102e7f07b110bcd32f1b2a571f66a2f8610a6449e1bce4cf6a25aaf7026e2e1d0abd18ab8dc660808105b1ea41f549fb0383fcd50e2bc941f84efe5ebb3843d30a022a7acb3a471dc98f6b34554020');
INSERT INTO fact VALUES ('D1', 'doctor certificate', '\x01f8f4e69ead5109a0d2e2e68605fc83ef528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74431000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf34a4000001a967bd18a4f6e21169cadc12973b06038bfd9113fa44738165407b6cc0aa77c71841d8ede45131e362955ec0dbebe60ab06e48d7bad01f23a4019d41e68c39e8f2c993e119254f3a1a71974bc6a7dadd41c8b46ff34885616a194160b506917fe4b0457db271b48f63ebd3e848645fe179fa353259f7820404aafc41faa742c1a862154edbc18d3ebfba892697defdd003b3321f044633fe0a4cee3f996abfef6dbac63cffe377d19e6fd1a8f7d0ad1cbc5d8466b70ba0b532bd5b01aa496839542361c6d2e87844cdf8bb39559bcf6da845eec0aad600c246766a446372b70007a0db0a4664428592b86c6cedbe3bfc3c93a8eb1aa68ab78f04196b8c8851189f2177d2532e1da41c13c3c43e373fedcc186fe8b42fbe3d892f3eb435d2e1893647d10c64cb15a50e97862b92bcb711a8c547a6635f1c1d4c24af1aba755e961d6ef4280d777c252cfc4b27c52326be4a10c38d654e47773b4d4dd60405a47aed6c5a694cb2b90179e627c7606d7829f3bc2afb8d6fe45202abf6b9edc5fd0ba7d03a67b82ba24a39738acb6a699629f7432cd310b7c2f09d70536db9d9f41448e179d022e468dd5383cf720032b0cb6af919bd0e7da554b740f60b038fe025dc6ef652ffea05eba6630fce87425a7e8ade114fc41e2f98c9ad08b485d5fad90c04e26c98e7cb446fdf1aedd77d408bb689d51a08f092b5dd97dd94da13cb11f08d6fb14a6746be83c4075de8516a7fe83922e4cca35c5a9478f51aa15019f3097d4136e4d4b04db55e03eb4bc88c802a801b85b0079428e58358b58efb7013435801959e14cfc789ab3a745224e2759d77af8e543276c6f8f89376902cb0caef9f6b8f44d9b739463db6a3d152aa3b1dd944f03402ec69ebc0206f006a1afa42d26a11d2617e266fbabd5732c358b04242ebc992f8ce0fc7f2ad16e28d4f15d990f2443256b45d14459cea38fe39e2c467ce500d429741dfb9d91eb2797d01a9eb690ba5128fe3a3e0ecc0ab8bb2876c08bfe19a317b331e3a020069fdccb6a8774ed33e96f0b814887ee9b03c914f730fe9db606803786ee36d6d59872926a547594091');
INSERT INTO fact VALUES ('', 'revoked doctors', '\x01528388bee1fb08d617352f228a2860df0000000000000000000001a20ae590a40000af988307c9a6130bea807a98ea60ce5bcd8f46e3c71b617c7b981db7acd86ab9b3a00b5b6e747260f97cdf1e468ab368bf398d3c636fbb26732bd0a4fbe0864955f190023086a668323da13f2118d21ea82e2dcec87c81e09eed5eb8bf08aad37d85b1a2fb2741ebf7d33e886ec0fe30161a87d387afd4f71b82f2d68e9d7979a34fb2cfe173248b6f38c6a09a2b4b6627db7b7e65767a6a39a4aef14356a0171be2fd2069f8c9df1f8d5b994a4c3a29a74ed59afe6e9e52b1574571048740dc9ef18b1f4db2a366d58d7d90e46c1f01d2a2ad37546086373d07511cf12a7f6017b701758e80589e4f3266c347ff59e75ab19e485b5c3f248109cda69e44c27e3d10e64ee27e04e3d98780e9879cbac5a0adb2f798a43f74a953f89c5c4e88413c07a7b3cd6920a41bc88db6ee8d57ce41fd9050096f234b7871596177cbd7d3ad85d3e0465c48b2d4426104e613364052be6d3156a1b799542b64a7d0ae9708f2c367de4c8bff592d3856b172d8bb4e290ecc4c13239587063b1474ecbe2aef7533d862f9be4edc3f1db8edfe998f4fb82d11457b3cc286defe4c98c9c3da1d35bb8abe7b1ef5eef492ca27c15e7e2408cfd4692d116f82849ee5229de93728505cf261bf5175f9e8b98d92ba368b350fbe678c7b34766d8eba61bcaa27728e0c2fbd106eb0e4fa9fbe25b5d37f1887157226e106f111489be761dc97a403d4');
INSERT INTO fact VALUES ('', 'data key', '\x66ad25b56e23e241742d8d6551b65bd2');
INSERT INTO fact VALUES ('D1', 'messages addressed', '\x01');
INSERT INTO fact VALUES ('D1', 'listen address', '\x3132372e302e302e313a37343631');
INSERT INTO fact VALUES ('D2', 'doctor certificate', '\x014f164329ae3b782bf85292c9375eba55528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74432000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf39d9000001a967bd1dd95c00181cf0eb471b6acbd2925dd1da2ad06bc4ea90ad36b68586f26f53b4f724e14efe1bb342b50ec1f726d904e89b1f370cc413f14411abcb9ac51f965f43f4a7c759a6e8b19ec52a95c111921fe4f4cc3c2276c203e9bb84b9b77111a0d65ee379a1d890ea1e7fbe9e4ceeb785136576406a4bfc9e4224da9970c85ac04dc4a1b8ccb147dd93a81d58eb7802cccb0a6de315f99cfe3b07aee76f73caaf5407c7e1d713827181e1438696983b9b17bd1a4e378c3bb1ad632fbde39eb7c87fceb03027c4bdd573636c0098fd39bf484b22914abd5f030d7e4199d2e22d4e79e303f4b1c04d57728a161b9c7a71b1f6e6628b4353c540354d25ec84d56d89275b439bbc211a2ce546b691902cddb209944b9d0c8c3549f71b1e9d6924ad93d7f924239654aea04a6480f282d69600bfd6525db6cebdf35b9b080d5fedf0ef6879625eaacb7f286e5455ac119d383dc0781674671406fc44db6a76572be0be7dddb7b94fe68657ae0ad5d0db7ae8ac8b9eb277de1e368d0ea7ecae68b0c6fb9c8d5fbc8191ea5291532a4b47882e63b129b9a8a32924485a24e3341bc597cafbb3493943a3f43bac1badee94bb512163a5e7184357d9cf3128d1bdcc8fdd9370e2a392bb5a98f9617dab9a007c83e2237df3daf412b19caad2ef271801445cf1b0f1282d23cca31c4b9ce9704b8d941f93c290c084c1dba3919b4f41598bf971cf79078463ba0428eea2f64fe53524daf876030e4b73ebddc0064c97538dbc2b58c7f6f319e9a07fecdec2f40be34e861fb21832084922cfe456723e5f1abe6ca4253dfd077b4fecb944c9892ca785348df49f3520bc05c657a0f7087311dd05803f4a368db56cd9e74f67b837f0a95239ead492601499b38f645bb4686969e89009cc1dc3c9a1d96d3bb861c132bec6a7e25183b83bb7c1bc3524327084ea1edc8026ae44a999508cf1f7c524f07dc15b040720028ff8685e8fee7a95246b5bee8a76abf64dbd0dfd802b0e0998e49285b7b42cc41d207ffaafe6599e55fc500834e57dffd7b1ff6103018bb2f2a6e4925223d99ab73c72c342f04082e94651dc');
INSERT INTO fact VALUES ('D2', 'messages addressed', '\x01');
INSERT INTO fact VALUES ('D2', 'listen address', '\x3132372e302e302e313a37343632');
INSERT INTO fact VALUES ('A1', 'own certificate', '\x01555bbcdaa9d89d948bfba655061e8884528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74131000000000000000000000000000000000000000000000000000000000000046e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf3e65000001a967bd2265dc71c2efde0942de462fc65af6c2549070c6711e95a9d42b46278c366ad74c165a47401476f5f9aba1899a08d5b176f51c4dfbc1db00854d4cb0041b5188fee76d09a95402a07238f985be7e70d81bd32d7bab72a386d5da72823204a13e87a67dc17e67a286f3dac0e2b710cd5638fc99641803685bd1c0d3ffdfb7280898eeee42e3a0bd7ece26e19caccaf7ec14a269094dc4e16451e277849fa6091b386de97e14110613290918e63769cf33cabb550287f59d28b5de8ebfe561a1470b2db126336e0402f0437def05a1018a5434b97c3d54f44a5e75ffd548e7417e688ddc05ca088df085069d0292c332d679ae1da07371adf254d78f4b9f4cb2aef5c71d08d80f222c51c00b97683b717cdf47bd2cfcb16fa0740aad39ed21bb07174603b4542f12974a3e99c751d1d6076fd69c71587ee60526d4b1b7edb485e0a210d673291ea8f05fd27372145da4f951434c12658bc0fcb03096de0a0c4009f73980bddd3d8a875b7929d98a56bba9acd5e01a6245a6fb7f507c5f3e94b7d64b96c1cd4faf3e35951199a49bbc18c31107011683c772cb3960837638c434693572bc8af79e5bb16ca735fa81efaba49b088f6c4c890daa88e27184ef6781d4719ad1ebc75a2de50a7a32a90299355a534784c0dc277187ea25b87ab1746e807bd8e9c63a6131b4823c9ee42a9f027bd533ca4ba7202f71e3b25b621a8f1230198134106ad44eb92c9024f9d63d51e78280c642b85ba951898a8da5969e0c0fc57b954462870726f00cfe4b13cc40e91141ed309f53ec138925ed37d5b74c7a831fc0ae0554edeb1e5d433520bef74743cd2184261040761b89b562786feb16f9f160dce1af831db76c76a227370367e3aff4eeee1a11d88325ba2687d54609a9a637491ab99304bbace11e4c1d51f1e97f873dcba866f911bff882f12e3380597d4b95692d4a22990f2c6250f76eb40b0d2c7075bc5f615399325f572cb6985786f3ca1de65a2f295ce0cc8766bd4df00de7616b5ea87d9a4004c70c41ba557529d20eeafcdfe3cd66898739ef835c03268de832fdae892996d78de655fab65aa8');
INSERT INTO fact VALUES ('', 'recovery', '\x66ad25b56e23e241742d8d6551b65bd280ffa80a434a99a676aecfb5520e8654387ae998694f378adbd7d836411bc00e976d1ebdf6973d26b02ab971b809fa3c5c24a4a63cbb232142d3f383433c661bce8084fe647e3022af45c039b85be407ea53644c4be01022ffd4fd4172ef46637ee78cf153a30eb94561e77573525cb45cea3a88492ffa0f5c1cde6102a119b6ecc93616b3becea369eadd5d83c991fda969f1774759092367e9bd4b8b3c20aa56bed781ec6efc0d51db8abb07f30a48ba0e83520fd977f8f192934ce513cce78594dcfb0f6fe5b1b6d10c312f0dd0621fe0a7d1dd71dc823d2cfe76e6ca26bb0fe77a341e90782e6ac068b0d6418789984837b4a2e4937bf4941b864a7decc59acdec725debd93d0296b894430126bc761f7a15eab37b063b5b410afbb2cf12cfc8fab4181906dbe2462aae22369ee1de8ec8bb30d5e8f459dbfa9691c8e723');

INSERT INTO incoming VALUES (1, '\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147', 'D1', 'P1', '\xf031478b5a5f1d12a870ebbd7dbb1c9b', NULL, 1795479151112, 1795479151118, 1795479151156, '\xaa276e1cfbb966d3f3d7dae3323fed24597dc52daf1caffda9ca2c2209a10e98e0bbe63ec6189fd768b3b16c2ad5225cb1b757c632eb701c7f9896c4e62d9d1fff8be488e6ee72a3e8f41ae3af7e71dd39e17dbd19c15201e82dea66a8f80f110b1318a339351985106b32a7010d7bcfcb18940ee338fadf8ed76917af06d153635b0b9d5e32166a9f38d4568bfe2257c91ee31b0e43ac418d9b8455491fa129f17dfb4378f66612688dcda06398ac82d3b5609ddf072f4a02cdeeb12bb4ccb4c0130b279db390a806757bb5e1151e7380174e817aaa0727d56e6a0a8892e341c64563d06f5241b263c84d545df3b2b401846e0a1fb97477de902b84db5f21c64dcb65718ac43ee889fd0040ad2f7fd49f3c1347d5ce6e835c5a8ba23ff1c85f27731116905e13b57896be86ac8dac7052bf3feffbd3868b16e79ae3db157b9b');

INSERT INTO join_ticket VALUES ('\x79f01287d5228e1a3253961f00230f4c', 'D1', 'A1', 'assistant', '\xf482fe963132556ced9e55510f0c8a7ddf42b801bcb020fc2e2eabc206b60bb4e13ac967a68a4c320feda26f6194ad06322e39cc22f330a201b895720c2de7ec8478a8f07486769d705469b619b44fbbabc8a7ecd02a3df19b768575007048faae99acacce2a389469212c2fd2761afbabd1f0e33d62181843c1c963c81eb6703d134666dbcd98e991c24ef1a8989cffc2f297d0606ab46ebf9b415920979ee2b491a4f3cc854d2c538793118ccbf6aee14016e9bdda935baaade71d57a3d5a512c506d1c61e38257c430b9f394927e861abcd1e574f08f2ef5759d1ab7b88c1c71bfa3df71c7a0f99c3b8b690c57b1b1bd22800d5888ebb60871cb0c49a51383a7ca46ca75535a2633e14dd943ac0a00886814bd20a23a771815dba921c352d864d0329af20ac0a11047406590310f6814236147f667145f04544a9a8fd6664', 1795479148543, 1795565548543, 'used', '\x01528388bee1fb08d617352f228a2860df54776b7d5565870fbfbedcb73497838b0022ebaf62bc743654923f4f4774ee9c79f01287d5228e1a3253961f00230f4c0441310000000000000000000000000000000000000000000000000000000000006e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a20ae5982adc71c2efde0942de462fc65af6c2549070c6711e95a9d42b46278c366ad74c165a47401476f5f9aba1899a08d5b176f51c4dfbc1db00854d4cb0041b5188fee76d09a95402a07238f985be7e70d81bd32d7bab72a386d5da72823204a13e87a67dc17e67a286f3dac0e2b710cd5638fc99641803685bd1c0d3ffdfb7280898eeee42e3a0bd7ece26e19caccaf7ec14a269094dc4e16451e277849fa6091b386de97e14110613290918e63769cf33cabb550287f59d28b5de8ebfe561a1470b2db126336e0402f0437def05a1018a5434b97c3d54f44a5e75ffd548e7417e688ddc05ca088df085069d0292c332d679ae1da07371adf254d78f4b9f4cb2aef5c7de5682a904d5331fa904d3e6d9e0884c150d5f2b5a1ae7e8e2e162e7cfd5d137166841d22112b1ed40af5c99e3b9b5184bb922ae3c564b575dc8f25c92af6f22b7d4b7d1634996c2555ad94c109d84b77f68a36a972e3e422212ac9024230267bcfdd775e5b6b75ec3e9b95c5f8fcafdc431454c7687baa5b448aea24067384cce48ee3ff852d863cc3e3dc83fe72e56e185f10212fed275519e26cea13bbbe03475bfb82de318c8a457e1284d422307b28cb1133fe2faafbc04099f8f6c73506de57b0ea797627bd392424e46b3a9acd1169627944439a81f99dc78dad6a7b9090d8925216d149568c5f841d3ab21cb1ae45846018971f1b44558b387c9ae09d0a4a4680a43e8947fc72b7b62f3d5b55e0e006bb3099b6ad8ae6512952596a1640df9d8faf5999e3ead434884978b07763689da1aa06f96ec48409f7a39d0db67f1d3afe9fe4ce2fdb11463c9140b2e03c965f55a15f6a03c0e9f9e22a21dcd3b044b642c49e495c06afc2cc6fc4e448a6d6e617d1d0b6fc16efd55675d566f4544d6e7c48687db9ea6c2335fe94bd6f25c3846351a98fd0b6f8b90d147f571e75a576a56a77a8bae9afd6906aca88e14ee0732b6e8592b7a864dbcb2d7a9cd91176100441e33a6e883ccc7df046c97cba43bb3926d79d1ac8ffa5c22a5dc30bc6cbe123ebd84907266ecbd5d5ddd201c2241b0e80c68811bd49adb127016a95e78be47edcab6c5238a71c669b518a931484c1a19632277f6ae3b2d529559dc320b47df655d0ee6dfb9794fd4d8a17dc6ee996a20f3a6c9857ed0ee98947d49c05c2ed46ee9e687137094be24db6509010f8ac47d3979ae6e383a4bb5878df4c5940e884f74f7cf5e965d78180cc50ef80b29e55193d48435c561f43a1c810f7546fe16e8fc05dfe5b271e6a5cdb28cac9f31ba014a113d55769778595eee91305ed7beb42e58e451a8b448e53bad2b03fba078acf04aedd78dab87e842266db6ab2ee0dd0977fbbef5e886abf14768f70b2afe35f73d65bc934ed71d2a35314120df6bb389474b73f839a8e62ab20b980a45ab5757ce53b71aaa82b3779df55b8577b4ef3704a7bb9760a9c479bb60fb31801dcf42c6b3503bf5dbddefab2b07a75cf8b1a1260ab57b201aee50e1b3a30560068768570463542cd5543bab56', NULL);
INSERT INTO join_ticket VALUES ('\xaa1d7c72fa9eddc9c0f33180f44f073f', 'D1', 'D2', 'doctor', '\x63f296c75a9d60a29af488bbc712108d090ac52ae77cb084d2d4679163613b464fc2693f9069065f8a4d27ac2e104a3b77de3705ee8b3d989b34886ff99eb4c7f139d908f1510e9ee0ff54f56d82c45a7b609479e8e6b118824655229346a42327470956437624b552480e2bc6f2ef9001f9e4c550b7834303a21fd1dc308c3a12a41f6da373e4b0ea13f6147fb3ebcac59d1694b0e47f42f76353f05f0e982bd67ba56d1716a683e5f39ae0d4c612d2e9b5f702e7d670447edde3cf1d59a7377f071748463e0222a0890559a2de5000800e3365c434101041175171856c11e9127bdedebba4f390b902063adc3b0d06c6f5db8440270a08235d1c337478b2c8107b9f3909363f00b071fb3bea0c7c8d0a2ada442335c1c6cba97bec935bc94c45fb528a77f0f41ab4a012a9ccf9f1bb525b67e0c59485a0e63c6f5859a81e69', 1795479146951, 1795565546951, 'used', '\x01528388bee1fb08d617352f228a2860df54776b7d5565870fbfbedcb73497838b0022ebaf62bc743654923f4f4774ee9caa1d7c72fa9eddc9c0f33180f44f073f0244320000000000000000000000000000000000000000000000000000000000006e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a20ae593205c00181cf0eb471b6acbd2925dd1da2ad06bc4ea90ad36b68586f26f53b4f724e14efe1bb342b50ec1f726d904e89b1f370cc413f14411abcb9ac51f965f43f4a7c759a6e8b19ec52a95c111921fe4f4cc3c2276c203e9bb84b9b77111a0d65ee379a1d890ea1e7fbe9e4ceeb785136576406a4bfc9e4224da9970c85ac04dc4a1b8ccb147dd93a81d58eb7802cccb0a6de315f99cfe3b07aee76f73caaf5407c7e1d713827181e1438696983b9b17bd1a4e378c3bb1ad632fbde39eb7c87fceb03027c4bdd573636c0098fd39bf484b22914abd5f030d7e4199d2e22d4e79e303f4b1c04d57728a161b9c7a71b1f6e6628b4353c540354d25ec84d56d89275b0bc457546e13349cb10fc0ac039f766b4cac0f1579b07605c9d7502ee970eca71a7f631c27579305a421f315f7c42173a7a2626a6043c3ee415a024d6dce3b6ca77d1fc614f3be4a759d5f995cef6ef29232b7cd5a8f729d3d9b1419690bdb9acf996acbb02f51b5938361798999232a2448ae3db25834e802cb7695fb002179d29efc1a7a89b815b98d41ebc5e007841605584428ec7231232ca859b823580bad7ea944900021071875e9e6cf952944cdb5474c402d38656d3a126b40470b7e36915b0dd8fe8d3e4bd6a17a2b2316c19da0e0ca5e343f6d5ee57c9f64244e002f5f8e09c8871abf0f95b4b0791288a7c8ba5f5c47254595fdb08d1258ead769daad53762a9025a11a423e2cda0eacd8b7fc3e9fafd2e43b783eaac26386f52e7cce5417edd73b1dce5cdf41a04a14e62f44e522eea27c5d0a2bffad05aa4aef070b7a53db26e02fba07e63c83107ecac302be0342602018cd4a0d064a41e5d18c67d54814be5027d505ed1839f55a311b2ad018bbf8aba8308da45ececbfe7651061b8a5606642230b1dcda08c1889b65ebd64b2a41baa74e515e5ed19aaa12b9a03ce719ad5da37e2dff5ffaa36aa46bf3d7ff13fc41df42663a5a405c62959abf635ab70df7d63f550fb46c2f8b9336a123ebe6e123c3f7769a151c978a3610efc98933abbf79114a2a7c6ffc05cfe51c8e4605cc4f48cd422c894681a21a1587b7b21603a5edb5a920c6a563c1b0ea2ee3a365c673fc74f19a219d76385da5d5699cb5e252412b44f5cd467112ce285cbb162b004f02a56571d82cd1db91996b4bd9e2b50262433cd69ef041097b720b9ba1e582f4f8f7d84793776ef37ff8acc61dabe3b7d72e7c36325ba2999180cfdf2f0a9bbbe39df7ab7ddf54f956a337efad440e314319262df0863486eaccb67c036297d3d9c6750985deea2f2944046954c59c5e647c3a689a91bb142b59b829e212a8bac2d7ee249dcda777c1c5603c0af1d25cdd01d719ae12ccd43dd59dacb3099d5946e528b45bfba2eb91e4a0dc14a90d6bdfb8e1ade09b530a3a47d39bb313101fedfa9d085c4cb8470d0a841cccb2318ae251c40f970f0cc5bcde4ce294e2b852cb9b8d49b1eecb7bacefe63b7acdea70dea1a2834d3e0e628aac9affe2eb51c184b7bf165b14ba817d', NULL);
INSERT INTO join_ticket VALUES ('\x78c6c00d969527bb2208ceaabbb98e41', 'D1', 'R1', 'auditor', '\x86589faceb57c515c815658166b54860ff3cdaadc44eeac285b6434f9a8f62d17d14f212f3f20d73561e2ae22436442fdda1dc9c341ff49b86967dafd68f42184d909c510a1d3d640bbd6b683623a7283d6e07ede825f79eb8d067c6a9346bb1c9e0a4d7170863a9e223535adfa3796cbc392891812bf44eed61a12f3255e55c0152388c3ded412ad76487d9de6cd27d0f6f958c802fc9bf2fca4945c661be2e5140c1e553ff08289ccd6508709704c00f65355336c58a03fb566de55c921b74dfef4087f481607e13d7220c3b6d91baf3a93b31fcb851db341b4f65d3c87f6875109dc7bd40eb0440b6e45116ed960813688d1c95e40f6e369baa2840f790a7d9b3bb30cd3043039114f1ce3b51ac8c84b18ec4225a3878ff7071609aa3550c5e324a228539e0ab72e68cf02fa1c141f9df531fa316de81c81459b385088348', 1795479149580, 1795565549580, 'open', NULL, NULL);

INSERT INTO last_commit VALUES ('\xcc50379481119144e5788afe8cbf3096', 38, '2026-11-24 00:12:34.084331+00', 'telemed');
INSERT INTO last_commit VALUES ('\xf8a687202edb2538cf82a15ab7bbdaad', 14, '2026-11-24 00:12:34.086643+00', 'telemed');
INSERT INTO last_commit VALUES ('\x8d5e08ae0d94ad202e1ed1e8a8366cf9', 0, '2026-11-24 00:12:26.984903+00', 'telemed');
INSERT INTO last_commit VALUES ('\x1d9d07c910e7cb7cfa0b229cb21abdd8', 0, '2026-11-24 00:12:27.032385+00', 'telemed');
INSERT INTO last_commit VALUES ('\x44f6da73b35d803eebe23ef6b64e6e6f', 18, '2026-11-24 00:12:33.752273+00', 'telemed');
INSERT INTO last_commit VALUES ('\x88999efd694197b9ae6f641dbaad5e88', 7, '2026-11-24 00:12:28.385501+00', 'telemed');
INSERT INTO last_commit VALUES ('\x4033215cc058b5567b684911020185d7', 5, '2026-11-24 00:12:29.569397+00', 'telemed');
INSERT INTO last_commit VALUES ('\xd292c4a6bcb172a37c94d0878b4721d4', 0, '2026-11-24 00:12:29.669423+00', 'telemed');
INSERT INTO last_commit VALUES ('\x7c4d119dbb6445e6dd995b64f14ceaea', 0, '2026-11-24 00:12:29.960311+00', 'telemed');
INSERT INTO last_commit VALUES ('\x2829e45771cd7a950f5652328d119ba8', 0, '2026-11-24 00:12:30.1864+00', 'telemed');
INSERT INTO last_commit VALUES ('\x71a61c29f1e7aa95f0e4dc6ffe5806df', 0, '2026-11-24 00:12:30.559086+00', 'telemed');
INSERT INTO last_commit VALUES ('\x2c07133d10bb9c83174c269289f2cacd', 2, '2026-11-24 00:12:31.36692+00', 'telemed');
INSERT INTO last_commit VALUES ('\xe5ab41b65b972ba02e697e55b23e4bb1', 6, '2026-11-24 00:12:32.72832+00', 'telemed');
INSERT INTO last_commit VALUES ('\x4f079cb482a0c980a9083f9b778b1f05', 1, '2026-11-24 00:12:34.320271+00', 'telemed');
INSERT INTO last_commit VALUES ('\x7302ff3a62e20d887437c017216c71b9', 0, '2026-11-24 00:12:34.485695+00', 'telemed');

INSERT INTO message VALUES (1, '\x1a766f2ac8f8ef9f326e0d708cc51ec3', 'D1', 'private', 'P1', NULL, false, 1795479150652, NULL, false, '\x5e37dc0ba559220e581b4c7f78818d61507a2c1a6f160686cd5a8671a2633711efc41e364a810c550a9e4b2e2f495f5ad9a9afbf3d89430ab1ba326f51ca8fda5a61b2f6ca37ace31abb43020e51e971f17c1adf127a76055813ad837a6d33ecc9cc68d9de809b8d8a3c6db0aafd67525334a865890864b738d0f17d6603f166919a5e249f6d89e74afe4aaf5e28d1f6145975dd4eaf61a7c02ab248cf926fb86754e0b4ba597f42313f90d6b0082a755ec8740ae42bbc230dc5fba7c27267481c4962ae7c17528e7a4e3adb64476b27b55e9f10891bc4ab64dafc7f52468c8683c0e363ecc5869bd562a39bb70d81d240ce179258347c4701341f4ddf98f39d47922bff25b42ce385f8a05cba7dac0efca4e56956cc40760c54e102191ee140e57b526bcce1c9ac491ed7dc3cd78d074f38d006d0746745e9b70bf206dbf96a');
INSERT INTO message VALUES (2, '\x22eee079ed4722fb01538de7b6de3169', 'D2', 'broadcast', NULL, NULL, false, 1795479150769, NULL, false, '\x8beee3586bcced3a6bed33f8934ef2e86fe2da4d812ef3b9e705951ebab05450c5d7b28e462a890ef5e3cdd53a506935818d19ca90bdbdbfd89d6cd3da8102332447e8e8950cf9884efd2e385a7ca6637b3c56b02fc36b5d0c6b18fcb46f1178554b3c233dbf0c4d714c81ac25ded18b8a88022cb1783f55b79a57c77be5245e44f5ec250181d4d049785c01401e06c7d65fde7c4699486e7de13474f476fa7c338b4e279629d769cb83a16c30b4209f7fa7ee6cb505efaf011e5548e0b86b59aee40f969f65e753f98d9daabadb13182964f3219e73069a163bc839c406eae91f36907ac00c30f556ae2f740b7a8ccf1f7a9acbd2105672c3ce5b9c4e088f9e5904d24cdb2375c3bdc1d9db481f33ebb8dd032b206c990e4c58644dc2ab1f97cf33830a3f38f4b739b9f4c451c67eb9ebd5c30baa8b0a822c8bf8cc5c970ee3');
INSERT INTO message VALUES (3, '\x5a6bcb4e97dc1de850254fc63fa2c2b1', 'D1', 'private', 'P1', NULL, false, 1795479151162, NULL, false, '\xb69d89b01fcf498765df45934bafdcd70c53c235430fd693614c0ac20c9c9ed6717a21b8c82649bc74273629311012c3dba4e5302a17361b73cd6b4d3dd42281b8f3a828ee2866539eef50fe4fecfdc1183e63ffdaeee16c738abbb7ead3be66f38923382edd96fd10d4bf7a686ea1182ed06daab3d14fddce1735d8c49fae3fd9392fb748b290b0d7dcbce0ed48a0fb80afc3b54b2e94b7045ed79427218e0f4adc9cae07169bb14dae344be2b75e12cf9a6d651cb112b78ebbea1b207bc5db691289720c6fe99c314f1dc657fddd6897d75229c469e9b7799f636af618e83001cf3a57ebd83a5e897322f9844aca0afb8d96e3c3c54af09df9049cdbb7c8ade35fcce3ccf70b780f0a809f55b6e7c504f0e77bf02b9b5ce0923a7703b39829fc17e4541cf6275d1a0918890263b0d18ca4f9c35f207f4d7e873743e0de6b77');
INSERT INTO message VALUES (4, '\x591819f5bf510a7c6a822375df28384d', 'A1', 'private', 'P2', NULL, false, 1795479151360, NULL, false, '\x7875303b5919a70716b44505889ebe374869deaaffadf933f8d36c441bc1c21591a36e9ce474ae4210ab55d946253b75b6959a5b3f4ad1081635bbd687066ceff857e0f1653b488e333c3c6f02030e8cdf2921bb7d4469d3732b4d397da2cee8256f11fd0ff07edace0044e1a4ca361180060269cdffa07588c1c7af6cdcc3b6da9ff290625a8d49287ce8b9c6b0281fa8bcb27021485b50965f3ecdae84ccaa182241a9068c80023a9864c68224ed5bab673df370df4045ec5dee92a61a4b726ee20499079063123b87800cbd0695349268edbf1a76e23c3474faf669ed8c2fdefd2b9e46a6e2cccbbf198ec1b7cea440c2fb5eaa3b8f73d02a255604a02e13f23b2e936bd00472627d8c480e94bbaf34342443b9f585fc181dda175241b2282ad17efbbbf93aaa66633eb61824410578d42e5339a53227c4dad9d0ad560e10');
INSERT INTO message VALUES (5, '\x37001de6d44f39f7584273168654e6bc', 'D1', 'private', 'P1', NULL, false, 1795479153726, NULL, false, '\x593ff9140113b2fd6bb40b711a3c76b1612c61a383003b747360dfcb4e611cdb1d99a4d760923af334bf02d25c2f6dacf0191f704bf94cd37ac4769c4a61b459f6eeaf5ef65b68d8ea3437d3e615d0bba08e191e1564e39225010dcacfda6287531000b245d186bfc8793aa478e7ce16227418e44c594b4b371f7be5ecfcdfa4a5686bec42c2034b0f1adbfccc2e9bbd71d59f39592faaa3be6d30bd40ee7971107758c9add6d23418cdf7b0a9056a76d494ffa5cb990aba3404000199b0fbec940a7ac78061db0aa80b5211043a9aed3c78d530c216894de038eb5832ad006366c4eb4d8a39de52c098321983233107d735db2ada366af1cbf19d8437742b2516607df8d9054dffbfe1bc4e120e9e60406ff377658ea5c38396155bb98f87e42143ea74a057f02c38b54dc6f9a724e95ed5dc9d037187c6513a6b766f0a0b44');

INSERT INTO prekey VALUES ('D1', '\xc1bf53478c73030e', '\x01b6f4ea6bef404f0d4337127ccddadcc59add78ed4a26b4549e53a7805d9d9cd0000001a205bf34a4000001a2a03dfca4b25e9c0f27ab61fafe774d2b412179f3a54d40839d1ae81d90448874a6f613b28dc9eafdbaeaf6c333b31f11061a7700370c8c759e60768c65301fd9658c63cd8559917e81d8700f2fa9fdd8c5db8a1df5f38c7205944d571dcd06dec8f971b43dfa25981d17a8fe7fe7f69533812d18bd09ddf9ac8df00cc86246374ed5d79d979859b30394841bae8e796fc66ec2c9a9c5842919548544d8f956ff8c2eb7cf316a33d50f9914d788c6945450d5dc8e940d2d2367ae643c72735aac3a816073bcc7898842166f5ce93d08806ad84cbca9385b54bb011a840e86b4c2079bb687f0117aa39f51afdfc6ce1b00e3f86ad8830a44f29132f1bab13dce559ced5f7fef4e6ce71312348c7f1db7a2dcf546df4c76f5438ec0935c735e28a2c16e206f94f5051b3bacb6f66adcc75e465003e3796d111e6f4747cabc1f052333fb92751a64f045efd66a3d7e127eba90b1ca85092d7100e7ff73f8f3fa62947f8b388456fa377b47a18080b4f603ea1a28942ebd79c07d00cfe593a6ba5e8fdbe26923624484abbc500de153d7c879143d3e879fec172ed220b9f0119f49cf717b53d923b54d57136958d3a0a03d42333d94b20fd83f306d0a9d8295bc7e3de640b493229c1910bd53c63c3461435049348ec0dad358f83c1b937ad36bf29b0e8a8f16afd3c68c4617fa50b994d15c6e350dc49a39975586c0e0e954ead2ed36bf7b501e0a32316ad5ad7fc3fdbb31c3dcb20d577ade3b6fdd4e1cd79d513fa3beb5bc45cb420f8e49a199888c8e537124d8e73d0735df6cfc193e05e10d1bb825f49810ddff3a2dd193dde2139d83d6bd0d9107119d5fef6595b5e707667b11967841b950c71d0862bbee6ae6b9a7d44607c7d5ab851579477508847092c90d5c14dc3fa1beaa81b1df3a213c8eaa7963ec8a3bc3c5b03fc0feb72bcdb3f3bae06ee97d9dabd932395e7cc6e12b44047fb3d4182030e8a96ab595da548653d89938286ed758625cf9ff7544ec53e3296e99280885ff8a943a232206d757b205d9e5b5f4dad7bc49bc7379d18dbd1017a10b5bb932d3154e0124d2922a1a02b313c214', 1795392746660, 1797984746660);
INSERT INTO prekey VALUES ('D2', '\x6f1c68b313b9700d', '\x01425a19a1063b383e8efb06aca12850f2b180f291031c5136200df0afed561698000001a205bf3a8b000001a2a03e028b27ec936d46a968d576d7062614450cf9cce5be08bbe5066ea7ecf130946263c7b084b57308fb4a1b7d138097320c47d8218d39eda2cd73516dd49d69c5ebde5beb246d1420a40de062ba6751f207bd874d0252368311e6aec10f1d6bee4e9f6d443f3543821a020ff8ce05d2aeb5f2ea13911308bf138c29bd1337a98a50fe4f9a303553b552510f61c0274d8ded68d86ea1b705c91c2e56193a0192f0f2d5446c3fc30ac7e192656432b4b6c5f4dd2f11ebcb30689969ca9e18f1a64f836e21d8a7ad426b611dd42e1f2296f97ffd27cc7016cb0a04dc7e8e5a1faa2c25544aa5b5f989db7f68bed438aa63130184b17bf11e4031dee4786073605459728ad7d79ac7398e5fe86270c60ff7616c9152a181f6ecaa39f3c7f42b9217ae39fa9347713ce53b2dbd31871406ee332cda008e19a9fce4c7e59fccd040c4cfbb649f68757bee01c9c0e0c9bd11cde194c2f58941b97b4d4f64211e7bfea3925f2ecec27d6d069fdb22db6f2b6668bd4991856a5f4bc500afc971c6f4dcfe7fc9a60a1fb35865736288410154e155cc7d47d0b52b0ed589dde3a248a60ef03e83de7126b1426ed10bf094c60554e8d1d932391ec5dbfd9ae285f540fb330dfbd985b954ffd4d4f2e72e8bee82161d3db321635e4d0c6b4c7ada7ec151b12a9f134b18ee4a9b2201316dca9f7202fe2e14492b493ee35eea0182d361c0c162da87c5034907ddebc24425311dd8128163ee657a959c8faa1bf4261f341d25ef57bb17110ca8b29738f9c1a9b962dc9fcd533dbb436ca5eee64005cbadadb02091548394b2b73990c1dac545ee8aa2d0274d52d881c76aca42b49435953cb7135185570c42e23cfce447a46b98dacd2e72eeefb87d3fc550d8e07ebf7bde796160c79ce33c4daf166703e5d4e6deea4160dc57e1131972df2f4be1cb73ae3128d2e1599e90dcc7ad300ccf51580282d6acb7f98fab2e77d9a23e63b72d21fadd3c3fab0a4a9cc256c0814e2bdcb47e5d80af59f7c90b9e695d7d2ed31044bd74058126bf2caf24c35aed6df1a933e7e2dacf8a49f4649a2d6b006f4a0cb2523e9288123c', 1795392748171, 1797984748171);

INSERT INTO record VALUES ('P1', 1795479150575, 1795479150575, NULL, 1, '\x6d82f1cb97a2edeaab269be97a754c2ff24decf92bfc0387e387ddf057441ba0d3b15e9dfc53ccc99e63360d58174907d7dc5920612416f0d5bcef7a3cf87014cd36d47ba3f39f7d1c9e0346bc119cba28d24fc08c41c4736fb6983ddbe63d70190a0cb57371f19a3754e9a6f3ace8b94a91c4a75bfa07e0c429a54198427ebd8cc350fb3c3a84d9fef8366053d367396d814074ebe430a4c6695d4b3d201b9c1b07221ec0c3a63727416732cb54168227b46e8ef042bd10b6dcce0107f8f784583ff2b333cbab4186ac8264a2a05ac9cde3d5f8f40af2f152bce1ac4955c94f4c574909bafec5cfb62f935a3adcb535c123d43e29e82eb2a15afab110be729852627e6aa67cae67fa5baf1df56ae3d57b560eeded42157265eb9f79f4db659a50da66f9cc25ee5874c3168c14087dcfcc86670fee910a60782bc1719a35a3fe', '\xb2b4e06b6718e2aab1183425036897665c810d5f649d094526e99febd991a8e3ad17a61eba0239150fbc32d9883cfcc12de1e46cac0714c56047f68084010d822d4faea915d3bad8cdadc66b052327b4179d7512c94962530bbb5a838a64bf71e990ec3997f53ffe3f25ac0f2714d3b4c2d4d405f9dbb61e4dc9228bde81cc018e7ba4a76617e4f399c77dde7f7202793bed879938192c1daf06d27cb3b2a5e0a7c5c97d82e6a0406b3c85a3f0bf55749b854819854178b3fdf8ab1e9c63530b504c72e9387c2f8648209bd05b01ee542e91d9529425cd4235d4aa2411e6a00fba46dff8368a942d0f527dd7ccd932b7c58933c2f6b14ecc7c29a7691a1a0c1bfbe6050c69a5b036551b7445f01eb3285314f5e851ac94f4094dd2d7cc1c8d078cf79b8bc17ab6f18f45755d4e8e23dcf0a9b0820fbe395618fb95a8d1e48af0');

INSERT INTO roster VALUES ('D1', '\x01528388bee1fb08d617352f228a2860df000001a20ae593940e3132372e302e302e313a37343631039201f8f4e69ead5109a0d2e2e68605fc83ef528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74431000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf34a4000001a967bd18a4f6e21169cadc12973b06038bfd9113fa44738165407b6cc0aa77c71841d8ede45131e362955ec0dbebe60ab06e48d7bad01f23a4019d41e68c39e8f2c993e119254f3a1a71974bc6a7dadd41c8b46ff34885616a194160b506917fe4b0457db271b48f63ebd3e848645fe179fa353259f7820404aafc41faa742c1a862154edbc18d3ebfba892697defdd003b3321f044633fe0a4cee3f996abfef6dbac63cffe377d19e6fd1a8f7d0ad1cbc5d8466b70ba0b532bd5b01aa496839542361c6d2e87844cdf8bb39559bcf6da845eec0aad600c246766a446372b70007a0db0a4664428592b86c6cedbe3bfc3c93a8eb1aa68ab78f04196b8c8851189f2177d2532e1da41c13c3c43e373fedcc186fe8b42fbe3d892f3eb435d2e1893647d10c64cb15a50e97862b92bcb711a8c547a6635f1c1d4c24af1aba755e961d6ef4280d777c252cfc4b27c52326be4a10c38d654e47773b4d4dd60405a47aed6c5a694cb2b90179e627c7606d7829f3bc2afb8d6fe45202abf6b9edc5fd0ba7d03a67b82ba24a39738acb6a699629f7432cd310b7c2f09d70536db9d9f41448e179d022e468dd5383cf720032b0cb6af919bd0e7da554b740f60b038fe025dc6ef652ffea05eba6630fce87425a7e8ade114fc41e2f98c9ad08b485d5fad90c04e26c98e7cb446fdf1aedd77d408bb689d51a08f092b5dd97dd94da13cb11f08d6fb14a6746be83c4075de8516a7fe83922e4cca35c5a9478f51aa15019f3097d4136e4d4b04db55e03eb4bc88c802a801b85b0079428e58358b58efb7013435801959e14cfc789ab3a745224e2759d77af8e543276c6f8f89376902cb0caef9f6b8f44d9b739463db6a3d152aa3b1dd944f03402ec69ebc0206f006a1afa42d26a11d2617e266fbabd5732c358b04242ebc992f8ce0fc7f2ad16e28d4f15d990f2443256b45d14459cea38fe39e2c467ce500d429741dfb9d91eb2797d01a9eb690ba5128fe3a3e0ecc0ab8bb2876c08bfe19a317b331e3a020069fdccb6a8774ed33e96f0b814887ee9b03c914f730fe9db606803786ee36d6d59872926a547594091543bdc334146f1cdd114633d86e74f44ab095caa7e3e0c089fd56f24e228c81139ca4c2dfd22f4ef2c81114f1b4892f3492b283753b864c07bddbd65212ea90e0ad8a2bc035e4a8c0f03bd05bf7b310031440e7211f0d381c67b8d98adf244d0b47576886c0f5b40fdc13110d1c0d78708cb8f09f56da64645ae32a11f2874c76de6495eb134178c765cbda3d845780bb4c34a26327d4a7fa1fc6217ee7385dabb6a7d0625379c29e4443ef55c63452f13fc7cdf5605ab7ddec3528bec7812ac5c0c0aae3dd764ecbd0d0dcc71f7b6848ee6a0193c438c3ecfb056d05524ca75d1e74ccd5bcbf708b7e0357ed43223e6ec9aa23b94204989aa5360616690d335764b635488619382236850aa1f58689fc62037288470d7b1cabe5e45dcd6d556ca0debf6396eadbda85d92c8d955a9abfb73a9c5964f23140c313a248e24408a186c5b5c49d72c6407dac1e4ce02198004af1ad1896a09ea834964fbe98de2d6d299797d07f1f3375c20d1600f2d914fef40d4dbd2914b023436e4758998f1f61e1c63fdf8484c9c4fbccc85acb1a02375f6b37253956d40e0456a282088a557601947e6444e95451c267f70e74bc6439bc306a8509249de41a9944acd8b19a0a8794bc436a164a84003803a56fd84246433b9e273c03084d909ec45274449f1a0d258b86ac2d57dc4d82620f41b5d92df044e3a8027063caf43e202dcc06333');
INSERT INTO roster VALUES ('D2', '\x01528388bee1fb08d617352f228a2860df000001a20ae599390e3132372e302e302e313a373436320392014f164329ae3b782bf85292c9375eba55528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74432000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf39d9000001a967bd1dd95c00181cf0eb471b6acbd2925dd1da2ad06bc4ea90ad36b68586f26f53b4f724e14efe1bb342b50ec1f726d904e89b1f370cc413f14411abcb9ac51f965f43f4a7c759a6e8b19ec52a95c111921fe4f4cc3c2276c203e9bb84b9b77111a0d65ee379a1d890ea1e7fbe9e4ceeb785136576406a4bfc9e4224da9970c85ac04dc4a1b8ccb147dd93a81d58eb7802cccb0a6de315f99cfe3b07aee76f73caaf5407c7e1d713827181e1438696983b9b17bd1a4e378c3bb1ad632fbde39eb7c87fceb03027c4bdd573636c0098fd39bf484b22914abd5f030d7e4199d2e22d4e79e303f4b1c04d57728a161b9c7a71b1f6e6628b4353c540354d25ec84d56d89275b439bbc211a2ce546b691902cddb209944b9d0c8c3549f71b1e9d6924ad93d7f924239654aea04a6480f282d69600bfd6525db6cebdf35b9b080d5fedf0ef6879625eaacb7f286e5455ac119d383dc0781674671406fc44db6a76572be0be7dddb7b94fe68657ae0ad5d0db7ae8ac8b9eb277de1e368d0ea7ecae68b0c6fb9c8d5fbc8191ea5291532a4b47882e63b129b9a8a32924485a24e3341bc597cafbb3493943a3f43bac1badee94bb512163a5e7184357d9cf3128d1bdcc8fdd9370e2a392bb5a98f9617dab9a007c83e2237df3daf412b19caad2ef271801445cf1b0f1282d23cca31c4b9ce9704b8d941f93c290c084c1dba3919b4f41598bf971cf79078463ba0428eea2f64fe53524daf876030e4b73ebddc0064c97538dbc2b58c7f6f319e9a07fecdec2f40be34e861fb21832084922cfe456723e5f1abe6ca4253dfd077b4fecb944c9892ca785348df49f3520bc05c657a0f7087311dd05803f4a368db56cd9e74f67b837f0a95239ead492601499b38f645bb4686969e89009cc1dc3c9a1d96d3bb861c132bec6a7e25183b83bb7c1bc3524327084ea1edc8026ae44a999508cf1f7c524f07dc15b040720028ff8685e8fee7a95246b5bee8a76abf64dbd0dfd802b0e0998e49285b7b42cc41d207ffaafe6599e55fc500834e57dffd7b1ff6103018bb2f2a6e4925223d99ab73c72c342f04082e94651dc8ca71b7935f83396ba56ae0a0b1ccd926cd9e018204259fcef6adff55f3a8171bf1b18a099bc8570e5d92ac602df37a993ecef56a8b178d8416b12c5c90fbcb285fecbc96c9040dafecd15fb1043ff389ec2813b8d367698f18aaa0c68c9ac32f82af89709f46cf5ec7b5a65e27dbbfdbb11ad32c2c9d6b5179946d7ca6e916861b3d4c23952df59f90cdd899830d55d19f166d666ecf566c342716820f72bd65b4daf1b41759e877be37976db6e1bdf58caf4b94800e1e51dc20b356e8a79403259e85823b7afa2e53b73db89879603c3ebabdcd6a5e8cc34de728dc3f7551ca7afa359fa440a01d3a94e98603912084b235b94a43597b82fe57b9889ed6b5c1c1b421b71599e90d281f14fe3baae49d543c1cb76340187912fa127b61312352b35381fa866a4219abf61059697a575c422f7f9ffd2dab7126299ce17f6c12f272ae0f649898f8f1ac604121c5d3a7cea6059e4969b885b2b99170dace7a4eb6bd0024dbe732abc4de273199fd8b59424e354413b5fd5b621185da37f8ec3b18af36d5713a0185769facf76bb774b905e240aa44fcf872db8a28c9815212dc60de3bd34af66ab7ae49c2f08ba80b87eb767df4fe1bf5738f7f78f1f96d16e2e19212aab5e12ee4d3c6eecd5c348dcf6f4d2190924497479c3dff9fecc653d836818e0e60cf6e87f8bdc7e27e2ffde7c93962f3a5c24d2795c7419c50f0aef34');

INSERT INTO staff VALUES ('D1', 'doctor', '\x01f8f4e69ead5109a0d2e2e68605fc83ef528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74431000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf34a4000001a967bd18a4f6e21169cadc12973b06038bfd9113fa44738165407b6cc0aa77c71841d8ede45131e362955ec0dbebe60ab06e48d7bad01f23a4019d41e68c39e8f2c993e119254f3a1a71974bc6a7dadd41c8b46ff34885616a194160b506917fe4b0457db271b48f63ebd3e848645fe179fa353259f7820404aafc41faa742c1a862154edbc18d3ebfba892697defdd003b3321f044633fe0a4cee3f996abfef6dbac63cffe377d19e6fd1a8f7d0ad1cbc5d8466b70ba0b532bd5b01aa496839542361c6d2e87844cdf8bb39559bcf6da845eec0aad600c246766a446372b70007a0db0a4664428592b86c6cedbe3bfc3c93a8eb1aa68ab78f04196b8c8851189f2177d2532e1da41c13c3c43e373fedcc186fe8b42fbe3d892f3eb435d2e1893647d10c64cb15a50e97862b92bcb711a8c547a6635f1c1d4c24af1aba755e961d6ef4280d777c252cfc4b27c52326be4a10c38d654e47773b4d4dd60405a47aed6c5a694cb2b90179e627c7606d7829f3bc2afb8d6fe45202abf6b9edc5fd0ba7d03a67b82ba24a39738acb6a699629f7432cd310b7c2f09d70536db9d9f41448e179d022e468dd5383cf720032b0cb6af919bd0e7da554b740f60b038fe025dc6ef652ffea05eba6630fce87425a7e8ade114fc41e2f98c9ad08b485d5fad90c04e26c98e7cb446fdf1aedd77d408bb689d51a08f092b5dd97dd94da13cb11f08d6fb14a6746be83c4075de8516a7fe83922e4cca35c5a9478f51aa15019f3097d4136e4d4b04db55e03eb4bc88c802a801b85b0079428e58358b58efb7013435801959e14cfc789ab3a745224e2759d77af8e543276c6f8f89376902cb0caef9f6b8f44d9b739463db6a3d152aa3b1dd944f03402ec69ebc0206f006a1afa42d26a11d2617e266fbabd5732c358b04242ebc992f8ce0fc7f2ad16e28d4f15d990f2443256b45d14459cea38fe39e2c467ce500d429741dfb9d91eb2797d01a9eb690ba5128fe3a3e0ecc0ab8bb2876c08bfe19a317b331e3a020069fdccb6a8774ed33e96f0b814887ee9b03c914f730fe9db606803786ee36d6d59872926a547594091', 1795392746660);
INSERT INTO staff VALUES ('D2', 'doctor', '\x014f164329ae3b782bf85292c9375eba55528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74432000000000000000000000000000000000000000000000000000000000000026e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf39d9000001a967bd1dd95c00181cf0eb471b6acbd2925dd1da2ad06bc4ea90ad36b68586f26f53b4f724e14efe1bb342b50ec1f726d904e89b1f370cc413f14411abcb9ac51f965f43f4a7c759a6e8b19ec52a95c111921fe4f4cc3c2276c203e9bb84b9b77111a0d65ee379a1d890ea1e7fbe9e4ceeb785136576406a4bfc9e4224da9970c85ac04dc4a1b8ccb147dd93a81d58eb7802cccb0a6de315f99cfe3b07aee76f73caaf5407c7e1d713827181e1438696983b9b17bd1a4e378c3bb1ad632fbde39eb7c87fceb03027c4bdd573636c0098fd39bf484b22914abd5f030d7e4199d2e22d4e79e303f4b1c04d57728a161b9c7a71b1f6e6628b4353c540354d25ec84d56d89275b439bbc211a2ce546b691902cddb209944b9d0c8c3549f71b1e9d6924ad93d7f924239654aea04a6480f282d69600bfd6525db6cebdf35b9b080d5fedf0ef6879625eaacb7f286e5455ac119d383dc0781674671406fc44db6a76572be0be7dddb7b94fe68657ae0ad5d0db7ae8ac8b9eb277de1e368d0ea7ecae68b0c6fb9c8d5fbc8191ea5291532a4b47882e63b129b9a8a32924485a24e3341bc597cafbb3493943a3f43bac1badee94bb512163a5e7184357d9cf3128d1bdcc8fdd9370e2a392bb5a98f9617dab9a007c83e2237df3daf412b19caad2ef271801445cf1b0f1282d23cca31c4b9ce9704b8d941f93c290c084c1dba3919b4f41598bf971cf79078463ba0428eea2f64fe53524daf876030e4b73ebddc0064c97538dbc2b58c7f6f319e9a07fecdec2f40be34e861fb21832084922cfe456723e5f1abe6ca4253dfd077b4fecb944c9892ca785348df49f3520bc05c657a0f7087311dd05803f4a368db56cd9e74f67b837f0a95239ead492601499b38f645bb4686969e89009cc1dc3c9a1d96d3bb861c132bec6a7e25183b83bb7c1bc3524327084ea1edc8026ae44a999508cf1f7c524f07dc15b040720028ff8685e8fee7a95246b5bee8a76abf64dbd0dfd802b0e0998e49285b7b42cc41d207ffaafe6599e55fc500834e57dffd7b1ff6103018bb2f2a6e4925223d99ab73c72c342f04082e94651dc', 1795479147995);
INSERT INTO staff VALUES ('A1', 'assistant', '\x01555bbcdaa9d89d948bfba655061e8884528388bee1fb08d617352f228a2860df4dccce47690401761646c7bbdeaa836acfcf3a3f2323eea561af7e7fd54a99b74131000000000000000000000000000000000000000000000000000000000000046e260e810b81e384e3e5ebaf26f0ed43bdee96ce3ed6f4edcdce21f90e71a65e000001a205bf3e65000001a967bd2265dc71c2efde0942de462fc65af6c2549070c6711e95a9d42b46278c366ad74c165a47401476f5f9aba1899a08d5b176f51c4dfbc1db00854d4cb0041b5188fee76d09a95402a07238f985be7e70d81bd32d7bab72a386d5da72823204a13e87a67dc17e67a286f3dac0e2b710cd5638fc99641803685bd1c0d3ffdfb7280898eeee42e3a0bd7ece26e19caccaf7ec14a269094dc4e16451e277849fa6091b386de97e14110613290918e63769cf33cabb550287f59d28b5de8ebfe561a1470b2db126336e0402f0437def05a1018a5434b97c3d54f44a5e75ffd548e7417e688ddc05ca088df085069d0292c332d679ae1da07371adf254d78f4b9f4cb2aef5c71d08d80f222c51c00b97683b717cdf47bd2cfcb16fa0740aad39ed21bb07174603b4542f12974a3e99c751d1d6076fd69c71587ee60526d4b1b7edb485e0a210d673291ea8f05fd27372145da4f951434c12658bc0fcb03096de0a0c4009f73980bddd3d8a875b7929d98a56bba9acd5e01a6245a6fb7f507c5f3e94b7d64b96c1cd4faf3e35951199a49bbc18c31107011683c772cb3960837638c434693572bc8af79e5bb16ca735fa81efaba49b088f6c4c890daa88e27184ef6781d4719ad1ebc75a2de50a7a32a90299355a534784c0dc277187ea25b87ab1746e807bd8e9c63a6131b4823c9ee42a9f027bd533ca4ba7202f71e3b25b621a8f1230198134106ad44eb92c9024f9d63d51e78280c642b85ba951898a8da5969e0c0fc57b954462870726f00cfe4b13cc40e91141ed309f53ec138925ed37d5b74c7a831fc0ae0554edeb1e5d433520bef74743cd2184261040761b89b562786feb16f9f160dce1af831db76c76a227370367e3aff4eeee1a11d88325ba2687d54609a9a637491ab99304bbace11e4c1d51f1e97f873dcba866f911bff882f12e3380597d4b95692d4a22990f2c6250f76eb40b0d2c7075bc5f615399325f572cb6985786f3ca1de65a2f295ce0cc8766bd4df00de7616b5ea87d9a4004c70c41ba557529d20eeafcdfe3cd66898739ef835c03268de832fdae892996d78de655fab65aa8', 1795479149185);

INSERT INTO telemed_schema VALUES (5, 'tmc1');

INSERT INTO ticket VALUES ('\x111a0258dcaa6a4bbe7ab6b53dc81bee', 'D1', 'P1', '\xdd786255fe12ea79b040a8a72ad27a69584dc66956636420ad94ed77f8b3203d64729ed72f60dd8b5b19975f5d9c1604e937e94d5695d30a694976433b4ff7baadef6a8e36bf077e00001e5fe4bba8b55ff0c7c58b5928c9fa24a5303f193e7f7cb1b0becf83c842ae0a7480c664d1e873ec789aaed31c9aa73621ff87e22bab424146ead36f2a635ecbb9f3267896677214df2cc70dccf9c3034fdbb6280f00ffd13fc6543fdaae0b81b160b9af7d3f85b169e823167d93e2c0b818cd47007657ae18d9a3c93968104cc19fe774818ad1369dde709ac4aeb9b8a39b9b3f43d98c4d72378def536b12d8e2fd2322629ef2e60a780b8fffbf25e8e230ddcf090955a3ac0d6b40980b0d5145269adda59550936887844e098d1a4cd736dd183bf3908ad192d178cb9dc4f8f3c21e5899927cda9a3d243ce12912dbb4215699cfa0', 1795479149683, 1795565549683, 'used');
INSERT INTO ticket VALUES ('\xeb58ad9d0dfc7fd9229042702105e943', 'D2', 'P2', '\x0c32ed3e47557008ec357def6d12fa698af9d90eb96b16da32393db35d3a69866038d694d6aed13ce9a75ddb3e0b605914d442546ccc6ff1c7b2fe9bfdccb3e23301fc7f7fb5af9fbbb145c905870641f466e242467920229cd00096820d8fa2a30490356b6ab884387df811f32663b1489dd76b0e1bb2dca6a0f6253ad6b6e2197858646977e4f22ee71b3b450b834483e22a4296dd7a7b1f93b86c144bc072ea9f2e424d5590606823c6046bf4a0aad654e7656f09aaf96f451253795b229f441caa759912c196abcc44723bbd069955d7a67b3ee8385b9db5228d935ed75e85103a4311be5ec1b9a3d879d600b45f284aadd43bd62ba0cbb541b2cb783cba9a91bf7770a8105fbd51dd9572a6e935836d763761cf0e4af6321a55c4f3df8385b2dfaef049a734d25704f01479cb353babc1648f5a9e0eba08c75d8080f088', 1795479150009, 1795565550009, 'used');
INSERT INTO ticket VALUES ('\xb8e25c029c6641cb182927668391c167', 'D1', 'P3', '\xb02e59aa8f9fc4b6f4826e00f5b13507a807a1f3ff53f9509777f2fc3ed4ba411930f3283c4406be26b97c36a17d5f4b33dfa48c5b77b06037464f4ce6d18b282dbf15594c9fff7fe24727969c4bbc3db7a3ece8fa61189ce34e951e4c22e591e4da69672ec2aac4bdccddbdbe1e37522e51e26b63e895363c3d92b388fc7165de4097a35402b9dffd6d2cf36e7fa4f4aa84b236a90b256b652cb6876f61e6bb5e3c8b4d002aa56c9d0f2cfc620f0e345529276633dd387cd383347019aea12ee7875b43915eb70f434cf6a1bcdf0b4fad9fa1d83c93a8be514eb0f3d73733693c76ff0e8f2a85763d989d40439ddc42ff101a881cb2a7f182c87c180a2d6ad270bbbdea9d0ebaf23fdd1a16e9d63047c378c2aed294d3d6a616503d432661337ca7d07e3124b15313a72499f895d2e0bf3d6e8fd821f6d26927b91dd93b3185', 1795479150220, 1795565550220, 'open');

INSERT INTO welcomed VALUES ('\xfbb52925fbb307e941fb7c39acba1205f95a58282f53c4ff4187cd887ac32147');
INSERT INTO welcomed VALUES ('\xbcfd19149a1a8f2e3704f28b223eff79c4d4374245793ce671272897850bbab4');

ALTER TABLE ONLY assignment
    ADD CONSTRAINT assignment_pkey PRIMARY KEY (patient);

ALTER TABLE ONLY audit_certificate
    ADD CONSTRAINT audit_certificate_pkey PRIMARY KEY (doctor, fingerprint);

ALTER TABLE ONLY audit_entry
    ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (doctor, number);

ALTER TABLE ONLY audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (doctor, number);

ALTER TABLE ONLY certificate
    ADD CONSTRAINT certificate_fingerprint_key UNIQUE (fingerprint);

ALTER TABLE ONLY certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (serial);

ALTER TABLE ONLY certificate
    ADD CONSTRAINT certificate_ticket_key UNIQUE (ticket);

ALTER TABLE ONLY consultation
    ADD CONSTRAINT consultation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY counter
    ADD CONSTRAINT counter_pkey PRIMARY KEY (name);

ALTER TABLE ONLY delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (message, device);

ALTER TABLE ONLY fact
    ADD CONSTRAINT fact_pkey PRIMARY KEY (doctor, name);

ALTER TABLE ONLY incoming
    ADD CONSTRAINT incoming_device_id_key UNIQUE (device, id);

ALTER TABLE ONLY incoming
    ADD CONSTRAINT incoming_pkey PRIMARY KEY (number);

ALTER TABLE ONLY join_ticket
    ADD CONSTRAINT join_ticket_pkey PRIMARY KEY (id);

ALTER TABLE ONLY last_commit
    ADD CONSTRAINT last_commit_pkey PRIMARY KEY (connection);

ALTER TABLE ONLY last_timestamp
    ADD CONSTRAINT last_timestamp_pkey PRIMARY KEY (serial);

ALTER TABLE ONLY message
    ADD CONSTRAINT message_id_key UNIQUE (id);

ALTER TABLE ONLY message
    ADD CONSTRAINT message_pkey PRIMARY KEY (number);

ALTER TABLE ONLY node
    ADD CONSTRAINT node_pkey PRIMARY KEY (doctor);

ALTER TABLE ONLY prekey
    ADD CONSTRAINT prekey_pkey PRIMARY KEY (doctor, kid);

ALTER TABLE ONLY presence
    ADD CONSTRAINT presence_pkey PRIMARY KEY (device);

ALTER TABLE ONLY record
    ADD CONSTRAINT record_pkey PRIMARY KEY (patient);

ALTER TABLE ONLY roster
    ADD CONSTRAINT roster_pkey PRIMARY KEY (doctor);

ALTER TABLE ONLY staff
    ADD CONSTRAINT staff_pkey PRIMARY KEY (id);

ALTER TABLE ONLY telemed_schema
    ADD CONSTRAINT telemed_schema_pkey PRIMARY KEY (application);

ALTER TABLE ONLY ticket
    ADD CONSTRAINT ticket_pkey PRIMARY KEY (id);

ALTER TABLE ONLY welcomed
    ADD CONSTRAINT welcomed_pkey PRIMARY KEY (device);

CREATE INDEX assignment_of_doctor ON assignment USING btree (doctor, patient);

CREATE INDEX certificate_active ON certificate USING btree (subject, fingerprint, not_after) WHERE (state = 'active'::text);

CREATE INDEX certificate_subject ON certificate USING btree (subject, fingerprint, created, state, not_after);

CREATE INDEX consultation_of_patient ON consultation USING btree (patient, begun);

CREATE INDEX delivery_open ON delivery USING btree (device, message) WHERE open;

CREATE INDEX incoming_boundary ON incoming USING btree (patient, received, written, id) WHERE (boundary IS NOT NULL);

CREATE INDEX incoming_of_patient ON incoming USING btree (patient, number);

CREATE INDEX incoming_unread ON incoming USING btree (number) WHERE (shown IS NULL);

CREATE INDEX message_boundary ON message USING btree (patient, written, id) WHERE (boundary IS NOT NULL);

CREATE INDEX message_expiring ON message USING btree (expires) WHERE ((expires IS NOT NULL) AND (NOT ended));

CREATE INDEX message_to_one ON message USING btree (patient, number) WHERE (patient IS NOT NULL);

CREATE INDEX message_to_several ON message USING btree (number, kind) WHERE (kind <> 'private'::text);

CREATE INDEX presence_of_doctor ON presence USING btree (doctor);

CREATE INDEX record_unsplit ON record USING btree (patient) WHERE (contact IS NULL);

CREATE TRIGGER assignment_notify AFTER UPDATE ON assignment FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();

CREATE TRIGGER certificate_notify AFTER UPDATE OF state ON certificate FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();

CREATE TRIGGER fact_notify AFTER INSERT OR UPDATE ON fact FOR EACH ROW WHEN ((new.name = 'revoked doctors'::text)) EXECUTE FUNCTION telemed_notify();

CREATE TRIGGER message_notify AFTER INSERT ON message FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();

CREATE TRIGGER presence_notify AFTER UPDATE ON presence FOR EACH ROW WHEN ((old.doctor <> new.doctor)) EXECUTE FUNCTION telemed_notify();

CREATE TRIGGER roster_notify AFTER INSERT OR DELETE OR UPDATE ON roster FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();

ALTER TABLE ONLY audit_head
    ADD CONSTRAINT audit_head_doctor_certificate_fkey FOREIGN KEY (doctor, certificate) REFERENCES audit_certificate(doctor, fingerprint);

ALTER TABLE ONLY certificate
    ADD CONSTRAINT certificate_ticket_fkey FOREIGN KEY (ticket) REFERENCES ticket(id);

ALTER TABLE ONLY consultation
    ADD CONSTRAINT consultation_patient_fkey FOREIGN KEY (patient) REFERENCES record(patient);

ALTER TABLE ONLY delivery
    ADD CONSTRAINT delivery_message_fkey FOREIGN KEY (message) REFERENCES message(number) ON DELETE CASCADE;

