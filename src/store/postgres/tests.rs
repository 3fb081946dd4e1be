//! What the store on a server must do, beyond `conformance.rs`. The server's
//! address stands in `TELEMED_TEST_POSTGRES`; `make test-postgres` starts one.

mod copy;
mod faults;
mod nodes;
#[allow(dead_code, reason = "other tests use the rest")]
mod proxy;
mod receipts;
mod seat;
mod shared;
mod tls;

#[path = "../../../tests/support/schema.rs"]
mod schema;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::env;
use std::ops::Deref;

use postgres::{Client, NoTls};

use super::{PostgresAddress, PostgresStore};
use crate::store::conformance::conformance_tests;
use crate::store::{FactStore, StoreError, StoreFault};

const ADDRESS: &str = "TELEMED_TEST_POSTGRES";

/// A schema of its own on the server, dropped with everything in it.
struct Schema {
    schema: schema::Schema,
    /// Dropped after it.
    #[expect(dead_code, reason = "removed on drop")]
    database: Option<Database>,
}

/// A database that was made for one test.
struct Database {
    server: String,
    name: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        // It runs in no transaction.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropped =
            Client::connect(&self.server, NoTls).and_then(|mut admin| admin.batch_execute(&drop));
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}

impl Deref for Schema {
    type Target = schema::Schema;

    fn deref(&self) -> &schema::Schema {
        &self.schema
    }
}

impl Schema {
    /// None, and that is said, if there is no server to test with.
    fn new() -> Option<Self> {
        let Ok(url) = env::var(ADDRESS) else {
            skip::skip(&format!("no PostgreSQL server in {ADDRESS}"));
            return None;
        };
        Some(Self {
            schema: schema::Schema::create(&url).unwrap(),
            database: None,
        })
    }

    /// The same in a database of its own, where nobody else is connected.
    fn alone() -> Option<Self> {
        let outer = Self::new()?;
        let (name, at) = (outer.name.clone(), outer.url.clone());
        let create = format!("CREATE DATABASE {name}");
        outer.admin().batch_execute(&create).unwrap();
        let (server, rest) = at.rsplit_once('/').unwrap();
        let options = rest.find('?').map_or("", |at| &rest[at..]);
        let url = format!("{server}/{name}{options}");
        let database = Some(Database { server: at, name });
        let schema = schema::Schema::create(&url).unwrap();
        Some(Self { schema, database })
    }

    /// A connection beside the store's.
    fn admin(&self) -> Client {
        self.client().unwrap()
    }

    /// The address of the schema, by way of this server.
    fn at(&self, url: &str) -> PostgresAddress {
        with_path(url, &self.name)
    }

    fn address(&self) -> PostgresAddress {
        self.at(&self.url)
    }

    fn open(&self, doctor: &str) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(&self.address(), doctor)
    }
}

/// The address of a server with a path on which names are looked for there.
fn with_path(url: &str, path: &str) -> PostgresAddress {
    let separator = if url.contains('?') { '&' } else { '?' };
    let path = path.replace(',', "%2C");
    let url = format!("{url}{separator}options=-csearch_path%3D{path}");
    url.parse().unwrap()
}

/// A doctor's store in a schema of its own.
struct Temporary {
    store: PostgresStore,
    schema: Schema,
}

impl Deref for Temporary {
    type Target = PostgresStore;

    fn deref(&self) -> &PostgresStore {
        &self.store
    }
}

/// The doctor has the schema's name, so that her connections are known.
fn temporary() -> Option<Temporary> {
    let schema = Schema::new()?;
    let store = schema.open(&schema.name).unwrap();
    Some(Temporary { store, schema })
}

fn with_store(test: impl FnOnce(&PostgresStore)) {
    if let Some(store) = temporary() {
        test(&store);
    }
}

conformance_tests!(with_store);
conformance_tests!(
    with_store,
    a_join_ticket_comes_back_whole,
    one_request_is_made_with_a_join_ticket,
    a_request_to_join_is_answered_once,
    a_name_is_given_to_one_person,
    a_join_ticket_that_was_taken_back_is_of_no_use,
    a_patient_is_one_doctors_until_she_is_transferred,
    all_patients_of_one_doctor_are_given_at_once,
    a_list_is_followed_by_one_that_was_made_from_it,
);

#[test]
fn tables_are_made_once_and_found_again() {
    let Some(schema) = Schema::new() else { return };
    let stores = std::thread::scope(|scope| {
        let openers = [(); 4].map(|()| scope.spawn(|| schema.open("D1").unwrap()));
        openers.map(|opener| opener.join().unwrap())
    });
    stores[0].set_facts(&[("a", b"1")]).unwrap();
    assert_eq!(stores[3].fact("a").unwrap().unwrap(), b"1");
    drop(stores);
    let store = schema.open("D1").unwrap();
    assert_eq!(store.fact("a").unwrap().unwrap(), b"1");
}

#[test]
fn tables_of_another_program_are_refused_and_left_alone() {
    let Some(schema) = Schema::new() else { return };
    let mut admin = schema.admin();
    admin.batch_execute("CREATE TABLE theirs (a INT)").unwrap();
    let error = schema.open("D1").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Foreign), "{error}");
    let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = $1::text::regnamespace";
    let tables: i64 = admin.query_one(sql, &[&schema.name]).unwrap().get(0);
    assert_eq!(tables, 1);
}

#[test]
fn a_newer_schema_is_refused() {
    let Some(schema) = Schema::new() else { return };
    drop(schema.open("D1").unwrap());
    let mut admin = schema.admin();
    let newer = "UPDATE telemed_schema SET version = 99";
    admin.batch_execute(newer).unwrap();
    let error = schema.open("D1").unwrap_err();
    let fault = error.fault();
    assert!(
        matches!(
            fault,
            StoreFault::Newer {
                found: 99,
                known: 7
            }
        ),
        "{error}"
    );
}

#[test]
fn a_server_whose_locks_lock_nothing_is_refused() {
    let Some(schema) = Schema::new() else { return };
    let mut admin = schema.admin();
    let sql = "CREATE FUNCTION pg_try_advisory_xact_lock(bigint) RETURNS boolean
               LANGUAGE sql AS 'SELECT true'";
    admin.batch_execute(sql).unwrap();
    let path = format!("{},pg_catalog", schema.name);
    let error = PostgresStore::open(&with_path(&schema.url, &path), "D1").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Refused(_)), "{error}");
    assert!(error.to_string().contains("locks"), "{error}");
    // Nothing was made there.
    schema.open("D1").unwrap();
}

#[test]
fn records_from_before_schema_4_are_kept_in_one_piece_until_they_are_split() {
    use crate::store::{RecordRow, RecordStore};

    let Some(schema) = Schema::new() else { return };
    drop(schema.open("D1").unwrap());
    let older = "DROP INDEX certificate_first_key, certificate_second_key;
                 DROP INDEX record_unsplit;
                 ALTER TABLE record DROP COLUMN contact;
                 ALTER TABLE last_commit DROP COLUMN owner;
                 ALTER TABLE telemed_schema DROP COLUMN identity;
                 UPDATE telemed_schema SET version = 3;
                 INSERT INTO record VALUES ('P1', 5, 6, NULL, 7, 'sealed')";
    schema.admin().batch_execute(older).unwrap();
    let store = schema.open("D1").unwrap();
    let at = crate::clock::Timestamp::from_millis;
    let kept = RecordRow {
        patient: "P1".to_owned(),
        created: at(5),
        changed: at(6),
        archived: None,
        version: 7,
        sealed: b"sealed".to_vec(),
        contact: None,
    };
    assert_eq!(store.records().unwrap(), std::slice::from_ref(&kept));
    assert_eq!(store.unsplit_records("", 10).unwrap(), [kept]);
    let version = "SELECT version FROM telemed_schema";
    let row = schema.admin().query_one(version, &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), super::schema::NEWEST);
}

#[test]
fn tables_that_are_gone_are_not_made_anew_while_the_program_runs() {
    let Some(store) = temporary() else { return };
    let name = &store.schema.name;
    let mut admin = store.schema.admin();
    let anew = format!("DROP SCHEMA {name} CASCADE; CREATE SCHEMA {name}");
    admin.batch_execute(&anew).unwrap();
    let error = store.set_facts(&[("a", b"1")]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Refused(_)), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[test]
fn the_schema_holds_what_each_sealed_looks_for() {
    use crate::store::BackupStore;

    let Some(store) = temporary() else { return };
    let sql = "SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = $1 
               AND (column_name LIKE '%sealed%' OR column_name = 'contact')";
    let mut admin = store.schema.admin();
    let columns = admin.query(sql, &[&store.schema.name]).unwrap();
    assert_eq!(columns.len(), super::backup::sealed_columns().count());
    for row in columns {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let mut known = super::backup::sealed_columns();
        assert!(
            known.any(|known| known == (&*table, &*column)),
            "{table}.{column}"
        );
    }
    store.each_sealed(&mut |_| panic!("it is empty")).unwrap();
    store.check().unwrap();
}

#[test]
fn a_key_is_looked_up_among_many_certificates_by_an_index() {
    let Some(store) = temporary() else { return };
    let fill = "INSERT INTO certificate
        (serial, fingerprint, doctor, subject, bytes, state, created, not_after)
        SELECT substring(sha256(i::text::bytea) FOR 16), sha256(i::text::bytea), 'D1', 'P' || i,
               sha512(i::text::bytea) || sha512(i::text::bytea) || sha512(i::text::bytea)
                   || sha512(i::text::bytea) || sha512(i::text::bytea),
               'active', 1, 2
        FROM generate_series(1, 10000) i";
    let mut admin = store.schema.admin();
    admin.batch_execute(fill).unwrap();
    let explain = format!("EXPLAIN {}", super::trust::WITH_KEY);
    let explain = explain.replace("$1", r"'\x00112233445566778899aabbccddeeff'");
    let plan = admin.query(&explain, &[]).unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    for index in ["certificate_first_key", "certificate_second_key"] {
        assert!(plan.contains(index), "{plan}");
    }
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
