//! At a clock that is set by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::doctor::{recovery, setup};
use crate::elgamal::Group;
use crate::identity::data_dir::DataDir;
use crate::random::OsRandom;
use crate::store::{SqliteStore, Store};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// 2026-11-23 02:00 UTC.
const START: u64 = 1_795_399_200_000;
const FIRST: &str = "telemed-D1-2026-11-23T02-00-00Z.backup";

struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Scene {
    practice: Practice,
    clock: Arc<TestClock>,
    schedule: BackupSchedule,
    place: TempDir,
    _base: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (base, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store = SqliteStore::in_memory().unwrap();
        let (group, doctor) = (Group::ffdhe2048(), "D1".parse().unwrap());
        let now = clock.now();
        let identity =
            setup::found(&directory, &store, &group, &doctor, now, &mut OsRandom).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let as_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let practice = Practice::open(Arc::new(directory), store, identity, as_clock).unwrap();
        let new = recovery::make(&practice).unwrap();
        assert!(recovery::keep(&practice, &new.wrapped).unwrap());
        let schedule = BackupSchedule {
            directory: place.path().to_owned(),
            every: 24 * HOUR,
            keep: NonZeroU32::new(3).unwrap(),
        };
        Self {
            practice,
            clock,
            schedule,
            place,
            _base: base,
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper::new(self.schedule.clone())
    }

    fn look(&self, keeper: &mut Keeper) -> bool {
        keeper.look(&self.practice, &|| true).unwrap()
    }

    fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn one_is_made_whenever_it_is_due_and_a_restart_changes_nothing() {
    let scene = Scene::new();
    let mut keeper = scene.keeper();
    assert!(scene.look(&mut keeper));
    assert_eq!(scene.files(), [FIRST]);
    scene.pass(23 * HOUR);
    assert!(!scene.look(&mut keeper));
    assert!(!scene.look(&mut scene.keeper()), "after a restart");
    scene.pass(HOUR);
    assert!(scene.look(&mut scene.keeper()));
    assert!(!scene.look(&mut keeper));
    assert_eq!(scene.files().len(), 2);
}

#[test]
fn the_newest_are_kept_and_nothing_else_is_deleted() {
    let scene = Scene::new();
    let others = [
        "telemed-D1-2020-01-01T00-00-00Z.backup.old",
        "telemed-D1-2020-1-1T00-00-00Z.backup",
        "telemed-D10-2020-01-01T00-00-00Z.backup",
        "telemed-D1-2030-01-01T00-00-00Z.backup",
        "letter.txt",
    ];
    for other in others {
        fs::write(scene.place.path().join(other), "x").unwrap();
    }
    let directory = "telemed-D1-2020-01-01T00-00-00Z.backup";
    fs::create_dir(scene.place.path().join(directory)).unwrap();
    let mut keeper = scene.keeper();
    for _ in 0..5 {
        assert!(scene.look(&mut keeper));
        scene.pass(24 * HOUR);
    }
    let files = scene.files();
    for other in others.iter().chain([&directory]) {
        assert!(files.contains(&(*other).to_owned()), "{other}");
    }
    let ours: Vec<_> = files
        .iter()
        .filter(|name| name.contains("-2026-11-2"))
        .collect();
    assert_eq!(
        ours,
        [
            "telemed-D1-2026-11-25T02-00-00Z.backup",
            "telemed-D1-2026-11-26T02-00-00Z.backup",
            "telemed-D1-2026-11-27T02-00-00Z.backup",
        ]
    );
}

#[test]
fn a_failure_deletes_nothing_and_is_tried_again_before_long() {
    let scene = Scene::new();
    let mut keeper = scene.keeper();
    for _ in 0..3 {
        assert!(scene.look(&mut keeper));
        scene.pass(24 * HOUR);
    }
    let before = scene.files();
    // What is to be backed up cannot be read.
    let key = scene.practice.directory.path(setup::SIGNING_KEY);
    let aside = key.with_extension("aside");
    fs::rename(&key, &aside).unwrap();
    let failure = keeper.look(&scene.practice, &|| true).unwrap_err();
    assert!(failure.to_string().contains("signing.key"), "{failure}");
    assert_eq!(scene.files(), before);
    fs::rename(&aside, &key).unwrap();
    assert!(!scene.look(&mut keeper), "not at every look");
    scene.pass(RETRY);
    assert!(scene.look(&mut keeper));
    assert_eq!(scene.files().len(), 3);
}

#[test]
fn a_directory_that_is_missing_is_said_and_not_made() {
    let mut scene = Scene::new();
    scene.schedule.directory = scene.place.path().join("disk");
    let failure = scene.keeper().look(&scene.practice, &|| true).unwrap_err();
    assert!(failure.to_string().contains("disk"), "{failure}");
    assert!(!scene.schedule.directory.exists());
}

#[test]
fn a_clock_that_was_ahead_does_not_stop_the_backups() {
    let scene = Scene::new();
    let mut keeper = scene.keeper();
    scene.pass(1_000 * HOUR);
    assert!(scene.look(&mut keeper));
    scene.clock.0.store(START, Ordering::SeqCst);
    assert!(scene.look(&mut keeper));
    assert!(!scene.look(&mut keeper));
    assert_eq!(scene.files().len(), 2);
    assert!(scene.files().contains(&FIRST.to_owned()));
}

#[test]
fn what_was_half_written_goes_with_the_next_one() {
    let scene = Scene::new();
    let half = format!(".{FIRST}.0123456789abcdef.new");
    let others = [
        ".telemed-D2-2026-11-23T02-00-00Z.backup.0123456789abcdef.new",
        ".a.new",
    ];
    for name in others.iter().copied().chain([half.as_str()]) {
        fs::write(scene.place.path().join(name), "x").unwrap();
    }
    assert!(scene.look(&mut scene.keeper()));
    let files = scene.files();
    assert!(!files.contains(&half));
    assert_eq!(files.len(), others.len() + 1);
}

#[test]
fn a_server_that_stops_leaves_nothing_half_made() {
    let scene = Scene::new();
    let failure = scene.keeper().look(&scene.practice, &|| false).unwrap_err();
    assert!(matches!(failure, BackupFailure::Stopped), "{failure}");
    assert!(scene.files().is_empty());
    let left = fs::read_dir(scene.practice.directory.path("")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.starts_with("snapshot-")));
}
