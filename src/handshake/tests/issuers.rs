//! Rows that others can write: whose certificate lets somebody in there.

use std::collections::BTreeSet;

use crate::elgamal::SignSecret;
use crate::handshake::doctor::RefusalReason;
use crate::handshake::registry::Standing;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Subject, VerifiedCertificate};
use crate::identity::closing::Closing;
use crate::identity::patient_identity::PatientIdentity;
use crate::protocol::AlertCode;
use crate::random::OsRandom;
use crate::testing::{Clinic, NOW, Node, clinic, patient_of, patient_with};

/// The clinic's node where the table alone is not enough.
fn node() -> Node<'static> {
    let node = Node::of(&clinic().doctor);
    node.registry.lock().verified = Some(Vec::new());
    node
}

fn refused(node: &Node<'_>, patient: &PatientIdentity) {
    let refusal = node.first(&node.m1(patient).0).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::UnknownCertificate);
    assert_eq!(node.registry.lock().verified, Some(Vec::new()));
}

/// The clinic's doctor, as whoever has not her key makes her up.
fn made_up(change: impl FnOnce(&mut DoctorIdentity)) -> DoctorIdentity {
    let mut doctor = clinic().same_doctor();
    doctor.signing = SignSecret::generate(doctor.group(), &mut OsRandom);
    change(&mut doctor);
    doctor
}

/// Her certificate for that key, by another than the root.
fn certify(doctor: &mut DoctorIdentity) {
    let subject = Subject {
        signing_key: doctor.signing.verifying_key().clone(),
        ..doctor.certificate.subject().clone()
    };
    let other = SignSecret::generate(doctor.group(), &mut OsRandom);
    doctor.certificate = VerifiedCertificate::issue(subject, &other, &mut OsRandom);
}

#[test]
fn a_row_lets_nobody_in_whom_no_doctor_of_the_clinic_has_certified() {
    let stranger = Clinic::new();
    for doctor in [
        &stranger.doctor,
        // Her real certificate, and another key.
        &made_up(|_| {}),
        // One that no root has signed.
        &made_up(certify),
    ] {
        let patient = patient_of(doctor, "P1");
        // Where nobody else writes rows, they are enough.
        let trusting = Node::of(&clinic().doctor);
        trusting
            .registry
            .admit(patient.certificate(), Standing::Active);
        assert!(trusting.first(&trusting.m1(&patient).0).is_ok());
        let node = node();
        node.registry.admit(patient.certificate(), Standing::Active);
        refused(&node, &patient);
    }
}

#[test]
fn every_doctor_of_the_clinic_certifies_and_is_verified_once() {
    let node = node();
    let other = clinic().other_doctor("D2");
    let own = patient_of(&clinic().doctor, "P1");
    let hers = patient_of(&other, "P2");
    for patient in [&own, &hers] {
        node.registry.admit(patient.certificate(), Standing::Active);
        node.admit(patient);
    }
    let verified = [&own, &hers].map(|patient| patient.certificate().fingerprint());
    assert_eq!(node.registry.lock().verified, Some(verified.to_vec()));
    let node = node.an_hour_later();
    for patient in [&own, &hers] {
        node.admit(patient);
    }
    assert_eq!(node.registry.lock().verified, Some(verified.to_vec()));
}

#[test]
fn of_a_former_doctors_key_only_the_certificates_that_the_root_names_let_in() {
    let (clinic, mut doctor) = (clinic(), clinic().same_doctor());
    let former = clinic.other_doctor("D2");
    let named = patient_of(&former, "P1");
    let own = patient_of(&doctor, "P3");
    // With the stolen key, at the same number as the other.
    let serial = named.certificate().subject().serial;
    let forged = [
        patient_of(&former, "P2"),
        patient_with(&former, |subject| subject.serial = serial),
    ];
    let closing = Closing::sign(
        &clinic.root,
        &doctor.root.subject().clinic,
        (former.certificate.key_id(), 1),
        &BTreeSet::from([named.certificate().fingerprint()]),
        NOW,
        &mut OsRandom,
    );
    let good = BTreeSet::from([named.certificate().fingerprint()]);
    doctor.closed.add(closing, Some(good));
    for patient in [&named, &own] {
        let node = Node::of(&doctor);
        node.registry.lock().verified = Some(Vec::new());
        node.registry.admit(patient.certificate(), Standing::Active);
        node.admit(patient);
    }
    for patient in &forged {
        // Also where the signatures were verified before the key was closed.
        for verified in [Vec::new(), vec![patient.certificate().fingerprint()]] {
            let node = Node::of(&doctor);
            node.registry.lock().verified = Some(verified);
            node.registry.admit(patient.certificate(), Standing::Active);
            let refusal = node.first(&node.m1(patient).0).unwrap_err();
            let name = patient.certificate().subject().identifier.clone();
            assert_eq!(
                refusal.reason,
                RefusalReason::Alert(AlertCode::Revoked, name)
            );
        }
    }
}
