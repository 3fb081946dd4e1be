//! Backups: made, checked, and restored to a machine that has nothing.

mod recovery_code;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::clinic::{Clinic, Doctor, files};
use crate::disk::skip_without_mount;
use crate::process::{Finished, Running, run};

/// The recovery code that the first start has left.
fn code_of(clinic: &Clinic) -> String {
    let file = clinic.doctor_files().join("recovery-code.txt");
    fs::read_to_string(file).unwrap()
}

/// A clinic whose server has stopped, with one patient; a backup of it, and a
/// file with the recovery code.
struct Closed {
    clinic: Clinic,
    address: String,
    backup: PathBuf,
    code: PathBuf,
}

impl Closed {
    fn new() -> Self {
        let clinic = Clinic::new();
        let doctor = clinic.as_service();
        let (backup, code) = (clinic.path("a.backup"), clinic.path("code.txt"));
        clinic.enrol("P1");
        fs::write(&code, code_of(&clinic)).unwrap();
        clinic.command(&["backup", shown(&backup)]).code(0);
        clinic.command(&["stop"]).code(0);
        doctor.program.finish().code(0);
        Self {
            clinic,
            address: doctor.address,
            backup,
            code,
        }
    }

    /// The machine is gone.
    fn destroy(&self) {
        fs::remove_dir_all(self.clinic.path("doctor")).unwrap();
    }

    fn with_code(&self, command: &[&str], backup: &Path, code: &Path) -> Command {
        let file = ["--recovery-code-file", shown(code)];
        self.clinic
            .doctor(&[command, &[shown(backup)], &file].concat())
    }

    fn verify(&self) -> Finished {
        run(self.with_code(&["backup", "verify"], &self.backup, &self.code))
    }

    fn restore(&self) -> Finished {
        run(self.with_code(&["restore"], &self.backup, &self.code))
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_destroyed_machine_comes_back_and_its_patients_need_no_ticket() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    let code = clinic.path("code.txt");
    fs::write(&code, code_of(&clinic).replace('\n', "\r\n")).unwrap();
    clinic.enrol("Ada-Lovelace-of-London");
    let open = clinic.ticket("P3");
    let patient = clinic.connect("Ada-Lovelace-of-London");

    // While the server runs and somebody is connected.
    let backup = clinic.path("a.backup");
    clinic
        .command(&["backup", shown(&backup)])
        .code(0)
        .says("a.backup' is made")
        .says("root.key still lies on this machine");
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&backup).unwrap();
    for word in ["Lovelace", "SQLite", "telemed-key", "signing", "127."] {
        let part = word.as_bytes();
        assert!(
            !bytes.windows(part.len()).any(|window| window == part),
            "{word}"
        );
    }
    clinic
        .command(&["backup", "verify", shown(&backup)])
        .code(0)
        .says("opens to its end")
        .says("patients        1\n")
        .says("root key        yes")
        .says("this machine's own key");

    let before = names(&clinic.doctor_files());
    patient.kill();
    doctor.program.kill();
    fs::remove_dir_all(clinic.path("doctor")).unwrap();

    let file = ["--recovery-code-file", shown(&code)];
    let verify = [&["backup", "verify", shown(&backup)][..], &file].concat();
    clinic.command(&verify).code(0).never_says("own key");
    assert!(names(&clinic.path("doctor")).is_empty());
    let restore = [&["restore", shown(&backup)][..], &file].concat();
    clinic
        .command(&restore)
        .code(0)
        .says("Doctor D1 is restored.")
        .says("Open tickets are void now: P3.")
        .says("devices that were frozen or revoked since then are let in again")
        .says("The doctor's key is that of the backup:")
        .says("authority replace-key")
        .says("Enrolled patients connect again without a ticket");
    let kept = |name: &&String| {
        name.ends_with(".key") || name.as_str() == "telemed.db" || name.as_str() == "lock"
    };
    let expected: Vec<_> = before.iter().filter(kept).cloned().collect();
    assert_eq!(names(&clinic.doctor_files()), expected);
    for name in &expected {
        let metadata = fs::metadata(clinic.doctor_files().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(names(&clinic.path("doctor")), ["D1"]);

    let mut doctor = clinic.serve_at(&doctor.address, &[]).program;
    let mut patient = clinic.connect("Ada-Lovelace-of-London");
    doctor.expect("Ada-Lovelace-of-London is connected.");
    doctor.type_lines(&["2", "We are back."]);
    patient.expect("    We are back.");
    clinic.enrol_with("P3", &open).code(5);
    clinic.enrol("P3");
    clinic
        .command(&[&["recovery-code", "check"][..], &file].concat())
        .code(0)
        .says("The recovery code is right");
}

#[test]
fn a_backup_is_made_without_a_server_too_and_replaces_nothing() {
    let closed = Closed::new();
    let before = fs::read(&closed.backup).unwrap();
    let other = closed.clinic.path("b.backup");
    closed
        .clinic
        .command(&["backup", shown(&closed.backup)])
        .code(1)
        .complains(&["a.backup' already, which is not replaced"]);
    assert_eq!(fs::read(&closed.backup).unwrap(), before);
    closed.clinic.command(&["backup", "b.backup"]).code(0);
    assert!(other.exists(), "where the command was given");
    closed
        .clinic
        .command(&["backup", shown(&closed.clinic.path("none/b.backup"))])
        .code(1)
        .complains(&["none/b.backup': the backup cannot be written"]);
    let left = names(&closed.clinic.doctor_files());
    assert!(
        !left.iter().any(|name| name.starts_with("snapshot-")),
        "{left:?}"
    );
}

#[test]
fn damage_is_found_and_nothing_is_restored_from_it() {
    let closed = Closed::new();
    closed.verify().code(0);
    let right = fs::read(&closed.backup).unwrap();
    closed.destroy();
    let damaged = closed.clinic.path("damaged.backup");
    let check = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).unwrap();
        for command in [&["backup", "verify"][..], &["restore"]] {
            let finished = run(closed.with_code(command, &damaged, &closed.code));
            assert_eq!(finished.code, Some(7), "{what}: {finished}");
            assert!(finished.err.contains("damaged.backup': this"), "{finished}");
        }
        assert!(names(&closed.clinic.path("doctor")).is_empty(), "{what}");
    };
    for position in (0..right.len())
        .step_by(right.len() / 20)
        .chain([15, 75, 300])
    {
        let mut changed = right.clone();
        changed[position] ^= 1;
        check(&changed, &format!("byte {position}"));
    }
    for len in [0, 10, 100, 500, right.len() / 2, right.len() - 1] {
        check(&right[..len], &format!("{len} bytes"));
    }
    check(&[&right[..], b"x"].concat(), "a byte more");
    check(b"letter\n", "another file");
}

#[test]
fn nothing_that_is_there_is_replaced_by_a_restore() {
    let closed = Closed::new();
    let before = files(&closed.clinic.path("doctor"));
    closed
        .restore()
        .code(1)
        .complains(&["/doctor/D1' is not empty", "move that directory away"]);
    assert_eq!(files(&closed.clinic.path("doctor")), before);
    closed.destroy();
    fs::create_dir_all(closed.clinic.doctor_files()).unwrap();
    closed.restore().code(0);
    let _doctor = closed.clinic.serve_at(&closed.address, &["serve"]);
    closed.clinic.connect("P1");
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_that_starts() {
    let closed = Closed::new();
    closed.destroy();
    let place = closed.clinic.path("doctor");
    let mut killed_midway = 0;
    for _ in 0..8 {
        let command = closed.with_code(&["restore"], &closed.backup, &closed.code);
        let restoring = Running::start(command);
        while names(&place).is_empty() {
            std::thread::yield_now();
        }
        restoring.kill();
        if closed.clinic.doctor_files().exists() {
            // It was quicker: then all of it is there.
            run(closed.clinic.doctor(&["enrol", "P9"])).never_says("damaged");
            closed.destroy();
            continue;
        }
        killed_midway += 1;
        closed
            .clinic
            .command(&["enrol", "P9"])
            .code(1)
            .complains(&["there is no doctor D1"]);
    }
    assert!(killed_midway > 0);
    closed.restore().code(0);
    assert_eq!(names(&place), ["D1"]);
}

#[test]
fn what_a_killed_backup_left_goes_at_the_next_start() {
    let closed = Closed::new();
    let left = closed
        .clinic
        .doctor_files()
        .join("snapshot-0123456789abcdef.db");
    let other = closed.clinic.doctor_files().join("snapshot-of-mine.db");
    for file in [&left, &other] {
        fs::write(file, "x").unwrap();
    }
    let _doctor = closed.clinic.as_service();
    assert!(!left.exists());
    assert!(other.exists());
}

#[test]
fn a_full_disk_leaves_no_half_backup_behind() {
    let closed = Closed::new();
    let disk = closed.clinic.path("disk");
    fs::create_dir(&disk).unwrap();
    // A file system of its own, seen by this program and its children only.
    let script = "mount -t tmpfs -o size=64k tmpfs \"$0\" || exit 77
                  \"$@\"; code=$?; ls -A \"$0\" >&2; exit $code";
    let doctor = closed
        .clinic
        .doctor(&["backup", shown(&disk.join("a.backup"))]);
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(&disk)
        .arg(doctor.get_program())
        .args(doctor.get_args())
        .current_dir(closed.clinic.path(""));
    let finished = run(command);
    if finished.code == Some(77) || finished.err.contains("unshare:") {
        skip_without_mount();
        return;
    }
    let finished = finished
        .code(1)
        .complains(&["there is no space left for the backup"]);
    assert_eq!(finished.err.lines().count(), 1, "{finished}");
    let left = names(&closed.clinic.doctor_files());
    assert!(
        !left.iter().any(|name| name.starts_with("snapshot-")),
        "{left:?}"
    );
}

#[test]
fn a_backup_that_only_the_server_sees_is_not_said_to_be_there() {
    let clinic = Clinic::new();
    let disk = clinic.path("disk");
    fs::create_dir(&disk).unwrap();
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        unshare
    };
    // As a service with a /tmp of its own.
    let mount = "mount -t tmpfs tmpfs \"$0\" && ";
    let mut can_mount = unshare();
    can_mount.arg(format!("{mount} true")).arg(&disk);
    if run(can_mount).code != Some(0) {
        skip_without_mount();
        return;
    }
    let doctor = clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
    let mut server = unshare();
    server
        .arg(format!("{mount} exec \"$@\""))
        .arg(&disk)
        .arg(doctor.get_program())
        .args(doctor.get_args())
        .current_dir(clinic.path(""));
    let _doctor = Doctor::start(server);
    let file = disk.join("a.backup");
    clinic
        .command(&["backup", shown(&file)])
        .code(1)
        .complains(&[
            "it is not there",
            "the server sees other files than this command",
            "name a directory that both see",
        ])
        .never_says("is made");
    let seen = clinic.path("b.backup");
    clinic.command(&["backup", shown(&seen)]).code(0);
}

#[test]
fn what_was_damaged_before_the_backup_is_restored_and_told() {
    let closed = Closed::new();
    let files = closed.clinic.doctor_files();
    let database = Connection::open(files.join("telemed.db")).unwrap();
    let cut = "DELETE FROM audit_entry WHERE number > 5";
    assert!(database.execute(cut, []).unwrap() > 0);
    drop(database);
    let backup = closed.clinic.path("cut.backup");
    closed.clinic.command(&["backup", shown(&backup)]).code(0);
    closed.destroy();
    run(closed.with_code(&["restore"], &backup, &closed.code))
        .code(7)
        .says("Doctor D1 is restored.")
        .says("This is damaged: the end of the log is missing")
        .complains(&["is restored, but what was restored is damaged: the end of the log"]);
    closed.clinic.command(&["recovery-code"]).code(0);
}

#[test]
fn a_restore_stops_nobody_on_the_word_of_a_line_that_the_doctor_did_not_sign() {
    let closed = Closed::new();
    let database = closed.clinic.doctor_files().join("telemed.db");
    let database = Connection::open(database).unwrap();
    let serial = "SELECT lower(hex(serial)) FROM certificate";
    let serial: String = database.query_row(serial, [], |row| row.get(0)).unwrap();
    drop(database);
    closed.destroy();
    let heads = closed.clinic.path("heads.jsonl");
    let line = format!(
        "{{\"v\":1,\"type\":\"revocation\",\"serial\":\"{serial}\",\"subject\":\"P1\",\
         \"state\":\"frozen\",\"at\":1,\"certificate\":\"{}\",\"signature\":\"00\"}}\n",
        "00".repeat(32)
    );
    fs::write(&heads, line).unwrap();
    let restore = ["restore", "--heads", shown(&heads)];
    run(closed.with_code(&restore, &closed.backup, &closed.code))
        .code(7)
        .says("Doctor D1 is restored.")
        .says("This is damaged: what stands on line 1 of '")
        .says("about a device that was stopped is forged")
        .never_says("and is again");
}

#[test]
fn planned_backups_are_made_by_the_running_server() {
    let clinic = Clinic::new();
    let place = clinic.path("backups");
    let configuration = clinic.path("doctor.toml");
    fs::create_dir(&place).unwrap();
    let text = format!(
        "[backup]\ndirectory = \"{}\"\nevery = \"24h\"\nkeep = 3\n",
        place.display()
    );
    fs::write(&configuration, text).unwrap();
    let serve = ["--config", shown(&configuration), "serve"];
    let doctor = clinic.serve_at("127.0.0.1:0", &serve);
    let made = || {
        names(&place)
            .into_iter()
            .find(|name| name.ends_with(".backup"))
    };
    while made().is_none() {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let made = place.join(made().unwrap());
    clinic.command(&["backup", "verify", shown(&made)]).code(0);
    drop(doctor);
    // One a day, also after a restart.
    let _doctor = clinic.serve_at("127.0.0.1:0", &serve);
    clinic.command(&["list"]).code(0);
    assert_eq!(names(&place).len(), 1);
}
