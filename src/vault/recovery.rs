//! The recovery code: 128 random bits on paper, which open the data key when
//! the machine is gone.
//!
//! ```text
//! text    = Crockford's base32 of (code 16 ‖ first 4 bytes of H(code)), 8 groups of 4 letters
//! wrapped = name 16 ‖ seal(Xp(Ex("", code), "tmc1 recovery", name, 128), AD = name, data key)
//! ```
//!
//! The code is random enough to need no slow hash.

use std::fmt;
use std::str::FromStr;

use crate::aes::{OpenError, SealingKey};
use crate::base32;
use crate::kdf::{self, label};
use crate::random::{self, Random};
use crate::secret::{Secret, ct_eq};
use crate::vault::{ColumnError, DataKeyId, Vault};

/// Bytes of the check at the end of the code.
const CHECK_LEN: usize = 4;
/// Letters in a group.
const GROUP: usize = 4;

/// Opens a wrapped data key. 16 bytes, wiped on drop.
#[derive(Debug)]
pub struct RecoveryCode(Secret<16>);

/// A text that is no recovery code: a letter is missing or wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryCodeError;

impl fmt::Display for RecoveryCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this is no recovery code: a letter is missing or wrong; it has 32 letters and \
             digits in groups of four",
        )
    }
}

impl std::error::Error for RecoveryCodeError {}

impl RecoveryCode {
    /// A new code.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(random::secret(random))
    }

    /// The code as it is written down: 8 groups of 4 letters and digits.
    #[must_use]
    pub fn to_text(&self) -> String {
        let code = self.0.expose();
        let letters = base32::encode(&[&code[..], &check(code)].concat());
        base32::in_groups(&letters, GROUP)
    }

    /// The data key of `vault`, wrapped: 16 bytes of its name, then the rest.
    ///
    /// # Errors
    /// [`ColumnError::NoDataKey`].
    pub fn wrap(&self, vault: &Vault, random: &mut dyn Random) -> Result<Vec<u8>, ColumnError> {
        let (id, key) = (vault.id(), vault.key()?);
        let sealed = self.key(&id).seal(0, &[&id], key.expose(), random);
        Ok([&id[..], &sealed].concat())
    }

    /// The vault whose data key was wrapped under this code.
    ///
    /// # Errors
    /// [`OpenError`] if it was another code, or if a byte has changed.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Vault, OpenError> {
        let (id, sealed) = wrapped
            .split_first_chunk::<{ size_of::<DataKeyId>() }>()
            .ok_or(OpenError)?;
        let key = self.key(id).open(&[id], sealed)?;
        let vault = Vault::new(Secret::from_slice(key.expose()).ok_or(OpenError)?);
        if vault.id() == *id {
            Ok(vault)
        } else {
            Err(OpenError)
        }
    }

    fn key(&self, id: &DataKeyId) -> SealingKey {
        let prk = kdf::extract(&[], &[self.0.expose()]);
        SealingKey::new(prk.expand(label::RECOVERY, &[id]))
    }
}

fn check(code: &[u8]) -> [u8; CHECK_LEN] {
    let hash = kdf::hash(&[code]);
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&hash[..CHECK_LEN]);
    check
}

impl FromStr for RecoveryCode {
    type Err = RecoveryCodeError;

    /// Reads a code as a person may have typed it: case, hyphens and white
    /// space do not count, and I, L and O are read as 1, 1 and 0.
    fn from_str(typed: &str) -> Result<Self, RecoveryCodeError> {
        let bytes = base32::decode(&base32::as_typed(typed)).ok_or(RecoveryCodeError)?;
        let bytes = Secret::<20>::from_slice(&bytes).ok_or(RecoveryCodeError)?;
        let (code, end) = bytes.expose().split_at(16);
        if !ct_eq(&check(code), end) {
            return Err(RecoveryCodeError);
        }
        Secret::from_slice(code).map(Self).ok_or(RecoveryCodeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn a_code_from_paper_opens_what_was_wrapped_under_it() {
        let vault = Vault::generate(&mut OsRandom);
        let code = RecoveryCode::generate(&mut OsRandom);
        let wrapped = code.wrap(&vault, &mut OsRandom).unwrap();
        let text = code.to_text();
        assert_eq!(text.len(), 8 * 4 + 7);
        let typed: RecoveryCode = text.to_lowercase().replace('-', " ").parse().unwrap();
        let opened = typed.unwrap(&wrapped).unwrap();
        assert!(opened.key().unwrap().ct_eq(vault.key().unwrap()));
    }

    #[test]
    fn another_code_or_a_changed_byte_opens_nothing() {
        let vault = Vault::generate(&mut OsRandom);
        let code = RecoveryCode::generate(&mut OsRandom);
        let wrapped = code.wrap(&vault, &mut OsRandom).unwrap();
        assert!(
            RecoveryCode::generate(&mut OsRandom)
                .unwrap(&wrapped)
                .is_err()
        );
        for byte in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[byte] ^= 1;
            assert!(code.unwrap(&flipped).is_err());
        }
        assert!(code.unwrap(&[]).is_err());
    }

    #[test]
    fn a_mistyped_code_is_noticed_before_it_is_used() {
        let text = RecoveryCode::generate(&mut OsRandom).to_text();
        for position in (0..text.len()).filter(|position| position % 5 != 4) {
            let mut typed = text.clone().into_bytes();
            typed[position] = if typed[position] == b'7' { b'8' } else { b'7' };
            let typed = String::from_utf8(typed).unwrap();
            assert!(typed.parse::<RecoveryCode>().is_err(), "{position}");
        }
        assert!("".parse::<RecoveryCode>().is_err());
        assert!(text[1..].parse::<RecoveryCode>().is_err());
    }

    #[test]
    fn debug_shows_no_code() {
        let code = RecoveryCode(Secret::from_slice(&[171; 16]).unwrap());
        assert!(!format!("{code:?}").contains("171"));
    }
}
