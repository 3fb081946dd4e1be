//! A connection without a menu: what happens on it is printed, and made
//! noticed, until a signal or the doctor ends it.

use std::env;
use std::io::{self, IsTerminal};
use std::process;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::alarm::Alarm;
use super::connection::{self, Reachable, broken};
use super::failure::{self, Place};
use super::{config, objects, say};
use crate::cli::exit::{Exit, Failure, eprint, print};
use crate::cli::notify::{Observation, Supervision};
use crate::cli::options::PatientOptions;
use crate::cli::output::Form;
use crate::cli::text::sentence;
use crate::patient::client::Client;
use crate::patient::event::Event;
use crate::patient::files::Files;

/// Connects and prints what happens.
pub(super) fn run(options: &PatientOptions, files: Files) -> Result<Exit, Failure> {
    let place = Place::new(options, files.name());
    let files = Arc::new(files);
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(broken)?;
    let complain = |said| eprint(&format!("patient: {said}\n"));
    let command = options.on_message.as_deref();
    let alarm = Alarm::new(command, &files, complain).map_err(broken)?;
    let (client, events) = connection::start(options, config(options), &files)?;
    let _reachable = Reachable::new(&files, &client)?;
    let on_signal = Arc::clone(&client);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || heed(signals, &on_signal))
        .map_err(broken)?;
    let supervision = supervise(&client)?;
    let mut result = Ok(Exit::Ok);
    for event in events {
        alarm.on(&event);
        show(options.form, &client, &event)?;
        if let Event::Stopped(stopped) = event {
            result = failure::stopped(&stopped, &place);
            break;
        }
    }
    if let Some(supervision) = supervision {
        supervision.stopping();
    }
    result
}

/// Keeps the service manager informed, if there is one.
fn supervise(client: &Arc<Client>) -> Result<Option<Supervision>, Failure> {
    let client = Arc::clone(client);
    let observe = move |_| Observation {
        alive: client.is_running(),
        status: match client.connected_to() {
            Some(doctor) => format!("connected to {doctor}"),
            None => "not connected".to_owned(),
        },
    };
    Supervision::start(&|name| env::var_os(name), observe).map_err(|error| {
        let sentence = format!("the service manager cannot be told of this program: {error}");
        Failure::new(Exit::Failure, sentence)
    })
}

/// Prints an event. A message that was printed whole counts as read.
fn show(form: Form, client: &Client, event: &Event) -> Result<(), Failure> {
    let is_whole = match form {
        Form::Plain | Form::Json => form.print_objects_whole(&[objects::event(event)])?,
        // What goes to a terminal a person reads. Anything else, such as the
        // journal of a service, is no place for what the doctor says.
        Form::People if io::stdout().is_terminal() => {
            if let Some(said) = say::event(event) {
                print(&format!("{said}\n"))?;
            }
            true
        }
        Form::People => {
            if let Some(said) = say::notice(event) {
                print(&format!("{said}\n"))?;
            }
            false
        }
    };
    if is_whole
        && let Event::Message(entry) = event
        && let Err(error) = client.shown(&[entry.number])
    {
        let said = format!("message {} stays unread: {error}", entry.number);
        eprint(&format!("patient: {}\n", sentence(&said)));
    }
    Ok(())
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
