//! CBC decryption of short messages, block by block.
//!
//! The crate `cbc` is made for long ones: it has room for 64 blocks on the stack
//! several times over, 10 KiB in all, even where there are fewer. The thread of
//! each session would keep those pages for as long as the session lasts.

use cbc::cipher::array::Array;
use cbc::cipher::block_padding::{Padding, Pkcs7};
use cbc::cipher::consts::U16;
use cbc::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockSizeUser, KeyInit,
};

use super::{BLOCK_LEN, IV_LEN};
use crate::aes::OpenError;

/// The longest ciphertext that has fewer blocks than that, in bytes.
pub(super) const MAX_LEN: usize = 63 * BLOCK_LEN;

type Block = Array<u8, U16>;

/// Decrypts `message` where it lies, and gives its length without the padding.
///
/// # Errors
/// [`OpenError`] if it has no whole blocks, or wrong padding.
#[inline(never)]
pub(super) fn decrypt_padded(
    key: &[u8],
    iv: &[u8; IV_LEN],
    message: &mut [u8],
) -> Result<usize, OpenError> {
    let cipher = aes::Aes256Dec::new_from_slice(key).map_err(|_| OpenError)?;
    let (blocks, []) = Array::slice_as_chunks_mut(message) else {
        return Err(OpenError);
    };
    cipher.decrypt_with_backend(Chain {
        blocks,
        before: (*iv).into(),
    });
    let unpadded = Pkcs7::unpad_blocks(blocks).map_err(|_| OpenError)?;
    Ok(unpadded.len())
}

/// The blocks of a message, and what is added to the first of them.
struct Chain<'a> {
    blocks: &'a mut [Block],
    before: Block,
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let mut before = self.before;
        for block in self.blocks {
            let ciphertext = *block;
            backend.decrypt_block(block.into());
            for (byte, other) in block.iter_mut().zip(before) {
                *byte ^= other;
            }
            before = ciphertext;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KEY_LEN, TAG_LEN, open, seal};
    use super::*;

    #[test]
    fn short_and_long_messages_are_the_same_to_who_opens_them() {
        let key = [7; KEY_LEN];
        for len in (0..64).chain(MAX_LEN - 40..MAX_LEN + 40) {
            let message: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let sealed = seal(&key, &[9; IV_LEN], &[b"ad"], &message);
            let opened = open(&key, &[b"ad"], &sealed).unwrap();
            assert_eq!(opened.expose(), message, "{len} bytes");
        }
    }

    #[test]
    fn it_decrypts_what_the_crate_encrypts_and_refuses_other_lengths() {
        let key = [7; KEY_LEN];
        let sealed = seal(&key, &[9; IV_LEN], &[], &[1; 100]);
        let ciphertext = &sealed[IV_LEN..sealed.len() - TAG_LEN];
        let mut message = ciphertext.to_vec();
        let len = decrypt_padded(&key[32..], &[9; IV_LEN], &mut message).unwrap();
        assert_eq!(message[..len], [1; 100]);
        for len in [0, 1, 15, 17] {
            let mut message = ciphertext[..len].to_vec();
            let refused = decrypt_padded(&key[32..], &[9; IV_LEN], &mut message);
            assert_eq!(refused, Err(OpenError), "{len} bytes");
        }
    }
}
