//! How long to wait before connecting again.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::random::{self, Random};

/// Waits that double, each shortened by up to a half by chance, so that many
/// patients who lost the same server do not all come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next wait.
    pub(super) fn wait(&mut self, random: &mut dyn Random) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = whole.saturating_mul(2);
        between(&(whole / 2..=whole), random)
    }

    /// Begins anew.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A time drawn from `range`, evenly, to a millionth of its width.
pub(super) fn between(range: &RangeInclusive<Duration>, random: &mut dyn Random) -> Duration {
    const STEPS: u32 = 1_000_000;
    let step = u32::from_be_bytes(random::array(random)) % (STEPS + 1);
    let width = range.end().saturating_sub(*range.start());
    *range.start() + width / STEPS * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 60);
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.wait(&mut OsRandom);
            assert!(
                wait >= second * whole / 2 && wait <= second * whole,
                "{wait:?}"
            );
        }
        backoff.reset();
        assert!(backoff.wait(&mut OsRandom) <= second);
    }

    #[test]
    fn a_drawn_time_lies_in_its_range() {
        let range = Duration::from_secs(45)..=Duration::from_secs(55);
        let drawn: Vec<_> = (0..100).map(|_| between(&range, &mut OsRandom)).collect();
        assert!(drawn.iter().all(|time| range.contains(time)));
        assert!(drawn.iter().any(|time| *time != drawn[0]));
    }
}
