//! Deleting what was kept long enough.

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::store::StoreError;

/// Something that can be deleted for good.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Purgeable {
    /// A message of the doctor's, with what became of it.
    Message {
        /// Its number.
        number: u64,
        /// Its name.
        id: [u8; 16],
        /// When it was written.
        written: Timestamp,
        /// To whom it went, if to one patient.
        patient: Option<String>,
    },
    /// A message of a patient's.
    Incoming {
        /// Its number.
        number: u64,
        /// Its name, unique for the device it came from.
        id: [u8; 16],
        /// When it was written, by the patient's clock.
        written: Timestamp,
        /// Whose it is.
        patient: String,
    },
    /// What was written down of one consultation.
    Consultation {
        /// Which one.
        id: [u8; 16],
        /// Of whom.
        patient: String,
    },
    /// A record that was put away.
    Record {
        /// Whose it is.
        patient: String,
    },
}

/// Deleting for good.
///
/// Age alone deletes nothing that somebody still waits for. Kept are:
/// - a message that a device is given when it returns: one that it has not
///   proved to have or, if it is urgent, that the patient has not confirmed; and
///   one that no device of a patient has got whose record is not put away, since
///   her next device gets it;
/// - a message from a patient that was not shown;
/// - what was written, in both directions and as notes, since a consultation
///   began that is still open;
/// - the word that ended a consultation whose beginning is kept.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait PurgeStore {
    /// How many there are of each kind: messages, messages from patients,
    /// consultations, records.
    fn count_purgeable(&self, before: Timestamp, now: Timestamp) -> Result<[u64; 4], StoreError>;

    /// How many messages and notes are kept though they are as old.
    fn count_kept(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes at most `limit` things that were last touched before this time,
    /// and logs of each what `tombstone` makes of it, all or none: those first
    /// that others do not refer to, messages, what was written of
    /// consultations, and records that were put away then. Says which; none are
    /// left if it is none. Nobody can touch one between its being found and
    /// deleted. What has expired by `now` is given to nobody any more.
    fn purge(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
        tombstone: &dyn Fn(&Purgeable) -> Entry,
    ) -> Result<Vec<Purgeable>, StoreError>;

    /// Takes what was deleted out of the files, so that its bytes are in none
    /// of them; [`StoreFault::LogHeld`](super::StoreFault::LogHeld) if somebody
    /// reads the older ones.
    fn scrub(&self) -> Result<(), StoreError>;
}

// What outlives a purge, in words of SQL that all back ends understand. Each has a
// table `awaited_message` of its own, made from its indexes, and an `awaited_opening`.

/// Since when a consultation with each patient is open that has one: from the
/// first beginning after the last end. What fell into the moment of the end
/// counts as after it, so that rather more is kept.
pub(super) const OPEN_CONSULTATIONS: &str = "
    word AS (
        SELECT patient, written AS at, boundary FROM message WHERE boundary IS NOT NULL
        UNION ALL
        SELECT patient, received, boundary FROM incoming WHERE boundary IS NOT NULL),
    closed AS MATERIALIZED (
        SELECT patient, max(at) AS at FROM word WHERE boundary = 'closes' GROUP BY patient),
    consulting AS MATERIALIZED (
        SELECT word.patient, min(word.at) AS since FROM word LEFT JOIN closed USING (patient)
        WHERE boundary = 'opens' AND word.at >= coalesce(closed.at, 0) GROUP BY word.patient)";

/// Whether a message is kept, whatever its age.
pub(super) const MESSAGE_IS_KEPT: &str = "(
    message.number IN (SELECT number FROM awaited_message)
    OR EXISTS (SELECT 1 FROM consulting
               WHERE consulting.patient = message.patient AND message.written >= since)
    OR boundary = 'closes' AND EXISTS (
        SELECT 1 FROM awaited_opening AS opening
        WHERE opening.patient = message.patient AND message.written >= since))";
/// The same of one from a patient.
pub(super) const INCOMING_IS_KEPT: &str = "(
    incoming.shown IS NULL
    OR EXISTS (SELECT 1 FROM consulting
               WHERE consulting.patient = incoming.patient AND incoming.received >= since)
    OR boundary = 'closes' AND EXISTS (
        SELECT 1 FROM awaited_opening AS opening
        WHERE opening.patient = incoming.patient AND incoming.received >= since))";
/// The same of a note.
pub(super) const NOTE_IS_KEPT: &str = "EXISTS (
    SELECT 1 FROM consulting
    WHERE consulting.patient = consultation.patient AND consultation.written >= since)";
