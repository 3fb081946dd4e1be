//! The request to join a clinic.
//!
//! ```text
//! version 1 ‖ clinic 16 ‖ root FP 32 ‖ tid 16 ‖ role 1 ‖ subject 32 ‖ gid 32 ‖ TS 8
//! ‖ y_s L ‖ y_c L ‖ signature 2L ‖ HMAC 64
//! signature = by y_s over all before it, "tmc1 join request"
//! HMAC      = under Xp(kt, "tmc1 join ticket", "", 64) over all before it
//! ```
//!
//! y_s is the key to be certified; y_c, good for this one answer, is what the
//! answer is sealed to.

use crate::clock::Timestamp;
use crate::codec::{Reader, Writer};
use crate::elgamal::{Element, Group, KemSecret, SignSecret, VerifyingKey};
use crate::identity::certificate::{Fingerprint, Role, VerifiedCertificate, fingerprint};
use crate::identity::id::Identifier;
use crate::identity::join::{JoinError, JoinTicket, VERSION, ticket_key};
use crate::identity::ticket::TicketId;
use crate::kdf::{self, label};
use crate::random::Random;
use crate::secret::{Secret, ct_eq};

/// A newcomer's secrets. They must be on disk before the request is made.
#[derive(Debug)]
pub struct NewcomerKeys {
    /// Signs, and is certified.
    pub signing: SignSecret,
    /// Opens the one answer; to be forgotten then.
    pub once: KemSecret,
}

impl NewcomerKeys {
    /// Makes both.
    #[must_use]
    pub fn generate(group: &Group, random: &mut dyn Random) -> Self {
        Self {
            signing: SignSecret::generate(group, random),
            once: KemSecret::generate(group, random),
        }
    }
}

/// A request that was checked, or that this program made itself.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    bytes: Vec<u8>,
    /// When it was made, by the newcomer's clock.
    pub made: Timestamp,
    /// The key to be certified.
    pub signing_key: VerifyingKey,
    /// What the answer is sealed to.
    pub once: Element,
}

impl JoinRequest {
    /// Makes the request that goes with this ticket.
    #[must_use]
    pub fn make(
        keys: &NewcomerKeys,
        ticket: &JoinTicket,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let (signing_key, once) = (keys.signing.verifying_key(), keys.once.public());
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(&ticket.clinic)
            .bytes(&ticket.root)
            .bytes(&ticket.id)
            .u8(ticket.role.to_byte())
            .bytes(&ticket.subject.to_field())
            .bytes(signing_key.group().id())
            .u64(now.as_millis())
            .bytes(signing_key.as_bytes())
            .bytes(once.as_bytes());
        let signature = keys
            .signing
            .sign(label::SIG_JOIN_REQUEST, &[signed.as_slice()], random);
        let proved = signed.bytes(&signature);
        let proof = proof(ticket, proved.as_slice());
        Self {
            bytes: proved.bytes(&proof).finish(),
            made: now,
            signing_key: signing_key.clone(),
            once: once.clone(),
        }
    }

    /// The ticket that a request names, before anything in it is checked.
    #[must_use]
    pub fn ticket_of(bytes: &[u8]) -> Option<TicketId> {
        const BEFORE: usize = 1 + 16 + 32;
        bytes.get(BEFORE..)?.first_chunk().copied()
    }

    /// Accepts a request that goes with this ticket in the clinic of this root.
    ///
    /// # Errors
    /// [`JoinError`], saying which check failed. The proof of the ticket is
    /// checked before any key is looked at.
    pub fn accept(
        bytes: &[u8],
        ticket: &JoinTicket,
        root: &VerifiedCertificate,
    ) -> Result<Self, JoinError> {
        let group = root.group();
        let (proved, mac) = bytes.split_last_chunk::<64>().ok_or(JoinError::Malformed)?;
        let mut reader = Reader::new(proved);
        if reader.u8()? != VERSION {
            return Err(JoinError::Malformed);
        }
        let clinic: [u8; 16] = reader.array()?;
        let pinned: Fingerprint = reader.array()?;
        let id: TicketId = reader.array()?;
        let role = Role::from_byte(reader.u8()?)?;
        let subject = Identifier::from_field(&reader.array()?)?;
        let is_ours = (clinic, pinned) == (root.subject().clinic, root.fingerprint())
            && (clinic, pinned) == (ticket.clinic, ticket.root)
            && (id, role) == (ticket.id, ticket.role)
            && subject == ticket.subject;
        if !is_ours {
            return Err(JoinError::OtherTicket);
        }
        if !ct_eq(mac, &proof(ticket, proved)) {
            return Err(JoinError::WrongProof);
        }
        if reader.array::<32>()? != *group.id() {
            return Err(JoinError::Malformed);
        }
        let made = Timestamp::from_millis(reader.u64()?);
        let signing_key = reader.take(group.element_len())?;
        let once = reader.take(group.element_len())?;
        let signature = reader.take(2 * group.element_len())?;
        reader.finish()?;
        if signing_key == once {
            return Err(JoinError::Malformed);
        }
        let signing_key =
            VerifyingKey::from_bytes(group, signing_key).map_err(|_| JoinError::Malformed)?;
        let once = Element::from_bytes(group, once).map_err(|_| JoinError::Malformed)?;
        let signed = &proved[..proved.len() - signature.len()];
        signing_key
            .verify(label::SIG_JOIN_REQUEST, &[signed], signature)
            .map_err(|_| JoinError::BadSignature)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            made,
            signing_key,
            once,
        })
    }

    /// The whole request.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `FP` of the request, 32 bytes: what both sides show, to be compared over
    /// the phone.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.bytes)
    }
}

pub(in crate::identity) fn proof(ticket: &JoinTicket, proved: &[u8]) -> [u8; 64] {
    let key: Secret<64> = ticket_key(&ticket.id, &ticket.secret).expand(label::JOIN_TICKET, &[]);
    kdf::hmac(key.expose(), &[proved])
}
