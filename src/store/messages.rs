//! Messages and what became of them.

use crate::audit::Entry;
use crate::store::StoreError;

/// A small change of the kind that comes in crowds: many are committed
/// together.
#[derive(Debug)]
pub struct Change {
    /// What changes.
    pub work: Work,
    /// What the audit log says of it, if it changes anything.
    pub audit: Vec<Entry>,
}

/// What a change does.
#[derive(Debug)]
pub enum Work {
    /// Nothing but to be logged.
    Nothing,
}

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is on the disk now.
    New,
    /// It was there before: nothing has changed, and nothing was logged.
    Known,
}

impl Change {
    /// Entries of the audit log about what changes nothing else.
    #[must_use]
    pub const fn audit(audit: Vec<Entry>) -> Self {
        let work = Work::Nothing;
        Self { work, audit }
    }
}

/// Messages and what became of them.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait MessageStore {
    /// Commits changes in one transaction, in this order: all or none. Gives
    /// what came of each.
    fn commit(&self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError>;
}
