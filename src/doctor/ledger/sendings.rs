//! "Sent" of many devices at once: held back for a moment, since most of them
//! answer at once. What a device was sent is then written with its receipt, and
//! each row once instead of twice.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Batch, OnWritten};
use crate::clock::Timestamp;
use crate::store::messages::{Change, Device, Work};

/// For how long.
const HOLD: Duration = Duration::from_millis(500);
/// From so many devices on.
const MANY: usize = 16;

/// What is held back, the oldest first.
#[derive(Default)]
pub(super) struct Sendings(Vec<Sending>);

struct Sending {
    message: u64,
    at: Timestamp,
    /// Those who have not answered.
    devices: HashSet<Device>,
    until: Instant,
    on_written: OnWritten,
}

impl Sendings {
    /// When something is to be written, at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.first().map(|sending| sending.until)
    }

    /// What is to be committed of a batch, together with what was held back long
    /// enough. Anything but receipts lets nothing be held back: it may be
    /// somebody who waits until everything is written.
    pub(super) fn pass(&mut self, batch: Batch, now: Instant, is_last: bool) -> Batch {
        let (changes, on_written) = batch;
        let holds = !is_last && changes.iter().all(may_wait);
        let mut rest = Batch::default();
        for (mut change, on_written) in changes.into_iter().zip(on_written) {
            match &mut change.work {
                Work::Sent {
                    message,
                    devices,
                    at,
                } if holds && devices.len() >= MANY => {
                    self.0.push(Sending {
                        message: *message,
                        at: *at,
                        devices: devices.drain(..).collect(),
                        until: now + HOLD,
                        on_written,
                    });
                    continue;
                }
                Work::Delivered {
                    message,
                    device,
                    sent,
                    ..
                } => *sent = self.answered(*message, device),
                _ => {}
            }
            rest.0.push(change);
            rest.1.push(on_written);
        }
        let mut due = self.take_due(now, holds);
        due.0.append(&mut rest.0);
        due.1.append(&mut rest.1);
        due
    }

    /// When the device was sent a message it has answered, if that is held back.
    fn answered(&mut self, message: u64, device: &Device) -> Option<Timestamp> {
        let of_message = |sending: &&mut Sending| sending.message == message;
        let sending = self.0.iter_mut().find(of_message)?;
        sending.devices.remove(device).then_some(sending.at)
    }

    /// What is held back no longer.
    fn take_due(&mut self, now: Instant, holds: bool) -> Batch {
        let is_due =
            |sending: &mut Sending| !holds || sending.until <= now || sending.devices.is_empty();
        let due = self.0.extract_if(.., is_due).map(|sending| {
            let work = Work::Sent {
                message: sending.message,
                devices: sending.devices.into_iter().collect(),
                at: sending.at,
            };
            (Change::unlogged(work), sending.on_written)
        });
        due.unzip()
    }
}

/// Whether a change is of the kind that comes after a broadcast.
fn may_wait(change: &Change) -> bool {
    matches!(change.work, Work::Sent { .. } | Work::Delivered { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: u64 = 7;

    fn device(number: u8) -> Device {
        [number; 32]
    }

    fn sent(count: u8) -> Change {
        let (devices, at) = ((0..count).map(device).collect(), Timestamp::from_millis(1));
        Change::unlogged(Work::Sent {
            message: MESSAGE,
            devices,
            at,
        })
    }

    fn delivered(number: u8) -> Change {
        Change::unlogged(Work::Delivered {
            message: MESSAGE,
            device: device(number),
            at: Timestamp::from_millis(2),
            sent: None,
        })
    }

    fn batch(changes: Vec<Change>) -> Batch {
        let on_written = changes.iter().map(|_| Box::new(|_| {}) as OnWritten);
        let on_written = on_written.collect();
        (changes, on_written)
    }

    /// The devices that are noted as sent, and those of receipts with the time of
    /// sending.
    fn noted((changes, on_written): &Batch) -> (Vec<u8>, Vec<(u8, bool)>) {
        assert_eq!(changes.len(), on_written.len());
        let (mut sent_to, mut receipts) = (Vec::new(), Vec::new());
        for change in changes {
            match &change.work {
                Work::Sent { devices, .. } => sent_to.extend(devices.iter().map(|it| it[0])),
                Work::Delivered { device, sent, .. } => receipts.push((device[0], sent.is_some())),
                _ => {}
            }
        }
        sent_to.sort_unstable();
        (sent_to, receipts)
    }

    #[test]
    fn what_was_sent_is_written_with_the_receipt_and_the_rest_later() {
        let (start, mut sendings) = (Instant::now(), Sendings::default());
        let first = sendings.pass(batch(vec![sent(20), delivered(3)]), start, false);
        assert_eq!(noted(&first), (vec![], vec![(3, true)]));
        let again = sendings.pass(batch(vec![delivered(3), delivered(99)]), start, false);
        assert_eq!(noted(&again), (vec![], vec![(3, false), (99, false)]));
        let due = sendings.due().unwrap();
        assert_eq!(due, start + HOLD);
        let rest = sendings.pass(Batch::default(), due, false);
        let others: Vec<u8> = (0..20).filter(|&number| number != 3).collect();
        assert_eq!(noted(&rest), (others, vec![]));
        assert_eq!(sendings.due(), None);
    }

    #[test]
    fn few_devices_other_changes_and_the_end_hold_nothing_back() {
        let now = Instant::now();
        let everybody: Vec<u8> = (0..20).collect();
        let mut sendings = Sendings::default();
        let few = sendings.pass(batch(vec![sent(3)]), now, false);
        assert_eq!(noted(&few).0, [0, 1, 2]);
        let waits = Change::audit(Vec::new());
        let together = sendings.pass(batch(vec![sent(20), waits]), now, false);
        assert_eq!(noted(&together).0, everybody);

        assert!(
            sendings
                .pass(batch(vec![sent(20)]), now, false)
                .0
                .is_empty()
        );
        let waits = Change::audit(Vec::new());
        let after = sendings.pass(batch(vec![waits]), now, false);
        assert_eq!(noted(&after).0, everybody);

        assert!(
            sendings
                .pass(batch(vec![sent(20)]), now, false)
                .0
                .is_empty()
        );
        assert_eq!(
            noted(&sendings.pass(Batch::default(), now, true)).0,
            everybody
        );
    }
}
