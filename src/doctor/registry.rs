//! The tables behind a handshake: certificates and tickets in the store,
//! tokens and room in the table of sessions.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::handshake::registry::{
    KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing, TicketRegistry,
    TicketUse,
};
use crate::identity::certificate::{Certificate, Fingerprint, Serial, VerifiedCertificate};
use crate::identity::ticket::TicketId;
use crate::session::table::SessionTable;
use crate::store::{CertificateRow, CertificateState, Store, StoreError, TicketState};

/// Store and sessions of one server.
pub struct Tables {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// Who is connected.
    pub sessions: SessionTable,
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl Registry for Tables {
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError> {
        let row = self.store.certificate(serial)?;
        Ok(row.map(|row| KnownCertificate {
            fingerprint: row.fingerprint,
            standing: match row.state {
                CertificateState::Inactive => Standing::Inactive,
                CertificateState::Active => Standing::Active,
                CertificateState::Frozen | CertificateState::Revoked => Standing::Stopped,
            },
        }))
    }

    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError> {
        Ok(self.store.advance_timestamp(serial, at)?)
    }

    fn has_room(&self) -> bool {
        self.sessions.has_room()
    }

    fn take_token(
        &self,
        token: &[u8; 32],
        proof: &mut dyn FnMut(&Resumable) -> bool,
    ) -> Option<Resumable> {
        self.sessions.take_token(token, proof)
    }
}

impl TicketRegistry for Tables {
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError> {
        let Some(row) = self.store.ticket(id)? else {
            return Ok(None);
        };
        let state = match row.state {
            TicketState::Open => TicketUse::Open,
            TicketState::Used => match self.store.certificate_of_ticket(id)? {
                Some(certificate) => TicketUse::Issued(certificate.bytes),
                None => TicketUse::Withdrawn,
            },
            TicketState::Frozen | TicketState::Revoked => TicketUse::Withdrawn,
        };
        let subject = row
            .subject
            .parse()
            .map_err(|error| RegistryError(format!("the ticket's subject: {error}")))?;
        Ok(Some(KnownTicket {
            subject,
            secret: row.secret,
            expires: row.expires,
            state,
        }))
    }

    fn is_key_taken(&self, keys: [&[u8]; 2], ticket: &TicketId) -> Result<bool, RegistryError> {
        let rows = self.store.certificates()?;
        Ok(rows
            .iter()
            .filter(|row| row.ticket.as_ref() != Some(ticket))
            .any(|row| {
                keys.iter()
                    .any(|key| Certificate::holds_key(&row.bytes, key))
            }))
    }

    fn issue(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        now: Timestamp,
    ) -> Result<bool, RegistryError> {
        let subject = certificate.subject();
        let row = CertificateRow {
            serial: subject.serial,
            fingerprint: certificate.fingerprint(),
            subject: subject.identifier.to_string(),
            bytes: certificate.as_bytes().to_vec(),
            state: CertificateState::Inactive,
            ticket: Some(*ticket),
            created: now,
            not_after: subject.not_after,
        };
        Ok(self.store.use_ticket(ticket, &row)?)
    }

    fn freeze(&self, ticket: &TicketId) -> Result<(), RegistryError> {
        if let Some(row) = self.store.certificate_of_ticket(ticket)? {
            self.sessions.forget_token(&row.fingerprint);
        }
        self.store.freeze_ticket(ticket)?;
        Ok(())
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        // False also for one that is active already: E3 may come twice.
        let active = self.store.activate_certificate(serial)?
            || self
                .store
                .certificate(serial)?
                .is_some_and(|row| row.state == CertificateState::Active);
        if active {
            Ok(())
        } else {
            Err(RegistryError(
                "the certificate was frozen meanwhile".to_owned(),
            ))
        }
    }
}

/// The certificates that may connect now, with their names.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn active_devices(
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<(Fingerprint, String)>, StoreError> {
    let rows = store.certificates()?;
    Ok(rows
        .into_iter()
        .filter(|row| row.state == CertificateState::Active && now <= row.not_after)
        .map(|row| (row.fingerprint, row.subject))
        .collect())
}
