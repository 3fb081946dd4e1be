//! One node among several of a clinic, which share a store: what the others have
//! changed is caught up with here.
//!
//! Each session is known with the number of the message up to which it was given
//! everything. Numbers are given in the order of commits, so that what another
//! node has put into the books since then has a larger one.

mod catch_up;
mod held;
mod papers;
mod roster;

pub(super) use catch_up::catch_up;
pub(super) use held::Clinic;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::doctor::dismissal::{self, Dismissed};
use crate::doctor::event::{Departure, Event};
use crate::doctor::joining;
use crate::doctor::seen;
use crate::doctor::setup::SetupError;
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::protocol::DisconnectReason;
use crate::random::OsRandom;
use crate::session::table::SessionId;
use crate::store::nodes::{Claim, News, NodeStore, Seat};
use crate::store::{StoreError, StoreFault};

/// How often it is looked whether the server stops, and whose sessions are over.
const TICK: Duration = Duration::from_millis(250);
/// How often everything is looked at while nothing is heard of changes.
const POLL: Duration = Duration::from_secs(2);
/// The same while changes are heard of.
const LOOK: Duration = Duration::from_secs(30);
/// How often the node says that it runs.
const BEAT: Duration = Duration::from_secs(10);
/// How often it is looked who asks to join.
const ADMIT: Duration = Duration::from_secs(1);
/// How often it is noted how far the database is.
const NOTE: Duration = Duration::from_secs(5 * 60);
/// How long after a failure the next attempt is made, and after a look at everything
/// the next such look.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread of a node among others, which has its doctor's seat. Where a store
/// is one doctor's it ends at once.
pub(super) fn run(shared: &Arc<Shared>, seat: Option<Box<dyn Seat>>) {
    let store = Arc::clone(&shared.practice.store);
    let Some(nodes) = store.nodes() else { return };
    let mut round = Round::new(seat);
    while !shared.is_stopping() && !shared.dismissal.is() {
        round.go(shared, nodes);
    }
    round.note_progress(shared);
    if let Some(seat) = round.seat {
        // What it could not take back is taken back at its next start.
        let _ = seat.leave();
    }
}

/// What the thread remembers from one look to the next.
struct Round {
    began: Instant,
    /// None while it has to be taken again.
    seat: Option<Box<dyn Seat>>,
    seat_at: Instant,
    beat_at: Instant,
    look_at: Instant,
    /// When everything may be looked at again, whoever says that it has changed.
    all_at: Instant,
    /// What was heard of and could not be caught up with.
    owed: News,
    try_at: Instant,
    admit_at: Instant,
    note_at: Instant,
    /// Whether it was told that the database is another than was seen.
    is_other_told: bool,
    /// What was said last of who asks to join.
    told: Vec<String>,
}

impl Round {
    fn new(seat: Option<Box<dyn Seat>>) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            seat,
            seat_at: now,
            beat_at: now + BEAT,
            look_at: now,
            all_at: now,
            owed: News::ALL,
            try_at: now,
            admit_at: now,
            note_at: now + NOTE,
            is_other_told: false,
            told: Vec::new(),
        }
    }

    fn go(&mut self, shared: &Arc<Shared>, nodes: &dyn NodeStore) {
        let now = Instant::now();
        if self.seat.is_none() && now >= self.seat_at {
            self.take_seat(shared, nodes);
        }
        if now >= self.admit_at {
            self.admit_at = now + ADMIT;
            admit_newcomers(shared, &mut self.told);
        }
        let heard = self.seat.as_mut().map(|seat| seat.wait(TICK));
        match heard {
            // Anybody may have it said that everything has changed, and how often.
            Some(Ok(news)) if news == News::ALL => self.look_at = self.look_at.min(self.all_at),
            Some(Ok(news)) => self.owed = self.owed.and(news),
            Some(Err(_)) => self.seat = None,
            None => thread::park_timeout(TICK),
        }
        self.beat();
        let now = Instant::now();
        if now >= self.look_at {
            self.owed = News::ALL;
        }
        if now >= self.try_at && self.catch_up(shared, nodes, now).is_err() {
            // What is wrong is told by whoever needs the store.
            self.try_at = Instant::now() + PAUSE;
        }
    }

    /// Takes the doctor's seat again; if another server of hers has it, this one is
    /// over. While the store is away it is tried again.
    fn take_seat(&mut self, shared: &Shared, nodes: &dyn NodeStore) {
        let claims = shared.clinic.claims();
        let held: Vec<_> = claims.values().map(|claim| claim.session).collect();
        match nodes.take_seat(self.began, &held) {
            Ok(seat) => self.seat = Some(seat),
            Err(error) if matches!(error.fault(), StoreFault::SeatTaken { .. }) => {
                dismissal::dismiss(shared, Dismissed::SeatTaken(error.to_string()));
            }
            Err(_) => {}
        }
        let now = Instant::now();
        self.seat_at = now + POLL;
        self.beat_at = now + BEAT;
        // What happened before it listens.
        self.owed = News::ALL;
    }

    /// Says that the node runs.
    fn beat(&mut self) {
        let now = Instant::now();
        if now < self.beat_at {
            return;
        }
        self.beat_at = now + BEAT;
        if self.seat.as_mut().is_some_and(|seat| seat.beat().is_err()) {
            self.seat = None;
        }
    }

    /// Notes in her own directory how far the database is.
    fn note_progress(&mut self, shared: &Shared) {
        let practice = &shared.practice;
        match seen::note_progress(&practice.directory.path(""), &*practice.store) {
            // That is told by who watches it.
            Ok(()) | Err(SetupError::Store(_)) => {}
            Err(_) if self.is_other_told => {}
            Err(error) => {
                self.is_other_told = true;
                shared.tell(Event::Trouble(error.to_string()));
            }
        }
    }

    fn catch_up(
        &mut self,
        shared: &Arc<Shared>,
        nodes: &dyn NodeStore,
        now: Instant,
    ) -> Result<(), StoreError> {
        let released = release(shared, nodes);
        if self.owed.is_none() {
            return released;
        }
        if self.owed == News::ALL {
            let every = if self.seat.is_some() { LOOK } else { POLL };
            (self.look_at, self.all_at) = (now + every, now + PAUSE);
        }
        let (left, result) = catch_up(shared, self.owed);
        self.owed = left;
        if now >= self.note_at {
            self.note_at = now + NOTE;
            self.note_progress(shared);
        }
        released.and(result)
    }
}

/// Answers who asks to join the clinic, if the root's key is here. What is said
/// of it is said once; `told` is what was said last.
fn admit_newcomers(shared: &Shared, told: &mut Vec<String>) {
    let said = match joining::look(&shared.practice, &mut OsRandom) {
        Ok(looked) => looked.iter().map(ToString::to_string).collect(),
        // That is told, once, by who watches it.
        Err(_) if shared.practice.store.absence().is_some() => return,
        Err(error) => vec![format!("nobody can join the clinic now: {error}")],
    };
    let before = std::mem::replace(told, said);
    for sentence in told.iter().filter(|said| !before.contains(said)) {
        shared.tell(Event::Clinic(sentence.clone()));
    }
}

/// Says of sessions that are over that they are.
fn release(shared: &Shared, nodes: &dyn NodeStore) -> Result<(), StoreError> {
    let ended = shared.clinic.take_ended();
    if ended.is_empty() {
        return Ok(());
    }
    nodes.release(&ended).inspect_err(|_| {
        // Once more when the store is there again.
        shared.clinic.put_back(ended);
    })
}

/// Says that a session is held here, before it is given anything; false if the
/// device has begun a newer one elsewhere. While the store does not answer the
/// session goes on: it is claimed when that is over.
pub(super) fn claim(shared: &Shared, id: SessionId) -> bool {
    let Some(nodes) = shared.practice.store.nodes() else {
        return true;
    };
    let Some(claim) = shared.clinic.claim(id) else {
        return true;
    };
    let is_here = claim_for(shared, nodes, id, &claim).unwrap_or(true);
    if !is_here {
        moved(shared, &claim, id);
    }
    is_here
}

/// Claims a session; false if its device has a newer one elsewhere, or if it is
/// over.
fn claim_for(
    shared: &Shared,
    nodes: &dyn NodeStore,
    id: SessionId,
    claim: &Claim,
) -> Result<bool, StoreError> {
    let stamp = nodes.claim(claim)?;
    if let Some(stamp) = stamp {
        shared.clinic.claimed(id, stamp);
    }
    let is_over = shared.clinic.claim(id).is_none();
    if stamp.is_some() && is_over {
        // It ended meanwhile, and was released before it was claimed.
        shared.clinic.put_back(vec![(claim.device, claim.session)]);
    }
    Ok(stamp.is_some() && !is_over)
}

/// Ends a session whose device has a newer one at another node.
fn moved(shared: &Shared, claim: &Claim, id: SessionId) {
    shared.clinic.left(id);
    shared.live().gone(id);
    let device: Fingerprint = claim.device;
    let sessions = &shared.tables.sessions;
    let members = sessions.connected();
    let member = members.iter().find(|member| member.id == id);
    let reason = DisconnectReason::Superseded;
    if let Some(outbox) = sessions.expel(&device, id, reason, Instant::now()) {
        if let Some(member) = member {
            shared.tell(Event::Left(shared.peer_of(member), Departure::Moved));
        }
        shared.flusher.send([outbox]);
    }
}
