//! Signs of life of the threads that a server cannot do without, and whether
//! strangers are to give way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the thread that accepts connections gives one, at least.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How long a broadcast comes before strangers.
const BROADCAST: Duration = Duration::from_secs(2);

/// When each of the threads was last seen at work, in milliseconds after the
/// start.
#[derive(Debug)]
pub(super) struct Pulse {
    started: Instant,
    listener: AtomicU64,
    housekeeping: AtomicU64,
    /// When the last broadcast is out, at the latest; 0 before the first.
    broadcast_until: AtomicU64,
}

impl Pulse {
    /// All have just been seen.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            started: now,
            listener: AtomicU64::new(0),
            housekeeping: AtomicU64::new(0),
            broadcast_until: AtomicU64::new(0),
        }
    }

    /// Connections are being accepted.
    pub(super) fn listener(&self, now: Instant) {
        self.listener.store(self.millis(now), Ordering::Relaxed);
    }

    /// What time changes is being looked after.
    pub(super) fn housekeeping(&self, now: Instant) {
        self.housekeeping.store(self.millis(now), Ordering::Relaxed);
    }

    /// A broadcast begins.
    pub(super) fn broadcast(&self, now: Instant) {
        let until = self.millis(now + BROADCAST);
        self.broadcast_until.store(until, Ordering::Relaxed);
    }

    /// Whether a broadcast is on its way to those who are there.
    pub(super) fn is_broadcasting(&self, now: Instant) -> bool {
        self.millis(now) < self.broadcast_until.load(Ordering::Relaxed)
    }

    /// Whether all were seen at work within this time.
    pub(super) fn is_there(&self, within: Duration, now: Instant) -> bool {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let earliest = self.millis(now).saturating_sub(within);
        [&self.listener, &self.housekeeping]
            .iter()
            .all(|seen| seen.load(Ordering::Relaxed) >= earliest)
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_comes_before_strangers_for_two_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let pulse = Pulse::new(start);
        assert!(!pulse.is_broadcasting(start));
        pulse.broadcast(at(5));
        assert!(pulse.is_broadcasting(at(5)) && pulse.is_broadcasting(at(6)));
        assert!(!pulse.is_broadcasting(at(7)));
    }

    #[test]
    fn a_server_of_which_one_thread_stands_still_is_not_alive() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let within = Duration::from_secs(5);
        let pulse = Pulse::new(start);
        assert!(pulse.is_there(within, at(5)));
        assert!(!pulse.is_there(within, at(6)));
        pulse.listener(at(6));
        assert!(!pulse.is_there(within, at(6)));
        pulse.housekeeping(at(6));
        assert!(pulse.is_there(within, at(6)));
        pulse.housekeeping(at(12));
        assert!(!pulse.is_there(within, at(12)));
    }
}
