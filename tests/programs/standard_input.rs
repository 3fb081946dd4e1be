//! Messages whose text stands on no command line.

use crate::clinic::Clinic;
use crate::process::{Finished, run_with};

fn doctor(clinic: &Clinic, line: &[&str], input: &[u8]) -> Finished {
    run_with(clinic.doctor(&[&["--id", "D1"], line].concat()), input)
}

#[test]
fn a_hyphen_stands_for_a_text_on_standard_input() {
    let clinic = Clinic::new();
    let _doctor = clinic.as_service();
    clinic.enrol("P1");
    doctor(&clinic, &["message", "P1", "-"], b"Take two\na day.\n").code(0);
    doctor(&clinic, &["broadcast", "-"], b"Closed today.\r\n").code(0);
    let longest = vec![b'x'; 16_000];
    doctor(
        &clinic,
        &["message", "P1", "-"],
        &[&longest[..], b"\n"].concat(),
    )
    .code(0);
    clinic
        .command(&["history", "P1", "--json"])
        .code(0)
        .says(r#""text":"Take two\na day.","#)
        .says(r#""text":"Closed today.","#)
        .says(r#"x","#);
    let answer = clinic.patient("P1", &["send", "-", "--offline"]);
    run_with(answer, b"It is better.\n").code(0);
    run_with(clinic.patient("P1", &["history", "--offline"]), b"")
        .code(0)
        .says("It is better.")
        .never_says("It is better. ⏎");
}

#[test]
fn what_cannot_be_a_message_is_refused_before_anything_is_sent() {
    let clinic = Clinic::new();
    let long = vec![b'x'; 20_000];
    for (input, said) in [
        (&b"\n"[..], "the message is empty"),
        (b"", "the message is empty"),
        (b"\xff\xfe\n", "standard input is not text in UTF-8"),
        (&long, "standard input has more than 16002 bytes"),
        (&long[..16_001], "the longest possible has 16000"),
    ] {
        for line in [
            &["message", "P1", "-"][..],
            &["broadcast", "--wait", "1", "-"],
        ] {
            doctor(&clinic, line, input).code(2).complains(&[said]);
        }
    }
}

#[test]
fn the_help_says_who_sees_the_command_line() {
    let clinic = Clinic::new();
    let seen = "Other users of this machine can see what stands on a command line";
    for command in ["message", "broadcast"] {
        doctor(&clinic, &[command, "--help"], b"")
            .code(0)
            .says(seen);
    }
    let send = clinic.patient("P1", &["send", "--help"]);
    run_with(send, b"").code(0).says(seen);
}
