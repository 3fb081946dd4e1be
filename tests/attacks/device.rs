//! A patient's device with the real client on it, whose way to the doctor
//! leads through the proxy.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use telemed::clock::{Clock, SystemClock};
use telemed::identity::ticket::Ticket;
use telemed::patient::client::Client;
use telemed::patient::config::Config;
use telemed::patient::enrol::{self, EnrolError, Enrolled};
use telemed::patient::event::{Event, Stopped};
use telemed::patient::files::{Files, Name};
use telemed::random::OsRandom;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::support::{PATIENCE, Practice};

/// The protocol's limits would make whoever waits for a dropped frame wait for
/// long.
pub fn impatient() -> Config {
    Config {
        frame: Duration::from_millis(1500),
        handshake: Duration::from_secs(6),
        heartbeat: Duration::from_millis(60),
        idle: Duration::from_secs(3),
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(20),
        ..Config::default()
    }
}

/// A patient's device.
pub struct Device {
    base: TempDir,
    name: Name,
    pub config: Config,
    pub clock: Arc<dyn Clock>,
}

/// Its program while it runs.
pub struct Running {
    pub client: Client,
    events: Receiver<Event>,
    /// All events so far.
    pub heard: Vec<Event>,
}

impl Device {
    /// A device on which nothing has happened yet.
    pub fn of(patient: &str) -> Self {
        Self {
            base: TempDir::new().unwrap(),
            name: format!("{patient}@D1").parse().unwrap(),
            config: impatient(),
            clock: Arc::new(SystemClock),
        }
    }

    /// A device that has enrolled through the proxy.
    pub fn enrolled(practice: &Practice, proxy: &Proxy, patient: &str) -> Self {
        let device = Self::of(patient);
        let ticket = ticket(practice, proxy, patient);
        assert!(matches!(
            device.enrol(&ticket).unwrap(),
            Enrolled::Now { .. }
        ));
        device
    }

    pub fn files(&self) -> Files {
        Files::create_or_open(self.base.path(), &self.name).unwrap()
    }

    pub fn enrol(&self, ticket: &Ticket) -> Result<Enrolled, EnrolError> {
        enrol::enrol(
            &self.files(),
            ticket,
            &ticket.address,
            &self.config,
            &*self.clock,
            &mut OsRandom,
        )
    }

    /// Starts its program.
    pub fn start(&self) -> Running {
        let files = self.files();
        let patient = files.load(&mut OsRandom).unwrap();
        let config = self.config.clone();
        let clock = Arc::clone(&self.clock);
        let (client, events) = Client::start(config, Arc::new(files), patient, clock).unwrap();
        Running {
            client,
            events,
            heard: Vec::new(),
        }
    }
}

/// A ticket that leads to the proxy.
pub fn ticket(practice: &Practice, proxy: &Proxy, patient: &str) -> Ticket {
    let address = proxy.address.to_string();
    let server = practice.server();
    server.enrol(&patient.parse().unwrap(), &address).unwrap()
}

impl Running {
    /// The texts of all kept messages, sorted.
    pub fn inbox(&self) -> Vec<String> {
        let entries = self.client.files().inbox().newest(10_000).unwrap();
        let texts = entries
            .iter()
            .map(|found| found.as_ref().unwrap().message.text().to_owned());
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        texts
    }

    /// Waits until a message with this text has come.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let is_it =
            |event: &Event| matches!(event, Event::Message(entry) if entry.message.text() == text);
        if !self.heard.iter().any(is_it) {
            self.until(text, is_it);
        }
    }

    /// Confirms the message with this text.
    #[track_caller]
    pub fn confirm(&self, text: &str) {
        let entries = self.client.files().inbox().newest(10_000).unwrap();
        let mut entries = entries.into_iter().map(Result::unwrap);
        let entry = entries.find(|entry| entry.message.text() == text).unwrap();
        self.client.confirm(&entry.number.to_string()).unwrap();
    }

    /// Waits until everything has arrived at the doctor's.
    #[track_caller]
    pub fn settle(&self) {
        assert!(self.client.settle(PATIENCE), "not all has arrived");
    }

    /// Waits for an event.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("no {what}, but {:?}", self.heard);
            };
            let is_it = wanted(&event);
            self.heard.push(event);
            if is_it {
                return;
            }
        }
    }

    /// Waits for a session.
    #[track_caller]
    pub fn connected(&mut self) {
        self.until("session", |event| matches!(event, Event::Connected { .. }));
    }

    /// Whether the program has said that something went wrong.
    pub fn complained(&self) -> bool {
        self.heard.iter().any(|event| {
            matches!(
                event,
                Event::NotConnected(_) | Event::ConnectionLost(_) | Event::Ended(_)
            )
        })
    }

    /// Waits for its end, and gives what it said at last.
    #[track_caller]
    pub fn end(&mut self) -> &Stopped {
        self.until("end", |event| matches!(event, Event::Stopped(_)));
        match self.heard.last() {
            Some(Event::Stopped(stopped)) => stopped,
            other => panic!("{other:?}"),
        }
    }

    /// Leaves, and says nothing else than that.
    #[track_caller]
    pub fn leave(&mut self) {
        self.client.leave();
        let stopped = self.end();
        assert!(matches!(stopped, Stopped::Asked), "{stopped}");
    }
}
