//! The doctor's authority: what the clinic's root, whose secret lies in a
//! drawer, has signed for her. It is needed again to renew her certificate, and
//! to replace a signing key that was stolen.
//!
//! The root's secret is never given to a running server: the command that reads
//! it signs, and the server takes over what was signed.

mod key;
mod leftovers;

pub use key::{Replaced, devices_at_stake, finish_key_change, replace_key};
pub use leftovers::{remove_ended_prekeys, remove_leftovers};

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::audit::head::Head;
use crate::clock::{Timestamp, in_words};
use crate::codec::{DecodeError, Reader, Writer};
use crate::doctor::practice::Practice;
use crate::doctor::setup::{DoctorPapers, ROOT_KEY, SetupError};
use crate::doctor::staff::{self, Ending, StaffError};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::authority::certify_doctor;
use crate::identity::certificate::{Certificate, Fingerprint, VerifiedCertificate};
use crate::identity::data_dir::{self, DataDir};
use crate::identity::id::Identifier;
use crate::random::{OsRandom, Random};
use crate::secret::SecretBytes;
use crate::store::{Store, StoreError, fact};

/// From so long before the end of a certificate on, people are told of it.
pub const REMIND: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What can be asked about the doctor's authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What is there?
    Show,
    /// Go on with this certificate of the same key, in hexadecimal digits.
    Renew(String),
    /// The root key is about to be moved there.
    RootMoved(String),
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// What is there.
    Shown(Box<Shown>),
    /// The certificate is in force.
    Renewed {
        /// The doctor.
        doctor: String,
        /// Until when.
        until: Timestamp,
        /// Devices that come back by themselves to learn it.
        devices: usize,
    },
    /// It is in the audit log.
    Noted,
}

/// All there is to say of a doctor's authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The doctor.
    pub doctor: String,
    /// Fingerprint of the clinic's root.
    pub root: Fingerprint,
    /// When the root ends.
    pub root_ends: Timestamp,
    /// The root key's file, if it lies on this machine.
    pub root_key: Option<String>,
    /// Where it was moved to, as it was typed.
    pub root_key_place: Option<String>,
    /// Name of the doctor's signing key.
    pub key: Fingerprint,
    /// Serial of her certificate, in hexadecimal digits.
    pub serial: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Her prekeys, the one that begins first first.
    pub prekeys: Vec<PrekeyShown>,
    /// Number of the list of revoked doctors.
    pub revoked_number: u64,
    /// The serials in it, in hexadecimal digits.
    pub revoked: Vec<String>,
    /// Doctors who have left and one of whose keys is not closed: an earlier version has
    /// revoked them.
    #[serde(default)]
    pub unclosed: Vec<String>,
    /// Whether it is time to renew the certificate.
    pub renewal: Option<Renewal>,
    /// Assistants and auditors whose certificates end soon, or have ended.
    pub ending: Vec<Ending>,
    /// What a command needs to find the doctor, as [`finds`] gives it.
    pub finds: String,
}

/// A prekey.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct PrekeyShown {
    /// Its name, in hexadecimal digits.
    pub kid: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// It is time to renew the doctor's certificate: what she is told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// The doctor.
    pub doctor: String,
    /// When the certificate ends, or has ended.
    pub until: Timestamp,
    /// How long that is from now; none if it is over.
    pub left: Option<Duration>,
    /// The file of the root key, as far as it is known.
    pub root_key: Option<String>,
    /// What a command needs to find the doctor, as [`finds`] gives it.
    pub finds: String,
}

/// What a command needs to find the doctor of this directory again: her
/// identifier, and where the directory lies if that is not the usual place.
#[must_use]
pub fn finds(directory: &Path, doctor: &Identifier) -> String {
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let is_usual = |base: &Path| data_dir::default_base("doctor").is_ok_and(|usual| usual == base);
    let base = directory.parent().filter(|base| !is_usual(base));
    let data = base.map_or_else(String::new, |base| {
        format!(" --data {}", quoted(&base.display().to_string()))
    });
    format!("{data} --id {doctor}")
}

impl Renewal {
    /// The command that renews it.
    #[must_use]
    pub fn command(&self) -> String {
        let root = match &self.root_key {
            Some(file) => quoted(file),
            None => "FILE".to_owned(),
        };
        format!("doctor{} authority renew --root {root}", self.finds)
    }
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doctor, until, .. } = self;
        match self.left {
            Some(left) => {
                let left = in_words(left);
                write!(
                    f,
                    "the certificate of doctor {doctor} ends on {until}, in {left}"
                )
            }
            None => write!(
                f,
                "the certificate of doctor {doctor} has ended on {until}, and no patient gets in"
            ),
        }
    }
}

fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// Whether it is time to renew the certificate in force.
#[must_use]
pub fn renewal(practice: &Practice, now: Timestamp) -> Option<Renewal> {
    let identity = practice.identity();
    let (directory, store) = (&practice.directory, &*practice.store);
    renewal_of(&identity.certificate, directory, store, now)
}

/// The same before the books are open.
#[must_use]
pub fn renewal_of(
    certificate: &VerifiedCertificate,
    directory: &DataDir,
    store: &dyn Store,
    now: Timestamp,
) -> Option<Renewal> {
    let subject = certificate.subject();
    let until = subject.not_after;
    let left = until.since(now);
    if left > REMIND {
        return None;
    }
    let here = directory.path(ROOT_KEY);
    let here = here.exists().then(|| here.display().to_string());
    // Where it was moved to only helps.
    let root_key = here.or_else(|| place(store).ok().flatten());
    Some(Renewal {
        doctor: subject.identifier.to_string(),
        until,
        left: (now <= until).then_some(left),
        root_key,
        finds: finds(&directory.path(""), &subject.identifier),
    })
}

fn place(store: &dyn Store) -> Result<Option<String>, StoreError> {
    let bytes = store.fact(fact::ROOT_KEY_PLACE)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// Does what is asked, but for renewing, which a running server does in its own
/// way.
///
/// # Errors
/// [`AuthorityError`]; nothing was changed.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, AuthorityError> {
    match request {
        Request::Show => Ok(Answer::Shown(Box::new(shown(practice)?))),
        Request::Renew(certificate) => renew(practice, certificate, || 0),
        Request::RootMoved(to) => {
            practice.note(Action::KeyChanged, "", &format!("root.key moved to {to}"))?;
            let facts = [(fact::ROOT_KEY_PLACE, to.as_bytes())];
            practice.store.set_facts(&facts)?;
            Ok(Answer::Noted)
        }
    }
}

fn shown(practice: &Practice) -> Result<Shown, AuthorityError> {
    let identity = practice.identity();
    let subject = identity.certificate.subject();
    let root_key = practice.directory.path(ROOT_KEY);
    let prekeys = identity.prekeys.iter().map(|own| PrekeyShown {
        kid: hex::encode(&own.prekey.id()),
        from: own.prekey.not_before(),
        until: own.prekey.not_after(),
    });
    let revoked = identity.revoked.serials().iter();
    Ok(Shown {
        doctor: subject.identifier.to_string(),
        root: identity.root.fingerprint(),
        root_ends: identity.root.subject().not_after,
        root_key: root_key.exists().then(|| root_key.display().to_string()),
        root_key_place: place(&*practice.store)?,
        key: identity.certificate.key_id(),
        serial: hex::encode(&subject.serial),
        from: subject.not_before,
        until: subject.not_after,
        prekeys: prekeys.collect(),
        revoked_number: identity.revoked.number(),
        revoked: revoked.map(|serial| hex::encode(serial)).collect(),
        unclosed: staff::unclosed(practice)?,
        renewal: renewal(practice, practice.now()),
        ending: staff::ending(practice).map_err(staff_failed)?,
        finds: finds(&practice.directory.path(""), identity.identifier()),
    })
}

/// What goes wrong where the list of revoked doctors is looked at.
fn staff_failed(error: StaffError) -> AuthorityError {
    match error {
        StaffError::Store(error) => error.into(),
        _ => SetupError::Inconsistent("the list of revoked doctors").into(),
    }
}

/// Why the doctor's authority is as it was.
#[derive(Debug)]
pub enum AuthorityError {
    /// The database.
    Store(StoreError),
    /// The certificate is not one that this doctor can go on with.
    Unfit(&'static str),
    /// The key is not the root key of this clinic.
    NotTheRoot,
    /// By this machine's clock her certificate has not begun: a new one would
    /// not be valid either.
    Clock(Timestamp),
    /// The list of revoked doctors is full.
    ListFull,
    /// The list of revoked doctors has changed since it was looked at.
    Overtaken,
    /// The list of revoked doctors in the database is older than the one that was
    /// seen, or lets somebody off whom that revokes.
    OlderList,
    /// Files.
    Setup(SetupError),
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Unfit(why) => write!(f, "the certificate is not taken: {why}"),
            Self::NotTheRoot => f.write_str("this is the root key of another clinic"),
            Self::Clock(begins) => write!(
                f,
                "by this machine's clock the doctor's certificate begins only on {begins}: set \
                 the clock first"
            ),
            Self::ListFull => f.write_str("the list of revoked doctors is full"),
            Self::Overtaken => f.write_str(
                "the clinic's list of revoked doctors has changed meanwhile, and the key was not \
                 replaced; say the same again",
            ),
            Self::OlderList => f.write_str(
                "the list of revoked doctors in the database was put in the place of a newer one \
                 meanwhile, and the key was not replaced: see who can write to the database; say \
                 the same again, which puts the newer one back",
            ),
            Self::Setup(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for AuthorityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Setup(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for AuthorityError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SetupError> for AuthorityError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

/// The root's secret, if it is that of this clinic.
///
/// # Errors
/// [`AuthorityError::NotTheRoot`].
pub fn root_secret(
    root: &VerifiedCertificate,
    (group, secret): (&[u8; 32], &SecretBytes),
) -> Result<SignSecret, AuthorityError> {
    SignSecret::from_bytes(root.group(), secret.expose())
        .ok()
        .filter(|_| group == root.group().id())
        .filter(|secret| *secret.verifying_key() == root.subject().signing_key)
        .ok_or(AuthorityError::NotTheRoot)
}

/// A new certificate for the key the doctor has.
///
/// # Errors
/// [`AuthorityError::Clock`].
pub fn new_certificate(
    papers: &DoctorPapers,
    root: &SignSecret,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<VerifiedCertificate, AuthorityError> {
    let current = papers.certificate.subject();
    check_clock(&papers.certificate, now)?;
    let key = current.signing_key.clone();
    let root = (&papers.root, root);
    Ok(certify_doctor(root, &papers.certificate, key, now, random))
}

fn check_clock(certificate: &VerifiedCertificate, now: Timestamp) -> Result<(), AuthorityError> {
    match certificate.subject().not_before {
        begins if now < begins => Err(AuthorityError::Clock(begins)),
        _ => Ok(()),
    }
}

/// Goes on with a renewed certificate, given in hexadecimal digits. `part` is
/// called when it is stored and before it is used, and ends the sessions of
/// those who know the old one; it gives their number.
///
/// # Errors
/// [`AuthorityError`]; nothing was changed.
pub(super) fn renew(
    practice: &Practice,
    certificate: &str,
    part: impl FnOnce() -> usize,
) -> Result<Answer, AuthorityError> {
    let identity = practice.identity();
    let bytes = hex::decode(certificate).ok_or(AuthorityError::Unfit("it is malformed"))?;
    let certificate = Certificate::decode(&bytes, identity.group())
        .and_then(|certificate| identity.root.accept_issued(certificate))
        .map_err(|_| AuthorityError::Unfit("this clinic's root has not signed it"))?;
    let (current, renewed) = (identity.certificate.subject(), certificate.subject());
    let unfit = |why| Err(AuthorityError::Unfit(why));
    if renewed.identifier != current.identifier || renewed.signing_key != current.signing_key {
        return unfit("it is for another doctor or key");
    }
    if renewed.not_before < current.not_before || renewed.not_after < current.not_after {
        return unfit("it is older than the one in force");
    }
    if identity.revoked.contains(&renewed.serial) || identity.is_revoked() {
        return unfit("it, or the one in force, was revoked");
    }
    let until = renewed.not_after;
    let serial = hex::encode(&renewed.serial);
    let next = identity
        .renewed(certificate)
        .map_err(|_| SetupError::Inconsistent("the file signing.key"))?;
    let (now, doctor) = (practice.now(), next.identifier().to_string());
    let detail = format!("renewed certificate {serial}, until {}", until.to_rfc3339());
    let entry = practice.by_doctor(Action::KeyChanged, &doctor, &detail);
    let mut sign = |number, link| Head::sign(&next, (number, link), now, &mut OsRandom);
    let earlier = encode_earlier(&next.earlier);
    let facts = [
        (fact::DOCTOR_CERTIFICATE, next.certificate.as_bytes()),
        (fact::EARLIER_CERTIFICATES, &earlier[..]),
    ];
    let bytes = next.certificate.as_bytes();
    practice
        .store
        .change_papers(&facts, &[entry], bytes, &mut sign)?;
    let devices = part();
    practice.replace_identity(next);
    Ok(Answer::Renewed {
        doctor,
        until,
        devices,
    })
}

/// The certificates she had before, as a fact.
pub(super) fn encode_earlier(earlier: &[VerifiedCertificate]) -> Vec<u8> {
    let all = earlier.iter();
    all.fold(Writer::new(), |writer, each| writer.lp16(each.as_bytes()))
        .finish()
}

/// Reads them.
///
/// # Errors
/// [`SetupError`] if the store cannot be read, or the root has not signed one.
pub(super) fn read_earlier(
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<Vec<VerifiedCertificate>, SetupError> {
    let damaged = || SetupError::Inconsistent("an earlier certificate of the doctor");
    let bytes = store.fact(fact::EARLIER_CERTIFICATES)?.unwrap_or_default();
    let all = decode_certificates(&bytes).map_err(|_| damaged())?;
    let accepted = all.into_iter().map(|bytes| {
        Certificate::decode(&bytes, root.group())
            .and_then(|certificate| root.accept_issued(certificate))
            .map_err(|_| damaged())
    });
    accepted.collect()
}

/// The bytes of the certificates in such a fact.
pub(super) fn decode_certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    while !reader.is_empty() {
        all.push(reader.lp16()?.to_vec());
    }
    Ok(all)
}
