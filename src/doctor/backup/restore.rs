//! Looking into a backup, and making a practice from it on an empty machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::workplace::Workplace;
use super::{Checked, Content, RestoreFailure, kind_of};
use crate::audit::heads_file;
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;
use crate::audit::verify::{Finding, HeadsFiles, Origin};
use crate::audit::{Action, Entry};
use crate::backup::Reader;
use crate::clock::Timestamp;
use crate::identity::certificate::fingerprint;
use crate::identity::data_dir::{self, DATABASE, DataDir};
use crate::identity::id::Identifier;
use crate::identity::key_file::{self, Cost, KeyFile, Passphrase};
use crate::random::OsRandom;
use crate::store::{
    AuditStore, CertificateState, FactStore, SqliteStore, StoreError, TicketState, TrustStore, fact,
};
use crate::vault::{DATA_KEY, Vault};

/// A file of signed heads, which knows what happened after a backup.
#[derive(Debug, Default)]
pub struct Heads {
    files: HeadsFiles,
    stopped: Vec<Revocation>,
}

impl Heads {
    /// Reads the file.
    ///
    /// # Errors
    /// [`RestoreFailure::Heads`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self, RestoreFailure> {
        Ok(Self {
            files: HeadsFiles::open(&[path.to_owned()])?,
            stopped: heads_file::read(path)?.revocations,
        })
    }
}

/// A practice that was restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// What was in the backup.
    pub checked: Checked,
    /// Patients whose open tickets are void now.
    pub tickets: Vec<String>,
    /// Certificates that the backup took for good and that were stopped since.
    pub stopped: Vec<Revocation>,
    /// Number of the last entry of the audit log in the backup.
    pub log_end: u64,
    /// Number of the last entry that the log is known to have had since;
    /// nothing if nobody knows.
    pub known_end: Option<u64>,
}

/// Opens all of a backup and looks at everything in it. `base` is the directory
/// of the doctors' directories: the database is put there for the time being.
///
/// # Errors
/// [`RestoreFailure`].
pub fn verify<R: Read>(
    base: &Path,
    reader: Reader<R>,
    vault: &Vault,
) -> Result<Checked, RestoreFailure> {
    let workplace = workplace(base)?;
    let database = workplace.path().join(DATABASE);
    Content::take_out(reader, vault, &database)?.check(vault, &HeadsFiles::default())
}

/// Whether a practice can be restored to this directory: there is none, or an
/// empty one.
///
/// # Errors
/// [`RestoreFailure::NotEmpty`], or what the directory's name or place is.
pub fn check_empty(base: &Path, id: &Identifier) -> Result<(), RestoreFailure> {
    let place = data_dir::location(base, id.as_str())?;
    let found = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map(|mut entries| entries.next().is_some()),
    };
    match found {
        Ok(false) => Ok(()),
        Ok(true) => Err(RestoreFailure::NotEmpty(place)),
        Err(error) => Err(RestoreFailure::Write(place, error)),
    }
}

/// Makes the practice of a backup anew. It is built beside its place and moved
/// there as a whole, so that there is all of it or nothing. Its keys are sealed
/// under a passphrase if there is one: those in the backup are not.
///
/// # Errors
/// [`RestoreFailure`]; nothing is left behind then.
pub fn restore<R: Read>(
    base: &Path,
    reader: Reader<R>,
    vault: &Vault,
    heads: Option<&Heads>,
    sealing: Option<(&Passphrase, Cost)>,
    now: Timestamp,
) -> Result<Restored, RestoreFailure> {
    let id = reader.header().doctor.clone();
    check_empty(base, &id)?;
    let place = data_dir::location(base, id.as_str())?;
    let workplace = workplace(base)?;
    let mut directory = DataDir::create_or_open(workplace.path(), id.as_str())?;
    if let Some((passphrase, cost)) = sealing {
        directory.seal_keys(passphrase, cost)?;
    }
    let content = Content::take_out(reader, vault, &directory.path(DATABASE))?;
    let none = Heads::default();
    let mut checked = content.check(vault, &heads.unwrap_or(&none).files)?;
    save_keys(&directory, &content, vault)?;
    let Content { store, header, .. } = content;
    // The code that was used now is the one that stays good.
    store.set_facts(&[(fact::RECOVERY, &header.wrapped)])?;
    let log_end = store.audit_head()?.map_or(0, |(number, _)| number);
    let known_end = heads.map(|_| beyond(&checked.findings).unwrap_or(log_end));
    forgive_later_entries(&store, log_end, &mut checked.findings)?;
    let tickets = void_tickets(&store)?;
    let stopped = stop(&store, heads.unwrap_or(&none))?;
    let detail = format!(
        "from the backup of {}; open tickets made void: {}; certificates stopped: {}",
        header.made,
        tickets.len(),
        stopped.len()
    );
    let entry = Entry::new(now, id.as_str(), Action::Restored, "", &detail);
    store.append_audit(&[entry])?;
    drop(store);
    let at_place = |error| RestoreFailure::Write(place.clone(), error);
    File::open(directory.path(""))
        .and_then(|directory| directory.sync_all())
        .map_err(at_place)?;
    drop(directory);
    // Takes the place of an empty directory, and of nothing else.
    match fs::rename(workplace.path().join(id.as_str()), &place) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            return Err(RestoreFailure::NotEmpty(place));
        }
        other => other.map_err(at_place)?,
    }
    File::open(base)
        .and_then(|base| base.sync_all())
        .map_err(at_place)?;
    Ok(Restored {
        checked,
        tickets,
        stopped,
        log_end,
        known_end,
    })
}

fn workplace(base: &Path) -> Result<Workplace, RestoreFailure> {
    Workplace::new(base).map_err(|error| RestoreFailure::Write(base.to_owned(), error))
}

fn save_keys(directory: &DataDir, content: &Content, vault: &Vault) -> Result<(), RestoreFailure> {
    for (name, bytes) in &content.keys {
        let path = directory.path(name);
        if let Some(kind) = kind_of(name) {
            let (group, secret) = key_file::parse(&path, bytes.expose(), kind)?;
            let key = KeyFile {
                kind,
                group,
                secret,
            };
            directory.keyring().save(&path, &key)?;
        }
    }
    Ok(vault.save(&directory.path(DATA_KEY), directory.keyring())?)
}

/// Takes back the tickets that nobody had used. Those that were used since
/// would let somebody in a second time.
fn void_tickets(store: &SqliteStore) -> Result<Vec<String>, StoreError> {
    let mut void = Vec::new();
    for ticket in store.tickets()? {
        if ticket.state == TicketState::Open {
            store.set_ticket_state(&ticket.id, TicketState::Revoked)?;
            void.push(ticket.subject);
        }
    }
    Ok(void)
}

/// Stops again what was stopped since, as far as a doctor of the clinic has
/// signed it; gives what the backup took for good.
fn stop(store: &SqliteStore, heads: &Heads) -> Result<Vec<Revocation>, StoreError> {
    let papers = Papers::stored(store)?;
    // The root of the backup, which was checked.
    let root = fingerprint(&papers.root);
    let trust = heads.files.trust(papers, &root, &mut OsRandom);
    let is_signed = |line: &&Revocation| {
        let trust = trust.as_ref();
        trust.is_some_and(|trust| trust.check_revocation(line).is_ok())
    };
    let mut news = Vec::new();
    for revocation in heads.stopped.iter().filter(is_signed) {
        let Some(state) = CertificateState::from_word(&revocation.state) else {
            continue;
        };
        let known = store.certificate(&revocation.serial)?;
        let is_news = known
            .is_some_and(|known| known.state != state && known.state != CertificateState::Revoked);
        let is_stop = matches!(state, CertificateState::Frozen | CertificateState::Revoked);
        if is_news && is_stop {
            store.set_certificate_state(&revocation.serial, state)?;
            news.push(revocation.clone());
        }
    }
    Ok(news)
}

/// The last entry that a signed head speaks of and the log does not have.
fn beyond(findings: &[Finding]) -> Option<u64> {
    let heads = findings.iter().filter_map(|finding| match finding {
        Finding::Truncated { head, .. } => Some(*head),
        _ => None,
    });
    heads.max()
}

/// A file of heads that goes on after the backup is no fault of the backup. A
/// head of its own database beyond the end is: entries were cut off before.
fn forgive_later_entries(
    store: &SqliteStore,
    last: u64,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    findings.retain(|finding| !matches!(finding, Finding::Truncated { .. }));
    // Of several heads beyond the end only the furthest is told, which may be
    // that of the file.
    if let Some(head) = store.newest_signed_head()?
        && head.number > last
    {
        findings.push(Finding::Truncated {
            last,
            head: head.number,
            at: head.at,
            origin: Origin::Database,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
