//! What a patient believes of a server, and what the server knows of itself.

mod prekeys;

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::{Group, SignSecret};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{CertificateError, Role, Subject, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::{KnownDoctor, TrustError, fingerprint_groups};
use crate::identity::prekey::VerifiedPrekey;
use crate::identity::revocation::{MAX_SERIALS, RevocationError, RevokedDoctors};
use crate::kdf::label;
use crate::random::OsRandom;
use crate::testing::{Clinic, NOW, clinic, copy_of, known, patient_subject};

const ONE: Duration = Duration::from_millis(1);

fn name(text: &str) -> Identifier {
    text.parse().unwrap()
}

/// The parts of a CERT frame's body.
struct Parts {
    root: Vec<u8>,
    certificate: Vec<u8>,
    prekey: Vec<u8>,
    revoked: Vec<u8>,
    modulus: Vec<u8>,
}

impl Parts {
    fn of(doctor: &DoctorIdentity) -> Self {
        Self {
            root: doctor.root.as_bytes().to_vec(),
            certificate: doctor.certificate.as_bytes().to_vec(),
            prekey: doctor.prekeys[0].prekey.as_bytes().to_vec(),
            revoked: doctor.revoked.as_bytes().to_vec(),
            modulus: Vec::new(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        Writer::new()
            .lp16(&self.root)
            .lp16(&self.certificate)
            .lp16(&self.prekey)
            .lp16(&self.revoked)
            .lp16(&self.modulus)
            .finish()
    }

    fn judge(&self, now: Timestamp) -> Result<KnownDoctor, TrustError> {
        let pinned = clinic().doctor.root.fingerprint();
        KnownDoctor::first_contact(&self.encode(), &pinned, &name("D1"), now, &mut OsRandom)
    }
}

fn refused(change: impl FnOnce(&mut Parts)) -> TrustError {
    let mut parts = Parts::of(&clinic().doctor);
    change(&mut parts);
    parts.judge(NOW).unwrap_err()
}

#[test]
fn a_doctor_of_the_pinned_clinic_is_believed() {
    let parts = Parts::of(&clinic().doctor);
    assert_eq!(parts.encode(), clinic().doctor.bundle(NOW));
    let known = parts.judge(NOW).unwrap();
    assert_eq!(known.to_bundle(), clinic().doctor.bundle(NOW));
    assert_eq!(known.group(), &Group::ffdhe2048());
}

#[test]
fn another_clinic_is_not_believed() {
    let foreign = Clinic::new();
    let error = Parts::of(&foreign.doctor).judge(NOW).unwrap_err();
    let wrong_root = TrustError::Root(CertificateError::WrongFingerprint);
    assert_eq!(error, wrong_root);
    // Nor its doctor under the pinned root.
    let error = refused(|parts| parts.certificate = Parts::of(&foreign.doctor).certificate);
    assert_eq!(error, TrustError::Doctor(CertificateError::WrongLink));
    // Nor later.
    let own = clinic().patients[0].own();
    let error = clinic()
        .known()
        .check_bundle(&foreign.doctor.bundle(NOW), own, NOW);
    let changed = TrustError::ChangedRoot {
        known: clinic().doctor.root.fingerprint(),
        found: foreign.doctor.root.fingerprint(),
    };
    assert_eq!(error.unwrap_err(), changed);
}

#[test]
fn another_doctor_of_the_clinic_is_not_the_one_asked_for() {
    let other = clinic().other_doctor("D2");
    let expected = TrustError::OtherDoctor {
        wanted: name("D1"),
        found: name("D2"),
    };
    assert_eq!(Parts::of(&other).judge(NOW).unwrap_err(), expected);
}

#[test]
fn another_doctor_of_the_clinic_is_believed_with_the_key_she_is_listed_with() {
    let (home, other) = (clinic().known(), clinic().other_doctor("D2"));
    let own = clinic().patients[0].own();
    let listed = &other.certificate;
    let judge = |bundle: &[u8]| home.colleague(bundle, listed, own, NOW);
    let known = judge(&other.bundle(NOW)).unwrap();
    assert_eq!(known.to_bundle(), other.bundle(NOW));
    // Renewed since she was listed.
    let renewed = clinic().doctor_with("D2", copy_of(&other.signing), other.prekeys);
    assert!(judge(&renewed.bundle(NOW)).is_ok());
    let refused = |bundle: &[u8]| judge(bundle).unwrap_err();
    let foreign = Clinic::new().doctor;
    assert_eq!(
        refused(&foreign.bundle(NOW)),
        TrustError::ChangedRoot {
            known: home.root().fingerprint(),
            found: foreign.root.fingerprint(),
        }
    );
    assert_eq!(
        refused(&clinic().doctor.bundle(NOW)),
        TrustError::OtherDoctor {
            wanted: name("D2"),
            found: name("D1"),
        }
    );
    let twin = clinic().other_doctor("D2");
    assert_eq!(
        refused(&twin.bundle(NOW)),
        TrustError::ChangedKey {
            known: listed.key_id(),
            found: twin.certificate.key_id(),
        }
    );
    let late = renewed.certificate.subject().not_after.plus(ONE);
    let ended = home.colleague(&renewed.bundle(NOW), listed, own, late);
    assert!(matches!(ended, Err(TrustError::Doctor(_))), "{ended:?}");
    // Nor is she the patient herself.
    let mut mine = own;
    mine.signing_key = renewed.signing.verifying_key();
    let error = home.colleague(&renewed.bundle(NOW), listed, mine, NOW);
    assert_eq!(error.unwrap_err(), TrustError::OwnKey);
}

#[test]
fn another_doctor_of_the_clinic_shows_no_older_list_and_is_not_in_it() {
    let mut home = clinic().known();
    let mut other = clinic().other_doctor("D2");
    let own = clinic().patients[0].own();
    let listed = other.certificate.clone();
    let serial = listed.subject().serial;
    let list = clinic().revoked(2, &[[7; 16]]);
    home.raise_list(&list);
    let judge = |other: &DoctorIdentity| home.colleague(&other.bundle(NOW), &listed, own, NOW);
    assert_eq!(judge(&other).unwrap_err(), TrustError::OlderRevocation);
    other.revoked = list;
    assert!(judge(&other).is_ok());
    other.revoked = clinic().revoked(3, &[serial]);
    assert_eq!(judge(&other).unwrap_err(), TrustError::Revoked);
}

#[test]
fn a_list_is_raised_and_never_lowered() {
    let mut home = clinic().known();
    home.raise_list(&clinic().revoked(2, &[[7; 16]]));
    home.raise_list(&clinic().revoked(1, &[[8; 16]]));
    assert_eq!(home.revoked().number(), 2);
    assert!(!home.is_revoked());
    let serial = clinic().doctor.certificate.subject().serial;
    home.raise_list(&clinic().revoked(3, &[serial]));
    assert!(home.is_revoked());
}

#[test]
fn what_was_kept_is_read_back_though_the_doctor_was_revoked_since() {
    let mut home = clinic().known();
    let mut other = known(&clinic().other_doctor("D2"));
    let mut serials = [&home, &other].map(|known| known.certificate().subject().serial);
    serials.sort_unstable();
    let list = clinic().revoked(1, &serials);
    home.raise_list(&list);
    other.raise_list(&list);
    let pinned = home.root().fingerprint();
    let read = KnownDoctor::restore(&home.to_bundle(), &pinned, &name("D1"), NOW, &mut OsRandom);
    let read = read.unwrap();
    assert!(read.is_revoked());
    let papers = (other.certificate().as_bytes(), other.prekey().as_bytes());
    let colleague = read.restore_colleague(papers, other.certificate(), NOW);
    assert!(colleague.unwrap().is_revoked());
    // But nothing else is let pass.
    let wrong = read.restore_colleague(papers, home.certificate(), NOW);
    assert!(matches!(wrong, Err(TrustError::OtherDoctor { .. })));
    let first =
        KnownDoctor::first_contact(&home.to_bundle(), &pinned, &name("D1"), NOW, &mut OsRandom);
    assert_eq!(first.unwrap_err(), TrustError::Revoked);
}

#[test]
fn a_patient_is_no_doctor() {
    let patient = clinic().patients[0].certificate().as_bytes().to_vec();
    let error = refused(|parts| parts.certificate = patient);
    assert_eq!(error, TrustError::Doctor(CertificateError::WrongLink));
    // Not even if she signs herself a doctor's.
    let patient = &clinic().patients[0];
    let other = SignSecret::generate(clinic().doctor.group(), &mut OsRandom);
    let mut subject = patient_subject(&clinic().doctor, &other, patient.encryption().public());
    subject.role = Role::Doctor;
    subject.encryption_key = None;
    subject.identifier = name("D1");
    let forged = VerifiedCertificate::issue(subject, patient.signing(), &mut OsRandom);
    let error = refused(|parts| parts.certificate = forged.as_bytes().to_vec());
    assert_eq!(error, TrustError::Doctor(CertificateError::WrongLink));
}

#[test]
fn a_group_that_is_not_the_roots_or_keeps_no_secrets_is_refused() {
    let p = Group::ffdhe2048().modulus_bytes().to_vec();
    // Named although it is built in: the same group.
    let mut parts = Parts::of(&clinic().doctor);
    parts.modulus = p.clone();
    assert!(parts.judge(NOW).is_ok());
    let mut composite = p.clone();
    composite[100] ^= 1;
    let mut even = p;
    even[255] ^= 1;
    for modulus in [composite, even, vec![0xff; 256], vec![7], vec![0xff; 255]] {
        let error = refused(|parts| parts.modulus = modulus);
        assert_eq!(error, TrustError::Group);
    }
    let other = Group::ffdhe3072().modulus_bytes().to_vec();
    assert_eq!(refused(|parts| parts.modulus = other), TrustError::Group);
}

#[test]
fn dates_of_root_doctor_and_prekey_are_looked_at() {
    let parts = Parts::of(&clinic().doctor);
    let root = clinic().doctor.root.subject();
    let judge = |now| parts.judge(now).unwrap_err();
    assert_eq!(
        judge(root.not_after.plus(ONE)),
        TrustError::Root(CertificateError::Ended(root.not_after))
    );
    let doctor = clinic().doctor.certificate.subject();
    assert_eq!(
        judge(doctor.not_after.plus(ONE)),
        TrustError::Doctor(CertificateError::Ended(doctor.not_after))
    );
    let prekey = &clinic().doctor.prekeys[0].prekey;
    assert!(parts.judge(prekey.not_after()).is_ok());
    assert_eq!(judge(prekey.not_after().plus(ONE)), TrustError::PrekeyDates);
}

#[test]
fn a_revoked_doctor_is_not_believed() {
    let serial = clinic().doctor.certificate.subject().serial;
    let list = clinic().revoked_bytes(1, &[[0; 16], serial]);
    assert_eq!(refused(|parts| parts.revoked = list), TrustError::Revoked);
}

#[test]
fn a_list_of_revoked_doctors_is_strictly_ascending_and_short() {
    let accept = |bytes: &[u8]| RevokedDoctors::accept(bytes, &clinic().doctor.root);
    let of = |serials: &[[u8; 16]]| accept(&clinic().revoked_bytes(3, serials));
    let [a, b] = [[1; 16], [2; 16]];
    let list = of(&[a, b]).unwrap();
    assert_eq!(list.number(), 3);
    assert!(list.contains(&a) && list.contains(&b) && !list.contains(&[3; 16]));
    for wrong in [&[b, a][..], &[a, a]] {
        assert_eq!(of(wrong).unwrap_err(), RevocationError::Malformed);
    }
    let many: Vec<[u8; 16]> = (0..=MAX_SERIALS as u128).map(u128::to_be_bytes).collect();
    assert!(of(&many[1..]).is_ok());
    assert_eq!(of(&many).unwrap_err(), RevocationError::Malformed);
    assert_eq!(
        accept(Clinic::new().doctor.revoked.as_bytes()).unwrap_err(),
        RevocationError::NotOfThisClinic
    );
}

#[test]
fn a_list_of_revoked_doctors_only_grows_and_its_number_only_rises() {
    let (root, doctor) = (&clinic().root, &clinic().doctor);
    let of_clinic = &doctor.root.subject().clinic;
    let extend = |list: &RevokedDoctors, serial: [u8; 16]| {
        let next = list.extend(root, of_clinic, &serial, NOW, &mut OsRandom)?;
        Some(RevokedDoctors::accept(next.as_bytes(), &doctor.root).unwrap())
    };
    let [a, b] = [[1; 16], [2; 16]];
    let one = extend(&doctor.revoked, b).unwrap();
    let two = extend(&one, a).unwrap();
    let now = NOW.as_millis() / 1_000;
    assert_eq!((two.number(), two.serials()), (now + 1, &[a, b][..]));
    let again = extend(&two, a).unwrap();
    assert_eq!((again.number(), again.serials()), (now + 2, &[a, b][..]));
    assert!(two.may_follow(&one) && two.may_follow(&two) && !one.may_follow(&two));
    // One who begins again with an old list is not taken for who went on.
    let other = extend(&doctor.revoked, a).unwrap();
    assert_eq!(other.number(), one.number());
    assert!(!other.may_follow(&one));
    let many: Vec<[u8; 16]> = (1..=MAX_SERIALS as u128).map(u128::to_be_bytes).collect();
    assert!(extend(&clinic().revoked(3, &many), [9; 16]).is_none());
}

#[test]
fn a_list_of_revoked_doctors_is_the_roots_not_a_doctors() {
    let genuine = clinic().revoked_bytes(3, &[]);
    let signed = &genuine[..genuine.len() - 512];
    let signer = &clinic().doctor.signing;
    let signature = signer.sign(label::SIG_REVOKED, &[signed], &mut OsRandom);
    let forged = [signed, &signature].concat();
    let error = RevokedDoctors::accept(&forged, &clinic().doctor.root).unwrap_err();
    assert_eq!(error, RevocationError::NotOfThisClinic);
}

#[test]
fn an_old_certificate_sent_again_does_not_replace_the_renewed_one() {
    let doctor = &clinic().doctor;
    let renewed = Subject {
        serial: [7; 16],
        not_before: NOW,
        ..doctor.certificate.subject().clone()
    };
    let renewed = VerifiedCertificate::issue(renewed, &clinic().root, &mut OsRandom);
    let mut known = clinic().known();
    let own = clinic().patients[0].own();
    let mut learn = |certificate: &VerifiedCertificate| {
        let mut parts = Parts::of(doctor);
        parts.certificate = certificate.as_bytes().to_vec();
        let news = known.check_bundle(&parts.encode(), own, NOW).unwrap();
        known.learn(news, NOW);
        known.certificate().fingerprint()
    };
    assert_eq!(learn(&renewed), renewed.fingerprint());
    assert_eq!(learn(&doctor.certificate), renewed.fingerprint());
}

/// Nothing but `genuine` itself is accepted: not with a byte more, less or
/// other.
fn is_strict(genuine: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(genuine));
    assert!(!accepts(&[genuine, &[0]].concat()));
    for len in 0..genuine.len() {
        assert!(!accepts(&genuine[..len]));
    }
    for position in 0..genuine.len() {
        let mut changed = genuine.to_vec();
        changed[position] ^= 1 << (position % 8);
        assert!(!accepts(&changed), "byte {position}");
    }
}

#[test]
fn a_damaged_prekey_is_refused() {
    let doctor = &clinic().doctor;
    is_strict(doctor.prekeys[0].prekey.as_bytes(), |bytes| {
        VerifiedPrekey::accept(bytes, &doctor.certificate).is_ok()
    });
}

#[test]
fn a_damaged_list_of_revoked_doctors_is_refused() {
    is_strict(&clinic().revoked_bytes(3, &[[1; 16]]), |bytes| {
        RevokedDoctors::accept(bytes, &clinic().doctor.root).is_ok()
    });
}

#[test]
fn fingerprints_are_read_aloud_in_groups_of_four() {
    let mut id = [0; 32];
    id[0] = 0xab;
    id[19] = 0xcd;
    let text = fingerprint_groups(&id);
    assert_eq!(text.split(' ').count(), 10);
    assert!(text.starts_with("ab00 0000") && text.ends_with(" 00cd"));
}

proptest! {
    #[test]
    fn random_bytes_are_no_papers(bytes in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        let doctor = &clinic().doctor;
        prop_assert!(VerifiedPrekey::accept(&bytes, &doctor.certificate).is_err());
        prop_assert!(RevokedDoctors::accept(&bytes, &doctor.root).is_err());
        let mut parts = Parts::of(doctor);
        parts.root = bytes;
        prop_assert!(parts.judge(NOW).is_err());
    }
}
