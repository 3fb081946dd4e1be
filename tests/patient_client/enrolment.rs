//! A device enrols with a ticket.

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::handshake::patient::HandshakeError;
use telemed::handshake::registry::{Standing, TicketUse};
use telemed::identity::certificate::CertificateError;
use telemed::identity::known_doctor::TrustError;
use telemed::patient::enrol::{EnrolError, Enrolled};
use telemed::protocol::{AlertCode, DisconnectReason};

use crate::clinic::Clinic;
use crate::device::{Device, WHOLE};

#[test]
fn an_enrolment_goes_on_after_a_cut_at_every_step() {
    for frames in 0..WHOLE {
        let clinic = Clinic::found();
        let device = Device::new();
        let ticket = clinic.ticket("P1");
        let error = device.enrol_until(&clinic, &ticket, frames).unwrap_err();
        // Whoever was shown the ticket and has answered may have used it.
        match (frames, &error) {
            (0 | 1, EnrolError::Link(_)) | (2, EnrolError::NotAccepted) => {}
            (_, EnrolError::Unfinished(_)) if frames > 2 => {
                let said = error.to_string();
                assert!(said.contains("this device alone can finish"), "{said}");
            }
            _ => panic!("cut at {frames}: {error}"),
        }
        assert_eq!(device.files().enrolled_with().unwrap(), None);
        let enrolled = device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
        assert!(matches!(enrolled, Enrolled::Now { .. }), "cut at {frames}");
        let rows = clinic.tables.0.lock().unwrap();
        let issued: Vec<_> = rows.issued.values().collect();
        let [(certificate, Standing::Active)] = issued[..] else {
            panic!("cut at {frames}: {issued:?}");
        };
        let own = device.load();
        assert_eq!(
            own.identity.certificate().as_bytes(),
            certificate.as_bytes()
        );
        assert_eq!(own.address, clinic.address.to_string());
    }
}

#[test]
fn both_sides_of_an_enrolment_show_the_same_code_and_the_second_time_is_harmless() {
    let clinic = Clinic::found();
    let device = Device::new();
    let ticket = clinic.ticket("P1");
    let Enrolled::Now { check_code } = device.enrol_until(&clinic, &ticket, WHOLE).unwrap() else {
        panic!("not enrolled");
    };
    assert_eq!(check_code.replace(' ', "").len(), 12);
    // No server is needed for these.
    assert_eq!(device.enrol(&ticket).unwrap(), Enrolled::Before);
    let before = device.load().identity.certificate().fingerprint();
    let error = device.enrol(&Clinic::found().ticket("P1")).unwrap_err();
    assert!(matches!(error, EnrolError::OtherClinic(_)), "{error}");
    assert_eq!(device.load().identity.certificate().fingerprint(), before);
}

#[test]
fn a_new_ticket_renews_the_certificate_and_leaves_the_messages() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let before = device.load().identity.certificate().fingerprint();
    let now = SystemClock.now();
    device.files().outbox().write("Hello", None, now).unwrap();
    let keys = || {
        let files = std::fs::read_dir(device.files().directory()).unwrap();
        let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".key")).count()
    };
    assert_eq!(keys(), 3);
    // Cut short, the earlier certificate is as good as before.
    let ticket = clinic.ticket("P1");
    device.enrol_until(&clinic, &ticket, 2).unwrap_err();
    assert_eq!(device.load().identity.certificate().fingerprint(), before);
    device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
    let after = device.load().identity.certificate().fingerprint();
    assert_ne!(after, before);
    assert_eq!(device.files().mail_counts().unwrap().waiting_messages, 1);
    assert_eq!(keys(), 3, "the secrets of the earlier one are gone");
    let running = device.start();
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    running.rest();
}

#[test]
fn an_expired_ticket_is_refused_at_once_unless_it_was_begun_in_time() {
    let clinic = Clinic::found();
    let device = Device::new();
    let mut ticket = clinic.ticket("P1");
    let in_time = ticket.expires;
    ticket.expires = Timestamp::from_millis(1);
    let error = device.enrol(&ticket).unwrap_err();
    assert!(matches!(error, EnrolError::Expired { .. }), "{error}");
    ticket.expires = in_time;
    device.enrol_until(&clinic, &ticket, 4).unwrap_err();
    ticket.expires = Timestamp::from_millis(1);
    device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
}

#[test]
fn a_ticket_unknown_used_or_of_another_clinic_makes_no_identity() {
    let clinic = Clinic::found();
    let device = Device::new();
    let unknown = clinic.ticket("P1");
    clinic.tables.0.lock().unwrap().tickets.clear();
    let error = device.enrol_until(&clinic, &unknown, WHOLE).unwrap_err();
    assert!(matches!(error, EnrolError::NotAccepted), "{error}");

    let used = clinic.ticket("P1");
    let other = Device::new();
    other.enrol_until(&clinic, &used, WHOLE).unwrap();
    let error = device.enrol_until(&clinic, &used, WHOLE).unwrap_err();
    let code = match error {
        EnrolError::Handshake(HandshakeError::Refused { code, .. }) => code,
        error => panic!("{error}"),
    };
    assert_eq!(code, AlertCode::TicketUsed);
    let rows = clinic.tables.0.lock().unwrap();
    assert!(matches!(rows.tickets[&used.id].state, TicketUse::Withdrawn));
    drop(rows);

    let elsewhere = Clinic::found();
    let mut foreign = elsewhere.ticket("P1");
    foreign.address = clinic.address.to_string();
    let error = device.enrol_until(&clinic, &foreign, WHOLE).unwrap_err();
    let wrong_root = TrustError::Root(CertificateError::WrongFingerprint);
    assert!(
        matches!(&error, EnrolError::Handshake(HandshakeError::Trust(e)) if *e == wrong_root),
        "{error}"
    );
    assert_eq!(device.files().enrolled_with().unwrap(), None);
}
