//! What patients have written and confirmed while the connection to the store broke:
//! whether it is in the books is not known then. The doctor is told of it once it is
//! found there, or when the device, to which nobody has answered, says it again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::doctor::event::Event;
use crate::doctor::messages::{self, BookError};
use crate::doctor::peer::Peer;
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::protocol::message::MessageId;

/// The most that are remembered: the others are in the inbox alone.
const MOST: usize = 10_000;
/// So often the store is asked, and has it not, until the change has failed.
const LOOKS: u32 = 60;

/// Something that a device has sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Name {
    /// A message.
    Message(Fingerprint, MessageId),
    /// The confirmation of a message of the doctor's.
    Confirmation(Fingerprint, MessageId),
}

/// What is not known to be in the books, and what sessions put there now.
#[derive(Default)]
pub(super) struct Unsure(Mutex<HashMap<Name, Pending>>);

#[derive(Clone, Default)]
struct Pending {
    /// How many sessions see to it now: nobody else tells of it meanwhile.
    sessions: usize,
    /// Who sent it, if it may be in the books and was not told.
    from: Option<Peer>,
    /// The times under which it may be there.
    times: Vec<Timestamp>,
    /// How often it was looked for and not found.
    looks: u32,
}

/// A session sees to it, for as long as this lives.
pub(super) struct Writing<'u>(&'u Unsure, Name);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut all = self.0.lock();
        if let Some(pending) = all.get_mut(&self.1) {
            pending.sessions -= 1;
            if pending.sessions == 0 && pending.from.is_none() {
                all.remove(&self.1);
            }
        }
    }
}

impl Unsure {
    /// Each change is complete in itself: a panic elsewhere leaves it usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session sees to it.
    pub(super) fn begin(&self, name: Name) -> Writing<'_> {
        self.lock().entry(name).or_default().sessions += 1;
        Writing(self, name)
    }

    /// It may be in the books under this time. To be called before anything else is
    /// committed.
    pub(super) fn note(&self, name: Name, from: Peer, at: Timestamp) {
        let mut all = self.lock();
        if all.len() < MOST || all.contains_key(&name) {
            let pending = all.entry(name).or_default();
            pending.from = Some(from);
            pending.times.push(at);
            pending.looks = 0;
        }
    }

    /// Whether it was noted, and is to be told now that it is in the books. For the
    /// session that sees to it.
    pub(super) fn take(&self, name: &Name) -> bool {
        let mut all = self.lock();
        let Some(pending) = all.get_mut(name) else {
            return false;
        };
        pending.times.clear();
        pending.from.take().is_some()
    }

    /// What no session sees to.
    fn left(&self) -> Vec<(Name, Peer, Vec<Timestamp>)> {
        let all = self.lock();
        let left = all.iter().filter(|(_, pending)| pending.sessions == 0);
        let left = left.filter_map(|(name, pending)| {
            let from = pending.from.clone()?;
            Some((*name, from, pending.times.clone()))
        });
        left.collect()
    }

    /// Forgets it; false if a session sees to it.
    fn forget(&self, name: &Name) -> bool {
        let mut all = self.lock();
        let is_left = all.get(name).is_some_and(|it| it.sessions == 0);
        is_left && all.remove(name).is_some()
    }

    /// It is not there.
    fn not_found(&self, name: &Name) {
        let mut all = self.lock();
        if let Some(pending) = all.get_mut(name) {
            pending.looks += 1;
            if pending.looks >= LOOKS && pending.sessions == 0 {
                all.remove(name);
            }
        }
    }
}

/// Tells what has turned out to be in the books. What stands there under another
/// time was put there by another node, which has told it.
pub(super) fn look(shared: &Shared) {
    for (name, from, times) in shared.unsure.left() {
        match find(shared, &name, from) {
            Ok(Some((at, event))) => {
                if shared.unsure.forget(&name) && times.contains(&at) {
                    shared.tell(event);
                }
            }
            Ok(None) => shared.unsure.not_found(&name),
            // Once more when it can be read.
            Err(BookError::Store(_)) => return,
            // Not what was put there.
            Err(_) => {
                shared.unsure.forget(&name);
            }
        }
    }
}

/// Since when it is in the books, and how it is told.
fn find(shared: &Shared, name: &Name, from: Peer) -> Result<Option<(Timestamp, Event)>, BookError> {
    let store = &shared.practice.store;
    Ok(match name {
        Name::Message(device, id) => match store.incoming_with_id(device, &id.0)? {
            Some(row) => {
                let message = messages::open_incoming(&shared.practice, &row)?;
                Some((row.received, Event::Private(from, message)))
            }
            None => None,
        },
        Name::Confirmation(device, id) => {
            let found = store.message_for(device, &id.0)?;
            found.and_then(|(row, delivery)| {
                Some((delivery.confirmed?, Event::Confirmed(from, row.number)))
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = Name::Message([1; 32], MessageId([2; 16]));

    fn from() -> Peer {
        Peer {
            patient: "P1".parse().unwrap(),
            device: [1; 32],
            is_one_of_several: false,
        }
    }

    #[test]
    fn what_a_session_sees_to_is_told_by_that_session_alone() {
        let (unsure, at) = (Unsure::default(), Timestamp::from_millis(7));
        let first = unsure.begin(NAME);
        unsure.note(NAME, from(), at);
        assert!(unsure.left().is_empty());
        drop(first);
        assert_eq!(unsure.left(), [(NAME, from(), vec![at])]);
        let again = unsure.begin(NAME);
        assert!(!unsure.forget(&NAME));
        assert!(unsure.take(&NAME));
        assert!(!unsure.take(&NAME), "once");
        drop(again);
        assert!(unsure.lock().is_empty());
    }

    #[test]
    fn what_does_not_come_is_forgotten_and_what_is_sure_is_not_remembered() {
        let unsure = Unsure::default();
        drop(unsure.begin(NAME));
        assert!(unsure.lock().is_empty());
        unsure.note(NAME, from(), Timestamp::from_millis(7));
        for _ in 1..LOOKS {
            unsure.not_found(&NAME);
        }
        assert!(unsure.take(&NAME), "still there");
        unsure.note(NAME, from(), Timestamp::from_millis(8));
        for _ in 0..LOOKS {
            unsure.not_found(&NAME);
        }
        assert!(unsure.lock().is_empty());
    }
}
