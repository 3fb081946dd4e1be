//! Identifiers of doctors and patients: the names people type.

use std::fmt;
use std::str::FromStr;

use crate::codec::DecodeError;

/// Longest identifier, in bytes.
pub const MAX_LEN: usize = 32;

/// The name of a doctor or of a patient: 1 to 32 of `A-Z a-z 0-9 . _ -`, not
/// beginning with a dash (so that it is never taken for an option). `.` and
/// `..` are identifiers too: a file name made of one needs something added.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identifier(String);

/// Why a text is no identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentifierError {
    /// Nothing at all.
    Empty,
    /// More than [`MAX_LEN`] bytes.
    TooLong {
        /// How many bytes there are.
        len: usize,
    },
    /// A dash at the front.
    LeadingDash,
    /// A character that is not allowed.
    Character(char),
}

impl fmt::Display for IdentifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an identifier has at least one character"),
            Self::TooLong { len } => write!(
                f,
                "an identifier has at most {MAX_LEN} characters, this one has {len} bytes"
            ),
            Self::LeadingDash => f.write_str("an identifier does not begin with a dash"),
            Self::Character(character) => write!(
                f,
                "{character:?} is not allowed in an identifier, only A-Z a-z 0-9 . _ -"
            ),
        }
    }
}

impl std::error::Error for IdentifierError {}

impl Identifier {
    /// The name in the certificate of a clinic's root.
    #[must_use]
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier as it stands on the wire: its bytes, then only zeros.
    #[must_use]
    pub fn to_field(&self) -> [u8; MAX_LEN] {
        let mut field = [0; MAX_LEN];
        for (to, from) in field.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        field
    }

    /// The inverse of [`Identifier::to_field`]; no other bytes are taken.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes before the first zero are no identifier, or
    /// if something else than zeros follows.
    pub fn from_field(field: &[u8; MAX_LEN]) -> Result<Self, DecodeError> {
        let end = field.iter().position(|&b| b == 0).unwrap_or(MAX_LEN);
        let (front, padding) = field.split_at(end);
        if padding.iter().any(|&b| b != 0) {
            return Err(DecodeError);
        }
        let text = std::str::from_utf8(front).map_err(|_| DecodeError)?;
        text.parse().map_err(|_| DecodeError)
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.starts_with('-') {
            return Err(IdentifierError::LeadingDash);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(character) = text.chars().find(|&c| !allowed(c)) {
            return Err(IdentifierError::Character(character));
        }
        if text.len() > MAX_LEN {
            return Err(IdentifierError::TooLong { len: text.len() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> IdentifierError {
        text.parse::<Identifier>().unwrap_err()
    }

    #[test]
    fn allowed_identifiers_come_back_from_their_field() {
        let longest = "x".repeat(32);
        for text in ["P1", "a", "0", "_", ".", "A.b_c-9", &longest] {
            let id: Identifier = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(Identifier::from_field(&id.to_field()), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        assert_eq!(refused(""), IdentifierError::Empty);
        assert_eq!(refused("-P1"), IdentifierError::LeadingDash);
        assert_eq!(refused("P 1"), IdentifierError::Character(' '));
        assert_eq!(refused("P/1"), IdentifierError::Character('/'));
        assert_eq!(refused("Jürgen"), IdentifierError::Character('ü'));
        assert_eq!(refused("P1\0"), IdentifierError::Character('\0'));
        let long = "x".repeat(33);
        assert_eq!(refused(&long), IdentifierError::TooLong { len: 33 });
    }

    #[test]
    fn a_field_is_decoded_strictly() {
        let decode = |front: &[u8]| {
            let mut field = [0; MAX_LEN];
            field[..front.len()].copy_from_slice(front);
            Identifier::from_field(&field)
        };
        assert!(decode(b"P1").is_ok());
        for wrong in [&b""[..], b"\0P1", b"P1\0x", b"-P1", b"P 1", b"\xff"] {
            assert_eq!(decode(wrong), Err(DecodeError), "{wrong:?}");
        }
    }

    #[test]
    fn the_reason_is_printed_without_control_characters() {
        assert!(!refused("a\x1b[2J").to_string().contains('\x1b'));
    }
}
