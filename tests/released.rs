//! Data directories made by each released schema, kept for ever: every later
//! version opens them and finds everything in its place.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics where it fails"
)]

#[path = "support/kept.rs"]
mod kept;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kept::released;
use rusqlite::Connection;
use telemed::clock::{Clock, Timestamp};
use telemed::doctor::practice::Practice;
use telemed::doctor::server::Server;
use telemed::doctor::setup;
use telemed::doctor::shared::Settings;
use telemed::framing::{Frame, FrameReader, MAX_LEN_IN_SESSION};
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::patient::{certificate_answer, certificate_request};
use telemed::identity::data_dir::DataDir;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::ticket::Ticket;
use telemed::patient::files::{Files, Name};
use telemed::patient::history::Item;
use telemed::random::OsRandom;
use telemed::secret::Secret;
use telemed::store::messages::MessageStore;
use telemed::store::{
    AuditStore, CertificateState, MailCounts, RecordStore, SqliteStore, Store, TicketState,
    TrustStore,
};
use telemed::vault::{Vault, column};
use tempfile::TempDir;

/// 2026-11-23 12:00 UTC: the day the first of them was made.
const THAT_DAY: Timestamp = Timestamp::from_millis(1_795_435_200_000);

#[test]
fn a_doctors_directory_of_schema_1_opens() {
    let base = released("schema-1");
    let directory = DataDir::open_existing(&base.path().join("doctor"), "D1").unwrap();
    let store = setup::open_store(&directory).unwrap();
    let identity = setup::load(&directory, &store, THAT_DAY, &mut OsRandom).unwrap();
    assert_eq!(identity.identifier().as_str(), "D1");
    assert_eq!(identity.prekeys.len(), 1);
    let store: &dyn Store = &store;
    let certificates = store.certificates().unwrap();
    assert_eq!(certificates.len(), 1);
    assert_eq!(certificates[0].subject, "P1");
    assert_eq!(certificates[0].state, CertificateState::Active);
    let tickets = store.tickets().unwrap();
    let states: Vec<_> = tickets.iter().map(|ticket| ticket.state).collect();
    assert_eq!(states, [TicketState::Used, TicketState::Open]);
}

struct ThatDay;

impl Clock for ThatDay {
    fn now(&self) -> Timestamp {
        THAT_DAY
    }
}

/// Whether the bytes stand in any file of the database.
fn stand_in_database(directory: &DataDir, bytes: &[u8]) -> bool {
    ["telemed.db", "telemed.db-wal"].iter().any(|name| {
        let file = fs::read(directory.path(name)).unwrap_or_default();
        file.windows(bytes.len()).any(|window| window == bytes)
    })
}

/// Enrols with a ticket; true if a certificate came.
fn enrols(server: &Server, ticket: &Ticket) -> bool {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
    let mut exchange = |frame: &Frame| {
        std::io::Write::write_all(&mut &stream, frame.as_bytes()).unwrap();
        reader.read_frame(&mut &stream).unwrap()
    };
    let answer = exchange(&certificate_request());
    let doctor = KnownDoctor::first_contact(
        certificate_answer(&answer).unwrap(),
        &ticket.root,
        &ticket.doctor,
        THAT_DAY,
        &mut OsRandom,
    )
    .unwrap();
    let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
    let (e1, awaiting) = enrol::begin(&keys, ticket, &doctor, THAT_DAY, &mut OsRandom);
    let (e3, awaiting) = awaiting
        .on_frame(&keys, ticket, &doctor, &exchange(&e1), THAT_DAY)
        .unwrap();
    awaiting.on_frame(&exchange(&e3)).is_ok()
}

#[test]
fn an_open_ticket_of_schema_1_still_enrols_and_its_secret_is_gone_from_the_database() {
    let base = released("schema-1");
    let directory = DataDir::open_existing(&base.path().join("doctor"), "D1").unwrap();
    let directory = Arc::new(directory);
    let store = Arc::new(setup::open_store(&directory).unwrap());
    let old = store.unsealed_tickets().unwrap();
    assert_eq!(old.len(), 2);
    for (_, secret) in &old {
        assert!(stand_in_database(&directory, secret.expose()));
    }
    let identity = setup::load(&directory, &*store, THAT_DAY, &mut OsRandom).unwrap();
    let row = store.tickets().unwrap().pop().unwrap();
    let secret = old.iter().find(|(id, _)| *id == row.id).unwrap().1.expose();
    let ticket = Ticket {
        root: identity.root.fingerprint(),
        address: "127.0.0.1:7461".to_owned(),
        doctor: identity.identifier().clone(),
        subject: row.subject.parse().unwrap(),
        id: row.id,
        secret: Secret::from_slice(secret).unwrap(),
        expires: row.expires,
    };
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let practice =
        Practice::open(Arc::clone(&directory), shared, identity, Arc::new(ThatDay)).unwrap();
    assert_eq!(store.unsealed_tickets().unwrap().len(), 0);
    for (_, secret) in &old {
        assert!(!stand_in_database(&directory, secret.expose()));
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let practice = Arc::new(practice);
    let (server, _events) = Server::start(listener, practice, Settings::default()).unwrap();
    assert!(enrols(&server, &ticket));
    assert_eq!(
        store.ticket(&row.id).unwrap().unwrap().state,
        TicketState::Used
    );
    assert!(!stand_in_database(&directory, ticket.secret.expose()));
}

#[test]
fn a_patients_directory_of_schema_1_opens() {
    let base = released("schema-1");
    let name: Name = "P1@D1".parse().unwrap();
    let files = Files::open_existing(&base.path().join("patient"), &name).unwrap();
    let patient = files.load(&mut OsRandom).unwrap();
    assert_eq!(patient.address, "127.0.0.1:7461");
    assert!(files.enrolled_with().unwrap().is_some());
    // It has got what schema 1 had not: a key for messages, and none of them.
    let key = base.path().join("patient/P1@D1/data.key");
    assert!(key.is_file());
    assert_eq!(files.mail_counts().unwrap(), MailCounts::default());
    let made = fs::read(&key).unwrap();
    drop(files);
    Files::open_existing(&base.path().join("patient"), &name).unwrap();
    assert_eq!(fs::read(&key).unwrap(), made);
}

/// The tables and indices of a database, as they were made.
fn schema_of(database: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection
        .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_leads_to_a_released_schema_is_not_edited_any_more() {
    for schema in ["schema-2", "schema-3", "schema-4"] {
        let base = released(schema);
        let fresh = base.path().join("fresh.db");
        drop(SqliteStore::open(&fresh).unwrap());
        for kept in ["doctor/D1", "patient/P1@D1"] {
            let kept = base.path().join(kept).join("telemed.db");
            // Later steps are made from there.
            drop(SqliteStore::open(&kept).unwrap());
            let kept = schema_of(&kept);
            assert_eq!(kept, schema_of(&fresh), "{schema}: make a new step instead");
        }
    }
}

/// What the doctor and P1 said, the newest last.
const SAID: [&str; 5] = [
    "Take two a day.",
    "Leave the building.",
    "May I come?",
    "Yes, at nine.",
    "The consultation has ended.",
];

fn doctors_directory_opens(schema: &str, said: &[&str]) -> (Arc<SqliteStore>, TempDir) {
    let base = released(schema);
    let directory = DataDir::open_existing(&base.path().join("doctor"), "D1").unwrap();
    let directory = Arc::new(directory);
    let store = Arc::new(setup::open_store(&directory).unwrap());
    let identity = setup::load(&directory, &*store, THAT_DAY, &mut OsRandom).unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let old = store.record("P1").unwrap().unwrap();
    assert_eq!(old.contact, None);
    let mut practice = Practice::open(directory, shared, identity, Arc::new(ThatDay)).unwrap();
    assert_eq!(store.unsplit_records("", 10).unwrap(), []);
    assert_eq!(store.record("P1").unwrap().unwrap().version, old.version);
    assert_eq!(kept::said(&practice), said);
    let delivery = store.deliveries(2).unwrap().remove(0);
    assert!(delivery.delivered.is_some() && delivery.confirmed.is_some());
    let shown = kept::record(&practice);
    assert!(shown.contains("Ada Lovelace") && shown.contains("allergic to nuts"));
    let keys = practice.vault.column_keys(&[column::CONTACT]).unwrap();
    practice.vault = Arc::new(Vault::of_columns(practice.vault.id(), keys));
    let shown = kept::record(&practice);
    assert!(shown.contains("Ada Lovelace") && !shown.contains("nuts"));
    assert_eq!(store.certificates().unwrap().len(), 1);
    assert_eq!(store.tickets().unwrap().len(), 2);
    assert!(store.audit_head().unwrap().unwrap().0 > 20);
    (store, base)
}

#[test]
fn a_doctors_directory_of_schema_2_opens_with_all_that_is_in_it() {
    doctors_directory_opens("schema-2", &SAID);
}

#[test]
fn a_doctors_directory_of_schema_3_opens_with_all_that_is_in_it() {
    let said = [&SAID[..], &["This waits."]].concat();
    let (store, _base) = doctors_directory_opens("schema-3", &said);
    // Nobody has fetched the last one.
    let device = store.certificates().unwrap().remove(0).fingerprint;
    let open = store.pending(&device, 0, 100, THAT_DAY, 10).unwrap();
    assert_eq!(open.len(), 1);
    assert!(store.deliveries(5).unwrap().remove(0).delivered.is_none());
}

#[test]
fn a_doctors_directory_of_schema_4_opens_with_all_that_is_in_it() {
    let mut said = SAID.to_vec();
    said.insert(3, "The consultation begins.");
    said.push("This waits.");
    let (store, _base) = doctors_directory_opens("schema-4", &said);
    assert!(store.deliveries(6).unwrap().remove(0).delivered.is_none());
}

fn patients_directory_opens(schema: &str) {
    let base = released(schema);
    let name: Name = "P1@D1".parse().unwrap();
    let files = Files::open_existing(&base.path().join("patient"), &name).unwrap();
    files.load(&mut OsRandom).unwrap();
    let entry = files.inbox().find("2").unwrap();
    assert_eq!(entry.message.text(), "Leave the building.");
    assert!(entry.confirmation_arrived.is_some());
    let items = files.history(100).unwrap();
    let sent = items.iter().any(|item| match item {
        Item::Sent(entry) => entry.message.text() == "May I come?",
        _ => false,
    });
    assert!(sent);
}

#[test]
fn a_patients_directory_of_schema_2_opens_with_all_that_is_in_it() {
    patients_directory_opens("schema-2");
}

#[test]
fn a_patients_directory_of_schema_3_opens_with_all_that_is_in_it() {
    patients_directory_opens("schema-3");
}

#[test]
fn a_patients_directory_of_schema_4_opens_with_all_that_is_in_it() {
    patients_directory_opens("schema-4");
}
