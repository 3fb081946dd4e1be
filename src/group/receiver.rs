//! A patient's end of the group.

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader};
use crate::framing::{Frame, HEADER_LEN};
use crate::group::{self, BROADCAST_HEADER_LEN, EpochKey, Place};
use crate::identity::certificate::VerifiedCertificate;
use crate::kdf::{self, label};
use crate::protocol::message::Message;
use crate::protocol::opcode::ENC_MSG;
use crate::protocol::record::{Conference, GroupKey};
use crate::protocol::sub;
use crate::secret::ct_eq;
use crate::session::receipt;

/// A group key or broadcast that is not the next one, does not open or is not
/// signed by the doctor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupError;

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group key or broadcast is out of order or not genuine")
    }
}

impl std::error::Error for GroupError {}

impl From<DecodeError> for GroupError {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

/// How far a patient has followed a conference: what a later session of the
/// same program run goes on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    conference: Conference,
    epoch: u64,
    last_mid: u64,
}

/// What a `GROUP_KEY` record changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewEpoch {
    /// Its number.
    pub epoch: u64,
    /// How many devices hold the key.
    pub devices: u32,
    /// How many broadcasts were missed while away; they follow one by one.
    pub missed: u64,
}

/// Opens broadcasts, each exactly once and in order.
#[derive(Debug)]
pub struct Receiver {
    progress: Progress,
    /// Whether the conference was known from an earlier session.
    known: bool,
    /// None before the session's first `GROUP_KEY`.
    key: Option<EpochKey>,
}

impl Receiver {
    /// The receiver of a session in `conference`, going on from what an
    /// earlier session saw of it.
    #[must_use]
    pub fn new(conference: Conference, earlier: Option<Progress>) -> Self {
        let earlier = earlier.filter(|progress| progress.conference == conference);
        Self {
            progress: earlier.unwrap_or(Progress {
                conference,
                epoch: 0,
                last_mid: 0,
            }),
            // Left before its first epoch, a conference is as new as ever.
            known: earlier.is_some_and(|progress| progress.epoch > 0),
            key: None,
        }
    }

    /// What a later session goes on from.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// The conference.
    #[must_use]
    pub const fn conference(&self) -> &Conference {
        &self.progress.conference
    }

    /// The number of the last broadcast seen; none before the session's first
    /// group key.
    #[must_use]
    pub fn last_mid(&self) -> Option<u64> {
        self.key.as_ref().map(|_| self.progress.last_mid)
    }

    /// Whether a group key speaks of broadcasts that never came: somebody on
    /// the way has dropped them.
    #[must_use]
    pub fn is_behind(&self, record: &GroupKey) -> bool {
        record.conference == self.progress.conference
            && self
                .last_mid()
                .is_some_and(|seen| record.next_mid > seen.saturating_add(1))
    }

    /// Takes a new group key; the old one is wiped.
    ///
    /// # Errors
    /// [`GroupError`] if conference, epoch or number do not follow.
    pub fn on_group_key(&mut self, record: &GroupKey) -> Result<NewEpoch, GroupError> {
        let expected = self.next_mid()?;
        let is_first = self.key.is_none();
        let follows = match (is_first, self.known) {
            (false, _) => record.next_mid == expected,
            (true, true) => record.next_mid >= expected,
            (true, false) => record.next_mid >= 1,
        };
        let conference = self.progress.conference;
        if record.conference != conference || record.epoch <= self.progress.epoch || !follows {
            return Err(GroupError);
        }
        let missed = if self.known {
            record.next_mid - expected
        } else {
            0
        };
        self.key = Some(EpochKey::new(&record.key, &conference, record.epoch));
        self.progress.epoch = record.epoch;
        self.progress.last_mid = record.next_mid - 1;
        Ok(NewEpoch {
            epoch: record.epoch,
            devices: record.members,
            missed,
        })
    }

    /// Opens a broadcast. A refused one changes nothing here.
    ///
    /// # Errors
    /// [`GroupError`] if it is not the next one of this epoch, does not open,
    /// or is not signed by the doctor.
    pub fn open(
        &mut self,
        frame: &Frame,
        doctor: &VerifiedCertificate,
    ) -> Result<(Message, receipt::Broadcast), GroupError> {
        let key = self.key.as_ref().ok_or(GroupError)?;
        if (frame.opcode(), frame.sub()) != (ENC_MSG, sub::NONE) {
            return Err(GroupError);
        }
        let mut reader = Reader::new(frame.body());
        let place = Place {
            conference: reader.array()?,
            epoch: reader.u64()?,
            mid: reader.u64()?,
        };
        let _sent = Timestamp::from_millis(reader.u64()?);
        let key_id: [u8; 32] = reader.array()?;
        let sealed = reader.lp32()?;
        let signature = reader.rest();

        let next = Place {
            conference: self.progress.conference,
            epoch: self.progress.epoch,
            mid: self.next_mid()?,
        };
        if place != next || !ct_eq(&key_id, &key.id) {
            return Err(GroupError);
        }
        let bytes = frame.as_bytes();
        let header_end = HEADER_LEN + BROADCAST_HEADER_LEN;
        let content = key
            .seal
            .open(&[&bytes[..header_end]], sealed)
            .map_err(|_| GroupError)?;
        let signed = &bytes[..bytes.len() - signature.len()];
        doctor
            .subject()
            .signing_key
            .verify(
                label::SIG_ENC_MSG,
                &[&group::signed_part(signed, &doctor.fingerprint())],
                signature,
            )
            .map_err(|_| GroupError)?;
        let message = Message::decode_for_several(content.expose())?;
        self.progress.last_mid = place.mid;
        let receipted = receipt::Broadcast {
            conference: place.conference,
            epoch: place.epoch,
            mid: place.mid,
            frame_hash: kdf::hash(&[bytes]),
            message_hash: kdf::hash(&[content.expose()]),
        };
        Ok((message, receipted))
    }

    /// The number the next broadcast has; none follows the last there is.
    fn next_mid(&self) -> Result<u64, GroupError> {
        self.progress.last_mid.checked_add(1).ok_or(GroupError)
    }
}
