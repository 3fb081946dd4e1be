//! Certificates and what leads to them, in the database. A ticket and a
//! certificate are the clinic's, and say which doctor issued them.

use postgres::Row;

use super::clinic::FOLLOW;
use super::connection::{Connection, Params, value};
use super::transaction::Lock;
use super::values::limit;
use super::{PostgresStore, all, audit, bounds};
use crate::audit::head::Head;
use crate::audit::{Entry, Link};
use crate::clock::Timestamp;
use crate::identity::certificate::Certificate;
use crate::secret::Secret;
use crate::store::{
    CertificateRow, CertificateState, ClinicStore, KeyChange, PrekeyRow, Revocable, Revoked,
    StoreError, StoreFault, TicketRow, TicketState, TicketUsed, TrustStore, fact, names,
    stored_millis,
};

/// A certificate. What is too long is cut, or left out: then it is none.
fn certificate_columns() -> String {
    let (subject, bytes) = (bounds::cut("subject"), bounds::certificate("bytes"));
    format!(
        "SELECT serial, fingerprint, {subject}, {bytes}, state, ticket, created, not_after
         FROM certificate"
    )
}

fn read_certificate(row: &Row) -> Result<CertificateRow, StoreFault> {
    Ok(CertificateRow {
        serial: value(row, 0)?,
        fingerprint: value(row, 1)?,
        subject: value(row, 2)?,
        bytes: value(row, 3)?,
        state: value(row, 4)?,
        ticket: value(row, 5)?,
        created: value(row, 6)?,
        not_after: value(row, 7)?,
    })
}

/// Bytes of a key that stand in the index.
const KEY_PREFIX: usize = 16;

/// The certificates one of whose keys begins so, by the indexes of schema 6: the
/// keys' places are those of [`Certificate::holds_key`].
pub(super) const WITH_KEY: &str = "
    SELECT bytes FROM certificate
    WHERE substring(bytes FROM 147 FOR 16) = $1
       OR substring(bytes FROM 147 + (octet_length(bytes) - 146) / 4 FOR 16) = $1";

/// A ticket. What is too long is cut, or left out: then it is none of ours, and does
/// not open.
fn ticket_columns() -> String {
    let (subject, sealed) = (
        bounds::cut("ticket.subject"),
        bounds::secret("ticket.sealed"),
    );
    format!(
        "SELECT ticket.id, {subject}, {sealed}, ticket.created, ticket.expires, ticket.state,
             certificate.serial
         FROM ticket LEFT JOIN certificate ON certificate.ticket = ticket.id"
    )
}

fn read_ticket(row: &Row) -> Result<TicketRow, StoreFault> {
    Ok(TicketRow {
        id: value(row, 0)?,
        subject: value(row, 1)?,
        sealed: value(row, 2)?,
        created: value(row, 3)?,
        expires: value(row, 4)?,
        state: value(row, 5)?,
        serial: value(row, 6)?,
    })
}

fn read_prekey(row: &Row) -> Result<PrekeyRow, StoreFault> {
    Ok(PrekeyRow {
        kid: value(row, 0)?,
        bytes: value(row, 1)?,
        not_before: value(row, 2)?,
        not_after: value(row, 3)?,
    })
}

/// Revokes the patients' certificates that a doctor has issued, since a time or
/// all, and with them others of these serial numbers; gives those that were not revoked before.
pub(super) fn revoke_issued(
    connection: &mut Connection,
    doctor: &str,
    (since, also): (Option<Timestamp>, &[[u8; 16]]),
) -> Result<Vec<Revoked>, StoreFault> {
    let also: Vec<&[u8]> = also.iter().map(|serial| &serial[..]).collect();
    all(
        connection,
        "UPDATE certificate SET state = 'revoked'
         WHERE (doctor = $1 OR serial = ANY ($3)) AND state <> 'revoked'
           AND ($2::bigint IS NULL OR created >= $2)
         RETURNING subject, serial",
        &[&doctor, &since.map(stored_millis), &also],
        |row| {
            let (patient, what) = (value(row, 0)?, Revocable::Certificate(value(row, 1)?));
            Ok(Revoked { patient, what })
        },
    )
}

impl PostgresStore {
    fn insert_certificate(
        &self,
        connection: &mut Connection,
        row: &CertificateRow,
        ticket: Option<&[u8; 16]>,
    ) -> Result<(), StoreFault> {
        connection.execute(
            "INSERT INTO certificate
                (serial, fingerprint, doctor, subject, bytes, state, ticket, created, not_after)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                &row.serial.as_slice(),
                &row.fingerprint.as_slice(),
                &self.doctor,
                &row.subject,
                &row.bytes,
                &row.state.word(),
                &ticket.map(<[u8; 16]>::as_slice),
                &stored_millis(row.created),
                &stored_millis(row.not_after),
            ],
        )?;
        Ok(())
    }

    fn insert_prekey(
        &self,
        connection: &mut Connection,
        prekey: &PrekeyRow,
    ) -> Result<(), StoreFault> {
        connection.execute(
            "INSERT INTO prekey (doctor, kid, bytes, not_before, not_after)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                &self.doctor,
                &prekey.kid.as_slice(),
                &prekey.bytes,
                &stored_millis(prekey.not_before),
                &stored_millis(prekey.not_after),
            ],
        )?;
        Ok(())
    }

    /// Changes something, and logs that only if it did.
    pub(super) fn change_logged(
        &self,
        sql: &str,
        params: Params<'_>,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let changed = connection.execute(sql, params)? > 0;
            if changed {
                audit::append(connection, &self.doctor, entries)?;
            }
            Ok(changed)
        })
    }
}

impl TrustStore for PostgresStore {
    fn clinic(&self) -> Option<&dyn ClinicStore> {
        Some(self)
    }

    fn add_ticket(&self, ticket: &TicketRow, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            connection.execute(
                "INSERT INTO ticket (id, doctor, subject, sealed, created, expires, state)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    &ticket.id.as_slice(),
                    &self.doctor,
                    &ticket.subject,
                    &ticket.sealed,
                    &stored_millis(ticket.created),
                    &stored_millis(ticket.expires),
                    &ticket.state.word(),
                ],
            )?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn ticket(&self, id: &[u8; 16]) -> Result<Option<TicketRow>, StoreError> {
        let sql = format!("{} WHERE ticket.id = $1", ticket_columns());
        self.first(&sql, &[&id.as_slice()], read_ticket)
    }

    fn tickets_from(
        &self,
        begin: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<TicketRow>, StoreError> {
        let sql = format!(
            "{} WHERE ticket.id BETWEEN $1 AND $2 AND ($3::bytea IS NULL OR ticket.id <> $3)
             ORDER BY ticket.id LIMIT $4",
            ticket_columns()
        );
        let (first, last) = names::range(begin);
        let after = after.map(<[u8; 16]>::as_slice);
        let (first, last) = (after.unwrap_or(&first), &last[..]);
        self.rows(&sql, &[&first, &last, &after, &limit(most)], read_ticket)
    }

    fn has_ticket(&self, subject: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM ticket WHERE subject = $1 LIMIT 1";
        Ok(self.first(sql, &[&subject], |_| Ok(()))?.is_some())
    }

    fn has_certificate(&self, subject: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM certificate WHERE subject = $1 LIMIT 1";
        Ok(self.first(sql, &[&subject], |_| Ok(()))?.is_some())
    }

    fn patient_like(&self, name: &str, at: Timestamp) -> Result<Option<String>, StoreError> {
        let sql = names::like(&names::of_patients('$'), '$');
        let params: Params<'_> = &[&names::folded(name), &name, &stored_millis(at)];
        self.first(&sql, params, |row| value(row, 0))
    }

    /// None: here no secret ever lay in clear.
    fn unsealed_tickets(&self) -> Result<Vec<([u8; 16], Secret<16>)>, StoreError> {
        Ok(Vec::new())
    }

    fn seal_tickets(&self, sealed: &[([u8; 16], Vec<u8>)]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            let sql = "UPDATE ticket SET sealed = $2 WHERE id = $1";
            for (id, sealed) in sealed {
                connection.execute(sql, &[&id.as_slice(), sealed])?;
            }
            Ok(())
        })
    }

    fn set_ticket_state(&self, id: &[u8; 16], state: TicketState) -> Result<bool, StoreError> {
        let sql = "UPDATE ticket SET state = $2
                   WHERE id = $1 AND (state = $2 OR (state <> 'revoked' AND $2 <> 'open'))";
        self.change(Lock::Alone, sql, &[&id.as_slice(), &state.word()])
    }

    fn use_ticket(
        &self,
        id: &[u8; 16],
        certificate: &CertificateRow,
        keys: &[&[u8]],
    ) -> Result<TicketUsed, StoreError> {
        self.write(Lock::Alone, |connection| {
            let open = "SELECT 1 FROM ticket WHERE id = $1 AND state = 'open'";
            if connection.first(open, &[&id.as_slice()])?.is_none() {
                return Ok(TicketUsed::NotOpen);
            }
            for key in keys {
                let begin = key.get(..KEY_PREFIX).unwrap_or(key);
                let found = all(connection, WITH_KEY, &[&begin], |row| {
                    let bytes: Vec<u8> = value(row, 0)?;
                    Ok(Certificate::holds_key(&bytes, key))
                })?;
                if found.contains(&true) {
                    return Ok(TicketUsed::Clash);
                }
            }
            let used = "UPDATE ticket SET state = 'used' WHERE id = $1";
            connection.execute(used, &[&id.as_slice()])?;
            self.insert_certificate(connection, certificate, Some(id))?;
            Ok(TicketUsed::Now)
        })
    }

    fn freeze_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let known = connection.execute(
                "UPDATE ticket SET state = CASE state WHEN 'revoked' THEN state ELSE 'frozen' END
                 WHERE id = $1",
                &[&id.as_slice()],
            )?;
            connection.execute(
                "UPDATE certificate SET state = 'frozen' WHERE ticket = $1 AND state <> 'revoked'",
                &[&id.as_slice()],
            )?;
            if known > 0 {
                audit::append(connection, &self.doctor, entries)?;
            }
            Ok(known > 0)
        })
    }

    fn revoke_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        let sql = "UPDATE ticket SET state = 'revoked' WHERE id = $1 AND state = 'open'";
        self.change_logged(sql, &[&id.as_slice()], entries)
    }

    fn revoke(
        &self,
        subject: &str,
        only: Option<&[u8; 16]>,
        entry: &dyn Fn(&Revocable) -> Entry,
    ) -> Result<Vec<Revocable>, StoreError> {
        self.write(Lock::Alone, |connection| {
            let only = only.map(<[u8; 16]>::as_slice);
            let mut revoked = all(
                connection,
                "UPDATE certificate SET state = 'revoked'
                 WHERE subject = $1 AND state <> 'revoked' AND ($2::bytea IS NULL OR serial = $2)
                 RETURNING serial",
                &[&subject, &only],
                |row| Ok(Revocable::Certificate(value(row, 0)?)),
            )?;
            if only.is_none() {
                revoked.extend(all(
                    connection,
                    "UPDATE ticket SET state = 'revoked' WHERE subject = $1 AND state = 'open'
                     RETURNING id",
                    &[&subject],
                    |row| Ok(Revocable::Ticket(value(row, 0)?)),
                )?);
            }
            let entries: Vec<Entry> = revoked.iter().map(entry).collect();
            audit::append(connection, &self.doctor, &entries)?;
            Ok(revoked)
        })
    }

    fn unfreeze_certificate(
        &self,
        serial: &[u8; 16],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE certificate SET state = 'active' WHERE serial = $1 AND state = 'frozen'";
        self.change_logged(sql, &[&serial.as_slice()], entries)
    }

    fn add_certificate(&self, certificate: &CertificateRow) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            self.insert_certificate(connection, certificate, certificate.ticket.as_ref())
        })
    }

    fn certificate(&self, serial: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{} WHERE serial = $1", certificate_columns());
        self.first(&sql, &[&serial.as_slice()], read_certificate)
    }

    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = format!("{} WHERE ticket = $1", certificate_columns());
        self.first(&sql, &[&id.as_slice()], read_certificate)
    }

    fn certificates_from(
        &self,
        subject: Option<&str>,
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        let of_whom = match subject {
            Some(_) => "subject = $1",
            None => "$1::text IS NULL",
        };
        let sql = format!(
            "{} WHERE {of_whom} AND serial > coalesce($2::bytea, '') ORDER BY serial LIMIT $3",
            certificate_columns()
        );
        let after = after.map(<[u8; 16]>::as_slice);
        self.rows(&sql, &[&subject, &after, &limit(most)], read_certificate)
    }

    fn activate_certificate(
        &self,
        serial: &[u8; 16],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let serial = serial.as_slice();
            let changed = connection.execute(
                "UPDATE certificate SET state = 'active' WHERE serial = $1 AND state = 'inactive'",
                &[&serial],
            )?;
            if changed > 0 {
                audit::append(connection, &self.doctor, entries)?;
            }
            let active = "SELECT 1 FROM certificate WHERE serial = $1 AND state = 'active'";
            Ok(connection.first(active, &[&serial])?.is_some())
        })
    }

    fn stopped_certificates(
        &self,
    ) -> Result<Vec<([u8; 16], String, CertificateState)>, StoreError> {
        let sql = "SELECT serial, subject, state FROM certificate
                   WHERE state IN ('frozen', 'revoked') ORDER BY created, serial";
        self.rows(sql, &[], |row| {
            Ok((value(row, 0)?, value(row, 1)?, value(row, 2)?))
        })
    }

    fn set_certificate_state(
        &self,
        serial: &[u8; 16],
        state: CertificateState,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE certificate SET state = $2
                   WHERE serial = $1 AND (state = $2 OR state <> 'revoked')";
        self.change(Lock::Alone, sql, &[&serial.as_slice(), &state.word()])
    }

    fn last_timestamp(&self, serial: &[u8; 16]) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at FROM last_timestamp WHERE serial = $1";
        self.first(sql, &[&serial.as_slice()], |row| value(row, 0))
    }

    fn advance_timestamp(&self, serial: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO last_timestamp AS last (serial, at) VALUES ($1, $2)
                   ON CONFLICT (serial) DO UPDATE SET at = excluded.at
                   WHERE excluded.at > last.at";
        self.change(Lock::Shared, sql, &[&serial.as_slice(), &stored_millis(at)])
    }

    fn add_prekey(&self, prekey: &PrekeyRow, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            self.insert_prekey(connection, prekey)?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn prekeys(&self) -> Result<Vec<PrekeyRow>, StoreError> {
        let sql = "SELECT kid, bytes, not_before, not_after FROM prekey
                   WHERE doctor = $1 ORDER BY not_before, kid";
        self.rows(sql, &[&self.doctor], read_prekey)
    }

    fn change_papers(
        &self,
        facts: &[(&str, &[u8])],
        entries: &[Entry],
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError> {
        self.write(Lock::Alone, |connection| {
            for fact in facts {
                self.put_fact(connection, fact)?;
            }
            audit::append_and_sign(connection, &self.doctor, entries, certificate, sign)
        })
    }

    fn change_key(
        &self,
        change: &KeyChange<'_>,
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Option<Vec<Revoked>>, StoreError> {
        self.write(Lock::Alone, |connection| {
            let name = fact::REVOKED_DOCTORS;
            if connection.execute(FOLLOW, &[&name, &change.known, &change.list])? == 0 {
                return Ok(None);
            }
            for fact in change.facts {
                self.put_fact(connection, fact)?;
            }
            let forget = "DELETE FROM prekey WHERE doctor = $1";
            connection.execute(forget, &[&self.doctor])?;
            self.insert_prekey(connection, change.prekey)?;
            // What the other doctors issued is still good.
            let mut revoked = revoke_issued(connection, &self.doctor, (None, change.signed))?;
            revoked.extend(all(
                connection,
                "UPDATE ticket SET state = 'revoked' WHERE doctor = $1 AND state = 'open'
                 RETURNING subject, id",
                &[&self.doctor],
                |row| {
                    let (patient, what) = (value(row, 0)?, Revocable::Ticket(value(row, 1)?));
                    Ok(Revoked { patient, what })
                },
            )?);
            let mut entries = change.audit.to_vec();
            entries.extend(revoked.iter().map(change.revoked));
            audit::append_and_sign(connection, &self.doctor, &entries, certificate, sign)?;
            Ok(Some(revoked))
        })
    }

    fn remove_prekey(&self, kid: &[u8; 8], entries: &[Entry]) -> Result<bool, StoreError> {
        let sql = "DELETE FROM prekey WHERE doctor = $1 AND kid = $2";
        self.change_logged(sql, &[&self.doctor, &kid.as_slice()], entries)
    }
}
