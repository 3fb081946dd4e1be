//! What an assistant and an auditor of a clinic can do, and what nobody takes
//! from them.

#[path = "roles/ends.rs"]
mod ends;

use std::sync::Arc;

use telemed::clock::SystemClock;
use telemed::doctor::audit::{self, Purpose};
use telemed::doctor::control::{Answer, Broadcast, Request};
use telemed::doctor::messages::addressees::Addressees;
use telemed::doctor::messages::{self, BookError, Found};
use telemed::doctor::practice::Practice;
use telemed::doctor::records::{self, Change, Personal};
use telemed::doctor::seen::SeenError;
use telemed::doctor::setup::SetupError;
use telemed::doctor::{correspondence, counter, deliveries, member, office, setup};
use telemed::elgamal::SignSecret;
use telemed::handshake::enrol::NewKeys;
use telemed::identity::certificate::{Role, Subject, VerifiedCertificate};
use telemed::protocol::message::{Boundary, Message};
use telemed::random::OsRandom;
use telemed::store::messages::{Kind, MessageRow};
use telemed::store::{AuditFilter, CertificateRow, CertificateState, SealedValue, fact};
use telemed::vault::{Column, column};

use super::forged::put_broadcast;
use super::{Scene, id, now};

/// Every column of a database that is sealed.
const COLUMNS: [Column; 12] = [
    column::DOCTOR_MESSAGE,
    column::MESSAGE,
    column::STAFF_MESSAGE,
    column::CONFIRMATION,
    column::INCOMING,
    column::RECORD,
    column::CONTACT,
    column::CONSULTATION,
    column::TICKET,
    column::JOIN_TICKET,
    column::INBOX,
    column::OUTGOING,
];

/// The books of somebody who joins without a node.
fn member(scene: &Scene, name: &str, role: Role) -> Practice {
    let (directory, store) = scene.joined(name, role);
    let identity = member::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock)).unwrap()
}

/// A patient of the clinic with a device.
fn enrol(practice: &Practice, name: &str) {
    let papers = practice.identity();
    let keys = NewKeys::generate(papers.group(), &mut OsRandom);
    let certificate = papers.certify(
        &id(name),
        keys.signing.verifying_key().clone(),
        keys.encryption.public().clone(),
        now(),
        &mut OsRandom,
    );
    let row = CertificateRow {
        serial: certificate.subject().serial,
        fingerprint: certificate.fingerprint(),
        subject: name.to_owned(),
        bytes: certificate.as_bytes().to_vec(),
        state: CertificateState::Active,
        ticket: None,
        created: now(),
        not_after: certificate.subject().not_after,
    };
    practice.store.add_certificate(&row).unwrap();
}

fn ask(practice: &Practice, request: office::Request) -> office::Answer {
    match counter::answer(practice, Request::Office(request)) {
        Answer::Office(answer) => answer,
        answer => panic!("{answer:?}"),
    }
}

/// What an assistant writes to all patients.
fn write(practice: &Practice, text: &str) -> u64 {
    let broadcast = Broadcast {
        text: text.to_owned(),
        ..Broadcast::default()
    };
    match counter::answer(practice, Request::Broadcast(broadcast)) {
        Answer::Sent {
            number, away: 1, ..
        } => number,
        answer => panic!("{answer:?}"),
    }
}

/// Puts bytes under a message's name into the books, as whoever can write to the
/// database does.
fn put(practice: &Practice, name: [u8; 16], sealed: Vec<u8>) -> MessageRow {
    put_broadcast(&*practice.store, (name, sealed), false, now())
}

/// The same with what her vault seals for this column and row.
fn put_sealed(
    practice: &Practice,
    column: Column,
    name: [u8; 16],
    message: &Message,
) -> MessageRow {
    let (vault, content) = (&practice.vault, Addressees::All.content(message));
    let sealed = vault.seal(column, &name, &content, &mut OsRandom);
    put(practice, name, sealed.unwrap())
}

fn message(text: &str) -> Message {
    Message::new(text, false, now(), &mut OsRandom).unwrap()
}

fn doctors_message(scene: &Scene, text: &str) -> u64 {
    let message = message(text).by(id("D1"));
    let column = column::DOCTOR_MESSAGE;
    put_sealed(&scene.practice, column, message.id().0, &message).number
}

fn is_refused(practice: &Practice, row: &MessageRow) -> bool {
    match messages::open(practice, row) {
        Ok(_) => false,
        Err(BookError::Author(number)) => number == row.number,
        Err(error) => panic!("{error}"),
    }
}

fn reports(practice: &Practice) -> Vec<deliveries::MessageReport> {
    let request = deliveries::Request::List {
        message: None,
        missing: false,
        verify: false,
        unconfirmed: false,
    };
    match office::answer(practice, office::Request::Deliveries(request)) {
        office::Answer::Deliveries(deliveries::Answer::List { messages, .. }) => messages,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn what_an_assistant_writes_is_given_as_hers_and_doctors_words_stay_closed_to_her() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let assistant = member(&scene, "A1", Role::Assistant);
    let number = write(&assistant, "The water is off.");
    let secret = doctors_message(&scene, "Your test is positive.");
    // A node opens it, and the patient sees whose it is.
    let row = scene.practice.store.message(number).unwrap().unwrap();
    let (opened, _) = messages::open(&scene.practice, &row).unwrap();
    assert_eq!(opened.text(), "The water is off.");
    assert_eq!(opened.author(), Some(&id("A1")));
    let seen = |practice| -> Vec<_> {
        let reports = reports(practice).into_iter();
        reports.map(|it| (it.number, it.text, it.author)).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let water = (number, text("The water is off."), text("A1"));
    let test = |said| (secret, said, text("D1"));
    assert_eq!(seen(&assistant), [water.clone(), test(None)]);
    let whole = test(text("Your test is positive."));
    assert_eq!(seen(&scene.practice), [water, whole]);
    let history = correspondence::Request::History {
        patient: "P1".to_owned(),
        last: None,
    };
    match ask(&assistant, office::Request::Letters(history)) {
        office::Answer::Letters(correspondence::Answer::History { letters, .. }) => {
            let texts: Vec<_> = letters.into_iter().map(|letter| letter.text).collect();
            assert_eq!(texts, [text("The water is off."), None]);
        }
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn an_assistants_keys_open_nothing_in_the_whole_database_but_what_assistants_wrote() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let [assistant, auditor] = [("A1", Role::Assistant), ("R1", Role::Auditor)]
        .map(|(name, role)| member(&scene, name, role));
    write(&assistant, "The water is off.");
    doctors_message(&scene, "Your test is positive.");
    let personal = |text: &str| Personal::from(text.to_owned());
    let change = Change {
        name: Some(personal("Ada Lovelace")),
        notes: Some(personal("allergic to nuts")),
        ..Change::default()
    };
    records::add(&scene.practice, &id("P1"), &change).unwrap();
    let mut opened = Vec::new();
    let mut values = 0;
    let mut look = |value: SealedValue<'_>| {
        values += 1;
        for column in COLUMNS {
            if let Ok(bytes) = assistant.vault.open(column, value.row, value.sealed) {
                opened.push((column, bytes.expose().to_vec()));
            }
            let closed = auditor.vault.open(column, value.row, value.sealed);
            assert!(closed.is_err(), "{column:?}");
        }
    };
    scene.practice.store.each_sealed(&mut look).unwrap();
    // Two messages, the tickets with which they joined, and the parts of a record.
    assert_eq!(values, 6);
    opened.sort_by_key(|(column, _)| column.0);
    let [(column::CONTACT, contact), (column::STAFF_MESSAGE, message)] = opened.as_slice() else {
        panic!("{opened:?}");
    };
    assert!(message.ends_with(b"The water is off."));
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(has(contact, "Ada Lovelace") && !has(contact, "nuts"));
}

#[test]
fn an_assistant_passes_neither_for_a_doctor_nor_for_somebody_else() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let assistant = member(&scene, "A1", Role::Assistant);
    member(&scene, "R1", Role::Auditor);
    let doctor = &scene.practice;
    let forge = |name, message: &Message| {
        let row = put_sealed(&assistant, column::STAFF_MESSAGE, name, message);
        messages::open(doctor, &row).unwrap_err()
    };
    for author in ["D1", "A2", "R1"] {
        let forged = message("Take twice the dose.").by(id(author));
        let error = forge(forged.id().0, &forged);
        let BookError::Author(number) = error else {
            panic!("{author}: {error}");
        };
        let row = doctor.store.message(number).unwrap().unwrap();
        let read = messages::read(doctor, &row).unwrap();
        assert_eq!(read, Found::Doubted(forged));
    }
    // The doctor's list goes on, and says what it thinks of them.
    let genuine = write(&assistant, "The water is off.");
    let listed = reports(doctor);
    let fine: Vec<_> = listed.iter().filter(|it| !it.doubted).collect();
    assert_eq!((listed.len(), fine.len()), (4, 1));
    assert_eq!(fine[0].number, genuine);
    // Without a name, as the beginning of a consultation, under another message's
    // name: what no program of ours writes.
    let boundary = Message::at_boundary(Boundary::Opens, "Well?", now(), &mut OsRandom);
    let boundary = boundary.unwrap().by(id("A1"));
    let nameless = message("Nobody says this.");
    let other = message("Once more.").by(id("A1"));
    for (name, message) in [
        (boundary.id().0, boundary),
        (nameless.id().0, nameless),
        ([9; 16], other),
    ] {
        let error = forge(name, &message);
        assert!(matches!(error, BookError::Sealed(_)), "{error}");
    }
}

#[test]
fn a_row_makes_no_word_for_one_patient_anothers() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let doctor = &scene.practice;
    let assistant = member(&scene, "A1", Role::Assistant);
    for practice in [doctor, &assistant] {
        let name = practice.identity().identifier().clone();
        let message = message("Your test is positive.").by(name);
        let to_one = Addressees::One(id("P1"));
        let row = |sealed| MessageRow {
            number: 7,
            id: message.id().0,
            kind: Kind::Private,
            patient: Some("P1".to_owned()),
            boundary: None,
            urgent: false,
            written: now(),
            expires: None,
            sealed,
        };
        let genuine = row(messages::seal(practice, &message, &to_one).unwrap());
        let opened = messages::open(doctor, &genuine).unwrap();
        assert_eq!(opened, (message.clone(), to_one));
        let patient = Some("P2".to_owned());
        let kind = Kind::Broadcast;
        // As it was sealed before messages said for whom they are.
        let vault = &doctor.vault;
        let old = vault.seal(
            column::MESSAGE,
            &genuine.id,
            &message.encode(),
            &mut OsRandom,
        );
        for forged in [
            MessageRow {
                patient,
                ..genuine.clone()
            },
            MessageRow {
                patient: None,
                kind,
                ..genuine.clone()
            },
            row(old.unwrap()),
        ] {
            let error = messages::open(doctor, &forged).unwrap_err();
            assert!(matches!(error, BookError::Addressees(7)), "{error}");
            let read = messages::read(doctor, &forged).unwrap();
            assert_eq!(read, Found::Doubted(message.clone()));
        }
    }
}

#[test]
fn a_root_that_somebody_puts_into_the_database_is_not_believed() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = (&scene.practice.directory, &*scene.practice.store);
    setup::load(directory, store, now(), &mut OsRandom).unwrap();
    // A clinic of her own, in which the doctor works with the doctor's real key.
    let own = scene.practice.identity();
    let root = SignSecret::generate(own.group(), &mut OsRandom);
    let subject = Subject {
        signing_key: root.verifying_key().clone(),
        ..own.root.subject().clone()
    };
    let clinic = subject.clinic;
    let certificate = VerifiedCertificate::issue(subject, &root, &mut OsRandom);
    let doctor = own.certificate.subject().clone();
    let doctor = VerifiedCertificate::issue(doctor, &root, &mut OsRandom);
    let revoked = own
        .revoked
        .extend(&root, &clinic, &[9; 16], now(), &mut OsRandom);
    let facts = [
        (fact::ROOT_CERTIFICATE, certificate.as_bytes()),
        (fact::DOCTOR_CERTIFICATE, doctor.as_bytes()),
        (fact::REVOKED_DOCTORS, revoked.as_ref().unwrap().as_bytes()),
    ];
    store.set_facts(&facts).unwrap();
    let error = setup::load(directory, store, now(), &mut OsRandom).unwrap_err();
    let SetupError::Seen(_, SeenError::OtherRoot) = error else {
        panic!("{error}");
    };
}

#[test]
fn who_joins_later_is_known_and_a_name_that_nobody_has_is_looked_for_each_time() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let first = member(&scene, "A1", Role::Assistant);
    let early = message("I am not there yet.").by(id("A2"));
    let early = put_sealed(&first, column::STAFF_MESSAGE, early.id().0, &early);
    assert!(is_refused(&scene.practice, &early));
    let second = member(&scene, "A2", Role::Assistant);
    let row = scene.practice.store.message(write(&second, "Now I am."));
    assert!(!is_refused(&scene.practice, &row.unwrap().unwrap()));
}

#[test]
fn an_auditor_reads_every_members_log_and_that_is_in_her_own() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let assistant = member(&scene, "A1", Role::Assistant);
    write(&assistant, "The water is off.");
    let auditor = member(&scene, "R1", Role::Auditor);
    let ask = |request| match ask(&auditor, office::Request::Audit(request)) {
        office::Answer::Audit(answer) => answer,
        answer => panic!("{answer:?}"),
    };
    let audit::Answer::Logs(names) = ask(audit::Request::Logs) else {
        panic!("no logs");
    };
    assert_eq!(names, ["A1", "D1", "R1"]);
    let begin = |name: &str| audit::Request::Begin {
        log: Some(name.to_owned()),
        purpose: Purpose::List,
        filter: AuditFilter::default(),
        newest: None,
    };
    for name in ["D1", "A1"] {
        let audit::Answer::Begun { first, last, .. } = ask(begin(name)) else {
            panic!("nothing begun");
        };
        let page = audit::Request::Page {
            log: Some(name.to_owned()),
            filter: AuditFilter::default(),
            first,
            last,
        };
        let audit::Answer::Page { rows, .. } = ask(page) else {
            panic!("no page");
        };
        assert_eq!(rows.len() as u64, last);
        assert!(rows.iter().any(|row| row.actor == name), "{rows:?}");
    }
    let own = auditor.store.audit(1, 99).unwrap();
    for said in ["listed, log of D1", "listed, log of A1"] {
        assert!(own.iter().any(|row| row.detail == said), "{own:?}");
    }
    // A stranger's is not there.
    let request = office::Request::Audit(begin("X"));
    let answer = office::answer(&auditor, request);
    let office::Answer::Failed(sentence) = answer else {
        panic!("{answer:?}");
    };
    assert!(sentence.contains("A1, D1, R1"), "{sentence}");
}
