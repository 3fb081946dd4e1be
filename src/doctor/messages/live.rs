//! What live sessions were given and have not answered: all that a receipt
//! must be held against. Everything else is in the books.

use std::collections::{BTreeMap, HashMap, HashSet};

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
    progress: Progress,
    /// Who has not answered yet.
    waiting: HashSet<SessionId>,
}

/// An answer to a broadcast that was given to the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The message's number.
    pub number: u64,
    /// How far the broadcast is with it.
    pub progress: Progress,
}

/// How far a broadcast is among the devices it was given to at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// So many were given it.
    pub given: usize,
    /// So many have answered.
    pub answered: usize,
    /// So many may still answer; the others have left.
    pub awaited: usize,
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
            progress: Progress {
                given: waiting.len(),
                answered: 0,
                awaited: waiting.len(),
            },
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
        broadcast.progress.answered += 1;
        broadcast.progress.awaited = broadcast.waiting.len();
        let answered = Answered {
            number: broadcast.number,
            progress: broadcast.progress,
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
            broadcast.waiting.remove(&session);
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
        let answered = Answered {
            number: 11,
            progress: Progress {
                given: 2,
                answered: 1,
                awaited: 1,
            },
        };
        assert_eq!(live.broadcast_answered(one, 1), Some(answered));
        assert_eq!(live.broadcast_answered(one, 1), None, "once");
        assert!(live.broadcast_for(one, 1).is_none());
        live.gone(two);
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
