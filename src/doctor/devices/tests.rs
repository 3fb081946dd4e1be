use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::doctor::tickets;
use crate::identity::data_dir::DataDir;
use crate::random::OsRandom;
use crate::store::{AuditStore, CertificateRow, SqliteStore, Store, TrustStore};
use crate::testing::{NOW, clinic};

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A practice in which P1 has two devices and P2 one, each with a key of its
/// own.
struct Books {
    practice: Practice,
    store: Arc<SqliteStore>,
    _base: TempDir,
}

impl Books {
    fn new() -> Self {
        let base = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let doctor = clinic().same_doctor();
        let practice =
            Practice::open(Arc::new(directory), shared, doctor, Arc::new(Still)).unwrap();
        let certificates = clinic().patients.iter().map(|own| own.certificate());
        for (number, (name, certificate)) in
            (1_u8..).zip(["P1", "P2", "P1"].iter().zip(certificates.cycle()))
        {
            store
                .add_certificate(&CertificateRow {
                    serial: [number; 16],
                    fingerprint: [number; 32],
                    subject: (*name).to_owned(),
                    bytes: certificate.as_bytes().to_vec(),
                    state: CertificateState::Active,
                    ticket: None,
                    created: NOW.plus(Duration::from_secs(number.into())),
                    not_after: NOW.plus(Duration::from_secs(365 * 24 * 60 * 60)),
                })
                .unwrap();
        }
        Self {
            practice,
            store,
            _base: base,
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, NotDone> {
        answer(&self.practice, &request)
    }

    fn devices(&self, patient: Option<&str>) -> Vec<Device> {
        let patient = patient.map(ToOwned::to_owned);
        match self.ask(Request::List { patient }).unwrap() {
            Answer::Listed(devices) => devices,
            other => panic!("{other:?}"),
        }
    }

    fn ticket(&self, patient: &str) -> String {
        let (practice, patient) = (&self.practice, patient.parse().unwrap());
        let lifetime = tickets::LIFETIME;
        let made = tickets::make(practice, &patient, "a:1", lifetime, &mut OsRandom);
        ticket_code(&made.unwrap().id)
    }

    fn log(&self) -> Vec<(String, String, String)> {
        let rows = self.store.audit(1, 99).unwrap();
        let entry = |row: crate::store::AuditRow| (row.action, row.subject, row.detail);
        rows.into_iter().map(entry).collect()
    }
}

fn revoke(patient: &str, device: Option<&str>) -> Request {
    Request::Revoke {
        patient: patient.to_owned(),
        device: device.map(ToOwned::to_owned),
        reason: "the phone was stolen".to_owned(),
    }
}

fn unfreeze(patient: &str, device: &str) -> Request {
    Request::Unfreeze {
        patient: patient.to_owned(),
        device: device.to_owned(),
        reason: "P1 has read the key to me".to_owned(),
    }
}

#[test]
fn devices_are_numbered_for_each_patient_and_show_their_keys() {
    let books = Books::new();
    let names: Vec<_> = books
        .devices(None)
        .iter()
        .map(|device| format!("{} {} {}", device.patient, device.number, device.code()))
        .collect();
    assert_eq!(names, ["P1 1 010101", "P1 2 030303", "P2 1 020202"]);
    let hers = books.devices(Some("P1"));
    let key = clinic().patients[0].certificate().key_id();
    assert_eq!(hers[0].key, fingerprint_groups(&key));
    assert_eq!(
        (hers[0].state.as_str(), hers[0].last_seen),
        ("active", None)
    );
    let error = books.ask(Request::List {
        patient: Some("P9".to_owned()),
    });
    assert!(error.unwrap_err().contains("P9"));
}

#[test]
fn one_device_is_revoked_by_number_or_name_and_the_other_stays() {
    for named in ["2", "030303"] {
        let books = Books::new();
        let Answer::Revoked {
            devices,
            before,
            tickets,
        } = books.ask(revoke("P1", Some(named))).unwrap()
        else {
            panic!("not revoked");
        };
        assert_eq!((devices.len(), before, tickets.len()), (1, 0, 0));
        let states: Vec<_> = books.devices(None).into_iter().map(|d| d.state).collect();
        assert_eq!(states, ["active", "revoked", "active"]);
        let detail = format!("certificate {}: the phone was stolen", "03".repeat(16));
        let entry = ("revoked".to_owned(), "P1".to_owned(), detail);
        assert_eq!(books.log(), [entry]);
        // Again: said, and nothing more.
        let again = books.ask(revoke("P1", Some(named))).unwrap();
        assert!(
            matches!(again, Answer::Revoked { before: 1, .. }),
            "{again:?}"
        );
        assert_eq!(books.log().len(), 1);
        let error = books.ask(unfreeze("P1", named)).unwrap_err();
        assert!(error.contains("for ever"), "{error}");
    }
}

#[test]
fn a_patient_is_revoked_with_all_devices_and_open_tickets() {
    let books = Books::new();
    let (hers, other) = (books.ticket("P1"), books.ticket("P2"));
    let answer = books.ask(revoke("P1", None)).unwrap();
    let Answer::Revoked {
        devices, tickets, ..
    } = &answer
    else {
        panic!("not revoked");
    };
    assert_eq!(devices.len(), 2);
    assert_eq!(tickets.as_slice(), std::slice::from_ref(&hers));
    assert_eq!(answer.revoked(), [[1; 32], [3; 32]]);
    let Answer::Tickets {
        patients: tickets, ..
    } = books.ask(Request::Tickets).unwrap()
    else {
        panic!("no tickets");
    };
    let state = |code: &str| {
        tickets
            .iter()
            .find(|t| t.ticket == code)
            .unwrap()
            .state
            .clone()
    };
    assert_eq!(
        (state(&hers).as_str(), state(&other).as_str()),
        ("revoked", "open")
    );
    let logged: Vec<_> = books.log().into_iter().map(|(action, ..)| action).collect();
    assert_eq!(logged[2..], ["revoked", "revoked", "ticket revoked"]);
    // A patient who has no device yet, but a ticket.
    books.ticket("P3");
    assert!(books.ask(revoke("P3", None)).is_ok());
    assert!(books.ask(revoke("P4", None)).unwrap_err().contains("P4"));
}

#[test]
fn what_cannot_be_meant_or_told_is_refused_and_changes_nothing() {
    let books = Books::new();
    let reason = |text: &str| Request::Revoke {
        patient: "P1".to_owned(),
        device: None,
        reason: text.to_owned(),
    };
    for request in [
        revoke("P1", Some("3")),
        revoke("P1", Some("0")),
        revoke("P1", Some("020202")),
        revoke("P1", Some("")),
        revoke("P 1", None),
        revoke("P9", Some("1")),
        unfreeze("P1", "1"),
        unfreeze("P9", "1"),
        reason(" "),
        reason("a\nb"),
        reason(&"x".repeat(501)),
        Request::RevokeTicket {
            ticket: "00000000".to_owned(),
        },
    ] {
        assert!(books.ask(request.clone()).is_err(), "{request:?}");
    }
    assert!(books.log().is_empty());
    assert!(
        books
            .devices(None)
            .iter()
            .all(|device| device.state == "active")
    );
}

#[test]
fn a_freeze_is_lifted_by_word_and_the_ticket_stays_frozen() {
    let books = Books::new();
    let code = books.ticket("P1");
    let id = books.store.tickets().unwrap()[0].id;
    let row = CertificateRow {
        ticket: Some(id),
        serial: [9; 16],
        fingerprint: [9; 32],
        ..books.store.certificates().unwrap().remove(0)
    };
    books.store.add_certificate(&row).unwrap();
    books.store.freeze_ticket(&id, &[]).unwrap();
    let frozen = |device: &&Device| device.state == "frozen";
    let devices = books.devices(Some("P1"));
    let number = devices.iter().find(frozen).unwrap().number.to_string();
    let answer = books.ask(unfreeze("P1", &number)).unwrap();
    let Answer::Unfrozen(device) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(device.state, "active");
    assert_eq!(device.ticket, Some(code.clone()));
    let detail = format!("certificate {}: P1 has read the key to me", "09".repeat(16));
    assert_eq!(
        books.log()[1],
        ("unfrozen".to_owned(), "P1".to_owned(), detail)
    );
    let ticket = Request::RevokeTicket { ticket: code };
    assert!(books.ask(ticket).unwrap_err().contains("is frozen"));
    assert!(
        books
            .ask(unfreeze("P1", &number))
            .unwrap_err()
            .contains("not frozen")
    );
}

#[test]
fn a_ticket_is_taken_back_once() {
    let books = Books::new();
    let code = books.ticket("P5");
    let request = Request::RevokeTicket {
        ticket: code.to_uppercase(),
    };
    let answer = books.ask(request.clone()).unwrap();
    assert!(matches!(answer, Answer::TicketRevoked(ticket) if ticket.state == "revoked"));
    assert!(books.ask(request).unwrap_err().contains("before"));
    let entry = (
        "ticket revoked".to_owned(),
        "P5".to_owned(),
        format!("ticket {code}"),
    );
    assert_eq!(books.log()[1..], [entry]);
}
