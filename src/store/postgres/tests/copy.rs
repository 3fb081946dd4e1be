//! Copies to and from a database on a server.

use tempfile::TempDir;

use super::{Schema, with_store};
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::store::copy::{Kind, Owner, TABLES};
use crate::store::{
    AuditStore, BackupStore, CopyError, CopyPlace, FactStore, SqliteStore, fact, move_practice,
};

/// What the server has beside a practice: its own books, and what only a clinic
/// of several doctors has.
const APART: [&str; 9] = [
    "counter",
    "last_commit",
    "telemed_schema",
    "join_ticket",
    "staff",
    "assignment",
    "node",
    "presence",
    "roster",
];

#[test]
fn the_list_has_every_table_and_column_of_the_server_with_its_key() {
    let Some(store) = super::temporary() else {
        return;
    };
    let sql = "
        SELECT table_name::text, column_name::text, data_type::text, EXISTS (
            SELECT 1 FROM information_schema.key_column_usage AS keys
                 JOIN information_schema.table_constraints AS constraints
                     USING (constraint_schema, constraint_name)
            WHERE constraint_type = 'PRIMARY KEY' AND keys.table_schema = $1
              AND keys.table_name = columns.table_name
              AND keys.column_name = columns.column_name)
        FROM information_schema.columns AS columns WHERE table_schema = $1";
    let mut admin = store.schema.admin();
    let mut known = 0;
    for row in admin.query(sql, &[&store.schema.name]).unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let (data, is_key): (String, bool) = (row.get(2), row.get(3));
        if APART.contains(&table.as_str()) {
            continue;
        }
        let listed = TABLES.iter().find(|listed| listed.name == table);
        let listed = listed.unwrap_or_else(|| panic!("the table {table} would not be copied"));
        if column == "doctor" {
            assert_ne!(listed.owner, Owner::Nobody, "{table}");
            assert_eq!(is_key, listed.owner != Owner::Maker, "{table}");
            continue;
        }
        let place = listed.columns.iter().position(|(name, _)| *name == column);
        let place = place.unwrap_or_else(|| panic!("{table}.{column} would not be copied"));
        let kind = match data.as_str() {
            "bigint" => Kind::Number,
            "bytea" => Kind::Bytes,
            "text" => Kind::Text,
            "boolean" => Kind::Flag,
            other => panic!("{table}.{column} is {other}"),
        };
        assert_eq!(listed.columns[place].1, kind, "{table}.{column}");
        assert_eq!(is_key, place < listed.key, "{table}.{column}");
        known += 1;
    }
    let listed: usize = TABLES.iter().map(|table| table.columns.len()).sum();
    assert_eq!(known, listed);
}

fn entry() -> Entry {
    Entry::new(Timestamp::from_millis(5), "D1", Action::Started, "", "")
}

#[test]
fn a_practice_goes_to_the_server_and_comes_back() {
    let Some(schema) = Schema::alone() else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("telemed.db");
    let store = SqliteStore::open(&path).unwrap();
    let facts: [(&str, &[u8]); 2] = [(fact::ROOT_CERTIFICATE, b"root"), (fact::ADDRESS, b"x:1")];
    store.set_facts(&facts).unwrap();
    store.append_audit(&[entry(), entry()]).unwrap();
    let head = store.audit_head().unwrap();
    drop(store);
    let (file, server) = (
        CopyPlace::File(path.clone()),
        CopyPlace::Server(Box::new(schema.address())),
    );
    move_practice((&file, &server), "D1", "there", &mut |_| {}).unwrap();
    let moved = schema.open("D1").unwrap();
    assert_eq!(moved.audit_head().unwrap(), head);
    assert_eq!(moved.fact(fact::ADDRESS).unwrap().unwrap(), b"x:1");
    assert_eq!(moved.fact(fact::COPYING).unwrap(), None);
    // The root is the clinic's, the address hers.
    let other = schema.open("D2").unwrap();
    assert!(other.fact(fact::ROOT_CERTIFICATE).unwrap().is_some());
    assert_eq!(other.fact(fact::ADDRESS).unwrap(), None);
    // Who is at work there is in the way.
    let back = CopyPlace::File(directory.path().join("back.db"));
    let error = move_practice((&server, &back), "D1", "back", &mut |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Objection(..)), "{error}");
    moved.append_audit(&[entry()]).unwrap();
    let head = moved.audit_head().unwrap();
    drop((moved, other));
    move_practice((&server, &back), "D1", "back", &mut |_| {}).unwrap();
    let back = SqliteStore::open(&directory.path().join("back.db")).unwrap();
    assert_eq!(back.audit_head().unwrap(), head);
    let moved = schema.open("D1").unwrap();
    assert_eq!(moved.fact(fact::MOVED_TO).unwrap().unwrap(), b"back");
}

#[test]
fn a_snapshot_is_a_file_with_what_there_is() {
    with_store(|store| {
        let directory = TempDir::new().unwrap();
        store.set_facts(&[("a", b"1")]).unwrap();
        store.append_audit(&[entry()]).unwrap();
        let file = directory.path().join("copy.db");
        assert!(store.snapshot(&file, &|| true).unwrap());
        let copy = SqliteStore::open(&file).unwrap();
        assert_eq!(copy.fact("a").unwrap().unwrap(), b"1");
        assert_eq!(copy.audit_head().unwrap(), store.audit_head().unwrap());
        drop(copy);
        // No file is replaced, and what is not to go on ends.
        assert!(store.snapshot(&file, &|| true).is_err());
        let other = directory.path().join("other.db");
        assert!(!store.snapshot(&other, &|| false).unwrap());
    });
}
