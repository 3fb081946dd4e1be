//! What all threads of a server share.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::audit::Entry;
use crate::clock::{Clock, Timestamp};
use crate::doctor::audit_log;
use crate::doctor::backup::BackupSchedule;
use crate::doctor::clinic::Clinic;
use crate::doctor::copies::Copies;
use crate::doctor::dismissal::Dismissal;
use crate::doctor::event::{Departure, Event};
use crate::doctor::flusher::Flusher;
use crate::doctor::gate::{Block, BlockRule, Gate};
use crate::doctor::ledger::Ledger;
use crate::doctor::messages::BookError;
use crate::doctor::messages::live::Live;
use crate::doctor::peer::Peer;
use crate::doctor::practice::Practice;
use crate::doctor::pulse::Pulse;
use crate::doctor::registry::Tables;
use crate::doctor::roster::Roster;
use crate::doctor::signed::Signed;
use crate::doctor::unsure::Unsure;
use crate::handshake::doctor::{Context, RefusalReason};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::identity::ticket::Maker;
use crate::protocol::DisconnectReason;
use crate::random::OsRandom;
use crate::session::table::{Connected, SessionId, SessionTable};
use crate::store::{is_away, may_pass};

/// Refusals of strangers that are shown one by one in a minute; the rest is
/// counted.
const SHOWN_PER_MINUTE: u64 = 10;

/// After how long a session is begun anew for which the store, which is there, has
/// failed: seldom enough that the device may begin as often.
const ANEW: Duration = Duration::from_secs(10);

/// Of so many messages it is told that they are given to nobody.
const REFUSED_TOLD: usize = 1_000;

/// A message that is given to nobody, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Refused {
    /// A doctor's or assistant's.
    Message(u64),
    /// A patient's.
    Letter(u64),
}

/// What can be chosen at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far a patient's clock may be off without a RETRY.
    pub tolerance: Duration,
    /// Whether a clock that is off further is refused.
    pub strict_clock: bool,
    /// First messages an address may send at once.
    pub handshakes_per_address: u32,
    /// When an address is blocked for what it failed to prove.
    pub block: BlockRule,
    /// How many patients may be connected.
    pub capacity: usize,
    /// When backups are made by themselves, if they are.
    pub backup: Option<BackupSchedule>,
    /// The file to which the audit log's signed heads are copied.
    pub audit_heads: Option<PathBuf>,
    /// How long everything may take.
    pub timing: Timing,
}

/// The time-outs. The default is what the protocol says; tests are less patient.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the first byte to the last proof, and from the answer to a renewal
    /// to its proof.
    pub handshake: Duration,
    /// After so much silence of one's own a heartbeat is sent.
    pub heartbeat: Duration,
    /// After so much silence of the other side, or so long a stall, it is gone.
    pub idle: Duration,
    /// How long the other side has to read the last word and close.
    pub linger: Duration,
    /// How long after the store has answered last sessions are resumed without it.
    pub from_memory: Duration,
    /// How often certificates, tokens and prekeys are looked at.
    pub dates: Duration,
    /// After so long a head of the audit log is signed, if there is anything
    /// new in it.
    pub audit_heads: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            heartbeat: Duration::from_secs(15),
            idle: Duration::from_secs(45),
            linger: Duration::from_secs(2),
            from_memory: Duration::from_secs(5 * 60),
            dates: Duration::from_secs(60),
            audit_heads: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tolerance: Duration::from_secs(30),
            strict_clock: false,
            handshakes_per_address: 64,
            block: BlockRule::default(),
            capacity: 10_000,
            backup: None,
            audit_heads: None,
            timing: Timing::default(),
        }
    }
}

/// Everything behind the threads.
pub struct Shared {
    /// Store and sessions.
    pub tables: Tables,
    /// The practice's books.
    pub practice: Arc<Practice>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Commits what comes in crowds.
    pub ledger: Arc<Ledger>,
    /// What was chosen at the start.
    pub settings: Settings,
    /// When the program started.
    pub started: Timestamp,
    /// Bounds what strangers cost.
    pub gate: Arc<Gate>,
    /// Writes on where sockets are behind.
    pub flusher: Flusher,
    /// Signs of life.
    pub(super) pulse: Pulse,
    /// The thread of housekeeping, once it runs.
    pub(super) housekeeper: OnceLock<Thread>,
    /// Tells a device that has moved from one that was copied.
    pub(super) copies: Copies,
    /// Held while a message is put into the books and given to those who are
    /// there, and while somebody joins: each message is either from before a
    /// session or given to it.
    pub(super) order: Mutex<()>,
    pub(super) live: Mutex<Live>,
    pub(super) signed: Mutex<Signed>,
    pub(super) roster: Roster,
    /// Sessions for which something could not be done because of the store, and
    /// when to begin them anew.
    pub(super) unsettled: Mutex<HashMap<Fingerprint, (SessionId, Instant)>>,
    /// What patients have sent that may be in the books or not.
    pub(super) unsure: Unsure,
    /// Messages of which it was told that they are given to nobody.
    pub(super) refused_messages: Mutex<HashSet<Refused>>,
    /// What each session was given, for a node among others.
    pub(super) clinic: Clinic,
    /// Whether the clinic has put this doctor out.
    pub(super) dismissal: Dismissal,
    /// None once nobody listens any more.
    pub(super) events: Mutex<Option<SyncSender<Event>>>,
    /// Events for which there was no room since the last summary.
    pub(super) untold: AtomicU64,
    pub(super) stopping: AtomicBool,
    /// Strangers turned away or not shown since the last summary.
    pub(super) strangers: AtomicU64,
    /// Refusals shown since the last summary.
    pub(super) shown: AtomicU64,
    /// The same of blocks that began or ended.
    pub(super) blocks_shown: AtomicU64,
}

impl Shared {
    /// What a server begins with; it tells its doctor what happens through `events`.
    ///
    /// # Errors
    /// If the operating system gives no descriptor.
    pub(super) fn new(
        practice: Arc<Practice>,
        settings: Settings,
        events: SyncSender<Event>,
    ) -> io::Result<Self> {
        Ok(Self {
            tables: Tables::new(
                Arc::clone(&practice.store),
                (Arc::clone(&practice.vault), Maker::of(&practice.identity())),
                Arc::clone(&practice.clock),
                SessionTable::new(settings.capacity, &mut OsRandom),
                settings.timing.from_memory,
            ),
            started: practice.now(),
            clock: Arc::clone(&practice.clock),
            gate: Arc::new(Gate::new(settings.handshakes_per_address, settings.block)),
            flusher: Flusher::new(settings.timing.linger)?,
            ledger: Arc::new(Ledger::new(Arc::clone(&practice.store))),
            practice,
            settings,
            pulse: Pulse::new(Instant::now()),
            housekeeper: OnceLock::new(),
            copies: Copies::default(),
            order: Mutex::default(),
            live: Mutex::default(),
            signed: Mutex::default(),
            roster: Roster::default(),
            unsettled: Mutex::default(),
            unsure: Unsure::default(),
            refused_messages: Mutex::default(),
            clinic: Clinic::new(&mut OsRandom),
            dismissal: Dismissal::default(),
            events: Mutex::new(Some(events)),
            untold: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            strangers: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            blocks_shown: AtomicU64::new(0),
        })
    }

    /// The doctor's keys and papers.
    #[must_use]
    pub fn identity(&self) -> Arc<DoctorIdentity> {
        self.practice.identity()
    }

    /// What a handshake with somebody at this address needs, now.
    #[must_use]
    pub fn context<'a>(
        &'a self,
        identity: &'a DoctorIdentity,
        from: IpAddr,
    ) -> Context<'a, Tables> {
        Context {
            identity,
            registry: &self.tables,
            from,
            tolerance: self.settings.tolerance,
            strict_clock: self.settings.strict_clock,
            started: self.started,
            now: self.clock.now(),
        }
    }

    /// See the field. There is nothing in it that a panic could break.
    pub(super) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What live sessions were given. Each change of an entry is complete in
    /// itself: a panic under the lock leaves it usable.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Broadcasts that were signed for whoever missed them.
    pub(super) fn signed(&self) -> MutexGuard<'_, Signed> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A patient's device, as the doctor is told of it. If the store cannot be
    /// read, as if it were the patient's only one.
    #[must_use]
    pub fn peer(&self, patient: &Identifier, device: &Fingerprint) -> Peer {
        let now = self.clock.now();
        let devices = self
            .practice
            .store
            .active_devices(Some(patient.as_str()), now);
        Peer {
            patient: patient.clone(),
            device: *device,
            is_one_of_several: devices.is_ok_and(|devices| devices.len() > 1),
        }
    }

    /// The same for somebody who is connected.
    #[must_use]
    pub fn peer_of(&self, member: &Connected) -> Peer {
        let patient = &member.certificate.subject().identifier;
        self.peer(patient, &member.certificate.fingerprint())
    }

    /// Logs something that happened, without waiting for the disk: it is in the
    /// log a moment later, or when the store is back, unless the program is
    /// killed before.
    pub fn note(&self, entry: Entry) {
        self.ledger.note(entry);
    }

    /// Logs what is to be logged of it, and tells the doctor. Nobody may be
    /// listening any more.
    pub fn tell(&self, event: Event) {
        if let Some(entry) = audit_log::entry_of(&event, self.clock.now()) {
            self.note(entry);
        }
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            // Whoever shows them may be stuck, as a terminal that is stopped:
            // nobody waits for that, and memory does not fill with it.
            if events.try_send(event).is_err() {
                self.untold.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Notes that something could not be done for a session because of the store:
    /// the session is begun anew, when one that is away is back, or after a while,
    /// and what was not given or answered comes again. Says whether it is away,
    /// which is told elsewhere.
    pub fn note_unsettled(
        &self,
        device: &Fingerprint,
        id: SessionId,
        error: &(dyn Error + 'static),
    ) -> bool {
        let away = is_away(error);
        // Nobody looks after the sessions of a store on this machine.
        if away || (may_pass(error) && self.practice.store.may_be_away()) {
            let at = Instant::now() + if away { Duration::ZERO } else { ANEW };
            let mut unsettled = self.unsettled();
            let due = unsettled.entry(*device).or_insert((id, at));
            if due.0 != id || at < due.1 {
                *due = (id, at);
            }
        }
        away
    }

    /// Tells that a message is given to nobody: once of each, however many it is
    /// for and however often they come. Whoever can write to the database could fill
    /// the log with it else.
    pub(super) fn tell_refused(&self, number: u64, error: &BookError) {
        self.tell_once(Refused::Message(number), error);
    }

    /// The same of one that is a patient's by nobody's word but the database's.
    pub(super) fn tell_refused_letter(&self, number: u64, error: &BookError) {
        self.tell_once(Refused::Letter(number), error);
    }

    /// Other messages come under the same numbers.
    pub(super) fn forget_refused(&self) {
        self.refused_messages().clear();
    }

    /// See the field. Each change is complete in itself.
    fn refused_messages(&self) -> MutexGuard<'_, HashSet<Refused>> {
        let refused = self.refused_messages.lock();
        refused.unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_once(&self, refused: Refused, error: &BookError) {
        let mut told = self.refused_messages();
        if told.len() >= REFUSED_TOLD || !told.insert(refused) {
            return;
        }
        let is_last = told.len() == REFUSED_TOLD;
        drop(told);
        self.tell(Event::Trouble(error.to_string()));
        if is_last {
            self.tell(Event::Trouble(format!(
                "{REFUSED_TOLD} messages were refused; of more it is not told until this program \
                 starts again"
            )));
        }
    }

    /// See the field. Each change is complete in itself.
    pub(super) fn unsettled(&self) -> MutexGuard<'_, HashMap<Fingerprint, (SessionId, Instant)>> {
        let unsettled = self.unsettled.lock();
        unsettled.unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody was not let in. What a stranger can cause is shown
    /// a few times a minute and counted otherwise.
    pub fn refused(&self, address: IpAddr, reason: RefusalReason) {
        match reason {
            // An alarm, which comes once for each ticket: others must not drown it.
            RefusalReason::TicketUsedTwice(_) => self.tell(Event::Refused(address, reason)),
            _ => self.tell_of_stranger(Event::Refused(address, reason)),
        }
    }

    /// Notes that somebody there failed to prove something, and tells if the
    /// address is blocked for it from now on.
    pub fn failed(&self, address: IpAddr) {
        let time = self.gate.failed(address, Instant::now());
        if let Some(time) = time {
            self.tell_of_stranger(Event::Blocked(address, time));
        }
    }

    /// Tells of blocks that have ended, or were lifted.
    pub fn released(&self, blocks: &[(IpAddr, Block)], lifted: bool) {
        for (address, block) in blocks {
            let refused = block.refused;
            self.tell_of_stranger(Event::Released {
                address: *address,
                refused,
                lifted,
            });
        }
    }

    /// Tells of something that strangers can cause, a few times a minute, and
    /// counts it otherwise. What leads to a block does not keep the block from
    /// being told.
    fn tell_of_stranger(&self, event: Event) {
        let shown = match event {
            Event::Refused(..) => &self.shown,
            _ => &self.blocks_shown,
        };
        match shown.fetch_add(1, Ordering::Relaxed) {
            ..SHOWN_PER_MINUTE => self.tell(event),
            _ => self.turned_away(),
        }
    }

    /// Counts a stranger who was turned away without a look.
    pub fn turned_away(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the housekeeping look at the group now.
    pub fn wake_housekeeper(&self) {
        if let Some(housekeeper) = self.housekeeper.get() {
            housekeeper.unpark();
        }
    }

    /// Whether the program is on its way out.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Tells of members whose queues were full, and says so to them.
    pub fn dropped(&self, members: Vec<Connected>) {
        for member in members {
            self.tell(Event::Left(self.peer_of(&member), Departure::Stalled));
            self.flusher.send([member.outbox]);
        }
    }

    /// Ends the session of a device that does not read.
    pub fn drop_stalled(&self, device: &Fingerprint, id: SessionId, patient: &Identifier) {
        let reason = DisconnectReason::QueueFull;
        let outbox = self
            .tables
            .sessions
            .expel(device, id, reason, Instant::now());
        if let Some(outbox) = outbox {
            let peer = self.peer(patient, device);
            self.tell(Event::Left(peer, Departure::Stalled));
            self.flusher.send([outbox]);
        }
    }
}
