//! Patients' records in the database.

use rusqlite::Row;

use crate::audit::Entry;
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::{ConsultationRow, DeviceRow, RecordRow, RecordStore, StoreError};

const RECORD: &str =
    "SELECT patient, created, changed, archived, version, sealed, contact FROM record";

fn read_record(row: &Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok(RecordRow {
        patient: row.get("patient")?,
        created: row.get("created")?,
        changed: row.get("changed")?,
        archived: row.get("archived")?,
        version: row.get("version")?,
        sealed: row.get("sealed")?,
        contact: row.get("contact")?,
    })
}

const CONSULTATION: &str = "SELECT id, patient, written, begun, ended, sealed FROM consultation";

fn read_consultation(row: &Row<'_>) -> rusqlite::Result<ConsultationRow> {
    Ok(ConsultationRow {
        id: row.get("id")?,
        patient: row.get("patient")?,
        written: row.get("written")?,
        begun: row.get("begun")?,
        ended: row.get("ended")?,
        sealed: row.get("sealed")?,
    })
}

impl RecordStore for SqliteStore {
    fn add_record(&self, record: &RecordRow, audit: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO record (patient, created, changed, archived, version, sealed, contact)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    &record.patient,
                    record.created,
                    record.changed,
                    record.archived,
                    record.version,
                    &record.sealed,
                    &record.contact,
                ),
            )?;
            audit::append(transaction, audit)
        })
    }

    fn change_record(&self, record: &RecordRow, audit: &[Entry]) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let changed = transaction.execute(
                "UPDATE record
                 SET changed = ?3, archived = ?4, version = version + 1, sealed = ?5,
                     contact = ?6
                 WHERE patient = ?1 AND version = ?2",
                (
                    &record.patient,
                    record.version,
                    record.changed,
                    record.archived,
                    &record.sealed,
                    &record.contact,
                ),
            )?;
            if changed > 0 {
                audit::append(transaction, audit)?;
            }
            Ok(changed > 0)
        })
    }

    fn record(&self, patient: &str) -> Result<Option<RecordRow>, StoreError> {
        self.first(
            &format!("{RECORD} WHERE patient = ?1"),
            [patient],
            read_record,
        )
    }

    fn records(&self) -> Result<Vec<RecordRow>, StoreError> {
        self.all(&format!("{RECORD} ORDER BY patient"), read_record)
    }

    fn unsplit_records(&self, after: &str, limit: u32) -> Result<Vec<RecordRow>, StoreError> {
        let sql =
            format!("{RECORD} WHERE contact IS NULL AND patient > ?1 ORDER BY patient LIMIT ?2");
        self.rows(&sql, (after, limit), read_record)
    }

    fn split_records(
        &self,
        records: &[RecordRow],
        entry: &dyn Fn(u64) -> Entry,
    ) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let mut split = 0;
            let mut statement = transaction.prepare(
                "UPDATE record SET sealed = ?3, contact = ?4
                 WHERE patient = ?1 AND version = ?2 AND contact IS NULL",
            )?;
            for row in records {
                let done =
                    statement.execute((&row.patient, row.version, &row.sealed, &row.contact))?;
                split += u64::from(done > 0);
            }
            if split > 0 {
                audit::append(transaction, &[entry(split)])?;
            }
            Ok(split)
        })
    }

    fn add_consultation(
        &self,
        consultation: &ConsultationRow,
        audit: &[Entry],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO consultation (id, patient, written, begun, ended, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    consultation.id,
                    &consultation.patient,
                    consultation.written,
                    consultation.begun,
                    consultation.ended,
                    &consultation.sealed,
                ),
            )?;
            audit::append(transaction, audit)
        })
    }

    fn consultations(&self, patient: &str) -> Result<Vec<ConsultationRow>, StoreError> {
        let sql = format!("{CONSULTATION} WHERE patient = ?1 ORDER BY begun, written, id");
        self.rows(&sql, [patient], read_consultation)
    }

    fn all_consultations(&self) -> Result<Vec<ConsultationRow>, StoreError> {
        let sql = format!("{CONSULTATION} ORDER BY patient, begun, written, id");
        self.all(&sql, read_consultation)
    }

    fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = "SELECT subject, state, last_timestamp.at AS last_seen
                   FROM certificate LEFT JOIN last_timestamp USING (serial)
                   ORDER BY subject, created, serial";
        self.all(sql, |row| {
            Ok(DeviceRow {
                patient: row.get("subject")?,
                state: row.get("state")?,
                last_seen: row.get("last_seen")?,
            })
        })
    }
}
