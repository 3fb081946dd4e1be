//! `doctor key`.

use crate::audit::{Action, Entry};
use crate::cli::Program;
use crate::cli::doctor::{failed, setup_failed, store_failed};
use crate::cli::exit::Failure;
use crate::cli::key;
use crate::cli::options::{DoctorOptions, KeyTask};
use crate::clock::{Clock, SystemClock};
use crate::doctor::setup;
use crate::identity::data_dir::{self, DataDir};
use crate::identity::id::Identifier;

/// Does what is asked, and logs a change.
pub fn run(
    options: &DoctorOptions,
    id: &dyn Fn() -> Result<Identifier, Failure>,
    task: &KeyTask,
) -> Result<(), Failure> {
    let location =
        || data_dir::location(&options.data, id()?.as_str()).map_err(|error| failed(&error));
    let open =
        || DataDir::open_existing(&options.data, id()?.as_str()).map_err(|error| failed(&error));
    let (form, keys) = (options.form, &options.keys);
    let changed = key::run(Program::Doctor, form, keys, task, &location, &open)?;
    let Some(directory) = changed else {
        return Ok(());
    };
    let detail = match keys.plain_keys {
        true => "the keys lie unsealed",
        false => "new passphrase",
    };
    let (now, doctor) = (SystemClock.now(), id()?);
    let entry = Entry::new(
        now,
        doctor.as_str(),
        Action::KeyChanged,
        doctor.as_str(),
        detail,
    );
    let store = setup::reopen_store(&directory, &options.store, &doctor);
    let store = store.map_err(|error| setup_failed(&error))?;
    store.append_audit(&[entry]).map_err(|e| store_failed(&e))
}
