//! Messages of patients.

use rusqlite::Row;

use crate::store::StoreError;
use crate::store::messages::{Device, IncomingRow};
use crate::store::sqlite::SqliteStore;

const INCOMING: &str =
    "SELECT number, device, patient, id, boundary, written, received, shown, sealed FROM incoming";

fn read(row: &Row<'_>) -> rusqlite::Result<IncomingRow> {
    Ok(IncomingRow {
        number: row.get("number")?,
        device: row.get("device")?,
        patient: row.get("patient")?,
        id: row.get("id")?,
        boundary: row.get("boundary")?,
        written: row.get("written")?,
        received: row.get("received")?,
        shown: row.get("shown")?,
        sealed: row.get("sealed")?,
    })
}

pub(super) fn with_id(
    store: &SqliteStore,
    device: &Device,
    id: &[u8; 16],
) -> Result<Option<IncomingRow>, StoreError> {
    let sql = format!("{INCOMING} WHERE device = ?1 AND id = ?2");
    store.first(&sql, (device, id), read)
}

pub(super) fn newest(
    store: &SqliteStore,
    patient: Option<&str>,
    limit: usize,
) -> Result<Vec<IncomingRow>, StoreError> {
    match patient {
        Some(patient) => {
            let sql = format!("{INCOMING} WHERE patient = ?1 ORDER BY number DESC LIMIT ?2");
            store.rows(&sql, (patient, limit), read)
        }
        None => {
            let sql = format!("{INCOMING} ORDER BY number DESC LIMIT ?1");
            store.rows(&sql, [limit], read)
        }
    }
}

pub(super) fn unread(store: &SqliteStore, limit: usize) -> Result<Vec<IncomingRow>, StoreError> {
    let sql = format!(
        "{INCOMING} INDEXED BY incoming_unread WHERE shown IS NULL ORDER BY number LIMIT ?1"
    );
    store.rows(&sql, [limit], read)
}

pub(super) fn consultation_words(
    store: &SqliteStore,
    patient: &str,
) -> Result<Vec<IncomingRow>, StoreError> {
    let sql = format!(
        "{INCOMING} INDEXED BY incoming_boundary WHERE patient = ?1 AND boundary IS NOT NULL"
    );
    store.rows(&sql, [patient], read)
}
