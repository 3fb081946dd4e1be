//! The program `patient`, from its arguments to its exit code.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

mod alarm;
mod choose;
mod commands;
mod connection;
mod failure;
mod key;
mod listen;
mod menu;
mod moment;
mod objects;
mod say;

use self::choose::choose;
use self::commands::Command;
use super::Program;
use super::args;
use super::exit::{Exit, Failure, eprint};
use super::input;
use super::options::{PatientOptions, PatientTask, Reach, TicketSource};
use super::output::Form;
use super::passphrase;
use super::text::clean;
use crate::clock::SystemClock;
use crate::identity::data_dir::DataDir;
use crate::identity::ticket::{Ticket, TicketError};
use crate::patient::config::Config;
use crate::patient::enrol::{self, Enrolled};
use crate::patient::files::{Files, Name};
use crate::random::OsRandom;
use crate::secret;
use crate::vault::DATA_KEY;

/// Runs the program with these arguments, its own name left out.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let form = Form::of_failures(&arguments);
    let exit = start(arguments).unwrap_or_else(|failure| failure.report(Program::Patient, form));
    exit.into()
}

fn start(arguments: Vec<OsString>) -> Result<Exit, Failure> {
    secret::disable_core_dumps().map_err(|error| {
        let sentence = format!("cannot keep secrets out of core dumps: {error}");
        Failure::new(Exit::Failure, sentence)
    })?;
    let Some(args) = args::patient(arguments)?.answer()? else {
        return Ok(Exit::Ok);
    };
    let options = PatientOptions::new(args, &|name| env::var_os(name))?;
    match options.task.clone() {
        PatientTask::Enrol(source) => enrol(&options, source),
        PatientTask::Menu => {
            let name = choose(&options)?;
            let files = open_enrolled(&options, &name)?;
            match options.form {
                Form::People => menu::run(&options, files),
                Form::Plain | Form::Json => listen::run(&options, files),
            }
        }
        PatientTask::Watch => {
            let name = choose(&options)?;
            listen::run(&options, open_enrolled(&options, &name)?)
        }
        PatientTask::Key(task) => key::run(&options, &task),
        task => command(&options, task),
    }
}

/// A command of one moment.
fn command(options: &PatientOptions, task: PatientTask) -> Result<Exit, Failure> {
    let name = choose(options)?;
    let command = |reach| Command::new(options, &name, reach);
    match task {
        PatientTask::Inbox { unread, reach } => command(reach)?.inbox(unread),
        PatientTask::Send {
            text,
            consultation,
            reach,
        } => {
            let text = input::message(text)?;
            command(reach)?.send(&text, consultation)
        }
        PatientTask::Confirm { message, reach } => command(reach)?.confirm(&message),
        PatientTask::History { connect: true } => command(Reach::Once)?.history(),
        PatientTask::History { connect: false } => command(Reach::Offline)?.history(),
        PatientTask::Status => command(Reach::Offline)?.status(),
        PatientTask::Doctors => command(Reach::Offline)?.doctors(),
        PatientTask::Menu | PatientTask::Watch | PatientTask::Enrol(_) | PatientTask::Key(_) => {
            Ok(Exit::Ok)
        }
    }
}

fn config(options: &PatientOptions) -> Config {
    Config {
        tolerance: options.tolerance,
        failover: options.failover,
        ..Config::default()
    }
}

fn enrol(options: &PatientOptions, source: TicketSource) -> Result<Exit, Failure> {
    let text = source.read(io::stdin().lock())?;
    let ticket: Ticket = text.parse().map_err(|error: TicketError| {
        let failure = Failure::new(Exit::Usage, error.to_string());
        match error {
            // It says itself where a patient's comes from.
            TicketError::ForJoining => failure,
            _ => failure.hint("the doctor's program prints one with: doctor enrol PATIENT"),
        }
    })?;
    let name = enrol::name_of(&ticket);
    for (option, given, meant) in [
        ("--id", &options.id, &name.patient),
        ("--doctor-id", &options.doctor_id, &name.doctor),
    ] {
        if let Some(given) = given.as_ref().filter(|given| *given != meant) {
            let sentence = format!("the ticket is for {meant}, not for {given}");
            return Err(Failure::new(Exit::Usage, sentence)
                .hint(format!("leave out {option}, or ask for another ticket")));
        }
    }
    let address = options
        .connect
        .as_ref()
        .map_or_else(|| ticket.address.clone(), ToString::to_string);
    let place = failure::Place::new(options, &name);
    let files = begun(options, &name)?;
    eprint(&format!(
        "patient: enrolling {} with doctor {} at {}\n",
        name.patient,
        name.doctor,
        clean(&address)
    ));
    let enrolled = enrol::enrol(
        &files,
        &ticket,
        &address,
        &config(options),
        &SystemClock,
        &mut OsRandom,
    )
    .map_err(|error| failure::enrol(&error, &place))?;
    let said = said(&name, &enrolled, options);
    options
        .form
        .print(&said, &[objects::enrolled(&name, &enrolled)])?;
    Ok(Exit::Ok)
}

fn said(name: &Name, enrolled: &Enrolled, options: &PatientOptions) -> String {
    let Name { patient, doctor } = name;
    let done = match enrolled {
        Enrolled::Now { check_code } => format!(
            "{patient} is enrolled with doctor {doctor}.\n\
             Check code: {check_code}\n\
             Compare it with what the doctor sees, best over the phone. If it differs, somebody\n\
             else is between you: tell her, and do not use this enrolment.\n"
        ),
        Enrolled::Before => format!(
            "{patient} is enrolled with doctor {doctor} already, with this ticket. \
             Nothing was changed.\n"
        ),
    };
    let data = &options.data_option;
    done + &format!("To connect: patient{data} --id {patient} --doctor-id {doctor}")
}

fn open_enrolled(options: &PatientOptions, name: &Name) -> Result<Files, Failure> {
    let directory = DataDir::open_existing(&options.data, &name.to_string());
    let directory = directory.map_err(|error| failure::directory(&error))?;
    enrolled(options, unlocked(options, name, directory)?)
}

/// The files of an identity that is there, or is begun now: then it is settled
/// how its keys are protected.
fn begun(options: &PatientOptions, name: &Name) -> Result<Files, Failure> {
    let directory = DataDir::create_or_open(&options.data, &name.to_string());
    let mut directory = directory.map_err(|error| failure::directory(&error))?;
    if !directory.path(DATA_KEY).exists() && !directory.is_sealed() {
        passphrase::begin(
            &mut directory,
            &options.keys,
            options.form,
            Program::Patient,
        )?;
    }
    unlocked(options, name, directory)
}

/// The files in a directory, with its keys unlocked.
fn unlocked(
    options: &PatientOptions,
    name: &Name,
    mut directory: DataDir,
) -> Result<Files, Failure> {
    passphrase::unlock(&mut directory, &options.keys)?;
    Files::of(name, directory).map_err(|error| failure::files(&error))
}

/// The same files, if the enrolment was finished.
fn enrolled(options: &PatientOptions, files: Files) -> Result<Files, Failure> {
    match files.enrolled_with() {
        Ok(Some(_)) => Ok(files),
        Ok(None) => Err(failure::half_enrolled(&failure::Place::new(
            options,
            files.name(),
        ))),
        Err(error) => Err(failure::files(&error)),
    }
}
