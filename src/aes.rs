//! Sealing: encrypt, then authenticate, with the length hidden.
//!
//! ```text
//! key    = mac 32 ‖ enc 32 ‖ iv 64
//! padded = message ‖ 0x80 ‖ 0x00 ..        to 256, 512, .. 65,536 bytes
//! IV     = HMAC-SHA-512(iv, counter u64 ‖ 32 fresh random bytes ‖ padded)[..16]
//! sealed = A256CBC-HS512(mac ‖ enc, IV, AD, padded) = IV 16 ‖ ciphertext ‖ tag 32
//! ```
//!
//! The IV depends on the message and the counter as well as on random bytes: a
//! machine that was restored from a snapshot, and draws the same random bytes
//! again, still does not use an IV twice for different messages.

use std::fmt;

use crate::kdf;
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};

pub mod a256cbc_hs512;
mod padding;

use a256cbc_hs512::{IV_LEN, KEY_LEN};

/// The longest message that can be sealed, in bytes.
pub const MAX_SEALED_MESSAGE: usize = padding::MAX_MESSAGE;

/// The length in bytes of what [`SealingKey::seal`] makes of a message of
/// `message_len` bytes. Needed before sealing, by headers that announce the
/// length and are themselves part of the associated data.
///
/// # Panics
/// If `message_len` exceeds [`MAX_SEALED_MESSAGE`].
#[must_use]
pub fn sealed_len(message_len: usize) -> usize {
    a256cbc_hs512::sealed_len(padding::padded_len(message_len))
}

/// A key that seals and opens, for one purpose and one direction. 128 bytes,
/// wiped on drop.
pub struct SealingKey(Secret<128>);

impl SealingKey {
    /// Length of the key in bytes.
    pub const LEN: usize = 128;

    /// Takes 128 uniformly random bytes: mac 32 ‖ enc 32 ‖ iv 64.
    #[must_use]
    pub const fn new(key: Secret<128>) -> Self {
        Self(key)
    }

    /// Pads `message` and seals it together with `ad`, all of whose parts are
    /// authenticated one after the other but not sent. `counter` is the
    /// message's number under this key, or 0 where there is only one.
    ///
    /// The result has [`sealed_len`]`(message.len())` bytes.
    ///
    /// # Panics
    /// If `message` is longer than [`MAX_SEALED_MESSAGE`]: what is sealed is
    /// our own, and bounded before it gets here.
    #[must_use]
    pub fn seal(
        &self,
        counter: u64,
        ad: &[&[u8]],
        message: &[u8],
        random: &mut dyn Random,
    ) -> Vec<u8> {
        let (key, iv_key) = self.parts();
        let padded = padding::pad(message);
        let iv = derive_iv(iv_key, counter, &random::array(random), padded.expose());
        a256cbc_hs512::seal(key, &iv, ad, padded.expose())
    }

    /// Opens what [`seal`](Self::seal) made with the same key and `ad`, and
    /// returns the message without its padding.
    ///
    /// # Errors
    /// [`OpenError`] if anything at all is wrong.
    pub fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let (key, _) = self.parts();
        let mut message = a256cbc_hs512::open(key, ad, sealed)?;
        let len = padding::message_len(message.expose()).ok_or(OpenError)?;
        message.truncate(len);
        Ok(message)
    }

    #[expect(clippy::expect_used, reason = "the key is longer than its first part")]
    fn parts(&self) -> (&[u8; KEY_LEN], &[u8]) {
        self.0
            .expose()
            .split_first_chunk()
            .expect("a sealing key begins with an A256CBC-HS512 key")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

fn derive_iv(key: &[u8], counter: u64, fresh: &[u8; 32], padded: &[u8]) -> [u8; IV_LEN] {
    let mac = kdf::hmac(key, &[&counter.to_be_bytes(), fresh, padded]);
    let mut iv = [0; IV_LEN];
    iv.copy_from_slice(&mac[..IV_LEN]);
    iv
}

/// Sealed bytes cannot be opened. Wrong key, wrong associated data, a changed
/// byte and wrong padding are one and the same, so that nobody can learn from
/// the difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenError;

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be opened")
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    /// A generator that is stuck, as after a snapshot was restored.
    struct Stuck;

    impl Random for Stuck {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn key() -> SealingKey {
        let mut bytes = Secret::zero();
        for (byte, value) in bytes.expose_mut().iter_mut().zip(0..) {
            *byte = value;
        }
        SealingKey::new(bytes)
    }

    fn iv(sealed: &[u8]) -> &[u8] {
        &sealed[..IV_LEN]
    }

    #[test]
    fn what_was_sealed_opens() {
        for len in [0, 1, 254, 255, 256, 511, 512, 16_000, 65_534, 65_535] {
            let message = vec![0x80; len];
            let sealed = key().seal(3, &[b"a", b"d"], &message, &mut OsRandom);
            assert_eq!(sealed.len(), sealed_len(len));
            let opened = key().open(&[b"ad"], &sealed).unwrap();
            assert_eq!(opened.expose(), message, "{len} bytes");
        }
    }

    #[test]
    fn sealing_follows_its_formula() {
        let key = key();
        let sealed = key.seal(5, &[b"ad"], b"message", &mut Stuck);
        let mut padded = [0; 256];
        padded[..8].copy_from_slice(b"message\x80");
        let mac = kdf::hmac(
            &key.0.expose()[64..],
            &[&[0, 0, 0, 0, 0, 0, 0, 5], &[7; 32], &padded],
        );
        assert_eq!(iv(&sealed), &mac[..16]);
        let inner = key.0.expose().first_chunk().unwrap();
        let opened = a256cbc_hs512::open(inner, &[b"ad"], &sealed).unwrap();
        assert_eq!(opened.expose(), padded);
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        let mut sealed = key().seal(0, &[b"ad"], b"message", &mut OsRandom);
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key().open(&[b"ad"], &sealed).unwrap_err(), OpenError);
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(key().open(&[b"ad"], &sealed).is_ok());
    }

    #[test]
    fn other_lengths_are_refused() {
        let mut sealed = key().seal(0, &[b"ad"], b"message", &mut OsRandom);
        for len in 0..sealed.len() {
            assert!(key().open(&[b"ad"], &sealed[..len]).is_err(), "{len} bytes");
            assert!(key().open(&[b"ad"], &sealed[len + 1..]).is_err());
        }
        sealed.push(0);
        assert!(key().open(&[b"ad"], &sealed).is_err());
    }

    #[test]
    fn other_associated_data_is_refused() {
        let sealed = key().seal(0, &[b"ad"], b"message", &mut OsRandom);
        for ad in [&b""[..], b"a", b"aD", b"da", b"ad\0"] {
            assert!(key().open(&[ad], &sealed).is_err());
        }
        assert!(key().open(&[], &sealed).is_err());
    }

    #[test]
    fn bytes_cannot_move_between_associated_data_and_iv() {
        let sealed = key().seal(0, &[b"ad"], b"message", &mut OsRandom);
        let (ad, shifted) = ([b"ad", &sealed[..16]].concat(), &sealed[16..]);
        assert!(key().open(&[&ad], shifted).is_err());
        let grown = [b"ad", &sealed[..]].concat();
        assert!(key().open(&[], &grown).is_err());
    }

    #[test]
    fn every_part_of_the_key_but_the_iv_key_opens() {
        let sealed = key().seal(0, &[], b"message", &mut OsRandom);
        for position in 0..SealingKey::LEN {
            let mut other = key();
            other.0.expose_mut()[position] ^= 1;
            let opened = other.open(&[], &sealed);
            // Another decryption key is noticed by the padding alone.
            assert_eq!(opened.is_ok(), position >= 64, "byte {position}");
        }
    }

    #[test]
    fn wrong_padding_under_a_right_tag_is_the_same_error() {
        let key = key();
        let inner = key.0.expose().first_chunk().unwrap();
        let with_end = |len: usize, end: &[u8]| {
            let mut padded = vec![0; len];
            padded[len - end.len()..].copy_from_slice(end);
            padded
        };
        let wrong = [
            ("nothing", vec![]),
            ("no marker", vec![0; 256]),
            ("another marker", with_end(256, &[0x81])),
            ("another last byte", with_end(256, &[0x80, 0, 1])),
            ("no bucket", with_end(255, &[0x80])),
            ("no bucket", with_end(257, &[0x80])),
            ("no bucket", with_end(768, &[0x80])),
            ("below the least bucket", with_end(128, &[0x80])),
            ("above the largest bucket", with_end(131_072, &[0x80])),
            ("a bucket too large", {
                let mut padded = vec![0; 512];
                padded[255] = 0x80;
                padded
            }),
        ];
        for (what, padded) in wrong {
            let sealed = a256cbc_hs512::seal(inner, &[9; 16], &[b"ad"], &padded);
            let error = key.open(&[b"ad"], &sealed).unwrap_err();
            assert_eq!(error, OpenError, "{what}");
            assert_eq!(error.to_string(), "cannot be opened");
        }
    }

    #[test]
    fn the_same_message_gets_another_iv() {
        let a = key().seal(0, &[], b"message", &mut OsRandom);
        let b = key().seal(0, &[], b"message", &mut OsRandom);
        assert_ne!(iv(&a), iv(&b));
    }

    #[test]
    fn a_stuck_generator_does_not_repeat_the_iv() {
        let first = key().seal(1, &[], b"message", &mut Stuck);
        let other_counter = key().seal(2, &[], b"message", &mut Stuck);
        let other_message = key().seal(1, &[], b"messagf", &mut Stuck);
        assert_ne!(iv(&first), iv(&other_counter));
        assert_ne!(iv(&first), iv(&other_message));
        assert_ne!(iv(&other_counter), iv(&other_message));
    }

    #[test]
    #[should_panic(expected = "65536 bytes cannot be sealed")]
    fn a_message_beyond_the_largest_bucket_is_a_bug() {
        let _ = key().seal(0, &[], &vec![0; MAX_SEALED_MESSAGE + 1], &mut OsRandom);
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", key()), "SealingKey(..)");
    }
}
