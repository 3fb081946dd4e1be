//! What a record says, as it is sealed: in two parts, each under a key of its own.
//!
//! ```text
//! contact = 1 u8 ‖ name ‖ born ‖ sex ‖ phone ‖ email ‖ address, each LP32
//! rest    = 2 u8 ‖ H32(sealed contact) 32 ‖ notes LP32 ‖ the tags, each LP32
//! old     = 1 u8 ‖ the six texts ‖ notes ‖ the tags, each LP32
//! ```
//!
//! `old` is how earlier versions kept all of it in one piece, in the place of the
//! rest. The rest names the contact part that it was written with: who has the key
//! of the contact part only, to read it, cannot put another in its place.

use super::content::{Content, Field, Personal};
use crate::codec::{DecodeError, Reader};
use crate::kdf::hash32;
use crate::secret::SecretBytes;

const CONTACT: u8 = 1;
const OLD: u8 = 1;
const REST: u8 = 2;

/// Who the patient is and how she is reached.
pub(super) fn encode_contact(content: &Content) -> SecretBytes {
    let texts = Field::CONTACT.iter();
    let texts = texts.filter_map(|field| content.text(*field));
    encode(&[&[CONTACT]], &texts.collect::<Vec<_>>())
}

/// Everything else, beside this sealed contact part.
pub(super) fn encode_rest(content: &Content, contact: &[u8]) -> SecretBytes {
    let mut texts = vec![&content.notes];
    texts.extend(&content.tags);
    encode(&[&[REST], &hash32(&[contact])], &texts)
}

fn encode(front: &[&[u8]], texts: &[&Personal]) -> SecretBytes {
    const PREFIX: usize = 4;
    let len: usize = front.iter().map(|bytes| bytes.len()).sum();
    let texts_len: usize = texts.iter().map(|text| PREFIX + text.as_str().len()).sum();
    // The whole length at once: a vector that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(len + texts_len);
    for part in front {
        bytes.extend_from_slice(part);
    }
    for text in texts {
        let text = text.as_str();
        // Checked content is far shorter than the prefix can say.
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    SecretBytes::new(bytes)
}

/// The inverse of [`encode_contact`]: a content without the rest.
///
/// # Errors
/// [`DecodeError`] if it is something else.
pub(super) fn decode_contact(bytes: &[u8]) -> Result<Content, DecodeError> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, CONTACT)?;
    let content = read_contact(&mut reader)?;
    reader.finish()?;
    Ok(content)
}

/// The inverse of [`encode_rest`]: adds the rest to the content of this sealed
/// contact part.
///
/// # Errors
/// [`DecodeError`] if it is something else, or belongs to another contact part.
pub(super) fn decode_rest(
    bytes: &[u8],
    contact: &[u8],
    mut content: Content,
) -> Result<Content, DecodeError> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, REST)?;
    if reader.take(32)? != hash32(&[contact]) {
        return Err(DecodeError);
    }
    read_rest(&mut reader, &mut content)?;
    Ok(content)
}

/// Whether a record's sealed content is of an earlier version, and complete.
pub(super) fn is_old(bytes: &[u8]) -> bool {
    bytes.first() == Some(&OLD)
}

/// What an earlier version wrote.
///
/// # Errors
/// [`DecodeError`] if it is something else.
pub(super) fn decode_old(bytes: &[u8]) -> Result<Content, DecodeError> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, OLD)?;
    let mut content = read_contact(&mut reader)?;
    read_rest(&mut reader, &mut content)?;
    Ok(content)
}

fn expect(reader: &mut Reader<'_>, format: u8) -> Result<(), DecodeError> {
    match reader.u8()? == format {
        true => Ok(()),
        false => Err(DecodeError),
    }
}

fn read_contact(reader: &mut Reader<'_>) -> Result<Content, DecodeError> {
    let mut content = Content::default();
    for field in Field::CONTACT {
        let text = read_text(reader)?;
        if let Some(place) = content.text_mut(field) {
            *place = text;
        }
    }
    Ok(content)
}

fn read_rest(reader: &mut Reader<'_>, content: &mut Content) -> Result<(), DecodeError> {
    content.notes = read_text(reader)?;
    while reader.clone().finish().is_err() {
        content.tags.push(read_text(reader)?);
    }
    Ok(())
}

fn read_text(reader: &mut Reader<'_>) -> Result<Personal, DecodeError> {
    let text = std::str::from_utf8(reader.lp32()?).map_err(|_| DecodeError)?;
    Ok(text.into())
}

/// As earlier versions wrote it.
#[cfg(test)]
pub(super) fn encode_old(content: &Content) -> SecretBytes {
    let texts = Field::TEXTS.iter();
    let texts = texts.filter_map(|field| content.text(*field));
    encode(&[&[OLD]], &texts.chain(&content.tags).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::ada;
    use super::*;

    const SEALED: &[u8] = b"a sealed contact part";

    fn decode(contact: &[u8], rest: &[u8]) -> Result<Content, DecodeError> {
        decode_rest(rest, SEALED, decode_contact(contact)?)
    }

    #[test]
    fn content_comes_back_from_its_two_parts() {
        for content in [ada(), Content::default()] {
            let (contact, rest) = (encode_contact(&content), encode_rest(&content, SEALED));
            let (contact, rest) = (contact.expose(), rest.expose());
            assert_eq!(decode(contact, rest), Ok(content.clone()));
            for len in 0..contact.len() {
                assert_eq!(decode_contact(&contact[..len]), Err(DecodeError), "{len}");
            }
            for len in 0..rest.len() {
                assert_ne!(decode(contact, &rest[..len]), Ok(content.clone()), "{len}");
            }
            let longer = [contact, &[0; 4]].concat();
            assert_eq!(decode_contact(&longer), Err(DecodeError));
            assert!(!is_old(rest));
        }
    }

    #[test]
    fn the_contact_part_has_no_note_and_no_tag() {
        let contact = encode_contact(&ada());
        let seen = decode_contact(contact.expose()).unwrap();
        let expected = Content {
            notes: "".into(),
            tags: Vec::new(),
            ..ada()
        };
        assert_eq!(seen, expected);
        let other = Content {
            notes: "Something else.".into(),
            tags: vec!["healthy".into()],
            ..ada()
        };
        assert_eq!(encode_contact(&other).expose(), contact.expose());
    }

    #[test]
    fn the_rest_belongs_to_one_contact_part() {
        let rest = encode_rest(&ada(), SEALED);
        let other = decode_rest(rest.expose(), b"another one", Content::default());
        assert_eq!(other, Err(DecodeError));
    }

    #[test]
    fn what_an_earlier_version_wrote_comes_back() {
        for content in [ada(), Content::default()] {
            let old = encode_old(&content);
            assert!(is_old(old.expose()));
            assert_eq!(decode_old(old.expose()), Ok(content.clone()));
            for len in 0..old.expose().len() {
                let cut = decode_old(&old.expose()[..len]);
                assert_ne!(cut, Ok(content.clone()), "{len}");
            }
        }
        // As it was written when this was made.
        let mut kept = vec![1, 0, 0, 0, 3];
        kept.extend(b"Ada");
        kept.extend([0; 4 * 5]);
        kept.extend([0, 0, 0, 4]);
        kept.extend(b"nuts");
        kept.extend([0, 0, 0, 1, b't']);
        let content = Content {
            name: "Ada".into(),
            notes: "nuts".into(),
            tags: vec!["t".into()],
            ..Content::default()
        };
        assert_eq!(decode_old(&kept), Ok(content));
    }

    #[test]
    fn what_is_no_encoding_is_refused() {
        let rest = encode_rest(&ada(), SEALED);
        let mut no_text = encode_contact(&Content::default());
        no_text.expose_mut()[4] = 1;
        for wrong in [&[][..], &[3], no_text.expose(), rest.expose()] {
            assert_eq!(decode_contact(wrong), Err(DecodeError));
            assert_eq!(decode_old(wrong), Err(DecodeError));
        }
    }

    #[test]
    fn encoding_moves_nothing() {
        let (contact, rest) = (encode_contact(&ada()), encode_rest(&ada(), SEALED));
        let len = contact.expose().len() + rest.expose().len();
        assert_eq!(len, 2 + 32 + 9 * 4 + ada().len());
    }
}
