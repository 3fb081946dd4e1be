//! Names that a person takes for one another: two patients may be called `p1`
//! and `P1`, but whoever types one of them may mean the other. A patient and
//! somebody who works in the clinic may not.

use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::store::{Store, StoreError, names};

/// A patient who is known here under a name that differs from this one only in
/// small and capital letters, in which of `.`, `_` and `-` stands in it, or in
/// letters and digits that are misread for one another; none if this very name
/// is known.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn known_as(
    store: &dyn Store,
    patient: &Identifier,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let known = self::patient(store, patient, now)?;
    Ok(known.filter(|known| known != patient.as_str()))
}

/// Who works here, or is invited to, and has this name or one that is taken for it;
/// she who has this very name first.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn staff(practice: &Practice, name: &Identifier) -> Result<Option<String>, StoreError> {
    let own = practice.identity().identifier().to_string();
    if own == name.as_str() {
        return Ok(Some(own));
    }
    let clinic = practice.store.clinic();
    let known = clinic.map(|clinic| clinic.member_like(name.as_str(), practice.now()));
    let known = known.transpose()?.flatten();
    let is_alike = names::folded(&own) == names::folded(name.as_str());
    Ok(match known {
        Some(known) if known == name.as_str() || !is_alike => Some(known),
        _ => is_alike.then_some(own),
    })
}

/// A patient who is known here, or invited, under this name or one that is taken
/// for it; who has this very name first.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn patient(
    store: &dyn Store,
    name: &Identifier,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    store.patient_like(name.as_str(), now)
}

/// The sentence about a name and the one it may be taken for.
#[must_use]
pub fn warning(patient: &Identifier, known: &str) -> String {
    format!("the name {patient} is new; {known} is another patient, known here already")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SqliteStore, TicketRow, TicketState};

    #[test]
    fn a_ticket_that_was_taken_back_or_expired_unused_makes_no_name_known() {
        let name = |name: &str| name.parse::<Identifier>().unwrap();
        let now = Timestamp::from_millis(1_000_000);
        let later = now.plus(std::time::Duration::from_secs(1));
        for (state, at, makes_known) in [
            (TicketState::Open, now, true),
            (TicketState::Open, later, false),
            (TicketState::Used, later, true),
            (TicketState::Frozen, later, true),
            (TicketState::Revoked, now, false),
        ] {
            let database = SqliteStore::in_memory().unwrap();
            let store: &dyn Store = &database;
            let ticket = |id: u8, subject: &str, state, expires| TicketRow {
                id: [id; 16],
                subject: subject.to_owned(),
                sealed: vec![id],
                created: Timestamp::from_millis(1),
                expires,
                state,
                serial: None,
            };
            let known = ticket(1, "P1", TicketState::Open, later);
            store.add_ticket(&known, &[]).unwrap();
            store.add_ticket(&ticket(2, "p1", state, now), &[]).unwrap();
            // Of the very name nothing is said; of the other one P1 or p1.
            let said = known_as(store, &name("p1"), at).unwrap();
            assert_eq!(said.is_none(), makes_known, "{state:?}");
        }
    }
}
