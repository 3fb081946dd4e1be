//! Many at once.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use telemed::doctor::control::{Answer, Broadcast, Request};
use telemed::doctor::desk::Desk;
use telemed::doctor::shared::Settings;
use telemed::doctor::{deliveries, office};
use telemed::protocol::message::MessageId;

use crate::support::{Got, PATIENCE, Person, Practice, Session, eventually};

/// Comes back, later each time, until let in: a busy server turns some away.
fn insist(person: &mut Person, address: SocketAddr) -> Session {
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut pause = Duration::from_millis(50);
    loop {
        if let Ok(session) = person.try_connect(address, None) {
            return session;
        }
        assert!(Instant::now() < deadline, "never let in");
        thread::park_timeout(pause);
        pause *= 2;
    }
}

#[test]
fn two_hundred_patients_at_once_all_get_a_broadcast_and_answer_it() {
    const PATIENTS: usize = 200;
    let practice = Practice::open();
    let papers = practice.papers();
    let people: Vec<Person> = (0..PATIENTS)
        .map(|number| {
            let mut person = practice.admit_with(&papers, &format!("P{number}"));
            let host = u8::try_from(number % 50 + 1).unwrap();
            person.from = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 9, host)));
            person
        })
        .collect();
    let address = practice.address();
    // A few more at a time than the server hears: their keys are computed on
    // the same processors.
    let (begin, begun) = mpsc::sync_channel(80);
    let begun = Mutex::new(begun);
    thread::scope(|scope| {
        let patients: Vec<_> = people
            .into_iter()
            .map(|mut person| {
                let (begin, begun) = (begin.clone(), &begun);
                scope.spawn(move || {
                    begin.send(()).unwrap();
                    let mut session = insist(&mut person, address);
                    begun.lock().unwrap().recv().unwrap();
                    let text = session.message().text;
                    // Stays until the doctor ends it, so that nobody is away.
                    session.disconnected();
                    text
                })
            })
            .collect();
        for count in [PATIENTS / 4, PATIENTS / 2, PATIENTS] {
            eventually("so many are there", || {
                practice.server().connected().len() >= count
            });
        }
        let sent = practice.server().broadcast("to everyone", true).unwrap();
        assert_eq!((sent.devices, sent.away), (PATIENTS, 0));
        eventually("all receipts", || {
            let report = practice.report(sent.number);
            report
                .outcomes
                .iter()
                .filter(|outcome| outcome.state == "delivered")
                .count()
                == PATIENTS
        });
        practice.server().disconnect_all();
        for patient in patients {
            assert_eq!(patient.join().unwrap(), "to everyone");
        }
    });
}

/// Comes and goes until told to stop, then stays until everything is there.
fn restless(
    person: &mut Person,
    address: SocketAddr,
    stop: &AtomicBool,
    all: &Mutex<Vec<MessageId>>,
) -> HashSet<MessageId> {
    let mut got = HashSet::new();
    let mut rounds = 0_usize;
    loop {
        let mut session = insist(person, address);
        rounds += 1;
        let stays = stop.load(Ordering::SeqCst);
        // Every third time it hears without answering before it goes.
        session.answering = stays || !rounds.is_multiple_of(3);
        let enough = if stays { usize::MAX } else { rounds % 4 };
        let mut heard = 0;
        let deadline = Instant::now() + PATIENCE;
        while heard < enough {
            if stays {
                let wanted = all.lock().unwrap();
                if wanted.iter().all(|id| got.contains(id)) {
                    return got;
                }
            }
            assert!(Instant::now() < deadline, "missing some of them");
            match session.take().unwrap() {
                Got::Message(arrived) => {
                    got.insert(arrived.id);
                    heard += 1;
                }
                Got::Closed => break,
                _ => {}
            }
        }
        if rounds.is_multiple_of(2) {
            session.leave();
        }
        session.wire.cut();
    }
}

#[test]
fn whoever_comes_and_goes_while_several_broadcast_misses_nothing() {
    const PATIENTS: usize = 6;
    const WRITERS: usize = 3;
    const EACH: usize = 12;
    let practice = Practice::with(Settings {
        handshakes_per_address: 10_000,
        ..Settings::default()
    });
    let papers = practice.papers();
    let mut people: Vec<Person> = (0..PATIENTS)
        .map(|number| practice.admit_with(&papers, &format!("P{number}")))
        .collect();
    let address = practice.address();
    let (stop, all) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let patients: Vec<_> = people
            .iter_mut()
            .map(|person| scope.spawn(|| restless(person, address, &stop, &all)))
            .collect();
        thread::scope(|writers| {
            for writer in 0..WRITERS {
                let server = practice.server();
                writers.spawn(move || {
                    for number in 0..EACH {
                        let text = format!("{writer}/{number}");
                        server.broadcast(&text, false).unwrap();
                        // Some time for the others to come and go.
                        thread::park_timeout(Duration::from_millis(20));
                    }
                });
            }
        });
        *all.lock().unwrap() = practice
            .server()
            .report(1_000)
            .unwrap()
            .iter()
            .map(|report| report.message.id())
            .collect();
        stop.store(true, Ordering::SeqCst);
        // One more, so that nobody waits for a message that will not come.
        let last = practice.server().broadcast("the last", false).unwrap();
        for patient in patients {
            let got = patient.join().unwrap();
            assert!(got.len() >= WRITERS * EACH);
        }
        assert_eq!(usize::try_from(last.number).unwrap(), WRITERS * EACH + 1);
    });
}

#[test]
fn what_was_sent_to_many_is_told_as_sent_at_once() {
    const PATIENTS: usize = 20;
    let mut practice = Practice::open();
    let papers = practice.papers();
    let mut people: Vec<Person> = (0..PATIENTS)
        .map(|number| practice.admit_with(&papers, &format!("P{number}")))
        .collect();
    let address = practice.address();
    let mut sessions: Vec<Session> = people
        .iter_mut()
        .map(|person| insist(person, address))
        .collect();
    for session in &mut sessions {
        session.answering = false;
    }
    let desk = Desk::new(practice.take_server(), Box::new(|| {}));
    let broadcast = Broadcast {
        text: "to all".to_owned(),
        ..Broadcast::default()
    };
    let answer = desk.answer(Request::Broadcast(broadcast));
    let Answer::Sent { number, .. } = answer else {
        panic!("{answer:?}");
    };
    let question = deliveries::Request::List {
        message: Some(number.to_string()),
        missing: false,
        verify: false,
        unconfirmed: false,
    };
    let answer = desk.answer(Request::Office(office::Request::Deliveries(question)));
    let Answer::Office(office::Answer::Deliveries(deliveries::Answer::List { messages, .. })) =
        answer
    else {
        panic!("{answer:?}");
    };
    let [message] = &*messages else {
        panic!("{messages:?}");
    };
    assert_eq!((message.queued, message.sent), (0, PATIENTS as u64));
}
