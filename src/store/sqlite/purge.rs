//! Deleting for good, in the database.
//!
//! What is deleted is overwritten in its page (`secure_delete`). Older versions
//! of the page may still lie in the write-ahead log: they go when the log has
//! been taken into the database and is cut to nothing.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction};

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::purge::{INCOMING_IS_KEPT, MESSAGE_IS_KEPT, NOTE_IS_KEPT, OPEN_CONSULTATIONS};
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::{PurgeStore, Purgeable, StoreError, StoreFault};

/// The messages, in both directions, that somebody waits for at ?2. What is open
/// is found device by device, in its index: a practice has few open messages.
const AWAITED: &str = "
    awaited_message AS MATERIALIZED (
        SELECT DISTINCT message.number, message.patient, message.boundary, message.written AS at
        FROM certificate AS device CROSS JOIN delivery INDEXED BY delivery_open
             CROSS JOIN message
        WHERE delivery.device = device.fingerprint AND delivery.open = 1
          AND message.number = delivery.message AND message.written < ?1
          AND (message.expires IS NULL OR message.expires > ?2)
          AND (device.state <> 'revoked' AND device.not_after >= ?2
               OR NOT EXISTS (SELECT 1 FROM certificate CROSS JOIN delivery AS other
                              WHERE certificate.subject = delivery.patient
                                AND other.message = delivery.message
                                AND other.device = certificate.fingerprint
                                AND (other.delivered IS NOT NULL OR other.confirmed IS NOT NULL))
                  AND NOT EXISTS (SELECT 1 FROM record WHERE record.patient = delivery.patient
                                    AND record.archived IS NOT NULL))),
    awaited_incoming AS MATERIALIZED (
        SELECT number, patient, boundary, received AS at FROM incoming
        WHERE shown IS NULL AND received < ?1),
    awaited_opening AS MATERIALIZED (
        SELECT patient, min(at) AS since FROM (
            SELECT patient, at FROM awaited_message WHERE boundary = 'opens'
            UNION ALL SELECT patient, at FROM awaited_incoming WHERE boundary = 'opens')
        GROUP BY patient)";

/// Whether a note, and the consultation it is of, are old enough.
const NOTE_IS_OLD: &str = "written < ?1 AND max(begun, coalesce(ended, begun)) < ?1";
/// What can be purged of each kind before ?1, at ?2. A record goes when nothing
/// is left that was written of its consultations.
fn kinds() -> [String; 4] {
    let with = format!("WITH {OPEN_CONSULTATIONS}, {AWAITED}");
    [
        format!(
            "{with} SELECT 'message' AS kind, number, id, written, patient FROM message
             WHERE written < ?1 AND NOT {MESSAGE_IS_KEPT}"
        ),
        format!(
            "{with} SELECT 'incoming' AS kind, number, id, written, patient FROM incoming
             WHERE received < ?1 AND NOT {INCOMING_IS_KEPT}"
        ),
        format!(
            "{with} SELECT 'consultation' AS kind, NULL AS number, id, patient FROM consultation
             WHERE {NOTE_IS_OLD} AND NOT {NOTE_IS_KEPT}"
        ),
        format!(
            "{with} SELECT 'record' AS kind, NULL AS number, NULL AS id, patient FROM record
             WHERE archived < ?1 AND changed < ?1 AND NOT EXISTS (
                 SELECT 1 FROM consultation WHERE consultation.patient = record.patient
                 AND NOT ({NOTE_IS_OLD} AND NOT {NOTE_IS_KEPT}))"
        ),
    ]
}

/// The same in the order in which it goes: a consultation's beginning before its
/// end, or one that has ended would be open in between.
fn in_order() -> [String; 6] {
    let [message, incoming, consultation, record] = kinds();
    let (opens, other) = ("AND boundary = 'opens'", "AND boundary IS NOT 'opens'");
    [
        format!("{message} {opens}"),
        format!("{incoming} {opens}"),
        format!("{message} {other}"),
        format!("{incoming} {other}"),
        consultation,
        record,
    ]
}

fn read(row: &Row<'_>) -> rusqlite::Result<Purgeable> {
    let kind: String = row.get("kind")?;
    Ok(match kind.as_str() {
        "message" => Purgeable::Message {
            number: row.get("number")?,
            id: row.get("id")?,
            written: row.get("written")?,
            patient: row.get("patient")?,
        },
        "incoming" => Purgeable::Incoming {
            number: row.get("number")?,
            id: row.get("id")?,
            written: row.get("written")?,
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
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Purgeable>> {
    let mut found = Vec::new();
    for kind in in_order() {
        let mut statement = transaction.prepare(&format!("{kind} LIMIT ?3"))?;
        for row in statement.query_map((before, now, limit - found.len()), read)? {
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
    fn count_purgeable(&self, before: Timestamp, now: Timestamp) -> Result<[u64; 4], StoreError> {
        self.with(|connection| {
            let mut counts = [0; 4];
            for (count, kind) in counts.iter_mut().zip(kinds()) {
                let sql = format!("SELECT count(*) FROM ({kind})");
                *count = connection.query_row(&sql, (before, now), |row| row.get(0))?;
            }
            Ok(counts)
        })
    }

    fn count_kept(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let sql = format!(
            "WITH {OPEN_CONSULTATIONS}, {AWAITED} SELECT
                 (SELECT count(*) FROM message WHERE written < ?1 AND {MESSAGE_IS_KEPT})
                 + (SELECT count(*) FROM incoming WHERE received < ?1 AND {INCOMING_IS_KEPT})
                 + (SELECT count(*) FROM consultation WHERE {NOTE_IS_OLD} AND {NOTE_IS_KEPT})"
        );
        self.with(|connection| Ok(connection.query_row(&sql, (before, now), |row| row.get(0))?))
    }

    fn purge(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
        tombstone: &dyn Fn(&Purgeable) -> Entry,
    ) -> Result<Vec<Purgeable>, StoreError> {
        self.write(|transaction| {
            let gone = due(transaction, before, now, limit)?;
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
