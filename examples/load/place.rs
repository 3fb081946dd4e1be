//! Where the clinic's books are: a file, or a schema of its own on a PostgreSQL
//! server.

use std::path::Path;
use std::sync::Arc;

use telemed::doctor::setup;
use telemed::identity::data_dir::{DATABASE, DataDir};
use telemed::identity::id::Identifier;
#[cfg(feature = "postgres")]
use telemed::store::PostgresStore;
use telemed::store::{Store, StoreChoice};

use crate::Result;

/// A store that is made for this run.
pub enum Place {
    File,
    #[cfg(feature = "postgres")]
    Server(schema::Schema),
}

impl Place {
    /// The store of this address; `sqlite` is the file in the data directory.
    pub fn new(address: &str) -> Result<Self> {
        match address.parse()? {
            StoreChoice::File => Ok(Self::File),
            #[cfg(feature = "postgres")]
            StoreChoice::Server(_) => Ok(Self::Server(schema::Schema::create(address)?)),
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
            Self::Server(schema) => {
                let address = schema.address().parse()?;
                Ok(Arc::new(PostgresStore::open(&address, doctor.as_str())?))
            }
        }
    }

    /// A look into the books of the doctor with this directory.
    pub fn books(&self, directory: &Path) -> Result<Books> {
        Ok(match self {
            Self::File => Books::File(rusqlite::Connection::open(directory.join(DATABASE))?),
            #[cfg(feature = "postgres")]
            Self::Server(schema) => Books::Server(server::Look::at(schema)?),
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
#[path = "../../tests/support/schema.rs"]
mod schema;

#[cfg(feature = "postgres")]
mod server {
    use std::thread;
    use std::time::Duration;

    use postgres::{Client, Statement};

    use super::IS_MISSING;
    use super::schema::Schema;
    use crate::Result;

    /// Looks are not free on a server: no more than one in this time.
    const PAUSE: Duration = Duration::from_millis(1);

    pub struct Look {
        client: Client,
        is_missing: Statement,
    }

    impl Look {
        pub fn at(schema: &Schema) -> Result<Self> {
            let mut client = schema.client()?;
            let is_missing = client.prepare(IS_MISSING)?;
            Ok(Self { client, is_missing })
        }

        pub fn is_missing(&mut self, message: u64) -> Result<bool> {
            thread::sleep(PAUSE);
            let message = i64::try_from(message)?;
            let row = self.client.query_one(&self.is_missing, &[&message])?;
            Ok(row.get(0))
        }
    }
}
