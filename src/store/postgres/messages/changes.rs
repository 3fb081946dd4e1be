//! The small changes that come in crowds. All of one kind are made in one
//! statement: a trip to the server for each would take longer than the change.
//!
//! That changes of different kinds are not made in their order makes no
//! difference: each kind writes columns of its own, and whether a message is
//! still open for a device follows from the others. The numbers of incoming
//! messages and the audit log keep the order.

use std::collections::HashMap;

use postgres::Row;
use postgres::types::ToSql;

use super::numbers::{Numbered, last_number};
use super::{has_other, stored};
use crate::clock::Timestamp;
use crate::store::StoreFault;
use crate::store::messages::{BoundaryMark, Change, Device, IncomingRow, Outcome, Work};
use crate::store::postgres::connection::{Connection, Params, value};
use crate::store::postgres::{all, audit};
use crate::store::stored_millis;

/// Applies all of them, and logs those that change something.
pub(super) fn commit(
    connection: &mut Connection,
    doctor: &str,
    changes: &[Change],
) -> Result<Vec<Outcome>, StoreFault> {
    let crowds = Crowds::of(changes);
    hold(connection, &crowds)?;
    let mut new = crowds.nothing;
    new.extend(note_sent(connection, &crowds.sent)?);
    // That it was sent is nothing new of a receipt.
    note_sent(connection, &crowds.given_with)?;
    new.extend(note_delivered(connection, &crowds.delivered)?);
    new.extend(note_confirmed(connection, &crowds.confirmed)?);
    new.extend(take_in(connection, doctor, &crowds.came)?);
    let mut outcomes = vec![Outcome::Known; changes.len()];
    for index in new {
        if let Some(outcome) = outcomes.get_mut(index) {
            *outcome = Outcome::New;
        }
    }
    let new = changes.iter().zip(&outcomes);
    let new = new.filter(|(_, outcome)| **outcome == Outcome::New);
    let entries = new.flat_map(|(change, _)| &change.audit);
    audit::append(connection, doctor, entries)?;
    Ok(outcomes)
}

/// Changes by their kind, each with its index.
#[derive(Default)]
struct Crowds<'c> {
    /// Those that are only logged.
    nothing: Vec<usize>,
    sent: Crowd<'c>,
    /// That what a receipt tells of was sent: of those whose receipt is the first
    /// that is written of them.
    given_with: Crowd<'c>,
    delivered: Crowd<'c>,
    confirmed: Crowd<'c>,
    came: Vec<(usize, &'c IncomingRow)>,
}

impl<'c> Crowds<'c> {
    fn of(changes: &'c [Change]) -> Self {
        let mut crowds = Self::default();
        for (index, change) in changes.iter().enumerate() {
            crowds.add(index, &change.work);
        }
        crowds
    }

    fn add(&mut self, index: usize, work: &'c Work) {
        match work {
            Work::Nothing => self.nothing.push(index),
            Work::Sent {
                message,
                devices,
                at,
            } => {
                for device in devices {
                    self.sent.push(index, *message, device, *at);
                }
            }
            Work::Delivered {
                message,
                device,
                at,
                sent: given,
            } => {
                if let Some(given) = given {
                    self.given_with.push(index, *message, device, *given);
                }
                self.delivered.push(index, *message, device, *at);
            }
            Work::Confirmed {
                message,
                device,
                at,
                confirmation,
            } => {
                self.confirmed.push(index, *message, device, *at);
                self.confirmed.confirmations.push(confirmation);
            }
            Work::Incoming(row) => self.came.push((index, row)),
        }
    }
}

/// What happened to deliveries, column by column, each with the index of the
/// change that says so.
#[derive(Default)]
struct Crowd<'c> {
    changes: Vec<i64>,
    messages: Vec<i64>,
    devices: Vec<&'c [u8]>,
    times: Vec<i64>,
    /// Of confirmations only.
    confirmations: Vec<&'c [u8]>,
}

impl<'c> Crowd<'c> {
    fn push(&mut self, change: usize, message: u64, device: &'c Device, at: Timestamp) {
        self.changes.push(i64::try_from(change).unwrap_or(i64::MAX));
        self.messages.push(stored(message));
        self.devices.push(device);
        self.times.push(stored_millis(at));
    }

    const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The columns that [`GIVEN`] takes.
    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.changes, &self.messages, &self.devices, &self.times]
    }
}

/// The crowd in parameters $1 to $4, as the table `given`: of what is said twice,
/// the first. Made before it is joined, and joined with nothing but deliveries:
/// the server must come to each of these through both its message and its device,
/// as a message may have thousands of them.
const GIVEN: &str = "WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (message, device) change, message, device, at
        FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[])
            AS all_given (change, message, device, at)
        ORDER BY message, device, change)";

/// The same with the sealed confirmations in parameter $5.
const CONFIRMED: &str = "WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (message, device) change, message, device, at, sealed
        FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[])
            AS all_given (change, message, device, at, sealed)
        ORDER BY message, device, change)";

/// The devices of the patients of whom $1 and $2 speak, as the table `concerned`,
/// as far as they are recipients of these messages.
const CONCERNED: &str = "WITH given AS MATERIALIZED (
        SELECT DISTINCT message, device
        FROM unnest($1::bigint[], $2::bytea[]) AS given (message, device)
        WHERE (SELECT urgent FROM message WHERE message.number = given.message)),
    spoken AS MATERIALIZED (
        SELECT DISTINCT delivery.message, delivery.patient
        FROM given JOIN delivery
            ON delivery.message = given.message AND delivery.device = given.device),
    concerned AS MATERIALIZED (
        SELECT spoken.message, certificate.fingerprint AS device
        FROM spoken JOIN certificate ON certificate.subject = spoken.patient)";

/// The index of the change that a row is about.
fn change(row: &Row) -> Result<usize, StoreFault> {
    value(row, 0)
}

/// Holds the rows that changes of urgent messages look at or write, before
/// anything is changed. Whether such a message is open for a device depends on what
/// the patient's other devices have said: two nodes that write at the same moment
/// would each miss what the other writes. Always in the same order, so that none
/// waits for the other in turn.
fn hold(connection: &mut Connection, crowds: &Crowds<'_>) -> Result<(), StoreFault> {
    let crowds = [
        &crowds.sent,
        &crowds.given_with,
        &crowds.delivered,
        &crowds.confirmed,
    ];
    let messages: Vec<i64> = crowds.iter().flat_map(|it| it.messages.clone()).collect();
    let devices: Vec<&[u8]> = crowds.iter().flat_map(|it| it.devices.clone()).collect();
    if messages.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "{CONCERNED}
         SELECT 1 FROM delivery JOIN concerned
             ON delivery.message = concerned.message AND delivery.device = concerned.device
         ORDER BY delivery.message, delivery.device FOR NO KEY UPDATE OF delivery"
    );
    connection.execute(&sql, &[&messages, &devices]).map(drop)
}

fn note_sent(connection: &mut Connection, crowd: &Crowd<'_>) -> Result<Vec<usize>, StoreFault> {
    if crowd.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{GIVEN}
         UPDATE delivery SET sent = given.at FROM given
         WHERE delivery.message = given.message AND delivery.device = given.device
           AND delivery.sent IS NULL
         RETURNING given.change"
    );
    all(connection, &sql, &crowd.params(), change)
}

/// What is urgent stays open until the patient has confirmed it, on any device.
fn note_delivered(
    connection: &mut Connection,
    crowd: &Crowd<'_>,
) -> Result<Vec<usize>, StoreFault> {
    if crowd.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{GIVEN}
         UPDATE delivery SET delivered = given.at,
             open = delivery.open
                 AND (SELECT urgent FROM message WHERE message.number = delivery.message)
                 AND NOT {}
         FROM given
         WHERE delivery.message = given.message AND delivery.device = given.device
           AND delivery.delivered IS NULL
         RETURNING given.change",
        has_other("confirmed")
    );
    all(connection, &sql, &crowd.params(), change)
}

/// The patient has confirmed: no device that has the message is given it again.
/// What is not urgent is closed by its delivery.
fn note_confirmed(
    connection: &mut Connection,
    crowd: &Crowd<'_>,
) -> Result<Vec<usize>, StoreFault> {
    if crowd.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{CONFIRMED}
         UPDATE delivery SET confirmed = given.at, sealed_confirmation = given.sealed
         FROM given
         WHERE delivery.message = given.message AND delivery.device = given.device
           AND delivery.confirmed IS NULL
         RETURNING given.change"
    );
    let [changes, messages, devices, times] = crowd.params();
    let params: Params<'_> = &[changes, messages, devices, times, &crowd.confirmations];
    let new = all(connection, &sql, params, change)?;
    let close = format!(
        "{CONCERNED}
         UPDATE delivery SET open = FALSE FROM concerned
         WHERE delivery.message = concerned.message AND delivery.device = concerned.device
           AND delivery.open AND delivery.delivered IS NOT NULL"
    );
    connection.execute(&close, &[messages, devices])?;
    Ok(new)
}

/// Keeps what is not there yet of the messages in parameters $3 to $10, for doctor
/// $2, numbers it from $1 on, and gives which they are.
const TAKE_IN: &str = "WITH came AS (
        SELECT DISTINCT ON (device, id) *
        FROM unnest($3::bytea[], $4::text[], $5::bytea[], $6::text[], $7::bigint[],
                    $8::bigint[], $9::bigint[], $10::bytea[]) WITH ORDINALITY
            AS given (device, patient, id, boundary, written, received, shown, sealed, place)
        WHERE NOT EXISTS (SELECT 1 FROM incoming
                          WHERE incoming.device = given.device AND incoming.id = given.id)
        ORDER BY device, id, place),
    kept AS (
        INSERT INTO incoming (number, doctor, device, patient, id, boundary, written,
                              received, shown, sealed)
        SELECT $1::bigint + row_number() OVER (ORDER BY place), $2::text, device, patient,
               id, boundary, written, received, shown, sealed
        FROM came
        RETURNING device, id),
    counted AS (
        UPDATE counter SET last = $1 + (SELECT count(*) FROM kept) WHERE name = 'incoming')
    SELECT device, id FROM kept";

/// Keeps patients' messages that are not there yet, and numbers them in their
/// order. Whoever has the counter is alone with the table.
fn take_in(
    connection: &mut Connection,
    doctor: &str,
    came: &[(usize, &IncomingRow)],
) -> Result<Vec<usize>, StoreFault> {
    if came.is_empty() {
        return Ok(Vec::new());
    }
    let last = last_number(connection, Numbered::Incoming, came.len())?;
    let column = |of: fn(&IncomingRow) -> i64| came.iter().map(|(_, row)| of(row)).collect();
    let written: Vec<i64> = column(|row| stored_millis(row.written));
    let received: Vec<i64> = column(|row| stored_millis(row.received));
    let shown = came.iter().map(|(_, row)| row.shown.map(stored_millis));
    let shown: Vec<Option<i64>> = shown.collect();
    let boundaries = came
        .iter()
        .map(|(_, row)| row.boundary.map(BoundaryMark::word));
    let boundaries: Vec<Option<&str>> = boundaries.collect();
    let devices: Vec<&[u8]> = came.iter().map(|(_, row)| &row.device[..]).collect();
    let patients: Vec<&str> = came.iter().map(|(_, row)| &*row.patient).collect();
    let ids: Vec<&[u8]> = came.iter().map(|(_, row)| &row.id[..]).collect();
    let sealed: Vec<&[u8]> = came.iter().map(|(_, row)| &*row.sealed).collect();
    let new = all(
        connection,
        TAKE_IN,
        &[
            &last,
            &doctor,
            &devices,
            &patients,
            &ids,
            &boundaries,
            &written,
            &received,
            &shown,
            &sealed,
        ],
        |row| Ok((value::<Device>(row, 0)?, value::<[u8; 16]>(row, 1)?)),
    )?;
    if !new.is_empty() {
        tell_others(connection, doctor, &patients)?;
    }
    // Of what came twice the first is the one that was kept.
    let mut first = HashMap::new();
    for (index, row) in came {
        first.entry((row.device, row.id)).or_insert(*index);
    }
    Ok(new
        .iter()
        .filter_map(|name| first.get(name).copied())
        .collect())
}

/// Lets other nodes hear of messages of patients who are not this doctor's.
fn tell_others(
    connection: &mut Connection,
    doctor: &str,
    patients: &[&str],
) -> Result<(), StoreFault> {
    let tell = "SELECT pg_notify(current_schema(), 'incoming')
                WHERE EXISTS (SELECT 1 FROM unnest($2::text[]) AS given (patient)
                              WHERE NOT EXISTS (SELECT 1 FROM assignment
                                                WHERE assignment.patient = given.patient
                                                  AND assignment.doctor = $1))";
    connection.rows(tell, &[&doctor, &patients]).map(drop)
}
