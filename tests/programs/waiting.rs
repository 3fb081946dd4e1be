//! A patient's commands that wait, with the real programs.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clinic::Clinic;
use crate::process::{Finished, Running, run};

/// How often it was said that there is no connection.
fn outages(finished: &Finished) -> usize {
    let lines = finished.err.lines();
    lines.filter(|line| line.contains("trying again")).count()
}

#[test]
fn waiting_goes_on_through_failures_of_the_connection_and_tells_one_line_of_them() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    let address = doctor.address.clone();
    clinic.enrol("P1");
    doctor.program.kill();
    // Somebody who hangs up on whoever calls.
    let listener = TcpListener::bind(&address).unwrap();
    let line = ["inbox", "--unread", "--wait", "90"];
    let mut patient = Running::start(clinic.patient("P1", &line));
    for _ in 0..3 {
        drop(listener.accept().unwrap());
    }
    drop(listener);
    let mut doctor = clinic.serve_at(&address, &[]).program;
    doctor.expect("P1 is connected.");
    doctor.type_lines(&["5", "P1", "Stay at home."]);
    let said = patient.wait().code(0).says("    Stay at home.");
    assert_eq!(outages(&said), 1, "{said}");
    // What waits unread is no reason to connect.
    doctor.type_lines(&["5", "P1", "Come tomorrow."]);
    doctor.expect("Message 2");
    run(clinic.patient("P1", &line))
        .code(0)
        .says("    Come tomorrow.");
    doctor.type_lines(&["4"]);
    doctor.finish().code(0);
}

#[test]
fn what_does_not_come_in_time_has_an_exit_code() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let inbox = ["inbox", "--unread", "--wait", "1"];
    let said = run(clinic.patient("P1", &inbox)).code(6);
    let said = said.complains(&["no unread message has come within 1 s"]);
    assert_eq!(outages(&said), 0, "{said}");
    run(clinic.patient("P1", &["send", "--wait", "30", "Hello."]))
        .code(0)
        .says("Delivered: the doctor's server has it.");
    doctor.program.kill();
    let said = run(clinic.patient("P1", &inbox)).code(6);
    assert_eq!(outages(&said), 1, "{said}");
    let said = run(clinic.patient("P1", &["send", "--wait", "1", "Are you there?"])).code(6);
    let said = said.complains(&["the message has not arrived within 1 s"]);
    assert_eq!(outages(&said), 1, "{said}");
    run(clinic.patient("P1", &["inbox", "--wait", "0"])).code(2);
    run(clinic.patient("P1", &["inbox", "--wait", "1", "--offline"])).code(2);
}

#[test]
fn waiting_for_the_program_that_runs_connects_nobody_else() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let _watch = Running::start(clinic.patient("P1", &["watch"]));
    doctor.expect("P1 is connected.");
    let line = ["inbox", "--unread", "--wait"];
    run(clinic.patient("P1", &[&line[..], &["1"]].concat())).code(6);
    let mut waiting = Running::start(clinic.patient("P1", &[&line[..], &["90"]].concat()));
    doctor.type_lines(&["5", "P1", "Stay at home."]);
    waiting.wait().code(0).says("    Stay at home.");
}

#[test]
fn waiting_beside_a_running_program_ends_in_time_whatever_does_not_answer() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let watch = Running::start(clinic.patient("P1", &["watch"]));
    doctor.expect("P1 is connected.");
    doctor.type_lines(&["5", "P1", "Stay at home."]);
    doctor.expect("Message 1: delivered to P1.");
    let waits = |line: &[&str]| {
        let begun = Instant::now();
        let said = run(clinic.patient("P1", line));
        let taken = begun.elapsed();
        // Far less than anything takes that is not told how long to wait.
        assert!(taken < Duration::from_secs(8), "{taken:?}: {said}");
        said
    };
    doctor.stop();
    waits(&["send", "--wait", "2", "Are you there?"])
        .code(6)
        .complains(&["the message has not arrived within 2 s"]);
    waits(&["confirm", "--wait", "1", "1"])
        .code(6)
        .complains(&["the confirmation has not arrived within 1 s"]);
    // Nor does the program that runs: it is not asked at all.
    watch.stop();
    waits(&["send", "--wait", "1", "Nobody writes this."])
        .code(3)
        .complains(&["gives no answer in time", "nothing was done"]);
    for program in [&watch, &doctor] {
        program.signal(Signal::CONT);
    }
    run(clinic.patient("P1", &["send", "--wait", "60", "There you are."])).code(0);
    let history = run(clinic.patient("P1", &["history"])).code(0);
    history
        .says("Are you there?")
        .never_says("Nobody writes this.");
}
