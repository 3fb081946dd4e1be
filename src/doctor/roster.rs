//! Where the clinic's doctors are reached, as patients are told.

use std::sync::{Arc, Mutex, PoisonError};

use crate::doctor::shared::Shared;
use crate::protocol::{opcode, record};
use crate::secret::SecretBytes;
use crate::session::outbox::{Pushed, QueueFull};

/// The records that are told, ready made.
#[derive(Default)]
pub(super) struct Roster(Mutex<Arc<Vec<Vec<u8>>>>);

impl Roster {
    /// The bodies of the records; none where there is nothing to tell.
    pub(super) fn records(&self) -> Vec<Vec<u8>> {
        self.current().to_vec()
    }

    fn current(&self) -> Arc<Vec<Vec<u8>>> {
        // It is replaced in one step: what a panic left is whole.
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, records: Vec<Vec<u8>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
    }
}

/// Tells these entries from now on, and everybody who is connected at once.
/// Whoever connects meanwhile may be told twice, which does no harm.
pub(super) fn set(shared: &Shared, entries: Vec<Vec<u8>>) {
    let records = record::Roster::records(&entries);
    shared
        .roster
        .set(records.map(|some| some.encode()).collect());
    for member in shared.tables.sessions.connected() {
        let is_there = shared.roster.current().iter().all(|body| {
            let body = SecretBytes::new(body.clone());
            match member.outbox.push_record(opcode::ROSTER, body) {
                Ok(Pushed::Queued) => true,
                Ok(Pushed::Over) => false,
                Err(QueueFull) => {
                    let subject = member.certificate.subject();
                    let device = member.certificate.fingerprint();
                    shared.drop_stalled(&device, member.id, &subject.identifier);
                    false
                }
            }
        });
        if is_there {
            shared.flusher.send([member.outbox]);
        }
    }
}
