//! The tables behind a handshake: certificates and tickets in the store,
//! tokens and room in the table of sessions.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::{Action, Entry};
use crate::clock::{Clock, Timestamp};
use crate::doctor::allowance::Allowance;
use crate::doctor::gate::network_of;
use crate::doctor::practice::SERVER;
use crate::doctor::tickets;
use crate::elgamal::Element;
use crate::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use crate::hex;
use crate::identity::certificate::{Fingerprint, Serial, VerifiedCertificate};
use crate::identity::ticket::{Maker, TicketId};
use crate::kdf::Prk;
use crate::session::table::SessionTable;
use crate::store::{
    Absence, CertificateRow, CertificateState, Store, StoreError, TicketState, TicketUsed,
};
use crate::vault::Vault;

/// Store and sessions of one server.
pub struct Tables {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// Opens the secrets of tickets.
    vault: Arc<Vault>,
    /// Whose tickets are good here.
    maker: Maker,
    /// Tells when what is logged happened.
    clock: Arc<dyn Clock>,
    /// Who is connected.
    pub sessions: SessionTable,
    /// How long after the store has answered last sessions are resumed without it.
    from_memory: Duration,
    /// What may still be done with each certificate; only those of the store
    /// have an entry.
    rates: Mutex<HashMap<Serial, Rates>>,
    /// Certificates whose signatures were verified here: at most as many as the
    /// clinic has issued.
    verified: Mutex<HashSet<Fingerprint>>,
}

/// Handshakes a certificate may begin at once: a device on a bad line needs
/// some, nobody needs hundreds.
const HANDSHAKES: f64 = 60.0;
/// Handshakes it gets back per minute. At each of its own addresses, and from
/// all others together, it may be tried as often.
const HANDSHAKES_PER_MINUTE: f64 = 10.0;
/// Addresses remembered as a certificate's own: at home, at work, on the way.
const OWN_ADDRESSES: usize = 4;
/// Messages a device may write at once.
const MESSAGES: f64 = 50.0;
/// Messages it gets back per minute.
const MESSAGES_PER_MINUTE: f64 = 300.0;

struct Rates {
    /// Handshakes of its holder, who has proved to be that.
    handshakes: Allowance,
    /// Attempts to be that from where it was never proved.
    tries: Allowance,
    /// Where it was proved, the latest last, with the attempts left there: who
    /// fails elsewhere, with a copy of the certificate, does not delay its
    /// holder there.
    own: Vec<(IpAddr, Allowance)>,
    messages: Allowance,
}

impl Rates {
    fn new(now: Instant) -> Self {
        Self {
            handshakes: Allowance::new(HANDSHAKES, now),
            tries: Allowance::new(HANDSHAKES, now),
            own: Vec::new(),
            messages: Allowance::new(MESSAGES, now),
        }
    }

    fn may_try(&mut self, from: IpAddr, now: Instant) -> bool {
        let own = self.own.iter_mut().find(|(address, _)| *address == from);
        let tries = own.map_or(&mut self.tries, |(_, tries)| tries);
        tries.refill(HANDSHAKES, HANDSHAKES_PER_MINUTE, now);
        tries.spend()
    }

    fn may_begin(&mut self, now: Instant) -> bool {
        self.handshakes
            .refill(HANDSHAKES, HANDSHAKES_PER_MINUTE, now);
        self.handshakes.spend()
    }

    /// The address becomes the latest, and has all its attempts again.
    fn note_address(&mut self, from: IpAddr, now: Instant) {
        self.own.retain(|(address, _)| *address != from);
        if self.own.len() >= OWN_ADDRESSES {
            self.own.remove(0);
        }
        self.own.push((from, Allowance::new(HANDSHAKES, now)));
    }
}

impl Tables {
    /// The tables of a server that starts.
    pub fn new(
        store: Arc<dyn Store>,
        (vault, maker): (Arc<Vault>, Maker),
        clock: Arc<dyn Clock>,
        sessions: SessionTable,
        from_memory: Duration,
    ) -> Self {
        Self {
            store,
            vault,
            maker,
            clock,
            sessions,
            from_memory,
            rates: Mutex::default(),
            verified: Mutex::default(),
        }
    }

    /// What the table says of a certificate. While the store is away it is good if
    /// this says so: what was stopped here has lost its token.
    fn standing_or(
        &self,
        certificate: &VerifiedCertificate,
        is_good: impl Fn(Absence) -> bool,
    ) -> Result<Option<Standing>, RegistryError> {
        let known = self.certificate(&certificate.subject().serial);
        let (Err(error), Some(absence)) = (&known, self.store.absence()) else {
            return Ok(known?.map(|row| row.standing));
        };
        match is_good(absence) {
            true => Ok(Some(Standing::Active)),
            false => Err(error.clone()),
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

    /// Notes where the holder of a certificate is: she has just proved it with
    /// a whole handshake, not with a first message that somebody sent on.
    pub fn note_address(&self, serial: &Serial, from: IpAddr) {
        let now = Instant::now();
        self.rates(serial, now, |rates| {
            rates.note_address(network_of(from), now);
        });
    }

    fn verified(&self) -> MutexGuard<'_, HashSet<Fingerprint>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rates<T>(&self, serial: &Serial, now: Instant, use_it: impl FnOnce(&mut Rates) -> T) -> T {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(rates.entry(*serial).or_insert_with(|| Rates::new(now)))
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

    /// A file has only what this program put there. Of a store that several share
    /// nobody knows who else can write to it.
    fn is_row_enough(&self, certificate: &Fingerprint) -> bool {
        self.store.nodes().is_none() || self.verified().contains(certificate)
    }

    fn note_verified(&self, certificate: &Fingerprint) {
        self.verified().insert(*certificate);
    }

    /// While the store is away, tokens in memory are good for some minutes.
    fn standing(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<Option<Standing>, RegistryError> {
        self.standing_or(certificate, |absence| absence.silent < self.from_memory)
    }

    /// Those of live sessions are good as long as these last.
    fn standing_in_session(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<Option<Standing>, RegistryError> {
        let device = certificate.fingerprint();
        self.standing_or(certificate, |absence| {
            absence.silent < self.from_memory || self.sessions.is_connected(&device)
        })
    }

    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError> {
        Ok(self.store.advance_timestamp(serial, at)?)
    }

    fn may_try(&self, serial: &Serial, from: IpAddr) -> bool {
        let now = Instant::now();
        self.rates(serial, now, |rates| rates.may_try(network_of(from), now))
    }

    fn may_begin(&self, serial: &Serial) -> bool {
        let now = Instant::now();
        self.rates(serial, now, |rates| rates.may_begin(now))
    }

    fn has_room(&self) -> bool {
        self.sessions.has_room()
    }

    fn has_room_for(&self, device: &Fingerprint) -> bool {
        self.sessions.has_room_for(device)
    }

    fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        self.sessions.token_key(token)
    }

    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.sessions.take_token(token)
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
        let is_shared = self.store.nodes().is_some();
        let opened = tickets::open(&self.vault, &row, &self.maker, is_shared)
            .ok_or_else(|| RegistryError("the ticket's secret does not open".to_owned()))?;
        Ok(Some(KnownTicket {
            subject: opened.subject,
            secret: opened.secret,
            expires: row.expires,
            state: match opened.is_hers {
                true => state,
                false => TicketUse::NotSigned,
            },
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
        Ok(match self.store.use_ticket(ticket, &row, &keys)? {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::random::OsRandom;
    use crate::store::{SqliteStore, TicketRow, TrustStore};
    use crate::testing::{NOW, at, clinic};

    /// Tables with two open tickets, 1 and 2.
    fn tables() -> Tables {
        let store = SqliteStore::in_memory().unwrap();
        for id in [1, 2] {
            let ticket = TicketRow {
                id: [id; 16],
                subject: "P1".to_owned(),
                sealed: vec![1],
                created: NOW,
                expires: at(3_600),
                state: TicketState::Open,
                serial: None,
            };
            store.add_ticket(&ticket, &[]).unwrap();
        }
        Tables::new(
            Arc::new(store),
            (
                Arc::new(Vault::generate(&mut OsRandom)),
                Maker::of(&clinic().doctor),
            ),
            Arc::new(SystemClock),
            SessionTable::new(10, &mut OsRandom),
            Duration::ZERO,
        )
    }

    #[test]
    fn a_key_that_stands_in_a_certificate_is_not_certified_again() {
        let (doctor, patients) = (&clinic().doctor, &clinic().patients);
        let known = patients[0].certificate();
        let (signing, encryption) = (patients[1].signing(), patients[1].encryption());
        let hers = |key: &Element| key.clone();
        let subject = known.subject();
        let certify = |signing, encryption| {
            let name = &subject.identifier;
            doctor.certify(name, signing, encryption, NOW, &mut OsRandom)
        };
        let other = [
            certify(subject.signing_key.clone(), hers(encryption.public())),
            certify(
                signing.verifying_key().clone(),
                hers(subject.encryption_key.as_ref().unwrap()),
            ),
        ];
        let tables = tables();
        let issue = |id, certificate| tables.issue(&[id; 16], certificate, NOW).unwrap();
        assert_eq!(issue(1, known), Issued::Now);
        for other in &other {
            assert_eq!(issue(2, other), Issued::KeysInUse);
        }
        // The ticket is not used up by that, and the other one is.
        assert_eq!(issue(2, patients[1].certificate()), Issued::Now);
        assert_eq!(issue(1, patients[1].certificate()), Issued::TicketUsed);
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// How often in a row a certificate may be tried.
    fn tries(rates: &mut Rates, from: IpAddr, now: Instant) -> usize {
        (0..1_000).filter(|_| rates.may_try(from, now)).count()
    }

    #[test]
    fn a_copy_of_a_certificate_does_not_delay_its_holder_where_she_was_before() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        rates.note_address(address(1), now);
        // However many addresses they are: all others have one allowance.
        let elsewhere: usize = (2..=200)
            .map(|last| tries(&mut rates, address(last), now))
            .sum();
        assert_eq!(elsewhere, 60);
        assert!(rates.may_try(address(1), now) && rates.may_begin(now));
        assert!(!rates.may_try(address(2), now));
        let later = now + Duration::from_secs(60);
        assert_eq!(tries(&mut rates, address(2), later), 10);
    }

    #[test]
    fn what_fails_at_the_holders_own_address_is_bounded_and_made_good_by_her() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        rates.note_address(address(1), now);
        assert_eq!(tries(&mut rates, address(1), now), 60);
        rates.note_address(address(1), now);
        assert_eq!(tries(&mut rates, address(1), now), 60);
    }

    #[test]
    fn the_latest_four_addresses_of_a_holder_are_remembered() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        // The first is still in use: others go first.
        for last in [1, 2, 3, 4, 1, 5] {
            rates.note_address(address(last), now);
        }
        assert_eq!(tries(&mut rates, address(9), now), 60);
        let known: Vec<_> = (1..=9)
            .filter(|last| rates.may_try(address(*last), now))
            .collect();
        assert_eq!(known, [1, 3, 4, 5]);
    }

    #[test]
    fn a_holder_begins_so_many_handshakes_and_those_who_fail_take_none() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        tries(&mut rates, address(2), now);
        assert_eq!((0..100).filter(|_| rates.may_begin(now)).count(), 60);
        let later = now + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| rates.may_begin(later)).count(), 10);
    }
}
