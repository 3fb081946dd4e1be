//! The end of a server, and what it leaves behind: no thread, no descriptor, no
//! port. One test, since it counts what the whole program has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use telemed::doctor::shared::{Settings, Timing};
use telemed::protocol::DisconnectReason;

use support::{Practice, Wire, eventually};

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Threads that serve a connection.
fn connections() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .filter(|name| name.trim() == "connection")
        .count()
}

#[test]
fn a_server_leaves_nothing_behind() {
    // What the program allocates once is there from the first server on.
    drop(Practice::open());
    let (threads_before, descriptors_before) = (threads(), descriptors());
    connections_of_strangers_and_patients_end();
    stalled_patients_are_closed();
    everyone_learns_that_the_server_stops();
    stopping_waits_for_nobody();
    eventually("all threads have ended", || threads() == threads_before);
    eventually("all descriptors are closed", || {
        descriptors() == descriptors_before
    });
}

fn connections_of_strangers_and_patients_end() {
    let practice = Practice::open();
    let mut people = practice.admit(["P1", "P2", "P3"]);
    for round in 0..3 {
        let mut sessions = people
            .each_mut()
            .map(|person| person.connect(practice.address()));
        // A handshake's thread ends when the session's has begun.
        eventually("a thread for each session", || connections() == 3);
        match round {
            0 => sessions.iter_mut().for_each(support::Session::leave),
            1 => sessions.iter().for_each(|session| session.wire.cut()),
            _ => {
                practice.server().disconnect_all();
                for session in &mut sessions {
                    assert_eq!(session.disconnected(), DisconnectReason::EndedByDoctor);
                }
            }
        }
        drop(sessions);
        eventually("no connection is left", || connections() == 0);
    }
    for _ in 0..20 {
        Wire::dial(practice.address()).send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    }
    eventually("no stranger is left", || connections() == 0);
}

/// Dropped for a full queue, still connected, and still not reading.
fn stalled_patients_are_closed() {
    let practice = Practice::with_narrow_lines();
    let mut person = practice.admit_one("P1");
    person.narrow = true;
    let session = person.connect(practice.address());
    let (p1, text) = ("P1".parse().unwrap(), "x".repeat(16_000));
    while !practice.server().connected().is_empty() {
        practice.server().message(&p1, &text).unwrap();
    }
    eventually("the stalled connection is closed", || connections() == 0);
    drop(session);
}

fn everyone_learns_that_the_server_stops() {
    let mut practice = Practice::open();
    let people = practice.admit(["P1", "P2", "P3"]);
    let mut sessions = people.map(|mut person| person.connect(practice.address()));
    let patients = std::thread::spawn(move || {
        for session in &mut sessions {
            assert_eq!(session.disconnected(), DisconnectReason::ShuttingDown);
        }
    });
    let address = practice.close();
    patients.join().unwrap();
    assert!(TcpStream::connect(address).is_err());
    drop(TcpListener::bind(address).unwrap());
}

/// Neither for silent strangers nor for patients who do not close or read.
fn stopping_waits_for_nobody() {
    let mut practice = Practice::with(Settings {
        timing: Timing {
            linger: Duration::from_millis(300),
            ..Timing::default()
        },
        ..Settings::default()
    });
    let [mut idle, mut halfway] = practice.admit(["P1", "P2"]);
    let session = idle.connect(practice.address());
    let silent = Wire::dial(practice.address());
    let mut half = halfway.dial(practice.address());
    halfway.shake_hands(&mut half).unwrap();
    let begun = Instant::now();
    practice.close();
    assert!(begun.elapsed() < Duration::from_secs(4));
    eventually("no connection is left", || connections() == 0);
    drop((session, silent, half));
}
