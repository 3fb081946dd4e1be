//! Devices, tickets and fingerprints: who is let in, who no longer is, and how
//! two persons find out over the phone.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use telemed::clock::{Clock, SystemClock};
use telemed::doctor::setup;
use telemed::elgamal::{Group, SignSecret};
use telemed::framing::Frame;
use telemed::identity::authority::{DoctorIdentity, OwnPrekey};
use telemed::identity::certificate::{Subject, VerifiedCertificate};
use telemed::identity::data_dir::DataDir;
use telemed::identity::key_file::{self, KeyKind};
use telemed::identity::known_doctor::fingerprint_groups;
use telemed::identity::ticket::Ticket;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::sub;
use telemed::random::OsRandom;
use telemed::secret::Secret;

use crate::clinic::Clinic;
use crate::process::run;

/// What a line says behind its label.
#[track_caller]
fn behind(text: &str, label: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label:?} in {text}"))
        .trim()
        .to_owned()
}

#[test]
fn a_revoked_device_is_out_and_stays_out() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service();
    clinic.enrol("P1");
    let patient = clinic.connect("P1");
    let ticket = clinic.ticket("P1");
    clinic
        .command(&["devices"])
        .code(0)
        .says("Device 1 of P1 (")
        .says("): active")
        .says("certificate ends ");
    let revoke = ["revoke", "P1", "--reason", "the phone was stolen"];
    clinic
        .command(&revoke)
        .code(2)
        .complains(&["nothing was revoked", "say --yes"]);
    let revoke = [&revoke[..], &["--yes"]].concat();
    clinic
        .command(&revoke)
        .code(0)
        .says("Revoked for good:")
        .says("Taken back, too: ticket ");
    doctor
        .program
        .expect("P1: the certificate was revoked or frozen; disconnected.");
    patient
        .finish()
        .code(4)
        .complains(&["the doctor has revoked this device's certificate"]);
    clinic.enrol_with("again", &ticket).code(5).complains(&[
        "the ticket was withdrawn",
        "ask the doctor for a new ticket",
    ]);
    clinic
        .command(&revoke)
        .code(0)
        .says("Revoked before, nothing was changed:");
    clinic
        .command(&["unfreeze", "P1", "--device", "1", "--reason", "sorry"])
        .code(1)
        .complains(&["is revoked, and that is for ever", "doctor enrol P1"]);
    // The same without a server, and after it has come back.
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    clinic
        .command(&["devices", "P1"])
        .code(0)
        .says("): revoked");
    clinic
        .command(&["audit", "search", "--action", "revoked"])
        .code(0)
        .says(": the phone was stolen");
    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    run(clinic.patient("P1", &[]))
        .code(4)
        .complains(&["certificate was revoked", "phone the doctor"]);
}

#[test]
fn one_device_is_revoked_without_a_server_and_the_other_gets_in() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    clinic.enrol_with("tablet", &clinic.ticket("P1")).code(0);
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let line = ["revoke", "P1", "--device", "2", "--reason", "sold", "--yes"];
    let said = clinic
        .command(&[&["--json"], &line[..]].concat())
        .code(0)
        .out;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(r#""number":2"#) && said.contains(r#""state":"revoked""#));
    clinic
        .command(&["revoke", "P1", "--device", "3", "--reason", "sold", "--yes"])
        .code(1)
        .complains(&["P1 has no device \"3\"", "doctor devices P1"]);
    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    clinic.connect("P1").kill();
    run(clinic.patient("tablet", &["--id", "P1"]))
        .code(4)
        .complains(&["certificate was revoked"]);
}

#[test]
fn each_ticket_that_is_not_good_is_refused_with_its_own_words() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    let said = clinic
        .command(&["enrol", "P1", "--valid", "7d"])
        .code(0)
        .out;
    let text = crate::clinic::ticket_in(&said);
    let ticket: Ticket = text.parse().unwrap();
    let lasts = ticket.expires.since(SystemClock.now()).as_secs();
    assert!((7 * 86_400 - 600..=7 * 86_400).contains(&lasts), "{lasts}");
    // One whose secret is wrong, and one that was never made.
    let wrong = Ticket {
        secret: Secret::from_slice(&[7; 16]).unwrap(),
        ..text.parse().unwrap()
    };
    let unknown = Ticket {
        id: [7; 16],
        ..text.parse().unwrap()
    };
    for ticket in [wrong, unknown] {
        clinic
            .enrol_with("stranger", &ticket.to_text())
            .code(4)
            .complains(&["it does not know this ticket"]);
    }
    doctor.expect("does not know the secret of the ticket for P1");
    doctor.expect("showed a ticket not issued here");
    // Neither has touched the right one, which is taken back now.
    let listed = clinic.command(&["tickets"]).code(0).out;
    assert!(listed.contains("  open  "), "{listed}");
    let code = listed.split_whitespace().next().unwrap();
    clinic.command(&["tickets", "revoke", code]).code(0);
    clinic
        .command(&["tickets", "revoke", code])
        .code(1)
        .complains(&["was taken back before"]);
    clinic
        .enrol_with("P1", &text)
        .code(5)
        .complains(&["the ticket was withdrawn"]);
    // One that was used, and one that has expired: by the patient's clock.
    let used = clinic.ticket("P2");
    clinic.enrol_with("P2", &used).code(0);
    clinic.enrol_with("thief", &used).code(5).complains(&[
        "the ticket was used by another device",
        "phone the doctor at once",
    ]);
    let expired = Ticket {
        expires: SystemClock.now().minus(std::time::Duration::from_secs(60)),
        ..clinic.ticket("P3").parse().unwrap()
    };
    clinic
        .enrol_with("P3", &expired.to_text())
        .code(5)
        .complains(&["the ticket expired on "]);
    let listed = clinic.command(&["tickets", "list"]).code(0).out;
    for state in ["revoked", "frozen", "open"] {
        assert!(listed.contains(state), "no {state} in {listed}");
    }
}

#[test]
fn after_an_alarm_the_keys_are_compared_and_the_right_device_is_let_in_again() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    let ticket = clinic.ticket("P1");
    clinic.enrol_with("P1", &ticket).code(0);
    clinic.enrol_with("thief", &ticket).code(5);
    let alarm = doctor.expect("used the ticket for P1 a second time");
    for command in [
        "doctor devices P1",
        "doctor unfreeze P1 --device N",
        "doctor revoke P1",
    ] {
        assert!(alarm.contains(command), "{alarm}");
    }
    run(clinic.patient("P1", &[]))
        .code(4)
        .complains(&["is frozen", "phone the doctor"]);
    let here = run(clinic.patient("P1", &["status"])).code(0).out;
    let there = clinic
        .command(&["devices", "P1"])
        .code(0)
        .says("frozen")
        .out;
    assert_eq!(behind(&here, "this device's key:"), behind(&there, "key "));
    clinic
        .command(&["unfreeze", "P1", "--device", "1", "--reason", "same key"])
        .code(0)
        .says("is let in again");
    clinic.connect("P1").kill();
    clinic
        .enrol_with("thief", &ticket)
        .code(5)
        .complains(&["withdrawn, or frozen by an alarm"]);
}

#[test]
fn both_sides_show_the_same_fingerprints() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    let there = clinic.command(&["fingerprint"]).code(0).out;
    let here = run(clinic.patient("P1", &["status"])).code(0).out;
    let root = behind(&there, "Clinic's root:");
    assert_eq!(behind(&here, "clinic's root:"), root);
    assert_eq!(behind(&here, "doctor's key:"), behind(&there, "Key of D1:"));
    let groups: Vec<_> = root.split(' ').map(str::len).collect();
    assert_eq!(groups, [4; 10]);
}

/// The same doctor of the same clinic, with another signing key.
fn with_another_key(clinic: &Clinic) -> (DoctorIdentity, String) {
    let directory = DataDir::create_or_open(&clinic.path("doctor"), "D1").unwrap();
    let store = setup::open_store(&directory).unwrap();
    let now = SystemClock.now();
    let old = setup::load(&directory, &store, now, &mut OsRandom).unwrap();
    let root = directory.path(setup::ROOT_KEY);
    let (_, root) = key_file::load(&root, KeyKind::RootSigning).unwrap();
    let group = Group::ffdhe2048();
    let root = SignSecret::from_bytes(&group, root.expose()).unwrap();
    let signing = SignSecret::generate(&group, &mut OsRandom);
    let subject = Subject {
        serial: [7; 16],
        signing_key: signing.verifying_key().clone(),
        ..old.certificate.subject().clone()
    };
    let changed = DoctorIdentity {
        certificate: VerifiedCertificate::issue(subject, &root, &mut OsRandom),
        prekeys: vec![OwnPrekey::generate(&signing, now, &mut OsRandom)],
        signing,
        root: old.root,
        revoked: old.revoked,
        closed: old.closed,
        earlier: Vec::new(),
    };
    (changed, fingerprint_groups(&old.certificate.key_id()))
}

#[test]
fn a_changed_key_of_the_doctors_is_a_hard_stop_with_both_fingerprints() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let (changed, old) = with_another_key(&clinic);
    let new = fingerprint_groups(&changed.certificate.key_id());
    // Whatever she is told, this server answers with the other key.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let bundle = changed.bundle(SystemClock.now());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 20_000]);
            let answer = Frame::new(KEY_VERIFICATION, sub::CERT, &bundle);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    run(clinic.patient("P1", &["--connect", &address]))
        .code(4)
        .complains(&[
            "the doctor's key has changed: it was ",
            &old,
            &new,
            "somebody is posing as the doctor",
            "over the phone",
            "at the doctor's: doctor enrol P1",
        ]);
}

#[test]
fn the_menu_leads_to_devices_and_tickets() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    doctor.type_lines(&["14", "1", "P1"]);
    doctor.expect("Device 1 of P1 (");
    doctor.type_lines(&["5"]);
    doctor.expect("  used  ");
    doctor.type_lines(&["7"]);
    doctor.expect("Clinic's root:");
    doctor.type_lines(&["2", "P1", "1", "the phone was stolen"]);
    doctor.expect("Revoked for good:");
    doctor.type_lines(&["8", "15"]);
    doctor.expect("its key lies on this machine");
    doctor.expect("Revoked doctors: list number ");
    doctor.type_lines(&["4"]);
    doctor.finish().code(0);
}
