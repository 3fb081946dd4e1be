//! The doctors of the patient's clinic, as each of them says of herself where
//! she is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::clock::Timestamp;
use crate::identity::certificate::{KeyId, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::{KnownDoctor, fingerprint_groups};
use crate::identity::roster::{RosterEntry, RosterError};

/// At most so many doctors are kept.
pub const MOST: usize = 64;

/// Why an entry is not taken, where a person is to hear of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryError {
    /// It does not pass.
    Entry(RosterError),
    /// The doctor has another signing key than before.
    ChangedKey {
        /// Name of the key that was known.
        known: KeyId,
        /// Name of the key in the entry.
        found: KeyId,
    },
    /// There are as many doctors as are kept.
    Full,
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(error) => write!(f, "{error}"),
            Self::ChangedKey { known, found } => write!(
                f,
                "her key has changed: it was {}, now it is {}",
                fingerprint_groups(known),
                fingerprint_groups(found)
            ),
            Self::Full => write!(f, "{MOST} doctors are kept and no more"),
        }
    }
}

impl std::error::Error for EntryError {}

impl From<RosterError> for EntryError {
    fn from(error: RosterError) -> Self {
        Self::Entry(error)
    }
}

/// A doctor of the clinic.
#[derive(Clone, Debug)]
pub struct Colleague {
    /// What she says of herself.
    pub entry: RosterEntry,
    /// When this device first heard of her, by its clock.
    pub since: Timestamp,
    /// What is known of her since a connection, if there was one; never
    /// anything of the doctor who enrolled the patient, which is kept apart.
    pub known: Option<KnownDoctor>,
}

impl Colleague {
    /// Whether she may be connected to at `now`, by what is known here: one of
    /// her certificates is not in the clinic's list, and has not ended.
    #[must_use]
    pub fn may_serve(&self, home: &KnownDoctor, now: Timestamp) -> bool {
        let known = self.known.as_ref().map(KnownDoctor::certificate);
        let good = |certificate: &VerifiedCertificate| {
            !home.revoked().contains(&certificate.subject().serial)
                && certificate.check_dates(now).is_ok()
        };
        good(self.entry.certificate()) || known.is_some_and(good)
    }

    /// Whether the clinic has revoked every certificate of hers that is known.
    #[must_use]
    pub fn is_revoked(&self, home: &KnownDoctor) -> bool {
        let known = self.known.as_ref().map(KnownDoctor::certificate);
        let is_in_list = |certificate: &VerifiedCertificate| {
            let serial = &certificate.subject().serial;
            home.revoked().contains(serial)
        };
        is_in_list(self.entry.certificate()) && known.is_none_or(is_in_list)
    }
}

/// The doctors of the clinic, by name. A doctor stays in it when she is
/// revoked: what key she had is not forgotten.
#[derive(Clone, Default, Debug)]
pub struct Colleagues(BTreeMap<Identifier, Colleague>);

impl Colleagues {
    /// Takes an entry that the clinic of `home`, the doctor who enrolled the
    /// patient, is said to have; says whose it is if it brings something new.
    /// What is older than what is known, or of somebody who is revoked or whose
    /// certificate has ended, is passed over without a word.
    ///
    /// # Errors
    /// [`EntryError`]: a person is to hear of it, and nothing is changed.
    pub fn take(
        &mut self,
        bytes: &[u8],
        home: &KnownDoctor,
        now: Timestamp,
    ) -> Result<Option<Identifier>, EntryError> {
        if self.has(bytes) {
            return Ok(None);
        }
        let entry = match RosterEntry::accept(bytes, home.root(), home.revoked()) {
            Ok(entry) => entry,
            Err(RosterError::Revoked) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if entry.certificate().check_dates(now).is_err() {
            return Ok(None);
        }
        let name = entry.doctor().clone();
        let listed = self.0.get(&name);
        let known = match listed {
            Some(listed) => Some(listed.entry.certificate()),
            None => Some(home.certificate()).filter(|home| home.subject().identifier == name),
        };
        let changed = known.filter(|known| {
            known.subject().signing_key != entry.certificate().subject().signing_key
        });
        if let Some(known) = changed {
            return Err(EntryError::ChangedKey {
                known: known.key_id(),
                found: entry.certificate().key_id(),
            });
        }
        if listed.is_some_and(|listed| listed.entry.made() >= entry.made()) {
            return Ok(None);
        }
        if listed.is_none() && self.0.len() >= MOST {
            return Err(EntryError::Full);
        }
        self.put(entry, now);
        Ok(Some(name))
    }

    /// Whether this very entry is known.
    fn has(&self, bytes: &[u8]) -> bool {
        let named = RosterEntry::doctor_in(bytes);
        let known = named.and_then(|name| self.0.get(&name));
        known.is_some_and(|known| known.entry.as_bytes() == bytes)
    }

    /// Puts an entry into its place. What else is known of the doctor stays.
    pub(super) fn put(&mut self, entry: RosterEntry, since: Timestamp) {
        match self.0.get_mut(entry.doctor()) {
            Some(listed) => listed.entry = entry,
            None => {
                let colleague = Colleague {
                    entry,
                    since,
                    known: None,
                };
                self.0.insert(colleague.entry.doctor().clone(), colleague);
            }
        }
    }

    /// Keeps what is known of a doctor since a connection.
    pub(super) fn learn(&mut self, doctor: KnownDoctor) {
        let name = &doctor.certificate().subject().identifier;
        if let Some(colleague) = self.0.get_mut(name) {
            colleague.known = Some(doctor);
        }
    }

    /// Whether the doctor of that name has left the clinic, by what is known
    /// here: every certificate of hers that is known is in its list of revoked
    /// doctors. Then nothing is sent to where she was reached.
    #[must_use]
    pub fn has_left(&self, name: &Identifier, home: &KnownDoctor) -> bool {
        let is_home = *name == home.certificate().subject().identifier;
        match self.0.get(name) {
            Some(listed) => listed.is_revoked(home) && (!is_home || home.is_revoked()),
            None => is_home && home.is_revoked(),
        }
    }

    /// The doctor of that name.
    #[must_use]
    pub fn get(&self, name: &Identifier) -> Option<&Colleague> {
        self.0.get(name)
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Colleague> {
        self.0.values()
    }

    /// Whom to turn to when `asked` is not reached, in order: those who come
    /// after her by name, and then from the first on. `home` is one of them,
    /// whether or not she has an entry.
    #[must_use]
    pub fn instead_of(
        &self,
        asked: &Identifier,
        home: &KnownDoctor,
        now: Timestamp,
    ) -> Vec<Identifier> {
        let listed = self.0.iter();
        let mut names: BTreeSet<&Identifier> = listed
            .filter(|(_, colleague)| colleague.may_serve(home, now))
            .map(|(name, _)| name)
            .collect();
        if !home.is_revoked() {
            names.insert(&home.certificate().subject().identifier);
        }
        let (before, after): (Vec<_>, Vec<_>) = names
            .into_iter()
            .filter(|name| *name != asked)
            .partition(|name| *name < asked);
        after.into_iter().chain(before).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::authority::DoctorIdentity;
    use crate::random::OsRandom;
    use crate::testing::{Clinic, NOW, at, clinic, copy_of};

    fn entry(doctor: &DoctorIdentity, port: u16, made: Timestamp) -> Vec<u8> {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let entry = RosterEntry::make(doctor, &address, made, &mut OsRandom);
        entry.unwrap().as_bytes().to_vec()
    }

    fn port(colleagues: &Colleagues, name: &str) -> u16 {
        let colleague = colleagues.get(&name.parse().unwrap()).unwrap();
        colleague.entry.address().port
    }

    fn named(taken: Result<Option<Identifier>, EntryError>) -> String {
        taken.unwrap().unwrap().to_string()
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one_and_never_the_reverse() {
        let other = clinic().other_doctor("D2");
        let home = clinic().known();
        let mut colleagues = Colleagues::default();
        let entries = [1, 2, 3].map(|n| entry(&other, 7000 + n, at(n.into())));
        assert_eq!(named(colleagues.take(&entries[1], &home, at(5))), "D2");
        // Again, and one from before.
        assert_eq!(colleagues.take(&entries[1], &home, at(6)), Ok(None));
        assert_eq!(colleagues.take(&entries[0], &home, at(6)), Ok(None));
        // Another one of the same time.
        let twin = entry(&other, 7009, at(2));
        assert_eq!(colleagues.take(&twin, &home, at(6)), Ok(None));
        assert_eq!(port(&colleagues, "D2"), 7002);
        assert_eq!(named(colleagues.take(&entries[2], &home, at(7))), "D2");
        assert_eq!(port(&colleagues, "D2"), 7003);
        // She is known since the first.
        assert_eq!(colleagues.all().next().unwrap().since, at(5));
    }

    #[test]
    fn a_doctor_who_is_known_with_another_key_is_not_replaced() {
        let home = clinic().known();
        let mut colleagues = Colleagues::default();
        let [old, new] = ["D2", "D2"].map(|name| clinic().other_doctor(name));
        colleagues.take(&entry(&old, 1, NOW), &home, NOW).unwrap();
        let later = entry(&new, 2, at(1));
        let changed = |known: &DoctorIdentity, found: &DoctorIdentity| EntryError::ChangedKey {
            known: known.certificate.key_id(),
            found: found.certificate.key_id(),
        };
        let taken = colleagues.take(&later, &home, NOW);
        assert_eq!(taken, Err(changed(&old, &new)));
        assert_eq!(port(&colleagues, "D2"), 1);
        // Not even once the old certificate is revoked: a person must look.
        let mut home = home;
        home.raise_list(&clinic().revoked(1, &[old.certificate.subject().serial]));
        let taken = colleagues.take(&later, &home, NOW);
        assert_eq!(taken, Err(changed(&old, &new)));
        // The doctor who has enrolled the patient is known without an entry.
        let twin = clinic().other_doctor("D1");
        let taken = colleagues.take(&entry(&twin, 3, NOW), &home, NOW);
        assert_eq!(taken, Err(changed(&clinic().doctor, &twin)));
    }

    #[test]
    fn a_renewed_certificate_for_the_same_key_is_taken() {
        let home = clinic().known();
        let mut colleagues = Colleagues::default();
        let old = clinic().other_doctor("D2");
        let new = clinic().doctor_with("D2", copy_of(&old.signing), Vec::new());
        colleagues.take(&entry(&old, 1, NOW), &home, NOW).unwrap();
        let taken = colleagues.take(&entry(&new, 2, at(1)), &home, NOW);
        assert_eq!(named(taken), "D2");
        assert_eq!(port(&colleagues, "D2"), 2);
    }

    #[test]
    fn a_revoked_doctor_is_neither_taken_nor_turned_to() {
        let mut home = clinic().known();
        let [d2, d3] = ["D2", "D3"].map(|name| clinic().other_doctor(name));
        let mut colleagues = Colleagues::default();
        colleagues.take(&entry(&d2, 1, NOW), &home, NOW).unwrap();
        let serials = [&d2, &d3].map(|doctor| doctor.certificate.subject().serial);
        let mut sorted = serials;
        sorted.sort_unstable();
        home.raise_list(&clinic().revoked(1, &sorted));
        assert_eq!(colleagues.take(&entry(&d3, 2, NOW), &home, NOW), Ok(None));
        assert_eq!(colleagues.all().count(), 1);
        let d1 = "D1".parse().unwrap();
        assert!(colleagues.instead_of(&d1, &home, NOW).is_empty());
        let d9 = "D9".parse().unwrap();
        assert_eq!(colleagues.instead_of(&d9, &home, NOW).first(), Some(&d1));
        assert!(colleagues.all().next().unwrap().is_revoked(&home));
        // An earlier list does not bring her back.
        home.raise_list(&clinic().doctor.revoked);
        assert!(colleagues.instead_of(&d1, &home, NOW).is_empty());
    }

    #[test]
    fn a_doctor_whose_certificate_has_ended_is_neither_taken_nor_turned_to() {
        let home = clinic().known();
        let other = clinic().other_doctor("D2");
        let late = other
            .certificate
            .subject()
            .not_after
            .plus(Duration::from_millis(1));
        let bytes = entry(&other, 1, NOW);
        let mut colleagues = Colleagues::default();
        assert_eq!(colleagues.take(&bytes, &home, late), Ok(None));
        assert_eq!(colleagues.all().count(), 0);
        colleagues.take(&bytes, &home, NOW).unwrap();
        let d1 = "D1".parse().unwrap();
        assert_eq!(colleagues.instead_of(&d1, &home, NOW).len(), 1);
        assert!(colleagues.instead_of(&d1, &home, late).is_empty());
    }

    #[test]
    fn an_entry_that_does_not_pass_changes_nothing() {
        let home = clinic().known();
        let mut colleagues = Colleagues::default();
        let foreign = entry(&Clinic::new().doctor, 1, NOW);
        let taken = colleagues.take(&foreign, &home, NOW);
        assert_eq!(taken, Err(EntryError::Entry(RosterError::OtherClinic)));
        let mut damaged = entry(&clinic().other_doctor("D2"), 1, NOW);
        damaged[100] ^= 1;
        assert!(colleagues.take(&damaged, &home, NOW).is_err());
        assert_eq!(colleagues.all().count(), 0);
    }

    #[test]
    fn those_after_the_doctor_come_first_and_then_it_goes_round() {
        let home = clinic().known();
        let mut colleagues = Colleagues::default();
        for name in ["D3", "D1", "D4", "D2"] {
            let doctor = match name {
                "D1" => clinic().same_doctor(),
                _ => clinic().other_doctor(name),
            };
            colleagues
                .take(&entry(&doctor, 1, NOW), &home, NOW)
                .unwrap();
        }
        let order = |asked: &str| {
            let names = colleagues.instead_of(&asked.parse().unwrap(), &home, NOW);
            names
                .iter()
                .map(|n| n.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(order("D1"), ["D2", "D3", "D4"]);
        assert_eq!(order("D3"), ["D4", "D1", "D2"]);
        assert_eq!(order("D9"), ["D1", "D2", "D3", "D4"]);
    }
}
