//! The doctor's side of trust: the clinic's root, the doctor's own keys, and
//! the certificates she issues.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::elgamal::{Element, Group, InvalidSecret, KemSecret, SignSecret, VerifyingKey};
use crate::identity::certificate::{ClinicId, Role, Subject, VerifiedCertificate};
use crate::identity::closing::ClosedKeys;
use crate::identity::id::Identifier;
use crate::identity::known_doctor;
use crate::identity::prekey::{PrekeyId, RENEWAL_MARGIN, VerifiedPrekey};
use crate::identity::revocation::RevokedDoctors;
use crate::random::{self, Random};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Everything issued begins this much before it was made, so that a device
/// whose clock is behind can use it at once.
const HEAD_START: Duration = DAY;
/// How long a root is valid.
const ROOT_LIFETIME: Duration = DAY.saturating_mul(30 * 365);
/// How long a doctor's certificate is valid.
const DOCTOR_LIFETIME: Duration = DAY.saturating_mul(366);
/// How long a patient's certificate is valid, at most.
const PATIENT_LIFETIME: Duration = DAY.saturating_mul(365);

/// One of the doctor's prekeys with its secret.
#[derive(Debug)]
pub struct OwnPrekey {
    /// What patients are told.
    pub prekey: VerifiedPrekey,
    /// What opens their first messages.
    pub secret: KemSecret,
}

/// A doctor's keys and papers: what a node needs to speak for her.
#[derive(Debug)]
pub struct DoctorIdentity {
    /// The clinic's root certificate.
    pub root: VerifiedCertificate,
    /// The doctor's certificate, issued by the root.
    pub certificate: VerifiedCertificate,
    /// The doctor's signing secret.
    pub signing: SignSecret,
    /// Her prekeys, the one that begins first first; empty only for one who has
    /// no node.
    pub prekeys: Vec<OwnPrekey>,
    /// The clinic's list of revoked doctors.
    pub revoked: RevokedDoctors,
    /// The keys of former doctors, and what they have certified.
    pub closed: ClosedKeys,
    /// The certificates she had before, the newest last.
    pub earlier: Vec<VerifiedCertificate>,
}

/// At most so many of the certificates a doctor had are kept with her papers.
pub const MAX_EARLIER: usize = 32;

/// Founds a clinic with one doctor: a root, its secret (which belongs into a
/// drawer), and the doctor's identity.
#[must_use]
pub fn found_clinic(
    group: &Group,
    doctor: &Identifier,
    now: Timestamp,
    random: &mut dyn Random,
) -> (SignSecret, DoctorIdentity) {
    let clinic: ClinicId = random::array(random);
    let root_secret = SignSecret::generate(group, random);
    let root = Subject {
        serial: random::array(random),
        clinic,
        identifier: Identifier::root(),
        role: Role::Root,
        not_before: now.minus(HEAD_START),
        not_after: now.plus(ROOT_LIFETIME),
        signing_key: root_secret.verifying_key().clone(),
        encryption_key: None,
    };
    let root = VerifiedCertificate::issue(root, &root_secret, random);
    let signing = SignSecret::generate(group, random);
    let doctor = Subject {
        serial: random::array(random),
        clinic,
        identifier: doctor.clone(),
        role: Role::Doctor,
        not_before: now.minus(HEAD_START),
        not_after: now.plus(DOCTOR_LIFETIME),
        signing_key: signing.verifying_key().clone(),
        encryption_key: None,
    };
    let certificate = VerifiedCertificate::issue(doctor, &root_secret, random);
    let revoked = RevokedDoctors::first(&root_secret, &clinic, now, random);
    let prekeys = vec![OwnPrekey::generate(&signing, now, random)];
    (
        root_secret,
        DoctorIdentity {
            root,
            certificate,
            signing,
            prekeys,
            revoked,
            closed: ClosedKeys::default(),
            earlier: Vec::new(),
        },
    )
}

/// A new certificate for a doctor, from the root in the drawer: for the same key
/// if `signing_key` is hers, or for another one. It never begins before the one
/// she has: patients keep the one that begins last.
#[must_use]
pub fn certify_doctor(
    (root, secret): (&VerifiedCertificate, &SignSecret),
    current: &VerifiedCertificate,
    signing_key: VerifyingKey,
    now: Timestamp,
    random: &mut dyn Random,
) -> VerifiedCertificate {
    let subject = Subject {
        serial: random::array(random),
        clinic: root.subject().clinic,
        identifier: current.subject().identifier.clone(),
        role: Role::Doctor,
        not_before: now.minus(HEAD_START).max(current.subject().not_before),
        not_after: now.plus(DOCTOR_LIFETIME).min(root.subject().not_after),
        signing_key,
        encryption_key: None,
    };
    VerifiedCertificate::issue(subject, secret, random)
}

/// A first certificate for somebody who joins the clinic: a doctor, an assistant
/// or an auditor.
///
/// # Panics
/// If the role is none of these: whoever asks has checked that.
#[must_use]
pub fn certify_staff(
    (root, secret): (&VerifiedCertificate, &SignSecret),
    (newcomer, role): (&Identifier, Role),
    signing_key: VerifyingKey,
    now: Timestamp,
    random: &mut dyn Random,
) -> VerifiedCertificate {
    assert!(role.is_staff(), "{role} does not join a clinic");
    let subject = Subject {
        serial: random::array(random),
        clinic: root.subject().clinic,
        identifier: newcomer.clone(),
        role,
        not_before: now.minus(HEAD_START),
        not_after: now.plus(DOCTOR_LIFETIME).min(root.subject().not_after),
        signing_key,
        encryption_key: None,
    };
    VerifiedCertificate::issue(subject, secret, random)
}

impl OwnPrekey {
    /// A fresh prekey, signed.
    #[must_use]
    pub fn generate(signing: &SignSecret, now: Timestamp, random: &mut dyn Random) -> Self {
        let secret = KemSecret::generate(signing.verifying_key().group(), random);
        let prekey = VerifiedPrekey::issue(signing, &secret, now.minus(HEAD_START), random);
        Self { prekey, secret }
    }
}

impl DoctorIdentity {
    /// The same keys with a renewed certificate.
    ///
    /// # Errors
    /// [`InvalidSecret`] only if memory is faulty.
    pub fn renewed(&self, certificate: VerifiedCertificate) -> Result<Self, InvalidSecret> {
        let copy = |own: &OwnPrekey| {
            let secret = KemSecret::from_bytes(self.group(), own.secret.to_bytes().expose())?;
            let prekey = own.prekey.clone();
            Ok(OwnPrekey { prekey, secret })
        };
        Ok(Self {
            root: self.root.clone(),
            certificate,
            signing: SignSecret::from_bytes(self.group(), self.signing.to_bytes().expose())?,
            prekeys: self.prekeys.iter().map(copy).collect::<Result<_, _>>()?,
            revoked: self.revoked.clone(),
            closed: self.closed.clone(),
            earlier: self.with_current_as_earlier(),
        })
    }

    /// The certificates she had before, once there is another one.
    #[must_use]
    pub fn with_current_as_earlier(&self) -> Vec<VerifiedCertificate> {
        let all = self.earlier.iter().chain([&self.certificate]);
        all.skip((self.earlier.len() + 1).saturating_sub(MAX_EARLIER))
            .cloned()
            .collect()
    }

    /// Whether the clinic's list, as far as it is known here, names her
    /// certificate.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked.contains(&self.certificate.subject().serial)
    }

    /// The clinic's group.
    #[must_use]
    pub fn group(&self) -> &Group {
        self.root.group()
    }

    /// The doctor's identifier.
    #[must_use]
    pub fn identifier(&self) -> &Identifier {
        &self.certificate.subject().identifier
    }

    /// The prekey patients should use from now on: of those valid at `now` the
    /// one that begins last. One made while the clock was ahead has to wait.
    #[must_use]
    pub fn newest_prekey(&self, now: Timestamp) -> Option<&OwnPrekey> {
        self.prekeys
            .iter()
            .filter(|own| own.prekey.is_valid_at(now))
            .max_by_key(|own| own.prekey.not_before())
    }

    /// The prekey patients are told. Where none is valid, because the clock has
    /// just been set, one that they refuse until housekeeping has made another:
    /// they come back then.
    #[must_use]
    pub fn shown_prekey(&self, now: Timestamp) -> Option<&OwnPrekey> {
        self.newest_prekey(now).or_else(|| self.prekeys.last())
    }

    /// The prekey with this name, if it is one of ours and has not ended.
    #[must_use]
    pub fn prekey(&self, id: &PrekeyId, now: Timestamp) -> Option<&OwnPrekey> {
        self.prekeys
            .iter()
            .find(|own| own.prekey.id() == *id && now <= own.prekey.not_after())
    }

    /// Whether it is time for a new prekey: none is valid both now and for
    /// [`RENEWAL_MARGIN`] on.
    #[must_use]
    pub fn needs_prekey(&self, now: Timestamp) -> bool {
        let lasts = |prekey: &VerifiedPrekey| {
            prekey.is_valid_at(now) && prekey.not_after() >= now.plus(RENEWAL_MARGIN)
        };
        !self.prekeys.iter().any(|own| lasts(&own.prekey))
    }

    /// Her certificates for the key she has: the one in force, then those before
    /// it, which a patient who was away may still know her by.
    pub fn certificates_of_key(&self) -> impl Iterator<Item = &VerifiedCertificate> {
        let key = &self.certificate.subject().signing_key;
        let earlier = self.earlier.iter().rev();
        let of_key = earlier.filter(move |earlier| earlier.subject().signing_key == *key);
        std::iter::once(&self.certificate).chain(of_key)
    }

    /// The body of the CERT frame this doctor answers with.
    #[must_use]
    pub fn bundle(&self, now: Timestamp) -> Vec<u8> {
        self.shown_prekey(now).map_or_else(Vec::new, |own| {
            known_doctor::bundle(&self.root, &self.certificate, &own.prekey, &self.revoked)
        })
    }

    /// Whether a name or key belongs to the doctor herself.
    #[must_use]
    pub fn is_own(
        &self,
        identifier: &Identifier,
        signing_key: &VerifyingKey,
        encryption_key: &Element,
    ) -> bool {
        identifier == self.identifier()
            || *signing_key == self.certificate.subject().signing_key
            || self
                .prekeys
                .iter()
                .any(|own| own.prekey.key() == encryption_key)
    }

    /// Certifies a patient's keys for a year. A doctor's renewed certificate keeps
    /// her key, so her patients' certificates outlive the one they began with.
    #[must_use]
    pub fn certify(
        &self,
        patient: &Identifier,
        signing_key: VerifyingKey,
        encryption_key: Element,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> VerifiedCertificate {
        let subject = Subject {
            serial: random::array(random),
            clinic: self.root.subject().clinic,
            identifier: patient.clone(),
            role: Role::Patient,
            not_before: now.minus(HEAD_START),
            not_after: now.plus(PATIENT_LIFETIME),
            signing_key,
            encryption_key: Some(encryption_key),
        };
        VerifiedCertificate::issue(subject, &self.signing, random)
    }
}
