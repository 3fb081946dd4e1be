//! Patients' records in the store: who has one, since when, and a sealed run of
//! bytes.

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::{CertificateState, StoreError, stored_millis};

/// A patient's record. All it says is sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordRow {
    /// Whose it is.
    pub patient: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub changed: Timestamp,
    /// Since when it has been put away; none if it has not.
    pub archived: Option<Timestamp>,
    /// How often it has been written: 1 when it is new.
    pub version: u64,
    /// What it says, sealed: notes and tags; or all of it, if there is no contact.
    pub sealed: Vec<u8>,
    /// Who the patient is and how she is reached, sealed. None of a record that an
    /// earlier version wrote, until the practice has been opened: see
    /// [`RecordStore::split_records`].
    pub contact: Option<Vec<u8>>,
}

impl RecordRow {
    /// What both parts are sealed to: all that stands beside it, so that an
    /// older content does not open under a newer version. A backup makes the
    /// same bytes in the database's language.
    #[must_use]
    pub fn row_name(&self) -> Vec<u8> {
        let [created, changed] = [self.created, self.changed].map(stored_millis);
        let archived = optional(self.archived);
        let Self {
            patient, version, ..
        } = self;
        format!("{patient}|{version}|{created}|{changed}|{archived}").into_bytes()
    }
}

impl ConsultationRow {
    /// What its content is sealed to, as [`RecordRow::row_name`].
    #[must_use]
    pub fn row_name(&self) -> Vec<u8> {
        let [written, begun] = [self.written, self.begun].map(stored_millis);
        let ended = optional(self.ended);
        let rest = format!("{}|{written}|{begun}|{ended}", self.patient);
        [&self.id, rest.as_bytes()].concat()
    }
}

/// A time that need not be there, in decimal digits.
fn optional(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| stored_millis(at).to_string())
}

/// A dated entry in a patient's record. It is never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsultationRow {
    /// Its name: 16 random bytes.
    pub id: [u8; 16],
    /// Whose record it belongs to.
    pub patient: String,
    /// When it was written.
    pub written: Timestamp,
    /// When the consultation began.
    pub begun: Timestamp,
    /// When it ended, if that is known.
    pub ended: Option<Timestamp>,
    /// What was noted, sealed.
    pub sealed: Vec<u8>,
}

/// A device that was enrolled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceRow {
    /// Whose it is.
    pub patient: String,
    /// Whether its certificate opens the door.
    pub state: CertificateState,
    /// When it asked to be let in last; none if it never has.
    pub last_seen: Option<Timestamp>,
}

/// Patients' records.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait RecordStore {
    /// Adds a record, and what the audit log says of it.
    fn add_record(&self, record: &RecordRow, audit: &[Entry]) -> Result<(), StoreError>;

    /// Replaces a record that still has this row's version by this row, whose
    /// version is counted up. False, and nothing is changed, if somebody else
    /// has changed it meanwhile, or if there is none. When it was made stays.
    fn change_record(&self, record: &RecordRow, audit: &[Entry]) -> Result<bool, StoreError>;

    /// The record of this patient.
    fn record(&self, patient: &str) -> Result<Option<RecordRow>, StoreError>;

    /// All records, archived ones too, by patient.
    fn records(&self) -> Result<Vec<RecordRow>, StoreError>;

    /// The records behind this patient in which everything is sealed in one piece,
    /// by patient, at most `limit`.
    fn unsplit_records(&self, after: &str, limit: u32) -> Result<Vec<RecordRow>, StoreError>;

    /// Gives these records their two parts, if they are still in one piece and of
    /// this version, in one transaction with what `entry` makes of how many that
    /// were; says how many. Nothing is logged of none.
    fn split_records(
        &self,
        records: &[RecordRow],
        entry: &dyn Fn(u64) -> Entry,
    ) -> Result<u64, StoreError>;

    /// Adds a consultation to a record, which must be there.
    fn add_consultation(
        &self,
        consultation: &ConsultationRow,
        audit: &[Entry],
    ) -> Result<(), StoreError>;

    /// The consultations of this patient, the one that began first first.
    fn consultations(&self, patient: &str) -> Result<Vec<ConsultationRow>, StoreError>;

    /// Those of all patients, by patient.
    fn all_consultations(&self) -> Result<Vec<ConsultationRow>, StoreError>;

    /// All devices that were ever enrolled.
    fn devices(&self) -> Result<Vec<DeviceRow>, StoreError>;
}
