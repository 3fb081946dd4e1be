//! Passphrases, and the keys that are stretched from them with Argon2id
//! (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::seal::ContentKey;
use super::{Closed, KeyFile, KeyFileFault, Protection};
use crate::codec::{DecodeError, Reader};
use crate::kdf::{Prk, label};
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};

/// What a person knows and nobody has written down. Wiped on drop.
#[derive(Debug)]
pub struct Passphrase(SecretBytes);

impl Passphrase {
    /// The longest passphrase, in bytes.
    pub const MAX_LEN: usize = 1024;
    /// The fewest characters of a passphrase that is set anew.
    pub const MIN_NEW: usize = 8;

    /// The passphrase of these bytes, 1 to [`Self::MAX_LEN`]; nothing else is
    /// one.
    #[must_use]
    pub fn new(bytes: SecretBytes) -> Option<Self> {
        let len = bytes.expose().len();
        (len > 0 && len <= Self::MAX_LEN).then_some(Self(bytes))
    }

    /// Whether it has the characters that a new one needs.
    #[must_use]
    pub fn may_be_set(&self) -> bool {
        let bytes = self.0.expose();
        // Continuation bytes of UTF-8 are no characters of their own.
        let characters = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        characters >= Self::MIN_NEW
    }

    /// Whether both are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        crate::secret::ct_eq(self.0.expose(), other.0.expose())
    }
}

/// What it costs to try a passphrase: Argon2id's parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    memory: u32,
    passes: u32,
    lanes: u8,
}

impl Cost {
    /// 64 MiB, three passes, one lane: some tenths of a second (RFC 9106,
    /// section 4, second recommendation, for one thread).
    pub const STANDARD: Self = Self {
        memory: 64 * 1024,
        passes: 3,
        lanes: 1,
    };
    /// The least that is read: for tests, which try many.
    pub const LEAST: Self = Self {
        memory: 8 * 1024,
        passes: 1,
        lanes: 1,
    };
    /// Its bytes in a file.
    pub(super) const LEN: usize = 9;

    /// The memory that is filled, in KiB.
    #[must_use]
    pub const fn memory(self) -> u32 {
        self.memory
    }

    /// How often it is filled.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// How many lanes it has.
    #[must_use]
    pub const fn lanes(self) -> u8 {
        self.lanes
    }

    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.memory.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.passes.to_be_bytes());
        bytes[8] = self.lanes;
        bytes
    }

    /// Bounded here, before anything of that size is allocated: a file is not
    /// to have the machine spend whatever it says.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, KeyFileFault> {
        let damaged = |_: DecodeError| KeyFileFault::Damaged;
        let cost = Self {
            memory: reader.u32().map_err(damaged)?,
            passes: reader.u32().map_err(damaged)?,
            lanes: reader.u8().map_err(damaged)?,
        };
        let in_bounds = (8 * 1024..=1024 * 1024).contains(&cost.memory)
            && (1..=20).contains(&cost.passes)
            && (1..=4).contains(&cost.lanes);
        in_bounds.then_some(cost).ok_or(KeyFileFault::Cost)
    }
}

/// A key stretched from a passphrase. It opens every file that was sealed with
/// the same cost and salt, without stretching again.
#[derive(Debug)]
pub struct PassphraseKey {
    pub(super) cost: Cost,
    pub(super) salt: [u8; 16],
    pub(super) key: ContentKey,
}

impl PassphraseKey {
    /// A new key, with a salt of its own.
    ///
    /// # Errors
    /// [`KeyFileFault::Memory`].
    pub fn generate(
        passphrase: &Passphrase,
        cost: Cost,
        random: &mut dyn Random,
    ) -> Result<Self, KeyFileFault> {
        Self::stretch(passphrase, cost, random::array(random))
    }

    /// Stretches the passphrase once more for a file of this cost and salt.
    ///
    /// # Errors
    /// [`KeyFileFault::Memory`].
    pub fn stretch(
        passphrase: &Passphrase,
        cost: Cost,
        salt: [u8; 16],
    ) -> Result<Self, KeyFileFault> {
        let mut output = Secret::<64>::zero();
        argon2id(passphrase, cost, &salt, output.expose_mut())?;
        let key = ContentKey::new(&Prk::from_secret(output), label::KEY_PASSPHRASE);
        Ok(Self { cost, salt, key })
    }

    /// Whether a file sealed like this was sealed with this cost and salt.
    pub(in crate::identity) fn fits(&self, protection: &Protection) -> bool {
        let Self { cost, salt, .. } = *self;
        *protection == Protection::Passphrase { cost, salt }
    }
}

fn argon2id(
    passphrase: &Passphrase,
    cost: Cost,
    salt: &[u8; 16],
    output: &mut [u8; 64],
) -> Result<(), KeyFileFault> {
    let lanes = u32::from(cost.lanes);
    let params = Params::new(cost.memory, cost.passes, lanes, Some(output.len()))
        .map_err(|_| KeyFileFault::Cost)?;
    let len = params.block_count();
    let no_memory = || KeyFileFault::Memory {
        mebibytes: cost.memory / 1024,
    };
    // Reserved here, since the crate neither wipes its memory nor survives
    // having none.
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(len).map_err(|_| no_memory())?;
    memory.resize(len, Block::new());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.0.expose(), salt, output, &mut memory[..])
        .map_err(|_| KeyFileFault::Cost)
}

impl Closed {
    /// The key, with the passphrase it is sealed under by itself.
    ///
    /// # Errors
    /// [`KeyFileFault::WrongPassphrase`]; [`KeyFileFault::Locked`] if it is
    /// sealed, but not by itself.
    pub fn open_with_passphrase(&self, passphrase: &Passphrase) -> Result<KeyFile, KeyFileFault> {
        match self.protection {
            Protection::Plain => self.plain(),
            Protection::Passphrase { cost, salt } => {
                self.open_with(&PassphraseKey::stretch(passphrase, cost, salt)?)
            }
            Protection::Wrapped(_) => Err(KeyFileFault::Locked),
        }
    }

    /// The key, with what was stretched from its passphrase.
    ///
    /// # Errors
    /// [`KeyFileFault::WrongPassphrase`].
    pub fn open_with(&self, key: &PassphraseKey) -> Result<KeyFile, KeyFileFault> {
        let opened = key.key.open(self.header(), self.content());
        self.opened(opened.map_err(|_| KeyFileFault::WrongPassphrase)?)
    }
}
