//! `doctor purge`: what was kept long enough is deleted for good.

use std::io::{self, IsTerminal};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};

use crate::cli::doctor;
use crate::cli::exit::{Exit, Failure};
use crate::cli::input;
use crate::cli::options::{DoctorOptions, PurgeTask};
use crate::cli::output::Object;
use crate::doctor::office;
use crate::doctor::purge::Purged;

/// How long a server may take to delete whatever it has.
const LONG: Duration = Duration::from_secs(60 * 60);

/// Delete for good what was kept long enough.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "purge",
    help_triggers("-h", "--help"),
    usage = "--older-than AGE [OPTIONS]",
    note = "Messages, notes of consultations, and records that were put away. Kept is\nwhat is not delivered, not confirmed though urgent, not read, or of an open\nconsultation. The audit log keeps a line for each that goes. Backups made\nearlier still hold it."
)]
pub struct Purge {
    /// what is older than this, such as 10y, 18mo, 4w or 30d
    #[argh(option)]
    pub older_than: String,
    /// only say what would be deleted
    #[argh(switch)]
    pub dry_run: bool,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
}

/// Does what is asked.
pub fn run(options: &DoctorOptions, task: &PurgeTask) -> Result<(), Failure> {
    let found = ask(options, task, true)?;
    if task.dry_run {
        return options.form.print(&text(&found), &[object(&found)]);
    }
    if !task.yes && !is_empty(&found) {
        confirm(&found)?;
    }
    let purged = ask(options, task, false)?;
    options.form.print(&text(&purged), &[object(&purged)])
}

fn ask(options: &DoctorOptions, task: &PurgeTask, dry_run: bool) -> Result<Purged, Failure> {
    let id = doctor::identity(options)?;
    let request = office::Request::Purge {
        before: task.before,
        dry_run,
    };
    match doctor::ask_office(options, &id, request, LONG)? {
        office::Answer::Purged(purged) => Ok(purged),
        _ => Err(doctor::unexpected()),
    }
}

fn confirm(found: &Purged) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked, nothing was deleted";
        return Err(
            Failure::new(Exit::Usage, sentence).hint("look with --dry-run first, then say --yes")
        );
    }
    match input::says_yes(&format!("{}\nDelete it for good? Type yes: ", text(found))) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nothing was deleted")),
    }
}

const fn is_empty(purged: &Purged) -> bool {
    purged.messages + purged.incoming + purged.consultations + purged.records == 0
}

/// What was deleted, or would be, in words.
pub fn text(purged: &Purged) -> String {
    let before = purged.before;
    let kept = kept(purged.kept);
    if is_empty(purged) {
        return format!("There is nothing to delete from before {before}.{kept}");
    }
    let done = match purged.dry_run {
        true => "Would be deleted",
        false => "Deleted for good",
    };
    format!(
        "{done}, from before {before}:\n  messages: {}\n  messages from patients: {}\n  \
         notes of consultations: {}\n  records that were put away: {}{kept}",
        purged.messages, purged.incoming, purged.consultations, purged.records
    )
}

/// What is as old and kept, as a line of its own.
fn kept(count: u64) -> String {
    let reason = "not delivered, not confirmed, not read, or of an open\nconsultation.";
    match count {
        0 => String::new(),
        1 => format!("\n1 message or note is kept: {reason}"),
        _ => format!("\n{count} messages and notes are kept: {reason}"),
    }
}

/// The same for programs.
pub fn object(purged: &Purged) -> Object {
    Object::new("purged")
        .with("before", purged.before)
        .with("messages", purged.messages)
        .with("incoming", purged.incoming)
        .with("consultations", purged.consultations)
        .with("records", purged.records)
        .with("kept", purged.kept)
        .with("dry_run", purged.dry_run)
}
