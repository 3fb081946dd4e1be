//! What is read of the rows that doctors' servers, and whoever else can write to
//! the database, put there for the others. What is too long for what it is, or
//! from no time that can be, is not read at all: one row must neither fill the
//! memory of the other servers nor end what they do.

use super::PostgresStore;
use super::connection::value;
use crate::store::{StoreError, fact};

/// The longest identifier, in bytes.
const NAME: usize = 32;
/// The longest secret of a ticket, sealed, in bytes: with names, times and a signature.
const SECRET: usize = 8 * 1024;
/// The longest paper: a certificate, or where a doctor is reached; bytes.
const PAPER: usize = 16 * 1024;
/// The longest list of papers, bytes.
const PAPERS: usize = 1024 * 1024;
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
    format!("CASE WHEN octet_length({column}) <= {SECRET} THEN {column} ELSE '' END")
}

/// The end of a statement of which each member has a row.
pub(super) fn of_members() -> String {
    format!("LIMIT {MEMBERS}")
}

/// The longest value of a fact, in bytes. A list of revoked doctors holds 128
/// serials of 16 bytes and a signature.
pub(super) fn longest_fact(name: &str) -> usize {
    match name {
        fact::ROOT_CERTIFICATE
        | fact::DOCTOR_CERTIFICATE
        | fact::OWN_CERTIFICATE
        | fact::ISSUER_CERTIFICATE
        | fact::REVOKED_DOCTORS
        | fact::GROUP
        | fact::DATA_KEY
        | fact::RECOVERY
        | fact::PENDING_RECOVERY
        | fact::RECOVERY_BY
        | fact::RECOVERY_KNOWN => PAPER,
        _ => PAPERS,
    }
}

/// A time of the server's clock that is past: one that is not is taken for now.
pub(super) fn past(column: &str) -> String {
    format!("least(greatest({column}, 'epoch'), clock_timestamp())")
}

/// How many rows of each table are not read as they are; none of those where all
/// are.
pub(super) fn unfit(store: &PostgresStore) -> Result<Vec<(String, u64)>, StoreError> {
    // Two programs' looks at the clock are not one.
    let late = |column: &str| {
        format!("NOT {column} BETWEEN 'epoch' AND clock_timestamp() + interval '1 minute'")
    };
    let tables = [
        (
            "node",
            format!(
                "NOT {} OR {} OR {}",
                is_name("doctor"),
                late("started"),
                late("seen")
            ),
        ),
        (
            "presence",
            format!("NOT {} OR {}", is_name("doctor"), late("answered")),
        ),
        (
            "roster",
            format!("NOT {} OR NOT {}", is_name("doctor"), is_paper("entry")),
        ),
        (
            "staff",
            format!("NOT {} OR NOT {}", is_name("id"), is_paper("certificate")),
        ),
    ];
    let counts = tables.map(|(table, condition)| {
        format!("SELECT '{table}', count(*) FROM {table} WHERE {condition}")
    });
    let sql = format!(
        "SELECT * FROM ({}) AS counted (name, rows) WHERE rows > 0 ORDER BY name",
        counts.join(" UNION ALL ")
    );
    store.rows(&sql, &[], |row| Ok((value(row, 0)?, value(row, 1)?)))
}
