//! The audit log in the database.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use crate::audit::{self, Entry, Link};
use crate::store::sqlite::SqliteStore;
use crate::store::{AuditRow, AuditStore, StoreError, StoreFault};

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

fn head(connection: &Connection) -> rusqlite::Result<Option<(u64, Link)>> {
    connection
        .query_row(
            "SELECT number, link FROM audit_entry ORDER BY number DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
}

/// Adds entries to the chain, within the transaction of what they tell of.
pub(super) fn append(transaction: &Transaction<'_>, entries: &[Entry]) -> Result<(), StoreFault> {
    if entries.is_empty() {
        return Ok(());
    }
    let (mut number, mut link) = head(transaction)?.unwrap_or((0, audit::START));
    let mut insert = transaction.prepare(
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

impl AuditStore for SqliteStore {
    fn append_audit(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| append(transaction, entries))
    }

    fn audit(&self, first: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("{ENTRY} WHERE number >= ?1 ORDER BY number LIMIT ?2");
        self.rows(&sql, (first, limit), read_entry)
    }

    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError> {
        self.with(|connection| Ok(head(connection)?))
    }
}
