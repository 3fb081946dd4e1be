//! A doctor is taken out of a clinic, with everybody's real programs.

use std::process::Command;

use rustix::process::Signal;

use crate::clinic::{Clinic, Doctor, ticket_in};
use crate::postgres::Schema;
use crate::process::{Finished, Running, run};

const LOOPBACK: &str = "127.0.0.1:0";

/// A clinic of two doctors in one database, D2 in a data directory of her own.
struct Two {
    clinic: Clinic,
    store: String,
}

impl Two {
    fn first(&self, line: &[&str]) -> Finished {
        let all = ["--id", "D1", "--store", &self.store];
        run(self.clinic.doctor(&[&all, line].concat()))
    }

    /// A command of somebody else, whose directories lie there.
    fn other(&self, id: &str, data: &str, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doctor"));
        let home = self.clinic.path("");
        command.env_clear().env("HOME", &home).current_dir(&home);
        command.arg("--data").arg(self.clinic.path(data));
        command.args(["--id", id, "--store", &self.store]);
        command.args(line);
        command
    }

    fn second(&self, data: &str, line: &[&str]) -> Command {
        self.other("D2", data, line)
    }
}

#[test]
fn a_doctor_who_is_revoked_is_out_and_her_name_may_be_given_again() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let two = Two {
        clinic: Clinic::new(),
        store: schema.store(),
    };
    let (clinic, store) = (&two.clinic, &two.store);
    let mut first = clinic.serve_at(LOOPBACK, &["--store", store]);
    let join = |data: &str| {
        let invited = two.first(&["enrol-doctor", "D2"]).code(0);
        let ticket = invited.out.trim().to_owned();
        run(two.second(data, &["enrol", &ticket]))
            .code(0)
            .says("joined the clinic");
    };
    join("second");
    let serve = |data: &str| Doctor::start(two.second(data, &["--listen", LOOPBACK, "serve"]));
    let mut second = serve("second");
    // Hers, with a ticket she has made.
    let ticket = ticket_in(&run(two.second("second", &["enrol", "P2"])).code(0).out);
    clinic.enrol_with("P2", &ticket).code(0);
    two.first(&["tickets"])
        .code(0)
        .says("joins as doctor, made by D1");
    let line = ["--doctor-id", "D2", "--failover"];
    let mut patient = Running::start(clinic.patient("P2", &line));
    patient.expect("Connected to doctor D2.");
    patient.expect("The doctors of your clinic: D1, D2.");
    // What the other doctor writes comes through hers.
    two.first(&["broadcast", "--clinic", "To all of us."])
        .code(0)
        .says("1 device gets it from another doctor's server");
    patient.expect("from D1 (through D2), to ");
    patient.type_lines(&["3", "I have read it."]);
    patient.expect("Your message has arrived at the doctor's.");

    let root = clinic.doctor_files().join("root.key");
    let revoke = |name: &str, more: &[&str]| {
        let line = ["authority", "revoke-doctor", name, "--reason", "has left"];
        two.first(&[&line, more].concat())
    };
    revoke("D1", &["--yes"])
        .code(1)
        .complains(&["yourself", "replace-key"]);
    revoke("D3", &["--yes"])
        .code(1)
        .complains(&["nobody of the name D3"]);
    revoke("D2", &[]).code(2).complains(&[
        "D2 works in this clinic as doctor",
        "say the same again with --yes",
    ]);
    revoke("D2", &["--yes", "--since", "2026-03-01"])
        .code(2)
        .complains(&["--since needs --devices"]);
    let named = ["--yes", "--root-key", root.to_str().unwrap()];
    let revoked = revoke("D2", &named).code(0);
    revoked
        .says("D2 is revoked")
        .says("1 patient is still D2's")
        .says("let in as before: 1.")
        .says("transfer --from D2 D1")
        .says("Who follows needs another name, since patients' programs")
        .says("the database's password");
    // Her server says why it ends, and starts no more.
    second
        .program
        .expect("revoked the certificate of doctor D2");
    second.program.finish().code(4);
    run(two.second("second", &["--listen", LOOPBACK, "serve"]))
        .code(4)
        .complains(&["revoked the certificate of doctor D2", "enrol-doctor NAME"]);
    run(two.second("second", &["patients", "list"])).code(4);
    // Her patient goes on with the other doctor.
    patient.expect("you are connected to D1");
    patient.type_lines(&["3", "Who is my doctor now?"]);
    first.program.expect("P2 writes (");
    revoke("D2", &["--yes"])
        .code(1)
        .complains(&["revoked already"]);
    two.first(&["patients", "transfer", "--from", "D2", "D1"])
        .code(0)
        .says("P2 is a patient of doctor D1 now.");

    // Her directory is lost, or somebody else gets her name.
    join("third");
    let second = serve("third");
    run(two.second("third", &["audit", "verify"]))
        .code(0)
        .says("Nothing was changed");
    run(two.second("second", &["patients", "list"]))
        .code(4)
        .complains(&["revoked the certificate of D2", "good for nothing any more"]);
    two.first(&["authority", "show"])
        .code(0)
        .says("certificates ");
    second.program.signal(Signal::TERM);
    second.program.finish().code(0);
    drop(patient);
}

#[test]
fn a_ticket_for_joining_is_listed_and_taken_back() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let two = Two {
        clinic: Clinic::new(),
        store: schema.store(),
    };
    let _first = two.clinic.serve_at(LOOPBACK, &["--store", &two.store]);
    let line = ["enrol-doctor", "A1", "--role", "assistant"];
    let ticket = two.first(&line).code(0).out.trim().to_owned();
    let listed = two.first(&["tickets"]).code(0);
    let line = listed.out.lines().find(|line| line.contains("A1")).unwrap();
    assert!(
        line.contains("open") && line.contains("assistant"),
        "{line}"
    );
    let code = line.split_whitespace().next().unwrap();
    two.first(&["tickets", "revoke", code])
        .code(0)
        .says("nobody joins the clinic with it");
    two.first(&["tickets", "revoke", code])
        .code(1)
        .complains(&["taken back before"]);
    two.first(&["--json", "tickets"])
        .code(0)
        .says("\"type\":\"issued_join_ticket\"")
        .says("\"state\":\"revoked\"");
    let line = ["enrol", &ticket, "--wait", "5"];
    run(two.other("A1", "third", &line))
        .code(5)
        .complains(&["taken back"]);
}
