//! Messages are read only if whoever reads them takes them to the end.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::clinic::Clinic;
use crate::process::run;

/// Together more than a pipe holds (65,536 bytes) and what is read from it.
const MESSAGES: usize = 5;

fn long_text() -> String {
    "x".repeat(16_000)
}

/// Runs a command whose reader goes away after the first bytes, as `head -1`
/// does, while the command still writes.
#[track_caller]
fn cut_short(mut command: Command) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 100]).unwrap();
    drop(output);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains("pipe"), "{said}");
}

#[test]
fn what_a_closed_pipe_did_not_take_of_the_patients_inbox_stays_unread() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    for _ in 0..MESSAGES {
        clinic.command(&["broadcast", &long_text()]).code(0);
    }
    cut_short(clinic.patient("P1", &["inbox"]));
    for form in ["--json", "--plain"] {
        cut_short(clinic.patient("P1", &["inbox", "--unread", "--offline", form]));
    }
    let unread = || run(clinic.patient("P1", &["inbox", "--unread", "--offline"])).code(0);
    unread().says("5 of them were unread.");
    unread().says("There are no unread messages.");
}

#[test]
fn what_a_closed_pipe_did_not_take_of_the_doctors_inbox_stays_unread() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    for _ in 0..MESSAGES {
        run(clinic.patient("P1", &["send", &long_text()]))
            .code(0)
            .says("Delivered");
    }
    for form in [None, Some("--json")] {
        let line = ["--id", "D1", "inbox"].into_iter().chain(form);
        cut_short(clinic.doctor(&line.collect::<Vec<_>>()));
    }
    let unread = || clinic.command(&["inbox", "--json"]).code(0).out;
    assert_eq!(unread().matches("\"unread\"").count(), MESSAGES);
    assert_eq!(unread().matches("\"unread\"").count(), 0);
}
