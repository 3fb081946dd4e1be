//! The small changes that come in crowds.

use rusqlite::{Statement, Transaction};

use super::{as_number, has_other};
use crate::clock::Timestamp;
use crate::store::StoreFault;
use crate::store::messages::{Change, Device, IncomingRow, Outcome, Work};
use crate::store::sqlite::audit;

/// Applies all of them, and logs those that change something.
pub(super) fn commit(
    transaction: &Transaction<'_>,
    changes: &[Change],
) -> Result<Vec<Outcome>, StoreFault> {
    let mut statements = Statements::prepare(transaction)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut entries = Vec::new();
    for change in changes {
        let outcome = match statements.apply(&change.work)? {
            0 => Outcome::Known,
            _ => Outcome::New,
        };
        if outcome == Outcome::New {
            entries.extend_from_slice(&change.audit);
        }
        outcomes.push(outcome);
    }
    audit::append(transaction, &entries)?;
    Ok(outcomes)
}

/// What the changes of one transaction are made with.
struct Statements<'t> {
    sent: Statement<'t>,
    delivered: Statement<'t>,
    confirmed: Statement<'t>,
    close: Statement<'t>,
    came: Statement<'t>,
}

impl<'t> Statements<'t> {
    fn prepare(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        // What is urgent stays open until the patient has confirmed it, on any
        // device.
        let delivered = format!(
            "UPDATE delivery SET delivered = ?3, open = iif(
                 (SELECT urgent FROM message WHERE number = ?1) AND open = 1, NOT {}, 0)
             WHERE message = ?1 AND device = ?2 AND delivered IS NULL",
            has_other("confirmed")
        );
        Ok(Self {
            sent: transaction.prepare(
                "UPDATE delivery SET sent = ?3
                 WHERE message = ?1 AND device = ?2 AND sent IS NULL",
            )?,
            delivered: transaction.prepare(&delivered)?,
            confirmed: transaction.prepare(
                "UPDATE delivery SET confirmed = ?3, sealed_confirmation = ?4
                 WHERE message = ?1 AND device = ?2 AND confirmed IS NULL",
            )?,
            // The patient has confirmed: no device that has the message is
            // given it again.
            close: transaction.prepare(
                "UPDATE delivery SET open = 0
                 WHERE message = ?1 AND open = 1 AND delivered IS NOT NULL
                   AND device IN (SELECT fingerprint FROM certificate WHERE subject =
                       (SELECT patient FROM delivery WHERE message = ?1 AND device = ?2))",
            )?,
            came: transaction.prepare(
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
            } => self.delivered.execute((as_number(*message), device, at)),
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
        let mut changed = 0;
        for device in devices {
            changed += self.sent.execute((as_number(message), device, at))?;
        }
        Ok(changed)
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
