//! Rows that a broken node, or whoever else can write to the database, puts there
//! for the others, and those that nobody takes away.

use super::*;

use telemed::clock::{Clock, SystemClock};
use telemed::identity::roster::RosterEntry;

fn unfit(event: &Event) -> Option<String> {
    match event {
        Event::Trouble(sentence) if sentence.contains("cannot be") => Some(sentence.clone()),
        _ => None,
    }
}

#[test]
fn rows_that_cannot_be_stop_no_other_node_and_are_told_once() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &first);
    eventually("the nodes run", || {
        first.store.nodes().unwrap().running().unwrap().len() == 2
    });
    let mut admin = schema.admin();
    eventually("the device is noted", || {
        let count = "SELECT count(*) FROM presence";
        admin.query_one(count, &[]).unwrap().get::<_, i64>(0) == 1
    });
    admin
        .batch_execute(
            r"INSERT INTO node VALUES ('D7', 'infinity', 'infinity'), ('D8', '-infinity', '-infinity'),
                  (repeat('x', 100000), now(), now());
              UPDATE presence SET answered = '-infinity';
              INSERT INTO roster VALUES ('D7', '\x00'),
                  ('D8', convert_to(repeat('x', 30000000), 'UTF8'));
              INSERT INTO staff VALUES
                  (repeat('y', 100000), 'doctor', '\x00', 1),
                  ('D8', 'doctor', convert_to(repeat('x', 30000000), 'UTF8'), 9223372036854775807)",
        )
        .unwrap();
    let nodes = presence::of_clinic(second.server().practice()).unwrap();
    let names: Vec<_> = nodes.iter().map(|node| &*node.doctor).collect();
    assert_eq!(names, ["D1", "D2", "D7", "D8"]);
    let now = SystemClock.now();
    for node in &nodes {
        assert!(node.started <= now, "{node:?}");
        assert!(node.devices.iter().all(|device| device.since <= now));
    }
    let store = second.store.nodes().unwrap();
    let longest = store.roster().unwrap().into_iter();
    assert!(longest.map(|(_, entry)| entry.len()).max() < Some(20_000));
    let staff = second.store.clinic().unwrap().staff().unwrap();
    assert!(
        staff
            .iter()
            .all(|row| row.id.len() <= 32 && row.certificate.len() < 20_000)
    );
    // What a change of the roster leads to.
    for practice in [&first, &second] {
        let said = practice.wait_for("the word that rows are not read", unfit);
        for table in ["node", "presence", "roster", "staff"] {
            assert!(said.contains(&format!("'{table}'")), "{said}");
        }
    }
    // Both go on.
    second
        .server()
        .message(&"P1".parse().unwrap(), "Still here.")
        .unwrap();
    assert_eq!(session.message().text, "Still here.");
}

#[test]
fn where_a_doctor_is_reached_is_said_anew_if_it_is_from_a_time_that_has_not_come() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let Some((_schema, _first, second)) = two() else {
        return;
    };
    let facts = [(fact::ADDRESS, &b"two.example:4000"[..])];
    second.store.set_facts(&facts).unwrap();
    let nodes = second.store.nodes().unwrap();
    let identity = second.server().practice().identity();
    let early = second.now().plus(2 * DAY);
    let address = "two.example:4000".parse().unwrap();
    let entry = RosterEntry::make(&identity, &address, early, &mut OsRandom).unwrap();
    nodes.put_roster_entry(entry.as_bytes()).unwrap();
    eventually("an entry of today", || {
        let roster = nodes.roster().unwrap();
        let own = roster.iter().find(|(name, _)| name == "D2");
        own.is_some_and(|(_, bytes)| {
            let entry = RosterEntry::verify(bytes, &identity.root).unwrap();
            entry.made() < early
        })
    });
}

#[test]
fn what_is_claimed_for_a_session_that_is_over_is_released() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    eventually("the nodes run", || {
        first.store.nodes().unwrap().running().unwrap().len() == 2
    });
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &first);
    let mut admin = schema.admin();
    let count = "SELECT count(*) FROM presence WHERE doctor = 'D1'";
    eventually("her session is claimed", || {
        admin.query_one(count, &[]).unwrap().get::<_, i64>(0) == 1
    });
    // As when a claim was carried out after its session had been released; what
    // comes from another node is heard of at once.
    admin
        .batch_execute(
            r"INSERT INTO presence VALUES
                  (sha256('1'), 'D2', substring(sha256('1') FOR 16), now() - interval '2 minutes'),
                  (sha256('2'), 'D2', substring(sha256('2') FOR 16), 'infinity');
              UPDATE presence SET doctor = 'D1' WHERE doctor = 'D2'",
        )
        .unwrap();
    eventually("the others are released", || {
        admin.query_one(count, &[]).unwrap().get::<_, i64>(0) == 1
    });
    first
        .server()
        .message(&"P1".parse().unwrap(), "Still here.")
        .unwrap();
    assert_eq!(session.message().text, "Still here.");
}

fn tell(schema: &Schema, sql: &str) {
    let sql = format!("{sql}; SELECT pg_notify(current_schema(), 'roster')");
    schema.admin().batch_execute(&sql).unwrap();
}

#[test]
fn many_rows_before_her_own_do_not_have_a_doctor_say_it_again_and_again() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    tell(
        &schema,
        r"INSERT INTO roster SELECT 'A' || number, '\x00' FROM generate_series(1, 1000) AS number",
    );
    give_addresses([&first, &second]);
    let own = || first.store.nodes().unwrap().own_roster_entry().unwrap();
    tell(&schema, "DELETE FROM roster WHERE doctor = 'D1'");
    eventually("hers is there", || own().is_some());
    let before = own();
    // Each time both look.
    for _ in 0..3 {
        tell(&schema, "DELETE FROM roster WHERE doctor = 'D2'");
        let nodes = second.store.nodes().unwrap();
        eventually("the other's is there again", || {
            nodes.own_roster_entry().unwrap().is_some()
        });
    }
    assert!(own() == before, "hers was written again");
}

#[test]
fn an_entry_counts_under_its_own_name_alone() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    give_addresses([&first, &second]);
    tell(&schema, "DELETE FROM roster");
    eventually("both are there", || {
        first.store.nodes().unwrap().roster().unwrap().len() == 2
    });
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &first);
    tell(
        &schema,
        "INSERT INTO roster SELECT 'E' || number, entry FROM roster, generate_series(1, 20) AS number
         WHERE doctor = 'D1'",
    );
    assert_eq!(new_roster(&schema, &second, &mut session).len(), 2);
}

/// The second doctor moves; gives what a patient is told then.
fn new_roster(schema: &Schema, second: &Practice, session: &mut Session) -> Vec<Vec<u8>> {
    let address = b"three.example:4000";
    let facts = [(fact::ADDRESS, &address[..])];
    second.store.set_facts(&facts).unwrap();
    tell(schema, "DELETE FROM roster WHERE doctor = 'D2'");
    let has_new = |entry: &Vec<u8>| entry.windows(address.len()).any(|it| it == address);
    session.until("the new address", |got| match got {
        Got::Roster(entries) => entries.iter().any(has_new).then(|| entries.clone()),
        _ => None,
    })
}

#[test]
fn what_can_be_no_address_is_told_and_what_others_say_goes_on() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    give_addresses([&first, &second]);
    tell(&schema, "DELETE FROM roster");
    eventually("both are there", || {
        first.store.nodes().unwrap().roster().unwrap().len() == 2
    });
    let forge = "UPDATE fact SET value = convert_to(repeat('x', 2000000), 'UTF8')
                 WHERE name = 'address' AND doctor = 'D1'";
    tell(&schema, forge);
    first.wait_for("the word that it cannot be read", |event| match event {
        Event::Trouble(sentence) => sentence
            .contains("not told where this server is reached")
            .then_some(()),
        _ => None,
    });
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &first);
    assert_eq!(new_roster(&schema, &second, &mut session).len(), 2);
}
