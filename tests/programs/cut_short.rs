//! Commands on key files that are killed in the middle, for real, and what they
//! leave: the next program opens the directory, and the same command completes
//! what was begun.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::clinic::{Clinic, Doctor};
use crate::process::{Finished, run};

/// How often a command is killed at least, at moments spread over the second
/// half of the time it takes: the writing comes last.
const KILLS: u32 = 6;

/// Kills commands of one kind in the middle.
struct Killer {
    /// How long such a command takes: less than first measured, where that was
    /// on a busy machine.
    takes: Duration,
    kills: u32,
    /// How often it had not ended by then.
    cut: u32,
}

impl Killer {
    /// Lets the command end once, to see how long it takes.
    fn after(command: Command) -> Self {
        let begun = Instant::now();
        run(command).code(0);
        Self {
            takes: begun.elapsed(),
            kills: 0,
            cut: 0,
        }
    }

    /// Whether there is more to kill: at least one command has to be cut short.
    fn goes_on(&self) -> bool {
        assert!(self.kills < 10 * KILLS, "it was never killed in time");
        self.kills < KILLS || self.cut == 0
    }

    /// Runs a command and kills it at the next moment.
    fn kill(&mut self, mut command: Command) {
        let step = self.kills % KILLS + 1;
        let moment = self.takes / 2 + self.takes * step / (2 * KILLS);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // The moment is the point here, nothing is waited for.
        thread::sleep(moment);
        self.kills += 1;
        if child.try_wait().unwrap().is_some() {
            self.takes = self.takes * 3 / 4;
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            self.cut += 1;
        }
    }
}

/// A file with a passphrase, its owner's alone.
fn file(clinic: &Clinic, name: &str, passphrase: &str) -> String {
    let path = clinic.path(name);
    fs::write(&path, format!("{passphrase}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn with(clinic: &Clinic, secret: &str, arguments: &[&str]) -> Finished {
    clinic.command(&[&["--passphrase-file", secret], arguments].concat())
}

fn stop(clinic: &Clinic, doctor: Doctor) -> Finished {
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0)
}

/// A clinic that was founded and whose server has stopped.
fn founded(more: &[&str]) -> Clinic {
    let clinic = Clinic::new();
    let line = ["--id", "D1", "--listen", "127.0.0.1:0"];
    let doctor = Doctor::start(clinic.doctor(&[&line[..], more, &["serve"]].concat()));
    stop(&clinic, doctor);
    clinic
}

/// Names in the doctor's directory, sorted.
fn names(clinic: &Clinic) -> Vec<String> {
    let entries = fs::read_dir(clinic.doctor_files()).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .filter(|name| name.contains(".key"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_killed_change_of_the_passphrase_was_made_for_all_keys_or_for_none() {
    let clinic = Clinic::new();
    let secrets = ["correct horse", "battery staple"].map(|text| file(&clinic, text, text));
    let line = ["--id", "D1", "--listen", "127.0.0.1:0"];
    let secret = ["--passphrase-file", &secrets[0], "serve"];
    let doctor = Doctor::start(clinic.doctor(&[&line[..], &secret].concat()));
    stop(&clinic, doctor);
    let passwd = |from: usize| {
        let (old, new) = (&secrets[from], &secrets[1 - from]);
        let line = ["--id", "D1", "--passphrase-file", old, "key", "passwd"];
        clinic.doctor(&[&line[..], &["--new-passphrase-file", new]].concat())
    };
    let mut killer = Killer::after(passwd(0));
    let mut good = 1;
    while killer.goes_on() {
        killer.kill(passwd(good));
        let kill = killer.kills;
        // What the root has to sign needs the same passphrase as the rest,
        // whoever comes first.
        let renew = |with_: usize| with(&clinic, &secrets[with_], &["authority", "renew"]);
        let backup = |with_: usize| {
            let file = clinic.path(&format!("{kill}-{with_}.backup"));
            with(
                &clinic,
                &secrets[with_],
                &["backup", file.to_str().unwrap()],
            )
        };
        let first: &dyn Fn(usize) -> Finished = match kill % 2 {
            0 => &renew,
            _ => &backup,
        };
        let old = first(good);
        let bad = match old.code {
            Some(0) => 1 - good,
            Some(4) => good,
            _ => panic!("{old}"),
        };
        good = 1 - bad;
        first(bad).code(4);
        renew(good).code(0);
        if kill.is_multiple_of(2) {
            backup(good).code(0).says("root key is in it");
        }
        clinic
            .command(&["key", "show"])
            .code(0)
            .never_says("cut short");
        run(passwd(good)).code(0);
        good = 1 - good;
        assert_eq!(names(&clinic).len(), 5, "{:?}", names(&clinic));
    }
}

#[test]
fn a_killed_replacement_of_the_key_leaves_nothing_that_stays() {
    let clinic = founded(&[]);
    let replace = || {
        let line = ["--id", "D1", "authority", "replace-key", "--yes"];
        clinic.doctor(&[&line[..], &["--reason", "a theft"]].concat())
    };
    let mut killer = Killer::after(replace());
    let serve = || {
        let doctor = clinic.serve_at("127.0.0.1:0", &["serve"]);
        stop(&clinic, doctor)
    };
    while killer.goes_on() {
        killer.kill(replace());
        serve();
        let left = names(&clinic);
        assert_eq!(left.len(), 4, "{left:?}");
        assert!(left[1].starts_with("prekey-") && left[3] == "signing.key");
    }
    clinic.command(&["audit", "verify"]).code(0);
    run(replace()).code(0);
}

#[test]
fn what_belongs_to_nothing_is_removed_by_the_next_start_and_named() {
    let clinic = founded(&[]);
    let before = names(&clinic);
    let place = |name: &str| clinic.doctor_files().join(name);
    let lay = |name: &str| fs::copy(place("signing.key"), place(name)).unwrap();
    let left = [
        "signing-next.key",
        "prekey-next.key",
        ".signing.key.0123456789abcdef.new",
        ".root.key.next",
    ];
    for name in left {
        lay(name);
    }
    let [young, old] = ["prekey-0123456789abcdef.key", "prekey-fedcba9876543210.key"];
    for name in ["prekey-mine.key", young, old] {
        lay(name);
    }
    let past = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
    let file = fs::File::options().write(true).open(place(old)).unwrap();
    file.set_modified(past).unwrap();
    // A command that only looks changes nothing.
    clinic.command(&["authority", "show"]).code(0);
    assert!(place(left[0]).exists());
    let doctor = clinic.serve_at("127.0.0.1:0", &["serve"]);
    let said = stop(&clinic, doctor);
    for name in &left[..3] {
        assert!(said.err.contains(name), "{said}");
    }
    assert!(
        said.err
            .contains(&format!("does not name, more than 30 days old: {old}"))
    );
    // Another database may name it.
    assert!(!said.err.contains(young), "{said}");
    for name in ["prekey-mine.key", young] {
        fs::remove_file(place(name)).unwrap();
    }
    assert_eq!(names(&clinic), before);
}

#[test]
fn a_database_that_is_put_back_finds_its_prekey_and_nothing_stops_where_there_is_none() {
    let clinic = founded(&[]);
    clinic.command(&["enrol", "P1"]).code(0);
    let database = clinic.doctor_files().join("telemed.db");
    let aside = clinic.path("telemed.db");
    fs::copy(&database, &aside).unwrap();
    let prekeys = || {
        let mut names = names(&clinic);
        names.retain(|name| name.starts_with("prekey-"));
        names
    };
    let first = prekeys();
    // What an older database knows is not what this one knows.
    let other = clinic.doctor_files().join("prekey-0123456789abcdef.key");
    fs::rename(clinic.doctor_files().join(&first[0]), &other).unwrap();

    let works = |more: &[&str]| {
        clinic
            .command(&[&["authority", "show"], more].concat())
            .code(0);
        clinic.command(&["history", "P1"]);
        let backup = clinic.path(&format!("{}.backup", more.len()));
        clinic
            .command(&["backup", backup.to_str().unwrap()])
            .code(0);
    };
    works(&[]);
    let doctor = clinic.serve_at("127.0.0.1:0", &["serve"]);
    stop(&clinic, doctor).complains(&[&first[0], "is missing", "nothing has to be done"]);
    assert_eq!(prekeys().len(), 2, "a new one, and the one nobody knows");

    // With the file comes what it opens.
    fs::rename(&other, clinic.doctor_files().join(&first[0])).unwrap();
    let later = prekeys();
    fs::copy(&aside, &database).unwrap();
    let doctor = clinic.serve_at("127.0.0.1:0", &["serve"]);
    let said = stop(&clinic, doctor);
    assert!(!said.err.contains("prekey"), "{said}");
    assert_eq!(prekeys(), later);

    for name in later {
        fs::remove_file(clinic.doctor_files().join(name)).unwrap();
    }
    let replace = ["authority", "replace-key", "--yes", "--reason", "a theft"];
    clinic.command(&replace).code(0);
    works(&["--json"]);
}

/// Where a root key with a passphrase of its own lies beside the others.
fn with_root_apart() -> (Clinic, [String; 2], PathBuf) {
    let clinic = Clinic::new();
    let secrets = ["correct horse", "in the drawer"].map(|text| file(&clinic, text, text));
    let line = ["--id", "D1", "--listen", "127.0.0.1:0"];
    let secret = ["--passphrase-file", &secrets[0], "serve"];
    let doctor = Doctor::start(clinic.doctor(&[&line[..], &secret].concat()));
    stop(&clinic, doctor);
    let root = clinic.doctor_files().join("root.key");
    let apart = ["key", "passwd", "--file", root.to_str().unwrap()];
    let new = ["--new-passphrase-file", &secrets[1]];
    with(&clinic, &secrets[0], &[&apart[..], &new].concat()).code(0);
    (clinic, secrets, root)
}

#[test]
fn a_root_key_with_a_passphrase_of_its_own_is_said_everywhere_and_brought_back() {
    let (clinic, [secret, own], _root) = with_root_apart();
    clinic
        .command(&["key", "show"])
        .code(0)
        .complains(&["root.key' is sealed by itself", "key passwd"]);
    let line = ["--id", "D1", "--listen", "127.0.0.1:0"];
    let serve = ["--passphrase-file", &secret, "serve"];
    let doctor = Doctor::start(clinic.doctor(&[&line[..], &serve].concat()));
    stop(&clinic, doctor).complains(&["root.key' is sealed by itself"]);

    let backup = clinic.path("apart.backup");
    with(&clinic, &secret, &["backup", backup.to_str().unwrap()])
        .code(0)
        .says("root key is NOT in it");
    let renew = ["authority", "renew"];
    with(&clinic, &secret, &renew)
        .code(4)
        .complains(&["the passphrase is wrong", "--root-passphrase-file FILE"]);
    let own = ["--root-passphrase-file", &own];
    with(&clinic, &secret, &[&renew[..], &own].concat()).code(0);
    let replace = ["authority", "replace-key", "--yes", "--reason", "a theft"];
    with(&clinic, &secret, &[&replace[..], &own].concat()).code(0);

    let new = file(&clinic, "new", "battery staple");
    let passwd = ["key", "passwd", "--new-passphrase-file", &new];
    with(&clinic, &secret, &passwd)
        .code(4)
        .complains(&["root.key", "--root-passphrase-file FILE"]);
    with(&clinic, &secret, &[&passwd[..], &own].concat()).code(0);
    with(&clinic, &new, &renew).code(0);
    clinic
        .command(&["key", "show"])
        .code(0)
        .never_says("by itself");
}

#[test]
fn a_recovery_code_beside_the_keys_is_spoken_of() {
    let clinic = founded(&[]);
    let secret = file(&clinic, "secret", "correct horse");
    let passwd = ["key", "passwd", "--new-passphrase-file", &secret];
    let spoken = ["recovery-code.txt", "opens the database", "delete the file"];
    clinic.command(&passwd).code(0).complains(&spoken);
    clinic.command(&["key", "show"]).code(0).complains(&spoken);
    let code = clinic.doctor_files().join("recovery-code.txt");
    fs::remove_file(code).unwrap();
    clinic
        .command(&["key", "show"])
        .code(0)
        .never_says("recovery-code.txt");
}

#[test]
fn a_missing_passphrase_key_is_named_whatever_passphrase_was_given() {
    let clinic = founded(&[]);
    let secret = file(&clinic, "secret", "correct horse");
    let passwd = ["key", "passwd", "--new-passphrase-file", &secret];
    clinic.command(&passwd).code(0);
    let key = clinic.doctor_files().join("passphrase.key");
    let aside = clinic.path("passphrase.key");
    fs::rename(&key, &aside).unwrap();
    let missing = ["passphrase.key, which is missing", "restore a backup"];
    with(&clinic, &secret, &["serve"])
        .code(7)
        .complains(&missing)
        .never_says("none was given");
    with(&clinic, &secret, &passwd).code(7).complains(&missing);
    clinic
        .command(&["key", "show"])
        .code(0)
        .complains(&["passphrase.key is missing"]);
    fs::rename(&aside, &key).unwrap();
    with(&clinic, &secret, &["enrol", "P1"]).code(0);
}

#[test]
fn the_patients_passphrase_comes_from_the_service_manager_too() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    let secret = file(&clinic, "secret", "correct horse");
    let ticket = clinic.ticket("P1");
    let enrol = ["--passphrase-file", &secret, "enrol", &ticket];
    run(clinic.patient("P1", &enrol)).code(0);
    stop(&clinic, doctor);
    run(clinic.patient("P1", &["status"])).code(4);
    let credentials = clinic.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(&secret, credentials.join("passphrase")).unwrap();
    let mut status = clinic.patient("P1", &["status"]);
    status.env("CREDENTIALS_DIRECTORY", &credentials);
    run(status).code(0);
}
