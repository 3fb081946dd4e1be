//! A doctor's seat: a lock of the server's that a connection holds. While one
//! process holds it no other serves this doctor, and the server frees it when the
//! connection is gone, however its process or machine came to its end.
//!
//! On the same connection the node hears of changes, and says that it runs.

use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, value};
use super::{PostgresStore, nodes};
use crate::store::nodes::{News, Seat, SeatHolder, SessionName};
use crate::store::{Place, StoreError, StoreFault};

/// After so much silence of a node's program, which says something every 10
/// seconds, the server frees its seat, also if something between them keeps the
/// connection. In terms of the server.
const SILENT: &str = "45s";
/// How long a seat that is taken is tried: the server needs a moment to see that
/// a process has ended.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that are remembered as holders: more than can hang at once.
const HOLDERS: usize = 64;

/// The lock's key is made of the schema's name and the doctor's, so that neither
/// two practices in one database meet nor two doctors of one.
fn key(doctor: &str) -> String {
    format!("hashtextextended(current_schema() || E'\\n' || {doctor}, 1953325874)")
}

/// The seats that are held in this database, with the connections that hold them.
pub(super) const HELD: &str = "
    SELECT classid::bigint << 32 | objid::bigint AS key, pid FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Whether the doctor in this column has one who holds her seat in `held`.
pub(super) fn is_held(doctor: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM held WHERE held.key = {})",
        key(doctor)
    )
}

/// A connection that may hold a seat. The server gives the same number to others
/// later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    process: i64,
    began: String,
}

impl Holder {
    /// What this connection is to the server.
    fn of(connection: &mut Connection) -> Result<Self, StoreFault> {
        let sql = "SELECT pid::bigint, backend_start::text FROM pg_stat_activity
                   WHERE pid = pg_backend_pid()";
        match connection.first(sql, &[])? {
            Some(row) => Ok(Self {
                process: value(&row, 0)?,
                began: value(&row, 1)?,
            }),
            None => Err(StoreFault::Failed("it does not list connections".into())),
        }
    }

    /// Has the server end this connection; says whether it was there still.
    fn end(&self, connection: &mut Connection) -> Result<bool, StoreFault> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE pid::bigint = $1 AND backend_start::text = $2";
        let ended = connection.rows(sql, &[&self.process, &self.began])?;
        Ok(!ended.is_empty())
    }
}

/// A seat that is held.
#[derive(Debug)]
struct Held {
    connection: Connection,
    place: String,
    doctor: String,
    began: Instant,
}

impl PostgresStore {
    /// See [`NodeStore::take_seat`](crate::store::nodes::NodeStore::take_seat).
    pub(super) fn sit_down(
        &self,
        began: Instant,
        sessions: &[SessionName],
    ) -> Result<Box<dyn Seat>, StoreError> {
        let connection = self.pool.connect_apart().and_then(|mut connection| {
            prepare(&mut connection)?;
            self.lock_seat(&mut connection)?;
            nodes::begin(&mut connection, &self.doctor, began, sessions)?;
            Ok(connection)
        });
        let connection = connection.map_err(|fault| self.error(fault))?;
        Ok(Box::new(Held {
            connection,
            place: self.place.clone(),
            doctor: self.doctor.clone(),
            began,
        }))
    }

    pub(super) fn lock_seat(&self, connection: &mut Connection) -> Result<(), StoreFault> {
        let me = Holder::of(connection)?;
        // Before it is asked for: the answer may be lost, and the seat taken.
        self.note_holder(&me)?;
        let sql = format!("SELECT pg_try_advisory_lock({})", key("$1"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is_last = Instant::now() >= deadline;
            let row = connection.first(&sql, &[&self.doctor])?;
            let is_ours = row.map(|row| value(&row, 0)).transpose()?;
            if is_ours == Some(true) {
                *self.seat()? = vec![me];
                return Ok(());
            }
            if is_last {
                return Err(self.taken(connection)?);
            }
            self.end_others(&me, connection)?;
            thread::sleep(PAUSE);
        }
    }

    /// Notes a connection that may come to hold the seat.
    fn note_holder(&self, me: &Holder) -> Result<(), StoreFault> {
        let mut noted = self.seat()?;
        if noted.len() >= HOLDERS {
            noted.remove(0);
        }
        noted.push(me.clone());
        Ok(())
    }

    /// Ends the other connections of this process that may hold the seat: the
    /// server may not have seen yet that they are dead. Forgets those that are gone.
    fn end_others(&self, me: &Holder, connection: &mut Connection) -> Result<(), StoreFault> {
        let noted = self.seat()?.clone();
        for other in noted.iter().filter(|other| *other != me) {
            if !other.end(connection)? {
                self.seat()?.retain(|noted| noted != other);
            }
        }
        Ok(())
    }

    fn seat(&self) -> Result<MutexGuard<'_, Vec<Holder>>, StoreFault> {
        self.seat.lock().map_err(|_| StoreFault::Poisoned)
    }

    /// That another process has the seat.
    fn taken(&self, connection: &mut Connection) -> Result<StoreFault, StoreFault> {
        let SeatHolder { since, at } = self.holder(connection)?.unwrap_or_default();
        let doctor = self.doctor.clone();
        Ok(StoreFault::SeatTaken { doctor, since, at })
    }

    /// Who has the seat, as far as the server tells; none if it is free. Where the
    /// connection comes from it tells those alone who use the same login.
    pub(super) fn holder(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<SeatHolder>, StoreFault> {
        let sql = format!(
            "WITH held AS MATERIALIZED ({HELD})
             SELECT (SELECT {} FROM node WHERE doctor = $1),
                    (SELECT host(client_addr) FROM pg_stat_activity
                     WHERE pg_stat_activity.pid = held.pid)
             FROM held WHERE held.key = {} LIMIT 1",
            nodes::millis("started"),
            key("$1")
        );
        let row = connection.first(&sql, &[&self.doctor])?;
        row.map(|row| {
            Ok(SeatHolder {
                since: value(&row, 0)?,
                at: value(&row, 1)?,
            })
        })
        .transpose()
    }
}

/// The server gives this connection up if nothing comes from it, and tells it of
/// changes.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreFault> {
    let sql = "SELECT quote_ident(current_schema())";
    let channel = connection.batch(sql)?.unwrap_or_default();
    // Servers before 14 do not have the setting. What is written here is not worth
    // waiting for the disk.
    connection.batch(&format!(
        "SELECT set_config(name, '{SILENT}', false) FROM pg_settings
         WHERE name = 'idle_session_timeout';
         SET synchronous_commit = off; LISTEN {channel}"
    ))?;
    Ok(())
}

impl Held {
    fn error(&self, fault: StoreFault) -> StoreError {
        StoreError::new(Place::Server(self.place.clone()), fault)
    }
}

impl Seat for Held {
    fn wait(&mut self, time: Duration) -> Result<News, StoreError> {
        let told = self.connection.notified(time, nodes::hear);
        told.map_err(|fault| self.error(fault))
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        let beaten = nodes::beat(&mut self.connection, &self.doctor, self.began);
        beaten.map_err(|fault| self.error(fault))
    }

    fn leave(mut self: Box<Self>) -> Result<(), StoreError> {
        let left = nodes::end(&mut self.connection, &self.doctor);
        left.map_err(|fault| self.error(fault))
    }
}
