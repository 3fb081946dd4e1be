//! The recovery code, as the practice hands it out.
//!
//! A new code is good only once somebody has it: it is made, handed over, and
//! then kept. What is cut short in between leaves the older one good.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::Action;
use crate::doctor::practice::Practice;
use crate::doctor::staff;
use crate::identity::id::Identifier;
use crate::kdf::hash32;
use crate::random::OsRandom;
use crate::store::{StoreError, fact};
use crate::vault::RecoveryCode;

/// Where the first recovery code is left if nobody is there to read it.
const FILE: &str = "recovery-code.txt";
/// The longest text that is read, in bytes; a code has 39.
pub const MAX_TEXT: u64 = 1024;

/// A recovery code as text, on its way to the doctor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeText(String);

impl CodeText {
    /// The text of this code.
    #[must_use]
    pub fn of(code: &RecoveryCode) -> Self {
        Self(code.to_text())
    }

    /// The text itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeText {
    /// Without the code, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeText(..)")
    }
}

impl Drop for CodeText {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Whether the practice has a recovery code.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn exists(practice: &Practice) -> Result<bool, StoreError> {
    Ok(practice.store.fact(fact::RECOVERY)?.is_some())
}

/// Whether a code was handed over, or was to be, and never became good.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn is_pending(practice: &Practice) -> Result<bool, StoreError> {
    Ok(practice.store.fact(fact::PENDING_RECOVERY)?.is_some())
}

/// A recovery code that is not good yet.
#[derive(Debug)]
pub struct NewCode {
    /// The code.
    pub code: RecoveryCode,
    /// The data key, wrapped under it: names it when it is to be kept.
    pub wrapped: Vec<u8>,
}

/// Makes a recovery code, to be handed over and then kept. Another one that was
/// not kept yet never will be.
///
/// # Errors
/// [`StoreError`] if it cannot be stored.
pub fn make(practice: &Practice) -> Result<NewCode, StoreError> {
    let code = RecoveryCode::generate(&mut OsRandom);
    let wrapped = code.wrap(&practice.vault, &mut OsRandom)?;
    let store = &practice.store;
    store.set_facts(&[(fact::PENDING_RECOVERY, &wrapped)])?;
    Ok(NewCode { code, wrapped })
}

/// Makes the code good that was handed over, and logs it. An older one is void:
/// it opens only backups that were made before. False, and nothing is changed,
/// if another code was made meanwhile.
///
/// # Errors
/// [`StoreError`] if it cannot be stored; the older code is good then.
pub fn keep(practice: &Practice, wrapped: &[u8]) -> Result<bool, StoreError> {
    let entry = practice.by_doctor(Action::KeyChanged, "", "new recovery code");
    let (from, to) = (fact::PENDING_RECOVERY, fact::RECOVERY);
    let is_kept = practice.store.move_fact(from, wrapped, to, &[entry])?;
    if is_kept && practice.store.clinic().is_some() {
        let by = practice.identity().identifier().to_string();
        practice.store.set_facts(&[
            (fact::RECOVERY_KNOWN, &hash32(&[wrapped])),
            (fact::RECOVERY_BY, by.as_bytes()),
        ])?;
    }
    Ok(is_kept)
}

/// The clinic's other doctors, whose backups the recovery code opens too.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn sharers(practice: &Practice) -> Result<Vec<String>, StoreError> {
    let Some(clinic) = practice.store.clinic() else {
        return Ok(Vec::new());
    };
    let mut doctors = staff::doctors(clinic.staff()?);
    doctors.retain(|name| name != practice.identity().identifier().as_str());
    Ok(doctors)
}

/// Whether another doctor has made the recovery code that is good since it was last
/// asked, in a sentence. At the first time it is only noted which one is good.
///
/// # Errors
/// [`StoreError`] if it cannot be read or noted.
pub fn changed_elsewhere(practice: &Practice) -> Result<Option<String>, StoreError> {
    let store = &practice.store;
    let Some(wrapped) = store.fact(fact::RECOVERY)? else {
        return Ok(None);
    };
    let (known, now) = (store.fact(fact::RECOVERY_KNOWN)?, hash32(&[&wrapped]));
    if known.as_deref() == Some(&now[..]) {
        return Ok(None);
    }
    store.set_facts(&[(fact::RECOVERY_KNOWN, &now)])?;
    if known.is_none() {
        return Ok(None);
    }
    let by = store.fact(fact::RECOVERY_BY)?.unwrap_or_default();
    let by: Option<Identifier> = str::from_utf8(&by).ok().and_then(|by| by.parse().ok());
    let by = by.map_or_else(|| "another doctor".to_owned(), |by| format!("doctor {by}"));
    Ok(Some(format!(
        "{by} has made a new recovery code for the clinic: the one before opens only backups \
         that were made until then"
    )))
}

/// Where a service leaves its first recovery code.
#[must_use]
pub fn file(practice: &Practice) -> PathBuf {
    practice.directory.path(FILE)
}

/// The file with a recovery code that lies beside the keys in a directory, if
/// there is one.
#[must_use]
pub fn file_beside_keys(directory: &Path) -> Option<PathBuf> {
    let file = directory.join(FILE);
    file.exists().then_some(file)
}

/// Removes the file with a recovery code that is good no more.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove_file(practice: &Practice) -> io::Result<()> {
    match fs::remove_file(file(practice)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether the file is there and holds the code that is good now.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn is_in_file(practice: &Practice) -> Result<bool, StoreError> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(file(practice))
        .and_then(|file| file.take(MAX_TEXT).read_to_string(&mut text))
        .is_ok();
    let code = text.parse::<RecoveryCode>().ok().filter(|_| read);
    let wrapped = practice.store.fact(fact::RECOVERY)?;
    Ok(code
        .zip(wrapped)
        .is_some_and(|(code, wrapped)| code.unwrap(&wrapped).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_code() {
        let code = RecoveryCode::generate(&mut OsRandom);
        let text = CodeText::of(&code);
        assert_eq!(text.expose(), code.to_text());
        assert!(!format!("{text:?}").contains(&code.to_text()[..4]));
    }
}
