//! The audit log in the database.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction};

use crate::audit::head::Head;
use crate::audit::{self, Entry, Link};
use crate::clock::Timestamp;
use crate::store::sqlite::SqliteStore;
use crate::store::{AuditFilter, AuditRow, AuditStore, StoreError, StoreFault};

/// The highest number: far more than there will ever be, and far enough from
/// what a row can hold that one more can always be written.
const LAST: u64 = (1 << 62) - 1;
/// Below these numbers the end of the log is looked for, one after the other.
const ENDS: [u64; 3] = [LAST, (1 << 52) - 1, (1 << 42) - 1];
/// So much room must be left before them: more than is ever logged at once.
const ROOM: u64 = 1 << 20;

/// A number as a row can hold it.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const ENTRY: &str = "SELECT number, at, actor, action, subject, detail, link FROM audit_entry";

fn read_entry(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        number: row.get("number")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
        link: row.get("link")?,
    })
}

/// The conditions of a filter, on parameters ?1 to ?8.
const FILTER: &str = "
    number BETWEEN ?1 AND ?2 AND at BETWEEN ?3 AND ?4
    AND (?5 IS NULL OR ?5 IN (actor, subject))
    AND (?6 IS NULL OR actor = ?6)
    AND (?7 IS NULL OR action = ?7)
    AND (?8 IS NULL OR instr(lower(concat_ws(char(10), actor, action, subject, detail)), lower(?8)))";

/// The parameters for it.
fn params(filter: &AuditFilter, numbers: &RangeInclusive<u64>) -> impl Params {
    let at = |millis: Option<u64>, or| Timestamp::from_millis(millis.unwrap_or(or));
    (
        stored(*numbers.start()),
        stored(LAST.min(*numbers.end())),
        at(filter.since, 0),
        at(filter.until, u64::MAX),
        filter.patient.clone(),
        filter.actor.clone(),
        filter.action.clone(),
        filter.text.clone(),
    )
}

const HEAD: &str = "SELECT number, link, at, certificate, signature FROM audit_head";

fn read_head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        number: row.get("number")?,
        link: row.get("link")?,
        at: row.get("at")?,
        certificate: row.get("certificate")?,
        signature: row.get("signature")?,
    })
}

/// The last entry. One that somebody put just below the highest number must not
/// stop the log: no log gets there, so it goes on with the entries far below.
fn head(connection: &Connection) -> Result<Option<(u64, Link)>, StoreFault> {
    for end in ENDS {
        let mut newest = connection.prepare_cached(
            "SELECT number, link FROM audit_entry WHERE number <= ?1
             ORDER BY number DESC LIMIT 1",
        )?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(u64, Link)> = newest.query_row([end], read).optional()?;
        if found.is_none_or(|(number, _)| number <= end - ROOM) {
            return Ok(found);
        }
    }
    let finding = "somebody put entries into the audit log whose numbers leave no room for more";
    Err(StoreFault::Damaged(finding.to_owned()))
}

/// Adds entries to the chain, within the transaction of what they tell of.
pub(super) fn append<'e>(
    transaction: &Transaction<'_>,
    entries: impl IntoIterator<Item = &'e Entry>,
) -> Result<(), StoreFault> {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let (mut number, mut link) = head(transaction)?.unwrap_or((0, audit::START));
    let mut insert = transaction.prepare_cached(
        "INSERT INTO audit_entry (number, at, actor, action, subject, detail, link)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        number += 1;
        let words = [
            entry.actor.as_str(),
            entry.action.word(),
            &entry.subject,
            &entry.detail,
        ];
        link = audit::link(&link, number, entry.at, words);
        let [actor, action, subject, detail] = words;
        insert.execute((number, entry.at, actor, action, subject, detail, link))?;
    }
    Ok(())
}

/// The same with a signed head of the last entry.
pub(super) fn append_and_sign(
    transaction: &Transaction<'_>,
    entries: &[Entry],
    certificate: &[u8],
    sign: &mut dyn FnMut(u64, Link) -> Head,
) -> Result<Head, StoreFault> {
    append(transaction, entries)?;
    let (number, link) = head(transaction)?.unwrap_or((0, audit::START));
    let head = sign(number, link);
    transaction.execute(
        "INSERT INTO audit_certificate (fingerprint, bytes) VALUES (?1, ?2)
         ON CONFLICT DO NOTHING",
        (head.certificate, certificate),
    )?;
    transaction.execute(
        "INSERT OR REPLACE INTO audit_head (number, link, at, certificate, signature)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (number, link, head.at, head.certificate, &head.signature),
    )?;
    Ok(head)
}

impl AuditStore for SqliteStore {
    fn append_audit(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| append(transaction, entries))
    }

    fn audit(&self, first: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("{ENTRY} WHERE number BETWEEN ?1 AND ?2 ORDER BY number LIMIT ?3");
        self.rows(&sql, (stored(first), LAST, limit), read_entry)
    }

    fn find_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("{ENTRY} WHERE {FILTER} ORDER BY number LIMIT {limit}");
        self.rows(&sql, params(filter, &numbers), read_entry)
    }

    fn nth_last_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        nth: u64,
    ) -> Result<Option<u64>, StoreError> {
        let sql = format!(
            "SELECT min(number) FROM (SELECT number FROM audit_entry WHERE {FILTER}
             ORDER BY number DESC LIMIT {})",
            i64::try_from(nth).unwrap_or(i64::MAX)
        );
        let number = self.first(&sql, params(filter, &numbers), |row| row.get(0))?;
        Ok(number.flatten())
    }

    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError> {
        self.with(|connection| head(connection))
    }

    fn add_signed_head(&self, head: &Head, certificate: &[u8]) -> Result<bool, StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO audit_certificate (fingerprint, bytes) VALUES (?1, ?2)
                 ON CONFLICT DO NOTHING",
                (head.certificate, certificate),
            )?;
            let added = transaction.execute(
                "INSERT INTO audit_head (number, link, at, certificate, signature)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                (
                    head.number,
                    head.link,
                    head.at,
                    head.certificate,
                    &head.signature,
                ),
            )?;
            Ok(added > 0)
        })
    }

    fn append_signed(
        &self,
        entries: &[Entry],
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError> {
        self.write(|transaction| append_and_sign(transaction, entries, certificate, sign))
    }

    fn impossible_numbers(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM audit_entry WHERE number < 1 OR number > ?1)
                 + (SELECT count(*) FROM audit_head WHERE number < 1 OR number > ?1)";
        let count = self.first(sql, [LAST], |row| row.get(0))?;
        Ok(count.unwrap_or(0))
    }

    fn signed_heads(&self, first: u64, limit: usize) -> Result<Vec<Head>, StoreError> {
        let sql = format!("{HEAD} WHERE number BETWEEN ?1 AND ?2 ORDER BY number LIMIT ?3");
        self.rows(&sql, (stored(first), LAST, limit), read_head)
    }

    fn newest_signed_head(&self) -> Result<Option<Head>, StoreError> {
        let sql = format!("{HEAD} WHERE number <= ?1 ORDER BY number DESC LIMIT 1");
        self.first(&sql, [LAST], read_head)
    }

    fn signing_certificates(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM audit_certificate ORDER BY fingerprint";
        self.all(sql, |row| row.get(0))
    }
}
