//! All that was said, in both directions, in one order: that of the doctor's
//! clock. Her messages stand where she wrote them; the patient's where they came
//! at her server, which says so in its receipts. So both sides have the same
//! history, whatever this device's clock says. What has not arrived comes last.

use crate::clock::Timestamp;
use crate::patient::damaged::Damaged;
use crate::patient::files::{Files, FilesError};
use crate::patient::inbox::Entry;
use crate::patient::outbox::Written;
use crate::protocol::message::{Boundary, Message, MessageId, Place};
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

    /// Where it stands: what has no place yet comes after all that has one, in
    /// the order in which it was written. Of what does not open the message's own
    /// time is not known.
    fn place(&self) -> (Option<u64>, Option<Place>) {
        match self {
            Self::Received(entry) => {
                let message = &entry.message;
                (None, Some(message.place(message.written())))
            }
            Self::Sent(written) => match written.placed {
                Some(at) => (None, Some(written.message.place(at))),
                None => (Some(written.number), None),
            },
            Self::Damaged(damaged) => match damaged.placed {
                Some(at) => {
                    let (written, id) = (damaged.at, MessageId([0; 16]));
                    (None, Some(Place { at, written, id }))
                }
                None => (Some(damaged.number), None),
            },
            Self::Begins(_) | Self::Ends(_) => (None, None),
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
        items.sort_by_cached_key(Item::place);
        Ok(with_consultations(items))
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

    fn files(base: &TempDir) -> Files {
        Files::create_or_open(base.path(), &"P1@D1".parse().unwrap()).unwrap()
    }

    fn told(files: &Files) -> Vec<String> {
        let history = files.history(9).unwrap();
        let told = history.iter().map(|item| match item {
            Item::Begins(at) => format!("begins {}", at.as_millis()),
            Item::Ends(at) => format!("ends {}", at.as_millis()),
            Item::Damaged(damaged) => format!("damaged {}", damaged.number),
            other => other.message().unwrap().text().to_owned(),
        });
        told.collect()
    }

    /// The doctor writes at a time of her clock.
    fn doctor(files: &Files, boundary: Option<Boundary>, text: &str, written: u64) {
        let message = match boundary {
            Some(boundary) => Message::at_boundary(boundary, text, at(written), &mut OsRandom),
            None => Message::new(text, false, at(written), &mut OsRandom),
        };
        let (inbox, doctor) = (files.inbox(), "D1".parse().unwrap());
        let taken = inbox.take(&message.unwrap(), Delivery::Private, &doctor, at(900));
        taken.unwrap();
    }

    /// The patient writes at a time of this clock, and it comes at one of the
    /// doctor's, if it does.
    fn patient(files: &Files, boundary: Option<Boundary>, text: &str, times: (u64, Option<u64>)) {
        let written = files.outbox().write(text, boundary, at(times.0)).unwrap();
        if let Some(placed) = times.1 {
            let id = written.message.id();
            files.outbox().delivered(id, at(900), at(placed)).unwrap();
        }
    }

    #[test]
    fn consultations_begin_and_end_by_word_only() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let (opens, closes) = (Some(Boundary::Opens), Some(Boundary::Closes));
        patient(&files, opens, "it hurts", (10, Some(11)));
        patient(&files, None, "here", (30, Some(31)));
        // What the doctor wrote between came late.
        doctor(&files, opens, "where?", 20);
        assert!(is_in_consultation(&files.history(9).unwrap()));
        doctor(&files, closes, "take two", 40);
        doctor(&files, closes, "bye", 50);
        assert!(!is_in_consultation(&files.history(9).unwrap()));
        let expected = [
            "begins 10",
            "it hurts",
            "where?",
            "here",
            "take two",
            "ends 40",
            "bye",
        ];
        assert_eq!(told(&files), expected);
    }

    #[test]
    fn the_order_is_that_of_the_doctors_clock_and_what_has_not_arrived_comes_last() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        // This clock is ahead, then behind.
        patient(&files, None, "waits", (1, None));
        patient(&files, None, "second", (9_000, Some(20)));
        patient(&files, None, "waits, too", (0, None));
        doctor(&files, None, "third", 30);
        patient(&files, None, "damaged", (2, Some(40)));
        doctor(&files, None, "first", 10);
        // At the same moment: in the order in which they were written.
        patient(&files, None, "sixth", (4, Some(50)));
        patient(&files, None, "fifth", (3, Some(50)));
        crate::patient::damaged::flip_a_bit(&base, "outgoing", 4);
        let expected = [
            "first",
            "second",
            "third",
            "damaged 4",
            "fifth",
            "sixth",
            "waits",
            "waits, too",
        ];
        assert_eq!(told(&files), expected);
    }

    #[test]
    fn a_wrong_clock_does_not_keep_a_consultation_open_or_closed() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let is_open = || is_in_consultation(&files.history(9).unwrap());
        let (opens, closes) = (Some(Boundary::Opens), Some(Boundary::Closes));
        doctor(&files, opens, "x", 10);
        assert!(is_open());
        // Behind.
        patient(&files, closes, "y", (0, Some(20)));
        assert!(!is_open());
        doctor(&files, opens, "x", 30);
        assert!(is_open(), "opened again");
        // Ahead.
        patient(&files, opens, "y", (9_000, Some(40)));
        doctor(&files, closes, "x", 50);
        assert!(!is_open(), "and ended again");
    }
}
