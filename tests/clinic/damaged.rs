//! Requests to join that cannot be answered, among others that can.

use std::fs;

use telemed::doctor::joining::{self, Looked};
use telemed::doctor::newcomer::{NewcomerError, Progress};
use telemed::doctor::setup::{ROOT_KEY, SIGNING_KEY};
use telemed::elgamal::{Group, SignSecret};
use telemed::identity::authority::certify_staff;
use telemed::identity::certificate::Role;
use telemed::identity::join::{JoinRequest, JoinTicket, NewcomerKeys};
use telemed::identity::key_file::KeyKind;
use telemed::random::OsRandom;
use telemed::store::fact;

use crate::{HOUR, Scene, go_on, id, newcomer, now};

#[test]
fn a_second_request_for_a_name_keeps_nobody_else_waiting() {
    let Some(scene) = Scene::new() else { return };
    let clinic = scene.practice.store.clinic().unwrap();
    for _ in 0..2 {
        let ticket = scene.invite("D2", Role::Doctor).unwrap();
        let keys = NewcomerKeys::generate(&Group::ffdhe2048(), &mut OsRandom);
        let request = JoinRequest::make(&keys, &ticket, now(), &mut OsRandom);
        clinic
            .put_join_request(&ticket.id, request.as_bytes())
            .unwrap();
    }
    let ticket = scene.invite("D3", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D3"), scene.store("D3"));
    let third = newcomer(&directory, &*store, &ticket);
    go_on(third).unwrap();
    for _ in 0..3 {
        joining::look(&scene.practice, &mut OsRandom).unwrap();
    }
    assert_eq!(go_on(third).unwrap(), Progress::Joined);
    let staff: Vec<_> = clinic.staff().unwrap();
    let staff: Vec<_> = staff.iter().map(|row| &*row.id).collect();
    assert_eq!(staff, ["D1", "D2", "D3"]);
}

#[test]
fn a_damaged_request_is_named_and_the_others_are_seen() {
    let Some(scene) = Scene::new() else { return };
    let root = scene.practice.directory.path(ROOT_KEY);
    let away = scene.base.path().join("away.key");
    fs::rename(&root, &away).unwrap();
    for name in ["D2", "D3", "D4"] {
        let ticket = scene.invite(name, Role::Doctor).unwrap();
        let (directory, store) = (scene.directory(name), scene.store(name));
        go_on(newcomer(&directory, &*store, &ticket)).unwrap();
    }
    scene.attack(
        "UPDATE join_ticket SET sealed = convert_to(repeat('x', 30000000), 'UTF8')
             WHERE subject = 'D2';
         UPDATE join_ticket SET request = '\\x00' WHERE subject = 'D3'",
    );
    let asked = joining::waiting(&scene.practice).unwrap();
    let names: Vec<_> = asked.waiting.iter().map(|it| &*it.subject).collect();
    assert_eq!(names, ["D4"]);
    let mut unfit: Vec<_> = asked.unfit.iter().map(|it| &*it.subject).collect();
    unfit.sort_unstable();
    assert_eq!(unfit, ["D2", "D3"]);
    // Her server says it of each, and takes the two tickets back.
    let looked = joining::look(&scene.practice, &mut OsRandom).unwrap();
    let refused = looked.iter().filter(|it| matches!(it, Looked::Refused(_)));
    assert_eq!(refused.count(), 2, "{looked:?}");
    let needs = |it: &Looked| matches!(it, Looked::NeedsRoot(name) if name == "D4");
    assert!(looked.iter().any(needs), "{looked:?}");
    fs::rename(&away, &root).unwrap();
    let looked = joining::look(&scene.practice, &mut OsRandom).unwrap();
    let [Looked::Admitted(name, _)] = &looked[..] else {
        panic!("{looked:?}");
    };
    assert_eq!(name, "D4");
    assert!(
        joining::look(&scene.practice, &mut OsRandom)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_flood_of_forged_requests_is_refused_in_rounds_and_buries_none() {
    let Some(scene) = Scene::new() else { return };
    // Rows that are over and were made last of all, and forged requests that are
    // older than any other.
    scene.attack(
        "INSERT INTO join_ticket (id, doctor, subject, role, sealed, created, expires, state)
         SELECT substring(sha256(i::text::bytea) FOR 16), 'D1', 'D9', 'doctor', 'x',
                9000000000000, 9000000000000, 'revoked'
         FROM generate_series(1, 10001) i;
         INSERT INTO join_ticket
             (id, doctor, subject, role, sealed, created, expires, state, request)
         SELECT substring(sha256(i::text::bytea) FOR 16), 'D1', 'D8', 'doctor',
                decode(repeat('00', 16000), 'hex'), 1, 9000000000000, 'asked',
                decode(repeat('00', 10000), 'hex')
         FROM generate_series(20001, 20040) i;
         INSERT INTO join_ticket (id, doctor, subject, role, sealed, created, expires, state)
         SELECT substring(sha256(i::text::bytea) FOR 16), 'D1', 'D7', 'doctor', 'x',
                1, 9000000000000, 'asked'
         FROM generate_series(30001, 30040) i",
    );
    let ticket = scene.invite("D3", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D3"), scene.store("D3"));
    go_on(newcomer(&directory, &*store, &ticket)).unwrap();
    let asked = joining::waiting(&scene.practice).unwrap();
    assert!(asked.waiting.iter().any(|it| it.subject == "D3"));
    let mut refused = 0;
    for _ in 0..5 {
        let looked = joining::look(&scene.practice, &mut OsRandom).unwrap();
        let now = looked.iter().filter(|it| matches!(it, Looked::Refused(_)));
        let now = now.count();
        assert!(now <= 8, "{now} commits in one round");
        refused += now;
    }
    assert_eq!(refused, 40, "each once");
    assert_eq!(
        go_on(newcomer(&directory, &*store, &ticket)).unwrap(),
        Progress::Joined
    );
}

#[test]
fn whoever_has_a_ticket_and_writes_to_the_database_gets_no_other_role() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("R1", Role::Auditor).unwrap();
    // She knows the ticket's secret, and asks for more with it.
    scene.attack("UPDATE join_ticket SET role = 'doctor'");
    let raised = JoinTicket {
        role: Role::Doctor,
        ..ticket
    };
    let (directory, store) = (scene.directory("R1"), scene.store("R1"));
    let newcomer = newcomer(&directory, &*store, &raised);
    assert!(matches!(go_on(newcomer).unwrap(), Progress::Waiting { .. }));
    assert!(matches!(scene.look(), Some(Looked::Refused(_))));
    let error = go_on(newcomer).unwrap_err();
    assert!(matches!(error, NewcomerError::Revoked), "{error}");
    let staff = scene.practice.store.clinic().unwrap().staff().unwrap();
    assert_eq!(staff.len(), 1, "{staff:?}");
}

#[test]
fn a_ticket_with_which_somebody_else_has_asked_is_not_waited_for() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    // A thief of the ticket was faster: her request is right in itself.
    let keys = NewcomerKeys::generate(&Group::ffdhe2048(), &mut OsRandom);
    let request = JoinRequest::make(&keys, &ticket, now(), &mut OsRandom);
    let clinic = scene.practice.store.clinic().unwrap();
    clinic
        .put_join_request(&ticket.id, request.as_bytes())
        .unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let error = go_on(newcomer(&directory, &*store, &ticket)).unwrap_err();
    assert!(matches!(error, NewcomerError::UsedByAnother), "{error}");
}

#[test]
fn nobody_has_joined_with_a_certificate_of_another_name_root_or_time() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    let path = directory.path(SIGNING_KEY);
    let (_, secret) = directory
        .keyring()
        .load(&path, KeyKind::DoctorSigning)
        .unwrap();
    let own = scene.practice.identity();
    let hers = SignSecret::from_bytes(own.group(), secret.expose()).unwrap();
    let stranger = SignSecret::generate(own.group(), &mut OsRandom);
    let certify = |root: &SignSecret, name, since| {
        let (root, key) = ((&own.root, root), hers.verifying_key().clone());
        certify_staff(root, (&id(name), Role::Doctor), key, since, &mut OsRandom)
    };
    let (root, long_ago) = (scene.root(), now().minus(HOUR * 24 * 400));
    for (what, certificate) in [
        ("name", certify(&root, "D3", now())),
        ("root", certify(&stranger, "D2", now())),
        ("time", certify(&root, "D2", long_ago)),
    ] {
        let facts = [(fact::DOCTOR_CERTIFICATE, certificate.as_bytes())];
        store.set_facts(&facts).unwrap();
        let progress = go_on(newcomer).unwrap();
        assert!(matches!(progress, Progress::Waiting { .. }), "{what}");
    }
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
}
