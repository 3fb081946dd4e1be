//! The tables of patients' records.

/// `record.version` counts the changes: whoever changes a record names the
/// version she has seen. `sealed` holds all that a record says, and opens for
/// this patient only; a consultation's opens for this one only.
pub(super) const RECORDS: &str = "
CREATE TABLE record (
    patient TEXT NOT NULL PRIMARY KEY,
    created INTEGER NOT NULL CHECK (created >= 0),
    changed INTEGER NOT NULL CHECK (changed >= 0),
    archived INTEGER CHECK (archived >= 0),
    version INTEGER NOT NULL CHECK (version > 0),
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE consultation (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    patient TEXT NOT NULL REFERENCES record (patient),
    written INTEGER NOT NULL CHECK (written >= 0),
    begun INTEGER NOT NULL CHECK (begun >= 0),
    ended INTEGER CHECK (ended >= 0),
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX consultation_of_patient ON consultation (patient, begun);
";

/// `contact` holds who the patient is and how she is reached, sealed apart from
/// the rest, for those who are to read no more. A step has no data key: where it
/// is null, `sealed` holds all of it until a practice with the key is opened.
pub(super) const CONTACT: &str = "
ALTER TABLE record ADD COLUMN contact BLOB;
CREATE INDEX record_unsplit ON record (patient) WHERE contact IS NULL;
";
