//! A practice in a database on a server: served from there, moved there, and
//! while the server is away. The server's address stands in
//! `TELEMED_TEST_POSTGRES`; `make test-postgres` starts one.

mod roles;
#[path = "../support/schema.rs"]
mod schema;

use std::env;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::Client;
use telemed::store::messages::{Kind, MessageRow, MessageStore};
use telemed::store::{SqliteStore, StoreError};

use crate::clinic::{Clinic, Doctor};
use crate::process::Running;
use crate::skip::skip;

const ADDRESS: &str = "TELEMED_TEST_POSTGRES";
const LOOPBACK: &str = "127.0.0.1:0";

/// A schema of its own on a server, dropped with everything in it.
pub struct Schema(schema::Schema);

impl Deref for Schema {
    type Target = schema::Schema;

    fn deref(&self) -> &schema::Schema {
        &self.0
    }
}

impl Schema {
    pub fn new() -> Option<Self> {
        let Ok(server) = env::var(ADDRESS) else {
            skip(&format!("no PostgreSQL server in {ADDRESS}"));
            return None;
        };
        Some(Self::at(&server))
    }

    fn at(server: &str) -> Self {
        Self(schema::Schema::create(server).unwrap())
    }

    /// What `--store` is given.
    pub fn store(&self) -> String {
        self.address()
    }

    fn client(&self) -> Client {
        self.0.client().unwrap()
    }

    fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let row = self.client().query_one(&sql, &[]);
        row.map_or(0, |row| row.get(0))
    }
}

#[track_caller]
fn serve(clinic: &Clinic, address: &str, store: &str) -> Doctor {
    clinic.serve_at(address, &["--store", store])
}

/// Waits until a command says this.
#[track_caller]
pub fn until_it_says(clinic: &Clinic, line: &[&str], part: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let finished = clinic.command(line);
        if finished.out.contains(part) {
            return;
        }
        assert!(Instant::now() < deadline, "{part:?}: {finished}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_practice_on_a_server_survives_a_kill_and_can_be_backed_up() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let (clinic, store) = (Clinic::new(), schema.store());
    let mut doctor = serve(&clinic, LOOPBACK, &store);
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    doctor.program.expect("P1 is connected");
    doctor
        .program
        .type_lines(&["2", "The practice is closed today."]);
    patient.expect("    The practice is closed today.");
    doctor.program.expect("Message 1: delivered to P1.");
    patient.type_lines(&["5", "1"]);
    doctor.program.expect("Message 1: confirmed by P1.");
    patient.type_lines(&["3", "Is tomorrow all right?"]);
    doctor.program.expect("P1 writes (");
    patient.expect("Your message has arrived at the doctor's.");
    let address = doctor.address.clone();
    doctor.program.kill();
    assert!(!clinic.doctor_files().join("telemed.db").exists());

    let mut doctor = serve(&clinic, &address, &store);
    doctor.program.expect("P1 is connected");
    doctor.program.type_lines(&["2", "We are open again."]);
    patient.expect("    We are open again.");
    doctor.program.expect("Message 2: delivered to P1.");
    doctor.program.close_input();
    doctor.program.finish().code(0);

    // The database does for every command what the file did.
    let with = |line: &[&'static str]| clinic.command(&[&["--store", &store], line].concat());
    with(&["deliveries", "1"]).code(0).says("confirmed");
    with(&["inbox"]).code(0).says("Is tomorrow all right?");
    with(&["audit", "verify"])
        .code(0)
        .says("Nothing was changed");
    let backup = clinic.path("a.backup");
    let line = ["--store", &store, "backup", shown(&backup)];
    clinic.command(&line).code(0);
    let line = ["--store", &store, "backup", "verify", shown(&backup)];
    clinic.command(&line).code(0);
    // Without the option nothing is made anew in the directory.
    clinic
        .command(&["inbox"])
        .code(7)
        .complains(&["telemed.db' is missing"]);
}

/// Many messages, in which nothing makes sense but their number.
fn fill(path: &Path, count: u32) -> Result<(), StoreError> {
    let store = SqliteStore::open(path)?;
    let devices: Vec<_> = (0..20).map(|n| ([n; 32], format!("Q{n}"))).collect();
    for number in 0..count {
        let row = MessageRow {
            number: 0,
            id: [&number.to_be_bytes()[..], &[9; 12]]
                .concat()
                .try_into()
                .unwrap(),
            kind: Kind::Broadcast,
            patient: None,
            boundary: None,
            urgent: false,
            written: telemed::clock::Timestamp::from_millis(1),
            expires: None,
            sealed: vec![7; 100],
        };
        store.add_message(&row, &devices, &[])?;
    }
    Ok(())
}

#[test]
fn a_practice_is_moved_even_if_the_copy_is_killed_in_the_middle() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let (clinic, store) = (Clinic::new(), schema.store());
    let mut doctor = clinic.serve_at(LOOPBACK, &[]);
    clinic.enrol("P1");
    clinic.ticket("P2");
    let line = ["patients", "add", "P1", "--name", "Ada"];
    clinic.command(&line).code(0);
    let mut patient = clinic.connect("P1");
    clinic.command(&["message", "P1", "Come tomorrow."]).code(0);
    patient.expect("    Come tomorrow.");
    patient.type_lines(&["3", "At nine?"]);
    doctor.program.expect("P1 writes (");
    until_it_says(&clinic, &["deliveries", "1"], "delivered");
    let copy = ["store", "copy", "--from", "sqlite", "--to", &store];
    clinic
        .command(&copy)
        .code(1)
        .complains(&["in use by another running program"]);
    let address = doctor.address.clone();
    doctor.program.close_input();
    doctor.program.finish().code(0);
    fill(&clinic.doctor_files().join("telemed.db"), 1_000).unwrap();

    let running = Running::start(clinic.doctor(&[&["--id", "D1"], &copy[..]].concat()));
    let deadline = Instant::now() + Duration::from_secs(60);
    while schema.count("delivery") < 2_000 {
        assert!(Instant::now() < deadline, "nothing is copied");
    }
    running.kill();
    let incomplete = ["--store", &store, "inbox"];
    clinic
        .command(&incomplete)
        .code(1)
        .complains(&["was not completed", "doctor store copy"]);
    // The killed program's connection may take a moment to end.
    let deadline = Instant::now() + Duration::from_secs(20);
    let copied = loop {
        let finished = clinic.command(&copy);
        if finished.out.contains("are the same") || Instant::now() > deadline {
            break finished.code(0);
        }
    };
    copied
        .says("by an earlier attempt")
        .says("delivery                 20001");

    clinic
        .command(&["inbox"])
        .code(1)
        .complains(&["was moved", &format!("--store {store}")]);
    let with = |line: &[&'static str]| clinic.command(&[&["--store", &store], line].concat());
    with(&["audit", "verify"])
        .code(0)
        .says("Nothing was changed");
    with(&["inbox"]).code(0).says("At nine?");
    with(&["patients", "show", "P1"]).code(0).says("Ada");
    let doctor = serve(&clinic, &address, &store);
    patient.expect("onnected");
    let line = [
        "--store",
        &store,
        "message",
        "P1",
        "You are in the new book.",
    ];
    clinic.command(&line).code(0).says("Message 1002");
    patient.expect("    You are in the new book.");
    drop(doctor);
}

/// A server of the test's own, which it can stop.
struct OwnServer {
    holder: Child,
    url: String,
    directory: PathBuf,
}

impl OwnServer {
    fn start() -> Option<Self> {
        if env::var_os(ADDRESS).is_none() {
            skip("no PostgreSQL");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres-server");
        let say = "echo $TELEMED_TEST_POSTGRES; echo $TELEMED_TEST_POSTGRES_ROOT; read end";
        let mut holder = Command::new(script)
            .args(["bash", "-c", say])
            .env_remove(ADDRESS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let url = lines.next().unwrap().unwrap();
        let root = PathBuf::from(lines.next().unwrap().unwrap());
        Some(Self {
            holder,
            url,
            directory: root.parent().unwrap().to_owned(),
        })
    }

    fn control(&self, words: &[&str]) {
        let port = self.url.rsplit_once(':').unwrap().1;
        let port = port.split('/').next().unwrap();
        let directory = shown(&self.directory);
        let bin = env::var("PGBIN").unwrap_or_else(|_| {
            let found = "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1";
            let said = Command::new("bash").args(["-c", found]).output().unwrap();
            String::from_utf8(said.stdout).unwrap().trim().to_owned()
        });
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={directory} \
             -c ssl=on"
        );
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
                command.args(["--reset-env", &format!("{bin}/pg_ctl")]);
                command
            }
            false => Command::new(format!("{bin}/pg_ctl")),
        };
        let done = command
            .args(["-D", &format!("{directory}/data"), "-w", "-s"])
            .args(["-l", &format!("{directory}/data/log"), "-o", &options])
            .args(words)
            .current_dir("/")
            .status();
        assert!(done.unwrap().success(), "pg_ctl {words:?}");
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

#[test]
fn while_the_server_is_away_sessions_go_on_and_nothing_is_accepted() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let schema = Schema::at(&server.url);
    let (clinic, store) = (Clinic::new(), schema.store());
    let mut doctor = serve(&clinic, LOOPBACK, &store);
    for patient in ["P1", "P2"] {
        clinic.enrol(patient);
    }
    let mut patient = clinic.connect("P1");
    doctor.program.expect("P1 is connected");

    server.control(&["-m", "fast", "stop"]);
    doctor.program.expect("does not answer since");
    // The doctor's words are refused, the patient's not answered.
    let line = ["message", "P1", "Are you there?"];
    clinic
        .command(&line)
        .code(3)
        .complains(&["does not answer since"]);
    patient.type_lines(&["3", "I am here."]);
    // Nobody new is let in, and is told to come again.
    let mut other = Running::start(clinic.patient("P2", &[]));
    other.expect("full or stopping");
    clinic
        .command(&["--store", &store, "list"])
        .code(3)
        .says("what this server knows itself: the database does not answer");

    server.control(&["start"]);
    doctor.program.expect("The database is there again");
    doctor.program.expect("P1 writes (");
    patient.expect("Your message has arrived at the doctor's.");
    other.expect("Connected to doctor D1.");
    clinic.command(&line).code(0);
    patient.expect("    Are you there?");
    doctor.program.expect("delivered to P1");
    let said = doctor.program.transcript();
    assert_eq!(said.matches("does not answer since").count(), 1, "{said}");
    doctor.program.close_input();
    doctor.program.finish().code(0);

    server.control(&["-m", "fast", "stop"]);
    let line = ["--store", &store, "inbox"];
    clinic
        .command(&line)
        .code(3)
        .complains(&["does not answer"]);
    server.control(&["start"]);
}
