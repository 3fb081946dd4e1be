//! The answer to a request to join a clinic.
//!
//! ```text
//! answer  = version 1 ‖ tid 16 ‖ c L ‖ LP16(sealed)
//! key     = Xp(Ex(kt, y_c^b), "tmc1 join answer", H(request) ‖ version ‖ tid ‖ c, 128)
//! sealed  = seal(key, AD = H(request) ‖ version ‖ tid ‖ c, content)
//! content = LP16(certificate) ‖ number of the list of revoked doctors 8 ‖ grant
//! grant   = doctor: 1 ‖ data key 32
//!           assistant: 2 ‖ count 1 ‖ (LP8(column) ‖ column key 128) each
//!           auditor: 3
//! ```
//!
//! To open it takes the newcomer's one-time secret and the ticket, to make it
//! the ticket and the root's secret.

use crate::aes::SealingKey;
use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, KemSecret, SharedSecret};
use crate::identity::certificate::{Certificate, Role, VerifiedCertificate};
use crate::identity::join::{
    JoinError, JoinRequest, JoinTicket, NewcomerKeys, VERSION, ticket_key,
};
use crate::kdf::{self, label};
use crate::random::Random;
use crate::secret::{Secret, SecretBytes};

/// The most columns an assistant may be given.
const MAX_COLUMNS: usize = 16;
/// The longest name of a column, in bytes.
const MAX_NAME: usize = 32;

/// Names of columns of the database, each with the key that seals it.
#[derive(Debug, Default)]
pub struct ColumnKeys(Vec<(String, Secret<128>)>);

impl ColumnKeys {
    /// These, at most 16 with names of 1 to 32 bytes; none is there twice.
    ///
    /// # Errors
    /// [`DecodeError`] otherwise.
    pub fn new(keys: Vec<(String, Secret<128>)>) -> Result<Self, DecodeError> {
        let is_name = |name: &str| (1..=MAX_NAME).contains(&name.len());
        let names = keys.iter().map(|(name, _)| name.as_str());
        let is_once =
            |position: usize, name: &str| keys[..position].iter().all(|(before, _)| before != name);
        let fit = names
            .enumerate()
            .all(|(position, name)| is_name(name) && is_once(position, name));
        match fit && keys.len() <= MAX_COLUMNS {
            true => Ok(Self(keys)),
            false => Err(DecodeError),
        }
    }

    /// The key of a column, if it is among them.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Secret<128>> {
        let mut keys = self.0.iter();
        keys.find(|(name, _)| name == column).map(|(_, key)| key)
    }

    /// A second copy. Named, so that copies of secrets can be searched for.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = |(name, key): &(String, Secret<128>)| (name.clone(), key.duplicate());
        Self(self.0.iter().map(copy).collect())
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// All of them: count 1 ‖ (LP8(column) ‖ key 128) each.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        // Room for all, so that no copy stays behind where it grew.
        let names: usize = self.names().map(str::len).sum();
        let mut bytes = Vec::with_capacity(1 + names + self.0.len() * 129);
        bytes.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for (name, key) in &self.0 {
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(key.expose());
        }
        SecretBytes::new(bytes)
    }

    /// The inverse of [`ColumnKeys::encode`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let keys = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(keys)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u8()?;
        let mut keys = Vec::new();
        for _ in 0..count {
            let name = str::from_utf8(reader.lp8()?).map_err(|_| DecodeError)?;
            let key = Secret::from_slice(reader.take(128)?).ok_or(DecodeError)?;
            keys.push((name.to_owned(), key));
        }
        Self::new(keys)
    }
}

/// What a newcomer can open in the clinic's database from now on.
#[derive(Debug)]
pub enum Grant {
    /// Everything: a doctor's, 32 bytes.
    DataKey(Secret<32>),
    /// These columns: an assistant's.
    Columns(ColumnKeys),
    /// Nothing: an auditor's.
    Nothing,
}

impl Grant {
    /// Who is given this, and nobody else.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::DataKey(_) => Role::Doctor,
            Self::Columns(_) => Role::Assistant,
            Self::Nothing => Role::Auditor,
        }
    }

    fn encode(&self) -> SecretBytes {
        let (kind, content) = match self {
            Self::DataKey(key) => (1, SecretBytes::copy_of(key.expose())),
            Self::Columns(keys) => (2, keys.encode()),
            Self::Nothing => (3, SecretBytes::new(Vec::new())),
        };
        let mut bytes = Vec::with_capacity(1 + content.expose().len());
        bytes.push(kind);
        bytes.extend_from_slice(content.expose());
        SecretBytes::new(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, content) = bytes.split_first().ok_or(DecodeError)?;
        match (kind, content) {
            (1, key) => Secret::from_slice(key)
                .map(Self::DataKey)
                .ok_or(DecodeError),
            (2, keys) => ColumnKeys::decode(keys).map(Self::Columns),
            (3, []) => Ok(Self::Nothing),
            _ => Err(DecodeError),
        }
    }
}

/// What an answer held.
#[derive(Debug)]
pub struct Answered {
    /// The newcomer's certificate, signed by the root the ticket names.
    pub certificate: VerifiedCertificate,
    /// The number that the list of revoked doctors had: an older list is not to
    /// be believed.
    pub revoked_number: u64,
    /// What she can open.
    pub grant: Grant,
}

/// An answer to a request to join.
#[derive(Clone, Debug)]
pub struct JoinAnswer(Vec<u8>);

impl JoinAnswer {
    /// Seals the newcomer's certificate and what she can open; None if that is
    /// not what her certificate's role is given, or not for the key in the
    /// request.
    #[must_use]
    pub fn make(
        ticket: &JoinTicket,
        request: &JoinRequest,
        answered: &Answered,
        random: &mut dyn Random,
    ) -> Option<Self> {
        let subject = answered.certificate.subject();
        let fits = subject.role == ticket.role
            && subject.role == answered.grant.role()
            && subject.identifier == ticket.subject
            && subject.signing_key == request.signing_key;
        if !fits {
            return None;
        }
        let own = KemSecret::generate(request.once.group(), random);
        let header = Writer::new()
            .u8(VERSION)
            .bytes(&ticket.id)
            .bytes(own.public().as_bytes());
        let bound = kdf::hash(&[request.as_bytes()]);
        let ad = [&bound[..], header.as_slice()];
        let grant = answered.grant.encode();
        let certificate = answered.certificate.as_bytes();
        let room = 2 + certificate.len() + 8 + grant.expose().len();
        let content = Writer::with_room(room)
            .lp16(certificate)
            .u64(answered.revoked_number)
            .bytes(grant.expose());
        let content = SecretBytes::new(content.finish());
        let key = sealing_key(ticket, &own.agree(&request.once), &ad);
        let sealed = key.seal(0, &ad, content.expose(), random);
        Some(Self(header.lp16(&sealed).finish()))
    }

    /// The answer in these bytes, of which nothing is known.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The whole answer.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Opens the answer to the request that was made with these keys for this
    /// ticket; `root` is the certificate that the ticket's fingerprint names.
    ///
    /// # Errors
    /// [`JoinError`], saying which check failed.
    pub fn open(
        &self,
        ticket: &JoinTicket,
        request: &JoinRequest,
        keys: &NewcomerKeys,
        root: &VerifiedCertificate,
        now: Timestamp,
    ) -> Result<Answered, JoinError> {
        if (root.fingerprint(), root.subject().clinic) != (ticket.root, ticket.clinic) {
            return Err(JoinError::OtherTicket);
        }
        let group = root.group();
        let mut reader = Reader::new(&self.0);
        if reader.u8()? != VERSION {
            return Err(JoinError::Malformed);
        }
        if reader.array::<16>()? != ticket.id {
            return Err(JoinError::OtherTicket);
        }
        let theirs = reader.take(group.element_len())?;
        let sealed = reader.lp16()?;
        reader.finish()?;
        let theirs = Element::from_bytes(group, theirs).map_err(|_| JoinError::Malformed)?;
        let header = &self.0[..self.0.len() - 2 - sealed.len()];
        let bound = kdf::hash(&[request.as_bytes()]);
        let ad = [&bound[..], header];
        let content = sealing_key(ticket, &keys.once.agree(&theirs), &ad)
            .open(&ad, sealed)
            .map_err(|_| JoinError::CannotBeOpened)?;
        read_content(content.expose(), ticket, keys, root, now)
    }
}

fn read_content(
    content: &[u8],
    ticket: &JoinTicket,
    keys: &NewcomerKeys,
    root: &VerifiedCertificate,
    now: Timestamp,
) -> Result<Answered, JoinError> {
    let mut reader = Reader::new(content);
    let certificate = reader.lp16()?;
    let revoked_number = reader.u64()?;
    let grant = Grant::decode(reader.rest())?;
    let certificate = Certificate::decode(certificate, root.group())
        .and_then(|certificate| root.accept_staff(certificate, ticket.role))
        .and_then(|certificate| certificate.check_dates(now).map(|()| certificate))
        .map_err(JoinError::Certificate)?;
    let subject = certificate.subject();
    let is_hers = subject.identifier == ticket.subject
        && subject.signing_key == *keys.signing.verifying_key();
    if !is_hers || grant.role() != ticket.role {
        return Err(JoinError::OtherCertificate);
    }
    Ok(Answered {
        certificate,
        revoked_number,
        grant,
    })
}

fn sealing_key(ticket: &JoinTicket, shared: &SharedSecret, context: &[&[u8]]) -> SealingKey {
    let salt = ticket_key(&ticket.id, &ticket.secret);
    let prk = kdf::extract(salt.secret().expose(), &[shared.expose()]);
    SealingKey::new(prk.expand(label::JOIN_ANSWER, context))
}
