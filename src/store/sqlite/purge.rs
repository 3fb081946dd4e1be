//! Deleting for good, in the database.
//!
//! What is deleted is overwritten in its page (`secure_delete`). Older versions
//! of the page may still lie in the write-ahead log: they go when the log has
//! been taken into the database and is cut to nothing.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction};

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::{PurgeStore, Purgeable, StoreError, StoreFault};

/// What can be purged of each kind before ?1. A record goes when nothing is
/// left that was written of its consultations.
const KINDS: [&str; 4] = [
    "SELECT 'message' AS kind, number, NULL AS id, patient FROM message WHERE written < ?1",
    "SELECT 'incoming' AS kind, number, NULL AS id, patient FROM incoming WHERE received < ?1",
    "SELECT 'consultation' AS kind, NULL AS number, id, patient FROM consultation
     WHERE written < ?1 AND max(begun, coalesce(ended, begun)) < ?1",
    "SELECT 'record' AS kind, NULL AS number, NULL AS id, patient FROM record
     WHERE archived < ?1 AND changed < ?1 AND NOT EXISTS (
         SELECT 1 FROM consultation WHERE consultation.patient = record.patient
         AND NOT (written < ?1 AND max(begun, coalesce(ended, begun)) < ?1))",
];

fn read(row: &Row<'_>) -> rusqlite::Result<Purgeable> {
    let kind: String = row.get("kind")?;
    Ok(match kind.as_str() {
        "message" => Purgeable::Message {
            number: row.get("number")?,
            patient: row.get("patient")?,
        },
        "incoming" => Purgeable::Incoming {
            number: row.get("number")?,
            patient: row.get("patient")?,
        },
        "consultation" => Purgeable::Consultation {
            id: row.get("id")?,
            patient: row.get("patient")?,
        },
        "record" => Purgeable::Record {
            patient: row.get("patient")?,
        },
        other => {
            let error = format!("unknown kind {other}").into();
            return Err(rusqlite::Error::FromSqlConversionFailure(
                0,
                Type::Text,
                error,
            ));
        }
    })
}

/// What is due, at most so many. Asked in the transaction that deletes it, which
/// nobody else writes in.
fn due(
    transaction: &Transaction<'_>,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Purgeable>> {
    let mut found = Vec::new();
    for kind in KINDS {
        let mut statement = transaction.prepare(&format!("{kind} LIMIT ?2"))?;
        for row in statement.query_map((before, limit - found.len()), read)? {
            found.push(row?);
        }
    }
    Ok(found)
}

fn delete(connection: &Connection, what: &Purgeable) -> rusqlite::Result<usize> {
    match what {
        Purgeable::Message { number, .. } => {
            connection.execute("DELETE FROM message WHERE number = ?1", [number])
        }
        Purgeable::Incoming { number, .. } => {
            connection.execute("DELETE FROM incoming WHERE number = ?1", [number])
        }
        Purgeable::Consultation { id, .. } => {
            connection.execute("DELETE FROM consultation WHERE id = ?1", [id])
        }
        Purgeable::Record { patient } => {
            connection.execute("DELETE FROM record WHERE patient = ?1", [patient])
        }
    }
}

impl PurgeStore for SqliteStore {
    fn count_purgeable(&self, before: Timestamp) -> Result<[u64; 4], StoreError> {
        self.with(|connection| {
            let mut counts = [0; 4];
            for (count, kind) in counts.iter_mut().zip(KINDS) {
                let sql = format!("SELECT count(*) FROM ({kind})");
                *count = connection.query_row(&sql, [before], |row| row.get(0))?;
            }
            Ok(counts)
        })
    }

    fn purge(
        &self,
        before: Timestamp,
        limit: usize,
        tombstone: &dyn Fn(&Purgeable) -> Entry,
    ) -> Result<Vec<Purgeable>, StoreError> {
        self.write(|transaction| {
            let gone = due(transaction, before, limit)?;
            for one in &gone {
                delete(transaction, one)?;
            }
            let tombstones: Vec<Entry> = gone.iter().map(tombstone).collect();
            audit::append(transaction, &tombstones)?;
            Ok(gone)
        })
    }

    fn scrub(&self) -> Result<(), StoreError> {
        self.with(|connection| {
            let busy: i64 =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            // Somebody reads, as a backup does, and holds on to old pages.
            match busy {
                0 => Ok(()),
                _ => Err(StoreFault::LogHeld),
            }
        })
    }
}
