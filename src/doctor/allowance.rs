//! How often something may be done: so many times at once, then so many times a
//! minute (a token bucket).

use std::time::Instant;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Allowance {
    left: f64,
    refilled: Instant,
}

impl Allowance {
    /// A full one.
    pub(super) const fn new(full: f64, now: Instant) -> Self {
        Self {
            left: full,
            refilled: now,
        }
    }

    /// Adds what the time since the last refill has earned.
    pub(super) fn refill(&mut self, full: f64, per_minute: f64, now: Instant) {
        let minutes = now.saturating_duration_since(self.refilled).as_secs_f64() / 60.0;
        self.left = (self.left + minutes * per_minute).min(full);
        self.refilled = now;
    }

    /// Takes one. False if none is left.
    pub(super) fn spend(&mut self) -> bool {
        let allowed = self.has_one();
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }

    /// Whether there is one to take.
    pub(super) fn has_one(&self) -> bool {
        self.left >= 1.0
    }

    /// Leaves no more than this.
    pub(super) fn cap(&mut self, most: f64) {
        self.left = self.left.min(most);
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self, full: f64) {
        self.left = (self.left + 1.0).min(full);
    }

    /// Whether nothing was taken lately.
    pub(super) fn is_full(&self, full: f64) -> bool {
        self.left >= full
    }
}
