//! A clinic of two doctors, and an account of every message.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::clinic::Clinic;
use crate::cut_off::behind;
use crate::postgres_server::PostgresServer;
use crate::process::{Finished, Running, run};

/// How long at most until everything has arrived.
const SETTLED: Duration = Duration::from_secs(60);

/// A message that was handed to a program.
#[derive(Clone)]
pub struct Sent {
    pub text: String,
    /// Whether the program said that it has it.
    pub accepted: bool,
    /// Everybody's, or this patient's.
    pub to: Option<String>,
}

/// Doctors D1 and D2 with their nodes, and their patients.
pub struct Scene {
    pub server: PostgresServer,
    pub clinic: Clinic,
    /// What nodes are given as `--store`, if not the server itself.
    pub store: String,
    /// An address of its own, so that nodes find their ports free again.
    host: String,
    pub nodes: BTreeMap<String, Running>,
    addresses: BTreeMap<String, String>,
    pub watches: BTreeMap<String, Running>,
    /// What ended programs of a patient or doctor have said.
    said: BTreeMap<String, String>,
    pub sent: Vec<Sent>,
    /// What patients have written.
    pub written: Vec<Sent>,
    /// Variables for the programs of these doctors.
    pub environment: BTreeMap<String, Vec<(String, String)>>,
    /// What the programs of these doctors and patients run behind.
    inside: BTreeMap<String, Vec<String>>,
}

/// A command beside what else happens.
pub struct Pending {
    child: Child,
    sent: Sent,
    promise: &'static str,
    by_patient: bool,
}

/// Waits for something.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SETTLED;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn objects(lines: &str) -> impl Iterator<Item = Value> {
    let lines = lines.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap())
}

impl Scene {
    /// A clinic with its nodes, of whose database nobody knows but them; each of
    /// these patients is enrolled with the first doctor. None if there is nothing
    /// to test with.
    pub fn new(patients: &[&str]) -> Option<Self> {
        let server = PostgresServer::start()?;
        Some(Self::on(server, patients, |server| server.url()))
    }

    /// The same on this server, which nodes reach at another address.
    pub fn on(
        server: PostgresServer,
        patients: &[&str],
        store: impl FnOnce(&PostgresServer) -> String,
    ) -> Self {
        static SCENES: AtomicU32 = AtomicU32::new(1);
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let (high, low) = (1 + process % 250, process / 250 % 250);
        let store = store(&server);
        let mut scene = Self {
            server,
            clinic: Clinic::new(),
            store,
            host: format!("127.{high}.{low}.{number}"),
            nodes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            watches: BTreeMap::new(),
            said: BTreeMap::new(),
            sent: Vec::new(),
            written: Vec::new(),
            environment: BTreeMap::new(),
            inside: BTreeMap::new(),
        };
        scene.start_node("D1");
        scene.join("D2");
        scene.start_node("D2");
        for patient in patients {
            scene.clinic.enrol(patient);
        }
        scene
    }

    /// A doctor joins the clinic.
    fn join(&self, doctor: &str) {
        let ticket = self.clinic.command(&["enrol-doctor", doctor]).code(0).out;
        let ticket = ticket.trim().to_owned();
        run(self.as_doctor(doctor, &["enrol", &ticket])).code(0);
    }

    /// `doctor` as this doctor, with the clinic's database.
    pub fn as_doctor(&self, doctor: &str, arguments: &[&str]) -> Command {
        let first = ["--id", doctor, "--store", &self.store];
        let mut command = self.clinic.doctor(&[&first, arguments].concat());
        if let Some(variables) = self.environment.get(doctor) {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        }
        self.placed(doctor, command)
    }

    /// `patient` as this patient.
    fn as_patient(&self, patient: &str, arguments: &[&str]) -> Command {
        self.placed(patient, self.clinic.patient(patient, arguments))
    }

    fn placed(&self, who: &str, command: Command) -> Command {
        match self.inside.get(who) {
            Some(prefix) => behind(prefix, &command),
            None => command,
        }
    }

    /// From now on the programs of this doctor or patient run behind others; a
    /// doctor's node listens at another address.
    pub fn inside(&mut self, who: &str, prefix: Vec<String>, host: &str) {
        self.inside.insert(who.to_owned(), prefix);
        self.addresses.insert(who.to_owned(), format!("{host}:0"));
    }

    pub fn start_node(&mut self, doctor: &str) {
        let anywhere = format!("{}:0", self.host);
        let address = self.addresses.get(doctor).unwrap_or(&anywhere);
        let arguments = ["--listen", address, "--json", "serve"];
        let mut node = Running::start(self.as_doctor(doctor, &arguments));
        let line = node.expect("\"type\":\"serving\"");
        let serving: Value = serde_json::from_str(&line).unwrap();
        let address = serving["address"].as_str().unwrap().to_owned();
        self.addresses.insert(doctor.to_owned(), address);
        self.nodes.insert(doctor.to_owned(), node);
    }

    /// `kill -9`.
    pub fn kill_node(&mut self, doctor: &str) {
        self.signal_node(doctor, Signal::KILL);
    }

    /// Stops a node as the service manager does.
    pub fn end_node(&mut self, doctor: &str) {
        self.signal_node(doctor, Signal::TERM);
    }

    fn signal_node(&mut self, doctor: &str, signal: Signal) {
        let node = self.nodes.remove(doctor).unwrap();
        node.signal(signal);
        let said = node.finish();
        *self.said.entry(doctor.to_owned()).or_default() += &said.out;
    }

    pub fn node(&mut self, doctor: &str) -> &mut Running {
        self.nodes.get_mut(doctor).unwrap()
    }

    /// Waits until a node says that, after all that was asked of it before.
    #[track_caller]
    pub fn node_says(&mut self, doctor: &str, part: &str) -> String {
        self.node(doctor).expect(part)
    }

    /// Has a patient listen, to whichever doctor is there.
    pub fn watch(&mut self, patient: &str, options: &[&str]) {
        let arguments = [options, &["--json", "watch"]].concat();
        let watch = Running::start(self.as_patient(patient, &arguments));
        self.watches.insert(patient.to_owned(), watch);
    }

    /// Ends what listens for a patient.
    pub fn end_watch(&mut self, patient: &str) {
        let watch = self.watches.remove(patient).unwrap();
        watch.signal(Signal::TERM);
        let said = watch.finish().out;
        *self.said.entry(patient.to_owned()).or_default() += &said;
    }

    /// Waits until the patient is connected to this doctor.
    #[track_caller]
    pub fn is_connected(&mut self, patient: &str, doctor: &str) -> Value {
        let watch = self.watches.get_mut(patient).unwrap();
        loop {
            let line = watch.expect("\"type\":\"connected\"");
            let connected: Value = serde_json::from_str(&line).unwrap();
            if connected["doctor"] == doctor {
                return connected;
            }
        }
    }

    /// Waits until the patient knows both doctors.
    #[track_caller]
    pub fn knows_both(&mut self, patient: &str) {
        let watch = self.watches.get_mut(patient).unwrap();
        watch.expect("\"doctors\":[\"D1\",\"D2\"]");
    }

    /// Waits until the patient knows a doctor at this address.
    #[track_caller]
    pub fn knows(&mut self, patient: &str, host: &str) {
        let deadline = Instant::now() + SETTLED;
        loop {
            let doctors = self.clinic.patient(patient, &["--json", "doctors"]);
            let said = run(doctors);
            if said.out.contains(host) {
                return;
            }
            if Instant::now() >= deadline {
                let watch = self.watches.get_mut(patient).unwrap();
                watch.ends_within(Duration::from_millis(300));
                panic!("{host} is not known: {said}\n{}", watch.transcript());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has a message sent by a doctor's command, without waiting for it.
    pub fn send(&self, doctor: &str, to: Option<&str>) -> Pending {
        let text = self.text();
        let words: &[&str] = match to {
            None => &["broadcast", "--clinic"],
            Some(patient) => &["message", patient],
        };
        let arguments = [&["--json"], words, &[text.as_str()]].concat();
        let mut command = self.as_doctor(doctor, &arguments);
        Pending {
            child: beside(&mut command),
            sent: Sent {
                text,
                accepted: false,
                to: to.map(str::to_owned),
            },
            promise: "\"type\":\"sent\"",
            by_patient: false,
        }
    }

    /// Has a message written by a patient.
    pub fn write(&self, patient: &str) -> Pending {
        let text = self.text();
        let mut command = self.as_patient(patient, &["--json", "send", &text]);
        Pending {
            child: beside(&mut command),
            sent: Sent {
                text,
                accepted: false,
                to: Some(patient.to_owned()),
            },
            promise: "\"type\":\"queued\"",
            by_patient: true,
        }
    }

    fn text(&self) -> String {
        static TEXTS: AtomicU32 = AtomicU32::new(1);
        format!("text-{:06}.", TEXTS.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits for a command; says whether it has accepted the message, and what it
    /// said otherwise.
    pub fn note(&mut self, pending: Pending) -> Result<(), String> {
        let output = pending.child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let accepted = said.contains(pending.promise);
        let sent = Sent {
            accepted,
            ..pending.sent
        };
        match pending.by_patient {
            true => self.written.push(sent),
            false => self.sent.push(sent),
        }
        match accepted {
            true => Ok(()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Sends a message and waits until that is done.
    pub fn send_now(&mut self, doctor: &str, to: Option<&str>) -> Result<(), String> {
        let pending = self.send(doctor, to);
        self.note(pending)
    }

    /// The only number of a query.
    pub fn number(&self, sql: &str) -> i64 {
        self.server.client().query_one(sql, &[]).unwrap().get(0)
    }

    /// Waits until nothing is under way any more.
    #[track_caller]
    pub fn settle(&mut self) {
        let missing = "SELECT count(*) FROM delivery WHERE delivered IS NULL";
        until("every message is delivered", || self.number(missing) == 0);
        for patient in self.watches.keys() {
            let status = || {
                let command = self.clinic.patient(patient, &["--json", "status"]);
                let status: Value = serde_json::from_str(run(command).out.trim()).unwrap();
                status["waiting_messages"].as_u64().unwrap()
            };
            until("what patients wrote has arrived", || status() == 0);
        }
    }

    /// Ends all programs, and accounts for every message.
    #[track_caller]
    pub fn account(self) {
        self.account_for_all(0);
    }

    /// The same where no node has ended: each message of a patient's was shown.
    #[track_caller]
    pub fn account_exactly(mut self) {
        self.settle();
        let accepted = self.written.iter().filter(|sent| sent.accepted);
        let texts: Vec<String> = accepted.map(|sent| sent.text.clone()).collect();
        let nodes = &mut self.nodes;
        until("what patients wrote is shown", || {
            let mut said = String::new();
            for node in nodes.values_mut() {
                // Takes what has come.
                node.ends_within(Duration::from_millis(50));
                said += &node.transcript();
            }
            texts.iter().all(|text| said.contains(text))
        });
        self.account_for_all(1);
    }

    /// The same; each message of a patient's was shown so many times at least.
    #[track_caller]
    fn account_for_all(mut self, shown: usize) {
        self.settle();
        let patients: Vec<String> = self.watches.keys().cloned().collect();
        for patient in &patients {
            self.end_watch(patient);
        }
        for patient in &patients {
            let shown = self.texts_of(patient, "received");
            let history = ["--json", "history", "--offline"];
            let history = run(self.clinic.patient(patient, &history)).code(0);
            let kept: Vec<_> = objects(&history.out)
                .filter_map(|object| Some(object["text"].as_str()?.to_owned()))
                .collect();
            let is_hers = |sent: &&Sent| sent.to.as_ref().is_none_or(|to| to == patient);
            for sent in self.sent.iter().filter(is_hers) {
                check(patient, sent, &shown);
                check(patient, sent, &kept);
            }
            for sent in self.written.iter().filter(is_hers) {
                check(patient, sent, &kept);
            }
        }
        self.account_for_the_doctors(shown);
    }

    #[track_caller]
    fn account_for_the_doctors(mut self, at_least: usize) {
        for doctor in ["D1", "D2"] {
            if self.nodes.contains_key(doctor) {
                self.kill_node(doctor);
            }
        }
        let mut shown = self.texts_of("D1", "private");
        shown.extend(self.texts_of("D2", "private"));
        let inbox = |doctor| {
            let finished = run(self.as_doctor(doctor, &["--json", "inbox"])).code(0);
            let texts = objects(&finished.out)
                .filter_map(|object| Some(object["text"].as_str()?.to_owned()));
            texts.collect::<Vec<_>>()
        };
        let kept = inbox("D1");
        for sent in &self.written {
            // A node that is killed may not have come to say it: it is in the books.
            let count = shown.iter().filter(|text| **text == sent.text).count();
            let least = at_least.min(usize::from(sent.accepted));
            assert!(
                (least..=1).contains(&count),
                "{} was shown {count} times",
                sent.text
            );
            check("the doctors' inbox", sent, &kept);
        }
        for doctor in ["D1", "D2"] {
            if self.clinic.path("doctor").join(doctor).exists() {
                run(self.as_doctor(doctor, &["audit", "verify"])).code(0);
            }
        }
    }

    fn texts_of(&self, who: &str, kind: &str) -> Vec<String> {
        let said = self.said.get(who).map_or("", String::as_str);
        objects(said)
            .filter(|object| object["type"] == kind)
            .map(|object| object["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[track_caller]
fn check(who: &str, sent: &Sent, texts: &[String]) {
    let count = texts.iter().filter(|text| **text == sent.text).count();
    assert!(count <= 1, "{who}: {} is there {count} times", sent.text);
    let lost = sent.accepted && count == 0;
    assert!(!lost, "{who}: {} was accepted and is lost", sent.text);
}

fn beside(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a command to its end, and says how long that took.
pub fn timed(command: Command) -> (Finished, Duration) {
    let began = Instant::now();
    (run(command), began.elapsed())
}
