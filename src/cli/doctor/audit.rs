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
    /// the log of this member of the clinic, not one's own
    #[argh(option)]
    pub doctor: Option<String>,
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
    /// the log of this member of the clinic, not one's own
    #[argh(option)]
    pub doctor: Option<String>,
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
    /// the log of this member of the clinic, not one's own
    #[argh(option)]
    pub doctor: Option<String>,
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
    /// the log of this member of the clinic, not one's own
    #[argh(option)]
    pub doctor: Option<String>,
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
            log,
            purpose,
            filter,
            newest,
        } => {
            let office = Office::new(options, id);
            let logs = office.logs(log.as_ref())?;
            let are_several = logs.len() > 1;
            for log in logs {
                if let (Some(name), true, Form::People) = (&log, are_several, options.form) {
                    print(&format!("Log of {}:\n", text::clean(name)))?;
                }
                read(&office, log.as_deref(), *purpose, filter, *newest)?;
            }
            Ok(())
        }
        AuditTask::Verify(verification) => verify::practice(options, id, verification),
        AuditTask::Export { log, file, filter } => {
            let office = Office::new(options, id);
            match office.logs(log.as_ref())?.as_slice() {
                [log] => export::run(&office, log.as_deref(), file.as_deref(), filter),
                several => {
                    let names: Vec<&str> = several.iter().flatten().map(String::as_str).collect();
                    let sentence = "each member of the clinic has a log of her own";
                    Err(Failure::new(Exit::Usage, sentence)
                        .hint(format!("say whose, with --doctor: {}", names.join(", "))))
                }
            }
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

    /// Whose logs are meant, none standing for her own who asks: that of her who
    /// was named; and all where one asks who works without a node, which is an
    /// auditor.
    fn logs(&self, named: Option<&Identifier>) -> Result<Vec<Option<String>>, Failure> {
        if let Some(name) = named {
            return Ok(vec![Some(name.to_string())]);
        }
        if !books::may_lack_node(self.options, self.id)? {
            return Ok(vec![None]);
        }
        match self.ask(Request::Logs)? {
            Answer::Logs(names) => Ok(names.into_iter().map(Some).collect()),
            _ => Err(unexpected()),
        }
    }

    /// The practice's books, opened where no server has them.
    fn books(&self) -> Result<&Practice, Failure> {
        match self.books.get() {
            Some(books) => Ok(books),
            None => {
                let opened = books::open_existing(self.options, self.id)?;
                Ok(self.books.get_or_init(|| opened))
            }
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let answer = match self.ask_server(&request)? {
            Some(answer) => answer,
            None => {
                let request = server::Request::Office(office::Request::Audit(request));
                match books::answer(self.books()?, request) {
                    server::Answer::Office(answer) => answer,
                    server::Answer::Failed(why) => office::Answer::Failed(why),
                    _ => return Err(unexpected()),
                }
            }
        };
        match answer {
            office::Answer::Audit(answer) => Ok(answer),
            office::Answer::Failed(why) => Err((&why).into()),
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
            Ok(Some(server::Answer::Failed(why))) => Err((&why).into()),
            Ok(Some(_)) => Err(unexpected()),
            Err(error) => Err(no_answer(&directory, &error)),
        }
    }

    /// Gives what `filter` lets through of these numbers to `take`, a page at a
    /// time.
    fn pages(
        &self,
        log: Option<&str>,
        filter: &AuditFilter,
        (mut first, last): (u64, u64),
        mut take: impl FnMut(Vec<Row>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while first <= last {
            let filter = filter.clone();
            let request = Request::Page {
                log: log.map(ToOwned::to_owned),
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
    log: Option<&str>,
    purpose: Purpose,
    filter: &AuditFilter,
    newest: Option<u64>,
) -> Result<(), Failure> {
    let begin = Request::Begin {
        log: log.map(ToOwned::to_owned),
        purpose,
        filter: filter.clone(),
        newest,
    };
    let Answer::Begun { first, last, .. } = office.ask(begin)? else {
        return Err(unexpected());
    };
    let form = office.options.form;
    let mut found = false;
    office.pages(log, filter, (first, last), |rows| {
        found |= !rows.is_empty();
        match form {
            Form::People => print(&rows.iter().map(line).collect::<String>()),
            Form::Plain | Form::Json => {
                form.print_objects(&rows.iter().map(|row| object(row, log)).collect::<Vec<_>>())
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
fn object(row: &Row, log: Option<&str>) -> Object {
    Object::new("audit_entry")
        .with("number", row.number)
        .with("at", row.at)
        .with("actor", row.actor.as_str())
        .with("action", row.action.as_str())
        .with("subject", row.subject.as_str())
        .with("detail", row.detail.as_str())
        .with("link", row.link.as_str())
        .with("log", log)
}
