//! What command lines, environment and configuration come to.

use std::ffi::OsString;

use super::super::args::{self, Request};
use super::super::exit::Exit;
use super::*;

fn at_home(name: &str) -> Option<OsString> {
    (name == "HOME").then(|| "/home/ada".into())
}

fn doctor(line: &[&str]) -> Result<DoctorOptions, Failure> {
    match args::doctor(line.iter().map(OsString::from))? {
        Request::Run(args) => DoctorOptions::new(args, &at_home),
        Request::Print(text) => panic!("{text}"),
    }
}

fn patient(line: &[&str]) -> Result<PatientOptions, Failure> {
    match args::patient(line.iter().map(OsString::from))? {
        Request::Run(args) => PatientOptions::new(args, &at_home),
        Request::Print(text) => panic!("{text}"),
    }
}

#[test]
fn defaults_stand_in_for_what_is_not_said() {
    let options = doctor(&[]).unwrap();
    assert_eq!(options.id, None);
    assert_eq!(options.listen.to_string(), "127.0.0.1:7400");
    assert_eq!(
        options.data,
        PathBuf::from("/home/ada/.local/share/telemed/doctor")
    );
    assert_eq!(options.data_option, "");
    assert_eq!(options.public_address, None);
    assert_eq!(options.tolerance, Duration::from_secs(30));
    assert!(!options.strict_clock);
    assert_eq!(options.group, GroupName::Ffdhe3072);
    assert_eq!(options.handshakes_per_address.get(), 64);
    assert_eq!(options.task, DoctorTask::Menu);
    let options = patient(&[]).unwrap();
    assert_eq!(
        options.data,
        PathBuf::from("/home/ada/.local/share/telemed/patient")
    );
    assert_eq!(options.task, PatientTask::Menu);
}

#[test]
fn what_is_said_is_taken() {
    let options = doctor(&[
        "--id=D_1",
        "--listen",
        "::",
        "--data",
        "d",
        "--public-address",
        "c.example",
        "--tolerance=86400",
        "--strict_clock",
        "--group",
        "ffdhe4096",
        "--handshakes-per-address",
        "1",
        "message",
        "P1",
        "Hello",
    ])
    .unwrap();
    assert_eq!(options.id.unwrap().as_str(), "D_1");
    assert_eq!(options.listen.to_string(), "[::]:7400");
    assert_eq!(options.data, PathBuf::from("d"));
    assert_eq!(options.data_option, " --data 'd'");
    assert_eq!(
        options.public_address.unwrap().to_string(),
        "c.example:7400"
    );
    assert_eq!(options.tolerance, Duration::from_secs(86_400));
    assert!(options.strict_clock);
    assert_eq!(options.group, GroupName::Ffdhe4096);
    assert_eq!(options.handshakes_per_address.get(), 1);
    let expected = messages::Task::Ask(crate::doctor::control::Request::Message {
        patient: "P1".to_owned(),
        text: "Hello".to_owned(),
        urgent: false,
        expires_seconds: None,
    });
    assert_eq!(options.task, DoctorTask::Messages(expected));
}

#[test]
fn every_refusal_names_the_option_the_value_and_what_is_right() {
    let long = "x".repeat(16_001);
    for (line, parts) in [
        (
            &["--id", "P 1"][..],
            &["--id", "\"P 1\"", "A-Z a-z 0-9 . _ -"][..],
        ),
        (&["--id=--data"], &["--id", "\"--data\"", "dash"]),
        (&["--id="], &["--id", "\"\"", "at least one"]),
        (&["--listen", "x:y"], &["--listen", "\"x:y\"", "HOST:PORT"]),
        (
            &["--public-address", "h:0"],
            &["--public-address", "\"h:0\"", "port 0"],
        ),
        (
            &["--tolerance", "0"],
            &["--tolerance", "\"0\"", "1 to 86400"],
        ),
        (
            &["--tolerance", "86401"],
            &["--tolerance", "\"86401\"", "1 to 86400"],
        ),
        (
            &["--tolerance", "-5"],
            &["--tolerance", "\"-5\"", "1 to 86400"],
        ),
        (
            &["--tolerance", "1.5"],
            &["--tolerance", "\"1.5\"", "1 to 86400"],
        ),
        (&["--group", "modp"], &["--group", "\"modp\"", "ffdhe2048"]),
        (
            &["--handshakes-per-address", "0"],
            &["--handshakes-per-address", "from 1"],
        ),
        (&["--data", ""], &["--data", "directory"]),
        (&["enrol", "../P1"], &["PATIENT", "\"../P1\"", "'/'"]),
        (
            &["enrol", "P1", "--valid", "31d"],
            &["--valid", "\"31d\"", "1h", "30d"],
        ),
        (
            &["enrol", "P1", "--valid", "59min"],
            &["--valid", "1h", "30d"],
        ),
        (
            &["revoke", "P1", "--reason", " "],
            &["--reason", "the reason is empty"],
        ),
        (&["broadcast", " "], &["the message is empty"]),
        (&["message", "P1", &long], &["16001", "16000"]),
    ] {
        let failure = doctor(line).unwrap_err();
        for part in parts {
            assert!(failure.sentence.contains(part), "{failure} lacks {part}");
        }
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().ends_with("see doctor --help"));
    }
    let failure = patient(&["--connect", "h:0"]).unwrap_err();
    assert!(
        failure.sentence.starts_with("--connect \"h:0\": "),
        "{failure}"
    );
    let failure = patient(&["--doctor-id", "-"]).unwrap_err();
    assert!(
        failure.sentence.starts_with("--doctor-id \"-\": "),
        "{failure}"
    );
}

#[test]
fn a_ticket_is_not_shown_in_debug_output() {
    let line = ["enrol", "TELEMED1SECRET"];
    let args = args::patient(line.iter().map(OsString::from));
    let options = patient(&line).unwrap();
    assert!(!format!("{args:?} {options:?}").contains("SECRET"));
}
