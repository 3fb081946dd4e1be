//! Two doctors of one clinic, each with a server, on one `PostgreSQL` database.

mod administration;
#[path = "nodes/bounds.rs"]
mod bounds;
#[path = "nodes/forged.rs"]
mod forged;
#[path = "nodes/given.rs"]
mod given;
#[path = "nodes/killed.rs"]
mod killed;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../src/store/postgres/tests/proxy.rs"]
mod proxy;
#[path = "nodes/tokens.rs"]
mod tokens;
#[path = "nodes/unsure.rs"]
mod unsure;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use telemed::doctor::event::{Departure, Event};
use telemed::doctor::post::{Letter, Recipients};
use telemed::doctor::presence;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::protocol::DisconnectReason;
use telemed::random::OsRandom;
use telemed::session::patient::Delivery;
use telemed::store::fact;

use crate::support::postgres::Schema;
use crate::support::{Got, Person, Practice, Session, eventually};

/// A clinic of two, or nothing where there is no database.
fn two() -> Option<(Schema, Practice, Practice)> {
    let schema = Schema::new()?;
    let first = Practice::in_clinic(&schema);
    let second = first.colleague(&schema, "D2");
    Some((schema, first, second))
}

/// The same with a second doctor whose connections are known by her name: it is
/// that of no other test's.
fn two_to_be_cut() -> Option<(Schema, Practice, Practice)> {
    let schema = Schema::new()?;
    let first = Practice::in_clinic(&schema);
    let second = first.colleague(&schema, &schema.unique());
    Some((schema, first, second))
}

/// A patient turns to another doctor of her clinic.
fn turn_to(person: &mut Person, practice: &Practice) {
    person.doctor = practice.known_doctor(&practice.papers());
}

fn connect_to(person: &mut Person, practice: &Practice) -> Session {
    turn_to(person, practice);
    person.connect(practice.address())
}

fn to_clinic(text: &str) -> Letter<'_> {
    Letter {
        urgent: true,
        ..Letter::new(Recipients::Clinic, text)
    }
}

/// Says where two doctors are reached.
fn give_addresses(practices: [&Practice; 2]) {
    for (practice, address) in practices
        .into_iter()
        .zip(["one.example:4000", "two.example:4000"])
    {
        let facts = [(fact::ADDRESS, address.as_bytes())];
        practice.store.set_facts(&facts).unwrap();
    }
}

fn names(practice: &Practice) -> Vec<String> {
    let present = practice.server().connected();
    let names = present.iter().map(|it| it.peer.patient.to_string());
    names.collect()
}

#[test]
fn a_patient_of_one_doctor_is_reached_at_the_other() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = person.connect(first.address());
    session.leave();
    first.wait_for_members(0);
    let mut session = connect_to(&mut person, &second);
    // She is connected a moment before the database says so.
    eventually("she is known to be at the other", || {
        let nodes = presence::of_clinic(second.server().practice()).unwrap();
        let runs = |node: &&presence::Node| node.doctor == "D2";
        nodes
            .iter()
            .find(runs)
            .is_some_and(|node| !node.devices.is_empty())
    });
    let name = "P1".parse().unwrap();
    let private = first.server().message(&name, "from D1").unwrap();
    let counts = (private.devices, private.elsewhere, private.away);
    assert_eq!(counts, (0, 1, 0));
    let came = session.message();
    assert_eq!((&*came.text, came.delivery), ("from D1", Delivery::Private));
    first.wait_for_state(private.number, "P1", "delivered");
    // It is hers, though she is elsewhere.
    let broadcast = first.server().broadcast("to mine", false).unwrap();
    let came = session.message();
    assert_eq!(
        (&*came.text, came.delivery),
        ("to mine", Delivery::Broadcast)
    );
    first.wait_for_state(broadcast.number, "P1", "delivered");
    // And what she writes is the clinic's.
    session.sync(second.now());
    assert_eq!(first.store.unread_count().unwrap(), 1);
    // What waits for her is given where she comes next.
    session.leave();
    second.wait_for_members(0);
    let later = second.server().message(&name, "from D2").unwrap();
    let mut session = connect_to(&mut person, &first);
    assert_eq!(session.message().text, "from D2");
    second.wait_for_state(later.number, "P1", "delivered");
}

#[test]
fn a_broadcast_to_the_clinic_is_one_and_reaches_the_patients_of_all_nodes() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2", "P3", "P4"]);
    let mut sessions = people.each_mut().map(|person| {
        match person.identity.certificate().subject().identifier.as_str() {
            "P1" | "P2" => connect_to(person, &first),
            _ => connect_to(person, &second),
        }
    });
    for session in &mut sessions {
        session.epoch_of(2);
    }
    let sent = second
        .server()
        .send(&to_clinic("leave the building"))
        .unwrap();
    assert_eq!((sent.devices, sent.elsewhere, sent.away), (2, 2, 0));
    for (session, person) in sessions.iter_mut().zip(&people) {
        let came = session.message();
        assert_eq!(came.text, "leave the building");
        // To the group of her node.
        assert_eq!(came.delivery, Delivery::Broadcast);
        session.confirm(person, came.id, &came.hash);
    }
    for practice in [&first, &second] {
        for patient in ["P1", "P2", "P3", "P4"] {
            practice.wait_for_state(sent.number, patient, "confirmed");
        }
        assert_eq!(practice.report(sent.number).outcomes.len(), 4);
    }
    for session in &mut sessions {
        assert!(session.all_messages(first.now()).is_empty(), "once");
    }
}

#[test]
fn a_broadcast_to_ones_own_patients_reaches_no_others() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let (mut own, mut other) = (first.enrol("P1"), second.enrol("P2"));
    let mut sessions = [connect_to(&mut own, &first), connect_to(&mut other, &first)];
    for session in &mut sessions {
        session.epoch_of(2);
    }
    first.server().broadcast("to mine", true).unwrap();
    assert_eq!(sessions[0].message().text, "to mine");
    second.server().broadcast("to hers", true).unwrap();
    assert_eq!(sessions[1].message().text, "to hers");
    for session in &mut sessions {
        assert!(session.all_messages(first.now()).is_empty());
    }
}

#[test]
fn who_moves_to_another_node_is_only_there() {
    let Some((schema, first, second)) = two_to_be_cut() else {
        return;
    };
    let mut person = first.admit_one("P1");
    let mut old = connect_to(&mut person, &first);
    first.wait_for_members(1);
    let mut new = connect_to(&mut person, &second);
    assert_eq!(old.disconnected(), DisconnectReason::Superseded);
    first.wait_for_members(0);
    first.wait_for("moved", |event| match event {
        Event::Left(_, Departure::Moved) => Some(()),
        _ => None,
    });
    new.sync(second.now());
    assert_eq!(names(&second), ["P1"]);
    // And back, while nothing is heard of changes.
    let mut back = connect_to(&mut person, &first);
    schema.cut(&schema.unique());
    assert_eq!(new.disconnected(), DisconnectReason::Superseded);
    back.sync(first.now());
    assert_eq!(names(&first), ["P1"]);
}

#[test]
fn who_is_revoked_at_one_node_is_put_out_at_the_other_at_once() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2"]);
    let mut sessions = people.each_mut().map(|person| connect_to(person, &second));
    second.wait_for_members(2);
    let began = Instant::now();
    let entry = |_: &_| {
        let books = telemed::audit::Action::Revoked;
        telemed::audit::Entry::new(first.now(), "D1", books, "P1", "")
    };
    first.store.revoke("P1", None, &entry).unwrap();
    assert_eq!(sessions[0].disconnected(), DisconnectReason::Revoked);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    sessions[1].sync(second.now());
    assert_eq!(names(&second), ["P2"]);
}

#[test]
fn clocks_that_differ_by_twenty_seconds_do_not_matter() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    second.clock.advance(Duration::from_secs(20));
    let mut person = first.enrol("P1");
    let mut old = connect_to(&mut person, &first);
    old.epoch();
    let mut new = connect_to(&mut person, &second);
    assert_eq!(old.disconnected(), DisconnectReason::Superseded);
    new.epoch();
    first.server().send(&to_clinic("one")).unwrap();
    assert_eq!(new.message().text, "one");
    second.server().send(&to_clinic("two")).unwrap();
    assert_eq!(new.message().text, "two");
    // Back to the node whose clock is behind.
    let mut old = connect_to(&mut person, &first);
    assert_eq!(new.disconnected(), DisconnectReason::Superseded);
    second.server().send(&to_clinic("three")).unwrap();
    let texts: Vec<_> = (0..3).map(|_| old.message().text).collect();
    // Urgent messages come again until they are confirmed.
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn what_is_sent_while_nothing_is_heard_is_found_by_looking() {
    let Some((schema, first, second)) = two_to_be_cut() else {
        return;
    };
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    for round in 0..3 {
        // Nothing is under way for which the session would be begun anew.
        session.sync(second.now());
        schema.cut(&schema.unique());
        let text = format!("round {round}");
        first.server().broadcast(&text, false).unwrap();
        assert_eq!(session.message().text, text);
    }
}

/// Both send all the time, to all, to some and to one, while patients come and
/// go; nobody gets anything twice in a session, and everybody everything.
#[test]
fn two_nodes_that_send_at_once_give_each_message_once() {
    const ROUNDS: usize = 30;
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let servers = [&first, &second].map(|node| node.server());
    let papers = [&first, &second].map(|node| node.papers());
    let bundles = papers.each_ref().map(|papers| papers.bundle(first.now()));
    let mut people = first.admit(["P1", "P2", "P3", "P4"]);
    let got = thread::scope(|scope| {
        let senders: Vec<_> = servers
            .into_iter()
            .enumerate()
            .map(|(which, server)| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let text = format!("{which} {round}");
                        let to = match round % 3 {
                            0 => Recipients::Clinic,
                            1 => Recipients::Chosen(vec![
                                "P1".parse().unwrap(),
                                "P2".parse().unwrap(),
                                "P3".parse().unwrap(),
                                "P4".parse().unwrap(),
                            ]),
                            _ => Recipients::One("P1".parse().unwrap()),
                        };
                        server.send(&Letter::new(to, &text)).unwrap();
                    }
                })
            })
            .collect();
        let listeners: Vec<_> = people
            .iter_mut()
            .enumerate()
            .map(|(number, person)| {
                let (papers, bundles) = (&papers, &bundles);
                scope.spawn(move || {
                    let is_first = number == 0;
                    let wanted = if is_first {
                        2 * ROUNDS
                    } else {
                        2 * ROUNDS * 2 / 3
                    };
                    let mut got: BTreeMap<String, usize> = BTreeMap::new();
                    let mut node = number;
                    while got.len() < wanted {
                        let (papers, bundle) = (&papers[node % 2], &bundles[node % 2]);
                        person.doctor = KnownDoctor::first_contact(
                            bundle,
                            &papers.root.fingerprint(),
                            papers.identifier(),
                            person.now(),
                            &mut OsRandom,
                        )
                        .unwrap();
                        let mut session = person.connect(servers[node % 2].address());
                        let mut here = BTreeMap::new();
                        // Stay for some messages, then move.
                        while got.len() < wanted && (here.len() < 9 || number > 1) {
                            let text = session.message().text;
                            let times: &mut usize = here.entry(text.clone()).or_default();
                            *times += 1;
                            assert_eq!(*times, 1, "{text} twice in a session");
                            got.entry(text).or_default();
                        }
                        session.leave();
                        node += 1;
                    }
                    got
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        let got = listeners.into_iter().map(|it| it.join().unwrap());
        got.collect::<Vec<_>>()
    });
    assert_eq!(got[0].len(), 2 * ROUNDS);
    eventually("everything has arrived", || {
        first.store.missing_counts(None).unwrap().is_empty()
    });
}

#[test]
fn patients_are_told_where_the_clinics_doctors_are_as_soon_as_there_are_two() {
    let Some(schema) = Schema::new() else { return };
    let first = Practice::in_clinic(&schema);
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &first);
    let second = first.colleague(&schema, "D2");
    give_addresses([&first, &second]);
    // Looked at every half a minute; a change of the roster is heard at once.
    let mut admin = schema.admin();
    admin.batch_execute("DELETE FROM roster").unwrap();
    let entries = session.until("a roster", |got| match got {
        Got::Roster(entries) => Some(entries.clone()),
        _ => None,
    });
    assert_eq!(entries.len(), 2);
}

#[test]
fn news_that_cannot_be_looked_at_now_keep_no_others_back() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    give_addresses([&first, &second]);
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    // Papers are looked at first, and this table is asked for them.
    lock.batch_execute("LOCK TABLE roster IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let tell = "SELECT pg_notify(current_schema(), 'roster')";
    schema.admin().batch_execute(tell).unwrap();
    eventually("papers are looked at", || {
        given::waiting(&schema, "roster") >= 2
    });
    first.server().send(&to_clinic("at once")).unwrap();
    assert_eq!(session.message().text, "at once");
    lock.commit().unwrap();
}

#[test]
fn a_patient_who_is_given_to_another_doctor_is_hers_and_she_is_told() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    first.enrol("P1");
    let clinic = first.store.clinic().unwrap();
    assert_eq!(clinic.assigned("P1").unwrap().unwrap(), "D1");
    // What the first look at everything finds is not told.
    eventually("the nodes run", || {
        first.store.nodes().unwrap().running().unwrap().len() == 2
    });
    let row = telemed::store::clinic::StaffRow {
        id: "D2".to_owned(),
        role: "doctor".to_owned(),
        certificate: second.papers().certificate.as_bytes().to_vec(),
        joined: first.now(),
    };
    assert!(clinic.add_staff_if_new(&row).unwrap());
    let give = |practice: &Practice, patient: &str, doctor: &str| {
        let (patient, doctor) = (patient.parse().unwrap(), doctor.parse().unwrap());
        let practice = practice.server().practice();
        telemed::doctor::transfer::transfer(practice, &patient, &doctor)
            .map_err(|error| error.to_string())
    };
    for (practice, patient, doctor, part) in [
        (&first, "P1", "D3", "no doctor D3"),
        (&first, "P9", "D2", "no doctor's patient"),
        (&first, "P1", "D1", "of D1 already"),
        (&second, "P1", "D2", "a patient of D1"),
    ] {
        let error = give(practice, patient, doctor).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    give(&first, "P1", "D2").unwrap();
    assert_eq!(clinic.assigned("P1").unwrap().unwrap(), "D2");
    second.wait_for("transferred", |event| match event {
        Event::Transferred(patient) => (patient == "P1").then_some(()),
        _ => None,
    });
    assert!(give(&first, "P1", "D2").unwrap_err().contains("D2"));
}
