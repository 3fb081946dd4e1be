//! The audit log in the store.

use crate::audit::{Entry, Link};
use crate::clock::Timestamp;
use crate::store::StoreError;

/// An entry as it lies in the store. Its words are as they were found, so that
/// a changed one can be noticed and shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its place in the log, from 1 on.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To whom.
    pub subject: String,
    /// More about it.
    pub detail: String,
    /// Its link of the chain.
    pub link: Link,
}

/// The audit log, which only grows.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait AuditStore {
    /// Adds entries, all or none. What changes something else as well takes
    /// its entries along, so that both are kept or neither.
    fn append_audit(&self, entries: &[Entry]) -> Result<(), StoreError>;

    /// At most `limit` entries from `first` on, in order.
    fn audit(&self, first: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Number and link of the last entry; none if the log is empty.
    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError>;
}
