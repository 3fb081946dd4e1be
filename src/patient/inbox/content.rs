//! What is sealed of a message in the inbox: the message, and through whom it
//! came, if that was not its author.
//!
//! ```text
//! message ‖ [0xff ‖ doctor 32]
//! ```
//!
//! A message ends with its text, in which no byte is 0xff, and nothing that is
//! shorter than its head is a message: so what was kept before there were clinics
//! reads as it did.

use crate::identity::id::Identifier;
use crate::protocol::message::Message;

/// No byte of UTF-8 (RFC 3629, section 3).
const MARK: u8 = 0xff;
/// Bytes of the mark and the name behind it.
const THROUGH: usize = 1 + 32;

/// A message as it is kept.
pub(super) fn encode(message: &Message, through: Option<&Identifier>) -> Vec<u8> {
    let mut content = message.encode();
    if let Some(doctor) = through {
        content.push(MARK);
        content.extend_from_slice(&doctor.to_field());
    }
    content
}

/// Reads it; none if it is damaged.
pub(super) fn decode(content: &[u8]) -> Option<(Message, Option<Identifier>)> {
    through(content).or_else(|| Some((Message::decode(content).ok()?, None)))
}

fn through(content: &[u8]) -> Option<(Message, Option<Identifier>)> {
    let (message, rest) = content.split_at_checked(content.len().checked_sub(THROUGH)?)?;
    let field = rest.strip_prefix(&[MARK])?.first_chunk()?;
    let message = Message::decode(message).ok()?;
    Some((message, Some(Identifier::from_field(field).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::random::Random;

    /// A generator of the worst identifiers there are.
    struct Marks;

    impl Random for Marks {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(MARK);
        }
    }

    #[test]
    fn what_is_kept_comes_back_with_and_without_a_doctor_in_between() {
        let doctor: Identifier = "D2".parse().unwrap();
        let author: Identifier = "D1".parse().unwrap();
        for length in 1..120 {
            let text = "a".repeat(length);
            let message = Message::new(&text, true, Timestamp::from_millis(u64::MAX), &mut Marks);
            let message = message.unwrap();
            for message in [message.clone(), message.by(author.clone())] {
                for through in [None, Some(doctor.clone())] {
                    let kept = encode(&message, through.as_ref());
                    assert_eq!(decode(&kept), Some((message.clone(), through)), "{length}");
                }
            }
        }
        assert_eq!(decode(&[MARK; 90]), None);
        assert_eq!(decode(b""), None);
    }
}
