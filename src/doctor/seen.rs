//! What one who works in a clinic has seen of its papers: the root, and the
//! newest list of revoked doctors; and how far the database was. It lies in her own
//! directory, where nobody reaches who can only write to the database, and says if
//! that brings another root or an older list, or is an older copy. A practice in a
//! file has no such thing: there the database lies in the same directory, and is
//! restored with it.
//!
//! ```text
//! {"v":2,"root":"<32 bytes in hexadecimal digits>","revoked":"<the list, likewise>",
//!  "database":{"id":"<16 bytes, likewise>","audit":31,"message":5}}
//! ```
//!
//! Version 1 had no `database`; neither has the file of who has just joined.

mod closed;
mod files;
mod marks;
mod members;

pub use closed::{CLOSED, closed_keys, hold_closed, put_closed_back};
pub use marks::{Marks, accept_older, forget_database, note_progress};
pub use members::{MEMBERS, note_members, noted_members};

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use marks::{MarksLine, Missing};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::practice::SERVER;
use crate::doctor::setup::{self, SetupError};
use crate::doctor::staff;
use crate::hex;
use crate::identity::certificate::{
    Certificate, Fingerprint, Serial, VerifiedCertificate, fingerprint,
};
use crate::identity::revocation::RevokedDoctors;
use crate::new_file::{NewFile, PublishError};
use crate::random::Random;
use crate::store::clinic::Removal;
use crate::store::{ClinicStore, Store, fact};

/// Name of the file.
pub const CLINIC: &str = "clinic.json";

/// How far the clock of who signs a list may be ahead of this one.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Version of its format.
const VERSION: u32 = 2;
/// The first version.
const FIRST: u32 = 1;

/// Why the papers in the database are not taken.
#[derive(Debug)]
pub enum SeenError {
    /// The file cannot be read or written.
    Io(io::Error),
    /// It is no such file.
    Damaged,
    /// There is another clinic's root in the database.
    OtherRoot,
    /// The list in the database is older than the one that was seen.
    Older {
        /// Its number.
        found: u64,
        /// The number of the list that was seen.
        seen: u64,
    },
    /// The root has signed two lists with this number.
    Twice(u64),
    /// The list in the database is newer than the one that was seen, and lets
    /// somebody off.
    LetsOff {
        /// Its number.
        found: u64,
        /// The number of the list that was seen.
        seen: u64,
        /// Whose certificates it lacks.
        who: Vec<Serial>,
    },
    /// It is another database of the same clinic.
    OtherDatabase,
    /// The database is an older copy of the one that was seen.
    OlderDatabase {
        /// How far it is.
        found: Marks,
        /// How far the one was that was seen.
        seen: Marks,
    },
}

impl fmt::Display for SeenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read or written: {error}"),
            Self::Damaged => f.write_str(
                "it is damaged; compare the clinic's root, which 'doctor authority show' names, \
                 with the clinic's papers, and remove the file",
            ),
            Self::OtherRoot => f.write_str(
                "the root in the database is not the clinic's that is noted there; check --store, \
                 and see who can write to the database",
            ),
            Self::Older { found, seen } => write!(
                f,
                "the list of revoked doctors in the database (number {found}) is older than the \
                 one that is noted there (number {seen}): somebody has put an old copy of the \
                 database back, or only the list. Any command of a doctor who has seen the newer \
                 one puts that back, as does the start of her server, unless it revokes herself. \
                 If the old copy is what is to be gone on with, remove the file, and revoke anew \
                 who was revoked since: doctor authority revoke-doctor, or replace-key for \
                 oneself"
            ),
            Self::Twice(number) => write!(
                f,
                "the root has signed two lists of revoked doctors with the number {number}, and \
                 the one in the database is not the one that is noted there: see who has the root \
                 key. To go on with the one in the database, remove the file; then let the root \
                 sign another: doctor authority revoke-doctor, or replace-key"
            ),
            Self::LetsOff { found, seen, who } => {
                let who: Vec<_> = who.iter().map(|serial| hex::encode(serial)).collect();
                write!(
                    f,
                    "the list of revoked doctors in the database (number {found}) is newer than \
                     the one that is noted there (number {seen}), and lets somebody off: it lacks \
                     certificate {}. It was signed over an older list that somebody had put back, \
                     or by whoever else has the root key: see who has signed it. To go on with it, \
                     remove the file, and revoke anew who was revoked: doctor authority \
                     revoke-doctor, or replace-key for oneself",
                    who.join(", ")
                )
            }
            Self::OtherDatabase => f.write_str(
                "the database is this clinic's, but not the one that is noted there; check \
                 --store. If it is the one to be gone on with, say so once, with the option \
                 --accept-older-database",
            ),
            Self::OlderDatabase { found, seen } => {
                let (found, seen) = (*found, *seen);
                write!(
                    f,
                    "the database is an older copy of the one that is noted there: {}. What was \
                     written since is not in it; check --store, and ask who has restored a \
                     backup. If the older copy is what is to be gone on with, say so once, with \
                     the option --accept-older-database",
                    Missing { found, seen }
                )
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    v: u32,
    root: String,
    revoked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database: Option<MarksLine>,
}

impl Line {
    fn seen(&self) -> Option<Seen> {
        match (self.v, &self.database) {
            (FIRST, None) | (VERSION, _) => {}
            _ => return None,
        }
        Some(Seen {
            root: hex::decode(&self.root)?.try_into().ok()?,
            revoked: hex::decode(&self.revoked)?,
            marks: match &self.database {
                Some(line) => Some(line.marks()?),
                None => None,
            },
        })
    }
}

struct Seen {
    root: Fingerprint,
    revoked: Vec<u8>,
    marks: Option<Marks>,
}

fn failed(directory: &Path, error: SeenError) -> SetupError {
    SetupError::Seen(directory.join(CLINIC), error)
}

fn read(directory: &Path) -> Result<Option<Seen>, SetupError> {
    let bytes = match fs::read(directory.join(CLINIC)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(directory, SeenError::Io(error))),
    };
    let line = serde_json::from_slice::<Line>(&bytes).ok();
    line.and_then(|line| line.seen())
        .map(Some)
        .ok_or_else(|| failed(directory, SeenError::Damaged))
}

/// Notes these papers in the place of what was noted, and nothing of the database.
///
/// # Errors
/// [`SetupError::Seen`].
pub fn note(
    directory: &Path,
    root: &VerifiedCertificate,
    revoked: &RevokedDoctors,
) -> Result<(), SetupError> {
    let seen = Seen {
        root: root.fingerprint(),
        revoked: revoked.as_bytes().to_vec(),
        marks: None,
    };
    write(directory, &seen)
}

fn write(directory: &Path, seen: &Seen) -> Result<(), SetupError> {
    let line = Line {
        v: VERSION,
        root: hex::encode(&seen.root),
        revoked: hex::encode(&seen.revoked),
        database: seen.marks.map(MarksLine::of),
    };
    let write = || -> io::Result<()> {
        let file = NewFile::in_place_of(&directory.join(CLINIC))?;
        let text = serde_json::to_string(&line)?;
        writeln!(file.file(), "{text}")?;
        file.replace().map_err(|error| match error {
            PublishError::NotThere(error) | PublishError::MayNotLast(error) => error,
        })
    };
    write().map_err(|error| failed(directory, SeenError::Io(error)))
}

/// Holds the root in the database to the one that was noted, if one was.
///
/// # Errors
/// [`SetupError::Seen`].
pub fn check_root(directory: &Path, root: &Fingerprint) -> Result<(), SetupError> {
    match read(directory)? {
        Some(seen) if seen.root != *root => Err(failed(directory, SeenError::OtherRoot)),
        _ => Ok(()),
    }
}

/// The same for the root as it is in the database, before anything is written there.
///
/// # Errors
/// [`SetupError::Seen`], [`SetupError::Store`]; [`SetupError::Inconsistent`] if there
/// is none.
pub fn check_stored_root(directory: &Path, store: &dyn Store) -> Result<(), SetupError> {
    let root = store.fact(fact::ROOT_CERTIFICATE)?;
    let root = root.ok_or(SetupError::Inconsistent("the root certificate"))?;
    check_root(directory, &fingerprint(&root))
}

/// Holds the papers of a clinic of several doctors, and its database, to what was
/// noted, and notes them, if they are newer or nothing was, before anybody goes by
/// them. A newer list holds all who were noted as revoked, but for those that are
/// over: whoever signs one keeps to that, so that one that does not was signed over
/// an older list.
///
/// # Errors
/// [`SetupError::Seen`]; [`SetupError::Store`].
pub fn hold(
    directory: &Path,
    store: &dyn Store,
    (root, revoked): (&VerifiedCertificate, &RevokedDoctors),
    now: Timestamp,
) -> Result<(), SetupError> {
    if store.clinic().is_none() {
        return Ok(());
    }
    let noted = |marks| Seen {
        root: root.fingerprint(),
        revoked: revoked.as_bytes().to_vec(),
        marks,
    };
    let Some(seen) = read(directory)? else {
        return write(directory, &noted(Marks::of(store)?));
    };
    if seen.root != root.fingerprint() {
        return Err(failed(directory, SeenError::OtherRoot));
    }
    let found_marks = marks::check(directory, store, &seen)?;
    if seen.revoked == revoked.as_bytes() {
        return match seen.marks == found_marks {
            true => Ok(()),
            false => write(directory, &noted(found_marks)),
        };
    }
    let known = RevokedDoctors::accept(&seen.revoked, root)
        .map_err(|_| failed(directory, SeenError::Damaged))?;
    let (found, seen) = (revoked.number(), known.number());
    if !revoked.may_follow(&known) {
        let error = match found == seen {
            true => SeenError::Twice(found),
            false => SeenError::Older { found, seen },
        };
        return Err(failed(directory, error));
    }
    let mut who = revoked.lacks(&known);
    if !who.is_empty() {
        // By the clock of who has signed it, which may be ahead.
        let over = staff::over_among(store, root, &who, now.plus(AHEAD))?;
        who.retain(|serial| !over.contains(serial));
    }
    match who.is_empty() {
        true => write(directory, &noted(found_marks)),
        false => Err(failed(directory, SeenError::LetsOff { found, seen, who })),
    }
}

/// Puts the list that a doctor has seen into the database again, where there is
/// an older one, takes those out of the clinic again whom it revokes, and logs
/// that. Gives the numbers of that and of hers; none if
/// nothing was to be done, or if the list is not hers to put back: it revokes
/// herself, as after a restored backup from before her key was replaced, or lets
/// somebody off.
///
/// # Errors
/// [`SetupError`].
pub fn put_back(
    directory: &Path,
    store: &dyn Store,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Option<(u64, u64)>, SetupError> {
    let Some(clinic) = store.clinic() else {
        return Ok(None);
    };
    let Some(seen) = read(directory)? else {
        return Ok(None);
    };
    if store.fact(fact::REVOKED_DOCTORS)?.as_ref() == Some(&seen.revoked) {
        return Ok(None);
    }
    // Nothing is written into a database that is not to be gone on with.
    marks::check(directory, store, &seen)?;
    let papers = setup::load_papers(store, random)?;
    let (root, found) = (papers.root, papers.revoked);
    let known = RevokedDoctors::accept(&seen.revoked, &root).ok();
    let own = papers.certificate.subject();
    let over = staff::over_among(store, &root, found.serials(), now)?;
    let is_to_be_put = |known: &RevokedDoctors| {
        seen.root == root.fingerprint()
            && known.number() > found.number()
            && known.holds_all_of(&found, &over)
            && !known.contains(&own.serial)
    };
    let Some(known) = known.filter(is_to_be_put) else {
        return Ok(None);
    };
    let (older, newer) = (found.number(), known.number());
    // First, so that it is gone on with if this is cut short.
    remove_named(clinic, &root, (&found, &known), now)?;
    let detail = format!("list {newer} of revoked doctors put in the place of the older {older}");
    let entry = Entry::new(
        now,
        SERVER,
        Action::KeyChanged,
        own.identifier.as_str(),
        &detail,
    );
    let put = clinic.put_revoked_list((found.as_bytes(), known.as_bytes()), &[], &[entry])?;
    Ok(put.then_some((older, newer)))
}

/// Removes those who work in the clinic though the newer list that is known, not the
/// one that was found there, revokes them.
fn remove_named(
    clinic: &dyn ClinicStore,
    root: &VerifiedCertificate,
    (found, known): (&RevokedDoctors, &RevokedDoctors),
    now: Timestamp,
) -> Result<(), SetupError> {
    for row in clinic.staff()? {
        let certificate = Certificate::decode(&row.certificate, root.group());
        if !certificate.is_ok_and(|certificate| known.contains(&certificate.subject().serial)) {
            continue;
        }
        let removal = Removal {
            member: &row.id,
            known: found.as_bytes(),
            list: found.as_bytes(),
            facts: &[],
            devices: None,
        };
        let detail = format!("again, as list {} says", known.number());
        let entry = Entry::new(now, SERVER, Action::StaffRevoked, &row.id, &detail);
        clinic.remove_member(&removal, &[entry])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::elgamal::{Group, SignSecret};
    use crate::identity::data_dir::DataDir;
    use crate::identity::key_file::KeyKind;
    use crate::random::OsRandom;
    use crate::store::FactStore;
    use crate::testing::{NOW, at};

    #[test]
    fn a_practice_in_a_file_goes_on_with_the_list_of_a_restored_backup() {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store = setup::open_store(&directory).unwrap();
        let (group, doctor) = (Group::ffdhe2048(), "D1".parse().unwrap());
        let random = &mut OsRandom;
        let identity = setup::found(&directory, &store, &group, &doctor, NOW, random).unwrap();
        let path = directory.path(setup::ROOT_KEY);
        let root = directory.keyring().load(&path, KeyKind::RootSigning);
        let root = SignSecret::from_bytes(&group, root.unwrap().1.expose()).unwrap();
        let clinic = &identity.root.subject().clinic;
        let later = identity
            .revoked
            .extend(&root, clinic, &[7; 16], at(1), random);
        for list in [&later.unwrap(), &identity.revoked] {
            let facts = [(fact::REVOKED_DOCTORS, list.as_bytes())];
            store.set_facts(&facts).unwrap();
            let loaded = setup::load(&directory, &store, NOW, random).unwrap();
            assert_eq!(loaded.revoked.number(), list.number());
        }
        assert!(!directory.path(CLINIC).exists());
    }
}
