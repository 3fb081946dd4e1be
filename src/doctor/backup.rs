//! Making backups of a practice, whether its server runs or not.

mod content;
mod failure;
mod restore;
pub(super) mod schedule;
mod snapshot;
mod workplace;

pub use content::{Checked, Content};
pub use failure::{BackupFailure, RestoreFailure};
pub use restore::{Heads, Restored, check_empty, restore, verify};
pub use schedule::BackupSchedule;
pub use snapshot::sweep;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::{Action, Entry};
use crate::backup::{BackupError, Header, Writer};
use crate::doctor::audit_log::sign_head;
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::recovery::{self, CodeText};
use crate::doctor::setup::{ROOT_KEY, SIGNING_KEY};
use crate::identity::data_dir::DATABASE;
use crate::identity::key_file::{self, KeyFile, KeyFileError, KeyFileFault, KeyKind};
use crate::new_file::{NewFile, PublishError};
use crate::random::{self, OsRandom};
use crate::secret::SecretBytes;
use crate::store::fact;
use snapshot::Snapshot;

/// What the office can be asked about backups.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make a backup.
    Make {
        /// Where, as an absolute path.
        file: PathBuf,
    },
    /// Whose backups does the recovery code open too?
    Sharers,
    /// Make a new recovery code, which is not good yet.
    NewCode,
    /// Make that code good: the doctor has it.
    KeepCode {
        /// The data key, wrapped under it.
        wrapped: Vec<u8>,
    },
    /// Give out the data key as it is wrapped under the recovery code.
    Wrapped,
}

/// What the office answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A backup was made.
    Made(Made),
    /// The clinic's other doctors.
    Sharers(Vec<String>),
    /// The new recovery code.
    NewCode {
        /// The code.
        code: CodeText,
        /// The data key, wrapped under it.
        wrapped: Vec<u8>,
    },
    /// The new recovery code is good, and the older one is void.
    CodeKept,
    /// The wrapped data key; none if there is no recovery code.
    Wrapped(Option<Vec<u8>>),
}

/// A backup that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Where it is.
    pub file: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether the clinic's root key is in it, since it lies on the machine.
    pub root_key: bool,
    /// Whether it lies on the machine and is not in it: it is sealed under a
    /// passphrase of its own, which a backup does not know.
    pub root_key_left_out: bool,
}

/// Does what is asked and says what came of it.
///
/// # Errors
/// Why it was not done, as a sentence.
pub fn answer(practice: &Practice, request: Request) -> Result<Answer, NotDone> {
    match request {
        Request::Make { file } => {
            let doctor = practice.identity().identifier().to_string();
            make(practice, &file, &doctor, &|| true)
                .map(Answer::Made)
                .map_err(|failure| NotDone::of(&failure))
        }
        Request::Sharers => recovery::sharers(practice)
            .map(Answer::Sharers)
            .map_err(|error| NotDone::of(&error)),
        Request::NewCode => recovery::make(practice)
            .map(|new| Answer::NewCode {
                code: CodeText::of(&new.code),
                wrapped: new.wrapped,
            })
            .map_err(|error| NotDone::of(&error)),
        Request::KeepCode { wrapped } => keep_code(practice, &wrapped),
        Request::Wrapped => practice
            .store
            .fact(fact::RECOVERY)
            .map(Answer::Wrapped)
            .map_err(|error| NotDone::of(&error)),
    }
}

fn keep_code(practice: &Practice, wrapped: &[u8]) -> Result<Answer, NotDone> {
    match recovery::keep(practice, wrapped) {
        Ok(true) => {
            // What cannot be removed is not spoken of any more.
            let _ = recovery::remove_file(practice);
            Ok(Answer::CodeKept)
        }
        Ok(false) => Err("another recovery code was made meanwhile".to_owned().into()),
        Err(error) => Err(NotDone::of(&error)),
    }
}

/// Makes a backup in a new file. The practice goes on meanwhile: it is in the
/// backup as it is now. `go_on` is asked again and again; once it says no, the
/// work ends and nothing is left of it.
///
/// # Errors
/// [`BackupFailure`]; nothing is left behind then.
pub fn make(
    practice: &Practice,
    file: &Path,
    actor: &str,
    go_on: &dyn Fn() -> bool,
) -> Result<Made, BackupFailure> {
    let at_file = |error| BackupFailure::File(file.to_owned(), BackupError::Write(error));
    if is_in(&practice.directory.path(""), file) {
        return Err(BackupFailure::OwnDirectory(file.to_owned()));
    }
    let new = NewFile::beside(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupFailure::Exists(file.to_owned()),
        _ => at_file(error),
    })?;
    // Of what is damaged nobody should keep copies in place of sound ones.
    practice.store.check()?;
    // So that the backup vouches for the log.
    sign_head(practice)?;
    let snapshot = Snapshot::take(practice, go_on)?;
    // After the snapshot: what it refers to is there, or has ended since.
    let parts = parts(practice)?;
    let header = header(practice)?;
    let watched = Watched {
        output: new.file(),
        go_on,
    };
    let root_key = parts.iter().any(|(name, _)| name == ROOT_KEY);
    let written = write(watched, &header, practice, &parts, &snapshot);
    written.map_err(|error| match error {
        BackupError::Write(error) if error.kind() == io::ErrorKind::Other => BackupFailure::Stopped,
        error => BackupFailure::File(file.to_owned(), error),
    })?;
    new.sync().map_err(at_file)?;
    let bytes = new.file().metadata().map_err(at_file)?.len();
    // Logged before it is there: one that nobody knows of must not be.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let entry = Entry::new(practice.now(), actor, Action::BackedUp, "", &*name);
    practice.store.append_audit(&[entry])?;
    new.publish().map_err(|error| match error {
        PublishError::NotThere(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            BackupFailure::Exists(file.to_owned())
        }
        PublishError::NotThere(error) => at_file(error),
        PublishError::MayNotLast(error) => BackupFailure::MayNotLast(file.to_owned(), error),
    })?;
    Ok(Made {
        file: file.to_owned(),
        bytes,
        root_key,
        root_key_left_out: !root_key && practice.directory.path(ROOT_KEY).exists(),
    })
}

/// Whether a file in a directory that is there lies in this one or below it.
fn is_in(directory: &Path, file: &Path) -> bool {
    let parent = file.parent().map(fs::canonicalize);
    let directory = fs::canonicalize(directory);
    match (parent, directory) {
        (Some(Ok(parent)), Ok(directory)) => parent.starts_with(directory),
        _ => false,
    }
}

fn header(practice: &Practice) -> Result<Header, BackupFailure> {
    let wrapped = practice.store.fact(fact::RECOVERY)?;
    let doctor = practice.identity();
    Ok(Header {
        doctor: doctor.identifier().clone(),
        clinic: doctor.root.subject().clinic,
        made: practice.now(),
        wrapped: wrapped.ok_or(BackupFailure::NoRecoveryCode)?,
        salt: random::array(&mut OsRandom),
    })
}

/// Everything small that goes in: name and content.
fn parts(practice: &Practice) -> Result<Vec<(String, SecretBytes)>, BackupFailure> {
    let mut parts = Vec::new();
    for name in key_names(practice)? {
        let Some(kind) = kind_of(&name) else {
            continue;
        };
        let path = practice.directory.path(&name);
        match practice.directory.keyring().load(&path, kind) {
            Ok((group, secret)) => {
                let key = KeyFile {
                    kind,
                    group,
                    secret,
                };
                parts.push((name, key_file::encode(&key)));
            }
            // A prekey whose time has ended meanwhile, or a root key that was
            // moved into its drawer.
            Err(_) if name != SIGNING_KEY && !path.exists() => {}
            // The practice is worth a backup without it; that it is not in it
            // is said.
            Err(error) if name == ROOT_KEY && is_sealed_apart(&error) => {}
            Err(error) => return Err(BackupFailure::KeyFile(error)),
        }
    }
    Ok(parts)
}

/// Whether a key is sealed under another passphrase than that of its directory.
fn is_sealed_apart(error: &KeyFileError) -> bool {
    matches!(
        error.fault(),
        KeyFileFault::WrongPassphrase | KeyFileFault::Locked
    )
}

/// The names of the key files that go into a backup, sorted.
fn key_names(practice: &Practice) -> Result<Vec<String>, BackupFailure> {
    let directory = practice.directory.path("");
    let unreadable = |error| BackupFailure::Directory(directory.clone(), error);
    let mut names = vec![SIGNING_KEY.to_owned()];
    for entry in fs::read_dir(&directory).map_err(unreadable)? {
        if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string()
            && name != SIGNING_KEY
            && kind_of(&name).is_some()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What kind of key lies in the file of this name, if it is one that belongs
/// into a backup. The data key is not: it comes from the recovery code.
#[must_use]
pub fn kind_of(name: &str) -> Option<KeyKind> {
    let is_prekey = |name: &str| {
        let kid = name.strip_prefix("prekey-")?.strip_suffix(".key")?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (kid.len() == 16 && kid.bytes().all(is_hex)).then_some(())
    };
    match name {
        SIGNING_KEY => Some(KeyKind::DoctorSigning),
        ROOT_KEY => Some(KeyKind::RootSigning),
        _ => is_prekey(name).map(|()| KeyKind::Prekey),
    }
}

fn write(
    output: impl Write,
    header: &Header,
    practice: &Practice,
    parts: &[(String, SecretBytes)],
    snapshot: &Snapshot,
) -> Result<(), BackupError> {
    let mut writer = Writer::new(output, header, &practice.vault)?;
    for (name, bytes) in parts {
        let bytes = bytes.expose();
        writer.entry(name, bytes.len() as u64, &mut &bytes[..])?;
    }
    let mut database = File::open(snapshot.path()).map_err(BackupError::Source)?;
    let len = database.metadata().map_err(BackupError::Source)?.len();
    writer.entry(DATABASE, len, &mut database)?;
    writer.finish().map(drop)
}

/// An output that ends the work when it is not to go on.
struct Watched<'a, W> {
    output: W,
    go_on: &'a dyn Fn() -> bool,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.go_on)() {
            return Err(io::Error::other("not to go on"));
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
