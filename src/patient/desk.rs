//! Answers what a patient's program is asked, whoever asks: its own menu, or a
//! command through the control socket; with a connection or without.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::control::Handler;
use crate::identity::id::Identifier;
use crate::patient::client::Client;
use crate::patient::colleagues::Colleague;
use crate::patient::control::{Answer, ClinicDoctor, Request, Status, Word};
use crate::patient::event;
use crate::patient::files::{Files, FilesError};
use crate::random::OsRandom;

/// The most messages in one answer, in each direction: the newest.
const MOST: usize = if cfg!(test) { 3 } else { 1_000 };
/// How long something may take to arrive while somebody waits for it who has not
/// said how long.
pub const ARRIVAL: Duration = Duration::from_secs(10);

/// Answers requests.
pub struct Desk {
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    client: Option<Arc<Client>>,
    /// Whom the person wants to be connected to.
    asked: Identifier,
}

impl Desk {
    /// The desk of a program that keeps a connection.
    #[must_use]
    pub fn connected(files: Arc<Files>, clock: Arc<dyn Clock>, client: Arc<Client>) -> Self {
        Self {
            files,
            clock,
            asked: client.asked().clone(),
            client: Some(client),
        }
    }

    /// The desk of a command that has opened the directory itself.
    #[must_use]
    pub fn alone(files: Arc<Files>, clock: Arc<dyn Clock>) -> Self {
        Self {
            asked: files.name().doctor.clone(),
            files,
            clock,
            client: None,
        }
    }

    /// The same where the person wants to be connected to this doctor.
    #[must_use]
    pub fn asked_for(self, asked: Identifier) -> Self {
        Self { asked, ..self }
    }

    fn is_connected(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|client| client.is_connected())
    }

    fn inbox(&self, unread: bool) -> Result<Answer, FilesError> {
        let inbox = self.files.inbox();
        // One more than is given shows whether there are more.
        let mut found = match unread {
            true => inbox.unread(MOST + 1)?,
            false => inbox.newest(MOST + 1)?,
        };
        let more = found.len() > MOST;
        match unread {
            true => found.truncate(MOST),
            false => drop(found.drain(..found.len().saturating_sub(MOST))),
        }
        let said = found.iter().map(Into::into).collect();
        Ok(Answer::Inbox { said, more })
    }

    fn shown(&self, numbers: &[u64]) -> Result<Answer, FilesError> {
        self.files.inbox().mark_shown(numbers, self.clock.now())?;
        Ok(Answer::Done)
    }

    fn send(&self, text: &str, word: Option<Word>) -> Answer {
        let boundary = word.map(Word::boundary);
        let written = match &self.client {
            Some(client) => client.send(text, boundary),
            None => {
                let now = self.clock.now();
                self.files.outbox().write(text, boundary, now)
            }
        };
        match written {
            Ok(written) => Answer::Kept {
                number: written.number,
                code: written.message.id().code(),
                connected: self.is_connected(),
            },
            Err(error) => failed(&error),
        }
    }

    fn confirm(&self, message: &str) -> Answer {
        let confirmed = match &self.client {
            Some(client) => client.confirm(message),
            None => self.files.inbox().confirm(message, self.clock.now()),
        };
        match confirmed {
            Ok(entry) => Answer::Kept {
                number: entry.number,
                code: entry.message.id().code(),
                connected: self.is_connected(),
            },
            Err(error) => failed(&error),
        }
    }

    fn wait_delivered(&self, number: u64, patience: Duration) -> Result<Answer, FilesError> {
        let arrived = match &self.client {
            Some(client) => client.wait_delivered(number, patience)?,
            None => {
                let written = self.files.outbox().numbered(number)?;
                written.is_some_and(|written| written.delivered.is_some())
            }
        };
        Ok(Answer::Arrived(arrived))
    }

    fn wait_confirmed(&self, number: u64, patience: Duration) -> Answer {
        let entry = match self.files.inbox().find(&number.to_string()) {
            Ok(entry) => entry,
            Err(error) => return failed(&error),
        };
        if let Some(client) = &self.client {
            client.wait_confirmed(entry.message.id(), patience);
        }
        match self.files.inbox().find(&number.to_string()) {
            Ok(entry) if entry.confirmation_refused.is_some() => {
                Answer::Failed(event::refused(number))
            }
            Ok(entry) => Answer::Arrived(entry.confirmation_arrived.is_some()),
            Err(error) => failed(&error),
        }
    }

    fn history(&self) -> Result<Answer, FilesError> {
        let items = self.files.history(MOST)?;
        let more = self.files.inbox().newest(MOST + 1)?.len() > MOST
            || self.files.outbox().newest(MOST + 1)?.len() > MOST;
        let said = items.iter().map(Into::into).collect();
        Ok(Answer::History { said, more })
    }

    fn status(&self) -> Result<Answer, FilesError> {
        let counts = self.files.mail_counts()?;
        let running = self.client.is_some();
        let doctor = self
            .client
            .as_ref()
            .and_then(|client| client.connected_to());
        Ok(Answer::Status(Status {
            certificate_ends: self.files.certificate_end()?,
            doctor: doctor.map(|doctor| doctor.to_string()),
            ..Status::new(counts, running, self.is_connected())
        }))
    }

    fn doctors(&self) -> Result<Answer, FilesError> {
        let home = self.files.doctor(&mut OsRandom)?;
        let colleagues = self.files.colleagues(&home)?;
        let connected = self
            .client
            .as_ref()
            .and_then(|client| client.connected_to());
        let line = |name: &Identifier, listed: Option<&Colleague>| -> Result<_, FilesError> {
            let is_home = *name == home.certificate().subject().identifier;
            let address = match listed {
                Some(listed) if !is_home => listed.entry.address().to_string(),
                _ => self.files.address()?,
            };
            Ok(ClinicDoctor {
                doctor: name.to_string(),
                address,
                enrolled: is_home,
                asked: *name == self.asked,
                connected: connected.as_ref() == Some(name),
                revoked: colleagues.has_left(name, &home),
                since: listed.map(|listed| listed.since),
            })
        };
        let mut doctors = Vec::new();
        for listed in colleagues.all() {
            doctors.push(line(listed.entry.doctor(), Some(listed))?);
        }
        let own = &self.files.name().doctor;
        if colleagues.get(own).is_none() {
            doctors.push(line(own, None)?);
        }
        doctors.sort_by(|a, b| a.doctor.cmp(&b.doctor));
        Ok(Answer::Doctors(doctors))
    }
}

impl Handler for Desk {
    type Request = Request;
    type Answer = Answer;

    fn answer(&self, request: Request) -> Answer {
        let answer = match request {
            Request::Inbox { unread } => self.inbox(unread),
            Request::Shown { numbers } => self.shown(&numbers),
            Request::Send { text, consultation } => Ok(self.send(&text, consultation)),
            Request::WaitDelivered {
                number,
                milliseconds,
            } => self.wait_delivered(number, patience(milliseconds)),
            Request::Confirm { message } => Ok(self.confirm(&message)),
            Request::WaitConfirmed {
                number,
                milliseconds,
            } => Ok(self.wait_confirmed(number, patience(milliseconds))),
            Request::History => self.history(),
            Request::Status => self.status(),
            Request::Fingerprints => self.files.fingerprints().map(Answer::Fingerprints),
            Request::Doctors => self.doctors(),
        };
        answer.unwrap_or_else(|error| failed(&error))
    }

    fn refuse(&self, reason: String) -> Answer {
        Answer::Failed(reason)
    }
}

/// So long, and no longer than anybody is waited for.
fn patience(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds).min(ARRIVAL)
}

fn failed(error: &impl Display) -> Answer {
    Answer::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::{SystemClock, Timestamp};
    use crate::patient::control::Said;
    use crate::protocol::message::Message;

    #[test]
    fn it_is_told_when_there_are_more_messages_than_one_answer_holds() {
        let base = TempDir::new().unwrap();
        let name = "P1@D1".parse().unwrap();
        let files = Arc::new(Files::create_or_open(base.path(), &name).unwrap());
        let desk = Desk::alone(Arc::clone(&files), Arc::new(SystemClock));
        let shown = |request| match desk.answer(request) {
            Answer::Inbox { said, more } | Answer::History { said, more } => {
                let numbers = said.iter().filter_map(Said::unread);
                (numbers.collect::<Vec<_>>(), more)
            }
            other => panic!("{other:?}"),
        };
        let arrive = |at| {
            let at = Timestamp::from_millis(at);
            let message = Message::new("x", false, at, &mut OsRandom);
            files.inbox().arrive(&message.unwrap());
        };
        (1..=3).for_each(arrive);
        let [all, unread] = [false, true].map(|unread| Request::Inbox { unread });
        let requests = [all, unread, Request::History];
        for request in &requests {
            assert_eq!(shown(request.clone()), (vec![1, 2, 3], false));
        }
        arrive(4);
        let expected = [vec![2, 3, 4], vec![1, 2, 3], vec![2, 3, 4]];
        for (request, numbers) in requests.into_iter().zip(expected) {
            assert_eq!(shown(request), (numbers, true));
        }
    }
}
