//! The program `doctor`.

mod menu;
mod serve;
mod show;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Program;
use crate::cli::args;
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::{DoctorOptions, DoctorTask};
use crate::clock::{Clock, SystemClock};
use crate::doctor::control::{self, Answer, Request};
use crate::doctor::desk::ticket_answer;
use crate::doctor::setup::{self, SetupError};
use crate::doctor::tickets;
use crate::identity::data_dir::{self, DataDir, DataDirFault};
use crate::identity::id::{Identifier, IdentifierError};
use crate::random::OsRandom;
use crate::secret::disable_core_dumps;
use crate::store::{Store, StoreError, fact};

/// How long a server may take to stop.
const STOP_TIME: Duration = Duration::from_secs(15);
/// How often it is looked whether it has.
const STOP_TICK: Duration = Duration::from_millis(20);

/// Runs `doctor` with these arguments, the program's name left out.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match try_run(arguments) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => failure.report(Program::Doctor).into(),
    }
}

fn try_run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let Some(args) = args::doctor(arguments)?.answer()? else {
        return Ok(());
    };
    let options = DoctorOptions::new(args, &|name| env::var_os(name))?;
    disable_core_dumps().map_err(|error| {
        let sentence = format!("core dumps, which would hold secrets, cannot be disabled: {error}");
        Failure::new(Exit::Failure, sentence)
    })?;
    let id = identity(&options)?;
    let request = match options.task.clone() {
        DoctorTask::Menu => return serve::run(&options, &id, serve::Mode::Menu),
        DoctorTask::Serve => return serve::run(&options, &id, serve::Mode::Service),
        DoctorTask::List => Request::List,
        DoctorTask::Broadcast(text) => Request::Broadcast { text },
        DoctorTask::Message(patient, text) => Request::Message {
            patient: patient.to_string(),
            text,
        },
        DoctorTask::Report => Request::Report,
        DoctorTask::Enrol(patient) => Request::Enrol {
            patient: patient.to_string(),
            public_address: options.public_address.as_ref().map(ToString::to_string),
        },
        DoctorTask::Disconnect => Request::Disconnect,
        DoctorTask::Stop => Request::Stop,
    };
    command(&options, &id, &request)
}

/// Who is meant: named, or the one identity that lies in the data directory.
fn identity(options: &DoctorOptions) -> Result<Identifier, Failure> {
    if let Some(id) = &options.id {
        return Ok(id.clone());
    }
    let known = data_dir::list(&options.data).map_err(|error| failed(&error))?;
    let missing = |sentence: String| {
        let hint = format!(
            "name the doctor, such as: doctor{} --id D1",
            options.data_option
        );
        Failure::new(Exit::Usage, sentence).hint(hint)
    };
    let shown = options.data.display();
    match known.as_slice() {
        [] => Err(missing(format!("no doctor is known in '{shown}'"))),
        [only] => only
            .parse()
            .map_err(|error| Failure::new(Exit::Failure, format!("'{shown}/{only}': {error}"))),
        several => Err(missing(format!(
            "'{shown}' holds several doctors: {}",
            several.join(", ")
        ))),
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, error.to_string())
}

fn store_failed(error: &StoreError) -> Failure {
    Failure::new(error.fault().into(), error.to_string())
}

fn setup_failed(error: &SetupError) -> Failure {
    let exit = match error {
        SetupError::Store(error) => error.fault().into(),
        SetupError::KeyFile(error) => error.fault().into(),
        SetupError::NoDatabase(_) | SetupError::Inconsistent(_) => Exit::Integrity,
        SetupError::Io(..) => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

/// Has a request answered by the running server. Only a ticket can be made
/// without one.
fn command(options: &DoctorOptions, id: &Identifier, request: &Request) -> Result<(), Failure> {
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let answer =
        control::ask(&directory, request).map_err(|error| no_answer(&directory, &error))?;
    let answer = match (answer, request) {
        (Some(answer), _) => answer,
        (None, Request::Enrol { patient, .. }) => enrol_offline(options, id, patient)?,
        (None, _) => {
            return Err(Failure::new(
                Exit::Unreachable,
                format!("no server is running for doctor {id}"),
            )
            .hint(format!("start it: doctor{} --id {id}", options.data_option)));
        }
    };
    show::answer(&answer)?;
    if answer == Answer::Stopping {
        wait_for_end(options, id);
    }
    Ok(())
}

/// Waits until a server that was told to stop has given its directory free, so
/// that the next command can start another one.
fn wait_for_end(options: &DoctorOptions, id: &Identifier) {
    let deadline = Instant::now() + STOP_TIME;
    while Instant::now() < deadline {
        match DataDir::open_existing(&options.data, id.as_str()) {
            Err(error) if matches!(error.fault(), DataDirFault::InUse) => {
                thread::sleep(STOP_TICK);
            }
            _ => return,
        }
    }
}

fn no_answer(directory: &Path, error: &io::Error) -> Failure {
    let sentence = format!(
        "the server running on '{}' gives no answer: {error}",
        directory.display()
    );
    Failure::new(Exit::Unreachable, sentence)
}

/// Makes a ticket while no server runs.
fn enrol_offline(
    options: &DoctorOptions,
    id: &Identifier,
    patient: &str,
) -> Result<Answer, Failure> {
    let clock = SystemClock;
    let unknown = || {
        let sentence = format!("there is no doctor {id} in '{}'", options.data.display());
        let hint = format!(
            "the first start makes one: doctor{} --id {id}",
            options.data_option
        );
        Failure::new(Exit::Failure, sentence).hint(hint)
    };
    let location = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    if !location.exists() {
        return Err(unknown());
    }
    let (directory, store) = serve::open(options, id)?;
    if setup::is_new(&store).map_err(|error| setup_failed(&error))? {
        return Err(unknown());
    }
    let identity = serve::identity(id, &directory, &store)?;
    if let Some(address) = &options.public_address {
        remember_address(&store, &address.to_string())?;
    }
    let Some(address) = reachable_address(options, &store)? else {
        return Ok(Answer::AddressNeeded);
    };
    let patient = patient
        .parse()
        .map_err(|error: IdentifierError| failed(&error))?;
    let ticket = tickets::make(
        &store,
        &identity,
        &patient,
        &address,
        clock.now(),
        &mut OsRandom,
    )
    .map_err(|error| failed(&error))?;
    Ok(ticket_answer(&ticket))
}

/// Where patients reach the server, as said now or earlier.
fn public_address(options: &DoctorOptions, store: &dyn Store) -> Result<Option<String>, Failure> {
    if let Some(address) = &options.public_address {
        return Ok(Some(address.to_string()));
    }
    let stored = store
        .fact(fact::ADDRESS)
        .map_err(|error| store_failed(&error))?;
    Ok(stored.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// The same, or else where the server listened last, if that is an address
/// patients can use; before the first time, where it will listen.
fn reachable_address(
    options: &DoctorOptions,
    store: &dyn Store,
) -> Result<Option<String>, Failure> {
    if let Some(address) = public_address(options, store)? {
        return Ok(Some(address));
    }
    let last = store
        .fact(fact::LISTEN_ADDRESS)
        .map_err(|error| store_failed(&error))?;
    if let Some(last) = last {
        let last = String::from_utf8(last).unwrap_or_default();
        return Ok(Some(last).filter(|address| !address.is_empty()));
    }
    let listen = options.listen.resolve().unwrap_or_default();
    Ok(listen
        .first()
        .filter(|address| !address.ip().is_unspecified())
        .map(ToString::to_string))
}

fn remember_address(store: &dyn Store, address: &str) -> Result<(), Failure> {
    store
        .set_facts(&[(fact::ADDRESS, address.as_bytes())])
        .map_err(|error| store_failed(&error))
}
