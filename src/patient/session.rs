//! A session that is there: reads what comes, answers it, keeps the connection
//! alive, renews the keys.

mod unanswered;

use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::framing::Frame;
use crate::group::receiver::Progress;
use crate::handshake::resume::{self, AwaitResumed, ResumptionTicket, Step};
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::roster::RosterEntry;
use crate::patient::backoff::between;
use crate::patient::client::Shared;
use crate::patient::colleagues::Colleagues;
use crate::patient::connect::Established;
use crate::patient::event::{Event, Loss};
use crate::patient::files::FilesError;
use crate::patient::inbox::Taken;
use crate::patient::link::{Link, LinkError};
use crate::patient::lookout::Lookout;
use crate::patient::outbox::Receipted;
use crate::patient::session::unanswered::Unanswered;
use crate::protocol::DisconnectReason;
use crate::protocol::message::Message;
use crate::protocol::opcode;
use crate::protocol::record::{Disconnect, Heartbeat, Receipt, Roster, SessionToken};
use crate::random::OsRandom;
use crate::session::channel::{Opener, Sealer};
use crate::session::patient::{AwaitToken, Delivery, FromDoctor, PatientEnd, SessionError};
use crate::session::signed::Parties;
use crate::session::{Direction, SessionKey};

/// How long the doctor's server may take to close after the last word.
const CLOSING: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// This side left.
    Asked,
    /// The doctor said so.
    Doctor(DisconnectReason),
    /// Come back.
    Lost(Loss),
    /// The doctor's own server broke the protocol: do not come back.
    ProtocolBroken,
    /// The doctor who was asked for is there again: change over to her.
    Back,
}

/// Where a renewal of the keys stands.
#[derive(Debug)]
enum Renewal {
    /// The request is sent.
    Asked(Box<AwaitResumed>),
    /// M3 is sent.
    Proved(Box<AwaitToken>),
}

/// What a session is concerned with beside its doctor.
pub(super) struct Clinic<'a> {
    /// The doctor who enrolled the patient.
    pub(super) home: &'a KnownDoctor,
    /// Those of her clinic.
    pub(super) colleagues: &'a mut Colleagues,
    /// Looks for the doctor who was asked for, if this is another.
    pub(super) lookout: Option<Lookout>,
}

/// A session, for the thread that reads.
pub(super) struct Live<'a> {
    shared: &'a Shared,
    link: Link,
    doctor: &'a VerifiedCertificate,
    end: PatientEnd,
    ticket: Option<ResumptionTicket>,
    renewal: Option<Renewal>,
    /// Messages that came while the keys were being renewed.
    unanswered: Vec<Unanswered>,
    clinic: Clinic<'a>,
    /// When the session began, by the doctor's clock.
    began: Timestamp,
    last_heard: Instant,
    renew_at: Instant,
    check_at: Instant,
}

impl<'a> Live<'a> {
    /// Begins with what was established over `link`. From here on other
    /// threads can send.
    pub(super) fn new(
        shared: &'a Shared,
        link: Link,
        doctor: &'a VerifiedCertificate,
        established: Established,
        earlier: Option<Progress>,
        clinic: Clinic<'a>,
    ) -> Result<Self, LinkError> {
        let Established {
            session,
            token,
            opener,
            began,
            ..
        } = established;
        let end = PatientEnd::new(&session, opener, &token, &shared.identity, doctor, earlier);
        let sealer = Sealer::new(&session, Direction::PatientToDoctor);
        let parties = Parties {
            doctor: doctor.fingerprint(),
            patient: shared.identity.certificate().fingerprint(),
        };
        shared.wire.open(link.stream()?, sealer, parties);
        let now = Instant::now();
        Ok(Self {
            ticket: shared.ticket(&session, &token),
            shared,
            link,
            doctor,
            end,
            renewal: None,
            unanswered: Vec::new(),
            clinic,
            began,
            last_heard: now,
            renew_at: now + between(&shared.config.renewal, &mut OsRandom),
            check_at: now + shared.config.certificate_check,
        })
    }

    /// Works until the session is over. Gives how it ended and what the next
    /// one goes on from.
    pub(super) fn run(mut self) -> Over {
        let end = self.stay();
        self.shared.wire.close();
        Over {
            end,
            ticket: self.ticket,
            progress: self.end.progress(),
        }
    }

    fn stay(&mut self) -> End {
        if self.shared.is_stopping() {
            // It was asked for before there was a session to be ended.
            self.say(DisconnectReason::AskedByPatient);
            return End::Asked;
        }
        self.shared.flush();
        loop {
            if let Err(end) = self.step() {
                return end;
            }
        }
    }

    fn step(&mut self) -> Result<(), End> {
        let deadline = self.keep_time()?;
        let frame = self.link.receive_until(deadline);
        if self.shared.is_stopping() {
            // The last word is said; what still comes is not answered, so the
            // doctor's server keeps it for the next time.
            return match frame {
                Ok(_) if Instant::now() < self.last_heard + self.shared.config.idle => Ok(()),
                _ => Err(End::Asked),
            };
        }
        match frame {
            Ok(Some(frame)) => {
                self.last_heard = Instant::now();
                let result = self.on_frame(&frame);
                self.shared
                    .seen(self.end.last_mid(), self.end.records_received());
                result
            }
            Ok(None) => Ok(()),
            Err(error) => Err(End::Lost(Loss::Link(error))),
        }
    }

    /// Does what is due, and says when the next thing will be.
    fn keep_time(&mut self) -> Result<Instant, End> {
        let now = Instant::now();
        let config = &self.shared.config;
        let silent_at = self.last_heard + config.idle;
        if now >= silent_at {
            return Err(End::Lost(Loss::Link(LinkError::Silent(config.idle))));
        }
        if now >= self.check_at {
            self.check_at = now + config.certificate_check;
            self.check_certificates()?;
        }
        if let Some(last_sent) = self.shared.wire.last_sent()
            && now >= last_sent + config.heartbeat
        {
            let sign_of_life = Heartbeat(self.end.last_mid());
            self.shared
                .wire
                .record(opcode::HEARTBEAT, &sign_of_life.encode());
            // What waited behind something that nobody receipts.
            self.shared.flush();
        }
        if now >= self.renew_at || self.many_records() {
            self.renew(now)?;
        }
        self.change_over(now)?;
        let beat_at = self
            .shared
            .wire
            .last_sent()
            .map_or(silent_at, |last_sent| last_sent + config.heartbeat);
        let not_taken_at = now + self.shared.tell_not_taken();
        let due = [
            silent_at,
            self.check_at,
            beat_at,
            self.renew_at,
            not_taken_at,
        ];
        let look_at = self.clinic.lookout.as_ref().map(|lookout| lookout.due(now));
        Ok(due.into_iter().chain(look_at).min().unwrap_or(silent_at))
    }

    /// Ends a session with another doctor once the one who was asked for is
    /// back, between two messages of the person's.
    fn change_over(&mut self, now: Instant) -> Result<(), End> {
        let Some(lookout) = &mut self.clinic.lookout else {
            return Ok(());
        };
        if !lookout.is_back(now) || self.renewal.is_some() || !self.shared.is_quiet() {
            return Ok(());
        }
        let doctor = self.shared.asked.clone();
        self.shared.tell(Event::Back { doctor });
        self.say(DisconnectReason::AskedByPatient);
        Err(End::Back)
    }

    fn many_records(&self) -> bool {
        let limit = self.shared.config.renewal_records;
        self.ticket.is_some()
            && (self.end.records_received() >= limit || self.shared.wire.count() >= limit)
    }

    fn check_certificates(&mut self) -> Result<(), End> {
        let now = self.shared.clock.now();
        let own = self.shared.identity.certificate().check_dates(now);
        if own.and(self.doctor.check_dates(now)).is_ok() {
            return Ok(());
        }
        self.ticket = None;
        self.say(DisconnectReason::Expired);
        Err(End::Lost(Loss::Expired))
    }

    /// Asks for new keys; or, if that was done and has not led anywhere, gives
    /// the connection up. Without a token the doctor ends the session when its
    /// time is over.
    fn renew(&mut self, now: Instant) -> Result<(), End> {
        let config = &self.shared.config;
        if self.renewal.is_some() {
            return Err(End::Lost(Loss::Link(LinkError::Silent(config.handshake))));
        }
        let at = self.shared.clock.now();
        let Some(ticket) = self.ticket.take().filter(|ticket| ticket.is_valid_at(at)) else {
            self.renew_at = now + *config.renewal.end();
            return Ok(());
        };
        let group = self.doctor.group();
        let (request, state) = resume::begin(ticket, group, at, &mut OsRandom);
        self.shared.wire.pause(&request);
        self.renewal = Some(Renewal::Asked(Box::new(state)));
        self.renew_at = now + config.handshake;
        Ok(())
    }

    fn on_frame(&mut self, frame: &Frame) -> Result<(), End> {
        let unreadable = || End::Lost(Loss::Unreadable);
        match (frame.opcode(), self.renewal.take()) {
            (opcode::KEY_VERIFICATION, Some(Renewal::Asked(state))) => {
                self.on_resumed(*state, frame)
            }
            (opcode::SESSION_TOKEN, Some(Renewal::Proved(state))) => {
                let (token, session, opener) =
                    state.on_frame(frame).map_err(|error| self.fail(error))?;
                self.on_token(&token, &session, opener)
            }
            // Only broadcasts, which are no records, may come between.
            (other, Some(Renewal::Proved(_))) if other != opcode::ENC_MSG => Err(unreadable()),
            (_, renewal) => {
                self.renewal = renewal;
                match self.end.on_frame(frame) {
                    Ok(said) => self.on_said(said, frame),
                    Err(error) => Err(self.fail(error)),
                }
            }
        }
    }

    fn on_resumed(&mut self, state: AwaitResumed, frame: &Frame) -> Result<(), End> {
        let now = self.shared.clock.now();
        match state.on_frame(self.doctor.group(), frame, now) {
            // The doctor's DISCONNECT follows.
            Ok(Step::NoToken) => Ok(()),
            Ok(Step::Answered(m3, agreed)) => {
                self.shared.wire.pause(&m3);
                let state = AwaitToken::new(agreed.session);
                self.renewal = Some(Renewal::Proved(Box::new(state)));
                Ok(())
            }
            Err(_) => Err(End::Lost(Loss::Unreadable)),
        }
    }

    fn on_token(
        &mut self,
        token: &SessionToken,
        session: &SessionKey,
        opener: Opener,
    ) -> Result<(), End> {
        let renewed = self.end.renew(session, opener, token);
        renewed.map_err(|error| self.fail(error))?;
        let sealer = Sealer::new(session, Direction::PatientToDoctor);
        self.shared.wire.renew(sealer);
        self.ticket = self.shared.ticket(session, token);
        let wait = between(&self.shared.config.renewal, &mut OsRandom);
        self.renew_at = Instant::now() + wait;
        let key = session.receipt_key();
        let device = self.shared.identity.certificate().fingerprint();
        for unanswered in self.unanswered.drain(..) {
            let (opcode, body) = unanswered.answer(&key, &device);
            self.shared.wire.record(opcode, &body);
        }
        self.shared.flush();
        Ok(())
    }

    fn on_said(&mut self, said: FromDoctor, frame: &Frame) -> Result<(), End> {
        match said {
            FromDoctor::Epoch(epoch) => self.shared.tell(Event::Epoch {
                devices: epoch.devices,
                missed: epoch.missed,
            }),
            FromDoctor::Message {
                message,
                delivery,
                answer,
            } => return self.on_message(message, delivery, &answer, frame),
            FromDoctor::Received(receipt) => return self.on_receipt(&receipt),
            FromDoctor::Heartbeat => {}
            FromDoctor::Roster(roster) => return self.on_roster(&roster),
            FromDoctor::Disconnect(last_word) => {
                if last_word.reason == DisconnectReason::Expired {
                    self.ticket = None;
                }
                return Err(End::Doctor(last_word.reason));
            }
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        message: Message,
        delivery: Delivery,
        (opcode, body): &(u8, Vec<u8>),
        frame: &Frame,
    ) -> Result<(), End> {
        let unanswered = match self.renewal {
            Some(_) => Unanswered::new(&message, (*opcode, body), delivery, frame),
            None => None,
        };
        let from = &self.doctor.subject().identifier;
        // Beside the group comes, too, what another of the clinic's servers has to
        // give to some of those who are here: that was not missed.
        let kept_as = match delivery {
            Delivery::Missed if message.written() >= self.began => Delivery::Broadcast,
            delivery => delivery,
        };
        let taken = self.shared.take(&message, kept_as, from);
        let taken = taken.map_err(not_kept)?;
        if matches!(taken, Taken::Conflict) {
            return Err(self.fail(SessionError::Nonsense));
        }
        match unanswered {
            Some(unanswered) => self.unanswered.push(unanswered),
            None => self.shared.wire.record(*opcode, body),
        }
        match taken {
            Taken::New(entry) => self.shared.tell(Event::Message(entry)),
            Taken::Unconfirmed(entry) => self.shared.tell(Event::Reminder(entry)),
            Taken::Again | Taken::Conflict => {}
        }
        Ok(())
    }

    /// Keeps what is new of the clinic's doctors. An entry that is not believed
    /// is told of; the others are taken.
    fn on_roster(&mut self, roster: &Roster) -> Result<(), End> {
        let Clinic {
            home, colleagues, ..
        } = &mut self.clinic;
        let now = self.shared.clock.now();
        let mut is_news = false;
        for entry in &roster.0 {
            match colleagues.take(entry, home, now) {
                Ok(taken) => is_news |= taken.is_some(),
                Err(error) => self.shared.tell(Event::EntryRefused {
                    doctor: RosterEntry::doctor_in(entry),
                    error,
                }),
            }
        }
        if is_news {
            let saved = self.shared.files.save_colleagues(colleagues);
            saved.map_err(not_kept)?;
            let names = colleagues.all().map(|known| known.entry.doctor().clone());
            self.shared.tell(Event::Clinic {
                doctors: names.collect(),
            });
        }
        Ok(())
    }

    /// A receipt for something that is not on its way, or not any more, says
    /// nothing new.
    fn on_receipt(&mut self, receipt: &Receipt) -> Result<(), End> {
        let Some(receipted) = self.shared.receipted(receipt) else {
            return Ok(());
        };
        let (end, id) = (&self.end, receipt.id);
        let kept = match receipted {
            Receipted::Message(message) if end.proves_message(&message, receipt) => {
                self.shared.delivered(id, receipt.at)
            }
            Receipted::Confirmation(hash) if end.proves_confirmation(&hash, receipt) => {
                self.shared.confirmation_arrived(id)
            }
            Receipted::Confirmation(_) if end.proves_unknown(receipt) => {
                self.shared.confirmation_refused(id)
            }
            _ => return Err(self.fail(SessionError::Nonsense)),
        };
        kept.map_err(not_kept)
    }

    /// Ends the session by the other side's fault.
    fn fail(&mut self, error: SessionError) -> End {
        match error {
            SessionError::Unreadable => End::Lost(Loss::Unreadable),
            SessionError::Nonsense => {
                self.say(DisconnectReason::ProtocolError);
                End::ProtocolBroken
            }
            SessionError::MessageMissing => {
                self.say(DisconnectReason::MessageMissing);
                End::Lost(Loss::MessageMissing)
            }
        }
    }

    /// Says the last word and lets it arrive: a socket that is closed with
    /// something unread in it takes back what it has sent.
    fn say(&mut self, reason: DisconnectReason) {
        let last_word = Disconnect {
            reason,
            last_mid: self.end.last_mid(),
            records_received: self.end.records_received(),
        };
        self.shared.wire.goodbye(last_word, CLOSING);
        let deadline = Instant::now() + CLOSING;
        while let Ok(Some(_)) = self.link.receive_until(deadline) {}
    }
}

/// Comes back later: by then there may be room again.
const fn not_kept(error: FilesError) -> End {
    End::Lost(Loss::NotKept(error))
}

/// What a session leaves behind.
pub(super) struct Over {
    pub(super) end: End,
    pub(super) ticket: Option<ResumptionTicket>,
    pub(super) progress: Progress,
}
