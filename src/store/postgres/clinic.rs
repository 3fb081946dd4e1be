//! What the doctors of a clinic have in common beside their patients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use postgres::Row;

use super::connection::{Params, value};
use super::transaction::Lock;
use super::trust::revoke_issued;
use super::values::{limit, number};
use super::{PostgresStore, all, audit, bounds};
use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::clinic::{ClinicStore, Handed, JoinTicketRow, Papers, Removal, StaffRow};
use crate::store::{Revoked, Store, StoreError, StoreFault, fact, names, stored_millis};

/// A ticket, with these columns for request and answer. What is too long is cut: then
/// it is none of ours, and what was sealed with it does not open.
fn ticket_with([request, answer]: [&str; 2]) -> String {
    let [doctor, subject] = ["doctor", "subject"].map(bounds::cut);
    let sealed = bounds::secret("sealed");
    format!(
        "SELECT id, {doctor}, {subject}, role, {sealed}, created, expires, state, {request},
             {answer}
         FROM join_ticket"
    )
}

fn ticket_columns() -> String {
    let [request, answer] = ["request", "answer"].map(bounds::paper);
    ticket_with([&request, &answer])
}

fn read_ticket(row: &Row) -> Result<JoinTicketRow, StoreFault> {
    Ok(JoinTicketRow {
        id: value(row, 0)?,
        doctor: value(row, 1)?,
        subject: value(row, 2)?,
        role: value(row, 3)?,
        sealed: value(row, 4)?,
        created: value(row, 5)?,
        expires: value(row, 6)?,
        state: value(row, 7)?,
        request: value(row, 8)?,
        answer: value(row, 9)?,
    })
}

fn read_staff(row: &Row) -> Result<StaffRow, StoreFault> {
    Ok(StaffRow {
        id: value(row, 0)?,
        role: value(row, 1)?,
        certificate: value(row, 2)?,
        joined: value(row, 3)?,
    })
}

const ADD_STAFF: &str = "
    INSERT INTO staff (id, role, certificate, joined) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO NOTHING";

/// A later list of revoked doctors in the place of the one that was looked at.
pub(super) const FOLLOW: &str = "
    UPDATE fact SET value = $3 WHERE doctor = '' AND name = $1 AND value = $2";

impl ClinicStore for PostgresStore {
    fn add_join_ticket(&self, ticket: &JoinTicketRow, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            connection.execute(
                "INSERT INTO join_ticket
                    (id, doctor, subject, role, sealed, created, expires, state)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    &ticket.id.as_slice(),
                    &ticket.doctor,
                    &ticket.subject,
                    &ticket.role,
                    &ticket.sealed,
                    &stored_millis(ticket.created),
                    &stored_millis(ticket.expires),
                    &ticket.state.word(),
                ],
            )?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn join_ticket(&self, id: &[u8; 16]) -> Result<Option<JoinTicketRow>, StoreError> {
        let sql = format!("{} WHERE id = $1", ticket_columns());
        self.first(&sql, &[&id.as_slice()], read_ticket)
    }

    fn join_tickets_from(
        &self,
        begin: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<JoinTicketRow>, StoreError> {
        let sql = format!(
            "{} WHERE id BETWEEN $1 AND $2 AND ($3::bytea IS NULL OR id <> $3)
             ORDER BY id LIMIT $4",
            ticket_with(["NULL::bytea"; 2])
        );
        let (first, last) = names::range(begin);
        let after = after.map(<[u8; 16]>::as_slice);
        let (first, last) = (after.unwrap_or(&first), &last[..]);
        self.rows(&sql, &[&first, &last, &after, &limit(most)], read_ticket)
    }

    fn member_like(&self, name: &str, at: Timestamp) -> Result<Option<String>, StoreError> {
        let names = "SELECT id AS name FROM staff
                     UNION ALL
                     SELECT subject FROM join_ticket
                     WHERE state = 'answered' OR (state IN ('open', 'asked') AND expires >= $3)";
        let params: Params<'_> = &[&names::folded(name), &name, &stored_millis(at)];
        self.first(&names::like(names, '$'), params, |row| value(row, 0))
    }

    fn asked_join_tickets(
        &self,
        doctor: Option<&str>,
        at: Timestamp,
        most: usize,
    ) -> Result<Vec<JoinTicketRow>, StoreError> {
        let sql = format!(
            "{} WHERE state = 'asked' AND request IS NOT NULL AND expires >= $1
                  AND doctor = coalesce($2, doctor)
             ORDER BY created, id LIMIT $3",
            ticket_columns()
        );
        let params: Params<'_> = &[&stored_millis(at), &doctor, &limit(most)];
        self.rows(&sql, params, read_ticket)
    }

    fn put_join_request(&self, id: &[u8; 16], request: &[u8]) -> Result<Handed, StoreError> {
        self.write(Lock::Alone, |connection| {
            let put = "UPDATE join_ticket SET request = $2, state = 'asked'
                       WHERE id = $1 AND state = 'open'";
            if connection.execute(put, &[&id.as_slice(), &request])? > 0 {
                return Ok(Handed::Now);
            }
            let same = "SELECT 1 FROM join_ticket
                        WHERE id = $1 AND request = $2 AND state <> 'revoked'";
            match connection.first(same, &[&id.as_slice(), &request])? {
                Some(_) => Ok(Handed::Before),
                None => Ok(Handed::Refused),
            }
        })
    }

    fn put_join_answer(
        &self,
        id: &[u8; 16],
        request: &[u8],
        answer: &[u8],
        joins: &StaffRow,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let waiting = "SELECT 1 FROM join_ticket
                           WHERE id = $1 AND request = $2 AND state = 'asked'
                             AND NOT EXISTS (SELECT 1 FROM staff WHERE staff.id = $3)";
            let (id, name) = (id.as_slice(), &joins.id);
            if connection.first(waiting, &[&id, &request, name])?.is_none() {
                return Ok(false);
            }
            let put = "UPDATE join_ticket SET answer = $2, state = 'answered' WHERE id = $1";
            connection.execute(put, &[&id, &answer])?;
            let joined = stored_millis(joins.joined);
            connection.execute(ADD_STAFF, &[name, &joins.role, &joins.certificate, &joined])?;
            audit::append(connection, &self.doctor, entries)?;
            Ok(true)
        })
    }

    fn use_join_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let end = "UPDATE join_ticket SET state = 'used', answer = NULL
                       WHERE id = $1 AND state = 'answered'";
            if connection.execute(end, &[&id.as_slice()])? > 0 {
                audit::append(connection, &self.doctor, entries)?;
                return Ok(true);
            }
            let used = "SELECT 1 FROM join_ticket WHERE id = $1 AND state = 'used'";
            Ok(connection.first(used, &[&id.as_slice()])?.is_some())
        })
    }

    fn revoke_join_ticket(&self, id: &[u8; 16], entries: &[Entry]) -> Result<bool, StoreError> {
        let sql = "UPDATE join_ticket SET state = 'revoked'
                   WHERE id = $1 AND state IN ('open', 'asked')";
        self.change_logged(sql, &[&id.as_slice()], entries)
    }

    fn add_staff_if_new(&self, row: &StaffRow) -> Result<bool, StoreError> {
        let joined = stored_millis(row.joined);
        self.change(
            Lock::Alone,
            ADD_STAFF,
            &[&row.id, &row.role, &row.certificate, &joined],
        )
    }

    fn has_member(&self, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM staff WHERE id = $1";
        Ok(self.first(sql, &[&name], |_| Ok(()))?.is_some())
    }

    fn staff(&self) -> Result<Vec<StaffRow>, StoreError> {
        let sql = format!(
            "SELECT id, role, certificate, joined FROM staff WHERE {} AND {} ORDER BY id {}",
            bounds::is_name("id"),
            bounds::is_paper("certificate"),
            bounds::of_members()
        );
        self.rows(&sql, &[], read_staff)
    }

    fn papers_of(&self, name: &str) -> Result<Vec<Papers>, StoreError> {
        let [single, earlier] = [
            [fact::DOCTOR_CERTIFICATE, fact::OWN_CERTIFICATE],
            [fact::EARLIER_CERTIFICATES, fact::FORMER_CERTIFICATES],
        ];
        let sql = format!(
            "SELECT 1::bigint, certificate FROM staff WHERE id = $1 AND {}
             UNION ALL
             SELECT 1, value FROM fact WHERE doctor = $1 AND name = ANY ($2) AND {}
             UNION ALL
             SELECT 2, value FROM fact WHERE doctor = $1 AND name = ANY ($3) AND {}
             UNION ALL
             SELECT 3, entry FROM roster WHERE doctor = $1 AND {}",
            bounds::is_paper("certificate"),
            bounds::is_paper("value"),
            bounds::is_list("value"),
            bounds::is_paper("entry")
        );
        let params: Params<'_> = &[&name, &&single[..], &&earlier[..]];
        self.rows(&sql, params, |row| {
            let bytes = value(row, 1)?;
            Ok(match value::<i64>(row, 0)? {
                1 => Papers::One(bytes),
                2 => Papers::List(bytes),
                _ => Papers::Roster(bytes),
            })
        })
    }

    fn seen_by(&self, member: &str) -> Arc<dyn Store> {
        Arc::new(Self {
            place: self.place.clone(),
            doctor: member.to_owned(),
            pool: Arc::clone(&self.pool),
            patience: self.patience,
            seat: Mutex::default(),
        })
    }

    fn has_log(&self, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM audit_entry WHERE doctor = $1)
                       OR EXISTS (SELECT 1 FROM staff WHERE id = $1)";
        let found = self.first(sql, &[&name], |row| value(row, 0))?;
        Ok(found.unwrap_or_default())
    }

    fn logs(&self) -> Result<Vec<String>, StoreError> {
        // From one name to the next, however long the logs are.
        let sql = format!(
            "WITH RECURSIVE log (name) AS (
                 (SELECT doctor FROM audit_entry ORDER BY doctor LIMIT 1)
                 UNION ALL
                 SELECT (SELECT doctor FROM audit_entry WHERE doctor > log.name
                         ORDER BY doctor LIMIT 1)
                 FROM log WHERE log.name IS NOT NULL)
             SELECT name FROM (SELECT name FROM log UNION SELECT id FROM staff) AS named
             WHERE {} ORDER BY name {}",
            bounds::is_name("name"),
            bounds::of_members()
        );
        self.rows(&sql, &[], |row| value(row, 0))
    }

    fn writers(&self, messages: &[u64]) -> Result<BTreeMap<u64, String>, StoreError> {
        let numbers: Vec<i64> = messages.iter().copied().map(number).collect();
        let doctor = bounds::cut("doctor");
        let sql = format!("SELECT number, {doctor} FROM message WHERE number = ANY ($1)");
        let rows = self.rows(&sql, &[&numbers], |row| {
            Ok((value(row, 0)?, value(row, 1)?))
        })?;
        Ok(rows.into_iter().collect())
    }

    fn facts_of_all(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = format!(
            "SELECT doctor, value FROM (
                 SELECT doctor, value, sum(octet_length(value))
                     OVER (ORDER BY octet_length(value), doctor) AS so_far
                 FROM fact
                 WHERE name = $1 AND doctor <> '' AND {} AND octet_length(value) <= {}
             ) AS sized WHERE so_far <= {} ORDER BY doctor {}",
            bounds::is_name("doctor"),
            bounds::longest_fact(name),
            bounds::ALL_FACTS,
            bounds::of_members()
        );
        self.rows(&sql, &[&name], |row| Ok((value(row, 0)?, value(row, 1)?)))
    }

    fn remove_member(
        &self,
        removal: &Removal<'_>,
        entries: &[Entry],
    ) -> Result<Option<Vec<Revoked>>, StoreError> {
        let Removal {
            member,
            known,
            list,
            facts,
            devices,
        } = removal;
        self.write(Lock::Alone, |connection| {
            let name = fact::REVOKED_DOCTORS;
            if connection.execute(FOLLOW, &[&name, known, list])? == 0 {
                return Ok(None);
            }
            for fact in *facts {
                self.put_fact(connection, fact)?;
            }
            for sql in [
                "DELETE FROM staff WHERE id = $1",
                "DELETE FROM roster WHERE doctor = $1",
                "DELETE FROM presence WHERE doctor = $1",
                "UPDATE join_ticket SET state = 'revoked', answer = NULL
                 WHERE (subject = $1 OR doctor = $1) AND state IN ('open', 'asked', 'answered')",
                "UPDATE ticket SET state = 'revoked' WHERE doctor = $1 AND state = 'open'",
            ] {
                connection.execute(sql, &[member])?;
            }
            let mut revoked = Vec::new();
            let mut entries = entries.to_vec();
            if let Some(devices) = devices {
                revoked = revoke_issued(connection, member, (devices.since, devices.also))?;
                entries.extend(revoked.iter().map(devices.entry));
            }
            audit::append(connection, &self.doctor, &entries)?;
            Ok(Some(revoked))
        })
    }

    fn issuers(&self, serials: &[[u8; 16]]) -> Result<BTreeMap<[u8; 16], String>, StoreError> {
        let serials: Vec<&[u8]> = serials.iter().map(|serial| &serial[..]).collect();
        let doctor = bounds::cut("doctor");
        let sql = format!("SELECT serial, {doctor} FROM certificate WHERE serial = ANY ($1)");
        let read = |row: &Row| Ok((value(row, 0)?, value(row, 1)?));
        let rows = self.rows(&sql, &[&serials], read)?;
        Ok(rows.into_iter().collect())
    }

    fn put_revoked_list(
        &self,
        (known, list): (&[u8], &[u8]),
        facts: &[(&str, &[u8])],
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let name = fact::REVOKED_DOCTORS;
            if connection.execute(FOLLOW, &[&name, &known, &list])? == 0 {
                return Ok(false);
            }
            for fact in facts {
                self.put_fact(connection, fact)?;
            }
            audit::append(connection, &self.doctor, entries)?;
            Ok(true)
        })
    }

    fn assign_if_new(&self, patient: &str, doctor: &str) -> Result<String, StoreError> {
        self.write(Lock::Alone, |connection| {
            let assign = "INSERT INTO assignment (patient, doctor) VALUES ($1, $2)
                          ON CONFLICT (patient) DO NOTHING";
            connection.execute(assign, &[&patient, &doctor])?;
            let sql = "SELECT doctor FROM assignment WHERE patient = $1";
            let row = connection.first(sql, &[&patient])?;
            row.map_or_else(|| Ok(doctor.to_owned()), |row| value(&row, 0))
        })
    }

    fn assigned(&self, patient: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT doctor FROM assignment WHERE patient = $1";
        self.first(sql, &[&patient], |row| value(row, 0))
    }

    fn patients_of(&self, doctor: &str) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "SELECT patient FROM assignment WHERE doctor = $1 AND {} ORDER BY patient",
            bounds::is_name("patient")
        );
        self.rows(&sql, &[&doctor], |row| value(row, 0))
    }

    fn transfer(
        &self,
        patient: &str,
        from: &str,
        to: &str,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE assignment SET doctor = $3 WHERE patient = $1 AND doctor = $2";
        self.change_logged(sql, &[&patient, &from, &to], entries)
    }

    fn transfer_all(
        &self,
        from: &str,
        to: &str,
        entry: &dyn Fn(&str) -> Entry,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "UPDATE assignment SET doctor = $2 WHERE doctor = $1 RETURNING patient";
        self.write(Lock::Alone, |connection| {
            let mut patients: Vec<String> =
                all(connection, sql, &[&from, &to], |row| value(row, 0))?;
            patients.sort_unstable();
            let entries: Vec<Entry> = patients.iter().map(|patient| entry(patient)).collect();
            audit::append(connection, &self.doctor, &entries)?;
            Ok(patients)
        })
    }
}
