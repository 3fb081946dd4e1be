//! A node in a process of its own, which is killed.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use telemed::doctor::post::{Letter, Recipients};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::protocol::message::MessageId;
use telemed::random::OsRandom;
use tempfile::TempDir;

use super::{connect_to, two};
use crate::support::postgres::Schema;
use crate::support::{Arrived, Practice, Session, eventually};

const NODE: &str = "TELEMED_TEST_NODE";

/// Not a test: the program of a node that another test starts and kills. It sends
/// each line to the clinic, and says when that is done.
#[test]
#[ignore = "a node for another test"]
fn a_node_in_a_process_of_its_own() {
    let Ok(base) = env::var(NODE) else { return };
    let url = env::var("TELEMED_TEST_NODE_STORE").unwrap();
    let store = Arc::new(crate::support::postgres::open(&url, "D2"));
    let practice = Practice::at(Path::new(&base), "D2", store);
    println!("at {}", practice.address());
    for line in io::stdin().lines() {
        let line = line.unwrap();
        let letter = Letter::new(Recipients::Clinic, &line);
        practice.server().send(&letter).unwrap();
        println!("sent {line}");
    }
}

struct Node {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Node {
    fn start(schema: &Schema, base: &TempDir) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "nodes::killed::a_node_in_a_process_of_its_own"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(NODE, base.path())
            .env("TELEMED_TEST_NODE_STORE", schema.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said(&mut output, "at ").unwrap();
        Self {
            address: address.parse().unwrap(),
            child,
            input,
            output,
        }
    }
}

/// The rest of the next line that begins so.
fn said(lines: &mut Lines<BufReader<ChildStdout>>, with: &str) -> Option<String> {
    lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once(with).map(|(_, rest)| rest.to_owned()))
}

/// All patients have the same messages: each id with one text.
fn keep(kept: &mut BTreeMap<String, MessageId>, arrived: &Arrived) {
    let known = kept.entry(arrived.text.clone()).or_insert(arrived.id);
    assert_eq!(*known, arrived.id, "{} under two names", arrived.text);
}

#[test]
fn a_node_that_is_killed_in_a_broadcast_loses_nothing_and_says_nothing_twice() {
    const ROUNDS: u64 = 4;
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2", "P3", "P4"]);
    let papers = second.papers();
    let base = second.into_base();
    let mut kept: [BTreeMap<String, MessageId>; 4] = Default::default();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut node = Node::start(&schema, &base);
        let mut sessions: Vec<Session> = Vec::new();
        for (number, person) in people.iter_mut().enumerate() {
            if number < 2 {
                sessions.push(connect_to(person, &first));
            } else {
                let bundle = papers.bundle(person.now());
                let root = papers.root.fingerprint();
                let (name, now) = (papers.identifier(), person.now());
                person.doctor =
                    KnownDoctor::first_contact(&bundle, &root, name, now, &mut OsRandom).unwrap();
                sessions.push(person.connect(node.address));
            }
        }
        let lines: String = (0..20).map(|line| format!("{round}.{line}\n")).collect();
        node.input.write_all(lines.as_bytes()).unwrap();
        for _ in 0..=3 * round {
            acknowledged.push(said(&mut node.output, "sent ").unwrap());
        }
        // SIGKILL.
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        while let Some(line) = said(&mut node.output, "sent ") {
            acknowledged.push(line);
        }
        let count = usize::try_from(first.store.newest_message().unwrap()).unwrap();
        for (number, session) in sessions.iter_mut().enumerate() {
            if number < 2 {
                while kept[number].len() < count {
                    keep(&mut kept[number], &session.message());
                }
            } else {
                for arrived in session.closed() {
                    keep(&mut kept[number], &arrived);
                }
            }
        }
        drop(sessions);
        // The others go on at the node that is left.
        for (person, kept) in people.iter_mut().zip(&mut kept).skip(2) {
            let mut session = connect_to(person, &first);
            while kept.len() < count {
                keep(kept, &session.message());
            }
            session.sync(first.now());
            session.leave();
        }
        for text in &acknowledged {
            assert!(kept.iter().all(|kept| kept.contains_key(text)), "{text}");
        }
        eventually("everything has arrived", || {
            first.store.missing_counts(None).unwrap().is_empty()
        });
    }
    assert!(acknowledged.len() >= 22, "{}", acknowledged.len());
    assert!(kept.iter().all(|each| *each == kept[0]));
}
