//! The client: a thread that keeps a session with the doctor, and what other
//! threads may ask of it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::group::receiver::Progress;
use crate::handshake::patient::HandshakeError;
use crate::handshake::resume::ResumptionTicket;
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::patient_identity::PatientIdentity;
use crate::patient::backoff::Backoff;
use crate::patient::config::Config;
use crate::patient::connect::{ConnectError, Established, Handshake, Outcome};
use crate::patient::event::{Event, Stopped};
use crate::patient::files::{Files, Patient};
use crate::patient::inbox::{ConfirmError, Entry, Inbox, Taken};
use crate::patient::link::{Link, LinkError};
use crate::patient::outbox::Outbox;
use crate::patient::session::{End, Live, Over};
use crate::patient::wire::Wire;
use crate::protocol::message::{Message, MessageId, TextError};
use crate::protocol::opcode;
use crate::protocol::record::{Disconnect, Receipt, SessionToken};
use crate::protocol::{DisconnectReason, record};
use crate::random::OsRandom;
use crate::session::SessionKey;
use crate::session::patient::Delivery;
use crate::session::signed;

/// How long [`Client::leave`] waits for a lock, and for the doctor's server to
/// close.
const LEAVING: Duration = Duration::from_secs(1);

/// What all threads share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: PatientIdentity,
    pub(super) wire: Wire,
    inbox: Mutex<Inbox>,
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
    outbox: Outbox,
}

/// A patient's connection to her doctor, from any thread.
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Begins to connect. Events come until [`Event::Stopped`].
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        config: Config,
        files: Files,
        patient: Patient,
        clock: Arc<dyn Clock>,
    ) -> io::Result<(Self, Receiver<Event>)> {
        let (sender, events) = mpsc::channel();
        let shared = Arc::new(Shared {
            config,
            clock,
            identity: patient.identity,
            wire: Wire::default(),
            inbox: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            last_mid: AtomicU64::new(0),
            records_received: AtomicU64::new(0),
            events: sender,
        });
        let connection = Connection {
            shared: Arc::clone(&shared),
            files,
            doctor: patient.doctor,
            address: patient.address,
            ask: false,
            ticket: None,
            progress: None,
        };
        thread::Builder::new()
            .name("connection".to_owned())
            .spawn(move || connection.run())?;
        Ok((Self { shared }, events))
    }

    /// Sends a message to the doctor: now, or as soon as there is a session,
    /// until her server has it ([`Event::Delivered`]).
    ///
    /// # Errors
    /// [`TextError`] if the text cannot be sent.
    pub fn send(&self, text: &str) -> Result<MessageId, TextError> {
        let message = Message::new(text, false, self.shared.clock.now(), &mut OsRandom)?;
        let id = message.id();
        self.shared.state().outbox.add_message(message);
        self.shared.flush();
        Ok(id)
    }

    /// Confirms a message: the doctor gets the person's signature for it, now
    /// or as soon as there is a session.
    ///
    /// # Errors
    /// [`ConfirmError`] if there is no such message, or it was confirmed.
    pub fn confirm(&self, number: usize) -> Result<(), ConfirmError> {
        let now = self.shared.clock.now();
        let (id, hash) = lock(&self.shared.inbox).confirm(number, now)?;
        self.shared.state().outbox.add_confirmation(id, hash, now);
        self.shared.flush();
        Ok(())
    }

    /// All messages of this run of the program.
    #[must_use]
    pub fn messages(&self) -> Vec<Entry> {
        lock(&self.shared.inbox).entries().to_vec()
    }

    /// How many messages to the doctor have not arrived yet.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.shared.state().outbox.undelivered()
    }

    /// Waits until everything that was sent has arrived. Says whether it has.
    #[must_use]
    pub fn settle(&self, patience: Duration) -> bool {
        let state = self.shared.wait(patience, |state| {
            state.finished || state.outbox.is_settled()
        });
        state.outbox.is_settled()
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

    /// Makes the connection one that [`Client::leave`] can close.
    fn register(&self, link: &Link) -> Result<(), LinkError> {
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
        self.wire.with(|sending| {
            let (messages, confirmations) = self.state().outbox.take_unsent();
            for message in messages {
                sending.record(opcode::PRIVATE, &message.encode());
            }
            for confirmation in confirmations {
                let ack: record::Ack = signed::sign_ack(
                    self.identity.signing(),
                    confirmation.id,
                    &confirmation.hash,
                    confirmation.at,
                    &sending.parties,
                    &mut OsRandom,
                );
                sending.record(opcode::ACK, &ack.encode());
            }
        });
        self.changed.notify_all();
    }

    pub(super) fn seen(&self, last_mid: u64, records_received: u64) {
        self.last_mid.store(last_mid, Ordering::Relaxed);
        self.records_received
            .store(records_received, Ordering::Relaxed);
    }

    pub(super) fn take(&self, message: Message, delivery: Delivery) -> Taken {
        lock(&self.inbox).take(message, delivery, self.clock.now())
    }

    pub(super) fn outgoing(&self, receipt: &Receipt) -> Option<Message> {
        self.state().outbox.message(receipt).cloned()
    }

    pub(super) fn delivered(&self, id: MessageId) {
        self.state().outbox.delivered(id);
        self.changed.notify_all();
        self.tell(Event::Delivered(id));
    }

    pub(super) fn ticket(
        &self,
        session: &SessionKey,
        token: &SessionToken,
    ) -> Option<ResumptionTicket> {
        ResumptionTicket::new(session, &token.token, token.lifetime, self.clock.now())
    }
}

/// The thread that connects.
struct Connection {
    shared: Arc<Shared>,
    files: Files,
    doctor: KnownDoctor,
    address: String,
    /// What is known of the doctor may be old: ask first.
    ask: bool,
    ticket: Option<ResumptionTicket>,
    progress: Option<Progress>,
}

impl Connection {
    fn run(mut self) {
        let stopped = self.keep_connected();
        let shared = Arc::clone(&self.shared);
        // The directory is free for another program once this is known.
        drop(self);
        shared.tell(Event::Stopped(stopped));
        shared.state().finished = true;
        shared.changed.notify_all();
    }

    fn keep_connected(&mut self) -> Stopped {
        let config = &self.shared.config;
        let mut backoff = Backoff::new(config.first_wait, config.longest_wait);
        loop {
            let now = self.shared.clock.now();
            if let Err(error) = self.shared.identity.certificate().check_dates(now) {
                return Stopped::OwnCertificate(error);
            }
            let began = Instant::now();
            let stopped = match self.connect() {
                _ if self.shared.is_stopping() => Some(Stopped::Asked),
                Ok(end) => {
                    if began.elapsed() >= self.shared.config.good_session {
                        backoff.reset();
                    }
                    self.after_session(end)
                }
                Err(error) => self.after_failure(error),
            };
            if let Some(stopped) = stopped {
                return stopped;
            }
            let after = backoff.wait(&mut OsRandom);
            self.shared.tell(Event::Retrying { after });
            if self.shared.wait(after, |state| state.stopping).stopping {
                return Stopped::Asked;
            }
        }
    }

    /// Connects, once, and stays for as long as the session lasts.
    fn connect(&mut self) -> Result<End, ConnectError> {
        let Some((link, established)) = self.establish()? else {
            // An answer with a new prekey to the newest prekey.
            return Err(HandshakeError::Unexpected.into());
        };
        let shared = Arc::clone(&self.shared);
        let doctor = self.doctor.certificate().clone();
        let connected = Event::Connected {
            doctor: doctor.subject().identifier.clone(),
            resumed: established.resumed,
            clock: established.clock,
        };
        let live = Live::new(&shared, link, &doctor, *established, self.progress)?;
        shared.tell(connected);
        let Over {
            end,
            ticket,
            progress,
            last_heard,
        } = live.run();
        self.ticket = ticket;
        self.progress = Some(progress);
        let mut state = shared.state();
        state.stream = None;
        state.outbox.session_over(last_heard, shared.config.idle);
        Ok(end)
    }

    /// A session over a new connection; over a second one if the first only
    /// brought the doctor's newest prekey.
    fn establish(&mut self) -> Result<Option<(Link, Box<Established>)>, ConnectError> {
        for _ in 0..2 {
            let mut link = Link::connect(&self.address, &self.shared.config)?;
            self.shared.register(&link)?;
            let mut handshake = Handshake {
                link: &mut link,
                identity: &self.shared.identity,
                doctor: &mut self.doctor,
                files: &self.files,
                config: &self.shared.config,
                clock: &*self.shared.clock,
            };
            if let Outcome::Established(established) =
                handshake.run(self.ask, self.ticket.take())?
            {
                self.ask = false;
                return Ok(Some((link, established)));
            }
        }
        Ok(None)
    }

    /// What the end of a session means; none: connect again.
    fn after_session(&self, end: End) -> Option<Stopped> {
        match end {
            End::Asked => Some(Stopped::Asked),
            End::ProtocolBroken => Some(Stopped::ProtocolBroken),
            End::Doctor(reason) if reason.comes_back() => {
                self.shared.tell(Event::Ended(reason));
                None
            }
            End::Doctor(reason) => Some(Stopped::Ended(reason)),
            End::Lost(loss) => {
                self.shared.tell(Event::ConnectionLost(loss));
                None
            }
        }
    }

    /// What a failed attempt means; none: connect again.
    fn after_failure(&mut self, error: ConnectError) -> Option<Stopped> {
        if !error.heals() {
            return Some(Stopped::Refused(error));
        }
        // A server that goes away or does not answer sensibly may be one whose
        // papers have changed.
        self.ask |= !matches!(error, ConnectError::Link(_));
        self.shared.tell(Event::NotConnected(error));
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one step: what a thread that panicked
    // has left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
