//! Which store is opened, and whether it is one that can be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{SIGNING_KEY, SetupError};
use crate::identity::data_dir::{DATABASE, DataDir};
use crate::identity::id::Identifier;
#[cfg(feature = "postgres")]
use crate::store::{PostgresAddress, PostgresStore};
use crate::store::{SqliteStore, Store, StoreChoice, fact};

/// Opens the doctor's database, or makes it at the first start.
///
/// # Errors
/// [`SetupError::Store`]; [`SetupError::NoDatabase`] if this is not the first
/// start: a new clinic in its place would be one that no patient believes.
pub fn open_store(directory: &DataDir) -> Result<SqliteStore, SetupError> {
    Ok(SqliteStore::open(&database(directory)?)?)
}

fn reopen_file(directory: &DataDir) -> Result<SqliteStore, SetupError> {
    Ok(SqliteStore::reopen(&database(directory)?)?)
}

/// Opens the doctor's store, wherever it is: the file at once, as
/// [`SqliteStore::reopen`] does.
///
/// # Errors
/// As [`open_store`]; [`SetupError::Moved`] if the practice is elsewhere now;
/// [`SetupError::NotThere`] or [`SetupError::NotJoined`] if the keys in the
/// directory have nothing to do with the database on the server.
pub fn reopen_store(
    directory: &DataDir,
    choice: &StoreChoice,
    doctor: &Identifier,
) -> Result<Arc<dyn Store>, SetupError> {
    let store: Arc<dyn Store> = match choice {
        StoreChoice::File => {
            let store = reopen_file(directory)?;
            check_usable(&store, directory.path(""))?;
            Arc::new(store)
        }
        #[cfg(feature = "postgres")]
        StoreChoice::Server(address) => {
            let store = PostgresStore::open(address, doctor.as_str())?;
            check_usable(&store, directory.path(""))?;
            let has_keys = directory.path(SIGNING_KEY).exists();
            check_member(&store, address, has_keys.then(|| directory.path("")))?;
            Arc::new(store)
        }
    };
    let _ = doctor;
    Ok(store)
}

/// The same for a look at it, in a directory that a server may use.
///
/// # Errors
/// As [`reopen_store`].
pub fn look_at_store(
    directory: &Path,
    choice: &StoreChoice,
    doctor: &Identifier,
) -> Result<Box<dyn Store>, SetupError> {
    let store: Box<dyn Store> = match choice {
        StoreChoice::File => {
            let store = SqliteStore::open_read_only(&directory.join(DATABASE))?;
            check_usable(&store, directory.to_owned())?;
            Box::new(store)
        }
        #[cfg(feature = "postgres")]
        StoreChoice::Server(address) => {
            let store = PostgresStore::open(address, doctor.as_str())?;
            check_usable(&store, directory.to_owned())?;
            Box::new(store)
        }
    };
    let _ = doctor;
    Ok(store)
}

/// Refuses a store that is of the past, or of the future.
fn check_usable(store: &dyn Store, directory: PathBuf) -> Result<(), SetupError> {
    if store.fact(fact::COPYING)?.is_some() {
        return Err(SetupError::Copying(directory));
    }
    match store.fact(fact::MOVED_TO)? {
        None => Ok(()),
        Some(to) => {
            let to = String::from_utf8_lossy(&to).into_owned();
            Err(SetupError::Moved { directory, to })
        }
    }
}

/// A clinic that is founded beside the keys of another would set those aside,
/// and one without this doctor's papers is not damaged.
#[cfg(feature = "postgres")]
fn check_member(
    store: &dyn Store,
    address: &PostgresAddress,
    keys: Option<PathBuf>,
) -> Result<(), SetupError> {
    let is_new = is_new(store)?;
    match keys {
        Some(directory) if is_new => {
            let place = address.place();
            Err(SetupError::NotThere { place, directory })
        }
        _ if !is_new
            && store.fact(fact::DOCTOR_CERTIFICATE)?.is_none()
            && store.fact(fact::OWN_CERTIFICATE)?.is_none() =>
        {
            Err(SetupError::NotJoined)
        }
        _ => Ok(()),
    }
}

fn database(directory: &DataDir) -> Result<PathBuf, SetupError> {
    let path = directory.path(DATABASE);
    if !path.exists() && directory.path(SIGNING_KEY).exists() {
        return Err(SetupError::NoDatabase(path));
    }
    Ok(path)
}

/// Whether the first start is still to come.
///
/// # Errors
/// [`SetupError::Store`].
pub fn is_new(store: &dyn Store) -> Result<bool, SetupError> {
    Ok(store.fact(fact::ROOT_CERTIFICATE)?.is_none())
}
