//! The doctor's messages, in both directions, and what became of them.

/// `number` is never used twice (`AUTOINCREMENT`): it is what people call a
/// message by.
///
/// A delivery is `open` while its message is to be given to the device at its
/// next session. What is open for a device stands together in an index, and
/// what has not arrived in one that holds nothing else: a practice has a million
/// old messages and a few open ones. A message to one patient is found by
/// `patient`; one to several through the devices of the patient.
///
/// `welcomed` holds the devices that were given what no other device of their
/// patient had got when they came first.
pub(super) const MESSAGES: &str = "
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('broadcast', 'chosen', 'private')),
    patient TEXT,
    boundary TEXT CHECK (boundary IN ('opens', 'closes')),
    urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
    written INTEGER NOT NULL CHECK (written >= 0),
    expires INTEGER CHECK (expires >= 0),
    ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1)),
    sealed BLOB NOT NULL,
    CHECK ((kind = 'private') = (patient IS NOT NULL))
) STRICT;
CREATE INDEX message_to_one ON message (patient, number) WHERE patient IS NOT NULL;
CREATE INDEX message_boundary ON message (patient, written, id) WHERE boundary IS NOT NULL;
CREATE INDEX message_expiring ON message (expires) WHERE expires IS NOT NULL AND ended = 0;

CREATE TABLE delivery (
    message INTEGER NOT NULL REFERENCES message (number) ON DELETE CASCADE,
    device BLOB NOT NULL CHECK (length(device) = 32),
    patient TEXT NOT NULL,
    queued INTEGER NOT NULL CHECK (queued >= 0),
    sent INTEGER CHECK (sent >= 0),
    delivered INTEGER CHECK (delivered >= 0),
    confirmed INTEGER CHECK (confirmed >= 0),
    sealed_confirmation BLOB,
    open INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
    PRIMARY KEY (message, device),
    CHECK ((confirmed IS NULL) = (sealed_confirmation IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_of_device ON delivery (device, open, message);
CREATE INDEX delivery_missing ON delivery (message, device) WHERE delivered IS NULL;

CREATE TABLE welcomed (
    device BLOB NOT NULL PRIMARY KEY CHECK (length(device) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE incoming (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    device BLOB NOT NULL CHECK (length(device) = 32),
    patient TEXT NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    boundary TEXT CHECK (boundary IN ('opens', 'closes')),
    written INTEGER NOT NULL CHECK (written >= 0),
    received INTEGER NOT NULL CHECK (received >= 0),
    shown INTEGER CHECK (shown >= 0),
    sealed BLOB NOT NULL,
    UNIQUE (device, id)
) STRICT;
CREATE INDEX incoming_of_patient ON incoming (patient, number);
CREATE INDEX incoming_boundary ON incoming (patient, received, written, id)
    WHERE boundary IS NOT NULL;
CREATE INDEX incoming_unread ON incoming (number) WHERE shown IS NULL;

CREATE INDEX certificate_active ON certificate (subject, fingerprint, not_after)
    WHERE state = 'active';
CREATE INDEX certificate_subject
    ON certificate (subject, fingerprint, created, state, not_after);
";

/// What is open for a device stands in an index of its own, which stays small.
/// There is none of all deliveries of a device: every broadcast would write to
/// all of it, however large it has grown. What was given to a device is found by
/// going through the messages to several, of which there are few.
pub(super) const OPEN_DELIVERIES: &str = "
DROP INDEX delivery_of_device;
CREATE INDEX delivery_open ON delivery (device, message) WHERE open = 1;
CREATE INDEX message_to_several ON message (number, kind) WHERE kind <> 'private';
";

/// What has not arrived is found among what is open.
pub(super) const MISSING_AMONG_OPEN: &str = "
DROP INDEX delivery_missing;
";
