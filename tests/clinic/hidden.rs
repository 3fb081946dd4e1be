//! Rows that somebody has put into the database who has its password: they hide
//! nothing that is genuine, and fill no memory.

use telemed::doctor::devices::{self, Answer, Request};
use telemed::doctor::staff;
use telemed::doctor::tickets::{self, TicketRefusal};
use telemed::doctor::{alike, join_tickets};
use telemed::identity::certificate::Role;
use telemed::random::OsRandom;
use telemed::store::fact;

use crate::{Scene, hex, id, now};

/// Rows of tickets that are none, all of this short name.
fn forge(scene: &Scene, table: &str, columns: &str, values: &str, rows: u32, begin: &[u8]) {
    let begin = hex::encode(begin);
    scene.attack(&format!(
        "INSERT INTO {table} (id, doctor, subject, sealed, created, expires, state{columns})
         SELECT decode('{begin}' || right(repeat('0', 24) || n, 24), 'hex'), 'D1', 'X' || n,
                decode(repeat('00', 100), 'hex'), 9000000000000000000 + n, 9100000000000000000,
                'revoked'{values}
         FROM generate_series(1, {rows}) AS n"
    ));
}

#[test]
fn no_number_of_forged_tickets_hides_a_genuine_one() {
    let Some(scene) = Scene::new() else { return };
    let practice = &scene.practice;
    let make = |name: &str| {
        let lifetime = tickets::LIFETIME;
        tickets::make(practice, &id(name), "a:1", lifetime, &mut OsRandom)
    };
    let genuine = scene.invite("R1", Role::Auditor).unwrap();
    let of_patient = make("P1").unwrap();
    let role = (", role", ", 'auditor'");
    forge(
        &scene,
        "join_ticket",
        role.0,
        role.1,
        10_100,
        &genuine.id[..4],
    );
    forge(&scene, "ticket", "", "", 2_100, &of_patient.id[..4]);
    scene.attack(
        "INSERT INTO staff SELECT 'A' || n, 'auditor', '', 1 FROM generate_series(1, 1100) AS n",
    );

    // Nobody is called like who is invited, nor invited under a patient's name.
    match make("rl").unwrap_err() {
        TicketRefusal::StaffName { member, .. } => assert_eq!(member, "R1"),
        error => panic!("{error}"),
    }
    let store = &*practice.store;
    let known = |name: &str| alike::patient(store, &id(name), now()).unwrap();
    assert_eq!(known("pI").as_deref(), Some("P1"));
    assert_eq!(known("P2"), None);

    let Answer::Tickets { patients, joins } = devices::answer(practice, &Request::Tickets).unwrap()
    else {
        panic!("these are no tickets");
    };
    assert!(joins.len() <= 101 && patients.len() <= 101);
    let joins: Vec<_> = joins.iter().filter(|it| it.state != "damaged").collect();
    assert_eq!(
        (joins.len(), &*joins[0].name, &*joins[0].state),
        (1, "R1", "open")
    );
    let patients: Vec<_> = patients.iter().filter(|it| it.state != "damaged").collect();
    assert_eq!(
        (patients.len(), &*patients[0].patient, &*patients[0].state),
        (1, "P1", "open")
    );

    // Whatever has the same short name, the genuine one is taken back.
    let code = tickets::ticket_code(&genuine.id);
    let revoked = join_tickets::revoke(practice, &code).unwrap().unwrap();
    assert_eq!((&*revoked.name, &*revoked.state), ("R1", "revoked"));
    let request = Request::RevokeTicket {
        ticket: tickets::ticket_code(&of_patient.id),
    };
    match devices::answer(practice, &request).unwrap() {
        Answer::TicketRevoked(ticket) => assert_eq!(ticket.patient, "P1"),
        answer => panic!("{answer:?}"),
    }
    make("r1").unwrap();
}

#[test]
fn no_ticket_is_read_that_is_longer_than_one() {
    let Some(scene) = Scene::new() else { return };
    let genuine = scene.invite("R1", Role::Auditor).unwrap();
    let patient = id("P1");
    let lifetime = tickets::LIFETIME;
    let ticket = tickets::make(&scene.practice, &patient, "a:1", lifetime, &mut OsRandom).unwrap();
    scene.attack(
        "ALTER TABLE join_ticket DROP CONSTRAINT join_ticket_request_check;
         UPDATE join_ticket SET sealed = convert_to(repeat('x', 30000000), 'UTF8'),
             doctor = repeat('D', 30000000), subject = repeat('R', 30000000), state = 'asked',
             request = convert_to(repeat('x', 30000000), 'UTF8');
         UPDATE ticket SET sealed = convert_to(repeat('x', 30000000), 'UTF8'),
             subject = repeat('P', 30000000)",
    );
    let store = &scene.practice.store;
    let row = store.clinic().unwrap().join_ticket(&genuine.id);
    let row = row.unwrap().unwrap();
    let request = row.request.map_or(0, |request| request.len());
    assert!(row.sealed.len() + row.doctor.len() + row.subject.len() + request < 1_000);
    let row = store.ticket(&ticket.id).unwrap().unwrap();
    assert!(row.sealed.len() + row.subject.len() < 1_000);
}

#[test]
fn no_number_of_rows_of_others_hides_who_works_in_the_clinic() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("R1", Role::Auditor);
    // Each looks like hers, under a name before hers, and has not the root's signature.
    scene.attack(
        "INSERT INTO staff
             SELECT 'A' || n, role, set_byte(certificate, 0, 2), joined
             FROM staff, generate_series(1, 1100) AS n WHERE id = 'R1';
         INSERT INTO fact
             SELECT 'A' || n, name, set_byte(set_byte(value, 300, n % 256), 301, n / 256)
             FROM fact, generate_series(1, 1100) AS n
             WHERE doctor = 'R1' AND name = 'own certificate';
         INSERT INTO audit_entry
             SELECT 'A' || n, number, at, actor, action, subject, detail, link
             FROM audit_entry, generate_series(1, 1100) AS n
             WHERE doctor = 'R1' AND number = 1",
    );
    assert!(staff::works_here(&scene.practice, "R1").unwrap());
    assert!(!staff::works_here(&scene.practice, "A7").unwrap());
    let member = staff::show(&scene.practice, &id("R1"), None).unwrap();
    assert_eq!((&*member.role, member.serials.len()), ("auditor", 1));
    let clinic = scene.practice.store.clinic().unwrap();
    let logs = clinic.logs().unwrap();
    assert_eq!(logs.len(), 1_000);
    assert!(!logs.contains(&"R1".to_owned()) && clinic.has_log("R1").unwrap());
    assert!(!clinic.has_log("R2").unwrap());
    // That there are more than are read is told.
    let unfit = scene.practice.store.nodes().unwrap().unfit().unwrap();
    assert_eq!(unfit, [("staff".to_owned(), 102)]);
}

#[test]
fn facts_of_all_are_bounded_together_and_the_shortest_are_read() {
    let Some(scene) = Scene::new() else { return };
    let facts = [(fact::EARLIER_CERTIFICATES, &b"short"[..])];
    scene.practice.store.set_facts(&facts).unwrap();
    scene.attack(
        "INSERT INTO fact
             SELECT 'A' || n, 'earlier certificates', convert_to(repeat('x', 1000000), 'UTF8')
             FROM generate_series(1, 40) AS n",
    );
    let clinic = scene.practice.store.clinic().unwrap();
    let all = clinic.facts_of_all(fact::EARLIER_CERTIFICATES).unwrap();
    let total: usize = all.iter().map(|(_, value)| value.len()).sum();
    assert!((10_000_000..17_000_000).contains(&total), "{total}");
    assert!(all.contains(&("D1".to_owned(), b"short".to_vec())));
}

#[test]
fn however_much_is_open_it_is_looked_for_in_parts() {
    const OPEN: u64 = 70_000;
    let Some(scene) = Scene::new() else { return };
    scene.attack(&format!(
        "INSERT INTO message SELECT n, substring(sha256(n::text::bytea) FOR 16), 'D1', 'broadcast',
             NULL, NULL, FALSE, 1, NULL, FALSE, '' FROM generate_series(1, {OPEN}) AS n;
         INSERT INTO delivery SELECT n, sha256('1'), 'P1', 1, NULL, NULL, NULL, NULL, TRUE
             FROM generate_series(1, {OPEN}) AS n"
    ));
    let device = {
        let mut admin = scene.schema.client().unwrap();
        let row = admin.query_one("SELECT sha256('1')", &[]).unwrap();
        <[u8; 32]>::try_from(row.get::<_, Vec<u8>>(0)).unwrap()
    };
    let nodes = scene.practice.store.nodes().unwrap();
    let (open, all_up_to) = nodes.open_for(&[(device, 0)], OPEN, now()).unwrap();
    assert!(open.len() < 66_000 && all_up_to < OPEN);
    assert_eq!(open.last().unwrap().0, all_up_to);
    let (open, all) = nodes.open_for(&[(device, all_up_to)], OPEN, now()).unwrap();
    assert_eq!(
        (open[0].0, open.last().unwrap().0, all),
        (all_up_to + 1, OPEN, OPEN)
    );
}
