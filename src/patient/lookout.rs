//! Looking for a doctor: where she is reached, and, during a session with
//! another one of the clinic, whether she is back.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::handshake::patient::{certificate_answer, certificate_request};
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::known_doctor::KnownDoctor;
use crate::patient::client::Shared;
use crate::patient::config::Config;
use crate::patient::connect::ConnectError;
use crate::patient::link::{Link, LinkError};

/// How often it is asked how a look went, and whether it is quiet.
const TICK: Duration = Duration::from_millis(200);

/// A doctor who is looked for.
pub(super) struct Look {
    /// Not held on to: it has the directory, which is given back when the
    /// client ends, whoever still waits for an answer.
    pub(super) shared: Weak<Shared>,
    pub(super) config: Config,
    /// Where she may be reached, the likeliest first.
    pub(super) addresses: Vec<String>,
    /// What is known of her since an earlier connection.
    pub(super) known: Option<KnownDoctor>,
    /// The doctor who enrolled the patient.
    pub(super) home: KnownDoctor,
    /// What she says of herself.
    pub(super) listed: Option<VerifiedCertificate>,
}

impl Look {
    /// A connection to her, at whichever of her addresses a server answers.
    pub(super) fn connect(&self) -> Result<Link, LinkError> {
        let mut last = LinkError::Closed;
        for address in &self.addresses {
            match Link::connect(address, &self.config) {
                Err(error @ (LinkError::UnknownHost { .. } | LinkError::NoServer { .. })) => {
                    last = error;
                }
                connected => return connected,
            }
        }
        Err(last)
    }

    /// Asks who is there, and no more.
    fn is_there(&self) -> Result<(), ConnectError> {
        let mut link = self.connect()?;
        link.send(&certificate_request())?;
        let answer = link.receive()?;
        let body = certificate_answer(&answer)?;
        let shared = self.shared.upgrade().ok_or(ConnectError::NotAccepted)?;
        let (own, now) = (shared.identity.own(), shared.clock.now());
        let checked = match (&self.known, &self.listed) {
            (Some(known), _) => known.check_bundle(body, own, now).map(drop),
            (None, Some(listed)) => self.home.colleague(body, listed, own, now).map(drop),
            (None, None) => return Err(ConnectError::NotAccepted),
        };
        checked.map_err(ConnectError::Papers)
    }
}

/// Looks now and then, on a thread of its own, whether a doctor is back.
pub(super) struct Lookout {
    look: Arc<Look>,
    every: Duration,
    state: State,
}

enum State {
    /// The next look is then.
    Waiting(Instant),
    Looking(JoinHandle<bool>),
    Back,
}

impl Lookout {
    pub(super) fn new(look: Look) -> Self {
        let every = look.config.look;
        Self {
            look: Arc::new(look),
            every,
            state: State::Waiting(Instant::now() + every),
        }
    }

    /// When there is something to be done.
    pub(super) fn due(&self, now: Instant) -> Instant {
        match &self.state {
            State::Waiting(at) => *at,
            State::Looking(_) | State::Back => now + TICK,
        }
    }

    /// Does what is due; says whether she is back.
    pub(super) fn is_back(&mut self, now: Instant) -> bool {
        match &self.state {
            State::Waiting(at) if now >= *at => {
                let look = Arc::clone(&self.look);
                let thread = thread::Builder::new()
                    .name("lookout".to_owned())
                    .spawn(move || look.is_there().is_ok());
                // Without a thread: later.
                self.state = thread.map_or(State::Waiting(now + self.every), State::Looking);
            }
            State::Looking(thread) if thread.is_finished() => {
                let before = std::mem::replace(&mut self.state, State::Back);
                let is_there = match before {
                    State::Looking(thread) => thread.join().unwrap_or(false),
                    State::Waiting(_) | State::Back => false,
                };
                if !is_there {
                    self.state = State::Waiting(now + self.every);
                }
            }
            State::Waiting(_) | State::Looking(_) | State::Back => {}
        }
        matches!(self.state, State::Back)
    }
}
