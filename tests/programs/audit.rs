//! The audit log as a doctor and an auditor meet it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;
use telemed::audit::heads_file::{self, Contents};
use telemed::audit::{Action, Entry, START, link};
use telemed::clock::Timestamp;
use telemed::hex;
use telemed::identity::certificate::fingerprint;
use telemed::store::{AuditStore, FactStore, SqliteStore, fact};

use crate::clinic::{Clinic, Doctor};
use crate::process::{Finished, run};

/// Far more than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

impl Clinic {
    fn heads(&self) -> PathBuf {
        self.path("heads.jsonl")
    }

    /// A server that copies its heads.
    fn with_heads(&self) -> Doctor {
        let heads = self.heads();
        let arguments = ["serve", "--audit-heads", heads.to_str().unwrap()];
        self.serve_at("127.0.0.1:0", &arguments)
    }

    fn read_heads(&self) -> Contents {
        heads_file::read(&self.heads()).unwrap()
    }

    fn database(&self) -> PathBuf {
        self.doctor_files().join("telemed.db")
    }

    fn verify(&self) -> Finished {
        let heads = self.heads();
        self.command(&["audit", "verify", "--heads", heads.to_str().unwrap()])
    }

    fn root(&self) -> String {
        let store = SqliteStore::open(&self.database()).unwrap();
        let root = store.fact(fact::ROOT_CERTIFICATE).unwrap().unwrap();
        hex::encode(&fingerprint(&root))
    }
}

/// What is done to the log, as actor, action and subject.
fn actions(finished: &Finished) -> Vec<String> {
    let lines = finished.out.lines();
    let entries = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries
        .filter(|entry| entry["type"] == "audit_entry")
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap().to_owned();
            format!("{} {} {}", word("actor"), word("action"), word("subject"))
        })
        .collect()
}

#[test]
fn what_happens_is_logged_and_can_be_read_with_and_without_a_server() {
    let clinic = Clinic::new();
    let doctor = clinic.with_heads();
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    clinic
        .command(&["broadcast", "Iridium to everyone"])
        .code(0);
    patient.expect("Iridium");
    clinic.command(&["disconnect"]).code(0);
    patient.finish();
    let mut refused = std::net::TcpStream::connect(&doctor.address).unwrap();
    std::io::Write::write_all(&mut refused, &[0xff; 64]).unwrap();
    let _ = std::io::Read::read_to_end(&mut refused, &mut Vec::new());
    let deadline = Instant::now() + PATIENCE;
    let refusals = || {
        let found = clinic.command(&["audit", "search", "--actor", "stranger", "--json"]);
        actions(&found.code(0))
    };
    while refusals() != ["stranger refused "] {
        assert!(Instant::now() < deadline, "the refusal is not logged");
    }
    let all = clinic.command(&["audit", "list", "--json"]).code(0);
    let listed = actions(&all);
    let expected = [
        "D1 founded ",
        "D1 key changed ",
        "server started ",
        "D1 ticket made P1",
        "P1 enrolled P1",
        "P1 joined P1",
        "D1 all disconnected ",
        "D1 left P1",
        "D1 audit read ",
    ];
    let mut rest = listed.iter();
    for entry in expected {
        assert!(rest.any(|other| other == entry), "{entry} in {listed:?}");
    }

    // By name, by time, so many of the last, and as people see them.
    let of = clinic.command(&["audit", "search", "--patient", "P1", "--json"]);
    let about = [&expected[3..6], &expected[7..8]].concat();
    let mut found = actions(&of.code(0));
    // The end may come before the receipt.
    found.retain(|entry| entry != "P1 delivered ");
    assert_eq!(found, about);
    let tickets = clinic.command(&["audit", "search", "--action", "ticket made", "GOOD UNTIL"]);
    assert_eq!(tickets.code(0).out.lines().count(), 1);
    let last = clinic
        .command(&["audit", "list", "--last", "2", "--json"])
        .code(0);
    assert_eq!(actions(&last), ["D1 audit read P1", "D1 audit read "]);
    let none = clinic
        .command(&["audit", "list", "--until", "2020-01-01"])
        .code(0);
    assert_eq!(none.out, "There is no such entry.\n");
    clinic.verify().code(0);
    clinic.command(&["stop"]).code(0);
    drop(doctor);

    // Without a server the same, and what was logged meanwhile.
    let found = clinic.command(&["audit", "search", "--actor", "server", "--json"]);
    let found = actions(&found.code(0));
    assert_eq!(
        found[found.len() - 2..],
        ["server stopped ", "server head signed "]
    );
    let people = clinic.command(&["audit", "list"]).code(0);
    assert!(
        people.out.contains("  D1          ticket made      P1 "),
        "{people}"
    );
    let verified = clinic.verify().code(0);
    assert!(verified.out.contains("Nothing was changed"), "{verified}");

    // No text of a message, neither in the log nor beside it.
    for file in [clinic.database(), clinic.heads()] {
        let bytes = fs::read(&file).unwrap();
        for secret in [&b"Iridium"[..], b"GOOD UNTIL"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
    }
}

#[test]
fn heads_are_signed_at_start_and_stop_and_copied_with_what_was_stopped() {
    let clinic = Clinic::new();
    let doctor = clinic.with_heads();
    let first = clinic.read_heads();
    assert_eq!((first.papers.len(), first.heads.len()), (1, 1));
    let ticket = clinic.ticket("P1");
    clinic.enrol_with("P1", &ticket).code(0);
    run(clinic.patient("other", &["enrol", &ticket])).code(5);
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let stopped = clinic.read_heads();
    let [revocation] = &stopped.revocations[..] else {
        panic!("{stopped:?}");
    };
    assert_eq!((&*revocation.subject, &*revocation.state), ("P1", "frozen"));
    assert_eq!(stopped.heads.len(), 2);
    let store = SqliteStore::open(&clinic.database()).unwrap();
    let last = store.audit_head().unwrap().unwrap();
    assert_eq!((stopped.heads[1].number, stopped.heads[1].link), last);
    drop(store);

    // A new file gets all of them, and nothing stands twice in the old one.
    let new = clinic.path("new.jsonl");
    let path = new.to_str().unwrap();
    let doctor = clinic.serve_at("127.0.0.1:0", &["serve", "--audit-heads", path]);
    let copied = heads_file::read(&new).unwrap();
    assert_eq!(copied.heads[..2], stopped.heads);
    assert_eq!(copied.revocations.len(), 1);
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    drop(clinic.with_heads());
    let again = clinic.read_heads();
    assert_eq!(again.revocations.len(), 1);
    assert_eq!(again.heads[..4], heads_file::read(&new).unwrap().heads);
}

#[test]
fn a_file_of_heads_that_cannot_be_written_stops_the_start() {
    let clinic = Clinic::new();
    let line = ["--id", "D1", "--listen", "127.0.0.1:0", "serve"];
    let missing = [&line[..], &["--audit-heads", "missing/heads"]].concat();
    let refused = run(clinic.doctor(&missing)).code(1);
    assert!(
        refused.err.contains("'missing/heads' cannot be written"),
        "{refused}"
    );
    assert!(refused.err.contains("--audit-heads"), "{refused}");
}

#[test]
fn a_killed_server_leaves_a_log_that_verifies() {
    let clinic = Clinic::new();
    for round in 0..5 {
        let doctor = clinic.with_heads();
        for patient in 0..round {
            clinic.command(&["enrol", &format!("P{patient}")]).code(0);
        }
        doctor.program.signal(Signal::KILL);
        doctor.program.finish();
        clinic.verify().code(0);
    }
    let heads = clinic.read_heads();
    assert!(heads.heads.len() >= 5 && heads.unreadable.is_empty());
}

/// A log of a few days, its server stopped.
fn with_history() -> Clinic {
    let clinic = Clinic::new();
    for _ in 0..2 {
        let doctor = clinic.with_heads();
        clinic.ticket("P1");
        clinic.ticket("P2");
        clinic.command(&["stop"]).code(0);
        doctor.program.finish().code(0);
    }
    clinic
}

fn tamper(database: &Path, sql: &str) {
    Connection::open(database)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[test]
fn an_auditor_needs_a_copy_the_heads_and_the_roots_fingerprint() {
    let clinic = with_history();
    let root = clinic.root();
    let copy = clinic.path("copy %20 of.db");
    fs::copy(clinic.database(), &copy).unwrap();
    let heads = clinic.heads();
    let verify = |root: &str, copy: &Path| {
        // Away from the practice.
        let mut command = Command::new(env!("CARGO_BIN_EXE_doctor"));
        command.env_clear().env("HOME", "/nonexistent");
        command.args([
            "--data",
            "/nonexistent",
            "audit",
            "verify",
            "--json",
            "--heads",
        ]);
        command
            .arg(&heads)
            .args(["--root", root, "--database"])
            .arg(copy);
        run(command)
    };
    let before = crate::clinic::files(&clinic.path(""));
    let sound = verify(&root, &copy).code(0);
    let report: Value = serde_json::from_str(sound.out.trim_end()).unwrap();
    assert_eq!(report["type"], "audit_verified");
    // Each head was found in the database and in the file.
    assert_eq!(
        (&report["heads"], &report["root"]),
        (&8.into(), &root.clone().into())
    );
    assert_eq!(report["vouched"], report["last"]);
    assert_eq!(crate::clinic::files(&clinic.path("")), before);
    verify(&root[..40], &copy).code(0);

    let other = verify(&"ab".repeat(32), &copy).code(7);
    assert!(other.out.contains("other_clinic"), "{other}");
    tamper(
        &copy,
        "UPDATE audit_entry SET subject = 'P9' WHERE number = 5",
    );
    let changed = verify(&root, &copy).code(7);
    assert!(
        changed.out.contains(r#""kind":"changed","entry":5,"#),
        "{changed}"
    );
    tamper(
        &copy,
        "DELETE FROM audit_entry WHERE number = 5; DELETE FROM audit_head",
    );
    let missing = verify(&root, &copy).code(7);
    assert!(
        missing.out.contains(r#""kind":"missing","entry":5,"#),
        "{missing}"
    );
    assert!(
        missing.out.contains(r#""kind":"head_missing""#),
        "{missing}"
    );
    let unsaid = run(clinic.doctor(&["audit", "verify", "--database", "x"])).code(2);
    assert!(unsaid.err.contains("--root"), "{unsaid}");
}

#[test]
fn the_practice_verifies_its_own_log_and_a_start_notices_a_shorter_one() {
    let clinic = with_history();
    tamper(
        &clinic.database(),
        "DELETE FROM audit_head WHERE number > 5; DELETE FROM audit_entry WHERE number > 5",
    );
    let truncated = clinic.verify().code(7);
    assert!(
        truncated.out.contains("The end of the log is missing"),
        "{truncated}"
    );
    assert!(truncated.out.contains("the last entry is 5"), "{truncated}");
    assert!(
        truncated
            .err
            .contains("something is wrong with the audit log"),
        "{truncated}"
    );
    let mut doctor = clinic.with_heads();
    let trouble = doctor.program.expect("Trouble: the file of audit heads");
    assert!(trouble.contains("doctor audit verify"), "{trouble}");
    // What comes from now on is copied all the same.
    let newest = clinic.read_heads().heads.pop().unwrap();
    let store = SqliteStore::open(&clinic.database()).unwrap();
    assert_eq!(store.newest_signed_head().unwrap(), Some(newest));
}

#[test]
fn a_log_that_was_written_anew_without_its_heads_is_found_on_the_practice_itself() {
    let clinic = with_history();
    let sound = clinic.command(&["audit", "verify"]).code(0);
    let last = SqliteStore::open(&clinic.database()).unwrap();
    let last = last.audit_head().unwrap().unwrap().0;
    let sentence = format!("Nothing was changed, removed, inserted or moved up to entry {last}.");
    assert!(sound.out.contains(&sentence), "{sound}");
    assert!(sound.out.contains("signing.key"), "{sound}");
    tamper(
        &clinic.database(),
        "DELETE FROM audit_head; UPDATE audit_entry SET subject = 'P9' WHERE subject = 'P1'",
    );
    rewrite(&clinic.database());
    let contradicts = clinic.command(&["audit", "verify", "--json"]).code(7);
    assert!(
        contradicts.out.contains(r#""kind":"head_missing""#),
        "{contradicts}"
    );
    tamper(
        &clinic.database(),
        "UPDATE audit_entry SET action = 'audit read' WHERE action = 'head signed'",
    );
    rewrite(&clinic.database());
    let unvouched = clinic.command(&["audit", "verify", "--json"]).code(7);
    assert!(
        unvouched.out.contains(r#""kind":"unvouched","entry":1,"#),
        "{unvouched}"
    );
}

/// All links anew, as anybody can.
fn rewrite(database: &Path) {
    let store = SqliteStore::open(database).unwrap();
    let rows = store.audit(1, 1_000).unwrap();
    drop(store);
    let connection = Connection::open(database).unwrap();
    let mut before = START;
    for row in rows {
        before = link(&before, row.number, row.at, row.words());
        let changed = (row.number, before);
        let sql = "UPDATE audit_entry SET link = ?2 WHERE number = ?1";
        connection.execute(sql, changed).unwrap();
    }
}

#[test]
fn the_certificates_of_another_clinic_do_not_vouch_for_a_practice() {
    let (clinic, other) = (with_history(), with_history());
    fs::copy(other.database(), clinic.database()).unwrap();
    let foreign = clinic.command(&["audit", "verify"]).code(7);
    assert!(foreign.err.contains("signing.key"), "{foreign}");
}

#[test]
fn a_configured_file_of_heads_that_is_not_there_is_an_error() {
    let clinic = with_history();
    let heads = clinic.heads();
    let verify = ["audit", "verify", "--audit-heads", heads.to_str().unwrap()];
    clinic.command(&verify).code(0);
    fs::remove_file(&heads).unwrap();
    let missing = clinic.command(&verify).code(1);
    assert!(
        missing.err.contains("heads.jsonl' cannot be read"),
        "{missing}"
    );
}

#[test]
fn rows_that_nobody_signed_or_numbered_are_told_and_do_not_stop_a_start() {
    let clinic = with_history();
    let end = i64::MAX;
    tamper(
        &clinic.database(),
        &format!(
            "INSERT INTO audit_head SELECT {end}, link, at, certificate, signature
                 FROM audit_head LIMIT 1;
             INSERT INTO audit_entry SELECT {end}, at, actor, action, subject, detail, link
                 FROM audit_entry LIMIT 1"
        ),
    );
    let named = clinic.command(&["audit", "verify", "--json"]).code(7);
    assert!(
        named.out.contains(r#""kind":"impossible_number""#),
        "{named}"
    );
    clinic.command(&["audit", "list"]).code(0);
    let mut doctor = clinic.with_heads();
    let trouble = doctor.program.expect("Trouble: the database has");
    assert!(trouble.contains("doctor audit verify"), "{trouble}");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    let newest = clinic.read_heads().heads.pop().unwrap();
    let store = SqliteStore::open(&clinic.database()).unwrap();
    let last = store.audit_head().unwrap().unwrap();
    assert_eq!((newest.number, newest.link), last);
}

#[test]
fn an_export_is_a_new_file_with_a_signed_head() {
    let clinic = with_history();
    let file = clinic.path("log.jsonl");
    let shown = file.to_str().unwrap();
    let exported = clinic
        .command(&["audit", "export", shown, "--json"])
        .code(0);
    let exported: Value = serde_json::from_str(exported.out.trim_end()).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let contents = heads_file::read(&file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [entries @ .., last, _certificates, _head] = &lines[..] else {
        panic!("{text}");
    };
    assert_eq!(exported["entries"], entries.len() + 1);
    let [first, .., exported_then] = entries else {
        panic!("{text}");
    };
    assert_eq!(
        [&first["action"], &exported_then["action"], &last["action"]],
        ["founded", "exported", "head signed"]
    );
    let head = &contents.heads[0];
    assert_eq!(last["number"], head.number);
    assert_eq!(last["link"].as_str().unwrap(), hex::encode(&head.link));
    // It serves as a file of heads.
    clinic
        .command(&["audit", "verify", "--heads", shown])
        .code(0);

    let again = clinic.command(&["audit", "export", shown]).code(1);
    assert!(again.err.contains("does not exist yet"), "{again}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let none = clinic
        .command(&["audit", "export", "-", "--since", "2100-01-01"])
        .code(0);
    assert_eq!(none.out.lines().count(), 2, "{none}");
}

#[test]
fn a_long_log_is_listed_exported_and_verified_in_little_memory() {
    let clinic = with_history();
    let store = SqliteStore::open(&clinic.database()).unwrap();
    let detail = "x".repeat(1_000);
    for thousand in 0..100 {
        let entries: Vec<_> = (0..1_000)
            .map(|number| {
                let at = Timestamp::from_millis(1_000 * thousand + number);
                Entry::new(at, "P7", Action::Delivered, "P7", &detail)
            })
            .collect();
        store.append_audit(&entries).unwrap();
    }
    drop(store);
    // So many entries without a head are more than any server leaves.
    let unvouched = clinic.command(&["audit", "verify"]).code(7);
    assert!(
        unvouched.out.contains("No signed head vouches for"),
        "{unvouched}"
    );
    let server = clinic.with_heads();
    clinic.command(&["stop"]).code(0);
    server.program.finish().code(0);
    let file = clinic.path("log.jsonl");
    // Half of what the entries alone would take.
    for line in [
        &["audit", "verify"][..],
        &["audit", "export", file.to_str().unwrap()],
    ] {
        let limited = clinic.doctor(&[&["--id", "D1"], line].concat());
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v 65536 && exec \"$0\" \"$@\""]);
        shell.arg(limited.get_program()).args(limited.get_args());
        shell
            .env_clear()
            .env("HOME", clinic.path(""))
            .current_dir(clinic.path(""));
        run(shell).code(0);
    }
    assert!(fs::metadata(&file).unwrap().len() > 100_000_000);
    let _doctor = clinic.as_service();
    let newest = clinic
        .command(&["audit", "search", "--patient", "P1", "--plain"])
        .code(0);
    assert_eq!(newest.out.lines().count(), 2, "{newest}");
    let all = clinic
        .command(&["audit", "search", "--patient", "P7", "--plain"])
        .code(0);
    assert_eq!(all.out.lines().count(), 100_000);
}
