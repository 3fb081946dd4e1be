//! The program `doctor`.

mod alike;
pub mod audit;
mod authority;
mod backup;
mod blocks;
mod books;
mod code;
mod devices;
mod elsewhere;
mod joining;
mod key;
mod keygen_group;
mod menu;
pub mod messages;
mod objects;
pub mod patients;
pub mod presence;
pub mod purge;
mod serve;
mod show;
mod staff;
mod store;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Program;
use crate::cli::args;
use crate::cli::doctor::patients::PatientsTask;
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::{AuditTask, BackupTask, DoctorOptions, DoctorTask};
use crate::cli::output::Form;
use crate::control::{self, NoAnswer};
use crate::doctor;
use crate::doctor::control::{Answer, Request};
use crate::doctor::office;
use crate::doctor::seen::SeenError;
use crate::doctor::setup::SetupError;
use crate::identity::certificate::Role;
use crate::identity::data_dir::{self, DataDir, DataDirFault};
use crate::identity::id::Identifier;
use crate::secret::disable_core_dumps;
use crate::store::StoreError;
use crate::vault::VaultError;

/// How long a server may take to stop.
const STOP_TIME: Duration = Duration::from_secs(15);
/// How often it is looked whether it has.
const STOP_TICK: Duration = Duration::from_millis(20);

/// Runs `doctor` with these arguments, the program's name left out.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let form = Form::of_failures(&arguments);
    match try_run(arguments) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => failure.report(Program::Doctor, form).into(),
    }
}

fn try_run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let Some(args) = args::doctor(arguments)?.answer()? else {
        return Ok(());
    };
    let options = DoctorOptions::new(args, &|name| env::var_os(name))?;
    disable_core_dumps().map_err(|error| {
        let sentence = format!("core dumps, which would hold secrets, cannot be disabled: {error}");
        Failure::new(Exit::Failure, sentence)
    })?;
    let id = || identity(&options);
    if asks_first(&options.task) {
        books::check_is_doctor(&options, &id()?, &options.store)?;
    }
    let request = match options.task.clone() {
        DoctorTask::Menu => return serve::run(&options, &id()?, serve::Mode::Menu),
        DoctorTask::Serve => return serve::run(&options, &id()?, serve::Mode::Service),
        DoctorTask::KeygenGroup(task) => return keygen_group::run(&options, &task),
        DoctorTask::Backup(task) => return backup::run(&options, &task),
        DoctorTask::Key(task) => return key::run(&options, &id, &task),
        DoctorTask::Authority(task) => return authority::run(&options, &id()?, &task),
        DoctorTask::CopyStore(task) => return store::copy(&options, &id()?, &task),
        DoctorTask::List => Request::List,
        DoctorTask::ListClinic => Request::ListClinic,
        DoctorTask::Enrol(patient, valid) => {
            alike::check(&options, &id()?, &patient)?;
            Request::Office(office::Request::Enrol {
                patient: patient.to_string(),
                public_address: options.public_address.as_ref().map(ToString::to_string),
                valid_seconds: valid.map(|time| time.as_secs()),
            })
        }
        DoctorTask::Invite(name, role, valid) => {
            return joining::invite(&options, &id()?, (&name, role), valid);
        }
        DoctorTask::Join(source, wait) => return joining::join(&options, source, wait),
        DoctorTask::Devices(task) => return devices::run(&options, &id()?, &task),
        DoctorTask::Audit(AuditTask::Verify(verification)) if verification.database.is_some() => {
            return audit::verify_copy(options.form, &verification);
        }
        DoctorTask::Purge(task) => return purge::run(&options, &task),
        DoctorTask::Audit(task) => return audit::run(&options, &id()?, &task),
        DoctorTask::Blocks(request) => Request::Blocks(request),
        DoctorTask::Disconnect => Request::Disconnect,
        DoctorTask::Stop => Request::Stop,
        DoctorTask::Patients(task) => {
            let may_ask = options.form == Form::People;
            let id = id()?;
            if let PatientsTask::Add(patient, _) = &task {
                alike::check(&options, &id, patient)?;
            }
            let office = |request| patients_office(&options, &id, request);
            let request = patients::request(&task, may_ask, &office)?;
            Request::Office(office::Request::Patients(request))
        }
        DoctorTask::Messages(task) => return messages::run(&options, &id()?, task),
    };
    command(&options, &id()?, &request)
}

/// Whether a command is for doctors and asks a person before it asks the books, or may
/// do so: nobody is to be asked what is refused afterwards.
const fn asks_first(task: &DoctorTask) -> bool {
    match task {
        DoctorTask::Enrol(..) | DoctorTask::Devices(_) | DoctorTask::Purge(_) => true,
        DoctorTask::Backup(task) => matches!(task, BackupTask::NewCode { .. }),
        DoctorTask::Patients(task) => !matches!(
            task,
            PatientsTask::Show(_) | PatientsTask::List(..) | PatientsTask::Search(_)
        ),
        // `authority` looks by itself.
        _ => false,
    }
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

fn vault_failed(error: &VaultError) -> Failure {
    let exit = match error {
        VaultError::Store(error) => error.fault().into(),
        VaultError::KeyFile(error) => error.fault().into(),
        VaultError::OtherKey => Exit::Integrity,
    };
    Failure::new(exit, error.to_string())
}

fn setup_failed(error: &SetupError) -> Failure {
    let exit = match error {
        SetupError::Store(error) => error.fault().into(),
        SetupError::KeyFile(error) => error.fault().into(),
        SetupError::Dismissed(_) | SetupError::Dates(..) => Exit::Refused,
        SetupError::Seen(_, SeenError::Io(_))
        | SetupError::Io(..)
        | SetupError::NotJoined
        | SetupError::Moved { .. }
        | SetupError::Copying(_)
        | SetupError::NotThere { .. } => Exit::Failure,
        SetupError::NoDatabase(_) | SetupError::Inconsistent(_) | SetupError::Seen(..) => {
            Exit::Integrity
        }
    };
    Failure::new(exit, error.to_string())
}

/// Has a request answered by the running server, within this time; if none
/// runs, by this program itself, as far as it can.
fn ask(
    options: &DoctorOptions,
    id: &Identifier,
    request: &Request,
    patience: Duration,
) -> Result<Answer, Failure> {
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let answer = control::ask(&directory, request, patience)
        .map_err(|error| no_answer(&directory, &error))?;
    match answer {
        Some(answer) => Ok(answer),
        None => offline(options, id, request),
    }
}

/// Has a request answered, and prints the answer.
fn command(options: &DoctorOptions, id: &Identifier, request: &Request) -> Result<(), Failure> {
    let answer = answer_to(options, id, request)?;
    show::answer(&answer, options.form)?;
    if answer == Answer::Stopping {
        wait_for_end(options, id);
    }
    Ok(())
}

/// Has the office answer, in the running server or here, within this time.
fn ask_office(
    options: &DoctorOptions,
    id: &Identifier,
    request: office::Request,
    patience: Duration,
) -> Result<office::Answer, Failure> {
    match ask(options, id, &Request::Office(request), patience)? {
        Answer::Office(office::Answer::Failed(why)) | Answer::Failed(why) => Err((&why).into()),
        Answer::Office(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// An answer to something that was not asked.
fn unexpected() -> Failure {
    let sentence = "the running server gives an answer that this program does not understand";
    Failure::new(Exit::Failure, sentence).hint("it may be another version: restart the server")
}

/// Has a request about patients' records answered.
fn patients_office(
    options: &DoctorOptions,
    id: &Identifier,
    request: doctor::patients::Request,
) -> Result<doctor::patients::Answer, Failure> {
    let request = office::Request::Patients(request);
    match ask_office(options, id, request, control::PATIENCE)? {
        office::Answer::Patients(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// Has a request answered that takes no longer than usual.
fn answer_to(
    options: &DoctorOptions,
    id: &Identifier,
    request: &Request,
) -> Result<Answer, Failure> {
    ask(options, id, request, control::PATIENCE)
}

/// Has a request answered by the running server; nothing if none answers now.
fn answer_of_running(
    options: &DoctorOptions,
    id: &Identifier,
    request: &Request,
    patience: Duration,
) -> Result<Option<Answer>, Failure> {
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    Ok(control::ask(&directory, request, patience).ok().flatten())
}

/// Answers a request from the practice's books.
fn offline(options: &DoctorOptions, id: &Identifier, request: &Request) -> Result<Answer, Failure> {
    let needs_server = !matches!(request, Request::Office(_));
    if needs_server && !books::may_lack_node(options, id)? {
        return Err(elsewhere::no_server(options, id, None));
    }
    let practice = books::open_existing(options, id)?;
    if needs_server && practice.role() == Role::Doctor {
        return Err(elsewhere::no_server(options, id, Some(&*practice.store)));
    }
    let answer = books::answer(&practice, request.clone());
    if let (Role::Doctor, Answer::Office(office::Answer::Failed(_))) = (practice.role(), &answer) {
        // The database was not read as a whole when it was opened.
        practice
            .store
            .check()
            .map_err(|error| store_failed(&error))?;
    }
    Ok(answer)
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

fn no_answer(directory: &Path, error: &NoAnswer) -> Failure {
    let directory = directory.display();
    let sentence = format!("the server running on '{directory}' {error}");
    Failure::new(Exit::Unreachable, sentence).hint(match error.was_asked {
        false => {
            "nothing was done, and nothing will be: the server was not asked; look whether its \
             process was stopped or has too much to do, then say it again"
        }
        true => {
            "what was asked may have been done all the same: look before you ask again, with \
             'doctor deliveries' whether a message is there, with 'doctor audit list' for \
             anything else"
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn that_nothing_was_done_is_said_only_where_nothing_was_asked() {
        let hint = |was_asked| {
            let error = io::ErrorKind::TimedOut.into();
            let failure = no_answer(Path::new("D1"), &NoAnswer { error, was_asked });
            assert!(failure.sentence.ends_with("gives no answer in time"));
            failure.hint.unwrap()
        };
        assert!(hint(false).starts_with("nothing was done"));
        assert!(hint(true).starts_with("what was asked may have been done"));
    }
}
