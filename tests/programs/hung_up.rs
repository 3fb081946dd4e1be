//! Programs that are stopped (SIGSTOP) and go on later, and askers who have not
//! waited so long: what they asked for is not done behind their backs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clinic::Clinic;
use crate::process::{Running, run};

/// Stops a program, and waits until none of its threads runs.
#[track_caller]
fn stop(program: &Running) {
    program.signal(Signal::STOP);
    let tasks = format!("/proc/{}/task", program.pid().as_raw_nonzero());
    let runs = |task: &fs::DirEntry| {
        // The state follows the name, which is in parentheses (proc(5)).
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
        !matches!(state, Some(Some('T')) | None)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(&tasks)
        .unwrap()
        .any(|task| runs(&task.unwrap()))
    {
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Asks a program that is stopped, and hangs up: before it was ready, and after.
#[track_caller]
fn ask_and_go(program: &Running, socket: &std::path::Path, requests: [&str; 2]) {
    let ready = UnixStream::connect(socket).unwrap();
    let mut greeting = String::new();
    BufReader::new(&ready).read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "ready\n");
    stop(program);
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
