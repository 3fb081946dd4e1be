//! What a patient's program keeps on the disk, one directory for each doctor.
//!
//! ```text
//! <data>/<patient>@<doctor>/
//!     telemed.db                 certificates, what is known of the doctor, messages
//!     data.key                   opens the messages
//!     signing-<ticket>.key       the secrets, written before the first word
//!     encryption-<ticket>.key    of the enrolment is sent
//! ```
//!
//! The secrets are named after the ticket they were made for, so that an
//! enrolment that was cut off goes on with the same ones, and one with another
//! ticket touches none of them.

mod clinic;
mod error;

pub use clinic::{Heard, heard_of};
pub use error::FilesError;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::elgamal::{Group, KemSecret, SignSecret};
use crate::handshake::enrol::NewKeys;
use crate::hex;
use crate::identity::certificate::{self, Certificate, VerifiedCertificate};
use crate::identity::data_dir::{self, DATABASE, DataDir, DataDirError};
use crate::identity::id::{Identifier, IdentifierError};
use crate::identity::key_file::{self, KeyFile, KeyKind};
use crate::identity::known_doctor::{KnownDoctor, fingerprint_groups};
use crate::identity::patient_identity::PatientIdentity;
use crate::identity::ticket::TicketId;
use crate::patient::colleagues::Colleagues;
use crate::patient::control::Fingerprints;
use crate::random::{OsRandom, Random};
use crate::secret::SecretBytes;
use crate::store::{FactStore, MailCounts, PatientStore, SqliteStore, fact};
use crate::vault::Vault;

/// Which identity: a patient at a doctor's, `P1@D1`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The patient.
    pub patient: Identifier,
    /// The doctor.
    pub doctor: Identifier,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.patient, self.doctor)
    }
}

impl FromStr for Name {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let (patient, doctor) = text.split_once('@').unwrap_or((text, ""));
        Ok(Self {
            patient: patient.parse()?,
            doctor: doctor.parse()?,
        })
    }
}

/// The identities in `base`, sorted.
///
/// # Errors
/// If `base` is there and cannot be read.
pub fn list(base: &Path) -> Result<Vec<Name>, DataDirError> {
    let names = data_dir::list(base)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// An enrolled patient: everything a connection needs.
#[derive(Debug)]
pub struct Patient {
    /// Keys and certificate.
    pub identity: PatientIdentity,
    /// What is known of the doctor.
    pub doctor: KnownDoctor,
    /// Where she is reached: `host:port`.
    pub address: String,
    /// The doctors of her clinic.
    pub colleagues: Colleagues,
    /// Whom to connect to: the doctor, if not somebody else was asked for.
    pub asked: Identifier,
    /// Where she is reached, if the person has said so: nowhere else then.
    pub at: Option<String>,
}

/// The directory of one identity, in use by this program alone.
#[derive(Debug)]
pub struct Files {
    name: Name,
    directory: DataDir,
    store: SqliteStore,
    vault: Vault,
}

impl Files {
    /// Opens the identity's directory, or makes it.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be made, used or read.
    pub fn create_or_open(base: &Path, name: &Name) -> Result<Self, FilesError> {
        let directory = DataDir::create_or_open(base, &name.to_string())?;
        Self::of(name, directory)
    }

    /// Opens the identity's directory.
    ///
    /// # Errors
    /// [`FilesError`] if it is not there, and as [`Files::create_or_open`].
    pub fn open_existing(base: &Path, name: &Name) -> Result<Self, FilesError> {
        let directory = DataDir::open_existing(base, &name.to_string())?;
        Self::of(name, directory)
    }

    /// The files in a directory that was opened, and unlocked if its keys are
    /// sealed.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be used or read.
    pub fn of(name: &Name, directory: DataDir) -> Result<Self, FilesError> {
        let store = SqliteStore::open(&directory.path(DATABASE))?;
        let (vault, _) = Vault::open_or_create(&directory, &store, &mut OsRandom)?;
        Ok(Self {
            name: name.clone(),
            directory,
            store,
            vault,
        })
    }

    pub(super) const fn store(&self) -> &dyn PatientStore {
        &self.store
    }

    pub(super) const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> std::path::PathBuf {
        self.directory.path("")
    }

    /// How many messages want something.
    ///
    /// # Errors
    /// [`FilesError`] if the store cannot be read.
    pub fn mail_counts(&self) -> Result<MailCounts, FilesError> {
        Ok(self.store().mail_counts()?)
    }

    /// Whose files these are.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The ticket with which the patient was enrolled; none before.
    ///
    /// # Errors
    /// [`FilesError`] if the store cannot be read.
    pub fn enrolled_with(&self) -> Result<Option<TicketId>, FilesError> {
        if self.store.fact(fact::OWN_CERTIFICATE)?.is_none() {
            return Ok(None);
        }
        self.ticket().map(Some)
    }

    fn ticket(&self) -> Result<TicketId, FilesError> {
        let bytes = self.wanted(fact::TICKET)?;
        TicketId::try_from(&bytes[..]).map_err(|_| self.damaged(fact::TICKET, "wrong length"))
    }

    /// What is compared with the doctor over the phone. No secret is read for
    /// it.
    ///
    /// # Errors
    /// [`FilesError`] if nobody is enrolled here, or what is stored is damaged.
    pub fn fingerprints(&self) -> Result<Fingerprints, FilesError> {
        let key = |name| -> Result<String, FilesError> {
            let key = Certificate::key_id_in(&self.wanted(name)?)
                .ok_or_else(|| self.damaged(name, "it is too short"))?;
            Ok(fingerprint_groups(&key))
        };
        let root = certificate::fingerprint(&self.wanted(fact::ROOT_CERTIFICATE)?);
        Ok(Fingerprints {
            root: fingerprint_groups(&root),
            doctor: key(fact::DOCTOR_CERTIFICATE)?,
            own: key(fact::OWN_CERTIFICATE)?,
        })
    }

    /// Whether an enrolment with this ticket was begun.
    #[must_use]
    pub fn has_begun(&self, ticket: &TicketId) -> bool {
        let paths = [SIGNING, ENCRYPTION].map(|role| self.key_path(role, ticket));
        paths.iter().all(|path| path.exists())
    }

    fn key_path(&self, role: &str, ticket: &TicketId) -> std::path::PathBuf {
        let ticket = hex::encode(ticket);
        self.directory.path(&format!("{role}-{ticket}.key"))
    }

    /// The secrets made for this ticket; they are made, and on the disk, when
    /// this returns.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be written or read.
    pub fn keys(
        &self,
        ticket: &TicketId,
        group: &Group,
        random: &mut dyn Random,
    ) -> Result<NewKeys, FilesError> {
        let new = NewKeys::generate(group, random);
        self.keep(SIGNING, ticket, KeyKind::PatientSigning, group, || {
            new.signing.to_bytes()
        })?;
        self.keep(
            ENCRYPTION,
            ticket,
            KeyKind::PatientEncryption,
            group,
            || new.encryption.to_bytes(),
        )?;
        self.load_keys(ticket, group)
    }

    /// Writes a key file if there is none yet.
    fn keep(
        &self,
        role: &str,
        ticket: &TicketId,
        kind: KeyKind,
        group: &Group,
        secret: impl FnOnce() -> SecretBytes,
    ) -> Result<(), FilesError> {
        let path = self.key_path(role, ticket);
        if path.exists() {
            return Ok(());
        }
        let file = KeyFile {
            kind,
            group: *group.id(),
            secret: secret(),
        };
        Ok(self.directory.keyring().save(&path, &file)?)
    }

    /// Deletes the secrets made for a ticket that is no longer used.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be deleted.
    pub fn forget_keys(&self, ticket: &TicketId) -> Result<(), FilesError> {
        for role in [SIGNING, ENCRYPTION] {
            key_file::remove(&self.key_path(role, ticket))?;
        }
        Ok(())
    }

    /// When this device's certificate ends; none before the enrolment.
    ///
    /// # Errors
    /// [`FilesError`] if the store cannot be read.
    pub fn certificate_end(&self) -> Result<Option<Timestamp>, FilesError> {
        let bytes = self.store.fact(fact::OWN_CERTIFICATE)?;
        Ok(bytes.and_then(|bytes| Certificate::end_of(&bytes)))
    }

    fn load_keys(&self, ticket: &TicketId, group: &Group) -> Result<NewKeys, FilesError> {
        let load = |role, kind| -> Result<(SecretBytes, &'static str), FilesError> {
            let path = self.key_path(role, ticket);
            let (found, secret) = self.directory.keyring().load(&path, kind)?;
            if found != *group.id() {
                return Err(self.damaged(role, "it belongs to another group"));
            }
            Ok((secret, role))
        };
        let invalid = |role| self.damaged(role, "it is no secret of its group");
        let (signing, role) = load(SIGNING, KeyKind::PatientSigning)?;
        let signing = SignSecret::from_bytes(group, signing.expose()).map_err(|_| invalid(role))?;
        let (encryption, role) = load(ENCRYPTION, KeyKind::PatientEncryption)?;
        let encryption =
            KemSecret::from_bytes(group, encryption.expose()).map_err(|_| invalid(role))?;
        Ok(NewKeys {
            signing,
            encryption,
        })
    }

    /// Completes an enrolment: the certificate, who issued it, and where she
    /// is reached. All of it or nothing.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be written.
    pub fn complete(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        doctor: &KnownDoctor,
        address: &str,
        now: Timestamp,
    ) -> Result<(), FilesError> {
        let checked = now.as_millis().to_be_bytes();
        // A new ticket speaks for new keys, also of the clinic's other doctors:
        // they are learned anew. A list that is damaged has no names to forget.
        let others = self.colleague_names().unwrap_or_default();
        let others: Vec<String> = others.iter().map(fact::colleague).collect();
        let mut facts = doctor_facts(doctor, &checked).to_vec();
        facts.extend(others.iter().map(|name| (name.as_str(), &[][..])));
        facts.extend_from_slice(&[
            (fact::OWN_CERTIFICATE, certificate.as_bytes()),
            (fact::ISSUER_CERTIFICATE, doctor.certificate().as_bytes()),
            (fact::TICKET, ticket),
            (fact::ADDRESS, address.as_bytes()),
            (fact::ROSTER, &[]),
        ]);
        Ok(self.store.set_facts(&facts)?)
    }

    /// Everything of an enrolled patient, checked again from the root down: a
    /// disk that has changed a byte is found out here. The dates are checked as
    /// of the day they were learned; what they say today matters when they are
    /// used.
    ///
    /// # Errors
    /// [`FilesError`] if something is missing or damaged.
    pub fn load(&self, random: &mut dyn Random) -> Result<Patient, FilesError> {
        let doctor = self.doctor(random)?;
        let colleagues = self.colleagues(&doctor)?;
        let issuer = self.certificate(fact::ISSUER_CERTIFICATE, doctor.root())?;
        let certificate = self.certificate(fact::OWN_CERTIFICATE, &issuer)?;
        if certificate.subject().identifier != self.name.patient {
            return Err(self.damaged(fact::OWN_CERTIFICATE, "it is another patient's"));
        }
        let keys = self.load_keys(&self.ticket()?, doctor.group())?;
        let identity = PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption)
            .ok_or_else(|| self.damaged(fact::OWN_CERTIFICATE, "it is for other keys"))?;
        Ok(Patient {
            identity,
            doctor,
            address: self.address()?,
            colleagues,
            asked: self.name.doctor.clone(),
            at: None,
        })
    }

    fn certificate(
        &self,
        name: &'static str,
        issuer: &VerifiedCertificate,
    ) -> Result<VerifiedCertificate, FilesError> {
        Certificate::decode(&self.wanted(name)?, issuer.group())
            .and_then(|certificate| issuer.accept_issued(certificate))
            .map_err(|error| self.damaged(name, &error.to_string()))
    }

    fn wanted(&self, name: &'static str) -> Result<Vec<u8>, FilesError> {
        self.store.fact(name)?.ok_or_else(|| FilesError::Missing {
            path: self.directory.path(DATABASE),
            name,
        })
    }

    pub(super) fn damaged(&self, name: &'static str, reason: &str) -> FilesError {
        FilesError::Damaged {
            path: self.directory.path(""),
            name,
            reason: reason.to_owned(),
        }
    }
}

const SIGNING: &str = "signing";
const ENCRYPTION: &str = "encryption";

fn doctor_facts<'a>(doctor: &'a KnownDoctor, checked: &'a [u8; 8]) -> [(&'a str, &'a [u8]); 6] {
    let group = doctor.group();
    let modulus: &[u8] = if group.is_built_in() {
        &[]
    } else {
        group.modulus_bytes()
    };
    [
        (fact::ROOT_CERTIFICATE, doctor.root().as_bytes()),
        (fact::DOCTOR_CERTIFICATE, doctor.certificate().as_bytes()),
        (fact::DOCTOR_PREKEY, doctor.prekey().as_bytes()),
        (fact::REVOKED_DOCTORS, doctor.revoked().as_bytes()),
        (fact::GROUP, modulus),
        (fact::DOCTOR_CHECKED, checked),
    ]
}
