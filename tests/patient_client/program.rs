//! The program itself: what it says, and the code it ends with.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use telemed::clock::Timestamp;
use telemed::protocol::DisconnectReason;
use telemed::protocol::opcode;
use telemed::session::doctor::FromPatient;

use crate::clinic::Clinic;
use crate::device::Device;
use crate::papers::with_new_key;

/// The program itself, with commands from a pipe.
fn patient(device: &Device, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_patient"))
        .args(arguments)
        .arg("--data")
        .arg(device.base.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_program_says_how_to_enrol_and_ends_with_4() {
    let output = patient(&Device::new(), &["--id", "P7"], "");
    assert_eq!(output.status.code(), Some(4));
    let said = stderr(&output);
    assert!(
        said.contains("doctor enrol P7") && said.contains("' enrol TICKET"),
        "{said}"
    );
}

#[test]
fn the_program_ends_with_3_where_nobody_listens_and_with_5_after_the_ticket_expired() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let output = patient(&device, &["--connect", &address], "3\nhello\n");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(&address));

    let mut ticket = clinic.ticket("P2");
    ticket.expires = Timestamp::from_millis(1);
    let output = patient(&Device::new(), &["enrol", &ticket.to_text()], "");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let output = patient(&Device::new(), &["enrol", "telemed1-XYZ"], "");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn the_program_carries_out_what_a_pipe_says_before_it_leaves() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| patient(&device, &[], "3\nhello\n9\n"));
        let mut session = clinic.welcome();
        session.rekey(&clinic);
        let FromPatient::Private(message) = session.hear() else {
            panic!("no message");
        };
        assert_eq!(message.text(), "hello");
        let receipt = session.end.receipt_for(&message, message.written());
        session.say(opcode::RECEIPT, &receipt.encode());
        let FromPatient::Disconnect(last_word) = session.hear() else {
            panic!("no last word");
        };
        assert_eq!(last_word.reason, DisconnectReason::AskedByPatient);
        drop(session);
        output.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("Connected to doctor D1."), "{said}");
    assert!(said.contains("is not a number from 1 to 8"), "{said}");
}

#[test]
fn the_program_names_the_next_commands_when_the_doctors_key_has_changed() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    with_new_key(&mut clinic);
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| patient(&device, &[], ""));
        clinic.accept().handshake(&clinic).unwrap_err();
        output.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(4));
    let said = stderr(&output);
    for part in [
        "key has changed",
        "messages stay",
        "enrol TICKET",
        "doctor enrol P1",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
