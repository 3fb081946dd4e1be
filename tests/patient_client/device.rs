//! A patient's device: a data directory, and a client that is listened to.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::identity::data_dir::DataDirFault;
use telemed::identity::ticket::Ticket;
use telemed::patient::client::Client;
use telemed::patient::config::Config;
use telemed::patient::enrol::{self, EnrolError, Enrolled};
use telemed::patient::event::Event;
use telemed::patient::files::{Files, FilesError, Name, Patient};
use telemed::patient::inbox::Entry;
use telemed::random::OsRandom;
use tempfile::TempDir;

use super::clinic::{BOUND, Clinic};

/// All steps of an enrolment.
pub const WHOLE: usize = 5;

pub struct Device {
    pub base: TempDir,
    pub name: Name,
}

impl Device {
    pub fn new() -> Self {
        Self {
            base: TempDir::new().unwrap(),
            name: "P1@D1".parse().unwrap(),
        }
    }

    pub fn enrolled(clinic: &Clinic) -> Self {
        let device = Self::new();
        let ticket = clinic.ticket("P1");
        let enrolled = device.enrol_until(clinic, &ticket, WHOLE).unwrap();
        assert!(matches!(enrolled, Enrolled::Now { .. }));
        device
    }

    /// Enrols with a server that hangs up after so many frames.
    pub fn enrol_until(
        &self,
        clinic: &Clinic,
        ticket: &Ticket,
        frames: usize,
    ) -> Result<Enrolled, EnrolError> {
        thread::scope(|scope| {
            scope.spawn(|| clinic.accept().enrol(clinic, frames));
            self.enrol(ticket)
        })
    }

    /// Enrols, if that leads to a connection.
    pub fn enrol(&self, ticket: &Ticket) -> Result<Enrolled, EnrolError> {
        enrol::enrol(
            &self.files(),
            ticket,
            &ticket.address,
            &Config::default(),
            &SystemClock,
            &mut OsRandom,
        )
    }

    /// Her directory, as soon as the threads of an earlier run have left it.
    pub fn files(&self) -> Files {
        let deadline = Instant::now() + BOUND;
        loop {
            match Files::create_or_open(self.base.path(), &self.name) {
                Err(FilesError::Directory(error))
                    if matches!(error.fault(), DataDirFault::InUse)
                        && Instant::now() < deadline =>
                {
                    thread::park_timeout(Duration::from_millis(5));
                }
                opened => return opened.unwrap(),
            }
        }
    }

    pub fn load(&self) -> Patient {
        self.files().load(&mut OsRandom).unwrap()
    }

    pub fn start(&self) -> Running {
        self.start_with(quick(), Arc::new(SystemClock))
    }

    /// Starts as the patient of another doctor of the clinic.
    pub fn start_as(&self, doctor: &str, config: Config) -> Running {
        let files = self.files();
        let mut patient = files.load(&mut OsRandom).unwrap();
        patient.asked = doctor.parse().unwrap();
        let clock = Arc::new(SystemClock);
        let (client, events) = Client::start(config, Arc::new(files), patient, clock).unwrap();
        Running { client, events }
    }

    pub fn start_with(&self, config: Config, clock: Arc<dyn Clock>) -> Running {
        let files = self.files();
        let patient = files.load(&mut OsRandom).unwrap();
        let (client, events) = Client::start(config, Arc::new(files), patient, clock).unwrap();
        Running { client, events }
    }
}

/// The protocol's limits, but short waits before connecting again.
pub fn quick() -> Config {
    Config {
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(20),
        ..Config::default()
    }
}

pub struct Running {
    pub client: Client,
    events: Receiver<Event>,
}

impl Running {
    /// The texts of all kept messages.
    pub fn texts(&self) -> Vec<String> {
        let entries = self.client.files().inbox().newest(100).unwrap();
        let text = |entry: &Entry| entry.message.text().to_owned();
        let texts = entries.iter().map(|found| text(found.as_ref().unwrap()));
        texts.collect()
    }

    /// The next event.
    pub fn next(&self) -> Event {
        self.events.recv_timeout(BOUND).expect("an event")
    }

    /// The next event that `wanted` takes; others are passed over.
    pub fn until<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next()) {
                return found;
            }
        }
    }

    /// Ends the session; gives what has happened since it was last asked.
    pub fn leave(self) -> Vec<Event> {
        self.client.leave();
        self.rest()
    }

    /// All events to the last.
    pub fn rest(self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let last = matches!(event, Event::Stopped(_));
            events.push(event);
            if last {
                return events;
            }
        }
    }
}

/// A clock that is wrong by always as much.
pub struct Ahead(pub Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}
