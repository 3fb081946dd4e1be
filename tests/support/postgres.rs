//! A schema of its own on the server in `TELEMED_TEST_POSTGRES`.

use std::env;

use postgres::{Client, NoTls};
use telemed::hex;
use telemed::random::{self, OsRandom};
use telemed::store::{PostgresAddress, PostgresStore};

use super::skip;

const ADDRESS: &str = "TELEMED_TEST_POSTGRES";

/// Dropped with everything in it.
pub struct Schema {
    url: String,
    pub name: String,
}

impl Schema {
    /// None, and that is said, if there is no server to test with.
    pub fn new() -> Option<Self> {
        let Ok(url) = env::var(ADDRESS) else {
            skip::skip(&format!("no PostgreSQL server in {ADDRESS}"));
            return None;
        };
        let name: [u8; 8] = random::array(&mut OsRandom);
        let name = format!("telemed_test_{}", hex::encode(&name));
        let schema = Self { url, name };
        let create = format!("CREATE SCHEMA {}", schema.name);
        schema.admin().batch_execute(&create).unwrap();
        Some(schema)
    }

    /// A connection beside those of the nodes.
    pub fn admin(&self) -> Client {
        let mut client = Client::connect(&self.url, NoTls).unwrap();
        let path = format!("SET search_path = {}", self.name);
        client.batch_execute(&path).unwrap();
        client
    }

    /// The schema's address, as it is typed.
    pub fn url(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!(
            "{}{separator}options=-csearch_path%3D{}",
            self.url, self.name
        )
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

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!(
            "SET lock_timeout = '5s'; DROP SCHEMA IF EXISTS {} CASCADE",
            self.name
        );
        if let Ok(mut admin) = Client::connect(&self.url, NoTls) {
            let _ = admin.batch_execute(&drop);
        }
    }
}

/// A doctor's view of the schema with this address.
pub fn open(url: &str, doctor: &str) -> PostgresStore {
    let address: PostgresAddress = url.parse().unwrap();
    PostgresStore::open(&address, doctor).unwrap()
}
