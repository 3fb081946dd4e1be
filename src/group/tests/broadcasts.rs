//! Broadcasts: opened by all members, once, in order, and only the doctor's.

use proptest::prelude::*;

use super::{Room, message, read};
use crate::elgamal::SignSecret;
use crate::framing::Frame;
use crate::group::{EpochKey, Place, signed_part};
use crate::identity::certificate::Fingerprint;
use crate::kdf::label;
use crate::protocol::message::Message;
use crate::protocol::opcode::{DEC_MSG, ENC_MSG, GROUP_KEY};
use crate::protocol::record::{Conference, DecMsg, GroupKey};
use crate::random::OsRandom;
use crate::session::doctor::{FromPatient, SessionError};
use crate::session::patient::{Delivery, FromDoctor};
use crate::testing::{NOW, Pair, clinic, damaged};
use crate::{aes, codec::Writer};

const MISSING: SessionError = SessionError::MessageMissing;

/// A broadcast put together by hand, with anything wrong in it.
pub(super) struct Forged<'a> {
    pub key: &'a GroupKey,
    pub conference: Conference,
    pub epoch: u64,
    pub mid: u64,
    /// Instead of the key's name.
    pub key_id: Option<[u8; 32]>,
    pub content: Vec<u8>,
    pub signer: &'a SignSecret,
    pub signed_doctor: Fingerprint,
}

impl<'a> Forged<'a> {
    /// The next one under this key, with nothing wrong in it.
    pub fn of(key: &'a GroupKey) -> Self {
        Self {
            key,
            conference: key.conference,
            epoch: key.epoch,
            mid: key.next_mid,
            key_id: None,
            content: message("evacuate").encode(),
            signer: &clinic().doctor.signing,
            signed_doctor: clinic().doctor.certificate.fingerprint(),
        }
    }

    pub fn seal(self) -> Frame {
        let key = EpochKey::new(&self.key.key, &self.key.conference, self.key.epoch);
        let place = Place {
            conference: self.conference,
            epoch: self.epoch,
            mid: self.mid,
        };
        let fields = place
            .encode()
            .u64(NOW.as_millis())
            .bytes(&self.key_id.unwrap_or(key.id))
            .finish();
        let box_len = aes::sealed_len(self.content.len());
        let body_len = fields.len() + 4 + box_len + 2 * clinic().doctor.group().element_len();
        let header = Frame::header(ENC_MSG, 0, body_len);
        let sealed = key
            .seal
            .seal(self.mid, &[&header, &fields], &self.content, &mut OsRandom);
        let body = Writer::new().bytes(&fields).lp32(&sealed).finish();
        let signed = signed_part(&[&header[..], &body].concat(), &self.signed_doctor);
        let signature = self
            .signer
            .sign(label::SIG_ENC_MSG, &[&signed], &mut OsRandom);
        Frame::new(ENC_MSG, 0, &[body, signature].concat())
    }
}

/// A patient in an epoch of two, and its key.
fn member() -> (Pair, GroupKey) {
    let mut room = Room::new(&[0, 1]);
    let key = room.begin_epoch();
    (room.members.remove(0), key)
}

fn refused(change: impl FnOnce(&mut Forged<'_>)) {
    let (mut pair, key) = member();
    let mut forged = Forged::of(&key);
    change(&mut forged);
    let error = pair.patient.on_frame(&forged.seal()).unwrap_err();
    assert_eq!(error, MISSING);
    assert_eq!(pair.patient.last_mid(), 0);
    // It has changed nothing.
    pair.patient.on_frame(&Forged::of(&key).seal()).unwrap();
    assert_eq!(pair.patient.last_mid(), 1);
}

#[test]
fn the_forge_forges_well() {
    refused(|forged| forged.mid = 2);
}

#[test]
fn a_broadcast_reaches_all_members_byte_for_byte_the_same_and_each_proves_it() {
    let mut room = Room::new(&[0, 1, 2]);
    room.begin_epoch();
    for text in ["first", "second"] {
        let sealed = room.seal(text);
        for pair in &mut room.members {
            let FromDoctor::Message {
                message,
                delivery: Delivery::Broadcast,
                answer: (opcode, body),
            } = pair.patient.on_frame(&sealed.frame).unwrap()
            else {
                panic!("no broadcast");
            };
            assert_eq!(message.text(), text);
            assert!(message.is_urgent());
            assert_eq!(message.hash(), sealed.receipted.message_hash);
            assert_eq!(opcode, DEC_MSG);
            let FromPatient::Decrypted(receipt) = pair.tell_doctor(opcode, &body).unwrap() else {
                panic!("no receipt");
            };
            assert_eq!(receipt.id, message.id());
            assert_eq!(receipt.mid, sealed.receipted.mid);
            assert!(
                pair.doctor
                    .proves_broadcast(&sealed.receipted, &receipt.mac)
            );
        }
    }
    assert_eq!(room.sender.last_mid(), 2);
}

#[test]
fn a_broadcast_is_opened_once() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let sealed = room.seal("once");
    let patient = &mut room.members[0].patient;
    read(patient, &sealed).unwrap();
    assert_eq!(read(patient, &sealed), Err(MISSING));
}

#[test]
fn a_dropped_broadcast_is_noticed_with_the_next_one() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let _dropped = room.seal("first");
    let second = room.seal("second");
    assert_eq!(read(&mut room.members[0].patient, &second), Err(MISSING));
}

#[test]
fn a_broadcast_of_another_conference_epoch_or_number_is_refused() {
    refused(|forged| forged.conference = [0; 16]);
    refused(|forged| forged.epoch += 1);
    refused(|forged| forged.epoch = 0);
    refused(|forged| forged.mid = 0);
    refused(|forged| forged.mid = 2);
    refused(|forged| forged.mid = u64::MAX);
}

#[test]
fn a_broadcast_that_names_another_group_key_is_refused() {
    // The doctor cannot give two members two keys and let both open one frame
    // to different texts: the header she signed names the key.
    refused(|forged| forged.key_id = Some([0; 32]));
    let (mut pair, key) = member();
    let mut other = GroupKey::decode(&key.encode()).unwrap();
    other.key.expose_mut()[0] ^= 1;
    let frame = Forged::of(&other).seal();
    assert_eq!(pair.patient.on_frame(&frame).unwrap_err(), MISSING);
}

#[test]
fn a_patient_with_the_group_key_cannot_speak_as_the_doctor() {
    let patient = clinic().patients[1].signing();
    refused(|forged| forged.signer = patient);
    // Nor with a signature of the doctor's on something else.
    let (mut pair, key) = member();
    let genuine = Forged::of(&key).seal().into_bytes();
    let forged = Forged {
        signer: patient,
        ..Forged::of(&key)
    };
    let forged = forged.seal().into_bytes();
    let cut = genuine.len() - 512;
    let spliced = [&forged[7..cut], &genuine[cut..]].concat();
    let frame = Frame::new(ENC_MSG, 0, &spliced);
    assert_eq!(pair.patient.on_frame(&frame).unwrap_err(), MISSING);
}

#[test]
fn a_broadcast_of_another_doctor_is_refused() {
    let mallory = clinic().other_doctor("Mallory");
    refused(|forged| forged.signed_doctor = mallory.certificate.fingerprint());
    let (mut pair, key) = member();
    let forged = Forged {
        signer: &mallory.signing,
        signed_doctor: mallory.certificate.fingerprint(),
        ..Forged::of(&key)
    };
    assert_eq!(pair.patient.on_frame(&forged.seal()).unwrap_err(), MISSING);
}

#[test]
fn a_broadcast_that_holds_no_message_is_refused() {
    refused(|forged| forged.content = b"no message".to_vec());
    refused(|forged| forged.content.truncate(25));
    refused(|forged| forged.content[24] |= 0x80);
}

#[test]
fn a_broadcast_before_the_first_group_key_is_refused() {
    let mut room = Room::new(&[0]);
    let key = room.begin_epoch();
    let mut pair = Pair::new(1, key.conference, None);
    let frame = Forged::of(&key).seal();
    assert_eq!(pair.patient.on_frame(&frame).unwrap_err(), MISSING);
}

#[test]
fn a_damaged_broadcast_is_refused() {
    let (mut pair, key) = member();
    let genuine = Forged::of(&key).seal();
    for frame in damaged(&genuine, 1) {
        assert!(pair.patient.on_frame(&frame).is_err(), "{frame:?}");
    }
    pair.patient.on_frame(&genuine).unwrap();
}

#[test]
fn a_receipt_speaks_of_one_broadcast_to_one_device_only() {
    let mut room = Room::new(&[0, 1]);
    room.begin_epoch();
    let (first, second) = (room.seal("one"), room.seal("two"));
    let answer = |pair: &mut Pair, sealed: &super::Sealed| {
        let FromDoctor::Message { answer, .. } = pair.patient.on_frame(&sealed.frame).unwrap()
        else {
            panic!("no message");
        };
        DecMsg::decode(&answer.1).unwrap()
    };
    let receipt = answer(&mut room.members[0], &first);
    let others = answer(&mut room.members[1], &first);
    let doctor = &room.members[0].doctor;
    let proves = |broadcast| doctor.proves_broadcast(&broadcast, &receipt.mac);
    let genuine = first.receipted;
    assert!(proves(genuine));
    assert!(!proves(second.receipted));
    let mut other = genuine;
    other.conference[0] ^= 1;
    assert!(!proves(other));
    other = genuine;
    other.epoch += 1;
    assert!(!proves(other));
    other = genuine;
    other.mid += 1;
    assert!(!proves(other));
    other = genuine;
    other.frame_hash[0] ^= 1;
    assert!(!proves(other));
    other = genuine;
    other.message_hash[0] ^= 1;
    assert!(!proves(other));
    // Another device's receipt, or the same device's in another session.
    assert!(!doctor.proves_broadcast(&genuine, &others.mac));
    assert!(
        !room.members[1]
            .doctor
            .proves_broadcast(&genuine, &receipt.mac)
    );
    let later = Pair::new(0, genuine.conference, None);
    assert!(!later.doctor.proves_broadcast(&genuine, &receipt.mac));
}

#[test]
fn broadcasts_of_like_length_look_alike() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let len = |text: &str, room: &mut Room| room.seal(text).frame.as_bytes().len();
    let short = len("x", &mut room);
    assert_eq!(short, len(&"x".repeat(200), &mut room));
    assert!(short < len(&"x".repeat(256), &mut room));
    len(&"x".repeat(16_000), &mut room);
}

#[test]
fn a_message_keeps_its_bytes_however_often_it_is_sealed() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let message: Message = message("again");
    let mut seal = || {
        let doctor = &clinic().doctor;
        room.sender
            .seal(&message, doctor, NOW, &mut crate::testing::Repeating(1))
            .unwrap()
    };
    let (first, second) = (seal(), seal());
    assert_eq!(first.receipted.message_hash, second.receipted.message_hash);
    // The same random bytes twice do not make the same initialisation vector.
    assert_ne!(first.frame.body()[76..92], second.frame.body()[76..92]);
}

#[test]
fn broadcasts_go_on_in_a_renewed_or_resumed_session() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let first = room.seal("first");
    read(&mut room.members[0].patient, &first).unwrap();
    let progress = room.members[0].patient.progress();
    room.leave(0);
    let again = Pair::new(0, *room.sender.conference(), Some(progress));
    room.members.push(again);
    let record = room.rekey();
    let told = room.members[0].tell_patient(GROUP_KEY, record.expose());
    assert!(matches!(told.unwrap(), FromDoctor::Epoch(epoch) if epoch.missed == 0));
    let replayed = room.members[0].patient.on_frame(&first.frame);
    assert_eq!(replayed.unwrap_err(), MISSING);
    let second = room.seal("second");
    read(&mut room.members[0].patient, &second).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn random_bytes_are_no_broadcast(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let (mut pair, key) = member();
        prop_assert!(pair.patient.on_frame(&Frame::new(ENC_MSG, 0, &body)).is_err());
        // Behind a right header as well.
        let genuine = Forged::of(&key).seal();
        let front = [&genuine.body()[..72], &body].concat();
        prop_assert!(pair.patient.on_frame(&Frame::new(ENC_MSG, 0, &front)).is_err());
    }
}
