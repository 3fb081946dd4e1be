//! The store in one `SQLite` file: write-ahead log, every commit synced.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, TransactionBehavior};

use super::{
    CertificateRow, CertificateState, PrekeyRow, Store, StoreError, StoreFault, TicketRow,
    TicketState, migrations, stored_millis,
};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How long another program may hold the file before a method gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A [`Store`] in a database file.
///
/// Content that is deleted is overwritten (`secure_delete`). The file and the
/// log beside it are readable by their owner only.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the database `path`, or makes it; brings an older schema up to
    /// date. Reads the whole file once to see whether it is sound.
    ///
    /// # Errors
    /// If the file cannot be made or opened, is no database of ours, is
    /// damaged, or was written by a newer version. It is left as it was then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = prepare(path).map_err(|fault| StoreError::new(path, fault))?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
        })
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
        let result = match self.connection.lock() {
            Ok(mut connection) => work(&mut connection),
            Err(_) => Err(StoreFault::Poisoned),
        };
        result.map_err(|fault| StoreError::new(&self.path, fault))
    }

    /// Runs one statement; says whether it changed a row.
    fn change(&self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        self.with(|connection| Ok(connection.execute(sql, params)? > 0))
    }

    fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.with(|connection| Ok(connection.query_row(sql, params, read).optional()?))
    }

    fn all<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], read)?.collect::<Result<_, _>>()?;
            Ok(rows)
        })
    }
}

/// Opens the file, checks it, and only then changes it.
fn prepare(path: &Path) -> Result<Connection, StoreFault> {
    create_if_absent(path).map_err(StoreFault::Open)?;
    // Without SQLITE_OPEN_URI, so that no character of a path has a meaning.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    migrations::check(&connection)?;
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding != "ok" {
        return Err(StoreFault::Damaged(finding));
    }
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    migrations::migrate(&mut connection)?;
    Ok(connection)
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

const CERTIFICATE: &str = "
    SELECT serial, fingerprint, subject, bytes, state, ticket, created, not_after
    FROM certificate";

fn read_certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRow> {
    Ok(CertificateRow {
        serial: row.get("serial")?,
        fingerprint: row.get("fingerprint")?,
        subject: row.get("subject")?,
        bytes: row.get("bytes")?,
        state: row.get("state")?,
        ticket: row.get("ticket")?,
        created: row.get("created")?,
        not_after: row.get("not_after")?,
    })
}

fn insert_certificate(
    connection: &Connection,
    row: &CertificateRow,
    ticket: Option<&[u8; 16]>,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO certificate
            (serial, fingerprint, subject, bytes, state, ticket, created, not_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            row.serial,
            row.fingerprint,
            &row.subject,
            &row.bytes,
            row.state,
            ticket,
            row.created,
            row.not_after,
        ),
    )?;
    Ok(())
}

const TICKET: &str = "
    SELECT ticket.id, ticket.subject, ticket.secret, ticket.created, ticket.expires,
           ticket.state, certificate.serial
    FROM ticket LEFT JOIN certificate ON certificate.ticket = ticket.id";

fn read_ticket(row: &Row<'_>) -> rusqlite::Result<TicketRow> {
    Ok(TicketRow {
        id: row.get("id")?,
        subject: row.get("subject")?,
        secret: row.get("secret")?,
        created: row.get("created")?,
        expires: row.get("expires")?,
        state: row.get("state")?,
        serial: row.get("serial")?,
    })
}

fn read_prekey(row: &Row<'_>) -> rusqlite::Result<PrekeyRow> {
    Ok(PrekeyRow {
        kid: row.get("kid")?,
        bytes: row.get("bytes")?,
        not_before: row.get("not_before")?,
        not_after: row.get("not_after")?,
    })
}

impl Store for SqliteStore {
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.first("SELECT value FROM fact WHERE name = ?1", [name], |row| {
            row.get(0)
        })
    }

    fn set_facts(&self, facts: &[(&str, &[u8])]) -> Result<(), StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for fact in facts {
                transaction.execute(
                    "INSERT INTO fact (name, value) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    *fact,
                )?;
            }
            Ok(transaction.commit()?)
        })
    }

    fn remove_fact(&self, name: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM fact WHERE name = ?1", [name])
    }

    fn add_ticket(&self, ticket: &TicketRow) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO ticket (id, subject, secret, created, expires, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                ticket.id,
                &ticket.subject,
                &ticket.secret,
                ticket.created,
                ticket.expires,
                ticket.state,
            ),
        )?;
        Ok(())
    }

    fn ticket(&self, id: &[u8; 16]) -> Result<Option<TicketRow>, StoreError> {
        self.first(&format!("{TICKET} WHERE ticket.id = ?1"), [id], read_ticket)
    }

    fn tickets(&self) -> Result<Vec<TicketRow>, StoreError> {
        let sql = format!("{TICKET} ORDER BY ticket.created, ticket.id");
        self.all(&sql, read_ticket)
    }

    fn set_ticket_state(&self, id: &[u8; 16], state: TicketState) -> Result<bool, StoreError> {
        self.change(
            "UPDATE ticket SET state = ?2
             WHERE id = ?1 AND (state = ?2 OR (state <> 'revoked' AND ?2 <> 'open'))",
            (id, state),
        )
    }

    fn use_ticket(&self, id: &[u8; 16], certificate: &CertificateRow) -> Result<bool, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let used = transaction.execute(
                "UPDATE ticket SET state = 'used' WHERE id = ?1 AND state = 'open'",
                [id],
            )?;
            if used == 0 {
                return Ok(false);
            }
            insert_certificate(&transaction, certificate, Some(id))?;
            transaction.commit()?;
            Ok(true)
        })
    }

    fn freeze_ticket(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known = transaction.execute(
                "UPDATE ticket SET state = iif(state = 'revoked', state, 'frozen') WHERE id = ?1",
                [id],
            )?;
            transaction.execute(
                "UPDATE certificate SET state = 'frozen' WHERE ticket = ?1 AND state <> 'revoked'",
                [id],
            )?;
            transaction.commit()?;
            Ok(known > 0)
        })
    }

    fn add_certificate(&self, certificate: &CertificateRow) -> Result<(), StoreError> {
        self.with(|connection| {
            insert_certificate(connection, certificate, certificate.ticket.as_ref())?;
            Ok(())
        })
    }

    fn certificate(&self, serial: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{CERTIFICATE} WHERE serial = ?1");
        self.first(&sql, [serial], read_certificate)
    }

    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{CERTIFICATE} WHERE ticket = ?1");
        self.first(&sql, [id], read_certificate)
    }

    fn certificates(&self) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = format!("{CERTIFICATE} ORDER BY created, serial");
        self.all(&sql, read_certificate)
    }

    fn activate_certificate(&self, serial: &[u8; 16]) -> Result<bool, StoreError> {
        self.change(
            "UPDATE certificate SET state = 'active'
             WHERE serial = ?1 AND state IN ('inactive', 'active')",
            [serial],
        )
    }

    fn set_certificate_state(
        &self,
        serial: &[u8; 16],
        state: CertificateState,
    ) -> Result<bool, StoreError> {
        self.change(
            "UPDATE certificate SET state = ?2
             WHERE serial = ?1 AND (state = ?2 OR state <> 'revoked')",
            (serial, state),
        )
    }

    fn last_timestamp(&self, serial: &[u8; 16]) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at FROM last_timestamp WHERE serial = ?1";
        self.first(sql, [serial], |row| row.get(0))
    }

    fn advance_timestamp(&self, serial: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        self.change(
            "INSERT INTO last_timestamp (serial, at) VALUES (?1, ?2)
             ON CONFLICT (serial) DO UPDATE SET at = excluded.at WHERE excluded.at > at",
            (serial, at),
        )
    }

    fn add_prekey(&self, prekey: &PrekeyRow) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO prekey (kid, bytes, not_before, not_after) VALUES (?1, ?2, ?3, ?4)",
            (
                prekey.kid,
                &prekey.bytes,
                prekey.not_before,
                prekey.not_after,
            ),
        )?;
        Ok(())
    }

    fn prekeys(&self) -> Result<Vec<PrekeyRow>, StoreError> {
        let sql = "SELECT kid, bytes, not_before, not_after FROM prekey ORDER BY not_before, kid";
        self.all(sql, read_prekey)
    }

    fn remove_prekey(&self, kid: &[u8; 8]) -> Result<bool, StoreError> {
        self.change("DELETE FROM prekey WHERE kid = ?1", [kid])
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

impl ToSql for CertificateState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for CertificateState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for TicketState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for TicketState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
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
