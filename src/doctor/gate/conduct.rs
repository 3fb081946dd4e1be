//! How an address has behaved: what it failed to prove, and whether it is
//! blocked for it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::doctor::allowance::Allowance;

/// In which the failures that lead to a block happen.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The first block; each one after it is twice as long.
const FIRST_BLOCK: Duration = Duration::from_secs(10 * 60);
/// But not longer than this.
const LONGEST_BLOCK: Duration = Duration::from_secs(60 * 60);
/// After so long without a block the next one is a first one again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// When an address is blocked, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRule {
    /// Failures within 10 minutes.
    pub after: NonZeroU32,
    /// How long; if nothing is said, 10 minutes, and twice as long each time
    /// that follows within an hour, up to an hour.
    pub time: Option<Duration>,
}

impl Default for BlockRule {
    fn default() -> Self {
        const AFTER: NonZeroU32 = NonZeroU32::new(20).unwrap();
        Self {
            after: AFTER,
            time: None,
        }
    }
}

/// A block that is in force, or was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// When it began.
    pub since: Instant,
    /// When it ends.
    pub until: Instant,
    /// First messages that were turned away since.
    pub refused: u64,
}

/// What is known of an address.
#[derive(Debug)]
pub(super) struct Conduct {
    /// Failures it may still have.
    failures: Allowance,
    block: Option<Block>,
    /// Blocks in a row, for the length of the next.
    blocks: u32,
    /// When the last block ended.
    released: Instant,
}

impl Conduct {
    /// That of an address nobody has heard of.
    pub(super) fn new(rule: &BlockRule, now: Instant) -> Self {
        Self {
            failures: Allowance::new(f64::from(rule.after.get()), now),
            block: None,
            blocks: 0,
            released: now,
        }
    }

    /// Counts something that was not proved; how long the address is blocked
    /// for it, if that begins now.
    pub(super) fn failed(&mut self, rule: &BlockRule, now: Instant) -> Option<Duration> {
        self.refill(rule, now);
        self.failures.spend();
        if self.block.is_some() || self.failures.has_one() {
            return None;
        }
        if now.duration_since(self.released) >= FORGIVEN_AFTER {
            self.blocks = 0;
        }
        let doubled = FIRST_BLOCK.saturating_mul(1 << self.blocks.min(8));
        let time = rule.time.unwrap_or_else(|| doubled.min(LONGEST_BLOCK));
        self.blocks = self.blocks.saturating_add(1);
        self.block = Some(Block {
            since: now,
            until: now + time,
            refused: 0,
        });
        Some(time)
    }

    /// The block that is in force.
    pub(super) fn block(&self, now: Instant) -> Option<&Block> {
        self.block.as_ref().filter(|block| now < block.until)
    }

    /// Counts a first message that was turned away.
    pub(super) fn refused(&mut self) {
        if let Some(block) = &mut self.block {
            block.refused = block.refused.saturating_add(1);
        }
    }

    /// Takes the block out once it has ended, or at once if it is `lifted`: the
    /// address may fail as often as any other then.
    pub(super) fn release(
        &mut self,
        rule: &BlockRule,
        lifted: bool,
        now: Instant,
    ) -> Option<Block> {
        let ended = self.block.take_if(|block| lifted || now >= block.until)?;
        self.released = now;
        if lifted {
            self.blocks = 0;
        }
        self.failures = Allowance::new(f64::from(rule.after.get()), now);
        Some(ended)
    }

    /// Whether there is nothing worth remembering.
    pub(super) fn is_clean(&mut self, rule: &BlockRule, now: Instant) -> bool {
        self.refill(rule, now);
        let forgiven = self.blocks == 0 || now.duration_since(self.released) >= FORGIVEN_AFTER;
        let full = f64::from(rule.after.get());
        self.block.is_none() && forgiven && self.failures.is_full(full)
    }

    fn refill(&mut self, rule: &BlockRule, now: Instant) {
        let full = f64::from(rule.after.get());
        let per_minute = full / (WINDOW.as_secs_f64() / 60.0);
        self.failures.refill(full, per_minute, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rule(after: u32, time: Option<Duration>) -> BlockRule {
        let after = NonZeroU32::new(after).unwrap();
        BlockRule { after, time }
    }

    /// Fails until a block begins; how long it is, and after how many.
    fn provoke(conduct: &mut Conduct, rule: &BlockRule, now: Instant) -> (Duration, u32) {
        (1..)
            .find_map(|count| Some((conduct.failed(rule, now)?, count)))
            .unwrap()
    }

    #[test]
    fn so_many_failures_block_and_each_block_in_a_row_is_twice_as_long() {
        let rule = rule(20, None);
        let mut now = Instant::now();
        let mut conduct = Conduct::new(&rule, now);
        for minutes in [10, 20, 40, 60, 60] {
            assert_eq!(provoke(&mut conduct, &rule, now), (minutes * MINUTE, 20));
            assert!(conduct.block(now).is_some());
            // Nothing more comes of failing on.
            assert_eq!(conduct.failed(&rule, now), None);
            assert_eq!(conduct.release(&rule, false, now), None);
            now += minutes * MINUTE;
            assert!(conduct.block(now).is_none());
            assert!(conduct.release(&rule, false, now).is_some());
        }
        now += FORGIVEN_AFTER;
        assert_eq!(provoke(&mut conduct, &rule, now), (10 * MINUTE, 20));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let rule = rule(20, None);
        let mut now = Instant::now();
        let mut conduct = Conduct::new(&rule, now);
        for _ in 0..200 {
            assert_eq!(conduct.failed(&rule, now), None);
            now += MINUTE / 2;
        }
        assert_eq!(conduct.failed(&rule, now), None);
        assert!(!conduct.is_clean(&rule, now));
        assert!(conduct.is_clean(&rule, now + WINDOW));
    }

    #[test]
    fn the_strict_rule_blocks_at_the_first_failure_for_a_day() {
        let day = 24 * 60 * MINUTE;
        let rule = rule(1, Some(day));
        let now = Instant::now();
        let mut conduct = Conduct::new(&rule, now);
        assert_eq!(conduct.failed(&rule, now), Some(day));
        assert!(conduct.block(now + day - MINUTE).is_some());
        assert!(conduct.block(now + day).is_none());
    }

    #[test]
    fn a_block_that_is_lifted_leaves_nothing_behind() {
        let rule = rule(3, None);
        let now = Instant::now();
        let mut conduct = Conduct::new(&rule, now);
        provoke(&mut conduct, &rule, now);
        conduct.refused();
        assert!(!conduct.is_clean(&rule, now));
        let lifted = conduct.release(&rule, true, now).unwrap();
        assert_eq!((lifted.refused, lifted.since), (1, now));
        assert!(conduct.block(now).is_none() && conduct.is_clean(&rule, now));
        assert_eq!(conduct.release(&rule, true, now), None);
        assert_eq!(provoke(&mut conduct, &rule, now), (10 * MINUTE, 3));
    }
}
