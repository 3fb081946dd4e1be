//! The patients' devices: who has one that is given messages, and what a new one is
//! given.

use super::has_other;
use crate::clock::Timestamp;
use crate::store::messages::{ClosedDevice, Device};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::connection::value;
use crate::store::postgres::transaction::Lock;
use crate::store::{StoreError, stored_millis};

/// Makes a device that comes for the first time a recipient of what no other device
/// of its patient has got; gives the number of those messages.
pub(super) fn welcome(
    store: &PostgresStore,
    device: &Device,
    patient: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let device = device.as_slice();
    let sql = "SELECT 1 FROM welcomed WHERE device = $1";
    if store.first(sql, &[&device], |_| Ok(()))?.is_some() {
        return Ok(0);
    }
    let inherit = format!(
        "INSERT INTO delivery (message, device, patient, queued)
         SELECT DISTINCT delivery.message, $1::bytea, $2::text, $3::bigint
         FROM certificate AS older
              JOIN delivery ON delivery.device = older.fingerprint AND delivery.open
              JOIN message ON message.number = delivery.message
         WHERE older.subject = $2 AND older.fingerprint <> $1
           AND (message.expires IS NULL OR message.expires > $3)
           AND NOT {} AND NOT {}
         ON CONFLICT DO NOTHING",
        has_other("delivered"),
        has_other("confirmed"),
    );
    store.write(Lock::Alone, |connection| {
        let welcome = "INSERT INTO welcomed (device) VALUES ($1) ON CONFLICT DO NOTHING";
        if connection.execute(welcome, &[&device])? == 0 {
            return Ok(0);
        }
        let now = stored_millis(now);
        let inherited = connection.execute(&inherit, &[&device, &patient, &now])?;
        Ok(usize::try_from(inherited).unwrap_or(usize::MAX))
    })
}

/// The devices whose certificates are active and have not ended by `now`.
pub(super) fn active(
    store: &PostgresStore,
    patient: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(Device, String)>, StoreError> {
    let sql = "SELECT fingerprint, subject FROM certificate
               WHERE state = 'active' AND not_after >= $1
                 AND ($2::text IS NULL OR subject = $2)
               ORDER BY subject, fingerprint";
    store.rows(sql, &[&stored_millis(now), &patient], |row| {
        Ok((value(row, 0)?, value(row, 1)?))
    })
}

/// The devices of patients who have no active one by `now`.
pub(super) fn closed(
    store: &PostgresStore,
    patient: Option<&str>,
    now: Timestamp,
) -> Result<Vec<ClosedDevice>, StoreError> {
    let sql = "SELECT fingerprint, subject, state, not_after FROM certificate
         WHERE ($2::text IS NULL OR subject = $2)
           AND (state <> 'active' OR not_after < $1) AND NOT EXISTS (
             SELECT 1 FROM certificate AS active
             WHERE active.subject = certificate.subject AND active.state = 'active'
               AND active.not_after >= $1)
         ORDER BY subject, created, fingerprint";
    store.rows(sql, &[&stored_millis(now), &patient], |row| {
        Ok(ClosedDevice {
            device: value(row, 0)?,
            patient: value(row, 1)?,
            state: value(row, 2)?,
            not_after: value(row, 3)?,
        })
    })
}

/// The certificate of a device, as it is sent.
pub(super) fn certificate(
    store: &PostgresStore,
    device: &Device,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM certificate WHERE fingerprint = $1";
    store.first(sql, &[&device.as_slice()], |row| value(row, 0))
}
