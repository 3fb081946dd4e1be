//! The doctor's messages in the database. They are the clinic's: any node may
//! deliver them.

mod changes;
mod devices;
pub(super) mod incoming;
mod missing;
mod numbers;

use postgres::Row;

use super::connection::{Connection, Params, value};
use super::transaction::Lock;
use super::values::{limit as rows, number as stored};
use super::{PostgresStore, all, audit, bounds};
use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::protocol::message::{MessageId, Place};
use crate::store::messages::{
    BoundaryMark, Change, ClosedDevice, DeliveryCounts, DeliveryRow, Device, IncomingRow,
    MessageRow, MessageStore, Outcome,
};
use crate::store::nodes::NodeStore;
use crate::store::{StoreError, StoreFault, names, stored_millis};
use numbers::{Numbered, last_number};

/// The columns of [`read_message`], of a table called `message`. What is too long is
/// cut or left out, as [`bounds`](super::bounds) has it: then it does not open.
const MESSAGE: &str = "message.number, message.id, message.kind, left(message.patient, 64),
    message.boundary, message.urgent, message.written, message.expires,
    CASE WHEN octet_length(message.sealed) > 131070 THEN '' ELSE message.sealed END";
/// How many they are.
const MESSAGE_COLUMNS: usize = 9;

fn read_message(row: &Row) -> Result<MessageRow, StoreFault> {
    Ok(MessageRow {
        number: value(row, 0)?,
        id: value(row, 1)?,
        kind: value(row, 2)?,
        patient: value(row, 3)?,
        boundary: value(row, 4)?,
        urgent: value(row, 5)?,
        written: value(row, 6)?,
        expires: value(row, 7)?,
        sealed: value(row, 8)?,
    })
}

/// The columns of [`read_delivery`], of a table called `delivery`.
const DELIVERY: &str = "delivery.message, delivery.device, left(delivery.patient, 64),
    delivery.queued,
    delivery.sent, delivery.delivered, delivery.confirmed";

fn read_delivery(row: &Row) -> Result<DeliveryRow, StoreFault> {
    read_delivery_from(row, 0)
}

fn read_delivery_from(row: &Row, first: usize) -> Result<DeliveryRow, StoreFault> {
    Ok(DeliveryRow {
        message: value(row, first)?,
        device: value(row, first + 1)?,
        patient: value(row, first + 2)?,
        queued: value(row, first + 3)?,
        sent: value(row, first + 4)?,
        delivered: value(row, first + 5)?,
        confirmed: value(row, first + 6)?,
    })
}

/// Whether a device of the same patient as `delivery` has this state. Found
/// through the patient's certificates: a message may have thousands of rows. A
/// query for one value in a condition is no join that the server might begin at
/// the other end.
fn has_other(state: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM certificate
                 WHERE certificate.subject = delivery.patient
                   AND (SELECT other.{state} FROM delivery AS other
                        WHERE other.message = delivery.message
                          AND other.device = certificate.fingerprint) IS NOT NULL)"
    )
}

/// Whether a message to several went to a device of patient $1.
const WENT_TO_PATIENT: &str = "message.kind <> 'private' AND EXISTS (
    SELECT 1 FROM certificate
    WHERE certificate.subject = $1
      AND (SELECT delivery.queued FROM delivery
           WHERE delivery.message = message.number
             AND delivery.device = certificate.fingerprint) IS NOT NULL)";

impl PostgresStore {
    fn insert_message(
        &self,
        connection: &mut Connection,
        message: &MessageRow,
        devices: &[(Device, String)],
    ) -> Result<i64, StoreFault> {
        let number = last_number(connection, Numbered::Message, 1)? + 1;
        connection.execute(
            "WITH counted AS (UPDATE counter SET last = $1 WHERE name = 'message')
             INSERT INTO message
                (number, id, doctor, kind, patient, boundary, urgent, written, expires, sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &[
                &number,
                &message.id.as_slice(),
                &self.doctor,
                &message.kind.word(),
                &message.patient,
                &message.boundary.map(BoundaryMark::word),
                &message.urgent,
                &stored_millis(message.written),
                &message.expires.map(stored_millis),
                &message.sealed,
            ],
        )?;
        // In the order of the index: the next row lies behind the last.
        let mut devices: Vec<_> = devices.iter().collect();
        devices.sort_unstable_by_key(|(device, _)| *device);
        let (devices, patients): (Vec<&[u8]>, Vec<&str>) = devices
            .into_iter()
            .map(|(device, patient)| (device.as_slice(), patient.as_str()))
            .unzip();
        connection.execute(
            "INSERT INTO delivery (message, queued, device, patient)
             SELECT $1, $2, * FROM unnest($3::bytea[], $4::text[])",
            &[
                &number,
                &stored_millis(message.written),
                &devices,
                &patients,
            ],
        )?;
        Ok(number)
    }
}

impl MessageStore for PostgresStore {
    fn nodes(&self) -> Option<&dyn NodeStore> {
        Some(self)
    }

    fn commit(&self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.write(Lock::Shared, |connection| {
            changes::commit(connection, &self.doctor, changes)
        })
    }

    fn add_message(
        &self,
        message: &MessageRow,
        devices: &[(Device, String)],
        entries: &[Entry],
    ) -> Result<u64, StoreError> {
        self.write(Lock::Shared, |connection| {
            let number = self.insert_message(connection, message, devices)?;
            audit::append(connection, &self.doctor, entries)?;
            Ok(u64::try_from(number).unwrap_or_default())
        })
    }

    fn seal_messages(&self, sealed: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            let sql = "UPDATE message SET sealed = $2 WHERE number = $1";
            for (number, sealed) in sealed {
                connection.execute(sql, &[&stored(*number), sealed])?;
            }
            Ok(())
        })
    }

    fn newest_message(&self) -> Result<u64, StoreError> {
        // Not the largest number in the table: a row that somebody has put there
        // under a number of his own would hide all that come after it.
        let sql = "SELECT last FROM counter WHERE name = 'message'";
        self.read(|connection| connection.number(sql, &[]))
    }

    fn message(&self, number: u64) -> Result<Option<MessageRow>, StoreError> {
        let sql = format!("SELECT {MESSAGE} FROM message WHERE number = $1");
        self.first(&sql, &[&stored(number)], read_message)
    }

    fn messages_with_prefix(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let (first, last) = names::range(prefix);
        let sql = format!(
            "SELECT {MESSAGE} FROM message WHERE id BETWEEN $1 AND $2
             ORDER BY number DESC LIMIT $3"
        );
        let params: Params<'_> = &[&first.as_slice(), &last.as_slice(), &rows(limit)];
        self.rows(&sql, params, read_message)
    }

    fn messages_before(&self, number: u64, limit: usize) -> Result<Vec<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM message WHERE number < $1 ORDER BY number DESC LIMIT $2"
        );
        self.rows(&sql, &[&stored(number), &rows(limit)], read_message)
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
            "SELECT {MESSAGE} FROM delivery JOIN message ON message.number = delivery.message
             WHERE delivery.device = $1 AND delivery.open
               AND delivery.message > $2 AND delivery.message <= $3
               AND (message.expires IS NULL OR message.expires > $4)
             ORDER BY delivery.message LIMIT $5"
        );
        let params: Params<'_> = &[
            &device.as_slice(),
            &stored(after),
            &stored(up_to),
            &stored_millis(now),
            &rows(limit),
        ];
        self.rows(&sql, params, read_message)
    }

    fn message_for(
        &self,
        device: &Device,
        id: &[u8; 16],
    ) -> Result<Option<(MessageRow, DeliveryRow)>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE}, {DELIVERY}
             FROM message JOIN delivery ON delivery.message = message.number
             WHERE message.id = $2 AND delivery.device = $1"
        );
        self.first(&sql, &[&device.as_slice(), &id.as_slice()], |row| {
            let delivery = read_delivery_from(row, MESSAGE_COLUMNS)?;
            Ok((read_message(row)?, delivery))
        })
    }

    fn deliveries(&self, message: u64) -> Result<Vec<DeliveryRow>, StoreError> {
        let sql =
            format!("SELECT {DELIVERY} FROM delivery WHERE message = $1 ORDER BY patient, device");
        self.rows(&sql, &[&stored(message)], read_delivery)
    }

    fn delivery_counts(&self, message: u64) -> Result<DeliveryCounts, StoreError> {
        let sql = "
            SELECT count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NULL AND sent IS NULL),
                   count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NULL
                                      AND sent IS NOT NULL),
                   count(*) FILTER (WHERE confirmed IS NULL AND delivered IS NOT NULL),
                   count(*) FILTER (WHERE confirmed IS NOT NULL)
            FROM delivery WHERE message = $1";
        let counts = self.first(sql, &[&stored(message)], |row| {
            Ok(DeliveryCounts {
                queued: value(row, 0)?,
                sent: value(row, 1)?,
                delivered: value(row, 2)?,
                confirmed: value(row, 3)?,
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
        let sealed = bounds::sealed("sealed_confirmation");
        let sql = format!("SELECT {sealed} FROM delivery WHERE message = $1 AND device = $2");
        let params: Params<'_> = &[&stored(message), &device.as_slice()];
        let found = self.first(&sql, params, |row| value(row, 0))?;
        Ok(found.flatten())
    }

    fn welcome(&self, device: &Device, patient: &str, now: Timestamp) -> Result<usize, StoreError> {
        devices::welcome(self, device, patient, now)
    }

    fn end_expired(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = "SELECT number FROM message
                   WHERE expires IS NOT NULL AND NOT ended AND expires <= $1";
        let numbers: Vec<i64> = self.rows(due, &[&stored_millis(now)], |row| value(row, 0))?;
        if numbers.is_empty() {
            return Ok(0);
        }
        self.write(Lock::Alone, |connection| {
            let close = "UPDATE delivery SET open = FALSE WHERE message = ANY ($1) AND open";
            connection.execute(close, &[&numbers])?;
            let end = "UPDATE message SET ended = TRUE WHERE number = ANY ($1) AND NOT ended";
            let ended = connection.execute(end, &[&numbers])?;
            Ok(usize::try_from(ended).unwrap_or(usize::MAX))
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
        // Each branch comes from an index in the order of numbers.
        let messages = format!(
            "SELECT {MESSAGE} FROM message WHERE number IN (
                 (SELECT number FROM message WHERE patient = $1 ORDER BY number DESC LIMIT $2)
                 UNION
                 (SELECT message.number FROM message
                  WHERE {WENT_TO_PATIENT}
                  ORDER BY message.number DESC LIMIT $2))
             ORDER BY number DESC LIMIT $2"
        );
        let deliveries = format!(
            "SELECT {DELIVERY} FROM certificate
                 JOIN delivery ON delivery.device = certificate.fingerprint
             WHERE certificate.subject = $1 AND delivery.message = ANY ($2)
             ORDER BY delivery.message DESC, delivery.device"
        );
        self.read(|connection| {
            let params: Params<'_> = &[&patient, &rows(limit)];
            let messages = all(connection, &messages, params, read_message)?;
            let numbers: Vec<i64> = messages.iter().map(|row| stored(row.number)).collect();
            let mut found = all(
                connection,
                &deliveries,
                &[&patient, &numbers],
                read_delivery,
            )?;
            let with_deliveries = messages.into_iter().map(|row| {
                let of_this = |delivery: &&DeliveryRow| delivery.message == row.number;
                let len = found.iter().take_while(of_this).count();
                let deliveries = found.drain(..len).collect();
                (row, deliveries)
            });
            Ok(with_deliveries.collect())
        })
    }

    fn count_messages(&self, patient: &str) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM incoming WHERE patient = $1)
                    + (SELECT count(*) FROM message WHERE patient = $1)
                    + (SELECT count(*) FROM message WHERE {WENT_TO_PATIENT})"
        );
        self.read(|connection| connection.number(&sql, &[&patient]))
    }

    fn consultation_words(
        &self,
        patient: &str,
    ) -> Result<(Vec<MessageRow>, Vec<IncomingRow>), StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM message WHERE patient = $1 AND boundary IS NOT NULL
             ORDER BY written, id"
        );
        let outgoing = self.rows(&sql, &[&patient], read_message)?;
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
        incoming::count_unread(self)
    }

    fn mark_shown(
        &self,
        numbers: &[u64],
        at: Timestamp,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let numbers: Vec<i64> = numbers.iter().map(|number| stored(*number)).collect();
        self.write(Lock::Shared, |connection| {
            let sql = "UPDATE incoming SET shown = $2 WHERE number = ANY ($1) AND shown IS NULL";
            connection.execute(sql, &[&numbers, &stored_millis(at)])?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn boundaries(&self, patient: &str) -> Result<Vec<(BoundaryMark, Place)>, StoreError> {
        let mut found = Vec::new();
        for (table, at) in [("message", "written"), ("incoming", "received")] {
            let sql = format!(
                "SELECT boundary, {at}, written, id FROM {table}
                 WHERE patient = $1 AND boundary IS NOT NULL
                 ORDER BY {at} DESC, written DESC, id DESC LIMIT 1"
            );
            found.extend(self.first(&sql, &[&patient], |row| {
                let place = Place {
                    at: value(row, 1)?,
                    written: value(row, 2)?,
                    id: MessageId(value(row, 3)?),
                };
                Ok((value(row, 0)?, place))
            })?);
        }
        Ok(found)
    }
}
