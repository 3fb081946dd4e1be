//! Doctors whom the clinic has revoked, as far as a patient's device knows.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use telemed::clock::SystemClock;
use telemed::patient::config::Config;
use telemed::patient::connect::ConnectError;
use telemed::patient::event::{Event, Stopped};

use super::{Scene, any_doctor, instead, session, with, with_next_list};
use crate::device::{Running, quick};

#[test]
fn a_list_of_revoked_doctors_that_one_shows_counts_for_all() {
    let mut scene = Scene::introduced();
    // The first doctor's key is stolen; the second has the newest list.
    let stolen = scene.d1.practice.identity();
    let serial = stolen.certificate.subject().serial;
    let renewed = with_next_list(&scene, &scene.d2.practice.identity(), serial);
    scene.d2.practice.replace_identity(renewed);
    let running = scene.device.start_as("D2", quick());
    assert_eq!(session(&running), with("D2"));
    running.leave();
    // Whoever has her key is not even called.
    let patience = Config {
        look: Duration::from_millis(20),
        ..any_doctor()
    };
    scene.d1.close();
    let at_hers = TcpListener::bind(scene.d1.address).unwrap();
    at_hers.set_nonblocking(true).unwrap();
    left(scene.device.start(), "D1", "D2");
    // Whoever takes another doctor gets one.
    let looks = patience.look * 20;
    let running = scene.device.start_with(patience, Arc::new(SystemClock));
    assert_eq!(session(&running), instead("D2", "D1"));
    let began = Instant::now();
    while began.elapsed() < looks {
        running.client.send("still here", None).unwrap();
        scene.d2.hears("still here");
    }
    running.leave();
    let called = at_hers.accept().unwrap_err();
    assert_eq!(called.kind(), ErrorKind::WouldBlock);
}

#[test]
fn whom_a_list_revokes_that_another_one_shows_is_not_called_in_the_same_run() {
    let mut scene = Scene::introduced();
    let stolen = scene.d1.practice.identity();
    let serial = stolen.certificate.subject().serial;
    let renewed = with_next_list(&scene, &scene.d2.practice.identity(), serial);
    scene.d2.practice.replace_identity(renewed);
    scene.d1.close();
    let at_hers = TcpListener::bind(scene.d1.address).unwrap();
    at_hers.set_nonblocking(true).unwrap();
    let running = scene.device.start_as("D2", any_doctor());
    assert_eq!(session(&running), with("D2"));
    scene.d2.close();
    for _ in 0..3 {
        running.until(|event| matches!(event, Event::NotConnected(_)).then_some(()));
    }
    running.leave();
    assert_eq!(at_hers.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Asked for a doctor who has left, the program names another one.
fn left(running: Running, whom: &str, other: &str) {
    let stopped = running.until(|event| match event {
        Event::Stopped(Stopped::Refused(error)) => Some(error),
        Event::NotConnected(_) | Event::Connected { .. } => panic!("{event:?}"),
        _ => None,
    });
    match stopped {
        ConnectError::Left { doctor, others } => {
            assert_eq!(doctor.as_str(), whom);
            assert_eq!(others.len(), 1);
            assert_eq!(others[0].as_str(), other);
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_colleague_who_has_left_is_not_called() {
    let mut scene = Scene::introduced();
    let serial = scene.d2.practice.identity().certificate.subject().serial;
    let newer = with_next_list(&scene, &scene.d1.practice.identity(), serial);
    scene.d1.practice.replace_identity(newer);
    scene.d2.close();
    let at_hers = TcpListener::bind(scene.d2.address).unwrap();
    at_hers.set_nonblocking(true).unwrap();
    let running = scene.device.start();
    assert_eq!(session(&running), with("D1"));
    running.leave();
    left(scene.device.start_as("D2", quick()), "D2", "D1");
    let running = scene.device.start_as("D2", any_doctor());
    assert_eq!(session(&running), instead("D1", "D2"));
    running.leave();
    assert_eq!(at_hers.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
