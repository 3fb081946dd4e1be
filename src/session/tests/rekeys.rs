//! When the group gets a new key without a broadcast.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::identity::certificate::Fingerprint;
use crate::random::OsRandom;
use crate::session::outbox::Sink;
use crate::session::table::{SessionId, SessionTable};
use crate::testing::{NOW, Node, clinic};

/// Takes everything.
struct Nowhere;

impl Sink for Nowhere {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn finish(&self) {}

    fn close(&self) {}

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

struct Room {
    table: SessionTable,
    begun: Instant,
}

impl Room {
    fn open() -> Self {
        Self {
            table: SessionTable::new(10, &mut OsRandom),
            begun: Instant::now(),
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.begun + Duration::from_millis(millis)
    }

    /// One of the clinic's patients comes.
    fn join(&self, patient: usize, millis: u64) -> (Fingerprint, SessionId) {
        let (established, _) = Node::new().admit(&clinic().patients[patient]);
        let (sink, instant) = (Box::new(Nowhere), self.at(millis));
        let joined = self
            .table
            .join(&established, instant, sink, NOW, instant, &mut OsRandom);
        (established.certificate.fingerprint(), joined.unwrap().id)
    }

    fn join_served(&self, patient: usize, millis: u64) -> (Fingerprint, SessionId) {
        let (device, id) = self.join(patient, millis);
        self.table.served(&device, id);
        (device, id)
    }

    /// Whether there is a new key at this moment.
    fn rekeys(&self, millis: u64) -> bool {
        let before = self.table.epoch();
        self.table.rekey_if_due(self.at(millis), &mut OsRandom);
        // Whatever it took on a slow machine.
        self.table.rekey_took(Duration::ZERO);
        self.table.epoch() > before
    }
}

#[test]
fn whoever_comes_first_gets_the_group_key_at_once() {
    let room = Room::open();
    assert!(!room.rekeys(0));
    room.join_served(0, 0);
    assert!(room.rekeys(0));
    assert!(!room.rekeys(1_000));
}

#[test]
fn whoever_is_alone_gets_it_at_once_however_often_she_comes() {
    let room = Room::open();
    for time in [0, 10, 20] {
        let (device, id) = room.join_served(0, time);
        assert!(room.rekeys(time));
        room.table.leave(&device, id, room.at(time + 5));
        assert!(!room.rekeys(time + 5));
    }
}

#[test]
fn a_crowd_costs_four_keys_a_second() {
    let room = Room::open();
    room.join_served(0, 0);
    assert!(room.rekeys(0));
    let keys = (1..=20).map(|step| step * 50).filter(|&time| {
        // Somebody comes back all the time.
        room.join_served(1 + usize::from(time % 100 == 0), time);
        room.rekeys(time)
    });
    assert_eq!(keys.collect::<Vec<_>>(), [250, 500, 750, 1_000]);
}

#[test]
fn a_change_long_after_the_last_key_is_answered_at_once() {
    let room = Room::open();
    room.join_served(0, 0);
    assert!(room.rekeys(0));
    let (device, id) = room.join_served(1, 300);
    assert!(room.rekeys(300));
    room.join_served(2, 600);
    assert!(room.rekeys(600));
    room.table.leave(&device, id, room.at(700));
    assert!(!room.rekeys(849));
    assert!(room.rekeys(850));
}

#[test]
fn the_first_key_follows_what_was_missed_unless_that_takes_long() {
    let room = Room::open();
    let (device, id) = room.join(0, 0);
    assert!(!room.rekeys(249));
    room.table.served(&device, id);
    assert!(room.rekeys(249));
    room.join(1, 1_000);
    assert!(!room.rekeys(1_249));
    assert!(room.rekeys(1_250));
}

#[test]
fn dear_rekeys_take_one_part_in_twenty_of_the_time() {
    let room = Room::open();
    room.join_served(0, 0);
    assert!(room.rekeys(0));
    room.table.rekey_took(Duration::from_millis(50));
    room.join_served(1, 10);
    assert!(!room.rekeys(999));
    assert!(room.rekeys(1_000));
}
