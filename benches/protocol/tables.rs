//! A doctor's tables in memory: the handshake alone is to be measured, not the
//! disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use telemed::clock::Timestamp;
use telemed::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use telemed::identity::certificate::{Certificate, Fingerprint, Serial, VerifiedCertificate};
use telemed::identity::ticket::{Ticket, TicketId};
use telemed::kdf::Prk;

#[derive(Default)]
pub struct Tables {
    certificates: Mutex<HashMap<Serial, KnownCertificate>>,
    tokens: Mutex<HashMap<[u8; 32], Resumable>>,
    tickets: Mutex<HashMap<TicketId, KnownTicket>>,
}

impl Tables {
    pub fn admit(&self, certificate: &Certificate, standing: Standing) {
        let row = KnownCertificate {
            fingerprint: certificate.fingerprint(),
            standing,
        };
        let serial = certificate.subject().serial;
        self.certificates.lock().unwrap().insert(serial, row);
    }

    pub fn keep_token(&self, token: [u8; 32], resumable: Resumable) {
        self.tokens.lock().unwrap().insert(token, resumable);
    }

    pub fn keep_ticket(&self, ticket: &Ticket) {
        let row = KnownTicket {
            subject: ticket.subject.clone(),
            secret: ticket.secret.duplicate(),
            expires: ticket.expires,
            state: TicketUse::Open,
        };
        self.tickets.lock().unwrap().insert(ticket.id, row);
    }
}

impl Registry for Tables {
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError> {
        Ok(self.certificates.lock().unwrap().get(serial).cloned())
    }

    fn advance_timestamp(&self, _: &Serial, _: Timestamp) -> Result<bool, RegistryError> {
        Ok(true)
    }

    fn may_try(&self, _: &Serial, _: IpAddr) -> bool {
        true
    }

    fn may_begin(&self, _: &Serial) -> bool {
        true
    }

    fn has_room(&self) -> bool {
        true
    }

    fn has_room_for(&self, _: &Fingerprint) -> bool {
        true
    }

    fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        let tokens = self.tokens.lock().unwrap();
        tokens.get(token).map(|known| known.key.duplicate())
    }

    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.tokens.lock().unwrap().remove(token)
    }
}

impl TicketRegistry for Tables {
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError> {
        let tickets = self.tickets.lock().unwrap();
        Ok(tickets.get(id).map(|row| KnownTicket {
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
        if let Some(row) = self.tickets.lock().unwrap().get_mut(ticket) {
            row.state = TicketUse::Issued(certificate.as_bytes().to_vec());
        }
        self.admit(certificate, Standing::Inactive);
        Ok(Issued::Now)
    }

    fn freeze(&self, _: &TicketId) -> Result<(), RegistryError> {
        Err(RegistryError("nothing is frozen here".to_owned()))
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        if let Some(row) = self.certificates.lock().unwrap().get_mut(serial) {
            row.standing = Standing::Active;
        }
        Ok(())
    }
}
