//! A schema of its own on a PostgreSQL server.

use postgres::{Client, NoTls};
use telemed::hex;
use telemed::random::{self, OsRandom};

/// Dropped in the end, with everything in it.
pub struct Schema {
    url: String,
    name: String,
}

impl Schema {
    pub fn create(url: &str) -> Result<Self, postgres::Error> {
        let name = format!(
            "telemed_bench_{}",
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

    /// A connection beside those of the nodes.
    pub fn client(&self) -> Result<Client, postgres::Error> {
        Client::connect(&self.address(), NoTls)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.name);
        let dropped =
            Client::connect(&self.url, NoTls).and_then(|mut client| client.batch_execute(&drop));
        if let Err(error) = dropped {
            eprintln!("the schema {} is left on the server: {error}", self.name);
        }
    }
}
