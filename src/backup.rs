//! A backup: one file that holds all of a practice, sealed.
//!
//! ```text
//! file    = header ‖ chunk(0) ‖ chunk(1) ‖ .. ‖ chunk(last)
//! header  = "telemed-backup\n" ‖ version 1 ‖ doctor 32 ‖ clinic 16 ‖ made u64
//!           ‖ LP16(wrapped data key) ‖ salt 32 ‖ check 32
//! check   = H32("tmc1 backup header" ‖ header before it)
//! key     = Xp(Ex("", data key), "tmc1 backup", salt, 128)
//! chunk n = seal(key, counter n, AD = check ‖ n u64 ‖ (1 if last, else 0), content)
//! ```
//!
//! Every chunk but the last holds 65,535 bytes of content. All of it, one after
//! the other, is a run of entries, `LP8(name) ‖ length u64 ‖ bytes`, and an
//! empty name after the last of them. docs/backup.md says more.
//!
//! The check tells damage from a wrong recovery code; what protects the header
//! from a forger is that every chunk is sealed together with it.

mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::BackupError;
pub use read::Reader;
pub use write::Writer;

use std::io::Read;

use crate::clock::Timestamp;
use crate::codec::{Reader as Decoder, Writer as Encoder};
use crate::identity::certificate::ClinicId;
use crate::identity::id::{self, Identifier};
use crate::kdf::{hash32, label};
use crate::vault::{DataKeyId, Vault};

const MAGIC: &[u8; 15] = b"telemed-backup\n";
const VERSION: u8 = 1;
/// The content of a chunk that is not the last, in bytes.
const CHUNK: usize = crate::aes::MAX_SEALED_MESSAGE;
/// The longest wrapped data key, in bytes; one has 336.
const MAX_WRAPPED: usize = 1024;
/// Bytes of the header before the wrapped data key.
const FIXED: usize = MAGIC.len() + 1 + id::MAX_LEN + 16 + 8 + 2;
/// Bytes of the header after it.
const TAIL: usize = 32 + 32;

/// The hash of a header, which ties every chunk to it.
type Check = [u8; 32];

/// What stands in clear at the front of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Whose practice it is.
    pub doctor: Identifier,
    /// The clinic's number.
    pub clinic: ClinicId,
    /// When the backup was made.
    pub made: Timestamp,
    /// The data key, wrapped under the recovery code.
    pub wrapped: Vec<u8>,
    /// Makes the backup's key another one each time.
    pub salt: [u8; 32],
}

impl Header {
    /// The name of the data key that opens the backup.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`] if the wrapped data key is too short to have
    /// one.
    pub fn data_key(&self) -> Result<DataKeyId, BackupError> {
        self.wrapped
            .first_chunk()
            .copied()
            .ok_or(BackupError::NotABackup)
    }

    /// The header as it is written, and its check.
    fn encode(&self) -> (Vec<u8>, Check) {
        let encoded = Encoder::new()
            .bytes(MAGIC)
            .u8(VERSION)
            .bytes(&self.doctor.to_field())
            .bytes(&self.clinic)
            .u64(self.made.as_millis())
            .lp16(&self.wrapped)
            .bytes(&self.salt);
        let check = check(encoded.as_slice());
        (encoded.bytes(&check).finish(), check)
    }

    /// Reads a header and leaves `input` behind it.
    fn read(input: &mut impl Read) -> Result<(Self, Check), BackupError> {
        let mut bytes = vec![0; FIXED];
        // What is too short to be one is none.
        fill(input, &mut bytes, BackupError::NotABackup)?;
        if !bytes.starts_with(MAGIC) {
            return Err(BackupError::NotABackup);
        }
        if bytes[MAGIC.len()] != VERSION {
            return Err(BackupError::Version(bytes[MAGIC.len()]));
        }
        let len = usize::from(u16::from_be_bytes([bytes[FIXED - 2], bytes[FIXED - 1]]));
        if len > MAX_WRAPPED {
            return Err(BackupError::Damaged { at: 0 });
        }
        bytes.resize(FIXED + len + TAIL, 0);
        fill(input, &mut bytes[FIXED..], BackupError::Damaged { at: 0 })?;
        Self::decode(&bytes).ok_or(BackupError::Damaged { at: 0 })
    }

    fn decode(bytes: &[u8]) -> Option<(Self, Check)> {
        let (checked, sent) = bytes.split_last_chunk::<32>()?;
        if check(checked) != *sent {
            return None;
        }
        let mut decoder = Decoder::new(checked);
        decoder.take(MAGIC.len() + 1).ok()?;
        let header = Self {
            doctor: Identifier::from_field(&decoder.array().ok()?).ok()?,
            clinic: decoder.array().ok()?,
            made: Timestamp::from_millis(decoder.u64().ok()?),
            wrapped: decoder.lp16().ok()?.to_vec(),
            salt: decoder.array().ok()?,
        };
        decoder.finish().ok()?;
        Some((header, *sent))
    }
}

fn check(header: &[u8]) -> Check {
    hash32(&[&label::BACKUP_HEADER.encoded(), header])
}

/// What is sealed together with chunk `number`.
fn associated(check: &Check, number: u64, is_last: bool) -> Vec<u8> {
    Encoder::new()
        .bytes(check)
        .u64(number)
        .u8(is_last.into())
        .finish()
}

fn fill(input: &mut impl Read, bytes: &mut [u8], short: BackupError) -> Result<(), BackupError> {
    match input.read_exact(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(short),
        other => other.map_err(BackupError::Read),
    }
}

/// Whether `vault` holds the data key that the header asks for.
#[must_use]
pub fn fits(header: &Header, vault: &Vault) -> bool {
    header.data_key().is_ok_and(|id| id == vault.id())
}
