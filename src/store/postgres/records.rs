//! Patients' records in the database.

use postgres::Row;

use super::connection::value;
use super::transaction::Lock;
use super::values::number;
use super::{PostgresStore, audit, bounds};
use crate::audit::Entry;
use crate::store::{
    ConsultationRow, DeviceRow, RecordRow, RecordStore, StoreError, StoreFault, stored_millis,
};

/// A record. What is too long is left out: then it does not open.
fn record_columns() -> String {
    let (patient, [sealed, contact]) = (
        bounds::cut("patient"),
        ["sealed", "contact"].map(bounds::sealed),
    );
    format!(
        "SELECT {patient}, created, changed, archived, version, {sealed}, {contact} FROM record"
    )
}

fn read_record(row: &Row) -> Result<RecordRow, StoreFault> {
    Ok(RecordRow {
        patient: value(row, 0)?,
        created: value(row, 1)?,
        changed: value(row, 2)?,
        archived: value(row, 3)?,
        version: value(row, 4)?,
        sealed: value(row, 5)?,
        contact: value(row, 6)?,
    })
}

fn consultation_columns() -> String {
    let (patient, sealed) = (bounds::cut("patient"), bounds::sealed("sealed"));
    format!("SELECT id, {patient}, written, begun, ended, {sealed} FROM consultation")
}

fn read_consultation(row: &Row) -> Result<ConsultationRow, StoreFault> {
    Ok(ConsultationRow {
        id: value(row, 0)?,
        patient: value(row, 1)?,
        written: value(row, 2)?,
        begun: value(row, 3)?,
        ended: value(row, 4)?,
        sealed: value(row, 5)?,
    })
}

impl RecordStore for PostgresStore {
    fn add_record(&self, record: &RecordRow, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            connection.execute(
                "INSERT INTO record (patient, created, changed, archived, version, sealed, contact)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    &record.patient,
                    &stored_millis(record.created),
                    &stored_millis(record.changed),
                    &record.archived.map(stored_millis),
                    &number(record.version),
                    &record.sealed,
                    &record.contact,
                ],
            )?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn change_record(&self, record: &RecordRow, entries: &[Entry]) -> Result<bool, StoreError> {
        self.write(Lock::Alone, |connection| {
            let changed = connection.execute(
                "UPDATE record
                 SET changed = $3, archived = $4, version = version + 1, sealed = $5,
                     contact = $6
                 WHERE patient = $1 AND version = $2",
                &[
                    &record.patient,
                    &number(record.version),
                    &stored_millis(record.changed),
                    &record.archived.map(stored_millis),
                    &record.sealed,
                    &record.contact,
                ],
            )?;
            if changed > 0 {
                audit::append(connection, &self.doctor, entries)?;
            }
            Ok(changed > 0)
        })
    }

    fn record(&self, patient: &str) -> Result<Option<RecordRow>, StoreError> {
        let sql = format!("{} WHERE patient = $1", record_columns());
        self.first(&sql, &[&patient], read_record)
    }

    fn records(&self) -> Result<Vec<RecordRow>, StoreError> {
        let sql = format!("{} ORDER BY patient", record_columns());
        self.rows(&sql, &[], read_record)
    }

    fn unsplit_records(&self, after: &str, limit: u32) -> Result<Vec<RecordRow>, StoreError> {
        let sql = format!(
            "{} WHERE contact IS NULL AND patient > $1 ORDER BY patient LIMIT $2",
            record_columns()
        );
        self.rows(&sql, &[&after, &i64::from(limit)], read_record)
    }

    fn split_records(
        &self,
        records: &[RecordRow],
        entry: &dyn Fn(u64) -> Entry,
    ) -> Result<u64, StoreError> {
        let patients: Vec<&str> = records.iter().map(|row| &*row.patient).collect();
        let versions: Vec<i64> = records.iter().map(|row| number(row.version)).collect();
        let sealed: Vec<&[u8]> = records.iter().map(|row| &*row.sealed).collect();
        let contacts: Vec<Option<&[u8]>> =
            records.iter().map(|row| row.contact.as_deref()).collect();
        self.write(Lock::Alone, |connection| {
            let split = connection.execute(
                "UPDATE record SET sealed = given.sealed, contact = given.contact
                 FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[])
                      AS given (patient, version, sealed, contact)
                 WHERE record.patient = given.patient AND record.version = given.version
                   AND record.contact IS NULL",
                &[&patients, &versions, &sealed, &contacts],
            )?;
            if split > 0 {
                audit::append(connection, &self.doctor, &[entry(split)])?;
            }
            Ok(split)
        })
    }

    fn add_consultation(
        &self,
        consultation: &ConsultationRow,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        self.write(Lock::Alone, |connection| {
            connection.execute(
                "INSERT INTO consultation (id, patient, written, begun, ended, sealed)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    &consultation.id.as_slice(),
                    &consultation.patient,
                    &stored_millis(consultation.written),
                    &stored_millis(consultation.begun),
                    &consultation.ended.map(stored_millis),
                    &consultation.sealed,
                ],
            )?;
            audit::append(connection, &self.doctor, entries)
        })
    }

    fn consultations(&self, patient: &str) -> Result<Vec<ConsultationRow>, StoreError> {
        let sql = format!(
            "{} WHERE patient = $1 ORDER BY begun, written, id",
            consultation_columns()
        );
        self.rows(&sql, &[&patient], read_consultation)
    }

    fn all_consultations(&self) -> Result<Vec<ConsultationRow>, StoreError> {
        let sql = format!(
            "{} ORDER BY patient, begun, written, id",
            consultation_columns()
        );
        self.rows(&sql, &[], read_consultation)
    }

    fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = "SELECT subject, state, last_timestamp.at
                   FROM certificate LEFT JOIN last_timestamp USING (serial)
                   ORDER BY subject, created, serial";
        self.rows(sql, &[], |row| {
            Ok(DeviceRow {
                patient: value(row, 0)?,
                state: value(row, 1)?,
                last_seen: value(row, 2)?,
            })
        })
    }
}
