//! All that was said, in both directions, in one order.
//!
//! The order is that of the writers' clocks, then of the ids: whoever has the
//! same messages, as doctor and patient have, gets the same history. This
//! device's clock may be wrong, though. The doctor's server lets no message
//! count as later than it came there; here that time is not known, but what the
//! doctor wrote and what came after the receipt for a message is later than it.

use crate::clock::Timestamp;
use crate::patient::damaged::Damaged;
use crate::patient::files::{Files, FilesError};
use crate::patient::inbox::Entry;
use crate::patient::outbox::Written;
use crate::protocol::message::{Boundary, Message};
use crate::session::patient::Delivery;

/// Something in the history.
#[derive(Clone, Debug)]
pub enum Item {
    /// The doctor wrote.
    Received(Entry),
    /// The patient wrote.
    Sent(Written),
    /// Something was said that does not open any more.
    Damaged(Damaged),
    /// A consultation begins, with the message that follows.
    Begins(Timestamp),
    /// The consultation ends, with the message before.
    Ends(Timestamp),
}

impl Item {
    const fn message(&self) -> Option<&Message> {
        match self {
            Self::Received(entry) => Some(&entry.message),
            Self::Sent(written) => Some(&written.message),
            Self::Damaged(_) | Self::Begins(_) | Self::Ends(_) => None,
        }
    }

    /// When it was written; of what does not open, when it came or was kept.
    fn written(&self) -> Timestamp {
        match self {
            Self::Damaged(damaged) => damaged.at,
            other => other.message().map(Message::written).unwrap_or_default(),
        }
    }

    /// Where a consultation can begin or end: never in a broadcast.
    fn boundary(&self) -> Option<Boundary> {
        match self {
            Self::Received(entry) if entry.delivery != Delivery::Private => None,
            other => other.message()?.boundary(),
        }
    }
}

impl Files {
    /// The history of the newest messages, at most `limit` in each direction.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be read.
    pub fn history(&self, limit: usize) -> Result<Vec<Item>, FilesError> {
        let received = self.inbox().newest(limit)?.into_iter();
        let received = received.map(|found| found.map_or_else(Item::Damaged, Item::Received));
        let sent = self.outbox().newest(limit)?.into_iter();
        let sent = sent.map(|found| found.map_or_else(Item::Damaged, Item::Sent));
        let mut items: Vec<Item> = received.chain(sent).collect();
        let answers: Vec<(Timestamp, Timestamp)> = items.iter().filter_map(answer).collect();
        items.sort_by_cached_key(|item| {
            let id = item.message().map(|message| message.id().0);
            (place(item, &answers), id)
        });
        Ok(with_consultations(items))
    }
}

/// When a private message of the doctor's came, and when it was written.
fn answer(item: &Item) -> Option<(Timestamp, Timestamp)> {
    match item {
        Item::Received(entry) if entry.delivery == Delivery::Private => {
            Some((entry.received, entry.message.written()))
        }
        _ => None,
    }
}

/// Where something stands: at a time, and whether after (true) or before
/// (false) what was written at that time.
fn place(item: &Item, answers: &[(Timestamp, Timestamp)]) -> (Timestamp, bool) {
    let written = item.written();
    let Item::Sent(Written {
        delivered: Some(delivered),
        ..
    }) = item
    else {
        return (written, true);
    };
    let later = answers.iter().filter(|(came, _)| came > delivered);
    match later.map(|(_, written)| *written).min() {
        Some(next) if next <= written => (next, false),
        _ => (written, true),
    }
}

/// The same with consultations' beginnings and ends.
fn with_consultations(items: Vec<Item>) -> Vec<Item> {
    let mut told = Vec::with_capacity(items.len());
    let mut is_open = false;
    for item in items {
        let at = item.message().map(Message::written).unwrap_or_default();
        let boundary = item.boundary();
        if boundary == Some(Boundary::Opens) && !is_open {
            is_open = true;
            told.push(Item::Begins(at));
        }
        told.push(item);
        if boundary == Some(Boundary::Closes) && is_open {
            is_open = false;
            told.push(Item::Ends(at));
        }
    }
    told
}

/// Whether a consultation is going on at the end of this history.
#[must_use]
pub fn is_in_consultation(items: &[Item]) -> bool {
    let last = items
        .iter()
        .rev()
        .find(|item| matches!(item, Item::Begins(_) | Item::Ends(_)));
    matches!(last, Some(Item::Begins(_)))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::random::OsRandom;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn consultations_begin_and_end_by_word_only() {
        let base = TempDir::new().unwrap();
        let files = Files::create_or_open(base.path(), &"P1@D1".parse().unwrap()).unwrap();
        let outbox = files.outbox();
        let doctor = |boundary, text, written| {
            let message = Message::at_boundary(boundary, text, at(written), &mut OsRandom);
            let taken = files
                .inbox()
                .take(&message.unwrap(), Delivery::Private, at(900));
            taken.unwrap();
        };
        // What the doctor wrote between came late.
        outbox
            .write("it hurts", Some(Boundary::Opens), at(10))
            .unwrap();
        outbox.write("here", None, at(30)).unwrap();
        doctor(Boundary::Opens, "where?", 20);
        assert!(is_in_consultation(&files.history(9).unwrap()));
        doctor(Boundary::Closes, "take two", 40);
        doctor(Boundary::Closes, "bye", 50);
        let history = files.history(9).unwrap();
        assert!(!is_in_consultation(&history));
        let told: Vec<String> = history
            .iter()
            .map(|item| match item {
                Item::Begins(at) => format!("begins {}", at.as_millis()),
                Item::Ends(at) => format!("ends {}", at.as_millis()),
                other => other.message().unwrap().text().to_owned(),
            })
            .collect();
        let expected = [
            "begins 10",
            "it hurts",
            "where?",
            "here",
            "take two",
            "ends 40",
            "bye",
        ];
        assert_eq!(told, expected);
    }
    #[test]
    fn a_fast_clock_does_not_put_ones_words_after_all_of_the_doctors() {
        const HOUR: u64 = 3_600_000;
        let base = TempDir::new().unwrap();
        let files = Files::create_or_open(base.path(), &"P1@D1".parse().unwrap()).unwrap();
        let is_open = || is_in_consultation(&files.history(9).unwrap());
        // The patient's clock is an hour ahead; the times are the doctor's.
        let doctor = |boundary, time| {
            let message = Message::at_boundary(boundary, "x", at(time), &mut OsRandom).unwrap();
            let came = at(HOUR + time + 1);
            let inbox = files.inbox();
            inbox.take(&message, Delivery::Private, came).unwrap();
        };
        let patient = |boundary, time: u64| {
            let outbox = files.outbox();
            let written = outbox.write("y", Some(boundary), at(HOUR + time)).unwrap();
            let came = at(HOUR + time + 2);
            outbox.delivered(written.message.id(), came).unwrap();
        };
        doctor(Boundary::Opens, 10);
        assert!(is_open());
        patient(Boundary::Closes, 20);
        assert!(!is_open());
        doctor(Boundary::Opens, 30);
        assert!(is_open(), "opened again");
        patient(Boundary::Opens, 40);
        doctor(Boundary::Closes, 50);
        assert!(!is_open(), "and ended again");
    }
}
