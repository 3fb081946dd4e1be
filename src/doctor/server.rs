//! A running server, as the menu and the control socket use it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::audit_log::Keeper;
use crate::doctor::backup::schedule;
use crate::doctor::event::Event;
use crate::doctor::flusher::Flusher;
use crate::doctor::gate::Gate;
use crate::doctor::ledger::Ledger;
use crate::doctor::messages::{Kind, MessageLog};
use crate::doctor::practice::{Practice, SERVER};
use crate::doctor::pulse::Pulse;
use crate::doctor::registry::{Tables, active_devices};
use crate::doctor::shared::{Settings, Shared};
use crate::doctor::tickets::{self, TicketRefusal};
use crate::doctor::{housekeeping, listener};
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::identity::ticket::Ticket;
use crate::protocol::DisconnectReason;
use crate::protocol::message::{Message, TextError};
use crate::protocol::opcode::PRIVATE;
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::table::{Connected, SessionTable};
use crate::store::StoreError;

/// How long a stopping server waits for its patients to take the last word.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Why a message was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The text.
    Text(TextError),
    /// Nobody has enrolled yet.
    NoPatients,
    /// Nobody of that name has enrolled.
    UnknownPatient(Identifier),
    /// The store.
    Store(StoreError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "{error}"),
            Self::NoPatients => {
                f.write_str("nothing was sent: no patient has enrolled yet; enrol one first")
            }
            Self::UnknownPatient(patient) => {
                write!(
                    f,
                    "no patient {patient} has enrolled, nothing was sent; check the name, or \
                     enrol {patient} first"
                )
            }
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of a message at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// What the message is called by.
    pub number: u64,
    /// Devices it was given to.
    pub devices: usize,
    /// Devices that will be given it when they come back.
    pub away: usize,
    /// Number of the group's epoch; 0 for a message to one patient.
    pub epoch: u64,
}

/// A connected patient's device.
#[derive(Clone, Debug)]
pub struct Present {
    /// Whose it is.
    pub patient: Identifier,
    /// Since when.
    pub since: Timestamp,
    /// How long it has been silent.
    pub silent: Duration,
}

/// What became of a message at one device.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose device it is.
    pub patient: Identifier,
    /// queued, sent, delivered or confirmed.
    pub state: &'static str,
    /// When it came into that state.
    pub at: Option<Timestamp>,
}

impl Outcome {
    /// Whether the device has proved that it has the message.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        matches!(self.state, "delivered" | "confirmed")
    }
}

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the message is called by.
    pub number: u64,
    /// The message.
    pub message: Message,
    /// Whether it was for everyone.
    pub is_broadcast: bool,
    /// Device by device.
    pub outcomes: Vec<Outcome>,
}

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Arc<TcpListener>,
    threads: Vec<JoinHandle<()>>,
    /// Ends last: the others still write.
    ledger: Option<JoinHandle<()>>,
    log_keeper: Mutex<Option<JoinHandle<()>>>,
    stopped: AtomicBool,
}

impl Server {
    /// Serves on a listening socket.
    ///
    /// # Errors
    /// If the operating system gives no thread or descriptor, or if the audit log
    /// cannot be kept.
    pub fn start(
        listener: TcpListener,
        practice: Arc<Practice>,
        settings: Settings,
    ) -> io::Result<(Self, Receiver<Event>)> {
        let address = listener.local_addr()?;
        let (log_keeper, notice) =
            Keeper::start(&practice, &settings, address).map_err(io::Error::other)?;
        // The accepting thread waits with a limit, to give signs of life.
        listener.set_nonblocking(true)?;
        let listener = Arc::new(listener);
        let (sender, events) = mpsc::channel();
        let shared = Arc::new(Shared {
            tables: Tables::new(
                Arc::clone(&practice.store),
                Arc::clone(&practice.clock),
                SessionTable::new(settings.capacity, &mut OsRandom),
            ),
            started: practice.now(),
            clock: Arc::clone(&practice.clock),
            gate: Arc::new(Gate::new(settings.handshakes_per_address)),
            flusher: Flusher::new(settings.timing.linger)?,
            ledger: Arc::new(Ledger::new(Arc::clone(&practice.store))),
            practice,
            settings,
            pulse: Pulse::new(Instant::now()),
            log: Mutex::new(MessageLog::default()),
            events: Mutex::new(Some(sender)),
            stopping: AtomicBool::new(false),
            strangers: AtomicU64::new(0),
            shown: AtomicU64::new(0),
        });
        let mut server = Self {
            shared: Arc::clone(&shared),
            address,
            listener: Arc::clone(&listener),
            threads: Vec::new(),
            ledger: None,
            log_keeper: Mutex::new(None),
            stopped: AtomicBool::new(false),
        };
        server.ledger = Some(server.spawn_ledger()?);
        let flusher = Arc::clone(&shared);
        server.spawn("flusher", move || flusher.flusher.run())?;
        let keeper = Arc::clone(&shared);
        server.spawn("housekeeping", move || housekeeping::run(&keeper))?;
        if let Some(schedule) = shared.settings.backup.clone() {
            let keeper = Arc::clone(&shared);
            server.spawn("backups", move || schedule::run(&keeper, schedule))?;
        }
        server.spawn_log_keeper(log_keeper)?;
        if let Some(sentence) = notice {
            shared.tell(Event::Trouble(sentence));
        }
        server.spawn("listener", move || listener::run(&shared, &listener))?;
        Ok((server, events))
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.threads.push(thread);
        Ok(())
    }

    /// It holds the server's parts only while it speaks to the doctor.
    fn spawn_ledger(&self) -> io::Result<JoinHandle<()>> {
        let ledger = Arc::clone(&self.shared.ledger);
        let shared = Arc::downgrade(&self.shared);
        let run = move || {
            ledger.run(|sentence| {
                if let Some(shared) = shared.upgrade() {
                    shared.tell(Event::Trouble(sentence));
                }
            });
        };
        thread::Builder::new().name("ledger".to_owned()).spawn(run)
    }

    fn spawn_log_keeper(&self, keeper: Keeper) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("audit log".to_owned())
            .spawn(move || keeper.run(&shared))?;
        *self.log_keeper() = Some(thread);
        Ok(())
    }

    fn log_keeper(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.log_keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that was to be written has been.
    pub fn settle(&self) {
        if self.ledger.is_some() {
            // What goes wrong is told by the ledger itself.
            let _ = self.shared.ledger.settle();
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fingerprint of the clinic's root certificate, which tickets carry.
    #[must_use]
    pub fn root_fingerprint(&self) -> Fingerprint {
        self.shared.identity().root.fingerprint()
    }

    /// Who is connected, by name.
    #[must_use]
    pub fn connected(&self) -> Vec<Present> {
        let now = Instant::now();
        let mut present: Vec<Present> = self
            .shared
            .tables
            .sessions
            .connected()
            .into_iter()
            .map(|member| Present {
                patient: member.certificate.subject().identifier.clone(),
                since: member.since,
                silent: member.outbox.unheard_for(now),
            })
            .collect();
        present.sort_by(|a, b| a.patient.cmp(&b.patient).then(a.since.cmp(&b.since)));
        present
    }

    /// Whether the threads that it cannot do without were at work within this
    /// time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        self.shared.pulse.is_there(within, Instant::now())
    }

    /// Sends a message to every enrolled patient: at once to those connected,
    /// to the others when they come back.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    pub fn broadcast(&self, text: &str, urgent: bool) -> Result<Sent, SendError> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let message = Message::new(text, urgent, now, &mut OsRandom).map_err(SendError::Text)?;
        let devices = self.devices(|_| true)?;
        if devices.is_empty() {
            return Err(SendError::NoPatients);
        }
        let enrolled = devices.len();
        let id = message.id();
        // The log is held over the broadcast, so that no receipt comes before
        // the log knows what it is for.
        let mut log = shared.log();
        self.make_room(&mut log);
        let number = log.add(message.clone(), Kind::Broadcast, devices);
        let identity = shared.identity();
        let broadcast = shared.tables.sessions.broadcast(
            &message,
            &identity,
            now,
            Instant::now(),
            &mut OsRandom,
        );
        let receipted = broadcast.sealed.map(|sealed| sealed.receipted);
        let recipients = broadcast.recipients;
        if let Some(receipted) = receipted {
            log.sent_to_group(id, receipted, &recipients, now);
        }
        drop(log);
        let sent = Sent {
            number,
            devices: recipients.len(),
            away: enrolled.saturating_sub(recipients.len()),
            epoch: receipted.map_or(0, |receipted| receipted.epoch),
        };
        let queues = recipients.into_iter().map(|member| member.outbox);
        shared.flusher.send(queues);
        shared.dropped(broadcast.dropped);
        Ok(sent)
    }

    /// Sends a message to one patient: at once to connected devices, to the
    /// others when they come back.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    pub fn message(&self, patient: &Identifier, text: &str) -> Result<Sent, SendError> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let message = Message::new(text, false, now, &mut OsRandom).map_err(SendError::Text)?;
        let devices = self.devices(|name| name == patient)?;
        if devices.is_empty() {
            return Err(SendError::UnknownPatient(patient.clone()));
        }
        let enrolled: Vec<Fingerprint> = devices.iter().map(|(device, _)| *device).collect();
        let id = message.id();
        let body = message.encode();
        let (mut given, mut full) = (Vec::new(), Vec::new());
        let mut log = shared.log();
        self.make_room(&mut log);
        let number = log.add(message, Kind::Private, devices);
        for member in shared.tables.sessions.connected() {
            let device = member.certificate.fingerprint();
            if !enrolled.contains(&device) {
                continue;
            }
            let body = SecretBytes::copy_of(&body);
            if member.outbox.push_record(PRIVATE, body).is_ok() {
                log.sent_as_record(&device, id, member.id, now);
                given.push(member.outbox);
            } else {
                full.push((device, member.id));
            }
        }
        drop(log);
        for (device, session) in full {
            shared.drop_stalled(&device, session, patient);
        }
        let sent = Sent {
            number,
            devices: given.len(),
            away: enrolled.len() - given.len(),
            epoch: 0,
        };
        shared.flusher.send(given);
        Ok(sent)
    }

    /// Whether somebody of that name has enrolled.
    ///
    /// # Errors
    /// [`SendError::UnknownPatient`] if not.
    pub fn check_patient(&self, patient: &Identifier) -> Result<(), SendError> {
        if self.devices(|name| name == patient)?.is_empty() {
            return Err(SendError::UnknownPatient(patient.clone()));
        }
        Ok(())
    }

    /// Messages are kept in memory: not without end. What is given up before it
    /// has arrived is said.
    fn make_room(&self, log: &mut MessageLog) {
        if let Some(number) = log.make_room() {
            self.shared.tell(Event::Trouble(format!(
                "message {number} has waited too long behind others and is given up; the delivery \
                 report no longer shows it"
            )));
        }
    }

    fn devices(
        &self,
        wanted: impl Fn(&Identifier) -> bool,
    ) -> Result<Vec<(Fingerprint, Identifier)>, StoreError> {
        let devices = active_devices(&*self.shared.tables.store, self.shared.clock.now())?;
        Ok(devices
            .into_iter()
            .filter_map(|(device, name)| Some((device, name.parse().ok()?)))
            .filter(|(_, name)| wanted(name))
            .collect())
    }

    /// What became of the messages sent since the start, oldest first.
    #[must_use]
    pub fn report(&self) -> Vec<Report> {
        let log = self.shared.log();
        log.entries()
            .map(|entry| {
                let mut by_name: BTreeMap<(Identifier, Fingerprint), Outcome> = BTreeMap::new();
                for (device, delivery) in &entry.deliveries {
                    let outcome = Outcome {
                        patient: delivery.patient.clone(),
                        state: delivery.word(),
                        at: delivery
                            .confirmed
                            .as_ref()
                            .map(|(at, _)| *at)
                            .or(delivery.delivered)
                            .or(delivery.sent),
                    };
                    by_name.insert((delivery.patient.clone(), *device), outcome);
                }
                Report {
                    number: entry.number,
                    message: entry.message.clone(),
                    is_broadcast: entry.kind == Kind::Broadcast,
                    outcomes: by_name.into_values().collect(),
                }
            })
            .collect()
    }

    /// Makes a ticket with which `patient` enrols at `address`.
    ///
    /// # Errors
    /// [`TicketRefusal`].
    pub fn enrol(&self, patient: &Identifier, address: &str) -> Result<Ticket, TicketRefusal> {
        tickets::make(&self.shared.practice, patient, address, &mut OsRandom)
    }

    /// Ends every session by the doctor's word; gives their number.
    pub fn disconnect_all(&self) -> usize {
        let shared = &self.shared;
        let reason = DisconnectReason::EndedByDoctor;
        let ended = shared.tables.sessions.expel_all(reason, Instant::now());
        let count = ended.len();
        let practice = &shared.practice;
        let detail = format!("{count} devices");
        shared.note(practice.by_doctor(Action::AllDisconnected, "", &detail));
        let doctor = shared.identity();
        self.ended(ended, doctor.identifier().as_str(), "ended by the doctor");
        count
    }

    /// Sends the last words of sessions that were ended, and logs their end.
    fn ended(&self, ended: Vec<Connected>, actor: &str, why: &str) {
        let shared = &self.shared;
        for member in &ended {
            let patient = member.certificate.subject().identifier.as_str();
            let now = shared.clock.now();
            shared.note(Entry::new(now, actor, Action::Left, patient, why));
        }
        let queues = ended.into_iter().map(|member| member.outbox);
        shared.flusher.send(queues);
    }

    /// Tells every patient that the server stops, waits a moment for them to
    /// take it, and stops.
    pub fn stop(&self) {
        if self.stopped.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = &self.shared;
        let reason = DisconnectReason::ShuttingDown;
        let ended = shared.tables.sessions.expel_all(reason, Instant::now());
        self.ended(ended, SERVER, "the server stopped");
        let deadline = Instant::now() + STOP_TIME;
        while !shared.flusher.is_idle() && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(10));
        }
        shared.stopping.store(true, Ordering::Relaxed);
        shared.gate.close();
        shared.flusher.stop();
        listener::shut(&self.listener);
        self.settle();
        if let Some(keeper) = self.log_keeper().take() {
            keeper.thread().unpark();
            // A thread that panicked has said so already.
            let _ = keeper.join();
        }
    }
}

impl Server {
    /// Ends the stream of events: whoever shows them is done then.
    pub fn say_no_more(&self) {
        let events = &self.shared.events;
        *events.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The practice's books.
    #[must_use]
    pub fn practice(&self) -> &Practice {
        &self.shared.practice
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
        // The threads of connections end by themselves; the last one closes
        // the store.
        let deadline = Instant::now() + STOP_TIME;
        while Arc::strong_count(&self.shared) > 1 && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(10));
        }
        self.shared.ledger.stop();
        if let Some(ledger) = self.ledger.take() {
            let _ = ledger.join();
        }
    }
}
