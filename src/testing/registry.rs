//! The tables of a node, in memory, with switches that break them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use crate::clock::Timestamp;
use crate::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use crate::identity::certificate::{Certificate, Fingerprint, Serial, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::ticket::{Ticket, TicketId};
use crate::kdf::Prk;
use crate::secret::Secret;

/// A row of the table of tickets.
pub(crate) struct TicketRow {
    pub subject: Identifier,
    pub secret: Secret<16>,
    pub expires: Timestamp,
    pub state: TicketUse,
}

/// What a test may look at and change.
#[derive(Default)]
pub(crate) struct Tables {
    pub certificates: HashMap<Serial, KnownCertificate>,
    pub last_timestamps: HashMap<Serial, Timestamp>,
    pub tokens: HashMap<[u8; 32], Resumable>,
    pub tickets: HashMap<TicketId, TicketRow>,
    /// Keys in certificates of other tickets.
    pub taken_keys: Vec<Vec<u8>>,
    /// Certificates whose signatures were verified; none where rows are enough.
    pub verified: Option<Vec<Fingerprint>>,
    /// No certificate or ticket can be read.
    pub are_unreadable: bool,
    /// No timestamp can be read.
    pub timestamps_are_unreadable: bool,
    /// No session more is welcome.
    pub is_full: bool,
    /// Handshakes that were begun by whoever had proved to be a patient.
    pub begun: u32,
    /// Nobody may try to prove that.
    pub is_tried_too_often: bool,
    /// No patient may begin one more.
    pub is_begun_too_often: bool,
}

#[derive(Default)]
pub(crate) struct TestRegistry(Mutex<Tables>);

impl TestRegistry {
    pub fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    /// Puts a certificate into the table.
    pub fn admit(&self, certificate: &Certificate, standing: Standing) {
        let row = KnownCertificate {
            fingerprint: certificate.fingerprint(),
            standing,
        };
        let serial = certificate.subject().serial;
        self.lock().certificates.insert(serial, row);
    }

    pub fn standing(&self, serial: &Serial) -> Option<Standing> {
        Some(self.lock().certificates.get(serial)?.standing)
    }

    pub fn last_timestamp(&self, serial: &Serial) -> Option<Timestamp> {
        self.lock().last_timestamps.get(serial).copied()
    }

    /// Makes a ticket for `subject` and puts it into the table.
    pub fn ticket_for(
        &self,
        doctor: &Identifier,
        subject: &str,
        root: Fingerprint,
        expires: Timestamp,
    ) -> Ticket {
        let mut tables = self.lock();
        let number = u8::try_from(tables.tickets.len()).unwrap();
        let ticket = Ticket {
            root,
            address: "localhost:1".to_owned(),
            doctor: doctor.clone(),
            subject: subject.parse().unwrap(),
            id: [number; 16],
            secret: Secret::from_slice(&[number ^ 0xa5; 16]).unwrap(),
            expires,
        };
        let row = TicketRow {
            subject: ticket.subject.clone(),
            secret: ticket.secret.duplicate(),
            expires,
            state: TicketUse::Open,
        };
        tables.tickets.insert(ticket.id, row);
        ticket
    }

    fn readable(&self) -> Result<MutexGuard<'_, Tables>, RegistryError> {
        let tables = self.lock();
        if tables.are_unreadable {
            return Err(unreadable());
        }
        Ok(tables)
    }
}

fn unreadable() -> RegistryError {
    RegistryError("the table cannot be read".to_owned())
}

impl Registry for TestRegistry {
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError> {
        Ok(self.readable()?.certificates.get(serial).cloned())
    }

    fn is_row_enough(&self, certificate: &Fingerprint) -> bool {
        let verified = &self.lock().verified;
        verified.as_ref().is_none_or(|it| it.contains(certificate))
    }

    fn note_verified(&self, certificate: &Fingerprint) {
        if let Some(verified) = &mut self.lock().verified {
            verified.push(*certificate);
        }
    }

    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError> {
        let mut tables = self.readable()?;
        if tables.timestamps_are_unreadable {
            return Err(unreadable());
        }
        let last = tables.last_timestamps.entry(*serial).or_default();
        let rises = at > *last;
        *last = at.max(*last);
        Ok(rises)
    }

    fn may_try(&self, _: &[u8; 16], _: IpAddr) -> bool {
        !self.lock().is_tried_too_often
    }

    fn may_begin(&self, _: &[u8; 16]) -> bool {
        let mut tables = self.lock();
        tables.begun += 1;
        !tables.is_begun_too_often
    }

    fn has_room_for(&self, _: &[u8; 32]) -> bool {
        self.has_room()
    }

    fn has_room(&self) -> bool {
        !self.lock().is_full
    }

    fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        Some(self.lock().tokens.get(token)?.key.duplicate())
    }

    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.lock().tokens.remove(token)
    }
}

impl TicketRegistry for TestRegistry {
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError> {
        let tables = self.readable()?;
        Ok(tables.tickets.get(id).map(|row| KnownTicket {
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
        let mut tables = self.readable()?;
        let bytes = certificate.as_bytes();
        let mut taken = tables.taken_keys.iter();
        if taken.any(|key| Certificate::holds_key(bytes, key)) {
            return Ok(Issued::KeysInUse);
        }
        let row = tables.tickets.get_mut(ticket).ok_or_else(unreadable)?;
        if !matches!(row.state, TicketUse::Open) {
            return Ok(Issued::TicketUsed);
        }
        row.state = TicketUse::Issued(certificate.as_bytes().to_vec());
        drop(tables);
        self.admit(certificate, Standing::Inactive);
        Ok(Issued::Now)
    }

    fn freeze(&self, ticket: &TicketId) -> Result<(), RegistryError> {
        let mut tables = self.readable()?;
        let row = tables.tickets.get_mut(ticket).ok_or_else(unreadable)?;
        let before = std::mem::replace(&mut row.state, TicketUse::Withdrawn);
        if let TicketUse::Issued(certificate) = before {
            let serial = certificate[1..].first_chunk::<16>().unwrap();
            let row = tables.certificates.get_mut(serial).unwrap();
            row.standing = Standing::Stopped;
        }
        Ok(())
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        let mut tables = self.readable()?;
        let row = tables.certificates.get_mut(serial);
        match row {
            Some(row) if row.standing != Standing::Stopped => {
                row.standing = Standing::Active;
                Ok(())
            }
            _ => Err(RegistryError("the certificate is frozen".to_owned())),
        }
    }
}
