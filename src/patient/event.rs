//! What happens on a patient's connection, for whoever shows it.

use std::fmt;
use std::time::Duration;

use crate::clock::{Timestamp, in_words};
use crate::identity::certificate::CertificateError;
use crate::identity::id::Identifier;
use crate::patient::colleagues::EntryError;
use crate::patient::connect::ConnectError;
use crate::patient::files::FilesError;
use crate::patient::inbox::Entry;
use crate::patient::link::LinkError;
use crate::protocol::DisconnectReason;
use crate::protocol::message::MessageId;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The doctor confirmed the session.
    Connected {
        /// Her name.
        doctor: Identifier,
        /// The doctor who was asked for, if this is another one of the clinic.
        instead_of: Option<Identifier>,
        /// Whether the session goes on from an earlier one.
        resumed: bool,
        /// The difference of the clocks, if it is more than tolerated.
        clock: Option<ClockDifference>,
    },
    /// This device's certificate ends soon: it is time to ask for a ticket.
    CertificateEnds(Timestamp),
    /// The group has a new key.
    Epoch {
        /// How many devices hold it.
        devices: u32,
        /// How many broadcasts were missed while away; they follow.
        missed: u64,
    },
    /// A message that was not seen before. It is kept, and unread until
    /// [`Client::shown`](crate::patient::client::Client::shown).
    Message(Entry),
    /// An urgent message that was seen before has come again, since nobody has
    /// confirmed it.
    Reminder(Entry),
    /// There is a session, and the doctor's server has not taken these messages of
    /// ours for 5 seconds: it takes none that it cannot keep. They are kept here
    /// and sent again; told once of each.
    NotTaken(Vec<MessageId>),
    /// The doctor's server has a message of ours.
    Delivered(MessageId),
    /// The doctor's server has our confirmation of the message with this
    /// number.
    ConfirmationArrived(u64),
    /// The doctor's server does not have the message with this number, or not
    /// any more, so that our confirmation of it is not sent again.
    ConfirmationRefused(u64),
    /// What waits for the doctor cannot be read.
    FilesFailed(FilesError),
    /// The session is gone, and nobody said why.
    ConnectionLost(Loss),
    /// The doctor ended the session.
    Ended(DisconnectReason),
    /// One of several doctors of the clinic is not reached.
    Unreached {
        /// Which.
        doctor: Identifier,
        /// Why, as a sentence.
        reason: String,
        /// Who is tried next.
        next: Option<Identifier>,
    },
    /// No session came about, with whomever it was tried.
    NotConnected(ConnectError),
    /// While there was a session with another doctor of the clinic, the one who
    /// was asked for has come back: the session is changed for one with her.
    Back {
        /// Who was asked for.
        doctor: Identifier,
    },
    /// The clinic has told of doctors who are new, or reached elsewhere.
    Clinic {
        /// All of its doctors that are known now.
        doctors: Vec<Identifier>,
    },
    /// What the clinic tells of one of its doctors is not believed.
    EntryRefused {
        /// Whom it claims to be about.
        doctor: Option<Identifier>,
        /// Why not.
        error: EntryError,
    },
    /// The next attempt comes by itself.
    Retrying {
        /// After this time.
        after: Duration,
    },
    /// There will be no further attempt, and no further event.
    Stopped(Stopped),
}

/// What there is to say of a confirmation that never arrives.
#[must_use]
pub fn refused(number: u64) -> String {
    format!(
        "the doctor's server does not have message {number} any more: your confirmation is not \
         on file there, and is not sent again"
    )
}

/// What there is to say of messages that the doctor's server does not take.
#[must_use]
pub fn not_taken(messages: &[MessageId]) -> String {
    match messages {
        [one] => format!(
            "not taken yet: your message {}; the practice cannot keep it now, it is kept here and \
             sent again by itself",
            one.code()
        ),
        several => format!(
            "not taken yet: {} messages of yours; the practice cannot keep them now, they are kept \
             here and sent again by themselves",
            several.len()
        ),
    }
}

/// With whom the session is, if not with the doctor who was asked for.
#[must_use]
pub fn instead_of(asked: &Identifier, doctor: &Identifier) -> String {
    format!("{asked} is not reached; you are connected to {doctor} of the same clinic")
}

/// That one of several doctors is not reached, and what comes next.
#[must_use]
pub fn unreached(doctor: &Identifier, reason: &str, next: Option<&Identifier>) -> String {
    let next = next.map_or_else(String::new, |next| {
        format!("; trying {next} of the same clinic")
    });
    format!("{doctor} is not reached ({reason}){next}")
}

/// What there is to say of an entry that is not believed.
#[must_use]
pub fn entry_refused(doctor: Option<&Identifier>, error: &EntryError) -> String {
    let whom = doctor.map_or_else(String::new, |doctor| format!(" about {doctor}"));
    format!("what the clinic's list of doctors says{whom} is not believed: {error}")
}

/// How far two clocks are apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockDifference {
    /// By this much.
    pub by: Duration,
    /// Whether it is this device's clock that shows the later time.
    pub ahead: bool,
}

impl ClockDifference {
    /// The difference, if it is more than `tolerance`.
    #[must_use]
    pub fn over(tolerance: Duration, here: Timestamp, doctor: Timestamp) -> Option<Self> {
        let by = here.distance(doctor);
        (by > tolerance).then_some(Self {
            by,
            ahead: here > doctor,
        })
    }
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.ahead { "ahead of" } else { "behind" };
        let time = in_words(self.by);
        write!(f, "this device's clock is {time} {direction} the doctor's")
    }
}

/// How a session was lost.
#[derive(Debug)]
pub enum Loss {
    /// The connection failed.
    Link(LinkError),
    /// Something came that the doctor's server did not send, or not like that.
    Unreadable,
    /// A broadcast is missing.
    MessageMissing,
    /// The doctor's certificate, or this device's, has ended.
    Expired,
    /// Something came that cannot be kept here, and so was not accepted.
    NotKept(FilesError),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::NotKept(error) = self {
            return write!(
                f,
                "disconnected, since what came cannot be kept here; the doctor's server keeps \
                 it until it can be: {error}"
            );
        }
        f.write_str("connection lost, messages may be missing: ")?;
        match self {
            Self::NotKept(_) => Ok(()),
            Self::Link(error) => write!(f, "{error}"),
            Self::Unreadable => f.write_str("what came could not be opened"),
            Self::MessageMissing => f.write_str("a message went missing on the way"),
            Self::Expired => f.write_str("a certificate has ended"),
        }
    }
}

/// Why there will be no further attempt.
#[derive(Debug)]
pub enum Stopped {
    /// This side wanted it so.
    Asked,
    /// The doctor ended the session, for a reason that another attempt would
    /// not change.
    Ended(DisconnectReason),
    /// The doctor refuses, or she is not believed.
    Refused(ConnectError),
    /// This device's certificate is not valid now.
    OwnCertificate(CertificateError),
    /// The doctor's server, and no one else, broke the protocol.
    ProtocolBroken,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("disconnected"),
            Self::Ended(reason) => f.write_str(ended(*reason)),
            Self::Refused(error) => write!(f, "{error}"),
            Self::OwnCertificate(error) => {
                write!(f, "this device's certificate cannot be used now: {error}")
            }
            Self::ProtocolBroken => f.write_str(
                "the doctor's server sent something that contradicts the protocol; \
                 the connection was ended",
            ),
        }
    }
}

/// What the doctor's reason means for her patient.
#[must_use]
pub const fn ended(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::AskedByPatient => "disconnected as asked",
        DisconnectReason::EndedByDoctor => "the doctor ended the session",
        DisconnectReason::ShuttingDown => "the doctor's server is shutting down",
        DisconnectReason::Revoked => "the doctor has revoked this device's certificate",
        DisconnectReason::Superseded => {
            "another program has connected with this device's certificate"
        }
        DisconnectReason::Expired => "the session has expired and is set up anew",
        DisconnectReason::ProtocolError => {
            "the doctor's server ended the session: this program broke the protocol"
        }
        DisconnectReason::QueueFull => {
            "the doctor's server ended the session: this device was too slow to read"
        }
        DisconnectReason::MessageMissing => {
            "the doctor's server ended the session: a message went missing on the way"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_clocks_is_told_in_words_and_only_if_it_matters() {
        let tolerance = Duration::from_secs(30);
        let noon = Timestamp::from_millis(43_200_000);
        let told = |here: Timestamp| {
            ClockDifference::over(tolerance, here, noon).map(|clock| clock.to_string())
        };
        assert_eq!(told(noon.plus(tolerance)), None);
        assert_eq!(
            told(noon.plus(Duration::from_secs(425))).unwrap(),
            "this device's clock is 7 min ahead of the doctor's"
        );
        assert_eq!(
            told(noon.minus(Duration::from_secs(31))).unwrap(),
            "this device's clock is 31 s behind the doctor's"
        );
    }

    #[test]
    fn an_end_by_the_doctor_reads_differently_from_a_loss() {
        let ended = ended(DisconnectReason::EndedByDoctor);
        assert_eq!(ended, "the doctor ended the session");
        let lost = Loss::Link(LinkError::Closed).to_string();
        assert!(lost.starts_with("connection lost, messages may be missing"));
    }
}
