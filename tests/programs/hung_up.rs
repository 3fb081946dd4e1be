//! Programs that are stopped (SIGSTOP) and go on later, and askers who have not
//! waited so long: what they asked for is not done behind their backs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::clinic::Clinic;
use crate::process::{Running, run};

/// Asks a program that is stopped, and hangs up: before it was ready, and after.
#[track_caller]
fn ask_and_go(program: &Running, socket: &std::path::Path, requests: [&str; 2]) {
    let ready = UnixStream::connect(socket).unwrap();
    let mut greeting = String::new();
    BufReader::new(&ready).read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "ready\n");
    program.stop();
    let early = UnixStream::connect(socket).unwrap();
    for (mut stream, request) in [early, ready].into_iter().zip(requests) {
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    }
    program.signal(Signal::CONT);
}

#[test]
fn a_broadcast_whose_sender_has_gone_is_not_sent_when_the_server_goes_on() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let socket = clinic.doctor_files().join("control.sock");
    let [early, late] =
        ["Early.", "Late."].map(|text| format!(r#"{{"broadcast":{{"text":"{text}"}}}}"#));
    ask_and_go(&doctor.program, &socket, [&early, &late]);
    // Whoever says it again sends it once.
    clinic
        .command(&["broadcast", "Again."])
        .code(0)
        .says("Message 1");
    let history = clinic.command(&["history", "P1"]).code(0).says("Again.");
    history.never_says("Early.").never_says("Late.");
}

#[test]
fn what_a_patient_did_not_wait_for_is_not_written_when_her_program_goes_on() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    let mut watch = Running::start(clinic.patient("P1", &["watch"]));
    watch.expect("onnected to");
    let socket = clinic.patient_files("P1").join("control.sock");
    let [early, late] = ["Early.", "Late."]
        .map(|text| format!(r#"{{"send":{{"text":"{text}","consultation":null}}}}"#));
    ask_and_go(&watch, &socket, [&early, &late]);
    run(clinic.patient("P1", &["send", "Again."])).code(0);
    let history = run(clinic.patient("P1", &["history"]))
        .code(0)
        .says("Again.");
    history.never_says("Early.").never_says("Late.");
}
