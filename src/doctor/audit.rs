//! Reading and handing out the audit log, which is logged itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::audit::head::Head;
use crate::audit::heads_file::{self, Record};
use crate::audit::papers::Papers;
use crate::clock::Timestamp;
use crate::doctor::audit_log::sign_head;
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::hex;
use crate::store::{AuditFilter, AuditRow, Store, StoreError};

/// At most so many entries are in one answer.
const PAGE: usize = 500;
/// So many entries are looked at for one answer: nobody else waits long.
const SPAN: u64 = 10_000;

/// What the log is read for.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To be shown.
    List,
    /// To find something.
    Search,
    /// To be handed out.
    Export,
}

/// What can be asked about the log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Whose logs are there?
    Logs,
    /// Somebody begins to read one.
    Begin {
        /// Whose, if not her own.
        #[serde(default)]
        log: Option<String>,
        /// What for.
        purpose: Purpose,
        /// What is wanted.
        filter: AuditFilter,
        /// Of that, only so many of the last ones.
        newest: Option<u64>,
    },
    /// The entries with these numbers, as many as one answer takes.
    Page {
        /// Whose, if not her own.
        #[serde(default)]
        log: Option<String>,
        /// What is wanted.
        filter: AuditFilter,
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
    },
    /// Somebody verifies one.
    Verify {
        /// Whose, if not her own.
        #[serde(default)]
        log: Option<String>,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Those of these members of the clinic.
    Logs(Vec<String>),
    /// What is wanted is among the entries with these numbers.
    Begun {
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
        /// For an export: certificates and signed head of the last entry, as
        /// lines of JSON.
        head: Option<String>,
    },
    /// Some entries.
    Page {
        /// Those.
        rows: Vec<Row>,
        /// The first number of the next page, if there is one.
        next: Option<u64>,
    },
    /// It was logged.
    Noted,
}

/// An entry on its way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its place in the log.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To whom.
    pub subject: String,
    /// More about it.
    pub detail: String,
    /// Its link, as hexadecimal digits.
    pub link: String,
}

impl From<AuditRow> for Row {
    fn from(row: AuditRow) -> Self {
        Self {
            number: row.number,
            at: row.at,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
            link: hex::encode(&row.link),
        }
    }
}

/// Does what is asked.
///
/// # Errors
/// A sentence: there is no such log, the store cannot be read, or it cannot be
/// logged that it is.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, NotDone> {
    let answered = match request {
        Request::Logs => logs(practice).map(Answer::Logs),
        Request::Begin {
            log,
            purpose,
            filter,
            newest,
        } => begin(
            practice,
            &open(practice, log.as_deref())?,
            *purpose,
            filter,
            *newest,
        ),
        Request::Page {
            log,
            filter,
            first,
            last,
        } => page(&open(practice, log.as_deref())?, filter, *first, *last),
        Request::Verify { log } => {
            let log = open(practice, log.as_deref())?;
            let noted = practice.note_read(Action::AuditRead, "", &log.said("verified"));
            noted.map(|()| Answer::Noted)
        }
    };
    Ok(answered?)
}

fn logs(practice: &Practice) -> Result<Vec<String>, StoreError> {
    match practice.store.clinic() {
        Some(clinic) => clinic.logs(),
        None => Ok(vec![practice.identity().identifier().to_string()]),
    }
}

/// A member's log.
struct Log {
    store: Arc<dyn Store>,
    /// Whose it is, if not hers who reads it.
    whose: Option<String>,
}

impl Log {
    /// What is logged of reading it.
    fn said(&self, what: &str) -> String {
        match &self.whose {
            None => what.to_owned(),
            Some(name) => format!("{what}, log of {name}"),
        }
    }
}

fn open(practice: &Practice, name: Option<&str>) -> Result<Log, NotDone> {
    let own = || Log {
        store: Arc::clone(&practice.store),
        whose: None,
    };
    let Some(name) = name.filter(|name| *name != practice.identity().identifier().as_str()) else {
        return Ok(own());
    };
    match practice.store.clinic() {
        Some(clinic) if clinic.has_log(name)? => Ok(Log {
            store: clinic.seen_by(name),
            whose: Some(name.to_owned()),
        }),
        _ => {
            let names = logs(practice)?.join(", ");
            let why = format!("there is no audit log of {name} here; there is one of {names}");
            Err(why.into())
        }
    }
}

fn begin(
    practice: &Practice,
    log: &Log,
    purpose: Purpose,
    filter: &AuditFilter,
    newest: Option<u64>,
) -> Result<Answer, StoreError> {
    let store = &log.store;
    let mut last = store.audit_head()?.map_or(0, |(number, _)| number);
    // Not the text: it may be a name, or say more than that.
    let (action, detail) = match purpose {
        Purpose::List => (Action::AuditRead, "listed"),
        Purpose::Search if filter.text.is_some() => (Action::AuditRead, "searched for a text"),
        Purpose::Search => (Action::AuditRead, "searched"),
        Purpose::Export => (Action::Exported, "the audit log"),
    };
    let subject = filter.patient.as_deref().unwrap_or_default();
    practice.note_read(action, subject, &log.said(detail))?;
    let mut head = None;
    if purpose == Purpose::Export
        && let Some((papers, signed)) = signed(practice, log)?
    {
        last = signed.number;
        let lines = [Record::Certificates(papers), Record::Head(signed)];
        head = Some(lines.iter().map(heads_file::json).collect());
    }
    let first = match newest {
        None => 1,
        Some(count) => store
            .nth_last_audit(filter, 1..=last, count)?
            .unwrap_or(last + 1),
    };
    Ok(Answer::Begun { first, last, head })
}

/// A signed head and the certificates to check it with: of the last entry where
/// it is her own log, and else the newest that its owner has signed.
fn signed(practice: &Practice, log: &Log) -> Result<Option<(Papers, Head)>, StoreError> {
    match log.whose {
        None => {
            let head = sign_head(practice)?;
            Ok(head.map(|head| (Papers::of(&practice.identity()), head)))
        }
        Some(_) => {
            let papers = Papers::stored(&*log.store)?;
            let head = log.store.newest_signed_head()?;
            Ok(head.map(|head| (papers, head)))
        }
    }
}

fn page(log: &Log, filter: &AuditFilter, first: u64, last: u64) -> Result<Answer, StoreError> {
    let store = &log.store;
    let end = last.min(first.saturating_add(SPAN - 1));
    let rows = store.find_audit(filter, first..=end, PAGE)?;
    let next = match rows.last() {
        Some(row) if rows.len() == PAGE => Some(row.number + 1),
        // Not simply the next number: somebody may have made a gap there.
        _ => (store.audit(end.saturating_add(1), 1)?.first()).map(|row| row.number),
    };
    Ok(Answer::Page {
        rows: rows.into_iter().map(Row::from).collect(),
        next: next.filter(|next| *next <= last),
    })
}
