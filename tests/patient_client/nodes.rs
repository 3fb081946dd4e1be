//! A patient whose clinic has several doctors, each with a real server.

#[path = "nodes/left.rs"]
mod left;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock};
use telemed::doctor::event::Event as Told;
use telemed::doctor::practice::Practice;
use telemed::doctor::server::Server;
use telemed::doctor::shared::Settings;
use telemed::elgamal::{Group, SignSecret};
use telemed::identity::authority::{DoctorIdentity, OwnPrekey, found_clinic};
use telemed::identity::certificate::{Subject, VerifiedCertificate};
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::known_doctor::TrustError;
use telemed::identity::roster::{RosterEntry, RosterError};
use telemed::patient::colleagues::EntryError;
use telemed::patient::config::Config;
use telemed::patient::connect::ConnectError;
use telemed::patient::event::Event;
use telemed::random::{self, OsRandom};
use telemed::store::{CertificateRow, SqliteStore, Store};
use tempfile::TempDir;

use crate::clinic::BOUND;
use crate::device::{Device, Running, quick};
use crate::refused;

/// A doctor with her server.
struct Node {
    practice: Arc<Practice>,
    store: Arc<dyn Store>,
    address: SocketAddr,
    server: Option<Server>,
    told: Receiver<Told>,
    _base: TempDir,
}

impl Node {
    fn open(identity: DoctorIdentity) -> Self {
        let base = TempDir::new().unwrap();
        let name = identity.identifier().to_string();
        let directory = DataDir::create_or_open(base.path(), &name).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let clock = Arc::new(SystemClock);
        let practice = Practice::open(Arc::new(directory), Arc::clone(&store), identity, clock);
        let practice = Arc::new(practice.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let started = Server::start(listener, Arc::clone(&practice), Settings::default());
        let (server, told) = started.unwrap();
        Self {
            practice,
            store,
            address,
            server: Some(server),
            told,
            _base: base,
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Nobody listens there any more.
    fn close(&mut self) {
        self.server = None;
    }

    /// The server is started again where it was.
    fn open_again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        let practice = Arc::clone(&self.practice);
        let (server, told) = Server::start(listener, practice, Settings::default()).unwrap();
        (self.server, self.told) = (Some(server), told);
    }

    /// What the doctor says of herself, so many seconds ago.
    fn entry(&self, seconds_ago: u64) -> Vec<u8> {
        let address = self.address.to_string().parse().unwrap();
        let made = SystemClock.now().minus(Duration::from_secs(seconds_ago));
        let entry = RosterEntry::make(&self.practice.identity(), &address, made, &mut OsRandom);
        entry.unwrap().as_bytes().to_vec()
    }

    /// Waits for a message of a patient's.
    fn hears(&self, text: &str) {
        loop {
            let told = self.told.recv_timeout(BOUND).expect("an event");
            if matches!(&told, Told::Private(_, message) if message.text() == text) {
                return;
            }
        }
    }

    /// Admits whomever the other doctor has enrolled, as if they had one
    /// database.
    fn share(&self, other: &Self) {
        for row in other.store.certificates().unwrap() {
            let row = CertificateRow {
                ticket: None,
                ..row
            };
            self.store.add_certificate(&row).unwrap();
        }
    }
}

/// Another doctor of the same clinic.
fn colleague(root: &SignSecret, doctor: &DoctorIdentity, name: &str) -> DoctorIdentity {
    let signing = SignSecret::generate(doctor.group(), &mut OsRandom);
    let subject = Subject {
        serial: random::array(&mut OsRandom),
        identifier: name.parse().unwrap(),
        signing_key: signing.verifying_key().clone(),
        ..doctor.certificate.subject().clone()
    };
    let prekey = OwnPrekey::generate(&signing, SystemClock.now(), &mut OsRandom);
    DoctorIdentity {
        root: doctor.root.clone(),
        certificate: VerifiedCertificate::issue(subject, root, &mut OsRandom),
        signing,
        prekeys: vec![prekey],
        revoked: doctor.revoked.clone(),
        closed: doctor.closed.clone(),
        earlier: Vec::new(),
    }
}

fn found() -> (SignSecret, DoctorIdentity) {
    let doctor = "D1".parse().unwrap();
    found_clinic(
        &Group::ffdhe2048(),
        &doctor,
        SystemClock.now(),
        &mut OsRandom,
    )
}

/// Two doctors of one clinic, and a patient whom the first has enrolled.
struct Scene {
    root: SignSecret,
    d1: Node,
    d2: Node,
    device: Device,
}

impl Scene {
    fn open() -> Self {
        let (root, first) = found();
        let second = colleague(&root, &first, "D2");
        Self::with(root, first, second)
    }

    fn with(root: SignSecret, first: DoctorIdentity, second: DoctorIdentity) -> Self {
        let (d1, d2) = (Node::open(first), Node::open(second));
        let device = Device::new();
        let patient = "P1".parse().unwrap();
        let ticket = d1.server().enrol(&patient, &d1.address.to_string());
        device.enrol(&ticket.unwrap()).unwrap();
        d2.share(&d1);
        Self {
            root,
            d1,
            d2,
            device,
        }
    }

    /// The same once the patient has heard of both.
    fn introduced() -> Self {
        let scene = Self::open();
        scene.introduce();
        scene
    }

    fn introduce(&self) {
        let entries = vec![self.d1.entry(60), self.d2.entry(60)];
        self.d1.server().set_roster(entries);
        let running = self.device.start();
        assert_eq!(clinic(&running), ["D1", "D2"]);
        running.leave();
    }
}

/// Waits until the clinic has told of its doctors.
fn clinic(running: &Running) -> Vec<String> {
    running.until(|event| match event {
        Event::Clinic { doctors } => Some(doctors.iter().map(ToString::to_string).collect()),
        _ => None,
    })
}

/// Waits for a session: with whom it is, and instead of whom.
fn session(running: &Running) -> (String, Option<String>) {
    running.until(|event| match event {
        Event::Connected {
            doctor, instead_of, ..
        } => Some((
            doctor.to_string(),
            instead_of.map(|asked| asked.to_string()),
        )),
        _ => None,
    })
}

fn with(doctor: &str) -> (String, Option<String>) {
    (doctor.to_owned(), None)
}

fn instead(doctor: &str, asked: &str) -> (String, Option<String>) {
    (doctor.to_owned(), Some(asked.to_owned()))
}

fn any_doctor() -> Config {
    Config {
        failover: true,
        ..quick()
    }
}

fn message(running: &Running) -> String {
    running.until(|event| match event {
        Event::Message(entry) => Some(entry.message.text().to_owned()),
        _ => None,
    })
}

#[test]
fn another_doctor_of_the_clinic_is_connected_to_with_the_same_identity() {
    let scene = Scene::introduced();
    for _ in 0..2 {
        let running = scene.device.start_as("D2", quick());
        assert_eq!(session(&running), with("D2"));
        let patient = "P1".parse().unwrap();
        scene.d2.server().message(&patient, "from D2").unwrap();
        assert_eq!(message(&running), "from D2");
        running.client.send("to D2", None).unwrap();
        scene.d2.hears("to D2");
        assert_eq!(running.client.connected_to().unwrap().as_str(), "D2");
        running.leave();
    }
    let kept = scene.device.load();
    let d2: Identifier = "D2".parse().unwrap();
    let known = kept.colleagues.get(&d2).unwrap().known.as_ref().unwrap();
    let shown = scene.d2.practice.identity();
    assert_eq!(known.certificate().as_bytes(), shown.certificate.as_bytes());
    // The first is still the one who is connected to if nobody else is asked for.
    let running = scene.device.start();
    assert_eq!(session(&running), with("D1"));
    running.leave();
}

#[test]
fn a_doctor_who_is_not_reached_is_replaced_and_taken_back() {
    let mut scene = Scene::introduced();
    let config = Config {
        look: Duration::from_millis(50),
        ..any_doctor()
    };
    let running = scene.device.start_with(config, Arc::new(SystemClock));
    assert_eq!(session(&running), with("D1"));
    scene.d1.close();
    let next = running.until(|event| match event {
        Event::Unreached { doctor, next, .. } => Some((doctor, next)),
        _ => None,
    });
    assert_eq!(next.0.as_str(), "D1");
    assert_eq!(next.1.unwrap().as_str(), "D2");
    assert_eq!(session(&running), instead("D2", "D1"));
    // What she writes goes to whoever is there.
    let written = running.client.send("is anybody there?", None).unwrap();
    scene.d2.hears("is anybody there?");
    let arrived = running.client.wait_delivered(written.number, BOUND);
    assert!(arrived.unwrap());
    scene.d1.open_again();
    running.until(|event| matches!(event, Event::Back { .. }).then_some(()));
    assert_eq!(session(&running), with("D1"));
    running.client.send("there you are", None).unwrap();
    scene.d1.hears("there you are");
    running.leave();
}

#[test]
fn only_who_wants_it_is_connected_to_somebody_else() {
    let mut scene = Scene::introduced();
    scene.d1.close();
    let running = scene.device.start();
    for _ in 0..3 {
        running.until(|event| match event {
            Event::NotConnected(ConnectError::Link(_)) => Some(()),
            Event::Connected { .. } | Event::Unreached { .. } => panic!("{event:?}"),
            _ => None,
        });
    }
    running.leave();
}

#[test]
fn when_nobody_is_reached_it_is_tried_again_from_the_one_who_was_asked_for() {
    let mut scene = Scene::introduced();
    scene.d1.close();
    scene.d2.close();
    let running = scene.device.start_as("D2", any_doctor());
    let mut tried = Vec::new();
    while tried.len() < 6 {
        match running.next() {
            Event::Unreached { doctor, .. } => tried.push(doctor.to_string()),
            Event::NotConnected(_) => tried.push("nobody".to_owned()),
            _ => {}
        }
    }
    assert_eq!(tried, ["D2", "D1", "nobody", "D2", "D1", "nobody"]);
    scene.d1.open_again();
    assert_eq!(session(&running), instead("D1", "D2"));
    running.leave();
}

#[test]
fn entries_that_are_forged_foreign_old_or_of_a_revoked_doctor_are_not_taken() {
    let (root, mut first) = found();
    let [second, gone, theft] = ["D2", "D3", "D2"].map(|name| colleague(&root, &first, name));
    let clinic_id = first.root.subject().clinic;
    let serial = gone.certificate.subject().serial;
    let now = SystemClock.now();
    let list = first
        .revoked
        .extend(&root, &clinic_id, &serial, now, &mut OsRandom);
    first.revoked = list.unwrap();
    let foreign = Node::open(found().1).entry(0);
    let (gone, theft) = (Node::open(gone).entry(0), Node::open(theft).entry(0));
    let mut second = second;
    second.revoked = first.revoked.clone();
    let scene = Scene::with(root, first, second);
    let mut forged = scene.d2.entry(0);
    *forged.last_mut().unwrap() ^= 1;
    let (old, new) = (scene.d2.entry(500), scene.d2.entry(60));
    let running = scene.device.start();
    assert_eq!(session(&running), with("D1"));
    let all = vec![foreign, forged, gone, new.clone(), old, theft];
    scene.d1.server().set_roster(all);
    let mut errors = Vec::new();
    let doctors = loop {
        match running.next() {
            Event::EntryRefused { error, .. } => errors.push(error),
            Event::Clinic { doctors } => break doctors,
            _ => {}
        }
    };
    assert_eq!(doctors.len(), 1);
    assert_eq!(
        errors[..2],
        [RosterError::OtherClinic, RosterError::BadSignature].map(EntryError::Entry)
    );
    assert!(matches!(errors[2..], [EntryError::ChangedKey { .. }]));
    // The session goes on.
    running.client.send("still here", None).unwrap();
    scene.d1.hears("still here");
    running.leave();
    let kept = scene.device.load().colleagues;
    let kept: Vec<_> = kept.all().map(|known| known.entry.as_bytes()).collect();
    assert_eq!(kept, [new]);
}

/// The same doctor with the clinic's next list of revoked ones.
fn with_next_list(scene: &Scene, doctor: &DoctorIdentity, serial: [u8; 16]) -> DoctorIdentity {
    let clinic_id = doctor.root.subject().clinic;
    let now = SystemClock.now();
    let list = doctor
        .revoked
        .extend(&scene.root, &clinic_id, &serial, now, &mut OsRandom);
    let mut renewed = doctor.renewed(doctor.certificate.clone()).unwrap();
    renewed.revoked = list.unwrap();
    renewed
}

#[test]
fn a_doctor_who_is_not_believed_at_first_is_tried_again() {
    let scene = Scene::open();
    let newer = with_next_list(&scene, &scene.d1.practice.identity(), [7; 16]);
    let list = newer.revoked.clone();
    scene.d1.practice.replace_identity(newer);
    scene.introduce();
    // Her server has not heard of the list yet.
    let running = scene.device.start_as("D2", quick());
    running.until(|event| match event {
        Event::NotConnected(ConnectError::Papers(TrustError::OlderRevocation)) => Some(()),
        Event::Connected { .. } => panic!("connected"),
        _ => None,
    });
    let second = scene.d2.practice.identity();
    let mut second = second.renewed(second.certificate.clone()).unwrap();
    second.revoked = list;
    scene.d2.practice.replace_identity(second);
    assert_eq!(session(&running), with("D2"));
    running.leave();
}

#[test]
fn a_changed_key_of_another_doctor_is_a_hard_stop_for_her_alone() {
    let mut scene = Scene::introduced();
    let thief = colleague(&scene.root, &scene.d1.practice.identity(), "D2");
    scene.d2.practice.replace_identity(thief);
    match refused(scene.device.start_as("D2", quick())) {
        ConnectError::Papers(TrustError::ChangedKey { .. }) => {}
        error => panic!("{error}"),
    }
    // Where she is only one of several it is told, and the next one is tried.
    scene.d1.close();
    let running = scene.device.start_with(any_doctor(), Arc::new(SystemClock));
    let reason = running.until(|event| match event {
        Event::Unreached { doctor, reason, .. } if doctor.as_str() == "D2" => Some(reason),
        Event::Connected { .. } => panic!("connected"),
        _ => None,
    });
    assert!(reason.contains("key has changed"), "{reason}");
    scene.d1.open_again();
    assert_eq!(session(&running), with("D1"));
    running.leave();
}

#[test]
fn a_new_ticket_forgets_what_was_known_of_the_other_doctors() {
    let scene = Scene::introduced();
    let running = scene.device.start_as("D2", quick());
    assert_eq!(session(&running), with("D2"));
    running.leave();
    let address = scene.d1.address.to_string();
    let patient = "P1".parse().unwrap();
    let ticket = scene.d1.server().enrol(&patient, &address).unwrap();
    scene.device.enrol(&ticket).unwrap();
    assert_eq!(scene.device.load().colleagues.all().count(), 0);
    // A new key of hers is then as good as the old one was.
    let new = colleague(&scene.root, &scene.d1.practice.identity(), "D2");
    scene.d2.practice.replace_identity(new);
    scene.introduce();
    assert!(
        scene
            .device
            .load()
            .colleagues
            .all()
            .all(|known| known.known.is_none())
    );
}
