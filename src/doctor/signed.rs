//! Broadcasts that were signed for whoever missed them. The bytes are the same for
//! all, so each is signed once, however many come back at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::identity::certificate::Fingerprint;
use crate::protocol::message::MessageId;

/// The body of a DIRECT for everyone, once somebody has signed it: the others
/// wait for that.
pub(super) type Slot = Arc<OnceLock<Vec<u8>>>;

/// The newest of them, by the message's number and name and the doctor's certificate,
/// which is signed, too. On an older copy of the store another message may come under
/// the same number.
#[derive(Debug, Default)]
pub(super) struct Signed(BTreeMap<(u64, MessageId, Fingerprint), Slot>);

impl Signed {
    /// The most that are kept.
    const MAX: usize = 64;

    /// The place for the body of the message with this number and name.
    pub(super) fn slot(&mut self, number: u64, id: MessageId, doctor: &Fingerprint) -> Slot {
        let key = (number, id, *doctor);
        if let Some(slot) = self.0.get(&key) {
            return Arc::clone(slot);
        }
        if self.0.len() >= Self::MAX {
            self.0.pop_first();
        }
        Arc::clone(self.0.entry(key).or_default())
    }

    /// Forgets all: numbers begin anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Mutex};
    use std::thread;

    use super::*;

    const NAME: MessageId = MessageId([7; 16]);

    #[test]
    fn those_who_come_at_once_share_one_signature() {
        let signed = Mutex::new(Signed::default());
        let signatures = AtomicUsize::new(0);
        let all_there = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    all_there.wait();
                    let slot = signed.lock().unwrap().slot(3, NAME, &[1; 32]);
                    let body = slot.get_or_init(|| {
                        signatures.fetch_add(1, Ordering::Relaxed);
                        vec![7]
                    });
                    assert_eq!(body, &[7]);
                });
            }
        });
        assert_eq!(signatures.into_inner(), 1);
        let mut signed = signed.into_inner().unwrap();
        assert!(
            signed.slot(4, NAME, &[1; 32]).get().is_none(),
            "another message"
        );
        let other = signed.slot(3, MessageId([8; 16]), &[1; 32]);
        assert!(other.get().is_none(), "another under the same number");
        let renewed = signed.slot(3, NAME, &[2; 32]);
        assert!(renewed.get().is_none(), "another certificate");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut signed = Signed::default();
        for number in 0..200 {
            signed.slot(number, NAME, &[1; 32]).set(vec![7]).unwrap();
        }
        assert_eq!(signed.0.len(), Signed::MAX);
        assert!(signed.slot(199, NAME, &[1; 32]).get().is_some());
    }
}
