//! The schema of the database, as numbered steps from an empty file.
//!
//! A step that was released is never edited: what changes is a new step. The
//! number of the last one is the schema's, kept in `PRAGMA user_version`.

mod audit;
mod mailbox;
mod messages;
mod records;
mod tickets;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreFault;

/// `PRAGMA application_id` of our databases: "tmc1".
const APPLICATION_ID: i64 = 0x746d_6331;

/// Step `n` leads to schema `n + 1`, in one transaction.
const STEPS: [&[&str]; 6] = [
    &[SCHEMA_1],
    &[
        audit::AUDIT,
        mailbox::MAILBOX,
        records::RECORDS,
        messages::MESSAGES,
        tickets::TICKETS,
    ],
    &[messages::OPEN_DELIVERIES],
    &[messages::MISSING_AMONG_OPEN],
    &[records::CONTACT],
    &[CERTIFIED_KEYS],
];

/// The newest schema.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(super) const NEWEST: i64 = STEPS.len() as i64;

/// Whether a key is certified already is looked up by its first bytes, at the two
/// places where a certificate has keys, see `sqlite/trust.rs`.
const CERTIFIED_KEYS: &str = "
CREATE INDEX certificate_first_key ON certificate (substr(bytes, 147, 16));
CREATE INDEX certificate_second_key
    ON certificate (substr(bytes, 147 + (length(bytes) - 146) / 4, 16));
";

/// `last_timestamp` refers to no certificate: where other doctors' patients
/// are admitted it holds serials that are not in the table. Which certificate
/// a ticket led to stands in one place, `certificate.ticket`.
const SCHEMA_1: &str = "
CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    subject TEXT NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 16),
    created INTEGER NOT NULL CHECK (created >= 0),
    expires INTEGER NOT NULL CHECK (expires >= 0),
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'frozen', 'revoked'))
) STRICT;

CREATE TABLE certificate (
    serial BLOB NOT NULL PRIMARY KEY CHECK (length(serial) = 16),
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    subject TEXT NOT NULL,
    bytes BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('inactive', 'active', 'frozen', 'revoked')),
    ticket BLOB UNIQUE REFERENCES ticket (id),
    created INTEGER NOT NULL CHECK (created >= 0),
    not_after INTEGER NOT NULL CHECK (not_after >= 0)
) STRICT;

CREATE TABLE last_timestamp (
    serial BLOB NOT NULL PRIMARY KEY CHECK (length(serial) = 16),
    at INTEGER NOT NULL CHECK (at >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE prekey (
    kid BLOB NOT NULL PRIMARY KEY CHECK (length(kid) = 8),
    bytes BLOB NOT NULL,
    not_before INTEGER NOT NULL CHECK (not_before >= 0),
    not_after INTEGER NOT NULL CHECK (not_after >= 0)
) STRICT;
";

/// Refuses, without changing anything, a database that is not ours or is newer
/// than this program.
pub(super) fn check(connection: &Connection) -> Result<(), StoreFault> {
    let found = version(connection)?;
    let application: i64 = pragma(connection, "application_id")?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = found == 0 && application == 0 && objects == 0;
    if !fresh && application != APPLICATION_ID {
        return Err(StoreFault::Foreign);
    }
    if found > NEWEST {
        return Err(StoreFault::Newer {
            found,
            known: NEWEST,
        });
    }
    Ok(())
}

/// The same, and refuses an older database too: for who may not change it.
pub(super) fn check_newest(connection: &Connection) -> Result<(), StoreFault> {
    check(connection)?;
    let found = version(connection)?;
    if found < NEWEST {
        let needed = NEWEST;
        return Err(StoreFault::Older { found, needed });
    }
    Ok(())
}

/// Brings the database to the newest schema, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreFault> {
    if version(connection)? == NEWEST {
        return Ok(());
    }
    // Asked again inside: another program may have been quicker.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = usize::try_from(version(&transaction)?)
        .map_err(|_| StoreFault::Damaged("its schema has a negative number".into()))?;
    for step in STEPS.iter().skip(found) {
        for batch in *step {
            transaction.execute_batch(batch)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", NEWEST)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, StoreFault> {
    pragma(connection, "user_version")
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreFault> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
