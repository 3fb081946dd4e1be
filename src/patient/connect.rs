//! From a connection to a session: who are you, the earlier session's token,
//! or the full handshake.

use std::fmt;

use crate::clock::{Clock, Timestamp};
use crate::framing::Frame;
use crate::handshake::patient::{self, HandshakeError, Step, certificate_answer};
use crate::handshake::resume::{self, ResumptionTicket};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::{KnownDoctor, News, TrustError};
use crate::identity::patient_identity::PatientIdentity;
use crate::patient::config::Config;
use crate::patient::event::ClockDifference;
use crate::patient::files::{Files, FilesError};
use crate::patient::link::{Link, LinkError};
use crate::protocol::record::SessionToken;
use crate::protocol::{AlertCode, sub};
use crate::random::OsRandom;
use crate::session::SessionKey;
use crate::session::channel::Opener;
use crate::session::patient::AwaitToken;
use crate::store::StoreFault;

/// Why there is no session.
#[derive(Debug)]
pub enum ConnectError {
    /// The clinic has revoked the doctor who was asked for. Nobody was called.
    Left {
        /// Who was asked for.
        doctor: Identifier,
        /// Those of the clinic who can be connected to instead.
        others: Vec<Identifier>,
    },
    /// The connection failed.
    Link(LinkError),
    /// The server closed without a word when it was shown who this is.
    NotAccepted,
    /// What the server shows of itself is not believed. Anybody on the way can
    /// show something.
    Papers(TrustError),
    /// The two sides do not believe each other.
    Handshake(HandshakeError),
    /// What was learned cannot be kept.
    Files(FilesError),
}

impl ConnectError {
    /// Whether another attempt may succeed without a person's doing.
    #[must_use]
    pub const fn heals(&self) -> bool {
        match self {
            Self::Link(_) | Self::NotAccepted => true,
            // Anybody on the way can cause these two.
            Self::Handshake(HandshakeError::Unexpected | HandshakeError::NotTheDoctor) => true,
            Self::Handshake(HandshakeError::Refused { code, .. }) => {
                matches!(code, AlertCode::Busy)
            }
            // Somebody may have answered in the doctor's place, or the address be
            // wrong for now. Only what the clinic's root has signed ends it: it
            // says that a person must look.
            Self::Papers(error) => {
                !matches!(error, TrustError::ChangedKey { .. } | TrustError::Revoked)
            }
            // A clock is wrong, this device's or the doctor's, and may be set; a
            // doctor's server makes itself a prekey that is valid then.
            Self::Handshake(HandshakeError::Trust(
                TrustError::PrekeyDates | TrustError::OwnClock(_),
            )) => true,
            // There may be room on the disk by then.
            Self::Files(FilesError::Store(error)) => matches!(
                error.fault(),
                StoreFault::Full | StoreFault::ReadOnly | StoreFault::Busy
            ),
            Self::Left { .. } | Self::Handshake(HandshakeError::Trust(_)) | Self::Files(_) => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left { doctor, others } => {
                let others: Vec<&str> = others.iter().map(Identifier::as_str).collect();
                let others = match others[..] {
                    [] => "no other doctor of it is known here".to_owned(),
                    [one] => format!("{one} can be connected to instead"),
                    _ => format!("these can be connected to instead: {}", others.join(", ")),
                };
                write!(
                    f,
                    "the clinic has revoked doctor {doctor}, who has left it or has a new key, and \
                     she is not called; {others}"
                )
            }
            Self::Link(error) => write!(f, "{error}"),
            Self::NotAccepted => f.write_str(
                "the server closed the connection without a word: it is not the doctor's, \
                 it does not know this device, or it has no time for it now",
            ),
            Self::Papers(error) => write!(f, "{error}"),
            Self::Handshake(error) => write!(f, "{error}"),
            Self::Files(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<LinkError> for ConnectError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Closed => Self::NotAccepted,
            other => Self::Link(other),
        }
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// A confirmed session.
pub(super) struct Established {
    pub(super) session: SessionKey,
    pub(super) token: SessionToken,
    pub(super) opener: Opener,
    pub(super) resumed: bool,
    /// When it began, by the doctor's clock.
    pub(super) began: Timestamp,
    pub(super) clock: Option<ClockDifference>,
}

/// What a handshake leads to, other than an error.
pub(super) enum Outcome {
    /// A session.
    Established(Box<Established>),
    /// The doctor's newest prekey is known now: connect again.
    StartAgain,
}

/// What a handshake works with.
pub(super) struct Handshake<'a> {
    pub(super) link: &'a mut Link,
    pub(super) identity: &'a PatientIdentity,
    pub(super) doctor: &'a mut KnownDoctor,
    pub(super) files: &'a Files,
    pub(super) config: &'a Config,
    pub(super) clock: &'a dyn Clock,
}

impl Handshake<'_> {
    /// Goes through it. `ask`: begin with CERT?, since what is known of the
    /// doctor may be old. The ticket is gone once the doctor has answered it:
    /// whoever hung up before may not even have looked at it. It is gone, too,
    /// where it would be shown again on another network: somebody may swallow the
    /// answers to find out who moves where.
    pub(super) fn run(
        &mut self,
        ask: bool,
        ticket: &mut Option<ResumptionTicket>,
    ) -> Result<Outcome, ConnectError> {
        // Nothing else is said to a doctor whom the clinic has revoked, unless
        // she shows a newer certificate.
        let ask = ask || self.doctor.is_revoked();
        if ask || !self.doctor.prekey().is_valid_at(self.clock.now()) {
            self.ask()?;
        }
        let here = self.link.own_address()?;
        ticket.take_if(|ticket| {
            !ticket.is_valid_at(self.clock.now()) || ticket.was_shown_elsewhere(here)
        });
        if let Some(ticket) = ticket {
            ticket.shown(here);
        }
        if let Some(once) = ticket.as_ref().map(ResumptionTicket::duplicate)
            && let Some(established) = self.resume(once, ticket)?
        {
            return Ok(Outcome::Established(Box::new(established)));
        }
        self.full()
    }

    fn ask(&mut self) -> Result<(), ConnectError> {
        self.link.send(&patient::certificate_request())?;
        let answer = self.link.receive()?;
        let body = certificate_answer(&answer)?;
        let now = self.clock.now();
        let news = self
            .doctor
            .check_bundle(body, self.identity.own(), now)
            .map_err(ConnectError::Papers)?;
        self.learn(news)
    }

    /// Nothing if the doctor does not know the token any more.
    fn resume(
        &mut self,
        once: ResumptionTicket,
        ticket: &mut Option<ResumptionTicket>,
    ) -> Result<Option<Established>, ConnectError> {
        let group = self.doctor.group().clone();
        let (request, state) = resume::begin(once, &group, self.clock.now(), &mut OsRandom);
        self.link.send(&request)?;
        let answer = self.link.receive()?;
        *ticket = None;
        match state.on_frame(&group, &answer, self.clock.now())? {
            resume::Step::NoToken => Ok(None),
            resume::Step::Answered(m3, agreed) => self.confirm(&m3, agreed, true).map(Some),
        }
    }

    fn full(&mut self) -> Result<Outcome, ConnectError> {
        let now = self.clock.now();
        let (m1, mut state) = patient::begin(self.identity, self.doctor, now, &mut OsRandom);
        self.link.send(&m1)?;
        loop {
            let answer = self.link.receive()?;
            let now = self.clock.now();
            let step = state.on_frame(self.identity, self.doctor, &answer, now, &mut OsRandom);
            let step = step.map_err(|error| match (error, answer.sub()) {
                (HandshakeError::Trust(error), sub::CERT) => ConnectError::Papers(error),
                (error, _) => error.into(),
            })?;
            match step {
                Step::Retry(m1, next) => {
                    self.link.send(&m1)?;
                    state = *next;
                }
                Step::StartAgain(news) => {
                    self.learn(*news)?;
                    return Ok(Outcome::StartAgain);
                }
                Step::Answered { m3, agreed, news } => {
                    self.learn(*news)?;
                    let established = self.confirm(&m3, agreed, false)?;
                    return Ok(Outcome::Established(Box::new(established)));
                }
            }
        }
    }

    fn learn(&mut self, news: News) -> Result<(), ConnectError> {
        let known = [
            self.doctor.certificate().as_bytes() == news.certificate.as_bytes(),
            self.doctor.prekey().as_bytes() == news.prekey.as_bytes(),
            self.doctor.revoked().as_bytes() == news.revoked.as_bytes(),
        ];
        if known == [true; 3] {
            return Ok(());
        }
        let now = self.clock.now();
        self.doctor.learn(news, now);
        self.files
            .save_doctor(self.doctor, now)
            .map_err(ConnectError::Files)
    }

    /// Sends M3 and waits for the doctor's confirmation.
    fn confirm(
        &mut self,
        m3: &Frame,
        agreed: patient::Agreed,
        resumed: bool,
    ) -> Result<Established, ConnectError> {
        let now = self.clock.now();
        self.link.send(m3)?;
        self.link.begin_session();
        let first = self.link.receive()?;
        let (token, session, opener) = AwaitToken::new(agreed.session)
            .on_frame(&first)
            .map_err(|_| HandshakeError::NotTheDoctor)?;
        Ok(Established {
            session,
            token,
            opener,
            resumed,
            began: agreed.their_time,
            clock: ClockDifference::over(self.config.tolerance, now, agreed.their_time),
        })
    }
}
