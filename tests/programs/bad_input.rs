//! What goes wrong with tickets, addresses and typing: each with its sentence,
//! its next step and its exit code, and nothing lost.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::clinic::{Clinic, files};
use crate::process::{Running, run, run_with};

#[test]
fn a_patient_who_is_not_enrolled_is_told_the_two_commands() {
    let clinic = Clinic::new();
    let shown = clinic.path("P1").display().to_string();
    for (line, sentence) in [
        (&[][..], "nobody is enrolled here"),
        (&["--id", "P1"], "P1 is not enrolled here"),
        (
            &["--id", "P1", "--doctor_id", "D1"],
            "P1 is not enrolled with doctor D1 here",
        ),
    ] {
        run(clinic.patient("P1", line))
            .code(4)
            .complains(&[sentence])
            .complains(&[
                "at the doctor's: doctor enrol P1",
                &format!("then here:       patient --data '{shown}' enrol TICKET"),
            ]);
    }
    // In the usual place it need not be named.
    let mut usual = Command::new(env!("CARGO_BIN_EXE_patient"));
    usual
        .env("HOME", clinic.path("nobody"))
        .env_remove("XDG_DATA_HOME");
    run(usual)
        .code(4)
        .complains(&["then here:       patient enrol TICKET"]);
    assert!(!clinic.path("P1").exists());
}

#[test]
fn a_ticket_that_is_none_or_is_damaged_changes_nothing() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let ticket = clinic.ticket("P1");
    let last = ticket.len() - 3;
    let other = if ticket[last..].starts_with('7') {
        "8"
    } else {
        "7"
    };
    let wrong = format!("{}{other}{}", &ticket[..last], &ticket[last + 1..]);
    for (typed, sentence) in [
        ("hello", "tickets begin with \"telemed1\""),
        ("telemed1-", "the ticket is damaged"),
        (&ticket[..100], "copy the whole of it again"),
        (&wrong, "copy the whole of it again"),
        ("telemed1-\u{fffd}\u{202e}", "the ticket is damaged"),
    ] {
        clinic
            .enrol_with("P1", typed)
            .code(2)
            .complains(&[sentence, "doctor enrol PATIENT"]);
    }
    let standard_input = || clinic.patient("P1", &["enrol", "-"]);
    run(standard_input())
        .code(2)
        .complains(&["there is no ticket on standard input"]);
    run_with(standard_input(), b"\xff\xfe\n")
        .code(1)
        .complains(&["cannot read the ticket from standard input"]);
    assert!(!clinic.path("P1").exists());
    // In pieces and in small letters it is the same ticket.
    let pieces = ticket.to_lowercase().replace('-', " ");
    clinic.enrol_with("P1", &pieces).code(0);
}

#[test]
fn a_ticket_is_for_one_patient_and_one_doctor() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let ticket = clinic.ticket("P1");
    run(clinic.patient("P1", &["--id", "P2", "enrol", &ticket]))
        .code(2)
        .complains(&["the ticket is for P1, not for P2", "leave out --id"]);
    run(clinic.patient("P1", &["--doctor-id", "D2", "enrol", &ticket]))
        .code(2)
        .complains(&["the ticket is for D1, not for D2", "leave out --doctor-id"]);
    assert!(!clinic.path("P1").exists());

    // At another clinic's address it is refused by the patient.
    let elsewhere = Clinic::new();
    let other = elsewhere.with_menu();
    run(clinic.patient("P1", &["enrol", &ticket, "--connect", &other.address]))
        .code(4)
        .complains(&["the server belongs to another clinic than the ticket says"]);
    // Nothing is lost by that.
    clinic.enrol_with("P1", &ticket).code(0);
    let before = files(&clinic.path("P1"));
    clinic
        .enrol_with("P1", &ticket)
        .code(0)
        .says("already, with this ticket. Nothing was changed.");
    clinic
        .enrol_with("P1", &elsewhere.ticket("P1"))
        .code(1)
        .complains(&[
            "P1 is enrolled with doctor D1 already, of another clinic; nothing was changed",
            " --id P1 --doctor-id D1",
            "first move the old identity away: mv '",
        ]);
    assert_eq!(files(&clinic.path("P1")), before);
    // With another doctor's ticket she is that one's patient too.
    clinic.enrol_with("P1", &elsewhere.ticket("X1")).code(0);
    run(clinic.patient("P1", &["--doctor-id", "D1", "--id", "X1"]))
        .code(0)
        .says("Connected to doctor D1.");
}

#[test]
fn a_ticket_used_a_second_time_is_refused_and_the_doctor_is_told() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    let ticket = clinic.ticket("P1");
    clinic.enrol_with("P1", &ticket).code(0);
    clinic.enrol_with("thief", &ticket).code(5).complains(&[
        "the ticket was used by another device",
        "ask the doctor for a new ticket",
    ]);
    doctor.expect("used the ticket for P1 a second time, with other keys: ticket and certificate");
    // Which of the two is the right one, nobody knows.
    run(clinic.patient("P1", &[]))
        .code(4)
        .complains(&["this device's certificate was revoked", "to enrol anew:"])
        .complains(&[
            "at the doctor's: doctor enrol P1",
            "then here:       patient --data '",
            "your messages stay",
        ]);
    run(clinic.patient("thief", &["--id", "P1"]))
        .code(4)
        .complains(&[
            "the enrolment of P1 with doctor D1 is not finished",
            "at the doctor's: doctor enrol P1",
        ]);
    clinic.enrol_with("thief", &clinic.ticket("P1")).code(0);
    doctor.expect("P1 has enrolled.");
}

#[test]
fn where_no_server_answers_the_next_step_is_named() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let ticket = clinic.ticket("P2");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let before = files(&clinic.path("P1"));
    let sentence = format!("no server answers at {}: ", doctor.address);
    run(clinic.patient("P1", &[])).code(3).complains(&[
        &sentence,
        "check that the doctor's program is running",
        "--connect HOST:PORT",
    ]);
    assert_eq!(files(&clinic.path("P1")), before);
    clinic
        .enrol_with("P2", &ticket)
        .code(3)
        .complains(&[&sentence, "nothing is lost: run the same command again"]);
    run(clinic.patient("P1", &["--connect", "nowhere.invalid"]))
        .code(3)
        .complains(&["the address nowhere.invalid:7400 cannot be found"]);
    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    clinic.enrol_with("P2", &ticket).code(0);
}

#[test]
fn the_server_of_another_clinic_is_not_believed() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let elsewhere = Clinic::new();
    let other = elsewhere.with_menu();
    run(clinic.patient("P1", &["--connect", &other.address]))
        .code(4)
        .complains(&["another clinic", "check the address"]);
    // The same where her own server has lost its files.
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    fs::rename(clinic.doctor_files(), clinic.path("lost")).unwrap();
    let doctor = clinic.serve_at(&doctor.address, &["serve"]);
    run(clinic.patient("P1", &[]))
        .code(4)
        .complains(&[
            "another clinic",
            "the fingerprint of the clinic's root was ",
        ])
        .complains(&["her server was set up anew", "over the phone"]);
    drop(doctor);
}

#[test]
fn a_server_that_does_not_speak_the_protocol_is_named_as_such() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    let ticket = clinic.ticket("P2");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    run(clinic.patient("P1", &["--connect", &address]))
        .code(4)
        .complains(&["the server does not speak this protocol", "check "]);
    run(clinic.patient("P2", &["enrol", &ticket, "--connect", &address]))
        .code(4)
        .complains(&["the server does not speak this protocol"]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    let sentence = format!("cannot listen on {}: ", doctor.address);
    run(clinic.doctor(&["--id", "D2", "--listen", &doctor.address]))
        .code(1)
        .complains(&[&sentence, "choose another port with --listen"]);
    run(clinic.doctor(&["--id", "D2", "--listen", "192.0.2.1:7400"]))
        .code(1)
        .complains(&[
            "cannot listen on 192.0.2.1:7400",
            "0.0.0.0 means all of them",
        ]);
    run(clinic.doctor(&["--id", "D2", "--listen", "nowhere.invalid"]))
        .code(1)
        .complains(&[
            "--listen nowhere.invalid:7400",
            "name an address of this machine",
        ]);
    run(clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0"]))
        .code(1)
        .complains(&[
            "is in use by another running program",
            "end that program first",
        ]);
}

#[test]
fn two_programs_with_one_certificate_do_not_take_turns() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    copy(&clinic.path("P1"), &clinic.path("copy"));
    let first = clinic.connect("P1");
    doctor.expect("P1 is connected.");
    // In the same directory there can be only one.
    run(clinic.patient("P1", &[])).code(1).complains(&[
        "is in use by another running program",
        "end that program first",
    ]);
    let mut second = clinic.connect("copy");
    doctor.expect("P1 has connected anew from the same device; the older line was ended.");
    first
        .finish()
        .code(1)
        .never_says("Connecting again")
        .complains(&[
            "another program has connected with this device's certificate",
            "if that was you, use the other program",
            "if not, tell the doctor",
        ]);
    doctor.type_lines(&["1", "2", "Still there?"]);
    doctor.expect("1 device is connected:");
    second.expect("    Still there?");
}

#[test]
fn wrong_typing_gets_a_sentence_and_the_question_again() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    doctor.expect("P1 is connected.");
    let long = "x".repeat(16_001);
    let endless = "x".repeat(70_000);
    for (typed, sentence) in [
        ("", "Type a number from 1 to "),
        ("99", "\"99\" is not a number from 1 to "),
        ("exit", "\"exit\" is not a number from 1 to "),
        ("-1", "\"-1\" is not a number from 1 to "),
        (
            &endless,
            "That line has more than 65536 bytes and is ignored.",
        ),
    ] {
        doctor.type_lines(&[typed]);
        doctor.expect(sentence);
    }
    doctor.type_bytes(b"\xff\xfe\n");
    doctor.expect("That line is not valid UTF-8 and is ignored.");
    // Nobody types: what was wrong leads back to the menu, so that the next line
    // is not taken for something else.
    doctor.type_lines(&["5", "P 1"]);
    doctor.expect("' ' is not allowed in an identifier");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["5", ""]);
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["5", "P9"]);
    doctor.expect("No patient P9 has enrolled, nothing was sent; check the name, or enrol P9");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["7", "D1"]);
    doctor.expect("D1 is the doctor's own identifier; choose another one for the patient.");
    doctor.type_lines(&["2", "", "2", "  "]);
    doctor.expect("Nothing was done.");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["2", &long]);
    doctor.expect("The message has 16001 bytes, the longest possible has 16000; send it in parts.");
    doctor.expect("Nothing was done.");
    doctor.type_bytes(b"2\nbad \xc3\x28\n");
    doctor.expect("That line is not valid UTF-8 and is ignored.");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["2", "At last."]);
    doctor.expect("Message 1: sent to 1 device.");
    patient.expect("    At last.");

    for (typed, sentence) in [
        ("", "Type a number from 1 to 8."),
        ("0", "\"0\" is not a number from 1 to 8."),
        ("5\nfirst", "\"first\" is not the number of a message."),
        ("5\n2", "There is no message 2."),
        ("3\n", "Nothing was done."),
        (&format!("3\n{long}"), "The message has 16001 bytes"),
    ] {
        patient.type_lines(&[typed]);
        patient.expect(sentence);
    }
    // The input ends in the middle of a question: nothing is sent.
    patient.type_bytes(b"5\n");
    doctor.type_bytes(b"2\n");
    patient.close_input();
    patient.finish().code(0);
    doctor.close_input();
    doctor.finish().code(0).never_says("Message 2");
}

#[test]
fn the_end_of_input_in_the_middle_of_a_question_ends_both_programs() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    clinic.enrol("P1");
    for input in ["5\n", "3\n", "3", ""] {
        run_with(clinic.patient("P1", &[]), input.as_bytes()).code(0);
    }
    let mut doctor = doctor.program;
    doctor.type_lines(&["5", "P1"]);
    doctor.close_input();
    doctor.finish().code(0).never_says("Message 1");
}

fn copy(from: &Path, to: &Path) {
    let copied = run({
        let mut command = Command::new("cp");
        command.arg("-a").arg(from).arg(to);
        command
    });
    copied.code(0);
}

#[test]
fn the_ticket_of_a_killed_enrolment_is_good_for_the_same_device() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    let ticket = clinic.ticket("P1");
    // The server does not answer; the patient's program is killed meanwhile.
    doctor.program.signal(rustix::process::Signal::STOP);
    let mut patient = Running::start(clinic.patient("P1", &["enrol", &ticket]));
    patient.expect("enrolling P1 with doctor D1 at ");
    patient.kill();
    doctor.program.signal(rustix::process::Signal::CONT);
    run(clinic.patient("P1", &[])).code(4).complains(&[
        "the enrolment of P1 with doctor D1 is not finished",
        "run the command again that began it: patient --data '",
    ]);
    clinic.enrol_with("P1", &ticket).code(0);
    clinic.connect("P1");
}
