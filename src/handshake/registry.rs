//! What a doctor's handshake asks of the tables behind it.

use std::fmt;
use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::identity::certificate::{Fingerprint, Serial, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::ticket::TicketId;
use crate::kdf::Prk;
use crate::secret::Secret;

/// The tables cannot be read or written now. The handshake then lets nobody in.
#[derive(Clone, Debug)]
pub struct RegistryError(pub String);

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegistryError {}

/// What the table says of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Issued, and not yet confirmed by its holder.
    Inactive,
    /// In use.
    Active,
    /// Stopped: its ticket was used by a second device, or it was revoked.
    Stopped,
}

/// A row of the table of certificates.
#[derive(Clone, Debug)]
pub struct KnownCertificate {
    /// Fingerprint of the certificate with this serial.
    pub fingerprint: Fingerprint,
    /// Whether it may be used.
    pub standing: Standing,
}

/// What a token stands for.
#[derive(Debug)]
pub struct Resumable {
    /// The doctor's certificate that the patient knows: whoever knows another
    /// one makes a full handshake.
    pub doctor: Fingerprint,
    /// Number of the list of revoked doctors that the patient was shown: whoever
    /// was shown an older one makes a full handshake.
    pub revoked_number: u64,
    /// `rms`.
    pub key: Prk,
    /// Whose session it was.
    pub certificate: VerifiedCertificate,
    /// When signatures were last exchanged.
    pub full_handshake: Timestamp,
    /// Last instant at which the token is taken.
    pub expires: Timestamp,
}

/// The tables a handshake looks into.
pub trait Registry {
    /// The row of this certificate, if there is one.
    ///
    /// # Errors
    /// [`RegistryError`] if the table cannot be read.
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError>;

    /// Whether the row alone says that the clinic issued this certificate. If not,
    /// the signatures under it are verified, once its holder has proved to be that.
    fn is_row_enough(&self, _certificate: &Fingerprint) -> bool {
        true
    }

    /// That they are right: the row is enough from now on.
    fn note_verified(&self, _certificate: &Fingerprint) {}

    /// How far it is good for whoever has proved to hold a token of it; none if
    /// there is no such row. While the table cannot be read it may be answered
    /// from memory, for a while.
    ///
    /// # Errors
    /// As [`Registry::certificate`].
    fn standing(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<Option<Standing>, RegistryError> {
        let row = self.certificate(&certificate.subject().serial)?;
        Ok(row.map(|row| row.standing))
    }

    /// The same for a session that goes on under new keys, on its own connection.
    ///
    /// # Errors
    /// As [`Registry::certificate`].
    fn standing_in_session(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<Option<Standing>, RegistryError> {
        self.standing(certificate)
    }

    /// Stores `at` as the certificate's last timestamp if it is later than the
    /// one stored, durably, and says whether it did.
    ///
    /// # Errors
    /// [`RegistryError`] if the table cannot be read or written.
    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError>;

    /// Whether somebody at this address may try now to prove to hold this
    /// certificate's key: asked before the signature is verified, which costs
    /// most, and whoever has a copy of the certificate gets that far.
    fn may_try(&self, serial: &Serial, from: IpAddr) -> bool;

    /// Whether the holder of this certificate may begin one more handshake now:
    /// asked once the signature was right and fresh, or a token's key was
    /// proved.
    fn may_begin(&self, serial: &Serial) -> bool;

    /// Whether one more session is welcome.
    fn has_room(&self) -> bool;

    /// Whether a session of this device is welcome, which may replace another.
    fn has_room_for(&self, device: &Fingerprint) -> bool;

    /// A copy of the key of a token, if it is known: its proof is verified with
    /// that, so that nobody waits for it.
    fn token_key(&self, token: &[u8; 32]) -> Option<Prk>;

    /// Removes a token whose key was proved, and hands it out. Of several who
    /// have proved it at once only one gets it.
    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable>;
}

/// How far a ticket has got.
#[derive(Clone, Debug)]
pub enum TicketUse {
    /// Nobody used it.
    Open,
    /// This certificate was issued for it.
    Issued(Vec<u8>),
    /// It was frozen or withdrawn.
    Withdrawn,
    /// This doctor has not signed it, and others can write to the table.
    NotSigned,
}

/// A row of the table of tickets.
#[derive(Debug)]
pub struct KnownTicket {
    /// Whom it is for.
    pub subject: Identifier,
    /// What its holder proves to know.
    pub secret: Secret<16>,
    /// Last instant at which it is taken.
    pub expires: Timestamp,
    /// How far it has got.
    pub state: TicketUse,
}

/// What came of issuing a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// It is stored, inactive, and the ticket is used.
    Now,
    /// A certificate of another ticket holds one of its keys; nothing changed.
    KeysInUse,
    /// The ticket was not open any more; nothing changed.
    TicketUsed,
}

/// The tables an enrolment looks into and writes to.
pub trait TicketRegistry {
    /// The row of this ticket, if there is one.
    ///
    /// # Errors
    /// [`RegistryError`] if the table cannot be read.
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError>;

    /// In one step: marks the ticket used and stores the certificate, inactive,
    /// unless a certificate of another ticket holds one of its keys, as signing
    /// or as encryption key.
    ///
    /// # Errors
    /// [`RegistryError`] if the tables cannot be written.
    fn issue(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        now: Timestamp,
    ) -> Result<Issued, RegistryError>;

    /// Freezes the ticket and its certificate.
    ///
    /// # Errors
    /// [`RegistryError`] if the tables cannot be written.
    fn freeze(&self, ticket: &TicketId) -> Result<(), RegistryError>;

    /// Makes an inactive certificate active.
    ///
    /// # Errors
    /// [`RegistryError`] if the tables cannot be written, or the certificate
    /// was frozen meanwhile.
    fn activate(&self, serial: &Serial) -> Result<(), RegistryError>;
}
