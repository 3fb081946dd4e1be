//! What a patient's device keeps and makes noticed, with the real programs.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clinic::Clinic;
use crate::disk::SmallDisk;
use crate::process::{Finished, Running, run};
use crate::skip::skip;

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A command of P1's, without a connection.
#[track_caller]
fn offline(clinic: &Clinic, line: &[&str]) -> Finished {
    run(clinic.patient("P1", &[line, &["--offline"]].concat())).code(0)
}

#[test]
fn a_message_that_was_kept_and_not_shown_is_unread_at_the_next_start_once() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    // Nothing that the patient's program prints gets through: the pipe is full.
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; 65_536]).unwrap();
    let mut patient = clinic
        .patient("P1", &[])
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    doctor.expect("P1 is connected.");
    doctor.type_lines(&["5", "P1", "Stay at home."]);
    doctor.expect("Message 1: delivered to P1.");
    patient.kill().unwrap();
    patient.wait().unwrap();
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    assert!(!printed.contains("Stay at home."));

    offline(&clinic, &["inbox", "--unread"])
        .says("    Stay at home.")
        .says("1 of them was unread.");
    offline(&clinic, &["inbox", "--unread"]).says("There are no unread messages.");
    offline(&clinic, &["inbox"])
        .says("    Stay at home.")
        .says("All of them were read before.");
    // The doctor's program has its proof and does not send it again.
    let mut patient = clinic.connect("P1");
    patient.expect("This is the only device in the group now.");
    patient.type_lines(&["2"]);
    patient.finish().code(0).never_says("Stay at home.");
}

#[test]
fn what_was_queued_while_the_doctor_was_away_arrives_once() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    let address = doctor.address.clone();
    clinic.enrol("P1");
    doctor.program.kill();
    let sent = run(clinic.patient("P1", &["send", "Are you there?"])).code(0);
    sent.says("Queued, code ")
        .says("It has not arrived yet")
        .complains(&["Not connected: no server answers"]);
    offline(&clinic, &["send", "It hurts.", "--open"]).never_says("Delivered");
    run(clinic.patient("P1", &["status"]))
        .code(0)
        .says("No program is running")
        .says("Not yet at the doctor's: 2 messages.");

    let mut doctor = clinic.serve_at(&address, &[]).program;
    run(clinic.patient("P1", &["send", "Here.", "--close"]))
        .code(0)
        .says("Delivered: the doctor's server has it.");
    for text in ["Are you there?", "It hurts.", "Here."] {
        doctor.expect(&format!(": {text}"));
    }
    let history = run(clinic.patient("P1", &["history"])).code(0);
    let places = [
        "Are you there?",
        "consultation begins",
        "It hurts.",
        "Here.",
        "consultation ends",
    ]
    .map(|part| {
        history
            .out
            .find(part)
            .unwrap_or_else(|| panic!("{part}: {history}"))
    });
    assert!(places.is_sorted(), "{history}");
    assert!(!history.out.contains("not arrived"), "{history}");
    doctor.type_lines(&["4"]);
    let said = doctor.finish().code(0).out;
    assert_eq!(said.matches("Are you there?").count(), 1, "{said}");
}

#[test]
fn a_message_is_confirmed_by_a_command_in_another_run() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    doctor.type_lines(&["2", "Wash your hands."]);
    let inbox = run(clinic.patient("P1", &["inbox"])).code(0);
    let inbox = inbox.says("    Wash your hands.");
    let (_, code) = inbox.out.split_once("code ").unwrap();
    run(clinic.patient("P1", &["confirm", "17"]))
        .code(1)
        .complains(&["there is no message 17"]);
    run(clinic.patient("P1", &["confirm", &code[..6]]))
        .code(0)
        .says("You have confirmed message 1")
        .says("The doctor's server has the confirmation.");
    doctor.expect("Message 1: confirmed by P1.");
    run(clinic.patient("P1", &["confirm", "1"]))
        .code(1)
        .complains(&["that message was confirmed on"]);
}

/// A watch that runs `command` for every message.
fn watch(clinic: &Clinic, command: &str) -> Running {
    let mut patient = Running::start(clinic.patient("P1", &["watch", "--on-message", command]));
    patient.expect("Connected to doctor D1.");
    patient
}

#[test]
fn a_watch_makes_messages_noticed_and_commands_work_through_it() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let noticed = clinic.path("noticed");
    fs::create_dir(&noticed).unwrap();
    let at = noticed.display();
    let command =
        format!("cd '{at}' && cat > tmp-$$ && mv tmp-$$ $TELEMED_FROM-$TELEMED_URGENT; exit 3");
    let mut patient = watch(&clinic, &command);
    let text = "a\x1b[2J \u{202e}b $HOME '\"`";
    doctor.type_lines(&["2", text]);
    patient.expect("URGENT message 1 has come");
    doctor.type_lines(&["5", "P1", "How are you?"]);
    patient.expect("Message 2 has come");
    for (name, expected) in [("D1-1", text), ("D1-0", "How are you?")] {
        let path = noticed.join(name);
        wait_until(name, || path.exists());
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }
    patient.expect("The command for messages fails: it ends with exit status: 3.");
    wait_until("nobody is left behind", || children(&patient).is_empty());

    let patients = |line: &[&str]| run(clinic.patient("P1", line)).code(0);
    patients(&["status"])
        .says("Connected to doctor D1.")
        .says("2 messages are unread, 1 of them URGENT.");
    patients(&["doctors"])
        .says("D1 at 127.")
        .says("(has enrolled you, the one you ask for, connected)");
    patients(&["inbox", "--unread"]).says("    How are you?");
    patients(&["status"]).says("No message is unread.");
    patients(&["confirm", "1"]).says("The doctor's server has the confirmation.");
    doctor.expect("Message 1: confirmed by P1.");
    patients(&["send", "Well."]).says("Delivered: the doctor's server has it.");
    doctor.expect("): Well.");
    patients(&["history"])
        .says("    Well.")
        .says("    How are you?");

    patient.signal(Signal::TERM);
    let ended = patient.finish().code(0).never_says("How are you?");
    assert_eq!(ended.err.matches("The command for messages").count(), 1);
    doctor.expect("P1 has left.");
}

/// The processes that a program has started and not buried.
fn children(program: &Running) -> Vec<String> {
    let pid = program.pid().as_raw_nonzero();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.flat_map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    children
        .flat_map(|pids| {
            pids.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_watch_survives_the_doctors_restarts_and_its_own_death() {
    let clinic = Clinic::new();
    let doctor = clinic.with_menu();
    let address = doctor.address.clone();
    clinic.enrol("P1");
    let mut patient = watch(&clinic, "cat > /dev/null");
    doctor.program.kill();
    patient.expect("Connection lost");
    let mut doctor = clinic.serve_at(&address, &[]).program;
    patient.expect("Connected to doctor D1.");
    doctor.type_lines(&["2", "Stay at home."]);
    patient.expect("URGENT message 1 has come");
    patient.kill();
    let mut patient = watch(&clinic, "cat > /dev/null");
    doctor.type_lines(&["2", "Come back."]);
    patient.expect("URGENT message 2 has come");
    run(clinic.patient("P1", &["inbox", "--unread"]))
        .code(0)
        .says("    Stay at home.")
        .says("    Come back.")
        .says("2 of them were unread.");
    let menu = run(clinic.patient("P1", &[]));
    menu.code(1).complains(&["in use"]);
}

#[test]
fn a_full_disk_stops_new_messages_and_loses_none() {
    let clinic = Clinic::new();
    let Some(disk) = SmallDisk::mount(clinic.path("P1"), "1m") else {
        return;
    };
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let mut patient = watch(&clinic, "cat > /dev/null");
    doctor.type_lines(&["5", "P1", "Before."]);
    patient.expect("Message 1 has come");
    disk.fill();
    doctor.type_lines(&["5", "P1", "Meanwhile."]);
    let said = patient.expect("what came cannot be kept here");
    assert!(said.contains("there is no space left"), "{said}");
    run(clinic.patient("P1", &["send", "Hello?"]))
        .code(1)
        .complains(&[
            "the message cannot be kept, nothing is sent",
            "no space left",
        ])
        .never_says("Queued");
    run(clinic.patient("P1", &["confirm", "1"]))
        .code(1)
        .complains(&["the confirmation cannot be kept"]);
    disk.free();
    patient.expect("Message 2 has come");
    doctor.expect("Message 2: delivered to P1.");
    run(clinic.patient("P1", &["send", "Hello again."]))
        .code(0)
        .says("Delivered");
    run(clinic.patient("P1", &["inbox"]))
        .code(0)
        .says("    Before.")
        .says("    Meanwhile.")
        .says("2 of them were unread.");
    patient.signal(Signal::TERM);
    patient.finish().code(0);
}

#[test]
fn a_watch_tells_the_service_manager_how_it_is() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    let path = clinic.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let expect = |wanted: &str| loop {
        let mut datagram = [0; 4096];
        let len = manager.recv(&mut datagram).unwrap();
        let heard = String::from_utf8_lossy(&datagram[..len]).into_owned();
        if heard.lines().any(|line| line == wanted) {
            return;
        }
    };
    // A command for messages does not speak to the manager.
    let told = clinic.path("told");
    let on_message = format!("env > '{0}.new'; mv '{0}.new' '{0}'", told.display());
    let mut command = clinic.patient("P1", &["watch", "--on-message", &on_message]);
    command.env("NOTIFY_SOCKET", &path);
    let patient = Running::start(command);
    expect("READY=1");
    expect("STATUS=connected to D1");
    clinic.command(&["broadcast", "Drink water."]).code(0);
    wait_until("the command", || told.exists());
    let told = fs::read_to_string(told).unwrap();
    assert!(told.contains("TELEMED_URGENT=0"), "{told}");
    assert!(!told.contains("NOTIFY_SOCKET"), "{told}");
    patient.signal(Signal::TERM);
    expect("STOPPING=1");
    patient.finish().code(0);
}

#[test]
fn the_unit_of_the_watch_is_one() {
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd/telemed-patient-watch.service");
    let unit = fs::read_to_string(unit).unwrap();
    let program = env!("CARGO_BIN_EXE_patient");
    assert!(unit.contains("ExecStart=%h/.local/bin/patient watch\n"));
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("telemed-patient-watch.service");
    fs::write(&copy, unit.replace("%h/.local/bin/patient", program)).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["--user", "verify"])
        .arg(&copy)
        .env("XDG_RUNTIME_DIR", directory.path())
        .output();
    // Where there is no systemd, nobody can use the unit either.
    let Ok(verdict) = verify else {
        skip("there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(!said.contains("telemed-patient-watch"), "{said}");
    assert!(verdict.status.success(), "{said}");
}
