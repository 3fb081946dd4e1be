//! Names that a person takes for one another: two patients may be called `p1`
//! and `P1`, but whoever types one of them may mean the other.

use crate::identity::id::Identifier;
use crate::store::{Store, StoreError};

/// A patient who is known here under a name that differs from this one only in
/// small and capital letters, or in which of `.`, `_` and `-` stands in it; none
/// if this very name is known.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn known_as(store: &dyn Store, patient: &Identifier) -> Result<Option<String>, StoreError> {
    let certificates = store.certificates()?.into_iter().map(|row| row.subject);
    let tickets = store.tickets()?.into_iter().map(|row| row.subject);
    let records = store.records()?.into_iter().map(|row| row.patient);
    let names: Vec<String> = certificates.chain(tickets).chain(records).collect();
    if names.iter().any(|name| name == patient.as_str()) {
        return Ok(None);
    }
    let wanted = folded(patient.as_str());
    Ok(names.into_iter().find(|name| folded(name) == wanted))
}

/// What is left of a name for whoever looks at it in passing.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '_'], "-")
}

/// The sentence about a name and the one it may be taken for.
#[must_use]
pub fn warning(patient: &Identifier, known: &str) -> String {
    format!("the name {patient} is new; {known} is another patient, known here already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_case_and_punctuation_are_overlooked() {
        for (one, other) in [("P1", "p1"), ("a.b_c-d", "A-B-C_D")] {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("P1", "P2"), ("P1", "P-1"), ("O", "0"), ("l", "I")] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
