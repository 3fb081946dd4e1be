//! What an error of the server or of the way to it means.

use std::error::Error;

use postgres::error::SqlState;

use crate::clock::{Clock, SystemClock};
use crate::store::StoreFault;

impl From<postgres::Error> for StoreFault {
    fn from(error: postgres::Error) -> Self {
        // The text alone: an error of the server carries whole rows along.
        let text = in_words(&error);
        let Some(state) = error.code() else {
            return match error.to_string().as_str() {
                // A value that is there and is not what it should be.
                text if text.starts_with("error deserializing") => Self::Damaged(text.to_owned()),
                "error performing TLS handshake" | "authentication error" => Self::Refused(text),
                "error communicating with the server"
                | "connection closed"
                | "error connecting to server"
                | "unexpected message from server"
                | "timeout waiting for server" => away(text),
                _ => Self::Failed(text.into()),
            };
        };
        match *state {
            SqlState::UNIQUE_VIOLATION => Self::Duplicate,
            SqlState::FOREIGN_KEY_VIOLATION => Self::Dangling,
            SqlState::DISK_FULL => Self::Full,
            SqlState::READ_ONLY_SQL_TRANSACTION | SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::ReadOnly
            }
            SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => Self::Busy,
            SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => Self::Busy,
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Self::Damaged(text),
            SqlState::TOO_MANY_CONNECTIONS | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
                away(text)
            }
            // The password, the user, the database: nothing that mends itself.
            _ if ["28", "3D", "3F"]
                .iter()
                .any(|class| state.code().starts_with(class)) =>
            {
                Self::Refused(text)
            }
            _ if ["08", "57P"]
                .iter()
                .any(|class| state.code().starts_with(class)) =>
            {
                away(text)
            }
            _ => Self::Failed(format!("{text} ({})", state.code()).into()),
        }
    }
}

/// The server does not answer as of now.
pub(super) fn away(reason: impl Into<String>) -> StoreFault {
    StoreFault::Away {
        since: SystemClock.now(),
        reason: reason.into(),
    }
}

/// Whether the connection is of no use any more.
pub(super) const fn is_away(fault: &StoreFault) -> bool {
    matches!(fault, StoreFault::Away { .. })
}

/// What the server says, or what else has happened, down to its cause.
fn in_words(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some repeat their causes themselves.
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
