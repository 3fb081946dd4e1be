//! The audit log in the database: one chain for each doctor.

use std::ops::RangeInclusive;

use postgres::Row;

use super::PostgresStore;
use super::connection::{Connection, value};
use super::transaction::Lock;
use super::values::{limit as rows, number as stored};
use crate::audit::head::Head;
use crate::audit::{self, Entry, Link};
use crate::store::{AuditFilter, AuditRow, AuditStore, StoreError, StoreFault, stored_millis};

/// The highest number: far more than there will ever be, and far enough from
/// what a row can hold that one more can always be written.
const LAST: i64 = (1 << 62) - 1;
/// Below these numbers the end of the log is looked for, one after the other.
const ENDS: [i64; 3] = [LAST, (1 << 52) - 1, (1 << 42) - 1];
/// So much room must be left before them: more than is ever logged at once.
const ROOM: i64 = 1 << 20;

const ENTRY: &str = "SELECT number, at, actor, action, subject, detail, link FROM audit_entry";

fn read_entry(row: &Row) -> Result<AuditRow, StoreFault> {
    Ok(AuditRow {
        number: value(row, 0)?,
        at: value(row, 1)?,
        actor: value(row, 2)?,
        action: value(row, 3)?,
        subject: value(row, 4)?,
        detail: value(row, 5)?,
        link: value(row, 6)?,
    })
}

const HEAD: &str = "SELECT number, link, at, certificate, signature FROM audit_head";

fn read_head(row: &Row) -> Result<Head, StoreFault> {
    Ok(Head {
        number: value(row, 0)?,
        link: value(row, 1)?,
        at: value(row, 2)?,
        certificate: value(row, 3)?,
        signature: value(row, 4)?,
    })
}

/// The conditions of a filter, on parameters $1 to $9. Text is compared byte by
/// byte, but for capital letters of ASCII.
const FILTER: &str = r#"
    doctor = $1 AND number BETWEEN $2 AND $3 AND at BETWEEN $4 AND $5
    AND ($6::text IS NULL OR $6 IN (actor, subject))
    AND ($7::text IS NULL OR actor = $7)
    AND ($8::text IS NULL OR action = $8)
    AND ($9::text IS NULL OR position(
        lower($9 COLLATE "C")
        IN lower(concat_ws(chr(10), actor, action, subject, detail) COLLATE "C")) > 0)"#;

/// Text as the database can hold it: all but the character of number 0.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The last entry. One that somebody put just below the highest number must not
/// stop the log: no log gets there, so it goes on with the entries far below.
fn head(connection: &mut Connection, doctor: &str) -> Result<Option<(u64, Link)>, StoreFault> {
    for end in ENDS {
        let row = connection.first(
            "SELECT number, link FROM audit_entry WHERE doctor = $1 AND number <= $2
             ORDER BY number DESC LIMIT 1",
            &[&doctor, &end],
        )?;
        let Some(row) = row else {
            return Ok(None);
        };
        let number: i64 = value(&row, 0)?;
        if number <= end - ROOM {
            return Ok(Some((value(&row, 0)?, value(&row, 1)?)));
        }
    }
    let finding = "somebody put entries into the audit log whose numbers leave no room for more";
    Err(StoreFault::Damaged(finding.to_owned()))
}

/// Keeps the end of a doctor's chain for this transaction: several of her
/// programs may write to it. Always the last lock that a change takes.
fn hold(connection: &mut Connection, doctor: &str) -> Result<(), StoreFault> {
    let sql = "SELECT 1 FROM pg_advisory_xact_lock(
                   hashtextextended(current_schema() || '/' || $1, 1953325873))";
    connection.execute(sql, &[&doctor])?;
    Ok(())
}

/// Adds entries to the doctor's chain, within the transaction of what they tell
/// of.
pub(super) fn append<'e>(
    connection: &mut Connection,
    doctor: &str,
    entries: impl IntoIterator<Item = &'e Entry>,
) -> Result<(), StoreFault> {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    hold(connection, doctor)?;
    let (mut number, mut link) = head(connection, doctor)?.unwrap_or((0, audit::START));
    let (mut numbers, mut times, mut links) = (Vec::new(), Vec::new(), Vec::new());
    let mut words: [Vec<String>; 4] = Default::default();
    for entry in entries {
        number += 1;
        let said = [
            entry.actor.as_str(),
            entry.action.word(),
            &entry.subject,
            &entry.detail,
        ]
        .map(storable);
        link = audit::link(&link, number, entry.at, said.each_ref().map(String::as_str));
        numbers.push(stored(number));
        times.push(stored_millis(entry.at));
        links.push(link.to_vec());
        for (column, word) in words.iter_mut().zip(said) {
            column.push(word);
        }
    }
    let [actors, actions, subjects, details] = words;
    connection.execute(
        "INSERT INTO audit_entry (doctor, number, at, actor, action, subject, detail, link)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[],
                                  $6::text[], $7::text[], $8::bytea[])",
        &[
            &doctor, &numbers, &times, &actors, &actions, &subjects, &details, &links,
        ],
    )?;
    Ok(())
}

fn add_certificate(
    connection: &mut Connection,
    doctor: &str,
    head: &Head,
    certificate: &[u8],
) -> Result<(), StoreFault> {
    connection.execute(
        "INSERT INTO audit_certificate (doctor, fingerprint, bytes) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        &[&doctor, &head.certificate.as_slice(), &certificate],
    )?;
    Ok(())
}

/// The same with a signed head of the last entry.
pub(super) fn append_and_sign(
    connection: &mut Connection,
    doctor: &str,
    entries: &[Entry],
    certificate: &[u8],
    sign: &mut dyn FnMut(u64, Link) -> Head,
) -> Result<Head, StoreFault> {
    hold(connection, doctor)?;
    append(connection, doctor, entries)?;
    let (number, link) = head(connection, doctor)?.unwrap_or((0, audit::START));
    let head = sign(number, link);
    add_certificate(connection, doctor, &head, certificate)?;
    connection.execute(
        "INSERT INTO audit_head (doctor, number, link, at, certificate, signature)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (doctor, number) DO UPDATE
         SET link = excluded.link, at = excluded.at, certificate = excluded.certificate,
             signature = excluded.signature",
        &[
            &doctor,
            &stored(number),
            &link.as_slice(),
            &stored_millis(head.at),
            &head.certificate.as_slice(),
            &head.signature,
        ],
    )?;
    Ok(head)
}

impl PostgresStore {
    /// What a filter lets through, by a statement with its conditions in it.
    fn filtered<T>(
        &self,
        sql: &str,
        filter: &AuditFilter,
        numbers: &RangeInclusive<u64>,
        limit: i64,
        read: impl Fn(&Row) -> Result<T, StoreFault>,
    ) -> Result<Vec<T>, StoreError> {
        let word = |word: &Option<String>| word.as_deref().map(storable);
        self.rows(
            sql,
            &[
                &self.doctor,
                &stored(*numbers.start()),
                &LAST.min(stored(*numbers.end())),
                &stored(filter.since.unwrap_or(0)),
                &stored(filter.until.unwrap_or(u64::MAX)),
                &word(&filter.patient),
                &word(&filter.actor),
                &word(&filter.action),
                &word(&filter.text),
                &limit,
            ],
            read,
        )
    }
}

impl AuditStore for PostgresStore {
    fn append_audit(&self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(Lock::Shared, |connection| {
            append(connection, &self.doctor, entries)
        })
    }

    fn audit(&self, first: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!(
            "{ENTRY} WHERE doctor = $1 AND number BETWEEN $2 AND $3 ORDER BY number LIMIT $4"
        );
        let params: super::Params<'_> = &[&self.doctor, &stored(first), &LAST, &rows(limit)];
        self.rows(&sql, params, read_entry)
    }

    fn find_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("{ENTRY} WHERE {FILTER} ORDER BY number LIMIT $10");
        self.filtered(&sql, filter, &numbers, rows(limit), read_entry)
    }

    fn nth_last_audit(
        &self,
        filter: &AuditFilter,
        numbers: RangeInclusive<u64>,
        nth: u64,
    ) -> Result<Option<u64>, StoreError> {
        let sql = format!(
            "SELECT min(number) FROM (SELECT number FROM audit_entry WHERE {FILTER}
             ORDER BY number DESC LIMIT $10) AS last"
        );
        let found = self.filtered(&sql, filter, &numbers, stored(nth), |row| value(row, 0))?;
        Ok(found.into_iter().next().flatten())
    }

    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError> {
        self.read(|connection| head(connection, &self.doctor))
    }

    fn add_signed_head(&self, head: &Head, certificate: &[u8]) -> Result<bool, StoreError> {
        self.write(Lock::Shared, |connection| {
            add_certificate(connection, &self.doctor, head, certificate)?;
            let added = connection.execute(
                "INSERT INTO audit_head (doctor, number, link, at, certificate, signature)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                &[
                    &self.doctor,
                    &stored(head.number),
                    &head.link.as_slice(),
                    &stored_millis(head.at),
                    &head.certificate.as_slice(),
                    &head.signature,
                ],
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
        self.write(Lock::Shared, |connection| {
            append_and_sign(connection, &self.doctor, entries, certificate, sign)
        })
    }

    fn impossible_numbers(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM audit_entry
                           WHERE doctor = $1 AND (number < 1 OR number > $2))
                 + (SELECT count(*) FROM audit_head
                    WHERE doctor = $1 AND (number < 1 OR number > $2))";
        self.read(|connection| connection.number(sql, &[&self.doctor, &LAST]))
    }

    fn signed_heads(&self, first: u64, limit: usize) -> Result<Vec<Head>, StoreError> {
        let sql = format!(
            "{HEAD} WHERE doctor = $1 AND number BETWEEN $2 AND $3 ORDER BY number LIMIT $4"
        );
        let params: super::Params<'_> = &[&self.doctor, &stored(first), &LAST, &rows(limit)];
        self.rows(&sql, params, read_head)
    }

    fn newest_signed_head(&self) -> Result<Option<Head>, StoreError> {
        let sql = format!("{HEAD} WHERE doctor = $1 AND number <= $2 ORDER BY number DESC LIMIT 1");
        self.first(&sql, &[&self.doctor, &LAST], read_head)
    }

    fn signing_certificates(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM audit_certificate WHERE doctor = $1 ORDER BY fingerprint";
        self.rows(sql, &[&self.doctor], |row| value(row, 0))
    }
}
