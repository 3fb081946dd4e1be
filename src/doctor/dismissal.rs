//! The end of a doctor's server by the clinic's word: her certificate was revoked,
//! or another server of hers has taken her seat.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::doctor::event::Event;
use crate::doctor::recall;
use crate::doctor::shared::Shared;
use crate::identity::id::Identifier;
use crate::protocol::DisconnectReason;

/// What is done then.
type Then = Box<dyn FnOnce() + Send>;

/// Why a server has no business in the clinic any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dismissed {
    /// The doctor's certificate was revoked.
    Revoked,
    /// Another server of hers has taken her seat while this one was cut off; in a
    /// sentence.
    SeatTaken(String),
}

impl Dismissed {
    /// In the audit log.
    const fn why(&self) -> &'static str {
        match self {
            Self::Revoked => "the doctor's certificate was revoked",
            Self::SeatTaken(_) => "another server serves the doctor",
        }
    }

    /// What is said of it.
    fn sentence(&self, doctor: &Identifier) -> String {
        match self {
            Self::Revoked => sentence(doctor),
            Self::SeatTaken(sentence) => format!("this server ends: {sentence}"),
        }
    }
}

/// Whether the server has no business in the clinic any more.
#[derive(Default)]
pub(super) struct Dismissal {
    why: OnceLock<Dismissed>,
    then: Mutex<Option<Then>>,
}

impl Dismissal {
    /// Whether it is so.
    pub(super) fn is(&self) -> bool {
        self.why.get().is_some()
    }

    /// Why it is so.
    pub(super) fn why(&self) -> Option<&Dismissed> {
        self.why.get()
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
pub(super) fn dismiss(shared: &Shared, dismissed: Dismissed) {
    // Nobody joins between the last look at who is there and the word that this
    // is over.
    let order = shared.order();
    if shared.dismissal.why.set(dismissed.clone()).is_err() {
        return;
    }
    shared.gate.close();
    recall::end_all(shared, DisconnectReason::ShuttingDown, dismissed.why());
    drop(order);
    let identity = shared.identity();
    let sentence = dismissed.sentence(identity.identifier());
    shared.tell(Event::Trouble(sentence));
    shared.dismissal.go();
}
