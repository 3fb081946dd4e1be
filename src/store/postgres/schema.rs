//! The schema, as numbered steps from an empty one.
//!
//! A step that was released is never edited: what changes is a new step. The
//! number of the last one is the schema's, kept in the table `telemed_schema`.
//! The tables lie in the schema that comes first in the connection's search path.
//! They are those of the SQLite file, but for the column `doctor` where a
//! clinic's doctors have each their own, or for who did something.

use super::connection::{Connection, value};
use super::nodes;
use super::transaction::{IS_FREE, Lock};
use crate::store::StoreFault;

/// Says that the tables are ours.
const APPLICATION: &str = "tmc1";

/// Step `n` leads to schema `n + 1`.
const STEPS: [&[&str]; 7] = [
    &[TRUST, AUDIT, RECORDS, MESSAGES, BOOKKEEPING],
    &[CLINIC],
    &[nodes::SCHEMA],
    &[CONTACT],
    &[OWNER],
    &[CERTIFIED_KEYS],
    &[VERSION, IDENTITY, RECOVERY],
];

/// The newest schema.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(super) const NEWEST: i64 = STEPS.len() as i64;

/// The doctor of a fact is empty where all share it. `last_timestamp` refers to
/// no certificate, as in the file. The doctor of a ticket or certificate is who
/// issued it.
const TRUST: &str = r#"
CREATE TABLE fact (
    doctor TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (doctor, name)
);

CREATE TABLE ticket (
    id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    doctor TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    created BIGINT NOT NULL CHECK (created >= 0),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'used', 'frozen', 'revoked'))
);

CREATE TABLE certificate (
    serial BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(serial) = 16),
    fingerprint BYTEA NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
    doctor TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    bytes BYTEA NOT NULL,
    state TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('inactive', 'active', 'frozen', 'revoked')),
    ticket BYTEA UNIQUE REFERENCES ticket (id),
    created BIGINT NOT NULL CHECK (created >= 0),
    not_after BIGINT NOT NULL CHECK (not_after >= 0)
);
CREATE INDEX certificate_active ON certificate (subject, fingerprint, not_after)
    WHERE state = 'active';
CREATE INDEX certificate_subject
    ON certificate (subject, fingerprint, created, state, not_after);

CREATE TABLE last_timestamp (
    serial BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(serial) = 16),
    at BIGINT NOT NULL CHECK (at >= 0)
);

CREATE TABLE prekey (
    doctor TEXT COLLATE "C" NOT NULL,
    kid BYTEA NOT NULL CHECK (octet_length(kid) = 8),
    bytes BYTEA NOT NULL,
    not_before BIGINT NOT NULL CHECK (not_before >= 0),
    not_after BIGINT NOT NULL CHECK (not_after >= 0),
    PRIMARY KEY (doctor, kid)
);
"#;

/// Each doctor has a chain of her own.
const AUDIT: &str = r#"
CREATE TABLE audit_entry (
    doctor TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL CHECK (number > 0),
    at BIGINT NOT NULL CHECK (at >= 0),
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    link BYTEA NOT NULL CHECK (octet_length(link) = 32),
    PRIMARY KEY (doctor, number)
);

CREATE TABLE audit_certificate (
    doctor TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
    bytes BYTEA NOT NULL,
    PRIMARY KEY (doctor, fingerprint)
);

CREATE TABLE audit_head (
    doctor TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL CHECK (number > 0),
    link BYTEA NOT NULL CHECK (octet_length(link) = 32),
    at BIGINT NOT NULL CHECK (at >= 0),
    certificate BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (doctor, number),
    FOREIGN KEY (doctor, certificate) REFERENCES audit_certificate (doctor, fingerprint)
);
"#;

const RECORDS: &str = r#"
CREATE TABLE record (
    patient TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created BIGINT NOT NULL CHECK (created >= 0),
    changed BIGINT NOT NULL CHECK (changed >= 0),
    archived BIGINT CHECK (archived >= 0),
    version BIGINT NOT NULL CHECK (version > 0),
    sealed BYTEA NOT NULL
);

CREATE TABLE consultation (
    id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    patient TEXT COLLATE "C" NOT NULL REFERENCES record (patient),
    written BIGINT NOT NULL CHECK (written >= 0),
    begun BIGINT NOT NULL CHECK (begun >= 0),
    ended BIGINT CHECK (ended >= 0),
    sealed BYTEA NOT NULL
);
CREATE INDEX consultation_of_patient ON consultation (patient, begun);
"#;

/// The doctor of a message is who wrote it; that of an incoming one is at whose
/// node it came. The indexes are those of the file.
const MESSAGES: &str = r#"
CREATE TABLE message (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number > 0),
    id BYTEA NOT NULL UNIQUE CHECK (octet_length(id) = 16),
    doctor TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('broadcast', 'chosen', 'private')),
    patient TEXT COLLATE "C",
    boundary TEXT COLLATE "C" CHECK (boundary IN ('opens', 'closes')),
    urgent BOOLEAN NOT NULL,
    written BIGINT NOT NULL CHECK (written >= 0),
    expires BIGINT CHECK (expires >= 0),
    ended BOOLEAN NOT NULL DEFAULT FALSE,
    sealed BYTEA NOT NULL,
    CHECK ((kind = 'private') = (patient IS NOT NULL))
);
CREATE INDEX message_to_one ON message (patient, number) WHERE patient IS NOT NULL;
CREATE INDEX message_to_several ON message (number, kind) WHERE kind <> 'private';
CREATE INDEX message_boundary ON message (patient, written, id) WHERE boundary IS NOT NULL;
CREATE INDEX message_expiring ON message (expires) WHERE expires IS NOT NULL AND NOT ended;

CREATE TABLE delivery (
    message BIGINT NOT NULL REFERENCES message (number) ON DELETE CASCADE,
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    patient TEXT COLLATE "C" NOT NULL,
    queued BIGINT NOT NULL CHECK (queued >= 0),
    sent BIGINT CHECK (sent >= 0),
    delivered BIGINT CHECK (delivered >= 0),
    confirmed BIGINT CHECK (confirmed >= 0),
    sealed_confirmation BYTEA,
    open BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (message, device),
    CHECK ((confirmed IS NULL) = (sealed_confirmation IS NULL))
);
CREATE INDEX delivery_open ON delivery (device, message) WHERE open;

CREATE TABLE welcomed (
    device BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(device) = 32)
);

CREATE TABLE incoming (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number > 0),
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    doctor TEXT COLLATE "C" NOT NULL,
    patient TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL CHECK (octet_length(id) = 16),
    boundary TEXT COLLATE "C" CHECK (boundary IN ('opens', 'closes')),
    written BIGINT NOT NULL CHECK (written >= 0),
    received BIGINT NOT NULL CHECK (received >= 0),
    shown BIGINT CHECK (shown >= 0),
    sealed BYTEA NOT NULL,
    UNIQUE (device, id)
);
CREATE INDEX incoming_of_patient ON incoming (patient, number);
CREATE INDEX incoming_boundary ON incoming (patient, received, written, id)
    WHERE boundary IS NOT NULL;
CREATE INDEX incoming_unread ON incoming (number) WHERE shown IS NULL;
"#;

/// `counter` holds the last numbers that were given: whoever gives the next one
/// holds the row until she has committed, so that numbers are given without gaps
/// and in the order of commits. `last_commit` has a row for each connection, see
/// `transaction.rs`.
const BOOKKEEPING: &str = r#"
CREATE TABLE counter (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (name IN ('message', 'incoming')),
    last BIGINT NOT NULL CHECK (last >= 0)
) WITH (fillfactor = 50);
INSERT INTO counter VALUES ('message', 0), ('incoming', 0);

CREATE TABLE last_commit (
    connection BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(connection) = 16),
    number BIGINT NOT NULL CHECK (number >= 0),
    at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
"#;

/// Who works in the clinic and how somebody joins it, and whose patient a
/// patient is. The doctor of a ticket is who made it.
const CLINIC: &str = r#"
CREATE TABLE join_ticket (
    id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    doctor TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('doctor', 'assistant', 'auditor')),
    sealed BYTEA NOT NULL,
    created BIGINT NOT NULL CHECK (created >= 0),
    expires BIGINT NOT NULL CHECK (expires >= 0),
    state TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('open', 'asked', 'answered', 'used', 'revoked')),
    request BYTEA CHECK (octet_length(request) <= 10000),
    answer BYTEA,
    CHECK (state <> 'open' OR request IS NULL),
    CHECK ((state = 'answered') = (answer IS NOT NULL))
);

CREATE TABLE staff (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('doctor', 'assistant', 'auditor')),
    certificate BYTEA NOT NULL,
    joined BIGINT NOT NULL CHECK (joined >= 0)
);

CREATE TABLE assignment (
    patient TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    doctor TEXT COLLATE "C" NOT NULL
);
CREATE INDEX assignment_of_doctor ON assignment (doctor, patient);
"#;

/// As in the file: what stands in `contact` is sealed apart from the rest.
const CONTACT: &str = r#"
ALTER TABLE record ADD COLUMN contact BYTEA;
CREATE INDEX record_unsplit ON record (patient) WHERE contact IS NULL;
"#;

/// Whose connection a row of `last_commit` belongs to: a login that is to write to
/// little can be kept to its own, see `docs/clinic.md`.
const OWNER: &str = r"
ALTER TABLE last_commit ADD COLUMN owner NAME NOT NULL DEFAULT current_user;
";

/// Whether a key is certified already is looked up by its first bytes, at the two
/// places where a certificate has keys, see `trust.rs`.
const CERTIFIED_KEYS: &str = "
CREATE INDEX certificate_first_key ON certificate (substring(bytes FROM 147 FOR 16));
CREATE INDEX certificate_second_key
    ON certificate (substring(bytes FROM 147 + (octet_length(bytes) - 146) / 4 FOR 16));
";

/// Says which schema it is.
const VERSION: &str = r#"
CREATE TABLE IF NOT EXISTS telemed_schema (
    version BIGINT NOT NULL CHECK (version > 0),
    application TEXT COLLATE "C" NOT NULL PRIMARY KEY
);
"#;

/// Tells this database from any other; copied with it by whatever copies all of
/// it, and not by `doctor store copy`.
const IDENTITY: &str = "
ALTER TABLE telemed_schema ADD COLUMN identity BYTEA NOT NULL
    DEFAULT uuid_send(gen_random_uuid()) CHECK (octet_length(identity) = 16);
";

/// A new recovery code concerns all doctors: their servers hear of it.
const RECOVERY: &str = "
DROP TRIGGER fact_notify ON fact;
CREATE TRIGGER fact_notify AFTER INSERT OR UPDATE ON fact
    FOR EACH ROW WHEN (new.name IN ('revoked doctors', 'recovery by'))
    EXECUTE FUNCTION telemed_notify();
";

/// The number of the schema, 0 if there is none yet. Refuses tables that are not
/// ours or are newer than this program.
fn version(connection: &mut Connection) -> Result<i64, StoreFault> {
    let ours = "SELECT to_regclass(quote_ident(current_schema()) || '.telemed_schema') IS NOT NULL,
            EXISTS (SELECT 1 FROM pg_class
                    WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
                      AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
                      AND NOT EXISTS (SELECT 1 FROM pg_depend
                                      WHERE pg_depend.objid = pg_class.oid AND deptype = 'e'))";
    let (is_ours, is_used) = match connection.first(ours, &[])? {
        Some(row) => (value(&row, 0)?, value(&row, 1)?),
        None => (false, true),
    };
    match (is_ours, is_used) {
        (true, _) => {}
        (false, true) => return Err(StoreFault::Foreign),
        (false, false) => return Ok(0),
    }
    let sql = "SELECT version FROM telemed_schema WHERE application = $1";
    let found = match connection.first(sql, &[&APPLICATION])? {
        Some(row) => value(&row, 0)?,
        None => return Err(StoreFault::Foreign),
    };
    if found > NEWEST {
        let known = NEWEST;
        return Err(StoreFault::Newer { found, known });
    }
    Ok(found)
}

/// Refuses all but tables of the newest schema. A database that was replaced
/// while the program runs is not taken for a new one.
pub(super) fn check_newest(connection: &mut Connection) -> Result<(), StoreFault> {
    match version(connection)? {
        NEWEST => Ok(()),
        0 => Err(StoreFault::Refused(
            "its tables are gone; restore a backup, or start the program again to make new ones"
                .into(),
        )),
        found => Err(StoreFault::Older {
            found,
            needed: NEWEST,
        }),
    }
}

/// Brings the tables to the newest schema, in one transaction. `other` opens
/// another connection to the same server.
pub(super) fn migrate(
    connection: &mut Connection,
    other: impl FnOnce() -> Result<Connection, StoreFault>,
) -> Result<(), StoreFault> {
    if version(connection)? == NEWEST {
        return Ok(());
    }
    connection.take_time()?;
    connection.batch("BEGIN ISOLATION LEVEL READ COMMITTED")?;
    connection.batch(Lock::Alone.statement())?;
    check_lock(&mut other()?)?;
    // Asked again inside: another program may have been quicker.
    let found = usize::try_from(version(connection)?)
        .map_err(|_| StoreFault::Damaged("its schema has a negative number".into()))?;
    for batch in STEPS.iter().skip(found).copied().flatten() {
        connection.batch(batch)?;
    }
    connection.batch(&format!(
        "INSERT INTO telemed_schema VALUES ({NEWEST}, '{APPLICATION}')
         ON CONFLICT (application) DO UPDATE SET version = excluded.version;
         COMMIT"
    ))?;
    Ok(())
}

/// Refuses a server where what another connection has locked is free: some that
/// speak PostgreSQL's language take such a lock without effect, and two doctors
/// would change the same at once there.
fn check_lock(other: &mut Connection) -> Result<(), StoreFault> {
    let row = other.first(IS_FREE, &[])?;
    match row.map(|row| value(&row, 0)).transpose()? {
        Some(false) => Ok(()),
        _ => Err(StoreFault::Refused(
            "its advisory locks lock nothing: it is not a PostgreSQL server but one that speaks \
             its language; use PostgreSQL itself"
                .into(),
        )),
    }
}

/// Gives a connection its row in `last_commit`, and clears away those of
/// connections that ended without a word.
pub(super) fn introduce(connection: &mut Connection) -> Result<(), StoreFault> {
    let name = connection.name;
    let sql = "WITH gone AS (DELETE FROM last_commit WHERE at < now() - interval '7 days')
               INSERT INTO last_commit (connection, number, at) VALUES ($1, 0, now())";
    connection.execute(sql, &[&name.as_slice()])?;
    Ok(())
}
