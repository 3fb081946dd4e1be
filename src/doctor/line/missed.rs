//! What is from before a session, given a few messages at a time.

use std::sync::Arc;

use super::Line;
use crate::clock::Timestamp;
use crate::doctor::authors::Authors;
use crate::doctor::messages::live::Given;
use crate::doctor::messages::{self, BookError};
use crate::doctor::post::outgoing::{self, opcode_of};
use crate::protocol::message::Message;
use crate::secret::SecretBytes;
use crate::session::outbox::{Pushed, QueueFull};
use crate::store::messages::{Change, Kind, MessageRow, Work};

/// How many messages from before a session are sent ahead of their receipts.
const IN_FLIGHT: usize = 32;

/// How far a session has been given what is from before it, by numbers of
/// messages.
#[derive(Clone, Copy, Debug)]
pub(in crate::doctor) struct Missed {
    /// What was given last.
    pub(in crate::doctor) after: u64,
    /// The last that is to be given.
    pub(in crate::doctor) up_to: u64,
}

impl Line {
    /// Begins to give what is from before this session, the message `newest`
    /// being the last of it.
    pub(in crate::doctor) fn begin_with_missed(&mut self, newest: u64) {
        let store = &self.shared.practice.store;
        let now = self.shared.clock.now();
        if let Err(error) = store.welcome(&self.device, self.peer.as_str(), now) {
            self.cannot_read(&error);
        }
        self.missed.up_to = newest;
        self.send_missed();
    }

    /// Whether it is time to give more of what is from before this session.
    pub(super) fn has_missed(&self) -> bool {
        self.in_flight.len() <= IN_FLIGHT / 2 && self.missed.after < self.missed.up_to
    }

    /// Gives what is open for this device, a few messages at a time, so that
    /// however much it is the queue does not overflow. It ends only when so much is
    /// under way that a receipt must come, or when everything was looked at: what
    /// may not be given keeps nothing back that lies behind it.
    pub(super) fn send_missed(&mut self) {
        let shared = Arc::clone(&self.shared);
        let authors = Authors::new(&shared.practice);
        while self.has_missed() && !self.outbox.is_ending() && self.send_some(&authors) {}
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
    }

    /// Gives some of it; false if that cannot go on.
    fn send_some(&mut self, authors: &Authors<'_>) -> bool {
        let Missed { after, up_to } = self.missed;
        let limit = IN_FLIGHT - self.in_flight.len();
        let now = self.shared.clock.now();
        let store = &self.shared.practice.store;
        let rows = match store.pending(&self.device, after, up_to, now, limit) {
            Ok(rows) => rows,
            Err(error) => {
                self.missed.after = up_to;
                self.cannot_read(&error);
                return false;
            }
        };
        if rows.len() < limit {
            self.missed.after = up_to;
        } else if let Some(last) = rows.last() {
            self.missed.after = last.number;
        }
        for row in &rows {
            match messages::open_with(authors, row) {
                Ok((message, addressees))
                    if !addressees.admits(&message.id(), &self.peer.patient) =>
                {
                    let error = BookError::Addressees(row.number);
                    self.shared.tell_refused(row.number, &error);
                }
                Ok((message, _)) if self.give(row, &message, now) => {}
                // The session is over.
                Ok(_) => return false,
                Err(BookError::Store(error)) => {
                    self.missed.after = up_to;
                    self.cannot_read(&error);
                    return false;
                }
                Err(error) => self.shared.tell_refused(row.number, &error),
            }
        }
        true
    }

    /// Gives one message; false if the session is over, or the queue full.
    fn give(&mut self, row: &MessageRow, message: &Message, now: Timestamp) -> bool {
        let parties = self.end.parties();
        let sign = || {
            let signing = &self.shared.identity().signing;
            let (_, body) = outgoing::record(row.kind, message, signing, parties);
            body
        };
        let body = match row.kind {
            Kind::Broadcast => {
                let slot = self
                    .shared
                    .signed()
                    .slot(row.number, message.id(), &parties.doctor);
                slot.get_or_init(sign).clone()
            }
            Kind::Chosen | Kind::Private => sign(),
        };
        let given = Given {
            number: row.number,
            opcode: opcode_of(row.kind),
            hash: message.hash(),
        };
        // Held so that "delivered" is written after "sent".
        let mut live = self.shared.live();
        let body = SecretBytes::new(body);
        match self.outbox.push_record(given.opcode, body) {
            Ok(Pushed::Queued) => {}
            Ok(Pushed::Over) => return false,
            Err(QueueFull) => {
                drop(live);
                self.drop_stalled();
                return false;
            }
        }
        live.record(self.id, message.id(), given);
        self.in_flight.insert(message.id());
        let work = Work::Sent {
            message: row.number,
            devices: vec![self.device],
            at: now,
        };
        // That it cannot be written is told by the ledger.
        self.shared.ledger.write(Change::unlogged(work), |_| {});
        true
    }
}
