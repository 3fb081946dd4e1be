//! The doctor's desk: every request, whether from the menu or a command, is
//! answered here.

use std::time::Duration;

use crate::doctor::authority;
use crate::doctor::control::{Answer, Broadcast, Present, Request};
use crate::doctor::correspondence;
use crate::doctor::messages::device_code;
use crate::doctor::not_done::NotDone;
use crate::doctor::office;
use crate::doctor::post::{Letter, Recipients, SendError, Sent};
use crate::doctor::practice::Practice;
use crate::doctor::presence;
use crate::doctor::reach;
use crate::doctor::roles;
use crate::doctor::server::Server;
use crate::identity::id::{Identifier, IdentifierError};
use crate::protocol::message::Boundary;
use crate::store::{StoreError, is_away};

/// A running server with what it needs to answer requests.
pub struct Desk {
    server: Server,
    /// Called when somebody asks the server to stop.
    on_stop: Box<dyn Fn() + Send + Sync>,
}

impl Desk {
    /// Puts a server behind a desk.
    #[must_use]
    pub fn new(server: Server, on_stop: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { server, on_stop }
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Asks the program to stop.
    pub fn stop(&self) {
        (self.on_stop)();
    }

    /// Does what is asked and says what came of it.
    #[must_use]
    pub fn answer(&self, request: Request) -> Answer {
        if let Err(refusal) = roles::check(self.server.practice(), &request) {
            return Answer::Failed(NotDone::of(&refusal));
        }
        match request {
            Request::List => self.list(),
            Request::ListClinic => clinic(self.server.practice()),
            Request::Broadcast(broadcast) => match letter_to_several(&broadcast) {
                Ok(letter) => self.send(&letter),
                Err(sentence) => Answer::Failed(sentence.into()),
            },
            Request::Message {
                patient,
                text,
                urgent,
                expires_seconds,
            } => match letter_to(&patient, &text, urgent, expires_seconds) {
                Ok(letter) => self.send(&letter),
                Err(sentence) => Answer::Failed(sentence.into()),
            },
            Request::Consult { patient, end } => match patient.parse::<Identifier>() {
                Ok(patient) => self.consult(patient, end),
                Err(error) => Answer::Failed(error.to_string().into()),
            },
            Request::Blocks(request) => match self.server.blocks(&request) {
                Ok(answer) => Answer::Blocks(answer),
                Err(error) => Answer::Failed(NotDone::of(&error)),
            },
            Request::Disconnect => Answer::Disconnected(self.server.disconnect_all()),
            Request::Stop => Answer::Stopping,
            Request::Office(office::Request::Authority(authority::Request::Renew(certificate))) => {
                Answer::Office(match self.server.renew(&certificate) {
                    Ok(answer) => office::Answer::Authority(answer),
                    Err(error) => office::Answer::Failed(NotDone::of(&error)),
                })
            }
            Request::Office(request) => {
                if request.asks_for_states() {
                    self.server.settle();
                }
                let enrolled = match &request {
                    office::Request::Enrol { patient, .. } => Some(patient.clone()),
                    _ => None,
                };
                let answer = || office::answer(self.server.practice(), request);
                let answer = match enrolled {
                    Some(patient) => self.server.enrolling(&patient, answer),
                    None => answer(),
                };
                if let office::Answer::Devices(answer) = &answer {
                    self.server.put_out(&answer.revoked());
                }
                Answer::Office(answer)
            }
        }
    }

    /// Whether messages reach the patient of this name; a sentence if not.
    ///
    /// # Errors
    /// The sentence.
    pub fn check_patient(&self, patient: &Identifier) -> Result<(), NotDone> {
        let checked = self.server.check_patient(patient);
        checked.map_err(|error| NotDone::of(&error))
    }

    /// Whether anything is on file of a patient of this name; a sentence if
    /// not.
    ///
    /// # Errors
    /// The sentence.
    pub fn check_on_file(&self, patient: &Identifier) -> Result<(), NotDone> {
        match reach::is_on_file(self.server.practice(), patient) {
            Ok(true) => Ok(()),
            Ok(false) => Err(reach::unknown(patient).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens or closes a consultation, by word: the patient sees it too. What
    /// is open is not opened again. It ends even where no message reaches the
    /// patient any more.
    fn consult(&self, patient: Identifier, end: bool) -> Answer {
        let checked = match end {
            false => self.check_patient(&patient),
            true => self.check_on_file(&patient),
        };
        if let Err(why) = checked {
            return Answer::Failed(why);
        }
        match correspondence::is_consulting(self.server.practice(), &patient) {
            Err(error) => return Answer::Failed(NotDone::of(&error)),
            Ok(open) if open != end => {
                let patient = patient.to_string();
                return Answer::Consulting { patient, open };
            }
            Ok(_) => {}
        }
        let (boundary, text) = match end {
            false => (Boundary::Opens, "The consultation begins."),
            true => (Boundary::Closes, "The consultation has ended."),
        };
        self.send(&Letter {
            boundary: Some(boundary),
            ..Letter::new(Recipients::One(patient), text)
        })
    }

    /// Who is connected. While the database does not answer, that is what the
    /// server knows itself.
    fn list(&self) -> Answer {
        let practice = self.server.practice();
        let in_books = || -> Result<_, StoreError> {
            let unread = practice.store.unread_count()?;
            Ok((unread, presence::own_elsewhere(practice)?, None))
        };
        let (unread, elsewhere, away) = match in_books() {
            Ok(found) => found,
            Err(error) if is_away(&error) => (0, Vec::new(), Some(error.to_string())),
            Err(error) => return Answer::Failed(error.into()),
        };
        let devices = self
            .server
            .connected()
            .into_iter()
            .map(|present| Present {
                patient: present.peer.patient.to_string(),
                device: device_code(&present.peer.device),
                is_one_of_several: present.peer.is_one_of_several,
                since: present.since,
                silent_seconds: present.silent.as_secs(),
            })
            .collect();
        let renewal = authority::renewal(practice, practice.now());
        Answer::Connected {
            devices,
            unread,
            renewal,
            elsewhere,
            away,
        }
    }

    fn send(&self, letter: &Letter<'_>) -> Answer {
        answer_to(self.server.practice(), letter, self.server.send(letter))
    }
}

/// Who is connected where in the clinic.
pub(super) fn clinic(practice: &Practice) -> Answer {
    match presence::of_clinic(practice) {
        Ok(nodes) => Answer::Clinic(nodes),
        Err(error) => Answer::Failed(NotDone::of(&error)),
    }
}

/// A letter to several; a sentence if a name is none.
pub(super) fn letter_to_several(broadcast: &Broadcast) -> Result<Letter<'_>, String> {
    Ok(Letter {
        urgent: broadcast.urgent,
        expires: broadcast.expires_seconds.map(Duration::from_secs),
        ..Letter::new(recipients_of(broadcast)?, &broadcast.text)
    })
}

fn recipients_of(broadcast: &Broadcast) -> Result<Recipients, String> {
    let chosen: Result<Vec<Identifier>, _> = broadcast.to.iter().map(|name| name.parse()).collect();
    let chosen = chosen.map_err(|error| error.to_string())?;
    Ok(match &broadcast.tag {
        Some(tag) => Recipients::Tagged(tag.clone()),
        None if chosen.is_empty() && broadcast.clinic => Recipients::Clinic,
        None if chosen.is_empty() => Recipients::Everyone,
        None => Recipients::Chosen(chosen),
    })
}

/// A letter to one patient; a sentence if the name is none.
pub(super) fn letter_to<'a>(
    patient: &str,
    text: &'a str,
    urgent: bool,
    expires_seconds: Option<u64>,
) -> Result<Letter<'a>, String> {
    let patient: Identifier = patient
        .parse()
        .map_err(|error: IdentifierError| error.to_string())?;
    Ok(Letter {
        urgent,
        expires: expires_seconds.map(Duration::from_secs),
        ..Letter::new(Recipients::One(patient), text)
    })
}

/// What came of sending a letter, as an answer.
pub(super) fn answer_to(
    practice: &Practice,
    letter: &Letter<'_>,
    sent: Result<Sent, SendError>,
) -> Answer {
    let to = match &letter.to {
        Recipients::Everyone | Recipients::Clinic => None,
        Recipients::Chosen(patients) => Some(patients.iter().map(ToString::to_string).collect()),
        Recipients::Tagged(_) => Some(Vec::new()),
        Recipients::One(patient) => Some(vec![patient.to_string()]),
    };
    match sent {
        Ok(sent) => Answer::Sent {
            number: sent.number,
            code: sent.code,
            devices: sent.devices,
            elsewhere: sent.elsewhere,
            away: sent.away,
            to,
            boundary: letter.boundary,
            left_out: sent.left_out,
            no_clinic: letter.to == Recipients::Clinic && practice.store.clinic().is_none(),
        },
        Err(error) => Answer::Failed(NotDone::of(&error)),
    }
}
