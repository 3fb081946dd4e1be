//! Rows that somebody has put into the database who has its password: they hide
//! nothing that is genuine, and fill no memory.

use telemed::doctor::devices::{self, Answer, Request};
use telemed::doctor::tickets::{self, TicketRefusal};
use telemed::doctor::{alike, join_tickets};
use telemed::identity::certificate::Role;
use telemed::random::OsRandom;

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
