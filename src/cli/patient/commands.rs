//! Commands of one moment: what they ask is answered by the program that runs
//! on the directory, or else by this one, which connects for as long as it
//! takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{self, Place};
use super::{choose, enrolled, objects, say, unlocked};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::options::{PatientOptions, Reach};
use crate::cli::output::{Form, Object};
use crate::cli::text::sentence;
use crate::clock::SystemClock;
use crate::control::{self, Handler, NoAnswer};
use crate::identity::data_dir::{self, DataDir, DataDirFault};
use crate::patient::control::{Answer, Request, Said, Status, Word};
use crate::patient::desk::{ARRIVAL, Desk};
use crate::patient::event::Event;
use crate::patient::files::{Files, Name};

/// How long another program may take to begin or end on the directory.
const HANDOVER: Duration = Duration::from_secs(5);
/// How much longer than it was told to wait a command waits for the program that
/// runs to answer.
const GRACE: Duration = Duration::from_millis(900);
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Whom this command asks.
pub(super) enum Counter {
    /// The program that runs on this directory.
    Running(PathBuf),
    /// This program itself.
    Own(Own),
}

/// A directory that this command has opened itself.
pub(super) struct Own {
    pub(super) files: Arc<Files>,
    desk: Desk,
}

/// One command.
pub(super) struct Command<'a> {
    pub(super) options: &'a PatientOptions,
    pub(super) place: Place,
    pub(super) counter: Counter,
    /// Whether it connects, and for how long.
    pub(super) reach: Reach,
    /// Until when it waits, if it was told to.
    pub(super) until: Option<Instant>,
}

impl<'a> Command<'a> {
    pub(super) fn new(
        options: &'a PatientOptions,
        name: &Name,
        reach: Reach,
    ) -> Result<Self, Failure> {
        let begun = Instant::now();
        let time = match reach {
            Reach::Wait(time) => Some(time),
            _ => None,
        };
        let counter = Counter::find(options, name, patience(time.map(|time| begun + time)))?;
        // Until it had its own directory, a person may have typed a passphrase.
        let from = match counter {
            Counter::Running(_) => begun,
            Counter::Own(_) => Instant::now(),
        };
        Ok(Self {
            options,
            place: Place::new(options, name),
            counter,
            reach,
            until: time.map(|time| from + time),
        })
    }

    /// Shows the doctor's messages, and notes that they were shown.
    pub(super) fn inbox(&self, unread: bool) -> Result<Exit, Failure> {
        let has_come = || Ok(self.ask_status()?.unread > 0);
        let caught_up = self.reach(|event| matches!(event, Event::Epoch { .. }), has_come);
        let Answer::Inbox { said, more } = self.ask(Request::Inbox { unread })? else {
            return Err(unexpected());
        };
        let new: Vec<u64> = said.iter().filter_map(Said::unread).collect();
        let people = inbox(&said, new.len(), unread);
        let objects: Vec<Object> = said.iter().map(objects::said).collect();
        let is_whole = self.options.form.print_whole(&people, &objects)?;
        // Only what was printed to the end was shown.
        let has_new = !new.is_empty();
        if is_whole && has_new {
            self.ask(Request::Shown { numbers: new })?;
        }
        if more {
            note(match unread {
                true => "there are more unread messages: run the same command again",
                false => "there are older messages, which are kept and not shown",
            });
        }
        caught_up?;
        failure::if_damaged(&said)?;
        self.in_time(has_new, "no unread message has come")
    }

    /// Keeps a message to the doctor, and sends it if it can.
    pub(super) fn send(&self, text: &str, consultation: Option<Word>) -> Result<Exit, Failure> {
        let request = Request::Send {
            text: text.to_owned(),
            consultation,
        };
        let Answer::Kept {
            number,
            code,
            connected,
        } = self.ask(request)?
        else {
            return Err(unexpected());
        };
        let form = self.options.form;
        let queued = format!("Queued, code {code}: it is kept here until it has arrived.");
        form.print(&queued, &[objects::queued(number, &code)])?;
        let waited = self.settle(connected, |milliseconds| Request::WaitDelivered {
            number,
            milliseconds,
        })?;
        let said = match waited {
            Ok(true) => "Delivered: the doctor's server has it.",
            Ok(false) if connected => {
                "Not taken yet: the practice cannot keep it now, it is kept here and sent again by \
                 itself."
            }
            _ => "It has not arrived yet, and will be sent at the next connection.",
        };
        let arrived = matches!(waited, Ok(true));
        form.print(said, &[objects::delivery(number, &code, arrived)])?;
        self.unread_note();
        self.in_time(waited?, "the message has not arrived")
    }

    /// Keeps a confirmation, and sends it if it can.
    pub(super) fn confirm(&self, message: &str) -> Result<Exit, Failure> {
        let request = Request::Confirm {
            message: message.to_owned(),
        };
        let Answer::Kept {
            number,
            code,
            connected,
        } = self.ask(request)?
        else {
            return Err(unexpected());
        };
        let waited = self.settle(connected, |milliseconds| Request::WaitConfirmed {
            number,
            milliseconds,
        })?;
        let arrived = matches!(waited, Ok(true));
        let said = match arrived {
            true => "The doctor's server has the confirmation.",
            false => "The doctor will learn of it at the next connection.",
        };
        let people = format!("You have confirmed message {number}, code {code}. {said}");
        let object = objects::confirmation(number, &code, arrived);
        self.options.form.print(&people, &[object])?;
        self.unread_note();
        self.in_time(waited?, "the confirmation has not arrived")
    }

    /// Shows what was said in both directions.
    pub(super) fn history(&self) -> Result<Exit, Failure> {
        let caught_up = self.reach(|event| matches!(event, Event::Epoch { .. }), || Ok(false));
        let Answer::History { said, more } = self.ask(Request::History)? else {
            return Err(unexpected());
        };
        let objects: Vec<Object> = said.iter().map(objects::said).collect();
        self.options.form.print(&say::history(&said), &objects)?;
        if more {
            note("there are older messages, which are kept and not shown");
        }
        caught_up.and_then(|()| failure::if_damaged(&said))
    }

    /// Says how things are.
    pub(super) fn status(&self) -> Result<Exit, Failure> {
        let status = self.ask_status()?;
        let Answer::Fingerprints(fingerprints) = self.ask(Request::Fingerprints)? else {
            return Err(unexpected());
        };
        let object = objects::status(&status, &fingerprints);
        let said = say::status(&status, &fingerprints);
        self.options.form.print(&said, &[object])?;
        Ok(Exit::Ok)
    }

    /// Lists the clinic's doctors.
    pub(super) fn doctors(&self) -> Result<Exit, Failure> {
        let Answer::Doctors(doctors) = self.ask(Request::Doctors)? else {
            return Err(unexpected());
        };
        let objects: Vec<Object> = doctors.iter().map(objects::doctor).collect();
        self.options.form.print(&say::doctors(&doctors), &objects)?;
        Ok(Exit::Ok)
    }

    fn ask_status(&self) -> Result<Status, Failure> {
        match self.ask(Request::Status)? {
            Answer::Status(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let answer = match &self.counter {
            Counter::Running(directory) => {
                let answer = control::ask(directory, &request, patience(self.until));
                let answer = answer.map_err(|error| no_answer(&error))?;
                answer.ok_or_else(ended)?
            }
            Counter::Own(own) => own.desk.answer(request),
        };
        match answer {
            Answer::Failed(reason) => Err(Failure::new(Exit::Failure, reason)),
            answer => Ok(answer),
        }
    }

    /// Waits a while for something that is kept to arrive at the doctor's, and
    /// says whether it has; or why it never will, unless a person does
    /// something.
    fn settle(
        &self,
        connected: bool,
        wait: impl Fn(u64) -> Request,
    ) -> Result<Result<bool, Failure>, Failure> {
        let has_arrived = || match self.ask(wait(self.milliseconds_left())) {
            Ok(answer) => Ok(answer == Answer::Arrived(true)),
            // It is kept, whatever has become of the program that was to send it.
            Err(failure) if failure.exit == Exit::Unreachable => Ok(false),
            Err(failure) => Err(failure),
        };
        if let Counter::Running(_) = &self.counter
            && !matches!(self.reach, Reach::Wait(_))
        {
            return Ok(Ok(connected && has_arrived()?));
        }
        let done = |event: &Event| match event {
            Event::Delivered(_) | Event::ConfirmationArrived(_) => has_arrived().unwrap_or(true),
            Event::ConfirmationRefused(_) => true,
            _ => false,
        };
        let tried = self.reach(done, has_arrived);
        let arrived = has_arrived()?;
        Ok(tried.map(|()| arrived))
    }

    /// How long something may take to arrive now.
    fn milliseconds_left(&self) -> u64 {
        let left = self.until.map_or(ARRIVAL, |until| {
            until.saturating_duration_since(Instant::now()).min(ARRIVAL)
        });
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }

    /// Says on the side what is unread.
    fn unread_note(&self) {
        if let Form::People = self.options.form
            && let Ok(status) = self.ask_status()
            && let Some(unread) = say::unread(&status)
        {
            note(&format!("{unread}: \"patient inbox\" shows them"));
        }
    }
}

impl Counter {
    fn find(options: &PatientOptions, name: &Name, patience: Duration) -> Result<Self, Failure> {
        let directory = data_dir::location(&options.data, &name.to_string());
        let directory = directory.map_err(|error| failure::directory(&error))?;
        let deadline = Instant::now() + HANDOVER;
        loop {
            let asked = control::ask(&directory, &Request::Status, patience);
            let answer: Option<Answer> = asked.map_err(|error| no_answer(&error))?;
            if answer.is_some() {
                return Ok(Self::Running(directory));
            }
            match DataDir::open_existing(&options.data, &name.to_string()) {
                Err(error)
                    if matches!(error.fault(), DataDirFault::InUse)
                        && Instant::now() < deadline =>
                {
                    thread::sleep(TICK);
                }
                Err(error) => return Err(failure::directory(&error)),
                Ok(directory) => {
                    let files = unlocked(options, name, directory)?;
                    let files = Arc::new(enrolled(options, files)?);
                    let desk = Desk::alone(Arc::clone(&files), Arc::new(SystemClock));
                    let desk = desk.asked_for(choose::asked(options, name));
                    return Ok(Self::Own(Own { files, desk }));
                }
            }
        }
    }
}

/// How long the program that runs may take to answer a command that waits until
/// then, if that was said.
fn patience(until: Option<Instant>) -> Duration {
    let left = until.map(|until| (until + GRACE).saturating_duration_since(Instant::now()));
    left.map_or(control::PATIENCE, |left| left.min(control::PATIENCE))
}

fn inbox(messages: &[Said], new: usize, unread: bool) -> String {
    if messages.is_empty() {
        return match unread {
            true => "There are no unread messages.".to_owned(),
            false => "There are no messages.".to_owned(),
        };
    }
    let mut said: Vec<String> = messages.iter().map(say::said).collect();
    said.push(match new {
        0 => "All of them were read before.".to_owned(),
        1 => "1 of them was unread.".to_owned(),
        _ => format!("{new} of them were unread."),
    });
    said.join("\n")
}

pub(super) fn note(said: &str) {
    eprint(&format!("patient: {}\n", sentence(said)));
}

/// The program that was there at the beginning is not there any more.
fn ended() -> Failure {
    let sentence = "the program that ran on this directory has ended, and was not asked";
    Failure::new(Exit::Unreachable, sentence).hint("say it again")
}

fn no_answer(error: &NoAnswer) -> Failure {
    let sentence = format!("the program running on this directory {error}");
    Failure::new(Exit::Unreachable, sentence).hint(match error.was_asked {
        false => {
            "nothing was done, and nothing will be: the program was not asked; look whether it \
             was stopped, then say it again"
        }
        true => {
            "what was asked may have been done all the same: look with 'patient history' before \
             you ask again"
        }
    })
}

fn unexpected() -> Failure {
    let sentence = "the program running on this directory answers something else: it is of \
                    another version";
    Failure::new(Exit::Failure, sentence).hint("end it and start this version")
}
