//! The small changes that come in crowds.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Transaction};

use super::{as_number, has_other};
use crate::clock::Timestamp;
use crate::store::StoreFault;
use crate::store::messages::{Change, Device, IncomingRow, Outcome, Work};
use crate::store::sqlite::audit;

/// From so many devices on it is tried to note them in one statement.
const MANY: usize = 16;

/// Applies all of them, and logs those that change something.
pub(super) fn commit(
    transaction: &Transaction<'_>,
    changes: &[Change],
) -> Result<Vec<Outcome>, StoreFault> {
    let mut statements = Statements::prepare(transaction)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        let outcome = match statements.apply(&change.work)? {
            0 => Outcome::Known,
            _ => Outcome::New,
        };
        outcomes.push(outcome);
    }
    let new = changes.iter().zip(&outcomes);
    let new = new.filter(|(_, outcome)| **outcome == Outcome::New);
    audit::append(transaction, new.flat_map(|(change, _)| &change.audit))?;
    Ok(outcomes)
}

/// What the changes of one transaction are made with.
struct Statements<'t> {
    sent: CachedStatement<'t>,
    unsent: CachedStatement<'t>,
    all_sent: CachedStatement<'t>,
    delivered: CachedStatement<'t>,
    confirmed: CachedStatement<'t>,
    close: CachedStatement<'t>,
    came: CachedStatement<'t>,
}

impl<'t> Statements<'t> {
    fn prepare(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        // What is urgent stays open until the patient has confirmed it, on any
        // device.
        let delivered = format!(
            "UPDATE delivery SET delivered = ?3, sent = ifnull(sent, ?4), open = iif(
                 (SELECT urgent FROM message WHERE number = ?1) AND open = 1, NOT {}, 0)
             WHERE message = ?1 AND device = ?2 AND delivered IS NULL",
            has_other("confirmed")
        );
        Ok(Self {
            sent: transaction.prepare_cached(
                "UPDATE delivery SET sent = ?3
                 WHERE message = ?1 AND device = ?2 AND sent IS NULL",
            )?,
            unsent: transaction.prepare_cached(
                "SELECT device FROM delivery WHERE message = ?1 AND sent IS NULL",
            )?,
            all_sent: transaction.prepare_cached(
                "UPDATE delivery SET sent = ?2 WHERE message = ?1 AND sent IS NULL",
            )?,
            delivered: transaction.prepare_cached(&delivered)?,
            confirmed: transaction.prepare_cached(
                "UPDATE delivery SET confirmed = ?3, sealed_confirmation = ?4
                 WHERE message = ?1 AND device = ?2 AND confirmed IS NULL",
            )?,
            // The patient has confirmed: no device that has the message is
            // given it again.
            close: transaction.prepare_cached(
                "UPDATE delivery SET open = 0
                 WHERE message = ?1 AND open = 1 AND delivered IS NOT NULL
                   AND device IN (SELECT fingerprint FROM certificate WHERE subject =
                       (SELECT patient FROM delivery WHERE message = ?1 AND device = ?2))",
            )?,
            came: transaction.prepare_cached(
                "INSERT INTO incoming
                    (device, patient, id, boundary, written, received, shown, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (device, id) DO NOTHING",
            )?,
        })
    }

    /// How much has changed.
    fn apply(&mut self, work: &Work) -> rusqlite::Result<usize> {
        match work {
            Work::Nothing => Ok(1),
            Work::Sent {
                message,
                devices,
                at,
            } => self.sent(*message, devices, *at),
            Work::Delivered {
                message,
                device,
                at,
                sent,
            } => {
                let message = as_number(*message);
                let changed = self.delivered.execute((message, device, at, sent))?;
                if let (0, Some(sent)) = (changed, sent) {
                    self.sent.execute((message, device, sent))?;
                }
                Ok(changed)
            }
            Work::Confirmed {
                message,
                device,
                at,
                confirmation,
            } => {
                let message = as_number(*message);
                let changed = self
                    .confirmed
                    .execute((message, device, at, confirmation))?;
                if changed > 0 {
                    self.close.execute((message, device))?;
                }
                Ok(changed)
            }
            Work::Incoming(row) => self.came(row),
        }
    }

    fn sent(&mut self, message: u64, devices: &[Device], at: Timestamp) -> rusqlite::Result<usize> {
        let message = as_number(message);
        if devices.len() >= MANY && self.has_all_unsent(message, devices)? {
            return self.all_sent.execute((message, at));
        }
        let mut changed = 0;
        for device in devices {
            changed += self.sent.execute((message, device, at))?;
        }
        Ok(changed)
    }

    /// Whether the message was sent to everybody but these.
    fn has_all_unsent(&mut self, message: i64, devices: &[Device]) -> rusqlite::Result<bool> {
        let devices: HashSet<_> = devices.iter().collect();
        let mut unsent = self.unsent.query([message])?;
        while let Some(row) = unsent.next()? {
            if !devices.contains(&row.get::<_, Device>(0)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn came(&mut self, row: &IncomingRow) -> rusqlite::Result<usize> {
        self.came.execute((
            row.device,
            &row.patient,
            row.id,
            row.boundary,
            row.written,
            row.received,
            row.shown,
            &row.sealed,
        ))
    }
}
