//! A schema of its own on the server in `TELEMED_TEST_POSTGRES`.

#[path = "schema.rs"]
mod schema;

use std::env;
use std::ops::Deref;

use postgres::Client;
use telemed::store::{PostgresAddress, PostgresStore};

use super::skip;

const ADDRESS: &str = "TELEMED_TEST_POSTGRES";

/// Dropped with everything in it.
pub struct Schema(schema::Schema);

impl Deref for Schema {
    type Target = schema::Schema;

    fn deref(&self) -> &schema::Schema {
        &self.0
    }
}

impl Schema {
    /// None, and that is said, if there is no server to test with.
    pub fn new() -> Option<Self> {
        let Ok(url) = env::var(ADDRESS) else {
            skip::skip(&format!("no PostgreSQL server in {ADDRESS}"));
            return None;
        };
        Some(Self(schema::Schema::create(&url).unwrap()))
    }

    /// A connection beside those of the nodes.
    pub fn admin(&self) -> Client {
        self.client().unwrap()
    }

    /// The schema's address, as it is typed.
    pub fn url(&self) -> String {
        self.address()
    }

    /// A doctor's view of it.
    pub fn open(&self, doctor: &str) -> PostgresStore {
        open(&self.url(), doctor)
    }

    /// A doctor's name that no other test uses.
    pub fn unique(&self) -> String {
        self.name.replace("telemed_test_", "D2-")
    }

    /// Cuts all connections of a doctor, of whatever schema.
    pub fn cut(&self, doctor: &str) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = $1";
        let name = format!("telemed {doctor}");
        self.admin().execute(sql, &[&name]).unwrap();
    }
}

/// A doctor's view of the schema with this address.
pub fn open(url: &str, doctor: &str) -> PostgresStore {
    let address: PostgresAddress = url.parse().unwrap();
    PostgresStore::open(&address, doctor).unwrap()
}
