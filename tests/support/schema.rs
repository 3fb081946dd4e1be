//! A schema of its own on a PostgreSQL server: for tests, benchmarks and the
//! program that makes load.

use std::hash::{BuildHasher, RandomState};

use postgres::{Client, NoTls};

/// Dropped in the end, with everything in it.
pub struct Schema {
    /// The server.
    pub url: String,
    /// A name that no other has.
    pub name: String,
}

impl Schema {
    pub fn create(url: &str) -> Result<Self, postgres::Error> {
        // Seeded anew each time.
        let number = RandomState::new().hash_one(std::process::id());
        let name = format!("telemed_test_{number:016x}");
        Client::connect(url, NoTls)?.batch_execute(&format!("CREATE SCHEMA {name}"))?;
        let url = url.to_owned();
        Ok(Self { url, name })
    }

    /// The server's address with this schema in it, as it is typed.
    pub fn address(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let Self { url, name } = self;
        format!("{url}{separator}options=-csearch_path%3D{name}")
    }

    /// A connection beside those of the nodes.
    pub fn client(&self) -> Result<Client, postgres::Error> {
        Client::connect(&self.address(), NoTls)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!(
            "SET lock_timeout = '5s'; DROP SCHEMA IF EXISTS {} CASCADE",
            self.name
        );
        let dropped =
            Client::connect(&self.url, NoTls).and_then(|mut client| client.batch_execute(&drop));
        if let Err(error) = dropped {
            eprintln!("the schema {} is left on the server: {error}", self.name);
        }
    }
}
