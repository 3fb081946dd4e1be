//! Names that a person takes for one another: two patients may be called `p1`
//! and `P1`, but whoever types one of them may mean the other. A patient and
//! somebody who works in the clinic may not.

use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::store::clinic::JoinState;
use crate::store::{Store, StoreError, TicketRow, TicketState};

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

/// The names of all patients.
fn patients(store: &dyn Store, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let certificates = store.certificates()?.into_iter().map(|row| row.subject);
    let tickets = store.tickets()?.into_iter();
    let tickets = tickets.filter(|ticket| makes_known(ticket, now));
    let tickets = tickets.map(|row| row.subject);
    let records = store.records()?.into_iter().map(|row| row.patient);
    Ok(certificates.chain(tickets).chain(records).collect())
}

/// A ticket that was taken back, or has expired and was not used, may have been a
/// slip: whoever makes it again is to be warned again.
fn makes_known(ticket: &TicketRow, now: Timestamp) -> bool {
    match ticket.state {
        TicketState::Open => now <= ticket.expires,
        TicketState::Used | TicketState::Frozen => true,
        TicketState::Revoked => false,
    }
}

/// What is left of a name for whoever looks at it in passing. Digits stay apart
/// from each other: `P10` and `P11` are not alike.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
        .replace(['.', '_'], "-")
        .replace(['i', '1'], "l")
        .replace('0', "o")
}

/// Who works here, or is invited to, and has this name or one that is taken for it;
/// she who has this very name first.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn staff(practice: &Practice, name: &Identifier) -> Result<Option<String>, StoreError> {
    let now = practice.now();
    let mut names = vec![practice.identity().identifier().to_string()];
    if let Some(clinic) = practice.store.clinic() {
        names.extend(clinic.staff()?.into_iter().map(|row| row.id));
        let invited = clinic.join_tickets()?.into_iter().filter(|row| {
            let is_open = matches!(row.state, JoinState::Open | JoinState::Asked);
            row.state == JoinState::Answered || is_open && now <= row.expires
        });
        names.extend(invited.map(|row| row.subject));
    }
    Ok(same_or_alike(names, name))
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
    Ok(same_or_alike(patients(store, now)?, name))
}

fn same_or_alike(names: Vec<String>, name: &Identifier) -> Option<String> {
    let wanted = folded(name.as_str());
    let mut alike: Vec<String> = names;
    alike.retain(|known| folded(known) == wanted);
    let same = alike.iter().position(|known| known == name.as_str());
    (!alike.is_empty()).then(|| alike.swap_remove(same.unwrap_or(0)))
}

/// The sentence about a name and the one it may be taken for.
#[must_use]
pub fn warning(patient: &Identifier, known: &str) -> String {
    format!("the name {patient} is new; {known} is another patient, known here already")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[test]
    fn only_case_punctuation_and_what_is_misread_are_overlooked() {
        let alike = [
            ("P1", "p1"),
            ("a.b_c-d", "A-B-C_D"),
            ("P10", "PlO"),
            ("Oil", "0I1"),
        ];
        for (one, other) in alike {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("P1", "P2"), ("P1", "P-1"), ("P10", "P11"), ("P1", "P11")] {
            assert_ne!(folded(one), folded(other));
        }
    }

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
