//! A doctor's data directory: what the first start makes in it, and how it is
//! read again.

mod error;
mod opening;

pub use error::SetupError;
pub use opening::{is_new, look_at_store, open_store, reopen_store};

use std::fs;

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::authority;
use crate::doctor::practice::SERVER;
use crate::doctor::seen;
use crate::doctor::staff;
use crate::elgamal::{Group, KemSecret, SignSecret};
use crate::hex;
use crate::identity::authority::{DoctorIdentity, OwnPrekey, found_clinic};
use crate::identity::certificate::{Certificate, VerifiedCertificate, fingerprint};
use crate::identity::data_dir::DataDir;
use crate::identity::id::Identifier;
use crate::identity::key_file::{self, KeyFile, KeyFileError, KeyFileFault, KeyKind};
use crate::identity::prekey::{PrekeyId, VerifiedPrekey};
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;
use crate::secret::SecretBytes;
use crate::store::{PrekeyRow, Store, StoreError, StoreFault, fact};

/// The clinic's root secret: belongs into a drawer, not on this machine.
pub const ROOT_KEY: &str = "root.key";
pub use crate::identity::data_dir::SIGNING_KEY;

/// Where keys are read from: name and kind of a key file, its group and secret.
pub type Keys<'a> = &'a dyn Fn(&str, KeyKind) -> Result<([u8; 32], SecretBytes), KeyFileError>;

/// The first start: makes a clinic with one doctor. Files come first and the
/// database last, in one step: killed in between, the next start begins anew.
///
/// # Errors
/// [`SetupError`].
pub fn found(
    directory: &DataDir,
    store: &dyn Store,
    group: &Group,
    doctor: &Identifier,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<DoctorIdentity, SetupError> {
    for name in [
        ROOT_KEY,
        SIGNING_KEY,
        seen::CLINIC,
        seen::CLOSED,
        seen::MEMBERS,
    ] {
        set_aside(directory, name, now)?;
    }
    for row in store.prekeys()? {
        set_aside(directory, &prekey_file(&row.kid), now)?;
        store.remove_prekey(&row.kid, &[])?;
    }
    let (root_secret, identity) = found_clinic(group, doctor, now, random);
    save(
        directory,
        ROOT_KEY,
        KeyKind::RootSigning,
        group,
        root_secret.to_bytes(),
    )?;
    let signing = identity.signing.to_bytes();
    save(
        directory,
        SIGNING_KEY,
        KeyKind::DoctorSigning,
        group,
        signing,
    )?;
    for own in &identity.prekeys {
        add_prekey(directory, store, own, &[])?;
    }
    let modulus = if group.is_built_in() {
        &[]
    } else {
        group.modulus_bytes()
    };
    store.set_facts(&[
        (fact::GROUP, modulus),
        (fact::ROOT_CERTIFICATE, identity.root.as_bytes()),
        (fact::DOCTOR_CERTIFICATE, identity.certificate.as_bytes()),
        (fact::REVOKED_DOCTORS, identity.revoked.as_bytes()),
    ])?;
    Ok(identity)
}

/// A key file without a clinic in the database is left from a first start that
/// was cut short. Nothing was signed with it, but no secret is deleted unasked.
fn set_aside(directory: &DataDir, name: &str, now: Timestamp) -> Result<(), SetupError> {
    let path = directory.path(name);
    if !path.exists() {
        return Ok(());
    }
    let aside = directory.path(&format!("{name}.unused-{}", now.as_millis()));
    fs::rename(&path, aside).map_err(|error| SetupError::Io(path, error))
}

/// Reads what the first start made. The root's secret is not needed. Where several
/// share a store the root must be the one that was there at first. The
/// secrets of prekeys that have ended are deleted: what was recorded for them
/// stays closed from then on.
///
/// # Errors
/// [`SetupError`].
pub fn load(
    directory: &DataDir,
    store: &dyn Store,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<DoctorIdentity, SetupError> {
    authority::finish_key_change(directory, store)?;
    let keys = |name: &str, kind| directory.keyring().load(&directory.path(name), kind);
    let mut identity = load_with(&keys, store, now, random)?;
    let place = directory.path("");
    let papers = (&identity.root, &identity.revoked);
    seen::hold(&place, store, papers, now)?;
    identity.closed = seen::hold_closed(&place, store, &identity.root)?;
    seen::note_members(&place, store, &identity.root)?;
    // Outside the certificate's time it may be the clock that is wrong.
    if identity.certificate.check_dates(now).is_ok() {
        for row in store.prekeys()? {
            if now > row.not_after {
                remove_prekey(directory, store, &identity, &row.kid, now)?;
            }
        }
    }
    Ok(identity)
}

/// Reads what the first start made, with its keys from anywhere, and changes
/// nothing.
///
/// # Errors
/// [`SetupError`].
pub fn load_with(
    keys: Keys<'_>,
    store: &dyn Store,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<DoctorIdentity, SetupError> {
    let DoctorPapers {
        root,
        certificate,
        revoked,
        earlier,
    } = load_papers(store, random)?;
    let signing = signing_key(root.group(), &keys(SIGNING_KEY, KeyKind::DoctorSigning)?)?;
    let is_of =
        |papers: &VerifiedCertificate| papers.subject().signing_key == *signing.verifying_key();
    if !is_of(&certificate) {
        let is_revoked = |each: &&VerifiedCertificate| revoked.contains(&each.subject().serial);
        let former = earlier.iter().filter(is_revoked).find(|each| is_of(each));
        return Err(match former {
            Some(former) => SetupError::Dismissed(former.subject().identifier.clone()),
            None => SetupError::Inconsistent("the file signing.key"),
        });
    }
    let prekeys = load_prekeys(keys, store, &certificate, now)?;
    let closed = staff::stored_closed(store, &root)?;
    Ok(DoctorIdentity {
        root,
        certificate,
        signing,
        prekeys,
        revoked,
        closed,
        earlier,
    })
}

/// What the root has signed, in a doctor's database.
#[derive(Debug)]
pub struct DoctorPapers {
    /// The clinic's root certificate.
    pub root: VerifiedCertificate,
    /// The doctor's certificate.
    pub certificate: VerifiedCertificate,
    /// The clinic's list of revoked doctors.
    pub revoked: RevokedDoctors,
    /// The certificates the doctor had before.
    pub earlier: Vec<VerifiedCertificate>,
}

/// Reads the papers, without any key.
///
/// # Errors
/// [`SetupError`].
pub fn load_papers(store: &dyn Store, random: &mut dyn Random) -> Result<DoctorPapers, SetupError> {
    let root = load_root(store, random)?;
    let Some(bytes) = store.fact(fact::DOCTOR_CERTIFICATE)? else {
        return Err(match store.clinic() {
            Some(_) => SetupError::NotJoined,
            None => SetupError::Inconsistent("the doctor's certificate"),
        });
    };
    let certificate = Certificate::decode(&bytes, root.group())
        .and_then(|certificate| root.accept_issued(certificate))
        .map_err(|_| SetupError::Inconsistent("the doctor's certificate"))?;
    let revoked = load_revoked(store, &root)?;
    let earlier = authority::read_earlier(store, &root)?;
    Ok(DoctorPapers {
        root,
        certificate,
        revoked,
        earlier,
    })
}

/// Reads the clinic's list of revoked doctors.
///
/// # Errors
/// [`SetupError`].
pub fn load_revoked(
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<RevokedDoctors, SetupError> {
    stored_revoked(store, root)?.ok_or(SetupError::Inconsistent("the list of revoked doctors"))
}

/// The list of revoked doctors in the store; none if there is none that this root
/// has signed, or if what is there cannot be one.
///
/// # Errors
/// [`StoreError`].
pub fn stored_revoked(
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<Option<RevokedDoctors>, StoreError> {
    let bytes = match store.fact(fact::REVOKED_DOCTORS) {
        Err(error) if matches!(error.fault(), StoreFault::Damaged(_)) => return Ok(None),
        found => found?,
    };
    Ok(bytes.and_then(|bytes| RevokedDoctors::accept(&bytes, root).ok()))
}

/// A signing key of this group, from the group and the secret that its file holds.
///
/// # Errors
/// [`SetupError::Inconsistent`].
pub(in crate::doctor) fn signing_key(
    group: &Group,
    (of, secret): &([u8; 32], SecretBytes),
) -> Result<SignSecret, SetupError> {
    SignSecret::from_bytes(group, secret.expose())
        .ok()
        .filter(|_| of == group.id())
        .ok_or(SetupError::Inconsistent("the file signing.key"))
}

/// Reads the clinic's root certificate, which nobody has compared with a
/// fingerprint yet.
///
/// # Errors
/// [`SetupError`].
pub fn load_root(
    store: &dyn Store,
    random: &mut dyn Random,
) -> Result<VerifiedCertificate, SetupError> {
    let damaged = || SetupError::Inconsistent("the root certificate");
    let bytes = store.fact(fact::ROOT_CERTIFICATE)?.ok_or_else(damaged)?;
    let group = stored_group(store, &bytes, random)?;
    Certificate::decode(&bytes, &group)
        .and_then(|root| VerifiedCertificate::root(root, &fingerprint(&bytes)))
        .map_err(|_| damaged())
}

fn stored_group(
    store: &dyn Store,
    root: &[u8],
    random: &mut dyn Random,
) -> Result<Group, SetupError> {
    let damaged = || SetupError::Inconsistent("the group");
    let modulus = store.fact(fact::GROUP)?.ok_or_else(damaged)?;
    if modulus.is_empty() {
        let id = Certificate::group_id(root).ok_or_else(damaged)?;
        Group::built_in(&id).ok_or_else(damaged)
    } else {
        Group::import(&modulus, random).map_err(|_| damaged())
    }
}

/// The prekeys that have not ended, the one that begins first first. One whose
/// file is missing is not among them: patients who know no other are given one
/// when they ask, so that nothing has to stop for it.
fn load_prekeys(
    keys: Keys<'_>,
    store: &dyn Store,
    doctor: &VerifiedCertificate,
    now: Timestamp,
) -> Result<Vec<OwnPrekey>, SetupError> {
    let mut prekeys = Vec::new();
    for row in store.prekeys()? {
        if now > row.not_after {
            continue;
        }
        let damaged = || SetupError::Inconsistent("a prekey");
        let prekey = VerifiedPrekey::accept(&row.bytes, doctor).map_err(|_| damaged())?;
        let (group, secret) = match keys(&prekey_file(&row.kid), KeyKind::Prekey) {
            Err(error) if matches!(error.fault(), KeyFileFault::Missing) => continue,
            other => other?,
        };
        let secret = KemSecret::from_bytes(doctor.group(), secret.expose())
            .ok()
            .filter(|_| group == *doctor.group().id())
            .filter(|secret| secret.public() == prekey.key())
            .ok_or_else(damaged)?;
        prekeys.push(OwnPrekey { prekey, secret });
    }
    prekeys.sort_by_key(|own| own.prekey.not_before());
    Ok(prekeys)
}

/// The files of prekeys that have not ended and that are missing.
///
/// # Errors
/// [`SetupError::Store`].
pub fn missing_prekeys(
    directory: &DataDir,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<String>, SetupError> {
    let rows = store.prekeys()?.into_iter();
    let files = rows
        .filter(|row| now <= row.not_after)
        .map(|row| prekey_file(&row.kid));
    Ok(files
        .filter(|file| !directory.path(file).exists())
        .collect())
}

/// Renews what is due in time: adds a prekey when none that is valid has a
/// week left, and drops those that have ended. True if anything changed.
///
/// # Errors
/// [`SetupError`].
pub fn renew_prekeys(
    directory: &DataDir,
    store: &dyn Store,
    identity: &mut DoctorIdentity,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<bool, SetupError> {
    let mut changed = false;
    if identity.needs_prekey(now) {
        let own = OwnPrekey::generate(&identity.signing, now, random);
        let entry = prekey_entry(identity, "new prekey", &own.prekey.id(), now);
        add_prekey(directory, store, &own, &[entry])?;
        identity.prekeys.push(own);
        identity.prekeys.sort_by_key(|own| own.prekey.not_before());
        changed = true;
    }
    let ended: Vec<PrekeyId> = identity
        .prekeys
        .iter()
        .filter(|own| now > own.prekey.not_after())
        .map(|own| own.prekey.id())
        .collect();
    for kid in ended {
        remove_prekey(directory, store, identity, &kid, now)?;
        identity.prekeys.retain(|own| own.prekey.id() != kid);
        changed = true;
    }
    Ok(changed)
}

pub(super) fn add_prekey(
    directory: &DataDir,
    store: &dyn Store,
    own: &OwnPrekey,
    audit: &[Entry],
) -> Result<(), SetupError> {
    let kid = own.prekey.id();
    let group = own.prekey.key().group();
    let secret = own.secret.to_bytes();
    save(
        directory,
        &prekey_file(&kid),
        KeyKind::Prekey,
        group,
        secret,
    )?;
    Ok(store.add_prekey(&prekey_row(own), audit)?)
}

/// What the database holds of a prekey.
pub(super) fn prekey_row(own: &OwnPrekey) -> PrekeyRow {
    PrekeyRow {
        kid: own.prekey.id(),
        bytes: own.prekey.as_bytes().to_vec(),
        not_before: own.prekey.not_before(),
        not_after: own.prekey.not_after(),
    }
}

/// Deletes the secret of a prekey, and then what is public of it.
fn remove_prekey(
    directory: &DataDir,
    store: &dyn Store,
    doctor: &DoctorIdentity,
    kid: &PrekeyId,
    now: Timestamp,
) -> Result<(), SetupError> {
    key_file::remove(&directory.path(&prekey_file(kid)))?;
    let entry = prekey_entry(doctor, "deleted prekey", kid, now);
    store.remove_prekey(kid, &[entry])?;
    Ok(())
}

fn prekey_entry(doctor: &DoctorIdentity, what: &str, kid: &PrekeyId, now: Timestamp) -> Entry {
    let detail = format!("{what} {}", hex::encode(kid));
    let doctor = doctor.identifier().as_str();
    Entry::new(now, SERVER, Action::KeyChanged, doctor, &detail)
}

/// The name of a prekey's file.
#[must_use]
pub fn prekey_file(kid: &PrekeyId) -> String {
    format!("prekey-{}.key", hex::encode(kid))
}

/// Writes a secret into a new key file.
pub(super) fn save(
    directory: &DataDir,
    name: &str,
    kind: KeyKind,
    group: &Group,
    secret: SecretBytes,
) -> Result<(), SetupError> {
    let key = KeyFile {
        kind,
        group: *group.id(),
        secret,
    };
    Ok(directory.keyring().save(&directory.path(name), &key)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::random::OsRandom;
    use crate::store::{AuditStore, TrustStore};
    use crate::testing::NOW;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_prekey_that_has_ended_is_deleted_and_that_is_logged() {
        for at_start in [true, false] {
            let base = TempDir::new().unwrap();
            let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
            let store = open_store(&directory).unwrap();
            let (group, doctor) = (Group::ffdhe2048(), "D1".parse().unwrap());
            let random = &mut OsRandom;
            let mut identity = found(&directory, &store, &group, &doctor, NOW, random).unwrap();
            let [first] = &*store.prekeys().unwrap() else {
                panic!("there is one prekey at first");
            };
            let later = first.not_after.plus(DAY);
            if at_start {
                load(&directory, &store, later, random).unwrap();
            } else {
                assert!(renew_prekeys(&directory, &store, &mut identity, later, random).unwrap());
            }
            assert!(!directory.path(&prekey_file(&first.kid)).exists());
            let logged = store.audit(1, 9).unwrap();
            let last = logged.last().unwrap();
            assert_eq!(last.action, Action::KeyChanged.word());
            assert_eq!(
                last.detail,
                format!("deleted prekey {}", hex::encode(&first.kid))
            );
            assert_eq!((&*last.actor, &*last.subject), (SERVER, "D1"));
            // Once.
            load(&directory, &store, later, random).unwrap();
            assert_eq!(store.audit(1, 9).unwrap(), logged);
        }
    }
}
