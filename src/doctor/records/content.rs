//! What a patient's record says.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

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
    /// Who the patient is and how she is reached, in the order they are encoded
    /// in. This is what somebody sees who has only the key of the contact part.
    pub const CONTACT: [Self; 6] = [
        Self::Name,
        Self::Born,
        Self::Sex,
        Self::Phone,
        Self::Email,
        Self::Address,
    ];

    /// Those that are one text, in the order they are shown in.
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

    /// All texts and tags.
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::doctor::records) fn ada() -> Content {
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
