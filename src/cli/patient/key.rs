//! `patient key`.

use super::choose::choose;
use super::failure;
use crate::cli::Program;
use crate::cli::exit::{Exit, Failure};
use crate::cli::key;
use crate::cli::options::{KeyTask, PatientOptions};
use crate::identity::data_dir::{self, DataDir};

/// Does what is asked.
pub(super) fn run(options: &PatientOptions, task: &KeyTask) -> Result<Exit, Failure> {
    let name = || choose(options).map(|name| name.to_string());
    let location =
        || data_dir::location(&options.data, &name()?).map_err(|e| failure::directory(&e));
    let open =
        || DataDir::open_existing(&options.data, &name()?).map_err(|e| failure::directory(&e));
    let (form, keys) = (options.form, &options.keys);
    key::run(Program::Patient, form, keys, task, &location, &open)?;
    Ok(Exit::Ok)
}
