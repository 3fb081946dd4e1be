//! For whom a message is, by its own word.
//!
//! It is sealed together with the message, so that it holds whatever the rows of a
//! database say that others can write to:
//!
//! ```text
//! content   = addressees ‖ message
//! addressees = 1                        everybody of a broadcast
//!            | 2 ‖ count 2 ‖ mark 8 each   these patients, the marks in order
//!            | 3                        chosen ones, too many to be named
//!            | 4 ‖ LP8(patient)         this one alone
//! mark      = the first 8 bytes of SHA-512(message id ‖ patient)
//! ```

use crate::codec::{DecodeError, Reader, Writer};
use crate::identity::id::Identifier;
use crate::kdf;
use crate::protocol::message::{Message, MessageId};
use crate::store::messages::{Kind, MessageRow};

/// So many chosen patients are named: with the longest text they are sealed in one
/// piece.
const NAMED: usize = 6_000;

/// Stands for a patient among those who were chosen.
type Mark = [u8; 8];

/// For whom a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Addressees {
    /// Everybody of a broadcast.
    All,
    /// These patients; none if they are not named.
    Chosen(Option<Vec<Mark>>),
    /// This patient alone.
    One(Identifier),
}

impl Addressees {
    /// These patients, of this message.
    pub fn chosen<'a>(id: &MessageId, patients: impl Iterator<Item = &'a str>) -> Self {
        let mut marks: Vec<_> = patients.map(|patient| mark(id, patient)).collect();
        marks.sort_unstable();
        marks.dedup();
        Self::Chosen((marks.len() <= NAMED).then_some(marks))
    }

    /// Those whom a row names, where its word is enough.
    pub(super) fn of_row(row: &MessageRow) -> Option<Self> {
        Some(match (row.kind, &row.patient) {
            (Kind::Broadcast, None) => Self::All,
            (Kind::Chosen, None) => Self::Chosen(None),
            (Kind::Private, Some(patient)) => Self::One(patient.parse().ok()?),
            _ => return None,
        })
    }

    /// Whether a row says the same.
    pub(super) fn fits(&self, row: &MessageRow) -> bool {
        match (self, row.kind, &row.patient) {
            (Self::All, Kind::Broadcast, None) | (Self::Chosen(_), Kind::Chosen, None) => true,
            (Self::One(own), Kind::Private, Some(patient)) => own.as_str() == patient,
            _ => false,
        }
    }

    /// Whether this patient, as her certificate calls her, may be given the
    /// message.
    #[must_use]
    pub fn admits(&self, id: &MessageId, patient: &Identifier) -> bool {
        match self {
            Self::All | Self::Chosen(None) => true,
            Self::Chosen(Some(marks)) => marks.binary_search(&mark(id, patient.as_str())).is_ok(),
            Self::One(own) => own == patient,
        }
    }

    /// What is sealed of a message for these.
    #[must_use]
    pub fn content(&self, message: &Message) -> Vec<u8> {
        let writer = match self {
            Self::All => Writer::new().u8(1),
            Self::Chosen(None) => Writer::new().u8(3),
            Self::Chosen(Some(marks)) => {
                let count = u16::try_from(marks.len()).unwrap_or(u16::MAX);
                Writer::new().u8(2).u16(count).bytes(&marks.concat())
            }
            Self::One(patient) => Writer::new().u8(4).lp8(patient.as_str().as_bytes()),
        };
        writer.bytes(&message.encode()).finish()
    }

    /// Takes that apart; the rest is the message.
    ///
    /// # Errors
    /// [`DecodeError`] for another form.
    pub(super) fn decode(content: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut reader = Reader::new(content);
        let addressees = match reader.u8()? {
            1 => Self::All,
            2 => {
                let count = usize::from(reader.u16()?);
                let marks = reader.take(count * size_of::<Mark>())?;
                Self::Chosen(Some(marks.as_chunks().0.to_vec()))
            }
            3 => Self::Chosen(None),
            4 => {
                let patient = str::from_utf8(reader.lp8()?).map_err(|_| DecodeError)?;
                Self::One(patient.parse().map_err(|_| DecodeError)?)
            }
            _ => return Err(DecodeError),
        };
        Ok((addressees, reader.rest()))
    }
}

fn mark(id: &MessageId, patient: &str) -> Mark {
    let [a, b, c, d, e, f, g, h, ..] = kdf::hash(&[&id.0, patient.as_bytes()]);
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::random::OsRandom;
    use crate::vault::MAX_CONTENT;

    fn message(text: &str) -> Message {
        Message::new(text, false, Timestamp::default(), &mut OsRandom).unwrap()
    }

    #[test]
    fn addressees_come_back_and_admit_those_they_name_alone() {
        let message = message("Your test is positive.");
        let id = message.id();
        let [p1, p2, p3] = ["P1", "P2", "P3"].map(|name| name.parse::<Identifier>().unwrap());
        let chosen = Addressees::chosen(&id, ["P2", "P1", "P2"].into_iter());
        let several = Addressees::Chosen(None);
        for (addressees, admitted) in [
            (Addressees::All, [true; 3]),
            (several, [true; 3]),
            (chosen, [true, true, false]),
            (Addressees::One(p2.clone()), [false, true, false]),
        ] {
            let content = addressees.content(&message);
            let (read, rest) = Addressees::decode(&content).unwrap();
            assert_eq!((&read, rest), (&addressees, &message.encode()[..]));
            let admits = [&p1, &p2, &p3].map(|patient| read.admits(&id, patient));
            assert_eq!(admits, admitted, "{addressees:?}");
        }
    }

    #[test]
    fn as_many_as_are_named_fit_with_the_longest_text() {
        let message = message(&"x".repeat(crate::protocol::message::MAX_TEXT_LEN));
        let message = message.by("a".repeat(32).parse().unwrap());
        let names: Vec<_> = (0..=NAMED).map(|number| format!("P{number}")).collect();
        let of = |count| {
            let names = names.iter().take(count).map(String::as_str);
            Addressees::chosen(&message.id(), names)
        };
        let named = of(NAMED);
        assert!(matches!(named, Addressees::Chosen(Some(_))));
        assert!(named.content(&message).len() <= MAX_CONTENT);
        assert_eq!(of(NAMED + 1), Addressees::Chosen(None));
    }

    #[test]
    fn other_forms_are_refused() {
        for content in [
            &[][..],
            &[0],
            &[5, 1],
            &[2, 0],
            &[2, 0, 1, 7],
            &[4, 0],
            &[4, 9, 80],
        ] {
            assert!(Addressees::decode(content).is_err(), "{content:?}");
        }
    }
}
