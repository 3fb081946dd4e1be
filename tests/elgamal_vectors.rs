//! ElGamal against an implementation that shares nothing with it,
//! `tests/vectors/elgamal.py`: its vectors here, ours there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/skip.rs"]
mod skip;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use skip::skip;
use telemed::elgamal::{Element, Group, KemSecret, SignSecret, VerifyingKey};
use telemed::kdf::{Label, label};
use telemed::random::{OsRandom, Random};

/// One block of the file: names and values.
struct Vector<'a>(HashMap<&'a str, &'a str>);

impl<'a> Vector<'a> {
    fn parse(block: &'a str) -> Option<Self> {
        let lines = block.lines().filter(|line| !line.starts_with('#'));
        let fields: HashMap<_, _> = lines
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        (!fields.is_empty()).then_some(Self(fields))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let hex = self.0[name];
        (0..hex.len())
            .step_by(2)
            .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap())
            .collect()
    }

    fn group(&self) -> Group {
        [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()]
            .into_iter()
            .find(|group| group.name() == self.0["group"])
            .unwrap()
    }

    fn domain(&self) -> Label {
        [label::SIG_M1, label::SIG_M2]
            .into_iter()
            .find(|label| label.encoded()[1..] == *self.0["domain"].as_bytes())
            .unwrap()
    }

    fn is_valid(&self) -> bool {
        self.0["valid"] == "yes"
    }

    fn check(&self) {
        match self.0["kind"] {
            "group" => {
                assert_eq!(self.group().modulus_bytes(), self.bytes("prime"));
                assert_eq!(self.group().id()[..], self.bytes("id"));
            }
            "element" => {
                let value = self.bytes("value");
                let element = Element::from_bytes(&self.group(), &value);
                let key = VerifyingKey::from_bytes(&self.group(), &value);
                assert_eq!(element.is_ok(), self.is_valid(), "{}", self.0["note"]);
                assert_eq!(key.is_ok(), self.is_valid(), "{}", self.0["note"]);
            }
            "signature" => self.check_signature(),
            "encapsulation" => {
                let group = self.group();
                let secret = KemSecret::from_bytes(&group, &self.bytes("secret")).unwrap();
                let theirs = Element::from_bytes(&group, &self.bytes("theirs")).unwrap();
                assert_eq!(secret.public().as_bytes(), self.bytes("public"));
                assert_eq!(secret.agree(&theirs).expose(), self.bytes("shared"));
            }
            kind => panic!("a vector of the unknown kind {kind}"),
        }
    }

    fn check_signature(&self) {
        let group = self.group();
        let (message, signature) = (self.bytes("message"), self.bytes("signature"));
        let key = VerifyingKey::from_bytes(&group, &self.bytes("key")).unwrap();
        let found = key.verify(self.domain(), &[&message], &signature);
        assert_eq!(found.is_ok(), self.is_valid(), "{}", self.0["note"]);
        if self.is_valid() {
            let secret = SignSecret::from_bytes(&group, &self.bytes("secret")).unwrap();
            assert!(*secret.verifying_key() == key);
            let mut random = Replay(self.bytes("fresh"));
            let (front, back) = message.split_at(message.len() / 3);
            let ours = secret.sign(self.domain(), &[front, back], &mut random);
            assert_eq!(ours, signature);
        }
    }
}

/// Gives the bytes it holds first, then fresh ones: a signature depends on the
/// former only, the blinding on the latter.
struct Replay(Vec<u8>);

impl Random for Replay {
    fn fill(&mut self, bytes: &mut [u8]) {
        if self.0.len() == bytes.len() {
            bytes.copy_from_slice(&self.0);
            self.0.clear();
        } else {
            OsRandom.fill(bytes);
        }
    }
}

#[test]
fn vectors_made_elsewhere_are_reproduced() {
    let vectors: Vec<_> = include_str!("vectors/elgamal.txt")
        .split("\n\n")
        .filter_map(Vector::parse)
        .collect();
    for vector in &vectors {
        vector.check();
    }
    assert_eq!(vectors.len(), 78);
}

#[test]
fn what_is_made_here_is_accepted_elsewhere() {
    let mut vectors = String::new();
    let groups = [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()];
    for group in &groups {
        write_signatures(&mut vectors, group);
        write_encapsulation(&mut vectors, group);
    }
    let Some(answer) = python_check(&vectors) else {
        return;
    };
    assert!(answer.contains("12 vectors, 0 wrong"), "{answer}");
}

fn write_signatures(vectors: &mut String, group: &Group) {
    let secret = SignSecret::generate(group, &mut OsRandom);
    let message = b"a message made here";
    let good = secret.sign(label::SIG_M1, &[message], &mut OsRandom);
    let mut flipped = good.clone();
    flipped[group.element_len() + 7] ^= 1;
    for (signature, domain, valid) in [
        (&good, "tmc1 sig M1", "yes"),
        (&good, "tmc1 sig M2", "no"),
        (&flipped, "tmc1 sig M1", "no"),
    ] {
        writeln!(
            vectors,
            "kind = signature\ngroup = {}\ndomain = {domain}\nkey = {}\nmessage = {}\n\
             signature = {}\nvalid = {valid}\n",
            group.name(),
            hex(secret.verifying_key().as_bytes()),
            hex(message),
            hex(signature),
        )
        .unwrap();
    }
}

fn write_encapsulation(vectors: &mut String, group: &Group) {
    let ours = KemSecret::generate(group, &mut OsRandom);
    let theirs = KemSecret::generate(group, &mut OsRandom);
    let theirs = theirs.public();
    writeln!(
        vectors,
        "kind = encapsulation\ngroup = {}\nsecret = {}\npublic = {}\ntheirs = {}\nshared = {}\n",
        group.name(),
        hex(ours.to_bytes().expose()),
        hex(ours.public().as_bytes()),
        hex(theirs.as_bytes()),
        hex(ours.agree(theirs).expose()),
    )
    .unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the script says of these vectors; nothing if there is no Python, which
/// only a machine that is not a CI runner may lack.
fn python_check(vectors: &str) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/elgamal.py");
    let child = Command::new("python3")
        .args([script, "check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("there is no python3");
            return None;
        }
        child => child.unwrap(),
    };
    let mut input = child.stdin.take().unwrap();
    input.write_all(vectors.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}
