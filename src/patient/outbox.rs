//! What the person wants the doctor to have: kept until her server has it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::patient::damaged::{Damaged, Found};
use crate::patient::files::{Files, FilesError};
use crate::protocol::message::{Boundary, Message, MessageId, TextError};
use crate::protocol::record::Receipt;
use crate::random::OsRandom;
use crate::store::{OutgoingRow, StoreError};
use crate::vault::column;

/// How many messages are sent ahead of their receipts, and how many
/// confirmations, which cost a signature each.
const IN_FLIGHT: usize = 32;
/// How long something counts as on its way. The doctor's server gives no
/// receipt for what it does not know any more: that must not keep the rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message to the doctor.
#[derive(Clone, Debug)]
pub struct Written {
    /// Counts them, from 1 on.
    pub number: u64,
    /// The message.
    pub message: Message,
    /// When it was last given to a connection.
    pub sent: Option<Timestamp>,
    /// When the doctor's server proved that it has it.
    pub delivered: Option<Timestamp>,
    /// Since when it has it, by its own clock.
    pub placed: Option<Timestamp>,
}

impl Written {
    /// The state as a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.delivered, self.sent) {
            (Some(_), _) => "delivered",
            (None, Some(_)) => "sent",
            (None, None) => "queued",
        }
    }
}

/// Why a message is not sent.
#[derive(Debug)]
pub enum WriteError {
    /// It cannot have this text.
    Text(TextError),
    /// It cannot be kept.
    Files(FilesError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "{error}"),
            Self::Files(error) => write!(f, "the message cannot be kept, nothing is sent: {error}"),
        }
    }
}

impl std::error::Error for WriteError {}

/// Messages to the doctor, on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a>(&'a Files);

impl Files {
    /// The messages to the doctor.
    #[must_use]
    pub const fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }
}

impl Outbox<'_> {
    /// Keeps a message to the doctor: from here on it is sent until her server
    /// has it.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is kept or sent then.
    pub fn write(
        &self,
        text: &str,
        boundary: Option<Boundary>,
        now: Timestamp,
    ) -> Result<Written, WriteError> {
        let message = match boundary {
            None => Message::new(text, false, now, &mut OsRandom),
            Some(boundary) => Message::at_boundary(boundary, text, now, &mut OsRandom),
        };
        let message = message.map_err(WriteError::Text)?;
        let id = message.id().0;
        let vault = self.0.vault();
        let row = OutgoingRow {
            number: 0,
            id,
            written: now,
            sealed: vault
                .seal(column::OUTGOING, &id, &message.encode(), &mut OsRandom)
                .map_err(|error| WriteError::Files(StoreError::from(error).into()))?,
            sent: None,
            delivered: None,
            placed: None,
        };
        let number = self.0.store().add_outgoing(&row);
        Ok(Written {
            number: number.map_err(|error| WriteError::Files(error.into()))?,
            message,
            sent: None,
            delivered: None,
            placed: None,
        })
    }

    /// The newest messages, at most `limit`, the oldest of them first.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be read.
    pub fn newest(&self, limit: usize) -> Result<Vec<Found<Written>>, FilesError> {
        Ok(self.open_all(self.0.store().outgoing(limit)?))
    }

    /// The message with this number.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be read.
    pub fn numbered(&self, number: u64) -> Result<Option<Written>, FilesError> {
        let row = self.0.store().outgoing_numbered(number)?;
        Ok(row.map(|row| self.open(row)).transpose()?)
    }

    fn waiting(&self, limit: usize) -> Result<Vec<Found<Written>>, FilesError> {
        Ok(self.open_all(self.0.store().outgoing_waiting(limit)?))
    }

    /// Notes that messages were given to a connection.
    pub(super) fn sent(&self, ids: &[MessageId], now: Timestamp) -> Result<(), FilesError> {
        let ids: Vec<[u8; 16]> = ids.iter().map(|id| id.0).collect();
        Ok(self.0.store().set_sent(&ids, now)?)
    }

    /// Keeps that a message has arrived, and where it stands in the history by
    /// the doctor's clock; says whether that is news.
    pub(super) fn delivered(
        &self,
        id: MessageId,
        now: Timestamp,
        placed: Timestamp,
    ) -> Result<bool, FilesError> {
        Ok(self.0.store().set_delivered(&id.0, now, placed)?)
    }

    fn open_all(&self, rows: Vec<OutgoingRow>) -> Vec<Found<Written>> {
        rows.into_iter().map(|row| self.open(row)).collect()
    }

    fn open(&self, row: OutgoingRow) -> Result<Written, Damaged> {
        let content = self.0.vault().open(column::OUTGOING, &row.id, &row.sealed);
        let message = content
            .ok()
            .and_then(|content| Message::decode(content.expose()).ok())
            .filter(|message| message.id().0 == row.id);
        let message = message.ok_or(Damaged {
            from_doctor: false,
            number: row.number,
            urgent: false,
            at: row.written,
            placed: row.placed,
            shown: true,
        })?;
        Ok(Written {
            number: row.number,
            message,
            sent: row.sent,
            delivered: row.delivered,
            placed: row.placed,
        })
    }
}

/// What was sent in the present session and has no receipt yet: nothing is
/// sent twice in one session.
#[derive(Default, Debug)]
pub(super) struct InFlight {
    messages: HashMap<MessageId, (Message, Instant)>,
    /// With the hash of the confirmed message.
    confirmations: HashMap<MessageId, ([u8; 64], Instant)>,
    /// When the last receipt for a message came.
    receipt_at: Option<Instant>,
    skipped: Skipped,
}

/// What waits and does not open; each is told of once.
#[derive(Default, Debug)]
struct Skipped {
    messages: BTreeMap<u64, Damaged>,
    confirmations: BTreeMap<u64, Damaged>,
    untold: Vec<Damaged>,
}

impl Skipped {
    /// Sorts the damaged ones out of what `waiting` gives. Those that are found
    /// leave room for others, so it is asked again.
    fn skip<T>(
        of: &mut BTreeMap<u64, Damaged>,
        untold: &mut Vec<Damaged>,
        limit: usize,
        waiting: impl Fn(usize) -> Result<Vec<Found<T>>, FilesError>,
    ) -> Result<Vec<T>, FilesError> {
        loop {
            let before = of.len();
            let mut whole = Vec::new();
            for found in waiting(limit + before)? {
                match found {
                    Ok(found) => whole.push(found),
                    Err(damaged) => {
                        if of.insert(damaged.number, damaged.clone()).is_none() {
                            untold.push(damaged);
                        }
                    }
                }
            }
            if of.len() == before {
                return Ok(whole);
            }
        }
    }
}

/// What a receipt speaks of.
#[derive(Debug)]
pub(super) enum Receipted {
    /// A message of ours.
    Message(Message),
    /// Our confirmation of a message with this hash.
    Confirmation([u8; 64]),
}

impl InFlight {
    /// The messages to be sent now; they count as sent from here on.
    pub(super) fn next_messages(&mut self, files: &Files) -> Result<Vec<Message>, FilesError> {
        let free = room(self.messages.values().map(|(_, sent)| *sent));
        if free == 0 {
            return Ok(Vec::new());
        }
        let limit = self.messages.len() + free;
        let Skipped {
            messages, untold, ..
        } = &mut self.skipped;
        let waiting = Skipped::skip(messages, untold, limit, |limit| {
            files.outbox().waiting(limit)
        })?;
        let waiting = waiting.into_iter().map(|written| written.message);
        let next: Vec<Message> = waiting
            .filter(|message| !self.messages.contains_key(&message.id()))
            .take(free)
            .collect();
        let now = Instant::now();
        self.messages
            .extend(next.iter().map(|m| (m.id(), (m.clone(), now))));
        Ok(next)
    }

    /// The confirmations to be signed and sent now: of which message, its hash,
    /// and when the person confirmed it.
    pub(super) fn next_confirmations(
        &mut self,
        files: &Files,
    ) -> Result<Vec<(MessageId, [u8; 64], Timestamp)>, FilesError> {
        let free = room(self.confirmations.values().map(|(_, sent)| *sent));
        if free == 0 {
            return Ok(Vec::new());
        }
        let limit = self.confirmations.len() + free;
        let Skipped {
            confirmations,
            untold,
            ..
        } = &mut self.skipped;
        let waiting = Skipped::skip(confirmations, untold, limit, |limit| {
            files.inbox().unacknowledged(limit)
        })?;
        let next: Vec<_> = waiting
            .into_iter()
            .filter(|(message, _)| !self.confirmations.contains_key(&message.id()))
            .take(free)
            .map(|(message, at)| (message.id(), message.hash(), at))
            .collect();
        let now = Instant::now();
        self.confirmations
            .extend(next.iter().map(|(id, hash, _)| (*id, (*hash, now))));
        Ok(next)
    }

    /// What waits and cannot be sent, since it does not open; each once.
    pub(super) fn take_damaged(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.skipped.untold)
    }

    /// What a receipt speaks of, if it was sent in this session and is still on
    /// its way.
    pub(super) fn receipted(&self, receipt: &Receipt) -> Option<Receipted> {
        let message = self.messages.get(&receipt.id);
        let message = message.map(|(message, _)| Receipted::Message(message.clone()));
        message.or_else(|| {
            let (hash, _) = self.confirmations.get(&receipt.id)?;
            Some(Receipted::Confirmation(*hash))
        })
    }

    /// Whether no receipt is still to be expected.
    pub(super) fn is_quiet(&self) -> bool {
        let messages = self.messages.values().map(|(_, sent)| *sent);
        let confirmations = self.confirmations.values().map(|(_, sent)| *sent);
        room(messages.chain(confirmations)) == IN_FLIGHT
    }

    /// The messages that the doctor's server has not taken for so long, although it
    /// had time for them: no other receipt has come meanwhile. And after what time
    /// there may be others.
    pub(super) fn not_taken(&self, limit: Duration) -> (Vec<MessageId>, Duration) {
        let mut not_taken = Vec::new();
        let mut next = limit;
        for (id, (_, sent)) in &self.messages {
            let since = self.receipt_at.map_or(*sent, |at| at.max(*sent));
            match limit
                .checked_sub(since.elapsed())
                .filter(|left| !left.is_zero())
            {
                None => not_taken.push(*id),
                Some(left) => next = next.min(left),
            }
        }
        (not_taken, next)
    }

    /// The doctor's server has what has this id.
    pub(super) fn arrived(&mut self, id: MessageId) {
        if self.messages.remove(&id).is_some() {
            self.receipt_at = Some(Instant::now());
        }
        self.confirmations.remove(&id);
    }
}

/// How many more may be sent beside those.
fn room(sent: impl Iterator<Item = Instant>) -> usize {
    IN_FLIGHT.saturating_sub(sent.filter(|sent| sent.elapsed() < PATIENCE).count())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::session::patient::Delivery;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn files(base: &TempDir) -> Files {
        let name = "P1@D1".parse().unwrap();
        Files::create_or_open(base.path(), &name).unwrap()
    }

    fn write(files: &Files, text: &str) -> MessageId {
        let written = files.outbox().write(text, None, NOW).unwrap();
        written.message.id()
    }

    fn next(flying: &mut InFlight, files: &Files) -> Vec<MessageId> {
        let messages = flying.next_messages(files).unwrap();
        messages.iter().map(Message::id).collect()
    }

    #[test]
    fn a_message_is_sent_once_a_session_until_it_is_delivered() {
        let base = TempDir::new().unwrap();
        let first = write(&files(&base), "hello");
        // As if by another run of the program.
        let files = files(&base);
        let mut flying = InFlight::default();
        assert_eq!(next(&mut flying, &files), [first]);
        assert_eq!(next(&mut flying, &files), []);
        let mut flying = InFlight::default();
        assert_eq!(next(&mut flying, &files), [first]);
        assert!(files.outbox().delivered(first, NOW, NOW).unwrap());
        assert!(!files.outbox().delivered(first, NOW, NOW).unwrap());
        assert_eq!(next(&mut InFlight::default(), &files), []);
        let newest = files.outbox().newest(9).unwrap();
        assert_eq!(newest[0].as_ref().unwrap().word(), "delivered");
    }

    #[test]
    fn a_damaged_message_is_skipped_and_told_of_and_the_others_are_sent() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let ids: Vec<_> = (0..IN_FLIGHT + 1).map(|_| write(&files, "x")).collect();
        crate::patient::damaged::flip_a_bit(&base, "outgoing", 1);
        let mut flying = InFlight::default();
        assert_eq!(next(&mut flying, &files), ids[1..]);
        let told = flying.take_damaged();
        assert_eq!(told.len(), 1);
        assert!(told[0].to_string().starts_with("your message 1, "));
        files.outbox().delivered(ids[1], NOW, NOW).unwrap();
        flying.arrived(ids[1]);
        assert_eq!(next(&mut flying, &files), []);
        assert_eq!(flying.take_damaged(), []);
    }

    #[test]
    fn a_few_are_in_flight_and_each_receipt_lets_one_more_go() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let ids: Vec<_> = (0..IN_FLIGHT + 2).map(|_| write(&files, "x")).collect();
        let mut flying = InFlight::default();
        assert_eq!(next(&mut flying, &files), ids[..IN_FLIGHT]);
        assert_eq!(next(&mut flying, &files), []);
        files.outbox().delivered(ids[7], NOW, NOW).unwrap();
        flying.arrived(ids[7]);
        assert_eq!(next(&mut flying, &files), ids[IN_FLIGHT..=IN_FLIGHT]);
    }

    #[test]
    fn it_is_quiet_once_everything_has_its_receipt() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let id = write(&files, "x");
        let mut flying = InFlight::default();
        assert!(flying.is_quiet());
        assert_eq!(next(&mut flying, &files), [id]);
        assert!(!flying.is_quiet());
        flying.arrived(id);
        assert!(flying.is_quiet());
    }

    #[test]
    fn a_confirmation_is_sent_once_a_session_until_it_arrived() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let message = Message::new("x", true, NOW, &mut OsRandom).unwrap();
        let (id, hash) = (message.id(), message.hash());
        let inbox = files.inbox();
        let doctor = "D1".parse().unwrap();
        inbox
            .take(&message, Delivery::Private, &doctor, NOW)
            .unwrap();
        inbox.confirm("1", NOW).unwrap();
        for _ in 0..2 {
            let mut flying = InFlight::default();
            let next = flying.next_confirmations(&files).unwrap();
            assert_eq!(next, [(id, hash, NOW)]);
            assert_eq!(flying.next_confirmations(&files).unwrap(), []);
        }
        inbox.confirmation_arrived(id, NOW).unwrap();
        let mut flying = InFlight::default();
        assert_eq!(flying.next_confirmations(&files).unwrap(), []);
    }
}
