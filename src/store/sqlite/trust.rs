//! Certificates and what leads to them, in the database.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};

use crate::audit::head::Head;
use crate::audit::{Entry, Link};
use crate::clock::Timestamp;
use crate::identity::certificate::Certificate;
use crate::secret::Secret;
use crate::store::sqlite::{SqliteStore, audit, put_fact};
use crate::store::{
    CertificateRow, CertificateState, KeyChange, PrekeyRow, PurgeStore, Revocable, Revoked,
    StoreError, StoreFault, TicketRow, TicketState, TicketUsed, TrustStore, fact, names,
};

const CERTIFICATE: &str = "
    SELECT serial, fingerprint, subject, bytes, state, ticket, created, not_after
    FROM certificate";

fn read_certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRow> {
    Ok(CertificateRow {
        serial: row.get("serial")?,
        fingerprint: row.get("fingerprint")?,
        subject: row.get("subject")?,
        bytes: row.get("bytes")?,
        state: row.get("state")?,
        ticket: row.get("ticket")?,
        created: row.get("created")?,
        not_after: row.get("not_after")?,
    })
}

/// Does what the statement says; gives what that has revoked.
fn take_back(
    connection: &Connection,
    sql: &str,
    what: fn([u8; 16]) -> Revocable,
) -> rusqlite::Result<Vec<Revoked>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let (patient, what) = (row.get(0)?, what(row.get(1)?));
        Ok(Revoked { patient, what })
    })?;
    rows.collect()
}

fn insert_certificate(
    connection: &Connection,
    row: &CertificateRow,
    ticket: Option<&[u8; 16]>,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO certificate
            (serial, fingerprint, subject, bytes, state, ticket, created, not_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            row.serial,
            row.fingerprint,
            &row.subject,
            &row.bytes,
            row.state,
            ticket,
            row.created,
            row.not_after,
        ),
    )?;
    Ok(())
}

/// Bytes of a key that stand in the index.
const KEY_PREFIX: usize = 16;

/// The certificates one of whose keys begins so, by the indexes of schema 6: the
/// keys' places are those of [`Certificate::holds_key`].
pub(super) const WITH_KEY: &str = "
    SELECT bytes FROM certificate
    WHERE substr(bytes, 147, 16) = ?1
       OR substr(bytes, 147 + (length(bytes) - 146) / 4, 16) = ?1";

const TICKET: &str = "
    SELECT ticket.id, ticket.subject, ticket.sealed, ticket.created, ticket.expires,
           ticket.state, certificate.serial
    FROM ticket LEFT JOIN certificate ON certificate.ticket = ticket.id";

fn read_ticket(row: &Row<'_>) -> rusqlite::Result<TicketRow> {
    Ok(TicketRow {
        id: row.get("id")?,
        subject: row.get("subject")?,
        sealed: row.get::<_, Option<_>>("sealed")?.unwrap_or_default(),
        created: row.get("created")?,
        expires: row.get("expires")?,
        state: row.get("state")?,
        serial: row.get("serial")?,
    })
}

fn insert_prekey(connection: &Connection, prekey: &PrekeyRow) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO prekey (kid, bytes, not_before, not_after) VALUES (?1, ?2, ?3, ?4)",
        (
            prekey.kid,
            &prekey.bytes,
            prekey.not_before,
            prekey.not_after,
        ),
    )?;
    Ok(())
}

fn read_prekey(row: &Row<'_>) -> rusqlite::Result<PrekeyRow> {
    Ok(PrekeyRow {
        kid: row.get("kid")?,
        bytes: row.get("bytes")?,
        not_before: row.get("not_before")?,
        not_after: row.get("not_after")?,
    })
}

impl SqliteStore {
    /// Changes the row with this name, and logs that only if it did.
    fn change_logged(
        &self,
        sql: &str,
        name: &[u8; 16],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let changed = transaction.execute(sql, [name])? > 0;
            if changed {
                audit::append(transaction, entries)?;
            }
            Ok(changed)
        })
    }
}

impl TrustStore for SqliteStore {
    fn add_ticket(&self, ticket: &TicketRow, audit: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO ticket (id, subject, sealed, created, expires, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    ticket.id,
                    &ticket.subject,
                    &ticket.sealed,
                    ticket.created,
                    ticket.expires,
                    ticket.state,
                ),
            )?;
            audit::append(transaction, audit)
        })
    }

    fn ticket(&self, id: &[u8; 16]) -> Result<Option<TicketRow>, StoreError> {
        self.first(&format!("{TICKET} WHERE ticket.id = ?1"), [id], read_ticket)
    }

    fn tickets_from(
        &self,
        begin: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<TicketRow>, StoreError> {
        let sql = format!(
            "{TICKET} WHERE ticket.id BETWEEN ?1 AND ?2 AND (?3 IS NULL OR ticket.id <> ?3)
             ORDER BY ticket.id LIMIT ?4"
        );
        let (first, last) = names::range(begin);
        let first = after.copied().unwrap_or(first);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.rows(&sql, (first, last, after, most), read_ticket)
    }

    fn has_ticket(&self, subject: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM ticket WHERE subject = ?1 LIMIT 1";
        Ok(self.first(sql, [subject], |_| Ok(()))?.is_some())
    }

    fn has_certificate(&self, subject: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM certificate WHERE subject = ?1 LIMIT 1";
        Ok(self.first(sql, [subject], |_| Ok(()))?.is_some())
    }

    fn patient_like(&self, name: &str, at: Timestamp) -> Result<Option<String>, StoreError> {
        let sql = names::like(&names::of_patients('?'), '?');
        let params = (names::folded(name), name, at);
        self.first(&sql, params, |row| row.get(0))
    }

    fn unsealed_tickets(&self) -> Result<Vec<([u8; 16], Secret<16>)>, StoreError> {
        let sql = "SELECT id, old_secret FROM ticket WHERE old_secret IS NOT NULL";
        self.all(sql, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn seal_tickets(&self, sealed: &[([u8; 16], Vec<u8>)]) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE ticket SET sealed = ?2, old_secret = NULL WHERE id = ?1";
            for row in sealed {
                transaction.execute(sql, (row.0, &row.1))?;
            }
            Ok(())
        })?;
        self.with(|connection| Ok(connection.execute_batch("VACUUM")?))?;
        match self.scrub() {
            // Somebody reads: the log goes when the last program closes the file.
            Err(error) if matches!(error.fault(), StoreFault::LogHeld) => Ok(()),
            other => other,
        }
    }

    fn set_ticket_state(&self, id: &[u8; 16], state: TicketState) -> Result<bool, StoreError> {
        self.change(
            "UPDATE ticket SET state = ?2
             WHERE id = ?1 AND (state = ?2 OR (state <> 'revoked' AND ?2 <> 'open'))",
            (id, state),
        )
    }

    fn use_ticket(
        &self,
        id: &[u8; 16],
        certificate: &CertificateRow,
        keys: &[&[u8]],
    ) -> Result<TicketUsed, StoreError> {
        self.write(|transaction| {
            let open = "SELECT count(*) FROM ticket WHERE id = ?1 AND state = 'open'";
            let open: u64 = transaction.query_row(open, [id], |row| row.get(0))?;
            if open == 0 {
                return Ok(TicketUsed::NotOpen);
            }
            let mut statement = transaction.prepare_cached(WITH_KEY)?;
            for key in keys {
                let begin = key.get(..KEY_PREFIX).unwrap_or(key);
                let mut rows = statement.query([begin])?;
                while let Some(row) = rows.next()? {
                    let bytes: Vec<u8> = row.get(0)?;
                    if Certificate::holds_key(&bytes, key) {
                        return Ok(TicketUsed::Clash);
                    }
                }
            }
            let used = "UPDATE ticket SET state = 'used' WHERE id = ?1";
            transaction.execute(used, [id])?;
            insert_certificate(transaction, certificate, Some(id))?;
            Ok(TicketUsed::Now)
        })
    }

    fn freeze_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let known = transaction.execute(
                "UPDATE ticket SET state = iif(state = 'revoked', state, 'frozen') WHERE id = ?1",
                [id],
            )?;
            transaction.execute(
                "UPDATE certificate SET state = 'frozen' WHERE ticket = ?1 AND state <> 'revoked'",
                [id],
            )?;
            if known > 0 {
                audit::append(transaction, entries)?;
            }
            Ok(known > 0)
        })
    }

    fn revoke_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        let sql = "UPDATE ticket SET state = 'revoked' WHERE id = ?1 AND state = 'open'";
        self.change_logged(sql, id, entries)
    }

    fn revoke(
        &self,
        subject: &str,
        only: Option<&[u8; 16]>,
        entry: &dyn Fn(&Revocable) -> Entry,
    ) -> Result<Vec<Revocable>, StoreError> {
        self.write(|transaction| {
            let mut revoked: Vec<Revocable> = Vec::new();
            let mut statement = transaction.prepare(
                "UPDATE certificate SET state = 'revoked'
                 WHERE subject = ?1 AND state <> 'revoked' AND (?2 IS NULL OR serial = ?2)
                 RETURNING serial",
            )?;
            let rows = statement.query_map((subject, only), |row| row.get(0))?;
            for serial in rows {
                revoked.push(Revocable::Certificate(serial?));
            }
            if only.is_none() {
                let mut statement = transaction.prepare(
                    "UPDATE ticket SET state = 'revoked' WHERE subject = ?1 AND state = 'open'
                     RETURNING id",
                )?;
                let rows = statement.query_map([subject], |row| row.get(0))?;
                for id in rows {
                    revoked.push(Revocable::Ticket(id?));
                }
            }
            let entries: Vec<Entry> = revoked.iter().map(entry).collect();
            audit::append(transaction, &entries)?;
            Ok(revoked)
        })
    }

    fn unfreeze_certificate(
        &self,
        serial: &[u8; 16],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE certificate SET state = 'active' WHERE serial = ?1 AND state = 'frozen'";
        self.change_logged(sql, serial, entries)
    }

    fn add_certificate(&self, certificate: &CertificateRow) -> Result<(), StoreError> {
        self.with(|connection| {
            insert_certificate(connection, certificate, certificate.ticket.as_ref())?;
            Ok(())
        })
    }

    fn certificate(&self, serial: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{CERTIFICATE} WHERE serial = ?1");
        self.first(&sql, [serial], read_certificate)
    }

    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{CERTIFICATE} WHERE ticket = ?1");
        self.first(&sql, [id], read_certificate)
    }

    fn certificates_from(
        &self,
        subject: Option<&str>,
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = format!(
            "{CERTIFICATE} WHERE (?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR serial > ?2)
             ORDER BY serial LIMIT ?3"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.rows(&sql, (subject, after, most), read_certificate)
    }

    fn activate_certificate(
        &self,
        serial: &[u8; 16],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let changed = transaction.execute(
                "UPDATE certificate SET state = 'active' WHERE serial = ?1 AND state = 'inactive'",
                [serial],
            )?;
            if changed > 0 {
                audit::append(transaction, entries)?;
            }
            let is_active =
                "SELECT count(*) FROM certificate WHERE serial = ?1 AND state = 'active'";
            let active: u64 = transaction.query_row(is_active, [serial], |row| row.get(0))?;
            Ok(active > 0)
        })
    }

    fn stopped_certificates(
        &self,
    ) -> Result<Vec<([u8; 16], String, CertificateState)>, StoreError> {
        let sql = "SELECT serial, subject, state FROM certificate
                   WHERE state IN ('frozen', 'revoked') ORDER BY created, serial";
        self.all(sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }

    fn set_certificate_state(
        &self,
        serial: &[u8; 16],
        state: CertificateState,
    ) -> Result<bool, StoreError> {
        self.change(
            "UPDATE certificate SET state = ?2
             WHERE serial = ?1 AND (state = ?2 OR state <> 'revoked')",
            (serial, state),
        )
    }

    fn last_timestamp(&self, serial: &[u8; 16]) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at FROM last_timestamp WHERE serial = ?1";
        self.first(sql, [serial], |row| row.get(0))
    }

    fn advance_timestamp(&self, serial: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        self.change(
            "INSERT INTO last_timestamp (serial, at) VALUES (?1, ?2)
             ON CONFLICT (serial) DO UPDATE SET at = excluded.at WHERE excluded.at > at",
            (serial, at),
        )
    }

    fn add_prekey(&self, prekey: &PrekeyRow, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| {
            insert_prekey(transaction, prekey)?;
            audit::append(transaction, entries)
        })
    }

    fn prekeys(&self) -> Result<Vec<PrekeyRow>, StoreError> {
        let sql = "SELECT kid, bytes, not_before, not_after FROM prekey ORDER BY not_before, kid";
        self.all(sql, read_prekey)
    }

    fn change_papers(
        &self,
        facts: &[(&str, &[u8])],
        entries: &[Entry],
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError> {
        self.write(|transaction| {
            for fact in facts {
                put_fact(transaction, fact)?;
            }
            audit::append_and_sign(transaction, entries, certificate, sign)
        })
    }

    fn change_key(
        &self,
        change: &KeyChange<'_>,
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Option<Vec<Revoked>>, StoreError> {
        self.write(|transaction| {
            let follow = "UPDATE fact SET value = ?3 WHERE name = ?1 AND value = ?2";
            let list = (fact::REVOKED_DOCTORS, change.known, change.list);
            if transaction.execute(follow, list)? == 0 {
                return Ok(None);
            }
            for fact in change.facts {
                put_fact(transaction, fact)?;
            }
            transaction.execute("DELETE FROM prekey", [])?;
            insert_prekey(transaction, change.prekey)?;
            let certificates = "UPDATE certificate SET state = 'revoked' WHERE state <> 'revoked'
                                RETURNING subject, serial";
            let tickets = "UPDATE ticket SET state = 'revoked' WHERE state = 'open'
                           RETURNING subject, id";
            let mut revoked = take_back(transaction, certificates, Revocable::Certificate)?;
            revoked.extend(take_back(transaction, tickets, Revocable::Ticket)?);
            let mut entries = change.audit.to_vec();
            entries.extend(revoked.iter().map(change.revoked));
            audit::append_and_sign(transaction, &entries, certificate, sign)?;
            Ok(Some(revoked))
        })
    }

    fn remove_prekey(&self, kid: &[u8; 8], entries: &[Entry]) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let removed = transaction.execute("DELETE FROM prekey WHERE kid = ?1", [kid])? > 0;
            if removed {
                audit::append(transaction, entries)?;
            }
            Ok(removed)
        })
    }
}

impl ToSql for CertificateState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for CertificateState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for TicketState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for TicketState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}
