//! Why nobody was invited or let in, in words for who asked for it.

use std::fmt;

use crate::clock::Timestamp;
use crate::doctor::tickets::ticket_code;
use crate::identity::id::Identifier;
use crate::identity::join::JoinError;
use crate::identity::key_file::KeyFileError;
use crate::identity::ticket::TicketId;
use crate::store::StoreError;

/// Why nobody was invited or let in.
#[derive(Debug)]
pub enum JoiningError {
    /// The store.
    Store(StoreError),
    /// The store is one doctor's.
    OneDoctor,
    /// This is what somebody is called already.
    Taken(Identifier),
    /// A patient has a name that this one is easily taken for.
    Alike(Identifier, String),
    /// She works in the clinic already.
    Works(Identifier),
    /// It is the clinic's own name.
    Reserved,
    /// Nobody joins as that.
    NoRole(String),
    /// Nobody makes a ticket that is good for so short or long a time.
    Lifetime,
    /// There is no such ticket with a request to answer.
    NotWaiting,
    /// The ticket has ended.
    Ended(Identifier, Timestamp),
    /// What is stored of the ticket does not open: it was changed.
    Damaged(TicketId),
    /// The doctor in whose name it was made has not signed it with the key she has
    /// now.
    NotSigned(TicketId, Identifier),
    /// Another doctor has made it, who alone answers it.
    Others(TicketId, Identifier),
    /// The request is not one that goes with its ticket.
    Request(TicketId, JoinError),
    /// The vault, or the root's key.
    Key(String),
}

impl fmt::Display for JoiningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::OneDoctor => f.write_str(
                "a clinic of several doctors needs PostgreSQL, and this practice lies in a file of \
                 one doctor; 'doctor store copy' moves it",
            ),
            Self::Taken(name) => write!(
                f,
                "{name} is somebody's identifier in this clinic already; choose another one"
            ),
            Self::Alike(name, patient) => write!(
                f,
                "the name {name} is easily taken for {patient}, a patient of this clinic; choose \
                 another one"
            ),
            Self::Works(name) => write!(
                f,
                "{name} works in this clinic already; choose another name, or, if she is to join \
                 anew, as when her certificate ends, revoke her first: doctor authority \
                 revoke-doctor {name}"
            ),
            Self::Reserved => f.write_str("the name root is the clinic's own; choose another one"),
            Self::NoRole(word) => write!(
                f,
                "nobody joins a clinic as '{word}': choose doctor, assistant or auditor"
            ),
            Self::Lifetime => f.write_str("a ticket is good for 1 hour to 30 days"),
            Self::NotWaiting => f.write_str("there is no such request to join to be answered"),
            Self::Ended(name, at) => write!(
                f,
                "the ticket with which {name} asks to join ended on {at}; make another one: \
                 doctor enrol-doctor {name}"
            ),
            Self::Damaged(id) => write!(
                f,
                "what the database holds of ticket {} was changed or damaged; make another one, \
                 and see who can write to the database",
                ticket_code(id)
            ),
            Self::NotSigned(id, subject) => write!(
                f,
                "ticket {} does not bear this doctor's signature: an earlier version of this \
                 program has made it, or an earlier key, or somebody else has written it into the \
                 database. If {subject} is to join, make a new one: doctor enrol-doctor {subject}",
                ticket_code(id)
            ),
            Self::Others(id, doctor) => write!(
                f,
                "ticket {} was made by {doctor}, who alone answers it: doctor --id {doctor} \
                 authority sign",
                ticket_code(id)
            ),
            Self::Request(id, error) => write!(
                f,
                "the request to join that was made with ticket {} is not answered: {error}",
                ticket_code(id)
            ),
            Self::Key(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for JoiningError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for JoiningError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyFileError> for JoiningError {
    fn from(error: KeyFileError) -> Self {
        Self::Key(error.to_string())
    }
}
