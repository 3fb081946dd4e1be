use std::os::unix::ffi::OsStringExt;

use argh::SubCommandInfo;

use super::*;

const fn option(long: &'static str) -> FlagInfo<'static> {
    FlagInfo {
        kind: FlagInfoKind::Option { arg_name: "x" },
        ..switch(long)
    }
}

const fn switch(long: &'static str) -> FlagInfo<'static> {
    FlagInfo {
        kind: FlagInfoKind::Switch,
        optionality: Optionality::Optional,
        long,
        short: None,
        description: "",
        hidden: false,
    }
}

const OPTIONS: &[FlagInfo<'static>] = &[
    option("--id"),
    option("--doctor-id"),
    switch("--strict-clock"),
];
const BROADCAST: &[FlagInfo<'static>] = &[option("--wait"), switch("--urgent")];
const ADD: &[FlagInfo<'static>] = &[
    option("--name"),
    FlagInfo {
        optionality: Optionality::Repeating,
        ..option("--tag")
    },
];
const FILE: &[argh::PositionalInfo<'static>] = &[argh::PositionalInfo {
    name: "FILE",
    description: "",
    optionality: Optionality::Optional,
    hidden: false,
}];

fn command(
    name: &'static str,
    flags: &'static [FlagInfo<'static>],
    commands: Vec<SubCommandInfo>,
) -> SubCommandInfo {
    let command = Shape {
        flags,
        commands,
        ..Shape::default()
    };
    SubCommandInfo { name, command }
}

fn shape() -> Shape {
    let patients = vec![command("add", ADD, vec![]), command("list", &[], vec![])];
    let mut backup = command("backup", &[], vec![command("verify", &[], vec![])]);
    backup.command.positionals = FILE;
    let commands = vec![
        command("enrol", &[], vec![]),
        command("broadcast", BROADCAST, vec![]),
        command("patients", &[], patients),
        backup,
    ];
    command("", OPTIONS, commands).command
}

fn normal(arguments: &[&str]) -> Result<Normalised, Failure> {
    let arguments = arguments.iter().map(OsString::from);
    normalise(Program::Doctor, &shape(), arguments)
}

#[track_caller]
fn assert_runs(typed: &[&str], meant: &[&str]) {
    let Ok(Normalised::Run { arguments, .. }) = normal(typed) else {
        panic!("{typed:?} does not run");
    };
    assert_eq!(arguments, meant, "{typed:?}");
}

fn refusal(typed: &[&str]) -> String {
    let failure = normal(typed).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    failure.sentence
}

#[test]
fn every_spelling_of_an_option_means_the_same() {
    for typed in [
        &["--doctor_id", "D_1"][..],
        &["--doctor-id", "D_1"],
        &["--doctor_id=D_1"],
        &["--doctor-id=D_1"],
    ] {
        assert_runs(typed, &["--doctor-id", "D_1"]);
    }
    assert_runs(&["--id=a=b"], &["--id", "a=b"]);
    assert_runs(&["--id="], &["--id", ""]);
    assert_runs(&[], &[]);
}

#[test]
fn options_stand_before_or_after_the_command() {
    let meant = ["--id", "P_1", "--strict-clock", "enrol", "--", "T_1", "T2"];
    assert_runs(
        &["--id", "P_1", "--strict-clock", "enrol", "T_1", "T2"],
        &meant,
    );
    assert_runs(
        &["enrol", "--id", "P_1", "T_1", "--strict_clock", "T2"],
        &meant,
    );
    assert_runs(
        &["enrol", "T_1", "T2", "--id=P_1", "--strict-clock"],
        &meant,
    );
    assert_runs(&["enroll", "T_1"], &["enrol", "--", "T_1"]);
}

#[test]
fn an_option_goes_with_the_command_it_belongs_to() {
    assert_runs(
        &["broadcast", "--id", "D1", "--wait=60", "text", "--urgent"],
        &[
            "--id",
            "D1",
            "broadcast",
            "--wait",
            "60",
            "--urgent",
            "--",
            "text",
        ],
    );
    let add = ["--id", "D1", "patients", "add", "--name", "Ada", "--", "P1"];
    for typed in [
        &["patients", "add", "P1", "--name", "Ada", "--id", "D1"][..],
        &["--id", "D1", "patients", "add", "--name=Ada", "P1"],
        &["patients", "--id", "D1", "add", "P1", "--name=Ada"],
    ] {
        assert_runs(typed, &add);
    }
    assert_runs(
        &["patients", "add", "--tag", "a", "--tag=b"],
        &["patients", "add", "--tag", "a", "--tag", "b"],
    );
}

#[test]
fn a_word_is_a_command_where_one_can_stand() {
    assert_runs(&["backup", "f"], &["backup", "--", "f"]);
    assert_runs(&["backup", "verify", "f"], &["backup", "verify", "--", "f"]);
    assert_runs(&["backup", "f", "verify"], &["backup", "--", "f", "verify"]);
    assert_runs(&["patients"], &["patients"]);
}

#[test]
fn what_follows_a_bare_double_dash_is_text() {
    assert_runs(
        &["broadcast", "--", "--id", "-h", "--"],
        &["broadcast", "--", "--id", "-h", "--"],
    );
    assert_runs(
        &["--id", "D1", "--", "broadcast", "-5 mg"],
        &["--id", "D1", "broadcast", "--", "-5 mg"],
    );
    assert_runs(&["enrol", "-"], &["enrol", "--", "-"]);
    assert_runs(&["broadcast", "help"], &["broadcast", "--", "help"]);
}

#[test]
fn help_and_version_are_found_anywhere() {
    let of = |words: &[&str]| {
        Ok(Normalised::Help(
            words.iter().map(ToString::to_string).collect(),
        ))
    };
    assert_eq!(normal(&["-h"]), of(&[]));
    assert_eq!(normal(&["help"]), of(&[]));
    let of_enrol = of(&["enrol"]);
    assert_eq!(normal(&["enrol", "--help"]), of_enrol);
    assert_eq!(normal(&["--id", "D1", "--help", "enroll"]), of_enrol);
    assert_eq!(normal(&["help", "enrol"]), of_enrol);
    for typed in [
        &["patients", "add", "-h"][..],
        &["patients", "help", "add"],
        &["help", "patients", "add"],
        &["--help", "patients", "add", "--name", "Ada"],
    ] {
        assert_eq!(normal(typed), of(&["patients", "add"]));
    }
    assert_eq!(normal(&["enrol", "-V"]), Ok(Normalised::Version));
    assert_eq!(normal(&["--version"]), Ok(Normalised::Version));
}

#[test]
fn every_refusal_says_what_is_wrong() {
    for (typed, sentence) in [
        (&["frob"][..], "there is no command \"frob\""),
        (&["help", "frob"], "there is no command \"frob\""),
        (&["--frob", "x"], "there is no option \"--frob\""),
        (&["-x"], "there is no option \"-x\""),
        (
            &["broadcast", "--- urgent ---"],
            "broadcast: there is no option \"--- urgent ---\"",
        ),
        (&["patients", "ad"], "patients: there is no command \"ad\""),
        (
            &["patients", "add", "--nme", "Ada"],
            "patients add: there is no option \"--nme\"",
        ),
        (
            &["--wait", "60", "broadcast"],
            "there is no option \"--wait\"",
        ),
        (
            &["patients", "add", "--name=a", "--name", "b"],
            "the option --name is given twice",
        ),
        (&["--id"], "the option --id needs a value"),
        (
            &["--id", "--doctor-id", "D1"],
            "the option --id needs a value",
        ),
        (&["--id", "a", "--id=b"], "the option --id is given twice"),
        (
            &["--strict-clock=no"],
            "the option --strict-clock takes no value",
        ),
    ] {
        assert_eq!(refusal(typed), sentence);
    }
}

#[test]
fn a_refusal_points_to_the_nearest_help() {
    for (typed, see) in [
        (&["frob"][..], "see doctor --help"),
        (&["patients", "ad"], "see doctor patients --help"),
        (&["patients", "add", "-x"], "see doctor patients add --help"),
    ] {
        let hint = normal(typed).unwrap_err().hint.unwrap();
        assert!(hint.ends_with(see), "{hint}");
    }
}

#[test]
fn an_option_in_front_of_its_command_is_told_its_place() {
    for (typed, place) in [
        (
            &["--wait", "60", "broadcast"][..],
            "behind the command \"broadcast\"",
        ),
        (&["--name=a"], "behind the command \"patients add\""),
        (
            &["patients", "--name=a"],
            "behind the command \"patients add\"",
        ),
        (&["patients", "--wait", "1"], "put \"--\" before"),
    ] {
        let hint = normal(typed).unwrap_err().hint.unwrap();
        assert!(hint.contains(place), "{hint}");
    }
}

#[test]
fn an_argument_that_is_no_utf8_is_refused() {
    let arguments = ["--id".into(), OsString::from_vec(vec![b'P', 0xff])];
    let failure = normalise(Program::Doctor, &shape(), arguments).unwrap_err();
    assert_eq!(
        failure.sentence,
        "argument 2, \"P\u{fffd}\", is not valid UTF-8"
    );
    assert_eq!(failure.exit, Exit::Usage);
}
