//! Certificates that need not stand in the list of revoked doctors any more.
//!
//! An assistant's or auditor's that has ended is refused wherever it is shown, and
//! no patient ever sees one. A doctor's stays in the list for good: her programs
//! open the books also when it has ended, unless it is revoked.

use std::collections::BTreeSet;
use std::time::Duration;

use super::papers;
use crate::clock::Timestamp;
use crate::identity::certificate::{Certificate, Serial, VerifiedCertificate};
use crate::store::{Store, StoreError};

/// So long after its end a certificate still stands in the list, as long as what
/// its holder wrote before is given: clocks may be off.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Those that are over.
#[must_use]
pub fn over(all: &[VerifiedCertificate], now: Timestamp) -> BTreeSet<Serial> {
    let subjects = all.iter().map(|certificate| certificate.subject());
    let over = subjects.filter(|it| it.role.lacks_node() && it.not_after.plus(KEPT) < now);
    over.map(|subject| subject.serial).collect()
}

/// Those of these that are over, as far as the store has their certificates.
///
/// # Errors
/// [`StoreError`].
pub fn over_among(
    store: &dyn Store,
    root: &VerifiedCertificate,
    serials: &[Serial],
    now: Timestamp,
) -> Result<BTreeSet<Serial>, StoreError> {
    let is_asked = |bytes: &[u8]| {
        let serial = Certificate::serial_in(bytes);
        serial.is_some_and(|serial| serials.contains(&serial))
            && Certificate::end_of(bytes).is_some_and(|end| end < now)
    };
    let asked = papers::of_who_lacks_a_node(store, root, is_asked)?;
    Ok(over(&asked, now))
}
