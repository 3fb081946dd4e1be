//! The bodies of the records that are exchanged once a session stands.
//!
//! Each type has `encode` and a strict `decode`; what a field means is said in
//! the specification, docs/protocol.md.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::protocol::DisconnectReason;
use crate::protocol::message::{Message, MessageId};
use crate::secret::Secret;

/// Names one run of a server: the conference all its sessions belong to.
pub type Conference = [u8; 16];
/// HMAC-SHA-512, 64 bytes.
pub type Mac = [u8; 64];

/// `SESSION_TOKEN` (20): the doctor's confirmation, record 0.
pub struct SessionToken {
    /// What resumes the session, together with a key derived from it.
    pub token: [u8; 32],
    /// For how long; zero: not at all.
    pub lifetime: Duration,
    /// This run of the server.
    pub conference: Conference,
    /// The doctor's clock.
    pub at: Timestamp,
}

impl SessionToken {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let seconds = u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX);
        Writer::new()
            .bytes(&self.token)
            .u32(seconds)
            .bytes(&self.conference)
            .u64(self.at.as_millis())
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if its length is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let token = Self {
            token: reader.array()?,
            lifetime: Duration::from_secs(reader.u32()?.into()),
            conference: reader.array()?,
            at: Timestamp::from_millis(reader.u64()?),
        };
        reader.finish()?;
        Ok(token)
    }
}

/// Shows no token: logs and error reports print with Debug.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken(.., for {:?})", self.lifetime)
    }
}

/// `GROUP_KEY` (30): a new epoch.
#[derive(Debug)]
pub struct GroupKey {
    /// This run of the server.
    pub conference: Conference,
    /// Number of the epoch; only rises.
    pub epoch: u64,
    /// Number the next broadcast will have.
    pub next_mid: u64,
    /// How many devices hold the key.
    pub members: u32,
    /// The key itself.
    pub key: Secret<64>,
}

impl GroupKey {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .bytes(&self.conference)
            .u64(self.epoch)
            .u64(self.next_mid)
            .u32(self.members)
            .bytes(self.key.expose())
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if its length is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let key = Self {
            conference: reader.array()?,
            epoch: reader.u64()?,
            next_mid: reader.u64()?,
            members: reader.u32()?,
            key: Secret::from_slice(reader.take(64)?).ok_or(DecodeError)?,
        };
        reader.finish()?;
        Ok(key)
    }
}

/// `DEC_MSG` (50): this device decrypted a broadcast.
#[derive(Debug)]
pub struct DecMsg {
    /// Of the broadcast.
    pub conference: Conference,
    /// Of the broadcast.
    pub epoch: u64,
    /// Of the broadcast.
    pub mid: u64,
    /// Of the message in it.
    pub id: MessageId,
    /// Proof, under the session's receipt key.
    pub mac: Mac,
}

impl DecMsg {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .bytes(&self.conference)
            .u64(self.epoch)
            .u64(self.mid)
            .bytes(&self.id.0)
            .bytes(&self.mac)
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if its length is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let receipt = Self {
            conference: reader.array()?,
            epoch: reader.u64()?,
            mid: reader.u64()?,
            id: MessageId(reader.array()?),
            mac: reader.array()?,
        };
        reader.finish()?;
        Ok(receipt)
    }
}

/// Whom a DIRECT message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Everyone: a broadcast missed while away.
    Everyone,
    /// This patient only.
    Chosen,
}

impl Audience {
    /// The byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Everyone => 0,
            Self::Chosen => 1,
        }
    }
}

/// DIRECT (41): a signed message outside the group.
#[derive(Debug)]
pub struct Direct {
    /// Whom it is for.
    pub audience: Audience,
    /// What it says.
    pub message: Message,
    /// The doctor's signature, 2L bytes.
    pub signature: Vec<u8>,
}

impl Direct {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .u8(self.audience.to_byte())
            .lp16(&self.message.encode())
            .bytes(&self.signature)
            .finish()
    }

    /// Reads the record's body; the signature's length is checked when it is
    /// verified.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown audience, or a message that is malformed or
    /// part of a consultation.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let audience = match reader.u8()? {
            0 => Audience::Everyone,
            1 => Audience::Chosen,
            _ => return Err(DecodeError),
        };
        let message = Message::decode_for_several(reader.lp16()?)?;
        let signature = reader.rest().to_vec();
        Ok(Self {
            audience,
            message,
            signature,
        })
    }
}

/// ACK (51): a person confirmed a message.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Of the message.
    pub id: MessageId,
    /// When, by the patient's clock.
    pub at: Timestamp,
    /// The patient's signature, 2L bytes: evidence for others.
    pub signature: Vec<u8>,
}

impl Ack {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .bytes(&self.id.0)
            .u64(self.at.as_millis())
            .bytes(&self.signature)
            .finish()
    }

    /// Reads the record's body; the signature's length is checked when it is
    /// verified.
    ///
    /// # Errors
    /// [`DecodeError`] if it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            id: MessageId(reader.array()?),
            at: Timestamp::from_millis(reader.u64()?),
            signature: reader.rest().to_vec(),
        })
    }
}

/// RECEIPT (71): the receiver has a DIRECT or PRIVATE message, or the doctor's
/// server the ACK of one.
#[derive(Debug)]
pub struct Receipt {
    /// Of the message.
    pub id: MessageId,
    /// When what is receipted was kept, by the doctor's clock; 0 in a patient's
    /// receipt, and where the doctor does not have the message of an ACK.
    pub at: Timestamp,
    /// Proof, under the session's receipt key.
    pub mac: Mac,
}

impl Receipt {
    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .bytes(&self.id.0)
            .u64(self.at.as_millis())
            .bytes(&self.mac)
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if its length is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let receipt = Self {
            id: MessageId(reader.array()?),
            at: Timestamp::from_millis(reader.u64()?),
            mac: reader.array()?,
        };
        reader.finish()?;
        Ok(receipt)
    }
}

/// HEARTBEAT (80): the number of the last broadcast sent or seen, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat(pub u64);

impl Heartbeat {
    /// The record's body.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if its length is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mid = reader.u64()?;
        reader.finish()?;
        Ok(Self(mid))
    }
}

/// ROSTER (85): doctors of the clinic, each with an entry that she has signed.
/// What an entry says is checked by whoever receives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roster(pub Vec<Vec<u8>>);

impl Roster {
    /// The most entries of one record.
    pub const MAX_ENTRIES: usize = 16;
    /// The longest entry, in bytes: with the largest group it takes 2989.
    pub const MAX_ENTRY: usize = 3_072;

    /// The records that say all of `entries`, none for none. Those that are
    /// longer than any entry can be are left out.
    pub fn records(entries: &[Vec<u8>]) -> impl Iterator<Item = Self> {
        let entries: Vec<_> = entries
            .iter()
            .filter(|entry| entry.len() <= Self::MAX_ENTRY)
            .cloned()
            .collect();
        let records: Vec<_> = entries
            .chunks(Self::MAX_ENTRIES)
            .map(|some| Self(some.to_vec()))
            .collect();
        records.into_iter()
    }

    /// The record's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0
            .iter()
            .fold(Writer::new(), |body, entry| body.lp16(entry))
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] if it holds no entry or too many, or one that is too long.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut entries = Vec::new();
        while entries.is_empty() || !reader.is_empty() {
            let entry = reader.lp16()?;
            if entry.len() > Self::MAX_ENTRY || entries.len() == Self::MAX_ENTRIES {
                return Err(DecodeError);
            }
            entries.push(entry.to_vec());
        }
        Ok(Self(entries))
    }
}

/// DISCONNECT (60): nothing follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disconnect {
    /// Why.
    pub reason: DisconnectReason,
    /// Number of the last broadcast the sender sent or saw.
    pub last_mid: u64,
    /// How many records the sender has received.
    pub records_received: u64,
}

impl Disconnect {
    /// The record's body.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        Writer::new()
            .u8(self.reason.to_byte())
            .u64(self.last_mid)
            .u64(self.records_received)
            .finish()
    }

    /// Reads the record's body.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown reason or a wrong length.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let disconnect = Self {
            reason: DisconnectReason::from_byte(reader.u8()?).ok_or(DecodeError)?,
            last_mid: reader.u64()?,
            records_received: reader.u64()?,
        };
        reader.finish()?;
        Ok(disconnect)
    }
}
