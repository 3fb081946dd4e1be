//! Devices that are revoked or frozen while the server runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use telemed::doctor::control::{Answer, Request};
use telemed::doctor::desk::Desk;
use telemed::doctor::devices::{self, Device};
use telemed::doctor::event::{Departure, Event};
use telemed::doctor::messages::device_code;
use telemed::doctor::office;
use telemed::handshake::patient::HandshakeError;
use telemed::protocol::{AlertCode, DisconnectReason};

use crate::support::{Got, Person, Practice, eventually};

fn desk(practice: &mut Practice) -> Desk {
    Desk::new(practice.take_server(), Box::new(|| {}))
}

#[track_caller]
fn ask(desk: &Desk, request: devices::Request) -> devices::Answer {
    match desk.answer(Request::Office(office::Request::Devices(request))) {
        Answer::Office(office::Answer::Devices(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn revoke(patient: &str, device: Option<String>) -> devices::Request {
    devices::Request::Revoke {
        patient: patient.to_owned(),
        device,
        reason: "the phone was stolen".to_owned(),
    }
}

#[track_caller]
fn assert_refused(person: &mut Person, server: std::net::SocketAddr) {
    let refused = person.try_connect(server, None).err().unwrap();
    let revoked = AlertCode::Revoked;
    assert!(
        matches!(refused, HandshakeError::Refused { code, .. } if code == revoked),
        "{refused}"
    );
}

#[test]
fn a_revoked_device_is_out_at_once_and_for_ever_and_the_patients_other_one_stays() {
    let mut practice = Practice::open();
    let address = practice.address();
    let [mut stolen, mut other, mut bystander] = practice.admit(["P1", "P1", "P2"]);
    let mut gone = stolen.connect(address);
    let mut rest = [other.connect(address), bystander.connect(address)];
    let before = rest.each_mut().map(|session| session.epoch_of(3).epoch)[0];
    gone.epoch_of(3);
    let desk = desk(&mut practice);
    let device = device_code(&stolen.device());
    ask(&desk, revoke("P1", Some(device)));
    assert_eq!(gone.disconnected(), DisconnectReason::Revoked);
    practice.wait_for("left", |event| {
        matches!(event, Event::Left(_, Departure::Revoked)).then_some(())
    });
    for session in &mut rest {
        session.until("a later key", |got| match got {
            Got::Epoch(epoch) => (epoch.devices == 2 && epoch.epoch > before).then_some(()),
            _ => None,
        });
    }
    let sent = desk.server().broadcast("to two", false).unwrap();
    assert_eq!((sent.devices, sent.away), (2, 0));
    for session in &mut rest {
        assert_eq!(session.message().text, "to two");
    }
    assert!(gone.group_keys.open(&rest[0].last_broadcast()).is_none());
    // Neither the token nor the certificate leads in again, nor a restart.
    let mut wire = stolen.dial(address);
    assert!(stolen.ask_to_resume(&mut wire, gone.ticket()).is_none());
    assert_refused(&mut stolen, address);
    drop((rest, desk));
    practice.restart();
    practice.run_a_while();
    assert_refused(&mut stolen, practice.address());
    other.connect(practice.address()).sync(practice.now());
    let logged = practice.store.audit(1, 1_000).unwrap();
    let revoked: Vec<_> = logged
        .iter()
        .filter(|row| row.action == "revoked")
        .collect();
    assert_eq!(revoked.len(), 1);
    assert!(revoked[0].detail.ends_with(": the phone was stolen"));
}

#[test]
fn a_device_that_joins_while_it_is_revoked_does_not_stay() {
    let mut practice = Practice::open();
    let address = practice.address();
    let mut people: Vec<_> = (0..6)
        .map(|number| practice.admit_one(&format!("P{number}")))
        .collect();
    let desk = desk(&mut practice);
    for (number, person) in people.iter_mut().enumerate() {
        let is_seen = AtomicBool::new(number % 2 == 0);
        thread::scope(|scope| {
            let joining = scope.spawn(|| {
                // Until it is refused. A session that ends on its way in is as
                // good.
                while let Ok(session) = person.try_connect(address, None) {
                    // A certificate begins so many handshakes and no more: none of
                    // them is over before somebody has looked.
                    eventually("it is seen", || is_seen.load(Ordering::Relaxed));
                    drop(session);
                }
            });
            // Before it, within it, or while the device is in and out again.
            if number % 2 == 1 {
                eventually("somebody is there", || {
                    !desk.server().connected().is_empty()
                });
                is_seen.store(true, Ordering::Relaxed);
            }
            ask(&desk, revoke(&format!("P{number}"), None));
            let _ = joining.join();
        });
        eventually("nobody is there", || desk.server().connected().is_empty());
        assert_refused(person, address);
    }
}

#[test]
fn a_device_frozen_by_an_alarm_is_let_in_again_by_word_and_the_thief_is_not() {
    let mut practice = Practice::open();
    let address = practice.address();
    let name = "P1".parse().unwrap();
    let ticket = practice
        .server()
        .enrol(&name, &address.to_string())
        .unwrap();
    let mut person = Person::enrol(address, &ticket, &practice.clock);
    let clock = std::sync::Arc::clone(&practice.clock);
    let thief = || {
        let attempt = std::panic::AssertUnwindSafe(|| Person::enrol(address, &ticket, &clock));
        std::panic::catch_unwind(attempt).is_err()
    };
    assert!(thief());
    assert_refused(&mut person, address);
    let desk = Desk::new(practice.take_server(), Box::new(|| {}));
    let list = devices::Request::List {
        patient: Some("P1".to_owned()),
    };
    let device = |desk: &Desk| -> Device {
        match ask(desk, list.clone()) {
            devices::Answer::Listed(mut devices) => devices.remove(0),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(device(&desk).state, "frozen");
    let unfreeze = devices::Request::Unfreeze {
        patient: "P1".to_owned(),
        device: "1".to_owned(),
        reason: "P1 has read the key to me".to_owned(),
    };
    ask(&desk, unfreeze);
    person.connect(address).sync(person.now());
    // The ticket leads nowhere any more, and raises no further alarm.
    assert!(thief());
    assert_eq!(device(&desk).state, "active");
}
