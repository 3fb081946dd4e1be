//! A copy's end in a database on a server.

use std::thread;
use std::time::{Duration, Instant};

use postgres::types::ToSql;

use super::client::Door;
use super::connection::{Connection, Params, value};
use super::schema;
use crate::store::copy::{COUNTED, CopyError, End, Kind, Owner, Row, TABLES, Table, Value};
use crate::store::{Place, PostgresAddress, StoreError, StoreFault, fact};

/// A look at everything as it is at one moment, however long it takes.
pub(super) const MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// How long connections of a program that has ended may still be there.
const LAST: Duration = Duration::from_secs(5);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(50);

/// A doctor's view of a clinic, over one connection.
pub(super) struct ServerEnd<'c> {
    pub place: String,
    pub doctor: &'c str,
    pub connection: &'c mut Connection,
}

/// Works on a connection of its own, at one moment if asked for. While it does
/// nobody else copies to or from there.
pub(in crate::store) fn with<T>(
    address: &PostgresAddress,
    doctor: &str,
    moment: bool,
    work: impl FnOnce(&mut dyn End) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    let failed = |fault| CopyError::Store(StoreError::new(Place::Server(address.place()), fault));
    let (name, door) = (format!("telemed-copy {doctor}"), Door::default());
    let open = || Connection::open(address, &name, &door);
    let mut connection = open().map_err(failed)?;
    schema::migrate(&mut connection, open).map_err(failed)?;
    prepare(&mut connection, address, moment)?;
    let mut end = ServerEnd {
        place: address.place(),
        doctor,
        connection: &mut connection,
    };
    work(&mut end)
}

fn prepare(
    connection: &mut Connection,
    address: &PostgresAddress,
    moment: bool,
) -> Result<(), CopyError> {
    let place = Place::Server(address.place());
    let failed = |fault| CopyError::Store(StoreError::new(place.clone(), fault));
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'telemed %'";
    let deadline = Instant::now() + LAST;
    while connection.number(others, &[]).map_err(failed)? > 0 {
        if Instant::now() >= deadline {
            let sentence = "is in use by a doctor's program; stop her server first: doctor stop";
            return Err(CopyError::Objection(place, sentence.to_owned()));
        }
        thread::sleep(PAUSE);
    }
    // It is waited for as long as for any lock.
    let mine = "SELECT pg_advisory_lock(hashtextextended(current_schema(), 26223))";
    connection.batch(mine).map_err(|fault| match fault {
        StoreFault::Busy => {
            let sentence = "is being copied by another program";
            CopyError::Objection(place.clone(), sentence.to_owned())
        }
        fault => failed(fault),
    })?;
    connection.take_time().map_err(failed)?;
    if moment {
        connection.batch(MOMENT).map_err(failed)?;
    }
    Ok(())
}

impl ServerEnd<'_> {
    /// The condition on the rows of this doctor, whose name is `$1`.
    fn condition(table: &Table) -> String {
        let whose = match table.owner {
            Owner::Nobody | Owner::Maker => "$1::text IS NOT NULL",
            Owner::Doctor => "doctor = $1",
            Owner::Fact => "doctor IN ('', $1)",
        };
        format!("{whose} AND {}", table.condition())
    }
}

/// A value as a parameter.
fn param(value: &Value) -> &(dyn ToSql + Sync) {
    match value {
        Value::Null => &None::<i64>,
        Value::Number(number) => number,
        Value::Bytes(bytes) => bytes,
        Value::Text(text) => text,
        Value::Flag(flag) => flag,
    }
}

fn read(row: &postgres::Row, columns: &[(&str, Kind)]) -> Result<Row, StoreFault> {
    let value = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Number => value::<Option<i64>>(row, place)?.map(Value::Number),
            Kind::Bytes => value::<Option<Vec<u8>>>(row, place)?.map(Value::Bytes),
            Kind::Text => value::<Option<String>>(row, place)?.map(Value::Text),
            Kind::Flag => value::<Option<bool>>(row, place)?.map(Value::Flag),
        }
        .unwrap_or(Value::Null))
    };
    columns.iter().enumerate().map(value).collect()
}

/// One column of many rows, as one parameter.
fn column(rows: &[Row], place: usize, kind: Kind) -> Box<dyn ToSql + Sync + '_> {
    let values = rows.iter().map(move |row| &row[place]);
    match kind {
        Kind::Number => Box::new(
            values
                .map(|value| match value {
                    Value::Number(number) => Some(*number),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        ),
        Kind::Bytes => Box::new(
            values
                .map(|value| match value {
                    Value::Bytes(bytes) => Some(bytes.as_slice()),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        ),
        Kind::Text => Box::new(
            values
                .map(|value| match value {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        ),
        Kind::Flag => Box::new(
            values
                .map(|value| match value {
                    Value::Flag(flag) => Some(*flag),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        ),
    }
}

const fn array(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "bigint[]",
        Kind::Bytes => "bytea[]",
        Kind::Text => "text[]",
        Kind::Flag => "boolean[]",
    }
}

impl End for ServerEnd<'_> {
    fn rows(&mut self, table: &Table, after: Option<&[Value]>) -> Result<Vec<Row>, StoreFault> {
        let places: Vec<_> = (0..table.key)
            .map(|place| format!("${}", place + 2))
            .collect();
        let behind = match after {
            Some(_) => format!("AND ({}) > ({})", table.key_names(""), places.join(", ")),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE {} {behind} ORDER BY {} LIMIT {}",
            table.names(),
            table.name,
            Self::condition(table),
            table.key_names(""),
            table.batch
        );
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&self.doctor];
        params.extend(after.unwrap_or_default().iter().map(param));
        let rows = self.connection.rows(&sql, &params)?;
        rows.iter().map(|row| read(row, table.columns)).collect()
    }

    fn last_key(&mut self, table: &Table) -> Result<Option<Row>, StoreFault> {
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1",
            table.key_names(""),
            table.name,
            Self::condition(table),
            table.key_names(" DESC"),
        );
        let row = self.connection.first(&sql, &[&self.doctor])?;
        row.map(|row| read(&row, table.key_columns())).transpose()
    }

    fn count(&mut self, table: &Table) -> Result<u64, StoreFault> {
        let (name, condition) = (table.name, Self::condition(table));
        let sql = format!("SELECT count(*) FROM {name} WHERE {condition}");
        self.connection.number(&sql, &[&self.doctor])
    }

    fn add(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreFault> {
        let arrays: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(place, (_, kind))| format!("${}::{}", place + 3, array(*kind)))
            .collect();
        let (doctor, whose) = match table.owner {
            Owner::Nobody => ("", ""),
            Owner::Maker | Owner::Doctor => ("doctor, ", "$1::text, "),
            Owner::Fact => (
                "doctor, ",
                "CASE WHEN given.name = ANY ($2::text[]) THEN '' ELSE $1::text END, ",
            ),
        };
        let names = table.names();
        // Every parameter must be used.
        let sql = format!(
            "INSERT INTO {} ({doctor}{names})
             SELECT {whose}{names} FROM unnest({}) AS given ({names})
             WHERE $1::text IS NOT NULL AND $2::text[] IS NOT NULL",
            table.name,
            arrays.join(", ")
        );
        let shared: Vec<&str> = fact::SHARED.to_vec();
        let columns: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(place, (_, kind))| column(rows, place, *kind))
            .collect();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&self.doctor, &shared];
        params.extend(columns.iter().map(|column| &**column));
        // A statement is a transaction.
        self.connection.execute(&sql, &params)?;
        Ok(())
    }

    fn mark(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        let sql = "SELECT value FROM fact WHERE doctor IN ('', $1) AND name = $2";
        let row = self.connection.first(sql, &[&self.doctor, &name])?;
        row.map(|row| value(&row, 0)).transpose()
    }

    fn set_mark(&mut self, name: &str, content: Option<&[u8]>) -> Result<(), StoreFault> {
        let owner = match fact::SHARED.contains(&name) {
            true => "",
            false => self.doctor,
        };
        let (sql, params): (_, Params<'_>) = match &content {
            Some(content) => (
                "INSERT INTO fact (doctor, name, value) VALUES ($1, $2, $3)
                 ON CONFLICT (doctor, name) DO UPDATE SET value = excluded.value",
                &[&owner, &name, content],
            ),
            None => (
                "DELETE FROM fact WHERE doctor = $1 AND name = $2",
                &[&owner, &name],
            ),
        };
        self.connection.execute(sql, params).map(drop)
    }

    fn counters(&mut self) -> Result<[i64; 2], StoreFault> {
        let mut last = [0; 2];
        for (name, last) in COUNTED.iter().zip(&mut last) {
            let sql = "SELECT last FROM counter WHERE name = $1";
            if let Some(row) = self.connection.first(sql, &[name])? {
                *last = value(&row, 0)?;
            }
        }
        Ok(last)
    }

    fn set_counters(&mut self, last: [i64; 2]) -> Result<(), StoreFault> {
        for (name, last) in COUNTED.iter().zip(last) {
            let sql = "UPDATE counter SET last = $2 WHERE name = $1";
            self.connection.execute(sql, &[name, &last])?;
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StoreFault> {
        let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let sql = format!("TRUNCATE {}", names.join(", "));
        self.connection.batch(&sql).map(drop)
    }

    /// Rows of other doctors: a clinic of several stays where it is, and is no
    /// place for another practice.
    fn objection(&mut self) -> Result<Option<String>, StoreFault> {
        let others = "SELECT count(*) FROM fact WHERE doctor NOT IN ('', $1)";
        Ok(match self.connection.number(others, &[&self.doctor])? {
            0 => None,
            _ => Some("holds the clinic of several doctors, or of another one".to_owned()),
        })
    }

    fn place(&self) -> Place {
        Place::Server(self.place.clone())
    }
}
