//! The secrets of tickets, which schema 1 kept in clear.

/// `sealed` holds a ticket's secret, and opens for this ticket only. A step has
/// no data key: what schema 1 kept in clear stays in `old_secret` until the
/// practice is opened, which seals it and empties the column for good.
pub(super) const TICKETS: &str = "
ALTER TABLE ticket ADD COLUMN sealed BLOB;
ALTER TABLE ticket ADD COLUMN old_secret BLOB CHECK (length(old_secret) = 16);
UPDATE ticket SET old_secret = secret;
ALTER TABLE ticket DROP COLUMN secret;
";
