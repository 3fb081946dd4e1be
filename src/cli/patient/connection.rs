//! A connection as the menu, the watch and short commands begin it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::{choose, failure};
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::PatientOptions;
use crate::clock::SystemClock;
use crate::control;
use crate::patient::client::Client;
use crate::patient::config::Config;
use crate::patient::desk::Desk;
use crate::patient::event::Event;
use crate::patient::files::Files;
use crate::random::OsRandom;

/// What keeps a program from starting.
pub(super) fn broken(error: io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("the program cannot start: {error}"))
}

/// Begins to connect.
pub(super) fn start(
    options: &PatientOptions,
    config: Config,
    files: &Arc<Files>,
) -> Result<(Arc<Client>, Receiver<Event>), Failure> {
    let mut patient = files
        .load(&mut OsRandom)
        .map_err(|error| failure::files(&error))?;
    patient.asked = choose::asked(options, files.name());
    patient.at = options.connect.as_ref().map(ToString::to_string);
    let clock = Arc::new(SystemClock);
    let (client, events) =
        Client::start(config, Arc::clone(files), patient, clock).map_err(broken)?;
    Ok((Arc::new(client), events))
}

/// Lets commands reach this program through the control socket, until this is
/// dropped.
pub(super) struct Reachable {
    files: Arc<Files>,
    _desk: Arc<Desk>,
}

impl Reachable {
    pub(super) fn new(files: &Arc<Files>, client: &Arc<Client>) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock);
        let desk = Desk::connected(Arc::clone(files), clock, Arc::clone(client));
        let desk = Arc::new(desk);
        control::listen(&files.directory(), &desk).map_err(|error| {
            let sentence = format!(
                "commands cannot reach this program: the socket in '{}' cannot be made: {error}",
                files.directory().display()
            );
            Failure::new(Exit::Failure, sentence)
        })?;
        Ok(Self {
            files: Arc::clone(files),
            _desk: desk,
        })
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        control::unlisten(&self.files.directory());
    }
}
