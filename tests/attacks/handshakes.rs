//! The other frames before a session: RETRY, resumption and renewal, and the
//! refusals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::doctor::shared::Settings;
use telemed::handshake::patient::HandshakeError;
use telemed::patient::connect::ConnectError;
use telemed::patient::event::{Event, Stopped};
use telemed::protocol::{AlertCode, opcode, sub};

use crate::case::{Scene, Story, impatient, try_all};
use crate::device::Running;
use crate::proxy::{Attack, Kind, Rule, down, up};
use crate::support::eventually;

const HANDSHAKE: u8 = opcode::KEY_VERIFICATION;

/// A clock that is a quarter of an hour ahead of the doctor's.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(15 * 60))
    }
}

/// A clock that goes on from an instant, whatever other clocks do.
struct Still(Timestamp, Instant);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0.plus(self.1.elapsed())
    }
}

/// Talks until the attack was made and everything has arrived, and checks.
fn go_on(story: &mut Story, mut running: Running, rule: Rule, is_harmless: bool) {
    finish(story, &mut running, rule);
    assert_eq!(
        running.complained(),
        !is_harmless,
        "{rule:?}: {:?}",
        running.heard
    );
}

/// The same where it may or may not be noticed.
fn go_on_either(story: &mut Story, mut running: Running, rule: Rule) {
    finish(story, &mut running, rule);
}

fn finish(story: &mut Story, running: &mut Running, rule: Rule) {
    eventually(&format!("{rule:?}"), || story.scene.proxy.done() > 0);
    story.whisper(running);
    running.leave();
    story.scene.practice.wait_for_members(0);
    story.check(running);
}

#[test]
fn no_retry_can_be_tampered_with() {
    let kinds = [down(HANDSHAKE, sub::RETRY)];
    try_all(
        &kinds,
        || Story::begin(Scene::open()),
        |story, rule| {
            let right = Arc::clone(&story.device.clock);
            story.device.clock = Arc::new(Ahead);
            story.scene.proxy.set(rule);
            let running = story.device.start();
            story.device.clock = right;
            // Nobody signs RETRY, and its time is not looked at.
            let is_harmless = matches!(rule.attack, Attack::Delay | Attack::FlipLast);
            go_on(story, running, rule, is_harmless);
        },
    );
}

#[test]
fn no_resumption_can_be_tampered_with() {
    let kinds = [up(HANDSHAKE, sub::RESUME), down(HANDSHAKE, sub::RESUMED)];
    try_all(&kinds, || Story::begin(Scene::open()), resumption);
}

fn resumption(story: &mut Story, rule: Rule) {
    let mut running = story.device.start();
    running.connected();
    story.scene.proxy.set(rule);
    story.scene.proxy.cut();
    running.until("the loss", |event| {
        matches!(event, Event::ConnectionLost(_))
    });
    let before = running.heard.len();
    running.connected();
    let after = running.heard.split_off(before);
    // What was said of the cut is not what was said of the attack.
    running.heard = after;
    // A token with a flipped bit is an unknown token: a full handshake follows,
    // on the same connection, and everybody is content.
    let without_token = rule.kind == up(HANDSHAKE, sub::RESUME)
        && matches!(rule.attack, Attack::FlipFirst | Attack::FlipLast);
    if rule.attack == Attack::FlipMiddle {
        // A flipped bit in a number leaves a group element, or none.
        return go_on_either(story, running, rule);
    }
    let is_harmless = without_token || rule.attack == Attack::Delay;
    if is_harmless {
        let resumed = running
            .heard
            .iter()
            .any(|event| matches!(event, Event::Connected { resumed: true, .. }));
        assert_eq!(resumed, rule.attack == Attack::Delay);
    }
    go_on(story, running, rule, is_harmless);
}

#[test]
fn no_renewal_can_be_tampered_with() {
    let first = [
        up(HANDSHAKE, sub::RESUME),
        down(HANDSHAKE, sub::RESUMED),
        up(HANDSHAKE, sub::M3),
        down(opcode::SESSION_TOKEN, 0),
    ];
    try_all(&first, || Story::begin(Scene::open()), renewal);
}

fn renewal(story: &mut Story, mut rule: Rule) {
    // The first of these two came before the renewal.
    let is_second = [up(HANDSHAKE, sub::M3), down(opcode::SESSION_TOKEN, 0)].contains(&rule.kind);
    rule.after = usize::from(is_second);
    let soon = Duration::from_millis(80);
    let usual = story.device.config.renewal.clone();
    story.device.config.renewal = soon..=soon;
    story.scene.proxy.set(rule);
    let mut running = story.device.start();
    story.device.config.renewal = usual;
    running.connected();
    // A broadcast may overtake anything, see the sessions.
    let is_harmless = rule.attack == Attack::Delay;
    if rule.attack == Attack::Reorder {
        return go_on_either(story, running, rule);
    }
    go_on(story, running, rule, is_harmless);
}

#[test]
fn no_word_that_a_token_is_unknown_can_be_tampered_with() {
    let kinds = [down(HANDSHAKE, sub::NO_TOKEN)];
    try_all(
        &kinds,
        || Story::begin(Scene::open()),
        |story, rule| {
            let moves = Arc::clone(&story.device.clock);
            story.device.clock = Arc::new(Still(moves.now(), Instant::now()));
            let mut running = story.device.start();
            story.device.clock = moves;
            running.connected();
            // By the doctor's clock the token has ended.
            let hours = Duration::from_secs(2 * 60 * 60);
            story.scene.practice.clock.advance(hours);
            story.scene.proxy.set(rule);
            story.scene.proxy.cut();
            running.until("the loss", |event| {
                matches!(event, Event::ConnectionLost(_))
            });
            let before = running.heard.len();
            running.connected();
            running.heard = running.heard.split_off(before);
            // There is no body to shorten.
            let is_harmless = matches!(
                rule.attack,
                Attack::Delay | Attack::Shorten | Attack::Splice
            );
            go_on(story, running, rule, is_harmless);
        },
    );
}

#[test]
fn no_refusal_can_be_tampered_with() {
    let strict = || {
        Scene::with(Settings {
            strict_clock: true,
            ..impatient()
        })
    };
    let kinds: [Kind; 1] = [down(HANDSHAKE, sub::ALERT)];
    try_all(
        &kinds,
        || Story::begin(strict()),
        |story, rule| {
            let right = Arc::clone(&story.device.clock);
            story.device.clock = Arc::new(Ahead);
            story.scene.proxy.set(rule);
            let mut running = story.device.start();
            story.device.clock = right;
            // However it was told at first, the refusal is the one that was given.
            let stopped = running.end();
            let is_true = matches!(
                stopped,
                Stopped::Refused(ConnectError::Handshake(HandshakeError::Refused {
                    code: AlertCode::Clock,
                    ..
                }))
            );
            assert!(is_true, "{rule:?}: {stopped}");
            assert_eq!(story.scene.proxy.done(), 1);
            let is_harmless = matches!(
                rule.attack,
                Attack::Delay | Attack::Repeat | Attack::Reorder
            );
            assert_eq!(running.complained(), !is_harmless, "{rule:?}");
            assert!(story.scene.practice.server().connected().is_empty());
            drop(running);
            story.honest_session();
        },
    );
}
