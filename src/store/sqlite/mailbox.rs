//! A patient's messages in the database.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::clock::Timestamp;
use crate::store::sqlite::SqliteStore;
use crate::store::{InboxForm, InboxRow, MailCounts, MailboxStore, OutgoingRow, StoreError};

const INBOX: &str = "
    SELECT number, id, form, urgent, received, sealed, shown, confirmed, confirmation_arrived,
           confirmation_refused
    FROM inbox";

/// Whose confirmation is on its way; as in the index.
const UNACKNOWLEDGED: &str = "confirmed IS NOT NULL AND confirmation_arrived IS NULL
    AND confirmation_refused IS NULL";

fn read_inbox(row: &Row<'_>) -> rusqlite::Result<InboxRow> {
    Ok(InboxRow {
        number: row.get("number")?,
        id: row.get("id")?,
        // One row that is damaged must not hide the others.
        form: row.get("form").ok(),
        urgent: row.get("urgent")?,
        received: row.get("received")?,
        sealed: row.get("sealed")?,
        shown: row.get("shown")?,
        confirmed: row.get("confirmed")?,
        confirmation_arrived: row.get("confirmation_arrived")?,
        confirmation_refused: row.get("confirmation_refused")?,
    })
}

const OUTGOING: &str = "SELECT number, id, written, sealed, sent, delivered, placed FROM outgoing";

fn read_outgoing(row: &Row<'_>) -> rusqlite::Result<OutgoingRow> {
    Ok(OutgoingRow {
        number: row.get("number")?,
        id: row.get("id")?,
        written: row.get("written")?,
        sealed: row.get("sealed")?,
        sent: row.get("sent")?,
        delivered: row.get("delivered")?,
        placed: row.get("placed")?,
    })
}

/// The newest rows, the oldest of them first.
fn newest<T>(mut rows: Vec<T>) -> Vec<T> {
    rows.reverse();
    rows
}

impl MailboxStore for SqliteStore {
    fn add_inbox(&self, row: &InboxRow) -> Result<Option<u64>, StoreError> {
        self.write(|transaction| {
            let known = "SELECT 1 FROM inbox WHERE id = ?1";
            // Asked first: an insertion that conflicts uses up a number.
            if transaction.prepare(known)?.exists([row.id])? {
                return Ok(None);
            }
            let number = transaction.query_row(
                "INSERT INTO inbox (id, form, urgent, received, sealed, shown, confirmed,
                                    confirmation_arrived, confirmation_refused)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING number",
                (
                    row.id,
                    row.form,
                    row.urgent,
                    row.received,
                    &row.sealed,
                    row.shown,
                    row.confirmed,
                    row.confirmation_arrived,
                    row.confirmation_refused,
                ),
                |row| row.get(0),
            )?;
            Ok(Some(number))
        })
    }

    fn inbox_with_id(&self, id: &[u8; 16]) -> Result<Option<InboxRow>, StoreError> {
        self.first(&format!("{INBOX} WHERE id = ?1"), [id], read_inbox)
    }

    fn inbox_numbered(&self, number: u64) -> Result<Option<InboxRow>, StoreError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.first(&format!("{INBOX} WHERE number = ?1"), [number], read_inbox)
    }

    fn inbox_with_code(&self, digits: &str) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!("{INBOX} WHERE substr(hex(id), 1, length(?1)) = upper(?1)");
        self.rows(&sql, [digits], read_inbox)
    }

    fn inbox(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!("{INBOX} ORDER BY number DESC LIMIT ?1");
        self.rows(&sql, [limit], read_inbox).map(newest)
    }

    fn inbox_unread(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!("{INBOX} WHERE shown IS NULL ORDER BY number LIMIT ?1");
        self.rows(&sql, [limit], read_inbox)
    }

    fn inbox_unannounced(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        let sql =
            format!("{INBOX} WHERE shown IS NULL AND announced IS NULL ORDER BY number LIMIT ?1");
        self.rows(&sql, [limit], read_inbox)
    }

    fn set_announced(&self, number: u64, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE inbox SET announced = ?2 WHERE number = ?1 AND announced IS NULL";
        self.change(sql, (number, at)).map(drop)
    }

    fn inbox_unacknowledged(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!(
            "{INBOX} WHERE {UNACKNOWLEDGED}
             ORDER BY confirmed, number LIMIT ?1"
        );
        self.rows(&sql, [limit], read_inbox)
    }

    fn replace_inbox(
        &self,
        id: &[u8; 16],
        form: InboxForm,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "UPDATE inbox SET form = ?2, sealed = ?3, shown = NULL, announced = NULL
                   WHERE id = ?1";
        self.change(sql, (id, form, sealed)).map(drop)
    }

    fn set_shown(&self, numbers: &[u64], at: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE inbox SET shown = ?2 WHERE number = ?1 AND shown IS NULL";
            let mut update = transaction.prepare(sql)?;
            for number in numbers {
                update.execute((number, at))?;
            }
            Ok(())
        })
    }

    fn set_confirmed(&self, number: u64, at: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE inbox SET confirmed = ?2 WHERE number = ?1 AND confirmed IS NULL";
        self.change(sql, (number, at))
    }

    fn set_confirmation_arrived(&self, id: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        let sql = format!(
            "UPDATE inbox SET confirmation_arrived = ?2 WHERE id = ?1 AND {UNACKNOWLEDGED}"
        );
        self.change(&sql, (id, at))
    }

    fn set_confirmation_refused(&self, id: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        let sql = format!(
            "UPDATE inbox SET confirmation_refused = ?2 WHERE id = ?1 AND {UNACKNOWLEDGED}"
        );
        self.change(&sql, (id, at))
    }

    fn add_outgoing(&self, row: &OutgoingRow) -> Result<u64, StoreError> {
        // In a transaction: without one the commit would happen when the
        // statement is dropped, and its failure would not be seen.
        self.write(|transaction| {
            Ok(transaction.query_row(
                "INSERT INTO outgoing (id, written, sealed, sent, delivered, placed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING number",
                (
                    row.id,
                    row.written,
                    &row.sealed,
                    row.sent,
                    row.delivered,
                    row.placed,
                ),
                |row| row.get(0),
            )?)
        })
    }

    fn outgoing_numbered(&self, number: u64) -> Result<Option<OutgoingRow>, StoreError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let sql = format!("{OUTGOING} WHERE number = ?1");
        self.first(&sql, [number], read_outgoing)
    }

    fn outgoing(&self, limit: usize) -> Result<Vec<OutgoingRow>, StoreError> {
        let sql = format!("{OUTGOING} ORDER BY number DESC LIMIT ?1");
        self.rows(&sql, [limit], read_outgoing).map(newest)
    }

    fn outgoing_waiting(&self, limit: usize) -> Result<Vec<OutgoingRow>, StoreError> {
        let sql = format!("{OUTGOING} WHERE delivered IS NULL ORDER BY number LIMIT ?1");
        self.rows(&sql, [limit], read_outgoing)
    }

    fn set_sent(&self, ids: &[[u8; 16]], at: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut update = transaction.prepare("UPDATE outgoing SET sent = ?2 WHERE id = ?1")?;
            for id in ids {
                update.execute((id, at))?;
            }
            Ok(())
        })
    }

    fn set_delivered(
        &self,
        id: &[u8; 16],
        at: Timestamp,
        placed: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE outgoing SET delivered = ?2, placed = ?3
                   WHERE id = ?1 AND delivered IS NULL";
        self.change(sql, (id, at, placed))
    }

    fn mail_counts(&self) -> Result<MailCounts, StoreError> {
        self.with(|connection| {
            let sql = format!(
                "SELECT
                    (SELECT count(*) FROM inbox WHERE shown IS NULL),
                    (SELECT count(*) FROM inbox WHERE shown IS NULL AND urgent),
                    (SELECT count(*) FROM outgoing WHERE delivered IS NULL),
                    (SELECT count(*) FROM inbox WHERE {UNACKNOWLEDGED})"
            );
            Ok(connection.query_row(&sql, [], |row| {
                Ok(MailCounts {
                    unread: row.get(0)?,
                    unread_urgent: row.get(1)?,
                    waiting_messages: row.get(2)?,
                    waiting_confirmations: row.get(3)?,
                })
            })?)
        })
    }
}

impl ToSql for InboxForm {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for InboxForm {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}
