//! The audit log in the store.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::audit::head::Head;
use crate::audit::{Action, Entry, Link};
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

impl AuditRow {
    /// Its words, as they go into its link.
    #[must_use]
    pub fn words(&self) -> [&str; 4] {
        [&self.actor, &self.action, &self.subject, &self.detail]
    }
}

/// Which entries are wanted: those for which all that is said holds.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuditFilter {
    /// Not older than this, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Not younger than this, in milliseconds since 1970.
    pub until: Option<u64>,
    /// With this patient as actor or subject.
    pub patient: Option<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// With this word as action.
    pub action: Option<String>,
    /// With this text in any of its words, in small or capital letters.
    pub text: Option<String>,
}

impl AuditFilter {
    /// Lets all entries of this action through.
    #[must_use]
    pub fn of(action: Action) -> Self {
        Self {
            action: Some(action.word().to_owned()),
            ..Self::default()
        }
    }
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

    /// At most `limit` of the entries that `filter` lets through, of those with
    /// these numbers, in order.
    fn find_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError>;

    /// The number of the `nth` entry from the end, from 1 on, that `filter`
    /// lets through, of those with these numbers; and of the first one if there
    /// are fewer.
    fn nth_last_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        nth: u64,
    ) -> Result<Option<u64>, StoreError>;

    /// Number and link of the last entry; none if the log is empty.
    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError>;

    /// Adds a signed head, and the certificate to check it with if it is not
    /// there yet. False, and nothing is changed, if there is a head of this
    /// number already.
    fn add_signed_head(&self, head: &Head, certificate: &[u8]) -> Result<bool, StoreError>;

    /// Adds entries and the signed head of the last one, all or nothing, with
    /// the certificate to check it with. `sign` is given number and link of
    /// that entry. A head that lies there under its number already speaks of
    /// no entry of this log: it is replaced.
    fn append_signed(
        &self,
        entries: &[Entry],
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError>;

    /// How many entries and heads have a number that none can have. No other
    /// method looks at them.
    fn impossible_numbers(&self) -> Result<u64, StoreError>;

    /// At most `limit` signed heads from entry `first` on, in order.
    fn signed_heads(&self, first: u64, limit: usize) -> Result<Vec<Head>, StoreError>;

    /// The signed head with the highest number.
    fn newest_signed_head(&self) -> Result<Option<Head>, StoreError>;

    /// The doctor's certificates to check signed heads with.
    fn signing_certificates(&self) -> Result<Vec<Vec<u8>>, StoreError>;
}
