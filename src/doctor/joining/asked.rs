//! The requests to join that lie in the database: each is looked at by itself, so
//! that a damaged one keeps nobody else waiting.

use std::fmt;

use super::{Asked, JoiningError, OthersTicket, Unfit, Waiting, admit, clinic, revoke};
use crate::doctor::authority;
use crate::doctor::practice::Practice;
use crate::doctor::setup::ROOT_KEY;
use crate::doctor::tickets::ticket_code;
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::certificate::Role;
use crate::identity::id::Identifier;
use crate::identity::join::{JoinRequest, JoinTicket};
use crate::identity::key_file::KeyKind;
use crate::identity::ticket::{Made, Maker};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::clinic::JoinTicketRow;
use crate::vault::column;

/// The length of a ticket's secret, in bytes.
const SECRET_LEN: usize = 16;
/// Requests that are shown at once, the oldest.
const SHOWN: usize = 1_000;
/// Requests that a server looks at in one round, the oldest.
const AT_ONCE: usize = 32;
/// Those among them that it refuses: each refusal is a transaction of its own, and
/// the thread hears of revocations, too.
const REFUSED: usize = 8;

/// Who asks to be let in with a ticket of this doctor's that is still good, which
/// requests cannot be answered, and which are for others to answer.
///
/// # Errors
/// [`JoiningError`].
pub fn waiting(practice: &Practice) -> Result<Asked, JoiningError> {
    let (clinic, now) = (clinic(practice)?, practice.now());
    let identity = practice.identity();
    let own = identity.identifier().as_str();
    let mut others = clinic.asked_join_tickets(None, now, SHOWN)?;
    others.retain(|row| row.doctor != own);
    let others = others.into_iter().map(|row| OthersTicket {
        ticket: ticket_code(&row.id),
        subject: row.subject,
        doctor: row.doctor,
    });
    let mut found = Asked {
        waiting: Vec::new(),
        unfit: Vec::new(),
        others: others.collect(),
    };
    for row in &clinic.asked_join_tickets(Some(own), now, SHOWN)? {
        match answerable(practice, row) {
            Ok(request) => found.waiting.push(Waiting {
                ticket: row.id,
                doctor: row.doctor.clone(),
                subject: row.subject.clone(),
                role: row.role.clone(),
                asked: request.made,
                request: request.fingerprint(),
                key: hex::encode(request.signing_key.as_bytes()),
            }),
            // Its time is over, as that of any other.
            Err(JoiningError::Ended(..)) => {}
            Err(error) => found.unfit.push(Unfit {
                ticket: ticket_code(&row.id),
                subject: row.subject.clone(),
                why: error.to_string(),
            }),
        }
    }
    Ok(found)
}

/// A request that somebody with the root's key can answer.
fn answerable(practice: &Practice, row: &JoinTicketRow) -> Result<JoinRequest, JoiningError> {
    let (ticket, request) = open(practice, row)?;
    if clinic(practice)?.has_member(ticket.subject.as_str())? {
        return Err(JoiningError::Works(ticket.subject));
    }
    Ok(request)
}

/// What the signature of a ticket's maker stands for.
pub(super) const fn as_made<'a>(row: &'a JoinTicketRow, ticket: &'a JoinTicket) -> Made<'a> {
    Made {
        id: &row.id,
        secret: &ticket.secret,
        role: ticket.role,
        subject: &ticket.subject,
        made: row.created,
        expires: row.expires,
    }
}

/// The ticket and the request that was made with it, both checked. A ticket is
/// answered by its maker alone, if it bears her signature.
pub(super) fn open(
    practice: &Practice,
    row: &JoinTicketRow,
) -> Result<(JoinTicket, JoinRequest), JoiningError> {
    let damaged = || JoiningError::Damaged(row.id);
    let identity = practice.identity();
    let doctor: Identifier = row.doctor.parse().map_err(|_| damaged())?;
    if doctor != *identity.identifier() {
        return Err(JoiningError::Others(row.id, doctor));
    }
    let opened = practice
        .vault
        .open(column::JOIN_TICKET, &row.row_name(), &row.sealed)
        .map_err(|_| damaged())?;
    let parts = opened.expose().split_at_checked(SECRET_LEN);
    let (secret, signature) = parts.ok_or_else(damaged)?;
    let ticket = JoinTicket {
        clinic: identity.root.subject().clinic,
        root: identity.root.fingerprint(),
        role: Role::staff_from_word(&row.role).ok_or_else(damaged)?,
        doctor,
        subject: row.subject.parse().map_err(|_| damaged())?,
        id: row.id,
        secret: Secret::from_slice(secret).ok_or_else(damaged)?,
        expires: row.expires,
    };
    if !Maker::of(&identity).has_signed(&as_made(row, &ticket), signature) {
        return Err(JoiningError::NotSigned(row.id, ticket.subject));
    }
    if practice.now() > ticket.expires {
        return Err(JoiningError::Ended(ticket.subject, ticket.expires));
    }
    let request = row.request.as_deref().ok_or(JoiningError::NotWaiting)?;
    let request = JoinRequest::accept(request, &ticket, &identity.root)
        .map_err(|error| JoiningError::Request(row.id, error))?;
    Ok((ticket, request))
}

/// What came of looking whether somebody asks.
#[derive(Debug)]
pub enum Looked {
    /// She was let in: her name and role.
    Admitted(String, String),
    /// Somebody asks, and the root's key is not here: her name.
    NeedsRoot(String),
    /// The request was not genuine, and its ticket was taken back.
    Refused(String),
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(name, role) => write!(f, "{name} has joined the clinic as {role}"),
            Self::NeedsRoot(name) => write!(
                f,
                "{name} asks to join the clinic, and the clinic's root key is not here: fetch it, \
                 and sign with: doctor authority sign --root-key FILE"
            ),
            Self::Refused(why) => write!(f, "somebody tried to join the clinic: {why}"),
        }
    }
}

/// Answers those who ask with a ticket of this doctor's, if the root's key lies in
/// her directory: what a running server does by itself. Takes back the tickets of
/// requests that nobody can answer. Looks at no more than the 32 oldest, and takes
/// back no more than 8: the rest is for the next time.
///
/// # Errors
/// [`JoiningError`], if the store or the key's file cannot be read.
pub fn look(practice: &Practice, random: &mut dyn Random) -> Result<Vec<Looked>, JoiningError> {
    let Some(clinic) = practice.store.clinic() else {
        return Ok(Vec::new());
    };
    let identity = practice.identity();
    let (own, now) = (identity.identifier().as_str(), practice.now());
    let rows = clinic.asked_join_tickets(Some(own), now, AT_ONCE)?;
    let (mut looked, mut root, mut refused) = (Vec::new(), None, 0);
    if rows.is_empty() {
        return Ok(looked);
    }
    for row in rows {
        let answered = match answerable(practice, &row) {
            Ok(_) if !practice.directory.path(ROOT_KEY).exists() => {
                looked.push(Looked::NeedsRoot(row.subject));
                continue;
            }
            Ok(_) => {
                if root.is_none() {
                    root = Some(root_beside_keys(practice)?);
                }
                root.as_ref().map_or(Err(JoiningError::NotWaiting), |root| {
                    admit(practice, root, &row.id, random)
                })
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok(()) => looked.push(Looked::Admitted(row.subject, row.role)),
            // It was answered by another meanwhile, or has ended.
            Err(JoiningError::NotWaiting | JoiningError::Ended(..)) => {}
            Err(
                error @ (JoiningError::Damaged(_)
                | JoiningError::NotSigned(..)
                | JoiningError::Request(..)
                | JoiningError::Works(_)),
            ) => {
                if refused == REFUSED {
                    continue;
                }
                refused += 1;
                revoke(practice, &row.id, &error.to_string())?;
                looked.push(Looked::Refused(error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(looked)
}

fn root_beside_keys(practice: &Practice) -> Result<SignSecret, JoiningError> {
    let path = practice.directory.path(ROOT_KEY);
    let (group, secret) = practice
        .directory
        .keyring()
        .load(&path, KeyKind::RootSigning)?;
    authority::root_secret(&practice.identity().root, (&group, &secret))
        .map_err(|error| JoiningError::Key(error.to_string()))
}
