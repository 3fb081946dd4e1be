//! What is missing: messages that have not expired, and that a patient has got on no
//! device.

use std::collections::BTreeSet;

use super::{MessageReport, add_phones, has_expired, named, report_of};
use crate::clock::Timestamp;
use crate::doctor::authors::Authors;
use crate::doctor::messages::BookError;
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;

/// How many devices that miss a message are listed where it is not named.
const MISSING_DEVICES: usize = 100;
/// The same where it is named: more than a practice has.
const ALL_MISSING: usize = 1_000_000;
/// How many messages are listed as missing somewhere.
const MISSING_MESSAGES: usize = 200;

/// What is missing, the newest message first, and how many older messages are
/// missing, too.
pub(super) fn list(
    practice: &Practice,
    message: Option<&str>,
) -> Result<(Vec<MessageReport>, u64), NotDone> {
    let numbers = match message {
        Some(name) => {
            let rows = named(practice, name)?;
            rows.iter().map(|row| Some(row.number)).collect()
        }
        None => vec![None],
    };
    let devices = match message {
        Some(_) => ALL_MISSING,
        None => MISSING_DEVICES,
    };
    let (mut reports, older) = find(practice, &numbers, devices)?;
    add_phones(practice, &mut reports)?;
    Ok((reports, older))
}

fn find(
    practice: &Practice,
    numbers: &[Option<u64>],
    devices: usize,
) -> Result<(Vec<MessageReport>, u64), BookError> {
    let store = &practice.store;
    let mut counted = Vec::new();
    for number in numbers {
        counted.extend(store.missing_counts(*number)?);
    }
    let older = counted.len().saturating_sub(MISSING_MESSAGES) as u64;
    let mut reports = Vec::new();
    let authors = Authors::new(practice);
    for (number, counts) in counted.into_iter().take(MISSING_MESSAGES) {
        let Some(row) = store.message(number)? else {
            continue;
        };
        if has_expired(&row, practice.now()) {
            continue;
        }
        let mut report = report_of(&authors, &row, &store.missing(Some(number), devices)?)?;
        (report.queued, report.sent) = (counts.queued, counts.sent);
        let listed = report.deliveries.len() as u64;
        report.unlisted = (counts.queued + counts.sent).saturating_sub(listed);
        reports.push(report);
    }
    Ok((reports, older))
}

/// When a message has expired, and how many patients did not get it before.
pub(super) fn over(practice: &Practice, name: &str) -> Result<Option<(Timestamp, u64)>, NotDone> {
    for row in named(practice, name)? {
        let Some(expires) = row.expires.filter(|_| has_expired(&row, practice.now())) else {
            continue;
        };
        let rows = practice.store.deliveries(row.number);
        let rows = rows?;
        let all: BTreeSet<_> = rows.iter().map(|row| &row.patient).collect();
        let arrived = rows.iter().filter(|row| row.has_arrived());
        let arrived: BTreeSet<_> = arrived.map(|row| &row.patient).collect();
        return Ok(Some((expires, (all.len() - arrived.len()) as u64)));
    }
    Ok(None)
}
