//! Where the clinic's books are: a file, or a schema of its own on a PostgreSQL
//! server.

use std::path::Path;
use std::sync::Arc;

use telemed::doctor::setup;
use telemed::identity::data_dir::{DATABASE, DataDir};
use telemed::identity::id::Identifier;
use telemed::store::{Store, StoreChoice};

use crate::Result;

/// A store that is made for this run.
pub enum Place {
    File,
    #[cfg(feature = "postgres")]
    Server(server::Schema),
}

impl Place {
    /// The store of this address; `sqlite` is the file in the data directory.
    pub fn new(address: &str) -> Result<Self> {
        match address.parse()? {
            StoreChoice::File => Ok(Self::File),
            #[cfg(feature = "postgres")]
            StoreChoice::Server(_) => Ok(Self::Server(server::Schema::create(address)?)),
        }
    }

    /// What `doctor --store` takes.
    pub fn address(&self) -> String {
        match self {
            Self::File => "sqlite".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Server(schema) => schema.address(),
        }
    }

    /// A doctor's own view of the store.
    pub fn store(&self, directory: &DataDir, doctor: &Identifier) -> Result<Arc<dyn Store>> {
        // Whose it is matters only on a server.
        let _ = doctor;
        match self {
            Self::File => Ok(Arc::new(setup::open_store(directory)?)),
            #[cfg(feature = "postgres")]
            Self::Server(schema) => schema.store(doctor),
        }
    }

    /// A look into the books of the doctor with this directory.
    pub fn books(&self, directory: &Path) -> Result<Books> {
        Ok(match self {
            Self::File => Books::File(rusqlite::Connection::open(directory.join(DATABASE))?),
            #[cfg(feature = "postgres")]
            Self::Server(schema) => Books::Server(schema.look()?),
        })
    }
}

/// Whether a receipt is missing. Asked all the time, so it costs one look into
/// an index.
const IS_MISSING: &str = "SELECT EXISTS (SELECT 1 FROM delivery
                                         WHERE message = $1 AND delivered IS NULL)";

/// A look into the books while the servers keep them.
pub enum Books {
    File(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Server(server::Look),
}

impl Books {
    /// Whether all receipts of a message are on the disk.
    pub fn is_delivered(&mut self, message: u64) -> Result<bool> {
        Ok(!match self {
            Self::File(books) => {
                let mut missing = books.prepare_cached(IS_MISSING)?;
                missing.query_row([message], |row| row.get::<_, bool>(0))?
            }
            #[cfg(feature = "postgres")]
            Self::Server(look) => look.is_missing(message)?,
        })
    }
}

#[cfg(feature = "postgres")]
mod server {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use postgres::{Client, NoTls, Statement};
    use telemed::hex;
    use telemed::identity::id::Identifier;
    use telemed::random::{self, OsRandom};
    use telemed::store::{PostgresStore, Store};

    use super::IS_MISSING;
    use crate::Result;

    /// Looks are not free on a server: no more than one in this time.
    const PAUSE: Duration = Duration::from_millis(1);

    /// A schema that is dropped in the end.
    pub struct Schema {
        url: String,
        name: String,
    }

    impl Schema {
        pub fn create(url: &str) -> Result<Self> {
            let name = format!(
                "telemed_load_{}",
                hex::encode(&random::array::<8>(&mut OsRandom))
            );
            Client::connect(url, NoTls)?.batch_execute(&format!("CREATE SCHEMA {name}"))?;
            let url = url.to_owned();
            Ok(Self { url, name })
        }

        /// The server's address with this schema in it.
        pub fn address(&self) -> String {
            let separator = if self.url.contains('?') { '&' } else { '?' };
            let Self { url, name } = self;
            format!("{url}{separator}options=-csearch_path%3D{name}")
        }

        pub fn store(&self, doctor: &Identifier) -> Result<Arc<dyn Store>> {
            let address = self.address().parse()?;
            Ok(Arc::new(PostgresStore::open(&address, doctor.as_str())?))
        }

        pub fn look(&self) -> Result<Look> {
            let mut client = Client::connect(&self.address(), NoTls)?;
            let is_missing = client.prepare(IS_MISSING)?;
            Ok(Look { client, is_missing })
        }
    }

    impl Drop for Schema {
        fn drop(&mut self) {
            let drop = format!("DROP SCHEMA {} CASCADE", self.name);
            let dropped = Client::connect(&self.url, NoTls)
                .and_then(|mut client| client.batch_execute(&drop));
            if let Err(error) = dropped {
                eprintln!(
                    "load: the schema {} is left on the server: {error}",
                    self.name
                );
            }
        }
    }

    pub struct Look {
        client: Client,
        is_missing: Statement,
    }

    impl Look {
        pub fn is_missing(&mut self, message: u64) -> Result<bool> {
            thread::sleep(PAUSE);
            let message = i64::try_from(message)?;
            let row = self.client.query_one(&self.is_missing, &[&message])?;
            Ok(row.get(0))
        }
    }
}
