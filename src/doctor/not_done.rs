//! Why something was not done, as a sentence for whoever asked for it, and whether
//! it may go well later by itself.

use std::error::Error;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::doctor::messages::BookError;
use crate::store::{StoreError, is_away};

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct NotDone {
    /// In a sentence without a full stop.
    pub sentence: String,
    /// Whether that is because the database does not answer now.
    pub is_away: bool,
}

impl NotDone {
    /// What an error means for whoever asked.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self {
            sentence: error.to_string(),
            is_away: is_away(error),
        }
    }
}

impl From<String> for NotDone {
    /// A reason that lies with what was asked.
    fn from(sentence: String) -> Self {
        Self {
            sentence,
            is_away: false,
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
