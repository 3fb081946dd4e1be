//! A message as it is sealed: the same bytes however often and in whatever form
//! it is delivered.
//!
//! ```text
//! id 16 ‖ TS 8 (when it was written) ‖ flags 1 ‖ [author 32] ‖ text (UTF-8, 1 to
//! 16,000 bytes)
//! ```
//!
//! Flags: bit 0 urgent; bit 1 opens a consultation, bit 2 closes it: these two
//! only between doctor and one patient, and never both. Bit 3 says that there is
//! an author, in a message from a clinic of several doctors: whichever of them
//! delivers it, it stays the same bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::hex;
use crate::identity::id::Identifier;
use crate::kdf;
use crate::random::{self, Random};

/// The longest text, in bytes of UTF-8.
pub const MAX_TEXT_LEN: usize = 16_000;
/// Bit 0: this is urgent.
const URGENT: u8 = 1;
/// Bit 1: a consultation begins with this.
const OPENS: u8 = 2;
/// Bit 2: the consultation ends with this.
const CLOSES: u8 = 4;
/// Bit 3: the author is named.
const AUTHOR: u8 = 8;

/// Where a message stands among all between doctor and patient, the same on both
/// sides. The order is that of the doctor's clock alone: a patient's message
/// stands where it came, and what came at the same moment in the order in which
/// it was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Place {
    /// When the doctor wrote it or had it, by her clock.
    pub at: Timestamp,
    /// When it was written, by its writer's clock.
    pub written: Timestamp,
    /// Its name.
    pub id: MessageId,
}

/// Names a message, 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// A short name for people, the same on both sides: the first six
    /// hexadecimal digits.
    #[must_use]
    pub fn code(&self) -> String {
        hex::encode(&self.0[..3])
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextError {
    /// There is nothing in it.
    Empty,
    /// It has this many bytes, more than [`MAX_TEXT_LEN`].
    TooLong(usize),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the message is empty; nothing was sent"),
            Self::TooLong(len) => write!(
                f,
                "the message has {len} bytes, {MAX_TEXT_LEN} are allowed; nothing was sent, \
                 shorten it or send it in parts"
            ),
        }
    }
}

impl std::error::Error for TextError {}

/// What a private message is to the consultation that is going on: it begins
/// and ends by word, never because a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// The consultation begins with this message.
    Opens,
    /// The consultation ends with this message.
    Closes,
}

impl Boundary {
    /// The boundary as one lower-case word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opens => "opens",
            Self::Closes => "closes",
        }
    }

    const fn flag(self) -> u8 {
        match self {
            Self::Opens => OPENS,
            Self::Closes => CLOSES,
        }
    }

    fn from_flags(flags: u8) -> Result<Option<Self>, DecodeError> {
        match flags & (OPENS | CLOSES) {
            0 => Ok(None),
            OPENS => Ok(Some(Self::Opens)),
            CLOSES => Ok(Some(Self::Closes)),
            _ => Err(DecodeError),
        }
    }
}

/// A message: broadcast or private.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    id: MessageId,
    written: Timestamp,
    urgent: bool,
    boundary: Option<Boundary>,
    author: Option<Identifier>,
    text: String,
}

impl Message {
    /// A new message with a fresh id.
    ///
    /// # Errors
    /// [`TextError`] if the text is empty or longer than [`MAX_TEXT_LEN`].
    pub fn new(
        text: &str,
        urgent: bool,
        written: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > MAX_TEXT_LEN {
            return Err(TextError::TooLong(text.len()));
        }
        let id = MessageId(random::array(random));
        Ok(Self {
            id,
            written,
            urgent,
            boundary: None,
            author: None,
            text: text.to_owned(),
        })
    }

    /// The same with its author's name.
    #[must_use]
    pub fn by(self, author: Identifier) -> Self {
        let author = Some(author);
        Self { author, ..self }
    }

    /// A new private message with which a consultation begins or ends.
    ///
    /// # Errors
    /// As [`Message::new`].
    pub fn at_boundary(
        boundary: Boundary,
        text: &str,
        written: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, TextError> {
        let message = Self::new(text, false, written, random)?;
        Ok(Self {
            boundary: Some(boundary),
            ..message
        })
    }

    /// Reads a message that came to more than one recipient: it can be no part
    /// of a consultation.
    ///
    /// # Errors
    /// As [`Message::decode`], and for one that opens or closes a consultation.
    pub fn decode_for_several(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = Self::decode(bytes)?;
        match message.boundary {
            None => Ok(message),
            Some(_) => Err(DecodeError),
        }
    }

    /// Reads a message from a patient: her certificate says who she is.
    ///
    /// # Errors
    /// As [`Message::decode`], and for one that names an author.
    pub fn decode_from_patient(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = Self::decode(bytes)?;
        match message.author {
            None => Ok(message),
            Some(_) => Err(DecodeError),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError`] for unknown flags or both of a consultation's, for text
    /// that is empty, too long or not UTF-8.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let id = MessageId(reader.array()?);
        let written = Timestamp::from_millis(reader.u64()?);
        let flags = reader.u8()?;
        let author = match flags & AUTHOR {
            0 => None,
            _ => Some(Identifier::from_field(&reader.array()?)?),
        };
        let text = str::from_utf8(reader.rest()).map_err(|_| DecodeError)?;
        let boundary = Boundary::from_flags(flags)?;
        let known = URGENT | OPENS | CLOSES | AUTHOR;
        if flags & !known != 0 || text.is_empty() || text.len() > MAX_TEXT_LEN {
            return Err(DecodeError);
        }
        Ok(Self {
            id,
            written,
            urgent: flags & URGENT != 0,
            boundary,
            author,
            text: text.to_owned(),
        })
    }

    /// The message as it is sealed and hashed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let author = self.author.as_ref().map(Identifier::to_field);
        Writer::new()
            .bytes(&self.id.0)
            .u64(self.written.as_millis())
            .u8(self.flags())
            .bytes(author.as_ref().map_or(&[][..], |field| &field[..]))
            .bytes(self.text.as_bytes())
            .finish()
    }

    fn flags(&self) -> u8 {
        let urgent = if self.urgent { URGENT } else { 0 };
        let author = if self.author.is_some() { AUTHOR } else { 0 };
        urgent | author | self.boundary.map_or(0, Boundary::flag)
    }

    /// `H(message)`: SHA-512 of its encoding, 64 bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 64] {
        kdf::hash(&[&self.encode()])
    }

    /// Where it stands, if the doctor wrote it or had it then.
    #[must_use]
    pub const fn place(&self, at: Timestamp) -> Place {
        Place {
            at,
            written: self.written,
            id: self.id,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// When it was written, by its writer's clock.
    #[must_use]
    pub const fn written(&self) -> Timestamp {
        self.written
    }

    /// Whether it is an emergency.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// Whether a consultation begins or ends with it.
    #[must_use]
    pub const fn boundary(&self) -> Option<Boundary> {
        self.boundary
    }

    /// Who of a clinic's doctors has written it, if it says so.
    #[must_use]
    pub const fn author(&self) -> Option<&Identifier> {
        self.author.as_ref()
    }

    /// Its text, exactly as it was sent: clean it before a terminal sees it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Shows no text: logs and error reports print with Debug.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.id, self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn a_message_survives_the_wire_and_hides_its_text_from_debug() {
        let now = Timestamp::from_millis(1);
        let message = Message::new("drink water", true, now, &mut OsRandom).unwrap();
        assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        assert!(!format!("{message:?}").contains("water"));
    }

    #[test]
    fn empty_and_over_long_texts_are_refused_in_both_directions() {
        let now = Timestamp::from_millis(1);
        let longest = "ü".repeat(MAX_TEXT_LEN / 2);
        let message = Message::new(&longest, false, now, &mut OsRandom).unwrap();
        let mut bytes = message.encode();
        assert!(Message::decode(&bytes).is_ok());
        bytes.push(b'x');
        assert_eq!(Message::decode(&bytes), Err(DecodeError));
        assert_eq!(Message::decode(&bytes[..25]), Err(DecodeError));
        let longer = longest + "x";
        for (text, error) in [
            ("  ", TextError::Empty),
            (&longer, TextError::TooLong(16_001)),
        ] {
            assert_eq!(Message::new(text, false, now, &mut OsRandom), Err(error));
        }
    }

    #[test]
    fn unknown_flags_and_invalid_utf8_are_refused() {
        let message = Message::new("x", false, Timestamp::default(), &mut OsRandom).unwrap();
        let mut bytes = message.encode();
        for unknown in [16, 64, 128, OPENS | CLOSES, URGENT | OPENS | CLOSES] {
            bytes[24] = unknown;
            assert_eq!(Message::decode(&bytes), Err(DecodeError), "{unknown}");
        }
        bytes[24] = 0;
        bytes[25] = 0xff;
        assert_eq!(Message::decode(&bytes), Err(DecodeError));
    }

    #[test]
    fn an_author_is_named_and_only_by_doctors() {
        let message = Message::new("x", true, Timestamp::default(), &mut OsRandom).unwrap();
        let plain = message.encode();
        let named = message.clone().by("D1".parse().unwrap());
        let bytes = named.encode();
        assert_eq!(bytes.len(), plain.len() + 32);
        let read = Message::decode(&bytes).unwrap();
        assert_eq!(read, named);
        assert_eq!(read.author().unwrap().as_str(), "D1");
        assert_ne!(read.hash(), message.hash());
        assert_eq!(Message::decode_for_several(&bytes), Ok(named));
        assert_eq!(Message::decode_from_patient(&bytes), Err(DecodeError));
        assert_eq!(Message::decode_from_patient(&plain), Ok(message));
        // A name that nobody can have, and none at all.
        let mut wrong = bytes.clone();
        wrong[25] = b' ';
        assert_eq!(Message::decode(&wrong), Err(DecodeError));
        for len in 25..=57 {
            assert_eq!(Message::decode(&bytes[..len]), Err(DecodeError), "{len}");
        }
    }

    #[test]
    fn a_consultation_begins_and_ends_with_a_word_to_one_patient_only() {
        for boundary in [Boundary::Opens, Boundary::Closes] {
            let now = Timestamp::from_millis(1);
            let message = Message::at_boundary(boundary, "x", now, &mut OsRandom).unwrap();
            let bytes = message.encode();
            let read = Message::decode(&bytes).unwrap();
            assert_eq!(read, message);
            assert_eq!(read.boundary(), Some(boundary));
            assert_eq!(Message::decode_for_several(&bytes), Err(DecodeError));
        }
        let message = Message::new("x", true, Timestamp::default(), &mut OsRandom).unwrap();
        assert_eq!(message.boundary(), None);
        assert_eq!(Message::decode_for_several(&message.encode()), Ok(message));
    }
}
