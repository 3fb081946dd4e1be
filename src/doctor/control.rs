//! What a running server can be asked, by the menu directly and by commands
//! through its control socket, and what it answers.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::control::Handler;
use crate::doctor::desk::Desk;
use crate::doctor::office;

/// What a running server can be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who is connected?
    List,
    /// Send this to every patient.
    Broadcast {
        /// What to say.
        text: String,
    },
    /// Send this to one patient.
    Message {
        /// To whom.
        patient: String,
        /// What to say.
        text: String,
    },
    /// What has reached whom?
    Report,
    /// End every session.
    Disconnect,
    /// Stop.
    Stop,
    /// What takes no running server.
    Office(office::Request),
}

/// What a running server answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The connected devices.
    Connected(Vec<Present>),
    /// The message is on its way.
    Sent {
        /// What the message is called by.
        number: u64,
        /// Devices it was given to.
        devices: usize,
        /// Devices that get it when they come back.
        away: usize,
    },
    /// What became of the messages.
    Report(Vec<MessageReport>),
    /// So many sessions were ended.
    Disconnected(usize),
    /// The server stops.
    Stopping,
    /// What took no running server.
    Office(office::Answer),
    /// It was not done, for this reason.
    Failed(String),
}

/// A connected device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// Whose it is.
    pub patient: String,
    /// Since when.
    pub since: Timestamp,
    /// For how many seconds it has been silent.
    pub silent_seconds: u64,
}

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct MessageReport {
    /// What it is called by.
    pub number: u64,
    /// When it was written.
    pub written: Timestamp,
    /// What it says.
    pub text: String,
    /// Whether it was for everyone.
    pub broadcast: bool,
    /// Device by device.
    pub deliveries: Vec<DeliveryReport>,
}

/// What became of one message at one device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DeliveryReport {
    /// Whose device it is.
    pub patient: String,
    /// queued, sent, delivered or confirmed.
    pub state: String,
    /// Since when.
    pub at: Option<Timestamp>,
}

impl Handler for Desk {
    type Request = Request;
    type Answer = Answer;

    fn answer(&self, request: Request) -> Answer {
        Self::answer(self, request)
    }

    fn refuse(&self, reason: String) -> Answer {
        Answer::Failed(reason)
    }

    fn answered(&self, answer: &Answer) {
        if *answer == Answer::Stopping {
            self.stop();
        }
    }
}
