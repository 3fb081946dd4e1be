//! The whole database at once.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use postgres::Row;

use super::PostgresStore;
use super::client::ANSWER;
use super::connection::{Connection, value};
use super::copy::{MOMENT, ServerEnd};
use crate::store::copy::{CopyError, FileEnd, TABLES, Table, copy_once};
use crate::store::{BackupStore, Inventory, SealedValue, StoreError, StoreFault};
use crate::vault::{Column, column};

/// A column whose values are sealed, and what names the row, as bytes, one after
/// the other.
struct Sealed {
    table: &'static str,
    column: &'static str,
    row: &'static str,
    vault: Column,
}

/// What both parts of a record are sealed to.
const RECORD_ROW: &str = "convert_to(patient || '|' || version || '|' || created || '|'
    || changed || '|' || coalesce(archived::text, ''), 'UTF8')";

/// All of them. A test looks for columns that are missing here.
const SEALED: &[Sealed] = &[
    Sealed {
        table: "ticket",
        column: "sealed",
        row: "id",
        vault: column::TICKET,
    },
    Sealed {
        table: "message",
        column: "sealed",
        row: "id",
        vault: column::DOCTOR_MESSAGE,
    },
    Sealed {
        table: "delivery",
        column: "sealed_confirmation",
        row: "(SELECT id FROM message WHERE number = delivery.message) || device",
        vault: column::CONFIRMATION,
    },
    Sealed {
        table: "incoming",
        column: "sealed",
        row: "device || id",
        vault: column::INCOMING,
    },
    Sealed {
        table: "record",
        column: "sealed",
        row: RECORD_ROW,
        vault: column::RECORD,
    },
    Sealed {
        table: "record",
        column: "contact",
        row: RECORD_ROW,
        vault: column::CONTACT,
    },
    Sealed {
        table: "consultation",
        column: "sealed",
        row: "id || convert_to(patient || '|' || written || '|' || begun || '|'
                               || coalesce(ended::text, ''), 'UTF8')",
        vault: column::CONSULTATION,
    },
    Sealed {
        table: "join_ticket",
        column: "sealed",
        row: "id || convert_to(doctor || '|' || subject || '|' || role || '|' || created || '|'
                               || expires, 'UTF8')",
        vault: column::JOIN_TICKET,
    },
];

/// Tables and columns of it.
#[cfg(test)]
pub(super) fn sealed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    SEALED.iter().map(|sealed| (sealed.table, sealed.column))
}

/// The next rows of a check, between two looks at whether to go on.
const LOOK: &str = "FETCH 1000 FROM look";

impl PostgresStore {
    /// Looks at all as it is at one moment, however long it takes. It is not
    /// begun anew if the connection breaks.
    fn at_one_moment<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        let result = self.pool.take().and_then(|mut connection| {
            connection.answer_within(None);
            connection.batch(MOMENT)?;
            let done = work(&mut connection);
            let ended = connection.batch("ROLLBACK");
            connection.answer_within(Some(ANSWER));
            connection.end(done.and_then(|done| ended.map(|_| done)))
        });
        result.map_err(|fault| self.error(fault))
    }
}

impl BackupStore for PostgresStore {
    /// Row by row, with what is the clinic's and what is this doctor's.
    fn snapshot(&self, file: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let created = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file);
        created.map_err(|error| StoreError::new(file, StoreFault::Open(error)))?;
        let mut target = FileEnd::scratch(file)?;
        // The error of the target must not be taken for one of the server.
        let mut other = None;
        let copied = self.at_one_moment(|connection| {
            let mut source = ServerEnd {
                place: self.place.clone(),
                doctor: &self.doctor,
                connection,
            };
            Ok(match copy_once(&mut source, &mut target, go_on) {
                Ok(whole) => whole,
                Err(error) => {
                    other = Some(error);
                    false
                }
            })
        })?;
        match other {
            None => Ok(copied),
            Some(CopyError::Store(error)) => Err(error),
            Some(error) => Err(StoreError::new(file, StoreFault::Failed(error.into()))),
        }
    }

    fn check_while(&self, go_on: Box<dyn Fn() -> bool + Send>) -> Result<bool, StoreError> {
        self.at_one_moment(|connection| {
            for Table { name: table, .. } in TABLES {
                connection.batch(&format!(
                    "DECLARE look CURSOR FOR SELECT octet_length({table}::text) FROM {table}"
                ))?;
                while connection.batch(LOOK)?.is_some() {
                    if !go_on() {
                        return Ok(false);
                    }
                }
                connection.batch("CLOSE look")?;
            }
            for name in ["message", "incoming"] {
                let sql = format!(
                    "SELECT count(*) FROM {name}
                     WHERE number > (SELECT last FROM counter WHERE name = $1)"
                );
                if connection.number(&sql, &[&name])? > 0 {
                    let finding = format!("a number of '{name}' is higher than any that was given");
                    return Err(StoreFault::Damaged(finding));
                }
            }
            Ok(true)
        })
    }

    /// Of the clinic's patients and messages, and of this doctor's audit log.
    fn inventory(&self) -> Result<Inventory, StoreError> {
        let sql = "
            SELECT (SELECT count(DISTINCT subject) FROM certificate),
                   (SELECT count(*) FROM certificate), (SELECT count(*) FROM record),
                   (SELECT count(*) FROM message), (SELECT count(*) FROM incoming),
                   (SELECT count(*) FROM audit_entry WHERE doctor = $1),
                   (SELECT max(at) FROM audit_entry WHERE doctor = $1)";
        let found = self.first(sql, &[&self.doctor], |row| {
            Ok(Inventory {
                patients: value(row, 0)?,
                devices: value(row, 1)?,
                records: value(row, 2)?,
                messages: value(row, 3)?,
                incoming: value(row, 4)?,
                audit: value(row, 5)?,
                newest: value(row, 6)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    fn each_sealed(&self, look: &mut dyn FnMut(SealedValue<'_>)) -> Result<(), StoreError> {
        self.at_one_moment(|connection| {
            SEALED
                .iter()
                .try_for_each(|sealed| show(connection, sealed, look))
        })
    }
}

fn show(
    connection: &mut Connection,
    sealed: &Sealed,
    look: &mut dyn FnMut(SealedValue<'_>),
) -> Result<(), StoreFault> {
    let Sealed {
        table,
        column,
        row,
        vault,
    } = *sealed;
    let sql = format!("SELECT {column}, {row} FROM {table} WHERE {column} IS NOT NULL");
    connection.each(&sql, &mut |found: &Row| {
        let bytes = |place| found.try_get::<_, &[u8]>(place).map_err(StoreFault::from);
        look(SealedValue {
            table,
            column: vault,
            row: bytes(1)?,
            sealed: bytes(0)?,
        });
        Ok(())
    })
}
