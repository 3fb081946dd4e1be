//! What must survive a restart: certificates, tickets, last timestamps,
//! prekeys, records and single named facts.
//!
//! The store keeps bytes and states and understands neither: a certificate is
//! a run of bytes with a few columns beside it. [`Store`] is the doctor's trait and
//! [`PatientStore`] the patient's, made of one for each topic; [`SqliteStore`] is
//! what the programs use, and what every back end must do is the suite
//! `store/conformance.rs`. A method returns only
//! once what it changed is on the disk. What is absent is `Ok(None)` or `Ok(false)`,
//! what is broken is [`StoreError`].

mod audit;
mod backup;
mod choice;
pub mod clinic;
mod copy;
mod error;
mod mailbox;
pub mod messages;
mod migrations;
pub(crate) mod names;
pub mod nodes;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod reach;
mod records;
mod sqlite;
mod trust;

#[cfg(test)]
mod conformance;

pub use audit::{AuditFilter, AuditRow, AuditStore};
pub use backup::{BackupStore, Inventory, SealedValue};
pub use choice::StoreChoice;
pub use clinic::ClinicStore;
pub use copy::{Copied, CopyError, CopyPlace, CopyProgress, Phase, move_practice};
pub use error::{Place, StoreError, StoreFault};
pub use mailbox::{InboxForm, InboxRow, MailCounts, MailboxStore, OutgoingRow};
pub use messages::MessageStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresAddress, PostgresAddressError, PostgresStore};
pub use purge::{PurgeStore, Purgeable};
pub use reach::{Absence, ReachStore, is_away, may_pass};
pub use records::{ConsultationRow, DeviceRow, RecordRow, RecordStore};
pub use sqlite::SqliteStore;
pub use trust::{
    CertificateRow, CertificateState, KeyChange, PrekeyRow, Revocable, Revoked, TicketRow,
    TicketState, TicketUsed, TrustStore,
};

use crate::audit::Entry;
use crate::clock::Timestamp;

/// The names of facts, so that both who writes and who reads one use the same.
pub mod fact {
    /// The clinic's root certificate. Both sides.
    pub const ROOT_CERTIFICATE: &str = "root certificate";
    /// The doctor's certificate: her own, or the patient's copy of it.
    pub const DOCTOR_CERTIFICATE: &str = "doctor certificate";
    /// The doctor's newest prekey, as a patient knows it.
    pub const DOCTOR_PREKEY: &str = "doctor prekey";
    /// The list of revoked doctors.
    pub const REVOKED_DOCTORS: &str = "revoked doctors";
    /// The keys of former doctors, and which of the certificates that they have signed
    /// are good.
    pub const CLOSED_KEYS: &str = "closed keys";
    /// The prime of a group that is not built in.
    pub const GROUP: &str = "group";
    /// The patient's own certificate.
    pub const OWN_CERTIFICATE: &str = "own certificate";
    /// The certificate of the doctor who issued it.
    pub const ISSUER_CERTIFICATE: &str = "issuer certificate";
    /// The ticket with which the patient enrolled: 16 bytes, its name.
    pub const TICKET: &str = "ticket";
    /// When what a patient knows of the doctor was last checked: 8 bytes.
    pub const DOCTOR_CHECKED: &str = "doctor checked";
    /// Where the doctor is reached: `host:port`.
    pub const ADDRESS: &str = "address";
    /// The doctors of the patient's clinic, and since when each is known.
    pub const ROSTER: &str = "roster";
    /// Where the doctor's server listened last; empty for all addresses.
    pub const LISTEN_ADDRESS: &str = "listen address";
    /// The certificates the doctor had before, the newest last.
    pub const EARLIER_CERTIFICATES: &str = "earlier certificates";
    /// The same of those who had the name before and worked without a node.
    pub const FORMER_CERTIFICATES: &str = "former certificates";
    /// There while a new signing key has not taken the place of the old one.
    pub const SIGNING_KEY_CHANGE: &str = "signing key change";
    /// Where the root key was moved to, as it was typed.
    pub const ROOT_KEY_PLACE: &str = "root key place";
    /// The name of the key under which content is sealed, 16 bytes.
    pub const DATA_KEY: &str = "data key";
    /// That key, wrapped under the recovery code.
    pub const RECOVERY: &str = "recovery";
    /// The same under a code that is being handed over and is not good yet.
    pub const PENDING_RECOVERY: &str = "pending recovery";
    /// Who made the recovery code that is good, and when, in a clinic.
    pub const RECOVERY_BY: &str = "recovery by";
    /// The hash of what this doctor knows as [`RECOVERY`].
    pub const RECOVERY_KNOWN: &str = "recovery known";
    /// That no message lies here any more which says for whom it is in its row
    /// alone, as earlier versions had it. In files only.
    pub const MESSAGES_ADDRESSED: &str = "messages addressed";

    /// That this store is a copy of a practice that is not complete: what it is a
    /// copy of. Never copied.
    pub const COPYING: &str = "copying";
    /// Where the practice was moved to, as `--store` takes it: this store is of
    /// the past. Never copied.
    pub const MOVED_TO: &str = "moved to";

    /// Those that all doctors of a clinic share, where several use one store.
    /// All others are each doctor's own.
    #[cfg(feature = "postgres")]
    pub(super) const SHARED: [&str; 9] = [
        COPYING,
        ROOT_CERTIFICATE,
        REVOKED_DOCTORS,
        CLOSED_KEYS,
        GROUP,
        DATA_KEY,
        RECOVERY,
        PENDING_RECOVERY,
        RECOVERY_BY,
    ];

    /// What a patient knows of another doctor of her clinic: when it was
    /// checked, 8 bytes, her certificate and her prekey.
    #[must_use]
    pub fn colleague(doctor: &crate::identity::id::Identifier) -> String {
        format!("colleague {doctor}")
    }
}

/// Single named facts.
///
/// # Errors
/// As for [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, below")]
pub trait FactStore {
    /// The value of a fact.
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Gives facts new values: all of them or none.
    fn set_facts(&self, facts: &[(&str, &[u8])]) -> Result<(), StoreError>;

    /// Gives the fact `to` the value of the fact `from`, which is forgotten,
    /// together with the audit entries. False, and nothing is changed, if `from`
    /// has not this value.
    fn move_fact(
        &self,
        from: &str,
        value: &[u8],
        to: &str,
        audit: &[Entry],
    ) -> Result<bool, StoreError>;

    /// Forgets a fact; says whether there was one.
    fn remove_fact(&self, name: &str) -> Result<bool, StoreError>;
}

/// Where a doctor's state is kept. Many threads share one store.
///
/// Times later than 2^63 - 1 milliseconds are kept as that.
///
/// # Errors
/// Every method gives [`StoreError`] if the store cannot be read or written;
/// nothing is changed then. The `add_…` methods also do if there is such a row
/// already, and [`TrustStore::add_certificate`] if there is not the ticket it names.
pub trait Store:
    FactStore
    + TrustStore
    + AuditStore
    + BackupStore
    + MessageStore
    + PurgeStore
    + ReachStore
    + RecordStore
    + Send
    + Sync
{
}

/// Where a patient's state is kept. Otherwise as [`Store`].
pub trait PatientStore: FactStore + MailboxStore + Send + Sync {}

/// A time as databases keep it, a signed number of milliseconds.
fn stored_millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
