//! The audit log: who did what, when. A chain of hashes runs over all entries,
//! so that none can be changed, removed, inserted or moved unnoticed.
//!
//! ```text
//! link(0) = 32 zero bytes
//! link(n) = H32("tmc1 audit" ‖ link(n-1) ‖ n u64 ‖ at u64 ‖ LP32(actor) ‖ LP32(action)
//!               ‖ LP32(subject) ‖ LP32(detail))
//! ```
//!
//! Entries hold neither content nor secrets: they can be read, and checked,
//! without any key.

pub mod head;
pub mod heads_file;
pub mod log_end;
pub mod papers;
pub mod revocation;
pub mod verify;

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::kdf::{hash32, label};

/// One link of the chain, 32 bytes.
pub type Link = [u8; 32];

/// What stands before the first entry.
pub const START: Link = [0; 32];

/// The longest actor or subject, in bytes.
const MAX_NAME: usize = 64;
/// The longest detail, in bytes.
const MAX_DETAIL: usize = 1_000;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What was done.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The action as words, in the log and on the screen.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    /// The practice was founded.
    Founded = "founded",
    /// The server was started.
    Started = "started",
    /// The server was stopped.
    Stopped = "stopped",
    /// A ticket was made.
    TicketMade = "ticket made",
    /// A device was enrolled.
    Enrolled = "enrolled",
    /// A device was let in.
    Joined = "joined",
    /// Somebody was not let in.
    Refused = "refused",
    /// An address was blocked for what it failed to prove.
    Blocked = "address blocked",
    /// The block of an address has ended, or was lifted.
    Released = "block ended",
    /// A newer session of the same device took an older one's place.
    Superseded = "superseded",
    /// A session ended.
    Left = "left",
    /// All sessions were ended by the doctor's word.
    AllDisconnected = "all disconnected",
    /// A certificate was stopped until a person has looked.
    Frozen = "frozen",
    /// A certificate was revoked.
    Revoked = "revoked",
    /// A frozen certificate was let in again by the doctor's word.
    Unfrozen = "unfrozen",
    /// A ticket was taken back.
    TicketRevoked = "ticket revoked",
    /// A ticket for joining the clinic was made.
    JoinTicketMade = "join ticket made",
    /// A ticket for joining the clinic was taken back.
    JoinTicketRevoked = "join ticket revoked",
    /// Somebody was admitted to the clinic's staff.
    Admitted = "staff admitted",
    /// Somebody has joined the clinic: her own word.
    ClinicJoined = "clinic joined",
    /// The certificates of one of the clinic's staff were revoked.
    StaffRevoked = "staff revoked",
    /// An older copy of the clinic's database, or another one, was gone on with by
    /// somebody's word.
    OlderDatabase = "older database accepted",
    /// A patient was given to another doctor.
    Transferred = "patient transferred",
    /// A broadcast was written.
    Broadcast = "broadcast",
    /// A message to one patient was written.
    Message = "message",
    /// A device proved that it has a message.
    Delivered = "delivered",
    /// A person confirmed a message.
    Confirmed = "confirmed",
    /// A message came from a patient.
    Received = "received",
    /// Messages were shown.
    MessagesRead = "messages read",
    /// A patient's record was made.
    RecordAdded = "record added",
    /// A patient's record was changed.
    RecordChanged = "record changed",
    /// Records of an older version were sealed anew, in two parts.
    RecordsSplit = "records split",
    /// A patient's record was read.
    RecordRead = "record read",
    /// The records were listed or searched.
    RecordsListed = "records listed",
    /// A patient's record was put away, or taken out again.
    RecordArchived = "record archived",
    /// A key was made or replaced.
    KeyChanged = "key changed",
    /// The audit log was read.
    AuditRead = "audit read",
    /// The audit log was handed out.
    Exported = "exported",
    /// A backup was made.
    BackedUp = "backed up",
    /// The practice was restored from a backup.
    Restored = "restored",
    /// Something was deleted for good.
    Purged = "purged",
    /// A head of this very entry was signed.
    HeadSigned = "head signed",
    /// Something did not work, such as the disk.
    Trouble = "trouble",
}

impl Action {
    /// The action that is called this.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.word() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is to be logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// Who did it: an identifier, `server` or `stranger`.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// To whom; empty if to nobody.
    pub subject: String,
    /// More about it, without content and secrets.
    pub detail: String,
}

impl Entry {
    /// An entry. What is too long is cut: it is never refused, for what it
    /// tells of happens anyway.
    #[must_use]
    pub fn new(
        at: Timestamp,
        actor: &str,
        action: Action,
        subject: &str,
        detail: impl Into<String>,
    ) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
        Self {
            at,
            actor: cut(actor, MAX_NAME),
            action,
            subject: cut(subject, MAX_NAME),
            detail,
        }
    }
}

fn cut(text: &str, len: usize) -> String {
    text[..text.floor_char_boundary(len)].to_owned()
}

/// The link of entry `number`, counted from 1, after the link before it. Words
/// are taken as they stand in the log, so that a changed one is noticed even if
/// it means nothing.
#[must_use]
pub fn link(
    before: &Link,
    number: u64,
    at: Timestamp,
    [actor, action, subject, detail]: [&str; 4],
) -> Link {
    let encoded = Writer::with_room(256)
        .bytes(&label::AUDIT.encoded())
        .bytes(before)
        .u64(number)
        .u64(at.as_millis())
        .lp32(actor.as_bytes())
        .lp32(action.as_bytes())
        .lp32(subject.as_bytes())
        .lp32(detail.as_bytes());
    hash32(&[encoded.as_slice()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        for action in Action::ALL {
            assert_eq!(Action::from_word(action.word()), Some(*action));
        }
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let at = Timestamp::from_millis(1);
        let words = ["D1", "enrolled", "P1", ""];
        let first = link(&START, 1, at, words);
        assert_ne!(first, link(&first, 1, at, words));
        assert_ne!(first, link(&START, 2, at, words));
        assert_ne!(first, link(&START, 1, Timestamp::from_millis(2), words));
        for changed in 0..4 {
            let mut other = words;
            other[changed] = "x";
            assert_ne!(first, link(&START, 1, at, other));
        }
        // Not even a letter that moves from one word into the next.
        assert_ne!(first, link(&START, 1, at, ["D", "1enrolled", "P1", ""]));
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_letter() {
        let long = "ä".repeat(1_000);
        let entry = Entry::new(Timestamp::default(), &long, Action::Joined, "P1", &long);
        assert_eq!(entry.actor.len(), MAX_NAME);
        assert_eq!(entry.detail.len(), MAX_DETAIL);
    }
}
