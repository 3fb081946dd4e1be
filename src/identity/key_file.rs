//! Files that hold one secret each, an exponent or the database's key.
//!
//! ```text
//! "telemed-key\n"   12 bytes
//! version            1 byte, 1
//! protection         1 byte, 0: the secret lies plain; 1 is reserved for one
//!                    sealed under a passphrase, whose parameters follow here
//! kind               1 byte, see KeyKind
//! group             32 bytes, the name of the group the exponent belongs to
//! secret             2 bytes length, then as many
//! checksum          32 bytes, H32 of everything before
//! ```
//!
//! Every version and protection begins with the same line and ends with the
//! checksum, so that damage is told apart from what is merely newer. The
//! checksum guards against accidents; who can write the file can write it too.
//!
//! A key file is written once. It is readable by its owner only, from the
//! first byte on, and appears under its name complete or not at all.

mod error;
mod write;

#[cfg(test)]
mod tests;

pub(in crate::identity) use error::quoted;
pub use error::{KeyFileError, KeyFileFault};
pub use write::{encode, remove, save};

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

use crate::codec::{DecodeError, Reader};
use crate::kdf::hash32;
use crate::secret::SecretBytes;

const MAGIC: &[u8; 12] = b"telemed-key\n";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
/// Bytes of the checksum.
const CHECKSUM_LEN: usize = 32;
/// Bytes before the secret: magic, three single ones, group, length.
const HEADER_LEN: usize = 12 + 3 + 32 + 2;
/// The longest secret, in bytes: an exponent of 8,192 bits.
pub const MAX_SECRET_LEN: usize = 1024;
/// The longest file that is read, in bytes; leaves room for a sealed secret.
pub const MAX_FILE_LEN: usize = 4096;

/// What a secret exponent is for. A file of one kind is never taken for
/// another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum KeyKind {
    /// Signs the clinic's root certificate and doctors' certificates.
    RootSigning = 1,
    /// Signs patients' certificates, prekeys and messages.
    DoctorSigning = 2,
    /// Opens what is encrypted to a prekey.
    Prekey = 3,
    /// Signs what a patient sends.
    PatientSigning = 4,
    /// Opens what is encrypted to a patient.
    PatientEncryption = 5,
    /// Seals what lies in the database. Belongs to no group: zeros stand for it.
    Data = 6,
}

impl KeyKind {
    const ALL: [Self; 6] = [
        Self::RootSigning,
        Self::DoctorSigning,
        Self::Prekey,
        Self::PatientSigning,
        Self::PatientEncryption,
        Self::Data,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

impl fmt::Display for KeyKind {
    /// The kind in words, such as `the root's signing key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RootSigning => "the root's signing key",
            Self::DoctorSigning => "a doctor's signing key",
            Self::Prekey => "a doctor's prekey",
            Self::PatientSigning => "a patient's signing key",
            Self::PatientEncryption => "a patient's encryption key",
            Self::Data => "the database's key",
        })
    }
}

/// What a key file holds.
#[derive(Debug)]
pub struct KeyFile {
    /// What the secret is for.
    pub kind: KeyKind,
    /// The name of its group.
    pub group: [u8; 32],
    /// The secret exponent, 1 to [`MAX_SECRET_LEN`] bytes.
    pub secret: SecretBytes,
}

/// Reads the key file `path`, which must be of this kind: the name of the
/// group and the secret.
///
/// # Errors
/// If there is no such file, if it is not this user's alone, or if it is not a
/// whole key file of this kind.
pub fn load(path: &Path, kind: KeyKind) -> Result<([u8; 32], SecretBytes), KeyFileError> {
    let load = || -> Result<_, KeyFileFault> {
        let file = open(path)?;
        check_owner(&file)?;
        let bytes = read_bounded(file).map_err(KeyFileFault::read)?;
        decode_kind(bytes.expose(), kind)
    };
    load().map_err(|fault| KeyFileError::new(path, fault))
}

/// Reads what the key file `path` holds, from a copy of it: [`load`] without
/// the file.
///
/// # Errors
/// If it is not a whole key file of this kind.
pub fn parse(
    path: &Path,
    bytes: &[u8],
    kind: KeyKind,
) -> Result<([u8; 32], SecretBytes), KeyFileError> {
    decode_kind(bytes, kind).map_err(|fault| KeyFileError::new(path, fault))
}

/// What is said of a key file that should be there.
#[must_use]
pub fn missing(path: &Path) -> KeyFileError {
    KeyFileError::new(path, KeyFileFault::Missing)
}

fn decode_kind(bytes: &[u8], kind: KeyKind) -> Result<([u8; 32], SecretBytes), KeyFileFault> {
    let found = decode(bytes)?;
    if found.kind != kind {
        return Err(KeyFileFault::WrongKind {
            found: found.kind,
            wanted: kind,
        });
    }
    Ok((found.group, found.secret))
}

fn open(path: &Path) -> Result<File, KeyFileFault> {
    // Without NONBLOCK, opening a named pipe would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|error| KeyFileFault::read(error.into()))?;
    Ok(File::from(file))
}

/// Asks the open file, not its name, which might lead elsewhere by now.
fn check_owner(file: &File) -> Result<(), KeyFileFault> {
    let metadata = file.metadata().map_err(KeyFileFault::read)?;
    if !metadata.is_file() {
        return Err(KeyFileFault::NotAFile);
    }
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(KeyFileFault::OtherOwner {
            owner: metadata.uid(),
            user,
        });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFileFault::Open {
            mode: metadata.mode() & 0o777,
        });
    }
    Ok(())
}

/// Reads at most one byte more than a key file can have, into memory that is
/// allocated once, so that no copy of a secret stays behind.
fn read_bounded(mut file: File) -> io::Result<SecretBytes> {
    let mut bytes = SecretBytes::new(vec![0; MAX_FILE_LEN + 1]);
    let mut len = 0;
    loop {
        match file.read(&mut bytes.expose_mut()[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<KeyFile, KeyFileFault> {
    if !bytes.starts_with(MAGIC) {
        return Err(KeyFileFault::NotAKeyFile);
    }
    if bytes.len() > MAX_FILE_LEN {
        return Err(KeyFileFault::Damaged);
    }
    let (content, checksum) = bytes
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or(KeyFileFault::Damaged)?;
    if hash32(&[content]) != *checksum {
        return Err(KeyFileFault::Damaged);
    }
    let mut reader = Reader::new(content);
    let damaged = |_: DecodeError| KeyFileFault::Damaged;
    reader.take(MAGIC.len()).map_err(damaged)?;
    match reader.u8().map_err(damaged)? {
        VERSION => {}
        version => return Err(KeyFileFault::UnknownVersion(version)),
    }
    match reader.u8().map_err(damaged)? {
        PLAIN => {}
        SEALED => return Err(KeyFileFault::Sealed),
        _ => return Err(KeyFileFault::Damaged),
    }
    let kind = KeyKind::from_code(reader.u8().map_err(damaged)?).ok_or(KeyFileFault::Damaged)?;
    let group = reader.array().map_err(damaged)?;
    let secret = reader.lp16().map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    if secret.is_empty() || secret.len() > MAX_SECRET_LEN {
        return Err(KeyFileFault::Damaged);
    }
    Ok(KeyFile {
        kind,
        group,
        secret: SecretBytes::copy_of(secret),
    })
}
