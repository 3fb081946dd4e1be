//! A new signing key in the place of one that was stolen.
//!
//! The new key and its prekey are written beside the old ones, under names of
//! their own, then the database changes in one step, then the files take their
//! places. Killed in between, the next program that opens the practice does the
//! last step.

use std::fs;

use crate::audit::head::Head;
use crate::audit::{Action, Entry};
use crate::doctor::authority::leftovers::unused_prekeys;
use crate::doctor::authority::{AuthorityError, check_clock, encode_earlier};
use crate::doctor::practice::Practice;
use crate::doctor::setup::{self, SIGNING_KEY, SetupError, prekey_file};
use crate::doctor::staff::{self, StaffError};
use crate::doctor::tickets::ticket_code;
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::authority::{DoctorIdentity, OwnPrekey, certify_doctor};
use crate::identity::certificate::KeyId;
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{self, KeyKind};
use crate::new_file::sync_directory_of;
use crate::random::{OsRandom, Random};
use crate::store::{CertificateState, PapersChange, PrekeyRow, Store, TicketState, fact};

/// The new signing key until it takes the old one's place.
pub(super) const NEXT_KEY: &str = "signing-next.key";

/// Its prekey until then.
pub(super) const NEXT_PREKEY: &str = "prekey-next.key";

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// Name of the key that is no longer hers.
    pub old: KeyId,
    /// Name of the key that is.
    pub new: KeyId,
    /// Number of the list that names the old certificate.
    pub revoked_number: u64,
    /// So many certificates of patients were revoked.
    pub devices: usize,
    /// Of so many patients.
    pub patients: usize,
    /// Why the key's file is not in its place yet, if so. The key is hers all
    /// the same; the next program that opens the practice puts it there.
    pub unfinished: Option<String>,
}

/// Gives the doctor another signing key. The old certificate stands in the list
/// of revoked doctors from then on, and the certificates of all patients are
/// revoked: whoever has the old key could have issued some. No server may run
/// on the practice.
///
/// # Errors
/// [`AuthorityError`]. The doctor has the key she had then, unless the database
/// cannot tell whether what it wrote is on the disk: whoever opens the practice
/// next goes on with the key that the database names.
pub fn replace_key(
    practice: &Practice,
    root: &SignSecret,
    reason: &str,
    random: &mut dyn Random,
) -> Result<Replaced, AuthorityError> {
    let (identity, now) = (practice.identity(), practice.now());
    check_clock(&identity.certificate, now)?;
    let signing = SignSecret::generate(identity.group(), random);
    let prekey = OwnPrekey::generate(&signing, now, random);
    let new_key = signing.verifying_key().clone();
    let issuer = (&identity.root, root);
    let certificate = certify_doctor(issuer, &identity.certificate, new_key, now, random);
    let old = identity.certificate.subject();
    // Another doctor may have revoked somebody since this one was opened.
    let known =
        staff::revoked_list(&*practice.store, &identity.root).map_err(|error| match error {
            StaffError::Store(error) => AuthorityError::Store(error),
            _ => SetupError::Inconsistent("the list of revoked doctors").into(),
        })?;
    let revoked = known
        .extend(root, &old.clinic, &old.serial, now, random)
        .ok_or(AuthorityError::ListFull)?;
    let next = DoctorIdentity {
        root: identity.root.clone(),
        certificate,
        signing,
        prekeys: vec![prekey],
        revoked,
        earlier: identity.with_current_as_earlier(),
    };
    let (entries, mut replaced) = entries(practice, &identity, &next, reason)?;
    let row = write_keys(practice, &next)?;
    // If this fails, the keys stay: it may be on the disk all the same.
    commit(practice, &next, &row, &entries)?;
    practice.replace_identity(next);
    let finished = finish_key_change(&practice.directory, &*practice.store);
    replaced.unfinished = finished.err().map(|error| error.to_string());
    Ok(replaced)
}

/// What the audit log says of it: an entry for each certificate that is
/// revoked.
fn entries(
    practice: &Practice,
    old: &DoctorIdentity,
    new: &DoctorIdentity,
    reason: &str,
) -> Result<(Vec<Entry>, Replaced), AuthorityError> {
    let (old_key, new_key) = (old.certificate.key_id(), new.certificate.key_id());
    let detail = format!(
        "new signing key {}, certificate {}; certificate {} is revoked: {reason}",
        hex::encode(&new_key),
        hex::encode(&new.certificate.subject().serial),
        hex::encode(&old.certificate.subject().serial),
    );
    let doctor = old.identifier().as_str();
    let mut entries = vec![practice.by_doctor(Action::KeyChanged, doctor, &detail)];
    let mut patients = Vec::new();
    for row in practice.store.certificates()? {
        if row.state == CertificateState::Revoked {
            continue;
        }
        let serial = hex::encode(&row.serial);
        let detail = format!("certificate {serial}: the doctor's signing key was replaced");
        entries.push(practice.by_doctor(Action::Revoked, &row.subject, &detail));
        patients.push(row.subject);
    }
    // Whoever has stolen the key may have the tickets' secrets, too.
    for row in practice.store.tickets()? {
        if row.state == TicketState::Open {
            let detail = format!(
                "ticket {}: the doctor's signing key was replaced",
                ticket_code(&row.id)
            );
            entries.push(practice.by_doctor(Action::TicketRevoked, &row.subject, &detail));
        }
    }
    let devices = patients.len();
    patients.sort();
    patients.dedup();
    let replaced = Replaced {
        old: old_key,
        new: new_key,
        revoked_number: new.revoked.number(),
        devices,
        patients: patients.len(),
        unfinished: None,
    };
    Ok((entries, replaced))
}

/// Writes the new secrets beside the old ones.
fn write_keys(practice: &Practice, next: &DoctorIdentity) -> Result<PrekeyRow, SetupError> {
    let (directory, group) = (&practice.directory, next.group());
    // From an attempt that was cut short.
    for name in [NEXT_KEY, NEXT_PREKEY] {
        key_file::remove(&directory.path(name))?;
    }
    let secret = next.signing.to_bytes();
    setup::save(directory, NEXT_KEY, KeyKind::DoctorSigning, group, secret)?;
    let own = next
        .prekeys
        .first()
        .ok_or(SetupError::Inconsistent("a prekey"))?;
    let (row, secret) = (setup::prekey_row(own), own.secret.to_bytes());
    setup::save(directory, NEXT_PREKEY, KeyKind::Prekey, group, secret)?;
    Ok(row)
}

fn commit(
    practice: &Practice,
    next: &DoctorIdentity,
    prekey: &PrekeyRow,
    entries: &[Entry],
) -> Result<(), AuthorityError> {
    let now = practice.now();
    let earlier = encode_earlier(&next.earlier);
    let certificate = next.certificate.as_bytes();
    let facts = [
        (fact::DOCTOR_CERTIFICATE, certificate),
        (fact::REVOKED_DOCTORS, next.revoked.as_bytes()),
        (fact::EARLIER_CERTIFICATES, &earlier[..]),
        (fact::SIGNING_KEY_CHANGE, &[1]),
    ];
    let change = PapersChange {
        facts: &facts,
        prekey: Some(prekey),
    };
    // The new key vouches for all that the old one has left in the log.
    let mut sign = |number, link| Head::sign(next, (number, link), now, &mut OsRandom);
    practice
        .store
        .change_papers(&change, entries, certificate, &mut sign)?;
    Ok(())
}

/// Puts a new signing key in the place of the old one, if that is still to be
/// done, and deletes the secrets of prekeys that went with the old one.
///
/// # Errors
/// [`SetupError`].
pub fn finish_key_change(directory: &DataDir, store: &dyn Store) -> Result<(), SetupError> {
    if store.fact(fact::SIGNING_KEY_CHANGE)?.is_none() {
        return Ok(());
    }
    let take_place = |next: &str, place: &str| -> Result<(), SetupError> {
        let (next, place) = (directory.path(next), directory.path(place));
        if next.exists() {
            key_file::remove(&place)?;
            let moved = fs::rename(&next, &place).and_then(|()| sync_directory_of(&place));
            moved.map_err(|error| SetupError::Io(next, error))?;
        }
        Ok(())
    };
    take_place(NEXT_KEY, SIGNING_KEY)?;
    // The change has left no other prekey in the database.
    if let [only] = &*store.prekeys()? {
        take_place(NEXT_PREKEY, &prekey_file(&only.kid))?;
    }
    for name in unused_prekeys(directory, store)? {
        key_file::remove(&directory.path(&name))?;
    }
    store.remove_fact(fact::SIGNING_KEY_CHANGE)?;
    Ok(())
}
