//! Messages in the database.

use rusqlite::Transaction;

use crate::store::messages::{Change, MessageStore, Outcome, Work};
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::{StoreError, StoreFault};

fn apply(_transaction: &Transaction<'_>, work: &Work) -> Result<Outcome, StoreFault> {
    match work {
        Work::Nothing => Ok(Outcome::New),
    }
}

impl MessageStore for SqliteStore {
    fn commit(&self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        self.write(|transaction| {
            let mut outcomes = Vec::with_capacity(changes.len());
            let mut entries = Vec::new();
            for change in changes {
                let outcome = apply(transaction, &change.work)?;
                if outcome == Outcome::New {
                    entries.extend_from_slice(&change.audit);
                }
                outcomes.push(outcome);
            }
            audit::append(transaction, &entries)?;
            Ok(outcomes)
        })
    }
}
