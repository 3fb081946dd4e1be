//! The patients' devices: who has one that is given messages, and what a new one is
//! given.

use super::has_other;
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::messages::{ClosedDevice, Device};
use crate::store::sqlite::SqliteStore;

/// Makes a device that comes for the first time a recipient of what no other device
/// of its patient has got; gives the number of those messages.
pub(super) fn welcome(
    store: &SqliteStore,
    device: &Device,
    patient: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "SELECT 1 FROM welcomed WHERE device = ?1";
    if store.first(sql, [device], |_| Ok(()))?.is_some() {
        return Ok(0);
    }
    let inherit = format!(
        "INSERT OR IGNORE INTO delivery (message, device, patient, queued)
         SELECT DISTINCT delivery.message, ?1, ?2, ?3
         FROM certificate AS older CROSS JOIN delivery INDEXED BY delivery_open
              CROSS JOIN message
         WHERE older.subject = ?2 AND older.fingerprint <> ?1
           AND delivery.device = older.fingerprint AND delivery.open = 1
           AND message.number = delivery.message
           AND (message.expires IS NULL OR message.expires > ?3)
           AND NOT {} AND NOT {}",
        has_other("delivered"),
        has_other("confirmed"),
    );
    store.write(|transaction| {
        let is_new = transaction.execute(
            "INSERT OR IGNORE INTO welcomed (device) VALUES (?1)",
            [device],
        )?;
        match is_new {
            0 => Ok(0),
            _ => Ok(transaction.execute(&inherit, (device, patient, now))?),
        }
    })
}

/// The devices whose certificates are active and have not ended by `now`.
pub(super) fn active(
    store: &SqliteStore,
    patient: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(Device, String)>, StoreError> {
    let one = if patient.is_some() {
        "AND subject = ?2"
    } else {
        "AND ?2 IS NULL"
    };
    let sql = format!(
        "SELECT fingerprint, subject FROM certificate INDEXED BY certificate_active
         WHERE state = 'active' AND not_after >= ?1 {one} ORDER BY subject, fingerprint"
    );
    store.rows(&sql, (now, patient), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The devices of patients who have no active one by `now`.
pub(super) fn closed(
    store: &SqliteStore,
    patient: Option<&str>,
    now: Timestamp,
) -> Result<Vec<ClosedDevice>, StoreError> {
    let one = if patient.is_some() {
        "subject = ?2"
    } else {
        "?2 IS NULL"
    };
    let sql = format!(
        "SELECT fingerprint, subject, state, not_after
         FROM certificate INDEXED BY certificate_subject
         WHERE {one} AND (state <> 'active' OR not_after < ?1) AND NOT EXISTS (
             SELECT 1 FROM certificate AS active INDEXED BY certificate_active
             WHERE active.subject = certificate.subject AND active.state = 'active'
               AND active.not_after >= ?1)
         ORDER BY subject, created, fingerprint"
    );
    store.rows(&sql, (now, patient), |row| {
        Ok(ClosedDevice {
            device: row.get(0)?,
            patient: row.get(1)?,
            state: row.get(2)?,
            not_after: row.get(3)?,
        })
    })
}

/// The certificate of a device, as it is sent.
pub(super) fn certificate(
    store: &SqliteStore,
    device: &Device,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM certificate WHERE fingerprint = ?1";
    store.first(sql, [device], |row| row.get(0))
}
