//! Whether the command lines are understood as they are meant, and their help fits.

use argh::CommandInfoWithArgs as Shape;

use super::super::exit::Exit;
use super::*;

fn typed(line: &[&str]) -> Vec<OsString> {
    line.iter().map(OsString::from).collect()
}

fn run<T>(request: Result<Request<T>, Failure>) -> T {
    match request {
        Ok(Request::Run(args)) => args,
        Ok(Request::Print(text)) => panic!("printed {text}"),
        Err(failure) => panic!("refused: {failure}"),
    }
}

fn printed<T: std::fmt::Debug>(request: Result<Request<T>, Failure>) -> String {
    match request {
        Ok(Request::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_doctors_command_line_is_understood() {
    let args = run(doctor(typed(&[
        "--strict_clock",
        "message",
        "P1",
        "--id",
        "D1",
        "--public_address=h:1",
        "--",
        "-5 mg",
    ])));
    assert_eq!(args.public_address.as_deref(), Some("h:1"));
    assert!(args.strict_clock);
    assert_eq!(args.id.as_deref(), Some("D1"));
    assert_eq!(
        args.command,
        Some(DoctorCommand::Message(Message {
            urgent: false,
            expires: None,
            wait: None,
            patient: "P1".to_owned(),
            text: "-5 mg".to_owned(),
        }))
    );
    assert_eq!(run(doctor(typed(&[]))).command, None);
}

#[test]
fn the_patients_command_line_is_understood() {
    let args = run(patient(typed(&[
        "enrol", "TELEMED1", "--id", "P1", "AB-CD",
    ])));
    assert_eq!(args.id.as_deref(), Some("P1"));
    let Some(PatientCommand::Enrol(enrol)) = args.command else {
        panic!("no enrolment");
    };
    assert_eq!(enrol.ticket, ["TELEMED1", "AB-CD"]);
    let args = run(patient(typed(&["--id", "P1", "--doctor_id", "D1"])));
    assert_eq!(args.doctor_id.as_deref(), Some("D1"));
}

/// The help of the program or a command, and whatever stands in the shape
/// must stand in it; the same for all its commands.
fn check_help(words: &[&str], shape: &Shape, outer: &[&str]) {
    let (program, commands) = words.split_first().unwrap();
    let line = typed(&[commands, &["--help"]].concat());
    let help = match *program {
        "doctor" => printed(doctor(line)),
        _ => printed(patient(line)),
    };
    let usage = format!("Usage: {}", words.join(" "));
    assert!(help.starts_with(&usage), "{help}");
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
    let options = shape.flags.iter().map(|flag| flag.long);
    let options: Vec<_> = options.filter(|name| *name != "--help").collect();
    for name in &options {
        assert!(help.contains(name), "{name} is missing in {help}");
        assert!(!outer.contains(name), "{name} is also an outer option");
    }
    for command in &shape.commands {
        assert!(help.contains(command.name), "{} in {help}", command.name);
        let words = [words, &[command.name]].concat();
        check_help(&words, &command.command, &[outer, &options].concat());
    }
}

#[test]
fn help_of_every_command_fits_80_columns_and_names_everything() {
    check_help(&["doctor"], &DoctorArgs::get_args_info(), &[]);
    check_help(&["patient"], &PatientArgs::get_args_info(), &[]);
    for help in [
        printed(doctor(typed(&["--help"]))),
        printed(patient(typed(&["-h"]))),
    ] {
        for exit in Exit::ALL {
            let code = format!("\n  {} ", exit.code());
            assert!(help.contains(&code), "{code} is missing in {help}");
        }
        assert!(help.contains("Examples:"));
    }
    let help = printed(doctor(typed(&["message", "--help"])));
    assert!(help.contains("PATIENT") && help.contains("TEXT"), "{help}");
}

#[test]
fn the_version_is_the_crates() {
    let expected = concat!("doctor ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(doctor(typed(&["enrol", "-V"]))), expected);
}

#[test]
fn a_command_with_wrong_arguments_is_refused() {
    for (line, sentence) in [
        (&["enrol"][..], "the command needs PATIENT"),
        (&["message"], "the command needs PATIENT and TEXT"),
        (&["message", "P1"], "the command needs TEXT"),
        (&["list", "x"], "\"x\" is one argument too many"),
        (
            &["broadcast", "two", "words"],
            "\"words\" is one argument too many",
        ),
        (&["enroll", "a", "b"], "\"b\" is one argument too many"),
        (&["frob"], "there is no command \"frob\""),
    ] {
        let failure = doctor(typed(line)).unwrap_err();
        assert_eq!(failure.sentence, sentence);
        assert_eq!(failure.exit, Exit::Usage);
        let word = line[0].replace("enroll", "enrol").replace("frob", "");
        let see = format!("see doctor {word} --help").replace("  ", " ");
        assert!(failure.hint.unwrap().ends_with(&see));
    }
}
