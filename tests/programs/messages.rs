//! The doctor's messages by command: who gets them, what became of them, and
//! what was written. A full disk and a read-only one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use telemed::store::{CertificateState, SqliteStore, TrustStore};

use crate::clinic::Clinic;
use crate::disk::SmallDisk;
use crate::process::Running;

/// The short name in what `doctor` says of a message it has sent.
#[track_caller]
fn short_name(said: &str) -> String {
    let (_, rest) = said.split_once("Short name: ").unwrap();
    rest.trim_end().trim_end_matches('.').to_owned()
}

/// Runs a command until it says what it is to say in the end.
#[track_caller]
fn until_it_says(clinic: &Clinic, line: &[&str], part: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let finished = clinic.command(line).code(0);
        if finished.out.contains(part) {
            return;
        }
        assert!(Instant::now() < deadline, "{part:?}: {finished}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn who_did_not_confirm_in_time_is_named_and_the_exit_code_is_6() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    clinic.enrol("P2");
    let phone = [
        "patients",
        "add",
        "P1",
        "--name",
        "Ada",
        "--phone",
        "+49 30 1234",
    ];
    clinic.command(&phone).code(0);
    let mut patient = clinic.connect("P1");
    let line = ["broadcast", "--urgent", "--wait", "1", "Leave the house."];
    clinic
        .command(&line)
        .code(6)
        .says("Not confirmed by: P1 (+49 30 1234), P2 (no phone number on file).")
        .complains(&[
            "2 patients did not confirm message 1 in time",
            "doctor deliveries 1 --unconfirmed",
        ]);
    let unconfirmed = clinic.command(&["deliveries", "1", "--unconfirmed"]);
    unconfirmed
        .code(0)
        .says("  not confirmed by:")
        .says("  +49 30 1234")
        .says("  no phone number on file");
    patient.expect("Leave the house.");
    patient.type_lines(&["5", "1"]);
    patient.expect("You have confirmed message 1.");
    until_it_says(&clinic, &["deliveries", "1"], "confirmed");
    // One who was chosen alone, and confirms while she is waited for.
    let mut waiting = Running::start(clinic.doctor(&[
        "--id",
        "D1",
        "broadcast",
        "--urgent",
        "--to",
        "P1",
        "--wait",
        "60",
        "You, too.",
    ]));
    patient.expect("You, too.");
    patient.type_lines(&["5", "2"]);
    waiting.expect("Everybody has confirmed.");
    waiting.finish().code(0);
    let deliveries = clinic.command(&["deliveries", "2", "--verify"]).code(0);
    deliveries
        .says("Message 2 (to chosen patients, urgent, ")
        .says("  signature right")
        .never_says("P2");
}

#[test]
fn a_server_that_dies_can_be_started_again_while_somebody_waits_for_confirmations() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let wait = |seconds, text| {
        let line = ["--id", "D1", "broadcast", "--wait", seconds, text];
        Running::start(clinic.doctor(&line))
    };
    let mut patient = wait("30", "Hello.");
    let mut hasty = wait("4", "You, too.");
    for waiting in [&mut patient, &mut hasty] {
        waiting.expect("Short name: ");
    }
    doctor.program.kill();
    hasty
        .finish()
        .code(6)
        .complains(&["the server does not answer any more", "the message is kept"]);
    // Nobody has taken the practice's lock meanwhile.
    let _again = clinic.as_service();
    clinic.command(&["list"]).code(0);
    // Asked again, the new server answers.
    let line = ["broadcast", "--expires", "1s", "--wait", "60", "Soon over."];
    clinic
        .command(&line)
        .code(6)
        .complains(&["message 3 has expired, and 1 patient did not confirm it"]);
    patient
        .finish()
        .code(6)
        .complains(&["1 patient did not confirm message "]);
    clinic
        .command(&["deliveries", "3"])
        .code(0)
        .says("  expired  ");
    clinic
        .command(&["deliveries", "3", "--unconfirmed", "--json"])
        .code(0)
        .says(r#""state":"expired""#)
        .says(r#""phone":"#);
    clinic
        .command(&["deliveries", "3", "--missing"])
        .code(0)
        .says("The message expired at ")
        .says("1 patient had not got it")
        .never_says("reached everybody");
    clinic
        .command(&["deliveries", "3", "--missing", "--json"])
        .code(0)
        .says(r#""type":"expired","at":"#)
        .says(r#""patients":1}"#);
    let line = [
        "message",
        "P1",
        "--expires",
        "1s",
        "--wait",
        "60",
        "For you.",
    ];
    clinic
        .command(&line)
        .code(6)
        .complains(&["message 4 has expired, and 1 patient did not confirm it"]);
}

#[test]
fn nothing_is_sent_to_anybody_if_one_is_unknown() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    clinic
        .command(&["broadcast", "--to", "P1,P9", "Hello."])
        .code(1)
        .complains(&["no patient P9 has enrolled, nothing was sent"]);
    clinic
        .command(&["broadcast", "--tag", "asthma", "Hello."])
        .code(1)
        .complains(&["no enrolled patient has the tag asthma, nothing was sent"]);
    for line in [
        &["broadcast", "--to", "P1", "--tag", "x", "Hello."][..],
        &["broadcast", "--to", "P1;P2", "Hello."],
        &["broadcast", "--expires", "soon", "Hello."],
        &["broadcast", "--wait", "0", "Hello."],
        &["message", "--wait", "0", "P1", "Hello."],
        &["message", "--expires", "6", "P1", "Hello."],
        &["history", "--all", "--last", "3", "P1"],
        &["history", "--last", "0", "P1"],
    ] {
        clinic.command(line).code(2);
    }
    clinic
        .command(&["deliveries"])
        .code(0)
        .says("No message was sent yet.");
    clinic
        .command(&["deliveries", "1"])
        .code(1)
        .complains(&["there is no message 1"]);
}

#[test]
fn whoever_is_not_reached_is_named_with_the_reason_and_stays_on_file() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    let mut patients = Vec::new();
    for patient in ["P1", "P2"] {
        clinic.enrol(patient);
        patients.push(clinic.connect(patient));
    }
    clinic
        .command(&["consult", "P2"])
        .code(0)
        .says("The consultation with P2 has begun. Message 1: sent to 1 device.");
    patients[1].expect("The consultation begins.");
    until_it_says(&clinic, &["deliveries", "1"], "delivered");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    {
        let store = SqliteStore::open(&clinic.doctor_files().join("telemed.db")).unwrap();
        let rows = store.certificates().unwrap();
        let row = rows.iter().find(|row| row.subject == "P2").unwrap();
        let revoked = CertificateState::Revoked;
        assert!(store.set_certificate_state(&row.serial, revoked).unwrap());
    }
    let mut doctor = clinic.with_menu().program;
    clinic
        .command(&["broadcast", "Hello."])
        .code(0)
        .says("Message 2: ")
        .says("1 left out: P2 (revoked).");
    clinic
        .command(&["broadcast", "--json", "Hello."])
        .code(0)
        .says(r#""left_out":1"#)
        .says(
            r#"{"v":1,"type":"unreached","patient":"P2","why":"revoked","ended":null,"devices":1}"#,
        );
    doctor.type_lines(&["2", "From the menu."]);
    doctor.expect("1 left out: P2 (revoked).");
    clinic
        .command(&["message", "P2", "Hello."])
        .code(1)
        .complains(&["the certificate of P2 is revoked, nothing was sent"]);
    doctor.type_lines(&["11", "P2"]);
    doctor.expect("[begins] The consultation begins.");
    doctor.type_lines(&["13", "P2"]);
    doctor.expect("The consultation with P2 has ended. Message 5: kept here, P2 has no device");
    clinic
        .command(&["history", "P2"])
        .code(0)
        .says("[begins] The consultation begins.")
        .says("kept): [ends] The consultation has ended.");
    clinic
        .command(&["deliveries", "5"])
        .code(0)
        .says("kept here: no device was there that may come back");
    clinic
        .command(&["history", "P9"])
        .code(1)
        .complains(&["there is no patient P9"]);
}

#[test]
fn a_tag_names_the_recipients_and_the_missing_are_listed_with_their_numbers() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    for patient in ["P1", "P2"] {
        clinic.enrol(patient);
        clinic
            .command(&[
                "patients", "add", patient, "--name", "Ada", "--tag", "asthma",
            ])
            .code(0);
    }
    clinic
        .command(&["patients", "edit", "P2", "--phone", "+49 30 123456"])
        .code(0);
    let mut patient = clinic.connect("P1");
    let sent = clinic.command(&["broadcast", "--tag", "asthma", "Pollen today."]);
    let code = short_name(&sent.code(0).out);
    patient.expect("Pollen today.");
    until_it_says(&clinic, &["deliveries", &code], "delivered");
    // Also when no server runs.
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    clinic
        .command(&["deliveries", "--missing"])
        .code(0)
        .says("Pollen today.")
        .says("  P2 ")
        .says("+49 30 123456")
        .never_says("  P1 ");
}

#[test]
fn what_patients_write_waits_in_the_inbox_and_a_consultation_has_a_history() {
    let clinic = Clinic::new();
    let doctor = clinic.as_service();
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    clinic.command(&["consult", "P1"]).code(0);
    patient.expect("The consultation begins.");
    clinic
        .command(&["consult", "P1"])
        .code(0)
        .says("The consultation with P1 is open already.");
    patient.type_lines(&["3", "It hurts here."]);
    patient.expect("Your message has arrived at the doctor's.");
    clinic
        .command(&["list"])
        .code(0)
        .says("1 new message from a patient");
    clinic.command(&["stop"]).code(0);
    doctor.program.finish().code(0);
    patient.signal(rustix::process::Signal::TERM);
    patient.finish();
    // The books are there without a server.
    clinic
        .command(&["inbox"])
        .code(0)
        .says("1 new message:")
        .says("P1 writes (new, ")
        .says("It hurts here.");
    clinic.command(&["inbox"]).code(0).says("No new message.");
    clinic
        .command(&["inbox", "--all"])
        .code(0)
        .says("It hurts here.");
    let _doctor = clinic.as_service();
    clinic.command(&["consult", "P1", "--end"]).code(0);
    let history = clinic.command(&["history", "P1"]).code(0);
    history
        .says("[begins] The consultation begins.")
        .says("It hurts here.")
        .says("[ends] The consultation has ended.");
    let json = clinic.command(&["history", "P1", "--json"]).code(0);
    let inside = json
        .out
        .lines()
        .filter(|line| line.contains(r#""consultation":true"#));
    assert_eq!(inside.count(), 3, "{json}");
}

#[test]
fn on_a_full_disk_a_new_message_is_not_sent_and_what_is_there_stays() {
    let clinic = Clinic::new();
    let Some(disk) = SmallDisk::mount(clinic.path("doctor"), "16m") else {
        return;
    };
    let mut doctor = clinic.as_service().program;
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    clinic.command(&["broadcast", "Before."]).code(0);
    patient.expect("    Before.");
    doctor.expect("Message 1: delivered to P1.");
    disk.fill();
    clinic
        .command(&["broadcast", "Meanwhile."])
        .code(1)
        .complains(&[
            "there is no space left for the database",
            "nothing was changed",
        ]);
    for line in [
        &["history", "P1"][..],
        &["patients", "list"],
        &["audit", "list"],
    ] {
        clinic
            .command(line)
            .code(1)
            .complains(&[
                "is not shown, because the audit log cannot be written: the disk is full at '",
                "telemed.db'; free space and try again",
            ])
            .never_says("Before.");
    }
    patient.type_lines(&["3", "Can you hear me?"]);
    let trouble = doctor.expect("Trouble: what happens now cannot be kept");
    assert!(trouble.contains("no space left"), "{trouble}");
    disk.free();
    clinic
        .command(&["broadcast", "After."])
        .code(0)
        .says("Message 2: sent to 1 device.");
    patient.expect("    After.");
    doctor.expect("Message 2: delivered to P1.");
    patient.signal(rustix::process::Signal::TERM);
    patient
        .finish()
        .never_says("Meanwhile.")
        .never_says("arrived");
    // What was not answered comes again.
    let _patient = clinic.connect("P1");
    doctor.expect("P1 has written");
    clinic.command(&["inbox"]).code(0).says("Can you hear me?");
    let all = clinic.command(&["deliveries"]).code(0);
    all.says("Before.").says("After.").never_says("Meanwhile.");
}

#[test]
fn on_a_read_only_disk_the_server_does_not_start_and_what_is_there_stays() {
    let clinic = Clinic::new();
    let Some(_disk) = SmallDisk::mount(clinic.path("doctor"), "16m") else {
        return;
    };
    let remount = |mode: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{mode}")]);
        mount.arg(clinic.path("doctor")).stderr(Stdio::null());
        mount.status().unwrap().success()
    };
    let doctor = clinic.as_service().program;
    clinic.enrol("P1");
    clinic.command(&["broadcast", "Kept."]).code(0);
    clinic.command(&["stop"]).code(0);
    doctor.finish().code(0);
    assert!(remount("ro"));
    let refused = clinic
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .code(1);
    let reason = refused.err.to_lowercase();
    assert!(
        reason.contains("read-only") || reason.contains("cannot be written"),
        "{refused}"
    );
    assert!(remount("rw"));
    clinic.command(&["deliveries"]).code(0).says("Kept.");
}
