//! What was recorded, played again: to the server, and to a patient.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use telemed::clock::Clock;
use telemed::doctor::event::Event as DoctorEvent;
use telemed::handshake::doctor::RefusalReason;
use telemed::patient::event::Event;

use crate::case::{Scene, Story};
use crate::device::Device;
use crate::proxy::{Seen, Way};

/// The frames of each recorded connection that went one way.
fn connections(seen: &[Seen], way: Way) -> Vec<Vec<Vec<u8>>> {
    let mut connections = Vec::new();
    for frame in seen {
        connections.resize_with(connections.len().max(frame.connection + 1), Vec::new);
        if frame.kind.way == way {
            connections[frame.connection].push(frame.bytes.clone());
        }
    }
    connections
}

/// An enrolment, a session and a resumed one, with all that is said in them.
fn recorded(story: &mut Story) -> Vec<Seen> {
    let mut running = story.device.start();
    running.connected();
    story.talk(&mut running);
    story.scene.proxy.cut();
    running.until("the loss", |event| {
        matches!(event, Event::ConnectionLost(_))
    });
    running.connected();
    story.talk(&mut running);
    running.leave();
    story.scene.practice.wait_for_members(0);
    story.check(&running);
    story.doctor_complained();
    story.scene.proxy.seen()
}

/// Plays what patients once said to the server.
fn play(story: &mut Story, recorded: &[Seen], when: &str) {
    let practice = &story.scene.practice;
    practice.events();
    for frames in connections(recorded, Way::Up) {
        let mut line = TcpStream::connect(practice.address()).unwrap();
        for frame in frames {
            // It may be closed by now.
            let _ = line.write_all(&frame);
        }
        let _ = line.shutdown(Shutdown::Write);
        let _ = line.read_to_end(&mut Vec::new());
        assert!(practice.server().connected().is_empty(), "{when}");
    }
    for event in practice.events() {
        let is_refusal = matches!(
            event,
            // The server's own word that something was wrong.
            DoctorEvent::Refused(..) | DoctorEvent::Strangers(_)
        );
        assert!(is_refusal, "{when}: {event:?}");
        if let DoctorEvent::Refused(_, reason) = event {
            assert!(!matches!(reason, RefusalReason::TicketUsedTwice(_)));
        }
    }
}

#[test]
fn recorded_connections_let_nobody_in_whatever_the_server_forgot() {
    let mut story = Story::begin(Scene::open());
    let recorded = recorded(&mut story);
    assert!(connections(&recorded, Way::Up).len() >= 3);
    play(&mut story, &recorded, "at once");
    story.scene.practice.restart();
    play(&mut story, &recorded, "just after a restart");
    story.scene.practice.run_a_while();
    play(&mut story, &recorded, "a minute after a restart");
    // The clock goes back to where it was when all this was said, and before.
    let clock = &story.scene.practice.clock;
    clock.set_back(Duration::from_secs(60));
    play(&mut story, &recorded, "with the clock set back");
    story.scene.practice.clock.set_back(Duration::from_secs(50));
    play(&mut story, &recorded, "with the clock set back further");
    story.scene.restart();
    play(&mut story, &recorded, "after another restart");
    story.honest_session();
}

/// Answers as the doctor once did: a frame for a frame.
fn parrot(recorded: &[Seen], number: usize) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    let answers = connections(recorded, Way::Down)[number].concat();
    thread::spawn(move || {
        for line in accepting.incoming() {
            let Ok(mut line) = line else { return };
            let mut first = [0; 1];
            if line.read(&mut first).unwrap_or(0) > 0 {
                let _ = line.write_all(&answers);
            }
            let _ = line.shutdown(Shutdown::Write);
            let _ = line.read_to_end(&mut Vec::new());
        }
    });
    listener
}

#[test]
fn a_recorded_doctor_is_not_believed() {
    let mut story = Story::begin(Scene::open());
    let recorded = recorded(&mut story);
    for number in 0..connections(&recorded, Way::Down).len() {
        let parrot = parrot(&recorded, number);
        story.scene.proxy.lead_to(parrot.local_addr().unwrap());
        let mut running = story.device.start();
        for _ in 0..2 {
            running.until("a failure", |event| matches!(event, Event::NotConnected(_)));
        }
        running.leave();
        let came = |event: &Event| matches!(event, Event::Connected { .. } | Event::Message(_));
        assert!(!running.heard.iter().any(came), "{:?}", running.heard);
        drop(running);
        // Nor does a newcomer enrol with it.
        let mut device = Device::of("P2");
        device.clock = Arc::clone(&story.scene.practice.clock) as Arc<dyn Clock>;
        let ticket = crate::device::ticket(&story.scene.practice, &story.scene.proxy, "P2");
        device.enrol(&ticket).unwrap_err();
        assert_eq!(device.files().enrolled_with().unwrap(), None);
    }
    let server = story.scene.practice.address();
    story.scene.proxy.lead_to(server);
    story.honest_session();
}
