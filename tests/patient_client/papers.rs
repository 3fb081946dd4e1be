//! Certificates, prekeys and keys that are new, wrong or damaged.

use std::sync::Arc;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock};
use telemed::elgamal::SignSecret;
use telemed::handshake::patient::HandshakeError;
use telemed::handshake::registry::Standing;
use telemed::identity::authority::OwnPrekey;
use telemed::identity::certificate::{CertificateError, Subject, VerifiedCertificate};
use telemed::identity::known_doctor::TrustError;
use telemed::patient::connect::ConnectError;
use telemed::patient::event::{Event, Stopped};
use telemed::patient::files::FilesError;
use telemed::protocol::{AlertCode, DisconnectReason};
use telemed::random::OsRandom;

use crate::clinic::Clinic;
use crate::device::{Ahead, Device, quick};
use crate::refused;

#[test]
fn a_forged_description_of_the_doctor_does_not_stop_a_patient_for_good() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let right = std::mem::replace(&mut clinic.identity, Clinic::found().identity);
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    let error = running.until(|event| match event {
        Event::NotConnected(error) => Some(error),
        _ => None,
    });
    assert!(error.to_string().contains("another clinic"), "{error}");
    clinic.identity = right;
    clinic.accept().handshake(&clinic).unwrap();
}

/// A doctor of the same name, certified by the same root, with another key.
pub fn with_new_key(clinic: &mut Clinic) {
    let now = SystemClock.now();
    let identity = &mut clinic.identity;
    let signing = SignSecret::generate(identity.root.group(), &mut OsRandom);
    let subject = Subject {
        signing_key: signing.verifying_key().clone(),
        ..identity.certificate.subject().clone()
    };
    identity.certificate = VerifiedCertificate::issue(subject, &clinic.root, &mut OsRandom);
    identity.prekeys = vec![OwnPrekey::generate(&signing, now, &mut OsRandom)];
    identity.signing = signing;
}

#[test]
fn a_changed_key_is_a_hard_stop_with_both_fingerprints() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let before = clinic.identity.certificate.key_id();
    with_new_key(&mut clinic);
    let after = clinic.identity.certificate.key_id();
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    match refused(running) {
        ConnectError::Papers(TrustError::ChangedKey { known, found }) => {
            assert_eq!((known, found), (before, after));
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_new_prekey_is_learned_kept_and_used() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    // One that begins later than the one before.
    let later = SystemClock.now().plus(Duration::from_secs(1));
    let newer = OwnPrekey::generate(&clinic.identity.signing, later, &mut OsRandom);
    clinic.identity.prekeys = vec![newer];
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    let events = running.rest();
    let waits = |event: &Event| matches!(event, Event::Retrying { .. } | Event::NotConnected(_));
    assert!(!events.iter().any(waits), "{events:?}");
    let kept = device.load().doctor.prekey().as_bytes().to_vec();
    assert_eq!(kept, clinic.identity.prekeys[0].prekey.as_bytes());
}

#[test]
fn a_prekey_that_is_not_valid_now_is_told_and_tried_again() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let ahead = SystemClock.now().plus(Duration::from_secs(25 * 24 * 3_600));
    let future = OwnPrekey::generate(&clinic.identity.signing, ahead, &mut OsRandom);
    let valid = std::mem::replace(&mut clinic.identity.prekeys, vec![future]);
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    let told = running.until(|event| match event {
        Event::NotConnected(error) => Some(error.to_string()),
        _ => None,
    });
    assert_eq!(told, "the doctor's prekey is not valid now");
    clinic.identity.prekeys = valid;
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    running.rest();
}

#[test]
fn a_renewed_certificate_of_the_doctor_is_asked_for_when_the_old_one_fails() {
    let mut clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let subject = Subject {
        serial: [9; 16],
        ..clinic.identity.certificate.subject().clone()
    };
    clinic.identity.certificate = VerifiedCertificate::issue(subject, &clinic.root, &mut OsRandom);
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    drop(running.rest());
    let kept = device.load().doctor.certificate().fingerprint();
    assert_eq!(kept, clinic.identity.certificate.fingerprint());
}

#[test]
fn a_revoked_patient_does_not_knock_again() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    for (_, standing) in clinic.tables.0.lock().unwrap().issued.values_mut() {
        *standing = Standing::Stopped;
    }
    let running = device.start();
    clinic.accept().handshake(&clinic).unwrap_err();
    match refused(running) {
        ConnectError::Handshake(HandshakeError::Refused { code, .. }) => {
            assert_eq!(code, AlertCode::Revoked);
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_wrong_clock_keeps_nobody_out_and_is_told() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let ahead = Arc::new(Ahead(Duration::from_secs(430)));
    let running = device.start_with(quick(), ahead);
    let session = clinic.welcome();
    let clock = running.until(|event| match event {
        Event::Connected { clock, .. } => clock,
        _ => None,
    });
    let told = clock.to_string();
    assert_eq!(told, "this device's clock is 7 min ahead of the doctor's");
    drop(session);
}

#[test]
fn a_certificate_that_has_ended_is_not_shown_to_anybody() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let years = Duration::from_secs(2 * 366 * 24 * 3600);
    let running = device.start_with(quick(), Arc::new(Ahead(years)));
    match running.rest().pop() {
        Some(Event::Stopped(Stopped::OwnCertificate(CertificateError::Ended(_)))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_changed_byte_on_the_disk_is_found_out() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let directory = device.base.path().join("P1@D1");
    let key = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("/signing-"))
        .unwrap();
    let mut bytes = std::fs::read(&key).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&key, bytes).unwrap();
    let error = device.files().load(&mut OsRandom).unwrap_err();
    assert!(matches!(error, FilesError::Key(_)), "{error}");
    std::fs::remove_file(&key).unwrap();
    let error = device.files().load(&mut OsRandom).unwrap_err();
    assert!(error.to_string().contains("backup"), "{error}");
}
