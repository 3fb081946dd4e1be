//! Padding to a few lengths, so that a sealed message's length tells little:
//!
//! `message ‖ 0x80 ‖ 0x00 ..`, up to the least of 256, 512, 1,024, .. 65,536
//! bytes that holds the message and one byte more.

use crate::secret::SecretBytes;

/// The least and the largest padded length, in bytes.
const MIN_BUCKET: usize = 256;
const MAX_BUCKET: usize = 65_536;

/// Stands where the message ends.
const MARKER: u8 = 0x80;

/// The longest message that can be padded, in bytes.
pub const MAX_MESSAGE: usize = MAX_BUCKET - 1;

/// The padded length of a message of `message_len` bytes.
///
/// # Panics
/// If that exceeds [`MAX_MESSAGE`].
pub fn padded_len(message_len: usize) -> usize {
    assert!(
        message_len <= MAX_MESSAGE,
        "{message_len} bytes cannot be sealed, only {MAX_MESSAGE}"
    );
    (message_len + 1).next_power_of_two().max(MIN_BUCKET)
}

/// The message, padded.
///
/// # Panics
/// If `message` is longer than [`MAX_MESSAGE`].
pub fn pad(message: &[u8]) -> SecretBytes {
    let mut padded = SecretBytes::new(vec![0; padded_len(message.len())]);
    let (front, tail) = padded.expose_mut().split_at_mut(message.len());
    front.copy_from_slice(message);
    tail[0] = MARKER;
    padded
}

/// The length of the message in front of the padding, or nothing if this is
/// not exactly what [`pad`] makes of that message.
///
/// Takes time that depends on the padding: to be called only for what has been
/// authenticated.
pub fn message_len(padded: &[u8]) -> Option<usize> {
    let end = padded.iter().rposition(|&byte| byte != 0)?;
    (padded[end] == MARKER && end <= MAX_MESSAGE && padded.len() == padded_len(end)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_change_at_the_boundaries() {
        for (message_len, padded) in [
            (0, 256),
            (1, 256),
            (255, 256),
            (256, 512),
            (511, 512),
            (512, 1024),
            (32_767, 32_768),
            (32_768, 65_536),
            (65_535, 65_536),
        ] {
            assert_eq!(padded_len(message_len), padded);
            assert_eq!(pad(&vec![1; message_len]).expose().len(), padded);
        }
    }

    #[test]
    fn every_length_is_found_again() {
        for len in 0..2_000 {
            // Messages that end like padding are the hard ones.
            for end in [&[0x80][..], &[0x80, 0], &[0], &[0xff]] {
                let mut message = vec![0x80; len];
                message.extend_from_slice(end);
                let padded = pad(&message);
                assert_eq!(message_len(padded.expose()), Some(message.len()));
                assert!(padded.expose().starts_with(&message));
            }
        }
    }

    #[test]
    fn a_message_of_one_bucket_is_no_padding_of_another() {
        let mut padded = pad(&[1; 200]).expose().to_vec();
        padded.resize(512, 0);
        assert_eq!(message_len(&padded), None);
    }

    #[test]
    #[should_panic(expected = "65536 bytes cannot be sealed")]
    fn a_message_too_long_is_a_bug() {
        padded_len(65_536);
    }
}
