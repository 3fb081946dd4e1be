//! `doctor backup`, `restore` and `recovery-code`.

mod objects;
mod words;

use std::env;
use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use objects::object;
pub use words::text;

use crate::backup::{self, BackupError, Reader};
use crate::cli::Program;
use crate::cli::doctor::{self, code, failed, unexpected};
use crate::cli::exit::{Exit, Failure, eprint, hand_out};
use crate::cli::input;
use crate::cli::options::{BackupTask, CodeSource, DoctorOptions};
use crate::cli::passphrase;
use crate::cli::text::{clean, quoted};
use crate::clock::{Clock, SystemClock};
use crate::control;
use crate::doctor::backup::{
    Answer, Checked, Heads, Made, Request, RestoreFailure, check_empty, restore, verify,
};
use crate::doctor::office;
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::identity::key_file::Cost;
use crate::store::StoreChoice;
use crate::vault::{DATA_KEY, RecoveryCode, Vault};

/// How long a server may take to back up whatever it has.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// Does what is asked.
pub fn run(options: &DoctorOptions, task: &BackupTask) -> Result<(), Failure> {
    match task {
        BackupTask::Make(file) => {
            let file = absolute(file)?;
            let answer = ask(options, Request::Make { file })?;
            if let Answer::Made(made) = &answer {
                is_here(made)?;
            }
            options.form.print(&text(&answer), &[object(&answer)])
        }
        BackupTask::NewCode { yes } => new_code(options, *yes),
        BackupTask::CheckCode(source) => check_code(options, source),
        BackupTask::Verify(file, source) => verify_file(options, file, source),
        BackupTask::Restore(file, source, heads) => {
            restore_file(options, file, source, heads.as_deref())
        }
    }
}

/// Has the office answer, in the running server or here.
fn ask(options: &DoctorOptions, request: Request) -> Result<Answer, Failure> {
    let id = doctor::identity(options)?;
    let patience = match request {
        Request::Make { .. } => LONG,
        _ => control::PATIENCE,
    };
    let request = office::Request::Backup(request);
    match doctor::ask_office(options, &id, request, patience)? {
        office::Answer::Backup(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// A failure if the backup is not where it is said to be: a service may see
/// other directories than this command.
fn is_here(made: &Made) -> Result<(), Failure> {
    let found = fs::metadata(&made.file).map(|metadata| metadata.len());
    if found.as_ref().ok() == Some(&made.bytes) {
        return Ok(());
    }
    let found = match found {
        Ok(bytes) => format!("it has {bytes} bytes"),
        Err(error) => error.to_string(),
    };
    let sentence = format!(
        "the server has made a backup of {} bytes and calls it '{}', but it is not there ({found}): \
         the server sees other files than this command",
        made.bytes,
        made.file.display()
    );
    Err(Failure::new(Exit::Failure, sentence).hint(
        "name a directory that both see, with a service one of its ReadWritePaths, or stop the \
         server first",
    ))
}

/// Shows a new recovery code, and makes it good once it is shown.
fn new_code(options: &DoctorOptions, yes: bool) -> Result<(), Failure> {
    let Answer::Sharers(others) = ask(options, Request::Sharers)? else {
        return Err(unexpected());
    };
    if !yes && !others.is_empty() {
        confirm_new_code(&others)?;
    }
    let shown = ask(options, Request::NewCode)?;
    let void = |failure: Failure| {
        let sentence = format!("the new recovery code is not good: {failure}");
        Failure::new(failure.exit, sentence).hint(
            "nothing has changed, and the older code stays good; try again: doctor recovery-code",
        )
    };
    let Answer::NewCode { wrapped, .. } = &shown else {
        return Err(void(unexpected()));
    };
    // Who reads it must have got it, even at the other end of a pipe.
    let text = options.form.text(&text(&shown), &[object(&shown)]);
    hand_out(&text).map_err(void)?;
    let wrapped = wrapped.clone();
    ask(options, Request::KeepCode { wrapped }).map_err(void)?;
    eprint(&format!("{}\n", words::NEW_CODE));
    Ok(())
}

/// Asks before the recovery code that other doctors keep becomes void.
fn confirm_new_code(others: &[String]) -> Result<(), Failure> {
    let others = clean(&others.join(", "));
    let unchanged = "nothing has changed, and the older recovery code stays good";
    if !io::stdin().is_terminal() {
        let sentence =
            format!("the recovery code is also that of {others}, and nobody is there to be asked");
        return Err(Failure::new(Exit::Usage, sentence).hint(format!("{unchanged}; say --yes")));
    }
    let question = format!(
        "The recovery code is the whole clinic's, and also that of {others}: the one they keep \
         will open only backups that were made until now, and they need the new one.\n\
         Type yes to make a new one: "
    );
    match input::says_yes(&question) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, unchanged)),
    }
}

/// The server's directory may be another one.
fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    let file = env::current_dir().map(|here| here.join(file));
    let file = file.map_err(|error| failed(&error))?;
    if file.to_str().is_none() {
        let shown = quoted(&file.to_string_lossy());
        let sentence = format!("the name of the file, {shown}, is not valid UTF-8");
        return Err(Failure::new(Exit::Usage, sentence));
    }
    Ok(file)
}

fn check_code(options: &DoctorOptions, source: &CodeSource) -> Result<(), Failure> {
    let Answer::Wrapped(wrapped) = ask(options, Request::Wrapped)? else {
        return Err(unexpected());
    };
    let Some(wrapped) = wrapped else {
        let failure = Failure::new(Exit::Failure, "there is no recovery code yet");
        return Err(failure.hint("make one: doctor recovery-code"));
    };
    let code = code::get(source)?;
    code.unwrap(&wrapped).map_err(|_| {
        let sentence = "this is not the recovery code that is good now";
        Failure::new(Exit::Refused, sentence)
            .hint("an older one opens older backups only; make a new one: doctor recovery-code")
    })?;
    let sentence = "The recovery code is right: it opens the data key.";
    options.form.print(sentence, &[objects::code_checked(true)])
}

fn open(file: &Path) -> Result<Reader<BufReader<File>>, Failure> {
    let opened = File::open(file).map_err(|error| {
        let sentence = format!("cannot open '{}': {error}", file.display());
        Failure::new(Exit::Failure, sentence)
    })?;
    Reader::new(BufReader::new(opened)).map_err(|error| unusable(file, &error.into()))
}

fn verify_file(options: &DoctorOptions, file: &Path, source: &CodeSource) -> Result<(), Failure> {
    let reader = open(file)?;
    let own = match source {
        CodeSource::Asked => own_vault(options, &reader.header().doctor)?,
        _ => None,
    };
    let own = own.filter(|vault| backup::fits(reader.header(), vault));
    let with_code = own.is_none();
    let vault = match own {
        Some(vault) => vault,
        None => unwrap(&code::get(source)?, &reader.header().wrapped)?,
    };
    let checked = verify(&options.data, reader, &vault).map_err(|e| unusable(file, &e))?;
    let people = words::checked(&checked, with_code);
    let object = objects::checked(&checked, with_code);
    options.form.print(people.trim_end(), &[object])?;
    sound(file, &checked)
}

/// This machine's own data key. Read as it lies there: it never changes.
fn own_vault(options: &DoctorOptions, id: &Identifier) -> Result<Option<Vault>, Failure> {
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let file = directory.join(DATA_KEY);
    if !file.exists() {
        return Ok(None);
    }
    let keyring = passphrase::keyring(&directory, &options.keys)?;
    Ok(Vault::load(&file, &keyring).ok())
}

fn unwrap(code: &RecoveryCode, wrapped: &[u8]) -> Result<Vault, Failure> {
    code.unwrap(wrapped).map_err(|_| {
        let sentence = "the recovery code does not open this backup";
        Failure::new(Exit::Refused, sentence)
            .hint("a backup opens with the code that was good when it was made")
    })
}

/// A failure if something that is in the backup is not as it should be.
fn sound(file: &Path, checked: &Checked) -> Result<(), Failure> {
    if checked.is_sound() {
        return Ok(());
    }
    let sentence = format!(
        "'{}' is whole, but what is in it was damaged before it was made: {}",
        file.display(),
        words::faults(checked).join("; ")
    );
    Err(Failure::new(Exit::Integrity, sentence).hint("look for an older backup"))
}

fn restore_file(
    options: &DoctorOptions,
    file: &Path,
    source: &CodeSource,
    heads: Option<&Path>,
) -> Result<(), Failure> {
    let reader = open(file)?;
    let id = reader.header().doctor.clone();
    if let Some(wanted) = options.id.as_ref().filter(|wanted| **wanted != id) {
        let sentence = format!("this is a backup of doctor {id}, not of {wanted}");
        return Err(Failure::new(Exit::Failure, sentence));
    }
    check_empty(&options.data, &id).map_err(|error| unusable(file, &error))?;
    let known = heads.map(Heads::read).transpose();
    let known = known.map_err(|error| unusable(file, &error))?;
    let vault = unwrap(&code::get(source)?, &reader.header().wrapped)?;
    let chosen = passphrase::choose(&options.keys, options.form)?;
    let sealing = chosen.as_ref().map(|chosen| (chosen, Cost::STANDARD));
    let now = SystemClock.now();
    let restored = restore(&options.data, reader, &vault, known.as_ref(), sealing, now)
        .map_err(|error| unusable(file, &error))?;
    let place = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    passphrase::say(Program::Doctor, &options.keys, &place, chosen.is_some());
    // It is in the data directory, wherever the practice was.
    let found = options.found_in(&StoreChoice::File);
    let people = words::restored(&restored, &found);
    options
        .form
        .print(people.trim_end(), &[objects::restored(&restored)])?;
    intact(&restored.checked)
}

/// A failure if what was restored is not as it should be.
fn intact(checked: &Checked) -> Result<(), Failure> {
    if checked.is_sound() {
        return Ok(());
    }
    let sentence = format!(
        "doctor {} is restored, but what was restored is damaged: {}",
        checked.doctor,
        words::faults(checked).join("; ")
    );
    Err(Failure::new(Exit::Integrity, sentence)
        .hint("keep the backup and every file of heads as they are; an older backup may be sound"))
}

fn unusable(file: &Path, error: &RestoreFailure) -> Failure {
    let exit = match error {
        RestoreFailure::Backup(BackupError::Read(_) | BackupError::Write(_))
        | RestoreFailure::NotEmpty(_)
        | RestoreFailure::Directory(_)
        | RestoreFailure::Heads(_)
        | RestoreFailure::Write(..) => Exit::Failure,
        RestoreFailure::Store(error) => error.fault().into(),
        RestoreFailure::Backup(_) | RestoreFailure::Setup(_) => Exit::Integrity,
    };
    let sentence = match error {
        RestoreFailure::Backup(_) => format!("'{}': {error}", file.display()),
        _ => error.to_string(),
    };
    Failure::new(exit, sentence)
}
