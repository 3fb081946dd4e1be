//! Asking for what stands in a record, field by field.

use std::io;

use jiff::civil::Date;

use crate::cli::menu::{Answer as Choice, Dialogue, optional};
use crate::cli::text::clean;
use crate::clock::{Clock, SystemClock};
use crate::doctor::records::day;
use crate::doctor::records::{Change, Content, Field, Personal, check_note, check_tag, check_text};

/// What is typed to forget a field.
const FORGET: &str = "-";

/// Asks for every field; `before` is what the record says now, if there is one.
pub fn change(dialogue: &mut dyn Dialogue, before: Option<&Content>) -> io::Result<Choice<Change>> {
    dialogue.say(match before {
        None => "An empty line leaves a field out; Ctrl-C leaves everything as it is.",
        Some(_) => {
            "An empty line keeps what stands in brackets, a dash (-) forgets it; notes that \
             begin with + are added to those there are. Ctrl-C leaves everything as it is."
        }
    });
    let today = day(SystemClock.now());
    let mut change = Change::default();
    for field in Field::ALL {
        let answer = match field {
            Field::Tags => tags(dialogue, before)?,
            text => one(dialogue, text, before, today)?,
        };
        match answer {
            Choice::Given(Typed::Nothing) => {}
            Choice::Given(Typed::Text(text)) => {
                if let Some(place) = change.text_mut(field) {
                    *place = Some(text);
                }
            }
            Choice::Given(Typed::Tags(tags)) => change.tags = Some(tags),
            Choice::Back => return Ok(Choice::Back),
            Choice::End => return Ok(Choice::End),
            Choice::Interrupted => return Ok(Choice::Interrupted),
            Choice::Stopped => return Ok(Choice::Stopped),
        }
    }
    Ok(Choice::Given(change))
}

/// Asks for the note of a consultation.
pub fn note(dialogue: &mut dyn Dialogue) -> io::Result<Choice<Personal>> {
    optional(dialogue, "Note: ", check_note)
}

/// What an answer means for a field.
enum Typed {
    /// It stays.
    Nothing,
    /// It is to say this.
    Text(Personal),
    /// These are the tags.
    Tags(Vec<Personal>),
}

fn one(
    dialogue: &mut dyn Dialogue,
    field: Field,
    before: Option<&Content>,
    today: Date,
) -> io::Result<Choice<Typed>> {
    let (label, form) = match field {
        Field::Name => ("Name", ""),
        Field::Born => ("Date of birth", " (year-month-day)"),
        Field::Sex => ("Sex", " (female, male, other, unknown)"),
        Field::Phone => ("Phone", ""),
        Field::Email => ("E-mail", ""),
        Field::Address => ("Address", ""),
        Field::Notes => ("Notes", ""),
        Field::Tags => ("Tags", ""),
    };
    let known = before.and_then(|content| content.text(field));
    let prompt = format!(
        "{label}{form}{}: ",
        in_brackets(known.map(Personal::as_str))
    );
    optional(dialogue, &prompt, |typed| match (typed, known) {
        ("", None) if field == Field::Name => Err("a record has at least a name".to_owned()),
        (FORGET, Some(_)) if field == Field::Name => Err("a record has at least a name".to_owned()),
        ("", _) => Ok(Typed::Nothing),
        (FORGET, Some(_)) => Ok(Typed::Text(Personal::default())),
        (typed, Some(known)) if field == Field::Notes && typed.starts_with('+') => {
            let all = Personal::from(format!("{}\n{}", known.as_str(), typed[1..].trim()));
            check_text(field, all.as_str(), today).map(Typed::Text)
        }
        (typed, _) => check_text(field, typed, today).map(Typed::Text),
    })
}

fn tags(dialogue: &mut dyn Dialogue, before: Option<&Content>) -> io::Result<Choice<Typed>> {
    let words = |content: &Content| {
        let tags = content.tags.iter().map(Personal::as_str);
        tags.collect::<Vec<_>>().join(" ")
    };
    let known = before.map(words);
    let prompt = format!(
        "Tags, with blanks between them{}: ",
        in_brackets(known.as_deref())
    );
    optional(dialogue, &prompt, |typed| match typed {
        "" => Ok(Typed::Nothing),
        FORGET => Ok(Typed::Tags(Vec::new())),
        typed => {
            let tags = typed.split_whitespace().map(check_tag);
            tags.collect::<Result<_, _>>().map(Typed::Tags)
        }
    })
}

fn in_brackets(known: Option<&str>) -> String {
    match known {
        None | Some("") => String::new(),
        Some(text) => format!(" [{}]", clean(text)),
    }
}
