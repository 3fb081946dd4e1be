//! The audit log's tables.

/// `entry.link` runs over all entries before it, and over the words as they
/// stand here.
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
";
