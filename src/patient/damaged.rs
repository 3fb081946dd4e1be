//! A message on the disk that does not open any more. It is named in its place:
//! one that is damaged must not hide the others.

use std::fmt;

use crate::clock::Timestamp;

/// A message that does not open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// Whether it is the doctor's, and not to her.
    pub from_doctor: bool,
    /// What it is called by.
    pub number: u64,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// When it came, or was written.
    pub at: Timestamp,
    /// Where it stands in the history, as far as is known: what the doctor wrote
    /// then stands where it came by this device's clock.
    pub placed: Option<Timestamp>,
    /// Whether a person was told of it, or of the message before.
    pub shown: bool,
}

/// A message, or what is left to say of it.
pub type Found<T> = Result<T, Damaged>;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at, .. } = self;
        match (self.from_doctor, self.urgent) {
            (true, true) => write!(
                f,
                "URGENT message {number}, received {at}, does not open: it is damaged on this \
                 disk; ask the doctor what it says"
            ),
            (true, false) => write!(
                f,
                "message {number}, received {at}, does not open: it is damaged on this disk; \
                 ask the doctor what it says"
            ),
            (false, _) => write!(
                f,
                "your message {number}, written {at}, does not open: it is damaged on this \
                 disk, and is not sent; write it again"
            ),
        }
    }
}

/// Flips a bit in the sealed content of one row, for tests.
#[cfg(test)]
pub(super) fn flip_a_bit(base: &tempfile::TempDir, table: &str, number: u64) {
    let database = base.path().join("P1@D1/telemed.db");
    let database = rusqlite::Connection::open(database).unwrap();
    let sql = format!("SELECT sealed FROM {table} WHERE number = ?1");
    let mut sealed: Vec<u8> = database.query_row(&sql, [number], |r| r.get(0)).unwrap();
    sealed[20] ^= 1;
    let sql = format!("UPDATE {table} SET sealed = ?2 WHERE number = ?1");
    database.execute(&sql, (number, sealed)).unwrap();
}
