//! Several servers of one clinic on one store: who runs, which device is
//! connected where, what the others have changed.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::messages::{Device, IncomingRow};

/// Names one session among all of a clinic, 16 bytes.
pub type SessionName = [u8; 16];

/// A session that a node holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Whose.
    pub device: Device,
    /// Which one.
    pub session: SessionName,
    /// When its first message was answered. Of two sessions of a device the one
    /// that was answered later is the newer, by the store's clock.
    pub answered: Answered,
}

/// When the first message of a session was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answered {
    /// By this machine's clock, of a session that was never claimed.
    Here(Instant),
    /// By the store's, which said so when the session was claimed first. This
    /// machine's clock stands still while it sleeps: a session whose age were
    /// measured again later would become younger.
    Stored(Stamp),
}

/// A time by the store's clock, in microseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(pub i64);

/// A node: a server of one of the clinic's doctors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRow {
    /// The doctor.
    pub doctor: String,
    /// When it started, by the store's clock.
    pub started: Timestamp,
    /// How long it has not been heard of, by the store's clock.
    pub silent: Duration,
    /// Whether it holds its doctor's seat now: else it was killed, or is cut off
    /// from the store.
    pub has_seat: bool,
}

/// Who has a doctor's seat, as far as the store tells.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SeatHolder {
    /// Since when her node runs, by the store's clock.
    pub since: Option<Timestamp>,
    /// The address from which it is connected to the store.
    pub at: Option<String>,
}

/// A device that is connected somewhere in the clinic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PresenceRow {
    /// The doctor whose node holds the session.
    pub doctor: String,
    /// The device.
    pub device: Device,
    /// Whose it is.
    pub patient: String,
    /// Since when, by the store's clock.
    pub since: Timestamp,
}

/// The devices for which messages are open, by the messages' numbers, and up to which
/// number these are all.
pub type OpenUpTo = (Vec<(u64, Vec<Device>)>, u64);

/// What may have changed elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct News {
    /// There are messages.
    pub messages: bool,
    /// Certificates have other states.
    pub certificates: bool,
    /// Devices have begun sessions at other nodes.
    pub claims: bool,
    /// The roster or the list of revoked doctors.
    pub papers: bool,
    /// Patients were given to other doctors.
    pub transfers: bool,
    /// Patients have written to doctors who are not theirs.
    pub letters: bool,
}

impl News {
    /// Everything may have.
    pub const ALL: Self = Self {
        messages: true,
        certificates: true,
        claims: true,
        papers: true,
        transfers: true,
        letters: true,
    };

    /// Whether there are any.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !(self.messages
            || self.certificates
            || self.claims
            || self.papers
            || self.transfers
            || self.letters)
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            certificates: self.certificates || other.certificates,
            claims: self.claims || other.claims,
            papers: self.papers || other.papers,
            transfers: self.transfers || other.transfers,
            letters: self.letters || other.letters,
        }
    }
}

/// The right to serve a doctor, which one process has at a time. It ends when
/// this is dropped or an error shows that the store has taken it back; a process
/// that dies, or falls silent, loses it within 45 seconds.
///
/// # Errors
/// [`StoreError`] if it is lost: it is to be taken again, and everything may have
/// changed until then.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Seat: Send + fmt::Debug {
    /// Waits so long for news of changes that were committed; what has come
    /// together is given together.
    fn wait(&mut self, time: Duration) -> Result<News, StoreError>;

    /// The node runs: to be said at least every 20 seconds.
    fn beat(&mut self) -> Result<(), StoreError>;

    /// The node ends: it is not among the nodes any more, and all its sessions
    /// are released.
    fn leave(self: Box<Self>) -> Result<(), StoreError>;
}

/// What the nodes of a clinic tell each other through the store they share.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait NodeStore {
    /// The doctor whose view of the store this is.
    fn doctor(&self) -> &str;

    /// Which database this is, also after it was dumped and restored; and the last
    /// number that was given to a message, 0 for who may not read that.
    fn state(&self) -> Result<([u8; 16], u64), StoreError>;

    /// Takes her seat for the node of this process, which has begun then and holds
    /// these sessions, and hears of changes from now on. What was claimed for
    /// others in her name is released.
    ///
    /// # Errors
    /// [`StoreFault::SeatTaken`](super::StoreFault::SeatTaken) if another process
    /// has it and keeps it for 2 seconds.
    fn take_seat(
        &self,
        began: Instant,
        sessions: &[SessionName],
    ) -> Result<Box<dyn Seat>, StoreError>;

    /// Who has her seat now; none if it is free.
    fn seat_holder(&self) -> Result<Option<SeatHolder>, StoreError>;

    /// The nodes, in order of their doctors.
    fn running(&self) -> Result<Vec<NodeRow>, StoreError>;

    /// Says that her node holds a session; none, and nothing is changed, if the
    /// device has a newer one elsewhere. One that bears a time that is still to
    /// come is not newer, nor one of a doctor who has no seat.
    fn claim(&self, claim: &Claim) -> Result<Option<Stamp>, StoreError>;

    /// Says that sessions of her node are over. Those that were claimed since
    /// then for the same devices stay.
    fn release(&self, sessions: &[(Device, SessionName)]) -> Result<(), StoreError>;

    /// Releases what is claimed in her name for other sessions than these, which
    /// her node holds, and was answered more than a minute ago, or at a time that
    /// has not come: what a statement has left that was carried out after its
    /// session was over.
    fn release_others(&self, held: &[SessionName]) -> Result<(), StoreError>;

    /// Those of these sessions of her node that are not claimed: their devices
    /// have others, or none that the store knows of.
    fn unclaimed(&self, claims: &[Claim]) -> Result<Vec<SessionName>, StoreError>;

    /// Who is connected in the clinic, ordered by doctor, patient and device.
    fn present(&self) -> Result<Vec<PresenceRow>, StoreError>;

    /// Those of these devices whose certificates are not active.
    fn stopped(&self, devices: &[Device]) -> Result<Vec<Device>, StoreError>;

    /// What is to be given to these devices: by the message's number, the oldest
    /// first, those for whom it is open and whose number, up to which they have
    /// been given everything, is smaller. None beyond `up_to`, none that has
    /// ended by `now`. However many there are, some 65,000 are given; with the
    /// number up to which these are all.
    fn open_for(
        &self,
        devices: &[(Device, u64)],
        up_to: u64,
        now: Timestamp,
    ) -> Result<OpenUpTo, StoreError>;

    /// The number of the newest message of any patient; 0 if there is none.
    fn newest_incoming(&self) -> Result<u64, StoreError>;

    /// What her patients, and those who are nobody's, have written while they were
    /// connected to other doctors: after the message of this number and up to that
    /// of the other, the oldest first, at most `limit`, each with that doctor's name.
    fn came_elsewhere(
        &self,
        after: u64,
        up_to: u64,
        limit: usize,
    ) -> Result<Vec<(String, IncomingRow)>, StoreError>;

    /// The patients who are other doctors'. Those who are nobody's are everybody's.
    fn others_patients(&self) -> Result<HashSet<String>, StoreError>;

    /// Keeps where her patients reach her, signed by her.
    fn put_roster_entry(&self, entry: &[u8]) -> Result<(), StoreError>;

    /// What she has signed of that. An entry that is too long for one is none.
    fn own_roster_entry(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// What each doctor has signed of that, in order of their names. An entry that
    /// is too long for one is not among them.
    fn roster(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// The tables in which nodes tell each other something that have rows with
    /// names, papers or times that cannot be, and how many. These rows are not
    /// read, or their times are taken for the present.
    fn unfit(&self) -> Result<Vec<(String, u64)>, StoreError>;
}
