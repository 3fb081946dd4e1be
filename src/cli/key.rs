//! `key passwd` and `key show`, of both programs.

use std::fs;
use std::path::{Path, PathBuf};

use super::Program;
use super::exit::{Exit, Failure, eprint, print};
use super::options::{KeyOptions, KeyTask};
use super::output::{Form, Object};
use super::passphrase::{self, failed};
use super::text::quoted;
use crate::doctor::recovery;
use crate::doctor::setup::ROOT_KEY;
use crate::identity::data_dir::{self, DataDir};
use crate::identity::key_file::{Closed, Cost, KeyFileError, KeyKind, Passphrase, Protection};
use crate::identity::keyring::{Keyring, Pending, key_files, own_passphrases, pending, reseal};
use crate::random::OsRandom;

/// Changes how the keys in a directory are protected, and says how they are now.
///
/// # Errors
/// A [`Failure`]; each key is as it was or as it is to be then.
pub(super) fn passwd(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    (new, own): (Option<&Path>, Option<&Path>),
    directory: &mut DataDir,
) -> Result<(), Failure> {
    let old = passphrase::unlock_with(directory, keys)?;
    let new = match keys.plain_keys {
        true => None,
        false => Some(passphrase::new(new)?),
    };
    let known: Vec<&Passphrase> = old.iter().chain(&new).collect();
    let own = passphrase::own(&directory.path(""), &known, own)?;
    let all: Vec<&Passphrase> = old.iter().chain(&own).collect();
    let to = new.as_ref().map(|new| (new, Cost::STANDARD));
    directory
        .change_keys(to, &all)
        .map_err(|error| incomplete(&error))?;
    if program == Program::Doctor && !directory.path(ROOT_KEY).exists() {
        eprint(&format!(
            "doctor: the clinic's root key, in its drawer, is as it was; to change it too: \
             doctor{} key passwd --file FILE\n",
            keys.data_option
        ));
    }
    said(program, form, keys, &directory.path(""), !keys.plain_keys)
}

/// Changes how a single key file is protected.
///
/// # Errors
/// A [`Failure`]; the file is as it was then.
pub(super) fn passwd_file(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    (new, own): (Option<&Path>, Option<&Path>),
    file: &Path,
) -> Result<(), Failure> {
    // Under a link, the file it leads to is the key.
    let real = fs::canonicalize(file);
    let real = real.map_err(|error| failed(&KeyFileError::unreadable(file, error)))?;
    let file = &*real;
    let locked = data_dir::lock_around(file);
    let _lock = locked.map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    if let Some(how) = pending(file) {
        let sentence = format!(
            "'{}' takes part in a change of the passphrase that was cut short",
            file.display()
        );
        return Err(Failure::new(Exit::Failure, sentence).hint(unfinished(program, keys, how)));
    }
    let closed = Closed::read(file).map_err(|error| failed(&error))?;
    let old = match closed.protection {
        Protection::Plain => None,
        Protection::Passphrase { .. } => {
            let mut open = |old: &_| {
                let opened = closed.open_with_passphrase(old);
                opened.map_err(|fault| KeyFileError::new(file, fault))
            };
            Some(passphrase::by_itself(keys, own, file, &mut open)?.1)
        }
        Protection::Wrapped(_) => {
            let sentence = format!(
                "'{}' is sealed together with the other keys of its directory",
                file.display()
            );
            return Err(Failure::new(Exit::Failure, sentence).hint(format!(
                "leave --file out: {program}{} key passwd",
                keys.data_option
            )));
        }
    };
    let new = match keys.plain_keys {
        true => None,
        false => Some(passphrase::new(new)?),
    };
    let to = new.as_ref().map(|new| (new, Cost::STANDARD));
    reseal(file, old.as_ref(), to, &mut OsRandom).map_err(|error| failed(&error))?;
    if form == Form::People {
        passphrase::say_file(program, keys, file, new.is_some());
        say_recovery_code(file);
        return Ok(());
    }
    print_state(form, file, new.is_some())
}

fn incomplete(error: &KeyFileError) -> Failure {
    failed(error).hint(
        "every key is as it was or as it was to be, and none is lost; once that is put right, run \
         the same command again",
    )
}

fn said(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    place: &Path,
    sealed: bool,
) -> Result<(), Failure> {
    if form == Form::People {
        passphrase::say(program, keys, place, sealed);
        say_recovery_code(place);
        return Ok(());
    }
    print_state(form, place, sealed)
}

fn print_state(form: Form, place: &Path, sealed: bool) -> Result<(), Failure> {
    let record = Object::new("keys")
        .with("place", place.display().to_string())
        .with("sealed", sealed);
    form.print("", &[record])
}

/// Shows how the key files in a directory are protected. Nothing is unlocked for
/// it.
///
/// # Errors
/// A [`Failure`] if one of them is no whole key file.
pub(super) fn show(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    directory: &Path,
) -> Result<(), Failure> {
    let paths = key_files(directory).map_err(|error| failed(&error))?;
    let mut people = String::new();
    let mut objects = Vec::new();
    let mut unusable = None;
    for path in paths {
        match Closed::read(&path) {
            Ok(closed) => {
                people += &line(&path, &closed);
                objects.push(object(&path, &closed));
            }
            Err(error) => unusable = unusable.or(Some(failed(&error))),
        }
    }
    match form {
        Form::People => print(&people)?,
        _ => form.print_objects(&objects)?,
    }
    say_state(program, keys, directory);
    say_recovery_code(directory);
    unusable.map_or(Ok(()), Err)
}

/// Says what interruptions have left of the protection of the keys in a
/// directory, and what to do about it.
pub(super) fn say_state(program: Program, keys: &KeyOptions, directory: &Path) {
    for note in state(program, keys, directory) {
        eprint(&format!("{program}: note: {note}\n"));
    }
}

/// Which passphrase is good after a change that was cut short, and how it ends:
/// every command that opens the keys ends it.
fn unfinished(program: Program, keys: &KeyOptions, how: Pending) -> String {
    let opens = match program {
        Program::Doctor => "authority show",
        Program::Patient => "status",
    };
    let what = match how {
        Pending::NotMade => "it was not made, the old passphrase is good; what is left of it goes",
        Pending::Made => "it was made, the new passphrase is good; the rest is done",
    };
    format!(
        "{what} with the next start, or, while no program runs, with: {program}{} {opens}",
        keys.data_option
    )
}

fn state(program: Program, keys: &KeyOptions, directory: &Path) -> Vec<String> {
    let passwd = format!("{program}{} key passwd", keys.data_option);
    let paths = key_files(directory).unwrap_or_default();
    let mut notes = Vec::new();
    if let Some(how) = paths.iter().find_map(|path| pending(path)) {
        notes.push(format!(
            "a change of the passphrase was cut short: {}",
            unfinished(program, keys, how)
        ));
    }
    for path in own_passphrases(directory).unwrap_or_default() {
        notes.push(format!(
            "'{}' is sealed by itself, not together with the other keys here: what needs it asks \
             for its own passphrase (--root-passphrase-file FILE), and backups are made without \
             it; to seal it together with them, while no program runs: {passwd}",
            path.display()
        ));
    }
    let closed = paths.iter().filter_map(|path| Closed::read(path).ok());
    let protections: Vec<Protection> = closed.map(|closed| closed.protection).collect();
    let is_sealed = Keyring::is_sealed(directory);
    let is_wrapped = |protection: &Protection| matches!(protection, Protection::Wrapped(_));
    if !is_sealed && protections.iter().any(is_wrapped) {
        notes.push(format!(
            "the file passphrase.key is missing in '{}', so that no passphrase opens what is \
             sealed under it; put it back from a copy of the directory, or restore a backup",
            directory.display()
        ));
    }
    if is_sealed && protections.contains(&Protection::Plain) {
        notes.push(format!(
            "some of the keys lie unsealed beside others that are sealed, as after a change that \
             was cut short; to complete it: {passwd}, or, to take the passphrase off, {program}{} \
             --plain-keys key passwd",
            keys.data_option
        ));
    }
    notes
}

/// A recovery code beside sealed keys opens the database without them.
fn say_recovery_code(place: &Path) {
    if let Some(file) = recovery::file_beside_keys(place) {
        eprint(&format!(
            "doctor: note: '{}' lies beside the keys: the recovery code in it opens the database \
             and every backup without any passphrase; write it on paper, keep it away from this \
             machine, then delete the file\n",
            file.display()
        ));
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn line(path: &Path, closed: &Closed) -> String {
    let how = match closed.protection {
        Protection::Plain => "unsealed, readable by this user only".to_owned(),
        Protection::Passphrase { cost, .. } => format!(
            "sealed under a passphrase (Argon2id, {} MiB, passes: {}, lanes: {})",
            cost.memory() / 1024,
            cost.passes(),
            cost.lanes()
        ),
        Protection::Wrapped(_) => "sealed under passphrase.key".to_owned(),
    };
    let name = quoted(&name(path)).trim_matches('"').to_owned();
    format!("{name}: {}, {how}\n", closed.kind)
}

fn object(path: &Path, closed: &Closed) -> Object {
    let (how, cost) = match closed.protection {
        Protection::Plain => ("plain", None),
        Protection::Passphrase { cost, .. } => ("passphrase", Some(cost)),
        Protection::Wrapped(_) => ("wrapped", None),
    };
    let kind = match closed.kind {
        KeyKind::RootSigning => "root",
        KeyKind::DoctorSigning => "doctor_signing",
        KeyKind::Prekey => "prekey",
        KeyKind::PatientSigning => "patient_signing",
        KeyKind::PatientEncryption => "patient_encryption",
        KeyKind::Data => "data",
        KeyKind::Wrapping => "wrapping",
        KeyKind::Columns => "columns",
        KeyKind::Joining => "joining",
    };
    Object::new("key_file")
        .with("file", name(path))
        .with("kind", kind)
        .with("protection", how)
        .with("memory_kib", cost.map(Cost::memory))
        .with("passes", cost.map(Cost::passes))
        .with("lanes", cost.map(Cost::lanes))
}

/// What is asked of key files, by both programs.
pub(super) fn run(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    task: &KeyTask,
    location: &dyn Fn() -> Result<PathBuf, Failure>,
    open: &dyn Fn() -> Result<DataDir, Failure>,
) -> Result<Option<DataDir>, Failure> {
    match task {
        KeyTask::Show => show(program, form, keys, &location()?)?,
        KeyTask::Passwd {
            new,
            file: Some(file),
            own,
        } => {
            passwd_file(program, form, keys, (new.as_deref(), own.as_deref()), file)?;
        }
        KeyTask::Passwd {
            new,
            file: None,
            own,
        } => {
            let mut directory = open()?;
            let files = (new.as_deref(), own.as_deref());
            passwd(program, form, keys, files, &mut directory)?;
            return Ok(Some(directory));
        }
    }
    Ok(None)
}
