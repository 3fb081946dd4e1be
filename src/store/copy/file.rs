//! A copy's end in a `SQLite` file.

use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, params_from_iter};

use super::{COUNTED, End, Kind, Row, TABLES, Table, Value};
use crate::store::{Place, SqliteStore, StoreError, StoreFault, fact};

/// A file.
pub(in crate::store) struct FileEnd {
    path: PathBuf,
    connection: Connection,
}

impl FileEnd {
    /// A file to read from, brought up to date first. Nobody else is to use it.
    pub(in crate::store) fn source(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let fault = StoreFault::Open(std::io::ErrorKind::NotFound.into());
            return Err(StoreError::new(path, fault));
        }
        Self::open(path, "BEGIN")
    }

    /// A file to write to, made if it is not there.
    pub(in crate::store) fn target(path: &Path) -> Result<Self, StoreError> {
        Self::open(
            path,
            "PRAGMA synchronous = full; PRAGMA foreign_keys = TRUE",
        )
    }

    /// The same for one that is thrown away if it is not completed.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn scratch(path: &Path) -> Result<Self, StoreError> {
        Self::open(path, "PRAGMA synchronous = off; PRAGMA foreign_keys = TRUE")
    }

    fn open(path: &Path, begin: &str) -> Result<Self, StoreError> {
        // Checks it, makes its tables, and closes it.
        drop(SqliteStore::open(path)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.execute_batch(begin)?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| StoreError::new(path, error.into()))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    fn number(&self, sql: &str) -> Result<i64, StoreFault> {
        let found = self.connection.query_row(sql, [], |row| row.get(0));
        Ok(found.optional()?.unwrap_or_default())
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Flag(flag) => ValueRef::Integer(i64::from(*flag)),
        }))
    }
}

/// The values of these columns, from the first place on.
fn read(row: &rusqlite::Row<'_>, columns: &[(&str, Kind)]) -> rusqlite::Result<Row> {
    let value = |(place, (_, kind)): (usize, &(&str, Kind))| {
        if row.get_ref(place)? == ValueRef::Null {
            return Ok(Value::Null);
        }
        Ok(match kind {
            Kind::Number => Value::Number(row.get(place)?),
            Kind::Bytes => Value::Bytes(row.get(place)?),
            Kind::Text => Value::Text(row.get(place)?),
            Kind::Flag => Value::Flag(row.get(place)?),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

fn places(count: usize) -> String {
    let places: Vec<_> = (1..=count).map(|place| format!("?{place}")).collect();
    places.join(", ")
}

impl End for FileEnd {
    fn rows(&mut self, table: &Table, after: Option<&[Value]>) -> Result<Vec<Row>, StoreFault> {
        let behind = match after {
            Some(_) => format!("AND ({}) > ({})", table.key_names(""), places(table.key)),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE {} {behind} ORDER BY {} LIMIT {}",
            table.names(),
            table.name,
            table.condition(),
            table.key_names(""),
            table.batch
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let key = params_from_iter(after.unwrap_or_default());
        let rows = statement.query_map(key, |row| read(row, table.columns))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn last_key(&mut self, table: &Table) -> Result<Option<Row>, StoreFault> {
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1",
            table.key_names(""),
            table.name,
            table.condition(),
            table.key_names(" DESC"),
        );
        let found = self
            .connection
            .query_row(&sql, [], |row| read(row, table.key_columns()));
        Ok(found.optional()?)
    }

    fn count(&mut self, table: &Table) -> Result<u64, StoreFault> {
        let (name, condition) = (table.name, table.condition());
        let count = self.number(&format!("SELECT count(*) FROM {name} WHERE {condition}"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    fn add(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreFault> {
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.name,
            table.names(),
            places(table.columns.len())
        );
        let transaction = self.connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(&sql)?;
            for row in rows {
                statement.execute(params_from_iter(row))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn mark(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        let sql = "SELECT value FROM fact WHERE name = ?1";
        let found = self.connection.query_row(sql, [name], |row| row.get(0));
        Ok(found.optional()?)
    }

    fn set_mark(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), StoreFault> {
        match value {
            Some(value) => self.connection.execute(
                "INSERT INTO fact (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            ),
            None => self
                .connection
                .execute("DELETE FROM fact WHERE name = ?1", [name]),
        }?;
        Ok(())
    }

    fn counters(&mut self) -> Result<[i64; 2], StoreFault> {
        let [message, incoming] =
            COUNTED.map(|name| format!("SELECT seq FROM sqlite_sequence WHERE name = '{name}'"));
        Ok([self.number(&message)?, self.number(&incoming)?])
    }

    fn set_counters(&mut self, last: [i64; 2]) -> Result<(), StoreFault> {
        let transaction = self.connection.transaction()?;
        for (name, last) in COUNTED.iter().zip(last) {
            transaction.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [name])?;
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
            transaction.execute(sql, (name, last))?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StoreFault> {
        let transaction = self.connection.transaction()?;
        for table in TABLES.iter().rev() {
            transaction.execute(&format!("DELETE FROM {}", table.name), [])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// A patient's, or one from a first version whose tickets are not sealed yet.
    fn objection(&mut self) -> Result<Option<String>, StoreFault> {
        let sql = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM outgoing)";
        if self.number(sql)? > 0 {
            return Ok(Some("belongs to a patient".to_owned()));
        }
        let sql = "SELECT count(*) FROM ticket WHERE old_secret IS NOT NULL OR sealed IS NULL";
        let old_tickets = self.number(sql)?;
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM message LIMIT 1)
             WHERE NOT EXISTS (SELECT 1 FROM fact WHERE name = '{}')",
            fact::MESSAGES_ADDRESSED
        );
        Ok(match old_tickets + self.number(&sql)? {
            0 => None,
            _ => Some(
                "was written by an older version; start the doctor's server on it once".to_owned(),
            ),
        })
    }

    fn place(&self) -> Place {
        Place::File(self.path.clone())
    }
}
