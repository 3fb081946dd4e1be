//! One case after another: a practice, a patient's device, an attack on one
//! frame between them, and what both sides make of it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use telemed::clock::Clock;
use telemed::doctor::event::{Departure, Event};
use telemed::doctor::shared::{Settings, Timing};
use telemed::elgamal::Group;

use crate::device::{Device, Running};
use crate::proxy::{Attack, Kind, Proxy, Rule};
use crate::support::{Practice, eventually};

/// Everything that is done to a frame of one session.
pub const ATTACKS: [Attack; 15] = [
    Attack::FlipLength,
    Attack::FlipVersion,
    Attack::FlipOpcode,
    Attack::FlipSub,
    Attack::FlipFirst,
    Attack::FlipMiddle,
    Attack::FlipLast,
    Attack::Drop,
    Attack::Repeat,
    Attack::Reorder,
    Attack::Splice,
    Attack::Shorten,
    Attack::Cut,
    Attack::Delay,
    Attack::Reflect,
];

/// A server shows ten refusals a minute one by one, and the tests want to see
/// each.
const CASES_PER_PRACTICE: usize = 8;
/// Most of the time is waited.
const WORKERS: usize = 6;

/// A practice behind a proxy.
pub struct Scene {
    pub practice: Practice,
    pub proxy: Proxy,
}

/// The settings of a practice in which nobody waits for long.
pub fn impatient() -> Settings {
    Settings {
        timing: Timing {
            handshake: Duration::from_secs(3),
            heartbeat: Duration::from_millis(60),
            idle: Duration::from_secs(3),
            linger: Duration::from_millis(300),
            ..Timing::default()
        },
        ..Settings::default()
    }
}

impl Scene {
    pub fn open() -> Self {
        Self::with(impatient())
    }

    pub fn with(settings: Settings) -> Self {
        let practice = Practice::just_started(settings, Group::ffdhe2048());
        practice.run_a_while();
        let proxy = Proxy::before(practice.address());
        Self { practice, proxy }
    }

    /// Stops the server and starts it again, after its first minute.
    pub fn restart(&mut self) {
        self.practice.restart();
        self.practice.run_a_while();
        self.proxy.lead_to(self.practice.address());
    }
}

/// A scene with a patient and all that they have said to each other.
pub struct Story {
    pub scene: Scene,
    pub device: Device,
    /// What the doctor sent, sorted by her patient's inbox later.
    pub from_doctor: Vec<String>,
    pub from_patient: Vec<String>,
    /// What the patient's person confirmed.
    pub confirmed: Vec<u64>,
    /// All the doctor's events.
    pub told: Vec<Event>,
    count: usize,
    /// Sessions that the doctor ended, of which she need not be told.
    pub sent_away: usize,
    /// The number of the last broadcast.
    last: u64,
}

impl Story {
    pub fn begin(scene: Scene) -> Self {
        let mut device = Device::enrolled(&scene.practice, &scene.proxy, "P1");
        device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
        Self {
            scene,
            device,
            from_doctor: Vec::new(),
            from_patient: Vec::new(),
            confirmed: Vec::new(),
            told: Vec::new(),
            count: 0,
            sent_away: 0,
            last: 0,
        }
    }

    fn text(&mut self) -> String {
        self.count += 1;
        format!("text number {}", self.count)
    }

    /// The doctor says something to everyone; gives the text.
    pub fn broadcast(&mut self) -> String {
        let text = self.text();
        self.from_doctor.push(text.clone());
        let sent = self.scene.practice.server().broadcast(&text, false);
        self.last = sent.unwrap().number;
        text
    }

    /// The patient confirms the last broadcast.
    #[track_caller]
    pub fn confirm(&mut self, running: &Running, text: &str) {
        running.confirm(text);
        self.confirmed.push(self.last);
    }

    /// The doctor says something to the patient alone.
    pub fn message(&mut self) -> String {
        let text = self.text();
        self.from_doctor.push(text.clone());
        let patient = "P1".parse().unwrap();
        let server = self.scene.practice.server();
        server.message(&patient, &text).unwrap();
        text
    }

    /// The patient says something.
    pub fn write(&mut self, running: &Running) {
        let text = self.text();
        running.client.send(&text, None).unwrap();
        self.from_patient.push(text);
    }

    /// Every kind of message once, both ways, until all has arrived.
    #[track_caller]
    pub fn talk(&mut self, running: &mut Running) {
        let to_all = self.broadcast();
        self.whisper(running);
        running.wait_for(&to_all);
        self.confirm(running, &to_all);
        running.settle();
    }

    /// A private message each way.
    #[track_caller]
    pub fn whisper(&mut self, running: &mut Running) {
        let to_one = self.message();
        self.write(running);
        running.wait_for(&to_one);
        running.settle();
    }

    /// A session in which nothing is done to anything.
    #[track_caller]
    pub fn honest_session(&mut self) {
        self.scene.proxy.calm();
        let missed = self.broadcast();
        let mut running = self.device.start();
        running.connected();
        assert!(!running.complained(), "{:?}", running.heard);
        running.wait_for(&missed);
        self.write(&running);
        running.settle();
        running.leave();
        self.scene.practice.wait_for_members(0);
        self.check(&running);
    }

    /// Nothing that was not said was shown, nothing twice, and all that was
    /// said has arrived; nobody else was let in.
    #[track_caller]
    pub fn check(&mut self, running: &Running) {
        let mut expected = self.from_doctor.clone();
        expected.sort();
        assert_eq!(running.inbox(), expected);
        let practice = &self.scene.practice;
        let said = |told: &[Event]| -> Vec<String> {
            let texts = told.iter().filter_map(|event| match event {
                Event::Private(_, message) => Some(message.text().to_owned()),
                _ => None,
            });
            texts.collect()
        };
        let all = self.from_patient.len();
        eventually("the doctor's events", || {
            self.told.extend(practice.events());
            said(&self.told).len() >= all
        });
        assert_eq!(sorted(said(&self.told)), sorted(self.from_patient.clone()));
        for event in &self.told {
            match event {
                Event::Joined { patient, .. } => assert_eq!(patient.patient.as_str(), "P1"),
                Event::Confirmed(_, number) => assert!(self.confirmed.contains(number)),
                _ => {}
            }
        }
        for number in &self.confirmed {
            practice.wait_for_state(*number, "P1", "confirmed");
        }
        self.confirmed.clear();
        self.told
            .retain(|event| !matches!(event, Event::Confirmed(..)));
    }

    /// Whether the doctor's program has said that something went wrong. Forgets
    /// it.
    pub fn doctor_complained(&mut self) -> bool {
        let (mut begun, mut over) = (0, 0);
        // Each session that began has ended by now; the event may come later.
        let mut complained = false;
        eventually("the end of every session", || {
            for event in self.scene.practice.events() {
                self.told.push(event);
            }
            for event in self.told.extract_if(.., |event| is_about_sessions(event)) {
                begun += usize::from(matches!(event, Event::Joined { .. }));
                over += usize::from(matches!(event, Event::Left(..) | Event::Superseded(_)));
                complained |= !matches!(
                    event,
                    Event::Joined { .. } | Event::Left(_, Departure::Asked)
                );
                if let Event::Joined { patient, .. } = event {
                    assert_eq!(patient.patient.as_str(), "P1");
                }
            }
            begun <= over + self.sent_away
        });
        self.sent_away = 0;
        complained
    }
}

const fn is_about_sessions(event: &Event) -> bool {
    matches!(
        event,
        Event::Joined { .. }
            | Event::Left(..)
            | Event::Superseded(_)
            | Event::Refused(..)
            | Event::Strangers(_)
    )
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// Tries every attack on every kind of frame. `open` makes what some cases
/// share, `case` tries one.
pub fn try_all<S>(kinds: &[Kind], open: impl Fn() -> S + Sync, case: impl Fn(&mut S, Rule) + Sync) {
    let cases = kinds.iter().flat_map(|&kind| {
        ATTACKS.map(|attack| Rule {
            kind,
            attack,
            after: 0,
        })
    });
    let cases: Vec<_> = cases.collect();
    let chunks: VecDeque<_> = cases.chunks(CASES_PER_PRACTICE).collect();
    let chunks = Mutex::new(chunks);
    let failed = Mutex::new(Vec::new());
    let next = || chunks.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(chunk) = next() {
                    let mut scene = open();
                    for rule in chunk {
                        let tried = catch_unwind(AssertUnwindSafe(|| case(&mut scene, *rule)));
                        if tried.is_err() {
                            failed.lock().unwrap().push(*rule);
                            scene = open();
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
}
