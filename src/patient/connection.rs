//! The thread that connects: again and again, until there is a reason not to.

use std::sync::Arc;
use std::time::Instant;

use crate::group::receiver::Progress;
use crate::handshake::patient::HandshakeError;
use crate::handshake::resume::ResumptionTicket;
use crate::identity::known_doctor::KnownDoctor;
use crate::patient::backoff::Backoff;
use crate::patient::client::Shared;
use crate::patient::connect::{ConnectError, Established, Handshake, Outcome};
use crate::patient::control::ends_soon;
use crate::patient::event::{Event, Stopped};
use crate::patient::link::Link;
use crate::patient::session::{End, Live, Over};
use crate::random::OsRandom;

/// The thread that connects.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) doctor: KnownDoctor,
    pub(super) address: String,
    /// What is known of the doctor may be old: ask first.
    pub(super) ask: bool,
    pub(super) ticket: Option<ResumptionTicket>,
    pub(super) progress: Option<Progress>,
}

impl Connection {
    pub(super) fn run(mut self) {
        let stopped = self.keep_connected();
        let events = self.shared.finish();
        // From here on only the client holds the directory.
        drop(self);
        // Nobody need listen.
        let _ = events.send(Event::Stopped(stopped));
    }

    fn keep_connected(&mut self) -> Stopped {
        let config = &self.shared.config;
        let mut backoff = Backoff::new(config.first_wait, config.longest_wait);
        loop {
            let now = self.shared.clock.now();
            if let Err(error) = self.shared.identity.certificate().check_dates(now) {
                return Stopped::OwnCertificate(error);
            }
            let began = Instant::now();
            let stopped = match self.connect() {
                _ if self.shared.is_stopping() => Some(Stopped::Asked),
                Ok(end) => {
                    if began.elapsed() >= self.shared.config.good_session {
                        backoff.reset();
                    }
                    self.after_session(end)
                }
                Err(error) => self.after_failure(error),
            };
            if let Some(stopped) = stopped {
                return stopped;
            }
            let after = backoff.wait(&mut OsRandom);
            self.shared.tell(Event::Retrying { after });
            if self.shared.pause(after) {
                return Stopped::Asked;
            }
        }
    }

    /// Connects, once, and stays for as long as the session lasts.
    fn connect(&mut self) -> Result<End, ConnectError> {
        let Some((link, established)) = self.establish()? else {
            // An answer with a new prekey to the newest prekey.
            return Err(HandshakeError::Unexpected.into());
        };
        let shared = Arc::clone(&self.shared);
        let doctor = self.doctor.certificate().clone();
        let connected = Event::Connected {
            doctor: doctor.subject().identifier.clone(),
            resumed: established.resumed,
            clock: established.clock,
        };
        let live = Live::new(&shared, link, &doctor, *established, self.progress)?;
        shared.session_began();
        shared.tell(connected);
        let end = shared.identity.certificate().subject().not_after;
        if ends_soon(end, shared.clock.now()) {
            shared.tell(Event::CertificateEnds(end));
        }
        let Over {
            end,
            ticket,
            progress,
        } = live.run();
        self.ticket = ticket;
        self.progress = Some(progress);
        shared.session_over();
        Ok(end)
    }

    /// A session over a new connection; over a second one if the first only
    /// brought the doctor's newest prekey.
    fn establish(&mut self) -> Result<Option<(Link, Box<Established>)>, ConnectError> {
        for _ in 0..2 {
            let mut link = Link::connect(&self.address, &self.shared.config)?;
            self.shared.register(&link)?;
            let mut handshake = Handshake {
                link: &mut link,
                identity: &self.shared.identity,
                doctor: &mut self.doctor,
                files: &self.shared.files,
                config: &self.shared.config,
                clock: &*self.shared.clock,
            };
            if let Outcome::Established(established) = handshake.run(self.ask, &mut self.ticket)? {
                self.ask = false;
                return Ok(Some((link, established)));
            }
        }
        Ok(None)
    }

    /// What the end of a session means; none: connect again.
    fn after_session(&self, end: End) -> Option<Stopped> {
        match end {
            End::Asked => Some(Stopped::Asked),
            End::ProtocolBroken => Some(Stopped::ProtocolBroken),
            End::Doctor(reason) if reason.comes_back() => {
                self.shared.tell(Event::Ended(reason));
                None
            }
            End::Doctor(reason) => Some(Stopped::Ended(reason)),
            End::Lost(loss) => {
                self.shared.tell(Event::ConnectionLost(loss));
                None
            }
        }
    }

    /// What a failed attempt means; none: connect again.
    fn after_failure(&mut self, error: ConnectError) -> Option<Stopped> {
        if !error.heals() {
            return Some(Stopped::Refused(error));
        }
        // A server that goes away or does not answer sensibly may be one whose
        // papers have changed.
        self.ask |= !matches!(error, ConnectError::Link(_));
        self.shared.tell(Event::NotConnected(error));
        None
    }
}
