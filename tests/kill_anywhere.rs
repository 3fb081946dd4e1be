//! Kill it anywhere: doctor and patients are killed without a warning, again
//! and again, while broadcasts and private messages run both ways. Then every
//! message is accounted for: none lost after "queued" was shown, none twice,
//! every receipt that was shown is on the disk, and the audit log is whole.
//!
//! `TELEMED_SOAK_CYCLES` says how often something is killed (`make soak`: 500),
//! `TELEMED_SOAK_SEED` repeats a run.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]
#![expect(clippy::expect_used, reason = "a test ends with what it cannot do")]
#![allow(clippy::panic, reason = "a test ends with what it cannot do")]
#![allow(dead_code, reason = "other tests use the rest of the support")]

#[path = "programs/clinic.rs"]
mod clinic;
#[path = "programs/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use clinic::Clinic;
use process::{Finished, Running, run};

const PATIENTS: [&str; 2] = ["P1", "P2"];
/// How often something is killed where nothing else is said.
const CYCLES: u32 = 25;
/// How long at most until everything that is queued has arrived.
const SETTLED: Duration = Duration::from_secs(120);

/// A small generator: the same seed gives the same run, as far as the operating
/// system's timing lets it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX constants.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// A message that was handed to a program.
struct Sent {
    text: String,
    /// Whether the program said that it has it.
    acknowledged: bool,
}

struct World {
    clinic: Clinic,
    address: String,
    dice: Dice,
    doctor: Option<Running>,
    watches: BTreeMap<&'static str, Running>,
    /// What the doctors killed so far have said.
    said: String,
    broadcasts: Vec<Sent>,
    to_patient: BTreeMap<&'static str, Vec<Sent>>,
    from_patient: BTreeMap<&'static str, Vec<Sent>>,
    written: u64,
}

/// A command that is running beside a kill.
struct Pending {
    child: Child,
    text: String,
    of: Of,
    /// What it prints once it has kept the message.
    promise: &'static str,
}

/// What a message is.
#[derive(Clone, Copy)]
enum Of {
    Broadcast,
    ToPatient(&'static str),
    FromPatient(&'static str),
}

impl World {
    fn new(seed: u64) -> Self {
        let clinic = Clinic::new();
        let (mut doctor, address) = serve(&clinic, "127.0.0.1:0");
        for patient in PATIENTS {
            clinic.enrol(patient);
            doctor.expect("\"type\":\"enrolment\"");
        }
        let mut world = Self {
            clinic,
            address,
            dice: Dice(seed),
            doctor: Some(doctor),
            watches: BTreeMap::new(),
            said: String::new(),
            broadcasts: Vec::new(),
            to_patient: BTreeMap::new(),
            from_patient: BTreeMap::new(),
            written: 0,
        };
        for patient in PATIENTS {
            world.start_watch(patient);
        }
        world
    }

    fn start_doctor(&mut self) {
        let (doctor, _) = serve(&self.clinic, &self.address);
        self.doctor = Some(doctor);
    }

    /// A command may hold the patient's directory for a moment.
    fn start_watch(&mut self, patient: &'static str) {
        let deadline = Instant::now() + SETTLED;
        loop {
            let mut watch = Running::start(self.clinic.patient(patient, &["watch"]));
            if !watch.ends_within(Duration::from_millis(300)) {
                self.watches.insert(patient, watch);
                return;
            }
            let said = watch.transcript();
            assert!(said.contains("in use"), "{patient} does not start: {said}");
            assert!(Instant::now() < deadline, "{patient} never starts: {said}");
        }
    }

    /// Has a message sent, without waiting for it.
    fn send(&mut self) -> Pending {
        self.written += 1;
        let text = format!("text-{:05}.", self.written);
        let who = PATIENTS[usize::from(self.dice.roll(2) == 1)];
        let doctor = |arguments: &[&str]| {
            let arguments = [&["--id", "D1", "--json"], arguments, &[text.as_str()]].concat();
            (self.clinic.doctor(&arguments), "\"type\":\"sent\"")
        };
        let (of, (mut command, promise)) = match self.dice.roll(4) {
            0 => (Of::Broadcast, doctor(&["broadcast"])),
            1 => (Of::Broadcast, doctor(&["broadcast", "--urgent"])),
            2 => (Of::ToPatient(who), doctor(&["message", who])),
            _ => {
                let command = self.clinic.patient(who, &["--json", "send", &text]);
                (Of::FromPatient(who), (command, "\"type\":\"queued\""))
            }
        };
        Pending {
            child: beside(&mut command),
            text,
            of,
            promise,
        }
    }

    /// Has a person confirm a message, or one that is not there.
    fn confirm(&mut self) -> Child {
        let who = PATIENTS[usize::from(self.dice.roll(2) == 1)];
        let number = (1 + self.dice.roll(self.written + 1)).to_string();
        beside(&mut self.clinic.patient(who, &["confirm", &number]))
    }

    fn note(&mut self, pending: Pending) {
        let output = pending.child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let sent = Sent {
            text: pending.text,
            acknowledged: said.contains(pending.promise),
        };
        match pending.of {
            Of::Broadcast => self.broadcasts.push(sent),
            Of::ToPatient(who) => self.to_patient.entry(who).or_default().push(sent),
            Of::FromPatient(who) => self.from_patient.entry(who).or_default().push(sent),
        }
    }

    /// One cycle: messages are under way, something is killed at a random
    /// moment, and started again.
    fn cycle(&mut self) {
        let pending: Vec<Pending> = (0..=self.dice.roll(3)).map(|_| self.send()).collect();
        let confirmation = self.confirm();
        // The random moment is the point here, nothing is waited for.
        thread::sleep(Duration::from_micros(self.dice.roll(150_000)));
        let patient = match self.dice.roll(4) {
            0 => Some(PATIENTS[0]),
            1 => Some(PATIENTS[1]),
            _ => None,
        };
        match patient {
            Some(patient) => self.watches.remove(patient).unwrap().kill(),
            None => self.kill_doctor(),
        }
        for pending in pending {
            self.note(pending);
        }
        confirmation.wait_with_output().unwrap();
        match patient {
            Some(patient) => self.start_watch(patient),
            None => self.start_doctor(),
        }
    }

    fn kill_doctor(&mut self) {
        let doctor = self.doctor.take().unwrap();
        doctor.signal(rustix::process::Signal::KILL);
        let said = doctor.finish();
        self.said += &said.out;
    }

    /// Waits until nothing is under way any more, then stops everything.
    fn settle(&mut self) {
        let deadline = Instant::now() + SETTLED;
        loop {
            let missing = self.doctors(&["--json", "deliveries", "--missing"]).out;
            let waiting = PATIENTS.iter().any(|patient| {
                let status = self.patients(patient, &["--json", "status"]).out;
                let status: Value = serde_json::from_str(status.trim()).unwrap();
                let waiting = ["waiting_messages", "waiting_confirmations"];
                waiting
                    .iter()
                    .any(|name| status[name].as_u64().unwrap() > 0)
            });
            if missing.trim().is_empty() && !waiting {
                break;
            }
            assert!(Instant::now() < deadline, "never settled: {missing}");
            thread::sleep(Duration::from_millis(100));
        }
        for patient in PATIENTS {
            self.watches.remove(patient).unwrap().kill();
        }
        self.kill_doctor();
    }

    #[track_caller]
    fn doctors(&self, arguments: &[&str]) -> Finished {
        self.clinic.command(arguments).code(0)
    }

    #[track_caller]
    fn patients(&self, patient: &str, arguments: &[&str]) -> Finished {
        run(self.clinic.patient(patient, arguments)).code(0)
    }

    fn account(&self) {
        let empty = Vec::new();
        for patient in PATIENTS {
            let theirs = history(&self.patients(patient, &["--json", "history", "--offline"]));
            let doctors = history(&self.doctors(&["--json", "history", patient]));
            assert_eq!(theirs, doctors, "both sides of {patient} see the same");
            let to_patient = self.to_patient.get(patient).unwrap_or(&empty);
            let from_patient = self.from_patient.get(patient).unwrap_or(&empty);
            for sent in self.broadcasts.iter().chain(to_patient).chain(from_patient) {
                let count = theirs.iter().filter(|text| **text == sent.text).count();
                assert!(count <= 1, "{} is there {count} times", sent.text);
                let lost = sent.acknowledged && count == 0;
                assert!(!lost, "{} was acknowledged and is lost", sent.text);
            }
        }
        self.check_receipts();
        self.doctors(&["audit", "verify"]);
    }

    /// Every receipt that was shown is on the disk.
    fn check_receipts(&self) {
        let shown: BTreeSet<(u64, String, String)> = objects(&self.said)
            .filter(|object| object["type"] == "delivered" || object["type"] == "confirmed")
            .map(|object| {
                let text = |name: &str| object[name].as_str().unwrap().to_owned();
                let number = object["message"].as_u64().unwrap();
                (number, text("patient"), text("type"))
            })
            .collect();
        let mut messages: BTreeMap<u64, String> = BTreeMap::new();
        for (message, patient, state) in &shown {
            let report = messages.entry(*message).or_insert_with(|| {
                let number = message.to_string();
                self.doctors(&["--json", "deliveries", &number]).out
            });
            let kept = objects(report).any(|object| {
                object["type"] == "delivery"
                    && object["patient"] == **patient
                    && object[state].is_string()
            });
            assert!(kept, "message {message} {state} by {patient}: {report}");
        }
        assert!(!shown.is_empty(), "no receipt was shown at all");
    }
}

/// A server that tells what happens as JSON, and where it listens.
fn serve(clinic: &Clinic, address: &str) -> (Running, String) {
    let arguments = ["--id", "D1", "--listen", address, "--json", "serve"];
    let mut doctor = Running::start(clinic.doctor(&arguments));
    let line = doctor.expect("\"type\":\"serving\"");
    let serving: Value = serde_json::from_str(&line).unwrap();
    let address = serving["address"].as_str().unwrap().to_owned();
    (doctor, address)
}

fn objects(lines: &str) -> impl Iterator<Item = Value> {
    let lines = lines.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap())
}

/// The texts of a history, in its order.
fn history(finished: &Finished) -> Vec<String> {
    let texts = objects(&finished.out).filter_map(|object| Some(object["text"].as_str()?.into()));
    texts.collect()
}

fn beside(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_whatever_is_killed() {
    let seed = number(
        "TELEMED_SOAK_SEED",
        u64::from(std::process::id()).wrapping_mul(2_654_435_761),
    );
    let cycles = number("TELEMED_SOAK_CYCLES", u64::from(CYCLES));
    println!("TELEMED_SOAK_SEED={seed} TELEMED_SOAK_CYCLES={cycles}");
    let mut world = World::new(seed);
    for _ in 0..cycles {
        world.cycle();
    }
    world.settle();
    world.account();
}
