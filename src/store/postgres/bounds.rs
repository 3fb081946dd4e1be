//! What is read of the rows that doctors' servers, and whoever else can write to
//! the database, put there for the others. What is too long for what it is, or
//! from no time that can be, is not read at all: one row must neither fill the
//! memory of the other servers nor end what they do.

use super::PostgresStore;
use super::connection::value;
use crate::identity::closing;
use crate::store::{StoreError, fact};

/// The longest identifier, in bytes.
const NAME: usize = 32;
/// The longest secret of a ticket, sealed, in bytes: with names, times and a signature.
const SECRET: usize = 8 * 1024;
/// The longest paper: a certificate, or where a doctor is reached; bytes.
const PAPER: usize = 16 * 1024;
/// The longest list of papers, bytes.
const PAPERS: usize = 1024 * 1024;
/// The longest content, sealed, in bytes: 64 KiB, and what the seal adds.
const SEALED: usize = 2 * crate::vault::MAX_CONTENT;
/// All values of a fact that each has for herself, bytes: the shortest are read first.
pub(super) const ALL_FACTS: usize = 16 * 1024 * 1024;
/// Rows of those who work, or have worked, in the clinic.
const MEMBERS: usize = 1_000;

/// The condition that a column holds an identifier.
pub(super) fn is_name(column: &str) -> String {
    format!("octet_length({column}) <= {NAME}")
}

/// That a column holds what can be one paper.
pub(super) fn is_paper(column: &str) -> String {
    format!("octet_length({column}) <= {PAPER}")
}

/// That a column holds what can be a list of papers.
pub(super) fn is_list(column: &str) -> String {
    format!("octet_length({column}) <= {PAPERS}")
}

/// The value of a column, or nothing in its place where it is too long.
pub(super) fn paper(column: &str) -> String {
    format!("CASE WHEN {} THEN {column} END", is_paper(column))
}

/// A text of which no more is read than shows that it is no identifier.
pub(super) fn cut(column: &str) -> String {
    format!("left({column}, {})", 2 * NAME)
}

/// The secret of a ticket, sealed; nothing in its place where it is too long.
pub(super) fn secret(column: &str) -> String {
    short(column, SECRET)
}

/// What is sealed of a message, a confirmation or a record; nothing in its place, which
/// does not open, where it is too long.
pub(super) fn sealed(column: &str) -> String {
    short(column, SEALED)
}

/// A certificate; nothing in its place where it is too long.
pub(super) fn certificate(column: &str) -> String {
    short(column, PAPER)
}

fn short(column: &str, longest: usize) -> String {
    format!("CASE WHEN octet_length({column}) > {longest} THEN '' ELSE {column} END")
}

/// The end of a statement of which each member has a row.
pub(super) fn of_members() -> String {
    format!("LIMIT {MEMBERS}")
}

/// Facts that are one paper or key.
const SINGLE: [&str; 11] = [
    fact::ROOT_CERTIFICATE,
    fact::DOCTOR_CERTIFICATE,
    fact::OWN_CERTIFICATE,
    fact::ISSUER_CERTIFICATE,
    fact::REVOKED_DOCTORS,
    fact::GROUP,
    fact::DATA_KEY,
    fact::RECOVERY,
    fact::PENDING_RECOVERY,
    fact::RECOVERY_BY,
    fact::RECOVERY_KNOWN,
];

/// The longest value of a fact, in bytes. A list of revoked doctors holds 128
/// serials of 16 bytes and a signature.
pub(super) fn longest_fact(name: &str) -> usize {
    match name {
        fact::CLOSED_KEYS => closing::MAX_BYTES,
        name if SINGLE.contains(&name) => PAPER,
        _ => PAPERS,
    }
}

/// A time of the server's clock that is past: one that is not is taken for now.
pub(super) fn past(column: &str) -> String {
    format!("least(greatest({column}, 'epoch'), clock_timestamp())")
}

/// That a value is longer than the fact it is of can be.
fn is_no_fact() -> String {
    let single = SINGLE.map(|name| format!("'{name}'")).join(", ");
    let (list, paper) = (is_list("value"), is_paper("value"));
    format!("NOT {list} OR (name IN ({single}) AND NOT {paper})")
}

/// How many rows of each table are not read as they are; none of those where all
/// are. Messages and records, which may be a great many, are not counted: of one that
/// is too long it is told when it is read, since it does not open.
pub(super) fn unfit(store: &PostgresStore) -> Result<Vec<(String, u64)>, StoreError> {
    // Two programs' looks at the clock are not one.
    let late = |column: &str| {
        format!("NOT {column} BETWEEN 'epoch' AND clock_timestamp() + interval '1 minute'")
    };
    let no_name = |column: &str| format!("NOT {}", is_name(column));
    let no_paper = |column: &str| format!("NOT {}", is_paper(column));
    let no_secret = || format!("octet_length(sealed) > {SECRET}");
    let of_members = [
        (
            "node",
            vec![no_name("doctor"), late("started"), late("seen")],
        ),
        ("roster", vec![no_name("doctor"), no_paper("entry")]),
        ("staff", vec![no_name("id"), no_paper("certificate")]),
    ];
    let others = [
        ("presence", vec![no_name("doctor"), late("answered")]),
        ("fact", vec![no_name("doctor"), is_no_fact()]),
        (
            "certificate",
            vec![no_name("doctor"), no_name("subject"), no_paper("bytes")],
        ),
        (
            "ticket",
            vec![no_name("doctor"), no_name("subject"), no_secret()],
        ),
        (
            "join_ticket",
            vec![
                no_name("doctor"),
                no_name("subject"),
                no_secret(),
                no_paper("answer"),
            ],
        ),
    ];
    let beyond = format!(" + greatest(count(*) - {MEMBERS}, 0)");
    let of_members = of_members.map(|(table, conditions)| (table, conditions, &*beyond));
    let others = others.map(|(table, conditions)| (table, conditions, ""));
    let counts: Vec<String> = of_members
        .into_iter()
        .chain(others)
        .map(|(table, conditions, beyond)| {
            let conditions = conditions.join(" OR ");
            format!("SELECT '{table}', count(*) FILTER (WHERE {conditions}){beyond} FROM {table}")
        })
        .collect();
    let sql = format!(
        "SELECT * FROM ({}) AS counted (name, rows) WHERE rows > 0 ORDER BY name",
        counts.join(" UNION ALL ")
    );
    store.rows(&sql, &[], |row| Ok((value(row, 0)?, value(row, 1)?)))
}
