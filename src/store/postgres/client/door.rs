//! One attempt to connect after the other. An attempt at a server that hangs
//! cannot be called off; while it goes on, no other may join it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CONNECT;

/// How long an attempt that hangs is waited for all the same: if the server is
/// back just now, that attempt ends before there can be another.
const GRACE: Duration = Duration::from_secs(1);

/// Lets one attempt through at a time.
#[derive(Clone, Default, Debug)]
pub(in crate::store::postgres) struct Door(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    /// When the attempt that goes on was begun.
    began: Mutex<Option<Instant>>,
    ended: Condvar,
}

/// Kept by an attempt until it has ended.
pub(super) struct Passage(Arc<Inner>);

impl Door {
    /// Waits until no other attempt goes on; none if one hangs.
    pub(super) fn pass(&self) -> Option<Passage> {
        let came = Instant::now();
        let mut began = self.0.began.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(at) = *began {
            let until = (at + CONNECT).max(came + GRACE);
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.0.ended.wait_timeout(began, left);
            began = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *began = Some(Instant::now());
        Some(Passage(Arc::clone(&self.0)))
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        *self.0.began.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.ended.notify_all();
    }
}
