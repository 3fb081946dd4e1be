//! Who can open what, and what nobody can make the group believe.

mod broadcasts;
mod epochs;

use crate::group::sender::{Sealed, Sender};
use crate::protocol::message::Message;
use crate::protocol::opcode::GROUP_KEY;
use crate::protocol::record::GroupKey;
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::doctor::SessionError;
use crate::session::patient::{FromDoctor, PatientEnd};
use crate::testing::{NOW, Pair, clinic};

/// A doctor's group with the sessions that are in it.
struct Room {
    sender: Sender,
    members: Vec<Pair>,
}

impl Room {
    /// A group of these of the clinic's patients, not yet with a key.
    fn new(patients: &[usize]) -> Self {
        let mut room = Self {
            sender: Sender::new(&mut OsRandom),
            members: Vec::new(),
        };
        for patient in patients {
            room.join(*patient);
        }
        room
    }

    fn join(&mut self, patient: usize) {
        let pair = Pair::new(patient, *self.sender.conference(), None);
        self.members.push(pair);
        self.sender.mark_dirty();
    }

    fn leave(&mut self, member: usize) -> Pair {
        self.sender.mark_dirty();
        self.members.remove(member)
    }

    /// The body of a new epoch's `GROUP_KEY`, which nobody is sent.
    fn rekey(&mut self) -> SecretBytes {
        let contributions = self
            .members
            .iter()
            .map(|pair| (pair.device(), &pair.contribution))
            .collect();
        self.sender.rekey(contributions, &mut OsRandom)
    }

    /// Begins an epoch and tells all members.
    fn begin_epoch(&mut self) -> GroupKey {
        let record = self.rekey();
        for pair in &mut self.members {
            let told = pair.tell_patient(GROUP_KEY, record.expose()).unwrap();
            assert!(matches!(told, FromDoctor::Epoch(_)));
        }
        GroupKey::decode(record.expose()).unwrap()
    }

    fn seal(&mut self, text: &str) -> Sealed {
        let message = message(text);
        self.sender
            .seal(&message, &clinic().doctor, NOW, &mut OsRandom)
            .unwrap()
    }
}

fn message(text: &str) -> Message {
    Message::new(text, true, NOW, &mut OsRandom).unwrap()
}

/// The text of the broadcast, if the patient can open it now.
fn read(patient: &mut PatientEnd, sealed: &Sealed) -> Result<String, SessionError> {
    match patient.on_frame(&sealed.frame)? {
        FromDoctor::Message { message, .. } => Ok(message.text().to_owned()),
        other => panic!("no message: {other:?}"),
    }
}
