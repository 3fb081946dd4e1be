//! Time: what has expired, and clocks that are off. The program under test has
//! the system's clock; the other side runs inside the test, in another time.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::doctor::correspondence;
use telemed::doctor::event::Event;
use telemed::doctor::practice::Practice;
use telemed::doctor::server::Server;
use telemed::doctor::setup;
use telemed::doctor::shared::Settings;
use telemed::doctor::tickets;
use telemed::elgamal::Group;
use telemed::identity::data_dir::DataDir;
use telemed::identity::id::Identifier;
use telemed::identity::ticket::Ticket;
use telemed::patient::client::Client;
use telemed::patient::config::Config;
use telemed::patient::enrol::{self, name_of};
use telemed::patient::event::Event as PatientEvent;
use telemed::patient::files::{Files, Name};
use telemed::patient::history::Item;
use telemed::random::OsRandom;

use crate::clinic::{Clinic, files};
use crate::process::{Running, run};

const MINUTE: Duration = Duration::from_secs(60);
/// Ten minutes and a bit.
const OFF: Duration = Duration::from_secs(630);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that is off.
#[derive(Clone, Copy)]
struct Off {
    by: Duration,
    ahead: bool,
}

const fn ahead(by: Duration) -> Off {
    Off { by, ahead: true }
}

const fn behind(by: Duration) -> Off {
    Off { by, ahead: false }
}

impl Clock for Off {
    fn now(&self) -> Timestamp {
        match self.ahead {
            true => SystemClock.now().plus(self.by),
            false => SystemClock.now().minus(self.by),
        }
    }
}

fn id(name: &str) -> Identifier {
    name.parse().unwrap()
}

/// A server in this process, in its own time, on `clinic`'s files.
fn serve(clinic: &Clinic, clock: Off, settings: Settings) -> (Server, Receiver<Event>) {
    let directory = DataDir::create_or_open(&clinic.path("doctor"), "D1").unwrap();
    let store = setup::open_store(&directory).unwrap();
    let (group, now) = (Group::ffdhe2048(), clock.now());
    let identity = if setup::is_new(&store).unwrap() {
        setup::found(&directory, &store, &group, &id("D1"), now, &mut OsRandom)
    } else {
        setup::load(&directory, &store, now, &mut OsRandom)
    };
    let practice = Practice::open(
        Arc::new(directory),
        Arc::new(store),
        identity.unwrap(),
        Arc::new(clock),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::start(listener, Arc::new(practice.unwrap()), settings).unwrap()
}

fn ticket(server: &Server, patient: &str) -> Ticket {
    let address = server.address().to_string();
    server.enrol(&id(patient), &address).unwrap()
}

/// Enrols a patient in this process, in her own time.
fn enrol_at(clinic: &Clinic, ticket: &Ticket, clock: Off) {
    let name = name_of(ticket);
    let files = Files::create_or_open(&clinic.path(name.patient.as_str()), &name).unwrap();
    let config = Config::default();
    enrol::enrol(
        &files,
        ticket,
        &ticket.address,
        &config,
        &clock,
        &mut OsRandom,
    )
    .unwrap();
}

/// Connects a patient in this process, in her own time.
fn connect_at(clinic: &Clinic, patient: &str, clock: Off) -> (Client, Receiver<PatientEvent>) {
    let name = Name {
        patient: id(patient),
        doctor: id("D1"),
    };
    let files = Files::open_existing(&clinic.path(patient), &name).unwrap();
    let patient = files.load(&mut OsRandom).unwrap();
    Client::start(Config::default(), Arc::new(files), patient, Arc::new(clock)).unwrap()
}

#[test]
fn certificates_that_have_ended_are_named_and_lead_on() {
    let clinic = Clinic::new();
    let last_year = behind(DAY * 400);
    let (server, _events) = serve(&clinic, last_year, Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), last_year);
    let before = files(&clinic.path("P1"));
    run(clinic.patient("P1", &[])).code(4).complains(&[
        "this device's certificate cannot be used now: the certificate ended on ",
        "set this device's clock if it is wrong; if not:",
        "at the doctor's: doctor enrol P1",
        "then here:       patient --data '",
    ]);
    assert_eq!(files(&clinic.path("P1")), before);
    drop(server);
    let before = files(&clinic.doctor_files());
    run(clinic.doctor(&["--listen", "127.0.0.1:0", "serve"]))
        .code(4)
        .complains(&["doctor D1 cannot serve: the certificate ended on "])
        .complains(&[
            "check this machine's date and time",
            "--id D1 authority renew --root '",
        ]);
    assert_eq!(files(&clinic.doctor_files()), before);
    // That is what helps, and all that helps.
    clinic
        .command(&["authority", "show"])
        .code(0)
        .says("has ended on ");
    clinic
        .command(&["authority", "renew"])
        .code(0)
        .says("nobody needs a new ticket");
    let _serving = clinic.as_service();
    clinic
        .command(&["authority", "show"])
        .code(0)
        .never_says("has ended");
}

#[test]
fn both_sides_are_reminded_a_month_before_a_certificate_ends() {
    let clinic = Clinic::new();
    let eleven_months_ago = behind(DAY * 340);
    let (server, _events) = serve(&clinic, eleven_months_ago, Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), eleven_months_ago);
    drop(server);
    let mut doctor = clinic.as_service();
    doctor
        .program
        .expect("the certificate of doctor D1 ends on ");
    doctor.program.expect(" --id D1 authority renew --root '");
    clinic
        .command(&["list"])
        .code(0)
        .says(" --id D1 authority renew --root '");
    let reminder = "Note: this device's certificate ends on ";
    let mut patient = Running::start(clinic.patient("P1", &["--connect", &doctor.address]));
    patient.expect("Connected to doctor D1.");
    patient.expect(reminder);
    run(clinic.patient("P1", &["status"]))
        .code(0)
        .says(reminder)
        .says("Ask the doctor for a new ticket");
    patient.close_input();
    patient.finish().code(0);

    clinic.command(&["authority", "renew"]).code(0);
    clinic.command(&["list"]).code(0).never_says("Renew it");
    clinic.enrol("P1");
    let patient = clinic.connect("P1");
    run(clinic.patient("P1", &["status"]))
        .code(0)
        .says("Connected to doctor D1.")
        .never_says("certificate");
    drop(patient);
}

#[test]
fn with_a_certificate_that_has_ended_all_that_is_on_file_can_be_read_and_saved() {
    let clinic = Clinic::new();
    let last_year = behind(DAY * 400);
    let (server, _events) = serve(&clinic, last_year, Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), last_year);
    drop(server);
    let backup = clinic.path("a.backup");
    let backup = backup.to_str().unwrap();
    for line in [
        &["recovery-code"][..],
        &["backup", backup],
        &["backup", "verify", backup],
        &["patients", "add", "P1", "--name", "Ada"],
        &["patients", "show", "P1"],
        &["patients", "list"],
        &["history", "P1"],
        &["inbox"],
        &["deliveries"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "export", "-"],
        &["purge", "--older-than", "10y", "--dry-run"],
    ] {
        clinic.command(line).code(0);
    }
    clinic.command(&["patients", "show", "P1"]).says("Ada");
    clinic
        .command(&["enrol", "P2", "--public-address", "127.0.0.1:7400"])
        .code(1)
        .complains(&["nobody can enrol with", "the certificate ended on "]);
}

#[test]
fn a_certificate_from_the_future_means_a_wrong_clock() {
    let clinic = Clinic::new();
    let next_year = ahead(DAY * 300);
    let (server, _events) = serve(&clinic, next_year, Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), next_year);
    run(clinic.patient("P1", &[])).code(4).complains(&[
        "the certificate is valid only from ",
        "set this device's clock, it seems to be wrong",
    ]);
    drop(server);
    run(clinic.doctor(&["--listen", "127.0.0.1:0", "serve"]))
        .code(4)
        .complains(&["doctor D1 cannot serve: the certificate is valid only from "])
        .complains(&["check this machine's date and time"]);
}

#[test]
fn an_expired_ticket_is_refused_before_anything_is_made_with_it() {
    let clinic = Clinic::new();
    // The doctor's certificate must hold then and now.
    let last_week = behind(DAY * 7);
    let (server, _events) = serve(&clinic, last_week, Settings::default());
    let old = ticket(&server, "P1").to_text();
    drop(server);
    let mut doctor = clinic.with_menu();
    let address = doctor.address.clone();
    run(clinic.patient("P1", &["enrol", &old, "--connect", &address]))
        .code(5)
        .complains(&[
            "the ticket expired on ",
            "this device's clock says ",
            "ask the doctor for a new ticket, or set the clock if it is wrong",
        ]);
    doctor.program.type_lines(&["1"]);
    doctor.program.expect("Nobody is connected.");
    clinic.enrol("P1");
    clinic.connect("P1");
}

#[test]
fn a_ticket_that_has_expired_by_the_doctors_clock_is_refused_by_her() {
    let clinic = Clinic::new();
    let (server, _events) = serve(&clinic, behind(Duration::ZERO), Settings::default());
    let fresh = ticket(&server, "P1").to_text();
    drop(server);
    let (server, events) = serve(&clinic, ahead(tickets::LIFETIME * 2), Settings::default());
    let address = server.address().to_string();
    run(clinic.patient("P1", &["enrol", &fresh, "--connect", &address]))
        .code(5)
        .complains(&[
            "the doctor refuses: the ticket has expired",
            "ask the doctor for a new ticket",
        ]);
    drop(server);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Refused(..)))
    );
}

#[test]
fn a_clock_that_is_off_is_told_to_both() {
    let clinic = Clinic::new();
    let (server, events) = serve(&clinic, ahead(OFF), Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), behind(Duration::ZERO));
    run(clinic.patient("P1", &[]))
        .code(0)
        .says("Connected to doctor D1.")
        .says("Note: this device's clock is 10 min behind the doctor's; one of them is wrong.");
    run(clinic.patient("P1", &["--tolerance", "700"]))
        .code(0)
        .never_says("clock");
    drop(server);
    let off = events
        .iter()
        .find_map(|event| match event {
            Event::Joined { clock_off, .. } => clock_off,
            _ => None,
        })
        .unwrap();
    assert!(off.abs_diff(OFF) < MINUTE, "{off:?}");

    // And with the doctor's program.
    let mut doctor = clinic.serve_at("127.0.0.1:0", &[]);
    enrol_at(
        &clinic,
        &clinic.ticket("P2").parse().unwrap(),
        behind(Duration::ZERO),
    );
    let (client, events) = connect_at(&clinic, "P2", ahead(OFF));
    doctor
        .program
        .expect("P2 is connected; the device's clock is off by 10 min.");
    let connected = events.iter().find_map(|event| match event {
        PatientEvent::Connected { clock, .. } => clock,
        _ => None,
    });
    assert!(connected.unwrap().ahead);
    client.leave();
    doctor.program.expect("P2 has left.");
}

#[test]
fn a_strict_doctor_refuses_a_clock_that_is_off() {
    let clinic = Clinic::new();
    let strict = Settings {
        strict_clock: true,
        ..Settings::default()
    };
    let (server, _events) = serve(&clinic, ahead(OFF), strict);
    enrol_at(&clinic, &ticket(&server, "P1"), behind(Duration::ZERO));
    run(clinic.patient("P1", &[])).code(4).complains(&[
        "the doctor refuses: this device's clock is wrong, by hers it is ",
        "set this device's clock, then start the program again",
    ]);
}

/// The files of a patient in this process.
fn files_of(clinic: &Clinic, patient: &str) -> Files {
    let name = Name {
        patient: id(patient),
        doctor: id("D1"),
    };
    Files::open_existing(&clinic.path(patient), &name).unwrap()
}

/// What was said, in order, as the doctor has it and as the patient has it.
fn histories(clinic: &Clinic, server: &Server, patient: &str) -> [Vec<String>; 2] {
    let request = correspondence::Request::History {
        patient: patient.to_owned(),
        last: None,
    };
    let doctor = match correspondence::answer(server.practice(), &request).unwrap() {
        correspondence::Answer::History { letters, .. } => letters,
        other => panic!("{other:?}"),
    };
    let patient = files_of(clinic, patient).history(1_000).unwrap();
    let patient = patient.into_iter().filter_map(|item| match item {
        Item::Received(entry) => Some(entry.message.text().to_owned()),
        Item::Sent(written) => Some(written.message.text().to_owned()),
        Item::Damaged(damaged) => panic!("{damaged}"),
        Item::Begins(_) | Item::Ends(_) => None,
    });
    let doctor = doctor.into_iter().filter_map(|letter| letter.text);
    [doctor.collect(), patient.collect()]
}

#[test]
fn both_have_the_same_history_however_the_clocks_are_set_and_whatever_crossed() {
    let clinic = Clinic::new();
    let (server, _events) = serve(&clinic, behind(Duration::ZERO), Settings::default());
    for (patient, clock) in [("P1", ahead(OFF)), ("P2", behind(OFF))] {
        enrol_at(&clinic, &ticket(&server, patient), behind(Duration::ZERO));
        // What falls into one millisecond has no order.
        let tick = || {
            let now = behind(Duration::ZERO).now();
            while behind(Duration::ZERO).now() <= now {
                std::hint::spin_loop();
            }
        };
        let tell = |text: &str| {
            tick();
            server.message(&id(patient), text).unwrap()
        };
        let until = |events: &Receiver<PatientEvent>, texts: &[&str], arriving: usize| {
            let (mut come, mut arrived) = (0, 0);
            while come < texts.len() || arrived < arriving {
                match events.recv_timeout(MINUTE).unwrap() {
                    PatientEvent::Message(entry) if texts.contains(&entry.message.text()) => {
                        come += 1;
                    }
                    PatientEvent::Delivered(_) => arrived += 1,
                    _ => {}
                }
            }
        };
        let (client, events) = connect_at(&clinic, patient, clock);
        client.send("it hurts", None).unwrap();
        until(&events, &[], 1);
        tell("where?");
        until(&events, &["where?"], 0);
        client.send("here", None).unwrap();
        until(&events, &[], 1);
        client.leave();
        drop(client);
        // Each writes without having read what the other does.
        tell("is it better?");
        let files = files_of(&clinic, patient);
        for text in ["it is worse", "much worse"] {
            tick();
            files.outbox().write(text, None, clock.now()).unwrap();
        }
        drop(files);
        tell("take two");
        let (client, events) = connect_at(&clinic, patient, clock);
        until(&events, &["is it better?", "take two"], 2);
        client.leave();
        drop((client, events));
        let [of_doctor, of_patient] = histories(&clinic, &server, patient);
        assert_eq!(of_doctor, of_patient, "{patient}");
        let expected = [
            "it hurts",
            "where?",
            "here",
            "is it better?",
            "take two",
            "it is worse",
            "much worse",
        ];
        assert_eq!(of_doctor, expected, "{patient}");
    }
}

#[test]
fn what_is_old_is_purged_but_for_what_somebody_waits_for() {
    let clinic = Clinic::new();
    let clock = behind(DAY * 3);
    let (server, _events) = serve(&clinic, clock, Settings::default());
    enrol_at(&clinic, &ticket(&server, "P1"), clock);
    let (client, events) = connect_at(&clinic, "P1", clock);
    for text in ["it hurts", "much worse"] {
        client.send(text, None).unwrap();
        let delivered = |event: PatientEvent| matches!(event, PatientEvent::Delivered(_));
        while !delivered(events.recv_timeout(MINUTE).unwrap()) {}
    }
    client.leave();
    drop((client, events));
    server.message(&id("P1"), "take two").unwrap();
    let shown = correspondence::Request::Shown { numbers: vec![1] };
    correspondence::answer(server.practice(), &shown).unwrap();
    drop(server);
    let purge = ["purge", "--older-than", "1d"];
    let kept = "2 messages and notes are kept: not delivered, not confirmed, not read, or of an \
                open\nconsultation.";
    clinic
        .command(&[&purge[..], &["--dry-run"]].concat())
        .code(0)
        .says("messages: 0\n  messages from patients: 1\n")
        .says(kept);
    clinic
        .command(&[&purge[..], &["--yes", "--json"]].concat())
        .code(0)
        .says("\"messages\":0,\"incoming\":1,")
        .says("\"kept\":2,");
    clinic
        .command(&[&purge[..], &["--yes"]].concat())
        .code(0)
        .says("There is nothing to delete")
        .says(kept);
    clinic
        .command(&["deliveries", "1"])
        .code(0)
        .says("take two");
    let audit = clinic.command(&["audit", "list"]).code(0);
    audit
        .says("messages read")
        .says("deliveries, message 1 (")
        .says("message from the patient 1 (");
    clinic
        .command(&["inbox"])
        .code(0)
        .says("much worse")
        .never_says("it hurts");
}
