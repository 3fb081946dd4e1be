//! The recovery code, as the practice hands it out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::doctor::practice::Practice;
use crate::random::OsRandom;
use crate::store::{StoreError, fact};
use crate::vault::RecoveryCode;

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

/// Wraps the data key under a new recovery code. An older one is void: it
/// opens only backups that were made before.
///
/// # Errors
/// [`StoreError`] if it cannot be stored or logged; the older code is good then.
pub fn renew(practice: &Practice) -> Result<RecoveryCode, StoreError> {
    let code = RecoveryCode::generate(&mut OsRandom);
    let wrapped = code.wrap(&practice.vault, &mut OsRandom);
    // Logged first: a code that nobody knows of must not be.
    practice.note(Action::KeyChanged, "", "new recovery code")?;
    practice.store.set_facts(&[(fact::RECOVERY, &wrapped)])?;
    Ok(code)
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
