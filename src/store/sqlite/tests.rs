//! What the database file itself must do, beyond
//! `conformance.rs`.

mod purge;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::{SqliteStore, write_ahead_log};
use crate::clock::Timestamp;
use crate::store::conformance::{certificate, conformance_tests, mailbox_tests, ticket, uses};
use crate::store::{BackupStore, FactStore, StoreError, StoreFault, TicketState, TrustStore};

/// A store whose directory goes with it.
struct Temporary(
    SqliteStore,
    #[expect(dead_code, reason = "removed on drop")] TempDir,
);

impl Deref for Temporary {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.0
    }
}

fn temporary() -> Temporary {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(&directory.path().join("telemed.db")).unwrap();
    Temporary(store, directory)
}

fn with_store(test: impl FnOnce(&SqliteStore)) {
    test(&temporary());
}

conformance_tests!(with_store);
mailbox_tests!(with_store);

fn in_directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("telemed.db");
    (directory, path)
}

/// The refusal's sentence names the file.
fn refusal(path: &Path) -> StoreError {
    let error = SqliteStore::open(path).unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
    error
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let (_directory, path) = in_directory();
    let store = SqliteStore::open(&path).unwrap();
    store.set_facts(&[("a", b"1")]).unwrap();
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(uses(&store, 1, 7));
    let now = Timestamp::from_millis(5);
    assert!(store.advance_timestamp(&[7; 16], now).unwrap());
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.fact("a").unwrap().unwrap(), b"1");
    let row = store.ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!((row.state, row.serial), (TicketState::Used, Some([7; 16])));
    assert!(!store.advance_timestamp(&[7; 16], now).unwrap());
}

#[test]
fn every_commit_is_synced_and_deleted_content_overwritten() {
    let store = temporary();
    let pragma = |name: &str| -> Value {
        let connection = store.0.connection.lock().unwrap();
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), Value::Text("wal".into()));
    assert_eq!(pragma("synchronous"), Value::Integer(2));
    assert_eq!(pragma("foreign_keys"), Value::Integer(1));
    assert_eq!(pragma("secure_delete"), Value::Integer(1));
    assert_eq!(pragma("user_version"), Value::Integer(6));
}

#[test]
fn only_the_owner_can_read_the_files() {
    let store = temporary();
    store.set_facts(&[("a", b"1")]).unwrap();
    let directory = store.path().parent().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_directory, path) = in_directory();
    drop(SqliteStore::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let error = refusal(&path);
    assert!(matches!(
        error.fault(),
        StoreFault::Newer {
            found: 99,
            known: 6
        }
    ));
    assert!(error.to_string().contains("newer version"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let (_directory, path) = in_directory();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(&path).fault(), StoreFault::Foreign));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let (_directory, path) = in_directory();
    let garbage = b"no database at all ".repeat(500);
    fs::write(&path, &garbage).unwrap();
    assert!(matches!(refusal(&path).fault(), StoreFault::NotADatabase));
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[test]
fn a_damaged_page_is_found_at_the_opening() {
    let (_directory, path) = in_directory();
    let store = SqliteStore::open(&path).unwrap();
    for serial in 0..100 {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 4 * 3 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let error = refusal(&path);
    assert!(matches!(error.fault(), StoreFault::Damaged(_)), "{error}");

    // At once it is not looked there unless somebody was interrupted.
    let store = SqliteStore::reopen(&path).unwrap();
    let error = store.check().unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Damaged(_)), "{error}");
    drop(store);
    fs::write(write_ahead_log(&path), "").unwrap();
    let error = SqliteStore::reopen(&path).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Damaged(_)), "{error}");
}

#[test]
fn a_check_ends_when_it_is_told_to() {
    let store = temporary();
    for serial in 0..100 {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
               INSERT INTO fact (name, value) SELECT 'fact ' || i, x'00' FROM n";
    store.connection.lock().unwrap().execute(sql, []).unwrap();
    assert!(!store.check_while(Box::new(|| false)).unwrap());
    assert!(store.check_while(Box::new(|| true)).unwrap());
}

#[test]
fn a_row_that_says_nonsense_is_broken_not_absent() {
    let store = temporary();
    store.add_certificate(&certificate(1)).unwrap();
    let connection = Connection::open(store.path()).unwrap();
    connection
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON;
             UPDATE certificate SET state = 'excellent'",
        )
        .unwrap();
    let error = store.certificate(&[1; 16]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Damaged(_)), "{error}");
}

#[test]
fn a_missing_directory_is_refused_in_words() {
    let directory = TempDir::new().unwrap();
    let error = refusal(&directory.path().join("missing/telemed.db"));
    assert!(matches!(error.fault(), StoreFault::Open(_)), "{error}");
}

#[test]
fn a_file_where_the_directory_should_be_is_refused_in_words() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = refusal(&file.join("telemed.db"));
    assert!(matches!(error.fault(), StoreFault::Open(_)), "{error}");
}

#[test]
fn a_failed_thread_closes_the_store() {
    let store = temporary();
    std::thread::scope(|scope| {
        let failing = scope.spawn(|| {
            let _held = store.0.connection.lock().unwrap();
            panic!("on purpose");
        });
        assert!(failing.join().is_err());
    });
    let error = store.fact("a").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Poisoned), "{error}");
}

#[test]
fn of_two_programs_that_use_a_ticket_one_wins() {
    let (_directory, path) = in_directory();
    let stores = [(); 2].map(|()| SqliteStore::open(&path).unwrap());
    for round in 0..20 {
        stores[0].add_ticket(&ticket(round), &[]).unwrap();
        let won = std::thread::scope(|scope| {
            let racers = [0, 1].map(|racer: u8| {
                let store = &stores[usize::from(racer)];
                scope.spawn(move || uses(store, round, 100 + 2 * round + racer))
            });
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
    }
}

#[test]
fn a_key_is_looked_up_among_certificates_by_an_index() {
    let (_directory, path) = in_directory();
    drop(SqliteStore::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let explain = format!("EXPLAIN QUERY PLAN {}", super::trust::WITH_KEY);
    let mut statement = connection.prepare(&explain).unwrap();
    let rows = statement.query_map([vec![0_u8; 16]], |row| row.get(3));
    let plan: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
    let plan = plan.join("\n");
    for index in ["certificate_first_key", "certificate_second_key"] {
        assert!(plan.contains(index), "{plan}");
    }
    assert!(!plan.contains("SCAN"), "{plan}");
}
