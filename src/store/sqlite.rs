//! The store in one `SQLite` file: write-ahead log, every commit synced.

mod audit;
mod backup;
mod mailbox;
mod messages;
mod purge;
mod records;
#[cfg(test)]
mod tests;
mod trust;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Params, Row, Transaction, TransactionBehavior,
};

use super::{
    FactStore, PatientStore, ReachStore, Store, StoreError, StoreFault, migrations, stored_millis,
};
use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How long another program may hold the file before a method gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages that are kept in memory, in KiB together.
const CACHE_KIB: i64 = 8 * 1024;
/// Pages of 4 KiB after which the log is moved into the file.
const LOG_PAGES: i64 = 4_000;
/// Statements that are kept prepared.
const STATEMENTS: usize = 64;
/// Stands for the file of a store in memory.
const MEMORY: &str = ":memory:";

/// A [`Store`](super::Store), or a [`PatientStore`](super::PatientStore), in a
/// database file.
///
/// Content that is deleted is overwritten (`secure_delete`). The file and the
/// log beside it are readable by their owner only.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// How often it was asked for something.
    #[cfg(test)]
    pub(crate) asked: std::sync::atomic::AtomicU64,
}

impl SqliteStore {
    /// Opens the database `path`, or makes it; brings an older schema up to
    /// date. Reads the whole file once to see whether it is sound.
    ///
    /// # Errors
    /// If the file cannot be made or opened, is no database of ours, is
    /// damaged, or was written by a newer version. It is left as it was then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = prepare(path, true).map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self::new(path, connection))
    }

    /// The same at once: the whole file is read only if whoever had it open did
    /// not close it, as after a power cut. Other damage is found where it is met,
    /// or by who checks it later ([`BackupStore::check_while`](super::BackupStore)).
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn reopen(path: &Path) -> Result<Self, StoreError> {
        let was_closed = !write_ahead_log(path).exists();
        let connection = prepare(path, !was_closed);
        let connection = connection.map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self::new(path, connection))
    }

    /// Opens the database `path` to look at it, as it is at this moment, while
    /// another program may work with it. Nothing is changed, and changes fail.
    ///
    /// # Errors
    /// If the file cannot be opened, is no database of ours, or was written by
    /// an older or newer version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let connection = fs::File::open(path)
            .map_err(StoreFault::Open)
            .and_then(|_| look_at(path, OpenFlags::empty()))
            .map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self::new(path, connection))
    }

    /// The same for a copy that nobody works with: not even files beside it are
    /// made, so it may lie where nothing can be written.
    ///
    /// # Errors
    /// As [`SqliteStore::open_read_only`].
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        if write_ahead_log(path).exists() {
            // The copy is not complete without it.
            return Self::open_read_only(path);
        }
        let uri = PathBuf::from(immutable_uri(path));
        let connection = fs::File::open(path)
            .map_err(StoreFault::Open)
            .and_then(|_| look_at(&uri, OpenFlags::SQLITE_OPEN_URI))
            .map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self::new(path, connection))
    }

    /// A store in memory only, for tests: it behaves as one in a file does, and
    /// is gone when it is dropped.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(MEMORY);
        let connection = Connection::open_in_memory().map_err(StoreFault::from);
        let connection = connection
            .and_then(|mut connection| {
                configure(&connection)?;
                migrations::migrate(&mut connection)?;
                Ok(connection)
            })
            .map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self::new(path, connection))
    }

    fn new(path: &Path, connection: Connection) -> Self {
        Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            #[cfg(test)]
            asked: Default::default(),
        }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        self.asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let result = match self.connection.lock() {
            Ok(mut connection) => work(&mut connection),
            Err(_) => Err(StoreFault::Poisoned),
        };
        result.map_err(|fault| StoreError::new(&*self.path, fault))
    }

    /// Works in one transaction, which is on the disk when this returns. If
    /// `work` fails nothing has changed.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Runs one statement; says whether it changed a row.
    fn change(&self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        self.with(|connection| Ok(connection.prepare_cached(sql)?.execute(params)? > 0))
    }

    fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row(params, read).optional()?)
        })
    }

    fn all<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(sql, [], read)
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params, read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// The log beside a database. `SQLite` removes it when the last program that
/// works with the database closes it.
fn write_ahead_log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Reads the whole file to see whether it is sound.
fn check(connection: &Connection) -> Result<(), StoreFault> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match &*finding {
        "ok" => Ok(()),
        // It may have several lines.
        _ => Err(StoreFault::Damaged(finding.replace('\n', ": "))),
    }
}

/// Opens the file, looks at it, all of it if `whole`, and only then changes it.
fn prepare(path: &Path, whole: bool) -> Result<Connection, StoreFault> {
    create_if_absent(path).map_err(StoreFault::Open)?;
    // Without SQLITE_OPEN_URI, so that no character of a path has a meaning.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    migrations::check(&connection)?;
    if whole {
        check(&connection)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    configure(&connection)?;
    migrations::migrate(&mut connection)?;
    Ok(connection)
}

/// The name of a file that does not change, as SQLite's URIs want it.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri + "?immutable=1"
}

/// Opens the file for one long look at it, in one transaction.
fn look_at(path: &Path, flags: OpenFlags) -> Result<Connection, StoreFault> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, read_only | flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("BEGIN")?;
    migrations::check_newest(&connection)?;
    Ok(connection)
}

/// A broadcast to ten thousand changes some thousand pages: they stay in memory
/// until it is committed, and those that change with every broadcast are moved
/// from the log to the file once for several.
fn configure(connection: &Connection) -> Result<(), StoreFault> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    Ok(())
}

/// `SQLite` would make the file with the permissions the umask leaves, and
/// gives those of the file to the log beside it.
fn create_if_absent(path: &Path) -> io::Result<()> {
    let created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn put_fact(connection: &Connection, fact: &(&str, &[u8])) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO fact (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        *fact,
    )?;
    Ok(())
}

impl ReachStore for SqliteStore {}

impl Store for SqliteStore {}

impl PatientStore for SqliteStore {}

impl FactStore for SqliteStore {
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.first("SELECT value FROM fact WHERE name = ?1", [name], |row| {
            row.get(0)
        })
    }

    fn set_facts(&self, facts: &[(&str, &[u8])]) -> Result<(), StoreError> {
        self.write(|transaction| {
            for fact in facts {
                put_fact(transaction, fact)?;
            }
            Ok(())
        })
    }

    fn move_fact(
        &self,
        from: &str,
        value: &[u8],
        to: &str,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM fact WHERE name = ?1 AND value = ?2";
            if transaction.execute(sql, (from, value))? == 0 {
                return Ok(false);
            }
            let sql = "INSERT INTO fact (name, value) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.execute(sql, (to, value))?;
            audit::append(transaction, entries)?;
            Ok(true)
        })
    }

    fn remove_fact(&self, name: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM fact WHERE name = ?1", [name])
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(stored_millis(*self).into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let millis = value.as_i64()?;
        u64::try_from(millis)
            .map(Self::from_millis)
            .map_err(|_| FromSqlError::OutOfRange(millis))
    }
}

impl<const N: usize> ToSql for Secret<N> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.expose().as_slice().into())
    }
}

impl<const N: usize> FromSql for Secret<N> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        Self::from_slice(bytes).ok_or(FromSqlError::InvalidBlobSize {
            expected_size: N,
            blob_size: bytes.len(),
        })
    }
}
