//! Who may come in: tickets, certificates, last timestamps and prekeys.

use std::fmt;

use crate::audit::head::Head;
use crate::audit::{Entry, Link};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::{ClinicStore, StoreError, stored_millis};

/// Whether a certificate opens the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateState {
    /// Issued; its owner has not shown yet that it arrived.
    Inactive,
    /// In use.
    Active,
    /// Held back until a person has looked at it: a ticket was used twice.
    Frozen,
    /// Never again. No other state follows.
    Revoked,
}

impl CertificateState {
    const ALL: [Self; 4] = [Self::Inactive, Self::Active, Self::Frozen, Self::Revoked];

    /// The state as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Revoked => "revoked",
        }
    }

    /// The state that is called this.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether it keeps the door shut until a person opens it, or for ever.
    #[must_use]
    pub const fn is_stopped(self) -> bool {
        matches!(self, Self::Frozen | Self::Revoked)
    }
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A certificate this node has issued, one per device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateRow {
    /// Its serial number.
    pub serial: [u8; 16],
    /// The hash of all of it.
    pub fingerprint: [u8; 32],
    /// The identifier it was issued to.
    pub subject: String,
    /// The certificate as it is sent.
    pub bytes: Vec<u8>,
    /// Whether it opens the door.
    pub state: CertificateState,
    /// The ticket it was issued for, if there was one.
    pub ticket: Option<[u8; 16]>,
    /// When it was issued.
    pub created: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// What has become of a ticket. Its end is not a state: see
/// [`TicketRow::expires`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TicketState {
    /// Nobody has used it. Never follows another state.
    Open,
    /// A certificate was issued for it.
    Used,
    /// Two devices have used it; a person must look.
    Frozen,
    /// Taken back. No other state follows.
    Revoked,
}

impl TicketState {
    const ALL: [Self; 4] = [Self::Open, Self::Used, Self::Frozen, Self::Revoked];

    /// The state as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Frozen => "frozen",
            Self::Revoked => "revoked",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for TicketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What came of using a ticket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TicketUsed {
    /// It is used now, and the certificate is there.
    Now,
    /// It is not there or not open any more; nothing was changed.
    NotOpen,
    /// Another certificate is for one of its keys; nothing was changed.
    Clash,
}

/// A one-time ticket for one patient.
#[derive(Debug)]
pub struct TicketRow {
    /// Its identifier, which travels in the clear.
    pub id: [u8; 16],
    /// The patient it is for.
    pub subject: String,
    /// What the patient proves to know, sealed with [`TicketRow::name`]. Of a ticket
    /// of schema 1 nothing until the practice has been opened: see
    /// [`TrustStore::seal_tickets`].
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What has become of it.
    pub state: TicketState,
    /// The certificate issued for it. Follows from the certificates: a ticket
    /// that is added has none, whatever stands here.
    pub serial: Option<[u8; 16]>,
}

impl TicketRow {
    /// What its secret is sealed with, beside its id: for whom it is, and its
    /// times. A row that says otherwise is none of ours.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        let [created, expires] = [self.created, self.expires].map(stored_millis);
        format!("{}|{created}|{expires}", self.subject).into_bytes()
    }
}

/// What a patient can be deprived of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revocable {
    /// The certificate with this serial number.
    Certificate([u8; 16]),
    /// The open ticket with this identifier.
    Ticket([u8; 16]),
}

/// A doctor's prekey. Its secret lies in a key file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrekeyRow {
    /// Its name: the first 8 bytes of its hash.
    pub kid: [u8; 8],
    /// The prekey as it is sent.
    pub bytes: Vec<u8>,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// The doctor's signing key is replaced.
#[derive(Clone, Copy)]
pub struct KeyChange<'a> {
    /// The list of revoked doctors that was looked at.
    pub known: &'a [u8],
    /// The one that follows it.
    pub list: &'a [u8],
    /// The facts that have new values besides.
    pub facts: &'a [(&'a str, &'a [u8])],
    /// The new key's first prekey: all others are forgotten.
    pub prekey: &'a PrekeyRow,
    /// Serial numbers of the devices' certificates that her keys have signed: they are
    /// revoked, whoever has enrolled them by the word of the store.
    pub signed: &'a [[u8; 16]],
    /// What the audit log says of it.
    pub audit: &'a [Entry],
    /// What it says of each thing that this revokes, and whose that was.
    pub revoked: &'a dyn Fn(&Revoked) -> Entry,
}

/// Something that was revoked now, and was not before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// Whose it was.
    pub patient: String,
    /// What.
    pub what: Revocable,
}

/// Certificates and what leads to them.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait TrustStore {
    /// What only a clinic of several doctors has; none where a store is one
    /// doctor's.
    fn clinic(&self) -> Option<&dyn ClinicStore> {
        None
    }

    /// Adds a ticket, and what the audit log says of it.
    fn add_ticket(&self, ticket: &TicketRow, audit: &[Entry]) -> Result<(), StoreError>;

    /// The ticket with this identifier.
    fn ticket(&self, id: &[u8; 16]) -> Result<Option<TicketRow>, StoreError>;

    /// All tickets, the oldest first. Where others write to the store, too, they can be
    /// more than is to be kept in memory.
    fn tickets(&self) -> Result<Vec<TicketRow>, StoreError> {
        let mut all = self.tickets_from(&[], None, usize::MAX)?;
        all.sort_by_key(|row| (row.created, row.id));
        Ok(all)
    }

    /// Tickets whose identifiers begin so, in the order of these: those behind this
    /// one, and no more than so many.
    fn tickets_from(
        &self,
        begin: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<TicketRow>, StoreError>;

    /// Whether there is a ticket for this patient, whatever has become of it.
    fn has_ticket(&self, subject: &str) -> Result<bool, StoreError>;

    /// Whether there is a certificate of this patient, whatever has become of it.
    fn has_certificate(&self, subject: &str) -> Result<bool, StoreError>;

    /// A patient who is known, or invited at this time, under this name or one that is
    /// taken for it, as [`alike`](crate::doctor::alike) has it; who has this very name
    /// first.
    fn patient_like(&self, name: &str, at: Timestamp) -> Result<Option<String>, StoreError>;

    /// The tickets whose secret lies in clear, as schema 1 kept it, and that
    /// secret.
    fn unsealed_tickets(&self) -> Result<Vec<([u8; 16], Secret<16>)>, StoreError>;

    /// Keeps these secrets sealed from now on, and erases what lies in clear of
    /// them, in every place of the file.
    fn seal_tickets(&self, sealed: &[([u8; 16], Vec<u8>)]) -> Result<(), StoreError>;

    /// Gives a ticket another state; says whether it has it now. It has not if
    /// there is no such ticket, if it was revoked, or if it was to be opened
    /// again.
    fn set_ticket_state(&self, id: &[u8; 16], state: TicketState) -> Result<bool, StoreError>;

    /// Uses an open ticket and adds the certificate issued for it (whose
    /// `ticket` is taken to be this one), both or neither, unless one that is
    /// there already is for one of `keys`. Two tickets in use at the same time
    /// see each other. Takes no longer for having many certificates.
    fn use_ticket(
        &self,
        id: &[u8; 16],
        certificate: &CertificateRow,
        keys: &[&[u8]],
    ) -> Result<TicketUsed, StoreError>;

    /// Freezes a ticket and its certificate, if it has one, both or neither;
    /// what is revoked stays revoked. Says whether there is such a ticket; only
    /// then the audit log says it too.
    fn freeze_ticket(&self, id: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Takes an open ticket back, and logs that; says whether it was open. If
    /// not, nothing is logged.
    fn revoke_ticket(&self, id: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Revokes the certificates of a patient that are not revoked yet, together
    /// with her open tickets; or only the one with this serial number. Each is
    /// logged with the entry that `entry` makes of it; gives what was revoked.
    /// Whoever enrols at the same moment is either among them or still has
    /// nothing.
    fn revoke(
        &self,
        subject: &str,
        only: Option<&[u8; 16]>,
        entry: &dyn Fn(&Revocable) -> Entry,
    ) -> Result<Vec<Revocable>, StoreError>;

    /// Makes a frozen certificate active, and logs that; says whether it was
    /// frozen. Its ticket stays as it is.
    fn unfreeze_certificate(&self, serial: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Adds a certificate.
    fn add_certificate(&self, certificate: &CertificateRow) -> Result<(), StoreError>;

    /// The certificate with this serial number.
    fn certificate(&self, serial: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError>;

    /// The certificate that was issued for this ticket.
    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError>;

    /// All certificates, the oldest first. Where others write to the store, too, they
    /// can be more than is to be kept in memory.
    fn certificates(&self) -> Result<Vec<CertificateRow>, StoreError> {
        let mut all = self.certificates_from(None, None, usize::MAX)?;
        all.sort_by_key(|row| (row.created, row.serial));
        Ok(all)
    }

    /// Certificates, or those of this patient, in the order of their serial numbers:
    /// those behind this one, and no more than so many.
    fn certificates_from(
        &self,
        subject: Option<&str>,
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<CertificateRow>, StoreError>;

    /// Makes an inactive certificate active; says whether it is active now.
    /// Unlike [`TrustStore::set_certificate_state`] this never thaws a frozen one,
    /// even if it was frozen a moment ago. The audit log says it when it becomes
    /// active, not when it is so already.
    fn activate_certificate(&self, serial: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Serial, subject and state of the certificates that are frozen or
    /// revoked, the oldest first.
    fn stopped_certificates(&self)
    -> Result<Vec<([u8; 16], String, CertificateState)>, StoreError>;

    /// Gives a certificate another state; says whether it has it now. It has
    /// not if there is no such certificate, or if it was revoked.
    fn set_certificate_state(
        &self,
        serial: &[u8; 16],
        state: CertificateState,
    ) -> Result<bool, StoreError>;

    /// The latest timestamp accepted from the owner of this certificate, which
    /// need not be one of this store's.
    fn last_timestamp(&self, serial: &[u8; 16]) -> Result<Option<Timestamp>, StoreError>;

    /// Keeps `at` if it is later than what was kept for this serial, and says
    /// whether it did. Of two that race with the same time, one wins
    /// (`WireGuard`'s rule against replayed first messages).
    fn advance_timestamp(&self, serial: &[u8; 16], at: Timestamp) -> Result<bool, StoreError>;

    /// Adds a prekey, and what the audit log says of it.
    fn add_prekey(&self, prekey: &PrekeyRow, audit: &[Entry]) -> Result<(), StoreError>;

    /// All prekeys, the one that began first first.
    fn prekeys(&self) -> Result<Vec<PrekeyRow>, StoreError>;

    /// Gives these facts of the doctor's papers new values, logs that, and signs a
    /// head of the log: all or nothing. `certificate` and `sign` as for
    /// [`AuditStore::append_signed`](super::AuditStore::append_signed).
    fn change_papers(
        &self,
        facts: &[(&str, &[u8])],
        audit: &[Entry],
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError>;

    /// Replaces the doctor's signing key, and revokes the certificates and open
    /// tickets that she has issued; where a store is one doctor's, all there are.
    /// Logs that, with an entry for each thing that was not revoked before, and
    /// signs a head of the log: all or nothing. Gives what was revoked. None, and
    /// nothing is changed, if the list of revoked doctors is another one by now.
    fn change_key(
        &self,
        change: &KeyChange<'_>,
        certificate: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Option<Vec<Revoked>>, StoreError>;

    /// Forgets a prekey, and logs that; says whether there was one. If not,
    /// nothing is logged.
    fn remove_prekey(&self, kid: &[u8; 8], audit: &[Entry]) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_of_its_own() {
        for state in CertificateState::ALL {
            assert_eq!(CertificateState::from_word(state.word()), Some(state));
        }
        for state in TicketState::ALL {
            assert_eq!(TicketState::from_word(state.word()), Some(state));
        }
        assert_eq!(TicketState::from_word("Open"), None);
    }
}
