//! The doctor's certificate is renewed, and her key replaced, while patients
//! have it in use.

use std::time::Duration;

use telemed::audit::head::Head;
use telemed::audit::papers::Papers;
use telemed::audit::verify::{Finding, HeadsFiles, Report, verify};
use telemed::audit::{Action, Entry};
use telemed::doctor::authority::{self, AuthorityError, renewal};
use telemed::doctor::event::Event;
use telemed::doctor::setup::{self, ROOT_KEY};
use telemed::doctor::shared::{Settings, Timing};
use telemed::handshake::patient::{HandshakeError, certificate_answer, certificate_request};
use telemed::hex;
use telemed::identity::certificate::{CertificateError, VerifiedCertificate};
use telemed::identity::key_file;
use telemed::identity::known_doctor::TrustError;
use telemed::protocol::DisconnectReason;
use telemed::random::OsRandom;
use telemed::store::CertificateState;

use crate::support::{Got, Person, Practice, Session, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A new certificate for the key the doctor has.
fn new_certificate(practice: &Practice) -> VerifiedCertificate {
    let papers = setup::load_papers(&*practice.store, &mut OsRandom).unwrap();
    let root = practice.root(&practice.papers());
    authority::new_certificate(&papers, &root, practice.now(), &mut OsRandom).unwrap()
}

fn renew(practice: &Practice) -> VerifiedCertificate {
    let certificate = new_certificate(practice);
    let bytes = hex::encode(certificate.as_bytes());
    practice.server().renew(&bytes).unwrap();
    certificate
}

/// Takes what comes until the doctor ends the session.
fn reason(session: &mut Session) -> DisconnectReason {
    session.until("the end", |got| match got {
        Got::Disconnect(reason) => Some(*reason),
        _ => None,
    })
}

#[test]
fn after_a_renewal_everybody_comes_back_without_a_ticket_and_messages_go_on() {
    let mut practice = Practice::open();
    let [mut here, mut away, mut late] = practice.admit(["P1", "P2", "P3"]);
    let known = here.doctor.certificate().fingerprint();
    let mut session = here.connect(practice.address());
    session.epoch_of(1);
    let (number, ticket) = (
        practice.server().broadcast("before", false).unwrap().number,
        session.ticket(),
    );
    session.message();
    practice.wait_for_state(number, "P1", "delivered");

    practice.clock.advance(DAY);
    let renewed = renew(&practice);
    assert_eq!(reason(&mut session), DisconnectReason::Expired);
    practice.wait_for_members(0);
    // Nobody goes on from before, since the certificate is part of a session.
    let mut wire = here.dial(practice.address());
    assert!(here.ask_to_resume(&mut wire, ticket).is_none());
    drop(wire);

    // Who knows the old one gets in at once, and knows the new one then.
    let mut session = here.connect(practice.address());
    session.epoch_of(1);
    assert_ne!(renewed.fingerprint(), known);
    assert_eq!(
        here.doctor.certificate().fingerprint(),
        renewed.fingerprint()
    );
    let sent = practice.server().broadcast("after", false).unwrap();
    assert_eq!(session.message().text, "after");
    practice.wait_for_state(sent.number, "P1", "delivered");
    // So does whoever was not there, and gets both.
    let mut second = away.connect(practice.address());
    let texts = [second.message().text, second.message().text];
    assert_eq!(texts, ["before", "after"]);

    // It is the same after a restart, and after one more renewal.
    renew(&practice);
    practice.restart();
    practice.run_a_while();
    for person in [&mut here, &mut late] {
        let mut session = person.connect(practice.address());
        session.epoch();
        let newest = practice.papers().certificate.fingerprint();
        assert_eq!(person.doctor.certificate().fingerprint(), newest);
    }
    assert_eq!(practice.papers().earlier.len(), 2);
}

#[test]
fn a_crowd_that_knows_the_old_certificate_is_nowhere_taken_for_strangers() {
    let practice = Practice::open();
    let [mut person] = practice.admit(["P1"]);
    let old = person.doctor.clone();
    practice.clock.advance(DAY);
    renew(&practice);
    // More than what blocks an address.
    for _ in 0..25 {
        practice.clock.advance(Duration::from_secs(1));
        person.doctor = old.clone();
        drop(person.connect(practice.address()));
    }
    let is_refusal = |event: &Event| matches!(event, Event::Refused(..) | Event::Blocked(..));
    let events = practice.events();
    assert!(!events.iter().any(is_refusal), "{events:?}");
}

#[test]
fn only_a_newer_certificate_of_the_root_for_this_key_is_taken() {
    let practice = Practice::open();
    let foreign = Practice::open();
    foreign.clock.advance(DAY);
    let take = |certificate: &VerifiedCertificate| {
        let bytes = hex::encode(certificate.as_bytes());
        practice.server().renew(&bytes)
    };
    practice.clock.advance(DAY);
    let (older, newer) = (new_certificate(&practice), {
        practice.clock.advance(DAY);
        new_certificate(&practice)
    });
    take(&newer).unwrap();
    let error = take(&new_certificate(&foreign)).unwrap_err();
    assert!(matches!(error, AuthorityError::Unfit(_)), "{error}");
    assert!(error.to_string().contains("root has not signed it"));
    assert!(take(&older).unwrap_err().to_string().contains("older"));
    assert!(practice.server().renew("00").is_err());
    let in_force = practice.papers().certificate.fingerprint();
    assert_eq!(in_force, newer.fingerprint());
}

#[test]
fn with_a_replaced_key_old_papers_are_worth_nothing_and_what_is_on_file_stays() {
    let mut practice = Practice::open();
    let mut person = practice.enrol("P1");
    let [mut other] = practice.admit(["P2"]);
    let mut session = person.connect(practice.address());
    session.epoch_of(1);
    let sent = practice.server().broadcast("before", false).unwrap();
    session.message();
    practice.wait_for_state(sent.number, "P1", "delivered");
    practice.server().broadcast("missed", true).unwrap();
    let (old, root) = (practice.papers(), practice.root(&practice.papers()));
    let prekeys = practice.store.prekeys().unwrap();
    practice.close();

    practice.clock.advance(DAY);
    let books = practice.books();
    let done = authority::replace_key(&books, &root, "a theft", &mut OsRandom).unwrap();
    drop(books);
    assert_eq!((done.devices, done.patients), (2, 2));
    let seconds = practice.now().as_millis() / 1_000;
    assert!((seconds - 60..=seconds).contains(&done.revoked_number));
    let new = practice.papers();
    assert_ne!(new.certificate.key_id(), old.certificate.key_id());
    assert!(new.revoked.contains(&old.certificate.subject().serial));
    for row in practice.store.certificates().unwrap() {
        assert_eq!(row.state, CertificateState::Revoked);
    }
    for row in prekeys {
        let file = practice.directory().path(&setup::prekey_file(&row.kid));
        assert!(!file.exists(), "the secret of an old prekey");
    }
    let audit = practice.store.audit(1, 1_000).unwrap();
    let revoked: Vec<_> = audit.iter().filter(|row| row.action == "revoked").collect();
    assert_eq!(revoked.len(), 2);
    let has_reason = |row: &telemed::store::AuditRow| row.detail.ends_with(": a theft");
    assert_eq!(audit.iter().filter(|row| has_reason(row)).count(), 1);

    practice.restart();
    practice.run_a_while();
    // A hard stop, however she asks.
    let changed = |error: &TrustError| {
        matches!(error, TrustError::ChangedKey { known, found }
            if *known == old.certificate.key_id() && *found == new.certificate.key_id())
    };
    match person.try_connect(practice.address(), None) {
        Err(HandshakeError::Trust(error)) => assert!(changed(&error), "{error}"),
        other => panic!("{:?}", other.err()),
    }
    let mut wire = other.dial(practice.address());
    wire.send(&certificate_request());
    let answer = wire.frame();
    let body = certificate_answer(&answer).unwrap();
    let error = other
        .doctor
        .check_bundle(body, other.identity.own(), practice.now())
        .unwrap_err();
    assert!(changed(&error), "{error}");
    // Whoever shows the old papers to somebody who knows the new list is found out.
    let known = practice.known_doctor(&new);
    let stolen = {
        let mut stolen = old;
        stolen.revoked = new.revoked;
        stolen
    };
    let error = known
        .check_bundle(
            &stolen.bundle(practice.now()),
            other.identity.own(),
            practice.now(),
        )
        .unwrap_err();
    assert_eq!(error, TrustError::Revoked);
    // Her old certificate is worth nothing with the new papers either.
    other.doctor = known;
    match other.try_connect(practice.address(), None) {
        Err(HandshakeError::Refused { code, .. }) => {
            assert_eq!(code, telemed::protocol::AlertCode::Revoked);
        }
        other => panic!("{:?}", other.err()),
    }

    // A ticket leads on, and what was missed is there.
    let mut again = practice.enrol("P1");
    let mut session = again.connect(practice.address());
    assert_eq!(session.message().text, "missed");
    let report = practice.report(sent.number);
    assert_eq!(
        report.message.text(),
        "before",
        "what is sealed opens as before"
    );
    practice.close();
    let report = check_log(&practice);
    // Whoever has the old key can sign nothing that comes later.
    let entries = [Entry::new(practice.now(), "D1", Action::AuditRead, "", "")];
    let certificate = stolen.certificate.as_bytes();
    practice
        .store
        .append_signed(&entries, certificate, &mut |number, link| {
            Head::sign(&stolen, (number, link), practice.now(), &mut OsRandom)
        })
        .unwrap();
    let papers = Papers::stored(&*practice.store).unwrap();
    let (root, files) = (stolen.root.fingerprint(), HeadsFiles::default());
    let after = verify(&*practice.store, papers, &files, &root, &mut OsRandom).unwrap();
    let is_forged = |finding: &Finding| finding.to_string().contains("had been replaced by then");
    assert!(after.findings.iter().any(is_forged), "{:?}", after.findings);
    assert_eq!(after.heads, report.heads);
}

/// The log is sound, with heads of both keys.
fn check_log(practice: &Practice) -> Report {
    let store = &*practice.store;
    let papers = Papers::stored(store).unwrap();
    let root = practice.papers().root.fingerprint();
    let files = HeadsFiles::default();
    let report = verify(store, papers, &files, &root, &mut OsRandom).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.heads >= 3, "{report:?}");
    report
}

#[test]
fn a_change_of_key_that_was_cut_short_is_finished_by_the_next_start() {
    let mut practice = Practice::open();
    let root = practice.root(&practice.papers());
    practice.close();
    let signing = practice.directory().path(setup::SIGNING_KEY);
    let old = std::fs::read(&signing).unwrap();
    let books = practice.books();
    authority::replace_key(&books, &root, "a theft", &mut OsRandom).unwrap();
    drop(books);
    // As if it had been killed after the database was written.
    let next = practice.directory().path("signing-next.key");
    std::fs::rename(&signing, &next).unwrap();
    std::fs::write(&signing, &old).unwrap();
    practice
        .store
        .set_facts(&[(telemed::store::fact::SIGNING_KEY_CHANGE, &[1])])
        .unwrap();
    let papers = practice.papers();
    let key = papers.signing.verifying_key();
    assert_eq!(*key, papers.certificate.subject().signing_key);
    assert!(!next.exists());
    practice.restart();
    practice.run_a_while();
    drop(practice.enrol("P1").connect(practice.address()));
}

#[test]
fn a_replaced_key_whose_file_is_not_in_its_place_is_said_and_put_there_by_the_next_start() {
    let mut practice = Practice::open();
    let (old, root) = (practice.papers(), practice.root(&practice.papers()));
    practice.close();
    let signing = practice.directory().path(setup::SIGNING_KEY);
    let books = practice.books();
    std::fs::remove_file(&signing).unwrap();
    std::fs::create_dir(&signing).unwrap();
    let done = authority::replace_key(&books, &root, "a theft", &mut OsRandom).unwrap();
    drop(books);
    let why = done.unfinished.unwrap();
    assert!(why.contains("signing.key"), "{why}");
    let waiting = ["signing-next.key", "prekey-next.key"];
    let waiting = waiting.map(|name| practice.directory().path(name));
    assert!(waiting.iter().all(|path| path.exists()));
    std::fs::remove_dir(&signing).unwrap();
    let new = practice.papers();
    assert_eq!(new.certificate.key_id(), done.new);
    assert_ne!(new.certificate.key_id(), old.certificate.key_id());
    assert_eq!(new.prekeys.len(), 1);
    assert!(!waiting.iter().any(|path| path.exists()));
    practice.restart();
    practice.run_a_while();
    drop(practice.enrol("P1").connect(practice.address()));
}

/// Connects, at the second attempt if the first one only brought a new prekey.
fn connect(person: &mut Person, practice: &Practice) -> Session {
    match person.try_connect(practice.address(), None) {
        Ok(session) => session,
        Err(_) => person.connect(practice.address()),
    }
}

fn has_reminder(events: &[Event]) -> bool {
    let speaks =
        |event: &Event| matches!(event, Event::Trouble(said) if said.contains("authority renew"));
    events.iter().any(speaks)
}

#[test]
fn a_practice_whose_root_lies_in_a_drawer_runs_for_a_year() {
    const STEP: u32 = 5;
    let timing = Timing {
        dates: Duration::from_millis(20),
        ..Timing::default()
    };
    let mut practice = Practice::with(Settings {
        timing,
        ..Settings::default()
    });
    let drawer = tempfile::TempDir::new().unwrap();
    let (here, there) = (
        practice.directory().path(ROOT_KEY),
        drawer.path().join(ROOT_KEY),
    );
    key_file::copy(&here, &there).unwrap();
    key_file::remove(&here).unwrap();
    let first = practice.papers();
    let end = first.certificate.subject().not_after;
    let [mut often, mut seldom] = practice.admit(["P1", "P2"]);
    let mut newcomer = None;
    let mut prekeys: Vec<[u8; 8]> = Vec::new();
    for day in (STEP..=365).step_by(STEP as usize) {
        practice.clock.advance(DAY * STEP);
        let now = practice.now();
        eventually("a prekey for the next week", || {
            !practice.server().practice().identity().needs_prekey(now)
        });
        let identity = practice.server().practice().identity();
        let newest = identity.newest_prekey(now).unwrap().prekey.id();
        if prekeys.last() != Some(&newest) {
            // Whoever knows only the one before gets in with it.
            if let Some(before) = prekeys.last() {
                assert!(
                    identity.prekey(before, now).is_some(),
                    "an overlap on day {day}"
                );
            }
            prekeys.push(newest);
        }
        if day % 20 == 0 && day <= 360 {
            drop(connect(&mut often, &practice));
        }
        match day {
            // Away for five months.
            180 => drop(connect(&mut seldom, &practice)),
            200 => newcomer = Some(practice.enrol("P3")),
            335 => {
                assert!(!has_reminder(&practice.events()), "too early");
                assert_eq!(renewal(practice.server().practice(), now), None);
            }
            340 => practice.wait_for("a reminder", |event| {
                has_reminder(std::slice::from_ref(event)).then_some(())
            }),
            345 => practice.wait_for("one on another day", |event| {
                has_reminder(std::slice::from_ref(event)).then_some(())
            }),
            _ => {}
        }
    }
    assert!(prekeys.len() >= 12, "{}", prekeys.len());
    assert!(
        practice.store.prekeys().unwrap().len() <= 3,
        "old ones are deleted"
    );

    // The end: nobody gets in, and nobody may serve.
    practice.clock.advance(DAY * 10);
    assert!(practice.now() > end);
    let mut newcomer = newcomer.unwrap();
    match newcomer.try_connect(practice.address(), None) {
        Err(HandshakeError::Trust(TrustError::Doctor(CertificateError::Ended(_)))) => {}
        Err(HandshakeError::Unexpected) => {}
        other => panic!("{:?}", other.err()),
    }
    let books = practice.server().practice();
    let told = renewal(books, practice.now()).unwrap();
    assert_eq!(told.left, None);
    let base = books.directory.path("").parent().unwrap().to_owned();
    assert_eq!(told.finds, format!(" --data '{}' --id D1", base.display()));
    assert_eq!(
        told.command(),
        format!("doctor{} authority renew --root FILE", told.finds)
    );

    // The drawer is opened, once.
    key_file::copy(&there, &here).unwrap();
    renew(&practice);
    key_file::remove(&here).unwrap();
    assert_eq!(renewal(practice.server().practice(), practice.now()), None);
    practice.restart();
    practice.run_a_while();
    drop(connect(&mut newcomer, &practice));
    // A patient's own year is over, too: a ticket is enough for another one.
    assert!(often.try_connect(practice.address(), None).is_err());
    let mut again = practice.enrol("P1");
    drop(connect(&mut again, &practice));
}
