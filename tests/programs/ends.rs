//! How programs end, and what is left when they do: signals, `kill -9`, and
//! coming back.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clinic::Clinic;
use crate::process::Running;

#[test]
fn a_signal_ends_the_server_and_its_patients_wait_for_it() {
    for (signal, menu) in [
        (Signal::INT, true),
        (Signal::TERM, true),
        (Signal::INT, false),
        (Signal::TERM, false),
    ] {
        let clinic = Clinic::new();
        let doctor = match menu {
            true => clinic.with_menu(),
            false => clinic.as_service(),
        };
        clinic.enrol("P1");
        let mut patient = clinic.connect("P1");
        doctor.program.signal(signal);
        doctor.program.finish().code(0).never_says("lost");
        patient.expect("The doctor's server is shutting down.");
        patient.expect("Connecting again in ");
        let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
        patient.expect("Connected to doctor D1.");
    }
}

#[test]
fn a_signal_ends_a_patient_in_good_order() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    for signal in [Signal::INT, Signal::TERM] {
        let patient = clinic.connect("P1");
        doctor.expect("P1 is connected.");
        patient.signal(signal);
        patient.finish().code(0).never_says("onnection lost");
        doctor.expect("P1 has left.");
    }
    // Also before it has got through to anybody.
    doctor.signal(Signal::STOP);
    let mut patient = Running::start(clinic.patient("P1", &[]));
    patient.signal(Signal::TERM);
    let code = patient.wait().code;
    doctor.signal(Signal::CONT);
    // Before its handlers are in place, the signal itself ends it.
    assert!(matches!(code, Some(0) | None), "{code:?}");
}

#[test]
fn a_second_signal_ends_a_program_at_once() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    // The other side does not move: saying goodbye takes its time.
    let patient = clinic.connect("P1");
    doctor.signal(Signal::STOP);
    assert_eq!(interrupt_again_and_again(patient), Some(130));
    doctor.signal(Signal::CONT);
    let patient = clinic.connect("P1");
    patient.signal(Signal::STOP);
    assert_eq!(interrupt_again_and_again(doctor), Some(130));
}

fn interrupt_again_and_again(mut program: Running) -> Option<i32> {
    while !program.ends_within(Duration::from_millis(20)) {
        program.signal(Signal::INT);
    }
    program.wait().code
}

#[test]
fn a_server_without_standard_input_serves() {
    let clinic = Clinic::new();
    for redirection in ["</dev/null", "<&-", "<&- >&-"] {
        let mut shell = Command::new("sh");
        let doctor = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
        shell
            .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
            .arg(doctor.get_program())
            .args(doctor.get_args());
        let mut doctor = Running::start(shell);
        doctor.expect(" is serving on ");
        clinic
            .command(&["list"])
            .code(0)
            .says("Nobody is connected.");
        clinic.command(&["stop"]).code(0);
        doctor.finish().code(0);
    }
}

#[test]
fn a_killed_patient_is_missed_and_comes_back() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let patient = clinic.connect("P1");
    doctor.expect("P1 is connected.");
    patient.kill();
    doctor.expect("P1: the connection was lost.");
    doctor.type_lines(&["1", "2", "Stay at home."]);
    doctor.expect("Nobody is connected.");
    doctor.expect("Message 1: nobody is connected; 1 device gets it when it comes back.");
    let mut patient = clinic.connect("P1");
    patient.expect("    Stay at home.");
    doctor.expect("Message 1: delivered to P1.");
}

#[test]
fn a_killed_server_comes_back_and_everything_goes_on() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    let address = doctor.address.clone();
    let used = clinic.ticket("P2");
    let open = clinic.ticket("P3");
    clinic.enrol("P1");
    clinic.enrol_with("P2", &used).code(0);
    let mut patient = clinic.connect("P1");

    doctor.program.kill();
    patient.expect("Connection lost, messages may be missing: ");
    patient.expect("Connecting again in ");
    patient.type_lines(&["3", "Are you there?"]);
    patient.expect("It will be sent when you are connected.");
    clinic
        .command(&["list"])
        .code(3)
        .complains(&["no server is running for doctor D1"]);

    let mut doctor = clinic.serve_at(&address, &[]).program;
    patient.expect("Connected to doctor D1.");
    doctor.expect("P1 is connected.");
    doctor.expect("): Are you there?");
    patient.expect("Your message has arrived at the doctor's.");
    let said = patient.transcript();
    let (lost, back) = (said.find("Connection lost"), said.rfind("Connected to"));
    assert!(lost.is_some() && lost < back, "{said}");

    clinic.connect("P2");
    doctor.expect("P2 is connected.");
    clinic.enrol_with("P3", &open).code(0);
    clinic.connect("P3");
    clinic
        .enrol_with("thief", &used)
        .code(5)
        .complains(&["the ticket was used by another device"]);
}

#[test]
fn what_was_written_and_did_not_arrive_is_kept_and_arrives_later() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu();
    clinic.enrol("P1");
    for way in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let mut patient = clinic.connect("P1");
        doctor.program.signal(Signal::STOP);
        patient.type_lines(&["3", "Please call me."]);
        // The menu again: the message is on its way.
        for _ in 0..2 {
            patient.expect("5  Confirm a message");
        }
        match way {
            None => patient.close_input(),
            Some(signal) => patient.signal(signal),
        }
        let ended = patient.finish();
        doctor.program.signal(Signal::CONT);
        ended
            .code(0)
            .says("Not yet at the doctor's: 1 message. It is kept here");
        let mut patient = clinic.connect("P1");
        patient.expect("Your message has arrived at the doctor's.");
        doctor.program.expect("): Please call me.");
    }
}

#[test]
fn a_confirmation_given_while_nobody_answers_is_kept() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    clinic.enrol("P1");
    clinic.command(&["broadcast", "Rest."]).code(0);
    let mut patient = clinic.connect("P1");
    patient.expect("    Rest.");
    let mut doctor_program = doctor.program;
    doctor_program.expect("Message 1: delivered to P1.");
    doctor_program.kill();
    patient.expect("Connection lost, messages may be missing: ");
    patient.type_lines(&["5", "1"]);
    patient.expect("The doctor will learn of it when you are connected.");
    patient.signal(Signal::TERM);
    patient
        .finish()
        .code(0)
        .says("Not yet at the doctor's: 1 confirmation. It is kept here");
    let mut patient = Running::start(clinic.patient("P1", &[]));
    patient.type_lines(&["4"]);
    patient.expect("(the doctor does not know yet)");
}

#[test]
fn nothing_that_arrives_at_the_port_disturbs_those_who_are_connected() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu();
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    // Fewer than an address may send before it is slowed down.
    for round in 0..30_usize {
        let mut stranger = TcpStream::connect(&doctor.address).unwrap();
        let bytes: Vec<u8> = (0..round * 130)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_be_bytes()[3]
            })
            .collect();
        // The server may close before it has read them all.
        let _ = std::io::Write::write_all(&mut stranger, &bytes);
    }
    doctor
        .program
        .expect("Not let in: 127.0.0.1 does not speak the protocol.");
    let began = Instant::now();
    doctor.program.type_lines(&["2", "All is well."]);
    patient.expect("    All is well.");
    doctor.program.expect("Message 1: delivered to P1.");
    assert!(began.elapsed() < Duration::from_secs(30));
    clinic.enrol("P2");
    clinic.connect("P2");
    doctor.program.type_lines(&["4"]);
    doctor.program.finish().code(0);
}
