//! The certificates of those who work in a clinic, as they were seen and checked, in a
//! file beside `clinic.json`: whoever is to be revoked is known by them, also when
//! somebody has taken her rows out of the database, or hidden them among others.

use std::collections::BTreeSet;
use std::path::Path;

use super::files;
use crate::codec::{Reader, Writer};
use crate::doctor::setup::SetupError;
use crate::doctor::staff;
use crate::identity::certificate::{Fingerprint, VerifiedCertificate, fingerprint};
use crate::store::Store;

/// Name of the file: `LP16(certificate)*`, in the order in which they were seen.
pub const MEMBERS: &str = "members";

/// At most so many are kept, those that were seen last.
const MOST: usize = 512;
/// At most so many that are new are checked at one look.
const AT_ONCE: usize = 64;

/// The bytes of the certificates that were noted. Whoever uses one checks it.
///
/// # Errors
/// [`SetupError::Io`].
pub fn noted_members(directory: &Path) -> Result<Vec<Vec<u8>>, SetupError> {
    let bytes = files::read(directory, MEMBERS)?;
    let mut reader = Reader::new(&bytes);
    let mut all = Vec::new();
    while let Ok(certificate) = reader.lp16() {
        all.push(certificate.to_vec());
    }
    Ok(all)
}

/// Notes who is new.
///
/// # Errors
/// [`SetupError`].
pub fn note_members(
    directory: &Path,
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<(), SetupError> {
    if store.clinic().is_none() {
        return Ok(());
    }
    let mut all = noted_members(directory)?;
    let known: BTreeSet<Fingerprint> = all.iter().map(|bytes| fingerprint(bytes)).collect();
    let new = staff::new_certificates(store, root, &known, AT_ONCE)?;
    if new.is_empty() {
        return Ok(());
    }
    all.extend(new.iter().map(|each| each.as_bytes().to_vec()));
    all.drain(..all.len().saturating_sub(MOST));
    let bytes = all.iter().fold(Writer::new(), |to, each| to.lp16(each));
    files::write(directory, MEMBERS, &bytes.finish())
}
