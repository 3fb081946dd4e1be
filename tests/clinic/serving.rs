//! A doctor's server in her clinic: what lies in the database for it.

use std::net::TcpListener;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use telemed::doctor::event::Event;
use telemed::doctor::server::Server;
use telemed::doctor::shared::Settings;
use telemed::identity::revocation::RevokedDoctors;
use telemed::store::StoreFault;

use super::*;

/// Starts the server of a practice.
fn start(practice: &Arc<Practice>) -> std::io::Result<(Server, Receiver<Event>)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::start(listener, Arc::clone(practice), Settings::default())
}

/// What is told as trouble until a sentence has this in it.
fn troubles_until(events: &Receiver<Event>, last: &str) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut told = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left) {
            Ok(Event::Trouble(sentence)) => {
                let is_last = sentence.contains(last);
                told.push(sentence);
                if is_last {
                    return told;
                }
            }
            Ok(_) => {}
            Err(_) => panic!("'{last}' was not told, but {told:?}"),
        }
    }
}

#[test]
fn a_list_of_revoked_doctors_that_cannot_be_read_is_told_once_and_the_known_one_kept() {
    let Some(scene) = Scene::new() else { return };
    let Scene {
        base: _base,
        practice,
        schema,
    } = scene;
    let practice = Arc::new(practice);
    let known = practice.identity().revoked.number();
    let (_server, events) = start(&practice).unwrap();
    let mut admin = schema.client().unwrap();
    let good: Vec<u8> = admin
        .query_one("SELECT value FROM fact WHERE name = 'revoked doctors'", &[])
        .unwrap()
        .get(0);
    let damage = "UPDATE fact SET value = convert_to(repeat('x', 30000000), 'UTF8')
                  WHERE name = 'revoked doctors'";
    admin.batch_execute(damage).unwrap();
    let list = "list of revoked doctors";
    troubles_until(&events, list);
    let error = practice.store.fact(fact::REVOKED_DOCTORS).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Damaged(_)), "{error}");
    // Damaged otherwise, and still not told again: the other word comes after it.
    admin
        .batch_execute(
            "BEGIN;
             UPDATE fact SET value = 'x' WHERE name = 'revoked doctors';
             INSERT INTO roster VALUES ('D7', convert_to(repeat('x', 30000), 'UTF8'));
             COMMIT",
        )
        .unwrap();
    let told = troubles_until(&events, "'roster'");
    assert!(!told.iter().any(|it| it.contains(list)), "{told:?}");
    assert_eq!(practice.identity().revoked.number(), known);
    // Whole again, and damaged once more.
    let put = "UPDATE fact SET value = $1 WHERE name = 'revoked doctors'";
    admin.execute(put, &[&good]).unwrap();
    admin
        .batch_execute(
            "UPDATE roster SET doctor = repeat('y', 100) WHERE doctor = 'D7';
                        INSERT INTO roster VALUES ('D8', convert_to(repeat('x', 30000), 'UTF8'))",
        )
        .unwrap();
    troubles_until(&events, "2 rows of the table 'roster'");
    admin.batch_execute(damage).unwrap();
    troubles_until(&events, list);
}

#[test]
fn a_newer_list_that_lets_somebody_off_is_told_once_and_the_known_one_kept() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    let (root, secret, old) = (
        scene.practice.identity().root.clone(),
        scene.root(),
        scene.list(),
    );
    scene.revoke("D2").unwrap();
    let (directory, store) = (&scene.practice.directory, &scene.practice.store);
    let loaded = setup::load(directory, &**store, now(), &mut OsRandom).unwrap();
    scene.practice.replace_identity(loaded);
    let Scene {
        base: _base,
        practice,
        schema,
    } = scene;
    let practice = Arc::new(practice);
    let known = practice.identity().revoked.clone();
    let (_server, events) = start(&practice).unwrap();
    let clinic = &root.subject().clinic;
    let next = |list: &RevokedDoctors, hours: u32| {
        let at = now().plus(HOUR * hours);
        let next = list.extend(&secret, clinic, &[1; 16], at, &mut OsRandom);
        next.unwrap()
    };
    let put = |list: &RevokedDoctors| {
        let facts = [(fact::REVOKED_DOCTORS, list.as_bytes())];
        practice.store.set_facts(&facts).unwrap();
    };
    put(&next(&old, 1));
    troubles_until(&events, "lets somebody off");
    let mut admin = schema.client().unwrap();
    let forge = "INSERT INTO roster VALUES ('D7', convert_to(repeat('x', 30000), 'UTF8'))";
    admin.batch_execute(forge).unwrap();
    let told = troubles_until(&events, "'roster'");
    assert!(!told.iter().any(|it| it.contains("lets")), "{told:?}");
    assert_eq!(practice.identity().revoked.number(), known.number());
    // One that lets nobody off is gone by.
    let good = next(&known, 2);
    put(&good);
    let deadline = Instant::now() + Duration::from_secs(30);
    while practice.identity().revoked.number() != good.number() {
        assert!(Instant::now() < deadline, "the list is not gone by");
        std::thread::yield_now();
    }
}

#[test]
fn a_seat_that_was_lost_before_the_server_starts_is_taken_anew() {
    let Some(scene) = Scene::new() else { return };
    let Scene {
        base: _base,
        practice,
        schema,
    } = scene;
    let practice = Arc::new(practice);
    let take = |store: &dyn Store| {
        let nodes = store.nodes().unwrap();
        nodes.take_seat(Instant::now(), &[]).unwrap()
    };
    // As while a passphrase is typed in: the server frees a silent one's seat.
    practice.keep_seat(Some(take(&*practice.store)));
    let held = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
                JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'advisory' AND objsubid = 1
                  AND classid::bigint << 32 | objid::bigint =
                      hashtextextended($1 || E'\\nD1', 1953325874)";
    let mut admin = schema.client().unwrap();
    assert_eq!(admin.query(held, &[&schema.name]).unwrap().len(), 1);
    let other = open(&schema, "D1");
    let seat = take(&*other);
    let Err(error) = start(&practice) else {
        panic!("two servers of one doctor");
    };
    assert!(error.to_string().contains("served already"), "{error}");
    drop(seat);
    practice.keep_seat(None);
    let (server, _events) = start(&practice).unwrap();
    drop(server);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_both_versions() {
    let Some(scene) = Scene::new() else { return };
    let named = |version: &str, number: &str| {
        scene.attack(&format!(
            "CREATE OR REPLACE FUNCTION current_setting(text) RETURNS text LANGUAGE sql AS
             $$SELECT CASE $1 WHEN 'server_version_num' THEN '{number}'
                              WHEN 'server_version' THEN '{version}'
                              ELSE pg_catalog.current_setting($1) END$$"
        ));
        let address = scene.schema.address() + "%2Cpg_catalog";
        PostgresStore::open(&address.parse().unwrap(), "D1")
    };
    let error = named("12.22 (Debian 12.22-1)", "120022").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Refused(_)), "{error}");
    let sentence = error.to_string();
    let said = "PostgreSQL 12.22 (Debian 12.22-1), and telemed needs 13 or newer";
    assert!(sentence.contains(said), "{sentence}");
    named("13.0", "130000").unwrap();
}
