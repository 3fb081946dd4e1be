//! What the administrator of a clinic does, and what its doctors are told, with
//! a node each.

use telemed::doctor::messages::is_confirmation_genuine;
use telemed::doctor::{presence, staff};
use telemed::hex;

use super::*;

/// Takes a doctor out of the clinic, with the root's key of the first.
pub(super) fn revoke(first: &Practice, name: &str) {
    let practice = first.server().practice();
    let papers = first.papers();
    let name = name.parse().unwrap();
    let member = staff::show(practice, &name, None).unwrap();
    let secret = first.root(&papers);
    let (root, store) = ((&papers.root, &secret), &*first.store);
    let list = staff::next_list(store, root, &member.serials, first.now(), &mut OsRandom);
    let list = list.unwrap();
    let known = staff::stored_closed(&*first.store, &papers.root).unwrap();
    let (whose, by) = ((&name, &[][..], &known), (&list, None));
    let closed = staff::close_keys_of(store, root, whose, by, first.now(), &mut OsRandom).unwrap();
    let closed: Vec<_> = closed.iter().map(|it| hex::encode(it.as_bytes())).collect();
    let signed = (list.as_bytes(), &closed[..]);
    staff::revoke(practice, &name, signed, "has left", None).unwrap();
}

fn transferred(event: &Event, name: &str) -> Option<()> {
    match event {
        Event::Transferred(patient) => (patient == name).then_some(()),
        _ => None,
    }
}

/// As the doctors' programs do it, but for the papers of who works here.
fn give(practice: &Practice, patient: &str, doctor: &str) {
    let clinic = practice.store.clinic().unwrap();
    let from = clinic.assigned(patient).unwrap().unwrap();
    assert!(clinic.transfer(patient, &from, doctor, &[]).unwrap());
}

#[test]
fn a_doctor_who_is_revoked_serves_nobody_and_all_hear_of_it_at_once() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2"]);
    let serial = second.papers().certificate.subject().serial;
    let mut stays = connect_to(&mut people[0], &first);
    let mut loses = connect_to(&mut people[1], &second);
    // Confirmed at the node of the doctor who leaves then.
    let sent = first.server().send(&to_clinic("keep this")).unwrap();
    let came = loses.message();
    loses.confirm(&people[1], came.id, &came.hash);
    first.wait_for_state(sent.number, "P2", "confirmed");

    let began = Instant::now();
    revoke(&first, "D2");
    assert_eq!(loses.disconnected(), DisconnectReason::ShuttingDown);
    assert_eq!(stays.disconnected(), DisconnectReason::Expired);
    assert!(began.elapsed() < Duration::from_secs(5), "{began:?}");
    second.wait_for("the reason", |event| match event {
        Event::Trouble(sentence) => sentence.contains("certificate of doctor D2").then_some(()),
        _ => None,
    });
    assert!(second.server().dismissed().is_some() && first.server().dismissed().is_none());
    // Nobody gets in there any more, and her own words change nothing.
    assert!(people[1].try_connect(second.address(), None).is_err());
    eventually("she has no node", || {
        first.store.nodes().unwrap().running().unwrap().len() == 1
    });
    // The others come back and know it.
    for person in &mut people {
        turn_to(person, &first);
        let mut session = person.connect(first.address());
        session.sync(first.now());
        assert!(person.doctor.revoked().contains(&serial));
    }
    // What was confirmed to her stays so.
    let practice = first.server().practice();
    let row = first.store.message(sent.number).unwrap().unwrap();
    assert!(is_confirmation_genuine(practice, &row, &people[1].device()).unwrap());
}

#[test]
fn a_patient_who_was_given_while_nothing_was_heard_is_announced_and_no_other() {
    let Some((schema, first, second)) = two_to_be_cut() else {
        return;
    };
    let name = schema.unique();
    for patient in ["P1", "P2"] {
        first.enrol(patient);
    }
    eventually("the nodes run", || {
        first.store.nodes().unwrap().running().unwrap().len() == 2
    });
    // The first looks are over when both have told where they are reached.
    give(&first, "P2", &name);
    second.wait_for("heard of", |event| transferred(event, "P2"));
    // Nobody is told of changes any more, and then the connection is lost.
    let mut admin = schema.admin();
    let deaf = "DROP TRIGGER assignment_notify ON assignment";
    admin.batch_execute(deaf).unwrap();
    second.enrol("P5");
    give(&first, "P1", &name);
    schema.cut(&name);
    second.wait_for("found by looking", |event| transferred(event, "P1"));
    let told = second.events();
    let is_own = |event: &Event| transferred(event, "P5").is_some();
    assert!(!told.iter().any(is_own), "{told:?}");
}

#[test]
fn a_doctor_hears_what_her_patients_write_to_others_and_where_they_are() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let (mut own, mut other) = (first.enrol("P1"), second.enrol("P2"));
    eventually("the nodes run", || {
        first.store.nodes().unwrap().running().unwrap().len() == 2
    });
    let mut own_session = connect_to(&mut own, &second);
    let mut other_session = connect_to(&mut other, &second);
    second.wait_for_members(2);
    // What is there at the first look is in the inbox; the look comes with the
    // first message of all at the latest.
    eventually("told", || {
        other_session.sync(second.now());
        own_session.sync(second.now());
        let told = first.events();
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, Event::Elsewhere { patient, .. } if patient == "P2")),
            "{told:?}"
        );
        told.iter().any(|event| {
            matches!(event, Event::Elsewhere { patient, through, message }
                if patient == "P1" && through == "D2" && message.text() == "are you there?")
        })
    });
    let nodes = presence::own_elsewhere(first.server().practice()).unwrap();
    let [node] = &nodes[..] else {
        panic!("one node has her: {nodes:?}");
    };
    let there: Vec<_> = node.devices.iter().map(|it| &*it.patient).collect();
    assert_eq!((&*node.doctor, there), ("D2", vec!["P1"]));
    assert!(
        presence::own_elsewhere(second.server().practice())
            .unwrap()
            .is_empty()
    );
}
