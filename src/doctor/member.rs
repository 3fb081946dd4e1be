//! Those who work in a clinic without a node, assistants and auditors: their
//! papers and keys. Doctors' are [`setup`]'s.

use crate::clock::Timestamp;
use crate::doctor::seen;
use crate::doctor::setup::{self, SIGNING_KEY, SetupError};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Certificate, Role, VerifiedCertificate};
use crate::identity::closing::ClosedKeys;
use crate::identity::data_dir::DataDir;
use crate::identity::join::ColumnKeys;
use crate::identity::key_file::KeyKind;
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;
use crate::store::{FactStore, Store, StoreError, fact};
use crate::vault::{COLUMN_KEYS, DATA_KEY, Vault, VaultError};

/// The roles of those who have no node.
const ROLES: [Role; 2] = [Role::Assistant, Role::Auditor];

/// Whether this may be the directory of one who has no node: somebody's who is
/// known to have no data key. The store tells.
#[must_use]
pub fn may_lack_node(directory: &std::path::Path) -> bool {
    directory.join(SIGNING_KEY).exists() && !directory.join(DATA_KEY).exists()
}

/// Whether she whose view of the store this is works in its clinic without a
/// node.
///
/// # Errors
/// [`StoreError`].
pub fn lacks_node(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.clinic().is_some()
        && store.fact(fact::DOCTOR_CERTIFICATE)?.is_none()
        && store.fact(fact::OWN_CERTIFICATE)?.is_some())
}

/// Her certificate, the root it is signed by, and the clinic's list of revoked
/// ones.
///
/// # Errors
/// [`SetupError::NotJoined`]; [`SetupError`] if something is damaged.
pub fn papers(
    store: &dyn Store,
    random: &mut dyn Random,
) -> Result<(VerifiedCertificate, VerifiedCertificate, RevokedDoctors), SetupError> {
    let root = setup::load_root(store, random)?;
    let own = store.fact(fact::OWN_CERTIFICATE)?;
    let own = own.ok_or(SetupError::NotJoined)?;
    let certificate = accept(&own, &root).ok_or(SetupError::Inconsistent("her certificate"))?;
    let revoked = setup::load_revoked(store, &root)?;
    Ok((root, certificate, revoked))
}

fn accept(bytes: &[u8], root: &VerifiedCertificate) -> Option<VerifiedCertificate> {
    let certificate = Certificate::decode(bytes, root.group()).ok()?;
    let certificate = root.accept_member(certificate).ok()?;
    ROLES
        .contains(&certificate.subject().role)
        .then_some(certificate)
}

/// Her keys and papers, without a prekey: no patient talks to her. Nobody whose
/// certificate was revoked or has ended gets any further.
///
/// # Errors
/// [`SetupError`].
pub fn load(
    directory: &DataDir,
    store: &dyn Store,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<DoctorIdentity, SetupError> {
    let (root, certificate, revoked) = papers(store, random)?;
    let path = directory.path(SIGNING_KEY);
    let loaded = directory.keyring().load(&path, KeyKind::DoctorSigning)?;
    let signing = setup::signing_key(root.group(), &loaded)?;
    if *signing.verifying_key() != certificate.subject().signing_key {
        return Err(SetupError::Inconsistent("the file signing.key"));
    }
    seen::hold(&directory.path(""), store, (&root, &revoked), now)?;
    let subject = certificate.subject();
    if revoked.contains(&subject.serial) {
        return Err(SetupError::Dismissed(subject.identifier.clone()));
    }
    if let Err(error) = certificate.check_dates(now) {
        return Err(SetupError::Dates(subject.identifier.clone(), error));
    }
    Ok(DoctorIdentity {
        root,
        certificate,
        signing,
        prekeys: Vec::new(),
        revoked,
        // No patient talks to her.
        closed: ClosedKeys::default(),
        earlier: Vec::new(),
    })
}

/// What she can open: the columns she was given a key to.
///
/// # Errors
/// [`VaultError`].
pub fn vault(directory: &DataDir, store: &dyn FactStore, role: Role) -> Result<Vault, VaultError> {
    let known = store.fact(fact::DATA_KEY)?;
    let known = known.and_then(|id| <[u8; 16]>::try_from(id).ok());
    let known = known.ok_or(VaultError::OtherKey)?;
    if role != Role::Assistant {
        let none = ColumnKeys::new(Vec::new()).map_err(|_| VaultError::OtherKey)?;
        return Ok(Vault::of_columns(known, none));
    }
    let vault = Vault::load_columns(&directory.path(COLUMN_KEYS), directory.keyring())?;
    match vault.id() == known {
        true => Ok(vault),
        false => Err(VaultError::OtherKey),
    }
}
