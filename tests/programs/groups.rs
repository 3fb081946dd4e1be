//! A clinic founded on a group of its own, and the files such groups come in.

use std::fs;

use crate::clinic::Clinic;
use crate::process::run;

/// Made with `doctor keygen-group --bits 2048`.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/own-2048.group");

#[test]
fn a_clinic_on_a_group_of_its_own_enrols_broadcasts_and_comes_back() {
    let clinic = Clinic::on_group(OWN);
    let mut doctor = clinic.with_menu();
    doctor
        .program
        .expect("making a clinic with doctor D1 (own 2048-bit group)");
    clinic.enrol("P1").says("P1 is enrolled with doctor D1.");
    let mut patient = clinic.connect("P1");
    doctor.program.type_lines(&["2", "Leave the building."]);
    patient.expect("Leave the building.");
    patient.type_lines(&["5", "1"]);
    doctor.program.expect("Message 1: confirmed by P1.");
    let address = doctor.address.clone();
    doctor.program.kill();
    patient.expect("Connection lost");

    // From now on the database knows the group, and the patient its prime.
    let mut doctor = clinic.serve_at(&address, &[]);
    patient.expect("Connected to doctor D1.");
    doctor.program.type_lines(&["2", "Come back."]);
    patient.expect("Come back.");
    clinic.command(&["audit", "verify"]).code(0);
}

#[test]
fn what_is_no_group_founds_no_clinic() {
    let clinic = Clinic::new();
    let whole = fs::read_to_string(OWN).unwrap();
    for (name, text, expected) in [
        ("empty", "", "is no group file"),
        (
            "cut",
            &whole[..200],
            "is not accepted: a group's prime has exactly",
        ),
        (
            "other",
            &whole.replacen("afcc", "afcd", 1),
            "is not accepted: a group's prime is a safe",
        ),
    ] {
        let path = clinic.path(name);
        fs::write(&path, text).unwrap();
        let founding = Clinic::on_group(path.to_str().unwrap());
        run(founding.doctor(&["--id", "D1", "--listen", "127.0.0.1:0", "serve"]))
            .code(1)
            .complains(&[expected]);
        assert!(!founding.doctor_files().join("signing.key").exists());
    }
}

#[test]
fn a_group_is_not_searched_for_where_it_could_not_be_kept() {
    let clinic = Clinic::new();
    fs::write(clinic.path("taken"), "what was there").unwrap();
    let search = |out: &str| clinic.command(&["keygen-group", "--bits", "2048", "--out", out]);
    search("taken")
        .code(1)
        .complains(&["'taken' exists already and is not overwritten"]);
    assert_eq!(fs::read(clinic.path("taken")).unwrap(), b"what was there");
    search("nowhere/own.group")
        .code(1)
        .complains(&["'nowhere/own.group' cannot be written"]);
    let small = ["keygen-group", "--bits", "1024", "--out", "small"];
    clinic
        .command(&small)
        .code(2)
        .complains(&["2048, 3072 or 4096"]);
}
