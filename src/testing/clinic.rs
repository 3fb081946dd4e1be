//! A clinic with a doctor and three patients, made once for all tests.

use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::{Element, Group, KemSecret, SignSecret};
use crate::identity::authority::{self, DoctorIdentity, OwnPrekey};
use crate::identity::certificate::{Role, Serial, Subject, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::patient_identity::PatientIdentity;
use crate::identity::prekey::VerifiedPrekey;
use crate::identity::revocation::RevokedDoctors;
use crate::kdf::label;
use crate::random::{self, OsRandom};

/// The present of all tests: some day in 2027.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// That many seconds after [`NOW`].
pub(crate) fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) struct Clinic {
    /// What lies in the drawer.
    pub root: SignSecret,
    pub doctor: DoctorIdentity,
    pub patients: [PatientIdentity; 3],
}

/// The one clinic there is, with doctor D1 and patients P1 to P3, who have
/// enrolled.
pub(crate) fn clinic() -> &'static Clinic {
    static CLINIC: LazyLock<Clinic> = LazyLock::new(Clinic::new);
    &CLINIC
}

fn id(text: &str) -> Identifier {
    text.parse().unwrap()
}

impl Clinic {
    pub fn new() -> Self {
        let group = Group::ffdhe2048();
        let (root, doctor) = authority::found_clinic(&group, &id("D1"), NOW, &mut OsRandom);
        let patients = ["P1", "P2", "P3"].map(|name| patient_of(&doctor, name));
        Self {
            root,
            doctor,
            patients,
        }
    }

    /// Another doctor of the same clinic.
    pub fn other_doctor(&self, name: &str) -> DoctorIdentity {
        let signing = SignSecret::generate(self.doctor.group(), &mut OsRandom);
        let prekey = OwnPrekey::generate(&signing, NOW, &mut OsRandom);
        self.doctor_with(name, signing, vec![prekey])
    }

    /// The same doctor a second time: her keys, prekeys and papers.
    pub fn same_doctor(&self) -> DoctorIdentity {
        let doctor = &self.doctor;
        DoctorIdentity {
            root: doctor.root.clone(),
            certificate: doctor.certificate.clone(),
            signing: copy_of(&doctor.signing),
            prekeys: doctor.prekeys.iter().map(copy_of_prekey).collect(),
            revoked: doctor.revoked.clone(),
            closed: doctor.closed.clone(),
            earlier: doctor.earlier.clone(),
        }
    }

    /// A doctor with these keys and a new certificate by the root.
    pub fn doctor_with(
        &self,
        name: &str,
        signing: SignSecret,
        prekeys: Vec<OwnPrekey>,
    ) -> DoctorIdentity {
        let subject = Subject {
            serial: random::array(&mut OsRandom),
            identifier: id(name),
            signing_key: signing.verifying_key().clone(),
            ..self.doctor.certificate.subject().clone()
        };
        DoctorIdentity {
            root: self.doctor.root.clone(),
            certificate: VerifiedCertificate::issue(subject, &self.root, &mut OsRandom),
            signing,
            prekeys,
            revoked: self.doctor.revoked.clone(),
            closed: self.doctor.closed.clone(),
            earlier: Vec::new(),
        }
    }

    /// A list of revoked doctors.
    pub fn revoked(&self, number: u64, serials: &[Serial]) -> RevokedDoctors {
        let bytes = self.revoked_bytes(number, serials);
        RevokedDoctors::accept(&bytes, &self.doctor.root).unwrap()
    }

    /// The same as bytes, whatever the serials.
    pub fn revoked_bytes(&self, number: u64, serials: &[Serial]) -> Vec<u8> {
        let signed = Writer::new()
            .u8(1)
            .bytes(&self.doctor.root.subject().clinic)
            .u64(number)
            .u64(NOW.as_millis())
            .lp16(&serials.concat());
        let message = [signed.as_slice()];
        let signature = self.root.sign(label::SIG_REVOKED, &message, &mut OsRandom);
        signed.bytes(&signature).finish()
    }

    /// The doctor as her patients know her.
    pub fn known(&self) -> KnownDoctor {
        known(&self.doctor)
    }
}

/// A doctor as her patients know her.
pub(crate) fn known(doctor: &DoctorIdentity) -> KnownDoctor {
    let pinned = doctor.root.fingerprint();
    let name = doctor.identifier();
    KnownDoctor::first_contact(&doctor.bundle(NOW), &pinned, name, NOW, &mut OsRandom).unwrap()
}

/// A patient with new keys and a certificate of this doctor.
pub(crate) fn patient_of(doctor: &DoctorIdentity, name: &str) -> PatientIdentity {
    patient_with(doctor, |subject| subject.identifier = id(name))
}

/// A patient with new keys and a certificate that is changed before it is
/// signed.
pub(crate) fn patient_with(
    doctor: &DoctorIdentity,
    change: impl FnOnce(&mut Subject),
) -> PatientIdentity {
    let signing = SignSecret::generate(doctor.group(), &mut OsRandom);
    let encryption = KemSecret::generate(doctor.group(), &mut OsRandom);
    let mut subject = patient_subject(doctor, &signing, encryption.public());
    change(&mut subject);
    let certificate = VerifiedCertificate::issue(subject, &doctor.signing, &mut OsRandom);
    let issuer = doctor.certificate.clone();
    PatientIdentity::new(certificate, issuer, signing, encryption).unwrap()
}

/// What a certificate of a patient P9 with these keys says.
pub(crate) fn patient_subject(
    doctor: &DoctorIdentity,
    signing: &SignSecret,
    encryption: &Element,
) -> Subject {
    Subject {
        serial: random::array(&mut OsRandom),
        identifier: id("P9"),
        role: Role::Patient,
        signing_key: signing.verifying_key().clone(),
        encryption_key: Some(encryption.clone()),
        ..doctor.certificate.subject().clone()
    }
}

/// A second copy of a secret.
pub(crate) fn copy_of(secret: &SignSecret) -> SignSecret {
    let group = secret.verifying_key().group();
    SignSecret::from_bytes(group, secret.to_bytes().expose()).unwrap()
}

/// A second copy of a secret.
pub(crate) fn copy_of_kem(secret: &KemSecret) -> KemSecret {
    KemSecret::from_bytes(secret.public().group(), secret.to_bytes().expose()).unwrap()
}

/// A second copy of a prekey.
pub(crate) fn copy_of_prekey(own: &OwnPrekey) -> OwnPrekey {
    OwnPrekey {
        prekey: own.prekey.clone(),
        secret: copy_of_kem(&own.secret),
    }
}

/// A prekey of `signing` whose secret is `secret`.
pub(crate) fn prekey_with(
    signing: &SignSecret,
    secret: &KemSecret,
    not_before: Timestamp,
) -> OwnPrekey {
    OwnPrekey {
        prekey: VerifiedPrekey::issue(signing, secret, not_before, &mut OsRandom),
        secret: copy_of_kem(secret),
    }
}
