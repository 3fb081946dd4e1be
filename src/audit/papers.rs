//! The certificates that signed heads are checked with, back to the clinic's
//! root, of which nothing but the fingerprint need be known.

use std::collections::BTreeMap;
use std::fmt;

use crate::audit::head::Head;
use crate::audit::revocation::Revocation;
use crate::elgamal::{Group, SignSecret};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{
    Certificate, Fingerprint, KeyId, VerifiedCertificate, fingerprint, key_id,
};
use crate::identity::id::Identifier;
use crate::random::Random;
use crate::secret::SecretBytes;
use crate::store::{Store, StoreError, fact};

/// So many bytes of a fingerprint nobody finds a second time.
pub const MIN_PINNED: usize = 20;

/// Certificates as somebody presents them: nothing is known of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Papers {
    /// The clinic's root certificate.
    pub root: Vec<u8>,
    /// The prime of a group that is not built in; empty otherwise.
    pub group: Vec<u8>,
    /// The doctor's certificates.
    pub doctors: Vec<Vec<u8>>,
    /// The key that is known to be the doctor's, where that is known.
    pub own: Option<KeyId>,
    /// Whose log it is, where that is known: nobody else's heads are good then, and
    /// hers are whatever she is in the clinic.
    pub whose: Option<Identifier>,
}

impl Papers {
    /// A doctor's own.
    #[must_use]
    pub fn of(doctor: &DoctorIdentity) -> Self {
        let group = match doctor.group() {
            group if group.is_built_in() => Vec::new(),
            group => group.modulus_bytes().to_vec(),
        };
        Self {
            root: doctor.root.as_bytes().to_vec(),
            group,
            doctors: vec![doctor.certificate.as_bytes().to_vec()],
            own: None,
            whose: None,
        }
    }

    /// Those that lie in a database.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn stored(store: &dyn Store) -> Result<Self, StoreError> {
        let fact = |name| store.fact(name).map(Option::unwrap_or_default);
        let mut doctors = store.signing_certificates()?;
        doctors.push(fact(fact::DOCTOR_CERTIFICATE)?);
        doctors.push(fact(fact::OWN_CERTIFICATE)?);
        doctors.retain(|bytes| !bytes.is_empty());
        Ok(Self {
            root: fact(fact::ROOT_CERTIFICATE)?,
            group: fact(fact::GROUP)?,
            doctors,
            own: None,
            whose: None,
        })
    }

    /// Holds what was signed to this secret key: see [`Trust::is_own`]. False if
    /// the root here vouches for no certificate of it.
    pub fn hold_to(
        &mut self,
        (group, secret): (&[u8; 32], &SecretBytes),
        random: &mut dyn Random,
    ) -> bool {
        let Some(root) = self.root(&fingerprint(&self.root), random) else {
            return false;
        };
        let signing = SignSecret::from_bytes(root.group(), secret.expose()).ok();
        let Some(signing) = signing.filter(|_| group == root.group().id()) else {
            return false;
        };
        let is_certified = self.doctors.iter().any(|bytes| {
            Certificate::decode(bytes, root.group())
                .and_then(|certificate| root.accept_issued(certificate))
                .is_ok_and(|doctor| doctor.subject().signing_key == *signing.verifying_key())
        });
        self.own = is_certified.then(|| key_id(signing.verifying_key()));
        is_certified
    }

    /// The root, if its fingerprint is, or begins with, the pinned one.
    fn root(&self, pinned: &[u8], random: &mut dyn Random) -> Option<VerifiedCertificate> {
        let found = fingerprint(&self.root);
        if pinned.len() < MIN_PINNED || !found.starts_with(pinned) {
            return None;
        }
        let group = if self.group.is_empty() {
            Group::built_in(&Certificate::group_id(&self.root)?)?
        } else {
            Group::import(&self.group, random).ok()?
        };
        let root = Certificate::decode(&self.root, &group).ok()?;
        VerifiedCertificate::root(root, &found).ok()
    }
}

/// Why a head, or what else a doctor is said to have signed, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadFault {
    /// It names a certificate that is not there or not of this clinic.
    UnknownKey,
    /// The signature is wrong.
    BadSignature,
    /// It is of a key that had been replaced by then.
    ReplacedKey,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "no certificate of this clinic's doctor is there for its key",
            Self::BadSignature => "its signature is wrong",
            Self::ReplacedKey => "its key had been replaced by then",
        })
    }
}

/// Certificates that were checked back to the pinned root.
#[derive(Clone, Debug)]
pub struct Trust {
    doctors: BTreeMap<Fingerprint, VerifiedCertificate>,
    own: Option<KeyId>,
}

impl Trust {
    /// Of all that is presented, what the root with this fingerprint vouches
    /// for; none if its certificate is not among it. The first 20 bytes of the
    /// fingerprint, which people are shown, are enough.
    #[must_use]
    pub fn new(pinned: &[u8], papers: &[Papers], random: &mut dyn Random) -> Option<Self> {
        let root = papers.iter().find_map(|each| each.root(pinned, random))?;
        let whose = papers.iter().find_map(|each| each.whose.as_ref());
        let doctors: Vec<VerifiedCertificate> = papers
            .iter()
            .flat_map(|each| &each.doctors)
            .filter_map(|bytes| Certificate::decode(bytes, root.group()).ok())
            .filter_map(|certificate| accept(&root, certificate, whose))
            .collect();
        // What the root has signed last is what she has now.
        let begins = |doctor: &&VerifiedCertificate| doctor.subject().not_before;
        let newest = doctors.iter().max_by_key(begins);
        let known = papers.iter().find_map(|each| each.own);
        let own = known.or_else(|| newest.map(|doctor| doctor.key_id()));
        let named = |doctor: VerifiedCertificate| (doctor.fingerprint(), doctor);
        let doctors = doctors.into_iter().map(named).collect();
        Some(Self { doctors, own })
    }

    /// Whether a head is of the key that the doctor has now. One of a key that
    /// she had before vouches for nothing by itself: the first head of the new
    /// key vouches for what came before it, and none of the old key comes later.
    #[must_use]
    pub fn is_own(&self, head: &Head) -> bool {
        let doctor = self.doctors.get(&head.certificate);
        doctor.is_some_and(|doctor| Some(doctor.key_id()) == self.own)
    }

    /// Checks the key and the signature of a head.
    ///
    /// # Errors
    /// [`HeadFault`].
    pub fn check(&self, head: &Head) -> Result<(), HeadFault> {
        let doctor = self.doctor(&head.certificate)?;
        head.verify(doctor).map_err(|_| HeadFault::BadSignature)
    }

    /// Checks the key and the signature of a line about a certificate that was
    /// stopped.
    ///
    /// # Errors
    /// [`HeadFault`].
    pub fn check_revocation(&self, line: &Revocation) -> Result<(), HeadFault> {
        let doctor = self.doctor(&line.certificate)?;
        line.verify(doctor).map_err(|_| HeadFault::BadSignature)
    }

    fn doctor(&self, certificate: &Fingerprint) -> Result<&VerifiedCertificate, HeadFault> {
        let doctor = self.doctors.get(certificate);
        doctor.ok_or(HeadFault::UnknownKey)
    }
}

/// A certificate of somebody whose heads are good, in the log of `whose` if that
/// is known.
fn accept(
    root: &VerifiedCertificate,
    certificate: Certificate,
    whose: Option<&Identifier>,
) -> Option<VerifiedCertificate> {
    let subject = certificate.subject();
    match whose {
        None => root.accept_issued(certificate).ok(),
        Some(name) if subject.identifier == *name => root.accept_member(certificate).ok(),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::authority::certify_staff;
    use crate::identity::certificate::Role;
    use crate::random::OsRandom;
    use crate::testing::{Clinic, NOW, clinic};

    #[test]
    fn only_what_the_pinned_root_vouches_for_is_trusted() {
        let (own, foreign) = (&clinic().doctor, Clinic::new().doctor);
        let pinned = own.root.fingerprint();
        let mut mixed = Papers::of(own);
        mixed.doctors.push(foreign.certificate.as_bytes().to_vec());
        let papers = [Papers::of(&foreign), mixed];
        let trust = Trust::new(&pinned, &papers, &mut OsRandom).unwrap();
        let sign = |doctor| Head::sign(doctor, (1, [1; 32]), NOW, &mut OsRandom);
        assert_eq!(trust.check(&sign(own)), Ok(()));
        assert_eq!(trust.check(&sign(&foreign)), Err(HeadFault::UnknownKey));
        let forged = Head {
            certificate: own.certificate.fingerprint(),
            ..sign(&foreign)
        };
        assert_eq!(trust.check(&forged), Err(HeadFault::BadSignature));
        assert!(Trust::new(&pinned[..20], &papers, &mut OsRandom).is_some());
        assert!(Trust::new(&pinned[..19], &papers, &mut OsRandom).is_none());
        assert!(Trust::new(&pinned, &papers[..1], &mut OsRandom).is_none());
    }

    #[test]
    fn in_a_members_log_nobody_elses_heads_are_good() {
        let clinic = clinic();
        let member = |name: &str, role| {
            let signing = SignSecret::generate(clinic.doctor.group(), &mut OsRandom);
            let key = signing.verifying_key().clone();
            let root = (&clinic.doctor.root, &clinic.root);
            let whom = (&name.parse().unwrap(), role);
            DoctorIdentity {
                root: clinic.doctor.root.clone(),
                certificate: certify_staff(root, whom, key, NOW, &mut OsRandom),
                signing,
                prekeys: Vec::new(),
                revoked: clinic.doctor.revoked.clone(),
                closed: clinic.doctor.closed.clone(),
                earlier: Vec::new(),
            }
        };
        let (colleague, assistant) = (member("D2", Role::Doctor), member("A1", Role::Assistant));
        let members = [&clinic.doctor, &colleague, &assistant];
        let sign = |by| Head::sign(by, (1, [1; 32]), NOW, &mut OsRandom);
        for owner in members {
            // All certificates lie there, as whoever writes to the database likes.
            let mut papers = Papers::of(owner);
            papers.doctors = members
                .map(|each| each.certificate.as_bytes().to_vec())
                .to_vec();
            papers.whose = Some(owner.identifier().clone());
            let pinned = owner.root.fingerprint();
            let trust = Trust::new(&pinned, &[papers], &mut OsRandom).unwrap();
            for by in members {
                let is_hers = by.identifier() == owner.identifier();
                assert_eq!(trust.check(&sign(by)).is_ok(), is_hers);
            }
        }
    }
}
