//! A256CBC-HS512: AES-256-CBC with PKCS #7 padding, then HMAC-SHA-512 (RFC
//! 7518, section 5.2.5).
//!
//! ```text
//! key    = mac 32 ‖ enc 32
//! tag    = HMAC-SHA-512(mac, AD ‖ IV ‖ ciphertext ‖ bits of AD u64)[..32]
//! sealed = IV 16 ‖ ciphertext ‖ tag 32
//! ```
//!
//! The bare algorithm, for [`SealingKey`](super::SealingKey) and for what is
//! kept on disk: the IV must be unpredictable and is the caller's care, and the
//! message's length shows.

mod short;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};

use super::OpenError;
use crate::kdf;
use crate::secret::{SecretBytes, ct_eq};

type Encryptor = cbc::Encryptor<::aes::Aes256>;
type Decryptor = cbc::Decryptor<::aes::Aes256>;

/// Length of the whole key in bytes.
pub const KEY_LEN: usize = 64;
/// Length of the IV in bytes.
pub const IV_LEN: usize = 16;
/// Length of the tag in bytes.
pub const TAG_LEN: usize = 32;

/// Length in bytes of the part of the key that authenticates.
const MAC_KEY_LEN: usize = 32;
/// Length of a cipher block in bytes.
const BLOCK_LEN: usize = 16;

/// The length in bytes of a sealed message of `message_len` bytes.
pub(super) const fn sealed_len(message_len: usize) -> usize {
    IV_LEN + ciphertext_len(message_len) + TAG_LEN
}

/// PKCS #7 padding is never empty.
const fn ciphertext_len(message_len: usize) -> usize {
    (message_len / BLOCK_LEN + 1) * BLOCK_LEN
}

/// Seals `message` and authenticates `ad`, all of its parts one after the other.
/// Returns IV ‖ ciphertext ‖ tag.
#[must_use]
#[expect(clippy::expect_used, reason = "all lengths are fixed right here")]
pub fn seal(key: &[u8; KEY_LEN], iv: &[u8; IV_LEN], ad: &[&[u8]], message: &[u8]) -> Vec<u8> {
    let (mac_key, enc_key) = key.split_at(MAC_KEY_LEN);
    let ciphertext_end = IV_LEN + ciphertext_len(message.len());
    // The message is encrypted where it is to lie; at no time does the vector
    // grow and leave a copy of the message behind.
    let mut sealed = Vec::with_capacity(ciphertext_end + TAG_LEN);
    sealed.extend_from_slice(iv);
    sealed.extend_from_slice(message);
    sealed.resize(ciphertext_end, 0);
    Encryptor::new_from_slices(enc_key, iv)
        .expect("key and IV have the cipher's lengths")
        .encrypt_padded::<Pkcs7>(&mut sealed[IV_LEN..], message.len())
        .expect("there is room for the padding");
    let tag = tag(mac_key, ad, &sealed);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens IV ‖ ciphertext ‖ tag. Nothing is decrypted before the tag, compared in
/// constant time, has proved right.
///
/// # Errors
/// [`OpenError`] if anything at all is wrong.
pub fn open(key: &[u8; KEY_LEN], ad: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
    let (mac_key, enc_key) = key.split_at(MAC_KEY_LEN);
    let (iv_and_ciphertext, sent_tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenError)?;
    let (iv, ciphertext) = iv_and_ciphertext
        .split_first_chunk::<IV_LEN>()
        .ok_or(OpenError)?;
    if !ct_eq(&tag(mac_key, ad, iv_and_ciphertext), sent_tag) {
        return Err(OpenError);
    }
    let mut message = SecretBytes::copy_of(ciphertext);
    let len = if ciphertext.len() <= short::MAX_LEN {
        short::decrypt_padded(enc_key, iv, message.expose_mut())?
    } else {
        decrypt_padded(enc_key, iv, message.expose_mut())?
    };
    message.truncate(len);
    Ok(message)
}

/// Decrypts `message` where it lies, and gives its length without the padding.
/// Not inlined: what it has on the stack would lie there for short ones, too.
#[inline(never)]
fn decrypt_padded(key: &[u8], iv: &[u8; IV_LEN], message: &mut [u8]) -> Result<usize, OpenError> {
    let decryptor = Decryptor::new_from_slices(key, iv).map_err(|_| OpenError)?;
    let unpadded = decryptor.decrypt_padded::<Pkcs7>(message);
    Ok(unpadded.map_err(|_| OpenError)?.len())
}

#[inline(never)]
fn tag(mac_key: &[u8], ad: &[&[u8]], iv_and_ciphertext: &[u8]) -> [u8; TAG_LEN] {
    let ad_bits: u64 = ad.iter().map(|part| part.len() as u64 * 8).sum();
    let ad_bits = ad_bits.to_be_bytes();
    let mut parts = ad.to_vec();
    parts.extend_from_slice(&[iv_and_ciphertext, &ad_bits]);
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&kdf::hmac(mac_key, &parts)[..TAG_LEN]);
    tag
}

#[cfg(test)]
mod tests {
    use cbc::cipher::block_padding::NoPadding;

    use super::*;

    /// The example of RFC 7518, appendix B.3.
    const IV: [u8; 16] = 0x1af3_8c2d_c2b9_6ffd_d866_9409_2341_bc04_u128.to_be_bytes();
    const MESSAGE: &[u8] = b"A cipher system must not be required to be secret, \
        and it must be able to fall into the hands of the enemy without inconvenience";
    const AD: &[u8] = b"The second principle of Auguste Kerckhoffs";
    const SEALED: &str = "1af38c2dc2b96ffdd86694092341bc04\
        4affaaadb78c31c5da4b1b590d10ffbd3dd8d5d302423526912da037ecbcc7bd\
        822c301dd67c373bccb584ad3e9279c2e6d12a1374b77f077553df829410446b\
        36ebd97066296ae6427ea75c2e0846a11a09ccf5370dc80bfecbad28c73f09b3\
        a3b75e662a2594410ae496b2e2e6609e31e6e02cc837f053d21f37ff4f51950b\
        be2638d09dd7a4930930806d0703b1f6\
        4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5";

    fn key() -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        for (byte, value) in key.iter_mut().zip(0..) {
            *byte = value;
        }
        key
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_example_of_the_rfc_is_reproduced() {
        let sealed = seal(&key(), &IV, &[AD], MESSAGE);
        assert_eq!(hex(&sealed), SEALED);
        assert_eq!(open(&key(), &[AD], &sealed).unwrap().expose(), MESSAGE);
    }

    #[test]
    fn associated_data_in_parts_is_the_same() {
        let (front, rest) = AD.split_at(11);
        assert_eq!(
            hex(&seal(&key(), &IV, &[front, b"", rest], MESSAGE)),
            SEALED
        );
    }

    #[test]
    fn lengths_are_as_announced() {
        for len in 0..50 {
            assert_eq!(seal(&key(), &IV, &[], &vec![0; len]).len(), sealed_len(len));
        }
    }

    #[test]
    fn a_ciphertext_of_no_whole_blocks_is_refused_under_a_right_tag() {
        for len in [0, 1, 15, 17, 31, 33] {
            let mut sealed = IV.to_vec();
            sealed.resize(IV_LEN + len, 0);
            let tag = tag(&key()[..32], &[], &sealed);
            sealed.extend_from_slice(&tag);
            assert_eq!(open(&key(), &[], &sealed).unwrap_err(), OpenError);
        }
    }

    #[test]
    fn a_padding_that_is_none_is_refused_under_a_right_tag() {
        for blocks in [1, short::MAX_LEN / BLOCK_LEN + 1] {
            for (end, is_padding) in [
                (&[7, 0][..], false),
                (&[7, 17], false),
                (&[7, 2], false),
                (&[7, 3, 3], false),
                (&[7, 2, 2], true),
            ] {
                let mut sealed = IV.to_vec();
                sealed.resize(IV_LEN + blocks * BLOCK_LEN - end.len(), 5);
                sealed.extend_from_slice(end);
                let len = blocks * BLOCK_LEN;
                Encryptor::new_from_slices(&key()[32..], &IV)
                    .unwrap()
                    .encrypt_padded::<NoPadding>(&mut sealed[IV_LEN..], len)
                    .unwrap();
                let tag = tag(&key()[..32], &[], &sealed);
                sealed.extend_from_slice(&tag);
                let opened = open(&key(), &[], &sealed);
                assert_eq!(opened.is_ok(), is_padding, "{blocks} {end:?}");
            }
        }
    }
}
