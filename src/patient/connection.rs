//! The thread that connects: again and again, until there is a reason not to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::group::receiver::Progress;
use crate::handshake::patient::{HandshakeError, certificate_answer, certificate_request};
use crate::handshake::resume::ResumptionTicket;
use crate::identity::id::Identifier;
use crate::identity::known_doctor::{KnownDoctor, TrustError};
use crate::patient::backoff::Backoff;
use crate::patient::client::Shared;
use crate::patient::colleagues::Colleagues;
use crate::patient::connect::{ConnectError, Established, Handshake, Outcome};
use crate::patient::control::ends_soon;
use crate::patient::event::{Event, Stopped};
use crate::patient::link::Link;
use crate::patient::lookout::{Look, Lookout};
use crate::patient::session::{Clinic, End, Live, Over};
use crate::random::OsRandom;

/// The thread that connects.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    /// The doctor who enrolled the patient. Her list of revoked doctors is the
    /// latest that any doctor of the clinic has shown.
    pub(super) home: KnownDoctor,
    pub(super) home_address: String,
    /// Where the doctor who was asked for is, if the person has said so.
    pub(super) at: Option<String>,
    /// The clinic's doctors.
    pub(super) colleagues: Colleagues,
    /// What earlier connections to a doctor have left.
    pub(super) lines: HashMap<Identifier, Line>,
}

/// What earlier connections to a doctor have left.
#[derive(Default)]
pub(super) struct Line {
    /// What is known of the doctor may be old: ask first.
    ask: bool,
    ticket: Option<ResumptionTicket>,
    progress: Option<Progress>,
}

/// What trying one doctor after the other has led to.
enum Round {
    /// A session, which lasted so long and ended like this.
    Over(End, Duration),
    /// None: try again later.
    Failed,
    /// None, and no further attempt.
    Stopped(Stopped),
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
            match self.round() {
                Round::Stopped(stopped) => return stopped,
                // The one who was asked for is there: no reason to wait.
                Round::Over(End::Back, _) => continue,
                Round::Over(end, lasted) => {
                    if lasted >= self.shared.config.good_session {
                        backoff.reset();
                    }
                    if let Some(stopped) = self.after_session(end) {
                        return stopped;
                    }
                }
                Round::Failed => {}
            }
            let after = backoff.wait(&mut OsRandom);
            self.shared.tell(Event::Retrying { after });
            if self.shared.pause(after) {
                return Stopped::Asked;
            }
        }
    }

    /// Tries the doctor who was asked for and then, if the person wants that,
    /// the others, until there was a session.
    fn round(&mut self) -> Round {
        let asked = self.shared.asked.clone();
        let mut doctors = vec![asked.clone()];
        if self.shared.config.failover {
            let now = self.shared.clock.now();
            doctors.extend(self.colleagues.instead_of(&asked, &self.home, now));
        }
        let mut first = None;
        for (at, doctor) in doctors.iter().enumerate() {
            let began = Instant::now();
            let error = match self.may_call(doctor).and_then(|()| self.connect(doctor)) {
                _ if self.shared.is_stopping() => return Round::Stopped(Stopped::Asked),
                Ok(end) => return Round::Over(end, began.elapsed()),
                Err(error) => error,
            };
            let is_alone = doctors.len() == 1;
            if !error.heals() && (is_alone || !concerns_one(&error, *doctor == asked)) {
                return Round::Stopped(Stopped::Refused(error));
            }
            // A server that goes away or does not answer sensibly may be one
            // whose papers have changed.
            self.line(doctor).ask |= !matches!(error, ConnectError::Link(_));
            if !is_alone {
                self.shared.tell(Event::Unreached {
                    doctor: doctor.clone(),
                    reason: error.to_string(),
                    next: doctors.get(at + 1).cloned(),
                });
            }
            first.get_or_insert(error);
        }
        if let Some(error) = first {
            self.shared.tell(Event::NotConnected(error));
        }
        Round::Failed
    }

    /// Whom the clinic has revoked is not called.
    fn may_call(&self, doctor: &Identifier) -> Result<(), ConnectError> {
        if !self.colleagues.has_left(doctor, &self.home) {
            return Ok(());
        }
        let now = self.shared.clock.now();
        Err(ConnectError::Left {
            doctor: doctor.clone(),
            others: self.colleagues.instead_of(doctor, &self.home, now),
        })
    }

    fn line(&mut self, doctor: &Identifier) -> &mut Line {
        self.lines.entry(doctor.clone()).or_default()
    }

    /// Connects to this doctor, once, and stays for as long as the session
    /// lasts.
    fn connect(&mut self, name: &Identifier) -> Result<End, ConnectError> {
        let Some((link, established, doctor)) = self.establish(name)? else {
            // An answer with a new prekey to the newest prekey.
            return Err(HandshakeError::Unexpected.into());
        };
        let shared = Arc::clone(&self.shared);
        let certificate = doctor.certificate().clone();
        let instead_of = Some(&shared.asked).filter(|asked| *asked != name);
        let may_come_back = instead_of.filter(|asked| self.may_call(asked).is_ok());
        let lookout = may_come_back.map(|asked| Lookout::new(self.look(asked)));
        let connected = Event::Connected {
            doctor: name.clone(),
            instead_of: instead_of.cloned(),
            resumed: established.resumed,
            clock: established.clock,
        };
        let progress = self.line(name).progress;
        let clinic = Clinic {
            home: &self.home,
            colleagues: &mut self.colleagues,
            lookout,
        };
        let live = Live::new(&shared, link, &certificate, *established, progress, clinic)?;
        shared.session_began(name);
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
        let line = self.line(name);
        line.ticket = ticket;
        line.progress = Some(progress);
        shared.session_over();
        Ok(end)
    }

    /// A session over a new connection; over a second one if the first only
    /// brought the doctor's newest prekey.
    fn establish(
        &mut self,
        name: &Identifier,
    ) -> Result<Option<(Link, Box<Established>, KnownDoctor)>, ConnectError> {
        for _ in 0..2 {
            let look = self.look(name);
            let mut link = look.connect()?;
            self.shared.register(&link)?;
            // Whoever was asked just now is not asked again.
            let (mut doctor, may_ask) = match look.known {
                Some(known) => (known, true),
                None => (self.first_contact(name, &mut link)?, false),
            };
            let line = self.lines.entry(name.clone()).or_default();
            let mut handshake = Handshake {
                link: &mut link,
                identity: &self.shared.identity,
                doctor: &mut doctor,
                files: &self.shared.files,
                config: &self.shared.config,
                clock: &*self.shared.clock,
            };
            let outcome = handshake.run(line.ask && may_ask, &mut line.ticket);
            // Also what was learned before something went wrong.
            self.learn(doctor.clone());
            if let Outcome::Established(established) = outcome? {
                self.line(name).ask = false;
                return Ok(Some((link, established, doctor)));
            }
        }
        Ok(None)
    }

    /// Asks a doctor of the clinic who she is, the first time.
    fn first_contact(
        &self,
        name: &Identifier,
        link: &mut Link,
    ) -> Result<KnownDoctor, ConnectError> {
        let listed = self
            .colleagues
            .get(name)
            .ok_or(HandshakeError::Unexpected)?;
        link.send(&certificate_request())?;
        let answer = link.receive()?;
        let now = self.shared.clock.now();
        let body = certificate_answer(&answer)?;
        let own = self.shared.identity.own();
        let known = self
            .home
            .colleague(body, listed.entry.certificate(), own, now)
            .map_err(ConnectError::Papers)?;
        let saved = self.shared.files.save_doctor(&known, now);
        saved.map_err(ConnectError::Files)?;
        Ok(known)
    }

    /// Keeps what is known of a doctor. The list of revoked ones is the
    /// clinic's, whoever has shown it.
    fn learn(&mut self, doctor: KnownDoctor) {
        self.home.raise_list(doctor.revoked());
        if doctor.certificate().subject().identifier == self.home.certificate().subject().identifier
        {
            self.home = doctor;
        } else {
            self.colleagues.learn(doctor);
        }
    }

    /// Where this doctor is reached, and what is known of her.
    fn look(&self, name: &Identifier) -> Look {
        let listed = self.colleagues.get(name);
        let home = &self.home.certificate().subject().identifier;
        let (first, known) = match name == home {
            true => (Some(self.home_address.clone()), Some(&self.home)),
            false => (None, listed.and_then(|listed| listed.known.as_ref())),
        };
        let second = listed.map(|listed| listed.entry.address().to_string());
        let said = self.at.clone().filter(|_| *name == self.shared.asked);
        let addresses: Vec<String> = match said {
            Some(said) => vec![said],
            None => first.into_iter().chain(second).collect(),
        };
        let known = known.cloned().map(|mut known| {
            known.raise_list(self.home.revoked());
            known
        });
        Look {
            shared: Arc::downgrade(&self.shared),
            config: self.shared.config.clone(),
            addresses,
            known,
            home: self.home.clone(),
            listed: listed.map(|listed| listed.entry.certificate().clone()),
        }
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
            End::Back => None,
        }
    }
}

/// Whether what another attempt would not heal concerns one doctor alone, so
/// that it may be tried with the others: whatever is wrong between this device
/// and one who was not even asked for, and that the clinic has revoked the one
/// who was.
const fn concerns_one(error: &ConnectError, was_asked: bool) -> bool {
    match error {
        ConnectError::Left { .. }
        | ConnectError::Papers(TrustError::Revoked)
        | ConnectError::Handshake(HandshakeError::Trust(TrustError::Revoked)) => true,
        ConnectError::Papers(_) | ConnectError::Handshake(_) => !was_asked,
        ConnectError::Link(_) | ConnectError::NotAccepted | ConnectError::Files(_) => false,
    }
}
