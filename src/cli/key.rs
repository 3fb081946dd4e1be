//! `key passwd` and `key show`, of both programs.

use std::path::{Path, PathBuf};

use super::Program;
use super::exit::{Exit, Failure, eprint, print};
use super::options::{KeyOptions, KeyTask};
use super::output::{Form, Object};
use super::passphrase::{self, failed};
use super::text::quoted;
use crate::doctor::setup::ROOT_KEY;
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{Closed, Cost, KeyFileError, KeyKind, Protection};
use crate::identity::keyring::{key_files, reseal};
use crate::random::OsRandom;

/// Changes how the keys in a directory are protected, and says how they are now.
///
/// # Errors
/// A [`Failure`]; each key is as it was or as it is to be then.
pub(super) fn passwd(
    program: Program,
    form: Form,
    keys: &KeyOptions,
    new: Option<&Path>,
    directory: &mut DataDir,
) -> Result<(), Failure> {
    passphrase::unlock(directory, keys)?;
    if keys.plain_keys {
        directory
            .unseal_keys()
            .map_err(|error| incomplete(&error))?;
    } else {
        let new = passphrase::new(new)?;
        let sealed = directory.seal_keys(&new, Cost::STANDARD);
        sealed.map_err(|error| incomplete(&error))?;
    }
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
    new: Option<&Path>,
    file: &Path,
) -> Result<(), Failure> {
    let closed = Closed::read(file).map_err(|error| failed(&error))?;
    let old = match closed.protection {
        Protection::Plain => None,
        Protection::Passphrase { .. } => {
            let mut open = |old: &_| {
                let opened = closed.open_with_passphrase(old);
                opened.map_err(|fault| KeyFileError::new(file, fault))
            };
            Some(passphrase::with(keys, file, &mut open)?.1)
        }
        Protection::Wrapped(_) => {
            let sentence = format!(
                "'{}' is sealed together with the other keys of its directory",
                file.display()
            );
            return Err(Failure::new(Exit::Failure, sentence)
                .hint(format!("leave --file out: {program} key passwd")));
        }
    };
    let new = match keys.plain_keys {
        true => None,
        false => Some(passphrase::new(new)?),
    };
    let to = new.as_ref().map(|new| (new, Cost::STANDARD));
    reseal(file, old.as_ref(), to, &mut OsRandom).map_err(|error| failed(&error))?;
    said(program, form, keys, file, new.is_some())
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
        return Ok(());
    }
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
pub(super) fn show(form: Form, directory: &Path) -> Result<(), Failure> {
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
    unusable.map_or(Ok(()), Err)
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
        KeyTask::Show => show(form, &location()?)?,
        KeyTask::Passwd {
            new,
            file: Some(file),
        } => {
            passwd_file(program, form, keys, new.as_deref(), file)?;
        }
        KeyTask::Passwd { new, file: None } => {
            let mut directory = open()?;
            passwd(program, form, keys, new.as_deref(), &mut directory)?;
            return Ok(Some(directory));
        }
    }
    Ok(None)
}
