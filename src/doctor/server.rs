//! A running server, as the menu and the control socket use it.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::audit_log::Keeper;
use crate::doctor::authority::{self, AuthorityError};
use crate::doctor::backup::schedule;
use crate::doctor::blocks;
use crate::doctor::clinic;
pub use crate::doctor::deliveries::{Outcome, Report};
use crate::doctor::dismissal::Dismissed;
use crate::doctor::event::Event;
use crate::doctor::messages::BookError;
use crate::doctor::peer::Peer;
use crate::doctor::post::{self, Letter, Recipients};
pub use crate::doctor::post::{SendError, Sent};
use crate::doctor::practice::{Practice, SERVER};
use crate::doctor::recall;
use crate::doctor::roster;
use crate::doctor::shared::{Settings, Shared};
use crate::doctor::tickets::{self, TicketRefusal};
use crate::doctor::{deliveries, housekeeping, listener, store_check, watch};
use crate::identity::certificate::{Fingerprint, Role};
use crate::identity::id::Identifier;
use crate::identity::ticket::Ticket;
use crate::protocol::DisconnectReason;
use crate::random::OsRandom;
use crate::session::table::Connected;
use crate::store::StoreError;
use crate::store::nodes::Seat;

/// The most events that wait to be shown: a receipt from each of ten thousand
/// patients, twice.
const MAX_EVENTS: usize = 20_000;
/// How long a stopping server waits for its patients to take the last word.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A connected patient's device.
#[derive(Clone, Debug)]
pub struct Present {
    /// Which one it is.
    pub peer: Peer,
    /// Since when.
    pub since: Timestamp,
    /// How long it has been silent.
    pub silent: Duration,
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
    /// If the operating system gives no thread or descriptor, if the audit log
    /// cannot be kept, if she is no doctor whose practice this is, or if another
    /// process has her seat.
    pub fn start(
        listener: TcpListener,
        practice: Arc<Practice>,
        settings: Settings,
    ) -> io::Result<(Self, Receiver<Event>)> {
        if practice.role() != Role::Doctor {
            let sentence = "only a doctor of the clinic has a server";
            return Err(io::Error::other(sentence));
        }
        let address = listener.local_addr()?;
        let seat = practice.hand_over_seat().map_err(io::Error::other)?;
        let (log_keeper, notice) =
            Keeper::start(&practice, &settings, address).map_err(io::Error::other)?;
        // The accepting thread waits with a limit, to give signs of life.
        listener.set_nonblocking(true)?;
        let listener = Arc::new(listener);
        let (sender, events) = mpsc::sync_channel(MAX_EVENTS);
        let shared = Arc::new(Shared::new(practice, settings, sender)?);
        let mut server = Self {
            shared: Arc::clone(&shared),
            address,
            listener: Arc::clone(&listener),
            threads: Vec::new(),
            ledger: None,
            log_keeper: Mutex::new(None),
            stopped: AtomicBool::new(false),
        };
        server.spawn_workers(seat)?;
        server.spawn_log_keeper(log_keeper)?;
        if let Some(sentence) = notice {
            shared.tell(Event::Trouble(sentence));
        }
        server.spawn("listener", move || listener::run(&shared, &listener))?;
        Ok((server, events))
    }

    /// Everything but the listener, which comes last.
    fn spawn_workers(&mut self, seat: Option<Box<dyn Seat>>) -> io::Result<()> {
        self.ledger = Some(self.spawn_ledger()?);
        self.spawn_with_shared("flusher", |shared| shared.flusher.run())?;
        self.spawn_with_shared("housekeeping", housekeeping::run)?;
        self.spawn_with_shared("dates", housekeeping::keep_dates)?;
        self.spawn_with_shared("store check", store_check::run)?;
        if self.shared.practice.store.may_be_away() {
            self.spawn_with_shared("store watch", watch::run)?;
        }
        if let Some(schedule) = self.shared.settings.backup.clone() {
            self.spawn_with_shared("backups", move |shared| schedule::run(shared, schedule))?;
        }
        if self.shared.practice.store.nodes().is_some() {
            self.spawn_with_shared("clinic", move |shared| clinic::run(shared, seat))?;
        }
        Ok(())
    }

    fn spawn_with_shared(
        &mut self,
        name: &str,
        run: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.spawn(name, move || run(&shared))
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
        let mut devices: HashMap<String, usize> = HashMap::new();
        let store = &self.shared.practice.store;
        // Only what they are called depends on it.
        let active = store.active_devices(None, self.shared.clock.now());
        for (_, patient) in active.unwrap_or_default() {
            *devices.entry(patient).or_default() += 1;
        }
        let peer = |member: &Connected| {
            let patient = member.certificate.subject().identifier.clone();
            let count = devices.get(patient.as_str());
            Peer {
                is_one_of_several: count.is_some_and(|count| *count > 1),
                device: member.certificate.fingerprint(),
                patient,
            }
        };
        let mut present: Vec<Present> = self
            .shared
            .tables
            .sessions
            .connected()
            .into_iter()
            .map(|member| Present {
                peer: peer(&member),
                since: member.since,
                silent: member.outbox.unheard_for(now),
            })
            .collect();
        present.sort_by(|a, b| a.peer.cmp(&b.peer));
        present
    }

    /// Whether the threads that it cannot do without were at work within this
    /// time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        self.shared.pulse.is_there(within, Instant::now())
    }

    /// Puts a message into the books and sends it: at once to recipients who
    /// are connected, to the others when they come back.
    ///
    /// # Errors
    /// [`SendError`]; nothing is in the books then, and nothing was sent.
    pub fn send(&self, letter: &Letter<'_>) -> Result<Sent, SendError> {
        post::send(&self.shared, letter)
    }

    /// Sends a message to every enrolled patient.
    ///
    /// # Errors
    /// As [`Server::send`].
    pub fn broadcast(&self, text: &str, urgent: bool) -> Result<Sent, SendError> {
        let letter = Letter::new(Recipients::Everyone, text);
        self.send(&Letter { urgent, ..letter })
    }

    /// Sends a message to one patient.
    ///
    /// # Errors
    /// As [`Server::send`].
    pub fn message(&self, patient: &Identifier, text: &str) -> Result<Sent, SendError> {
        self.send(&Letter::new(Recipients::One(patient.clone()), text))
    }

    /// Whether messages reach the patient of that name.
    ///
    /// # Errors
    /// [`SendError::Unreached`] if not.
    pub fn check_patient(&self, patient: &Identifier) -> Result<(), SendError> {
        let to = Recipients::One(patient.clone());
        post::recipients(self.practice(), &to).map(drop)
    }

    /// What became of the newest messages, at most `limit`, the oldest of them
    /// first; up to date with everything that has come until now.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn report(&self, limit: usize) -> Result<Vec<Report>, BookError> {
        self.settle();
        deliveries::newest(self.practice(), limit)
    }

    /// Makes a ticket with which `patient` enrols at `address`.
    ///
    /// # Errors
    /// [`TicketRefusal`].
    pub fn enrol(&self, patient: &Identifier, address: &str) -> Result<Ticket, TicketRefusal> {
        let lifetime = tickets::LIFETIME;
        self.enrolling(patient.as_str(), || {
            tickets::make(
                &self.shared.practice,
                patient,
                address,
                lifetime,
                &mut OsRandom,
            )
        })
    }

    /// Makes a ticket for this patient. That she is the doctor's then is nothing
    /// to tell her.
    pub(super) fn enrolling<T>(&self, patient: &str, make: impl FnOnce() -> T) -> T {
        let shared = &self.shared;
        shared.clinic.expect(patient);
        let made = make();
        let assigned = shared.practice.store.clinic();
        let assigned = assigned.and_then(|clinic| clinic.assigned(patient).ok().flatten());
        if assigned.as_deref() != Some(shared.identity().identifier().as_str()) {
            shared.clinic.expect_no_more(patient);
        }
        made
    }

    /// How many first messages were looked at since the start: those of patients,
    /// and those of strangers for which there was an allowance.
    #[must_use]
    pub fn first_messages_heard(&self) -> u64 {
        self.shared.gate.heard()
    }

    /// Lists the blocked addresses, or lifts blocks.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be logged; nothing is lifted then.
    pub fn blocks(&self, request: &blocks::Request) -> Result<blocks::Answer, StoreError> {
        blocks::answer(&self.shared, request)
    }

    /// Tells patients where the clinic's doctors are reached: those who are
    /// connected now, the others when they connect. Each entry is a
    /// [`RosterEntry`](crate::identity::roster::RosterEntry), in bytes; with
    /// none, which is how a server starts, nothing is told.
    pub fn set_roster(&self, entries: Vec<Vec<u8>>) {
        roster::set(&self.shared, entries);
    }

    /// Puts devices out whose certificates were revoked just now: their tokens
    /// are forgotten and their sessions end at once.
    pub fn put_out(&self, devices: &[Fingerprint]) {
        for device in devices {
            self.shared.tables.sessions.forget_token(device);
        }
        // Their tokens are gone; what cannot be read now is looked at in a minute.
        let _ = housekeeping::check_certificates(&self.shared);
    }

    /// Goes on with a renewed certificate, given in hexadecimal digits. A session
    /// has one for its whole life, so that all are ended; patients come back by
    /// themselves and learn the new one.
    ///
    /// # Errors
    /// [`AuthorityError`]; nothing was changed.
    pub fn renew(&self, certificate: &str) -> Result<authority::Answer, AuthorityError> {
        let shared = &self.shared;
        let mut ended = Vec::new();
        // Nobody joins, and nothing is signed for those who are there, between
        // the old certificate and the new one.
        let order = shared.order();
        let answer = authority::renew(&shared.practice, certificate, || {
            let reason = DisconnectReason::Expired;
            ended = shared.tables.sessions.expel_all(reason, Instant::now());
            ended.len()
        })?;
        drop(order);
        let why = "the doctor's certificate was renewed";
        recall::say_last_words(shared, ended, SERVER, why);
        Ok(answer)
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
        let identity = shared.identity();
        let doctor = identity.identifier().as_str();
        recall::say_last_words(shared, ended, doctor, "ended by the doctor");
        count
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
        recall::say_last_words(shared, ended, SERVER, "the server stopped");
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

    /// Has this done when the clinic revokes the doctor's certificate, or another
    /// server of hers has taken her seat: this one has ended all sessions by then,
    /// lets nobody in, and has said so.
    pub fn when_dismissed(&self, then: impl FnOnce() + Send + 'static) {
        self.shared.dismissal.then(Box::new(then));
    }

    /// Why that was so, if it was.
    #[must_use]
    pub fn dismissed(&self) -> Option<&Dismissed> {
        self.shared.dismissal.why()
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
            thread.thread().unpark();
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
        // The threads of connections end by themselves; the last one closes
        // the store.
        let deadline = Instant::now() + STOP_TIME;
        while Arc::strong_count(&self.shared) > 1 && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(10));
        }
        self.shared.ledger.log_kept();
        self.shared.ledger.stop();
        if let Some(ledger) = self.ledger.take() {
            let _ = ledger.join();
        }
    }
}
