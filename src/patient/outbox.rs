//! What the person wants the doctor to have: kept until she has it.

use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::record::Receipt;

/// Messages and confirmations on their way.
#[derive(Default, Debug)]
pub(super) struct Outbox {
    messages: Vec<Outgoing>,
    confirmations: Vec<Confirmation>,
}

#[derive(Debug)]
struct Outgoing {
    message: Message,
    /// Whether it was sent in this session.
    sent: bool,
}

/// A confirmation that is to be signed and sent.
#[derive(Clone, Debug)]
pub(super) struct Confirmation {
    /// Of the message.
    pub(super) id: MessageId,
    /// Of the message.
    pub(super) hash: [u8; 64],
    /// When the person confirmed.
    pub(super) at: Timestamp,
    /// When it was sent in this session.
    sent: Option<Instant>,
}

impl Outbox {
    pub(super) fn add_message(&mut self, message: Message) {
        self.messages.push(Outgoing {
            message,
            sent: false,
        });
    }

    pub(super) fn add_confirmation(&mut self, id: MessageId, hash: [u8; 64], at: Timestamp) {
        self.confirmations.push(Confirmation {
            id,
            hash,
            at,
            sent: None,
        });
    }

    /// What is to be sent now; counts as sent from here on.
    pub(super) fn take_unsent(&mut self) -> (Vec<Message>, Vec<Confirmation>) {
        let messages = self.messages.iter_mut().filter(|outgoing| !outgoing.sent);
        let messages = messages
            .map(|outgoing| {
                outgoing.sent = true;
                outgoing.message.clone()
            })
            .collect();
        let confirmations = self
            .confirmations
            .iter_mut()
            .filter(|confirmation| confirmation.sent.is_none())
            .map(|confirmation| {
                confirmation.sent = Some(Instant::now());
                confirmation.clone()
            })
            .collect();
        (messages, confirmations)
    }

    /// The message a receipt speaks of, if it is still on its way.
    pub(super) fn message(&self, receipt: &Receipt) -> Option<&Message> {
        self.messages
            .iter()
            .map(|outgoing| &outgoing.message)
            .find(|message| message.id() == receipt.id)
    }

    /// The doctor's server has this message.
    pub(super) fn delivered(&mut self, id: MessageId) {
        self.messages.retain(|outgoing| outgoing.message.id() != id);
    }

    /// A session is over in which the doctor was last heard at `last_heard`.
    /// What has no receipt is sent again in the next one. Confirmations have
    /// none; but one that was sent more than the idle limit before that instant
    /// has arrived, since otherwise nothing after it would have, and the doctor
    /// would have given up on the connection.
    pub(super) fn session_over(&mut self, last_heard: Instant, idle: Duration) {
        for outgoing in &mut self.messages {
            outgoing.sent = false;
        }
        self.confirmations.retain_mut(|confirmation| {
            let arrived = confirmation
                .sent
                .is_some_and(|sent| last_heard.saturating_duration_since(sent) > idle);
            confirmation.sent = None;
            !arrived
        });
    }

    /// Whether nothing waits: every message has its receipt, every confirmation
    /// is sent.
    pub(super) fn is_settled(&self) -> bool {
        self.messages.is_empty() && self.confirmations.iter().all(|c| c.sent.is_some())
    }

    /// How many messages have no receipt yet.
    pub(super) const fn undelivered(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::random::OsRandom;

    const NOW: Timestamp = Timestamp::from_millis(1);

    #[test]
    fn a_message_is_sent_once_a_session_until_it_is_delivered() {
        let mut outbox = Outbox::default();
        let message = Message::new("hello", false, NOW, &mut OsRandom).unwrap();
        outbox.add_message(message.clone());
        assert!(!outbox.is_settled());
        assert_eq!(outbox.take_unsent().0, slice::from_ref(&message));
        assert!(outbox.take_unsent().0.is_empty());
        outbox.session_over(Instant::now(), Duration::ZERO);
        assert_eq!(outbox.take_unsent().0, slice::from_ref(&message));
        outbox.delivered(message.id());
        outbox.session_over(Instant::now(), Duration::ZERO);
        assert!(outbox.take_unsent().0.is_empty());
        assert!(outbox.is_settled());
    }

    #[test]
    fn a_confirmation_that_may_have_been_lost_is_sent_again() {
        let mut outbox = Outbox::default();
        let idle = Duration::from_secs(45);
        outbox.add_confirmation(MessageId([1; 16]), [2; 64], NOW);
        assert_eq!(outbox.take_unsent().1.len(), 1);
        assert!(outbox.is_settled());
        outbox.session_over(Instant::now(), idle);
        assert_eq!(outbox.take_unsent().1.len(), 1);
        outbox.session_over(Instant::now() + idle * 2, idle);
        assert!(outbox.take_unsent().1.is_empty());
    }
}
