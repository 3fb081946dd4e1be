//! Joining a clinic, where there is none of several doctors, and with the wrong
//! ticket.

use crate::clinic::Clinic;
use crate::process::run;

#[test]
fn a_practice_in_a_file_lets_nobody_join_and_says_what_it_needs() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    for role in ["doctor", "assistant", "auditor"] {
        clinic
            .command(&["enrol-doctor", "D2", "--role", role])
            .code(1)
            .complains(&["needs PostgreSQL", "doctor store copy"]);
    }
    clinic
        .command(&["authority", "sign", "--yes"])
        .code(1)
        .complains(&["needs PostgreSQL"]);
    clinic
        .command(&["enrol-doctor", "D2", "--role", "surgeon"])
        .code(2)
        .complains(&["--role", "choose doctor, assistant or auditor"]);
    let patients = clinic.ticket("P1");
    // A patient's ticket in the doctor's program.
    run(clinic.doctor(&["enrol", &patients]))
        .code(2)
        .complains(&["this is a ticket for a patient"]);
    run(clinic.doctor(&["enrol", "telemedjoin1-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"]))
        .code(2)
        .complains(&["the ticket is damaged"]);
    // And the other way round.
    clinic
        .enrol_with("P1", "telemedjoin1-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA")
        .code(2)
        .says_once("doctor enrol PATIENT")
        .complains(&["this is a ticket for joining a clinic's staff"]);
    // A broadcast to the clinic is one to the doctor's patients.
    clinic.enrol_with("P1", &patients).code(0);
    run(clinic.patient("P1", &["inbox"])).code(0);
    clinic
        .command(&["broadcast", "--clinic", "The water is off."])
        .code(0)
        .says("There is no clinic of several doctors here");
    run(clinic.patient("P1", &["inbox", "--unread"]))
        .code(0)
        .says("The water is off.");
    clinic
        .command(&["broadcast", "The water is back."])
        .code(0)
        .never_says("There is no clinic");
    // Nobody is taken for the doctor.
    for name in ["d1", "DL", "dI"] {
        let sentence = format!("the name {name} is easily taken for D1");
        clinic
            .command(&["enrol", name])
            .code(1)
            .complains(&[&sentence]);
    }
    // What is left of a ticket that was cut off is nobody's name, and not repeated.
    for typed in ["telemed1-06K3Q-CC2FP", "TELEMEDJOIN1 06K3Q", "telemedjoin1"] {
        for command in [&["enrol"][..], &["enrol-doctor"], &["patients", "add"]] {
            let said = clinic.command(&[command, &[typed]].concat()).code(2);
            said.complains(&["this begins like a ticket", "copy the whole ticket again"])
                .never_says("06K3Q");
        }
    }
    clinic
        .command(&["enrol", "telemed"])
        .code(0)
        .says("telemed1-");
}
