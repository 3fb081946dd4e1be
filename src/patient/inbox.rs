//! The doctor's messages as a person sees them: each once, with a number.

use std::collections::HashMap;
use std::fmt;

use crate::clock::Timestamp;
use crate::protocol::message::{Message, MessageId};
use crate::session::patient::Delivery;

/// A message in the list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the list, from 1 on.
    pub number: usize,
    /// The message.
    pub message: Message,
    /// How it came.
    pub delivery: Delivery,
    /// When it came, by this device's clock.
    pub received: Timestamp,
    /// When the person confirmed it.
    pub confirmed: Option<Timestamp>,
}

/// What an arriving message is.
#[derive(Debug)]
pub(super) enum Taken {
    /// New.
    New(Entry),
    /// The same that came before: answer it again, do not show it again.
    Again,
    /// Another message under the same id.
    Conflict,
}

/// Why a message cannot be confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfirmError {
    /// There is none with this number.
    NoSuchMessage(usize),
    /// It was confirmed then.
    ConfirmedBefore(Timestamp),
}

impl fmt::Display for ConfirmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchMessage(number) => write!(f, "there is no message {number}"),
            Self::ConfirmedBefore(at) => write!(f, "that message was confirmed on {at} already"),
        }
    }
}

impl std::error::Error for ConfirmError {}

/// All messages of this run of the program.
#[derive(Default, Debug)]
pub(super) struct Inbox {
    entries: Vec<Entry>,
    /// Places in `entries`.
    places: HashMap<MessageId, usize>,
}

impl Inbox {
    pub(super) fn take(&mut self, message: Message, delivery: Delivery, now: Timestamp) -> Taken {
        let known = self.places.get(&message.id());
        if let Some(entry) = known.and_then(|place| self.entries.get(*place)) {
            return if entry.message == message {
                Taken::Again
            } else {
                Taken::Conflict
            };
        }
        self.places.insert(message.id(), self.entries.len());
        let entry = Entry {
            number: self.entries.len() + 1,
            message,
            delivery,
            received: now,
            confirmed: None,
        };
        self.entries.push(entry.clone());
        Taken::New(entry)
    }

    /// Notes that the person confirmed a message. Gives what is signed.
    pub(super) fn confirm(
        &mut self,
        number: usize,
        now: Timestamp,
    ) -> Result<(MessageId, [u8; 64]), ConfirmError> {
        let entry = number
            .checked_sub(1)
            .and_then(|place| self.entries.get_mut(place))
            .ok_or(ConfirmError::NoSuchMessage(number))?;
        match entry.confirmed {
            Some(at) => Err(ConfirmError::ConfirmedBefore(at)),
            None => {
                entry.confirmed = Some(now);
                Ok((entry.message.id(), entry.message.hash()))
            }
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn message(text: &str) -> Message {
        Message::new(text, false, NOW, &mut OsRandom).unwrap()
    }

    #[test]
    fn a_message_is_new_once_and_a_forged_repetition_is_noticed() {
        let mut inbox = Inbox::default();
        let first = message("drink water");
        assert!(matches!(
            inbox.take(first.clone(), Delivery::Broadcast, NOW),
            Taken::New(Entry { number: 1, .. })
        ));
        assert!(matches!(
            inbox.take(first.clone(), Delivery::Missed, NOW),
            Taken::Again
        ));
        let mut bytes = first.encode();
        bytes.push(b'!');
        let other = Message::decode(&bytes).unwrap();
        assert!(matches!(
            inbox.take(other, Delivery::Private, NOW),
            Taken::Conflict
        ));
        assert_eq!(inbox.entries().len(), 1);
    }

    #[test]
    fn a_message_is_confirmed_once_by_its_number() {
        let mut inbox = Inbox::default();
        let first = message("drink water");
        inbox.take(first.clone(), Delivery::Broadcast, NOW);
        for number in [0, 2, usize::MAX] {
            let error = inbox.confirm(number, NOW).unwrap_err();
            assert_eq!(error, ConfirmError::NoSuchMessage(number));
        }
        assert_eq!(inbox.confirm(1, NOW), Ok((first.id(), first.hash())));
        let error = inbox.confirm(1, NOW).unwrap_err();
        assert_eq!(error, ConfirmError::ConfirmedBefore(NOW));
    }
}
