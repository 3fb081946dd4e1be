//! The programs at a terminal: a person types, lines come in between.

use std::process::Command;

use rexpect::session::{Options, PtySession, spawn_with_options};
use rustix::termios::{LocalModes, tcgetattr};

use crate::clinic::Clinic;

const PROMPT: &str = "Choice: ";

/// Starts a program at a pseudo-terminal and waits for its prompt; gives what
/// it said before.
fn typed(mut command: Command) -> (PtySession, String) {
    command.env("TERM", "xterm");
    let options = Options::new()
        .timeout_ms(Some(60_000))
        .strip_ansi_escape_codes(true);
    let mut session = spawn_with_options(command, options).unwrap();
    let said = session.exp_string(PROMPT).unwrap();
    // The line editor has taken over.
    let terminal = session.process().get_file_handle().unwrap();
    let modes = tcgetattr(&terminal).unwrap().local_modes;
    assert!(!modes.contains(LocalModes::ICANON), "{modes:?}");
    (session, said)
}

/// A doctor at a terminal, and where she serves.
fn typing_doctor(clinic: &Clinic) -> (PtySession, String) {
    let command = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "--plain-keys"]);
    let (doctor, said) = typed(command);
    let (_, address) = said.split_once(" is serving on ").unwrap();
    (doctor, address.lines().next().unwrap().to_owned())
}

/// An enrolled patient at a terminal, who is connected.
fn typing_patient(clinic: &Clinic, arguments: &[&str]) -> PtySession {
    let (mut patient, said) = typed(clinic.patient("P1", arguments));
    if !said.contains("Connected to doctor D1.") {
        patient.exp_string("Connected to doctor D1.").unwrap();
        patient.exp_string(PROMPT).unwrap();
    }
    patient
}

/// Checks that the program ends by itself with this code, and has left the
/// terminal in the mode it found it in; gives what it said last.
fn ends(mut session: PtySession, code: i32) -> String {
    let terminal = session.process().get_file_handle().unwrap();
    let rest = session.exp_eof().unwrap();
    let status = format!("{:?}", session.process().wait().unwrap());
    assert!(status.contains(&format!(", {code})")), "{status}: {rest}");
    let modes = tcgetattr(&terminal).unwrap().local_modes;
    let usual = LocalModes::ICANON | LocalModes::ISIG;
    assert!(modes.contains(usual), "{modes:?}");
    rest
}

#[test]
fn an_urgent_message_rings_the_bell() {
    let clinic = Clinic::new();
    let _server = clinic.as_service();
    clinic.enrol("P1");
    let mut patient = typing_patient(&clinic, &[]);
    clinic.command(&["message", "P1", "Not urgent."]).code(0);
    let before = patient.exp_string("Not urgent.").unwrap();
    assert!(!before.contains('\x07'), "{before:?}");
    clinic
        .command(&["broadcast", "--urgent", "Leave the house."])
        .code(0);
    patient.exp_string("\x07").unwrap();
    patient.exp_string("Leave the house.").unwrap();
}

#[test]
fn what_comes_in_stands_above_the_prompt_and_the_half_typed_line_survives() {
    let clinic = Clinic::new();
    let _server = clinic.as_service();
    clinic.enrol("P1");
    let mut patient = typing_patient(&clinic, &[]);
    patient.send_line("3").unwrap();
    patient.exp_string("Message: ").unwrap();
    patient.send("I have a head").unwrap();
    patient.flush().unwrap();
    patient.exp_string("head").unwrap();
    clinic
        .command(&["broadcast", "Drink \x1b[31mwater."])
        .code(0);
    // No key is needed for it to be shown, and typing goes on below.
    patient.exp_string("Drink [31mwater.").unwrap();
    patient.exp_string("Message: I have a head").unwrap();
    patient.send_line("ache").unwrap();
    patient.exp_string("arrived at the doctor's.").unwrap();
    patient.exp_string(PROMPT).unwrap();
    patient.send_control('d').unwrap();
    ends(patient, 0);
}

#[test]
fn the_doctors_terminal_does_the_same() {
    let clinic = Clinic::new();
    let (mut doctor, _) = typing_doctor(&clinic);
    clinic.enrol("P1");
    doctor.exp_string("P1 has enrolled.").unwrap();
    doctor.send("5").unwrap();
    doctor.flush().unwrap();
    let mut patient = clinic.connect("P1");
    doctor.exp_string("P1 is connected.").unwrap();
    doctor.exp_string("Choice: 5").unwrap();
    doctor.send_line("").unwrap();
    doctor.exp_string("Patient: ").unwrap();
    doctor.send("P").unwrap();
    doctor.flush().unwrap();
    patient.type_lines(&["3", "Hello \x1b]0;owned\x07there."]);
    doctor.exp_string("): Hello ]0;ownedthere.").unwrap();
    doctor.exp_string("Patient: P").unwrap();
    doctor.send_line("1").unwrap();
    doctor.exp_string("Message: ").unwrap();
    doctor.send_line("Good morning.").unwrap();
    doctor.exp_string("Message 1: sent to 1 device.").unwrap();
    patient.expect("    Good morning.");
    doctor.exp_string(PROMPT).unwrap();
    doctor.send_line("4").unwrap();
    ends(doctor, 0);
    patient.expect("The doctor's server is shutting down.");
}

#[test]
fn ctrl_c_and_ctrl_d_end_both_programs_in_good_order() {
    let clinic = Clinic::new();
    for key in ['c', 'd'] {
        let (mut doctor, address) = typing_doctor(&clinic);
        if !clinic.path("P1").exists() {
            clinic.enrol("P1");
        }
        let mut patient = typing_patient(&clinic, &["--connect", &address]);
        doctor.exp_string("P1 is connected.").unwrap();
        patient.send("half a li").unwrap();
        patient.send_control(key).unwrap();
        if key == 'd' {
            // With something typed it only deletes; on an empty line it ends.
            patient.send_control('u').unwrap();
            patient.send_control('d').unwrap();
        }
        ends(patient, 0);
        doctor.exp_string("P1 has left.").unwrap();
        doctor.send_control(key).unwrap();
        ends(doctor, 0);
    }
}

#[test]
fn a_session_that_the_doctor_ends_gives_the_terminal_back() {
    let clinic = Clinic::new();
    let server = clinic.as_service();
    clinic.enrol("P1");
    let mut patient = typing_patient(&clinic, &[]);
    patient.send("half a li").unwrap();
    patient.flush().unwrap();
    patient.exp_string("half a li").unwrap();
    clinic.command(&["disconnect"]).code(0);
    let rest = ends(patient, 0);
    assert!(rest.contains("The doctor ended the session."), "{rest}");
    drop(server);

    // A signal does, too, while nobody is there to talk to.
    let (mut patient, said) = typed(clinic.patient("P1", &[]));
    if !said.contains("Not connected: no server answers") {
        patient.exp_string("Not connected: no server").unwrap();
    }
    let terminate = "SIGTERM".parse().unwrap();
    patient.process_mut().signal(terminate).unwrap();
    ends(patient, 0);
}

#[test]
fn the_recovery_code_is_shown_once_and_a_mistyped_one_asked_for_again() {
    let clinic = Clinic::new();
    let command = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "--plain-keys"]);
    let (mut doctor, said) = typed(command);
    let (_, code) = said.split_once("shown this once: ").unwrap();
    let code = code.lines().next().unwrap().trim().to_lowercase();
    assert!(!clinic.doctor_files().join("recovery-code.txt").exists());
    let options = || {
        Options::new()
            .timeout_ms(Some(60_000))
            .strip_ansi_escape_codes(true)
    };
    for typed in [&code[..], &code[1..]] {
        let command = clinic.doctor(&["recovery-code", "check"]);
        let mut check = spawn_with_options(command, options()).unwrap();
        for mistyped in ["abcd", &code[1..]] {
            check.exp_string("Recovery code: ").unwrap();
            check.send_line(mistyped).unwrap();
            check.exp_string("try again").unwrap();
        }
        check.exp_string("Recovery code: ").unwrap();
        check.send_line(typed).unwrap();
        let is_right = typed == code;
        let rest = ends(check, if is_right { 0 } else { 4 });
        assert_eq!(rest.contains("The recovery code is right"), is_right);
    }
    doctor.send_control('d').unwrap();
    let rest = ends(doctor, 0);
    assert!(!rest.to_lowercase().contains(&code));
}

#[test]
fn a_name_that_may_be_taken_for_another_patients_is_asked_about() {
    let clinic = Clinic::new();
    let (mut doctor, _) = typing_doctor(&clinic);
    doctor.send_line("7").unwrap();
    doctor.exp_string("Patient: ").unwrap();
    doctor.send_line("a.B").unwrap();
    doctor.exp_string("Ticket for a.B").unwrap();
    doctor.exp_string(PROMPT).unwrap();
    doctor.send_line("7").unwrap();
    doctor.exp_string("Patient: ").unwrap();
    doctor.send_line("A_b").unwrap();
    doctor
        .exp_string("The name A_b is new; a.B is another patient")
        .unwrap();
    doctor.exp_string("Type yes: ").unwrap();
    doctor.send_line("no").unwrap();
    doctor.exp_string("Nothing was done.").unwrap();
    doctor.exp_string(PROMPT).unwrap();

    // The same at a command; a name that is known is not asked about.
    let command = |arguments: &[&str]| {
        let options = Options::new().timeout_ms(Some(60_000));
        spawn_with_options(clinic.doctor(arguments), options).unwrap()
    };
    let mut asked = command(&["enrol", "A-B"]);
    asked
        .exp_string("The name A-B is new; a.B is another patient")
        .unwrap();
    asked.exp_string("Type yes: ").unwrap();
    asked.send_line("").unwrap();
    asked.exp_string("nothing was done").unwrap();
    let mut asked = command(&["enrol", "A-B"]);
    asked.exp_string("Type yes: ").unwrap();
    asked.send_line("yes").unwrap();
    asked.exp_string("Ticket for A-B").unwrap();
    let mut known = command(&["enrol", "a.B"]);
    let said = known.exp_string("Ticket for a.B").unwrap();
    assert!(!said.contains("is new"), "{said}");

    // Nobody is there to be asked: a script goes on, and the warning is there.
    let warning = "doctor: The name A.B is new; ";
    clinic
        .command(&["patients", "add", "A.B", "--name", "Anna"])
        .code(0)
        .complains(&[warning]);
    doctor.send_line("4").unwrap();
    ends(doctor, 0);
}
