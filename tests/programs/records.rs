//! Patients' records: by command with and without a running server, by menu, and
//! at a terminal.

use std::fs;

use rexpect::session::{Options, spawn_with_options};
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::clinic::{Clinic, Doctor};
use crate::output::object;
use crate::process::{Finished, run_with};

const ADA: &str = r#"{"name":"Ada Lovelace","born":"1980-02-29","sex":"female",
    "phone":"+44 20 71234567","email":"ada@example.org","address":"12 Square\nLondon",
    "notes":"Allergic to peanuts – früher Migräne.","tags":["asthmatic"]}"#;

/// Nothing of it may stand in a file; all longer than chance could write.
const SECRETS: [&str; 10] = [
    "Lovelace",
    "1980-02-29",
    "female",
    "71234567",
    "example.org",
    "Square",
    "peanuts",
    "Migräne",
    "asthmatic",
    "sleepless",
];

fn patients(clinic: &Clinic, line: &[&str]) -> Finished {
    clinic.command(&[&["patients"], line].concat())
}

fn with_input(clinic: &Clinic, line: &[&str], input: &str) -> Finished {
    let line = [&["--id", "D1", "patients"], line].concat();
    run_with(clinic.doctor(&line), input.as_bytes())
}

/// The objects that a command prints, which are as documented.
fn objects(clinic: &Clinic, line: &[&str]) -> Vec<Map<String, Value>> {
    let finished = patients(clinic, &[line, &["--json"]].concat()).code(0);
    finished.out.lines().map(object).collect()
}

/// A clinic in which a server has run.
fn founded() -> Clinic {
    let clinic = Clinic::new();
    stop(&clinic, clinic.as_service());
    clinic
}

fn stop(clinic: &Clinic, doctor: Doctor) {
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
}

/// Everything that can be done, with whatever answers.
fn a_records_life(clinic: &Clinic, patient: &str) {
    let run = |line: &[&str]| patients(clinic, line);
    with_input(clinic, &["add", patient, "--json-input", "-"], ADA)
        .code(0)
        .says(&format!("There is a record of {patient} now."));
    let change = ["--phone", "030 99", "--tag", "urgent", "--clear", "email"];
    run(&[&["edit", patient], &change[..]].concat())
        .code(0)
        .says("was changed: phone, email, tags. It has version 2.");
    run(&["edit", patient, "--phone", "030 99"])
        .code(0)
        .says("nothing was changed");
    run(&[
        "note",
        patient,
        "Sleepless.\nCalled back.",
        "--begun",
        "2026-03-01 14:05",
    ])
    .code(0);
    with_input(clinic, &["note", patient, "-"], "Better \u{1b}[2Jnow.\n")
        .code(1)
        .complains(&["U+001B"]);
    let shown = run(&["show", patient]).code(0);
    for part in [
        "  Name     Ada Lovelace",
        "  Address  12 Square\n           London",
        "  Tags     asthmatic, urgent",
        "  Record   version 2, made ",
        "  Device   not enrolled",
        "Consultation 2026-03-01 14:05:00\n    Sleepless.\n    Called back.",
    ] {
        assert!(shown.out.contains(part), "no {part} in {shown}");
    }
    let shown = shown.never_says("E-mail").never_says("71234567");
    assert!(!shown.out.contains("Ended"));
    run(&["list", "--tag", "URGENT"])
        .code(0)
        .says("Ada Lovelace  1980-02-29  030 99");
    run(&["search", "MIGRANE"]).code(0).says(&format!(
        "{patient}  Ada Lovelace, 1980-02-29, 030 99  (found in: notes)"
    ));
    run(&["search", "sleepless"])
        .code(0)
        .says("(found in: consultation)");
    run(&["search", "nobody"])
        .code(0)
        .says("Nothing was found.");
    run(&["archive", patient]).code(0).says("is archived");
    run(&["list"]).code(0).never_says(&format!("{patient} "));
    run(&["list", "--archived"])
        .code(0)
        .says("Ada Lovelace (archived)");
    run(&["edit", patient, "--phone", "12"])
        .code(1)
        .complains(&[&format!("doctor patients unarchive {patient}")]);
    run(&["unarchive", patient]).code(0);
    run(&["list"]).code(0).says("Ada Lovelace");
}

/// Whether `text` stands in a file, in UTF-8 or UTF-16.
fn stands_in(file: &[u8], text: &str) -> bool {
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    [text.as_bytes(), &little, &big]
        .iter()
        .any(|bytes| file.windows(bytes.len()).any(|window| window == *bytes))
}

/// Checks that the database shows who has a record, and no file anything else.
fn assert_sealed(clinic: &Clinic, patient: &str) {
    let mut in_database = false;
    for entry in fs::read_dir(clinic.doctor_files()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(file) = fs::read(&path) else { continue };
        in_database |= path.to_string_lossy().contains("telemed.db") && stands_in(&file, patient);
        for secret in SECRETS {
            assert!(!stands_in(&file, secret), "{secret} in {path:?}");
        }
    }
    assert!(in_database, "identifiers are in clear");
}

#[test]
fn records_are_kept_with_and_without_a_running_server_and_lie_sealed() {
    let clinic = founded();
    a_records_life(&clinic, "Patient-501");
    assert_sealed(&clinic, "Patient-501");
    let doctor = clinic.as_service();
    a_records_life(&clinic, "Patient-502");
    assert_sealed(&clinic, "Patient-502");
    clinic.enrol("Patient-503");
    let listed = patients(&clinic, &["list"]).code(0);
    let listed = listed.says("Patient-503  (no record)");
    assert_eq!(listed.out.lines().count(), 1 + 3, "{listed}");
    let shown = patients(&clinic, &["show", "Patient-503"]).code(0);
    shown.says("  Record   none").says("  Device   ");
    patients(&clinic, &["edit", "Patient-503", "--phone", "12"])
        .code(1)
        .complains(&["doctor patients add Patient-503"]);
    stop(&clinic, doctor);
    assert_sealed(&clinic, "Patient-502");

    // Nor does a copy without the key say more.
    fs::remove_file(clinic.doctor_files().join("data.key")).unwrap();
    patients(&clinic, &["show", "Patient-501"])
        .code(7)
        .complains(&["data.key"])
        .never_says("Lovelace");
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_and_nothing_is_changed() {
    let clinic = founded();
    with_input(&clinic, &["add", "P1", "--json-input", "-"], ADA).code(0);
    for (line, code, part) in [
        (
            &["add", "P1", "--name", "Eve"][..],
            1,
            "doctor patients edit P1",
        ),
        (&["add", "P2", "--phone", "123"], 2, "at least a name"),
        (
            &["add", "P2", "--name", "Eve", "--born", "1981-02-29"],
            2,
            "no such day",
        ),
        (
            &["add", "P2", "--name", "Eve", "--born", "2999-01-01"],
            2,
            "still to come",
        ),
        (
            &["add", "P2", "--name", "Eve", "--sex", "f"],
            2,
            "female, male, other",
        ),
        (&["add", "P2"], 2, "nothing is said about the patient"),
        (
            &["add", "D1", "--name", "Eve"],
            1,
            "the doctor's own identifier",
        ),
        (&["edit", "P1"], 2, "nothing is said about the patient"),
        (&["edit", "P1", "--email", "ada"], 2, "email: "),
        (
            &["edit", "P1", "--tag", "two words"],
            2,
            "a tag is one word",
        ),
        (&["edit", "P1", "--clear", "name"], 2, "--clear \"name\""),
        (
            &["edit", "P9", "--phone", "123"],
            1,
            "doctor patients add P9",
        ),
        (
            &["edit", "P1", "--notes-file", "/nowhere"],
            1,
            "'/nowhere' cannot be read",
        ),
        (&["show", "P9"], 1, "doctor patients list"),
        (&["note", "P9", "x"], 1, "doctor patients add P9"),
        (&["note", "P1"], 2, "- reads it from standard input"),
        (
            &["note", "P1", "x", "--begun", "2999-01-01 00:00"],
            1,
            "still to come",
        ),
        (&["search", " "], 1, "say what to look for"),
        (&["frob"], 2, "there is no command \"frob\""),
    ] {
        patients(&clinic, line).code(code).complains(&[part]);
    }
    for (json, part) in [
        ("", "standard input, line 1"),
        (r#"{"name":"Secret","frob":1}"#, "not a record's JSON"),
        (r#"{"name":["Secret"]}"#, "not a record's JSON"),
        (r#"{"name":"Secret","notes":"x\u0007"}"#, "U+0007"),
    ] {
        with_input(&clinic, &["add", "P2", "--json-input", "-"], json)
            .code(2)
            .complains(&[part])
            .never_says("Secret");
    }
    let long = "x".repeat(60_000);
    with_input(&clinic, &["edit", "P1", "--notes-file", "-"], &long)
        .code(2)
        .complains(&["60000 bytes in all"]);
    let listed = objects(&clinic, &["list"]);
    assert_eq!((listed.len(), &listed[0]["patient"]), (1, &"P1".into()));
    assert_eq!(objects(&clinic, &["show", "P1"])[0]["version"], 1);
}

#[test]
fn a_damaged_record_is_named_in_lists_and_the_others_are_shown() {
    let clinic = founded();
    for (patient, name) in [("P1", "Ada"), ("P2", "Ada Bell")] {
        patients(&clinic, &["add", patient, "--name", name]).code(0);
    }
    let database = clinic.doctor_files().join("telemed.db");
    Connection::open(database)
        .unwrap()
        .execute_batch("UPDATE record SET version = 2 WHERE patient = 'P1'")
        .unwrap();
    for line in [&["list"][..], &["search", "ada"]] {
        let finished = patients(&clinic, line).code(7);
        assert!(finished.out.contains("the record of P1 does not open"));
        assert!(finished.out.contains("Ada Bell"), "{}", finished.out);
        finished.complains(&["the record of P1 does not open", "restore a backup"]);
    }
    patients(&clinic, &["show", "P1"]).code(7);
    patients(&clinic, &["show", "P2"]).code(0);
}

#[test]
fn of_two_editors_the_second_is_told() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    patients(&clinic, &["add", "P1", "--name", "Ada"]).code(0);
    let version = objects(&clinic, &["show", "P1"])[0]["version"].to_string();
    let edit = |phone| {
        patients(
            &clinic,
            &["edit", "P1", "--phone", phone, "--based-on", &version],
        )
    };
    edit("111").code(0);
    edit("222")
        .code(1)
        .complains(&["changed meanwhile", "doctor patients show P1"]);
    assert_eq!(objects(&clinic, &["show", "P1"])[0]["phone"], "111");
}

#[test]
fn the_menu_keeps_records_too() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    doctor.type_lines(&["8"]);
    doctor.expect("Patients' records");
    let ada = [
        "Ada Lovelace",
        "1980-02-29",
        "",
        "030 12",
        "",
        "",
        "Peanuts.",
        "a b",
    ];
    doctor.type_lines(&[&["4", "P1"], &ada[..]].concat());
    doctor.expect("There is a record of P1 now.");
    doctor.type_lines(&["1"]);
    doctor.expect("P1  Ada Lovelace  1980-02-29  030 12");
    let change = ["", "", "", "-", "ada@example.org", "", "+ Nuts, too.", ""];
    doctor.type_lines(&[&["5", "P1"], &change[..]].concat());
    doctor.expect("The record of P1 was changed: phone, email, notes.");
    doctor.type_lines(&["6", "P1", "Better today.", "3", "P1"]);
    doctor.expect("It stands in the record of P1 now.");
    doctor.expect("  Notes    Peanuts.");
    doctor.expect("           Nuts, too.");
    doctor.expect("    Better today.");
    doctor.type_lines(&["2", "BETTER"]);
    doctor.expect("(found in: consultation)");
    doctor.type_lines(&["7", "P1", "9", "8", "P1"]);
    doctor.expect("The record of P1 is archived.");
    doctor.expect("P1  Ada Lovelace (archived)");
    doctor.expect("The record of P1 is not in the archive.");

    // What is wrong leads back, since nobody types.
    doctor.type_lines(&["4", "P2", "Eve", "1981-02-29"]);
    doctor.expect("Born: the calendar has no such day");
    doctor.expect("Nothing was done.");
    doctor.type_lines(&["5", "P2"]);
    doctor.expect("There is no record of P2");
    doctor.type_lines(&["10", "4"]);
    doctor.finish().code(0);
}

#[test]
fn at_a_terminal_a_record_is_asked_for() {
    let clinic = founded();
    let typed = |line: &[&str]| {
        let mut command = clinic.doctor(&[&["--id", "D1", "patients"], line].concat());
        command.env("TERM", "xterm");
        let options = Options::new()
            .timeout_ms(Some(60_000))
            .strip_ansi_escape_codes(true);
        spawn_with_options(command, options).unwrap()
    };
    let answer = |session: &mut rexpect::session::PtySession, prompt: &str, line: &str| {
        session.exp_string(prompt).unwrap();
        session.send_line(line).unwrap();
    };
    let mut add = typed(&["add", "P1"]);
    answer(&mut add, "Name: ", "");
    add.exp_string("A record has at least a name.").unwrap();
    answer(&mut add, "Name: ", "Ada");
    answer(&mut add, "Date of birth (year-month-day): ", "1980");
    add.exp_string("Born: that is no date").unwrap();
    answer(&mut add, "Date of birth (year-month-day): ", "1980-02-29");
    for prompt in ["Sex (", "Phone: ", "E-mail: ", "Address: ", "Notes: "] {
        answer(&mut add, prompt, "");
    }
    answer(&mut add, "Tags, with blanks between them: ", "nuts");
    add.exp_string("There is a record of P1 now.").unwrap();
    add.exp_eof().unwrap();

    let mut edit = typed(&["edit", "P1"]);
    answer(&mut edit, "Name [Ada]: ", "Ada Lovelace");
    edit.exp_string("[1980-02-29]: ").unwrap();
    edit.send_control('c').unwrap();
    edit.exp_string("nothing was done").unwrap();
    edit.exp_eof().unwrap();
    assert_eq!(objects(&clinic, &["show", "P1"])[0]["name"], "Ada");
}

#[test]
fn programs_get_records_as_documented() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    let one = |line: &[&str], kind: &str| {
        let mut objects = objects(&clinic, line);
        assert_eq!((objects.len(), &objects[0]["type"]), (1, &kind.into()));
        objects.remove(0)
    };
    assert_eq!(one(&["list"], "patient")["name"], Value::Null);
    one(&["add", "P1", "--name", "Ada"], "record_added");
    let file = clinic.path("ada.json");
    fs::write(&file, ADA).unwrap();
    let changed = one(
        &["edit", "P1", "--json-input", file.to_str().unwrap()],
        "record_changed",
    );
    assert_eq!(changed["fields"].as_array().unwrap().len(), 8);
    one(&["note", "P1", "x"], "consultation_noted");
    let shown = objects(&clinic, &["show", "P1"]);
    assert_eq!(shown[0]["notes"], "Allergic to peanuts – früher Migräne.");
    assert_eq!(shown[0]["tags"], serde_json::json!(["asthmatic"]));
    assert_eq!(shown[1]["note"], "x");
    assert_eq!(shown[2]["type"], "patient_device");
    assert_eq!(shown.len(), 3);
    let found = one(&["search", "ada"], "patient_found");
    assert_eq!(found["fields"], serde_json::json!(["name", "email"]));
    assert_eq!(one(&["archive", "P1"], "record_archived")["archived"], true);
    assert_eq!(
        one(&["unarchive", "P1"], "record_archived")["archived"],
        false
    );
    let plain = patients(&clinic, &["list", "--plain"]).code(0);
    let start = "patient\tP1\tAda Lovelace\t1980-02-29\t+44 20 71234567\t\tactive\t";
    assert!(plain.out.starts_with(start), "{plain}");
}
