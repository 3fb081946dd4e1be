//! The whole protocol as a story: a real server and three patients over
//! loopback TCP, with somebody who records the line.
//!
//! Every step is checked. The exit code is 0 only if each did what it says.

#![expect(clippy::print_stdout, reason = "the story is told on standard output")]

#[path = "demo/own_client.rs"]
mod own_client;
#[path = "demo/tap.rs"]
mod tap;
#[path = "demo/timings.rs"]
mod timings;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use own_client::{Line, OwnClient};
use tap::Tap;
use telemed::clock::{Clock, SystemClock};
use telemed::doctor::event::Event as DoctorEvent;
use telemed::doctor::practice::Practice;
use telemed::doctor::server::{Sent, Server};
use telemed::doctor::setup;
use telemed::doctor::shared::Settings;
use telemed::elgamal::{Group, KemSecret, SignSecret};
use telemed::framing::Frame;
use telemed::handshake::patient::{Step, begin};
use telemed::identity::authority::{DoctorIdentity, found_clinic};
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::known_doctor::{KnownDoctor, fingerprint_groups};
use telemed::identity::patient_identity::PatientIdentity;
use telemed::patient::client::Client;
use telemed::patient::config::Config;
use telemed::patient::enrol::{self, Enrolled};
use telemed::patient::event::{Event as PatientEvent, Stopped};
use telemed::patient::files::{Files, Patient};
use telemed::protocol::{DisconnectReason, opcode, sub};
use telemed::random::OsRandom;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);

const FIRST: &str = "Emergency: do not take the tablets of lot 4711. Call the practice.";
const SECOND: &str = "The replacement has arrived.";

fn main() -> ExitCode {
    match story() {
        Ok(()) => {
            println!("\nEvery step did what it says.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn chapter(title: &str) {
    println!("\n{title}");
}

fn story() -> Result<()> {
    let directory = tempfile::tempdir()?;
    chapter("Phase 1: keys and identities");
    let clinic = Clinic::found(directory.path())?;
    let tap = Tap::start(clinic.server.address())?;
    println!(
        "  somebody records the line between patients and doctor, at {}",
        tap.address
    );
    let patients: Vec<(Files, Patient)> = ["P1", "P2", "P3"]
        .iter()
        .map(|name| clinic.enrol(name, tap.address, directory.path()))
        .collect::<Result<_>>()?;

    chapter("Phase 2: mutual authentication and session keys");
    let mut online = Online::connect(&clinic, &tap, patients)?;

    chapter("Phase 3: the group key and an emergency broadcast");
    let took = online.first_broadcast(&clinic, &tap)?;
    online.one_leaves(&clinic, &tap)?;

    chapter("Those who have no business here");
    a_stranger(&clinic)?;
    a_replay(&clinic, &tap)?;

    chapter("The end");
    online.everyone_is_disconnected(&clinic)?;

    chapter("How long it takes, on this machine, just now");
    timings::print(&clinic.group, took, 3)
}

/// The doctor's side.
struct Clinic {
    group: Group,
    server: Server,
    events: Receiver<DoctorEvent>,
}

impl Clinic {
    /// The first start of a server.
    fn found(base: &Path) -> Result<Self> {
        let group = Group::ffdhe3072();
        let doctor: Identifier = "D1".parse()?;
        let data = DataDir::create_or_open(&base.join("doctor"), doctor.as_str())?;
        let store = setup::open_store(&data)?;
        let now = SystemClock.now();
        let identity = setup::found(&data, &store, &group, &doctor, now, &mut OsRandom)?;
        println!(
            "  D1 has ElGamal keys y = g^x mod p in {} (p has {} bits, g = 2)",
            group.name(),
            8 * group.element_len()
        );
        println!(
            "  the clinic's root, which patients pin: {}",
            fingerprint_groups(&identity.root.fingerprint())
        );
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (data, store, clock) = (Arc::new(data), Arc::new(store), Arc::new(SystemClock));
        let practice = Practice::open(data, store, identity, clock)?;
        let (server, events) = Server::start(listener, Arc::new(practice), Settings::default())?;
        println!("  D1 serves on {}", server.address());
        Ok(Self {
            group,
            server,
            events,
        })
    }

    /// The next event of the kind that `pick` wants; others are passed over.
    fn wait_for<T>(&self, what: &str, pick: impl Fn(DoctorEvent) -> Option<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self
                .events
                .recv_timeout(left)
                .map_err(|_| format!("the doctor waited in vain for {what}"))?;
            if let Some(found) = pick(event) {
                return Ok(found);
            }
        }
    }

    /// A ticket at the doctor's, then an enrolment over the network.
    fn enrol(&self, name: &str, through: SocketAddr, base: &Path) -> Result<(Files, Patient)> {
        let ticket = self.server.enrol(&name.parse()?, &through.to_string())?;
        let files = Files::create_or_open(&base.join("patient"), &enrol::name_of(&ticket))?;
        let config = Config::default();
        let enrolled = enrol::enrol(
            &files,
            &ticket,
            &ticket.address,
            &config,
            &SystemClock,
            &mut OsRandom,
        )?;
        let Enrolled::Now { check_code } = enrolled else {
            return Err("a new patient was enrolled before".into());
        };
        let seen = self.wait_for("an enrolment", |event| match event {
            DoctorEvent::Enrolled(_, code) => Some(code),
            _ => None,
        })?;
        check(
            seen == check_code,
            "patient and doctor see different check codes",
        )?;
        println!("  {name} enrols with a one-time ticket (opcode 90); both see the code {seen}");
        let patient = files.load(&mut OsRandom)?;
        Ok((files, patient))
    }

    /// Waits until so many devices have joined.
    fn wait_for_joins(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.wait_for("a patient", |event| {
                matches!(event, DoctorEvent::Joined { .. }).then_some(())
            })?;
        }
        Ok(())
    }

    /// Waits for receipts of a message, and gives who they are from.
    fn receipts(&self, message: u64, count: usize) -> Result<Vec<String>> {
        let mut names = Vec::new();
        while names.len() < count {
            names.push(self.wait_for("a receipt", |event| match event {
                DoctorEvent::Delivered(patient, number, _) if number == message => {
                    Some(patient.to_string())
                }
                _ => None,
            })?);
        }
        names.sort();
        Ok(names)
    }
}

/// A patient with the program's own client.
struct Running {
    client: Client,
    events: Receiver<PatientEvent>,
}

impl Running {
    fn wait_for<T>(&self, what: &str, pick: impl Fn(PatientEvent) -> Option<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self
                .events
                .recv_timeout(left)
                .map_err(|_| format!("a patient waited in vain for {what}"))?;
            if let Some(found) = pick(event) {
                return Ok(found);
            }
        }
    }

    /// The number and text of the next message.
    fn message(&self) -> Result<(u64, String)> {
        self.wait_for("a message", |event| match event {
            PatientEvent::Message(entry) => Some((entry.number, entry.message.text().to_owned())),
            _ => None,
        })
    }
}

/// The three patients with their sessions.
struct Online {
    first: Running,
    second: Running,
    third: OwnClient,
    epoch: u64,
}

impl Online {
    fn connect(clinic: &Clinic, tap: &Tap, patients: Vec<(Files, Patient)>) -> Result<Self> {
        let mut patients = patients.into_iter();
        let mut start = || -> Result<Running> {
            let (files, patient) = patients.next().ok_or("three patients were enrolled")?;
            let clock = Arc::new(SystemClock);
            let (client, events) =
                Client::start(Config::default(), Arc::new(files), patient, clock)?;
            let running = Running { client, events };
            running.wait_for("a session", |event| {
                matches!(event, PatientEvent::Connected { .. }).then_some(())
            })?;
            Ok(running)
        };
        let (first, second) = (start()?, start()?);
        let (_, third) = patients.next().ok_or("three patients were enrolled")?;
        let third = OwnClient::connect(tap.address, &third.identity, &third.doctor)?;
        clinic.wait_for_joins(3)?;
        let seen = tap.frames_from_patients();
        let has = |sub| {
            seen.iter()
                .any(|frame| (frame.opcode(), frame.sub()) == (opcode::KEY_VERIFICATION, sub))
        };
        check(
            has(sub::M1) && has(sub::M3),
            "no handshake went over the line",
        )?;
        println!("  P1, P2 and P3 each exchange KEY_VERIFICATION (opcode 10) with D1:");
        println!("    M1  timestamp, nonce, KEM to the doctor; sealed: certificate, signature");
        println!("    M2  timestamp, nonce, KEM to the patient; sealed: certificate, signature");
        println!("    M3  HMAC under the session key: it is the same on both sides");
        println!("  D1 confirms each with a SESSION_TOKEN (opcode 20)");
        for name in ["P1", "P2", "P3"] {
            let mut field = [0; 32];
            field[..2].copy_from_slice(name.as_bytes());
            check(
                !tap.has_seen(&field),
                "a patient's name went over the line in clear",
            )?;
        }
        println!("  the recording holds no patient's name or certificate");
        Ok(Self {
            first,
            second,
            third,
            epoch: 0,
        })
    }

    /// Three decrypt, three receipts, one person confirms.
    fn first_broadcast(&mut self, clinic: &Clinic, tap: &Tap) -> Result<Duration> {
        let begun = Instant::now();
        let Sent {
            number,
            devices,
            epoch,
            ..
        } = clinic.server.broadcast(FIRST, true)?;
        check(devices == 3, "the broadcast did not go to three devices")?;
        check(self.third.next_message()? == FIRST, "P3 reads another text")?;
        let names = clinic.receipts(number, 3)?;
        let took = begun.elapsed();
        println!("  GROUP_KEY (opcode 30): epoch {epoch}, computed from three session keys");
        println!("  ENC_MSG (opcode 40): \"{FIRST}\"");
        let (entry, text) = self.first.message()?;
        check(text == FIRST, "P1 reads another text")?;
        check(self.second.message()?.1 == FIRST, "P2 reads another text")?;
        check(
            !tap.has_seen(b"lot 4711"),
            "the text went over the line in clear",
        )?;
        println!(
            "  DEC_MSG (opcode 50): receipts of the devices of {}",
            names.join(", ")
        );
        self.first.client.confirm(&entry.to_string())?;
        let who = clinic.wait_for("a confirmation", |event| match event {
            DoctorEvent::Confirmed(patient, of) if of == number => Some(patient),
            _ => None,
        })?;
        check(who.as_str() == "P1", "another patient than P1 confirmed")?;
        println!("  ACK (opcode 51): {who} has read it and confirms, signed");
        self.epoch = epoch;
        Ok(took)
    }

    /// One leaves: a new key, and the old one opens nothing any more.
    fn one_leaves(&mut self, clinic: &Clinic, tap: &Tap) -> Result<()> {
        self.third.leave()?;
        clinic.wait_for("a departure", |event| match event {
            DoctorEvent::Left(patient, _) if patient.as_str() == "P3" => Some(()),
            _ => None,
        })?;
        println!("  P3 leaves (DISCONNECT, opcode 60)");
        let Sent {
            number,
            devices,
            epoch,
            ..
        } = clinic.server.broadcast(SECOND, true)?;
        check(epoch > self.epoch, "the group key did not change")?;
        check(devices == 2, "the broadcast did not go to two devices")?;
        let names = clinic.receipts(number, 2)?;
        check(self.first.message()?.1 == SECOND, "P1 reads another text")?;
        check(self.second.message()?.1 == SECOND, "P2 reads another text")?;
        println!(
            "  GROUP_KEY again: epoch {epoch}; the next broadcast reaches {}",
            names.join(" and ")
        );
        let recorded: Vec<Frame> = tap
            .frames_from_doctor()
            .into_iter()
            .filter(|frame| frame.opcode() == opcode::ENC_MSG)
            .collect();
        let last = recorded.last().ok_or("no broadcast was recorded")?;
        check(!self.third.can_open(last), "P3 can still read broadcasts")?;
        println!("  P3 gets the recorded frame and tries the old key on it: it does not open");
        self.epoch = epoch;
        Ok(())
    }

    fn everyone_is_disconnected(self, clinic: &Clinic) -> Result<()> {
        let ended = clinic.server.disconnect_all();
        check(ended == 2, "not two sessions were ended")?;
        for patient in [&self.first, &self.second] {
            let reason = patient.wait_for("the end", |event| match event {
                PatientEvent::Stopped(stopped) => Some(stopped),
                _ => None,
            })?;
            check(
                matches!(reason, Stopped::Ended(DisconnectReason::EndedByDoctor)),
                "a patient did not learn that the doctor ended the session",
            )?;
        }
        check(
            clinic.server.connected().is_empty(),
            "somebody is still connected",
        )?;
        println!("  D1 disconnects all (opcode 60); P1 and P2 are told that the doctor did");
        Ok(())
    }
}

/// Somebody with a certificate of a clinic of his own.
fn a_stranger(clinic: &Clinic) -> Result<()> {
    let now = SystemClock.now();
    let (_, other): (SignSecret, DoctorIdentity) =
        found_clinic(&clinic.group, &"D1".parse()?, now, &mut OsRandom);
    let signing = SignSecret::generate(&clinic.group, &mut OsRandom);
    let encryption = KemSecret::generate(&clinic.group, &mut OsRandom);
    let certificate = other.certify(
        &"P1".parse()?,
        signing.verifying_key().clone(),
        encryption.public().clone(),
        now,
        &mut OsRandom,
    );
    let stranger =
        PatientIdentity::new(certificate, other.certificate.clone(), signing, encryption)
            .ok_or("the stranger's keys do not fit the certificate")?;
    let mut line = Line::connect(clinic.server.address())?;
    let bundle = line.ask_who()?;
    let root = clinic.server.root_fingerprint();
    let doctor = KnownDoctor::first_contact(&bundle, &root, &"D1".parse()?, now, &mut OsRandom)?;
    let (m1, state) = begin(&stranger, &doctor, SystemClock.now(), &mut OsRandom);
    line.send(&m1)?;
    // A server that has just started asks for a proof of freshness first.
    if let Ok(answer) = line.receive() {
        let now = SystemClock.now();
        let Ok(Step::Retry(m1, _)) =
            state.on_frame(&stranger, &doctor, &answer, now, &mut OsRandom)
        else {
            return Err("a stranger was answered".into());
        };
        line.send(&m1)?;
        check(line.receive().is_err(), "a stranger was answered")?;
    }
    let reason = clinic.wait_for("a refusal", |event| match event {
        DoctorEvent::Refused(_, reason) => Some(reason),
        _ => None,
    })?;
    println!("  a stranger with a certificate of his own: closed without a word");
    println!("    D1 is told: \"{reason}\"");
    Ok(())
}

/// Somebody who sends recorded first messages again.
fn a_replay(clinic: &Clinic, tap: &Tap) -> Result<()> {
    let recorded: Vec<Frame> = tap
        .frames_from_patients()
        .into_iter()
        .filter(|frame| (frame.opcode(), frame.sub()) == (opcode::KEY_VERIFICATION, sub::M1))
        .collect();
    check(!recorded.is_empty(), "no first message was recorded")?;
    let before = clinic.server.connected().len();
    for m1 in &recorded {
        let mut line = Line::connect(clinic.server.address())?;
        line.send(m1)?;
        if let Ok(answer) = line.receive() {
            check(
                (answer.opcode(), answer.sub()) == (opcode::KEY_VERIFICATION, sub::RETRY),
                "a recorded first message was accepted",
            )?;
            line.send(m1)?;
            check(
                line.receive().is_err(),
                "a recorded first message was accepted",
            )?;
        }
    }
    check(
        clinic.server.connected().len() == before,
        "a replay changed who is connected",
    )?;
    println!(
        "  {} recorded first messages sent again: none is accepted, nobody joins",
        recorded.len()
    );
    Ok(())
}
