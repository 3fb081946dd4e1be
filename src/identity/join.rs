//! How somebody joins a clinic whose database she can reach: three papers.
//!
//! ```text
//! doctor    -- ticket, by hand: what proves the newcomer ------>  newcomer
//! newcomer  -- request: her key, signed with it, HMAC --------->  database
//! doctor    -- answer: certificate and keys, sealed ----------->  database
//! ```
//!
//! The database carries the request and the answer and is not believed: the
//! ticket's secret never lies there in clear, and only who knows it can make
//! either. The request's one-time key is forgotten once the answer was taken, so
//! that ticket and database together open nothing later.

mod answer;
pub(in crate::identity) mod request;
mod ticket;

pub use answer::{Answered, ColumnKeys, Grant, JoinAnswer};
pub use request::{JoinRequest, NewcomerKeys};
pub use ticket::{
    JoinTicket, JoinTicketError, begins_like_ticket, is_join_ticket, looks_like_ticket,
};

use std::fmt;

use crate::codec::DecodeError;
use crate::identity::certificate::CertificateError;
use crate::identity::ticket::TicketId;
use crate::kdf::{self, Prk};
use crate::secret::Secret;

/// Version of the request and of the answer.
const VERSION: u8 = 1;

/// Why a request or an answer is not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JoinError {
    /// It is no such paper, or one for another group.
    Malformed,
    /// It belongs to another ticket, clinic, person or role.
    OtherTicket,
    /// Whoever made it does not know the ticket's secret.
    WrongProof,
    /// The newcomer's signature is wrong.
    BadSignature,
    /// It cannot be opened: another request's, or changed on its way.
    CannotBeOpened,
    /// The certificate in it.
    Certificate(CertificateError),
    /// The certificate in it is for somebody else.
    OtherCertificate,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is malformed"),
            Self::OtherTicket => f.write_str("it belongs to another ticket"),
            Self::WrongProof => f.write_str("whoever made it does not have the ticket"),
            Self::BadSignature => f.write_str("its signature is wrong"),
            Self::CannotBeOpened => f.write_str("it was made for another request or changed"),
            Self::Certificate(error) => write!(f, "{error}"),
            Self::OtherCertificate => f.write_str("its certificate is for somebody else"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<DecodeError> for JoinError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// What both sides know of the ticket: `kt = Ex(tid, secret)`.
fn ticket_key(id: &TicketId, secret: &Secret<16>) -> Prk {
    kdf::extract(id, &[secret.expose()])
}
