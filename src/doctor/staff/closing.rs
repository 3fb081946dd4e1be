//! What a doctor's key has certified, when it is hers no more: the root says which of
//! the patients' certificates are good, and no other is accepted from then on, whoever
//! has the key and can write to the database.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::doctor::sifted::each_page;
use crate::doctor::staff::{Enrolled, StaffError, certificates, certificates_with};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::certificate::{
    Certificate, Fingerprint, KeyId, Role, VerifiedCertificate, fingerprint,
};
use crate::identity::closing::{ClosedKeys, Closing};
use crate::identity::id::Identifier;
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;
use crate::store::{CertificateState, Store, StoreError, StoreFault, fact};

/// The keys that are closed, as the store says. What is too long to be read, or
/// damaged, counts as nothing.
///
/// # Errors
/// [`StoreError`].
pub fn stored(store: &dyn Store, root: &VerifiedCertificate) -> Result<ClosedKeys, StoreError> {
    let bytes = match store.fact(fact::CLOSED_KEYS) {
        Err(error) if matches!(error.fault(), StoreFault::Damaged(_)) => None,
        found => found?,
    };
    Ok(ClosedKeys::read(&bytes.unwrap_or_default(), root))
}

/// The same, and those that are known here besides.
pub(in crate::doctor) fn known(
    store: &dyn Store,
    root: &VerifiedCertificate,
    here: &ClosedKeys,
) -> Result<ClosedKeys, StoreError> {
    let mut all = stored(store, root)?;
    all.merge(here);
    Ok(all)
}

/// The names of the keys with which somebody has certified patients, by these
/// certificates.
pub(super) fn keys_of(member: &Identifier, all: &[VerifiedCertificate]) -> BTreeSet<KeyId> {
    let subject = |it: &&VerifiedCertificate| {
        it.subject().identifier == *member && it.subject().role == Role::Doctor
    };
    let of_her = all.iter().filter(subject);
    of_her.map(|certificate| certificate.key_id()).collect()
}

/// The certificates in use that a key has signed, by the word of the store, but for
/// those that are revoked with it and those that an earlier statement does not name.
fn good(
    store: &dyn Store,
    key: &KeyId,
    known: &ClosedKeys,
    revoked: Option<Enrolled>,
) -> Result<BTreeSet<Fingerprint>, StoreError> {
    let stays = |created: Timestamp| match revoked {
        None => true,
        Some(Enrolled { since }) => since.is_some_and(|since| created < since),
    };
    let mut all = BTreeSet::new();
    each_page(store, None, |page| {
        let signed = page.iter().filter(|row| {
            row.state == CertificateState::Active
                && Certificate::issuer_in(&row.bytes).as_ref() == Some(key)
                && stays(row.created)
        });
        all.extend(signed.map(|row| fingerprint(&row.bytes)));
        Ok(())
    })?;
    all.retain(|it| !known.refuses(key, it));
    Ok(all)
}

/// Says of each of these keys which of the patients' certificates that it has signed
/// are good: those in use now, without those that are revoked with her. `list` is the
/// list of revoked doctors that comes with it.
///
/// # Errors
/// [`StoreError`].
pub(in crate::doctor) fn close(
    store: &dyn Store,
    (root, secret): (&VerifiedCertificate, &SignSecret),
    (keys, known): (&BTreeSet<KeyId>, &ClosedKeys),
    (list, revoked): (&RevokedDoctors, Option<Enrolled>),
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Vec<Closing>, StoreError> {
    let clinic = &root.subject().clinic;
    let sign = |key: &KeyId| {
        let good = good(store, key, known, revoked)?;
        let key = (*key, list.number());
        Ok(Closing::sign(secret, clinic, key, &good, now, random))
    };
    keys.iter().map(sign).collect()
}

/// The same of all keys that somebody has had as a doctor, by the certificates in the
/// store and those that were noted.
///
/// # Errors
/// [`StoreError`].
pub fn close_keys_of(
    store: &dyn Store,
    root: (&VerifiedCertificate, &SignSecret),
    (member, noted, known): (&Identifier, &[Vec<u8>], &ClosedKeys),
    list: (&RevokedDoctors, Option<Enrolled>),
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Vec<Closing>, StoreError> {
    let keys = keys_of(member, &certificates_with(store, root.0, (member, noted))?);
    close(store, root, (&keys, known), list, now, random)
}

/// Whether a key with which somebody has certified patients is not closed.
pub(super) fn has_open_key(
    member: &Identifier,
    all: &[VerifiedCertificate],
    known: &ClosedKeys,
) -> bool {
    keys_of(member, all).iter().any(|key| !known.contains(key))
}

/// The doctors who have left and one of whose keys is not closed, since an earlier
/// version has revoked them, in order of their names.
///
/// # Errors
/// [`StoreError`].
pub fn unclosed(practice: &Practice) -> Result<Vec<String>, StoreError> {
    let (store, identity) = (&*practice.store, practice.identity());
    let known = known(store, &identity.root, &identity.closed)?;
    let (mut open, mut here) = (BTreeSet::new(), BTreeSet::new());
    for certificate in certificates(store, &identity.root)? {
        let subject = certificate.subject();
        let name = subject.identifier.to_string();
        if !identity.revoked.contains(&subject.serial) {
            here.insert(name);
        } else if subject.role == Role::Doctor && !known.contains(&certificate.key_id()) {
            open.insert(name);
        }
    }
    Ok(open.difference(&here).cloned().collect())
}

/// All closed keys with these, whose certificates are looked up again, as a fact.
///
/// # Errors
/// [`StaffError::Overtaken`] if they are not those any more that the root has spoken
/// of; [`StaffError::Unfit`], [`StaffError::TooMany`].
pub(super) fn with(
    store: &dyn Store,
    (root, mut known): (&VerifiedCertificate, ClosedKeys),
    (closings, keys): (&[String], &BTreeSet<KeyId>),
    (list, revoked): (&RevokedDoctors, Option<Enrolled>),
) -> Result<Vec<u8>, StaffError> {
    for text in closings {
        let bytes = hex::decode(text).unwrap_or_default();
        let closing = Closing::accept(&bytes, root)
            .map_err(|_| StaffError::Unfit("this clinic's root has not signed what it closes"))?;
        if closing.number() != list.number() || !keys.contains(closing.key()) {
            return Err(StaffError::Unfit("what it closes is another key"));
        }
        let good = good(store, closing.key(), &known, revoked)?;
        if !closing.speaks_of(&good) {
            return Err(StaffError::Overtaken);
        }
        known.add(closing, Some(good));
    }
    known.to_bytes().ok_or(StaffError::TooMany)
}
