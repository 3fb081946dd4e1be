//! A patient who poses as the doctor with all that she has: her own
//! certificate, her own key, and the papers of the clinic.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use telemed::clock::Clock;
use telemed::framing::Frame;
use telemed::identity::authority::{DoctorIdentity, OwnPrekey};
use telemed::patient::event::Event;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::sub;
use telemed::random::OsRandom;

use crate::case::{Scene, Story};
use crate::device::{Device, ticket};
use crate::support::Person;

/// The papers of a doctor who is none: her certificate is a patient's, and she
/// signs her prekey with that patient's key.
fn posing(scene: &Scene, patient: &Person) -> DoctorIdentity {
    let real = scene.practice.papers();
    let group = patient.doctor.group();
    let secret = patient.identity.signing().to_bytes();
    let signing = telemed::elgamal::SignSecret::from_bytes(group, secret.expose()).unwrap();
    let prekey = OwnPrekey::generate(&signing, scene.practice.now(), &mut OsRandom);
    DoctorIdentity {
        certificate: patient.identity.certificate().clone(),
        prekeys: vec![prekey],
        signing,
        root: real.root,
        revoked: real.revoked,
        closed: real.closed,
        earlier: Vec::new(),
    }
}

/// Whatever it is told, it answers with these papers.
fn serve(bundle: Vec<u8>) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    thread::spawn(move || {
        for line in accepting.incoming() {
            let Ok(mut line): Result<TcpStream, _> = line else {
                return;
            };
            if line.read(&mut [0; 1]).unwrap_or(0) > 0 {
                let answer = Frame::new(KEY_VERIFICATION, sub::CERT, &bundle);
                let _ = line.write_all(answer.as_bytes());
            }
            let _ = line.shutdown(Shutdown::Write);
            let _ = line.read_to_end(&mut Vec::new());
        }
    });
    listener
}

#[test]
fn a_patient_cannot_be_the_doctor_of_another_one() {
    let mut story = Story::begin(Scene::open());
    let insider = story.scene.practice.admit_one("P9");
    let papers = posing(&story.scene, &insider);
    let server = serve(papers.bundle(story.scene.practice.now()));
    let newcomers_ticket = ticket(&story.scene.practice, &story.scene.proxy, "P2");
    story.scene.proxy.lead_to(server.local_addr().unwrap());

    // Who knows the doctor does not take her for one.
    let mut running = story.device.start();
    running.until("a failure", |event| {
        matches!(event, Event::NotConnected(_) | Event::Stopped(_))
    });
    let came = |event: &Event| matches!(event, Event::Connected { .. } | Event::Message(_));
    assert!(!running.heard.iter().any(came), "{:?}", running.heard);
    running.client.leave();
    drop(running);
    // Nor does a newcomer, whose ticket names the root.
    let mut newcomer = Device::of("P2");
    newcomer.clock = Arc::clone(&story.scene.practice.clock) as Arc<dyn Clock>;
    newcomer.enrol(&newcomers_ticket).unwrap_err();
    assert_eq!(newcomer.files().enrolled_with().unwrap(), None);

    let real = story.scene.practice.address();
    story.scene.proxy.lead_to(real);
    newcomer.enrol(&newcomers_ticket).unwrap();
    story.honest_session();
}
