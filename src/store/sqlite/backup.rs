//! The whole database at once.

use std::error::Error;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_TIMEOUT, MEMORY, SqliteStore};
use crate::store::{BackupStore, Inventory, SealedValue, StoreError, StoreFault};
use crate::vault::{Column, column};

/// Pages copied between two looks at whether to go on: a mebibyte.
const PAGES: i32 = 256;
/// Steps of a check between two looks at whether to go on: a moment.
const STEPS: i32 = 1_000;
/// How long to wait for a page that is held.
const PAUSE: Duration = Duration::from_millis(10);

/// A column whose values are sealed, and the columns that name the row, one
/// after the other.
struct Sealed {
    table: &'static str,
    column: &'static str,
    row: &'static [&'static str],
    vault: Column,
}

/// What both parts of a record are sealed to.
const RECORD_ROW: &[&str] =
    &["format('%s|%d|%d|%d|%s', patient, version, created, changed, coalesce(archived, ''))"];

/// All of them. A test looks for columns that are missing here.
const SEALED: &[Sealed] = &[
    Sealed {
        table: "ticket",
        column: "sealed",
        row: &["id"],
        vault: column::TICKET,
    },
    Sealed {
        table: "message",
        column: "sealed",
        row: &["id"],
        vault: column::DOCTOR_MESSAGE,
    },
    Sealed {
        table: "delivery",
        column: "sealed_confirmation",
        row: &[
            "(SELECT id FROM message WHERE number = delivery.message)",
            "device",
        ],
        vault: column::CONFIRMATION,
    },
    Sealed {
        table: "incoming",
        column: "sealed",
        row: &["device", "id"],
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
        row: &[
            "id",
            "format('%s|%d|%d|%s', patient, written, begun, coalesce(ended, ''))",
        ],
        vault: column::CONSULTATION,
    },
    Sealed {
        table: "inbox",
        column: "sealed",
        row: &["id"],
        vault: column::INBOX,
    },
    Sealed {
        table: "outgoing",
        column: "sealed",
        row: &["id"],
        vault: column::OUTGOING,
    },
];

impl BackupStore for SqliteStore {
    fn snapshot(&self, file: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let copied = create(file).and_then(|()| {
            if self.path == Path::new(MEMORY) {
                let connection = self.connection.lock();
                let connection = connection.map_err(|_| StoreFault::Poisoned)?;
                return copy(&connection, file, go_on);
            }
            copy(&beside(&self.path)?, file, go_on)
        });
        copied.map_err(|fault| StoreError::new(file, fault))
    }

    fn check_while(&self, go_on: Box<dyn Fn() -> bool + Send>) -> Result<bool, StoreError> {
        if self.path == Path::new(MEMORY) {
            return self.with(|connection| super::check(connection).map(|()| true));
        }
        beside(&self.path)
            .and_then(|mut connection| {
                connection.progress_handler(STEPS, Some(move || !go_on()))?;
                super::check(&connection)
            })
            .map(|()| true)
            .or_else(|fault| match fault {
                StoreFault::Failed(error) if is_interruption(&*error) => Ok(false),
                fault => Err(StoreError::new(&*self.path, fault)),
            })
    }

    fn inventory(&self) -> Result<Inventory, StoreError> {
        self.with(|connection| {
            let number = |sql: &str| -> Result<u64, StoreFault> {
                Ok(connection.query_row(sql, [], |row| row.get(0))?)
            };
            let rows = |table| number(&format!("SELECT count(*) FROM {table}"));
            Ok(Inventory {
                patients: number("SELECT count(DISTINCT subject) FROM certificate")?,
                devices: rows("certificate")?,
                records: rows("record")?,
                messages: rows("message")?,
                incoming: rows("incoming")?,
                audit: rows("audit_entry")?,
                newest: connection
                    .query_row("SELECT max(at) FROM audit_entry", [], |row| row.get(0))?,
            })
        })
    }

    fn each_sealed(&self, look: &mut dyn FnMut(SealedValue<'_>)) -> Result<(), StoreError> {
        self.with(|connection| {
            SEALED
                .iter()
                .try_for_each(|sealed| show(connection, sealed, look))
        })
    }
}

/// A connection of its own: while it reads, the store's own writes.
fn beside(path: &Path) -> Result<Connection, StoreFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn is_interruption(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<rusqlite::Error>();
    error.and_then(rusqlite::Error::sqlite_error_code) == Some(ErrorCode::OperationInterrupted)
}

fn create(file: &Path) -> Result<(), StoreFault> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map(drop)
        .map_err(StoreFault::Open)
}

/// Copies page by page. The transaction holds the moment fast, so that what is
/// written meanwhile neither gets in nor makes the copy begin anew.
fn copy(source: &Connection, file: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, StoreFault> {
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(file, flags)?;
    // A copy that is cut short is thrown away: it needs no journal.
    target.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
    target.pragma_update(None, "synchronous", "off")?;
    let backup = Backup::new(&moment, &mut target)?;
    while go_on() {
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(true),
            StepResult::Busy | StepResult::Locked => thread::sleep(PAUSE),
            _ => {}
        }
    }
    Ok(false)
}

fn show(
    connection: &Connection,
    sealed: &Sealed,
    look: &mut dyn FnMut(SealedValue<'_>),
) -> Result<(), StoreFault> {
    let Sealed {
        table,
        column,
        row: names,
        vault,
    } = *sealed;
    let sql = format!(
        "SELECT {column}, {} FROM {table} WHERE {column} IS NOT NULL",
        names.join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let mut row = Vec::new();
        for place in 1..=names.len() {
            row.extend_from_slice(bytes(found.get_ref(place)?)?);
        }
        look(SealedValue {
            table,
            column: vault,
            row: &row,
            sealed: bytes(found.get_ref(0)?)?,
        });
    }
    Ok(())
}

fn bytes(value: ValueRef<'_>) -> Result<&[u8], StoreFault> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        other => {
            let finding = format!("{} where bytes should be", other.data_type());
            Err(StoreFault::Damaged(finding))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::audit::{Action, Entry};
    use crate::store::{AuditStore, FactStore};

    fn entry() -> Entry {
        Entry::new(Timestamp::from_millis(5), "D1", Action::Started, "", "")
    }

    use crate::clock::Timestamp;

    #[test]
    fn a_snapshot_is_the_store_at_one_moment_and_nobody_waits_for_it() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(&directory.path().join("telemed.db")).unwrap();
        // Several steps long.
        for name in ["a", "b", "c", "d"] {
            store.set_facts(&[(name, &[7; 1 << 20])]).unwrap();
        }
        store.append_audit(&[entry()]).unwrap();
        let file = directory.path().join("copy.db");
        let mut looks = std::cell::Cell::new(0);
        let whole = store.snapshot(&file, &|| {
            looks.set(looks.get() + 1);
            // In the middle of it, from the thread that copies.
            store.append_audit(&[entry()]).unwrap();
            store.set_facts(&[("a", b"changed")]).unwrap();
            true
        });
        assert!(whole.unwrap());
        assert!(*looks.get_mut() > 3, "{looks:?}");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let copy = SqliteStore::open(&file).unwrap();
        assert_eq!(copy.fact("a").unwrap().unwrap(), [7; 1 << 20]);
        let inventory = copy.inventory().unwrap();
        assert_eq!(inventory.audit, 1);
        assert_eq!(inventory.newest, Some(Timestamp::from_millis(5)));
        assert_eq!(store.fact("a").unwrap().unwrap(), b"changed");
    }

    #[test]
    fn a_snapshot_that_is_not_to_go_on_ends() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(&directory.path().join("telemed.db")).unwrap();
        store.set_facts(&[("a", &[7; 4 << 20])]).unwrap();
        let looks = std::cell::Cell::new(0);
        let whole = store.snapshot(&directory.path().join("copy.db"), &|| {
            looks.set(looks.get() + 1);
            looks.get() < 3
        });
        assert!(!whole.unwrap());
    }

    #[test]
    fn a_store_in_memory_is_copied_too_and_no_file_is_replaced() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::in_memory().unwrap();
        store.set_facts(&[("a", b"1")]).unwrap();
        let file = directory.path().join("copy.db");
        assert!(store.snapshot(&file, &|| true).unwrap());
        let copy = SqliteStore::open(&file).unwrap();
        assert_eq!(copy.fact("a").unwrap().unwrap(), b"1");
        let error = store.snapshot(&file, &|| true).unwrap_err();
        assert!(error.to_string().contains("copy.db"), "{error}");
        assert_eq!(copy.fact("a").unwrap().unwrap(), b"1");
    }

    #[test]
    fn every_sealed_column_of_the_schema_is_known() {
        let store = SqliteStore::in_memory().unwrap();
        let sql = "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c
                   WHERE s.type = 'table'
                   AND (c.name LIKE '%sealed%' OR c.name = 'contact')";
        let columns = store.all(sql, |row| Ok((row.get(0)?, row.get(1)?)));
        let columns: Vec<(String, String)> = columns.unwrap();
        for (table, column) in &columns {
            let known = |sealed: &&Sealed| sealed.table == table && sealed.column == column;
            assert!(
                SEALED.iter().any(|sealed| known(&sealed)),
                "{table}.{column}"
            );
        }
        assert_eq!(columns.len(), SEALED.len());
    }

    #[test]
    fn sealed_values_are_shown_with_the_name_of_their_row() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE t (a BLOB, b TEXT, s BLOB);
                   INSERT INTO t VALUES (x'0001', 'P1', x'05'), (x'ff', 'P2', NULL)";
        connection.execute_batch(sql).unwrap();
        let mut sealed = Sealed {
            table: "t",
            column: "s",
            row: &["a", "b"],
            vault: column::INCOMING,
        };
        let mut seen = Vec::new();
        show(&connection, &sealed, &mut |value| {
            assert_eq!((value.table, value.column), ("t", column::INCOMING));
            seen.push((value.row.to_vec(), value.sealed.to_vec()));
        })
        .unwrap();
        assert_eq!(seen, [(b"\0\x01P1".to_vec(), vec![5])]);
        connection.execute("UPDATE t SET s = 7", []).unwrap();
        sealed.row = &["a"];
        let fault = show(&connection, &sealed, &mut |_| ()).unwrap_err();
        assert!(matches!(fault, StoreFault::Damaged(_)));
    }
}
