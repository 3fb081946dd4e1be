//! A practice with any number of enrolled patients, made without asking a
//! server.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use telemed::clock::{Clock, SystemClock};
use telemed::doctor::setup;
use telemed::elgamal::Group;
use telemed::handshake::enrol::NewKeys;
use telemed::handshake::resume::ResumptionTicket;
use telemed::identity::authority::DoctorIdentity;
use telemed::identity::data_dir::{DATABASE, DataDir};
use telemed::identity::id::Identifier;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::kdf::label;
use telemed::random::OsRandom;
use telemed::store::{CertificateRow, CertificateState, SqliteStore, TrustStore};
use tempfile::TempDir;

use crate::Result;

/// The doctor's name.
pub const DOCTOR: &str = "D1";
/// Patients who share an address: below what an address may start at once.
const PER_ADDRESS: usize = 32;
/// Signatures that are timed.
const TIMED: u32 = 10;

/// A patient's device.
pub struct Patient {
    pub identity: PatientIdentity,
    /// Where she connects from; all of 127.0.0.0/8 is this machine.
    pub from: IpAddr,
    /// What resumes her last session.
    pub ticket: Option<ResumptionTicket>,
}

/// A directory with a clinic in it, and the patients' side of it.
pub struct Practice {
    base: TempDir,
    /// To look into the books while the server keeps them.
    books: Connection,
    papers: DoctorIdentity,
    pub known_doctor: Arc<KnownDoctor>,
    pub patients: Vec<Patient>,
}

impl Practice {
    /// Founds the clinic and certifies so many patients.
    pub fn found(group: &Group, patients: usize) -> Result<Self> {
        let base = TempDir::new()?;
        let directory = DataDir::create_or_open(base.path(), DOCTOR)?;
        let store = setup::open_store(&directory)?;
        let now = SystemClock.now();
        let doctor: Identifier = DOCTOR.parse()?;
        let papers = setup::found(&directory, &store, group, &doctor, now, &mut OsRandom)?;
        let known_doctor = KnownDoctor::first_contact(
            &papers.bundle(now),
            &papers.root.fingerprint(),
            papers.identifier(),
            now,
            &mut OsRandom,
        )?;
        let numbers: Vec<usize> = (0..patients).collect();
        let halves = numbers.chunks(patients.div_ceil(2).max(1));
        let made: Vec<Result<Vec<Patient>>> = thread::scope(|scope| {
            let make = |half: &'_ [usize]| {
                let one = |&number: &usize| admit(&papers, &store, number);
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
        Ok(Self {
            base,
            books: Connection::open(directory.path(DATABASE))?,
            papers,
            known_doctor: Arc::new(known_doctor),
            patients,
        })
    }

    /// The directory in which the server's own lies.
    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// The server's own directory.
    pub fn directory(&self) -> PathBuf {
        self.base.path().join(DOCTOR)
    }

    /// Whether all receipts of a message are on the disk. Asked all the time, so
    /// it costs one look into an index.
    pub fn is_delivered(&self, message: u64) -> Result<bool> {
        let mut missing = self.books.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM delivery
                            WHERE message = ?1 AND delivered IS NULL)",
        )?;
        Ok(!missing.query_row([message], |row| row.get::<_, bool>(0))?)
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

fn admit(papers: &DoctorIdentity, store: &SqliteStore, number: usize) -> Result<Patient> {
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
