//! The whole store at once: for a backup, and for looking at one.

use std::path::Path;

use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::vault::Column;

/// How much a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inventory {
    /// Patients who have enrolled.
    pub patients: u64,
    /// Their devices.
    pub devices: u64,
    /// Patients' records.
    pub records: u64,
    /// Messages of the doctor's.
    pub messages: u64,
    /// Messages of patients'.
    pub incoming: u64,
    /// Entries of the audit log.
    pub audit: u64,
    /// When the newest of these was made.
    pub newest: Option<Timestamp>,
}

/// A sealed value where it lies.
#[derive(Clone, Copy, Debug)]
pub struct SealedValue<'a> {
    /// The table.
    pub table: &'static str,
    /// What the vault calls the column.
    pub column: Column,
    /// What the vault calls the row.
    pub row: &'a [u8],
    /// The value.
    pub sealed: &'a [u8],
}

/// The store as a whole.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait BackupStore {
    /// Copies everything, as it is at one moment, into a new database `file`
    /// that its owner alone can read, while others go on reading and writing.
    /// Asks every now and then whether to go on; false if it was not to, and
    /// then the file is of no use.
    fn snapshot(&self, file: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, StoreError>;

    /// Reads everything to see whether it is sound, while others go on reading
    /// and writing. Asks every now and then whether to go on; false if it was not
    /// to, and then nothing is known.
    fn check_while(&self, go_on: Box<dyn Fn() -> bool + Send>) -> Result<bool, StoreError>;

    /// The same to the end.
    fn check(&self) -> Result<(), StoreError> {
        self.check_while(Box::new(|| true)).map(drop)
    }

    /// Counts what there is.
    fn inventory(&self) -> Result<Inventory, StoreError>;

    /// Shows every sealed value.
    fn each_sealed(&self, look: &mut dyn FnMut(SealedValue<'_>)) -> Result<(), StoreError>;
}
