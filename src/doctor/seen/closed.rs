//! What one who works in a clinic has seen of its closed keys: beside `clinic.json`,
//! in a file of their own, since they name devices one by one. Whoever can write to
//! the database can take a statement out of it, or put an earlier one back: it is gone
//! by what was seen.

use std::path::Path;

use super::files;
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::practice::SERVER;
use crate::doctor::setup::{self, SetupError};
use crate::doctor::staff;
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::closing::ClosedKeys;
use crate::random::Random;
use crate::store::{Store, fact};

/// Name of the file: it holds the same as the fact `closed keys`.
pub const CLOSED: &str = "closed-keys";

/// The keys that are closed by what the database says, or by what was noted.
///
/// # Errors
/// [`SetupError`].
pub fn closed_keys(
    directory: &Path,
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<ClosedKeys, SetupError> {
    let found = staff::stored_closed(store, root)?;
    let noted = files::read(directory, CLOSED)?;
    // As nearly always: each signature is checked once.
    if noted.is_empty() || found.to_bytes().as_ref() == Some(&noted) {
        return Ok(found);
    }
    let mut all = ClosedKeys::read(&noted, root);
    all.merge(&found);
    Ok(all)
}

/// The same, and notes them.
///
/// # Errors
/// [`SetupError`].
pub fn hold_closed(
    directory: &Path,
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<ClosedKeys, SetupError> {
    let all = closed_keys(directory, store, root)?;
    if store.clinic().is_none() {
        return Ok(all);
    }
    let bytes = all.to_bytes().unwrap_or_default();
    if !bytes.is_empty() && bytes != files::read(directory, CLOSED)? {
        files::write(directory, CLOSED, &bytes)?;
    }
    Ok(all)
}

/// Puts statements that a doctor has seen into the database again, where they are
/// missing or earlier ones are there, and logs that; says whether it did.
///
/// # Errors
/// [`SetupError`].
pub fn put_closed_back(
    directory: &Path,
    store: &dyn Store,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<bool, SetupError> {
    let Some(clinic) = store.clinic() else {
        return Ok(false);
    };
    if files::read(directory, CLOSED)?.is_empty() {
        return Ok(false);
    }
    let papers = setup::load_papers(store, random)?;
    super::check_root(directory, &papers.root.fingerprint())?;
    let list = papers.revoked.as_bytes();
    let found = staff::stored_closed(store, &papers.root)?.to_bytes();
    let all = closed_keys(directory, store, &papers.root)?.to_bytes();
    let Some(all) = all.filter(|all| found.as_ref() != Some(all)) else {
        return Ok(false);
    };
    let own = papers.certificate.subject().identifier.as_str();
    let detail = "what the root has said of former doctors' keys was put back";
    let entry = Entry::new(now, SERVER, Action::KeyChanged, own, detail);
    let facts = [(fact::CLOSED_KEYS, &all[..])];
    // Whoever changes them changes the list, too.
    Ok(clinic.put_revoked_list((list, list), &facts, &[entry])?)
}
