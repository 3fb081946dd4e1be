//! The store in a `PostgreSQL` database, which the doctors of a clinic share.
//!
//! What patients are to one doctor they are to all: certificates, tickets, last
//! timestamps, records and messages are the clinic's. A doctor's own are her
//! chain of the audit log, her prekeys, and the facts that
//! [`fact`](super::fact) does not list as shared.

mod address;
mod audit;
mod backup;
mod bounds;
mod client;
mod clinic;
mod connection;
pub(super) mod copy;
mod fault;
mod messages;
mod nodes;
mod password;
mod pool;
mod purge;
mod records;
mod schema;
mod seat;
#[cfg(test)]
mod tests;
mod transaction;
mod trust;
mod values;

pub use address::{PostgresAddress, PostgresAddressError};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postgres::Row;

use super::{Absence, FactStore, Place, ReachStore, Store, StoreError, StoreFault, fact};
use crate::audit::Entry;
use connection::{Connection, Params, value};
use pool::Pool;
use transaction::Lock;

/// A [`Store`](super::Store) in a database on a server: one doctor's view of it.
///
/// Many threads share its few connections, and many programs on many machines
/// the database. While the server does not answer, every method says so
/// ([`StoreFault::Away`]), at once if it has just been tried.
#[derive(Debug)]
pub struct PostgresStore {
    place: String,
    doctor: String,
    pool: Arc<Pool>,
    /// How long to ask for what became of a change.
    patience: Duration,
    /// The connections of this process that may hold the doctor's seat.
    seat: Mutex<Vec<seat::Holder>>,
}

impl PostgresStore {
    /// Opens the database for this doctor; makes its tables if it has none, and
    /// brings older ones up to date.
    ///
    /// # Errors
    /// If the server cannot be reached or does not let us in, or if the database
    /// is another program's or was written by a newer version.
    pub fn open(address: &PostgresAddress, doctor: &str) -> Result<Self, StoreError> {
        let name = format!("telemed {doctor}");
        let store = Self {
            place: address.place(),
            doctor: doctor.to_owned(),
            pool: Arc::new(Pool::new(address, name)),
            patience: transaction::PATIENCE,
            seat: Mutex::default(),
        };
        let open = || store.pool.open();
        open()
            .and_then(|mut connection| schema::migrate(&mut connection, open))
            .map_err(|fault| store.error(fault))?;
        Ok(store)
    }

    /// Whose view of it this is.
    #[must_use]
    pub fn doctor(&self) -> &str {
        &self.doctor
    }

    fn error(&self, fault: StoreFault) -> StoreError {
        StoreError::new(Place::Server(self.place.clone()), fault)
    }

    /// Runs one statement in a transaction of its own; says whether it changed a
    /// row.
    fn change(&self, lock: Lock, sql: &str, params: Params<'_>) -> Result<bool, StoreError> {
        self.write(lock, |connection| Ok(connection.execute(sql, params)? > 0))
    }

    fn first<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&Row) -> Result<T, StoreFault>,
    ) -> Result<Option<T>, StoreError> {
        self.read(|connection| {
            let row = connection.first(sql, params)?;
            row.map(|row| read(&row)).transpose()
        })
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&Row) -> Result<T, StoreFault>,
    ) -> Result<Vec<T>, StoreError> {
        self.read(|connection| all(connection, sql, params, &read))
    }

    /// Whose fact this is: nobody's alone if it is shared.
    fn owner(&self, name: &str) -> &str {
        match fact::SHARED.contains(&name) {
            true => "",
            false => &self.doctor,
        }
    }

    fn put_fact(
        &self,
        connection: &mut Connection,
        (name, value): &(&str, &[u8]),
    ) -> Result<(), StoreFault> {
        connection.execute(
            "INSERT INTO fact (doctor, name, value) VALUES ($1, $2, $3)
             ON CONFLICT (doctor, name) DO UPDATE SET value = excluded.value",
            &[&self.owner(name), name, value],
        )?;
        Ok(())
    }
}

/// All rows of a statement, read.
fn all<T>(
    connection: &mut Connection,
    sql: &str,
    params: Params<'_>,
    read: impl Fn(&Row) -> Result<T, StoreFault>,
) -> Result<Vec<T>, StoreFault> {
    connection.rows(sql, params)?.iter().map(read).collect()
}

impl ReachStore for PostgresStore {
    fn may_be_away(&self) -> bool {
        true
    }

    fn knock(&self) -> Result<(), StoreError> {
        self.pool.knock().map_err(|fault| self.error(fault))
    }

    fn absence(&self) -> Option<Absence> {
        self.pool.absence()
    }
}

impl Store for PostgresStore {}

impl FactStore for PostgresStore {
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let longest = bounds::longest_fact(name);
        let sql = format!(
            "SELECT CASE WHEN octet_length(value) <= {longest} THEN value END FROM fact
             WHERE doctor = $1 AND name = $2"
        );
        self.first(&sql, &[&self.owner(name), &name], |row| {
            value::<Option<Vec<u8>>>(row, 0)?.ok_or_else(|| {
                StoreFault::Damaged(format!("the fact '{name}' is longer than {longest} bytes"))
            })
        })
    }

    fn set_facts(&self, facts: &[(&str, &[u8])]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            facts
                .iter()
                .try_for_each(|fact| self.put_fact(connection, fact))
        })
    }

    fn move_fact(
        &self,
        from: &str,
        value: &[u8],
        to: &str,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let sql = "DELETE FROM fact WHERE doctor = $1 AND name = $2 AND value = $3";
            if connection.execute(sql, &[&self.owner(from), &from, &value])? == 0 {
                return Ok(false);
            }
            self.put_fact(connection, &(to, value))?;
            audit::append(connection, &self.doctor, entries)?;
            Ok(true)
        })
    }

    fn remove_fact(&self, name: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM fact WHERE doctor = $1 AND name = $2";
        self.change(Lock::Alone, sql, &[&self.owner(name), &name])
    }
}
