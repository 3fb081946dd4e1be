//! What a patient writes and confirms: put into the books, answered, and shown.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Line;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::event::Event;
use crate::doctor::ledger::{LedgerError, Written};
use crate::doctor::messages::{self, BookError, mark_of, open_incoming};
use crate::doctor::unsure::Name;
use crate::protocol::message::Message;
use crate::protocol::opcode;
use crate::protocol::record::Ack;
use crate::session::doctor::SessionError;
use crate::store::messages::{Change, IncomingRow, MessageRow, Outcome, Work};

/// How long somebody who writes too fast is held back at a time.
const PACE: Duration = Duration::from_millis(200);

impl Line {
    /// Only for a message of which this device is a recipient; the first stays.
    /// It is answered once it is on the disk, and each repeat again: until then
    /// the device sends it again at its next session. For what is not there, or
    /// not any more, or is somebody else's, the answer is that it is not there:
    /// or the device would send it again for ever.
    pub(super) fn on_confirmed(&self, ack: Ack) -> Result<(), SessionError> {
        let practice = &self.shared.practice;
        let name = Name::Confirmation(self.device, ack.id);
        let _writing = self.shared.unsure.begin(name);
        let found = practice.store.message_for(&self.device, &ack.id.0);
        let (row, delivery) = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.send(opcode::RECEIPT, self.end.unknown(ack.id).encode());
                return Ok(());
            }
            Err(error) => {
                self.cannot_read(&error);
                return Ok(());
            }
        };
        let Some(hash) = self.hash_of(&row) else {
            return Ok(());
        };
        let at = delivery
            .confirmed
            .unwrap_or_else(|| self.shared.clock.now());
        let mut is_new = false;
        if delivery.confirmed.is_none() {
            if !self.end.proves_confirmation(&ack, &hash) {
                return Err(SessionError::Nonsense);
            }
            let confirmation = match messages::seal_confirmation(practice, &self.device, &ack) {
                Ok(sealed) => sealed,
                Err(error) => {
                    self.cannot_read(&error);
                    return Ok(());
                }
            };
            let work = Work::Confirmed {
                message: row.number,
                device: self.device,
                at,
                confirmation,
            };
            let audit = vec![self.entry(at, Action::Confirmed, ack.id)];
            match self.write(name, at, Change { work, audit }) {
                Ok(outcome) => is_new = outcome == Outcome::New,
                Err(error) => {
                    self.note_unsettled(&error);
                    return Ok(());
                }
            }
        }
        if self.shared.unsure.take(&name) || is_new {
            let peer = self.peer.clone();
            self.shared.tell(Event::Confirmed(peer, row.number));
        }
        let receipt = self.end.receipt_for_confirmation(ack.id, at, &hash);
        self.send(opcode::RECEIPT, receipt.encode());
        Ok(())
    }

    /// The hash of a message that she was given, whoever may write now; none if it
    /// cannot be read.
    fn hash_of(&self, row: &MessageRow) -> Option<[u8; 64]> {
        match messages::read(&self.shared.practice, row) {
            Ok(found) => found.message().map(Message::hash),
            Err(error) => {
                self.cannot_read(&error);
                None
            }
        }
    }

    /// Kept, then answered, then shown. The same message again is answered, and
    /// not shown, unless it was not known that it is kept; another one under its id
    /// is nonsense.
    pub(super) fn on_private(&mut self, message: Message) -> Result<(), SessionError> {
        // Whoever writes faster than anybody reads is held back: her connection
        // waits, nobody else's does, and the disk does not fill with what she
        // sends.
        while !self.shared.tables.may_write(&self.serial) {
            if self.outbox.is_ending() {
                return Ok(());
            }
            thread::sleep(PACE);
        }
        let name = Name::Message(self.device, message.id());
        let _writing = self.shared.unsure.begin(name);
        let Some((outcome, at)) = self.keep(name, &message)? else {
            return Ok(());
        };
        let receipt = self.end.receipt_for(&message, at);
        self.send(opcode::RECEIPT, receipt.encode());
        if self.shared.unsure.take(&name) || outcome == Outcome::New {
            self.shared.tell(Event::Private(self.peer.clone(), message));
        }
        Ok(())
    }

    /// Puts a patient's message into the books, and says since when it is there.
    /// None if that cannot be done now: it is not answered then, and comes again.
    fn keep(
        &self,
        name: Name,
        message: &Message,
    ) -> Result<Option<(Outcome, Timestamp)>, SessionError> {
        let practice = &self.shared.practice;
        for _ in 0..2 {
            let known = practice
                .store
                .incoming_with_id(&self.device, &message.id().0)
                .map_err(BookError::from)
                .and_then(|row| {
                    let open = |row: IncomingRow| {
                        open_incoming(practice, &row).map(|known| (known, row.received))
                    };
                    row.map(open).transpose()
                });
            match known {
                Ok(Some((known, at))) if known == *message => {
                    return Ok(Some((Outcome::Known, at)));
                }
                Ok(Some(_)) => return Err(SessionError::Nonsense),
                Ok(None) => {}
                Err(error) => {
                    self.cannot_read(&error);
                    return Ok(None);
                }
            }
            let received = self.shared.clock.now();
            let sealed = match messages::seal_incoming(practice, &self.device, message) {
                Ok(sealed) => sealed,
                Err(error) => {
                    self.cannot_read(&error);
                    return Ok(None);
                }
            };
            let work = Work::Incoming(IncomingRow {
                number: 0,
                device: self.device,
                patient: self.peer.as_str().to_owned(),
                id: message.id().0,
                boundary: mark_of(message),
                written: message.written(),
                received,
                shown: None,
                sealed,
            });
            let audit = vec![self.entry(received, Action::Received, message.id())];
            match self.write(name, received, Change { work, audit }) {
                Ok(Outcome::New) => return Ok(Some((Outcome::New, received))),
                // An older session of the device was quicker: is it the same?
                Ok(Outcome::Known) => {}
                Err(error) => {
                    self.note_unsettled(&error);
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Puts something into the books under this time and waits until it is there, or
    /// until it is noted that this is not known.
    fn write(&self, name: Name, at: Timestamp, change: Change) -> Written {
        let (shared, peer) = (Arc::clone(&self.shared), self.peer.clone());
        self.shared
            .ledger
            .write_and_wait_with(change, move |written| {
                if written.as_ref().is_err_and(LedgerError::is_unknown) {
                    shared.unsure.note(name, peer, at);
                }
            })
    }
}
