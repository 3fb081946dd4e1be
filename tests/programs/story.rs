//! A day at the practice: everything a doctor and her patients do, through the
//! menus, fed from pipes.

use crate::clinic::{Clinic, ticket_in};
use crate::process::run_with;

#[test]
fn a_day_at_the_practice() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    doctor.expect("first start: making a clinic with doctor D1 (ffdhe2048)");
    doctor.expect("root.key': move it to a memory stick in a drawer");
    for entry in [
        "1  List connected patients",
        "2  Broadcast message to all patients",
        "3  Disconnect all patients",
        "4  Exit server",
        "5  Message one patient",
        "6  Delivery report",
        "7  Enrol a patient",
    ] {
        doctor.expect(entry);
    }

    // Two patients enrol, one with the ticket typed, one with it from a file.
    doctor.type_lines(&["1", "7", "P1"]);
    doctor.expect("Nobody is connected.");
    doctor.expect("Ticket for P1, good once");
    let ticket = ticket_in(&doctor.expect("telemed1-"));
    let enrolled = clinic.enrol_with("P1", &ticket).code(0);
    let enrolled = enrolled
        .says("P1 is enrolled with doctor D1.")
        .says("' --id P1 --doctor-id D1");
    let (_, code) = enrolled.out.split_once("Check code: ").unwrap();
    let code = code.lines().next().unwrap();
    assert!(doctor.expect("P1 has enrolled.").ends_with(code));
    let ticket = clinic.ticket("P2");
    let from_file = clinic.patient("P2", &["enrol", "-"]);
    run_with(from_file, format!("{ticket}\n").as_bytes())
        .code(0)
        .says("P2 is enrolled with doctor D1.");
    doctor.expect("P2 has enrolled.");

    // Both connect.
    let mut p1 = clinic.connect("P1");
    for entry in [
        "1  Send disconnect request",
        "2  Exit client",
        "3  Message the doctor",
        "4  Show messages",
        "5  Confirm a message",
    ] {
        p1.expect(entry);
    }
    doctor.expect("P1 is connected.");
    let mut p2 = clinic.connect("P2");
    doctor.expect("P2 is connected.");
    p2.expect("2 devices are in the group now.");
    doctor.type_lines(&["1"]);
    doctor.expect("2 devices are connected:");
    doctor.expect("  P1 ");
    doctor.expect("  P2 ");

    // A broadcast, with a receipt from each and a confirmation by one.
    doctor.type_lines(&["2", "The practice is closed today."]);
    doctor.expect("Message 1: sent to 2 devices.");
    for patient in [&mut p1, &mut p2] {
        patient.expect("Message 1 (URGENT, to everyone)");
        patient.expect("    The practice is closed today.");
    }
    for _ in 0..2 {
        if doctor.expect("Message 1: delivered to ").contains(", ") {
            break;
        }
    }
    p1.type_lines(&["5", "1"]);
    p1.expect("You have confirmed message 1.");
    doctor.expect("Message 1: confirmed by P1.");

    // Private messages both ways reach nobody else.
    p1.type_lines(&["3", "Is tomorrow all right?"]);
    let written = doctor.expect("P1 writes (");
    assert!(written.ends_with("): Is tomorrow all right?"), "{written}");
    p1.expect("Your message has arrived at the doctor's.");
    doctor.type_lines(&["5", "P1", "Yes, at nine."]);
    doctor.expect("Message 2: sent to 1 device.");
    p1.expect("Message 2 (to you alone)");
    p1.expect("    Yes, at nine.");
    doctor.expect("Message 2: delivered to P1.");

    // The report, and the patient's own list.
    doctor.type_lines(&["6"]);
    let broadcast = doctor.expect("Message 1 (to all, ");
    assert!(broadcast.ends_with(": The practice is closed today."));
    assert!(doctor.expect("  confirmed  ").contains("P1"));
    assert!(doctor.expect("  delivered  ").contains("P2"));
    let private = doctor.expect("Message 2 (private, ");
    assert!(private.ends_with(": Yes, at nine."));
    assert!(doctor.expect("  delivered  ").contains("P1"));
    doctor.expect("queued: waits for the device; sent:");
    p1.type_lines(&["4"]);
    assert!(p1.expect("Message 1 (URGENT").contains(", confirmed 2"));
    p1.expect("Message 2 (to you alone)");

    // One leaves; what is written then follows when she is back.
    p1.type_lines(&["1"]);
    p1.expect("You are disconnected.");
    doctor.expect("P1 has left.");
    p1.type_lines(&["1", "3"]);
    p1.expect("You are disconnected already.");
    p1.expect("To connect again, start the program again.");
    p1.close_input();
    p1.finish().code(0);
    doctor.type_lines(&["2", "We are open again."]);
    doctor.expect("Message 3: sent to 1 device; 1 more device gets it when it comes back.");
    p2.expect("    We are open again.");
    let mut p1 = clinic.connect("P1");
    p1.expect("(URGENT, to everyone, missed while away)");
    p1.expect("    We are open again.");

    // The end of input is Exit.
    p2.close_input();
    p2.finish().code(0).never_says("Yes, at nine.");
    doctor.expect("P2 has left.");

    // The doctor ends all sessions: nobody comes back.
    doctor.type_lines(&["3"]);
    doctor.expect("1 device was disconnected.");
    p1.finish()
        .code(0)
        .says("The doctor ended the session.")
        .never_says("Connecting again");
    doctor.type_lines(&["1", "4"]);
    let doctor = doctor.finish().code(0).says("Nobody is connected.");
    let (_, late) = doctor.out.split_once("1 device was disconnected.").unwrap();
    assert!(!late.contains("P1 is connected"), "{late}");
}

#[test]
fn a_patient_asked_to_exit_by_the_menu_exits() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    doctor.expect("P1 is connected.");
    patient.type_lines(&["2"]);
    patient.finish().code(0);
    doctor.expect("P1 has left.");
    doctor.close_input();
    doctor.finish().code(0);
}

#[test]
fn commands_that_stand_ready_wait_for_the_session_and_for_what_was_missed() {
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    doctor.type_lines(&["2", "Wash your hands."]);
    doctor.expect("Message 1: nobody is connected; 1 device gets it when it comes back.");
    let script = b"5\n1\n3\nI do.\n4\n";
    let patient = run_with(clinic.patient("P1", &[]), script).code(0);
    patient
        .says("    Wash your hands.")
        .says("You have confirmed message 1.")
        .says("Your message has arrived at the doctor's.");
    doctor.expect("Message 1: confirmed by P1.");
    doctor.expect("): I do.");
}

#[test]
fn no_message_can_steer_the_terminal_of_the_other_side() {
    // Every line that is read is checked for control characters, see
    // `Running::hear`; here are the lines.
    let hostile = "a\x1b[2J\x1b]0;title\x07b\u{9b}31mc\u{202e}d\re\u{8}";
    let harmless = "a[2J]0;titleb31mcd";
    let clinic = Clinic::new();
    let mut doctor = clinic.with_menu().program;
    clinic.enrol("P1");
    let mut patient = clinic.connect("P1");
    doctor.type_lines(&["2", hostile]);
    patient.expect(harmless);
    doctor.type_lines(&["5", "P1", hostile]);
    patient.expect(harmless);
    doctor.expect("Message 2: delivered");
    patient.type_lines(&["3", hostile]);
    doctor.expect(harmless);
    clinic.command(&["message", "P1", hostile]).code(0);
    patient.expect(harmless);
    clinic.command(&["report"]).code(0).says(harmless);
    doctor.type_lines(&[hostile, "6"]);
    doctor.expect("is not a number from 1 to ");
    doctor.expect("Message 3 (private, ");
    patient.type_lines(&["4", hostile]);
    patient.expect("is not a number from 1 to 8.");
}
