//! What is written to a store to see how fast it is: a broadcast and receipts.

use telemed::audit::{Action, Entry};
use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::random::{self, OsRandom};
use telemed::store::messages::{Change, Device, Kind, MessageRow, Work};

/// A device's receipt, with its line in the audit log.
pub fn receipt(message: u64, device: &Device) -> Change {
    let (device, at) = (*device, SystemClock.now());
    Change {
        work: Work::Delivered {
            message,
            device,
            at,
            sent: None,
        },
        audit: vec![entry(at)],
    }
}

/// A line in the audit log.
pub fn entry(at: Timestamp) -> Entry {
    Entry::new(
        at,
        "P1",
        Action::Delivered,
        "",
        "message 3fa92b, device 7c01d2",
    )
}

/// A broadcast.
pub fn message(written: Timestamp) -> MessageRow {
    MessageRow {
        number: 0,
        id: random::array(&mut OsRandom),
        kind: Kind::Broadcast,
        patient: None,
        boundary: None,
        urgent: false,
        written,
        expires: None,
        sealed: vec![7; 336],
    }
}
