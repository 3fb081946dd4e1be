//! What strangers can do to a server that serves 200 patients: 16 addresses
//! that send first messages as fast as they can, 4 that ask to resume or for the
//! papers and prove nothing, 500 connections that say nothing and 64 that say a
//! byte a second, all at once and from a process of their own.
//!
//! `cargo bench --bench flood`; docs/threat-model.md has the figures of one
//! machine. Keys of 2048 bits.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Person, Practice, Session, Wire};
use telemed::elgamal::Group;
use telemed::framing::Frame;
use telemed::handshake::patient::certificate_request;
use telemed::hex;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::sub;

/// Patients who are connected all the time.
const PATIENTS: u8 = 200;
/// Addresses of strangers.
const ADDRESSES: u8 = 16;
/// Addresses of strangers who send no first message.
const ASKING: u8 = 4;
/// Connections that say nothing.
const SILENT: usize = 500;
/// Connections that say a byte a second.
const DRIPPING: usize = 64;
/// How often each thing is measured.
const ROUNDS: u8 = 20;
/// How long strangers do what they do before it is measured, and after.
const FLOOD: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, word, server, m1] if word == "flood" => {
            strangers(server.parse().unwrap(), &hex::decode(m1).unwrap());
        }
        // `cargo test --benches` only wants to see that it compiles.
        other if other.iter().any(|argument| argument == "--bench") => measure(),
        _ => {}
    }
}

fn measure() {
    let practice = Practice::with_database(&Group::ffdhe2048());
    let papers = practice.papers();
    let people: Vec<Person> = (1..=PATIENTS)
        .map(|number| {
            let mut person = practice.admit_with(&papers, &format!("P{number}"));
            person.from = Some(IpAddr::V4(Ipv4Addr::new(127, 1, 0, number)));
            person
        })
        .collect();
    let mut sessions = Vec::new();
    for mut person in people {
        sessions.push(person.connect(practice.address()));
        stay(&mut sessions, Duration::ZERO);
    }
    let mut guest = practice.admit_with(&papers, "guest");
    let quiet = Figures::take(&practice, &mut sessions, &mut guest);

    let heard = practice.server().first_messages_heard();
    let mut flood = begin(&practice, &guest);
    stay(&mut sessions, FLOOD);
    let flooded = Figures::take(&practice, &mut sessions, &mut guest);
    stay(&mut sessions, FLOOD);
    let lasted = FLOOD * 2 + flooded.took;
    let memory = memory();
    drop(flood.stdin.take());
    let mut sent = String::new();
    flood
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut sent)
        .unwrap();
    flood.wait().unwrap();
    let heard = practice.server().first_messages_heard() - heard - u64::from(ROUNDS);

    println!("| | quiet | flooded |\n| --- | ---: | ---: |");
    let row = |name: &str, figure: fn(&Figures) -> String| {
        println!("| {name} | {} | {} |", figure(&quiet), figure(&flooded));
    };
    row("a patient gets in, median", |f| in_ms(f.entry.0));
    row("a patient gets in, slowest of 20", |f| in_ms(f.entry.1));
    row("broadcast until all 200 have it, median", |f| {
        in_ms(f.broadcast.0)
    });
    row("broadcast until all 200 have it, slowest of 20", |f| {
        in_ms(f.broadcast.1)
    });
    row("resident memory, server and 200 clients", |f| {
        format!("{} MiB", f.memory)
    });
    println!("resident memory at the end: {memory} MiB");
    println!(
        "strangers: {} in {:.0} s; first messages of theirs that were looked at: {heard}",
        sent.trim(),
        lasted.as_secs_f64()
    );
}

/// What was measured, each as median and slowest.
struct Figures {
    entry: (Duration, Duration),
    broadcast: (Duration, Duration),
    memory: u64,
    took: Duration,
}

impl Figures {
    fn take(practice: &Practice, sessions: &mut [Session], guest: &mut Person) -> Self {
        let begun = Instant::now();
        let entries = (1..=ROUNDS).map(|number| {
            stay(sessions, Duration::ZERO);
            guest.from = Some(IpAddr::V4(Ipv4Addr::new(127, 2, 0, number)));
            let begun = Instant::now();
            let session = guest.connect(practice.address());
            let took = begun.elapsed();
            session.wire.cut();
            practice.wait_for_members(PATIENTS.into());
            took
        });
        let entry = median_and_slowest(entries.collect());
        let broadcasts = (0..ROUNDS).map(|number| {
            let text = format!("broadcast {number}");
            let begun = Instant::now();
            let sent = practice.server().broadcast(&text, false).unwrap();
            for session in &mut *sessions {
                session.message();
            }
            let took = begun.elapsed();
            practice.wait_for_state(sent.number, "P1", "delivered");
            took
        });
        let broadcast = median_and_slowest(broadcasts.collect());
        Self {
            entry,
            broadcast,
            memory: memory(),
            took: begun.elapsed(),
        }
    }
}

/// Keeps the sessions alive for so long.
fn stay(sessions: &mut [Session], time: Duration) {
    let until = Instant::now() + time;
    loop {
        sessions.iter_mut().for_each(Session::beat);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(Duration::from_secs(5)));
    }
}

fn median_and_slowest(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

fn in_ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// Resident memory of this process in MiB (proc(5)).
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

/// Starts the strangers, with a first message that looks valid: it costs the
/// server an exponentiation, and does not open.
fn begin(practice: &Practice, guest: &Person) -> Child {
    let mut m1 = guest.first_message().0.into_bytes();
    let last = m1.len() - 1;
    m1[last] ^= 1;
    Command::new(std::env::current_exe().unwrap())
        .args(["flood", &practice.address().to_string(), &hex::encode(&m1)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn stranger(number: usize) -> IpAddr {
    let number = u8::try_from(number % usize::from(ADDRESSES)).unwrap();
    IpAddr::V4(Ipv4Addr::new(127, 9, 0, 1 + number))
}

/// Floods the server until standard input ends; says how often it tried.
fn strangers(server: SocketAddr, m1: &[u8]) {
    let m1 = m1.to_vec();
    let sent = Arc::new(AtomicU64::new(0));
    for number in 0..usize::from(ADDRESSES) {
        let (m1, sent) = (m1.clone(), Arc::clone(&sent));
        thread::spawn(move || {
            loop {
                let mut wire = Wire::dial_from(server, stranger(number));
                wire.send_bytes(&m1);
                let _ = wire.stream().read(&mut [0]);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let element = vec![1; Group::ffdhe2048().element_len()];
    let unproved = [&[7; 8 + 32 + 32][..], &element, &[7; 64]].concat();
    let resume = Frame::new(KEY_VERIFICATION, sub::RESUME, &unproved);
    let asked = Arc::new(AtomicU64::new(0));
    for number in 0..ASKING {
        let frame = match number % 2 {
            0 => resume.clone(),
            _ => certificate_request(),
        };
        let asked = Arc::clone(&asked);
        thread::spawn(move || {
            loop {
                let own = IpAddr::V4(Ipv4Addr::new(127, 9, 1, 1 + number));
                let mut wire = Wire::dial_from(server, own);
                wire.send(&frame);
                let _ = wire.stream().read(&mut [0]);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for number in 0..DRIPPING {
        let m1 = m1.clone();
        thread::spawn(move || {
            loop {
                let mut wire = Wire::dial_from(server, stranger(number));
                // Whoever was hung up on notices at one of the next bytes.
                for byte in m1.iter().take(30) {
                    wire.send_bytes(&[*byte]);
                    thread::sleep(Duration::from_secs(1));
                }
            }
        });
    }
    thread::spawn(move || {
        let mut silent: Vec<Wire> = Vec::new();
        loop {
            silent.retain(|wire| {
                wire.stream().set_nonblocking(true).unwrap();
                let read = wire.stream().read(&mut [0]);
                read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
            });
            while silent.len() < SILENT {
                silent.push(Wire::dial_from(server, stranger(silent.len())));
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    let sent = sent.load(Ordering::Relaxed);
    let asked = asked.load(Ordering::Relaxed);
    let said = format!("{sent} first messages, {asked} requests\n");
    std::io::stdout().write_all(said.as_bytes()).unwrap();
    std::process::exit(0);
}
