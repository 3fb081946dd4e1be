//! Who lacks a message.
//!
//! What lacks is open until its message has ended, so the messages that somebody
//! may lack are found in the index of what is open. There is none of what lacks
//! alone: every broadcast would write all its deliveries to it, and every receipt
//! take one out again.

use rusqlite::{Connection, Row};

use super::{DELIVERY, as_number, has_other, read_delivery};
use crate::store::messages::{DeliveryCounts, DeliveryRow};
use crate::store::sqlite::SqliteStore;
use crate::store::{StoreError, StoreFault};

/// The messages that somebody may lack, the newest first. The index has all that
/// is asked for.
const OPEN: &str = "SELECT DISTINCT message FROM delivery INDEXED BY delivery_open
    WHERE open = 1 ORDER BY message DESC";

/// The condition on the deliveries of message ?1.
fn lacks() -> String {
    format!(
        "delivery.message = ?1 AND delivery.delivered IS NULL AND delivery.confirmed IS NULL
         AND NOT {} AND NOT {}
         AND NOT EXISTS (SELECT 1 FROM message WHERE message.number = ?1 AND message.ended = 1)",
        has_other("delivered"),
        has_other("confirmed"),
    )
}

/// This message, or all that somebody may lack.
fn numbers(connection: &Connection, message: Option<u64>) -> Result<Vec<i64>, StoreFault> {
    if let Some(number) = message {
        return Ok(vec![as_number(number)]);
    }
    let mut open = connection.prepare_cached(OPEN)?;
    let numbers = open.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// How many devices lack each message, the newest first.
pub(super) fn counts(
    store: &SqliteStore,
    message: Option<u64>,
) -> Result<Vec<(u64, DeliveryCounts)>, StoreError> {
    let sql = format!(
        "SELECT ?1, count(*) FILTER (WHERE delivery.sent IS NULL) AS queued,
                count(*) FILTER (WHERE delivery.sent IS NOT NULL)
         FROM delivery WHERE {} HAVING count(*) > 0",
        lacks()
    );
    let read = |row: &Row<'_>| {
        let counts = DeliveryCounts {
            queued: row.get(1)?,
            sent: row.get(2)?,
            ..DeliveryCounts::default()
        };
        Ok((row.get(0)?, counts))
    };
    store.with(|connection| {
        let connection = &*connection;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut counted = Vec::new();
        for number in numbers(connection, message)? {
            for counts in statement.query_map([number], read)? {
                counted.push(counts?);
            }
        }
        Ok(counted)
    })
}

/// The devices that lack each message, at most `limit`, the newest message
/// first.
pub(super) fn rows(
    store: &SqliteStore,
    message: Option<u64>,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {DELIVERY} FROM delivery WHERE {}
         ORDER BY delivery.patient, delivery.device LIMIT ?2",
        lacks()
    );
    store.with(|connection| {
        let connection = &*connection;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = Vec::new();
        for number in numbers(connection, message)? {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            for row in statement.query_map((number, left), read_delivery)? {
                found.push(row?);
            }
        }
        Ok(found)
    })
}
