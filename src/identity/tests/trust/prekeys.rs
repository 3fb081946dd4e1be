//! Which prekey is shown, taken and believed, and when.

use std::time::Duration;

use super::{ONE, Parts, name};
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::KemSecret;
use crate::identity::authority::{DoctorIdentity, OwnPrekey};
use crate::identity::known_doctor::{KnownDoctor, TrustError};
use crate::identity::prekey::{MAX_LIFETIME, PrekeyError, RENEWAL_MARGIN, VerifiedPrekey};
use crate::kdf::label;
use crate::random::OsRandom;
use crate::testing::{NOW, clinic, prekey_with};

/// A prekey with these dates, signed by the clinic's doctor.
fn prekey_between(begin: Timestamp, end: Timestamp) -> Vec<u8> {
    let doctor = &clinic().doctor;
    let signed = Writer::new()
        .u8(1)
        .bytes(&doctor.certificate.key_id())
        .u64(begin.as_millis())
        .u64(end.as_millis())
        .bytes(doctor.prekeys[0].secret.public().as_bytes());
    let message = [signed.as_slice()];
    let signature = doctor
        .signing
        .sign(label::SIG_PREKEY, &message, &mut OsRandom);
    signed.bytes(&signature).finish()
}

#[test]
fn a_prekey_that_would_live_for_more_than_thirty_days_is_refused() {
    let accept = |end| {
        let bytes = prekey_between(NOW, end);
        VerifiedPrekey::accept(&bytes, &clinic().doctor.certificate).map(|_| ())
    };
    assert_eq!(accept(NOW.plus(MAX_LIFETIME)), Ok(()));
    for end in [
        NOW.plus(MAX_LIFETIME + ONE),
        Timestamp::from_millis(u64::MAX),
        NOW.minus(ONE),
    ] {
        assert_eq!(accept(end), Err(PrekeyError::Malformed));
    }
}

#[test]
fn a_prekey_of_another_doctor_is_refused() {
    let accept = |bytes: &[u8]| {
        let doctor = &clinic().doctor.certificate;
        VerifiedPrekey::accept(bytes, doctor).map(|_| ())
    };
    let mallory = clinic().other_doctor("Mallory");
    let hers = mallory.prekeys[0].prekey.as_bytes();
    assert_eq!(accept(hers), Err(PrekeyError::NotOfThisDoctor));
    // Her key under Dora's name.
    let mut renamed = hers.to_vec();
    renamed[1..33].copy_from_slice(&clinic().doctor.certificate.key_id());
    assert_eq!(accept(&renamed), Err(PrekeyError::NotOfThisDoctor));
}

#[test]
fn a_prekey_is_taken_until_its_own_end_and_replaced_a_week_before() {
    let mut doctor = clinic().same_doctor();
    let secret = KemSecret::generate(doctor.group(), &mut OsRandom);
    let old = prekey_with(&doctor.signing, &secret, NOW);
    let (id, end) = (old.prekey.id(), old.prekey.not_after());
    doctor.prekeys = vec![old];
    assert!(!doctor.needs_prekey(end.minus(RENEWAL_MARGIN)));
    let late = end.minus(RENEWAL_MARGIN).plus(ONE);
    assert!(doctor.needs_prekey(late));
    let newest = OwnPrekey::generate(&doctor.signing, late, &mut OsRandom);
    doctor.prekeys.push(newest);
    assert!(!doctor.needs_prekey(late));
    assert_ne!(doctor.newest_prekey(late).unwrap().prekey.id(), id);
    assert!(doctor.prekey(&id, end).is_some());
    assert!(doctor.prekey(&id, end.plus(ONE)).is_none());
    assert!(doctor.prekey(&[0; 8], NOW).is_none());
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[test]
fn a_prekey_of_the_future_is_not_shown_and_a_valid_one_is_made() {
    let mut doctor = clinic().same_doctor();
    let ahead = NOW.plus(DAY * 25);
    let future = OwnPrekey::generate(&doctor.signing, ahead, &mut OsRandom);
    let future_id = future.prekey.id();
    let shown = |doctor: &DoctorIdentity, now| doctor.newest_prekey(now).unwrap().prekey.id();
    // Beside a valid one.
    let valid_id = doctor.prekeys[0].prekey.id();
    let end = doctor.prekeys[0].prekey.not_after();
    doctor.prekeys.push(future);
    assert!(!doctor.needs_prekey(NOW));
    assert_eq!(shown(&doctor, NOW), valid_id);
    assert_eq!(doctor.bundle(NOW), clinic().doctor.bundle(NOW));
    assert!(doctor.needs_prekey(end.minus(RENEWAL_MARGIN).plus(ONE)));
    // First messages for it are taken, and its time comes.
    assert!(doctor.prekey(&future_id, NOW).is_some());
    assert_eq!(shown(&doctor, ahead), future_id);
    assert!(!doctor.needs_prekey(ahead));
    // Alone.
    doctor.prekeys.remove(0);
    assert!(doctor.newest_prekey(NOW).is_none());
    assert!(doctor.needs_prekey(NOW));
    let first_contact = |doctor: &DoctorIdentity| {
        let pinned = doctor.root.fingerprint();
        let body = doctor.bundle(NOW);
        KnownDoctor::first_contact(&body, &pinned, &name("D1"), NOW, &mut OsRandom)
    };
    let error = first_contact(&doctor).unwrap_err();
    assert_eq!(error, TrustError::PrekeyDates);
    let made = OwnPrekey::generate(&doctor.signing, NOW, &mut OsRandom);
    let made_id = made.prekey.id();
    doctor.prekeys.push(made);
    assert!(!doctor.needs_prekey(NOW));
    let known = first_contact(&doctor).unwrap();
    assert_eq!(known.prekey().id(), made_id);
}

#[test]
fn a_patient_who_learned_a_prekey_of_the_future_goes_back_to_one_that_is_valid() {
    let doctor = &clinic().doctor;
    let ahead = NOW.plus(DAY * 25);
    let future = OwnPrekey::generate(&doctor.signing, ahead, &mut OsRandom).prekey;
    let valid = &doctor.prekeys[0].prekey;
    let mut known = clinic().known();
    let own = clinic().patients[0].own();
    let mut learn = |prekey: &VerifiedPrekey, now| {
        let mut parts = Parts::of(doctor);
        parts.prekey = prekey.as_bytes().to_vec();
        let news = known.check_bundle(&parts.encode(), own, now).unwrap();
        known.learn(news, now);
        known.prekey().id()
    };
    assert_eq!(learn(&future, ahead), future.id());
    // While both are valid there is no way back.
    assert_eq!(learn(valid, ahead), future.id());
    assert_eq!(learn(valid, NOW), valid.id());
    assert_eq!(learn(&future, ahead), future.id());
}
