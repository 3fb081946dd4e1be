//! Who is connected: the map of sessions with their keys, the group computed
//! from them, and the tokens that resume them, all behind one lock.
//!
//! Everything that must happen at once (a member comes or goes, a new group
//! key, a broadcast and its queueing) happens under that lock. Nothing that can
//! wait for a socket or a disk does.

mod group;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::group::sender::Sender;
use crate::handshake::doctor::Established;
use crate::handshake::registry::Resumable;
use crate::handshake::resume::token_lifetime;
use crate::identity::certificate::{Fingerprint, VerifiedCertificate};
use crate::kdf::Prk;
use crate::protocol::DisconnectReason;
use crate::protocol::opcode::{HEARTBEAT, SESSION_TOKEN};
use crate::protocol::record::{Heartbeat, SessionToken};
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};
use crate::session::Direction;
use crate::session::channel::Sealer;
use crate::session::outbox::{Outbox, Sink};
use crate::session::tokens::Tokens;
pub use group::{Broadcast, Prepared, Rekeyed};

/// Tells two sessions of one certificate apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct SessionId(u64);

impl SessionId {
    /// Its number: how many began before it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one that begins next.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
impl SessionId {
    /// Any session.
    pub(crate) const fn for_test(number: u64) -> Self {
        Self(number)
    }
}

/// A patient's device with a session.
#[derive(Debug)]
struct Member {
    id: SessionId,
    certificate: VerifiedCertificate,
    /// `gsec`.
    contribution: Secret<32>,
    outbox: Arc<Outbox>,
    /// When its first message was answered.
    answered: Instant,
    since: Timestamp,
    /// When it last got a token.
    token_given: Timestamp,
    /// Whether what it missed is in its queue.
    is_served: bool,
}

/// What others may know of a member.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Which session it is.
    pub id: SessionId,
    /// Whose it is.
    pub certificate: VerifiedCertificate,
    /// Where to queue what it is to be sent.
    pub outbox: Arc<Outbox>,
    /// When it joined.
    pub since: Timestamp,
    /// When it last got a token.
    pub token_given: Timestamp,
}

/// The one table of a server.
#[derive(Debug)]
pub struct SessionTable {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    members: HashMap<Fingerprint, Member>,
    group: Sender,
    /// When the group became dirty; none while it has no members.
    dirty_since: Option<Instant>,
    /// When the group was last rekeyed, and how long that took.
    last_rekey: Option<(Instant, Duration)>,
    tokens: Tokens,
    next_id: u64,
    capacity: usize,
    stopping: bool,
}

/// The server is full or stopping, or the device has begun a newer session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

/// A session that has begun.
#[derive(Debug)]
pub struct Joined {
    /// Which one.
    pub id: SessionId,
    /// Its queue, with `SESSION_TOKEN` as the first record in it.
    pub outbox: Arc<Outbox>,
    /// The queue of an older session of the same certificate, now ending.
    pub superseded: Option<Arc<Outbox>>,
}

impl SessionTable {
    /// An empty table for at most `capacity` members.
    pub fn new(capacity: usize, random: &mut dyn Random) -> Self {
        Self {
            inner: Mutex::new(Inner {
                members: HashMap::new(),
                group: Sender::new(random),
                dirty_since: None,
                last_rekey: None,
                tokens: Tokens::default(),
                next_id: 0,
                capacity,
                stopping: false,
            }),
        }
    }

    /// A panic under the lock may have changed the members without saying so:
    /// the group then counts as dirty, which costs a rekey and no secret.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| {
            let mut inner = poisoned.into_inner();
            inner.changed(Instant::now());
            self.inner.clear_poison();
            inner
        })
    }

    /// Whether one more session is welcome.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    /// Whether the device has a session.
    #[must_use]
    pub fn is_connected(&self, device: &Fingerprint) -> bool {
        self.lock().members.contains_key(device)
    }

    /// Whether a session of this device is welcome: one that it replaces makes
    /// room for it.
    #[must_use]
    pub fn has_room_for(&self, device: &Fingerprint) -> bool {
        self.lock().has_room_for(device)
    }

    /// Begins a session: in one step the member is there, an older session of
    /// the same certificate is superseded, and the token is queued first. Which
    /// one is older is told by when its first message was `answered`: a last
    /// proof that somebody held back on the way does not end the session that
    /// the device has begun since.
    ///
    /// # Errors
    /// [`NoRoom`]: nothing has changed.
    pub fn join(
        &self,
        established: &Established,
        answered: Instant,
        sink: Box<dyn Sink>,
        now: Timestamp,
        instant: Instant,
        random: &mut dyn Random,
    ) -> Result<Joined, NoRoom> {
        let sealer = Sealer::new(&established.session, Direction::DoctorToPatient);
        let contribution = established.session.group_contribution();
        let device = established.certificate.fingerprint();
        let outbox = Arc::new(Outbox::new(sink, sealer, instant));
        let mut inner = self.lock();
        let present = inner.members.get(&device);
        let is_late = present.is_some_and(|member| member.answered > answered);
        if is_late || !inner.has_room_for(&device) {
            return Err(NoRoom);
        }
        let superseded = inner.remove(&device, DisconnectReason::Superseded, instant);
        let token = inner.give_token(established, now, random);
        // The queue is empty: there is room for the first record.
        let _ = outbox.push_record(SESSION_TOKEN, SecretBytes::new(token.encode()));
        let id = SessionId(inner.next_id);
        inner.next_id += 1;
        inner.members.insert(
            device,
            Member {
                id,
                certificate: established.certificate.clone(),
                contribution,
                outbox: Arc::clone(&outbox),
                answered,
                since: now,
                token_given: now,
                is_served: false,
            },
        );
        inner.changed(instant);
        Ok(Joined {
            id,
            outbox,
            superseded,
        })
    }

    /// Goes on with a session under renewed keys. Its share in the group key
    /// counts from the next rekey on. False if the session is over.
    pub fn renew(
        &self,
        id: SessionId,
        established: &Established,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> bool {
        let device = established.certificate.fingerprint();
        let mut inner = self.lock();
        if inner
            .members
            .get(&device)
            .is_none_or(|member| member.id != id)
        {
            return false;
        }
        let token = inner.give_token(established, now, random);
        let Some(member) = inner.members.get_mut(&device) else {
            return false;
        };
        member.contribution = established.session.group_contribution();
        member.token_given = now;
        let sealer = Sealer::new(&established.session, Direction::DoctorToPatient);
        member
            .outbox
            .renew(sealer, SESSION_TOKEN, SecretBytes::new(token.encode()));
        true
    }

    /// What the device missed is in its queue: the group key may follow.
    pub fn served(&self, device: &Fingerprint, id: SessionId) {
        let mut inner = self.lock();
        if let Some(member) = inner.members.get_mut(device)
            && member.id == id
        {
            member.is_served = true;
        }
    }

    /// Ends a session that is over, or that is to be: what its queue holds is
    /// dropped. False if it was over already.
    pub fn leave(&self, device: &Fingerprint, id: SessionId, instant: Instant) -> bool {
        let mut inner = self.lock();
        if inner
            .members
            .get(device)
            .is_none_or(|member| member.id != id)
        {
            return false;
        }
        if let Some(member) = inner.members.remove(device) {
            member.outbox.purge();
        }
        inner.changed(instant);
        true
    }

    /// Ends a session with a reason for the patient; its queue is to be pumped.
    pub fn expel(
        &self,
        device: &Fingerprint,
        id: SessionId,
        reason: DisconnectReason,
        instant: Instant,
    ) -> Option<Arc<Outbox>> {
        let mut inner = self.lock();
        inner.members.get(device).filter(|member| member.id == id)?;
        inner.remove(device, reason, instant)
    }

    /// Ends all sessions with a reason for the patients, and gives them; their
    /// queues are to be pumped. With [`DisconnectReason::ShuttingDown`] nobody is let in after
    /// it.
    pub fn expel_all(&self, reason: DisconnectReason, instant: Instant) -> Vec<Connected> {
        let mut inner = self.lock();
        inner.stopping |= reason == DisconnectReason::ShuttingDown;
        let ended: Vec<Connected> = inner.members.values().map(Member::connected).collect();
        for member in &ended {
            inner.remove(&member.certificate.fingerprint(), reason, instant);
        }
        ended
    }

    /// Takes a certificate's token away: it was frozen or revoked.
    pub fn forget_token(&self, device: &Fingerprint) {
        self.lock().tokens.forget(device);
    }

    /// A copy of a token's key, if the token is known.
    pub fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        self.lock().tokens.key(token)
    }

    /// Removes a token and hands it out: for whoever has proved its key.
    pub fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.lock().tokens.take(token)
    }

    /// The devices that have a token.
    pub fn token_holders(&self) -> Vec<Fingerprint> {
        self.lock().tokens.devices()
    }

    /// Drops tokens that are over.
    pub fn drop_ended_tokens(&self, now: Timestamp) {
        self.lock().tokens.drop_ended(now);
    }

    /// Everyone who is connected.
    #[must_use]
    pub fn connected(&self) -> Vec<Connected> {
        self.lock()
            .members
            .values()
            .map(Member::connected)
            .collect()
    }

    /// Whether this session is not over.
    #[must_use]
    pub fn has(&self, device: &Fingerprint, id: SessionId) -> bool {
        let inner = self.lock();
        inner
            .members
            .get(device)
            .is_some_and(|member| member.id == id)
    }

    /// How many are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().members.len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the group's current epoch; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.lock().group.epoch()
    }

    /// Queues a heartbeat to every member to whom nothing was sent for
    /// `silence`; gives the queues to be pumped.
    pub fn heartbeats(&self, silence: Duration, instant: Instant) -> Vec<Arc<Outbox>> {
        let inner = self.lock();
        let beat = Heartbeat(inner.group.last_mid());
        inner
            .members
            .values()
            .filter(|member| member.outbox.silent_for(instant) >= silence)
            .filter(|member| {
                let body = SecretBytes::new(beat.encode());
                member.outbox.push_record(HEARTBEAT, body).is_ok()
            })
            .map(|member| Arc::clone(&member.outbox))
            .collect()
    }

    /// The number of the last broadcast, 0 for none.
    #[must_use]
    pub fn last_mid(&self) -> u64 {
        self.lock().group.last_mid()
    }
}

impl Member {
    fn connected(&self) -> Connected {
        Connected {
            id: self.id,
            certificate: self.certificate.clone(),
            outbox: Arc::clone(&self.outbox),
            since: self.since,
            token_given: self.token_given,
        }
    }
}

impl Inner {
    fn has_room_for(&self, device: &Fingerprint) -> bool {
        self.has_room() || (!self.stopping && self.members.contains_key(device))
    }

    fn has_room(&self) -> bool {
        !self.stopping && self.members.len() < self.capacity
    }

    /// To be called with every change of the members.
    fn changed(&mut self, instant: Instant) {
        self.group.mark_dirty();
        if self.members.is_empty() {
            self.dirty_since = None;
        } else {
            self.dirty_since.get_or_insert(instant);
        }
    }

    fn remove(
        &mut self,
        device: &Fingerprint,
        reason: DisconnectReason,
        instant: Instant,
    ) -> Option<Arc<Outbox>> {
        let member = self.members.remove(device)?;
        self.changed(instant);
        member
            .outbox
            .end(None, reason, self.group.last_mid(), instant);
        Some(member.outbox)
    }

    fn give_token(
        &mut self,
        established: &Established,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> SessionToken {
        let token = SessionToken {
            token: random::array(random),
            lifetime: token_lifetime(established.full_handshake, now),
            conference: *self.group.conference(),
            at: now,
        };
        self.tokens.give(&token, established);
        token
    }
}
