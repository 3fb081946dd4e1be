//! The audit log's tables.

/// `audit_entry.link` runs over all entries before it, and over the words as
/// they stand here. `audit_head` has the signed links; whoever checks them later
/// needs the doctor's certificate of that time.
pub(super) const AUDIT: &str = "
CREATE TABLE audit_entry (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
    at INTEGER NOT NULL CHECK (at >= 0),
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    link BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;

CREATE TABLE audit_certificate (
    fingerprint BLOB NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 32),
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE audit_head (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
    link BLOB NOT NULL CHECK (length(link) = 32),
    at INTEGER NOT NULL CHECK (at >= 0),
    certificate BLOB NOT NULL REFERENCES audit_certificate (fingerprint),
    signature BLOB NOT NULL
) STRICT;
";
