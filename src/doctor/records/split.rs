//! Splitting what earlier versions sealed in one piece, so that who has only the
//! key of the contact part can read that.
//!
//! A record is as readable before as after it, for a doctor. What is split is seen
//! in the row itself: whoever opens the practice next goes on where this stopped.

use super::RecordError;
use super::sealed::{open_whole, seal};
use crate::audit::{Action, Entry};
use crate::clock::Clock;
use crate::doctor::practice::SERVER;
use crate::store::{RecordRow, Store, StoreError};
use crate::vault::{Vault, column};

/// Records that are split in one transaction: other nodes of a clinic wait for
/// each, up to two tenths of a second on a busy machine.
const BATCH: u32 = 500;

/// Splits all records that are in one piece, if this vault has the keys to both
/// parts. One that does not open stays as it is.
///
/// # Errors
/// [`StoreError`]; what was split until then stays so.
pub(in crate::doctor) fn split_old(
    store: &dyn Store,
    vault: &Vault,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    if !vault.opens(column::RECORD) || !vault.opens(column::CONTACT) {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let rows = store.unsplit_records(&after, BATCH)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after.clone_from(&last.patient);
        let mut split: Vec<RecordRow> = Vec::with_capacity(rows.len());
        for row in rows {
            match open_whole(vault, &row) {
                Ok(content) => split.push(seal(vault, row, &content)?),
                Err(RecordError::Store(error)) => return Err(error),
                // The doctor is told when it is read.
                Err(_) => {}
            }
        }
        let entry = |count: u64| {
            let detail = format!("{count} records");
            Entry::new(clock.now(), SERVER, Action::RecordsSplit, "", &detail)
        };
        if !split.is_empty() {
            store.split_records(&split, &entry)?;
        }
    }
}
