//! Where no server answers: none runs for this doctor, or one that runs on another
//! directory or machine of her clinic.

use crate::cli::exit::{Exit, Failure};
use crate::cli::options::DoctorOptions;
use crate::doctor::setup;
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::store::nodes::SeatHolder;
use crate::store::{Store, StoreChoice, StoreError};

/// That no server answers what only a server can, as far as her store, if it was
/// opened, knows of one elsewhere.
pub fn no_server(options: &DoctorOptions, id: &Identifier, store: Option<&dyn Store>) -> Failure {
    let holder = match store {
        Some(store) => holder(store).map_err(|error| error.to_string()),
        None => look(options, id),
    };
    let start = format!("start it: doctor{} --id {id}", options.data_option);
    match holder {
        Ok(Some(holder)) => served_elsewhere(options, id, &holder),
        Ok(None) => none_runs(id).hint(start),
        Err(why) => none_runs(id).hint(format!(
            "{start}; whether another machine of the clinic serves {id} is not known: {why}"
        )),
    }
}

fn none_runs(id: &Identifier) -> Failure {
    let sentence = format!("no server is running for doctor {id}");
    Failure::new(Exit::Unreachable, sentence)
}

fn served_elsewhere(options: &DoctorOptions, id: &Identifier, holder: &SeatHolder) -> Failure {
    let since = holder.since.map(|since| format!(", since {since}"));
    let at = holder
        .at
        .as_ref()
        .map(|at| format!(", by a program at {at}"));
    let sentence = format!(
        "doctor {id} is served elsewhere{}{}; no server runs on '{}'",
        since.unwrap_or_default(),
        at.unwrap_or_default(),
        options.data.join(id.as_str()).display()
    );
    Failure::new(Exit::Unreachable, sentence).hint(format!(
        "say it on that machine, in the directory of that server; or stop that one, then start \
         it here: doctor{} --id {id}",
        options.data_option
    ))
}

fn holder(store: &dyn Store) -> Result<Option<SeatHolder>, StoreError> {
    store.nodes().map_or(Ok(None), |nodes| nodes.seat_holder())
}

/// Asks a clinic's database; the store in a directory has no server elsewhere.
fn look(options: &DoctorOptions, id: &Identifier) -> Result<Option<SeatHolder>, String> {
    if options.store == StoreChoice::File {
        return Ok(None);
    }
    let directory = data_dir::location(&options.data, id.as_str());
    let directory = directory.map_err(|error| error.to_string())?;
    let store = setup::look_at_store(&directory, &options.store, id);
    let store = store.map_err(|error| error.to_string())?;
    holder(&*store).map_err(|error| error.to_string())
}
