//! Brings a command line into the order the parser wants.
//!
//! People may write `--doctor_id D1`, `--doctor-id=D1`, and options before or
//! after the command; argh takes `--doctor-id D1` before the command only. What
//! could go wrong with an option is noticed here, so that there is one sentence
//! for it.

use std::ffi::OsString;

use super::exit::{Exit, Failure};
use super::text::quoted;

/// What options and commands a program has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Options that are followed by a value.
    pub valued: &'static [&'static str],
    /// Options that stand alone.
    pub switches: &'static [&'static str],
    /// The commands.
    pub commands: &'static [&'static str],
}

/// What a command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Normalised {
    /// The version.
    Version,
    /// The help, of one command if there is one.
    Help(Option<String>),
    /// The program's work: options first, then the command, a bare `--`, and
    /// the command's own arguments.
    Run(Vec<String>),
}

/// The options found so far: names with dashes, and the value of those that
/// take one.
type Options = Vec<(String, Option<String>)>;

/// Normalises `arguments`, which come without the program's name.
///
/// # Errors
/// A [`Failure`] with [`Exit::Usage`].
pub(super) fn normalise(
    shape: Shape,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Normalised, Failure> {
    let mut options = Options::new();
    let mut words: Vec<String> = Vec::new();
    let mut help = false;
    let mut version = false;
    let mut arguments = utf8(arguments)?.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--" => words.extend(arguments.by_ref()),
            "-h" | "--help" => help = true,
            "-V" | "--version" => version = true,
            "-" => words.push(argument),
            _ if argument.starts_with('-') => {
                take_option(shape, &argument, &mut arguments, &mut options)?;
            }
            _ => words.push(argument),
        }
    }
    if version {
        return Ok(Normalised::Version);
    }
    if words.first().is_some_and(|word| word == "help") {
        help = true;
        words.remove(0);
    }
    let command = match words.first_mut() {
        None => None,
        Some(word) => {
            if word == "enroll" {
                "enrol".clone_into(word);
            }
            if !shape.commands.contains(&word.as_str()) {
                return Err(usage(format!("there is no command {}", quoted(word))));
            }
            Some(words.remove(0))
        }
    };
    if help {
        return Ok(Normalised::Help(command));
    }
    // The `--` keeps a text that begins with a dash from being an option.
    let options = options
        .into_iter()
        .flat_map(|(name, value)| [Some(name), value])
        .flatten();
    let command = command.into_iter().flat_map(|name| [name, "--".to_owned()]);
    Ok(Normalised::Run(
        options.chain(command).chain(words).collect(),
    ))
}

/// A usage error; where to read on is added by the caller.
pub(super) fn usage(sentence: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, sentence)
}

fn utf8(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let to_text = |(position, argument): (usize, OsString)| {
        argument.into_string().map_err(|argument| {
            let shown = quoted(&argument.to_string_lossy());
            let number = position + 1;
            usage(format!("argument {number}, {shown}, is not valid UTF-8"))
        })
    };
    arguments.into_iter().enumerate().map(to_text).collect()
}

/// Moves one option, and its value if it takes one, to `options`.
fn take_option(
    shape: Shape,
    argument: &str,
    rest: &mut impl Iterator<Item = String>,
    options: &mut Options,
) -> Result<(), Failure> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (argument, None),
    };
    // Only in the name: the value of `--id P_1` stays.
    let name = name.replace('_', "-");
    let known = |names: &[&str]| names.contains(&name.as_str());
    if !known(shape.valued) && !known(shape.switches) {
        return Err(usage(format!("there is no option {}", quoted(argument)))
            .hint("put \"--\" before a text that begins with a dash"));
    }
    if options.iter().any(|(given, _)| *given == name) {
        return Err(usage(format!("the option {name} is given twice")));
    }
    if known(shape.switches) {
        if value.is_some() {
            return Err(usage(format!("the option {name} takes no value")));
        }
        options.push((name, None));
        return Ok(());
    }
    // A following option is not the value: `--id --data x` lacks one.
    let value = match value {
        Some(value) => value,
        None => match rest.next() {
            Some(value) if !value.starts_with("--") => value,
            _ => return Err(usage(format!("the option {name} needs a value"))),
        },
    };
    options.push((name, Some(value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    const SHAPE: Shape = Shape {
        valued: &["--id", "--doctor-id"],
        switches: &["--strict-clock"],
        commands: &["enrol", "broadcast"],
    };

    fn normal(arguments: &[&str]) -> Result<Normalised, Failure> {
        normalise(SHAPE, arguments.iter().map(OsString::from))
    }

    fn assert_runs(typed: &[&str], meant: &[&str]) {
        let meant = meant.iter().map(ToString::to_string).collect();
        assert_eq!(normal(typed), Ok(Normalised::Run(meant)), "{typed:?}");
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
        assert_eq!(normal(&["-h"]), Ok(Normalised::Help(None)));
        assert_eq!(normal(&["help"]), Ok(Normalised::Help(None)));
        let of_enrol = Ok(Normalised::Help(Some("enrol".to_owned())));
        assert_eq!(normal(&["enrol", "--help"]), of_enrol);
        assert_eq!(normal(&["--id", "D1", "--help", "enroll"]), of_enrol);
        assert_eq!(normal(&["help", "enrol"]), of_enrol);
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
                "there is no option \"--- urgent ---\"",
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
    fn an_argument_that_is_no_utf8_is_refused() {
        let arguments = ["--id".into(), OsString::from_vec(vec![b'P', 0xff])];
        let failure = normalise(SHAPE, arguments).unwrap_err();
        assert_eq!(
            failure.sentence,
            "argument 2, \"P\u{fffd}\", is not valid UTF-8"
        );
        assert_eq!(failure.exit, Exit::Usage);
    }
}
