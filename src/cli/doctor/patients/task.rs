//! What a command about records means: strings become checked values.

use crate::cli::doctor::patients::arguments::{Add, Edit, PatientsCommand, Transfer, WriteNote};
use crate::cli::exit::Failure;
use crate::cli::normalise::usage;
use crate::cli::options::new_name;
use crate::cli::text::quoted;
use crate::clock::Timestamp;
use crate::doctor::records::{Change, Field, Personal};
use crate::identity::id::{Identifier, IdentifierError};

/// A command about records, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatientsTask {
    /// Make a record.
    Add(Identifier, Input),
    /// Change a record, if it still has this version.
    Edit(Identifier, Option<u64>, Input),
    /// Show a record.
    Show(Identifier),
    /// List the archived or the other patients, perhaps only those with a tag.
    List(bool, Option<Personal>),
    /// Look for this text.
    Search(Words),
    /// Put a record away.
    Archive(Identifier),
    /// Take it out again.
    Unarchive(Identifier),
    /// Give the patient to this doctor.
    Transfer(Identifier, Identifier),
    /// Give all patients of the first doctor to the second.
    TransferAll(Identifier, Identifier),
    /// Write about a consultation.
    Note {
        /// With whom.
        patient: Identifier,
        /// When it began, if not now.
        begun: Option<Timestamp>,
        /// When it ended.
        ended: Option<Timestamp>,
        /// The text; none if it is to be asked for.
        text: Option<Words>,
    },
}

/// Where a longer text comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Words {
    /// From the command line.
    Given(Personal),
    /// From this file; `-` is standard input.
    File(String),
}

/// Where the values of a record come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// From options; the notes from a file, perhaps.
    Options(Box<Change>, Option<String>),
    /// From this file, as JSON; `-` is standard input.
    Json(String),
    /// Nothing was said: they are to be asked for.
    Asked,
}

impl PatientsTask {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A usage error.
    pub(in crate::cli) fn new(command: PatientsCommand) -> Result<Self, Failure> {
        Ok(match command {
            PatientsCommand::Add(args) => {
                Self::Add(new_name("PATIENT", &args.patient)?, added(args)?)
            }
            PatientsCommand::Edit(args) => {
                let base = args.based_on.as_deref().map(version).transpose()?;
                Self::Edit(patient(&args.patient)?, base, edited(args)?)
            }
            PatientsCommand::Show(args) => Self::Show(patient(&args.patient)?),
            PatientsCommand::List(args) => Self::List(args.archived, args.tag),
            PatientsCommand::Search(args) => Self::Search(words(args.text)),
            PatientsCommand::Archive(args) => Self::Archive(patient(&args.patient)?),
            PatientsCommand::Unarchive(args) => Self::Unarchive(patient(&args.patient)?),
            PatientsCommand::Transfer(args) => transferred(args)?,
            PatientsCommand::Note(args) => noted(args)?,
        })
    }
}

fn transferred(args: Transfer) -> Result<PatientsTask, Failure> {
    let from = args.from.map(|from| named("--from", &from));
    let doctor = |typed| named("DOCTOR", typed);
    match (from.transpose()?, &*args.names) {
        (None, [who, to]) => Ok(PatientsTask::Transfer(patient(who)?, doctor(to)?)),
        (Some(from), [to]) => Ok(PatientsTask::TransferAll(from, doctor(to)?)),
        (None, _) => Err(usage("name the patient and the doctor who is to have her")),
        (Some(_), _) => Err(usage(
            "with --from name nobody but the doctor who is to have the patients",
        )),
    }
}

fn added(args: Add) -> Result<Input, Failure> {
    let change = Change {
        name: args.name,
        born: args.born,
        sex: args.sex,
        phone: args.phone,
        email: args.email,
        address: args.address,
        notes: args.notes,
        add_tags: args.tag,
        ..Change::default()
    };
    input(change, args.notes_file, args.json_input)
}

fn edited(args: Edit) -> Result<Input, Failure> {
    let mut change = Change {
        name: args.name,
        born: args.born,
        sex: args.sex,
        phone: args.phone,
        email: args.email,
        address: args.address,
        notes: args.notes,
        add_tags: args.tag,
        remove_tags: args.untag,
        ..Change::default()
    };
    for word in &args.clear {
        clear(&mut change, word)?;
    }
    input(change, args.notes_file, args.json_input)
}

fn clear(change: &mut Change, word: &str) -> Result<(), Failure> {
    let field = Field::from_word(word).filter(|field| *field != Field::Name);
    let field = field.ok_or_else(|| {
        let fields = Field::ALL.iter().filter(|field| **field != Field::Name);
        let words: Vec<_> = fields.map(|field| field.word()).collect();
        let word = quoted(word);
        usage(format!(
            "--clear {word}: this is one of {}",
            words.join(", ")
        ))
    })?;
    match change.text_mut(field) {
        Some(Some(_)) => Err(usage(format!("{field} is both given and to be cleared"))),
        Some(text) => {
            *text = Some(Personal::default());
            Ok(())
        }
        None => {
            change.tags = Some(Vec::new());
            Ok(())
        }
    }
}

fn input(change: Change, notes: Option<String>, json: Option<String>) -> Result<Input, Failure> {
    if notes.is_some() && change.notes.is_some() {
        return Err(usage("the notes are given twice"));
    }
    match json {
        Some(_) if notes.is_some() || !change.is_empty() => Err(usage(
            "--json-input goes with no other value: put all into the JSON",
        )),
        Some(file) => Ok(Input::Json(file)),
        None if notes.is_none() && change.is_empty() => Ok(Input::Asked),
        None => Ok(Input::Options(Box::new(change), notes)),
    }
}

fn noted(args: WriteNote) -> Result<PatientsTask, Failure> {
    let time = |name: &str, typed: &Option<String>| {
        let typed = typed.as_deref().map(|typed| local_time(name, typed));
        typed.transpose()
    };
    Ok(PatientsTask::Note {
        patient: patient(&args.patient)?,
        begun: time("--begun", &args.begun)?,
        ended: time("--ended", &args.ended)?,
        text: args.text.map(words),
    })
}

fn words(typed: Personal) -> Words {
    match typed.as_str() {
        "-" => Words::File("-".to_owned()),
        _ => Words::Given(typed),
    }
}

fn patient(typed: &str) -> Result<Identifier, Failure> {
    named("PATIENT", typed)
}

fn named(what: &str, typed: &str) -> Result<Identifier, Failure> {
    typed
        .parse()
        .map_err(|error: IdentifierError| usage(format!("{what} {}: {error}", quoted(typed))))
}

fn version(typed: &str) -> Result<u64, Failure> {
    typed.parse().map_err(|_| {
        let typed = quoted(typed);
        usage(format!(
            "--based-on {typed}: the version is a number, see doctor patients show"
        ))
    })
}

/// A time as it is typed, in this machine's time zone.
fn local_time(name: &str, typed: &str) -> Result<Timestamp, Failure> {
    let local = typed.parse::<jiff::civil::DateTime>().ok();
    let instant = local.and_then(|local| local.to_zoned(jiff::tz::TimeZone::system()).ok());
    let millis = instant.map(|instant| instant.timestamp().as_millisecond());
    millis
        .and_then(|millis| u64::try_from(millis).ok())
        .map(Timestamp::from_millis)
        .ok_or_else(|| {
            let typed = quoted(typed);
            usage(format!(
                "{name} {typed}: write a date and time such as \"2026-03-01 14:05\""
            ))
        })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::args::{self, DoctorCommand, Request};
    use crate::cli::exit::Exit;

    fn task(line: &[&str]) -> Result<PatientsTask, Failure> {
        let line = ["patients"].iter().chain(line).map(OsString::from);
        let command = match args::doctor(line)? {
            Request::Run(args) => args.command,
            Request::Print(text) => panic!("{text}"),
        };
        let Some(DoctorCommand::Patients(patients)) = command else {
            panic!("{command:?}");
        };
        PatientsTask::new(patients.command)
    }

    fn id(text: &str) -> Identifier {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_said_is_taken() {
        let line = [
            "edit",
            "P1",
            "--phone=1",
            "--clear",
            "born",
            "--tag",
            "a",
            "--untag",
            "b",
        ];
        let change = Change {
            phone: Some("1".into()),
            born: Some("".into()),
            add_tags: vec!["a".into()],
            remove_tags: vec!["b".into()],
            ..Change::default()
        };
        let input = Input::Options(Box::new(change), None);
        let edit = PatientsTask::Edit(id("P1"), Some(3), input);
        assert_eq!(task(&[&line[..], &["--based-on", "3"]].concat()), Ok(edit));
        let asked = PatientsTask::Add(id("P1"), Input::Asked);
        assert_eq!(task(&["add", "P1"]), Ok(asked));
        let json = PatientsTask::Add(id("P1"), Input::Json("-".to_owned()));
        assert_eq!(task(&["add", "P1", "--json-input", "-"]), Ok(json));
        let search = PatientsTask::Search(Words::Given("müller".into()));
        assert_eq!(task(&["search", "müller"]), Ok(search));
        assert!(matches!(
            task(&["note", "P1", "-", "--begun", "2026-03-01 14:05"]),
            Ok(PatientsTask::Note {
                begun: Some(_),
                ended: None,
                text: Some(Words::File(_)),
                ..
            })
        ));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, part) in [
            (&["add", "P 1"][..], "PATIENT \"P 1\""),
            (&["add"], "needs PATIENT"),
            (&[], "say what to do: add or edit or show"),
            (
                &["edit", "P1", "--clear", "name"],
                "one of born, sex, phone",
            ),
            (
                &["edit", "P1", "--clear", "born", "--born", "x"],
                "both given",
            ),
            (&["edit", "P1", "--based-on", "x"], "--based-on \"x\""),
            (&["add", "P1", "--notes", "x", "--notes-file", "y"], "twice"),
            (
                &["add", "P1", "--name", "x", "--json-input", "y"],
                "--json-input",
            ),
            (&["note", "P1", "x", "--ended", "noon"], "--ended \"noon\""),
            (&["note", "P1", "two", "words"], "one argument too many"),
        ] {
            let failure = task(line).unwrap_err();
            assert!(failure.sentence.contains(part), "{failure} lacks {part}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn a_patients_data_is_not_shown_in_debug_output() {
        let line = ["--name", "Lovelace", "--tag", "asthma", "--notes", "nuts"];
        let task = task(&[&["add", "P1"], &line[..]].concat()).unwrap();
        let shown = format!("{task:?}");
        for secret in ["Lovelace", "asthma", "nuts"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
