//! What can be typed after the programs' names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::clinic::{Clinic, ticket_in};
use crate::process::{Running, run};

#[test]
fn help_has_examples_and_fits_a_terminal() {
    let clinic = Clinic::new();
    for (help, example) in [
        (run(clinic.doctor(&["--help"])), "doctor enrol P1"),
        (run(clinic.doctor(&["help"])), "doctor broadcast \""),
        (run(clinic.doctor(&["enrol", "-h"])), "PATIENT"),
        (run(clinic.patient("P1", &["--help"])), "patient enrol - <"),
        (run(clinic.patient("P1", &["enrol", "--help"])), "TICKET"),
    ] {
        let help = help.code(0).says("Usage: ").says(example);
        let longest = help.out.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{}", help.out);
        assert_eq!(help.err, "");
    }
    let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
    let doctor = run(clinic.doctor(&["list", "--version"])).code(0);
    assert_eq!(doctor.out, format!("doctor {version}"));
    let patient = run(clinic.patient("P1", &["-V"])).code(0);
    assert_eq!(patient.out, format!("patient {version}"));
    assert!(!clinic.path("doctor").exists() && !clinic.path("P1").exists());
}

#[test]
fn every_spelling_of_an_option_connects() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu();
    clinic.enrol("P1");
    let address = doctor.address.clone();
    for line in [
        &["--id", "P1", "--doctor_id", "D1"][..],
        &["--id=P1", "--doctor-id", "D1"],
        &["--doctor_id=D1", "--connect", &address],
        &["--doctor-id=D1", "--tolerance=60"],
        &[],
    ] {
        run(clinic.patient("P1", line))
            .code(0)
            .says("Connected to doctor D1.");
        doctor.program.expect("P1 has left.");
    }
    for line in [
        &["--public_address=c.example:7", "enrol", "P2"][..],
        &["enrol", "--public-address", "c.example:7", "P2"],
        &["enrol", "P2", "--public-address=c.example:7"],
    ] {
        run(clinic.doctor(line))
            .code(0)
            .complains(&["for the server at c.example:7."]);
    }
}

#[test]
fn the_identifier_is_needed_only_where_there_are_several() {
    let clinic = Clinic::new();
    run(clinic.doctor(&["list"])).code(2).complains(&[
        "no doctor is known in '",
        "name the doctor, such as: doctor --data '",
        "' --id D1",
    ]);
    let _doctor = clinic.with_menu();
    run(clinic.doctor(&["list"]))
        .code(0)
        .says("Nobody is connected.");
    run(clinic.doctor(&["enrol", "P9", "--id", "D2"]))
        .code(1)
        .complains(&["there is no doctor D2 in '", "the first start makes one"]);
    let other = clinic.doctor(&["serve", "--id", "D2", "--listen", "127.0.0.1:0"]);
    let mut other = Running::start(other);
    other.expect("D2 is serving on");
    run(clinic.doctor(&["list"]))
        .code(2)
        .complains(&["holds several doctors: D1, D2", "' --id D1"]);

    let ticket = clinic.ticket("P1");
    run(clinic.patient("home", &["enrol", &ticket])).code(0);
    let ticket = clinic.ticket("P2");
    run(clinic.patient("home", &["enrol", &ticket])).code(0);
    run(clinic.patient("home", &[])).code(2).complains(&[
        "there are several identities; say which one is meant",
        "--id P1 --doctor-id D1",
        "--id P2 --doctor-id D1",
    ]);
    run(clinic.patient("home", &["--doctor-id", "D1"]))
        .code(2)
        .complains(&["several identities"]);
    run(clinic.patient("home", &["--id", "P2"]))
        .code(0)
        .says("Connected to doctor D1.");
}

#[test]
fn an_argument_that_is_no_utf8_is_named() {
    let clinic = Clinic::new();
    let mut doctor = clinic.doctor(&["--id", "D1", "broadcast"]);
    doctor.arg(OsStr::from_bytes(b"closed \xff"));
    run(doctor)
        .code(2)
        .complains(&["\"closed \u{fffd}\", is not valid UTF-8"]);
    let mut patient = clinic.patient("P1", &["--id"]);
    patient.arg(OsStr::from_bytes(b"\xfe"));
    run(patient).code(2).complains(&["is not valid UTF-8"]);
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_before_anything_is_done() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu();
    let long = "x".repeat(16_001);
    for (text, sentence) in [
        ("", "the message is empty"),
        (" \u{200b}\n", "the message is empty"),
        (&long, "has 16001 bytes, the longest possible has 16000"),
    ] {
        clinic
            .command(&["broadcast", text])
            .code(2)
            .complains(&[sentence]);
        clinic
            .command(&["message", "P1", text])
            .code(2)
            .complains(&[sentence]);
    }
    clinic
        .command(&["broadcast", "hello"])
        .code(1)
        .complains(&["nothing was sent: no patient has enrolled yet"]);
    clinic
        .command(&["message", "P9", "hello"])
        .code(1)
        .complains(&["no patient P9 has enrolled, nothing was sent"]);
    doctor.program.type_lines(&["6"]);
    doctor.program.expect("No message was sent yet.");
}

#[test]
fn commands_steer_a_server_that_has_no_menu() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service().program;
    // It serves on, whatever becomes of its input.
    doctor.type_lines(&["4", "4"]);
    doctor.close_input();
    let ticket = clinic.ticket("P1");
    clinic.enrol_with("P1", &ticket).code(0);
    doctor.expect("P1 has enrolled.");
    let mut patient = clinic.connect("P1");
    doctor.expect("P1 is connected.");
    clinic
        .command(&["list"])
        .code(0)
        .says("1 device is connected:\n  P1 ");
    clinic
        .command(&["broadcast", "Take care."])
        .code(0)
        .says("Message 1: sent to 1 device.");
    patient.expect("    Take care.");
    doctor.expect("Message 1: delivered to P1.");
    // A text that begins with a dash stands behind two of them.
    clinic
        .command(&["message", "P1", "--", "-5 mg"])
        .code(0)
        .says("Message 2: sent to 1 device.");
    patient.expect("    -5 mg");
    doctor.expect("Message 2: delivered to P1.");
    clinic
        .command(&["report"])
        .code(0)
        .says(": Take care.\n  P1 ")
        .says(": -5 mg\n  P1 ");
    clinic
        .command(&["disconnect"])
        .code(0)
        .says("1 device was disconnected.");
    patient
        .finish()
        .code(0)
        .says("The doctor ended the session.");
    clinic.command(&["stop"]).code(0).says("The server stops.");
    doctor.finish().code(0);
    clinic.command(&["stop"]).code(3).complains(&[
        "no server is running for doctor D1",
        "start it: doctor --data '",
        "' --id D1",
    ]);
    assert!(!clinic.doctor_files().join("control.sock").exists());
}

#[test]
fn a_ticket_made_while_no_server_runs_is_good_once_one_does() {
    let clinic = Clinic::new();
    clinic
        .command(&["enrol", "P0"])
        .code(1)
        .complains(&["there is no doctor D1 in '", "the first start makes one"]);
    let doctor = clinic.as_service();
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let made = clinic.command(&["enrol", "P1"]).code(0);
    let made = made.complains(&[&format!("for the server at {}.", doctor.address)]);
    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    clinic.enrol_with("P1", &ticket_in(&made.out)).code(0);
    clinic.connect("P1");
}

#[test]
fn an_address_that_nobody_outside_can_use_is_asked_for_in_words() {
    let clinic = Clinic::new();
    let mut doctor = clinic.serve_at("0.0.0.0:0", &[]).program;
    doctor.expect("say with --public-address HOST:PORT where patients reach this machine");
    clinic.command(&["enrol", "P1"]).code(2).complains(&[
        "it is not known where patients reach this server",
        "--public-address HOST:PORT",
    ]);
    doctor.type_lines(&["7", "P1", "nowhere at all"]);
    doctor.expect("An address is HOST:PORT, such as");
    doctor.type_lines(&["7", "P1", "0.0.0.0:7401"]);
    doctor.expect("That means every address of a machine; name one.");
    doctor.type_lines(&["7", "P1", "clinic.example:7401"]);
    doctor.expect("for the server at clinic.example:7401.");
    // Said once, it is known, also after a restart.
    clinic
        .command(&["enrol", "P2"])
        .code(0)
        .complains(&["for the server at clinic.example:7401."]);
    doctor.type_lines(&["4"]);
    doctor.finish().code(0);
    clinic
        .command(&["enrol", "P3"])
        .code(0)
        .complains(&["for the server at clinic.example:7401."]);
    let doctor = clinic.serve_at("0.0.0.0:0", &["--public-address", "c.example"]);
    clinic
        .command(&["enrol", "P4"])
        .code(0)
        .complains(&["for the server at c.example:7400."]);
    drop(doctor);
}

#[test]
fn a_server_at_an_ipv6_address_is_reached() {
    let clinic = Clinic::new();
    let doctor = clinic.serve_at("[::1]:0", &[]);
    assert!(doctor.address.starts_with("[::1]:"), "{}", doctor.address);
    clinic.enrol("P1");
    clinic.connect("P1");
}

#[test]
fn the_port_that_others_would_reach_is_the_one_that_is_listened_on() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service();
    let (_, port) = doctor.address.rsplit_once(':').unwrap();
    let proposed = format!("--listen 0.0.0.0:{port} --public-address HOST:PORT");
    doctor.program.expect(&proposed);
}

#[test]
fn nobody_gets_a_name_in_the_menu_that_begins_like_a_ticket() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    doctor.type_lines(&["7", "telemed1-06K3Q"]);
    doctor.expect("This begins like a ticket");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["7", "telemed"]);
    doctor.expect("telemed1-");
}
