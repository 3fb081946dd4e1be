//! Patients whom no message reaches: it is said who and why, and what was
//! written before stays.

use std::time::Duration;

use telemed::clock::Timestamp;
use telemed::doctor::control::{Answer, Broadcast, Request};
use telemed::doctor::correspondence;
use telemed::doctor::desk::Desk;
use telemed::doctor::office;
use telemed::doctor::post::{Letter, Recipients};
use telemed::doctor::reach::Why;
use telemed::protocol::message::Boundary;
use telemed::store::{CertificateRow, CertificateState};

use crate::support::Practice;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A device of this name, as far as the books go.
fn device(practice: &Practice, patient: &str, state: CertificateState, not_after: Timestamp) {
    let count = practice.store.certificates().unwrap().len();
    let serial = telemed::kdf::hash(&[patient.as_bytes(), &[count as u8]]);
    practice
        .store
        .add_certificate(&CertificateRow {
            serial: *serial.first_chunk().unwrap(),
            fingerprint: *serial.first_chunk().unwrap(),
            subject: patient.to_owned(),
            bytes: vec![1],
            state,
            ticket: None,
            // One after the other, whatever the clock says.
            created: practice.now().plus(Duration::from_millis(count as u64)),
            not_after,
        })
        .unwrap();
}

/// P2 to P5, whom nothing reaches; gives when P5's certificate has ended.
fn four_who_are_out(practice: &Practice) -> Timestamp {
    let (past, future) = (practice.now().minus(DAY), practice.now().plus(DAY));
    device(practice, "P2", CertificateState::Inactive, future);
    device(practice, "P3", CertificateState::Frozen, future);
    device(practice, "P4", CertificateState::Revoked, future);
    device(practice, "P5", CertificateState::Active, past);
    past
}

fn desk(practice: &mut Practice) -> Desk {
    Desk::new(practice.take_server(), Box::new(|| {}))
}

#[test]
fn why_a_named_patient_is_not_reached_is_said() {
    let practice = Practice::open();
    let ended = four_who_are_out(&practice);
    let day = ended.to_string()[..10].to_owned();
    let day = day.as_str();
    for (patient, parts) in [
        ("P1", ["no patient P1 has enrolled", "enrol P1 first"]),
        (
            "P2",
            ["P2 has enrolled", "send it again once P2 has connected"],
        ),
        ("P3", ["P3 is frozen after an alarm", "phone P3"]),
        ("P4", ["P4 is revoked", "doctor enrol P4"]),
        ("P5", ["the certificate of P5 ended on ", day]),
    ] {
        let name: telemed::identity::id::Identifier = patient.parse().unwrap();
        for to in [
            Recipients::Chosen(vec![name.clone()]),
            Recipients::One(name),
        ] {
            let refused = practice.server().send(&Letter::new(to, "hello"));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("nothing was sent"), "{refused}");
            assert!(parts.iter().all(|part| refused.contains(part)), "{refused}");
        }
    }
    let all = practice.server().broadcast("hello", false).unwrap_err();
    let all = all.to_string();
    assert!(
        all.contains("P3 (frozen after an alarm), P4 (revoked), "),
        "{all}"
    );
    assert!(
        all.contains(&format!("P5 (certificate ended {day})")),
        "{all}"
    );
    assert!(practice.server().report(10).unwrap().is_empty());
}

#[test]
fn a_broadcast_names_those_it_leaves_out() {
    let mut practice = Practice::open();
    let [_one] = practice.admit(["P1"]);
    let ended = four_who_are_out(&practice);
    let desk = desk(&mut practice);
    let answer = desk.answer(Request::Broadcast(Broadcast {
        text: "hello".to_owned(),
        ..Broadcast::default()
    }));
    let Answer::Sent { away, left_out, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(away, 1);
    let told: Vec<_> = left_out
        .iter()
        .map(|out| (&*out.patient, out.why))
        .collect();
    assert_eq!(
        told,
        [
            ("P2", Why::NotConnectedYet),
            ("P3", Why::Frozen),
            ("P4", Why::Revoked),
            ("P5", Why::Ended(ended)),
        ]
    );
}

#[test]
fn who_is_left_out_with_several_devices_is_named_once_with_their_number() {
    let practice = Practice::open();
    let future = practice.now().plus(DAY);
    for state in [
        CertificateState::Frozen,
        CertificateState::Revoked,
        CertificateState::Revoked,
    ] {
        device(&practice, "P2", state, future);
    }
    device(&practice, "P3", CertificateState::Revoked, future);
    let refused = practice.server().broadcast("hello", false).unwrap_err();
    let refused = refused.to_string();
    let part = "no message reaches P2 (2 devices: revoked), P3 (revoked);";
    assert!(refused.contains(part), "{refused}");
}

#[test]
fn a_consultation_with_somebody_frozen_ends_and_the_word_waits_for_her() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let serial = practice.store.certificates().unwrap()[0].serial;
    let patient = "P1".to_owned();
    let letter = Letter {
        boundary: Some(Boundary::Opens),
        ..Letter::new(Recipients::One("P1".parse().unwrap()), "How are you?")
    };
    practice.server().send(&letter).unwrap();
    let mut session = person.connect(practice.address());
    assert_eq!(session.message().text, "How are you?");
    practice.wait_for_state(1, "P1", "delivered");
    drop(session);
    practice.wait_for_members(0);
    let set = |state| {
        let store = &practice.store;
        assert!(store.set_certificate_state(&serial, state).unwrap());
    };
    set(CertificateState::Frozen);
    let address = practice.address();
    practice.clock.advance(Duration::from_millis(2));
    let history = |desk: &Desk| {
        let patient = "P1".to_owned();
        let request = correspondence::Request::History {
            patient,
            last: None,
        };
        let answer = desk.answer(Request::Office(office::Request::Letters(request)));
        let Answer::Office(office::Answer::Letters(correspondence::Answer::History {
            letters,
            consulting,
            ..
        })) = answer
        else {
            panic!("{answer:?}");
        };
        let states = letters.into_iter().map(|letter| letter.state);
        (states.collect::<Vec<_>>(), consulting)
    };
    let server = practice.take_server();
    let desk = Desk::new(server, Box::new(|| {}));
    desk.check_on_file(&"P1".parse().unwrap()).unwrap();
    assert!(desk.check_patient(&"P1".parse().unwrap()).is_err());
    assert_eq!(history(&desk), (vec!["delivered".to_owned()], true));
    let end = Request::Consult { patient, end: true };
    let ended = desk.answer(end.clone());
    assert!(
        matches!(
            ended,
            Answer::Sent {
                devices: 0,
                away: 1,
                boundary: Some(Boundary::Closes),
                ..
            }
        ),
        "{ended:?}"
    );
    let told = ["delivered", "queued"].map(str::to_owned).to_vec();
    assert_eq!(history(&desk), (told, false));
    let again = desk.answer(end);
    assert!(
        matches!(again, Answer::Consulting { open: false, .. }),
        "{again:?}"
    );
    let store = &practice.store;
    let active = CertificateState::Active;
    assert!(store.set_certificate_state(&serial, active).unwrap());
    practice.run_a_while();
    let mut session = person.connect(address);
    assert_eq!(session.message().text, "The consultation has ended.");
}

#[test]
fn a_consultation_with_somebody_revoked_ends_and_the_word_is_kept() {
    let mut practice = Practice::open();
    let _person = practice.admit_one("P1");
    let serial = practice.store.certificates().unwrap()[0].serial;
    let desk = desk(&mut practice);
    let consult = |end| {
        let patient = "P1".to_owned();
        desk.answer(Request::Consult { patient, end })
    };
    assert!(matches!(consult(false), Answer::Sent { away: 1, .. }));
    let revoked = CertificateState::Revoked;
    practice
        .store
        .set_certificate_state(&serial, revoked)
        .unwrap();
    assert!(matches!(consult(false), Answer::Failed(_)));
    practice.clock.advance(Duration::from_millis(2));
    let ended = consult(true);
    assert!(
        matches!(
            ended,
            Answer::Sent {
                devices: 0,
                away: 0,
                ..
            }
        ),
        "{ended:?}"
    );
    let ended = consult(true);
    assert!(
        matches!(ended, Answer::Consulting { open: false, .. }),
        "{ended:?}"
    );
    assert!(practice.store.deliveries(2).unwrap().is_empty());
    let unknown = desk.check_on_file(&"P9".parse().unwrap()).unwrap_err();
    assert!(unknown.contains("there is no patient P9"), "{unknown}");
}
