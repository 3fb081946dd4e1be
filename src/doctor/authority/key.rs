//! A new signing key in the place of one that was stolen.
//!
//! The new key and its prekey are written beside the old ones, under names of
//! their own, then the database changes in one step, then the files take their
//! places. Killed in between, the next program that opens the practice does the
//! last step.

use std::collections::BTreeSet;
use std::fs;

use crate::audit::head::Head;
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::authority::leftovers::unused_prekeys;
use crate::doctor::authority::{AuthorityError, check_clock, encode_earlier, staff_failed};
use crate::doctor::practice::Practice;
use crate::doctor::setup::{self, SIGNING_KEY, SetupError, prekey_file};
use crate::doctor::sifted::each_page;
use crate::doctor::staff::{self, Enrolled};
use crate::doctor::tickets::ticket_code;
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::authority::{DoctorIdentity, OwnPrekey, certify_doctor};
use crate::identity::certificate::{KeyId, Serial};
use crate::identity::closing::ClosedKeys;
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{self, KeyKind};
use crate::identity::revocation::RevokedDoctors;
use crate::new_file::sync_directory_of;
use crate::random::{OsRandom, Random};
use crate::store::{
    CertificateRow, CertificateState, KeyChange, PrekeyRow, Revocable, Revoked, Store, StoreError,
    fact,
};

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
/// of revoked doctors from then on, and the certificates of all patients whom she
/// has enrolled are revoked, and those that a key of hers has signed, whoever has
/// enrolled them by the word of the store: whoever has the old key could have issued
/// some. No server of hers may run.
///
/// # Errors
/// [`AuthorityError`]; [`AuthorityError::Overtaken`] if somebody else has signed a
/// list of revoked doctors meanwhile, [`AuthorityError::OlderList`] if somebody has put
/// an older one back. The doctor has the key she had then, unless the database
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
    let (known, over) = known_list(practice, &identity, now)?;
    let signing = SignSecret::generate(identity.group(), random);
    let prekey = OwnPrekey::generate(&signing, now, random);
    let new_key = signing.verifying_key().clone();
    let issuer = (&identity.root, root);
    let certificate = certify_doctor(issuer, &identity.certificate, new_key, now, random);
    let old = identity.certificate.subject();
    let revoked = known
        .follow(root, &old.clinic, (&[old.serial], &over), now, random)
        .ok_or(AuthorityError::ListFull)?;
    let closed = close_former_keys(practice, &identity, (root, &revoked), random)?;
    let closed_bytes = closed.to_bytes();
    let closed_bytes = closed_bytes.ok_or(SetupError::Inconsistent("the closed keys"))?;
    let next = DoctorIdentity {
        root: identity.root.clone(),
        certificate,
        signing,
        prekeys: vec![prekey],
        revoked,
        closed,
        earlier: identity.with_current_as_earlier(),
    };
    let row = write_keys(practice, &next)?;
    // If this fails, the keys stay: it may be on the disk all the same.
    let new = (&next, &row, &closed_bytes[..]);
    let Some(revoked) = commit(practice, (&identity, &known), new, reason)? else {
        remove_next(practice)?;
        return Err(AuthorityError::Overtaken);
    };
    let (old, new) = (identity.certificate.key_id(), next.certificate.key_id());
    let revoked_number = next.revoked.number();
    practice.replace_identity(next);
    let finished = finish_key_change(&practice.directory, &*practice.store);
    let patients = revoked.iter().filter(|it| is_device(it));
    let patients: Vec<_> = patients.map(|it| &*it.patient).collect();
    Ok(Replaced {
        old,
        new,
        revoked_number,
        devices: patients.len(),
        patients: BTreeSet::from_iter(patients).len(),
        unfinished: finished.err().map(|error| error.to_string()),
    })
}

/// The closed keys with all that she has had until now: no patient's certificate that
/// they have signed is good any more.
fn close_former_keys(
    practice: &Practice,
    identity: &DoctorIdentity,
    (root, list): (&SignSecret, &RevokedDoctors),
    random: &mut dyn Random,
) -> Result<ClosedKeys, StoreError> {
    let (store, now) = (&*practice.store, practice.now());
    let mut closed = staff::closed_keys(store, &identity.root, &identity.closed)?;
    let former = identity.with_current_as_earlier();
    let keys: BTreeSet<KeyId> = former.iter().map(|each| each.key_id()).collect();
    let all = Some(Enrolled::default());
    let root = (&identity.root, root);
    for closing in staff::close(store, root, (&keys, &closed), (list, all), now, random)? {
        closed.add(closing, None);
    }
    Ok(closed)
}

const fn is_device(revoked: &Revoked) -> bool {
    matches!(revoked.what, Revocable::Certificate(_))
}

/// The list of revoked doctors as it is now: another doctor may have revoked
/// somebody since this one was opened. What the root signs next lets nobody off who
/// was revoked then, but for those that are over, which are given, too.
fn known_list(
    practice: &Practice,
    identity: &DoctorIdentity,
    now: Timestamp,
) -> Result<(RevokedDoctors, BTreeSet<Serial>), AuthorityError> {
    let known = staff::revoked_list(&*practice.store, &identity.root).map_err(staff_failed)?;
    if known.contains(&identity.certificate.subject().serial) {
        return Err(SetupError::Dismissed(identity.identifier().clone()).into());
    }
    let seen = &identity.revoked;
    let asked = [known.serials(), seen.serials()].concat();
    let over = staff::over_among(&*practice.store, &identity.root, &asked, now)?;
    match known.number() >= seen.number() && known.holds_all_of(seen, &over) {
        true => Ok((known, over)),
        false => Err(AuthorityError::OlderList),
    }
}

/// How many devices' certificates a change of the key would revoke: those that
/// this doctor has issued or her keys have signed, or all where a practice is one doctor's.
///
/// # Errors
/// [`StoreError`].
pub fn devices_at_stake(practice: &Practice) -> Result<usize, StoreError> {
    let (store, identity) = (&practice.store, practice.identity());
    let signed = BTreeSet::from_iter(staff::signed_by(practice, identity.identifier())?);
    let mut at_stake = 0;
    each_page(&**store, None, |page| {
        let serials: Vec<_> = page.iter().map(|row| row.serial).collect();
        let issuers = store.clinic().map(|clinic| clinic.issuers(&serials));
        let issuers = issuers.transpose()?;
        let is_hers = |row: &CertificateRow| {
            let issuer = issuers.as_ref().and_then(|all| all.get(&row.serial));
            issuers.is_none()
                || issuer.is_some_and(|name| name == identity.identifier().as_str())
                || signed.contains(&row.serial)
        };
        let is_good = |row: &CertificateRow| row.state != CertificateState::Revoked;
        at_stake += page
            .iter()
            .filter(|row| is_good(row) && is_hers(row))
            .count();
        Ok(())
    })?;
    Ok(at_stake)
}

/// What the audit log says of the change itself.
fn entry(practice: &Practice, old: &DoctorIdentity, new: &DoctorIdentity, reason: &str) -> Entry {
    let detail = format!(
        "new signing key {}, certificate {}; certificate {} is revoked: {reason}",
        hex::encode(&new.certificate.key_id()),
        hex::encode(&new.certificate.subject().serial),
        hex::encode(&old.certificate.subject().serial),
    );
    practice.by_doctor(Action::KeyChanged, old.identifier().as_str(), &detail)
}

/// What it says of something that is revoked with the key: whoever has stolen that
/// could have issued certificates, and may have the tickets' secrets, too.
fn revocation(practice: &Practice, revoked: &Revoked) -> Entry {
    const WHY: &str = "the doctor's signing key was replaced";
    let (action, detail) = match &revoked.what {
        Revocable::Certificate(serial) => (
            Action::Revoked,
            format!("certificate {}: {WHY}", hex::encode(serial)),
        ),
        Revocable::Ticket(id) => (
            Action::TicketRevoked,
            format!("ticket {}: {WHY}", ticket_code(id)),
        ),
    };
    practice.by_doctor(action, &revoked.patient, &detail)
}

/// Writes the new secrets beside the old ones.
fn write_keys(practice: &Practice, next: &DoctorIdentity) -> Result<PrekeyRow, SetupError> {
    let (directory, group) = (&practice.directory, next.group());
    // From an attempt that was cut short.
    remove_next(practice)?;
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

/// Removes new secrets that have not taken the old ones' places.
fn remove_next(practice: &Practice) -> Result<(), SetupError> {
    for name in [NEXT_KEY, NEXT_PREKEY] {
        key_file::remove(&practice.directory.path(name))?;
    }
    Ok(())
}

/// Writes the change into the database, where the list of revoked doctors is still
/// the one that was looked at; gives what was revoked with the key.
fn commit(
    practice: &Practice,
    (old, known): (&DoctorIdentity, &RevokedDoctors),
    (next, prekey, closed): (&DoctorIdentity, &PrekeyRow, &[u8]),
    reason: &str,
) -> Result<Option<Vec<Revoked>>, StoreError> {
    let now = practice.now();
    let earlier = encode_earlier(&next.earlier);
    let certificate = next.certificate.as_bytes();
    let facts = [
        (fact::CLOSED_KEYS, closed),
        (fact::DOCTOR_CERTIFICATE, certificate),
        (fact::EARLIER_CERTIFICATES, &earlier[..]),
        (fact::SIGNING_KEY_CHANGE, &[1]),
    ];
    let signed = staff::signed_by(practice, old.identifier())?;
    let change = KeyChange {
        known: known.as_bytes(),
        list: next.revoked.as_bytes(),
        facts: &facts,
        prekey,
        signed: &signed,
        audit: &[entry(practice, old, next, reason)],
        revoked: &|revoked| revocation(practice, revoked),
    };
    // The new key vouches for all that the old one has left in the log.
    let mut sign = |number, link| Head::sign(next, (number, link), now, &mut OsRandom);
    practice.store.change_key(&change, certificate, &mut sign)
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
