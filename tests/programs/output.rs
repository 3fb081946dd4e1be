//! What the programs print for other programs: every line is as documented.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Map, Value};

use crate::clinic::Clinic;
use crate::process::{Finished, Running, run};

/// The fields of the documented objects, in their order, by the objects' type.
fn documented() -> BTreeMap<String, Vec<String>> {
    let document = include_str!("../../docs/json.md");
    let examples = document.lines().map(str::trim);
    examples
        .filter(|line| line.starts_with('{'))
        .map(|example| {
            let object: Map<_, _> = serde_json::from_str(example).unwrap();
            let kind = object["type"].as_str().unwrap().to_owned();
            (kind, fields(&object, example))
        })
        .collect()
}

/// The fields of an object in the order in which they stand on its line.
fn fields(object: &Map<String, Value>, line: &str) -> Vec<String> {
    let mut fields: Vec<_> = object.keys().cloned().collect();
    fields.sort_by_key(|field| line.find(&format!("\"{field}\":")));
    fields
}

/// The object on a line, which has the documented fields and no others.
#[track_caller]
pub fn object(line: &str) -> Map<String, Value> {
    let object: Map<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let kind = object["type"].as_str().unwrap();
    assert!(
        line.starts_with(&format!(r#"{{"v":1,"type":"{kind}""#)),
        "{line}"
    );
    let documented = documented();
    let example = documented.get(kind).unwrap_or_else(|| panic!("{line}"));
    assert_eq!(fields(&object, line), *example, "{line}");
    object
}

/// The objects a command has printed.
#[track_caller]
fn objects(finished: &Finished) -> Vec<Map<String, Value>> {
    finished.out.lines().map(object).collect()
}

/// Waits for an object of a type.
#[track_caller]
fn expect(program: &mut Running, kind: &str) -> Map<String, Value> {
    object(&program.expect(&format!(r#""type":"{kind}""#)))
}

/// Runs a command of the doctor whose answer is one object.
#[track_caller]
fn answer(clinic: &Clinic, line: &[&str], kind: &str) -> Map<String, Value> {
    let finished = clinic.command(&[line, &["--json"]].concat()).code(0);
    let mut objects = objects(&finished);
    assert_eq!(objects.len(), 1, "{finished}");
    assert_eq!(objects[0]["type"], kind, "{finished}");
    objects.remove(0)
}

#[test]
fn both_programs_speak_json_from_the_first_key_to_the_last_word() {
    let clinic = Clinic::new();
    let mut doctor = Running::start(clinic.doctor(&[
        "--json",
        "serve",
        "--id",
        "D1",
        "--listen",
        "127.0.0.1:0",
    ]));
    let serving = expect(&mut doctor, "serving");
    assert_eq!(serving["doctor"], "D1");
    assert_eq!(serving["address"], serving["public_address"]);

    let ticket = answer(&clinic, &["enrol", "P1"], "ticket");
    assert_eq!(ticket["address"], serving["address"]);
    let ticket = ticket["ticket"].as_str().unwrap();
    let enrol = || run(clinic.patient("P1", &["enrol", ticket, "--json"])).code(0);
    let enrolled = objects(&enrol()).remove(0);
    let seen = expect(&mut doctor, "enrolment");
    assert_eq!(enrolled["check_code"], seen["check_code"]);
    assert_eq!(objects(&enrol())[0]["check_code"], Value::Null);

    let mut patient = Running::start(clinic.patient("P1", &["--json"]));
    assert_eq!(expect(&mut patient, "connected")["doctor"], "D1");
    assert_eq!(expect(&mut doctor, "joined")["patient"], "P1");
    assert_eq!(expect(&mut patient, "group")["devices"], 1);
    assert_eq!(answer(&clinic, &["list"], "device")["patient"], "P1");

    // Every character of a text arrives, and none steers a terminal.
    let text = "closed\n\u{202e}today\u{9b}2J\t\"ä\"";
    assert_eq!(
        answer(&clinic, &["broadcast", "--urgent", text], "sent")["devices"],
        1
    );
    let received = expect(&mut patient, "received");
    assert_eq!(
        (&received["text"], &received["urgent"]),
        (&text.into(), &true.into())
    );
    assert_eq!(expect(&mut doctor, "delivered")["message"], 1);
    let report = clinic.command(&["--json", "report"]).code(0);
    let report = objects(&report);
    assert_eq!(report[0]["text"], text);
    assert_eq!(report[1]["state"], "delivered");

    assert_eq!(
        answer(&clinic, &["disconnect"], "disconnected")["devices"],
        1
    );
    expect(&mut patient, "stopped");
    patient.finish().code(0);
    let none = clinic.command(&["list", "--json"]).code(0);
    assert_eq!(none.out, "");
    let log = clinic.command(&["audit", "list", "--json"]).code(0);
    assert_eq!(objects(&log)[0]["action"], "founded");
    answer(&clinic, &["audit", "verify"], "audit_verified");
    let file = clinic.path("log.jsonl");
    let export = ["audit", "export", file.to_str().unwrap()];
    answer(&clinic, &export, "audit_exported");
    answer(&clinic, &["stop"], "stopping");
    doctor.finish().code(0);
}

#[test]
fn a_failure_is_an_object_too() {
    let clinic = Clinic::new();
    for (line, exit) in [
        (&["--json", "list", "--id", "D1"][..], 3),
        (&["frob", "--json"], 2),
        (&["--json"], 2),
        (&["list", "--json", "--plain"], 2),
        (&["enrol", "--json"], 2),
    ] {
        let finished = run(clinic.doctor(line)).code(exit);
        let error = object(finished.err.trim_end());
        assert_eq!(error["exit"], exit);
        assert!(error["hint"].is_string(), "{finished}");
        assert_eq!(finished.out, "");
    }
    let finished = run(clinic.patient("P1", &["--json"])).code(4);
    let error = object(finished.err.trim_end());
    assert!(
        error["sentence"]
            .as_str()
            .unwrap()
            .contains("nobody is enrolled")
    );
}

#[test]
fn plain_records_are_lines_of_fields() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let ticket = clinic.command(&["enrol", "P1", "--plain"]).code(0);
    let fields: Vec<_> = ticket.out.trim_end().split('\t').collect();
    assert_eq!(fields[..2], ["ticket", "P1"]);
    clinic.enrol_with("P1", fields[2]).code(0);
    let mut patient = Running::start(clinic.patient("P1", &["--plain"]));
    patient.expect_start("connected\t");
    let sent = clinic.command(&["--plain", "message", "P1", "two\tlines\n"]);
    let sent = sent.code(0);
    assert!(sent.out.starts_with("sent\t1\t1\t0\t"), "{sent}");
    let received = patient.expect_start("received\t1\tno\tyou\tno\t");
    assert!(received.contains("\t\ttwo    lines\t"), "{received}");
    let list = clinic.command(&["list", "--plain"]).code(0);
    assert!(list.out.starts_with("device\tP1\t"), "{list}");
    patient.signal(rustix::process::Signal::TERM);
    patient.expect_start("stopped\t");
    patient.finish().code(0);
}

#[test]
fn a_patients_commands_speak_json_too() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    doctor.type_lines(&["2", "Rest."]);
    doctor.expect("Message 1: ");
    let ask = |line: &[&str]| {
        let finished = run(clinic.patient("P1", &[line, &["--json"]].concat())).code(0);
        objects(&finished)
    };
    let inbox = ask(&["inbox", "--unread"]);
    assert_eq!(inbox[0]["text"], "Rest.");
    assert_eq!(inbox[0]["shown"], Value::Null);
    assert!(ask(&["inbox", "--unread"]).is_empty());
    let confirmed = ask(&["confirm", inbox[0]["code"].as_str().unwrap()]);
    assert_eq!(confirmed[0]["arrived"], true);
    let sent = ask(&["send", "It hurts.", "--open"]);
    assert_eq!(
        (&sent[0]["type"], &sent[1]["arrived"]),
        (&"queued".into(), &true.into())
    );
    ask(&["send", "Better.", "--close", "--offline"]);
    let history = ask(&["history", "--offline"]);
    let kinds: Vec<_> = history
        .iter()
        .map(|object| object["type"].as_str().unwrap())
        .collect();
    let expected = [
        "received",
        "consultation",
        "written",
        "written",
        "consultation",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(history[3]["state"], "queued");
    let status = ask(&["status"]);
    assert_eq!(status[0]["running"], false);
    assert_eq!(status[0]["waiting_messages"], 1);
}

#[test]
fn backups_are_told_of_in_json_too() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let file = clinic.path("a.backup");
    let file = file.to_str().unwrap();
    let code = answer(&clinic, &["recovery-code"], "recovery_code");
    let made = answer(&clinic, &["backup", file], "backup");
    assert_eq!(made["file"], file);
    assert_eq!(made["root_key"], true);
    let content = answer(&clinic, &["backup", "verify", file], "backup_content");
    assert_eq!(content["doctor"], "D1");
    assert_eq!(content["with_code"], false);

    let code_file = clinic.path("code.txt");
    std::fs::write(&code_file, code["code"].as_str().unwrap()).unwrap();
    let with_code = ["--recovery-code-file", code_file.to_str().unwrap()];
    let check = [&["recovery-code", "check"][..], &with_code].concat();
    let check = answer(&clinic, &check, "recovery_code_check");
    assert_eq!(check["right"], true);
    let restore = Command::new(env!("CARGO_BIN_EXE_doctor"))
        .args(["restore", file, "--json", "--data"])
        .arg(clinic.path("elsewhere"))
        .args(with_code)
        .output()
        .unwrap();
    let line = String::from_utf8(restore.stdout).unwrap();
    let restored = object(line.trim_end());
    assert_eq!(restored["type"], "restored");
    assert_eq!(restored["known_end"], Value::Null);
}
