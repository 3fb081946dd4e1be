//! One complete run of the protocol with fixed random bytes and a fixed clock,
//! written down in docs/worked-example.txt: every secret, every key, every
//! frame. The text is made anew here and compared with what is committed, and
//! a second implementation, written from docs/protocol.md alone, opens it.
//!
//! `UPDATE_WORKED_EXAMPLE=1 cargo test --test worked_example` writes the text.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is a test, and fails by them"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use telemed::group::sender::Sender;
use telemed::secret::Secret;

use document::Document;
use skip::skip;
use talk::Session;

#[path = "worked_example/clinic.rs"]
mod clinic;
#[path = "worked_example/connect.rs"]
mod connect;
#[path = "worked_example/document.rs"]
mod document;
#[path = "support/skip.rs"]
mod skip;
#[path = "worked_example/stream.rs"]
mod stream;
#[path = "worked_example/tables.rs"]
mod tables;
#[path = "worked_example/talk.rs"]
mod talk;

const INTRODUCTION: &str = "\
telemed: a worked example of the protocol tmc1 (docs/protocol.md)

One complete run on ffdhe2048: a clinic is founded, a patient enrols,
connects, is written to, writes, loses the connection, resumes and leaves;
in the end one handshake and one enrolment are refused.
tests/worked_example.rs makes this file and compares it byte for byte;
tests/vectors/worked_example.py opens it from the secrets in it.

  # ...            a remark
  name = ...       bytes in hexadecimal, perhaps over several lines
  name : ...       a decimal number or a text
  X.fresh          the 32 fresh random bytes that went into the IV of the box,
                   or into the nonce of the signature, of X

Names are those of docs/protocol.md, with the frame they belong to before
the dot. A frame's name alone stands for all of it, from the first byte of its
length on. x_s are signing exponents (L bytes), x_e encryption exponents (32).

All random bytes come from one stream: SHA-512(seed, then a u64 that counts
blocks from 0), block after block, each byte used once. Whatever was drawn
and shows in something below is named. Not named are 272 bytes for each x_s
(reduced mod q) and 272 after each signature's fresh bytes (a blinding factor
that does not change the signature). Exponents x_e, a, b, e, r are shown with
the top bit set.";

/// The fixed share in the group key of a second member, who is not simulated.
const OTHER_DEVICE: [u8; 32] = [0x55; 32];

fn example() -> String {
    let mut doc = Document::default();
    let doc = &mut doc;
    doc.note(INTRODUCTION);
    doc.plain("seed", str::from_utf8(stream::SEED).unwrap());
    let clinic = clinic::Clinic::found(doc);
    let (known, identity) = clinic::enrol(doc, &clinic);
    let connected = connect::full(doc, &clinic, &known, &identity);

    doc.section("The session");
    let mut group = Sender::new(&mut doc.random);
    doc.drawn(&["conf"]);
    let parties = (&clinic, &identity);
    let when = ("session1", clinic::minute(120));
    let mut session = Session::begin(doc, parties, when, &group, connected, None);
    doc.note("A second member of the group, known only by fingerprint and share:");
    let other = (OTHER_DEVICE, Secret::from_slice(&[0xaa; 32]).unwrap());
    doc.bytes("other.FP", &other.0);
    doc.bytes("other.gsec", other.1.expose());
    session.rekey(doc, &mut group, &other);
    session.broadcast(doc, &mut group);
    session.direct(doc);
    session.private(doc);
    let (ticket, progress) = (session.ticket.take().unwrap(), session.progress());

    let connected = connect::resumed(doc, &clinic, &known, ticket, &session.resumption_key);
    doc.section("The resumed session");
    let when = ("session2", clinic::minute(130));
    let mut session = Session::begin(doc, parties, when, &group, connected, Some(progress));
    session.rekey(doc, &mut group, &other);
    session.end(doc);

    connect::refused(doc, &clinic, &known, &identity);
    clinic::refused_enrolment(doc, &clinic, &known);
    doc.text().to_owned()
}

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

#[test]
fn the_worked_example_is_what_the_code_does() {
    let path = path("docs/worked-example.txt");
    let made = example();
    if std::env::var_os("UPDATE_WORKED_EXAMPLE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    let differs = made
        .lines()
        .zip(committed.lines())
        .position(|(a, b)| a != b);
    assert_eq!(differs, None, "first line that differs, counted from 0");
    assert_eq!(made, committed);
}

/// What the second implementation says of an example; nothing where python3 is
/// missing, which is a failure where CI is set: there it must have run.
fn second_implementation(example: &Path) -> Option<Output> {
    let run = Command::new("python3")
        .arg(path("tests/vectors/worked_example.py"))
        .arg(example)
        .output();
    match run {
        Ok(output) => Some(output),
        Err(error) => {
            skip(&format!("python3 cannot be run ({error})"));
            None
        }
    }
}

#[test]
fn a_second_implementation_opens_the_worked_example() {
    if let Some(output) = second_implementation(&path("docs/worked-example.txt")) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn a_second_implementation_notices_a_changed_digit() {
    let mut changed = example();
    let frame = changed.find("\nM2 =\n").unwrap() + "\nM2 =\n  ".len();
    let digit = frame + 2_000;
    let other = if &changed[digit..=digit] == "0" {
        "1"
    } else {
        "0"
    };
    changed.replace_range(digit..=digit, other);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example.txt");
    std::fs::write(&path, changed).unwrap();
    if let Some(output) = second_implementation(&path) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.trim(), "does not agree: tag");
    }
}
