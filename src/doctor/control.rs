//! What a running server can be asked, by the menu directly and by commands
//! through its control socket, and what it answers.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::control::Handler;
use crate::doctor::authority::Renewal;
use crate::doctor::blocks;
use crate::doctor::desk::Desk;
use crate::doctor::not_done::NotDone;
use crate::doctor::office;
use crate::doctor::presence;
use crate::doctor::reach::Unreached;
use crate::protocol::message::Boundary;

/// What a running server can be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who is connected?
    List,
    /// Who is connected where in the clinic?
    ListClinic,
    /// Send this to everyone, or to those who are named.
    Broadcast(Broadcast),
    /// Send this to one patient.
    Message {
        /// To whom.
        patient: String,
        /// What to say.
        text: String,
        /// Whether it is an emergency.
        urgent: bool,
        /// After so many seconds it is not given to any device any more.
        #[serde(default)]
        expires_seconds: Option<u64>,
    },
    /// Open or close a consultation with one patient.
    Consult {
        /// With whom.
        patient: String,
        /// Whether it is to end.
        end: bool,
    },
    /// About blocked addresses.
    Blocks(blocks::Request),
    /// End every session.
    Disconnect,
    /// Stop.
    Stop,
    /// What takes no running server.
    Office(office::Request),
}

/// A message to several.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Broadcast {
    /// What to say.
    pub text: String,
    /// Whether it is an emergency.
    #[serde(default)]
    pub urgent: bool,
    /// To these patients; to everyone if there are none, and no tag.
    #[serde(default)]
    pub to: Vec<String>,
    /// To the patients with this tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// To every patient of the clinic, not only to this doctor's.
    #[serde(default)]
    pub clinic: bool,
    /// After so many seconds it is not given to anybody any more.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
}

/// What a running server answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The connected devices.
    Connected {
        /// One by one.
        devices: Vec<Present>,
        /// How many messages of patients were not shown yet.
        unread: u64,
        /// Whether it is time to renew the doctor's certificate.
        #[serde(default)]
        renewal: Option<Renewal>,
        /// Her patients who are connected to other doctors of the clinic.
        #[serde(default)]
        elsewhere: Vec<presence::Node>,
        /// Why that is all that is known: the database does not answer.
        #[serde(default)]
        away: Option<String>,
    },
    /// The clinic's nodes, and who is connected to each.
    Clinic(Vec<presence::Node>),
    /// The message is on its way.
    Sent {
        /// What the message is called by.
        number: u64,
        /// Its short name, the same on the patients' side.
        code: String,
        /// Devices it was given to.
        devices: usize,
        /// Devices that are given it by the clinic's other doctors, to whom they
        /// are connected.
        #[serde(default)]
        elsewhere: usize,
        /// Devices that get it when they come back.
        away: usize,
        /// The patients it is for, as they were named; nothing if it is for
        /// everyone.
        to: Option<Vec<String>>,
        /// What it is to a consultation.
        boundary: Option<Boundary>,
        /// Patients it would be for, but whom no message reaches.
        left_out: Vec<Unreached>,
        /// Whether it was to go to a clinic's patients where there is one doctor.
        #[serde(default)]
        no_clinic: bool,
    },
    /// The consultation is as it was to be, and was before.
    Consulting {
        /// With whom.
        patient: String,
        /// Whether it is open.
        open: bool,
    },
    /// About blocked addresses.
    Blocks(blocks::Answer),
    /// So many sessions were ended.
    Disconnected(usize),
    /// The server stops.
    Stopping,
    /// What took no running server.
    Office(office::Answer),
    /// It was not done, for this reason.
    Failed(NotDone),
}

/// A connected device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// Whose it is.
    pub patient: String,
    /// Its short name.
    pub device: String,
    /// Whether the patient has others.
    pub is_one_of_several: bool,
    /// Since when.
    pub since: Timestamp,
    /// For how many seconds it has been silent.
    pub silent_seconds: u64,
}

impl Handler for Desk {
    type Request = Request;
    type Answer = Answer;

    fn answer(&self, request: Request) -> Answer {
        Self::answer(self, request)
    }

    fn refuse(&self, reason: String) -> Answer {
        Answer::Failed(reason.into())
    }

    fn answered(&self, answer: &Answer) {
        if *answer == Answer::Stopping {
            self.stop();
        }
    }
}
