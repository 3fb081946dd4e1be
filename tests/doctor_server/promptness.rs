//! Nobody is delayed by somebody slow, silent or hostile.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use telemed::doctor::event::{Departure, Event};
use telemed::doctor::post::{Letter, Recipients};
use telemed::doctor::shared::{Settings, Timing};
use telemed::framing::{Frame, MAX_LEN_BEFORE_SESSION};
use telemed::handshake::patient::certificate_request;
use telemed::protocol::opcode::{ENROL, KEY_VERIFICATION};
use telemed::protocol::{enrol_sub, sub};
use telemed::random::{self, OsRandom};
use telemed::session::outbox::MAX_FRAMES;

use crate::support::{Got, Person, Practice, Wire, eventually};

fn short_handshakes() -> Settings {
    Settings {
        timing: Timing {
            handshake: Duration::from_millis(1_500),
            linger: Duration::from_millis(300),
            ..Timing::default()
        },
        ..Settings::default()
    }
}

fn somewhere_else(number: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(127, 0, 7, number)))
}

/// A first message that costs the server an exponentiation and cannot be
/// opened.
fn garbage(person: &Person) -> Frame {
    let (m1, _) = person.first_message();
    let mut bytes = m1.into_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    Frame::parse(&bytes, MAX_LEN_BEFORE_SESSION).unwrap()
}

#[test]
fn a_patient_who_does_not_read_delays_nobody_and_is_dropped() {
    let practice = Practice::with_narrow_lines();
    let [mut stalled, mut lively] = practice.admit(["P1", "P2"]);
    stalled.narrow = true;
    let mut behind = stalled.connect(practice.address());
    let mut lively = lively.connect(practice.address());
    behind.epoch_of(2);
    lively.epoch_of(2);
    let text = "x".repeat(16_000);
    // What is not signed is sooner made.
    let private = MAX_FRAMES - 56;
    for _ in 0..private {
        let p1 = "P1".parse().unwrap();
        practice.server().message(&p1, &text).unwrap();
    }
    let mut sent = 0;
    while practice.server().connected().len() == 2 {
        let begun = Instant::now();
        practice.server().broadcast(&text, false).unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        lively.message();
        sent += 1;
        assert!(sent < 40 * MAX_FRAMES, "never dropped");
    }
    practice.wait_for("stalled", |event| match event {
        Event::Left(name, Departure::Stalled) => (name.as_str() == "P1").then_some(()),
        _ => None,
    });
    lively.epoch_of(1);
    // Whoever was dropped gets what it missed.
    let missing = practice
        .server()
        .report(1_000)
        .unwrap()
        .iter()
        .filter(|report| {
            let mut devices = report.outcomes.iter();
            devices.any(|device| device.patient.as_str() == "P1" && device.state != "delivered")
        })
        .count();
    assert_eq!(missing, private + sent);
    let mut again = stalled.connect(practice.address());
    for _ in 0..missing {
        again.message();
    }
    again.sync(practice.now());
}

#[test]
fn a_patient_with_a_full_queue_is_told_if_it_can_be() {
    let practice = Practice::with_narrow_lines();
    let mut person = practice.admit_one("P1");
    person.narrow = true;
    let mut session = person.connect(practice.address());
    session.epoch();
    let (p1, text) = ("P1".parse().unwrap(), "x".repeat(16_000));
    while !practice.server().connected().is_empty() {
        practice.server().message(&p1, &text).unwrap();
    }
    // Reads again, just in time.
    let reason = session.until("DISCONNECT", |got| match got {
        Got::Disconnect(reason) => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, telemed::protocol::DisconnectReason::QueueFull);
}

#[test]
fn handshakes_that_take_too_long_are_dropped_at_the_deadline() {
    let practice = Practice::with(short_handshakes());
    let mut person = practice.admit_one("P1");
    let begun = Instant::now();
    // Silent; silent after the first answer; silent before the proof; and a
    // byte now and then.
    let mut silent = person.dial(practice.address());
    let mut asked = person.dial(practice.address());
    asked.send(&certificate_request());
    asked.frame();
    let mut halfway = person.dial(practice.address());
    person.shake_hands(&mut halfway).unwrap();
    let mut dripping = person.dial(practice.address());
    let (m1, _) = person.first_message();
    let mut bytes = m1.as_bytes().iter();
    eventually("the end of dripping", || {
        use std::io::Write;
        let byte = *bytes.next().unwrap();
        dripping.stream().write_all(&[byte]).is_err()
    });
    for wire in [&mut silent, &mut asked, &mut halfway, &mut dripping] {
        wire.expect_closed();
    }
    assert!(begun.elapsed() >= short_handshakes().timing.handshake);
    person.connect(practice.address()).sync(practice.now());
}

#[test]
fn idle_strangers_do_not_keep_a_patient_at_their_address_out() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let begun = Instant::now();
    // More than an address has places for: the oldest idle ones make room.
    let mut strangers: Vec<Wire> = (0..100).map(|_| person.dial(practice.address())).collect();
    person.connect(practice.address()).sync(practice.now());
    strangers[0].expect_closed();
    assert!(begun.elapsed() < Timing::default().handshake);
    let newest = strangers.last_mut().unwrap();
    newest.send(&certificate_request());
    assert_eq!(newest.frame().sub(), sub::CERT);
    // Others are not touched by it.
    let mut other = practice.admit_one("P2");
    other.from = somewhere_else(1);
    other.connect(practice.address()).sync(practice.now());
}

#[test]
fn strangers_who_have_begun_are_not_pushed_out_by_newer_ones() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut begun = person.dial(practice.address());
    let (m3, awaiting) = person.shake_hands(&mut begun).unwrap();
    let _flood: Vec<Wire> = (0..200).map(|_| Wire::dial(practice.address())).collect();
    begun.send(&m3);
    let mut session = crate::support::Session::begin(&person, begun, awaiting, None).unwrap();
    session.sync(practice.now());
}

#[test]
fn random_bytes_hold_a_place_no_longer_than_they_take() {
    let practice = Practice::with(short_handshakes());
    let mut person = practice.admit_one("P1");
    for round in 0..300_usize {
        // So few from each address that it is not slowed down.
        let from = somewhere_else(u8::try_from(round % 30).unwrap());
        let mut wire = Wire::dial_from(practice.address(), from.unwrap());
        let mut bytes = vec![0; round * 7 % 600];
        random::Random::fill(&mut OsRandom, &mut bytes);
        if round % 3 == 0 {
            // As if it were a frame of the protocol.
            let opcode = [KEY_VERIFICATION, ENROL][round % 2];
            let sub = u8::try_from(round % 11).unwrap();
            wire.send(&Frame::new(opcode, sub, &bytes));
        } else {
            wire.send_bytes(&bytes);
        }
        wire.cut();
    }
    person.connect(practice.address()).sync(practice.now());
    let events = practice.events();
    let refused = events
        .iter()
        .filter(|event| matches!(event, Event::Refused(..)))
        .count();
    // Chance cannot fill the doctor's screen: ten a minute, and the first
    // minute may just have begun.
    assert!(refused <= 20, "{refused}");
}

#[test]
fn lengths_beyond_the_limit_close_before_a_body_is_read() {
    let practice = Practice::open();
    for len in [0, 2, 16_381, 81_916, u32::MAX] {
        let mut wire = Wire::dial(practice.address());
        wire.send_bytes(&len.to_be_bytes());
        wire.expect_closed();
    }
}

#[test]
fn unreadable_first_messages_use_up_an_addresss_allowance() {
    let practice = Practice::with(Settings {
        handshakes_per_address: 3,
        ..Settings::default()
    });
    let [mut victim, mut elsewhere] = practice.admit(["P1", "P2"]);
    for _ in 0..3 {
        let mut wire = victim.dial(practice.address());
        wire.send(&garbage(&victim));
        wire.expect_closed();
    }
    assert!(victim.try_connect(practice.address(), None).is_err());
    elsewhere.from = somewhere_else(2);
    elsewhere.connect(practice.address()).sync(practice.now());
}

#[test]
fn whoever_is_let_in_gets_the_first_message_back() {
    let practice = Practice::with(Settings {
        handshakes_per_address: 2,
        ..Settings::default()
    });
    let mut person = practice.admit_one("P1");
    for _ in 0..6 {
        let session = person.connect(practice.address());
        let (ticket, _) = session.drop_line();
        person.resume(practice.address(), ticket, None).wire.cut();
    }
    for number in 0..4 {
        practice.enrol(&format!("N{number}"));
    }
    person.connect(practice.address()).sync(practice.now());
    // A message for a prekey nobody knows proves nothing, and is paid for.
    let knock = || {
        let (m1, _) = person.first_message();
        let mut bytes = m1.into_bytes();
        bytes[9] ^= 1;
        let mut wire = person.dial(practice.address());
        wire.send_bytes(&bytes);
        wire
    };
    for _ in 0..2 {
        let mut wire = knock();
        assert_eq!(wire.frame().sub(), sub::CERT);
        wire.expect_closed();
    }
    knock().expect_closed();
}

#[test]
fn enrolment_with_a_wrong_secret_uses_up_the_allowance_and_leaves_the_ticket() {
    let practice = Practice::with(Settings {
        handshakes_per_address: 2,
        ..Settings::default()
    });
    let address = practice.address();
    let name = "P1".parse().unwrap();
    let server = practice.server();
    let ticket = server.enrol(&name, &address.to_string()).unwrap();
    let guess = telemed::identity::ticket::Ticket {
        root: ticket.root,
        address: ticket.address.clone(),
        doctor: ticket.doctor.clone(),
        subject: ticket.subject.clone(),
        id: ticket.id,
        secret: random::secret(&mut OsRandom),
        expires: ticket.expires,
    };
    let doctor = practice.known_doctor(&practice.papers());
    let keys = telemed::handshake::enrol::NewKeys::generate(doctor.group(), &mut OsRandom);
    for _ in 0..2 {
        let (e1, _) =
            telemed::handshake::enrol::begin(&keys, &guess, &doctor, practice.now(), &mut OsRandom);
        assert_eq!((e1.opcode(), e1.sub()), (ENROL, enrol_sub::E1));
        let mut wire = Wire::dial_from(address, somewhere_else(3).unwrap());
        wire.send(&e1);
        wire.expect_closed();
    }
    let mut person = Person::enrol(address, &ticket, &practice.clock);
    person.connect(address).sync(practice.now());
    person.from = somewhere_else(3);
    assert!(person.try_connect(address, None).is_err());
}

#[test]
fn a_message_to_many_chosen_is_answered_before_it_is_signed_for_each() {
    const PATIENTS: usize = 40;
    let practice = Practice::open();
    let papers = practice.papers();
    let mut people: Vec<Person> = (0..=PATIENTS)
        .map(|number| practice.admit_with(&papers, &format!("P{number}")))
        .collect();
    let mut late = people.pop().unwrap();
    let mut sessions: Vec<_> = people
        .iter_mut()
        .map(|person| person.connect(practice.address()))
        .collect();
    let names = (0..=PATIENTS).map(|number| format!("P{number}").parse().unwrap());
    let letter = Letter::new(Recipients::Chosen(names.collect()), "for you");
    let begun = Instant::now();
    let sent = practice.server().send(&letter).unwrap();
    let answered = begun.elapsed();
    assert_eq!((sent.devices, sent.away), (PATIENTS, 1));
    let queued = || {
        let report = practice.report(sent.number);
        let mut outcomes = report.outcomes.iter();
        outcomes.any(|one| one.state == "queued" && one.patient != format!("P{PATIENTS}"))
    };
    eventually("everybody was given it", || !queued());
    let given = begun.elapsed();
    assert!(answered < given / 2, "{answered:?} of {given:?}");
    // Whoever joins in the middle of it waits for nobody.
    let sent = practice.server().send(&letter).unwrap();
    let mut session = late.connect(practice.address());
    assert_eq!((session.message().text.as_str(), sent.away), ("for you", 1));
    for session in &mut sessions {
        assert_eq!(session.message().text, "for you");
        assert_eq!(session.message().text, "for you");
    }
}
