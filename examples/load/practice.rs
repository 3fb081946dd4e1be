//! A clinic with any number of doctors and enrolled patients, made without
//! asking a server.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use telemed::clock::{Clock, SystemClock};
use telemed::doctor::newcomer::{Newcomer, Progress};
use telemed::doctor::practice::Practice as Founder;
use telemed::doctor::{joining, setup};
use telemed::elgamal::Group;
use telemed::handshake::enrol::NewKeys;
use telemed::handshake::resume::ResumptionTicket;
use telemed::identity::authority::DoctorIdentity;
use telemed::identity::certificate::Role;
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::kdf::label;
use telemed::random::OsRandom;
use telemed::store::{CertificateRow, CertificateState, Store};
use tempfile::TempDir;

use crate::Result;
use crate::place::{Books, Place};

/// Patients who share an address: below what an address may start at once.
const PER_ADDRESS: usize = 32;
/// Signatures that are timed.
const TIMED: u32 = 10;
/// How long a doctor has to join.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A patient's device.
pub struct Patient {
    pub identity: PatientIdentity,
    /// Where she connects from; all of 127.0.0.0/8 is this machine.
    pub from: IpAddr,
    /// What resumes her last session.
    pub ticket: Option<ResumptionTicket>,
}

/// One doctor's server.
pub struct Node {
    pub doctor: String,
    /// The server's own directory.
    pub directory: PathBuf,
    pub known_doctor: KnownDoctor,
}

/// Directories with a clinic in them, and the patients' side of it.
pub struct Practice {
    base: TempDir,
    /// Where the books are; `books` looks into them.
    place: Place,
    books: RefCell<Books>,
    papers: DoctorIdentity,
    pub nodes: Vec<Node>,
    pub patients: Vec<Patient>,
}

impl Practice {
    /// Founds the clinic, certifies so many patients, and lets doctors join.
    pub fn found(group: &Group, patients: usize, nodes: usize, place: Place) -> Result<Self> {
        let base = TempDir::new()?;
        let doctor: Identifier = "D1".parse()?;
        let directory = DataDir::create_or_open(base.path(), doctor.as_str())?;
        let store = place.store(&directory, &doctor)?;
        let found = || {
            let now = SystemClock.now();
            setup::found(&directory, &*store, group, &doctor, now, &mut OsRandom)
        };
        let papers = found()?;
        let patients = admit_all(&papers, &*store, patients)?;
        let own = directory.path("");
        let mut all = vec![Node::of(&own, &papers, &papers)?];
        let books = RefCell::new(place.books(&own)?);
        if nodes > 1 {
            let identity = setup::load(&directory, &*store, SystemClock.now(), &mut OsRandom)?;
            let clock = Arc::new(SystemClock);
            let founder = Founder::open(Arc::new(directory), store, identity, clock)?;
            for number in 2..=nodes {
                let doctor = format!("D{number}").parse()?;
                all.push(join(&founder, base.path(), &place, &doctor)?);
            }
        }
        Ok(Self {
            base,
            place,
            books,
            papers,
            nodes: all,
            patients,
        })
    }

    /// The directory in which the servers' own lie.
    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// Where the books are, as `doctor --store` takes it.
    pub fn store(&self) -> String {
        self.place.address()
    }

    /// Whether all receipts of a message are on the disk.
    pub fn is_delivered(&self, message: u64) -> Result<bool> {
        self.books.borrow_mut().is_delivered(message)
    }

    /// How long one of the doctor's signatures takes.
    pub fn time_of_signature(&self) -> Duration {
        let start = Instant::now();
        for _ in 0..TIMED {
            let signing = &self.papers.signing;
            std::hint::black_box(signing.sign(label::SIG_ENC_MSG, &[b"timed"], &mut OsRandom));
        }
        start.elapsed() / TIMED
    }
}

impl Node {
    fn of(directory: &Path, doctor: &DoctorIdentity, founder: &DoctorIdentity) -> Result<Self> {
        let now = SystemClock.now();
        let known_doctor = KnownDoctor::first_contact(
            &doctor.bundle(now),
            &founder.root.fingerprint(),
            doctor.identifier(),
            now,
            &mut OsRandom,
        )?;
        Ok(Self {
            doctor: doctor.identifier().to_string(),
            directory: directory.to_owned(),
            known_doctor,
        })
    }
}

/// Lets a doctor join the founder's clinic, whose root's key lies there.
fn join(founder: &Founder, base: &Path, place: &Place, doctor: &Identifier) -> Result<Node> {
    let ticket = joining::invite(founder, doctor, Role::Doctor, HOUR, &mut OsRandom)?;
    let directory = DataDir::create_or_open(base, doctor.as_str())?;
    let store = place.store(&directory, doctor)?;
    let newcomer = Newcomer {
        directory: &directory,
        store: &*store,
        id: doctor,
        ticket: &ticket,
    };
    newcomer.go_on(SystemClock.now(), &mut OsRandom)?;
    joining::look(founder, &mut OsRandom)?;
    if newcomer.go_on(SystemClock.now(), &mut OsRandom)? != Progress::Joined {
        return Err(format!("{doctor} cannot join the clinic").into());
    }
    let papers = setup::load(&directory, &*store, SystemClock.now(), &mut OsRandom)?;
    Node::of(&directory.path(""), &papers, &founder.identity())
}

/// Certifies so many patients, on two processors.
fn admit_all(papers: &DoctorIdentity, store: &dyn Store, patients: usize) -> Result<Vec<Patient>> {
    let numbers: Vec<usize> = (0..patients).collect();
    let halves = numbers.chunks(patients.div_ceil(2).max(1));
    let made: Vec<Result<Vec<Patient>>> = thread::scope(|scope| {
        let make = |half: &'_ [usize]| {
            let one = |&number: &usize| admit(papers, store, number);
            half.iter().map(one).collect()
        };
        let threads: Vec<_> = halves.map(|half| scope.spawn(move || make(half))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        threads.into_iter().map(join).collect()
    });
    let mut patients = Vec::new();
    for part in made {
        patients.extend(part?);
    }
    Ok(patients)
}

fn admit(papers: &DoctorIdentity, store: &dyn Store, number: usize) -> Result<Patient> {
    let name: Identifier = format!("P{number}").parse()?;
    let now = SystemClock.now();
    let keys = NewKeys::generate(papers.group(), &mut OsRandom);
    let certificate = papers.certify(
        &name,
        keys.signing.verifying_key().clone(),
        keys.encryption.public().clone(),
        now,
        &mut OsRandom,
    );
    store.add_certificate(&CertificateRow {
        serial: certificate.subject().serial,
        fingerprint: certificate.fingerprint(),
        subject: name.to_string(),
        bytes: certificate.as_bytes().to_vec(),
        state: CertificateState::Active,
        ticket: None,
        created: now,
        not_after: certificate.subject().not_after,
    })?;
    let issuer = papers.certificate.clone();
    let identity = PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption)
        .ok_or("a certificate that is not of its keys")?;
    let address = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + u32::try_from(number / PER_ADDRESS)?;
    Ok(Patient {
        identity,
        from: IpAddr::V4(address.into()),
        ticket: None,
    })
}
