//! The tables behind a handshake: certificates and tickets in the store,
//! tokens and room in the table of sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::audit::{Action, Entry};
use crate::clock::{Clock, Timestamp};
use crate::doctor::allowance::Allowance;
use crate::doctor::practice::SERVER;
use crate::doctor::tickets;
use crate::elgamal::Element;
use crate::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use crate::hex;
use crate::identity::certificate::{Certificate, Fingerprint, Serial, VerifiedCertificate};
use crate::identity::ticket::TicketId;
use crate::session::table::SessionTable;
use crate::store::{CertificateRow, CertificateState, Store, StoreError, TicketState, TicketUsed};
use crate::vault::Vault;

/// Store and sessions of one server.
pub struct Tables {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// Opens the secrets of tickets.
    vault: Arc<Vault>,
    /// Tells when what is logged happened.
    clock: Arc<dyn Clock>,
    /// Who is connected.
    pub sessions: SessionTable,
    /// How many handshakes each certificate may still begin, and how many
    /// messages it may still write; only certificates of the store have one.
    rates: Mutex<HashMap<Serial, Rates>>,
}

/// Handshakes a certificate may begin at once: a device on a bad line needs
/// some, nobody needs hundreds.
const HANDSHAKES: f64 = 60.0;
/// Handshakes it gets back per minute.
const HANDSHAKES_PER_MINUTE: f64 = 10.0;
/// Messages a device may write at once.
const MESSAGES: f64 = 50.0;
/// Messages it gets back per minute.
const MESSAGES_PER_MINUTE: f64 = 300.0;

struct Rates {
    handshakes: Allowance,
    messages: Allowance,
}

impl Tables {
    /// The tables of a server that starts.
    pub fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        sessions: SessionTable,
    ) -> Self {
        Self {
            store,
            vault,
            clock,
            sessions,
            rates: Mutex::default(),
        }
    }

    /// Whether the device with this certificate may write one more message now.
    pub fn may_write(&self, serial: &Serial) -> bool {
        let now = Instant::now();
        self.rates(serial, now, |rates| {
            rates.messages.refill(MESSAGES, MESSAGES_PER_MINUTE, now);
            rates.messages.spend()
        })
    }

    fn rates(
        &self,
        serial: &Serial,
        now: Instant,
        use_it: impl FnOnce(&mut Rates) -> bool,
    ) -> bool {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(rates.entry(*serial).or_insert_with(|| Rates {
            handshakes: Allowance::new(HANDSHAKES, now),
            messages: Allowance::new(MESSAGES, now),
        }))
    }
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

    fn may_try(&self, serial: &Serial) -> bool {
        let now = Instant::now();
        self.rates(serial, now, |rates| {
            rates
                .handshakes
                .refill(HANDSHAKES, HANDSHAKES_PER_MINUTE, now);
            rates.handshakes.spend()
        })
    }

    fn has_room(&self) -> bool {
        self.sessions.has_room()
    }

    fn has_room_for(&self, device: &Fingerprint) -> bool {
        self.sessions.has_room_for(device)
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
                Some(certificate) if !certificate.state.is_stopped() => {
                    TicketUse::Issued(certificate.bytes)
                }
                _ => TicketUse::Withdrawn,
            },
            TicketState::Frozen | TicketState::Revoked => TicketUse::Withdrawn,
        };
        let secret = tickets::secret(&self.vault, &row)
            .ok_or_else(|| RegistryError("the ticket's secret does not open".to_owned()))?;
        let subject = row
            .subject
            .parse()
            .map_err(|error| RegistryError(format!("the ticket's subject: {error}")))?;
        Ok(Some(KnownTicket {
            subject,
            secret,
            expires: row.expires,
            state,
        }))
    }

    fn issue(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        now: Timestamp,
    ) -> Result<Issued, RegistryError> {
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
        let mut keys = vec![subject.signing_key.as_bytes()];
        keys.extend(subject.encryption_key.as_ref().map(Element::as_bytes));
        let clashes = |other: &[u8]| keys.iter().any(|key| Certificate::holds_key(other, key));
        Ok(match self.store.use_ticket(ticket, &row, &clashes)? {
            TicketUsed::Now => Issued::Now,
            TicketUsed::Clash => Issued::KeysInUse,
            TicketUsed::NotOpen => Issued::TicketUsed,
        })
    }

    fn freeze(&self, ticket: &TicketId) -> Result<(), RegistryError> {
        let certificate = self.store.certificate_of_ticket(ticket)?;
        let mut detail = "a ticket was used twice".to_owned();
        if let Some(row) = &certificate {
            self.sessions.forget_token(&row.fingerprint);
            detail += &format!("; certificate {} is stopped", hex::encode(&row.serial));
        }
        let subject = match self.store.ticket(ticket)? {
            Some(ticket) => ticket.subject,
            None => String::new(),
        };
        let entry = Entry::new(self.clock.now(), SERVER, Action::Frozen, &subject, &detail);
        self.store.freeze_ticket(ticket, &[entry])?;
        Ok(())
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        let subject = match self.store.certificate(serial)? {
            Some(row) => row.subject,
            None => String::new(),
        };
        let detail = format!("certificate {}", hex::encode(serial));
        let now = self.clock.now();
        let entry = Entry::new(now, &subject, Action::Enrolled, &subject, &detail);
        // True also for one that is active already: E3 may come twice.
        if self.store.activate_certificate(serial, &[entry])? {
            Ok(())
        } else {
            Err(RegistryError(
                "the certificate was frozen meanwhile".to_owned(),
            ))
        }
    }
}
