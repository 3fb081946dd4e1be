//! Commands and menu about patients' records.

pub mod arguments;
mod form;
mod menu;
mod show;
mod task;

pub use menu::run as run_menu;
pub use show::{answer, objects, text};
pub use task::PatientsTask;

use std::io;

use rustix::termios::isatty;

use crate::cli::exit::{Exit, Failure};
use crate::cli::input;
use crate::cli::menu::{Answer as Choice, Console};
use crate::cli::normalise::usage;
use crate::cli::terminal::Terminal;
use crate::clock::{Clock, SystemClock};
use crate::doctor::patients::{Answer, Request};
use crate::doctor::records::{Change, Content, Personal, day};
use crate::identity::id::Identifier;
use task::{Input, Words};

/// The longest input that is read, in bytes.
const MAX_INPUT: usize = 1 << 19;

/// Something that answers requests: the running server or the books.
pub type Office<'a> = &'a dyn Fn(Request) -> Result<Answer, Failure>;

/// The request that a command makes in the end; what it still needs is read
/// from files or asked at the terminal, if there is one.
pub fn request(task: &PatientsTask, may_ask: bool, office: Office<'_>) -> Result<Request, Failure> {
    let may_ask = may_ask && isatty(io::stdin()) && isatty(io::stdout());
    Ok(match task {
        PatientsTask::Add(patient, input) => {
            let change = match read(input)? {
                Some(change) => change,
                None => asked(may_ask, None)?,
            };
            // Whatever is wrong with it is said before anybody is bothered.
            change
                .apply(&Content::default(), day(SystemClock.now()))
                .map_err(usage)?;
            Request::Add {
                patient: patient.to_string(),
                change: Box::new(change),
            }
        }
        PatientsTask::Edit(patient, base, input) => edit(patient, *base, input, may_ask, office)?,
        PatientsTask::Show(patient) => Request::Show {
            patient: patient.to_string(),
        },
        PatientsTask::List(archived, tag) => Request::List {
            archived: *archived,
            tag: tag.clone(),
        },
        PatientsTask::Search(text) => Request::Search {
            text: read_words(text)?,
        },
        PatientsTask::Archive(patient) => Request::Archive {
            patient: patient.to_string(),
        },
        PatientsTask::Transfer(patient, doctor) => Request::Transfer {
            patient: patient.to_string(),
            doctor: doctor.to_string(),
        },
        PatientsTask::TransferAll(from, doctor) => Request::TransferAll {
            from: from.to_string(),
            doctor: doctor.to_string(),
        },
        PatientsTask::Unarchive(patient) => Request::Unarchive {
            patient: patient.to_string(),
        },
        PatientsTask::Note {
            patient,
            begun,
            ended,
            text,
        } => Request::Note {
            patient: patient.to_string(),
            begun: *begun,
            ended: *ended,
            text: match text {
                Some(words) => read_words(words)?,
                None if may_ask => at_terminal(|dialogue| form::note(dialogue))?,
                None => {
                    return Err(usage(
                        "the command needs TEXT; - reads it from standard input",
                    ));
                }
            },
        },
    })
}

fn edit(
    patient: &Identifier,
    base: Option<u64>,
    input: &Input,
    may_ask: bool,
    office: Office<'_>,
) -> Result<Request, Failure> {
    let patient = patient.to_string();
    if let Some(change) = read(input)? {
        let any = Content {
            name: "any".into(),
            ..Content::default()
        };
        let today = day(SystemClock.now());
        change.apply(&any, today).map_err(usage)?;
        let change = Box::new(change);
        return Ok(Request::Edit {
            patient,
            base,
            change,
        });
    }
    if !may_ask {
        return Err(nothing_said());
    }
    // What is there is shown while it is changed: so the change is based on it.
    let (version, content) = seen(office(Request::Show {
        patient: patient.clone(),
    })?)?;
    Ok(Request::Edit {
        patient,
        base: base.or(Some(version)),
        change: Box::new(asked(may_ask, Some(&content))?),
    })
}

/// Version and content of a record that was asked for to be changed.
fn seen(answer: Answer) -> Result<(u64, Content), Failure> {
    match answer {
        Answer::Shown(shown) => match shown.record {
            Some(record) => Ok((record.version, record.content)),
            None => Err(Failure::new(
                Exit::Failure,
                format!(
                    "there is no record of {0}; make one: doctor patients add {0}",
                    shown.patient
                ),
            )),
        },
        other => Err(show::failure(&other)),
    }
}

fn nothing_said() -> Failure {
    usage("nothing is said about the patient")
        .hint("name what the record is to hold, or use --json-input -, or a terminal")
}

/// The values, unless they are to be asked for.
fn read(input: &Input) -> Result<Option<Change>, Failure> {
    match input {
        Input::Asked => Ok(None),
        Input::Options(change, None) => Ok(Some((**change).clone())),
        Input::Options(change, Some(file)) => Ok(Some(Change {
            notes: Some(read_file(file)?),
            ..(**change).clone()
        })),
        Input::Json(file) => from_json(file, read_file(file)?.as_str()).map(Some),
    }
}

fn from_json(file: &str, text: &str) -> Result<Change, Failure> {
    serde_json::from_str(text).map_err(|error| {
        // Its own words would quote what stands there.
        let (line, column) = (error.line(), error.column());
        let name = input::shown(file);
        usage(format!(
            "{name}, line {line}, column {column}: that is not a record's JSON"
        ))
        .hint(
            "an object with some of name, born, sex, phone, email, address and notes, each a \
             text, and tags, add_tags and remove_tags, each a list of texts",
        )
    })
}

fn read_words(words: &Words) -> Result<Personal, Failure> {
    match words {
        Words::Given(text) => Ok(text.clone()),
        Words::File(file) => read_file(file),
    }
}

/// The text in a file; `-` is standard input.
fn read_file(file: &str) -> Result<Personal, Failure> {
    input::read(file, MAX_INPUT).map(Personal::from)
}

fn asked(may_ask: bool, before: Option<&Content>) -> Result<Change, Failure> {
    if !may_ask {
        return Err(nothing_said());
    }
    at_terminal(|dialogue| form::change(dialogue, before))
}

/// Asks the person at the terminal.
fn at_terminal<T>(
    question: impl FnOnce(&mut Console) -> io::Result<Choice<T>>,
) -> Result<T, Failure> {
    let broken =
        |error: io::Error| Failure::new(Exit::Failure, format!("the terminal fails: {error}"));
    let (terminal, printer) = Terminal::new().map_err(broken)?;
    let mut console = Console { terminal, printer };
    match question(&mut console).map_err(broken)? {
        Choice::Given(answer) => Ok(answer),
        _ => Err(Failure::new(Exit::Interrupted, "nothing was done")),
    }
}
