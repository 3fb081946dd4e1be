//! A patient's messages, in both directions.

/// `number` is never used twice (`AUTOINCREMENT`): it is what people call a
/// message by. What `form` says is not checked here: the check at the opening
/// would refuse the whole database for one flipped bit in it, and nobody has a
/// backup of a patient's.
pub(super) const MAILBOX: &str = "
CREATE TABLE inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    form TEXT NOT NULL,
    urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
    received INTEGER NOT NULL CHECK (received >= 0),
    sealed BLOB NOT NULL,
    announced INTEGER CHECK (announced >= 0),
    shown INTEGER CHECK (shown >= 0),
    confirmed INTEGER CHECK (confirmed >= 0),
    confirmation_arrived INTEGER CHECK (confirmation_arrived >= 0),
    confirmation_refused INTEGER CHECK (confirmation_refused >= 0),
    CHECK (confirmed IS NOT NULL OR confirmation_arrived IS NULL),
    CHECK (confirmed IS NOT NULL OR confirmation_refused IS NULL)
) STRICT;
CREATE INDEX inbox_unread ON inbox (number) WHERE shown IS NULL;
CREATE INDEX inbox_confirmation ON inbox (number)
    WHERE confirmed IS NOT NULL AND confirmation_arrived IS NULL
    AND confirmation_refused IS NULL;

CREATE TABLE outgoing (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    written INTEGER NOT NULL CHECK (written >= 0),
    sealed BLOB NOT NULL,
    sent INTEGER CHECK (sent >= 0),
    delivered INTEGER CHECK (delivered >= 0),
    placed INTEGER CHECK (placed >= 0),
    CHECK ((delivered IS NULL) = (placed IS NULL))
) STRICT;
CREATE INDEX outgoing_waiting ON outgoing (number) WHERE delivered IS NULL;
";
