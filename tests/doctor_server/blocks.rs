//! Addresses that fail too often to prove anything are blocked; patients who
//! share one are not.

use std::net::IpAddr;
use std::time::Duration;

use telemed::doctor::blocks::{Answer, BlockedAddress, Request};
use telemed::doctor::event::Event;
use telemed::doctor::gate::BlockRule;
use telemed::doctor::shared::Settings;
use telemed::framing::{Frame, MAX_LEN_BEFORE_SESSION};
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::resume;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::sub;
use telemed::random::OsRandom;
use telemed::store::CertificateState;

use crate::support::{Person, Practice, Wire, eventually};

/// The address all connections of a test come from if nothing else is said.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A frame with its last bit flipped: what is sealed in it does not open.
fn damaged(frame: Frame) -> Frame {
    let mut bytes = frame.into_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    Frame::parse(&bytes, MAX_LEN_BEFORE_SESSION).unwrap()
}

/// Sends a first message nobody can open; the connection ends.
fn knock(practice: &Practice, stranger: &Person) {
    let mut wire = stranger.dial(practice.address());
    wire.send(&damaged(stranger.first_message().0));
    assert!(wire.next().is_none());
}

fn blocks(practice: &Practice, request: &Request) -> Vec<BlockedAddress> {
    match practice.server().blocks(request).unwrap() {
        Answer::Listed(blocks) | Answer::Lifted(blocks) => blocks,
    }
}

fn wait_for_block(practice: &Practice) -> Duration {
    practice.wait_for("blocked", |event| match event {
        Event::Blocked(HERE, time) => Some(*time),
        _ => None,
    })
}

/// Begins to enrol; whether the server answers.
fn is_enrolment_answered(practice: &Practice, name: &str) -> bool {
    let (server, doctor) = (practice.server(), practice.known_doctor(&practice.papers()));
    let address = practice.address();
    let ticket = server
        .enrol(&name.parse().unwrap(), &address.to_string())
        .unwrap();
    let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
    let (e1, _) = enrol::begin(&keys, &ticket, &doctor, practice.now(), &mut OsRandom);
    let mut wire = Wire::dial(address);
    wire.send(&e1);
    wire.next().is_some()
}

#[test]
fn an_address_that_fails_too_often_is_blocked_for_strangers_and_not_for_patients() {
    let practice = Practice::open();
    let [mut patient, stranger] = practice.admit(["P1", "P2"]);
    for _ in 0..BlockRule::default().after.get() {
        assert!(blocks(&practice, &Request::List).is_empty());
        knock(&practice, &stranger);
    }
    assert_eq!(wait_for_block(&practice), Duration::from_secs(600));
    assert!(!is_enrolment_answered(&practice, "P3"));
    // Whoever holds a certificate and its key comes in from there, too.
    let mut session = patient.connect(practice.address());
    practice
        .server()
        .broadcast("for whom I know", false)
        .unwrap();
    session.message();
    let listed = blocks(&practice, &Request::List);
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].address, listed[0].refused), (HERE, 1));
    let time = listed[0].until.since(listed[0].since);
    assert!((599..=600).contains(&time.as_secs()), "{time:?}");
    // Nor is anybody elsewhere concerned.
    assert!(blocks(&practice, &Request::Lift(Some([127, 0, 0, 2].into()))).is_empty());
    assert_eq!(blocks(&practice, &Request::Lift(Some(HERE))).len(), 1);
    assert!(blocks(&practice, &Request::List).is_empty());
    assert!(is_enrolment_answered(&practice, "P3"));
}

#[test]
fn a_blocked_address_costs_no_more_than_the_slow_pace() {
    let rule = BlockRule {
        after: std::num::NonZeroU32::MIN,
        time: Some(Duration::from_secs(24 * 3_600)),
    };
    let practice = Practice::with(Settings {
        block: rule,
        ..Settings::default()
    });
    let stranger = practice.admit_one("P1");
    knock(&practice, &stranger);
    assert_eq!(wait_for_block(&practice), Duration::from_secs(24 * 3_600));
    let before = practice.server().first_messages_heard();
    for _ in 0..30 {
        knock(&practice, &stranger);
    }
    let heard = practice.server().first_messages_heard() - before;
    // Five at once, and what the minute gives back meanwhile.
    assert!((1..=10).contains(&heard), "{heard}");
    let listed = blocks(&practice, &Request::List);
    assert!(listed[0].refused >= 20, "{listed:?}");
}

#[test]
fn a_patient_with_a_token_gets_into_a_blocked_address_that_has_used_up_everything() {
    let practice = Practice::open();
    let [mut patient, stranger] = practice.admit(["P1", "P2"]);
    let session = patient.connect(practice.address());
    for _ in 0..BlockRule::default().after.get() {
        knock(&practice, &stranger);
    }
    wait_for_block(&practice);
    let is_heard = || {
        let before = practice.server().first_messages_heard();
        knock(&practice, &stranger);
        practice.server().first_messages_heard() > before
    };
    eventually("all is used up", || !is_heard());
    let (ticket, progress) = session.drop_line();
    practice.wait_for_members(0);
    let mut session = patient.resume(practice.address(), ticket, Some(progress));
    session.sync(practice.now());
    // Nobody else has gained anything by it.
    assert!(!is_heard());
    assert_eq!(blocks(&practice, &Request::List).len(), 1);
}

#[test]
fn requests_to_resume_without_a_token_take_no_first_message_and_no_exponentiation() {
    let practice = Practice::with(Settings {
        handshakes_per_address: 2,
        ..Settings::default()
    });
    let mut patient = practice.admit_one("P1");
    let (ticket, _) = patient.connect(practice.address()).drop_line();
    let group = patient.doctor.group();
    let (request, _) = resume::begin(ticket, group, patient.now(), &mut OsRandom);
    let before = practice.server().first_messages_heard();
    for _ in 0..20 {
        let mut wire = patient.dial(practice.address());
        wire.send(&damaged(request.clone()));
        let answer = wire.frame();
        assert_eq!(answer.as_bytes(), resume::no_token().as_bytes());
    }
    assert_eq!(practice.server().first_messages_heard(), before);
    // The token is still good, and so is the allowance for a first message.
    let mut wire = patient.dial(practice.address());
    wire.send(&request);
    assert_eq!(wire.frame().sub(), sub::RESUMED);
    let mut session = patient.connect(practice.address());
    session.sync(practice.now());
}

#[test]
fn requests_to_resume_without_a_token_slow_their_address_down_and_no_other() {
    let practice = Practice::open();
    let [mut patient, stranger] = practice.admit(["P1", "P2"]);
    let mut stranger = stranger;
    let (ticket, _) = stranger.connect(practice.address()).drop_line();
    let group = stranger.doctor.group();
    let (request, _) = resume::begin(ticket, group, stranger.now(), &mut OsRandom);
    let request = damaged(request);
    let elsewhere = [127, 0, 0, 3].into();
    let is_answered = || {
        let mut wire = Wire::dial_from(practice.address(), elsewhere);
        wire.send(&request);
        wire.next().is_some()
    };
    // 32, and those that the time gives back meanwhile.
    let answered = (0..1_000).take_while(|_| is_answered()).count();
    assert!((32..1_000).contains(&answered), "{answered}");
    let mut session = patient.connect(practice.address());
    session.sync(practice.now());
    assert!(blocks(&practice, &Request::List).is_empty());
}

#[test]
fn malformed_requests_to_resume_block_their_address() {
    let practice = Practice::open();
    let elsewhere = IpAddr::from([127, 0, 0, 3]);
    let malformed = Frame::new(KEY_VERIFICATION, sub::RESUME, &[0; 16_000]);
    for _ in 0..BlockRule::default().after.get() {
        let mut wire = Wire::dial_from(practice.address(), elsewhere);
        wire.send(&malformed);
        assert!(wire.next().is_none());
    }
    practice.wait_for("blocked", |event| match event {
        Event::Blocked(address, _) => (*address == elsewhere).then_some(()),
        _ => None,
    });
}

#[test]
fn who_shows_a_patients_certificate_elsewhere_does_not_delay_her_where_she_was() {
    // So that it is not his address that pays.
    let practice = Practice::with(Settings {
        handshakes_per_address: 1_000,
        ..Settings::default()
    });
    let mut patient = practice.admit_one("P1");
    let usual = Some(IpAddr::from([127, 0, 0, 2]));
    patient.from = usual;
    let session = patient.connect(practice.address());
    let recorded = session.wire.sent[0].clone();
    // Somebody shows what was recorded, until nobody looks at it any more.
    let elsewhere = [127, 0, 0, 3].into();
    let is_answered = || {
        let mut wire = Wire::dial_from(practice.address(), elsewhere);
        wire.send(&recorded);
        wire.next().is_some()
    };
    let answered = (0..500).take_while(|_| is_answered()).count();
    // Her own first one was from an address that was new then.
    assert!((59..200).contains(&answered), "{answered}");
    session.wire.cut();
    let mut session = patient.connect(practice.address());
    session.sync(practice.now());
}

#[test]
fn who_proves_to_be_a_patient_never_counts_whatever_is_wrong() {
    let practice = Practice::with(Settings {
        block: BlockRule {
            after: std::num::NonZeroU32::MIN,
            time: None,
        },
        strict_clock: true,
        ..Settings::default()
    });
    let [mut revoked, mut frozen, mut early] = practice.admit(["P1", "P2", "P3"]);
    for (person, state) in [
        (&revoked, CertificateState::Revoked),
        (&frozen, CertificateState::Frozen),
    ] {
        let serial = person.identity.certificate().subject().serial;
        assert!(
            practice
                .store
                .set_certificate_state(&serial, state)
                .unwrap()
        );
    }
    for _ in 0..3 {
        assert!(revoked.try_connect(practice.address(), None).is_err());
        assert!(frozen.try_connect(practice.address(), None).is_err());
    }
    practice
        .clock
        .advance(Duration::from_secs(400 * 24 * 3_600));
    assert!(early.try_connect(practice.address(), None).is_err());
    let refused = |event: &Event| matches!(event, Event::Refused(..));
    let mut seen = Vec::new();
    eventually("all were refused", || {
        seen.extend(practice.events());
        seen.iter().filter(|event| refused(event)).count() >= 6
    });
    assert!(
        !seen.iter().any(|event| matches!(event, Event::Blocked(..))),
        "{seen:?}"
    );
    assert!(blocks(&practice, &Request::List).is_empty());
}
