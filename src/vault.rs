//! What lies in the database, sealed: texts, names, notes. Who has the
//! database without the data key sees identifiers, times and states.
//!
//! ```text
//! data key   32 random bytes, in the file data.key
//! column key = Xp(Ex("", data key), "tmc1 at rest", LP8(column), 128)
//! sealed     = seal(column key, AD = LP8(column) ‖ row, content)
//! ```
//!
//! A doctor's data key also lies in the database, wrapped under a recovery code
//! that she has on paper. It is never wrapped under a key that rotates. An
//! assistant of a clinic has no data key, only the keys of some columns, in the
//! file column.key.

mod recovery;

pub use recovery::{RecoveryCode, RecoveryCodeError};

use std::fmt;
use std::path::Path;

use crate::aes::{OpenError, SealingKey};
use crate::codec::Writer;
use crate::identity::data_dir::DataDir;
use crate::identity::join::ColumnKeys;
use crate::identity::key_file::{KeyFile, KeyFileError, KeyKind};
use crate::identity::keyring::Keyring;
use crate::kdf::{self, Prk, label};
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};
use crate::store::{FactStore, StoreError, fact};

/// The longest content that can be sealed in one piece, in bytes.
pub const MAX_CONTENT: usize = crate::aes::MAX_SEALED_MESSAGE;
/// The data key's file in the data directory.
pub const DATA_KEY: &str = "data.key";
/// The file of the keys of columns, of one who has no data key:
/// data key id 16 ‖ [`ColumnKeys::encode`].
pub const COLUMN_KEYS: &str = "column.key";
/// The data key belongs to no group.
const NO_GROUP: [u8; 32] = [0; 32];

/// A column whose content is sealed; every one has a key of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column(pub &'static str);

/// The columns there are.
pub mod column {
    use super::Column;

    /// A message of the doctor's, with for whom it is. Row: its id.
    pub const DOCTOR_MESSAGE: Column = Column("doctor message");
    /// The same as earlier versions sealed it, without that. Only opened, but for
    /// tests. Row: its id.
    pub const MESSAGE: Column = Column("message");
    /// A message of an assistant's, with for whom it is. Row: its id.
    pub const STAFF_MESSAGE: Column = Column("staff message");
    /// A patient's signed confirmation. Row: message id ‖ device.
    pub const CONFIRMATION: Column = Column("confirmation");
    /// A message of a patient's. Row: device ‖ message id.
    pub const INCOMING: Column = Column("incoming");
    /// What a patient's record says beside [`CONTACT`]: notes and tags. Row: the
    /// patient's identifier ‖ version ‖ times, see `RecordRow::row_name`.
    pub const RECORD: Column = Column("record");
    /// Who a patient is and how she is reached: name, date of birth, sex, phone
    /// number and addresses. Row: as for [`RECORD`].
    pub const CONTACT: Column = Column("contact");
    /// A consultation in a patient's record. Row: its id ‖ the patient's
    /// identifier ‖ times, see `ConsultationRow::row_name`.
    pub const CONSULTATION: Column = Column("consultation");
    /// A ticket's secret, with for whom it is and its times. Row: its id.
    pub const TICKET: Column = Column("ticket");
    /// The secret of a ticket for joining a clinic. Row: its id ‖ the rest of it,
    /// see `JoinTicketRow::row_name`.
    pub const JOIN_TICKET: Column = Column("join ticket");
    /// A message on the patient's side, from the doctor. Row: its id.
    pub const INBOX: Column = Column("inbox");
    /// A message on the patient's side, to the doctor. Row: its id.
    pub const OUTGOING: Column = Column("outgoing");
}

/// Names a data key: 16 bytes that say nothing about it.
pub type DataKeyId = [u8; 16];

/// Seals and opens what lies in one database.
#[derive(Debug)]
pub struct Vault(Keys);

#[derive(Debug)]
enum Keys {
    /// A doctor's, or a patient's own: everything.
    All { key: Secret<32>, prk: Prk },
    /// An assistant's or an auditor's: what she was given.
    Some { id: DataKeyId, columns: ColumnKeys },
}

/// Why something was not sealed or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnError {
    /// This vault has no key for it.
    NoKey(Column),
    /// It takes the data key itself, and this vault has only keys of columns.
    NoDataKey,
    /// It does not open: another key's, another row's, or damaged.
    Damaged,
}

impl fmt::Display for ColumnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(Column(name)) => write!(
                f,
                "what the clinic keeps under \"{name}\" is for its doctors: there is no key to it \
                 here"
            ),
            Self::NoDataKey => f.write_str(
                "the key to the whole database is the doctors' alone: let a doctor of the clinic \
                 do this",
            ),
            Self::Damaged => write!(f, "{OpenError}"),
        }
    }
}

impl std::error::Error for ColumnError {}

impl From<OpenError> for ColumnError {
    fn from(_: OpenError) -> Self {
        Self::Damaged
    }
}

/// Why a database's content cannot be opened.
#[derive(Debug)]
pub enum VaultError {
    /// The data key's file.
    KeyFile(KeyFileError),
    /// The database.
    Store(StoreError),
    /// The file holds the key of another database.
    OtherKey,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::OtherKey => write!(
                f,
                "the file {DATA_KEY}, or {COLUMN_KEYS} of an assistant, belongs to another \
                 database; put the right one back, or restore a backup"
            ),
        }
    }
}

impl std::error::Error for VaultError {}

impl From<KeyFileError> for VaultError {
    fn from(error: KeyFileError) -> Self {
        Self::KeyFile(error)
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Vault {
    /// The vault with this data key.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        let prk = kdf::extract(&[], &[key.expose()]);
        Self(Keys::All { key, prk })
    }

    /// A vault that opens these columns of the database whose data key has this
    /// name, and no other.
    #[must_use]
    pub const fn of_columns(id: DataKeyId, columns: ColumnKeys) -> Self {
        Self(Keys::Some { id, columns })
    }

    /// A vault with a new data key, in no file.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::new(random::secret(random))
    }

    /// Reads the data key of this directory's database. If the database has
    /// none yet, one is made: `true` then. A file without a database that knows
    /// it is left from a start that was cut short, and used.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open_or_create(
        directory: &DataDir,
        store: &dyn FactStore,
        random: &mut dyn Random,
    ) -> Result<(Self, bool), VaultError> {
        let path = directory.path(DATA_KEY);
        let known = store.fact(fact::DATA_KEY)?;
        if known.is_none() && !path.exists() {
            Self::generate(random).save(&path, directory.keyring())?;
        }
        let vault = Self::load(&path, directory.keyring())?;
        match known {
            Some(id) if id == vault.id() => Ok((vault, false)),
            Some(_) => Err(VaultError::OtherKey),
            None => {
                store.set_facts(&[(fact::DATA_KEY, &vault.id())])?;
                Ok((vault, true))
            }
        }
    }

    /// The vault whose data key lies in this file.
    ///
    /// # Errors
    /// [`VaultError`] if it holds none.
    pub fn load(path: &Path, keyring: &Keyring) -> Result<Self, VaultError> {
        let (_, secret) = keyring.load(path, KeyKind::Data)?;
        let key = Secret::from_slice(secret.expose()).ok_or(VaultError::OtherKey)?;
        Ok(Self::new(key))
    }

    /// The vault whose keys of columns lie in this file.
    ///
    /// # Errors
    /// [`VaultError`] if it holds none.
    pub fn load_columns(path: &Path, keyring: &Keyring) -> Result<Self, VaultError> {
        let (_, secret) = keyring.load(path, KeyKind::Columns)?;
        let (id, columns) = secret
            .expose()
            .split_first_chunk()
            .ok_or(VaultError::OtherKey)?;
        let columns = ColumnKeys::decode(columns).map_err(|_| VaultError::OtherKey)?;
        Ok(Self::of_columns(*id, columns))
    }

    /// Writes the data key, or the keys of columns, into a new file.
    ///
    /// # Errors
    /// As [`Keyring::save`].
    pub fn save(&self, path: &Path, keyring: &Keyring) -> Result<(), KeyFileError> {
        let (kind, secret) = match &self.0 {
            Keys::All { key, .. } => (KeyKind::Data, SecretBytes::copy_of(key.expose())),
            Keys::Some { id, columns } => {
                let columns = columns.encode();
                let mut bytes = Vec::with_capacity(id.len() + columns.expose().len());
                bytes.extend_from_slice(id);
                bytes.extend_from_slice(columns.expose());
                (KeyKind::Columns, SecretBytes::new(bytes))
            }
        };
        let file = KeyFile {
            kind,
            group: NO_GROUP,
            secret,
        };
        keyring.save(path, &file)
    }

    /// The data key's name.
    #[must_use]
    pub fn id(&self) -> DataKeyId {
        match &self.0 {
            Keys::All { prk, .. } => {
                let name: Secret<16> = prk.expand(label::DATA_KEY_ID, &[]);
                *name.expose()
            }
            Keys::Some { id, .. } => *id,
        }
    }

    /// The data key itself, for wrapping it.
    ///
    /// # Errors
    /// [`ColumnError::NoDataKey`].
    pub const fn key(&self) -> Result<&Secret<32>, ColumnError> {
        match &self.0 {
            Keys::All { key, .. } => Ok(key),
            Keys::Some { .. } => Err(ColumnError::NoDataKey),
        }
    }

    /// Whether this vault has the key of a column.
    #[must_use]
    pub fn opens(&self, column: Column) -> bool {
        match &self.0 {
            Keys::All { .. } => true,
            Keys::Some { columns, .. } => columns.get(column.0).is_some(),
        }
    }

    /// The keys of these columns, for one who is to have no more.
    ///
    /// # Errors
    /// [`ColumnError::NoKey`] if this vault has not all of them itself.
    pub fn column_keys(&self, columns: &[Column]) -> Result<ColumnKeys, ColumnError> {
        let mut keys = Vec::with_capacity(columns.len());
        for column in columns {
            keys.push((column.0.to_owned(), self.column_secret(*column)?));
        }
        ColumnKeys::new(keys).map_err(|_| ColumnError::Damaged)
    }

    /// Seals the content of one row's column; `row` names the row, so that the
    /// content opens in no other place.
    ///
    /// # Errors
    /// [`ColumnError::NoKey`].
    ///
    /// # Panics
    /// If `content` is longer than [`MAX_CONTENT`]: callers bound it first.
    pub fn seal(
        &self,
        column: Column,
        row: &[u8],
        content: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, ColumnError> {
        let key = SealingKey::new(self.column_secret(column)?);
        Ok(key.seal(0, &[&column_name(column), row], content, random))
    }

    /// Opens what [`Vault::seal`] made for the same column and row.
    ///
    /// # Errors
    /// [`ColumnError`] if anything at all is wrong.
    pub fn open(
        &self,
        column: Column,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<SecretBytes, ColumnError> {
        let key = SealingKey::new(self.column_secret(column)?);
        Ok(key.open(&[&column_name(column), row], sealed)?)
    }

    /// The key that seals a backup with this salt.
    ///
    /// # Errors
    /// [`ColumnError::NoDataKey`].
    pub fn backup_key(&self, salt: &[u8; 32]) -> Result<SealingKey, ColumnError> {
        match &self.0 {
            Keys::All { prk, .. } => Ok(SealingKey::new(prk.expand(label::BACKUP, &[salt]))),
            Keys::Some { .. } => Err(ColumnError::NoDataKey),
        }
    }

    fn column_secret(&self, column: Column) -> Result<Secret<128>, ColumnError> {
        match &self.0 {
            Keys::All { prk, .. } => Ok(prk.expand(label::AT_REST, &[&column_name(column)])),
            Keys::Some { columns, .. } => {
                let key = columns.get(column.0).map(Secret::duplicate);
                key.ok_or(ColumnError::NoKey(column))
            }
        }
    }
}

fn column_name(column: Column) -> Vec<u8> {
    Writer::new().lp8(column.0.as_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::random::OsRandom;
    use crate::store::SqliteStore;

    #[test]
    fn content_opens_only_where_it_was_sealed() {
        let vault = Vault::generate(&mut OsRandom);
        let sealed = vault
            .seal(column::RECORD, b"P1", b"allergic to nuts", &mut OsRandom)
            .unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"nuts"));
        let opened = vault.open(column::RECORD, b"P1", &sealed).unwrap();
        assert_eq!(opened.expose(), b"allergic to nuts");
        assert!(vault.open(column::RECORD, b"P2", &sealed).is_err());
        assert!(vault.open(column::INBOX, b"P1", &sealed).is_err());
        let other = Vault::generate(&mut OsRandom);
        assert!(other.open(column::RECORD, b"P1", &sealed).is_err());
        for byte in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1;
            assert!(vault.open(column::RECORD, b"P1", &flipped).is_err());
        }
    }

    #[test]
    fn the_length_of_a_short_text_does_not_show() {
        let vault = Vault::generate(&mut OsRandom);
        let [yes, no] = ["yes", "a longer answer"].map(|text| {
            let sealed = vault.seal(column::MESSAGE, b"1", text.as_bytes(), &mut OsRandom);
            sealed.unwrap().len()
        });
        assert_eq!(yes, no);
    }

    #[test]
    fn the_data_key_is_made_once_and_found_again() {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store = SqliteStore::in_memory().unwrap();
        let open = |store: &SqliteStore| Vault::open_or_create(&directory, store, &mut OsRandom);
        let (first, made) = open(&store).unwrap();
        assert!(made);
        let (again, made) = open(&store).unwrap();
        assert!(!made);
        assert!(first.key().unwrap().ct_eq(again.key().unwrap()));
        let other = SqliteStore::in_memory().unwrap();
        other.set_facts(&[(fact::DATA_KEY, &[1; 16])]).unwrap();
        assert!(matches!(open(&other), Err(VaultError::OtherKey)));
    }

    #[test]
    fn a_database_without_its_key_is_not_given_a_new_one() {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store = SqliteStore::in_memory().unwrap();
        Vault::open_or_create(&directory, &store, &mut OsRandom).unwrap();
        std::fs::remove_file(directory.path(DATA_KEY)).unwrap();
        let error = Vault::open_or_create(&directory, &store, &mut OsRandom).unwrap_err();
        assert!(error.to_string().contains(DATA_KEY), "{error}");
        assert!(!directory.path(DATA_KEY).exists());
    }

    #[test]
    fn who_has_some_columns_opens_these_and_no_other() {
        let base = TempDir::new().unwrap();
        let whole = Vault::generate(&mut OsRandom);
        let keys = whole.column_keys(&[column::MESSAGE]).unwrap();
        let path = base.path().join(COLUMN_KEYS);
        let given = Vault::of_columns(whole.id(), keys);
        given.save(&path, &Keyring::plain()).unwrap();
        let partial = Vault::load_columns(&path, &Keyring::plain()).unwrap();
        assert_eq!(partial.id(), whole.id());
        let seal = |vault: &Vault, column| vault.seal(column, b"1", b"text", &mut OsRandom);
        let hers = seal(&partial, column::MESSAGE).unwrap();
        assert_eq!(
            whole.open(column::MESSAGE, b"1", &hers).unwrap().expose(),
            b"text"
        );
        let sealed = seal(&whole, column::MESSAGE).unwrap();
        assert_eq!(
            partial
                .open(column::MESSAGE, b"1", &sealed)
                .unwrap()
                .expose(),
            b"text"
        );
        assert!(whole.opens(column::RECORD) && partial.opens(column::MESSAGE));
        for other in [column::CONSULTATION, column::RECORD, column::CONTACT] {
            assert!(!partial.opens(other));
            let sealed = seal(&whole, other).unwrap();
            let error = partial.open(other, b"1", &sealed).unwrap_err();
            assert_eq!(error, ColumnError::NoKey(other));
            assert_eq!(seal(&partial, other), Err(ColumnError::NoKey(other)));
            assert!(error.to_string().contains(other.0), "{error}");
            assert!(partial.column_keys(&[other]).is_err());
        }
        assert!(matches!(partial.key(), Err(ColumnError::NoDataKey)));
        assert!(matches!(
            partial.backup_key(&[0; 32]),
            Err(ColumnError::NoDataKey)
        ));
        // Neither file is taken for the other.
        assert!(Vault::load(&path, &Keyring::plain()).is_err());
        let path = base.path().join(DATA_KEY);
        whole.save(&path, &Keyring::plain()).unwrap();
        assert!(Vault::load_columns(&path, &Keyring::plain()).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let vault = Vault::new(Secret::from_slice(&[171; 32]).unwrap());
        assert!(!format!("{vault:?}").contains("171"));
    }
}
