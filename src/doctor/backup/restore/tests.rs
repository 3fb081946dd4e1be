//! Backups of a practice in which something has happened, restored.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::audit::head::Head;
use crate::audit::heads_file::{HeadsFile, Record, json};
use crate::audit::papers::Papers;
use crate::clock::SystemClock;
use crate::doctor::audit_log::sign_head;
use crate::doctor::backup::make;
use crate::doctor::practice::Practice;
use crate::doctor::{recovery, setup};
use crate::elgamal::Group;
use crate::handshake::enrol::NewKeys;
use crate::hex;
use crate::identity::certificate::Serial;
use crate::identity::keyring::Keyring;
use crate::random::OsRandom;
use crate::store::{CertificateRow, RecordRow, RecordStore, TicketRow};
use crate::vault::{RecoveryCode, column};

struct Scene {
    practice: Practice,
    code: RecoveryCode,
    base: TempDir,
}

impl Scene {
    fn new() -> Self {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(&base.path().join("here"), "D1").unwrap();
        let store = setup::open_store(&directory).unwrap();
        let now = crate::clock::Clock::now(&SystemClock);
        let (group, doctor) = (Group::ffdhe2048(), "D1".parse().unwrap());
        let identity =
            setup::found(&directory, &store, &group, &doctor, now, &mut OsRandom).unwrap();
        let (directory, store) = (Arc::new(directory), Arc::new(store));
        let practice = Practice::open(directory, store, identity, Arc::new(SystemClock)).unwrap();
        let new = recovery::make(&practice).unwrap();
        assert!(recovery::keep(&practice, &new.wrapped).unwrap());
        Self {
            practice,
            code: new.code,
            base,
        }
    }

    fn enrol(&self, name: &str) -> Serial {
        let doctor = self.practice.identity();
        let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
        let (signing, encryption) = (keys.signing.verifying_key(), keys.encryption.public());
        let name = name.parse().unwrap();
        let now = self.practice.now();
        let (signing, encryption) = (signing.clone(), encryption.clone());
        let certificate = doctor.certify(&name, signing, encryption, now, &mut OsRandom);
        let row = CertificateRow {
            serial: certificate.subject().serial,
            fingerprint: certificate.fingerprint(),
            subject: name.to_string(),
            bytes: certificate.as_bytes().to_vec(),
            state: CertificateState::Active,
            ticket: None,
            created: now,
            not_after: certificate.subject().not_after,
        };
        self.practice.store.add_certificate(&row).unwrap();
        row.serial
    }

    /// Adds a record whose content was sealed for `owner`.
    fn add_record(&self, patient: &str, owner: &str, content: &[u8]) {
        let now = self.practice.now();
        let record = |patient: &str, sealed| RecordRow {
            patient: patient.to_owned(),
            created: now,
            changed: now,
            archived: None,
            version: 1,
            sealed,
            contact: None,
        };
        let name = record(owner, Vec::new()).row_name();
        let vault = &self.practice.vault;
        let sealed = vault
            .seal(column::RECORD, &name, content, &mut OsRandom)
            .unwrap();
        let row = record(patient, sealed);
        self.practice.store.add_record(&row, &[]).unwrap();
    }

    fn note(&self) {
        self.practice.note(Action::Frozen, "P1", "").unwrap();
    }

    fn backup(&self, name: &str) -> PathBuf {
        let file = self.base.path().join(name);
        make(&self.practice, &file, "D1", &|| true).unwrap();
        file
    }

    fn verify(&self, file: &Path) -> Checked {
        let reader = Reader::new(File::open(file).unwrap()).unwrap();
        verify(self.base.path(), reader, &self.practice.vault).unwrap()
    }

    /// Restores on another machine, with the recovery code only.
    fn restore(&self, file: &Path, heads: Option<&Heads>) -> (Restored, SqliteStore) {
        let reader = Reader::new(File::open(file).unwrap()).unwrap();
        let vault = self.code.unwrap(&reader.header().wrapped).unwrap();
        let there = self.base.path().join("there");
        let now = self.practice.now();
        let restored = restore(&there, reader, &vault, heads, None, now).unwrap();
        let store = SqliteStore::open(&there.join("D1").join(DATABASE)).unwrap();
        (restored, store)
    }

    /// A file of heads as it would have been written up to now.
    fn heads(&self, stopped: &[(Serial, &str)]) -> Heads {
        let doctor = self.practice.identity();
        let head = self.practice.store.audit_head().unwrap().unwrap();
        let head = Head::sign(&doctor, head, self.practice.now(), &mut OsRandom);
        let mut records = vec![
            Record::Certificates(Papers::of(&doctor)),
            Record::Head(head),
        ];
        records.extend(stopped.iter().map(|(serial, state)| {
            let (whom, now) = ((*serial, "P"), self.practice.now());
            Record::Revocation(Revocation::sign(&doctor, whom, state, now, &mut OsRandom))
        }));
        let path = self.base.path().join("heads.jsonl");
        let lines: String = records.iter().map(json).collect();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        Heads::read(&path).unwrap()
    }
}

#[test]
fn what_was_stopped_after_the_backup_is_stopped_again_and_named() {
    let scene = Scene::new();
    let [good, frozen, revoked, before] = ["P1", "P2", "P3", "P4"].map(|name| scene.enrol(name));
    let store = &scene.practice.store;
    let state = CertificateState::Revoked;
    store.set_certificate_state(&before, state).unwrap();
    let file = scene.backup("a.backup");
    let end = store.audit_head().unwrap().unwrap().0;
    scene.note();
    scene.note();
    let stopped = [
        (frozen, "frozen"),
        (revoked, "frozen"),
        (revoked, "revoked"),
        (before, "frozen"),
        ([9; 16], "revoked"),
    ];
    let heads = scene.heads(&stopped);
    let (restored, store) = scene.restore(&file, Some(&heads));
    let states = [good, frozen, revoked, before]
        .map(|serial| store.certificate(&serial).unwrap().unwrap().state.word());
    assert_eq!(states, ["active", "frozen", "revoked", "revoked"]);
    let named: Vec<_> = restored.stopped.iter().map(|each| each.serial).collect();
    assert_eq!(named, [frozen, revoked, revoked]);
    // The entry about the backup itself came after its snapshot.
    assert_eq!(restored.log_end, end - 1);
    assert_eq!(restored.known_end, Some(end + 2));
    assert_eq!(restored.checked.findings, []);
}

#[test]
fn what_a_file_of_heads_says_without_the_doctors_signature_stops_nobody() {
    let scene = Scene::new();
    let [first, second] = ["P1", "P2"].map(|name| scene.enrol(name));
    let file = scene.backup("a.backup");
    scene.heads(&[(first, "frozen")]);
    let path = scene.base.path().join("heads.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    // The line about one device, made one about the other.
    let [from, to] = [first, second].map(|serial| hex::encode(&serial));
    fs::write(&path, text.replace(&from, &to)).unwrap();
    let heads = Heads::read(&path).unwrap();
    let (restored, store) = scene.restore(&file, Some(&heads));
    assert_eq!(restored.stopped, []);
    for serial in [first, second] {
        let state = store.certificate(&serial).unwrap().unwrap().state;
        assert_eq!(state, CertificateState::Active);
    }
    let [Finding::ForgedRevocation { ref origin, .. }] = restored.checked.findings[..] else {
        panic!("{:?}", restored.checked.findings);
    };
    assert_eq!(*origin, Origin::File(path, 3));
}

#[test]
fn heads_that_know_of_nothing_later_say_so() {
    let scene = Scene::new();
    scene.enrol("P1");
    let heads = scene.heads(&[]);
    let file = scene.backup("a.backup");
    let (restored, store) = scene.restore(&file, Some(&heads));
    assert_eq!(restored.known_end, Some(restored.log_end));
    let last = store.audit(restored.log_end + 1, 9).unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].action, Action::Restored.word());
    assert_eq!(last[0].actor, "D1");
}

#[test]
fn no_backup_lacks_a_head_that_the_file_of_heads_has() {
    let scene = Scene::new();
    let practice = &scene.practice;
    let path = scene.base.path().join("heads.jsonl");
    let papers = Papers::of(&practice.identity());
    let (file, _) = HeadsFile::open(&path, papers).unwrap();
    let (signed, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let backups: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                scene.note();
                let head = sign_head(practice).unwrap().unwrap();
                file.append(&[Record::Head(head)]).unwrap();
                signed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let backups = (0..5).map(|number| {
            let before = signed.load(Ordering::Relaxed);
            while signed.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
            scene.backup(&format!("{number}.backup"))
        });
        let backups = backups.collect();
        done.store(true, Ordering::Relaxed);
        backups
    });
    let heads = Heads::read(&path).unwrap();
    for (number, backup) in backups.iter().enumerate() {
        let reader = Reader::new(File::open(backup).unwrap()).unwrap();
        let database = scene.base.path().join(format!("{number}.db"));
        let content = Content::take_out(reader, &practice.vault, &database).unwrap();
        let mut findings = content
            .check(&practice.vault, &heads.files)
            .unwrap()
            .findings;
        let last = content.store.audit_head().unwrap().unwrap().0;
        forgive_later_entries(&content.store, last, &mut findings).unwrap();
        assert_eq!(findings, []);
    }
}

#[test]
fn without_heads_nobody_claims_to_know() {
    let scene = Scene::new();
    let file = scene.backup("a.backup");
    let (restored, _) = scene.restore(&file, None);
    assert_eq!(restored.known_end, None);
    assert_eq!(restored.stopped, []);
}

#[test]
fn open_tickets_are_void_and_used_ones_stay_used() {
    let scene = Scene::new();
    let ticket = |id: u8, state| TicketRow {
        id: [id; 16],
        subject: format!("P{id}"),
        sealed: scene
            .practice
            .vault
            .seal(column::TICKET, &[id; 16], &[id; 16], &mut OsRandom)
            .unwrap(),
        created: scene.practice.now(),
        expires: scene.practice.now(),
        state,
        serial: None,
    };
    for (id, state) in [(1, TicketState::Open), (2, TicketState::Used)] {
        let row = ticket(id, state);
        scene.practice.store.add_ticket(&row, &[]).unwrap();
    }
    let file = scene.backup("a.backup");
    let (restored, store) = scene.restore(&file, None);
    assert_eq!(restored.tickets, ["P1"]);
    let state = |id| store.ticket(&[id; 16]).unwrap().unwrap().state;
    assert_eq!(state(1), TicketState::Revoked);
    assert_eq!(state(2), TicketState::Used);
}

#[test]
fn sealed_entries_open_again_and_those_that_do_not_are_counted() {
    let scene = Scene::new();
    scene.add_record("P1", "P1", b"allergic to nuts");
    let sound = scene.verify(&scene.backup("sound.backup"));
    assert!(sound.is_sound(), "{sound:?}");
    assert_eq!(sound.inventory.records, 1);
    // Of another row.
    scene.add_record("P2", "P1", b"allergic to nuts");
    let file = scene.backup("damaged.backup");
    let damaged = scene.verify(&file);
    assert_eq!(
        damaged.unopened.into_iter().collect::<Vec<_>>(),
        [("record", 1)]
    );
    let (restored, store) = scene.restore(&file, None);
    assert!(!restored.checked.is_sound());
    let row = store.record("P1").unwrap().unwrap();
    let there = scene.base.path().join("there/D1").join(DATA_KEY);
    let there = Vault::load(&there, &Keyring::plain()).unwrap();
    let opened = there
        .open(column::RECORD, &row.row_name(), &row.sealed)
        .unwrap();
    assert_eq!(opened.expose(), b"allergic to nuts");
}

#[test]
fn the_code_that_opened_the_backup_is_the_one_that_stays_good() {
    let scene = Scene::new();
    let file = scene.backup("a.backup");
    let (_, store) = scene.restore(&file, None);
    let wrapped = store.fact(fact::RECOVERY).unwrap().unwrap();
    assert!(scene.code.unwrap(&wrapped).is_ok());
}

#[test]
fn keys_that_do_not_belong_to_the_certificates_are_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    let path = |scene: &Scene| scene.practice.directory.path(setup::SIGNING_KEY);
    fs::copy(path(&other), path(&scene)).unwrap();
    let file = scene.backup("a.backup");
    let reader = Reader::new(File::open(&file).unwrap()).unwrap();
    let failure = verify(scene.base.path(), reader, &scene.practice.vault).unwrap_err();
    assert!(failure.to_string().contains("signing.key"), "{failure}");
}

#[test]
fn a_log_that_was_cut_off_before_the_backup_is_told_even_with_later_heads() {
    let scene = Scene::new();
    for _ in 0..4 {
        scene.note();
    }
    sign_head(&scene.practice).unwrap();
    let end = scene.practice.store.audit_head().unwrap().unwrap().0;
    let database = scene.practice.directory.path(DATABASE);
    let tamper = Connection::open(database).unwrap();
    tamper
        .execute("DELETE FROM audit_entry WHERE number > ?1", [end - 3])
        .unwrap();
    let file = scene.backup("a.backup");
    // What comes after the backup goes on where it was cut off.
    for _ in 0..9 {
        scene.note();
    }
    let heads = scene.heads(&[]);
    let (restored, _) = scene.restore(&file, Some(&heads));
    assert!(!restored.checked.is_sound());
    let [Finding::Truncated { last, head, .. }] = restored.checked.findings[..] else {
        panic!("{:?}", restored.checked.findings);
    };
    // The backup's own head is an entry more.
    assert_eq!((last, head), (end - 2, end));
    assert!(restored.known_end > Some(end));
}

#[test]
fn the_practices_own_directory_is_no_place_for_a_backup() {
    let scene = Scene::new();
    let own = scene.practice.directory.path("");
    let below = own.join("below");
    fs::create_dir(&below).unwrap();
    for directory in [own, below] {
        let file = directory.join("a.backup");
        let failure = make(&scene.practice, &file, "D1", &|| true).unwrap_err();
        assert!(failure.to_string().contains("own data directory"));
        assert!(!file.exists());
    }
}
