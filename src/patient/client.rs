//! The client: a thread that keeps a session with the doctor, and what other
//! threads may ask of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::handshake::resume::ResumptionTicket;
use crate::identity::id::Identifier;
use crate::identity::patient_identity::PatientIdentity;
use crate::patient::config::Config;
use crate::patient::connection::Connection;
use crate::patient::event::Event;
use crate::patient::files::{Files, FilesError, Patient};
use crate::patient::inbox::{ConfirmError, Entry, Taken};
use crate::patient::link::{Link, LinkError};
use crate::patient::outbox::{InFlight, Receipted, WriteError, Written};
use crate::patient::wire::{Sending, Wire};
use crate::protocol::DisconnectReason;
use crate::protocol::message::{Boundary, Message, MessageId};
use crate::protocol::opcode;
use crate::protocol::record::{Disconnect, Receipt, SessionToken};
use crate::random::OsRandom;
use crate::session::SessionKey;
use crate::session::patient::Delivery;
use crate::session::signed;

/// How long [`Client::leave`] waits for a lock, and for the doctor's server to
/// close.
const LEAVING: Duration = Duration::from_secs(1);

/// The least time between two attempts, if there is to be a pause at all.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What all threads share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: PatientIdentity,
    /// Whom the person wants to be connected to.
    pub(super) asked: Identifier,
    pub(super) wire: Wire,
    pub(super) files: Arc<Files>,
    /// Never held while a socket is written to. Taken after the wire's lock,
    /// if both are.
    state: Mutex<State>,
    changed: Condvar,
    /// For the last word, whichever thread says it.
    last_mid: AtomicU64,
    records_received: AtomicU64,
    events: Sender<Event>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    finished: bool,
    /// A handle of the connection, so that it can be closed by any thread.
    stream: Option<TcpStream>,
    /// The doctor with whom there is a session.
    connected: Option<Identifier>,
    /// Somebody wants one now.
    hurried: bool,
    in_flight: InFlight,
    /// Messages of which it was told that they are not taken yet.
    not_taken: HashSet<MessageId>,
    /// Confirmations of this run of the program that have not arrived yet.
    confirming: HashSet<MessageId>,
}

/// A patient's connection to her doctor, from any thread.
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Begins to connect. Events come until [`Event::Stopped`]. The directory
    /// stays in use until that event has come and the client is dropped.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        config: Config,
        files: Arc<Files>,
        patient: Patient,
        clock: Arc<dyn Clock>,
    ) -> io::Result<(Self, Receiver<Event>)> {
        let (sender, events) = mpsc::channel();
        let shared = Arc::new(Shared {
            config,
            clock,
            identity: patient.identity,
            asked: patient.asked,
            wire: Wire::default(),
            files,
            state: Mutex::default(),
            changed: Condvar::new(),
            last_mid: AtomicU64::new(0),
            records_received: AtomicU64::new(0),
            events: sender,
        });
        let connection = Connection {
            shared: Arc::clone(&shared),
            home: patient.doctor,
            home_address: patient.address,
            at: patient.at,
            colleagues: patient.colleagues,
            lines: HashMap::new(),
        };
        thread::Builder::new()
            .name("connection".to_owned())
            .spawn(move || connection.run())?;
        Ok((Self { shared }, events))
    }

    /// Keeps a message to the doctor and sends it: now, or as soon as there is a
    /// session, until her server has it ([`Event::Delivered`]).
    ///
    /// # Errors
    /// [`WriteError`] if the text cannot be sent or kept.
    pub fn send(&self, text: &str, boundary: Option<Boundary>) -> Result<Written, WriteError> {
        let shared = &self.shared;
        let written = shared
            .files
            .outbox()
            .write(text, boundary, shared.clock.now())?;
        shared.flush();
        self.hurry();
        Ok(written)
    }

    /// Keeps that the person confirmed a message, called by its number or code:
    /// the doctor gets the signature for it, now or as soon as there is a
    /// session.
    ///
    /// # Errors
    /// [`ConfirmError`] if there is no such message, it was confirmed, or that
    /// cannot be kept.
    pub fn confirm(&self, name: &str) -> Result<Entry, ConfirmError> {
        let shared = &self.shared;
        let inbox = shared.files.inbox();
        let id = inbox.find(name)?.message.id();
        // Before it can be sent by another thread, and arrive.
        let is_first = shared.state().confirming.insert(id);
        let result = inbox.confirm(name, shared.clock.now());
        if result.is_ok() {
            shared.flush();
            self.hurry();
        } else if is_first {
            shared.state().confirming.remove(&id);
        }
        result
    }

    /// Somebody is here and wants a session: without one, the wait before the
    /// next attempt ends, though not within a second.
    pub fn hurry(&self) {
        let mut state = self.shared.state();
        state.hurried = state.connected.is_none();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Notes that a person has seen these messages.
    ///
    /// # Errors
    /// [`FilesError`] if that cannot be kept: they stay unread.
    pub fn shown(&self, numbers: &[u64]) -> Result<(), FilesError> {
        let now = self.shared.clock.now();
        self.shared.files.inbox().mark_shown(numbers, now)
    }

    /// What is kept in the directory.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.shared.files
    }

    /// Whether it still connects, or tries to.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.state().finished
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.state().connected.is_some()
    }

    /// The doctor with whom there is a session.
    #[must_use]
    pub fn connected_to(&self) -> Option<Identifier> {
        self.shared.state().connected.clone()
    }

    /// The doctor to whom the person wants to be connected.
    #[must_use]
    pub fn asked(&self) -> &Identifier {
        &self.shared.asked
    }

    /// How many messages and confirmations for the doctor have not arrived.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be counted.
    pub fn waiting(&self) -> Result<u64, FilesError> {
        let counts = self.shared.files.mail_counts()?;
        Ok(counts.waiting_messages + counts.waiting_confirmations)
    }

    /// Waits until every message, and every confirmation of this run of the
    /// program, has arrived; not longer than `patience`. Says whether it has.
    pub fn settle(&self, patience: Duration) -> bool {
        let shared = &self.shared;
        let is_settled = |state: &State| {
            let counts = shared.files.mail_counts();
            state.confirming.is_empty() && counts.is_ok_and(|counts| counts.waiting_messages == 0)
        };
        let state = shared.wait(patience, |state| state.finished || is_settled(state));
        is_settled(&state)
    }

    /// Waits until the message to the doctor with this number has arrived; not
    /// longer than `patience`. Says whether it has.
    ///
    /// # Errors
    /// [`FilesError`] if that cannot be looked up.
    pub fn wait_delivered(&self, number: u64, patience: Duration) -> Result<bool, FilesError> {
        let outbox = self.shared.files.outbox();
        let arrived = || -> Result<bool, FilesError> {
            let written = outbox.numbered(number)?;
            Ok(written.is_some_and(|written| written.delivered.is_some()))
        };
        let done = |state: &State| state.finished || arrived().unwrap_or(true);
        drop(self.shared.wait(patience, done));
        arrived()
    }

    /// Waits until this confirmation, made in this run of the program, has
    /// arrived or never will; not longer than `patience`.
    pub fn wait_confirmed(&self, id: MessageId, patience: Duration) {
        let answered = |state: &State| !state.confirming.contains(&id);
        drop(
            self.shared
                .wait(patience, |state| state.finished || answered(state)),
        );
    }

    /// Ends the session, if there is one, and all attempts. Returns when the
    /// connection is closed, or after a few seconds.
    pub fn leave(&self) {
        let shared = &self.shared;
        shared.state().stopping = true;
        shared.changed.notify_all();
        let last_word = Disconnect {
            reason: DisconnectReason::AskedByPatient,
            last_mid: shared.last_mid.load(Ordering::Relaxed),
            records_received: shared.records_received.load(Ordering::Relaxed),
        };
        let was_there = shared.wire.goodbye(last_word, LEAVING);
        let finished = |state: &State| state.finished;
        // The doctor's server closes when it has heard the last word.
        if was_there && shared.wait(LEAVING, finished).finished {
            return;
        }
        if let Some(stream) = shared.state().stream.take() {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(shared.wait(LEAVING, finished));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wait(&self, patience: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, patience, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// A session has begun.
    pub(super) fn session_began(&self, doctor: &Identifier) {
        let mut state = self.state();
        state.connected = Some(doctor.clone());
        state.hurried = false;
    }

    /// The session is over: what has no receipt is sent in the next one.
    pub(super) fn session_over(&self) {
        let mut state = self.state();
        state.stream = None;
        state.connected = None;
        state.in_flight = InFlight::default();
    }

    /// Waits so long, or until somebody is in a hurry; says whether the program
    /// is to stop.
    pub(super) fn pause(&self, time: Duration) -> bool {
        // Whoever writes on and on must not make it connect on and on.
        let least = time.min(LEAST_PAUSE);
        drop(self.wait(least, |state| state.stopping));
        let ends = |state: &State| state.stopping || state.hurried;
        let mut state = self.wait(time.saturating_sub(least), ends);
        state.hurried = false;
        state.stopping
    }

    /// There will be no further attempt. Gives where the last event goes.
    pub(super) fn finish(&self) -> Sender<Event> {
        self.state().finished = true;
        self.changed.notify_all();
        self.events.clone()
    }

    /// Makes the connection one that [`Client::leave`] can close.
    pub(super) fn register(&self, link: &Link) -> Result<(), LinkError> {
        let stream = link.stream()?;
        let mut state = self.state();
        if state.stopping {
            return Err(LinkError::Closed);
        }
        state.stream = Some(stream);
        Ok(())
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    /// Sends what waits, if there is a session.
    pub(super) fn flush(&self) {
        let mut result = Ok(());
        let mut sent = Vec::new();
        self.wire.with(|sending| {
            result = self.send_waiting(sending, &mut sent);
        });
        if !sent.is_empty() {
            // It is only shown to people: nothing rests on it.
            let _ = self.files.outbox().sent(&sent, self.clock.now());
        }
        if let Err(error) = result {
            self.tell(Event::FilesFailed(error));
        }
        self.changed.notify_all();
    }

    fn send_waiting(
        &self,
        sending: &mut Sending,
        sent: &mut Vec<MessageId>,
    ) -> Result<(), FilesError> {
        let messages = self.state().in_flight.next_messages(&self.files)?;
        for message in messages {
            sending.record(opcode::PRIVATE, &message.encode());
            sent.push(message.id());
        }
        let confirmations = self.state().in_flight.next_confirmations(&self.files)?;
        for (id, hash, at) in confirmations {
            let signing = self.identity.signing();
            let ack = signed::sign_ack(signing, id, &hash, at, &sending.parties, &mut OsRandom);
            sending.record(opcode::ACK, &ack.encode());
        }
        for damaged in self.state().in_flight.take_damaged() {
            self.tell(Event::FilesFailed(damaged.into()));
        }
        Ok(())
    }

    pub(super) fn seen(&self, last_mid: u64, records_received: u64) {
        self.last_mid.store(last_mid, Ordering::Relaxed);
        self.records_received
            .store(records_received, Ordering::Relaxed);
    }

    pub(super) fn take(
        &self,
        message: &Message,
        delivery: Delivery,
        from: &Identifier,
    ) -> Result<Taken, FilesError> {
        let inbox = self.files.inbox();
        inbox.take(message, delivery, from, self.clock.now())
    }

    /// Whether nothing of the person's is on its way without a receipt.
    pub(super) fn is_quiet(&self) -> bool {
        self.state().in_flight.is_quiet()
    }

    /// Tells of messages that the doctor's server does not take, once of each; says
    /// after what time there may be others.
    pub(super) fn tell_not_taken(&self) -> Duration {
        let mut state = self.state();
        let (mut ids, next) = state.in_flight.not_taken(self.config.not_taken);
        ids.retain(|id| state.not_taken.insert(*id));
        drop(state);
        if !ids.is_empty() {
            self.tell(Event::NotTaken(ids));
        }
        next
    }

    pub(super) fn receipted(&self, receipt: &Receipt) -> Option<Receipted> {
        self.state().in_flight.receipted(receipt)
    }

    /// The doctor's server has a message of ours, since then by its clock.
    pub(super) fn delivered(&self, id: MessageId, place: Timestamp) -> Result<(), FilesError> {
        let now = self.clock.now();
        let is_news = self.files.outbox().delivered(id, now, place)?;
        let mut state = self.state();
        state.in_flight.arrived(id);
        state.not_taken.remove(&id);
        drop(state);
        if is_news {
            self.tell(Event::Delivered(id));
        }
        self.flush();
        Ok(())
    }

    /// The doctor's server has a confirmation of ours.
    pub(super) fn confirmation_arrived(&self, id: MessageId) -> Result<(), FilesError> {
        let now = self.clock.now();
        let news = self.files.inbox().confirmation_arrived(id, now)?;
        self.confirmation_answered(id, news.map(Event::ConfirmationArrived));
        Ok(())
    }

    /// The doctor's server does not have the message that we confirm.
    pub(super) fn confirmation_refused(&self, id: MessageId) -> Result<(), FilesError> {
        let now = self.clock.now();
        let news = self.files.inbox().confirmation_refused(id, now)?;
        self.confirmation_answered(id, news.map(Event::ConfirmationRefused));
        Ok(())
    }

    fn confirmation_answered(&self, id: MessageId, news: Option<Event>) {
        let mut state = self.state();
        state.in_flight.arrived(id);
        state.confirming.remove(&id);
        drop(state);
        if let Some(news) = news {
            self.tell(news);
        }
        self.flush();
    }

    pub(super) fn ticket(
        &self,
        session: &SessionKey,
        token: &SessionToken,
    ) -> Option<ResumptionTicket> {
        ResumptionTicket::new(session, &token.token, token.lifetime, self.clock.now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one step: what a thread that panicked
    // has left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
