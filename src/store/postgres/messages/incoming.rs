//! Messages of patients.

use postgres::Row;

use crate::store::messages::{Device, IncomingRow};
use crate::store::postgres::connection::{Params, value};
use crate::store::postgres::values::{limit as rows, number};
use crate::store::postgres::{PostgresStore, bounds};
use crate::store::{StoreError, StoreFault};

/// What is too long is cut or left out: then it does not open.
fn columns() -> String {
    let (patient, sealed) = (bounds::cut("patient"), bounds::sealed("sealed"));
    format!("number, device, {patient}, id, boundary, written, received, shown, {sealed}")
}

fn select() -> String {
    format!("SELECT {} FROM incoming", columns())
}

fn read(row: &Row) -> Result<IncomingRow, StoreFault> {
    Ok(IncomingRow {
        number: value(row, 0)?,
        device: value(row, 1)?,
        patient: value(row, 2)?,
        id: value(row, 3)?,
        boundary: value(row, 4)?,
        written: value(row, 5)?,
        received: value(row, 6)?,
        shown: value(row, 7)?,
        sealed: value(row, 8)?,
    })
}

pub(super) fn with_id(
    store: &PostgresStore,
    device: &Device,
    id: &[u8; 16],
) -> Result<Option<IncomingRow>, StoreError> {
    let sql = format!("{} WHERE device = $1 AND id = $2", select());
    store.first(&sql, &[&device.as_slice(), &id.as_slice()], read)
}

pub(super) fn newest(
    store: &PostgresStore,
    patient: Option<&str>,
    limit: usize,
) -> Result<Vec<IncomingRow>, StoreError> {
    match patient {
        Some(patient) => {
            let sql = format!(
                "{} WHERE patient = $1 ORDER BY number DESC LIMIT $2",
                select()
            );
            store.rows(&sql, &[&patient, &rows(limit)], read)
        }
        None => {
            let sql = format!("{} ORDER BY number DESC LIMIT $1", select());
            store.rows(&sql, &[&rows(limit)], read)
        }
    }
}

/// What a doctor $1 has not seen: of her own patients and of those who are
/// nobody's, and what came at her node.
const UNREAD: &str = "
    shown IS NULL AND (incoming.doctor = $1 OR NOT EXISTS (
        SELECT 1 FROM assignment
        WHERE assignment.patient = incoming.patient AND assignment.doctor <> $1))";

pub(super) fn unread(store: &PostgresStore, limit: usize) -> Result<Vec<IncomingRow>, StoreError> {
    let sql = format!("{} WHERE {UNREAD} ORDER BY number LIMIT $2", select());
    store.rows(&sql, &[&store.doctor, &rows(limit)], read)
}

pub(super) fn count_unread(store: &PostgresStore) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM incoming WHERE {UNREAD}");
    store.read(|connection| connection.number(&sql, &[&store.doctor]))
}

/// What came at other nodes of patients who are not other doctors', after the
/// message of this number and up to that of the other.
pub(in crate::store::postgres) fn elsewhere(
    store: &PostgresStore,
    after: u64,
    up_to: u64,
    limit: usize,
) -> Result<Vec<(String, IncomingRow)>, StoreError> {
    let doctor = bounds::cut("doctor");
    let sql = format!(
        "SELECT {}, {doctor} FROM incoming
               WHERE number > $2 AND number <= $3 AND doctor <> $1 AND NOT EXISTS (
                   SELECT 1 FROM assignment
                   WHERE assignment.patient = incoming.patient AND assignment.doctor <> $1)
               ORDER BY number LIMIT $4",
        columns()
    );
    let params: Params<'_> = &[&store.doctor, &number(after), &number(up_to), &rows(limit)];
    store.rows(&sql, params, |row| Ok((value(row, 9)?, read(row)?)))
}

pub(super) fn consultation_words(
    store: &PostgresStore,
    patient: &str,
) -> Result<Vec<IncomingRow>, StoreError> {
    let sql = format!(
        "{} WHERE patient = $1 AND boundary IS NOT NULL ORDER BY received, written, id",
        select()
    );
    store.rows(&sql, &[&patient], read)
}
