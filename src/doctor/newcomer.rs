//! How a newcomer joins a clinic whose database she can reach. Her keys are on
//! the disk before she asks, and every step is found again where it was cut off:
//! the same ticket goes on with the same keys.

use std::fmt;

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::doctor::seen;
use crate::doctor::setup::{self, SIGNING_KEY, SetupError};
use crate::doctor::tickets::ticket_code;
use crate::elgamal::{Group, KemSecret, SignSecret};
use crate::hex;
use crate::identity::authority::OwnPrekey;
use crate::identity::certificate::{Certificate, Fingerprint, Role, VerifiedCertificate};
use crate::identity::data_dir::DataDir;
use crate::identity::id::Identifier;
use crate::identity::join::{
    Answered, Grant, JoinAnswer, JoinError, JoinRequest, JoinTicket, NewcomerKeys,
};
use crate::identity::key_file::{self, KeyFileError, KeyKind};
use crate::identity::prekey::VerifiedPrekey;
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;
use crate::store::clinic::{Handed, JoinState, JoinTicketRow};
use crate::store::{ClinicStore, Store, StoreError, fact};
use crate::vault::{COLUMN_KEYS, DATA_KEY, Vault, VaultError};

/// The one-time key's file, until the answer was taken.
pub const JOIN_KEY: &str = "join.key";

/// How far somebody is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Her request is in the database; it was not answered yet.
    Waiting {
        /// Fingerprint of the request, for comparing over the phone.
        request: Fingerprint,
    },
    /// She is one of the clinic.
    Joined,
}

/// Why she has not joined.
#[derive(Debug)]
pub enum NewcomerError {
    /// The store.
    Store(StoreError),
    /// The store is one doctor's.
    OneDoctor,
    /// Files and papers.
    Setup(SetupError),
    /// The data key.
    Vault(VaultError),
    /// There is another clinic in the database, or none.
    OtherClinic,
    /// The directory belongs to somebody with keys already.
    KeysHere,
    /// The directory is called otherwise than the ticket.
    OtherName(String),
    /// There is no such ticket in the database.
    UnknownTicket,
    /// The ticket was taken back.
    Revoked,
    /// The ticket ended before it was used.
    Ended(Timestamp),
    /// Somebody else has asked with this ticket.
    UsedByAnother,
    /// Somebody has joined with it, with other keys than are here.
    Used,
    /// The answer.
    Answer(JoinError),
    /// The ticket is used up, and the certificate in the database is not hers.
    Papers,
    /// The list of revoked doctors in the database is older than the clinic's,
    /// or names her.
    Revocation,
}

impl fmt::Display for NewcomerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::OneDoctor => f.write_str(
                "a clinic of several doctors needs PostgreSQL: name its database with --store",
            ),
            Self::Setup(error) => write!(f, "{error}"),
            Self::Vault(error) => write!(f, "{error}"),
            Self::OtherClinic => f.write_str(
                "the database is not that of the clinic the ticket is for; check --store, and let \
                 the doctor make another ticket if that is right",
            ),
            Self::KeysHere => f.write_str(
                "there are keys of somebody who has joined or founded a clinic in this directory; \
                 choose another --id or --data; if they are good for nothing any more, since their \
                 certificate has ended or was revoked, move the directory away",
            ),
            Self::OtherName(name) => write!(f, "this ticket is for {name}: say --id {name}"),
            Self::UnknownTicket => f.write_str(
                "the database does not know this ticket; check --store, or let the doctor make \
                 another one",
            ),
            Self::Revoked => {
                f.write_str("this ticket was taken back; let the doctor make another one")
            }
            Self::Ended(at) => write!(
                f,
                "this ticket ended on {at}; let the doctor make another one"
            ),
            Self::UsedByAnother => f.write_str(
                "somebody else has asked to join with this ticket: tell the doctor at once, who \
                 takes it back and makes another one",
            ),
            Self::Used => f.write_str(
                "this ticket was used already: somebody has joined the clinic with it; a ticket is \
                 good once. If that was you, use the data directory of then; if not, tell the \
                 doctor at once",
            ),
            Self::Answer(error) => write!(
                f,
                "the answer to the request to join is not taken: {error}; tell the doctor"
            ),
            Self::Papers => f.write_str(
                "the ticket is used up, and the certificate in the database is not the one that \
                 the clinic's root has signed for the keys here: tell the doctor, who revokes it \
                 and makes another ticket, and sees who can write to the database",
            ),
            Self::Revocation => f.write_str(
                "the list of revoked doctors in the database is not the clinic's newest, or names \
                 this certificate; tell the doctor",
            ),
        }
    }
}

impl std::error::Error for NewcomerError {}

impl From<StoreError> for NewcomerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SetupError> for NewcomerError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<KeyFileError> for NewcomerError {
    fn from(error: KeyFileError) -> Self {
        Self::Setup(error.into())
    }
}

impl From<VaultError> for NewcomerError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

/// Whose papers these are in the store of one who works in the clinic: a
/// doctor's, who has a node, or those of one who has none.
#[must_use]
pub const fn certificate_fact(role: Role) -> &'static str {
    match role {
        Role::Doctor => fact::DOCTOR_CERTIFICATE,
        _ => fact::OWN_CERTIFICATE,
    }
}

/// Somebody with a ticket, in her own directory, at the clinic's database.
#[derive(Clone, Copy)]
pub struct Newcomer<'a> {
    /// Where her keys lie.
    pub directory: &'a DataDir,
    /// The clinic's database, opened as hers.
    pub store: &'a dyn Store,
    /// Who she says she is.
    pub id: &'a Identifier,
    /// What she was given.
    pub ticket: &'a JoinTicket,
}

impl Newcomer<'_> {
    /// Goes on as far as it goes: asks if she has not asked yet, and takes the
    /// answer if there is one. To be called again until she has joined.
    ///
    /// # Errors
    /// [`NewcomerError`]. What was done already stays.
    pub fn go_on(
        &self,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Progress, NewcomerError> {
        let clinic = self.store.clinic().ok_or(NewcomerError::OneDoctor)?;
        if *self.id != self.ticket.subject {
            return Err(NewcomerError::OtherName(self.ticket.subject.to_string()));
        }
        let root = self.root(random)?;
        if self.has_papers(&root, now)? {
            return self.finish(clinic, now);
        }
        let row = clinic
            .join_ticket(&self.ticket.id)?
            .ok_or(NewcomerError::UnknownTicket)?;
        if row.state == JoinState::Revoked {
            return Err(NewcomerError::Revoked);
        }
        if row.state == JoinState::Used && self.directory.path(JOIN_KEY).exists() {
            return Err(NewcomerError::Papers);
        }
        let has_keys = |name| self.directory.path(name).exists();
        if row.state == JoinState::Used && !has_keys(SIGNING_KEY) {
            return Err(NewcomerError::Used);
        }
        if row.state == JoinState::Open && now > self.ticket.expires {
            return Err(NewcomerError::Ended(self.ticket.expires));
        }
        let keys = self.keys(root.group(), random)?;
        let request = self.request(clinic, &row, &root, &keys, now, random)?;
        match (row.state, row.answer) {
            (JoinState::Answered, Some(answer)) => {
                let answered = JoinAnswer::from_bytes(answer)
                    .open(self.ticket, &request, &keys, &root, now)
                    .map_err(NewcomerError::Answer)?;
                self.take(&answered, &root, &keys, now, random)?;
                self.finish(clinic, now)
            }
            _ => Ok(Progress::Waiting {
                request: request.fingerprint(),
            }),
        }
    }

    /// Whether her certificate is there: the root has signed it for the key in her
    /// directory, under her name, and has not revoked it, and it has not ended. Any other is that of
    /// somebody who had the name before, or of her with keys she has lost, or was
    /// put there by whoever can write to the database.
    fn has_papers(
        &self,
        root: &VerifiedCertificate,
        now: Timestamp,
    ) -> Result<bool, NewcomerError> {
        let role = self.ticket.role;
        let (Some(bytes), true) = (
            self.store.fact(certificate_fact(role))?,
            self.directory.path(SIGNING_KEY).exists(),
        ) else {
            return Ok(false);
        };
        let accepted = Certificate::decode(&bytes, root.group())
            .and_then(|certificate| root.accept_staff(certificate, role));
        let Ok(certificate) = accepted else {
            return Ok(false);
        };
        let subject = certificate.subject();
        Ok(subject.identifier == self.ticket.subject
            && now <= subject.not_after
            && subject.signing_key == *self.signing(root.group())?.verifying_key()
            && !self.revoked_list(root)?.contains(&subject.serial))
    }

    fn revoked_list(&self, root: &VerifiedCertificate) -> Result<RevokedDoctors, NewcomerError> {
        setup::stored_revoked(self.store, root)?.ok_or(NewcomerError::Revocation)
    }

    /// The clinic's root in the database, if it is the ticket's.
    fn root(&self, random: &mut dyn Random) -> Result<VerifiedCertificate, NewcomerError> {
        if self.store.fact(fact::ROOT_CERTIFICATE)?.is_none() {
            return Err(NewcomerError::OtherClinic);
        }
        let root = setup::load_root(self.store, random)?;
        let is_theirs =
            root.fingerprint() == self.ticket.root && root.subject().clinic == self.ticket.clinic;
        is_theirs.then_some(root).ok_or(NewcomerError::OtherClinic)
    }

    /// Her keys: those that are here, or new ones. The one-time key is written
    /// first, so that a signing key without it is known to be another's.
    fn keys(&self, group: &Group, random: &mut dyn Random) -> Result<NewcomerKeys, NewcomerError> {
        let (joining, signing) = (
            self.directory.path(JOIN_KEY),
            self.directory.path(SIGNING_KEY),
        );
        if signing.exists() && !joining.exists() {
            return Err(NewcomerError::KeysHere);
        }
        if !joining.exists() {
            let secret = KemSecret::generate(group, random).to_bytes();
            setup::save(self.directory, JOIN_KEY, KeyKind::Joining, group, secret)?;
        }
        if !signing.exists() {
            let secret = SignSecret::generate(group, random).to_bytes();
            setup::save(
                self.directory,
                SIGNING_KEY,
                KeyKind::DoctorSigning,
                group,
                secret,
            )?;
        }
        let signing = self.signing(group)?;
        let damaged = || NewcomerError::Setup(SetupError::Inconsistent("the file join.key"));
        let keyring = self.directory.keyring();
        let (of, secret) = keyring.load(&joining, KeyKind::Joining)?;
        let once = KemSecret::from_bytes(group, secret.expose()).ok();
        let once = once.filter(|_| of == *group.id()).ok_or_else(damaged)?;
        Ok(NewcomerKeys { signing, once })
    }

    /// The signing key in her directory.
    fn signing(&self, group: &Group) -> Result<SignSecret, NewcomerError> {
        let path = self.directory.path(SIGNING_KEY);
        let keyring = self.directory.keyring();
        let loaded = keyring.load(&path, KeyKind::DoctorSigning)?;
        Ok(setup::signing_key(group, &loaded)?)
    }

    /// Her request as it lies in the database, or a new one, which is put there.
    fn request(
        &self,
        clinic: &dyn ClinicStore,
        row: &JoinTicketRow,
        root: &VerifiedCertificate,
        keys: &NewcomerKeys,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<JoinRequest, NewcomerError> {
        if let Some(bytes) = &row.request {
            // What she has signed herself she need not remember.
            let is_hers = |request: &JoinRequest| {
                request.signing_key == *keys.signing.verifying_key()
                    && request.once == *keys.once.public()
            };
            return JoinRequest::accept(bytes, self.ticket, root)
                .ok()
                .filter(is_hers)
                .ok_or(NewcomerError::UsedByAnother);
        }
        let request = JoinRequest::make(keys, self.ticket, now, random);
        match clinic.put_join_request(&self.ticket.id, request.as_bytes())? {
            Handed::Now | Handed::Before => Ok(request),
            Handed::Refused => Err(NewcomerError::UsedByAnother),
        }
    }

    /// Keeps what the answer holds: files first, the certificate last.
    fn take(
        &self,
        answered: &Answered,
        root: &VerifiedCertificate,
        keys: &NewcomerKeys,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), NewcomerError> {
        let list = self.revoked_list(root)?;
        let subject = answered.certificate.subject();
        if list.number() < answered.revoked_number || list.contains(&subject.serial) {
            return Err(NewcomerError::Revocation);
        }
        seen::note(&self.directory.path(""), root, &list)?;
        self.keep_grant(&answered.grant)?;
        self.set_former_aside(root, subject.role)?;
        if subject.role == Role::Doctor && !self.has_prekey(&answered.certificate)? {
            let own = OwnPrekey::generate(&keys.signing, now, random);
            setup::add_prekey(self.directory, self.store, &own, &[])?;
        }
        let certificate = answered.certificate.as_bytes();
        let facts = [(certificate_fact(subject.role), certificate)];
        Ok(self.store.set_facts(&facts)?)
    }

    /// Puts the papers of who had the name before among the earlier ones: what she
    /// signed stays hers.
    fn set_former_aside(
        &self,
        root: &VerifiedCertificate,
        role: Role,
    ) -> Result<(), NewcomerError> {
        let is_genuine = |former: &[u8]| {
            Certificate::decode(former, root.group())
                .and_then(|former| root.accept_member(former))
                .is_ok_and(|former| former.subject().identifier == self.ticket.subject)
        };
        for (newest, aside) in [
            (fact::DOCTOR_CERTIFICATE, fact::EARLIER_CERTIFICATES),
            (fact::OWN_CERTIFICATE, fact::FORMER_CERTIFICATES),
        ] {
            let former = self.store.fact(newest)?;
            let Some(former) = former.filter(|former| is_genuine(former)) else {
                continue;
            };
            let known = self.store.fact(aside)?.unwrap_or_default();
            let earlier = Writer::new().bytes(&known).lp16(&former).finish();
            let facts = [(aside, &earlier[..])];
            if !known.ends_with(&earlier[known.len()..]) {
                self.store.set_facts(&facts)?;
            }
        }
        for other in [Role::Doctor, Role::Assistant].map(certificate_fact) {
            if other != certificate_fact(role) {
                self.store.remove_fact(other)?;
            }
        }
        Ok(())
    }

    /// Whether a prekey of hers is there; those of who had the name before are
    /// taken out.
    fn has_prekey(&self, certificate: &VerifiedCertificate) -> Result<bool, NewcomerError> {
        let mut is_there = false;
        for row in self.store.prekeys()? {
            match VerifiedPrekey::accept(&row.bytes, certificate) {
                Ok(_) => is_there = true,
                Err(_) => {
                    self.store.remove_prekey(&row.kid, &[])?;
                }
            }
        }
        Ok(is_there)
    }

    fn keep_grant(&self, grant: &Grant) -> Result<(), NewcomerError> {
        let known = self.store.fact(fact::DATA_KEY)?;
        let known = known.and_then(|id| <[u8; 16]>::try_from(id).ok());
        let known = known.ok_or(NewcomerError::Vault(VaultError::OtherKey))?;
        let (vault, name) = match grant {
            Grant::DataKey(key) => (Vault::new(key.duplicate()), DATA_KEY),
            Grant::Columns(keys) => (Vault::of_columns(known, keys.duplicate()), COLUMN_KEYS),
            Grant::Nothing => return Ok(()),
        };
        if vault.id() != known {
            return Err(NewcomerError::Vault(VaultError::OtherKey));
        }
        let path = self.directory.path(name);
        // From an attempt that was cut short.
        key_file::remove(&path)?;
        Ok(vault.save(&path, self.directory.keyring())?)
    }

    /// The certificate is in the database: ends the ticket, and forgets the
    /// one-time key.
    fn finish(&self, clinic: &dyn ClinicStore, now: Timestamp) -> Result<Progress, NewcomerError> {
        let name = self.ticket.subject.as_str();
        let detail = format!(
            "{} by the word of {}, ticket {}, root {}",
            self.ticket.role,
            self.ticket.doctor,
            ticket_code(&self.ticket.id),
            hex::encode(&self.ticket.root)
        );
        let entry = Entry::new(now, name, Action::ClinicJoined, name, &detail);
        clinic.use_join_ticket(&self.ticket.id, &[entry])?;
        key_file::remove(&self.directory.path(JOIN_KEY))?;
        // A half of one that was cut short opens as much as the key.
        key_file::sweep(&self.directory.path(""))?;
        Ok(Progress::Joined)
    }
}
