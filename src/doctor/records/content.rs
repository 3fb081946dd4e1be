//! What a patient's record says.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::codec::{DecodeError, Reader};
use crate::secret::SecretBytes;

/// The number in front of an encoded record.
const FORMAT: u8 = 1;

/// A text about a patient: wiped on drop, never in debug output.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Default, Zeroize, ZeroizeOnDrop, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Personal {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Personal {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(..)")
    }
}

/// A part of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The patient's name.
    Name,
    /// The date of birth.
    Born,
    /// The sex.
    Sex,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
    /// A postal address.
    Address,
    /// Free notes.
    Notes,
    /// Short words to find and choose patients by.
    Tags,
}

impl Field {
    /// Those that are one text, in the order they are shown and encoded in.
    pub const TEXTS: [Self; 7] = [
        Self::Name,
        Self::Born,
        Self::Sex,
        Self::Phone,
        Self::Email,
        Self::Address,
        Self::Notes,
    ];

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Born,
        Self::Sex,
        Self::Phone,
        Self::Email,
        Self::Address,
        Self::Notes,
        Self::Tags,
    ];

    /// What it is called: in options, in JSON and in the audit log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Born => "born",
            Self::Sex => "sex",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Address => "address",
            Self::Notes => "notes",
            Self::Tags => "tags",
        }
    }

    /// The field that is called this.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.word() == word)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a record says. A text that is empty is not known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// The patient's name.
    pub name: Personal,
    /// The date of birth, such as `1980-02-29`.
    pub born: Personal,
    /// `female`, `male`, `other` or `unknown`.
    pub sex: Personal,
    /// A phone number.
    pub phone: Personal,
    /// An e-mail address.
    pub email: Personal,
    /// A postal address, of several lines perhaps.
    pub address: Personal,
    /// Free notes.
    pub notes: Personal,
    /// Short words.
    pub tags: Vec<Personal>,
}

impl Content {
    /// One of the texts; the tags are none.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&Personal> {
        Some(match field {
            Field::Name => &self.name,
            Field::Born => &self.born,
            Field::Sex => &self.sex,
            Field::Phone => &self.phone,
            Field::Email => &self.email,
            Field::Address => &self.address,
            Field::Notes => &self.notes,
            Field::Tags => return None,
        })
    }

    /// The same, to be written to.
    pub(super) fn text_mut(&mut self, field: Field) -> Option<&mut Personal> {
        Some(match field {
            Field::Name => &mut self.name,
            Field::Born => &mut self.born,
            Field::Sex => &mut self.sex,
            Field::Phone => &mut self.phone,
            Field::Email => &mut self.email,
            Field::Address => &mut self.address,
            Field::Notes => &mut self.notes,
            Field::Tags => return None,
        })
    }

    /// All texts and tags, in the order they are encoded in.
    fn parts(&self) -> impl Iterator<Item = &str> {
        let texts = Field::TEXTS.iter().filter_map(|field| self.text(*field));
        texts.chain(&self.tags).map(Personal::as_str)
    }

    /// How many bytes its texts and tags have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts().map(str::len).sum()
    }

    /// Whether it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content as it is sealed: `1 u8 ‖ seven texts, then the tags, each
    /// LP32`.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        const PREFIX: usize = 4;
        let len: usize = self.parts().map(|part| PREFIX + part.len()).sum();
        // The whole length at once: a vector that grows leaves copies behind.
        let mut bytes = Vec::with_capacity(1 + len);
        bytes.push(FORMAT);
        for part in self.parts() {
            // Checked content is far shorter than the prefix can say.
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        SecretBytes::new(bytes)
    }

    /// The inverse of [`Content::encode`].
    ///
    /// # Errors
    /// [`DecodeError`] if it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return Err(DecodeError);
        }
        let mut content = Self::default();
        for field in Field::TEXTS {
            let text = read_text(&mut reader)?;
            if let Some(place) = content.text_mut(field) {
                *place = text;
            }
        }
        while reader.clone().finish().is_err() {
            content.tags.push(read_text(&mut reader)?);
        }
        Ok(content)
    }
}

fn read_text(reader: &mut Reader<'_>) -> Result<Personal, DecodeError> {
    let text = std::str::from_utf8(reader.lp32()?).map_err(|_| DecodeError)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn ada() -> Content {
        Content {
            name: "Ada Lovelace".into(),
            born: "1980-02-29".into(),
            sex: "female".into(),
            phone: "+44 20 123".into(),
            email: "ada@example.org".into(),
            address: "12 St James's Square\nLondon".into(),
            notes: "Allergic to nuts – früher Asthma.".into(),
            tags: vec!["asthma".into(), "nuts".into()],
        }
    }

    #[test]
    fn content_comes_back_from_its_encoding() {
        for content in [ada(), Content::default()] {
            let bytes = content.encode();
            assert_eq!(Content::decode(bytes.expose()).unwrap(), content);
            for len in 0..bytes.expose().len() {
                let cut = Content::decode(&bytes.expose()[..len]);
                assert_ne!(cut, Ok(content.clone()), "{len}");
            }
        }
        assert_eq!(Content::decode(&[2]), Err(DecodeError));
        let mut no_text = Content::default().encode();
        no_text.expose_mut()[4] = 1;
        assert_eq!(Content::decode(no_text.expose()), Err(DecodeError));
    }

    #[test]
    fn encoding_moves_nothing() {
        let bytes = ada().encode();
        assert_eq!(bytes.expose().len(), 1 + 9 * 4 + ada().len());
    }

    #[test]
    fn debug_output_says_nothing_of_the_patient() {
        let shown = format!("{:?}", ada());
        for part in ada().parts() {
            assert!(!shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn every_field_has_a_word_of_its_own() {
        for field in Field::ALL {
            assert_eq!(Field::from_word(field.word()), Some(field));
        }
    }
}
