//! Deleting for good, in the database.
//!
//! What is deleted stays in the server's files until `VACUUM` has cleared it
//! away, and is not overwritten even then: neither there nor in the write-ahead
//! log nor in what the server archives.

use postgres::Row;

use super::connection::{Connection, value};
use super::transaction::Lock;
use super::values::{limit as stored, number};
use super::{PostgresStore, all, audit};
use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::purge::{INCOMING_IS_KEPT, MESSAGE_IS_KEPT, NOTE_IS_KEPT, OPEN_CONSULTATIONS};
use crate::store::{PurgeStore, Purgeable, StoreError, StoreFault, stored_millis};

/// The messages, in both directions, that somebody waits for at $2. What is open
/// is found device by device, in its index: a practice has few open messages.
const AWAITED: &str = "
    awaited_message AS MATERIALIZED (
        SELECT DISTINCT message.number, message.patient, message.boundary, message.written AS at
        FROM certificate AS device CROSS JOIN delivery CROSS JOIN message
        WHERE delivery.device = device.fingerprint AND delivery.open
          AND message.number = delivery.message AND message.written < $1
          AND (message.expires IS NULL OR message.expires > $2)
          AND (device.state <> 'revoked' AND device.not_after >= $2
               OR NOT EXISTS (SELECT 1 FROM certificate
                              WHERE certificate.subject = delivery.patient
                                AND (SELECT coalesce(other.delivered, other.confirmed)
                                     FROM delivery AS other
                                     WHERE other.message = delivery.message
                                       AND other.device = certificate.fingerprint) IS NOT NULL)
                  AND NOT EXISTS (SELECT 1 FROM record WHERE record.patient = delivery.patient
                                    AND record.archived IS NOT NULL))),
    awaited_incoming AS MATERIALIZED (
        SELECT number, patient, boundary, received AS at FROM incoming
        WHERE shown IS NULL AND received < $1),
    awaited_opening AS MATERIALIZED (
        SELECT patient, min(at) AS since FROM (
            SELECT patient, at FROM awaited_message WHERE boundary = 'opens'
            UNION ALL SELECT patient, at FROM awaited_incoming WHERE boundary = 'opens') AS opening
        GROUP BY patient)";

/// Whether a note, and the consultation it is of, are old enough.
const NOTE_IS_OLD: &str = "written < $1 AND greatest(begun, coalesce(ended, begun)) < $1";
/// What can be purged of each kind before $1, at $2. A record goes when nothing
/// is left that was written of its consultations.
fn kinds() -> [String; 4] {
    let with = format!("WITH {OPEN_CONSULTATIONS}, {AWAITED}");
    [
        format!(
            "{with} SELECT number, id, written, patient FROM message
             WHERE written < $1 AND NOT {MESSAGE_IS_KEPT}"
        ),
        format!(
            "{with} SELECT number, id, written, patient FROM incoming
             WHERE received < $1 AND NOT {INCOMING_IS_KEPT}"
        ),
        format!(
            "{with} SELECT id, patient FROM consultation
             WHERE {NOTE_IS_OLD} AND NOT {NOTE_IS_KEPT}"
        ),
        format!(
            "{with} SELECT patient FROM record
             WHERE archived < $1 AND changed < $1 AND NOT EXISTS (
                 SELECT 1 FROM consultation WHERE consultation.patient = record.patient
                 AND NOT ({NOTE_IS_OLD} AND NOT {NOTE_IS_KEPT}))"
        ),
    ]
}

/// What is read from a row of each kind.
type Read = fn(&Row) -> Result<Purgeable, StoreFault>;

/// The same in the order in which it goes: a consultation's beginning before its
/// end, or one that has ended would be open in between.
fn in_order() -> [(String, Read); 6] {
    let [message, incoming, consultation, record] = kinds();
    let (opens, other) = (
        "AND boundary = 'opens'",
        "AND boundary IS DISTINCT FROM 'opens'",
    );
    [
        (format!("{message} {opens}"), read_message),
        (format!("{incoming} {opens}"), read_incoming),
        (format!("{message} {other}"), read_message),
        (format!("{incoming} {other}"), read_incoming),
        (consultation, |row| {
            Ok(Purgeable::Consultation {
                id: value(row, 0)?,
                patient: value(row, 1)?,
            })
        }),
        (record, |row| {
            Ok(Purgeable::Record {
                patient: value(row, 0)?,
            })
        }),
    ]
}

fn read_message(row: &Row) -> Result<Purgeable, StoreFault> {
    Ok(Purgeable::Message {
        number: value(row, 0)?,
        id: value(row, 1)?,
        written: value(row, 2)?,
        patient: value(row, 3)?,
    })
}

fn read_incoming(row: &Row) -> Result<Purgeable, StoreFault> {
    Ok(Purgeable::Incoming {
        number: value(row, 0)?,
        id: value(row, 1)?,
        written: value(row, 2)?,
        patient: value(row, 3)?,
    })
}

/// What is due, at most so many. Asked in the transaction that deletes it, while
/// nobody else changes anything.
fn due(
    connection: &mut Connection,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Purgeable>, StoreFault> {
    let mut found = Vec::new();
    for (kind, read) in in_order() {
        let params: super::Params<'_> = &[
            &stored_millis(before),
            &stored_millis(now),
            &stored(limit - found.len()),
        ];
        found.extend(all(connection, &format!("{kind} LIMIT $3"), params, read)?);
    }
    Ok(found)
}

fn delete(connection: &mut Connection, gone: &[Purgeable]) -> Result<(), StoreFault> {
    let (mut messages, mut incoming) = (Vec::new(), Vec::new());
    let (mut consultations, mut records) = (Vec::new(), Vec::new());
    for one in gone {
        match one {
            Purgeable::Message { number: at, .. } => messages.push(number(*at)),
            Purgeable::Incoming { number: at, .. } => incoming.push(number(*at)),
            Purgeable::Consultation { id, .. } => consultations.push(id.as_slice()),
            Purgeable::Record { patient } => records.push(patient.as_str()),
        }
    }
    let sql = "DELETE FROM message WHERE number = ANY ($1)";
    connection.execute(sql, &[&messages])?;
    let sql = "DELETE FROM incoming WHERE number = ANY ($1)";
    connection.execute(sql, &[&incoming])?;
    let sql = "DELETE FROM consultation WHERE id = ANY ($1)";
    connection.execute(sql, &[&consultations])?;
    let sql = "DELETE FROM record WHERE patient = ANY ($1)";
    connection.execute(sql, &[&records])?;
    Ok(())
}

impl PurgeStore for PostgresStore {
    fn count_purgeable(&self, before: Timestamp, now: Timestamp) -> Result<[u64; 4], StoreError> {
        self.read(|connection| {
            let mut counts = [0; 4];
            for (count, kind) in counts.iter_mut().zip(kinds()) {
                let sql = format!("SELECT count(*) FROM ({kind}) AS due WHERE $2::bigint >= 0");
                let params: super::Params<'_> = &[&stored_millis(before), &stored_millis(now)];
                *count = connection.number(&sql, params)?;
            }
            Ok(counts)
        })
    }

    fn count_kept(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let sql = format!(
            "WITH {OPEN_CONSULTATIONS}, {AWAITED} SELECT
                 (SELECT count(*) FROM message WHERE written < $1 AND {MESSAGE_IS_KEPT})
                 + (SELECT count(*) FROM incoming WHERE received < $1 AND {INCOMING_IS_KEPT})
                 + (SELECT count(*) FROM consultation WHERE {NOTE_IS_OLD} AND {NOTE_IS_KEPT})"
        );
        let params: super::Params<'_> = &[&stored_millis(before), &stored_millis(now)];
        self.read(|connection| connection.number(&sql, params))
    }

    fn purge(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
        tombstone: &dyn Fn(&Purgeable) -> Entry,
    ) -> Result<Vec<Purgeable>, StoreError> {
        self.write(Lock::Alone, |connection| {
            let gone = due(connection, before, now, limit)?;
            delete(connection, &gone)?;
            let tombstones: Vec<Entry> = gone.iter().map(tombstone).collect();
            audit::append(connection, &self.doctor, &tombstones)?;
            Ok(gone)
        })
    }

    /// Has the server clear away what was deleted, which does not overwrite it.
    fn scrub(&self) -> Result<(), StoreError> {
        self.read(|connection| {
            connection.take_time()?;
            let cleared = connection
                .batch("VACUUM message")
                .and_then(|_| connection.batch("VACUUM delivery"))
                .and_then(|_| connection.batch("VACUUM incoming"))
                .and_then(|_| connection.batch("VACUUM consultation"))
                .and_then(|_| connection.batch("VACUUM record"));
            connection.hurry_again()?;
            cleared.map(drop)
        })
    }
}
