//! That a person has confirmed a message, and how far the doctor's server knows it.

use std::fmt;

use super::{Entry, Inbox};
use crate::clock::Timestamp;
use crate::patient::damaged::Found;
use crate::patient::files::FilesError;
use crate::protocol::message::{Message, MessageId};

/// The fewest hexadecimal digits that name a message.
const CODE_LEN: usize = 6;

/// Why a message cannot be confirmed.
#[derive(Debug)]
pub enum ConfirmError {
    /// There is none of this name.
    NoSuchMessage(String),
    /// Several are called so.
    Ambiguous(String),
    /// It was confirmed then.
    ConfirmedBefore(Timestamp),
    /// It cannot be kept.
    Files(FilesError),
}

impl fmt::Display for ConfirmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchMessage(name) => write!(f, "there is no message {name}"),
            Self::Ambiguous(name) => {
                write!(f, "several messages are called {name}; give the number")
            }
            Self::ConfirmedBefore(at) => write!(f, "that message was confirmed on {at} already"),
            Self::Files(error) => write!(f, "the confirmation cannot be kept: {error}"),
        }
    }
}

impl std::error::Error for ConfirmError {}

impl<E: Into<FilesError>> From<E> for ConfirmError {
    fn from(error: E) -> Self {
        Self::Files(error.into())
    }
}

impl Inbox<'_> {
    /// The message that a person calls by its number or by its code.
    ///
    /// # Errors
    /// [`ConfirmError`] if there is none, or several are called so.
    pub fn find(&self, name: &str) -> Result<Entry, ConfirmError> {
        let name = name.trim();
        if let Ok(number) = name.parse()
            && let Some(row) = self.0.store().inbox_numbered(number)?
        {
            return Ok(self.open(row)?);
        }
        let is_code = name.len() >= CODE_LEN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut rows = match is_code {
            true => self.0.store().inbox_with_code(name)?,
            false => Vec::new(),
        };
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(self.open(row)?),
            (Some(_), false) => Err(ConfirmError::Ambiguous(name.to_owned())),
            (None, _) => Err(ConfirmError::NoSuchMessage(name.to_owned())),
        }
    }

    /// Keeps that the person confirmed a message, called by its number or code.
    /// It is signed and sent until the doctor's server has it.
    ///
    /// # Errors
    /// [`ConfirmError`]; nothing was changed then.
    pub fn confirm(&self, name: &str, now: Timestamp) -> Result<Entry, ConfirmError> {
        let entry = self.find(name)?;
        if self.0.store().set_confirmed(entry.number, now)? {
            return Ok(Entry {
                confirmed: Some(now),
                ..entry
            });
        }
        Err(ConfirmError::ConfirmedBefore(
            entry.confirmed.unwrap_or(now),
        ))
    }

    /// The messages whose confirmation is on its way, at most `limit`, and when
    /// each was confirmed.
    pub(in crate::patient) fn unacknowledged(
        &self,
        limit: usize,
    ) -> Result<Vec<Found<(Message, Timestamp)>>, FilesError> {
        let rows = self.0.store().inbox_unacknowledged(limit)?;
        let confirmed = |entry: Entry| {
            let at = entry.confirmed.unwrap_or(entry.received);
            (entry.message, at)
        };
        let entries = self.open_all(rows).into_iter();
        Ok(entries.map(|entry| entry.map(confirmed)).collect())
    }

    /// Keeps that a confirmation has arrived; gives the message's number, if
    /// that is news.
    pub(in crate::patient) fn confirmation_arrived(
        &self,
        id: MessageId,
        now: Timestamp,
    ) -> Result<Option<u64>, FilesError> {
        if !self.0.store().set_confirmation_arrived(&id.0, now)? {
            return Ok(None);
        }
        let row = self.0.store().inbox_with_id(&id.0)?;
        Ok(row.map(|row| row.number))
    }

    /// Keeps that a confirmation never arrives; gives the message's number, if
    /// that is news.
    pub(in crate::patient) fn confirmation_refused(
        &self,
        id: MessageId,
        now: Timestamp,
    ) -> Result<Option<u64>, FilesError> {
        if !self.0.store().set_confirmation_refused(&id.0, now)? {
            return Ok(None);
        }
        let row = self.0.store().inbox_with_id(&id.0)?;
        Ok(row.map(|row| row.number))
    }
}
