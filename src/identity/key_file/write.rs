//! Writing and removing key files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{
    CHECKSUM_LEN, Guard, HEADER_LEN, KeyFile, KeyFileError, KeyFileFault, KeyKind, MAGIC,
    MAX_SECRET_LEN, PLAIN, VERSION,
};
use crate::kdf::hash32;
use crate::new_file::{NewFile, PublishError, directory_of, sync_directory_of};
use crate::secret::SecretBytes;

/// The end of a file's name until it is whole.
const TEMPORARY: &str = ".new";

/// Writes a new key file, plain, and returns once it is on the disk, whole. Until then
/// it lies beside it under a name that begins with a dot and ends in `.new`;
/// only a crash leaves such a file behind, and it may be deleted.
///
/// # Errors
/// If there is a file of this name already (it is left alone), if the secret
/// is empty or longer than [`MAX_SECRET_LEN`], or if the file cannot be
/// written.
pub fn save(path: &Path, key: &KeyFile) -> Result<(), KeyFileError> {
    check_length(path, key)?;
    save_bytes(path, encode(key).expose())
}

/// Whether a key file can hold this secret.
pub(in crate::identity) fn check_length(path: &Path, key: &KeyFile) -> Result<(), KeyFileError> {
    match key.secret.expose().len() {
        1..=MAX_SECRET_LEN => Ok(()),
        len => Err(KeyFileError::new(path, KeyFileFault::SecretLength(len))),
    }
}

/// [`save`], with the bytes of the file as they are to be.
pub(in crate::identity) fn save_bytes(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    save_checked(path, bytes, |_| Ok(()))
}

/// The same if `check` is content with the new file, before anything is in it.
pub(super) fn save_checked(
    path: &Path,
    bytes: &[u8],
    check: impl FnOnce(&File) -> Result<(), KeyFileFault>,
) -> Result<(), KeyFileError> {
    let save = || -> Result<(), KeyFileFault> {
        let new = NewFile::beside(path).map_err(KeyFileFault::write)?;
        check(new.file())?;
        new.file().write_all(bytes).map_err(KeyFileFault::Write)?;
        new.publish().map_err(|error| match error {
            PublishError::NotThere(error) => KeyFileFault::write(error),
            PublishError::MayNotLast(error) => KeyFileFault::Write(error),
        })
    };
    save().map_err(|fault| KeyFileError::new(path, fault))
}

/// Puts other bytes in the place of a key file: the old ones are there, or the
/// new ones, whole, whenever the machine stops. Once the new ones are on the
/// disk, the old ones are overwritten, as well as [`remove`] can.
///
/// # Errors
/// If it is a link, or cannot be written; the old file is there then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    replace_checked(path, bytes, |_| Ok(()))
}

/// The same for a key that lies by itself, such as the root's on a stick, and
/// that its own passphrase seals, or nothing.
///
/// # Errors
/// As [`replace`]; if nothing would keep such a key from others there, in which
/// case nothing of it was written.
pub(in crate::identity) fn replace_guarded(
    path: &Path,
    bytes: &[u8],
    kind: KeyKind,
    sealed: bool,
) -> Result<(), KeyFileError> {
    replace_checked(path, bytes, |file| Guard::of_new(file)?.check(kind, sealed))
}

fn replace_checked(
    path: &Path,
    bytes: &[u8],
    check: impl FnOnce(&File) -> Result<(), KeyFileFault>,
) -> Result<(), KeyFileError> {
    let replace = || -> Result<(), KeyFileFault> {
        check_no_link(path)?;
        let new = NewFile::in_place_of(path).map_err(KeyFileFault::Write)?;
        check(new.file())?;
        new.file().write_all(bytes).map_err(KeyFileFault::Write)?;
        let old = hold(path);
        new.replace().map_err(|error| match error {
            PublishError::NotThere(error) | PublishError::MayNotLast(error) => {
                KeyFileFault::Write(error)
            }
        })?;
        overwrite_held(old);
        Ok(())
    };
    replace().map_err(|fault| KeyFileError::new(path, fault))
}

/// What takes the place of a link leaves the key that it leads to as it is.
///
/// # Errors
/// [`KeyFileFault::Link`].
pub fn check_no_link(path: &Path) -> Result<(), KeyFileFault> {
    match fs::read_link(path) {
        Ok(to) => Err(KeyFileFault::Link {
            to: fs::canonicalize(path).unwrap_or(to),
        }),
        // No link, or nothing at all.
        Err(_) => Ok(()),
    }
}

/// Gives a key file the name of another one, as [`replace`] does.
pub(in crate::identity) fn take_place(next: &Path, path: &Path) -> Result<(), KeyFileError> {
    let old = hold(path);
    fs::rename(next, path)
        .and_then(|()| sync_directory_of(path))
        .map_err(|error| KeyFileError::new(path, KeyFileFault::Write(error)))?;
    overwrite_held(old);
    Ok(())
}

/// The file that is about to be replaced.
fn hold(path: &Path) -> Option<File> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let file = metadata
        .is_file()
        .then(|| OpenOptions::new().write(true).open(path));
    file?.ok()
}

/// The new file is there, whatever becomes of the old one's bytes.
fn overwrite_held(old: Option<File>) {
    let _ = old.map(|mut old| overwrite(&mut old));
}

/// Removes what a crash has left of key files that were being written, and
/// gives the names. Nobody else may use the directory meanwhile.
///
/// # Errors
/// If the directory cannot be read, or a file cannot be removed.
pub fn sweep(directory: &Path) -> Result<Vec<String>, KeyFileError> {
    sweep_named(directory, |name| {
        name.starts_with('.') && name.contains(".key.") && name.ends_with(TEMPORARY)
    })
}

/// The same for what is left of this one file, in a directory that has others.
///
/// # Errors
/// As [`sweep`].
pub(in crate::identity) fn sweep_of(path: &Path) -> Result<(), KeyFileError> {
    let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(());
    };
    let is_left = |name: &str| {
        let rest = name
            .strip_prefix('.')
            .and_then(|name| name.strip_prefix(file));
        let unique = rest.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(TEMPORARY));
        unique.is_some_and(|it| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    sweep_named(directory_of(path), is_left).map(drop)
}

fn sweep_named(
    directory: &Path,
    is_left: impl Fn(&str) -> bool,
) -> Result<Vec<String>, KeyFileError> {
    let mut removed = Vec::new();
    let unreadable = |error| KeyFileError::new(directory, KeyFileFault::Read(error));
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| is_left(name)) {
            remove(&path)?;
            removed.push(name.to_owned());
        }
    }
    Ok(removed)
}

/// Overwrites a key file with zeros, then removes it. If there is none, that
/// is fine.
///
/// The overwriting is a best effort: a file system or disk that writes
/// elsewhere than where the old content lies (most solid-state disks, copy on
/// write, snapshots) keeps that content for a while.
///
/// # Errors
/// If the file cannot be written or removed.
pub fn remove(path: &Path) -> Result<(), KeyFileError> {
    match overwrite_and_unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KeyFileError::new(path, KeyFileFault::Write(error)))
        }
        _ => Ok(()),
    }
}

/// A plain key file's bytes.
#[must_use]
pub fn encode(key: &KeyFile) -> SecretBytes {
    let secret = key.secret.expose();
    // The whole length at once, so that no copy stays where it lay before.
    let mut bytes = Vec::with_capacity(HEADER_LEN + secret.len() + CHECKSUM_LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, PLAIN, key.kind as u8]);
    bytes.extend_from_slice(&key.group);
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_SECRET_LEN")]
    bytes.extend_from_slice(&(secret.len() as u16).to_be_bytes());
    bytes.extend_from_slice(secret);
    let checksum = hash32(&[&bytes]);
    bytes.extend_from_slice(&checksum);
    SecretBytes::new(bytes)
}

fn overwrite_and_unlink(path: &Path) -> io::Result<()> {
    // A link is not followed: what it leads to is not ours to destroy. Nor is
    // what has another name, such as that of a key in use.
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() && metadata.nlink() == 1 {
        overwrite(&mut OpenOptions::new().write(true).open(path)?)?;
    }
    fs::remove_file(path)?;
    sync_directory_of(path)
}

fn overwrite(file: &mut File) -> io::Result<()> {
    let len = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    io::copy(&mut io::Read::take(io::repeat(0), len), file)?;
    file.sync_all()
}
