//! The same between the real programs: what the two people read.

use crate::clinic::Clinic;
use crate::process::Running;
use crate::proxy::{Attack, Proxy, Rule, down, up};
use telemed::protocol::{opcode, sub};

#[test]
fn both_programs_say_what_happened_on_the_way_and_all_arrives() {
    let clinic = Clinic::new();
    let server = clinic.with_menu();
    let mut doctor = server.program;
    clinic.enrol("P1");
    let proxy = Proxy::before(server.address.parse().unwrap());
    let way = proxy.address.to_string();
    // In the first minute every first message is answered with a nonce.
    let first = up(opcode::KEY_VERIFICATION, sub::M1);
    let lost = "Connection lost, messages may be missing";
    for (number, kind, after, at_patient, at_doctor) in [
        (
            1,
            down(opcode::ENC_MSG, 0),
            0,
            lost,
            "P1: the connection was lost.",
        ),
        (
            2,
            up(opcode::PRIVATE, 0),
            0,
            lost,
            "P1: the connection was lost.",
        ),
        (
            3,
            first,
            1,
            "closed the connection without a word",
            "cannot be opened",
        ),
        (
            4,
            up(opcode::KEY_VERIFICATION, sub::M3),
            0,
            "without a word",
            "could not prove",
        ),
        (
            5,
            down(opcode::KEY_VERIFICATION, sub::M2),
            0,
            "could not prove to be the doctor",
            "P1 is connected.",
        ),
    ] {
        let attack = Attack::FlipLast;
        proxy.set(Rule {
            kind,
            attack,
            after,
        });
        let mut patient = Running::start(clinic.patient("P1", &["--connect", &way]));
        patient.expect("Connected to doctor D1.");
        doctor.expect("P1 is connected.");
        let (to_all, to_doctor) = (
            format!("all of you {number}"),
            format!("dear doctor {number}"),
        );
        doctor.type_lines(&["2", &to_all]);
        patient.type_lines(&["3", &to_doctor]);
        doctor.expect(&to_doctor);
        patient.expect(&to_all);
        patient.type_lines(&["1"]);
        patient.close_input();
        let said = patient.finish();
        let said = format!("{}{}", said.out, said.err);
        assert_eq!(proxy.done(), 1, "{kind:?}");
        assert!(said.contains(at_patient), "{kind:?}: {said}");
        doctor.expect("P1 has left.");
        let told = doctor.transcript();
        assert!(told.contains(at_doctor), "{kind:?}: {told}");
        // As a message of its own, apart from reminders of it.
        for (line, said) in [(format!("    {to_all}\n"), &said), (to_doctor, &told)] {
            assert_eq!(said.matches(&line).count(), 1, "{said}");
        }
    }
}
