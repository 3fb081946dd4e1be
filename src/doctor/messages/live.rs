//! What live sessions were given and have not answered: all that a receipt
//! must be held against. Everything else is in the books.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::protocol::message::MessageId;
use crate::session::receipt;
use crate::session::table::SessionId;

/// The most broadcasts whose receipts are awaited; of an older one they are not
/// taken any more, and it is given again at the next session.
const MAX_BROADCASTS: usize = 256;
/// The same for one session's other messages.
const MAX_RECORDS: usize = 1_024;

/// A message that was given to a session as a record.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The message's number.
    pub number: u64,
    /// DIRECT or PRIVATE.
    pub opcode: u8,
    /// `H(message)`.
    pub hash: [u8; 64],
}

#[derive(Debug)]
struct Broadcast {
    number: u64,
    id: MessageId,
    receipted: receipt::Broadcast,
    count: Arc<Count>,
    /// Who has not answered yet.
    waiting: HashSet<SessionId>,
}

/// An answer to a broadcast that was given to the group.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The message's number.
    pub number: u64,
    /// Where it is to be counted once it is on the disk.
    pub count: Arc<Count>,
}

/// Counts the receipts of a broadcast.
#[derive(Debug)]
pub struct Count {
    given: usize,
    kept: AtomicUsize,
    left: AtomicUsize,
}

impl Count {
    /// One more receipt is on the disk.
    pub fn receipt(&self) -> Progress {
        Progress {
            given: self.given,
            kept: self.kept.fetch_add(1, Ordering::Relaxed) + 1,
            left: self.left.load(Ordering::Relaxed),
        }
    }
}

/// How far a broadcast is among the devices it was given to at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// So many were given it.
    pub given: usize,
    /// The receipts of so many are on the disk.
    pub kept: usize,
    /// So many left before they answered.
    pub left: usize,
}

/// What was given to whom and is not answered.
#[derive(Debug, Default)]
pub struct Live {
    /// By the number in the conference.
    broadcasts: BTreeMap<u64, Broadcast>,
    records: HashMap<SessionId, HashMap<MessageId, Given>>,
}

impl Live {
    /// Notes that a broadcast went to the group.
    pub fn broadcast(
        &mut self,
        number: u64,
        id: MessageId,
        receipted: receipt::Broadcast,
        sessions: impl Iterator<Item = SessionId>,
    ) {
        if self.broadcasts.len() >= MAX_BROADCASTS {
            self.broadcasts.pop_first();
        }
        let waiting: HashSet<_> = sessions.collect();
        let broadcast = Broadcast {
            number,
            id,
            receipted,
            count: Arc::new(Count {
                given: waiting.len(),
                kept: AtomicUsize::new(0),
                left: AtomicUsize::new(0),
            }),
            waiting,
        };
        self.broadcasts.insert(receipted.mid, broadcast);
    }

    /// The broadcast with this number in the conference, if this session was
    /// given it and has not answered: its id, and what its receipt must speak
    /// of.
    #[must_use]
    pub fn broadcast_for(
        &self,
        session: SessionId,
        mid: u64,
    ) -> Option<(MessageId, receipt::Broadcast)> {
        let broadcast = self.broadcasts.get(&mid)?;
        let waits = broadcast.waiting.contains(&session);
        waits.then_some((broadcast.id, broadcast.receipted))
    }

    /// Notes a checked answer. Nothing if none was awaited.
    pub fn broadcast_answered(&mut self, session: SessionId, mid: u64) -> Option<Answered> {
        let broadcast = self.broadcasts.get_mut(&mid)?;
        if !broadcast.waiting.remove(&session) {
            return None;
        }
        let answered = Answered {
            number: broadcast.number,
            count: Arc::clone(&broadcast.count),
        };
        if broadcast.waiting.is_empty() {
            self.broadcasts.remove(&mid);
        }
        Some(answered)
    }

    /// Notes that a message went to a session as a record.
    pub fn record(&mut self, session: SessionId, id: MessageId, given: Given) {
        let records = self.records.entry(session).or_default();
        if records.len() >= MAX_RECORDS {
            let oldest = records.iter().min_by_key(|(_, given)| given.number);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                records.remove(&id);
            }
        }
        records.insert(id, given);
    }

    /// The message with this id, if this session was given it as a record and
    /// has not answered.
    #[must_use]
    pub fn record_for(&self, session: SessionId, id: MessageId) -> Option<Given> {
        self.records.get(&session)?.get(&id).copied()
    }

    /// How many records this session was given and has not answered.
    #[must_use]
    pub fn records_awaited(&self, session: SessionId) -> usize {
        self.records.get(&session).map_or(0, HashMap::len)
    }

    /// Notes a checked answer.
    pub fn record_answered(&mut self, session: SessionId, id: MessageId) {
        if let Some(records) = self.records.get_mut(&session) {
            records.remove(&id);
        }
    }

    /// Forgets a session that is over.
    pub fn gone(&mut self, session: SessionId) {
        self.records.remove(&session);
        self.broadcasts.retain(|_, broadcast| {
            if broadcast.waiting.remove(&session) {
                broadcast.count.left.fetch_add(1, Ordering::Relaxed);
            }
            !broadcast.waiting.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn receipted(mid: u64) -> receipt::Broadcast {
        receipt::Broadcast {
            conference: [0; 16],
            epoch: 1,
            mid,
            frame_hash: [0; 64],
            message_hash: [0; 64],
        }
    }

    const ID: MessageId = MessageId([7; 16]);

    #[test]
    fn a_broadcast_is_forgotten_when_nobody_owes_an_answer() {
        let [one, two] = [1, 2].map(SessionId::for_test);
        let mut live = Live::default();
        for mid in 1..=2 {
            live.broadcast(10 + mid, ID, receipted(mid), [one, two].into_iter());
        }
        assert!(live.broadcast_for(one, 1).is_some());
        let answered = live.broadcast_answered(one, 1).unwrap();
        assert_eq!(answered.number, 11);
        assert!(live.broadcast_answered(one, 1).is_none(), "once");
        assert!(live.broadcast_for(one, 1).is_none());
        live.gone(two);
        let progress = Progress {
            given: 2,
            kept: 1,
            left: 1,
        };
        assert_eq!(answered.count.receipt(), progress);
        assert_eq!(live.broadcasts.len(), 1, "one still owes an answer");
        live.gone(one);
        assert!(live.broadcasts.is_empty() && live.records.is_empty());
    }

    #[test]
    fn whoever_never_answers_fills_no_memory() {
        let session = SessionId::for_test(1);
        let mut live = Live::default();
        for number in 0..2_000_u64 {
            live.broadcast(number, ID, receipted(number), std::iter::once(session));
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let given = Given {
                number,
                opcode: 70,
                hash: [0; 64],
            };
            live.record(session, MessageId(id), given);
        }
        assert_eq!(live.broadcasts.len(), MAX_BROADCASTS);
        assert_eq!(live.records[&session].len(), MAX_RECORDS);
        assert!(live.broadcast_for(session, 1_999).is_some());
        assert!(live.record_for(session, MessageId([0; 16])).is_none());
    }
}
