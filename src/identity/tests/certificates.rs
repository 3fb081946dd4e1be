//! Certificates: their form, their links, their dates.

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::{Element, Group, KemSecret, SignSecret};
use crate::identity::certificate::{
    Certificate, CertificateError, Role, Subject, VerifiedCertificate, key_id,
};
use crate::identity::patient_identity::PatientIdentity;
use crate::kdf::label;
use crate::random::{self, OsRandom};
use crate::testing::{
    NOW, at, clinic, copy_of, copy_of_kem, patient_of, patient_subject, patient_with,
};

const ROLES: [Role; 5] = [
    Role::Root,
    Role::Doctor,
    Role::Patient,
    Role::Assistant,
    Role::Auditor,
];

/// A certificate put together by hand.
struct Forged<'a> {
    version: u8,
    issuer: [u8; 32],
    role: u8,
    group: [u8; 32],
    subject: Subject,
    encryption_key: Vec<u8>,
    signer: &'a SignSecret,
}

impl Forged<'static> {
    /// A patient's, by the clinic's doctor, with nothing wrong in it.
    fn new() -> Self {
        let doctor = &clinic().doctor;
        let patient = &clinic().patients[0];
        let encryption = patient.encryption().public();
        Self {
            version: 1,
            issuer: doctor.certificate.key_id(),
            role: 3,
            group: *doctor.group().id(),
            subject: patient_subject(doctor, patient.signing(), encryption),
            encryption_key: encryption.as_bytes().to_vec(),
            signer: &doctor.signing,
        }
    }
}

impl Forged<'_> {
    fn encode(&self) -> Vec<u8> {
        let subject = &self.subject;
        let signed = Writer::new()
            .u8(self.version)
            .bytes(&subject.serial)
            .bytes(&subject.clinic)
            .bytes(&self.issuer)
            .bytes(&subject.identifier.to_field())
            .u8(self.role)
            .bytes(&self.group)
            .u64(subject.not_before.as_millis())
            .u64(subject.not_after.as_millis())
            .bytes(subject.signing_key.as_bytes())
            .bytes(&self.encryption_key);
        let message = [signed.as_slice()];
        let signature = self
            .signer
            .sign(label::SIG_CERTIFICATE, &message, &mut OsRandom);
        signed.bytes(&signature).finish()
    }

    /// What the doctor's certificate says to it.
    fn judge(&self) -> Result<VerifiedCertificate, CertificateError> {
        let doctor = &clinic().doctor.certificate;
        Certificate::decode(&self.encode(), doctor.group())
            .and_then(|certificate| doctor.accept_issued(certificate))
    }
}

fn refused(change: impl FnOnce(&mut Forged<'_>)) -> CertificateError {
    let mut forged = Forged::new();
    change(&mut forged);
    forged.judge().unwrap_err()
}

#[test]
fn the_forge_forges_well() {
    let certificate = Forged::new().judge().unwrap();
    assert_eq!(certificate.subject().role, Role::Patient);
}

#[test]
fn the_only_links_are_root_to_doctor_and_doctor_to_patient() {
    let clinic = clinic();
    let patient = &clinic.patients[0];
    let issuers = [
        (&clinic.doctor.root, &clinic.root),
        (&clinic.doctor.certificate, &clinic.doctor.signing),
        (patient.certificate(), patient.signing()),
    ];
    let other = SignSecret::generate(clinic.doctor.group(), &mut OsRandom);
    let encryption = KemSecret::generate(clinic.doctor.group(), &mut OsRandom);
    for (issuer, signer) in issuers {
        for role in ROLES {
            let mut subject = patient_subject(&clinic.doctor, &other, encryption.public());
            subject.role = role;
            if role != Role::Patient {
                subject.encryption_key = None;
            }
            let issued = VerifiedCertificate::issue(subject, signer, &mut OsRandom);
            let issued = Certificate::decode(issued.as_bytes(), issuer.group()).unwrap();
            let allowed = matches!(
                (issuer.subject().role, role),
                (Role::Root, Role::Doctor) | (Role::Doctor, Role::Patient)
            );
            let result = issuer.accept_issued(issued.clone());
            assert_eq!(result.is_ok(), allowed, "{issuer:?} to {role}");
            assert!(allowed || result.unwrap_err() == CertificateError::WrongLink);
            for wanted in ROLES {
                let staff = [Role::Doctor, Role::Assistant, Role::Auditor];
                let allowed =
                    issuer.subject().role == Role::Root && role == wanted && staff.contains(&role);
                let result = issuer.accept_staff(issued.clone(), wanted);
                assert_eq!(result.is_ok(), allowed, "{issuer:?} to {role} as {wanted}");
                assert!(allowed || result.unwrap_err() == CertificateError::WrongLink);
            }
        }
    }
}

#[test]
fn an_assistant_and_an_auditor_are_neither_a_doctor_nor_a_patient() {
    let clinic = clinic();
    let group = clinic.doctor.group();
    for role in [Role::Assistant, Role::Auditor] {
        let signing = SignSecret::generate(group, &mut OsRandom);
        let subject = Subject {
            identifier: "A1".parse().unwrap(),
            role,
            signing_key: signing.verifying_key().clone(),
            ..clinic.doctor.certificate.subject().clone()
        };
        let hers = VerifiedCertificate::issue(subject, &clinic.root, &mut OsRandom);
        let decoded = Certificate::decode(hers.as_bytes(), group).unwrap();
        assert!(
            clinic
                .doctor
                .root
                .accept_staff(decoded.clone(), role)
                .is_ok()
        );
        assert_eq!(Certificate::key_id_in(hers.as_bytes()), Some(hers.key_id()));
        let pinned = decoded.fingerprint();
        let error = VerifiedCertificate::root(decoded, &pinned).unwrap_err();
        assert_eq!(error, CertificateError::WrongLink);
        // What she certifies herself is nobody's.
        let other = SignSecret::generate(group, &mut OsRandom);
        let encryption = KemSecret::generate(group, &mut OsRandom);
        for below in ROLES {
            let mut subject = patient_subject(&clinic.doctor, &other, encryption.public());
            subject.role = below;
            if below != Role::Patient {
                subject.encryption_key = None;
            }
            let issued = VerifiedCertificate::issue(subject, &signing, &mut OsRandom);
            let issued = Certificate::decode(issued.as_bytes(), group).unwrap();
            let error = hers.accept_issued(issued.clone()).unwrap_err();
            assert_eq!(error, CertificateError::WrongLink);
            assert!(hers.accept_staff(issued, below).is_err());
        }
        // And no patient's identity.
        let issuer = clinic.doctor.certificate.clone();
        let encryption = KemSecret::generate(group, &mut OsRandom);
        let mine = copy_of(&signing);
        assert!(PatientIdentity::new(hers.clone(), issuer, mine, encryption).is_none());
    }
}

#[test]
fn a_certificate_of_another_issuer_is_refused() {
    let mallory = clinic().other_doctor("Mallory");
    // Honest about who signed it.
    let hers = Forged {
        signer: &mallory.signing,
        issuer: mallory.certificate.key_id(),
        ..Forged::new()
    };
    assert_eq!(hers.judge().unwrap_err(), CertificateError::WrongLink);
    // And not.
    let forged = Forged {
        signer: &mallory.signing,
        ..Forged::new()
    };
    assert_eq!(forged.judge().unwrap_err(), CertificateError::BadSignature);
}

#[test]
fn a_certificate_of_another_clinic_or_group_is_refused() {
    let error = refused(|forged| forged.subject.clinic = [0; 16]);
    assert_eq!(error, CertificateError::WrongLink);
    let other = *Group::ffdhe3072().id();
    let error = refused(|forged| forged.group = other);
    assert_eq!(error, CertificateError::Malformed);
    let bytes = Forged::new().encode();
    let error = Certificate::decode(&bytes, &Group::ffdhe3072()).unwrap_err();
    assert_eq!(error, CertificateError::Malformed);
}

#[test]
fn unknown_versions_and_roles_are_refused() {
    for version in [0, 2, 255] {
        let error = refused(|forged| forged.version = version);
        assert_eq!(error, CertificateError::Malformed);
    }
    for role in [0, 6, 255] {
        let error = refused(|forged| forged.role = role);
        assert_eq!(error, CertificateError::Malformed);
        // As long as a doctor's, too.
        let error = refused(|forged| {
            forged.role = role;
            forged.encryption_key = Vec::new();
        });
        assert_eq!(error, CertificateError::Malformed);
    }
}

#[test]
fn a_patient_has_an_encryption_key_of_her_own_and_nobody_else_has_one() {
    let signing_key = clinic().patients[0].certificate().subject();
    let signing_key = signing_key.signing_key.as_bytes().to_vec();
    let len = signing_key.len();
    for key in [signing_key, Vec::new(), vec![0; len], vec![0xff; len]] {
        let error = refused(|forged| forged.encryption_key = key);
        assert_eq!(error, CertificateError::Malformed);
    }
    for role in [1, 2, 4, 5] {
        let error = refused(|forged| forged.role = role);
        assert_eq!(error, CertificateError::Malformed);
    }
}

#[test]
fn dates_the_wrong_way_round_are_refused() {
    let error = refused(|forged| {
        forged.subject.not_before = at(1);
        forged.subject.not_after = NOW;
    });
    assert_eq!(error, CertificateError::Malformed);
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_instant() {
    let identity = patient_with(&clinic().doctor, |subject| {
        subject.not_before = NOW;
        subject.not_after = at(60);
    });
    let check = |now: Timestamp| identity.certificate().check_dates(now);
    let one = Duration::from_millis(1);
    assert_eq!(
        check(NOW.minus(one)),
        Err(CertificateError::NotYetValid(NOW))
    );
    assert_eq!((check(NOW), check(at(60))), (Ok(()), Ok(())));
    assert_eq!(
        check(at(60).plus(one)),
        Err(CertificateError::Ended(at(60)))
    );
}

#[test]
fn a_certificate_with_a_byte_more_less_or_other_is_refused() {
    let genuine = Forged::new().encode();
    let doctor = &clinic().doctor.certificate;
    let accepts = |bytes: &[u8]| {
        Certificate::decode(bytes, doctor.group())
            .and_then(|certificate| doctor.accept_issued(certificate))
            .is_ok()
    };
    assert!(accepts(&genuine));
    let longer = [&genuine[..], &[0]].concat();
    let error = Certificate::decode(&longer, doctor.group()).unwrap_err();
    assert_eq!(error, CertificateError::Malformed);
    for len in 0..genuine.len() {
        assert!(!accepts(&genuine[..len]));
    }
    for position in 0..genuine.len() {
        let mut changed = genuine.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(!accepts(&changed), "byte {position}");
    }
}

#[test]
fn a_table_names_one_certificate_and_no_other() {
    let [first, second, _] = &clinic().patients;
    let table = first.certificate().fingerprint();
    let decode = |identity: &PatientIdentity| {
        Certificate::decode(
            identity.certificate().as_bytes(),
            first.certificate().group(),
        )
        .unwrap()
    };
    assert!(VerifiedCertificate::known(decode(first), &table).is_ok());
    let error = VerifiedCertificate::known(decode(second), &table).unwrap_err();
    assert_eq!(error, CertificateError::WrongFingerprint);
}

#[test]
fn a_root_is_the_pinned_one_and_signs_itself() {
    let clinic = clinic();
    let group = clinic.doctor.group();
    let decode = |bytes: &[u8]| Certificate::decode(bytes, group).unwrap();
    let root = decode(clinic.doctor.root.as_bytes());
    let pinned = root.fingerprint();
    assert!(VerifiedCertificate::root(root.clone(), &pinned).is_ok());
    let error = VerifiedCertificate::root(root.clone(), &[0; 32]).unwrap_err();
    assert_eq!(error, CertificateError::WrongFingerprint);
    // Pinning another kind of certificate does not make it a root.
    for other in [&clinic.doctor.certificate, clinic.patients[0].certificate()] {
        let certificate = decode(other.as_bytes());
        let error = VerifiedCertificate::root(certificate, &other.fingerprint()).unwrap_err();
        assert_eq!(error, CertificateError::WrongLink);
    }
    // Nor one that another key signed, whoever it names.
    let mallory = SignSecret::generate(group, &mut OsRandom);
    let mut subject = root.subject().clone();
    subject.signing_key = mallory.verifying_key().clone();
    let forged = Forged {
        version: 1,
        issuer: key_id(mallory.verifying_key()),
        role: 2,
        group: *group.id(),
        subject,
        encryption_key: Vec::new(),
        signer: &mallory,
    };
    let doctor = decode(&forged.encode());
    let pinned = doctor.fingerprint();
    let error = VerifiedCertificate::root(doctor, &pinned).unwrap_err();
    assert_eq!(
        error,
        CertificateError::WrongLink,
        "it signs itself, as a doctor"
    );
    for (issuer, expected) in [
        (
            key_id(&root.subject().signing_key),
            CertificateError::BadSignature,
        ),
        (key_id(mallory.verifying_key()), CertificateError::WrongLink),
    ] {
        let forged = Forged {
            version: 1,
            issuer,
            role: 1,
            group: *group.id(),
            subject: root.subject().clone(),
            encryption_key: Vec::new(),
            signer: &mallory,
        };
        let certificate = decode(&forged.encode());
        let pinned = certificate.fingerprint();
        let error = VerifiedCertificate::root(certificate, &pinned).unwrap_err();
        assert_eq!(error, expected);
    }
}

#[test]
fn secrets_go_with_their_own_certificate_only() {
    let doctor = &clinic().doctor;
    let mine = &clinic().patients[0];
    let other = patient_of(doctor, "P9");
    let identity = |certificate: &VerifiedCertificate, signing, encryption| {
        let issuer = doctor.certificate.clone();
        PatientIdentity::new(certificate.clone(), issuer, signing, encryption)
    };
    let signing = || copy_of(mine.signing());
    let encryption = || copy_of_kem(mine.encryption());
    let certificate = mine.certificate();
    assert!(identity(certificate, signing(), encryption()).is_some());
    assert!(identity(certificate, copy_of(other.signing()), encryption()).is_none());
    assert!(identity(certificate, signing(), copy_of_kem(other.encryption())).is_none());
    let hers = copy_of(&doctor.signing);
    assert!(identity(&doctor.certificate, hers, encryption()).is_none());
}

proptest! {
    #[test]
    fn random_bytes_are_no_certificate(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        role in 1_u8..=5,
    ) {
        let group = clinic().doctor.group();
        let _: Option<[u8; 32]> = Certificate::group_id(&bytes);
        prop_assert!(Certificate::decode(&bytes, group).is_err());
        let front = Writer::new()
            .u8(1)
            .bytes(&random::array::<64>(&mut OsRandom))
            .bytes(&clinic().doctor.identifier().to_field())
            .u8(role)
            .bytes(group.id())
            .u64(0)
            .u64(u64::MAX)
            .bytes(Element::as_bytes(clinic().patients[0].encryption().public()))
            .bytes(&bytes)
            .finish();
        if let Ok(certificate) = Certificate::decode(&front, group) {
            prop_assert!(clinic().doctor.root.accept_issued(certificate.clone()).is_err());
            prop_assert!(clinic().doctor.certificate.accept_issued(certificate).is_err());
        }
    }
}

#[test]
fn a_key_is_named_by_place_as_by_decoding() {
    let clinic = clinic();
    for certificate in [
        &clinic.doctor.root,
        &clinic.doctor.certificate,
        clinic.patients[0].certificate(),
    ] {
        let found = Certificate::key_id_in(certificate.as_bytes());
        assert_eq!(found, Some(certificate.key_id()));
    }
    assert_eq!(Certificate::key_id_in(&[1; 40]), None);
}
