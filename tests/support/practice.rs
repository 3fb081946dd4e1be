//! A server with its directory, its clock and its events.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::panic;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_send_buffer_size;
use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::doctor::event::Event;
use telemed::doctor::server::{Report, Server};
use telemed::doctor::setup;
use telemed::doctor::shared::Settings;
use telemed::elgamal::{Group, SignSecret};
use telemed::handshake::enrol::NewKeys;
use telemed::identity::authority::DoctorIdentity;
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::key_file::{self, KeyKind};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::random::OsRandom;
use telemed::store::{CertificateRow, CertificateState, SqliteStore, Store};
use tempfile::TempDir;

use super::{PATIENCE, Person};

/// The system's clock, moved at will, but never behind it.
#[derive(Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Takes back as much of that.
    pub fn set_back(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        let before = self.0.fetch_sub(millis, Ordering::SeqCst);
        assert!(before >= millis, "behind the system's clock");
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let moved = Duration::from_millis(self.0.load(Ordering::SeqCst));
        SystemClock.now().plus(moved)
    }
}

/// A doctor's practice: a running server and what belongs to it.
pub struct Practice {
    server: Option<Server>,
    events: Receiver<Event>,
    /// Events that came and were not asked for yet.
    waiting: RefCell<Vec<Event>>,
    pub clock: Arc<TestClock>,
    pub store: Arc<dyn Store>,
    settings: Settings,
    directory: Arc<DataDir>,
    /// Goes last.
    _base: TempDir,
}

impl Practice {
    /// A practice as it runs after its first minute.
    pub fn open() -> Self {
        Self::with(Settings::default())
    }

    /// The same with other settings.
    pub fn with(settings: Settings) -> Self {
        let practice = Self::just_started(settings, Group::ffdhe2048());
        practice.run_a_while();
        practice
    }

    /// A practice that has just started, and is wary of first messages.
    pub fn just_started(settings: Settings, group: Group) -> Self {
        let base = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        Self::found(base, store, settings, &group, listen())
    }

    /// A practice whose sockets take little at a time.
    pub fn with_narrow_lines() -> Self {
        Self::with_narrow_lines_and(Settings::default())
    }

    /// The same with other settings.
    pub fn with_narrow_lines_and(settings: Settings) -> Self {
        let listener = listen();
        set_socket_send_buffer_size(&listener, 4096).unwrap();
        let base = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let group = Group::ffdhe2048();
        let practice = Self::found(base, store, settings, &group, listener);
        practice.run_a_while();
        practice
    }

    /// The same with its data in a database.
    pub fn with_database(group: &Group) -> Self {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store = Arc::new(setup::open_store(&directory).unwrap());
        drop(directory);
        let practice = Self::found(base, store, Settings::default(), group, listen());
        practice.run_a_while();
        practice
    }

    /// The first doctor of a clinic.
    #[cfg(feature = "postgres")]
    pub fn in_clinic(schema: &super::postgres::Schema) -> Self {
        let base = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(schema.open("D1"));
        let group = Group::ffdhe2048();
        let practice = Self::found(base, store, Settings::default(), &group, listen());
        practice.run_a_while();
        practice
    }

    /// Another doctor of the same clinic, with a clock of her own. The root signs
    /// her certificate, and the data key is handed over.
    #[cfg(feature = "postgres")]
    pub fn colleague(&self, schema: &super::postgres::Schema, name: &str) -> Self {
        let store = Arc::new(schema.open(name));
        self.colleague_with(store, name, Settings::default())
    }

    /// The same with this view of the store and these settings.
    #[cfg(feature = "postgres")]
    pub fn colleague_with(&self, store: Arc<dyn Store>, name: &str, settings: Settings) -> Self {
        use telemed::identity::certificate::VerifiedCertificate;
        use telemed::identity::key_file::KeyFile;
        use telemed::random;
        use telemed::store::fact;

        let papers = self.papers();
        let (group, own) = (papers.group(), papers.certificate.subject());
        let signing = SignSecret::generate(group, &mut OsRandom);
        let subject = telemed::identity::certificate::Subject {
            serial: random::array(&mut OsRandom),
            clinic: own.clinic,
            identifier: name.parse().unwrap(),
            role: own.role,
            not_before: own.not_before,
            not_after: own.not_after,
            signing_key: signing.verifying_key().clone(),
            encryption_key: None,
        };
        let root = self.root(&papers);
        let certificate = VerifiedCertificate::issue(subject, &root, &mut OsRandom);
        let base = TempDir::new().unwrap();
        let directory = Arc::new(DataDir::create_or_open(base.path(), name).unwrap());
        let key = KeyFile {
            kind: KeyKind::DoctorSigning,
            group: *group.id(),
            secret: signing.to_bytes(),
        };
        let path = directory.path(setup::SIGNING_KEY);
        directory.keyring().save(&path, &key).unwrap();
        let data_key = telemed::vault::DATA_KEY;
        std::fs::copy(self.directory.path(data_key), directory.path(data_key)).unwrap();
        let facts = [(fact::DOCTOR_CERTIFICATE, certificate.as_bytes())];
        store.set_facts(&facts).unwrap();
        let practice = Self::run(base, directory, store, settings, listen());
        practice.run_a_while();
        practice
    }

    /// Ends the server and gives back where its data lies.
    #[cfg(feature = "postgres")]
    pub fn into_base(mut self) -> TempDir {
        self.server = None;
        std::mem::replace(&mut self._base, TempDir::new().unwrap())
    }

    /// The practice of a doctor whose data lies there.
    #[cfg(feature = "postgres")]
    pub fn at(base: &std::path::Path, name: &str, store: Arc<dyn Store>) -> Self {
        let directory = Arc::new(DataDir::create_or_open(base, name).unwrap());
        let unused = TempDir::new().unwrap();
        let practice = Self::run(unused, directory, store, Settings::default(), listen());
        practice.run_a_while();
        practice
    }

    fn found(
        base: TempDir,
        store: Arc<dyn Store>,
        settings: Settings,
        group: &Group,
        listener: TcpListener,
    ) -> Self {
        let now = SystemClock.now();
        let directory = Arc::new(DataDir::create_or_open(base.path(), "D1").unwrap());
        let doctor = "D1".parse().unwrap();
        setup::found(&directory, &*store, group, &doctor, now, &mut OsRandom).unwrap();
        Self::run(base, directory, store, settings, listener)
    }

    /// Starts the server of a practice that is there.
    fn run(
        base: TempDir,
        directory: Arc<DataDir>,
        store: Arc<dyn Store>,
        settings: Settings,
        listener: TcpListener,
    ) -> Self {
        count_panics();
        let clock = Arc::new(TestClock::default());
        let (server, events) = start(&directory, &store, &settings, &clock, listener);
        Self {
            server: Some(server),
            events,
            waiting: RefCell::default(),
            clock,
            store,
            settings,
            directory,
            _base: base,
        }
    }

    /// Lets the time go by in which a server that has just started trusts no
    /// timestamp.
    pub fn run_a_while(&self) {
        self.clock.advance(self.settings.tolerance * 2);
    }

    /// Stops the server and starts another on the same data, at another port.
    pub fn restart(&mut self) {
        self.server = None;
        let (server, events) = start(
            &self.directory,
            &self.store,
            &self.settings,
            &self.clock,
            listen(),
        );
        self.server = Some(server);
        self.events = events;
        self.waiting.borrow_mut().clear();
    }

    /// Ends the server and gives back where it listened.
    pub fn close(&mut self) -> SocketAddr {
        let address = self.address();
        self.server = None;
        address
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// The server, for somebody who takes it over.
    pub fn take_server(&mut self) -> Server {
        self.server.take().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.server().address()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The doctor's keys and papers.
    pub fn papers(&self) -> DoctorIdentity {
        setup::load(&self.directory, &*self.store, self.now(), &mut OsRandom).unwrap()
    }

    /// The root's secret, which the first start has left in the directory.
    pub fn root(&self, papers: &DoctorIdentity) -> SignSecret {
        let path = self.directory.path(setup::ROOT_KEY);
        let (_, secret) = key_file::load(&path, KeyKind::RootSigning).unwrap();
        SignSecret::from_bytes(papers.group(), secret.expose()).unwrap()
    }

    /// The practice's directory.
    pub const fn directory(&self) -> &Arc<DataDir> {
        &self.directory
    }

    /// The books, while no server runs.
    pub fn books(&self) -> telemed::doctor::practice::Practice {
        telemed::doctor::practice::Practice::open(
            Arc::clone(&self.directory),
            Arc::clone(&self.store),
            self.papers(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        )
        .unwrap()
    }

    /// What a patient knows of the doctor.
    pub fn known_doctor(&self, papers: &DoctorIdentity) -> KnownDoctor {
        KnownDoctor::first_contact(
            &papers.bundle(self.now()),
            &papers.root.fingerprint(),
            papers.identifier(),
            self.now(),
            &mut OsRandom,
        )
        .unwrap()
    }

    /// Patients with certificates, made without asking the server.
    pub fn admit<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        let papers = self.papers();
        names.map(|name| self.admit_with(&papers, name))
    }

    /// A patient with a certificate.
    pub fn admit_one(&self, name: &str) -> Person {
        self.admit_with(&self.papers(), name)
    }

    /// The same, with papers read once for many.
    pub fn admit_with(&self, papers: &DoctorIdentity, name: &str) -> Person {
        let name: Identifier = name.parse().unwrap();
        let keys = NewKeys::generate(papers.group(), &mut OsRandom);
        let certificate = papers.certify(
            &name,
            keys.signing.verifying_key().clone(),
            keys.encryption.public().clone(),
            self.now(),
            &mut OsRandom,
        );
        self.store
            .add_certificate(&CertificateRow {
                serial: certificate.subject().serial,
                fingerprint: certificate.fingerprint(),
                subject: name.to_string(),
                bytes: certificate.as_bytes().to_vec(),
                state: CertificateState::Active,
                ticket: None,
                created: self.now(),
                not_after: certificate.subject().not_after,
            })
            .unwrap();
        let issuer = papers.certificate.clone();
        let identity =
            PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption).unwrap();
        Person::new(identity, self.known_doctor(papers), Arc::clone(&self.clock))
    }

    /// Enrols a patient over the network, as the first time.
    pub fn enrol(&self, name: &str) -> Person {
        let name: Identifier = name.parse().unwrap();
        let address = self.address();
        let ticket = self.server().enrol(&name, &address.to_string()).unwrap();
        Person::enrol(address, &ticket, &self.clock)
    }

    /// Waits for an event; those before it stay to be asked for.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting = self.waiting.borrow_mut();
        let found = waiting
            .iter()
            .enumerate()
            .find_map(|(at, event)| pick(event).map(|picked| (at, picked)));
        if let Some((at, picked)) = found {
            waiting.remove(at);
            return picked;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("no event: {what}; but {waiting:?}");
            };
            if let Some(picked) = pick(&event) {
                return picked;
            }
            waiting.push(event);
        }
    }

    /// All events that have come and were not asked for.
    pub fn events(&self) -> Vec<Event> {
        let mut events = self.waiting.take();
        events.extend(self.events.try_iter());
        events
    }

    /// Waits until so many devices are connected.
    #[track_caller]
    pub fn wait_for_members(&self, count: usize) {
        super::eventually(&format!("{count} connected"), || {
            self.server().connected().len() == count
        });
    }

    /// What became of a message.
    pub fn report(&self, number: u64) -> Report {
        let reports = self.server().report(1_000).unwrap();
        reports
            .into_iter()
            .find(|report| report.number == number)
            .unwrap()
    }

    /// How far a message has come at a patient's device.
    pub fn state(&self, number: u64, patient: &str) -> &'static str {
        let report = self.report(number);
        let mut states = report
            .outcomes
            .iter()
            .filter(|outcome| outcome.patient.as_str() == patient)
            .map(|outcome| outcome.state);
        states.next().unwrap_or("none")
    }

    /// Waits until a message has come so far.
    #[track_caller]
    pub fn wait_for_state(&self, number: u64, patient: &str, state: &str) {
        super::eventually(&format!("message {number} {state} at {patient}"), || {
            self.state(number, patient) == state
        });
    }
}

/// How often a thread of a server has panicked. No input may lead there.
static PANICS: AtomicUsize = AtomicUsize::new(0);
const THREADS: [&str; 11] = [
    "aside",
    "audit log",
    "clinic",
    "connection",
    "control",
    "flusher",
    "handshake",
    "housekeeping",
    "ledger",
    "listener",
    "post",
];

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current()
                .name()
                .is_some_and(|name| THREADS.contains(&name))
            {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            shown(info);
        }));
    });
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.server = None;
        if !thread::panicking() {
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a server panicked");
        }
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn start(
    directory: &Arc<DataDir>,
    store: &Arc<dyn Store>,
    settings: &Settings,
    clock: &Arc<TestClock>,
    listener: TcpListener,
) -> (Server, Receiver<Event>) {
    let now = clock.now();
    let mut identity = setup::load(directory, &**store, now, &mut OsRandom).unwrap();
    setup::renew_prekeys(directory, &**store, &mut identity, now, &mut OsRandom).unwrap();
    let books = telemed::doctor::practice::Practice::open(
        Arc::clone(directory),
        Arc::clone(store),
        identity,
        Arc::clone(clock) as Arc<dyn Clock>,
    );
    Server::start(listener, Arc::new(books.unwrap()), settings.clone()).unwrap()
}
