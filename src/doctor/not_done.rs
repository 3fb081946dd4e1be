//! Why something was not done, as a sentence for whoever asked for it, and what that
//! lies with.

use std::error::Error;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::doctor::messages::BookError;
use crate::doctor::roles::NotForRole;
use crate::store::{StoreError, is_away};

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct NotDone {
    /// In a sentence without a full stop.
    pub sentence: String,
    /// What it lies with.
    pub cause: Cause,
}

/// What it lies with that something was not done.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What was asked, or what was found.
    Asked,
    /// The database, which does not answer now.
    Away,
    /// The role of whoever asked.
    Role,
}

impl NotDone {
    /// What an error means for whoever asked.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self {
            sentence: error.to_string(),
            cause: match error.is::<NotForRole>() {
                true => Cause::Role,
                false if is_away(error) => Cause::Away,
                false => Cause::Asked,
            },
        }
    }

    /// Whether the database does not answer now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.cause == Cause::Away
    }
}

impl From<String> for NotDone {
    /// A reason that lies with what was asked.
    fn from(sentence: String) -> Self {
        Self {
            sentence,
            cause: Cause::Asked,
        }
    }
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::of(&error)
    }
}

impl From<BookError> for NotDone {
    fn from(error: BookError) -> Self {
        Self::of(&error)
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Deref for NotDone {
    type Target = str;

    fn deref(&self) -> &str {
        &self.sentence
    }
}
