//! The clinic's root key and what is signed with it, with real programs.

use std::fs;

use crate::clinic::Clinic;
use crate::process::run;

/// A clinic whose root key lies on a stick; gives its file.
fn with_root_on_a_stick(clinic: &Clinic) -> String {
    let stick = clinic.path("stick");
    fs::create_dir(&stick).unwrap();
    let stick = stick.to_str().unwrap();
    clinic
        .command(&["authority", "move-root", stick])
        .code(0)
        .says("and no longer here");
    format!("{stick}/root.key")
}

#[test]
fn the_root_key_is_moved_whole_or_not_at_all() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    let here = clinic.doctor_files().join("root.key");
    let key = fs::read(&here).unwrap();
    clinic
        .command(&["authority", "show"])
        .code(0)
        .says("its key lies on this machine")
        .says("prekey ");
    for place in ["nowhere", "."] {
        if place == "." {
            fs::write(clinic.path("root.key"), b"mine").unwrap();
        }
        clinic
            .command(&["authority", "move-root", place])
            .code(1)
            .complains(&["nothing was moved"]);
        assert_eq!(fs::read(&here).unwrap(), key);
    }
    assert_eq!(fs::read(clinic.path("root.key")).unwrap(), b"mine");
    let file = with_root_on_a_stick(&clinic);
    assert_eq!(fs::read(&file).unwrap(), key);
    assert!(!here.exists());
    clinic
        .command(&["authority", "show"])
        .code(0)
        .says(&format!("it was moved to '{file}'"));
    clinic
        .command(&["authority", "move-root", "."])
        .code(1)
        .complains(&["there is no '"]);
    clinic
        .command(&["authority", "renew"])
        .code(2)
        .complains(&["does not lie on this machine", "--root FILE"]);
    clinic
        .command(&["--json", "authority", "show"])
        .code(0)
        .says("\"root_key\":null,\"root_key_place\":\"/");
    clinic
        .command(&["audit", "list"])
        .says("root.key moved to ");
}

#[test]
fn a_renewal_is_taken_over_by_the_running_server_and_its_patients() {
    let clinic = Clinic::new();
    let mut doctor = clinic.as_service();
    clinic.enrol("P1");
    let file = with_root_on_a_stick(&clinic);
    let mut patient = clinic.connect("P1");
    clinic
        .command(&["authority", "renew", "--root", &file])
        .code(0)
        .says("1 device was disconnected and comes back by itself; nobody needs a new ticket.");
    patient.expect("Connected to doctor D1.");
    clinic
        .command(&["broadcast", "The practice is open."])
        .code(0);
    patient.expect("The practice is open.");
    doctor.program.expect("has");

    // Another clinic's root is of no use, nor is another key.
    let elsewhere = Clinic::new();
    let other = elsewhere.as_service();
    let foreign = elsewhere.doctor_files().join("root.key");
    clinic
        .command(&["authority", "renew", "--root", foreign.to_str().unwrap()])
        .code(4)
        .complains(&["this is the root key of another clinic"]);
    let signing = clinic.doctor_files().join("signing.key");
    clinic
        .command(&["authority", "renew", "--root", signing.to_str().unwrap()])
        .code(7);
    drop(other);

    // Without a server it is the same.
    clinic.command(&["stop"]).code(0);
    clinic
        .command(&["--json", "authority", "renew", "--root", &file])
        .code(0)
        .says("\"type\":\"renewed\",\"doctor\":\"D1\"");
    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    patient.expect("Connected to doctor D1.");
    clinic.command(&["audit", "verify"]).code(0);
    clinic
        .command(&["audit", "list"])
        .says("renewed certificate ");
}

#[test]
fn after_a_stolen_key_patients_stop_and_come_back_with_a_ticket_and_their_messages() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let file = with_root_on_a_stick(&clinic);
    let mut patient = clinic.connect("P1");
    clinic
        .command(&["message", "P1", "Take two a day."])
        .code(0);
    patient.expect("Take two a day.");
    let replace = |more: &[&str]| {
        let line = [
            "authority",
            "replace-key",
            "--root",
            &file,
            "--reason",
            "a theft",
        ];
        clinic.command(&[&line, more].concat())
    };
    replace(&["--yes"])
        .code(1)
        .complains(&["the server is running", " --id D1 stop"]);
    clinic.command(&["stop"]).code(0);
    replace(&[])
        .code(2)
        .complains(&["nothing was replaced", "--yes"]);
    clinic
        .command(&["authority", "replace-key", "--reason", " ", "--yes"])
        .code(2);
    replace(&["--yes"])
        .code(0)
        .says("Doctor D1 has a new signing key.")
        .says("Revoked: 1 devices of 1 patients.");
    clinic
        .command(&["authority", "show"])
        .code(0)
        .says("Revoked doctors: list number ");

    let _doctor = clinic.serve_at(&doctor.address, &["serve"]);
    // The program that was running stops by itself, and says what to do.
    patient.finish().code(4).complains(&[
        "the doctor's key has changed: it was ",
        "told you over the phone which it is",
        "at the doctor's: doctor enrol P1",
        "enrol TICKET",
        "your messages stay",
    ]);
    clinic.enrol("P1");
    run(clinic.patient("P1", &["history"]))
        .code(0)
        .says("Take two a day.");
    let mut patient = clinic.connect("P1");
    clinic
        .command(&["message", "P1", "Good to have you back."])
        .code(0);
    patient.expect("Good to have you back.");
    clinic
        .command(&["audit", "verify"])
        .code(0)
        .says("Nothing was changed");
    clinic
        .command(&["audit", "list"])
        .says("is revoked: a theft")
        .says("the doctor's signing key was replaced");
    clinic.command(&["history", "P1"]).says("Take two a day.");
}
