//! The commands of `doctor audit`.

mod export;
mod verify;

use std::cell::OnceCell;

use argh::{ArgsInfo, FromArgs};

use crate::cli::doctor::{books, failed, no_answer, unexpected};
use crate::cli::exit::{Exit, Failure, print};
use crate::cli::options::{AuditTask, DoctorOptions};
use crate::cli::output::{Form, Object};
use crate::cli::text;
use crate::control;
use crate::doctor::audit::{Answer, Purpose, Request, Row};
use crate::doctor::practice::Practice;
use crate::doctor::{control as server, office};
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::store::AuditFilter;

pub use verify::copy as verify_copy;

/// Show, check or hand out the audit log: who did what, when.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "audit", help_triggers("-h", "--help"))]
pub struct Audit {
    /// what to do
    #[argh(subcommand)]
    pub command: AuditCommand,
}

/// The commands of `doctor audit`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum AuditCommand {
    List(ListEntries),
    Search(SearchEntries),
    Verify(VerifyLog),
    Export(ExportLog),
}

/// Show the last entries.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS]"
)]
pub struct ListEntries {
    /// how many, at most (default 50)
    #[argh(option)]
    pub last: Option<String>,
    /// not older than this day or time, such as 2026-03-01
    #[argh(option)]
    pub since: Option<String>,
    /// not younger than this day or time
    #[argh(option)]
    pub until: Option<String>,
}

/// Find entries for which all that is said holds.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "search",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS] [TEXT]"
)]
pub struct SearchEntries {
    /// by this patient or about this patient
    #[argh(option)]
    pub patient: Option<String>,
    /// by this actor: a patient, the doctor, server or stranger
    #[argh(option)]
    pub actor: Option<String>,
    /// of this action, such as "record read"
    #[argh(option)]
    pub action: Option<String>,
    /// a text that stands in the entry
    #[argh(positional, arg_name = "TEXT")]
    pub text: Option<String>,
}

/// Check that nothing in the log was changed, removed, inserted or moved.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "verify",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS]"
)]
pub struct VerifyLog {
    /// a file of signed heads that was kept elsewhere; may be given again
    #[argh(option)]
    pub heads: Vec<String>,
    /// a copy of the database, to be checked without the practice
    #[argh(option)]
    pub database: Option<String>,
    /// fingerprint of the clinic's root, as the first start has printed it
    #[argh(option)]
    pub root: Option<String>,
}

/// Write the log to a new file, one JSON object a line, and a signed head.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "export",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS] FILE"
)]
pub struct ExportLog {
    /// not older than this day or time, such as 2026-03-01
    #[argh(option)]
    pub since: Option<String>,
    /// the file, which must not exist; - is standard output
    #[argh(positional, arg_name = "FILE")]
    pub file: String,
}

/// Runs one of them.
pub fn run(options: &DoctorOptions, id: &Identifier, task: &AuditTask) -> Result<(), Failure> {
    match task {
        AuditTask::Read {
            purpose,
            filter,
            newest,
        } => read(&Office::new(options, id), *purpose, filter, *newest),
        AuditTask::Verify(verification) => verify::practice(options, id, verification),
        AuditTask::Export { file, filter } => {
            export::run(&Office::new(options, id), file.as_deref(), filter)
        }
    }
}

/// Who is asked: the running server, or else the practice's books.
struct Office<'a> {
    options: &'a DoctorOptions,
    id: &'a Identifier,
    books: OnceCell<Practice>,
}

impl<'a> Office<'a> {
    const fn new(options: &'a DoctorOptions, id: &'a Identifier) -> Self {
        Self {
            options,
            id,
            books: OnceCell::new(),
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let answer = match self.ask_server(&request)? {
            Some(answer) => answer,
            None => {
                let books = match self.books.get() {
                    Some(books) => books,
                    None => {
                        let opened = books::open_existing(self.options, self.id)?;
                        self.books.get_or_init(|| opened)
                    }
                };
                office::answer(books, office::Request::Audit(request))
            }
        };
        match answer {
            office::Answer::Audit(answer) => Ok(answer),
            office::Answer::Failed(sentence) => Err(Failure::new(Exit::Failure, sentence)),
            _ => Err(unexpected()),
        }
    }

    /// None if no server runs.
    fn ask_server(&self, request: &Request) -> Result<Option<office::Answer>, Failure> {
        if self.books.get().is_some() {
            return Ok(None);
        }
        let directory = data_dir::location(&self.options.data, self.id.as_str())
            .map_err(|error| failed(&error))?;
        let request = server::Request::Office(office::Request::Audit(request.clone()));
        match control::ask(&directory, &request, control::PATIENCE) {
            Ok(None) => Ok(None),
            Ok(Some(server::Answer::Office(answer))) => Ok(Some(answer)),
            Ok(Some(server::Answer::Failed(sentence))) => {
                Err(Failure::new(Exit::Failure, sentence))
            }
            Ok(Some(_)) => Err(unexpected()),
            Err(error) => Err(no_answer(&directory, &error)),
        }
    }

    /// Gives what `filter` lets through of these numbers to `take`, a page at a
    /// time.
    fn pages(
        &self,
        filter: &AuditFilter,
        (mut first, last): (u64, u64),
        mut take: impl FnMut(Vec<Row>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while first <= last {
            let filter = filter.clone();
            let request = Request::Page {
                filter,
                first,
                last,
            };
            let Answer::Page { rows, next } = self.ask(request)? else {
                return Err(unexpected());
            };
            take(rows)?;
            let Some(next) = next.filter(|next| *next > first) else {
                break;
            };
            first = next;
        }
        Ok(())
    }
}

fn read(
    office: &Office<'_>,
    purpose: Purpose,
    filter: &AuditFilter,
    newest: Option<u64>,
) -> Result<(), Failure> {
    let begin = Request::Begin {
        purpose,
        filter: filter.clone(),
        newest,
    };
    let Answer::Begun { first, last, .. } = office.ask(begin)? else {
        return Err(unexpected());
    };
    let form = office.options.form;
    let mut found = false;
    office.pages(filter, (first, last), |rows| {
        found |= !rows.is_empty();
        match form {
            Form::People => print(&rows.iter().map(line).collect::<String>()),
            Form::Plain | Form::Json => {
                form.print_objects(&rows.iter().map(object).collect::<Vec<_>>())
            }
        }
    })?;
    match form {
        Form::People if !found => print("There is no such entry.\n"),
        _ => Ok(()),
    }
}

/// An entry for people.
fn line(row: &Row) -> String {
    let Row {
        number,
        at,
        actor,
        action,
        subject,
        detail,
        ..
    } = row;
    let line = format!("{number:>7}  {at}  {actor:<10}  {action:<15}  {subject:<10}  {detail}");
    format!("{}\n", text::clean(line.trim_end()))
}

/// An entry for programs.
fn object(row: &Row) -> Object {
    Object::new("audit_entry")
        .with("number", row.number)
        .with("at", row.at)
        .with("actor", row.actor.as_str())
        .with("action", row.action.as_str())
        .with("subject", row.subject.as_str())
        .with("detail", row.detail.as_str())
        .with("link", row.link.as_str())
}
