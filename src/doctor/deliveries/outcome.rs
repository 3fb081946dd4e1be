//! What became of the newest messages, for programs.

use super::state;
use crate::clock::Timestamp;
use crate::doctor::authors::Authors;
use crate::doctor::messages::{self, BookError};
use crate::doctor::practice::Practice;
use crate::protocol::message::Message;
use crate::store::messages::{DeliveryRow, Kind, MessageRow};

/// What became of a message, in a program.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the message is called by.
    pub number: u64,
    /// The message.
    pub message: Message,
    /// Whether it was for everyone.
    pub is_broadcast: bool,
    /// Device by device.
    pub outcomes: Vec<Outcome>,
}

/// What became of a message at one device, in a program.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose device it is.
    pub patient: String,
    /// queued, sent, delivered, confirmed or expired.
    pub state: &'static str,
    /// When it came into that state.
    pub at: Timestamp,
    /// All states and times.
    pub delivery: DeliveryRow,
}

/// What became of the newest messages, at most `limit`, the oldest of them
/// first.
///
/// # Errors
/// [`BookError`].
pub fn newest(practice: &Practice, limit: usize) -> Result<Vec<Report>, BookError> {
    let rows = practice.store.messages_before(u64::MAX, limit)?;
    let authors = Authors::new(practice);
    let report = |row: &MessageRow| {
        let outcome = |delivery: DeliveryRow| {
            let (state, at) = state(row, &delivery, practice.now());
            Outcome {
                patient: delivery.patient.clone(),
                state,
                at,
                delivery,
            }
        };
        let deliveries = practice.store.deliveries(row.number)?;
        Ok(Report {
            number: row.number,
            message: messages::open_with(&authors, row)?.0,
            is_broadcast: row.kind == Kind::Broadcast,
            outcomes: deliveries.into_iter().map(outcome).collect(),
        })
    };
    rows.iter().rev().map(report).collect()
}
