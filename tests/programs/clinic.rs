//! A doctor and her patients on this machine, with directories of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use telemed::kdf::hash;
use tempfile::TempDir;

use crate::process::{Finished, Running, run};

/// A clinic's directories and address.
pub struct Clinic {
    directory: TempDir,
    /// An address of its own in 127.0.0.0/8, so that a server finds its port
    /// free again after a restart, whatever other tests do meanwhile.
    host: String,
    /// The group of its keys.
    group: String,
}

/// A running server.
pub struct Doctor {
    /// The program.
    pub program: Running,
    /// Where it listens.
    pub address: String,
}

impl Clinic {
    /// A clinic in which nothing has happened yet.
    pub fn new() -> Self {
        Self::on_group("ffdhe2048")
    }

    /// The same, with keys in another group.
    pub fn on_group(group: &str) -> Self {
        static CLINICS: AtomicU32 = AtomicU32::new(1);
        let number = CLINICS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let host = format!(
            "127.{}.{}.{}",
            1 + process % 250,
            process / 250 % 250,
            number
        );
        Self {
            directory: tempfile::tempdir().unwrap(),
            host,
            group: group.to_owned(),
        }
    }

    /// A path in the clinic's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where `doctor` keeps its files.
    pub fn doctor_files(&self) -> PathBuf {
        self.path("doctor/D1")
    }

    /// Where `patient` keeps its files.
    pub fn patient_files(&self, patient: &str) -> PathBuf {
        self.path(patient).join(format!("{patient}@D1"))
    }

    /// `doctor` with these arguments, not run yet.
    pub fn doctor(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_doctor"), self.directory.path());
        command.args(["--group", &self.group, "--data"]);
        command.arg(self.path("doctor")).args(arguments);
        command
    }

    /// `patient` with these arguments and the data directory of `patient`.
    pub fn patient(&self, patient: &str, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_patient"), self.directory.path());
        command.arg("--data").arg(self.path(patient));
        command.args(arguments);
        command
    }

    /// Starts the server with its menu.
    pub fn with_menu(&self) -> Doctor {
        self.serve_at(&format!("{}:0", self.host), &[])
    }

    /// Starts the server without a menu.
    pub fn as_service(&self) -> Doctor {
        self.serve_at(&format!("{}:0", self.host), &["serve"])
    }

    /// Starts the server at an address.
    pub fn serve_at(&self, address: &str, arguments: &[&str]) -> Doctor {
        let mut command = self.doctor(&["--id", "D1", "--listen", address]);
        command.args(arguments);
        Doctor::start(command)
    }

    /// Runs a command of `doctor`.
    pub fn command(&self, arguments: &[&str]) -> Finished {
        run(self.doctor(&[&["--id", "D1"], arguments].concat()))
    }

    /// A ticket for `patient`, made by the command.
    #[track_caller]
    pub fn ticket(&self, patient: &str) -> String {
        ticket_in(&self.command(&["enrol", patient]).code(0).out)
    }

    /// Enrols `patient` with a ticket.
    #[track_caller]
    pub fn enrol_with(&self, patient: &str, ticket: &str) -> Finished {
        run(self.patient(patient, &["enrol", ticket]))
    }

    /// Enrols `patient` at the running server.
    #[track_caller]
    pub fn enrol(&self, patient: &str) -> Finished {
        self.enrol_with(patient, &self.ticket(patient)).code(0)
    }

    /// Starts the program of an enrolled patient and waits for the session.
    #[track_caller]
    pub fn connect(&self, patient: &str) -> Running {
        let mut program = Running::start(self.patient(patient, &[]));
        program.expect("Connected to doctor D1.");
        program
    }
}

impl Doctor {
    /// Starts a server and waits until it serves.
    #[track_caller]
    pub fn start(command: Command) -> Self {
        let mut program = Running::start(command);
        let line = program.expect(" is serving on ");
        let (_, address) = line.split_once(" is serving on ").unwrap();
        Self {
            address: address.to_owned(),
            program,
        }
    }
}

/// A program with nothing of this test's surroundings but the way to its time
/// zone.
fn program(path: &str, home: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// The ticket in what `doctor` said.
#[track_caller]
pub fn ticket_in(said: &str) -> String {
    let line = said.lines().find(|line| line.starts_with("telemed1-"));
    line.expect("a ticket").to_owned()
}

/// All files below `directory`, with a hash of what they hold: whatever a
/// program does wrong must leave them as they are. What SQLite makes anew each
/// time it opens a database is left out.
pub fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() && !name.ends_with("-shm") && !name.ends_with("-wal") {
            let hash = hash(&[&fs::read(&path).unwrap()]);
            found.push((path, u64::from_be_bytes(*hash.first_chunk().unwrap())));
        }
    }
    found.sort();
    found
}
