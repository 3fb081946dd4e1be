//! Directories, keys and databases that cannot be used: each is named, with the
//! next step and the exit code, and left as it is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::clinic::{Clinic, files};
use crate::process::run;

/// A clinic with one patient, its server stopped, and where that listened.
fn closed() -> (Clinic, String) {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let address = doctor.address.clone();
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    (clinic, address)
}

/// Flips a bit in the sealed content of one row of the doctor's database.
fn flip_a_bit(clinic: &Clinic, table: &str, number: u64) {
    let database = Connection::open(clinic.doctor_files().join("telemed.db")).unwrap();
    let sql = format!("SELECT sealed FROM {table} WHERE number = ?1");
    let mut sealed: Vec<u8> = database.query_row(&sql, [number], |r| r.get(0)).unwrap();
    sealed[20] ^= 1;
    let sql = format!("UPDATE {table} SET sealed = ?2 WHERE number = ?1");
    database.execute(&sql, (number, sealed)).unwrap();
}

#[test]
fn a_message_that_does_not_open_hides_no_other() {
    const MARK: &str = "(cannot be opened: it is damaged in the database)";
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    for text in ["Ache.", "More ache."] {
        run(clinic.patient("P1", &["send", text]))
            .code(0)
            .says("Delivered");
    }
    for text in ["One.", "Two.", "Three."] {
        clinic.command(&["broadcast", text]).code(0);
    }
    doctor.type_lines(&["4"]);
    doctor.finish().code(0);
    for (table, number) in [("message", 2), ("incoming", 1)] {
        flip_a_bit(&clinic, table, number);
    }
    for line in [
        &["deliveries"][..],
        &["deliveries", "--missing"],
        &["deliveries", "--verify"],
    ] {
        let said = clinic.command(line).code(7);
        let said = said.complains(&["1 message cannot be opened", "restore a backup"]);
        said.says("One.").says(MARK).says("Three.");
    }
    let line = ["deliveries", "2", "--unconfirmed"];
    clinic.command(&line).code(7).says(MARK);
    clinic.command(&["deliveries", "3"]).code(0).says("Three.");
    let said = clinic.command(&["history", "P1"]).code(7);
    let said = said.complains(&["2 messages cannot be opened"]);
    said.says(MARK).says("More ache.").says("Three.");
    let json = clinic.command(&["history", "P1", "--json"]).code(7).out;
    let damaged = json
        .lines()
        .filter(|line| line.contains("\"damaged\":true"));
    assert_eq!(damaged.count(), 2, "{json}");
    let said = clinic.command(&["inbox"]).code(7);
    said.says(MARK).says("More ache.");
    // They were shown.
    clinic.command(&["inbox"]).code(0).says("No new message.");
    let all = clinic.command(&["inbox", "--all"]).code(7);
    all.says(MARK).says("More ache.");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    // Nobody can make a directory there.
    let nowhere = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(["--data", "/proc/telemed"]).args(arguments);
        command
    };
    let sentence = [
        "cannot make the directory '/proc/telemed/",
        "choose another",
    ];
    run(nowhere(env!("CARGO_BIN_EXE_doctor"), &["--id", "D1"]))
        .code(1)
        .complains(&sentence);
    let ticket = clinic.ticket("P3");
    run(nowhere(env!("CARGO_BIN_EXE_patient"), &["enrol", &ticket]))
        .code(1)
        .complains(&sentence);

    // A file where a directory should be.
    fs::write(clinic.path("file"), "").unwrap();
    run(clinic.patient("file", &["enrol", &ticket]))
        .code(1)
        .complains(&["/file", "choose another data directory"]);
    run(clinic.patient("file", &[]))
        .code(1)
        .complains(&["cannot read the directory"]);

    // Open to others.
    let directory = clinic.patient_files("P1");
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let close = format!("chmod 700 '{}'", directory.display());
    run(clinic.patient("P1", &[]))
        .code(1)
        .complains(&["is open to other users (mode 0755)", &close]);
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    clinic.connect("P1");
    drop(doctor);
}

/// Only root can give a directory away: elsewhere there is nothing to test.
#[test]
fn a_directory_of_another_user_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let (files_of_patient, files_of_doctor) = (clinic.patient_files("P1"), clinic.doctor_files());
    for (directory, command) in [
        (files_of_patient, clinic.patient("P1", &[])),
        (files_of_doctor, clinic.doctor(&["--listen", "127.0.0.1:0"])),
    ] {
        std::os::unix::fs::chown(&directory, Some(65_534), None).unwrap();
        let before = files(&directory);
        run(command).code(1).complains(&[
            "belongs to user 65534 and this program runs as user 0",
            "run it as the user who owns the directory",
        ]);
        assert_eq!(files(&directory), before);
        std::os::unix::fs::chown(&directory, Some(0), None).unwrap();
    }
}

/// Nothing is closed to root, so where the tests run as root the program runs
/// as somebody else.
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let ticket = clinic.ticket("P1");
    let directory = clinic.patient_files("P1");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    let program = clinic.path("patient");
    fs::copy(env!("CARGO_BIN_EXE_patient"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("--data").arg(clinic.path("P1"));
    command.args(["enrol", &ticket]);
    if rustix::process::geteuid().is_root() {
        let way = program.parent().unwrap();
        fs::set_permissions(way, Permissions::from_mode(0o711)).unwrap();
        std::os::unix::fs::chown(&directory, Some(65_534), None).unwrap();
        command.uid(65_534);
    }
    run(command).code(1).complains(&[
        "cannot write in the directory '",
        "make it writable, or choose another one",
    ]);
    assert_eq!(files(&directory), []);
}

#[test]
fn a_key_file_that_cannot_be_used_is_named_and_left_as_it_is() {
    let (clinic, address) = closed();
    let serve = || clinic.doctor(&["--listen", &address, "serve"]);
    let connect = || clinic.patient("P1", &[]);
    let enrol = || clinic.doctor(&["enrol", "P2"]);
    let commands: [(&Path, &str, &dyn Fn() -> Command); 4] = [
        (&clinic.doctor_files(), "signing.key", &serve),
        (&clinic.doctor_files(), "signing.key", &enrol),
        (&clinic.doctor_files(), "prekey-", &serve),
        (&clinic.patient_files("P1"), "encryption-", &connect),
    ];
    for (directory, name, command) in commands {
        let key = one_file(directory, name);
        let right = fs::read(&key).unwrap();
        let shown = key.display().to_string();

        let mut damaged = right.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(&key, &damaged).unwrap();
        let before = files(directory);
        run(command())
            .code(7)
            .complains(&[&shown, "is damaged; restore it from a backup"]);
        assert_eq!(files(directory), before);

        fs::write(&key, "").unwrap();
        run(command()).code(7).complains(&[&shown, "restore"]);

        // Without a prekey the doctor goes on.
        if name != "prekey-" {
            fs::remove_file(&key).unwrap();
            run(command()).code(7).complains(&[
                "there is no key file '",
                &shown,
                "restore it from a backup",
            ]);
        }

        fs::write(&key, &right).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        run(command()).code(1).complains(&[
            "is open to other users (mode 0644)",
            &format!("chmod 600 '{shown}'"),
        ]);
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    }
    let _doctor = clinic.serve_at(&address, &["serve"]);
    clinic.connect("P1");
}

#[test]
fn a_database_that_cannot_be_used_is_named_and_left_as_it_is() {
    let (clinic, address) = closed();
    let serve = || clinic.doctor(&["--listen", &address, "serve"]);
    let connect = || clinic.patient("P1", &[]);
    let commands: [(&Path, &dyn Fn() -> Command); 2] = [
        (&clinic.doctor_files(), &serve),
        (&clinic.patient_files("P1"), &connect),
    ];
    for (directory, command) in commands {
        let database = directory.join("telemed.db");
        let right = fs::read(&database).unwrap();
        let shown = database.display().to_string();

        fs::write(
            &database,
            "not a database at all, only some text\n".repeat(400),
        )
        .unwrap();
        let before = files(directory);
        run(command()).code(7).complains(&[
            &shown,
            "is not a database",
            "keep it and restore a backup",
        ]);
        assert_eq!(files(directory), before);

        let mut damaged = right.clone();
        damaged[4096..].fill(0xa5);
        fs::write(&database, &damaged).unwrap();
        run(command())
            .code(7)
            .complains(&[&shown, "is damaged", "restore a backup"]);

        fs::write(&database, &right).unwrap();
    }

    // Commands look only at what they need, a backup at everything.
    let database = clinic.doctor_files().join("telemed.db");
    let right = fs::read(&database).unwrap();
    let backup = clinic.path("a.backup");
    let backup = backup.to_str().unwrap();
    clinic.command(&["recovery-code"]).code(0);
    let mut damaged = right.clone();
    damaged[4096..].fill(0xa5);
    for line in [
        &["patients", "list"][..],
        &["history", "P1"],
        &["deliveries"],
        &["audit", "list"],
        &["enrol", "P2"],
        &["backup", backup],
    ] {
        fs::write(&database, &damaged).unwrap();
        clinic
            .command(line)
            .code(7)
            .complains(&["is damaged", "restore a backup"]);
    }
    let mut damaged = right.clone();
    let last = right.len() - 4096;
    damaged[last..].fill(0xa5);
    fs::write(&database, &damaged).unwrap();
    clinic
        .command(&["backup", backup])
        .code(7)
        .complains(&["is damaged", "restore a backup"]);
    assert!(!Path::new(backup).exists());
    fs::write(&database, &right).unwrap();

    // A server without its database does not become another clinic.
    let database = clinic.doctor_files().join("telemed.db");
    let aside = clinic.path("aside.db");
    fs::rename(&database, &aside).unwrap();
    let before = files(&clinic.doctor_files());
    run(clinic.doctor(&["--id", "D1", "--listen", &address]))
        .code(7)
        .complains(&[
            "is missing, but the keys beside it are there",
            "restore it from a backup",
        ]);
    assert_eq!(files(&clinic.doctor_files()), before);
    fs::rename(&aside, &database).unwrap();
    let _doctor = clinic.serve_at(&address, &["serve"]);
    clinic.connect("P1");
}

fn one_file(directory: &Path, beginning: &str) -> PathBuf {
    let mut found = files(directory)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(beginning)
        });
    found.next().unwrap()
}

#[test]
fn a_server_starts_at_once_on_a_damaged_database_and_says_so_unless_it_was_not_closed() {
    let (clinic, address) = closed();
    let database = clinic.doctor_files().join("telemed.db");
    let right = fs::read(&database).unwrap();
    // Where nobody looks at the start.
    let root: usize = Connection::open(&database)
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'incoming_boundary'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let mut damaged = right;
    damaged[(root - 1) * 4096..root * 4096].fill(0xa5);
    fs::write(&database, &damaged).unwrap();
    let mut doctor = clinic.serve_at(&address, &["serve"]);
    let trouble = doctor.program.expect("Trouble: the database");
    assert!(trouble.contains("is damaged"), "{trouble}");
    clinic.connect("P1");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    clinic
        .command(&["audit", "list"])
        .code(0)
        .says("is damaged");

    // Whoever was killed has left a log: then it is read before anybody is served.
    let doctor = clinic.serve_at(&address, &["serve"]);
    doctor.program.kill();
    run(clinic.doctor(&["--id", "D1", "--listen", &address]))
        .code(7)
        .complains(&["is damaged", "restore a backup"]);
}

#[test]
fn a_damaged_message_is_named_in_its_place_and_the_exit_code_is_7() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    for text in ["Drink water.", "Leave the house."] {
        clinic.command(&["broadcast", "--urgent", text]).code(0);
        patient.expect(text);
    }
    patient.type_lines(&["2"]);
    patient.finish().code(0);
    drop(doctor);
    let database = clinic.patient_files("P1").join("telemed.db");
    let damage = "UPDATE inbox SET sealed = zeroblob(length(sealed)) WHERE number = 1";
    let database = rusqlite::Connection::open(database).unwrap();
    assert_eq!(database.execute(damage, []).unwrap(), 1);
    drop(database);
    for command in ["inbox", "history"] {
        run(clinic.patient("P1", &[command, "--offline"]))
            .code(7)
            .says("URGENT message 1, received ")
            .says("does not open: it is damaged on this disk")
            .says("    Leave the house.")
            .complains(&["1 message does not open"]);
    }
}
