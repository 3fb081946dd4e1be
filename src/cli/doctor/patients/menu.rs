//! The menu of patients' records.

use std::io;

use super::{form, seen, show};
use crate::cli::doctor::alike;
use crate::cli::menu::{Answer as Choice, Dialogue, Menu, question, run_below};
use crate::cli::text::sentence;
use crate::doctor::patients::{Answer, Request};
use crate::doctor::records::Personal;
use crate::identity::id::{Identifier, IdentifierError};
use crate::store::Store;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    List,
    Search,
    Show,
    Add,
    Edit,
    Note,
    Archive,
    Unarchive,
    Archived,
    Back,
}

const MENU: Menu<Item> = Menu {
    title: "Patients' records",
    entries: &[
        (Item::List, "List the patients"),
        (Item::Search, "Search"),
        (Item::Show, "Show a record"),
        (Item::Add, "Add a record"),
        (Item::Edit, "Change a record"),
        (Item::Note, "Note a consultation"),
        (Item::Archive, "Archive a record"),
        (Item::Unarchive, "Take a record out of the archive"),
        (Item::Archived, "List the archive"),
        (Item::Back, "Back"),
    ],
};

/// Shows the menu until Back; `office` answers what is asked, `store` knows the
/// patients there are.
///
/// # Errors
/// If nothing can be read.
pub fn run(
    dialogue: &mut dyn Dialogue,
    store: &dyn Store,
    office: &dyn Fn(Request) -> Answer,
) -> io::Result<Choice<()>> {
    run_below(dialogue, &MENU, Item::Back, |dialogue, item| {
        let request = request_for(dialogue, (store, office), item)?;
        request.and_then(|request| Ok(Choice::Given(show::text(&office(request)))))
    })
}

/// Asks what an entry still needs.
fn request_for(
    dialogue: &mut dyn Dialogue,
    (store, office): (&dyn Store, &dyn Fn(Request) -> Answer),
    item: Item,
) -> io::Result<Choice<Request>> {
    let list = |archived| {
        let tag = None;
        Ok(Choice::Given(Request::List { archived, tag }))
    };
    match item {
        Item::List => return list(false),
        Item::Archived => return list(true),
        Item::Search => {
            let text = question(dialogue, "Look for: ", |typed| Ok(Personal::from(typed)))?;
            return text.and_then(|text| Ok(Choice::Given(Request::Search { text })));
        }
        _ => {}
    }
    let named = patient(dialogue)?;
    let named = match item {
        Item::Add => named.and_then(|patient| alike::ask(dialogue, store, patient))?,
        _ => named,
    };
    named.and_then(|patient| {
        Ok(Choice::Given(match item {
            Item::Add => {
                return form::change(dialogue, None)?.and_then(|change| {
                    let change = Box::new(change);
                    Ok(Choice::Given(Request::Add { patient, change }))
                });
            }
            Item::Edit => return edit(dialogue, office, patient),
            Item::Note => {
                return form::note(dialogue)?.and_then(|text| {
                    Ok(Choice::Given(Request::Note {
                        patient,
                        begun: None,
                        ended: None,
                        text,
                    }))
                });
            }
            Item::Archive => Request::Archive { patient },
            Item::Unarchive => Request::Unarchive { patient },
            _ => Request::Show { patient },
        }))
    })
}

fn edit(
    dialogue: &mut dyn Dialogue,
    office: &dyn Fn(Request) -> Answer,
    patient: String,
) -> io::Result<Choice<Request>> {
    let (version, before) = match seen(office(Request::Show {
        patient: patient.clone(),
    })) {
        Ok(seen) => seen,
        Err(failure) => {
            dialogue.say(&sentence(&failure.sentence));
            return Ok(Choice::Back);
        }
    };
    form::change(dialogue, Some(&before))?.and_then(|change| {
        Ok(Choice::Given(Request::Edit {
            patient,
            base: Some(version),
            change: Box::new(change),
        }))
    })
}

fn patient(dialogue: &mut dyn Dialogue) -> io::Result<Choice<String>> {
    question(dialogue, "Patient: ", |typed| {
        let patient: Result<Identifier, IdentifierError> = typed.parse();
        let patient = patient.map_err(|error| error.to_string())?;
        Ok(patient.to_string())
    })
}
