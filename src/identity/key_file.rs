//! Files that hold one secret each, an exponent or the database's key.
//!
//! ```text
//! "telemed-key\n"   12 bytes
//! version            1 byte, 1
//! protection         1 byte, 0: the secret lies plain; 1: it is sealed under a
//!                    passphrase; 2: under the wrapping key of its directory
//! kind               1 byte, see KeyKind
//! group             32 bytes, the name of the group the exponent belongs to
//! only with 1        memory in KiB 4 bytes, passes 4, lanes 1, salt 16
//! only with 2        the wrapping key's name, 16 bytes
//! content            2 bytes length, then as many: the secret, plain or sealed
//! checksum          32 bytes, H32 of everything before
//!
//! sealed = seal(key, AD = everything before, secret)
//! key    = Xp(Argon2id(passphrase, salt, 64), "tmc1 key passphrase", "", 128)
//!          or Xp(Ex("", wrapping key), "tmc1 key wrap", "", 128)
//! name   = Xp(Ex("", wrapping key), "tmc1 wrapping key id", "", 16)
//! ```
//!
//! Every version and protection begins with the same line and ends with the
//! checksum, so that damage is told apart from a wrong passphrase and from what
//! is merely newer. The checksum guards against accidents; who can write the
//! file can write it too.
//!
//! A key file is readable by its owner only, from the first byte on, and appears
//! under its name complete or not at all; it is replaced as a whole. Only the
//! root's, sealed under a passphrase, may lie on a stick that keeps no modes.

mod copy;
mod error;
mod file_system;
mod passphrase;
mod seal;
mod write;

#[cfg(test)]
mod tests;

pub use copy::copy;
pub(in crate::identity) use error::quoted;
pub use error::{KeyFileError, KeyFileFault};
pub use file_system::FileSystem;
pub use passphrase::{Cost, Passphrase, PassphraseKey};
pub use seal::{WrappingKey, WrappingKeyId, encode_sealed, encode_wrapped};
pub(in crate::identity) use write::{check_length, save_bytes, take_place};
pub use write::{check_no_link, encode, remove, replace, save, sweep};
pub(in crate::identity) use write::{replace_guarded, sweep_of};

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
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
const WRAPPED: u8 = 2;
/// Bytes of the checksum.
const CHECKSUM_LEN: usize = 32;
/// Bytes before the content, at most: magic, three single ones, group, cost and
/// salt, length.
const HEADER_LEN: usize = 12 + 3 + 32 + 9 + 16 + 2;
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
    /// A doctor's: signs patients' certificates, prekeys and messages. An assistant's
    /// or auditor's, of the same format: signs what she does.
    DoctorSigning = 2,
    /// Opens what is encrypted to a prekey.
    Prekey = 3,
    /// Signs what a patient sends.
    PatientSigning = 4,
    /// Opens what is encrypted to a patient.
    PatientEncryption = 5,
    /// Seals what lies in the database. Belongs to no group: zeros stand for it.
    Data = 6,
    /// Seals the other keys of its directory. Belongs to no group: zeros stand
    /// for it.
    Wrapping = 7,
    /// Seal some columns of a clinic's database, for one who has not the whole
    /// key. Belong to no group: zeros stand for it.
    Columns = 8,
    /// Opens the answer to a request to join a clinic, once.
    Joining = 9,
}

impl KeyKind {
    const ALL: [Self; 9] = [
        Self::RootSigning,
        Self::DoctorSigning,
        Self::Prekey,
        Self::PatientSigning,
        Self::PatientEncryption,
        Self::Data,
        Self::Wrapping,
        Self::Columns,
        Self::Joining,
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
            Self::DoctorSigning => "the signing key of a doctor, assistant or auditor",
            Self::Prekey => "a doctor's prekey",
            Self::PatientSigning => "a patient's signing key",
            Self::PatientEncryption => "a patient's encryption key",
            Self::Data => "the database's key",
            Self::Wrapping => "the key that seals a directory's other keys",
            Self::Columns => "the keys of some of the database's columns",
            Self::Joining => "the key that opens the answer to a request to join",
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

/// How the secret in a key file is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Not at all: whoever can read the file has it.
    Plain,
    /// Sealed under a passphrase.
    Passphrase {
        /// What it costs to try one.
        cost: Cost,
        /// Makes the same passphrase another key in every file.
        salt: [u8; 16],
    },
    /// Sealed under its directory's wrapping key.
    Wrapped(WrappingKeyId),
}

/// A key file as it lies on the disk, its secret not opened yet.
#[derive(Debug)]
pub struct Closed {
    /// What the secret is for.
    pub kind: KeyKind,
    /// The name of its group.
    pub group: [u8; 32],
    /// How the secret is protected.
    pub protection: Protection,
    bytes: SecretBytes,
    content: Range<usize>,
}

impl Closed {
    /// Reads the key file `path` without opening its secret.
    ///
    /// # Errors
    /// If there is no such file, if it is not this user's alone, or if it is not
    /// a whole key file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let read = || -> Result<_, KeyFileFault> {
            let file = open(path)?;
            let guard = check_owner(&file)?;
            let closed = decode(read_bounded(file).map_err(KeyFileFault::read)?)?;
            guard.check(closed.kind, closed.has_own_passphrase())?;
            Ok(closed)
        };
        read().map_err(|fault| KeyFileError::new(path, fault))
    }

    fn has_own_passphrase(&self) -> bool {
        matches!(self.protection, Protection::Passphrase { .. })
    }

    /// What the content is sealed together with.
    fn header(&self) -> &[u8] {
        &self.bytes.expose()[..self.content.start]
    }

    fn content(&self) -> &[u8] {
        &self.bytes.expose()[self.content.clone()]
    }

    /// The secret itself, which is `secret` once it was opened.
    fn opened(&self, secret: SecretBytes) -> Result<KeyFile, KeyFileFault> {
        if secret.expose().is_empty() || secret.expose().len() > MAX_SECRET_LEN {
            return Err(KeyFileFault::Damaged);
        }
        Ok(KeyFile {
            kind: self.kind,
            group: self.group,
            secret,
        })
    }

    /// The key, if it lies plain.
    ///
    /// # Errors
    /// [`KeyFileFault::Locked`] if it is sealed.
    pub fn plain(&self) -> Result<KeyFile, KeyFileFault> {
        match self.protection {
            Protection::Plain => self.opened(SecretBytes::copy_of(self.content())),
            _ => Err(KeyFileFault::Locked),
        }
    }

    /// The key, if it is of this kind.
    pub(in crate::identity) fn of_kind(self, wanted: KeyKind) -> Result<Self, KeyFileFault> {
        match self.kind {
            found if found == wanted => Ok(self),
            found => Err(KeyFileFault::WrongKind { found, wanted }),
        }
    }
}

/// Reads the plain key file `path`, which must be of this kind: the name of the
/// group and the secret. Those of a directory are read by its
/// [`super::keyring::Keyring`], whether they are sealed or not.
///
/// # Errors
/// If there is no such file, if it is not this user's alone, if it is not a
/// whole key file of this kind, or if it is sealed.
pub fn load(path: &Path, kind: KeyKind) -> Result<([u8; 32], SecretBytes), KeyFileError> {
    let load = |closed: Closed| closed.of_kind(kind)?.plain();
    let key = load(Closed::read(path)?).map_err(|fault| KeyFileError::new(path, fault))?;
    Ok((key.group, key.secret))
}

/// Reads the key file `path`, which must be of this kind, with the passphrase it
/// is sealed under by itself: the name of the group and the secret.
///
/// # Errors
/// As [`load`], and if it is another passphrase.
pub fn load_sealed(
    path: &Path,
    kind: KeyKind,
    passphrase: &Passphrase,
) -> Result<([u8; 32], SecretBytes), KeyFileError> {
    let load = |closed: Closed| closed.of_kind(kind)?.open_with_passphrase(passphrase);
    let key = load(Closed::read(path)?).map_err(|fault| KeyFileError::new(path, fault))?;
    Ok((key.group, key.secret))
}

/// Reads what the plain key file `path` holds, from a copy of it: [`load`]
/// without the file.
///
/// # Errors
/// If it is not a whole key file of this kind.
pub fn parse(
    path: &Path,
    bytes: &[u8],
    kind: KeyKind,
) -> Result<([u8; 32], SecretBytes), KeyFileError> {
    let parse = || decode(SecretBytes::copy_of(bytes))?.of_kind(kind)?.plain();
    let key = parse().map_err(|fault| KeyFileError::new(path, fault))?;
    Ok((key.group, key.secret))
}

/// What is said of a key file that should be there.
#[must_use]
pub fn missing(path: &Path) -> KeyFileError {
    KeyFileError::new(path, KeyFileFault::Missing)
}

fn open(path: &Path) -> Result<File, KeyFileFault> {
    // Without NONBLOCK, opening a named pipe would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|error| KeyFileFault::read(error.into()))?;
    Ok(File::from(file))
}

/// What keeps a file from other users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Guard {
    /// Its mode.
    Mode,
    /// Nothing: this file system keeps no modes.
    None(FileSystem),
}

impl Guard {
    /// What will keep a file from others that is to be written. Here the file
    /// system counts first: where a mount keeps other users of this machine out
    /// (`umask=077`), the next machine the stick is put in does not.
    fn of_new(file: &File) -> Result<Self, KeyFileFault> {
        Self::of_new_on(file, file_system::modeless)
    }

    /// The same with something that knows file systems without modes.
    fn of_new_on(
        file: &File,
        modeless: impl FnOnce(&File) -> Option<FileSystem>,
    ) -> Result<Self, KeyFileFault> {
        match modeless(file) {
            Some(file_system) => {
                check_owner_on(file, |_| Some(file_system)).map(|_| Self::None(file_system))
            }
            None => check_owner_on(file, |_| None),
        }
    }

    /// Whether this is enough for what is in the file. A key that its own
    /// passphrase seals may be seen by others: the root's, which is meant for a
    /// stick. The rest of a directory hangs together.
    fn check(self, kind: KeyKind, sealed: bool) -> Result<(), KeyFileFault> {
        match self {
            Self::None(file_system) if !sealed || kind != KeyKind::RootSigning => {
                Err(KeyFileFault::Unguarded { file_system })
            }
            _ => Ok(()),
        }
    }
}

/// Asks the open file, not its name, which might lead elsewhere by now.
fn check_owner(file: &File) -> Result<Guard, KeyFileFault> {
    check_owner_on(file, file_system::modeless)
}

/// The same with something that knows file systems without modes.
fn check_owner_on(
    file: &File,
    modeless: impl FnOnce(&File) -> Option<FileSystem>,
) -> Result<Guard, KeyFileFault> {
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
    if metadata.mode() & 0o077 == 0 {
        return Ok(Guard::Mode);
    }
    modeless(file).map(Guard::None).ok_or(KeyFileFault::Open {
        mode: metadata.mode() & 0o777,
    })
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

fn decode(bytes: SecretBytes) -> Result<Closed, KeyFileFault> {
    let whole = bytes.expose();
    if !whole.starts_with(MAGIC) {
        return Err(match MAGIC.starts_with(whole) {
            true => KeyFileFault::Cut,
            false => KeyFileFault::NotAKeyFile,
        });
    }
    if whole.len() > MAX_FILE_LEN {
        return Err(KeyFileFault::Damaged);
    }
    let intact = whole.split_last_chunk::<CHECKSUM_LEN>();
    let intact = intact.filter(|(before, checksum)| hash32(&[before]) == **checksum);
    let Some((before, _)) = intact else {
        return Err(match is_cut(whole) {
            true => KeyFileFault::Cut,
            false => KeyFileFault::Damaged,
        });
    };
    let mut reader = Reader::new(before);
    let (kind, group, protection) = decode_header(&mut reader)?;
    let damaged = |_: DecodeError| KeyFileFault::Damaged;
    let content = reader.lp16().map_err(damaged)?.len();
    reader.finish().map_err(damaged)?;
    let content = before.len() - content..before.len();
    Ok(Closed {
        kind,
        group,
        protection,
        bytes,
        content,
    })
}

/// Everything before the content.
fn decode_header(reader: &mut Reader<'_>) -> Result<(KeyKind, [u8; 32], Protection), KeyFileFault> {
    let damaged = |_: DecodeError| KeyFileFault::Damaged;
    reader.take(MAGIC.len()).map_err(damaged)?;
    match reader.u8().map_err(damaged)? {
        VERSION => {}
        version => return Err(KeyFileFault::UnknownVersion(version)),
    }
    let protection = reader.u8().map_err(damaged)?;
    let kind = KeyKind::from_code(reader.u8().map_err(damaged)?).ok_or(KeyFileFault::Damaged)?;
    let group = reader.array().map_err(damaged)?;
    let protection = match protection {
        PLAIN => Protection::Plain,
        SEALED => Protection::Passphrase {
            cost: Cost::decode(reader)?,
            salt: reader.array().map_err(damaged)?,
        },
        WRAPPED => Protection::Wrapped(reader.array().map_err(damaged)?),
        _ => return Err(KeyFileFault::Damaged),
    };
    Ok((kind, group, protection))
}

/// Whether a file whose checksum is wrong ends before it should by its own
/// account.
fn is_cut(whole: &[u8]) -> bool {
    let mut reader = Reader::new(whole);
    let skip = |reader: &mut Reader<'_>| -> Result<(), DecodeError> {
        reader.take(MAGIC.len() + 1)?;
        let protection = reader.u8()?;
        reader.take(1 + 32)?;
        reader.take(match protection {
            SEALED => Cost::LEN + 16,
            WRAPPED => 16,
            _ => 0,
        })?;
        reader.lp16()?;
        reader.take(CHECKSUM_LEN).map(drop)
    };
    skip(&mut reader).is_err()
}
