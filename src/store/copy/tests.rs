//! The list of tables, and copies from file to file.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::messages::{Kind as Sort, MessageRow, MessageStore};
use crate::store::{FactStore, SqliteStore, fact};

/// What a doctor's file has beside a practice.
const APART: [&str; 3] = ["inbox", "outgoing", "sqlite_sequence"];

fn tables_of(path: &Path) -> Vec<(String, String, bool)> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT s.name, c.name, c.pk > 0 FROM sqlite_schema s, pragma_table_info(s.name) c
               WHERE s.type = 'table' ORDER BY s.name, c.cid";
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    columns.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_list_has_every_table_and_column_of_the_file_with_its_key() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("telemed.db");
    drop(SqliteStore::open(&path).unwrap());
    let mut known = 0;
    for (table, column, is_key) in tables_of(&path) {
        if APART.contains(&table.as_str()) || column == "old_secret" {
            continue;
        }
        let listed = TABLES.iter().find(|listed| listed.name == table);
        let listed = listed.unwrap_or_else(|| panic!("the table {table} would not be copied"));
        let place = listed.columns.iter().position(|(name, _)| *name == column);
        let place = place.unwrap_or_else(|| panic!("{table}.{column} would not be copied"));
        assert_eq!(is_key, place < listed.key, "{table}.{column}");
        known += 1;
    }
    let listed: usize = TABLES.iter().map(|table| table.columns.len()).sum();
    assert_eq!(known, listed);
}

fn practice(path: &Path, messages: usize) -> SqliteStore {
    let store = SqliteStore::open(path).unwrap();
    store
        .set_facts(&[
            (fact::ROOT_CERTIFICATE, b"root"),
            (fact::ADDRESS, b"x:1"),
            (fact::MESSAGES_ADDRESSED, b"1"),
        ])
        .unwrap();
    for number in 0..messages {
        let number = u64::try_from(number).unwrap();
        let id = [number.to_be_bytes(), [7; 8]].concat().try_into().unwrap();
        let row = MessageRow {
            number: 0,
            id,
            kind: Sort::Broadcast,
            patient: None,
            boundary: None,
            urgent: number % 2 == 0,
            written: crate::clock::Timestamp::from_millis(number),
            expires: None,
            sealed: vec![1; 3],
        };
        let devices = [([1; 32], "P1".to_owned()), ([2; 32], "P2".to_owned())];
        store.add_message(&row, &devices, &[]).unwrap();
    }
    store
}

fn file(directory: &TempDir, name: &str) -> CopyPlace {
    CopyPlace::File(directory.path().join(name))
}

fn moved(directory: &TempDir, from: &str, to: &str) -> Result<Copied, CopyError> {
    let places = (&file(directory, from), &file(directory, to));
    move_practice(places, "D1", to, &mut |_| {})
}

#[test]
fn a_moved_practice_is_whole_and_the_old_one_says_where_it_is() {
    let directory = TempDir::new().unwrap();
    drop(practice(&directory.path().join("old"), 500));
    let mut last = None;
    let places = (&file(&directory, "old"), &file(&directory, "new"));
    let copied = move_practice(places, "D1", "new", &mut |progress| last = Some(progress));
    let copied = copied.unwrap();
    assert!(copied.tables.contains(&("delivery", 1_000)), "{copied:?}");
    let total = 500 + 1_000 + 3;
    let phase = Phase::Comparing;
    assert_eq!(
        last,
        Some(CopyProgress {
            phase,
            done: total,
            total
        })
    );
    let new = SqliteStore::open(&directory.path().join("new")).unwrap();
    assert_eq!(new.fact(fact::ADDRESS).unwrap().unwrap(), b"x:1");
    assert_eq!(new.fact(fact::COPYING).unwrap(), None);
    assert_eq!(new.newest_message().unwrap(), 500);
    let old = SqliteStore::open(&directory.path().join("old")).unwrap();
    assert_eq!(old.fact(fact::MOVED_TO).unwrap().unwrap(), b"new");
    drop(old);
    let error = moved(&directory, "old", "elsewhere").unwrap_err();
    assert!(matches!(error, CopyError::Moved(..)), "{error}");
}

#[test]
fn a_copy_that_was_cut_short_goes_on_where_it_stopped() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("old");
    drop(practice(&path, 500));
    let mut source = FileEnd::source(&path).unwrap();
    let mut target = FileEnd::target(&directory.path().join("new")).unwrap();
    let origin = origin_of(&mut source).unwrap();
    begin(&mut target, &origin).unwrap();
    let message = TABLES.iter().find(|table| table.name == "message").unwrap();
    let whole = copy_table(&mut source, &mut target, message, &mut |_| false);
    assert!(!whole.unwrap());
    drop((source, target));
    let copied = moved(&directory, "old", "new").unwrap();
    assert_eq!(copied.earlier, 200);
}

#[test]
fn what_was_begun_with_another_state_is_thrown_away() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("old");
    drop(practice(&path, 5));
    let mut target = FileEnd::target(&directory.path().join("new")).unwrap();
    begin(&mut target, b"another").unwrap();
    let rows = [vec![Value::Bytes(vec![9; 32])]];
    let welcomed = TABLES
        .iter()
        .find(|table| table.name == "welcomed")
        .unwrap();
    target.add(welcomed, &rows).unwrap();
    drop(target);
    let copied = moved(&directory, "old", "new").unwrap();
    assert_eq!(copied.earlier, 0);
}

#[test]
fn the_copy_of_another_practice_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let source = practice(&directory.path().join("a.db"), 3);
    let root = (fact::ROOT_CERTIFICATE, &b"the root of this clinic"[..]);
    source.set_facts(&[root]).unwrap();
    let target = SqliteStore::open(&directory.path().join("b.db")).unwrap();
    let others = b"the root of some other one \0\0\0\0\0\0\x01";
    target
        .set_facts(&[(fact::COPYING, others), ("a", b"1")])
        .unwrap();
    drop((source, target));
    let error = moved(&directory, "a.db", "b.db").unwrap_err();
    assert!(matches!(error, CopyError::OtherPractice(_)), "{error}");
    let target = SqliteStore::open(&directory.path().join("b.db")).unwrap();
    assert_eq!(target.fact("a").unwrap().unwrap(), b"1");
}

#[test]
fn a_target_with_anything_else_in_it_is_left_alone() {
    let directory = TempDir::new().unwrap();
    drop(practice(&directory.path().join("old"), 1));
    drop(practice(&directory.path().join("new"), 2));
    let error = moved(&directory, "old", "new").unwrap_err();
    assert!(matches!(error, CopyError::NotEmpty(_)), "{error}");
    let new = SqliteStore::open(&directory.path().join("new")).unwrap();
    assert_eq!(new.newest_message().unwrap(), 2);
    let old = SqliteStore::open(&directory.path().join("old")).unwrap();
    assert_eq!(old.fact(fact::MOVED_TO).unwrap(), None);
    drop((new, old));
    let error = moved(&directory, "nothing", "other").unwrap_err();
    assert!(matches!(error, CopyError::Store(_)), "{error}");
}

#[test]
fn a_row_that_was_changed_on_the_way_is_found() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("old");
    drop(practice(&path, 5));
    let mut source = FileEnd::source(&path).unwrap();
    let mut target = FileEnd::target(&directory.path().join("new")).unwrap();
    copy_all(&mut source, &mut target, &mut |_| {}).unwrap();
    compare_all(&mut source, &mut target, &mut |_| {}).unwrap();
    let connection = Connection::open(directory.path().join("new")).unwrap();
    let sql = "UPDATE delivery SET queued = 77 WHERE message = 3";
    connection.execute(sql, []).unwrap();
    let error = compare_all(&mut source, &mut target, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, CopyError::Differs(_, "delivery")),
        "{error}"
    );
}
