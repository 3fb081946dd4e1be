//! The end of a doctor's server by the clinic's word: her certificate was revoked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::audit::{Action, Entry};
use crate::doctor::event::Event;
use crate::doctor::practice::SERVER;
use crate::doctor::shared::Shared;
use crate::identity::id::Identifier;
use crate::protocol::DisconnectReason;

/// What is done then.
type Then = Box<dyn FnOnce() + Send>;

/// Whether the server has no business in the clinic any more.
#[derive(Default)]
pub(super) struct Dismissal {
    is: AtomicBool,
    then: Mutex<Option<Then>>,
}

impl Dismissal {
    /// Whether it is so.
    pub(super) fn is(&self) -> bool {
        self.is.load(Ordering::SeqCst)
    }

    /// What to do as soon as it is so; at once if it is already.
    pub(super) fn then(&self, then: Then) {
        *self.slot() = Some(then);
        if self.is() {
            self.go();
        }
    }

    fn go(&self) {
        let then = self.slot().take();
        if let Some(then) = then {
            then();
        }
    }

    /// It is replaced in one step: what a panic left is whole.
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Then>> {
        self.then.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of it.
#[must_use]
pub fn sentence(doctor: &Identifier) -> String {
    format!(
        "the clinic has revoked the certificate of doctor {doctor}: nobody is served by her any \
         more"
    )
}

/// Ends all sessions, lets nobody in any more, says why, and asks for the end of
/// the program. Patients go on with the clinic's other doctors.
pub(super) fn dismiss(shared: &Shared) {
    // Nobody joins between the last look at who is there and the word that this
    // is over.
    let order = shared.order();
    if shared.dismissal.is.swap(true, Ordering::SeqCst) {
        return;
    }
    shared.gate.close();
    let sessions = &shared.tables.sessions;
    let ended = sessions.expel_all(DisconnectReason::ShuttingDown, Instant::now());
    drop(order);
    for member in &ended {
        sessions.forget_token(&member.certificate.fingerprint());
        let patient = member.certificate.subject().identifier.as_str();
        let why = "the doctor's certificate was revoked";
        shared.note(Entry::new(
            shared.clock.now(),
            SERVER,
            Action::Left,
            patient,
            why,
        ));
    }
    let queues = ended.into_iter().map(|member| member.outbox);
    shared.flusher.send(queues);
    let identity = shared.identity();
    shared.tell(Event::Trouble(sentence(identity.identifier())));
    shared.dismissal.go();
}
