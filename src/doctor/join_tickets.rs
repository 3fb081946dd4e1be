//! The tickets with which somebody joins the clinic, as its doctors see them
//! beside those of patients.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::doctor::joining::{self, JoiningError};
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::sifted::{PAGE, Sifted, sift};
use crate::doctor::tickets::{DAMAGED, TICKET_CODE_LEN, ticket_code};
use crate::hex;
use crate::store::StoreError;
use crate::store::clinic::{JoinState, JoinTicketRow};
use crate::vault::column;

/// A ticket for joining the clinic that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct IssuedJoin {
    /// Its short name.
    pub ticket: String,
    /// For whom it is.
    pub name: String,
    /// What she will be, or is: doctor, assistant or auditor.
    pub role: String,
    /// Who made it.
    pub doctor: String,
    /// `open`, `expired`, `asked`, `answered`, `used` or `revoked`; `damaged` if it is no
    /// ticket of this clinic's.
    pub state: String,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// All of them, and some rows that are none, the oldest first; none where a practice is one doctor's.
///
/// # Errors
/// [`StoreError`].
pub fn list(practice: &Practice) -> Result<Vec<IssuedJoin>, StoreError> {
    let now = practice.now();
    let found = beginning(practice, &[])?;
    let others = found.others.into_iter().map(|row| IssuedJoin {
        state: DAMAGED.to_owned(),
        ..issued(row, now)
    });
    let genuine = found.genuine.into_iter().map(|row| issued(row, now));
    let mut all: Vec<_> = genuine.chain(others).collect();
    all.sort_by_key(|ticket| ticket.made);
    Ok(all)
}

/// Those whose short names begin so.
fn beginning(practice: &Practice, begin: &[u8]) -> Result<Sifted<JoinTicketRow>, StoreError> {
    let opens = |row: &JoinTicketRow| {
        let opened = practice
            .vault
            .open(column::JOIN_TICKET, &row.row_name(), &row.sealed);
        opened.is_ok()
    };
    let clinic = practice.store.clinic();
    sift(
        |after| match clinic {
            Some(clinic) => clinic.join_tickets_from(begin, after, PAGE),
            None => Ok(Vec::new()),
        },
        |row| row.id,
        opens,
    )
}

fn issued(row: JoinTicketRow, now: Timestamp) -> IssuedJoin {
    let state = match row.state {
        JoinState::Open | JoinState::Asked if now > row.expires => "expired",
        state => state.word(),
    };
    IssuedJoin {
        ticket: ticket_code(&row.id),
        name: row.subject,
        role: row.role,
        doctor: row.doctor,
        state: state.to_owned(),
        made: row.created,
        expires: row.expires,
    }
}

/// Takes back the one with this short name; none if there is none.
///
/// # Errors
/// The sentence why it is not taken back.
pub fn revoke(practice: &Practice, code: &str) -> Result<Option<IssuedJoin>, NotDone> {
    let Some(begin) = hex::decode(code).filter(|_| code.len() == TICKET_CODE_LEN) else {
        return Ok(None);
    };
    let found = beginning(practice, &begin)?;
    let mut found = match found.genuine.is_empty() {
        true => found.others,
        false => found.genuine,
    };
    if found.len() > 1 {
        // Two of the same short name are rare, and the one that is open is meant.
        found.retain(|row| matches!(row.state, JoinState::Open | JoinState::Asked));
    }
    let Some(row) = found.pop() else {
        return Ok(None);
    };
    let by = practice.identity();
    let reason = format!("taken back by {}", by.identifier());
    let is_revoked = joining::revoke(practice, &row.id, &reason)
        .map_err(|error: JoiningError| NotDone::of(&error))?;
    let name = row.subject.clone();
    if is_revoked {
        let row = JoinTicketRow {
            state: JoinState::Revoked,
            ..row
        };
        return Ok(Some(issued(row, practice.now())));
    }
    let clinic = practice.store.clinic();
    let row = clinic.map(|clinic| clinic.join_ticket(&row.id));
    let row = row.transpose()?.flatten();
    let why = match row.map(|row| row.state) {
        Some(JoinState::Used | JoinState::Answered) => format!(
            "ticket {code} was answered: {name} works in the clinic; to take that back: doctor \
             authority revoke-doctor {name} --reason TEXT"
        ),
        _ => format!("ticket {code} for {name} was taken back before"),
    };
    Err(why.into())
}
