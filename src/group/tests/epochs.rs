//! Joining, leaving and the keys in between.

use super::broadcasts::Forged;
use super::{Room, message, read};
use crate::group::EpochKey;
use crate::group::receiver::{GroupError, NewEpoch, Receiver};
use crate::group::sender::Sender;
use crate::protocol::opcode::{GROUP_KEY, HEARTBEAT};
use crate::protocol::record::{GroupKey, Heartbeat};
use crate::random::OsRandom;
use crate::secret::Secret;
use crate::session::doctor::SessionError;
use crate::session::patient::FromDoctor;
use crate::testing::{NOW, Pair, Repeating, clinic, handshaken_pair};

const MISSING: SessionError = SessionError::MessageMissing;

#[test]
fn who_joins_cannot_open_what_was_said_before() {
    let mut room = Room::new(&[0]);
    let earlier_key = room.begin_epoch();
    let earlier = room.seal("before");
    read(&mut room.members[0].patient, &earlier).unwrap();
    room.join(1);
    let later_key = room.begin_epoch();
    assert_eq!(read(&mut room.members[1].patient, &earlier), Err(MISSING));
    assert!(!opens(&later_key, &earlier_key, earlier.frame.body()));
    assert!(opens(&earlier_key, &earlier_key, earlier.frame.body()));
}

/// Whether the key in one `GROUP_KEY` opens a broadcast of the epoch of
/// another, all checks but the seal's left out.
fn opens(key: &GroupKey, place: &GroupKey, body: &[u8]) -> bool {
    let key = EpochKey::new(&key.key, &place.conference, place.epoch);
    let header = crate::framing::Frame::header(40, 0, body.len());
    let len = u32::from_be_bytes(body[72..76].try_into().unwrap()) as usize;
    let sealed = &body[76..76 + len];
    key.seal.open(&[&header, &body[..72]], sealed).is_ok()
}

#[test]
fn who_left_cannot_open_what_is_said_later() {
    let mut room = Room::new(&[0, 1, 2]);
    let old_key = room.begin_epoch();
    let mut gone = room.leave(1);
    let new_key = room.begin_epoch();
    let later = room.seal("after");
    assert_eq!(read(&mut gone.patient, &later), Err(MISSING));
    assert!(!opens(&old_key, &new_key, later.frame.body()));
    assert_eq!(
        read(&mut room.members[0].patient, &later),
        Ok("after".to_owned())
    );
    assert_eq!(
        read(&mut room.members[1].patient, &later),
        Ok("after".to_owned())
    );
}

#[test]
fn nothing_is_sealed_while_the_group_is_dirty() {
    let mut room = Room::new(&[0]);
    let seal = |room: &mut Room| {
        room.sender
            .seal(&message("x"), &clinic().doctor, NOW, &mut OsRandom)
    };
    assert!(room.sender.is_dirty());
    assert!(seal(&mut room).is_none());
    room.begin_epoch();
    assert!(!room.sender.is_dirty());
    assert!(seal(&mut room).is_some());
    room.sender.mark_dirty();
    assert!(seal(&mut room).is_none());
    assert_eq!(room.sender.last_mid(), 1, "a refused one takes no number");
    assert_eq!(room.sender.epoch(), 1);
}

#[test]
fn the_group_key_is_another_in_every_epoch() {
    let mut room = Room::new(&[0]);
    let (first, second) = (room.begin_epoch(), room.begin_epoch());
    assert!(!first.key.ct_eq(&second.key));
    assert_eq!((first.epoch, second.epoch), (1, 2));
    // Even on a machine that draws the same random bytes again.
    let gsec = Secret::from_slice(&[9; 32]).unwrap();
    let mut sender = Sender::new(&mut Repeating(1));
    let mut key = || {
        let record = sender.rekey(vec![([1; 32], &gsec)], &mut Repeating(1));
        GroupKey::decode(record.expose()).unwrap().key
    };
    assert!(!key().ct_eq(&key()));
}

#[test]
fn contributions_count_in_the_order_of_certificates_and_all_of_them() {
    let contributions = [1, 2, 3].map(|byte| Secret::<32>::from_slice(&[byte; 32]).unwrap());
    let key = |members: &[(u8, usize)]| {
        let members = members
            .iter()
            .map(|(device, secret)| ([*device; 32], &contributions[*secret]))
            .collect();
        let mut sender = Sender::new(&mut Repeating(1));
        let record = sender.rekey(members, &mut Repeating(2));
        GroupKey::decode(record.expose()).unwrap().key
    };
    let usual = key(&[(10, 0), (20, 1), (30, 2)]);
    assert!(usual.ct_eq(&key(&[(30, 2), (10, 0), (20, 1)])));
    assert!(!usual.ct_eq(&key(&[(10, 1), (20, 0), (30, 2)])));
    assert!(!usual.ct_eq(&key(&[(10, 0), (20, 1)])));
    assert!(!usual.ct_eq(&key(&[(10, 0), (20, 1), (30, 1)])));
}

#[test]
fn a_contribution_is_not_a_key_of_the_session() {
    let pair = handshaken_pair();
    let gsec = pair.contribution.expose();
    let session = &pair.doctor_key;
    assert_ne!(gsec[..], session.receipt_key().expose()[..32]);
    assert_ne!(gsec[..], session.verification()[..32]);
    let other = handshaken_pair();
    assert_ne!(gsec, other.contribution.expose());
}

fn group_key(conference: [u8; 16], epoch: u64, next_mid: u64) -> GroupKey {
    GroupKey {
        conference,
        epoch,
        next_mid,
        members: 4,
        key: Secret::from_slice(&[3; 64]).unwrap(),
    }
}

const CONFERENCE: [u8; 16] = [1; 16];

/// A receiver that has seen epoch 5 begin with broadcast number `next_mid`.
fn receiver_at(next_mid: u64) -> Receiver {
    let mut receiver = Receiver::new(CONFERENCE, None);
    receiver
        .on_group_key(&group_key(CONFERENCE, 5, next_mid))
        .unwrap();
    receiver
}

#[test]
fn an_epoch_never_falls_or_repeats() {
    for (epoch, is_taken) in [
        (0, false),
        (4, false),
        (5, false),
        (6, true),
        (u64::MAX, true),
    ] {
        let result = receiver_at(1).on_group_key(&group_key(CONFERENCE, epoch, 1));
        assert_eq!(result.is_ok(), is_taken, "epoch {epoch}");
    }
    let zero = Receiver::new(CONFERENCE, None).on_group_key(&group_key(CONFERENCE, 0, 1));
    assert_eq!(zero, Err(GroupError));
}

#[test]
fn a_group_key_of_another_conference_is_refused() {
    let result = receiver_at(1).on_group_key(&group_key([2; 16], 6, 1));
    assert_eq!(result, Err(GroupError));
}

#[test]
fn a_later_group_key_goes_on_with_the_next_number() {
    for (next_mid, is_taken) in [(0, false), (3, false), (4, true), (5, false)] {
        let result = receiver_at(4).on_group_key(&group_key(CONFERENCE, 6, next_mid));
        assert_eq!(result.is_ok(), is_taken, "number {next_mid}");
    }
}

#[test]
fn the_first_group_key_of_an_unknown_conference_may_begin_anywhere() {
    for next_mid in [1, 2, 900, u64::MAX] {
        let mut receiver = Receiver::new(CONFERENCE, None);
        let epoch = receiver.on_group_key(&group_key(CONFERENCE, 5, next_mid));
        let expected = NewEpoch {
            epoch: 5,
            devices: 4,
            missed: 0,
        };
        assert_eq!(epoch, Ok(expected));
    }
    let zero = Receiver::new(CONFERENCE, None).on_group_key(&group_key(CONFERENCE, 5, 0));
    assert_eq!(zero, Err(GroupError));
}

#[test]
fn a_known_conference_tells_how_many_broadcasts_were_missed() {
    let earlier = receiver_at(4).progress();
    let next = |record: &GroupKey| Receiver::new(CONFERENCE, Some(earlier)).on_group_key(record);
    assert_eq!(next(&group_key(CONFERENCE, 6, 4)).unwrap().missed, 0);
    assert_eq!(next(&group_key(CONFERENCE, 6, 9)).unwrap().missed, 5);
    assert_eq!(next(&group_key(CONFERENCE, 6, 3)), Err(GroupError));
    assert_eq!(next(&group_key(CONFERENCE, 5, 4)), Err(GroupError));
    // After the server's restart everything begins anew.
    let other = [2; 16];
    let mut restarted = Receiver::new(other, Some(earlier));
    let epoch = restarted.on_group_key(&group_key(other, 1, 1)).unwrap();
    assert_eq!(epoch.missed, 0);
}

#[test]
fn a_conference_left_before_its_first_group_key_is_still_unknown() {
    let earlier = Receiver::new(CONFERENCE, None).progress();
    let mut receiver = Receiver::new(CONFERENCE, Some(earlier));
    let epoch = receiver.on_group_key(&group_key(CONFERENCE, 5, 9)).unwrap();
    assert_eq!(epoch.missed, 0, "she was no member when they were sent");
}

#[test]
fn the_last_number_there_is_does_not_overflow() {
    let mut room = Room::new(&[0]);
    let mut key = room.begin_epoch();
    key.next_mid = u64::MAX;
    key.epoch = u64::MAX;
    let mut pair = Pair::new(0, key.conference, None);
    pair.tell_patient(GROUP_KEY, &key.encode()).unwrap();
    let last = Forged {
        mid: u64::MAX,
        ..Forged::of(&key)
    };
    let frame = last.seal();
    assert!(pair.patient.on_frame(&frame).is_ok());
    assert_eq!(pair.patient.on_frame(&frame).unwrap_err(), MISSING);
    assert_eq!(pair.patient.last_mid(), u64::MAX);
    let again = pair.tell_patient(GROUP_KEY, &key.encode());
    assert_eq!(again.unwrap_err(), SessionError::Nonsense);
}

#[test]
fn a_wrong_group_key_ends_the_session_as_nonsense() {
    let mut pair = Pair::new(0, CONFERENCE, None);
    let wrong = group_key([2; 16], 1, 1).encode();
    let error = pair.tell_patient(GROUP_KEY, &wrong).unwrap_err();
    assert_eq!(error, SessionError::Nonsense);
}

#[test]
fn a_broadcast_dropped_before_a_new_group_key_brings_the_patient_back() {
    let mut room = Room::new(&[0]);
    room.begin_epoch();
    let _dropped = room.seal("dropped on the way");
    let record = room.rekey();
    let told = room.members[0].tell_patient(GROUP_KEY, record.expose());
    assert_eq!(told.unwrap_err(), MISSING);
}

#[test]
fn a_heartbeat_with_another_number_betrays_a_dropped_broadcast() {
    let mut room = Room::new(&[0]);
    let beat = |room: &mut Room, mid| {
        let body = Heartbeat(mid).encode();
        room.members[0].tell_patient(HEARTBEAT, &body)
    };
    // Before the first group key the number says nothing.
    assert!(matches!(beat(&mut room, 7), Ok(FromDoctor::Heartbeat)));
    room.begin_epoch();
    assert!(beat(&mut room, 0).is_ok());
    let dropped = room.seal("dropped on the way");
    let mid = room.sender.last_mid();
    assert_eq!(beat(&mut room, mid).unwrap_err(), MISSING);
    read(&mut room.members[0].patient, &dropped).unwrap();
    assert!(beat(&mut room, mid).is_ok());
    assert_eq!(beat(&mut room, 0).unwrap_err(), MISSING);
}

#[test]
fn everybody_is_told_how_many_devices_there_are() {
    let mut room = Room::new(&[0, 1, 2]);
    assert_eq!(room.begin_epoch().members, 3);
    room.leave(0);
    let record = room.rekey();
    let told = room.members[0].tell_patient(GROUP_KEY, record.expose());
    let FromDoctor::Epoch(epoch) = told.unwrap() else {
        panic!("no epoch");
    };
    assert_eq!((epoch.devices, epoch.epoch), (2, 2));
}
