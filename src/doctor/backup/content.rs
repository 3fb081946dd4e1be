//! What is in a backup, taken out and looked at.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::audit::papers::Papers;
use crate::audit::verify::{self as audit, Finding, HeadsFiles};
use crate::backup::{BackupError, Header, Reader};
use crate::clock::Timestamp;
use crate::doctor::backup::{RestoreFailure, kind_of};
use crate::doctor::setup::{self, ROOT_KEY, SetupError};
use crate::elgamal::SignSecret;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Certificate, KeyId, VerifiedCertificate};
use crate::identity::data_dir::DATABASE;
use crate::identity::id::Identifier;
use crate::identity::key_file::{self, KeyKind, MAX_FILE_LEN};
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::store::{BackupStore, FactStore, Inventory, SqliteStore, TrustStore, fact};
use crate::vault::{Vault, column};

/// A backup taken apart: the database in a file, everything else in memory.
pub struct Content {
    /// What stood at the front.
    pub header: Header,
    /// The key files, by name, byte for byte.
    pub keys: BTreeMap<String, SecretBytes>,
    /// The database.
    pub store: SqliteStore,
}

/// A backup that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Whose it is.
    pub doctor: Identifier,
    /// When it was made.
    pub made: Timestamp,
    /// How much there is.
    pub inventory: Inventory,
    /// Sealed values that do not open, by table.
    pub unopened: BTreeMap<&'static str, u64>,
    /// What is wrong with its audit log.
    pub findings: Vec<Finding>,
    /// Whether the clinic's root key is in it.
    pub root_key: bool,
    /// Name of the doctor's signing key.
    pub key: KeyId,
    /// Number of the list of revoked doctors, which rises with every key that is
    /// replaced.
    pub revoked_number: u64,
}

impl Checked {
    /// Whether everything in it is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.unopened.is_empty() && self.findings.is_empty()
    }
}

impl Content {
    /// Opens every chunk of a backup; the database goes into the new file
    /// `database`.
    ///
    /// # Errors
    /// [`RestoreFailure`].
    pub fn take_out<R: Read>(
        reader: Reader<R>,
        vault: &Vault,
        database: &Path,
    ) -> Result<Self, RestoreFailure> {
        let header = reader.header().clone();
        let mut entries = reader.entries(vault)?;
        let mut keys = BTreeMap::new();
        let mut has_database = false;
        while let Some((name, len)) = entries.next_entry()? {
            if name == DATABASE && !has_database {
                has_database = true;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(database)
                    .map_err(|error| RestoreFailure::Write(database.to_owned(), error))?;
                entries.copy(len, &mut file).map_err(|error| match error {
                    BackupError::Write(error) => RestoreFailure::Write(database.to_owned(), error),
                    other => other.into(),
                })?;
                file.sync_all()
                    .map_err(|error| RestoreFailure::Write(database.to_owned(), error))?;
            } else if kind_of(&name).is_some() && !keys.contains_key(&name) {
                keys.insert(name, entries.take(len, MAX_FILE_LEN)?);
            } else {
                return Err(BackupError::Malformed.into());
            }
        }
        if !has_database {
            return Err(BackupError::Malformed.into());
        }
        let store = SqliteStore::open(database)?;
        Ok(Self {
            header,
            keys,
            store,
        })
    }

    /// Checks keys and certificates against each other and the audit log against
    /// its heads, those of `files` too, and opens every sealed value.
    ///
    /// # Errors
    /// [`RestoreFailure`] if the practice would not start from this.
    pub fn check(&self, vault: &Vault, files: &HeadsFiles) -> Result<Checked, RestoreFailure> {
        let identity = self.identity()?;
        let unfit = |what| RestoreFailure::Setup(SetupError::Inconsistent(what));
        if *identity.identifier() != self.header.doctor
            || identity.root.subject().clinic != self.header.clinic
        {
            return Err(unfit("the header of the backup"));
        }
        if self.store.fact(fact::DATA_KEY)? != Some(vault.id().to_vec()) {
            return Err(unfit("the data key"));
        }
        self.check_patients(&identity)?;
        let papers = Papers::stored(&self.store)?;
        let root = identity.root.fingerprint();
        let audit = audit::verify(&self.store, papers, files, &root, &mut OsRandom)?;
        let mut unopened = BTreeMap::new();
        self.store.each_sealed(&mut |value| {
            let opens = |column| vault.open(column, value.row, value.sealed).is_ok();
            let others: &[_] = match value.column {
                column::DOCTOR_MESSAGE => &[column::STAFF_MESSAGE, column::MESSAGE],
                _ => &[],
            };
            if !opens(value.column) && !others.iter().any(|column| opens(*column)) {
                *unopened.entry(value.table).or_default() += 1;
            }
        })?;
        Ok(Checked {
            doctor: self.header.doctor.clone(),
            made: self.header.made,
            inventory: self.store.inventory()?,
            unopened,
            findings: audit.findings,
            root_key: self.keys.contains_key(ROOT_KEY),
            key: identity.certificate.key_id(),
            revoked_number: identity.revoked.number(),
        })
    }

    /// The doctor's keys and papers, as they were when the backup was made.
    fn identity(&self) -> Result<DoctorIdentity, RestoreFailure> {
        let keys = |name: &str, kind| {
            let path = Path::new(name);
            match self.keys.get(name) {
                Some(bytes) => key_file::parse(path, bytes.expose(), kind),
                None => Err(key_file::missing(path)),
            }
        };
        let made = self.header.made;
        let identity = setup::load_with(&keys, &self.store, made, &mut OsRandom)?;
        if self.keys.contains_key(ROOT_KEY) {
            let (_, secret) = keys(ROOT_KEY, KeyKind::RootSigning).map_err(SetupError::KeyFile)?;
            SignSecret::from_bytes(identity.group(), secret.expose())
                .ok()
                .filter(|root| *root.verifying_key() == identity.root.subject().signing_key)
                .ok_or(SetupError::Inconsistent("the file root.key"))?;
        }
        Ok(identity)
    }

    fn check_patients(&self, identity: &DoctorIdentity) -> Result<(), RestoreFailure> {
        for row in self.store.certificates()? {
            Certificate::decode(&row.bytes, identity.group())
                .and_then(|certificate| VerifiedCertificate::known(certificate, &row.fingerprint))
                .ok()
                .filter(|known| known.subject().identifier.as_str() == row.subject)
                .filter(|known| known.subject().serial == row.serial)
                .ok_or(SetupError::Inconsistent("a patient's certificate"))?;
        }
        Ok(())
    }
}
