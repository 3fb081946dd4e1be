//! Doctors, assistants and auditors join a clinic, with a real database. The
//! server's address stands in `TELEMED_TEST_POSTGRES`; `make test-postgres` starts
//! one.

#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]

#[path = "clinic/damaged.rs"]
mod damaged;
#[path = "support/forged.rs"]
mod forged;
#[path = "clinic/hidden.rs"]
mod hidden;
#[path = "clinic/names.rs"]
mod names;
#[path = "clinic/replacing.rs"]
mod replacing;
#[path = "clinic/revoking.rs"]
mod revoking;
#[path = "clinic/roles.rs"]
mod roles;
#[path = "support/schema.rs"]
mod schema;
#[path = "clinic/seen.rs"]
mod seen;
#[path = "clinic/serving.rs"]
mod serving;
#[path = "support/skip.rs"]
mod skip;
#[path = "clinic/stolen.rs"]
mod stolen;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use schema::Schema;
use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::doctor::joining::{self, JoiningError, Looked};
use telemed::doctor::newcomer::{JOIN_KEY, Newcomer, NewcomerError, Progress};
use telemed::doctor::practice::Practice;
use telemed::doctor::setup::{self, ROOT_KEY, SIGNING_KEY, SetupError};
use telemed::elgamal::{Group, SignSecret};
use telemed::hex;
use telemed::identity::authority::certify_staff;
use telemed::identity::certificate::Role;
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::join::{JoinRequest, JoinTicket, NewcomerKeys};
use telemed::identity::key_file::{Cost, KeyKind, Passphrase};
use telemed::random::OsRandom;
use telemed::secret::{Secret, SecretBytes};
use telemed::store::clinic::JoinState;
use telemed::store::{PostgresStore, Store, fact};
use telemed::vault::{COLUMN_KEYS, ColumnError, DATA_KEY, Vault, column};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn id(name: &str) -> Identifier {
    name.parse().unwrap()
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// A clinic that doctor D1 has founded, in a schema of its own.
struct Scene {
    base: TempDir,
    practice: Practice,
    schema: Schema,
}

impl Scene {
    /// None, and that is said, if there is no server to test with.
    fn new() -> Option<Self> {
        Self::with(|_| {})
    }

    /// The same with a directory that is changed before the first start.
    fn with(prepare: impl FnOnce(&mut DataDir)) -> Option<Self> {
        let Ok(url) = env::var("TELEMED_TEST_POSTGRES") else {
            skip::skip("no PostgreSQL server in TELEMED_TEST_POSTGRES");
            return None;
        };
        let schema = Schema::create(&url).unwrap();
        let base = TempDir::new().unwrap();
        let mut directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        prepare(&mut directory);
        let store = open(&schema, "D1");
        let (group, doctor) = (Group::ffdhe2048(), id("D1"));
        let random = &mut OsRandom;
        let identity = setup::found(&directory, &*store, &group, &doctor, now(), random).unwrap();
        let clock = Arc::new(SystemClock);
        let practice = Practice::open(Arc::new(directory), store, identity, clock).unwrap();
        Some(Self {
            base,
            practice,
            schema,
        })
    }

    fn store(&self, doctor: &str) -> Arc<dyn Store> {
        open(&self.schema, doctor)
    }

    fn directory(&self, name: &str) -> DataDir {
        DataDir::create_or_open(self.base.path(), name).unwrap()
    }

    fn invite(&self, name: &str, role: Role) -> Result<JoinTicket, JoiningError> {
        joining::invite(&self.practice, &id(name), role, HOUR, &mut OsRandom)
    }

    fn look(&self) -> Option<Looked> {
        let looked = joining::look(&self.practice, &mut OsRandom).unwrap();
        assert!(looked.len() < 2, "{looked:?}");
        looked.into_iter().next()
    }

    /// Whoever can write to the database.
    fn attack(&self, sql: &str) {
        let mut admin = self.schema.client().unwrap();
        admin.batch_execute(sql).unwrap();
    }

    /// Joins to the end, with the root's key beside the server.
    fn joined(&self, name: &str, role: Role) -> (DataDir, Arc<dyn Store>) {
        let ticket = self.invite(name, role).unwrap();
        let (directory, store) = (self.directory(name), self.store(name));
        let newcomer = newcomer(&directory, &*store, &ticket);
        assert!(matches!(go_on(newcomer).unwrap(), Progress::Waiting { .. }));
        assert!(matches!(self.look(), Some(Looked::Admitted(..))));
        assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
        (directory, store)
    }
}

fn open(schema: &Schema, doctor: &str) -> Arc<dyn Store> {
    let address = schema.address().parse().unwrap();
    Arc::new(PostgresStore::open(&address, doctor).unwrap())
}

fn newcomer<'a>(
    directory: &'a DataDir,
    store: &'a dyn Store,
    ticket: &'a JoinTicket,
) -> Newcomer<'a> {
    Newcomer {
        directory,
        store,
        id: &ticket.subject,
        ticket,
    }
}

fn go_on(newcomer: Newcomer<'_>) -> Result<Progress, NewcomerError> {
    newcomer.go_on(now(), &mut OsRandom)
}

fn actions(store: &dyn Store) -> Vec<String> {
    let rows = store.audit(1, 99).unwrap().into_iter();
    rows.map(|row| row.action).collect()
}

#[test]
fn a_doctor_joins_and_has_the_clinics_patients_and_records() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    // As it is handed over.
    let ticket: JoinTicket = ticket.to_text().parse().unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    let early = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap_err();
    assert!(matches!(early, SetupError::NotJoined), "{early}");
    assert!(scene.look().is_none());
    let waiting = go_on(newcomer).unwrap();
    let Progress::Waiting { request } = waiting else {
        panic!("nobody has answered yet");
    };
    // Cut off and gone on with: the same request, which the doctor sees too.
    assert_eq!(go_on(newcomer).unwrap(), waiting);
    let seen = joining::waiting(&scene.practice).unwrap().waiting;
    assert_eq!(
        (seen.len(), &*seen[0].subject, seen[0].request),
        (1, "D2", request)
    );
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    assert!(scene.look().is_none());
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    assert!(!directory.path(JOIN_KEY).exists());

    let identity = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    assert_eq!(identity.identifier().as_str(), "D2");
    assert_eq!(identity.root.fingerprint(), ticket.root);
    let vault = Vault::load(&directory.path(DATA_KEY), directory.keyring()).unwrap();
    assert_eq!(vault.id(), scene.practice.vault.id());
    let clinic = store.clinic().unwrap();
    let staff: Vec<_> = clinic
        .staff()
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(staff, ["D1", "D2"]);
    let row = clinic.join_ticket(&ticket.id).unwrap().unwrap();
    assert_eq!((row.state, row.answer), (JoinState::Used, None));
    assert_eq!(
        actions(&*scene.practice.store),
        ["join ticket made", "staff admitted"]
    );
    assert_eq!(actions(&*store), ["clinic joined"]);
    // Her node opens like the founder's.
    let clock = Arc::new(SystemClock);
    Practice::open(Arc::new(directory), store, identity, clock).unwrap();
}

#[test]
fn nobody_has_joined_with_what_is_not_a_certificate_of_her_own_key_and_name() {
    let Some(scene) = Scene::new() else { return };
    let (other, store) = scene.joined("D3", Role::Doctor);
    let others = setup::load(&other, &*store, now(), &mut OsRandom).unwrap();
    // Of her own name, but the key of somebody else.
    let path = scene.practice.directory.path(ROOT_KEY);
    let keyring = scene.practice.directory.keyring();
    let (_, secret) = keyring.load(&path, KeyKind::RootSigning).unwrap();
    let root = SignSecret::from_bytes(others.root.group(), secret.expose()).unwrap();
    let namesake = certify_staff(
        (&others.root, &root),
        (&id("D2"), Role::Doctor),
        others.signing.verifying_key().clone(),
        now(),
        &mut OsRandom,
    );
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    let put = |bytes: &[u8]| {
        let facts = [(fact::DOCTOR_CERTIFICATE, bytes)];
        store.set_facts(&facts).unwrap();
    };
    let all = [
        &b"nothing"[..],
        others.certificate.as_bytes(),
        namesake.as_bytes(),
    ];
    for bytes in all {
        put(bytes);
        let progress = go_on(newcomer).unwrap();
        assert!(matches!(progress, Progress::Waiting { .. }));
        assert!(directory.path(JOIN_KEY).exists());
    }
    put(b"nothing");
    scene.look().unwrap();
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    // When the ticket is used up, that is said.
    put(b"nothing");
    let error = go_on(newcomer).unwrap_err();
    assert!(matches!(error, NewcomerError::KeysHere), "{error}");
}

#[test]
fn what_was_cut_short_while_joining_is_not_left_behind() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("R1", Role::Auditor).unwrap();
    let (directory, store) = (scene.directory("R1"), scene.store("R1"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    let half = directory.path(".join.key.0123456789abcdef.new");
    std::fs::copy(directory.path(JOIN_KEY), &half).unwrap();
    scene.look();
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    assert!(!half.exists());
}

#[test]
fn an_assistant_opens_what_assistants_write_and_no_notes() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("A1", Role::Assistant);
    assert!(!directory.path(DATA_KEY).exists());
    let vault = Vault::load_columns(&directory.path(COLUMN_KEYS), directory.keyring()).unwrap();
    let seal = |column| {
        scene
            .practice
            .vault
            .seal(column, b"1", b"text", &mut OsRandom)
            .unwrap()
    };
    for open in [column::STAFF_MESSAGE, column::CONTACT] {
        let opened = vault.open(open, b"1", &seal(open)).unwrap();
        assert_eq!(opened.expose(), b"text");
    }
    for closed in [
        column::DOCTOR_MESSAGE,
        column::MESSAGE,
        column::CONFIRMATION,
        column::INCOMING,
        column::RECORD,
        column::CONSULTATION,
        column::TICKET,
        column::JOIN_TICKET,
    ] {
        let error = vault.open(closed, b"1", &seal(closed)).unwrap_err();
        assert_eq!(error, ColumnError::NoKey(closed));
    }
    // She runs no node.
    let error = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap_err();
    assert!(matches!(error, SetupError::NotJoined), "{error}");
    assert!(store.fact(fact::OWN_CERTIFICATE).unwrap().is_some());
    assert!(store.prekeys().unwrap().is_empty());
}

#[test]
fn an_auditor_opens_nothing() {
    let Some(scene) = Scene::new() else { return };
    let (directory, _store) = scene.joined("R1", Role::Auditor);
    assert!(directory.path(SIGNING_KEY).exists());
    for file in [DATA_KEY, COLUMN_KEYS, JOIN_KEY] {
        assert!(!directory.path(file).exists(), "{file}");
    }
}

#[test]
fn everything_works_under_passphrases() {
    let seal = |directory: &mut DataDir| {
        let passphrase = Passphrase::new(SecretBytes::copy_of(b"correct horse battery")).unwrap();
        directory.seal_keys(&passphrase, Cost::LEAST).unwrap();
    };
    let Some(scene) = Scene::with(seal) else {
        return;
    };
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (mut directory, store) = (scene.directory("D2"), scene.store("D2"));
    seal(&mut directory);
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    // The root's key opens with the passphrase of the directory it lies in.
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    for file in [SIGNING_KEY, DATA_KEY] {
        let path = directory.path(file);
        let plain = telemed::identity::key_file::load(&path, KeyKind::Data);
        assert!(plain.is_err(), "{file} lies plain");
    }
    setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
}

#[test]
fn a_root_key_in_its_drawer_is_fetched_to_sign() {
    let Some(scene) = Scene::new() else { return };
    let root = scene.practice.directory.path(ROOT_KEY);
    let (_, secret) = scene
        .practice
        .directory
        .keyring()
        .load(&root, KeyKind::RootSigning)
        .unwrap();
    let secret = SignSecret::from_bytes(&Group::ffdhe2048(), secret.expose()).unwrap();
    std::fs::remove_file(&root).unwrap();
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    assert!(matches!(scene.look(), Some(Looked::NeedsRoot(_))));
    // Another key than the root's admits nobody.
    let other = SignSecret::generate(&Group::ffdhe2048(), &mut OsRandom);
    let admit = |root| joining::admit(&scene.practice, root, &ticket.id, &mut OsRandom);
    let error = admit(&other).unwrap_err();
    assert!(matches!(error, JoiningError::Request(..)), "{error}");
    admit(&secret).unwrap();
    assert!(matches!(admit(&secret), Err(JoiningError::NotWaiting)));
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
}

#[test]
fn whoever_writes_to_the_database_lets_nobody_in() {
    let Some(scene) = Scene::new() else { return };
    // A role that is raised.
    let ticket = scene.invite("R1", Role::Auditor).unwrap();
    let (directory, store) = (scene.directory("R1"), scene.store("R1"));
    let auditor = newcomer(&directory, &*store, &ticket);
    go_on(auditor).unwrap();
    scene.attack("UPDATE join_ticket SET role = 'doctor'");
    let asked = joining::waiting(&scene.practice).unwrap();
    assert_eq!((asked.waiting.len(), asked.unfit.len()), (0, 1));
    assert!(matches!(scene.look(), Some(Looked::Refused(_))));
    assert!(scene.look().is_none());
    let error = go_on(auditor).unwrap_err();
    assert!(matches!(error, NewcomerError::Revoked), "{error}");

    // A ticket whose secret the attacker does not know.
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let guessed = JoinTicket {
        secret: Secret::zero(),
        ..ticket.to_text().parse().unwrap()
    };
    let keys = NewcomerKeys::generate(&Group::ffdhe2048(), &mut OsRandom);
    let request = JoinRequest::make(&keys, &guessed, now(), &mut OsRandom);
    let clinic = scene.practice.store.clinic().unwrap();
    clinic
        .put_join_request(&ticket.id, request.as_bytes())
        .unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let error = go_on(newcomer(&directory, &*store, &ticket)).unwrap_err();
    assert!(matches!(error, NewcomerError::UsedByAnother), "{error}");
    assert!(matches!(scene.look(), Some(Looked::Refused(_))));
    let staff = clinic.staff().unwrap();
    assert_eq!(staff.len(), 1, "{staff:?}");
    assert_eq!(
        actions(&*scene.practice.store)[1..],
        [
            "join ticket revoked",
            "join ticket made",
            "join ticket revoked"
        ]
    );
}

#[test]
fn an_answer_that_was_swapped_or_an_older_list_is_not_taken() {
    let Some(scene) = Scene::new() else { return };
    let tickets = ["D2", "D3"].map(|name| scene.invite(name, Role::Doctor).unwrap());
    let directories = ["D2", "D3"].map(|name| scene.directory(name));
    let stores = ["D2", "D3"].map(|name| scene.store(name));
    let newcomers =
        [0, 1].map(|place| newcomer(&directories[place], &*stores[place], &tickets[place]));
    for newcomer in newcomers {
        go_on(newcomer).unwrap();
        assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    }
    scene.attack(
        "UPDATE join_ticket a SET answer = b.answer FROM join_ticket b WHERE a.subject <> b.subject",
    );
    for (place, newcomer) in newcomers.into_iter().enumerate() {
        let error = go_on(newcomer).unwrap_err();
        assert!(matches!(error, NewcomerError::Answer(_)), "{error}");
        assert!(!directories[place].path(DATA_KEY).exists());
    }
    scene.attack(
        "UPDATE join_ticket a SET answer = b.answer FROM join_ticket b WHERE a.subject <> b.subject",
    );
    // The list that the answer knows of has gone.
    scene.attack("DELETE FROM fact WHERE name = 'revoked doctors'");
    let error = go_on(newcomers[0]).unwrap_err();
    assert!(matches!(error, NewcomerError::Revocation), "{error}");
}

#[test]
fn a_name_is_nobodys_twice_and_a_ticket_has_its_end() {
    let Some(scene) = Scene::new() else { return };
    for (name, role) in [("D1", Role::Doctor), ("D1", Role::Auditor)] {
        let error = scene.invite(name, role).unwrap_err();
        assert!(matches!(error, JoiningError::Works(_)), "{error}");
    }
    let error = scene.invite("root", Role::Doctor).unwrap_err();
    assert!(matches!(error, JoiningError::Reserved), "{error}");
    for role in [Role::Root, Role::Patient] {
        let error = scene.invite("D2", role).unwrap_err();
        assert!(matches!(error, JoiningError::NoRole(_)), "{error}");
    }
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    let late = ticket.expires.plus(HOUR);
    let error = newcomer.go_on(late, &mut OsRandom).unwrap_err();
    assert!(matches!(error, NewcomerError::Ended(_)), "{error}");
    // Nor in another clinic, nor under another name, nor with a founder's keys.
    let other = id("D3");
    let named = Newcomer {
        id: &other,
        ..newcomer
    };
    let error = go_on(named).unwrap_err();
    assert!(matches!(error, NewcomerError::OtherName(_)), "{error}");
    let founder = Newcomer {
        directory: &scene.practice.directory,
        ..newcomer
    };
    let error = go_on(founder).unwrap_err();
    assert!(matches!(error, NewcomerError::KeysHere), "{error}");
    let elsewhere = Scene::new().unwrap();
    let there = elsewhere.store("D2");
    let row = scene.practice.store.clinic().unwrap();
    let row = row.join_ticket(&ticket.id).unwrap().unwrap();
    let clinic = there.clinic().unwrap();
    clinic.add_join_ticket(&row, &[]).unwrap();
    let error = go_on(Newcomer {
        store: &*there,
        ..newcomer
    })
    .unwrap_err();
    assert!(matches!(error, NewcomerError::OtherClinic), "{error}");
}
