//! Changes in transactions, each of which is done once.
//!
//! All of a clinic's nodes change one database. What reads and then writes must
//! find nothing changed in between: it takes a lock for itself that all others
//! share. The small changes that come in crowds share it; of two of them that
//! meet, the row decides.
//!
//! If the connection breaks while a change is committed, the server may have
//! committed it or not. Each connection has a row in `last_commit`, which each
//! change counts up: who asks for that row waits for the end of the change, if
//! it still goes on, and sees from the count whether it was committed.
//! (The server's own answer to this, `pg_xact_status`, can be that of another
//! change after a crash: numbers that it had not written down are used again.)

use std::thread;
use std::time::{Duration, Instant};

use super::PostgresStore;
use super::connection::{Connection, value};
use super::fault::{away, is_away};
use super::values::number;
use crate::hex;
use crate::store::{StoreError, StoreFault};

/// How long to ask for what became of a change.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Who else may change something meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lock {
    /// Others of this kind.
    Shared,
    /// Nobody.
    Alone,
}

impl Lock {
    /// The statement that takes it until the end of the transaction. Its name is
    /// that of the schema, so that two practices in one database do not meet.
    pub(super) const fn statement(self) -> &'static str {
        match self {
            Self::Shared => {
                "SELECT pg_advisory_xact_lock_shared(hashtextextended(current_schema(), 1953325873))"
            }
            Self::Alone => {
                "SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1953325873))"
            }
        }
    }
}

/// Whether nobody holds either of them, on another connection.
pub(super) const IS_FREE: &str =
    "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema(), 1953325873))";

/// Why a change was not made.
enum Failure {
    /// It can be made again.
    Repeat(StoreFault),
    /// It cannot, or should not.
    Final(StoreFault),
}

impl PostgresStore {
    /// Reads, once more on a new connection if this one is found dead.
    pub(super) fn read<T>(
        &self,
        mut work: impl FnMut(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        let mut attempt = || {
            let mut connection = self.pool.take()?;
            let result = work(&mut connection);
            connection.end(result)
        };
        let result = match attempt() {
            Err(fault) if is_away(&fault) => attempt(),
            other => other,
        };
        result.map_err(|fault| self.error(fault))
    }

    /// Works in one transaction, which is on the server's disk when this
    /// returns. If `work` fails nothing has changed. What is lost with a
    /// connection is done again, once.
    pub(super) fn write<T>(
        &self,
        lock: Lock,
        mut work: impl FnMut(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        let result = match self.attempt(lock, &mut work) {
            Err(Failure::Repeat(_)) => self.attempt(lock, &mut work),
            other => other,
        };
        result.map_err(|failure| {
            let (Failure::Repeat(fault) | Failure::Final(fault)) = failure;
            self.error(fault)
        })
    }

    fn attempt<T>(
        &self,
        lock: Lock,
        work: &mut impl FnMut(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, Failure> {
        let mut connection = self.pool.take().map_err(Failure::Final)?;
        let worked = begin(&mut connection, lock).and_then(|()| work(&mut connection));
        let done = match worked {
            Ok(done) => done,
            Err(fault) => {
                let gave_way = connection.gave_way;
                let is_lost = is_away(&fault) || connection.batch("ROLLBACK").is_err();
                let fault = match is_lost {
                    true => self.pool.lost(fault),
                    false => {
                        connection.give_back();
                        fault
                    }
                };
                return Err(match gave_way || is_away(&fault) {
                    true => Failure::Repeat(fault),
                    false => Failure::Final(fault),
                });
            }
        };
        match connection.batch("COMMIT") {
            Ok(_) => {
                connection.give_back();
                Ok(done)
            }
            Err(fault) if is_away(&fault) || matches!(fault, StoreFault::Failed(_)) => {
                let (name, changes) = (connection.name, connection.changes);
                // Closed, so that the server sees that nothing more comes.
                drop(connection);
                let fault = self.pool.lost(fault);
                match self.is_committed(&name, changes) {
                    Some(true) => Ok(done),
                    Some(false) => Err(Failure::Repeat(fault)),
                    None => Err(Failure::Final(StoreFault::Unknown)),
                }
            }
            // The server says itself that it did not.
            Err(fault) => {
                let gave_way = connection.gave_way;
                connection.give_back();
                Err(match gave_way {
                    true => Failure::Repeat(fault),
                    false => Failure::Final(fault),
                })
            }
        }
    }

    /// Whether the change of this number was committed on the connection of this
    /// name; none if that cannot be found out.
    fn is_committed(&self, name: &[u8; 16], changes: u64) -> Option<bool> {
        let deadline = Instant::now() + self.patience;
        loop {
            let asked = self.pool.take().and_then(|mut connection| {
                let row = connection.first(
                    "SELECT number FROM last_commit WHERE connection = $1 FOR UPDATE",
                    &[&name.as_slice()],
                );
                connection.end(row)
            });
            match asked {
                Ok(Some(row)) => return value::<u64>(&row, 0).ok().map(|last| last >= changes),
                Ok(None) => return None,
                Err(_) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(_) => return None,
            }
        }
    }
}

/// Begins a transaction with its lock, and counts it, in one trip to the server.
fn begin(connection: &mut Connection, lock: Lock) -> Result<(), StoreFault> {
    connection.gave_way = false;
    connection.changes += 1;
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {};
         UPDATE last_commit SET number = {}, at = now() WHERE connection = '\\x{}'
         RETURNING number",
        lock.statement(),
        number(connection.changes),
        hex::encode(&connection.name),
    );
    // The lock answers with nothing; so does the row if it was cleared away.
    match connection.batch(&sql)?.is_some_and(|last| !last.is_empty()) {
        true => Ok(()),
        false => Err(away("the connection was idle for too long")),
    }
}
