//! The group of those who are connected: when it gets a new key, and what is
//! queued to all of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connected, Inner, Member, SessionTable};
use crate::clock::Timestamp;
use crate::group::sender::Sealed;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::Fingerprint;
use crate::protocol::DisconnectReason;
use crate::protocol::message::Message;
use crate::protocol::opcode::GROUP_KEY;
use crate::random::Random;
use crate::secret::SecretBytes;
use crate::session::outbox::{Outbox, Pushed, QueueFull};

/// How long after a rekey the next one comes at the earliest, but for
/// broadcasts that need it and for whoever is alone: whoever joins first gets
/// the key at once, and a crowd costs four rekeys a second.
const REKEY_DELAY: Duration = Duration::from_millis(250);
/// Rekeying, with giving everybody the key, takes at most one part in this many
/// of the time, but for broadcasts that need it.
const REKEY_SHARE: u32 = 20;

/// A broadcast that was queued to all members.
#[derive(Debug)]
pub struct Broadcast {
    /// What was queued; nothing if nobody is connected.
    pub sealed: Option<Sealed>,
    /// To whom; their queues are to be pumped.
    pub recipients: Vec<Connected>,
    /// Whose queues were full; they are no members any more, and their queues
    /// are to be pumped too.
    pub dropped: Vec<Connected>,
}

/// A broadcast that was signed before it is queued.
#[derive(Debug)]
pub struct Prepared {
    sealed: Sealed,
    /// Whose signature it has.
    doctor: Fingerprint,
}

/// What a rekey that was due has changed.
#[derive(Debug, Default)]
pub struct Rekeyed {
    /// Who was queued a group key; their queues are to be pumped.
    pub members: Vec<Arc<Outbox>>,
    /// Whose queues were full, as in [`Broadcast::dropped`].
    pub dropped: Vec<Connected>,
}

impl SessionTable {
    /// Seals and signs a message for those who are connected now, so that nobody
    /// has to wait for the signature when it is queued. Whether it still fits
    /// then is found out by [`SessionTable::broadcast`]. Nothing if nobody is
    /// connected. Gives whose queues were full, too, as in
    /// [`Broadcast::dropped`].
    pub fn prepare(
        &self,
        message: &Message,
        doctor: &DoctorIdentity,
        now: Timestamp,
        instant: Instant,
        random: &mut dyn Random,
    ) -> (Option<Prepared>, Vec<Connected>) {
        let mut inner = self.lock();
        let dropped = inner.rekey(instant, random);
        let draft = match inner.members.is_empty() {
            true => None,
            false => inner.group.draft(message, doctor, now, random),
        };
        drop(inner);
        let prepared = draft.map(|draft| Prepared {
            sealed: draft.sign(doctor, random),
            doctor: doctor.certificate.fingerprint(),
        });
        (prepared, dropped)
    }

    /// Rekeys if the group is dirty, seals the message, and queues it to every
    /// member, all in one step. If nobody is connected no number is taken. What
    /// was prepared is queued as it is, unless somebody has joined or left
    /// since, or another message came first.
    pub fn broadcast(
        &self,
        prepared: Option<Prepared>,
        message: &Message,
        doctor: &DoctorIdentity,
        now: Timestamp,
        instant: Instant,
        random: &mut dyn Random,
    ) -> Broadcast {
        let mut inner = self.lock();
        let mut broadcast = Broadcast {
            sealed: None,
            recipients: Vec::new(),
            dropped: inner.rekey(instant, random),
        };
        if inner.members.is_empty() {
            return broadcast;
        }
        let signed = doctor.certificate.fingerprint();
        let prepared = prepared.filter(|it| it.doctor == signed && inner.group.accept(&it.sealed));
        let sealed = match prepared {
            Some(prepared) => Some(prepared.sealed),
            None => inner.group.seal(message, doctor, now, random),
        };
        let Some(sealed) = sealed else {
            return broadcast;
        };
        let frame = Arc::new(sealed.frame.clone());
        let (mut recipients, mut full) = (Vec::new(), Vec::new());
        for member in inner.members.values() {
            match member.outbox.push_shared(&frame) {
                Ok(Pushed::Queued) => recipients.push(member.connected()),
                Ok(Pushed::Over) => {}
                Err(QueueFull) => full.push(member.connected()),
            }
        }
        inner.drop_full(&full, instant);
        broadcast.sealed = Some(sealed);
        broadcast.recipients = recipients;
        broadcast.dropped.extend(full);
        broadcast
    }

    /// Rekeys the group if it is dirty and the last rekey is long enough ago.
    pub fn rekey_if_due(&self, instant: Instant, random: &mut dyn Random) -> Rekeyed {
        let mut inner = self.lock();
        if !inner.rekey_is_due(instant) {
            return Rekeyed::default();
        }
        let dropped = inner.rekey(instant, random);
        let members = inner.members.values();
        Rekeyed {
            members: members.map(|member| Arc::clone(&member.outbox)).collect(),
            dropped,
        }
    }

    /// Notes how long the last rekey took, until the key was given to everybody.
    pub fn rekey_took(&self, time: Duration) {
        if let Some((_, took)) = &mut self.lock().last_rekey {
            *took = time;
        }
    }
}

impl Inner {
    /// At once if the last rekey is long enough ago. Who has just come gets the
    /// key after what was missed, if that does not take too long.
    fn rekey_is_due(&self, instant: Instant) -> bool {
        let Some(since) = self.dirty_since else {
            return false;
        };
        let is_alone = self.members.len() == 1;
        let is_over = |begun, time| instant.saturating_duration_since(begun) >= time;
        let is_affordable = is_alone
            || self.last_rekey.is_none_or(|(at, took)| {
                is_over(at, REKEY_DELAY.max(took.saturating_mul(REKEY_SHARE)))
            });
        let is_time =
            || is_over(since, REKEY_DELAY) || self.members.values().all(|member| member.is_served);
        is_affordable && is_time()
    }

    /// Rekeys until every member has room for the key: whoever has not is
    /// dropped, which is a change again. Gives those.
    fn rekey(&mut self, instant: Instant, random: &mut dyn Random) -> Vec<Connected> {
        let mut dropped = Vec::new();
        if !self.group.is_dirty() || self.members.is_empty() {
            return dropped;
        }
        let begun = Instant::now();
        while self.group.is_dirty() && !self.members.is_empty() {
            let contributions = self
                .members
                .iter()
                .map(|(device, member)| (*device, &member.contribution))
                .collect();
            let record = self.group.rekey(contributions, random);
            let full: Vec<Connected> = self
                .members
                .values()
                .filter(|member| {
                    let body = SecretBytes::copy_of(record.expose());
                    member.outbox.push_record(GROUP_KEY, body).is_err()
                })
                .map(Member::connected)
                .collect();
            self.drop_full(&full, instant);
            dropped.extend(full);
        }
        self.dirty_since = None;
        self.last_rekey = Some((instant, begun.elapsed()));
        dropped
    }

    fn drop_full(&mut self, members: &[Connected], instant: Instant) {
        for member in members {
            let device = member.certificate.fingerprint();
            self.remove(&device, DisconnectReason::QueueFull, instant);
        }
    }
}
