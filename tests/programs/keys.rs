//! Keys under a passphrase: both programs with it, without it and with another.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rexpect::session::{Options, PtySession, spawn_with_options};
use rustix::termios::{LocalModes, tcgetattr};

use crate::clinic::{Clinic, Doctor, files};
use crate::output::object;
use crate::process::{Finished, Running, run, run_with};

const SECRET: &str = "correct horse";

/// A file with a passphrase, its owner's alone.
fn file(clinic: &Clinic, name: &str, passphrase: &str) -> String {
    let path = clinic.path(name);
    fs::write(&path, format!("{passphrase}\nanother line\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A clinic whose keys are sealed, the file with its passphrase, and its running
/// server.
fn sealed() -> (Clinic, String, Doctor) {
    let clinic = Clinic::new();
    let secret = file(&clinic, "secret", SECRET);
    let doctor = Doctor::start(serve(&clinic, &secret));
    (clinic, secret, doctor)
}

fn serve(clinic: &Clinic, secret: &str) -> Command {
    let listen = ["--id", "D1", "--listen", "127.0.0.1:0"];
    clinic.doctor(&[&listen[..], &["--passphrase-file", secret, "serve"]].concat())
}

fn stop(clinic: &Clinic, doctor: Doctor) -> Finished {
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0)
}

fn keys(directory: &Path) -> Vec<PathBuf> {
    let mut keys: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "key"))
        .collect();
    keys.sort();
    keys
}

/// The byte that says how each key file is protected.
fn protections(directory: &Path) -> Vec<u8> {
    let keys = keys(directory);
    keys.iter().map(|key| fs::read(key).unwrap()[13]).collect()
}

#[test]
fn a_sealed_clinic_opens_with_its_passphrase_and_only_so() {
    let (clinic, secret, doctor) = sealed();
    // A running server is asked without it, and backs up what is sealed.
    let ticket = clinic.ticket("P1");
    let enrol = ["--passphrase-file", &secret, "enrol", &ticket];
    run(clinic.patient("P1", &enrol))
        .code(0)
        .complains(&["are sealed under the passphrase"]);
    stop(&clinic, doctor).complains(&["are sealed under the passphrase"]);
    // data, passphrase, prekey, root, signing.
    assert_eq!(protections(&clinic.doctor_files()), [2, 1, 2, 1, 2]);
    assert_eq!(protections(&clinic.patient_files("P1")), [2, 2, 1, 2]);

    let wrong = file(&clinic, "wrong", "battery staple");
    let before = files(&clinic.doctor_files());
    clinic.command(&["enrol", "P2"]).code(4).complains(&[
        "are sealed, and no passphrase was given",
        "--passphrase-file FILE",
    ]);
    run(serve(&clinic, &wrong))
        .code(4)
        .complains(&["the passphrase is wrong", "passphrase.key"])
        .never_says("battery");
    let status = ["--passphrase-file", &wrong, "status"];
    run(clinic.patient("P1", &status)).code(4);
    run(clinic.patient("P1", &["status"])).code(4);
    assert_eq!(files(&clinic.doctor_files()), before);
    let status = ["--passphrase-file", &secret, "status"];
    run(clinic.patient("P1", &status)).code(0);
    stop(&clinic, Doctor::start(serve(&clinic, &secret)));
}

#[test]
fn a_wrong_passphrase_damage_a_cut_and_an_open_file_are_told_apart() {
    let (clinic, secret, doctor) = sealed();
    stop(&clinic, doctor);
    for name in ["passphrase.key", "signing.key"] {
        let key = clinic.doctor_files().join(name);
        let right = fs::read(&key).unwrap();
        let start = || run(serve(&clinic, &secret));

        let mut flipped = right.clone();
        flipped[200] ^= 1;
        fs::write(&key, &flipped).unwrap();
        start().code(7).complains(&[name, "is damaged; restore it"]);
        fs::write(&key, &right[..200]).unwrap();
        start()
            .code(7)
            .complains(&[name, "is cut short; restore it"]);
        fs::write(&key, &right).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
        start()
            .code(1)
            .complains(&[name, "(mode 0640)", "chmod 600"]);
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    }
    stop(&clinic, Doctor::start(serve(&clinic, &secret)));
}

#[test]
fn the_passphrase_comes_from_a_file_of_ones_own_a_pipe_or_the_service_manager() {
    let (clinic, secret, doctor) = sealed();
    stop(&clinic, doctor);
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    run(serve(&clinic, &secret))
        .code(1)
        .complains(&["open to other users (mode 0644)", "chmod 600"]);

    let piped = clinic.doctor(&["--passphrase-file", "/dev/stdin", "enrol", "P1"]);
    run_with(piped, SECRET.as_bytes()).code(0);
    let empty = clinic.doctor(&["--passphrase-file", "/dev/stdin", "enrol", "P1"]);
    run_with(empty, b"\n").code(1).complains(&["is empty"]);

    let credentials = clinic.path("credentials");
    fs::create_dir(&credentials).unwrap();
    // As systemd has them: who may read it is not the mode's to say.
    fs::copy(&secret, credentials.join("passphrase")).unwrap();
    let mut command = clinic.doctor(&["enrol", "P1"]);
    command.env("CREDENTIALS_DIRECTORY", &credentials);
    run(command).code(0);
    let mut command = clinic.doctor(&["enrol", "P1"]);
    command.env("TELEMED_PASSPHRASE_FILE", clinic.path("missing"));
    run(command).code(1).complains(&["missing"]);
}

#[test]
fn the_passphrase_is_changed_taken_off_and_set_again() {
    let (clinic, secret, doctor) = sealed();
    let new = file(&clinic, "new", "battery staple");
    let passwd = |arguments: &[&str]| clinic.command(&[arguments, &["key", "passwd"]].concat());
    let change = ["--passphrase-file", &secret];
    let to_new = ["--new-passphrase-file", &new];
    let change = || clinic.command(&[&change[..], &["key", "passwd"], &to_new].concat());
    change()
        .code(1)
        .complains(&["is in use by another running program"]);
    stop(&clinic, doctor);

    change()
        .code(0)
        .complains(&["are sealed under the passphrase"]);
    run(serve(&clinic, &secret)).code(4);
    change().code(4);
    let short = file(&clinic, "short", "seven 7");
    clinic
        .command(&[
            "--passphrase-file",
            &new,
            "key",
            "passwd",
            "--new-passphrase-file",
            &short,
        ])
        .code(2)
        .complains(&["at least 8 characters"]);
    passwd(&["--passphrase-file", &new])
        .code(2)
        .complains(&["the new passphrase is needed", "--new-passphrase-file"]);
    stop(&clinic, Doctor::start(serve(&clinic, &new)));

    passwd(&["--plain-keys"]).code(4);
    passwd(&["--plain-keys", "--passphrase-file", &new])
        .code(0)
        .complains(&["lie unsealed", "key passwd"]);
    assert_eq!(protections(&clinic.doctor_files()), [0; 4]);
    clinic.command(&["enrol", "P1"]).code(0);
    clinic
        .command(&[&["key", "passwd", "--json"], &to_new[..]].concat())
        .code(0)
        .says(r#""type":"keys""#);
    assert_eq!(protections(&clinic.doctor_files()), [2, 1, 2, 1, 2]);
    let log = clinic
        .command(&["--passphrase-file", &new, "audit", "list"])
        .code(0);
    assert!(log.out.contains("new passphrase"), "{log}");
    assert!(log.out.contains("the keys lie unsealed"), "{log}");
}

#[test]
fn how_keys_are_protected_is_shown_without_a_passphrase() {
    let (clinic, _secret, doctor) = sealed();
    clinic.command(&["key", "show"]).code(0).says(
        "passphrase.key: the key that seals a directory's other keys, sealed under a passphrase \
         (Argon2id, 64 MiB, passes: 3, lanes: 1)",
    );
    let shown = clinic.command(&["key", "show", "--json"]).code(0);
    let objects: Vec<_> = shown.out.lines().map(object).collect();
    let protections: Vec<_> = objects
        .iter()
        .map(|key| key["protection"].clone())
        .collect();
    let (wrapped, passphrase) = ("wrapped", "passphrase");
    assert_eq!(
        protections,
        [wrapped, passphrase, wrapped, passphrase, wrapped]
    );
    stop(&clinic, doctor);
    let key = clinic.doctor_files().join("signing.key");
    let bytes = fs::read(&key).unwrap();
    fs::write(&key, &bytes[..100]).unwrap();
    clinic.command(&["key", "show"]).code(7).says("root.key");
}

#[test]
fn the_roots_key_has_a_passphrase_of_its_own_in_its_drawer() {
    let (clinic, secret, doctor) = sealed();
    stop(&clinic, doctor);
    let drawer = clinic.path("drawer.key");
    fs::rename(clinic.doctor_files().join("root.key"), &drawer).unwrap();
    let drawer = drawer.to_str().unwrap();
    let new = file(&clinic, "new", "battery staple");
    let passwd = |old: &str| {
        let line = ["--passphrase-file", old, "key", "passwd", "--file", drawer];
        clinic.command(&[&line[..], &["--new-passphrase-file", &new]].concat())
    };
    passwd(&new).code(4).complains(&["the passphrase is wrong"]);
    passwd(&secret).code(0);
    passwd(&new).code(0);
    let signing = clinic.doctor_files().join("signing.key");
    let line = ["key", "passwd", "--file", signing.to_str().unwrap()];
    clinic
        .command(&line)
        .code(1)
        .complains(&["leave --file out"]);
    stop(&clinic, Doctor::start(serve(&clinic, &secret)));
}

#[test]
fn a_link_to_a_key_is_followed_and_a_key_that_a_server_uses_is_left_alone() {
    let (clinic, secret, doctor) = sealed();
    let root = clinic.doctor_files().join("root.key");
    let [new, link] = [file(&clinic, "new", "battery staple"), "link".to_owned()];
    symlink(&root, clinic.path(&link)).unwrap();
    let passwd = |old: &[&str], arguments: &[&str]| {
        let line = ["key", "passwd", "--file", &link];
        clinic.command(&[old, &line[..], arguments].concat())
    };
    let before = fs::read(&root).unwrap();
    let to_new = ["--new-passphrase-file", &new];
    let with_secret = ["--passphrase-file", &secret];
    passwd(&with_secret, &to_new)
        .code(1)
        .complains(&["is in use by another running program"]);
    assert_eq!(fs::read(&root).unwrap(), before);
    stop(&clinic, doctor);

    passwd(&with_secret, &to_new)
        .code(0)
        .complains(&["the key file '", "root.key' is sealed under the passphrase"]);
    assert!(
        fs::symlink_metadata(clinic.path(&link))
            .unwrap()
            .is_symlink()
    );
    assert_ne!(fs::read(&root).unwrap(), before);
    passwd(&["--plain-keys"], &["--root-passphrase-file", &secret])
        .code(4)
        .complains(&["the passphrase is wrong", &secret]);
    passwd(&["--plain-keys", "--passphrase-file", &new], &[])
        .code(0)
        .complains(&["lies unsealed", "key passwd --file '"]);

    let drawer = clinic.path("drawer.key");
    fs::rename(&root, &drawer).unwrap();
    symlink(&drawer, &root).unwrap();
    let whole = ["--passphrase-file", &secret, "key", "passwd"];
    clinic
        .command(&[&whole[..], &to_new].concat())
        .code(1)
        .complains(&["is a link to '", "drawer.key"]);
    clinic
        .command(&["--passphrase-file", &secret, "authority", "move-root", "."])
        .code(1)
        .complains(&["is a link to '", "drawer.key", "nothing was moved"]);
    stop(&clinic, Doctor::start(serve(&clinic, &secret)));
}

#[test]
fn a_backup_needs_the_recovery_code_alone_and_is_restored_under_a_passphrase() {
    let (clinic, secret, doctor) = sealed();
    let backup = clinic.path("a.backup");
    let backup = backup.to_str().unwrap();
    clinic.command(&["backup", backup]).code(0).says("root");
    stop(&clinic, doctor);
    let code = clinic.path("code.txt");
    fs::rename(clinic.doctor_files().join("recovery-code.txt"), &code).unwrap();
    let code = ["--recovery-code-file", code.to_str().unwrap()];
    clinic
        .command(&["--passphrase-file", &secret, "backup", "verify", backup])
        .code(0);
    fs::remove_dir_all(clinic.path("doctor")).unwrap();

    clinic
        .command(&[&["restore", backup], &code[..]].concat())
        .code(0)
        .complains(&["lie unsealed"]);
    assert_eq!(protections(&clinic.doctor_files()), [0; 4]);
    fs::remove_dir_all(clinic.path("doctor")).unwrap();

    let new = file(&clinic, "new", "battery staple");
    let line = ["--passphrase-file", &new, "restore", backup];
    clinic
        .command(&[&line[..], &code].concat())
        .code(0)
        .complains(&["are sealed under the passphrase"]);
    assert_eq!(protections(&clinic.doctor_files()), [2, 1, 2, 1, 2]);
    run(serve(&clinic, &secret)).code(4);
    stop(&clinic, Doctor::start(serve(&clinic, &new)));
}

#[test]
fn without_a_person_and_a_passphrase_the_keys_lie_plain_and_that_is_said() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service();
    let line = doctor.program.expect("lie unsealed");
    assert!(line.contains("readable by this user only"), "{line}");
    let command = format!(
        "doctor --data '{}' --id D1 key passwd",
        clinic.path("doctor").display()
    );
    assert!(line.contains(&command), "{line}");
    clinic.enrol("P1").complains(&["lie unsealed"]);
    let mut again = Running::start(clinic.patient("P1", &["--plain-keys"]));
    again.expect("Connected to doctor D1.");
    assert!(!again.transcript().contains("unsealed"));
}

/// A program at a terminal that shows what is typed.
fn typed(command: &Command) -> PtySession {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"/bin/stty echo; exec "$0" "$@""#]);
    shell.arg(command.get_program()).args(command.get_args());
    let home = command.get_current_dir().unwrap();
    shell.env_clear().env("HOME", home).current_dir(home);
    let options = Options::new()
        .timeout_ms(Some(60_000))
        .strip_ansi_escape_codes(true);
    spawn_with_options(shell, options).unwrap()
}

/// Checks that the program ends with this code and leaves the terminal as it
/// was; gives what it said last.
fn ends(mut session: PtySession, code: i32) -> String {
    let terminal = session.process().get_file_handle().unwrap();
    let rest = session.exp_eof().unwrap();
    let status = format!("{:?}", session.process().wait().unwrap());
    assert!(status.contains(&format!(", {code})")), "{status}: {rest}");
    let modes = tcgetattr(&terminal).unwrap().local_modes;
    let usual = LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO;
    assert!(modes.contains(usual), "{modes:?}");
    rest
}

#[test]
fn a_person_is_asked_and_what_she_types_is_not_shown() {
    let clinic = Clinic::new();
    let first = || clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
    let mut doctor = typed(&first());
    let mut said = String::new();
    for (prompt, answer) in [
        ("New passphrase (at least 8", "short"),
        ("too short; try again", ""),
        ("New passphrase", SECRET),
        ("The same again: ", "battery staple"),
        ("differ; try again", ""),
        ("New passphrase", SECRET),
        ("The same again: ", SECRET),
    ] {
        said += &doctor.exp_string(prompt).unwrap();
        if !answer.is_empty() {
            doctor.send_line(answer).unwrap();
        }
    }
    said += &doctor.exp_string("is serving on").unwrap();
    clinic.command(&["stop"]).code(0);
    said += &ends(doctor, 0);
    assert!(said.contains("are sealed under the passphrase"), "{said}");
    for typed in [SECRET, "battery", "short\r"] {
        assert!(!said.contains(typed), "{said}");
    }

    let mut enrol = typed(&clinic.doctor(&["enrol", "P1"]));
    enrol.exp_string("Passphrase of '").unwrap();
    enrol.send_line("battery staple").unwrap();
    enrol.exp_string("the passphrase is wrong").unwrap();
    enrol.exp_string("Passphrase of '").unwrap();
    enrol.send_line(SECRET).unwrap();
    assert!(ends(enrol, 0).contains("telemed1-"));

    let mut enrol = typed(&clinic.doctor(&["enrol", "P1"]));
    for _ in 0..3 {
        enrol.exp_string("Passphrase of '").unwrap();
        enrol.send_line("battery staple").unwrap();
    }
    ends(enrol, 4);
    let mut interrupted = typed(&clinic.doctor(&["enrol", "P1"]));
    interrupted.exp_string("Passphrase of '").unwrap();
    interrupted.send_control('c').unwrap();
    assert!(ends(interrupted, 130).contains("interrupted"));
}

#[test]
fn an_empty_line_at_the_first_start_is_the_owners_word_for_plain_keys() {
    let clinic = Clinic::new();
    let first = || clinic.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]);
    let mut interrupted = typed(&first());
    interrupted.exp_string("New passphrase").unwrap();
    interrupted.send_control('c').unwrap();
    ends(interrupted, 130);
    let mut doctor = typed(&first());
    doctor.exp_string("an empty line for none").unwrap();
    doctor.send_line("").unwrap();
    doctor.exp_string("lie unsealed").unwrap();
    doctor.exp_string("is serving on").unwrap();
    clinic.command(&["stop"]).code(0);
    ends(doctor, 0);
    assert_eq!(protections(&clinic.doctor_files()), [0; 4]);
}
