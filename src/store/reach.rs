//! Whether the store can be reached: one on a server may be away for a while.

use std::error::Error;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::{StoreError, StoreFault};

/// A store that does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Absence {
    /// Since when it has not, as far as was noticed.
    pub since: Timestamp,
    /// How long ago it answered last.
    pub silent: Duration,
}

/// A store that may be away.
pub trait ReachStore {
    /// Whether it lies where it may be away.
    fn may_be_away(&self) -> bool {
        false
    }

    /// Asks it for a sign of life.
    ///
    /// # Errors
    /// [`StoreError`] if there is none.
    fn knock(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether it was away when it was last asked for something. Waits for
    /// nothing.
    fn absence(&self) -> Option<Absence> {
        None
    }
}

/// Whether an error comes from a store that is away: what could not be done may
/// go well when it is back.
#[must_use]
pub fn is_away(error: &(dyn Error + 'static)) -> bool {
    store_fault(error).is_some_and(is_away_for)
}

/// Whether an error comes from a store that is there and could not do something
/// now, as one that is busy or full: it may go well later.
#[must_use]
pub fn may_pass(error: &(dyn Error + 'static)) -> bool {
    store_fault(error).is_some_and(may_pass_for)
}

/// What was wrong with the store, if an error comes from there.
fn store_fault<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e StoreFault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Some(error.fault());
        }
        next = error.source();
    }
    None
}

fn is_away_for(fault: &StoreFault) -> bool {
    match fault {
        StoreFault::Away { .. } | StoreFault::Unknown => true,
        StoreFault::NotLogged(fault) => is_away_for(fault),
        _ => false,
    }
}

fn may_pass_for(fault: &StoreFault) -> bool {
    match fault {
        StoreFault::Busy
        | StoreFault::Full
        | StoreFault::ReadOnly
        | StoreFault::Failed(_)
        | StoreFault::Poisoned => true,
        StoreFault::NotLogged(fault) => may_pass_for(fault),
        _ => false,
    }
}
