//! A patient's messages, in both directions: what came and whether a person has
//! seen and confirmed it, what was written and whether it has arrived. Texts
//! are sealed before they come here.

use crate::clock::Timestamp;
use crate::store::StoreError;

/// How a message of the doctor's came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InboxForm {
    /// To the group.
    Broadcast,
    /// To everyone, missed while away.
    Missed,
    /// To chosen recipients.
    Chosen,
    /// To this patient alone.
    Private,
}

impl InboxForm {
    const ALL: [Self; 4] = [Self::Broadcast, Self::Missed, Self::Chosen, Self::Private];

    /// The form as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Missed => "missed",
            Self::Chosen => "chosen",
            Self::Private => "private",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.word() == word)
    }
}

/// A message of the doctor's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboxRow {
    /// What people call it by, from 1 on in the order of arrival. Given by the
    /// store: of a message that is added it is ignored.
    pub number: u64,
    /// Its name.
    pub id: [u8; 16],
    /// How it came; none if that is damaged.
    pub form: Option<InboxForm>,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// When it came, by this device's clock.
    pub received: Timestamp,
    /// The message, sealed.
    pub sealed: Vec<u8>,
    /// When it was first shown to a person; until then it is unread.
    pub shown: Option<Timestamp>,
    /// When a person confirmed it.
    pub confirmed: Option<Timestamp>,
    /// When the doctor's server proved that it has the confirmation.
    pub confirmation_arrived: Option<Timestamp>,
    /// When it said that it does not have the message, so that it never will
    /// have the confirmation.
    pub confirmation_refused: Option<Timestamp>,
}

/// A message to the doctor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutgoingRow {
    /// Counts them from 1 on, in the order they were written. Given by the
    /// store: of a message that is added it is ignored.
    pub number: u64,
    /// Its name.
    pub id: [u8; 16],
    /// When it was written, by this device's clock.
    pub written: Timestamp,
    /// The message, sealed.
    pub sealed: Vec<u8>,
    /// When it was last given to a connection.
    pub sent: Option<Timestamp>,
    /// When the doctor's server proved that it has it.
    pub delivered: Option<Timestamp>,
    /// Since when it has it, by its own clock; known from then on.
    pub placed: Option<Timestamp>,
}

/// How many messages want something.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MailCounts {
    /// Messages that no person has seen.
    pub unread: u64,
    /// Those of them that are urgent.
    pub unread_urgent: u64,
    /// Messages the doctor's server has not proved to have.
    pub waiting_messages: u64,
    /// Confirmations the doctor's server has not proved to have.
    pub waiting_confirmations: u64,
}

/// A patient's messages.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait MailboxStore {
    /// Adds a message of the doctor's and gives its number; none if there is
    /// one with this id already.
    fn add_inbox(&self, row: &InboxRow) -> Result<Option<u64>, StoreError>;

    /// The message with this id.
    fn inbox_with_id(&self, id: &[u8; 16]) -> Result<Option<InboxRow>, StoreError>;

    /// The message with this number.
    fn inbox_numbered(&self, number: u64) -> Result<Option<InboxRow>, StoreError>;

    /// The messages whose id begins with these hexadecimal digits.
    fn inbox_with_code(&self, digits: &str) -> Result<Vec<InboxRow>, StoreError>;

    /// The newest messages, at most `limit`, the oldest of them first.
    fn inbox(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError>;

    /// The messages that no person has seen, at most `limit`, the oldest first.
    fn inbox_unread(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError>;

    /// The messages that no person has seen and that were not made noticed, at
    /// most `limit`, the oldest first.
    fn inbox_unannounced(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError>;

    /// Notes that a message was made noticed.
    fn set_announced(&self, number: u64, at: Timestamp) -> Result<(), StoreError>;

    /// The messages whose confirmation is on its way, at most `limit`, the one
    /// confirmed first first.
    fn inbox_unacknowledged(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError>;

    /// Puts this form and sealed content in the place of what is damaged; the
    /// message is unread again.
    fn replace_inbox(
        &self,
        id: &[u8; 16],
        form: InboxForm,
        sealed: &[u8],
    ) -> Result<(), StoreError>;

    /// Notes that a person has seen these messages; the first time stays.
    fn set_shown(&self, numbers: &[u64], at: Timestamp) -> Result<(), StoreError>;

    /// Notes that a person confirmed a message. False, and nothing is changed,
    /// if there is none with this number or it was confirmed before.
    fn set_confirmed(&self, number: u64, at: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a confirmation has arrived. False, and nothing is changed, if
    /// there was none on its way.
    fn set_confirmation_arrived(&self, id: &[u8; 16], at: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a confirmation never arrives. False, and nothing is changed,
    /// if there was none on its way.
    fn set_confirmation_refused(&self, id: &[u8; 16], at: Timestamp) -> Result<bool, StoreError>;

    /// Adds a message to the doctor and gives its number.
    fn add_outgoing(&self, row: &OutgoingRow) -> Result<u64, StoreError>;

    /// The message to the doctor with this number.
    fn outgoing_numbered(&self, number: u64) -> Result<Option<OutgoingRow>, StoreError>;

    /// The newest messages to the doctor, at most `limit`, the oldest of them
    /// first.
    fn outgoing(&self, limit: usize) -> Result<Vec<OutgoingRow>, StoreError>;

    /// The messages that are on their way, at most `limit`, the oldest first.
    fn outgoing_waiting(&self, limit: usize) -> Result<Vec<OutgoingRow>, StoreError>;

    /// Notes that these were given to a connection.
    fn set_sent(&self, ids: &[[u8; 16]], at: Timestamp) -> Result<(), StoreError>;

    /// Notes that a message has arrived, and since when it is there by the
    /// doctor's clock. False, and nothing is changed, if there was none on its
    /// way with this id.
    fn set_delivered(
        &self,
        id: &[u8; 16],
        at: Timestamp,
        placed: Timestamp,
    ) -> Result<bool, StoreError>;

    /// How many messages want something.
    fn mail_counts(&self) -> Result<MailCounts, StoreError>;
}
