//! Reading and handing out the audit log, which is logged itself.

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::audit::heads_file::{self, Record};
use crate::audit::papers::Papers;
use crate::clock::Timestamp;
use crate::doctor::audit_log::sign_head;
use crate::doctor::practice::Practice;
use crate::hex;
use crate::store::{AuditFilter, AuditRow, StoreError};

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
    /// Somebody begins to read it.
    Begin {
        /// What for.
        purpose: Purpose,
        /// What is wanted.
        filter: AuditFilter,
        /// Of that, only so many of the last ones.
        newest: Option<u64>,
    },
    /// The entries with these numbers, as many as one answer takes.
    Page {
        /// What is wanted.
        filter: AuditFilter,
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
    },
    /// Somebody verifies it.
    Verify,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
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
/// [`StoreError`] if the store cannot be read, or cannot log that it is.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, StoreError> {
    match request {
        Request::Begin {
            purpose,
            filter,
            newest,
        } => begin(practice, *purpose, filter, *newest),
        Request::Page {
            filter,
            first,
            last,
        } => page(practice, filter, *first, *last),
        Request::Verify => {
            practice.note_read(Action::AuditRead, "", "verified")?;
            Ok(Answer::Noted)
        }
    }
}

fn begin(
    practice: &Practice,
    purpose: Purpose,
    filter: &AuditFilter,
    newest: Option<u64>,
) -> Result<Answer, StoreError> {
    let store = &practice.store;
    let mut last = store.audit_head()?.map_or(0, |(number, _)| number);
    // Not the text: it may be a name, or say more than that.
    let (action, detail) = match purpose {
        Purpose::List => (Action::AuditRead, "listed"),
        Purpose::Search if filter.text.is_some() => (Action::AuditRead, "searched for a text"),
        Purpose::Search => (Action::AuditRead, "searched"),
        Purpose::Export => (Action::Exported, "the audit log"),
    };
    let subject = filter.patient.as_deref().unwrap_or_default();
    practice.note_read(action, subject, detail)?;
    let mut head = None;
    if purpose == Purpose::Export
        && let Some(signed) = sign_head(practice)?
    {
        last = signed.number;
        let papers = Papers::of(&practice.identity());
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

fn page(
    practice: &Practice,
    filter: &AuditFilter,
    first: u64,
    last: u64,
) -> Result<Answer, StoreError> {
    let store = &practice.store;
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
