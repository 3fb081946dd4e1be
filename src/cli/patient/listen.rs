//! A connection without a menu: what happens on it is printed as records, until
//! a signal or the doctor ends it.

use std::io;
use std::process;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::failure::{self, Place};
use super::{config, records};
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::PatientOptions;
use crate::clock::SystemClock;
use crate::patient::client::Client;
use crate::patient::event::Event;
use crate::patient::files::Files;
use crate::random::OsRandom;

/// Connects and prints what happens.
pub(super) fn run(options: &PatientOptions, files: Files) -> Result<Exit, Failure> {
    let place = Place::new(options, files.name());
    let mut patient = files
        .load(&mut OsRandom)
        .map_err(|error| failure::files(&error))?;
    if let Some(address) = &options.connect {
        patient.address = address.to_string();
    }
    let broken = |error: io::Error| {
        Failure::new(Exit::Failure, format!("the program cannot start: {error}"))
    };
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(broken)?;
    let (client, events) = Client::start(
        config(options),
        Arc::new(files),
        patient,
        Arc::new(SystemClock),
    )
    .map_err(broken)?;
    let client = Arc::new(client);
    let on_signal = Arc::clone(&client);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || heed(signals, &on_signal))
        .map_err(broken)?;
    for event in events {
        options.form.print_records(&[records::event(&event)])?;
        if let Event::Message(entry) = &event {
            // If that cannot be kept it stays unread, which is no harm.
            let _ = client.shown(&[entry.number]);
        }
        if let Event::Stopped(stopped) = event {
            return failure::stopped(&stopped, &place);
        }
    }
    Ok(Exit::Ok)
}

/// The first signal ends the session in good order, the second at once.
fn heed(mut signals: Signals, client: &Client) {
    let mut asked = false;
    for _ in signals.forever() {
        if asked {
            process::exit(i32::from(Exit::Interrupted.code()));
        }
        asked = true;
        client.leave();
    }
}
