//! The end of an assistant: revoked, or with her certificate.

use std::sync::Arc;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::doctor::messages;
use telemed::doctor::newcomer::Progress;
use telemed::doctor::practice::Practice;
use telemed::doctor::setup::{self, SetupError};
use telemed::identity::certificate::Role;
use telemed::identity::data_dir::DataDir;
use telemed::protocol::message::Message;
use telemed::random::OsRandom;
use telemed::store::messages::MessageRow;
use telemed::vault::column;
use tempfile::TempDir;

use super::super::{HOUR, Scene, go_on, id, newcomer, now};
use super::{enrol, is_refused, member, put_sealed, write};

/// A clock that is ahead by this time.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        now().plus(self.0)
    }
}

/// The books of the clinic's first doctor, as they are read so much later.
fn later(scene: &Scene, by: Duration) -> Practice {
    let directory = Arc::clone(&scene.practice.directory);
    let store = Arc::clone(&scene.practice.store);
    let identity = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    Practice::open(directory, store, identity, Arc::new(Ahead(by))).unwrap()
}

fn is_doubted(practice: &Practice, row: &MessageRow) -> bool {
    messages::read(practice, row).unwrap().is_doubted()
}

#[test]
fn a_revoked_assistant_is_refused_and_nothing_more_of_hers_is_delivered() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let assistant = member(&scene, "A1", Role::Assistant);
    let number = write(&assistant, "The water is off.");
    let row = scene.practice.store.message(number).unwrap().unwrap();
    // When nobody who has the name after her had a certificate.
    let first = assistant.identity().certificate.subject().not_before;
    let old = Message::new("The water is on.", false, first, &mut OsRandom).unwrap();
    let old = old.by(id("A1"));
    let old = put_sealed(&assistant, column::STAFF_MESSAGE, old.id().0, &old);
    scene.revoke("A1").unwrap();
    let (directory, store) = (&assistant.directory, &*assistant.store);
    let error = member::load(directory, store, now(), &mut OsRandom).unwrap_err();
    assert!(matches!(error, SetupError::Dismissed(_)), "{error}");
    // What she wrote is given to nobody more, and can be read.
    let doctor = later(&scene, Duration::ZERO);
    for row in [&row, &old] {
        assert!(is_refused(&doctor, row) && !is_doubted(&doctor, row));
    }
    // Her name is given again.
    let base = TempDir::new().unwrap();
    let directory = DataDir::create_or_open(base.path(), "A1").unwrap();
    let ticket = scene.invite("A1", Role::Assistant).unwrap();
    let store = scene.store("A1");
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    scene.look().unwrap();
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    let doctor = later(&scene, Duration::ZERO);
    assert!(is_refused(&doctor, &old) && !is_doubted(&doctor, &old));
    let identity = member::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    let assistant =
        Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock)).unwrap();
    let row = doctor.store.message(write(&assistant, "It is off again."));
    assert!(!is_refused(&doctor, &row.unwrap().unwrap()));
}

#[test]
fn with_an_ended_certificate_nobody_goes_on_by_writing_an_earlier_time() {
    let Some(scene) = Scene::new() else { return };
    enrol(&scene.practice, "P1");
    let assistant = member(&scene, "A1", Role::Assistant);
    let number = write(&assistant, "The water is off.");
    let row = scene.practice.store.message(number).unwrap().unwrap();
    let end = assistant.identity().certificate.subject().not_after;
    let left = end.since(now());
    for (days, refused) in [(0, false), (29, false), (31, true)] {
        let doctor = later(&scene, left + HOUR * 24 * days);
        assert_eq!(is_refused(&doctor, &row), refused, "{days} days after");
        assert!(!is_doubted(&doctor, &row));
    }
    // After the end.
    let late = Message::new("It is on.", false, end.plus(HOUR), &mut OsRandom);
    let late = late.unwrap().by(id("A1"));
    let late = put_sealed(&assistant, column::STAFF_MESSAGE, late.id().0, &late);
    let doctor = later(&scene, left + HOUR * 2);
    assert!(is_refused(&doctor, &late) && is_doubted(&doctor, &late));
}

#[test]
fn an_assistants_certificate_has_its_end() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("A1", Role::Assistant);
    let late = now().plus(HOUR * 24 * 400);
    let error = member::load(&directory, &*store, late, &mut OsRandom).unwrap_err();
    assert!(matches!(error, SetupError::Dates(..)), "{error}");
}
