//! The recovery code: which one is good, and what becomes of one that is void.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Closed, names, shown};
use crate::clinic::Clinic;
use crate::process::{run, run_with};

#[test]
fn a_wrong_code_and_a_mistyped_one_open_nothing() {
    let closed = Closed::new();
    let right = fs::read_to_string(&closed.code).unwrap();
    let other = Closed::new();
    let wrong = fs::read_to_string(&other.code).unwrap();
    closed.destroy();
    let mut mistyped = right.clone();
    let first = if right.starts_with('7') { "8" } else { "7" };
    mistyped.replace_range(..1, first);
    for (code, sentence) in [
        (&wrong, "the recovery code does not open this backup"),
        (&mistyped, "a letter is missing or wrong"),
        (&String::new(), "a letter is missing or wrong"),
    ] {
        fs::write(&closed.code, code).unwrap();
        closed.verify().code(4).complains(&[sentence]);
        closed.restore().code(4).complains(&[sentence]);
        assert!(names(&closed.clinic.path("doctor")).is_empty());
    }
    // From standard input, as a file of another system may hold it.
    let input = Path::new("-");
    let command = closed.with_code(&["restore"], &closed.backup, input);
    let typed = format!("\u{feff}{}\r\n", right.trim().to_lowercase());
    run_with(command, typed.as_bytes()).code(0);
    // Nobody is there to be asked.
    let command = closed
        .clinic
        .doctor(&["restore", shown(&closed.backup), "--id", "D2"]);
    run(command)
        .code(1)
        .complains(&["this is a backup of doctor D1, not of D2"]);
    closed.destroy();
    run(closed.clinic.doctor(&["restore", shown(&closed.backup)]))
        .code(2)
        .complains(&["the recovery code is needed", "--recovery-code-file"]);
}

#[test]
fn a_new_recovery_code_is_printed_once_and_voids_the_older_one() {
    let closed = Closed::new();
    let (clinic, old) = (&closed.clinic, closed.code.clone());
    let check = |file: &Path| {
        let file = shown(file);
        clinic.command(&["recovery-code", "check", "--recovery-code-file", file])
    };
    check(&old).code(0);
    let new = clinic.path("new.txt");
    // With a server and without.
    for server in [false, true] {
        let _doctor = server.then(|| clinic.as_service());
        let made = clinic.command(&["recovery-code"]).code(0);
        assert_eq!(made.out.trim().len(), 39, "the code and nothing else");
        assert!(!made.err.contains(made.out.trim()));
        check(&old).code(4).complains(&["not the recovery code"]);
        fs::write(&new, &made.out).unwrap();
        check(&new).code(0).says("right");
    }
    // What was backed up before opens as before.
    closed.verify().code(0);
    let later = clinic.path("later.backup");
    clinic.command(&["backup", shown(&later)]).code(0);
    let verify = |code: &Path| run(closed.with_code(&["backup", "verify"], &later, code));
    verify(&new).code(0);
    verify(&old).code(4);
}

/// This command with a full disk where its output goes.
fn to_a_full_disk(command: &Command) -> Command {
    let mut full = Command::new("sh");
    full.args(["-c", "exec \"$0\" \"$@\" >/dev/full"])
        .arg(command.get_program())
        .args(command.get_args());
    full
}

#[test]
fn a_new_code_that_could_not_be_shown_is_not_good() {
    let closed = Closed::new();
    let clinic = &closed.clinic;
    let check = ["recovery-code", "check", "--recovery-code-file"];
    let check = [&check[..], &[shown(&closed.code)]].concat();
    for server in [false, true] {
        let _doctor = server.then(|| clinic.as_service());
        let command = clinic.doctor(&["--id", "D1", "recovery-code"]);
        run(to_a_full_disk(&command)).code(1).complains(&[
            "the new recovery code is not good: cannot write to standard output",
            "the older code stays good",
        ]);
        clinic.command(&check).code(0);
    }
    let log = clinic.command(&["audit", "search", "--action", "key changed"]);
    assert_eq!(log.out.matches("new recovery code").count(), 1, "{log}");
}

#[test]
fn a_first_code_that_could_not_be_left_is_made_anew_by_the_next_start() {
    let clinic = Clinic::new();
    let file = clinic.doctor_files().join("recovery-code.txt");
    fs::create_dir_all(&file).unwrap();
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(clinic.doctor_files(), mode).unwrap();
    let start = ["--listen", "127.0.0.1:0", "serve"];
    for _ in 0..2 {
        clinic
            .command(&start)
            .code(1)
            .complains(&["recovery-code.txt': ", "the next start makes another code"]);
    }
    let backup = clinic.path("a.backup");
    clinic
        .command(&["backup", shown(&backup)])
        .code(1)
        .complains(&["there is no recovery code yet"]);
    fs::remove_dir(&file).unwrap();
    let mut doctor = clinic.as_service();
    assert!(doctor.program.transcript().contains("was cut short"));
    let check = ["recovery-code", "check", "--recovery-code-file"];
    let check = [&check[..], &[shown(&file)]].concat();
    clinic.command(&check).code(0);
    clinic.command(&["stop"]).code(0);
    doctor.program.wait().code(0);
}

#[test]
fn a_file_with_a_void_code_is_removed_and_never_spoken_of() {
    let closed = Closed::new();
    let clinic = &closed.clinic;
    let file = clinic.doctor_files().join("recovery-code.txt");
    let speaks = || {
        let doctor = clinic.as_service();
        doctor.program.transcript().contains("recovery-code.txt")
    };
    assert!(speaks());
    clinic.command(&["recovery-code"]).code(0);
    assert!(!file.exists());
    fs::copy(&closed.code, &file).unwrap();
    assert!(!speaks());
}
