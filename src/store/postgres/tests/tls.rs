//! Connections that are encrypted, to a server whose name is verified.

use std::env;

use super::{Schema, skip};
use crate::store::postgres::connection::value;
use crate::store::{PostgresStore, StoreError, StoreFault};

const ROOT: &str = "TELEMED_TEST_POSTGRES_ROOT";

/// Connects to the server under this name, with these parameters.
fn open(schema: &Schema, host: &str, parameters: &str) -> Result<PostgresStore, StoreError> {
    let address = schema.address();
    let (user, port, database) = (address.user(), address.port(), address.database());
    let url = format!("postgres://{user}@{host}:{port}/{database}?{parameters}");
    PostgresStore::open(&schema.at(&url), "D1")
}

#[test]
fn only_a_server_that_proves_its_name_is_talked_to() {
    let Some(schema) = Schema::new() else { return };
    let Ok(root) = env::var(ROOT) else {
        return skip::skip(&format!("no certificate of a PostgreSQL server in {ROOT}"));
    };
    let known = format!("sslmode=verify-full&sslrootcert={root}");
    let store = open(&schema, "localhost", &known).unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let is_encrypted = store.first(sql, &[], |row| value::<bool>(row, 0));
    assert_eq!(is_encrypted.unwrap(), Some(true));
    let nonsense = "sslmode=verify-full&sslrootcert=/dev/null";
    for (host, parameters, word) in [
        ("127.0.0.1", &*known, "certificate"),
        ("localhost", "sslmode=verify-full", "certificate"),
        ("localhost", nonsense, "'/dev/null'"),
    ] {
        let error = open(&schema, host, parameters).unwrap_err();
        assert!(matches!(error.fault(), StoreFault::Refused(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}
