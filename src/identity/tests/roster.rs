//! Which entries of the clinic's list of doctors are believed.

use proptest::prelude::*;

use crate::codec::Writer;
use crate::elgamal::{Group, SignSecret};
use crate::identity::authority::{DoctorIdentity, found_clinic};
use crate::identity::certificate::{CertificateError, Role, VerifiedCertificate};
use crate::identity::roster::{RosterEntry, RosterError};
use crate::kdf::label;
use crate::random::OsRandom;
use crate::testing::{Clinic, NOW, at, clinic, patient_subject};

const ADDRESS: &str = "praxis.example:7400";

fn entry_of(doctor: &DoctorIdentity) -> RosterEntry {
    let address = ADDRESS.parse().unwrap();
    RosterEntry::make(doctor, &address, NOW, &mut OsRandom).unwrap()
}

fn accept(bytes: &[u8]) -> Result<RosterEntry, RosterError> {
    let doctor = &clinic().doctor;
    RosterEntry::accept(bytes, &doctor.root, &doctor.revoked)
}

/// An entry with these parts, signed by `signing`.
fn signed(
    doctor: &DoctorIdentity,
    (version, certificate, address): (u8, &[u8], &[u8]),
    signing: &SignSecret,
) -> Vec<u8> {
    let fields = Writer::new()
        .u8(version)
        .bytes(&doctor.root.subject().clinic)
        .u64(NOW.as_millis())
        .lp8(address)
        .lp16(certificate);
    let signature = signing.sign(label::SIG_ROSTER, &[fields.as_slice()], &mut OsRandom);
    fields.bytes(&signature).finish()
}

#[test]
fn an_entry_of_a_doctor_of_the_clinic_is_believed() {
    let other = clinic().other_doctor("D2");
    let made = entry_of(&other);
    let entry = accept(made.as_bytes()).unwrap();
    assert_eq!(entry.doctor().as_str(), "D2");
    assert_eq!(entry.address().to_string(), ADDRESS);
    assert_eq!(entry.made(), NOW);
    assert_eq!(entry.as_bytes(), made.as_bytes());
    assert_eq!(entry.certificate().as_bytes(), other.certificate.as_bytes());
    let named = RosterEntry::doctor_in(made.as_bytes()).unwrap();
    assert_eq!(named.as_str(), "D2");
}

#[test]
fn an_entry_of_another_clinic_or_root_is_refused() {
    let foreign = Clinic::new();
    let error = accept(entry_of(&foreign.doctor).as_bytes()).unwrap_err();
    assert_eq!(error, RosterError::OtherClinic);
    // Another root that claims to be this clinic's.
    let (root, mut forged) = found_clinic(
        &Group::ffdhe2048(),
        &"D2".parse().unwrap(),
        NOW,
        &mut OsRandom,
    );
    let mut subject = forged.certificate.subject().clone();
    subject.clinic = clinic().doctor.root.subject().clinic;
    forged.certificate = VerifiedCertificate::issue(subject, &root, &mut OsRandom);
    forged.root = clinic().doctor.root.clone();
    let error = accept(entry_of(&forged).as_bytes()).unwrap_err();
    assert_eq!(error, RosterError::Doctor(CertificateError::WrongLink));
}

#[test]
fn an_entry_that_the_doctor_has_not_signed_is_refused() {
    let other = clinic().other_doctor("D2");
    let colleague = &clinic().doctor.signing;
    let parts = (1, other.certificate.as_bytes(), ADDRESS.as_bytes());
    let bytes = signed(&other, parts, colleague);
    assert_eq!(accept(&bytes).unwrap_err(), RosterError::BadSignature);
    assert!(accept(&signed(&other, parts, &other.signing)).is_ok());
}

#[test]
fn an_entry_of_a_patient_or_the_root_is_refused() {
    let wrong_link = RosterError::Doctor(CertificateError::WrongLink);
    let doctor = &clinic().doctor;
    let patient = &clinic().patients[0];
    let parts = (1, patient.certificate().as_bytes(), ADDRESS.as_bytes());
    let bytes = signed(doctor, parts, patient.signing());
    assert_eq!(accept(&bytes).unwrap_err(), wrong_link);
    let parts = (1, doctor.root.as_bytes(), ADDRESS.as_bytes());
    let bytes = signed(doctor, parts, &clinic().root);
    assert_eq!(accept(&bytes).unwrap_err(), wrong_link);
    // Nor a doctor's certificate that a doctor has issued.
    let mut subject = patient_subject(doctor, patient.signing(), patient.encryption().public());
    subject.role = Role::Doctor;
    subject.encryption_key = None;
    let forged = VerifiedCertificate::issue(subject, &doctor.signing, &mut OsRandom);
    let parts = (1, forged.as_bytes(), ADDRESS.as_bytes());
    let bytes = signed(doctor, parts, patient.signing());
    assert_eq!(accept(&bytes).unwrap_err(), wrong_link);
}

#[test]
fn an_entry_of_a_revoked_doctor_is_refused() {
    let other = clinic().other_doctor("D2");
    let entry = entry_of(&other);
    let list = clinic().revoked(1, &[other.certificate.subject().serial]);
    let root = &clinic().doctor.root;
    let error = RosterEntry::accept(entry.as_bytes(), root, &list).unwrap_err();
    assert_eq!(error, RosterError::Revoked);
    // What was accepted before is still read, and known to be revoked.
    let entry = RosterEntry::verify(entry.as_bytes(), root).unwrap();
    assert!(entry.is_revoked(&list) && !entry.is_revoked(&clinic().doctor.revoked));
}

#[test]
fn an_entry_names_an_address_that_can_be_reached_in_one_way_only() {
    let doctor = &clinic().doctor;
    let judge = |address: &[u8]| {
        let parts = (1, doctor.certificate.as_bytes(), address);
        accept(&signed(doctor, parts, &doctor.signing))
    };
    let longest = format!("{}:65535", "a".repeat(247));
    for right in [ADDRESS, "192.0.2.1:1", "[2001:db8::1]:7400", &longest] {
        assert_eq!(
            judge(right.as_bytes()).unwrap().address().to_string(),
            right
        );
    }
    let too_long = format!("{}:65535", "a".repeat(248));
    for wrong in [
        "",
        "praxis.example",
        "praxis.example:0",
        "praxis.example:07400",
        "praxis.example:65536",
        "0.0.0.0:7400",
        "[::]:7400",
        "2001:db8::1",
        "praxis.example:7400\n",
        "-x:7400",
        &too_long,
    ] {
        assert_eq!(judge(wrong.as_bytes()).unwrap_err(), RosterError::Malformed);
    }
    assert_eq!(judge(b"\xff:7400").unwrap_err(), RosterError::Malformed);
    for unreachable in ["0.0.0.0:7400", "praxis.example:0"] {
        let address = unreachable.parse().unwrap();
        assert!(RosterEntry::make(doctor, &address, NOW, &mut OsRandom).is_none());
    }
}

#[test]
fn an_entry_of_another_version_is_refused() {
    let doctor = &clinic().doctor;
    for version in [0, 2, 255] {
        let parts = (version, doctor.certificate.as_bytes(), ADDRESS.as_bytes());
        let bytes = signed(doctor, parts, &doctor.signing);
        assert_eq!(accept(&bytes).unwrap_err(), RosterError::Malformed);
    }
}

#[test]
fn an_entry_with_a_byte_more_less_or_other_is_refused() {
    let bytes = entry_of(&clinic().doctor).as_bytes().to_vec();
    for len in 0..bytes.len() {
        assert!(accept(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(accept(&[&bytes[..], &[0]].concat()).is_err());
    // All fields before the keys, and here and there in what follows.
    for position in (0..260).chain((260..bytes.len()).step_by(37)) {
        let mut changed = bytes.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(accept(&changed).is_err(), "byte {position}");
    }
}

#[test]
fn an_entry_does_not_look_at_dates_of_its_own() {
    // Whoever uses it does.
    let entry = entry_of(&clinic().doctor);
    let ended = clinic().doctor.certificate.subject().not_after;
    assert!(entry.certificate().check_dates(at(1)).is_ok());
    let late = ended.plus(std::time::Duration::from_millis(1));
    assert!(entry.certificate().check_dates(late).is_err());
}

proptest! {
    #[test]
    fn random_bytes_are_no_entry(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(accept(&bytes).is_err());
        let _ = RosterEntry::doctor_in(&bytes);
        // And behind what every entry of this clinic begins with.
        let clinic = clinic().doctor.root.subject().clinic;
        let bytes = [&[1][..], &clinic, &bytes].concat();
        prop_assert!(accept(&bytes).is_err());
        let _ = RosterEntry::doctor_in(&bytes);
    }
}
