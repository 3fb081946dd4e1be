//! What is missing: deliveries that neither have arrived nor were confirmed, on any
//! device of the patient's.

use postgres::Row;

use super::{DELIVERY, has_other, read_delivery, stored};
use crate::store::messages::{DeliveryCounts, DeliveryRow};
use crate::store::postgres::connection::{Connection, value};
use crate::store::postgres::values::limit as at_most;
use crate::store::postgres::{PostgresStore, all};
use crate::store::{StoreError, StoreFault};

/// What is missing among the messages of numbers $1.
fn is_missing() -> String {
    format!(
        "delivery.message = ANY ($1) AND delivery.delivered IS NULL
         AND delivery.confirmed IS NULL AND NOT {} AND NOT {}
         AND NOT EXISTS (SELECT 1 FROM message
                         WHERE message.number = delivery.message AND message.ended)",
        has_other("delivered"),
        has_other("confirmed"),
    )
}

/// The number of this message, or of all that somebody may lack: what lacks is
/// open until its message has ended. The index of what is open has them.
fn numbers(connection: &mut Connection, message: Option<u64>) -> Result<Vec<i64>, StoreFault> {
    match message {
        Some(number) => Ok(vec![stored(number)]),
        None => {
            let sql = "SELECT DISTINCT message FROM delivery WHERE open";
            all(connection, sql, &[], |row| value(row, 0))
        }
    }
}

/// How many are missing of this message, or of all, by message.
pub(super) fn counts(
    store: &PostgresStore,
    message: Option<u64>,
) -> Result<Vec<(u64, DeliveryCounts)>, StoreError> {
    let sql = format!(
        "SELECT delivery.message, count(*) FILTER (WHERE delivery.sent IS NULL),
                    count(*) FILTER (WHERE delivery.sent IS NOT NULL)
             FROM delivery WHERE {}
             GROUP BY delivery.message ORDER BY delivery.message DESC",
        is_missing()
    );
    let read = |row: &Row| {
        let counts = DeliveryCounts {
            queued: value(row, 1)?,
            sent: value(row, 2)?,
            ..DeliveryCounts::default()
        };
        Ok((value(row, 0)?, counts))
    };
    store.read(|connection| {
        let numbers = numbers(connection, message)?;
        all(connection, &sql, &[&numbers], read)
    })
}

/// Which they are, the newest message's first.
pub(super) fn rows(
    store: &PostgresStore,
    message: Option<u64>,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {DELIVERY} FROM delivery WHERE {}
             ORDER BY delivery.message DESC, delivery.patient, delivery.device LIMIT $2",
        is_missing()
    );
    store.read(|connection| {
        let numbers = numbers(connection, message)?;
        all(
            connection,
            &sql,
            &[&numbers, &at_most(limit)],
            read_delivery,
        )
    })
}
