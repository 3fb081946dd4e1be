//! The server under a service manager.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::clinic::{Clinic, Doctor};
use crate::process::run;
use crate::skip::skip;

/// What a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        let patience = Duration::from_secs(60);
        socket.set_read_timeout(Some(patience)).unwrap();
        Self(socket)
    }

    #[track_caller]
    fn hear(&self) -> String {
        let mut datagram = [0; 4096];
        let len = self.0.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..len].to_vec()).unwrap()
    }

    /// Waits for this, and gives what came before.
    #[track_caller]
    fn expect(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.hear() {
                heard if heard == wanted => return before,
                heard => before.push(heard),
            }
        }
    }
}

fn supervised(clinic: &Clinic, socket: &str, watchdog: &str) -> Command {
    let mut command = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
    command.env("NOTIFY_SOCKET", socket);
    command.env("WATCHDOG_USEC", watchdog);
    command
}

#[test]
fn the_service_manager_is_told_from_ready_to_stopping() {
    let clinic = Clinic::new();
    let path = clinic.path("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let command = supervised(&clinic, path.to_str().unwrap(), "400000");
    let doctor = Doctor::start(command);
    // Said once patients and commands are taken, and the files are there.
    assert_eq!(manager.hear(), "READY=1\nSTATUS=0 patients are connected");
    clinic.command(&["list"]).code(0);
    let signs_of_life = |heard: Vec<String>| {
        assert!(heard.iter().all(|line| line == "WATCHDOG=1"), "{heard:?}");
    };
    assert_eq!(manager.hear(), "WATCHDOG=1");
    clinic.enrol("P1");
    let patient = clinic.connect("P1");
    signs_of_life(manager.expect("STATUS=1 patient is connected"));
    drop(patient);
    signs_of_life(manager.expect("STATUS=0 patients are connected"));
    assert_eq!(manager.hear(), "WATCHDOG=1");
    clinic.command(&["stop"]).code(0);
    signs_of_life(manager.expect("STOPPING=1"));
    doctor.program.finish().code(0);
    manager.0.set_nonblocking(true).unwrap();
    assert!(manager.0.recv(&mut [0; 64]).is_err());
}

#[test]
fn a_socket_without_a_path_is_told_too_and_no_watchdog_is_fed_unasked() {
    let clinic = Clinic::new();
    let name = format!("telemed-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::new(UnixDatagram::bind_addr(&address).unwrap());
    let doctor = Doctor::start(supervised(&clinic, &format!("@{name}"), "0"));
    assert_eq!(manager.hear(), "READY=1\nSTATUS=0 patients are connected");
    doctor.program.signal(rustix::process::Signal::TERM);
    assert_eq!(manager.hear(), "STOPPING=1");
    doctor.program.finish().code(0);
}

#[test]
fn a_server_that_does_not_come_up_is_not_ready() {
    let clinic = Clinic::new();
    let path = clinic.path("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let mut command = supervised(&clinic, path.to_str().unwrap(), "0");
    command.args(["--tolerance", "0"]);
    run(command).code(2);
    manager.0.set_nonblocking(true).unwrap();
    assert!(manager.0.recv(&mut [0; 64]).is_err());
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = include_str!("../../docs/systemd/telemed-doctor.service");
    let installed = "/usr/local/bin/doctor";
    assert!(unit.contains(&format!("\nExecStart={installed} serve\n")));
    assert!(unit.contains("\nType=notify\n"));
    // Where there is no systemd, nobody can tell.
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        skip("there is no systemd-analyze");
        return;
    }
    let clinic = Clinic::new();
    let path = clinic.path("telemed-doctor.service");
    fs::write(&path, unit.replace(installed, env!("CARGO_BIN_EXE_doctor"))).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg(&path);
    let verified = run(verify).code(0);
    // It may have something to say about this machine's other units.
    assert!(!verified.err.contains("telemed"), "{verified}");
}

#[test]
fn what_patients_write_does_not_reach_the_log_of_a_service() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service().program;
    clinic.enrol("P1");
    run(clinic.patient("P1", &["send", "It hurts here."])).code(0);
    doctor.expect("P1 has written: doctor inbox shows it.");
    clinic.command(&["inbox"]).code(0).says("It hurts here.");
    clinic.command(&["stop"]).code(0);
    doctor.finish().code(0).never_says("hurts");
}

#[test]
fn a_reader_of_the_log_that_is_stuck_keeps_no_server_from_ending() {
    let clinic = Clinic::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    let mut command = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
    let mut server = command.stderr(writer).spawn().unwrap();
    // The server's end of the pipe.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while !line.contains("is serving on") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    // Fills the pipe, and waits for a reader that reads no more.
    let filler = thread::spawn(move || while filler.write_all(&[b'.'; 512]).is_ok() {});
    clinic.enrol("P1");
    clinic.command(&["stop"]).code(0);
    server.wait().unwrap();
    drop(reader);
    filler.join().unwrap();
}
