//! A command's own connection: one for a moment, or one attempt after the other
//! for as long as it was told to wait.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use super::commands::{Command, Counter, Own, TICK, note};
use super::{config, connection, failure};
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::Reach;
use crate::patient::client::Client;
use crate::patient::config::Config;
use crate::patient::event::{self, Event};

/// How long a connection of one moment may take altogether.
const MOMENT: Duration = Duration::from_secs(20);
/// The longest pause between two attempts while a command waits: somebody, or a
/// script, sits before it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the program that runs on the directory is asked.
const ASKED: Duration = Duration::from_millis(250);

impl Command<'_> {
    /// Connects as the command was told to: once, until `done` with an event, or
    /// until what is wanted is `there`.
    ///
    /// # Errors
    /// If there will be no connection unless a person does something.
    pub(super) fn reach(
        &self,
        done: impl Fn(&Event) -> bool,
        there: impl Fn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        match (self.reach, &self.counter) {
            (Reach::Offline, _) | (Reach::Once, Counter::Running(_)) => Ok(()),
            (Reach::Once, Counter::Own(own)) => self.moment(own, done),
            (Reach::Wait(time), counter) => {
                let deadline = self.until.unwrap_or_else(|| Instant::now() + time);
                match counter {
                    Counter::Running(_) => wait_for_other(deadline, there),
                    Counter::Own(own) => self.wait(own, deadline, there),
                }
            }
        }
    }

    /// Whether something has arrived, as an exit; it is a failure if the command
    /// was to wait for it.
    pub(super) fn in_time(&self, arrived: bool, what: &str) -> Result<Exit, Failure> {
        match self.reach {
            Reach::Wait(time) if !arrived => {
                let sentence = format!("{what} within {} s", time.as_secs());
                Err(Failure::new(Exit::Unconfirmed, sentence))
            }
            _ => Ok(Exit::Ok),
        }
    }

    /// Connects until `done` with an event or for a while; that there is no
    /// connection now is told and no failure.
    fn moment(&self, own: &Own, done: impl Fn(&Event) -> bool) -> Result<(), Failure> {
        let (client, events) = connection::start(self.options, config(self.options), &own.files)?;
        let deadline = Instant::now() + MOMENT;
        let result = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match events.recv_timeout(left) {
                Ok(Event::NotConnected(error)) => {
                    note(&format!("not connected: {error}"));
                    break Ok(());
                }
                Ok(Event::ConnectionLost(loss)) => {
                    note(&loss.to_string());
                    break Ok(());
                }
                Ok(Event::Stopped(stopped)) => {
                    break failure::stopped(&stopped, &self.place).map(drop);
                }
                Ok(Event::Unreached {
                    doctor,
                    reason,
                    next,
                }) => note(&event::unreached(&doctor, &reason, next.as_ref())),
                Ok(event) => {
                    note_aside(&event);
                    if done(&event) {
                        break Ok(());
                    }
                }
                Err(_) => {
                    note("the doctor's server takes too long");
                    break Ok(());
                }
            }
        };
        leave(&client, &events);
        result
    }

    /// Connects, through whatever failures of the connection, until what is
    /// wanted is `there` or the time is over. Of an outage one line is told.
    fn wait(
        &self,
        own: &Own,
        deadline: Instant,
        there: impl Fn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        if there()? {
            return Ok(());
        }
        let config = Config {
            longest_wait: LONGEST_PAUSE,
            ..config(self.options)
        };
        let (client, events) = connection::start(self.options, config, &own.files)?;
        let mut is_told = false;
        let result = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(event) = events.recv_timeout(left) else {
                break Ok(());
            };
            if let Event::Stopped(stopped) = &event {
                break failure::stopped(stopped, &self.place).map(drop);
            }
            if let Some(why) = outage(&event) {
                if !is_told {
                    note(&format!("{why}; trying again until the time is over"));
                }
                is_told = true;
            }
            is_told &= !matches!(event, Event::Connected { .. });
            note_aside(&event);
            match there() {
                Ok(false) => {}
                result => break result.map(drop),
            }
        };
        leave(&client, &events);
        result
    }
}

/// Waits until the program that runs on the directory has what is wanted.
fn wait_for_other(
    deadline: Instant,
    there: impl Fn() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    while !there()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(ASKED));
    }
    Ok(())
}

/// Why there is no session, if that is what an event says.
fn outage(event: &Event) -> Option<String> {
    match event {
        Event::NotConnected(error) => Some(format!("not connected: {error}")),
        Event::ConnectionLost(loss) => Some(loss.to_string()),
        Event::Ended(reason) => Some(event::ended(*reason).to_owned()),
        _ => None,
    }
}

/// Says with whom the session is, if not with her who was asked for, and what is
/// not taken there.
fn note_aside(event: &Event) {
    if let Event::NotTaken(ids) = event {
        note(&event::not_taken(ids));
    }
    if let Event::Connected {
        doctor,
        instead_of: Some(asked),
        ..
    } = event
    {
        note(&event::instead_of(asked, doctor));
    }
}

/// Ends the session.
fn leave(client: &Client, events: &Receiver<Event>) {
    client.leave();
    // What is said at the end may still bring something.
    while let Ok(event) = events.recv_timeout(TICK) {
        if matches!(event, Event::Stopped(_)) {
            break;
        }
    }
}
