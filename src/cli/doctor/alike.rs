//! A name that may be taken for another patient's: a person is asked, a program
//! goes on, and both are told.

use std::io::{self, IsTerminal};

use crate::cli::Program;
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::input;
use crate::cli::menu::{Answer as Choice, Dialogue, question};
use crate::cli::options::DoctorOptions;
use crate::cli::output::Form;
use crate::cli::text::{clean, sentence};
use crate::clock::{Clock, SystemClock};
use crate::doctor::{alike, setup};
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::store::Store;

/// Warns of a new name that is easily taken for a known one. Names
/// are not sealed: no passphrase is needed to look.
pub fn check(
    options: &DoctorOptions,
    id: &Identifier,
    patient: &Identifier,
) -> Result<(), Failure> {
    let known = data_dir::location(&options.data, id.as_str())
        .ok()
        .and_then(|directory| setup::look_at_store(&directory, &options.store, id).ok())
        .and_then(|store| of(&*store, patient));
    // Where it cannot be read, the command itself will say so.
    let Some(warning) = known else {
        return Ok(());
    };
    eprint(&format!("{}: {}\n", Program::Doctor, sentence(&warning)));
    if options.form != Form::People || !io::stdin().is_terminal() {
        return Ok(());
    }
    match input::says_yes(QUESTION) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nothing was done")),
    }
}

const QUESTION: &str = "Go on with the new name? Type yes: ";

/// The same in a menu.
pub fn ask(
    dialogue: &mut dyn Dialogue,
    store: &dyn Store,
    patient: String,
) -> io::Result<Choice<String>> {
    let name: Option<Identifier> = patient.parse().ok();
    let Some(warning) = name.and_then(|name| of(store, &name)) else {
        return Ok(Choice::Given(patient));
    };
    dialogue.say(&sentence(&warning));
    if !dialogue.is_typed() {
        return Ok(Choice::Given(patient));
    }
    question(dialogue, QUESTION, |typed| Ok(typed == "yes"))?.and_then(|yes| match yes {
        true => Ok(Choice::Given(patient)),
        false => Ok(Choice::Back),
    })
}

fn of(store: &dyn Store, patient: &Identifier) -> Option<String> {
    let known = alike::known_as(store, patient, SystemClock.now()).ok()??;
    Some(alike::warning(patient, &clean(&known)))
}
