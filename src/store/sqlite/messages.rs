//! The doctor's messages in the database.
//!
//! The order of joins is given (`CROSS JOIN`): without statistics `SQLite`
//! may begin with the larger table.

mod changes;
mod devices;
mod incoming;
mod missing;

use std::collections::BTreeSet;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, Row};

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::protocol::message::{MessageId, Place};
use crate::store::messages::{
    BoundaryMark, Change, ClosedDevice, DeliveryCounts, DeliveryRow, Device, IncomingRow, Kind,
    MessageRow, MessageStore, Outcome,
};
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::{StoreError, names, stored_millis};

/// The columns of [`read_message`], of a table called `message`.
const MESSAGE: &str = "message.number, message.id, message.kind, message.patient AS recipient,
    message.boundary, message.urgent, message.written, message.expires, message.sealed";

fn read_message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        number: row.get("number")?,
        id: row.get("id")?,
        kind: row.get("kind")?,
        patient: row.get("recipient")?,
        boundary: row.get("boundary")?,
        urgent: row.get("urgent")?,
        written: row.get("written")?,
        expires: row.get("expires")?,
        sealed: row.get("sealed")?,
    })
}

/// The columns of [`read_delivery`], of a table called `delivery`.
const DELIVERY: &str = "delivery.message, delivery.device, delivery.patient, delivery.queued,
    delivery.sent, delivery.delivered, delivery.confirmed";

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        message: row.get("message")?,
        device: row.get("device")?,
        patient: row.get("patient")?,
        queued: row.get("queued")?,
        sent: row.get("sent")?,
        delivered: row.get("delivered")?,
        confirmed: row.get("confirmed")?,
    })
}

/// The newest messages to one patient alone. Like the next, it comes from an
/// index in the order of numbers, and ends after so many rows.
const TO_ONE: &str = "SELECT number FROM message INDEXED BY message_to_one
    WHERE patient = ?1 ORDER BY number DESC LIMIT ?2";
/// The newest messages to several that a device is a recipient of.
const TO_DEVICE: &str = "SELECT message.number
    FROM message INDEXED BY message_to_several CROSS JOIN delivery
    WHERE message.kind <> 'private'
      AND delivery.message = message.number AND delivery.device = ?1
    ORDER BY message.number DESC LIMIT ?2";

/// Whether a device of the same patient as `delivery` has this state. Found
/// through the patient's certificates: a message may have thousands of rows.
fn has_other(state: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM certificate CROSS JOIN delivery AS other
                 WHERE certificate.subject = delivery.patient
                   AND other.message = delivery.message
                   AND other.device = certificate.fingerprint
                   AND other.{state} IS NOT NULL)"
    )
}

impl MessageStore for SqliteStore {
    fn commit(&self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        self.write(|transaction| changes::commit(transaction, changes))
    }

    fn add_message(
        &self,
        message: &MessageRow,
        devices: &[(Device, String)],
        audit: &[Entry],
    ) -> Result<u64, StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO message
                    (id, kind, patient, boundary, urgent, written, expires, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    message.id,
                    message.kind,
                    &message.patient,
                    message.boundary,
                    message.urgent,
                    message.written,
                    message.expires,
                    &message.sealed,
                ),
            )?;
            let number = transaction.last_insert_rowid();
            let mut insert = transaction.prepare_cached(
                "INSERT INTO delivery (message, device, patient, queued) VALUES (?1, ?2, ?3, ?4)",
            )?;
            // In the order of the table: the next row lies behind the last.
            let mut devices: Vec<_> = devices.iter().collect();
            devices.sort_unstable_by_key(|(device, _)| *device);
            for (device, patient) in devices {
                insert.execute((number, device, patient, message.written))?;
            }
            audit::append(transaction, audit)?;
            Ok(u64::try_from(number).unwrap_or_default())
        })
    }

    fn seal_messages(&self, sealed: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE message SET sealed = ?2 WHERE number = ?1";
            let mut statement = transaction.prepare(sql)?;
            for (number, sealed) in sealed {
                statement.execute((as_number(*number), sealed))?;
            }
            Ok(())
        })
    }

    fn newest_message(&self) -> Result<u64, StoreError> {
        let sql = "SELECT ifnull(max(number), 0) FROM message";
        Ok(self.first(sql, [], |row| row.get(0))?.unwrap_or(0))
    }

    fn message(&self, number: u64) -> Result<Option<MessageRow>, StoreError> {
        let sql = format!("SELECT {MESSAGE} FROM message WHERE number = ?1");
        self.first(&sql, [as_number(number)], read_message)
    }

    fn messages_with_prefix(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let (first, last) = names::range(prefix);
        let sql = format!(
            "SELECT {MESSAGE} FROM message WHERE id BETWEEN ?1 AND ?2
             ORDER BY number DESC LIMIT ?3"
        );
        self.rows(&sql, (first, last, limit), read_message)
    }

    fn messages_before(&self, number: u64, limit: usize) -> Result<Vec<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM message WHERE number < ?1 ORDER BY number DESC LIMIT ?2"
        );
        self.rows(&sql, (as_number(number), limit), read_message)
    }

    fn pending(
        &self,
        device: &Device,
        after: u64,
        up_to: u64,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE}
             FROM delivery INDEXED BY delivery_open CROSS JOIN message
             WHERE delivery.device = ?1 AND delivery.open = 1
               AND delivery.message > ?2 AND delivery.message <= ?3
               AND message.number = delivery.message
               AND (message.expires IS NULL OR message.expires > ?4)
             ORDER BY delivery.message LIMIT ?5"
        );
        let (after, up_to) = (as_number(after), as_number(up_to));
        self.rows(&sql, (device, after, up_to, now, limit), read_message)
    }

    fn message_for(
        &self,
        device: &Device,
        id: &[u8; 16],
    ) -> Result<Option<(MessageRow, DeliveryRow)>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE}, {DELIVERY} FROM message CROSS JOIN delivery
             WHERE message.id = ?2
               AND delivery.message = message.number AND delivery.device = ?1"
        );
        self.first(&sql, (device, id), |row| {
            Ok((read_message(row)?, read_delivery(row)?))
        })
    }

    fn deliveries(&self, message: u64) -> Result<Vec<DeliveryRow>, StoreError> {
        let sql =
            format!("SELECT {DELIVERY} FROM delivery WHERE message = ?1 ORDER BY patient, device");
        self.rows(&sql, [as_number(message)], read_delivery)
    }

    fn delivery_counts(&self, message: u64) -> Result<DeliveryCounts, StoreError> {
        let sql = "
            SELECT count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NULL AND sent IS NULL),
                   count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NULL
                                      AND sent IS NOT NULL),
                   count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NOT NULL),
                   count(*) FILTER (WHERE confirmed IS NOT NULL)
            FROM delivery WHERE message = ?1";
        let counts = self.first(sql, [as_number(message)], |row| {
            Ok(DeliveryCounts {
                queued: row.get(0)?,
                sent: row.get(1)?,
                delivered: row.get(2)?,
                confirmed: row.get(3)?,
            })
        })?;
        Ok(counts.unwrap_or_default())
    }

    fn missing_counts(
        &self,
        message: Option<u64>,
    ) -> Result<Vec<(u64, DeliveryCounts)>, StoreError> {
        missing::counts(self, message)
    }

    fn missing(&self, message: Option<u64>, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        missing::rows(self, message, limit)
    }

    fn confirmation(&self, message: u64, device: &Device) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT sealed_confirmation FROM delivery WHERE message = ?1 AND device = ?2";
        let found = self.first(sql, (as_number(message), device), |row| row.get(0))?;
        Ok(found.flatten())
    }

    fn welcome(&self, device: &Device, patient: &str, now: Timestamp) -> Result<usize, StoreError> {
        devices::welcome(self, device, patient, now)
    }

    fn end_expired(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = "SELECT number FROM message INDEXED BY message_expiring
                   WHERE expires IS NOT NULL AND ended = 0 AND expires <= ?1";
        let numbers: Vec<i64> = self.rows(due, [now], |row| row.get(0))?;
        if numbers.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            for number in &numbers {
                transaction.execute(
                    "UPDATE delivery SET open = 0 WHERE message = ?1 AND open = 1",
                    [number],
                )?;
                transaction.execute("UPDATE message SET ended = 1 WHERE number = ?1", [number])?;
            }
            Ok(numbers.len())
        })
    }

    fn active_devices(
        &self,
        patient: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<(Device, String)>, StoreError> {
        devices::active(self, patient, now)
    }

    fn closed_devices(
        &self,
        patient: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<ClosedDevice>, StoreError> {
        devices::closed(self, patient, now)
    }

    fn certificate_bytes(&self, device: &Device) -> Result<Option<Vec<u8>>, StoreError> {
        devices::certificate(self, device)
    }

    fn messages_to(
        &self,
        patient: &str,
        limit: usize,
    ) -> Result<Vec<(MessageRow, Vec<DeliveryRow>)>, StoreError> {
        let devices = "SELECT fingerprint FROM certificate WHERE subject = ?1";
        let message = format!("SELECT {MESSAGE} FROM message WHERE number = ?1");
        let deliveries = format!(
            "SELECT {DELIVERY} FROM certificate CROSS JOIN delivery
             WHERE certificate.subject = ?1 AND delivery.message = ?2
               AND delivery.device = certificate.fingerprint
             ORDER BY delivery.device"
        );
        let mut numbers = BTreeSet::new();
        numbers.extend(self.rows(TO_ONE, (patient, limit), number)?);
        for device in self.rows(devices, [patient], |row| row.get::<_, Device>(0))? {
            numbers.extend(self.rows(TO_DEVICE, (device, limit), number)?);
        }
        let mut messages = Vec::new();
        for number in numbers.into_iter().rev().take(limit) {
            if let Some(row) = self.first(&message, [number], read_message)? {
                let rows = self.rows(&deliveries, (patient, number), read_delivery)?;
                messages.push((row, rows));
            }
        }
        Ok(messages)
    }

    fn count_messages(&self, patient: &str) -> Result<u64, StoreError> {
        let sql = "
            SELECT (SELECT count(*) FROM incoming WHERE patient = ?1) + (SELECT count(*) FROM (
                SELECT number FROM message INDEXED BY message_to_one WHERE patient = ?1
                UNION
                SELECT message.number FROM certificate
                    CROSS JOIN message INDEXED BY message_to_several CROSS JOIN delivery
                WHERE certificate.subject = ?1 AND message.kind <> 'private'
                  AND delivery.message = message.number
                  AND delivery.device = certificate.fingerprint))";
        Ok(self.first(sql, [patient], |row| row.get(0))?.unwrap_or(0))
    }

    fn consultation_words(
        &self,
        patient: &str,
    ) -> Result<(Vec<MessageRow>, Vec<IncomingRow>), StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM message INDEXED BY message_boundary
             WHERE patient = ?1 AND boundary IS NOT NULL"
        );
        let outgoing = self.rows(&sql, [patient], read_message)?;
        Ok((outgoing, incoming::consultation_words(self, patient)?))
    }

    fn incoming_with_id(
        &self,
        device: &Device,
        id: &[u8; 16],
    ) -> Result<Option<IncomingRow>, StoreError> {
        incoming::with_id(self, device, id)
    }

    fn incoming(
        &self,
        patient: Option<&str>,
        limit: usize,
    ) -> Result<Vec<IncomingRow>, StoreError> {
        incoming::newest(self, patient, limit)
    }

    fn incoming_unread(&self, limit: usize) -> Result<Vec<IncomingRow>, StoreError> {
        incoming::unread(self, limit)
    }

    fn unread_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM incoming INDEXED BY incoming_unread WHERE shown IS NULL";
        Ok(self.first(sql, [], |row| row.get(0))?.unwrap_or(0))
    }

    fn mark_shown(
        &self,
        numbers: &[u64],
        at: Timestamp,
        audit: &[Entry],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut mark = transaction
                .prepare("UPDATE incoming SET shown = ?2 WHERE number = ?1 AND shown IS NULL")?;
            for number in numbers {
                mark.execute((as_number(*number), at))?;
            }
            audit::append(transaction, audit)
        })
    }

    fn boundaries(&self, patient: &str) -> Result<Vec<(BoundaryMark, Place)>, StoreError> {
        let mut found = Vec::new();
        for (table, index, at) in [
            ("message", "message_boundary", "written"),
            ("incoming", "incoming_boundary", "received"),
        ] {
            let sql = format!(
                "SELECT boundary, {at}, written, id FROM {table} INDEXED BY {index}
                 WHERE patient = ?1 AND boundary IS NOT NULL
                 ORDER BY {at} DESC, written DESC, id DESC LIMIT 1"
            );
            let newest = self.with(|connection| {
                let row = connection.query_row(&sql, [patient], |row| {
                    let place = Place {
                        at: row.get(1)?,
                        written: row.get(2)?,
                        id: MessageId(row.get(3)?),
                    };
                    Ok((row.get(0)?, place))
                });
                Ok(row.optional()?)
            })?;
            found.extend(newest);
        }
        Ok(found)
    }
}

/// The number of a message, from the only column.
fn number(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

/// A number as databases keep it; one that is too large is nobody's.
fn as_number(number: u64) -> i64 {
    stored_millis(Timestamp::from_millis(number))
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for BoundaryMark {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for BoundaryMark {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_to_a_patient_are_found_without_a_look_at_those_to_another() {
        let store = SqliteStore::in_memory().unwrap();
        let plan = |sql: &str| {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let read = |row: &Row<'_>| row.get::<_, String>("detail");
            store.rows(&explain, (1, 1), read).unwrap()
        };
        let to_one = "SEARCH message USING COVERING INDEX message_to_one (patient=?)";
        assert_eq!(plan(TO_ONE), [to_one]);
        let to_several = [
            "SCAN message USING COVERING INDEX message_to_several",
            "SEARCH delivery USING PRIMARY KEY (message=? AND device=?)",
        ];
        assert_eq!(plan(TO_DEVICE), to_several);
    }
}
