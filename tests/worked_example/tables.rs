//! The doctor's tables, in memory.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;

use telemed::clock::Timestamp;
use telemed::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use telemed::identity::certificate::{Serial, VerifiedCertificate};
use telemed::identity::id::Identifier;
use telemed::identity::ticket::{Ticket, TicketId};
use telemed::kdf::Prk;
use telemed::secret::Secret;

struct Row {
    subject: Identifier,
    secret: Secret<16>,
    expires: Timestamp,
    state: TicketUse,
}

#[derive(Default)]
pub struct Tables {
    tickets: RefCell<HashMap<TicketId, Row>>,
    certificates: RefCell<HashMap<Serial, KnownCertificate>>,
    last_seen: RefCell<HashMap<Serial, Timestamp>>,
    tokens: RefCell<HashMap<[u8; 32], Resumable>>,
    pub full: Cell<bool>,
}

impl Tables {
    pub fn add_ticket(&self, ticket: &Ticket) {
        let row = Row {
            subject: ticket.subject.clone(),
            secret: ticket.secret.duplicate(),
            expires: ticket.expires,
            state: TicketUse::Open,
        };
        self.tickets.borrow_mut().insert(ticket.id, row);
    }

    pub fn add_token(&self, token: [u8; 32], entry: Resumable) {
        self.tokens.borrow_mut().insert(token, entry);
    }

    fn set_standing(&self, serial: &Serial, standing: Standing) {
        if let Some(row) = self.certificates.borrow_mut().get_mut(serial) {
            row.standing = standing;
        }
    }
}

impl Registry for Tables {
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError> {
        Ok(self.certificates.borrow().get(serial).cloned())
    }

    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError> {
        let mut last_seen = self.last_seen.borrow_mut();
        let later = last_seen.get(serial).is_none_or(|last| at > *last);
        if later {
            last_seen.insert(*serial, at);
        }
        Ok(later)
    }

    fn may_try(&self, _: &[u8; 16], _: IpAddr) -> bool {
        true
    }

    fn may_begin(&self, _: &[u8; 16]) -> bool {
        true
    }

    fn has_room_for(&self, _: &[u8; 32]) -> bool {
        self.has_room()
    }

    fn has_room(&self) -> bool {
        !self.full.get()
    }

    fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        Some(self.tokens.borrow().get(token)?.key.duplicate())
    }

    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.tokens.borrow_mut().remove(token)
    }
}

impl TicketRegistry for Tables {
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError> {
        Ok(self.tickets.borrow().get(id).map(|row| KnownTicket {
            subject: row.subject.clone(),
            secret: row.secret.duplicate(),
            expires: row.expires,
            state: row.state.clone(),
        }))
    }

    fn issue(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        _: Timestamp,
    ) -> Result<Issued, RegistryError> {
        let row = KnownCertificate {
            fingerprint: certificate.fingerprint(),
            standing: Standing::Inactive,
        };
        let serial = certificate.subject().serial;
        self.certificates.borrow_mut().insert(serial, row);
        if let Some(row) = self.tickets.borrow_mut().get_mut(ticket) {
            row.state = TicketUse::Issued(certificate.as_bytes().to_vec());
        }
        Ok(Issued::Now)
    }

    fn freeze(&self, _: &TicketId) -> Result<(), RegistryError> {
        Ok(())
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        self.set_standing(serial, Standing::Active);
        Ok(())
    }
}
