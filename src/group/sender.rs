//! The doctor's end of the group.

use crate::aes;
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::framing::Frame;
use crate::group::{self, BROADCAST_HEADER_LEN, EpochKey, Place};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::Fingerprint;
use crate::kdf::{self, Prk, label};
use crate::protocol::message::Message;
use crate::protocol::opcode::ENC_MSG;
use crate::protocol::record::{Conference, GroupKey};
use crate::protocol::sub;
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};
use crate::session::receipt;

/// Seals broadcasts and makes the keys for them. Lives behind the same lock as
/// the members whose contributions it is given.
#[derive(Debug)]
pub struct Sender {
    conference: Conference,
    /// 0 before the first rekey.
    epoch: u64,
    /// The number of the next broadcast, from 1 on.
    next_mid: u64,
    /// None: the members have changed since the last rekey, or there was none.
    /// Nothing can be sealed then.
    key: Option<EpochKey>,
}

/// A broadcast ready to be sent to every member, byte for byte the same.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The `ENC_MSG` frame.
    pub frame: Frame,
    /// What the members' receipts speak of.
    pub receipted: receipt::Broadcast,
}

/// A broadcast that is sealed and not signed yet. Signing takes its time and
/// needs nothing of the group: whether the broadcast still belongs into it is
/// asked afterwards, with [`Sender::accept`].
#[derive(Debug)]
pub struct Draft {
    place: Place,
    header: [u8; 7],
    /// The frame's body up to the signature.
    body: Vec<u8>,
    message_hash: [u8; 64],
}

impl Draft {
    /// Signs it.
    #[must_use]
    pub fn sign(self, doctor: &DoctorIdentity, random: &mut dyn Random) -> Sealed {
        let Self {
            place,
            header,
            body,
            message_hash,
        } = self;
        let signature = doctor.signing.sign(
            label::SIG_ENC_MSG,
            &[&group::signed_part(
                &[&header[..], &body].concat(),
                &doctor.certificate.fingerprint(),
            )],
            random,
        );
        let frame = Frame::new(ENC_MSG, sub::NONE, &[body, signature].concat());
        let receipted = receipt::Broadcast {
            conference: place.conference,
            epoch: place.epoch,
            mid: place.mid,
            frame_hash: kdf::hash(&[frame.as_bytes()]),
            message_hash,
        };
        Sealed { frame, receipted }
    }
}

impl Sender {
    /// The group of a server that has just started.
    pub fn new(random: &mut dyn Random) -> Self {
        Self {
            conference: random::array(random),
            epoch: 0,
            next_mid: 1,
            key: None,
        }
    }

    /// Names this run of the server.
    #[must_use]
    pub const fn conference(&self) -> &Conference {
        &self.conference
    }

    /// Number of the current epoch; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the last broadcast, 0 for none.
    #[must_use]
    pub const fn last_mid(&self) -> u64 {
        self.next_mid - 1
    }

    /// Whether the members have changed since the last rekey.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.key.is_none()
    }

    /// To be called with every change of the members, in the same critical
    /// section. The old key is wiped: nothing can be sealed under it any more.
    pub fn mark_dirty(&mut self) {
        self.key = None;
    }

    /// Begins a new epoch with a key from all members' contributions. Gives
    /// the body of the `GROUP_KEY` record each member is to be sent.
    pub fn rekey(
        &mut self,
        mut members: Vec<(Fingerprint, &Secret<32>)>,
        random: &mut dyn Random,
    ) -> SecretBytes {
        members.sort_unstable_by_key(|(device, _)| *device);
        let salt: Secret<32> = random::secret(random);
        let contributions: Vec<&[u8]> = members
            .iter()
            .map(|(_, contribution)| &contribution.expose()[..])
            .collect();
        self.epoch += 1;
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let prk: Prk = kdf::extract(salt.expose(), &contributions);
        let key: Secret<64> = prk.expand(
            label::GROUP_KEY,
            &[
                &self.conference,
                &self.epoch.to_be_bytes(),
                &count.to_be_bytes(),
            ],
        );
        self.key = Some(EpochKey::new(&key, &self.conference, self.epoch));
        let record = GroupKey {
            conference: self.conference,
            epoch: self.epoch,
            next_mid: self.next_mid,
            members: count,
            key,
        };
        SecretBytes::new(record.encode())
    }

    /// Seals and signs a broadcast under the current epoch's key; nothing if
    /// the group is dirty.
    pub fn seal(
        &mut self,
        message: &Message,
        doctor: &DoctorIdentity,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Sealed> {
        let sealed = self.draft(message, doctor, now, random)?;
        let sealed = sealed.sign(doctor, random);
        self.accept(&sealed).then_some(sealed)
    }

    /// Seals a broadcast under the current epoch's key, as the next one, whose
    /// number it takes once it is accepted; nothing if the group is dirty.
    pub fn draft(
        &self,
        message: &Message,
        doctor: &DoctorIdentity,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Draft> {
        let key = self.key.as_ref()?;
        let place = Place {
            conference: self.conference,
            epoch: self.epoch,
            mid: self.next_mid,
        };
        let encoded = message.encode();
        let box_len = aes::sealed_len(encoded.len());
        let body_len = BROADCAST_HEADER_LEN + 4 + box_len + 2 * doctor.group().element_len();
        let header = Frame::header(ENC_MSG, sub::NONE, body_len);
        let fields = place.encode().u64(now.as_millis()).bytes(&key.id).finish();
        let sealed = key
            .seal
            .seal(place.mid, &[&header, &fields], &encoded, random);
        let body = Writer::new().bytes(&fields).lp32(&sealed).finish();
        Some(Draft {
            place,
            header,
            body,
            message_hash: kdf::hash(&[&encoded]),
        })
    }

    /// Whether a broadcast is still the next one, of the same members as when it
    /// was drafted; its number is taken then.
    pub fn accept(&mut self, sealed: &Sealed) -> bool {
        let place = (sealed.receipted.epoch, sealed.receipted.mid);
        let is_next = self.key.is_some() && place == (self.epoch, self.next_mid);
        self.next_mid += u64::from(is_next);
        is_next
    }
}
