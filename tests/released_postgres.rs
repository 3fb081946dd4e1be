//! A clinic's database as each released schema has it, and her doctors'
//! directories, kept for ever: every later version opens them and finds
//! everything in its place. The server's address stands in
//! `TELEMED_TEST_POSTGRES`; `make test-postgres` starts one.

#![cfg(feature = "postgres")]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]

#[path = "support/kept.rs"]
mod kept;
#[path = "support/postgres.rs"]
mod server;
#[path = "support/skip.rs"]
mod skip;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kept::released;
use server::Schema;
use telemed::clock::{Clock, Timestamp};
use telemed::doctor::practice::Practice;
use telemed::doctor::setup;
use telemed::identity::data_dir::DataDir;
use telemed::random::OsRandom;
use telemed::store::clinic::{ClinicStore, JoinState};
use telemed::store::messages::MessageStore;
use telemed::store::{AuditStore, CertificateState, Store, TicketState, TrustStore};

/// 2026-11-24 12:00 UTC: the day the first of them was made.
const THAT_DAY: Timestamp = Timestamp::from_millis(1_795_521_600_000);

struct ThatDay;

impl Clock for ThatDay {
    fn now(&self) -> Timestamp {
        THAT_DAY
    }
}

/// What two doctors, an assistant and P1 said, the newest last.
const SAID: [&str; 5] = [
    "Take two a day.",
    "Leave the building.",
    "May I come?",
    "Yes, at nine.",
    "This waits.",
];

/// Puts the kept tables into an empty schema.
fn put_back(schema: &Schema, base: &Path) {
    let tables = fs::read_to_string(base.join("clinic.sql")).unwrap();
    schema.admin().batch_execute(&tables).unwrap();
}

fn version(schema: &Schema) -> i64 {
    let sql = "SELECT version FROM telemed_schema";
    schema.admin().query_one(sql, &[]).unwrap().get(0)
}

fn opens(schema: &Schema, base: &Path, doctor: &str) {
    let directory = DataDir::open_existing(&base.join("doctor"), doctor).unwrap();
    let store = Arc::new(schema.open(doctor));
    let identity = setup::load(&directory, &*store, THAT_DAY, &mut OsRandom).unwrap();
    assert_eq!(identity.identifier().as_str(), doctor);
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let practice =
        Practice::open(Arc::new(directory), shared, identity, Arc::new(ThatDay)).unwrap();
    assert_eq!(kept::said(&practice), SAID);
    let shown = kept::record(&practice);
    for part in ["Ada Lovelace", "allergic to nuts", "She sleeps badly."] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(store.audit_head().unwrap().unwrap().0 > 10);
}

#[test]
fn a_clinic_of_schema_5_opens_with_all_that_is_in_it() {
    let Some(schema) = Schema::new() else { return };
    let base = released("postgres-5");
    put_back(&schema, base.path());
    assert_eq!(version(&schema), 5);
    for doctor in ["D1", "D2"] {
        opens(&schema, base.path(), doctor);
    }
    let store = schema.open("D1");
    let certificates = store.certificates().unwrap();
    assert_eq!(certificates.len(), 2);
    for row in &certificates {
        assert_eq!(row.state, CertificateState::Active);
    }
    let states: Vec<_> = store.tickets().unwrap();
    let states: Vec<_> = states.iter().map(|ticket| ticket.state).collect();
    let [used, open] = [TicketState::Used, TicketState::Open];
    assert_eq!(states, [used, used, open]);
    let broadcast = store.deliveries(2).unwrap();
    assert_eq!(broadcast.len(), 2);
    assert!(broadcast.iter().any(|row| row.confirmed.is_some()));
    // Nobody has fetched the last one.
    let waiting = store.deliveries(5).unwrap().remove(0);
    assert!(waiting.delivered.is_none());
    let open = store.pending(&waiting.device, 0, 100, THAT_DAY, 10);
    assert_eq!(open.unwrap().len(), 1);
    let staff: Vec<_> = store.staff().unwrap().into_iter().collect();
    let staff: Vec<_> = staff.iter().map(|row| (&*row.id, &*row.role)).collect();
    let who = [("A1", "assistant"), ("D1", "doctor"), ("D2", "doctor")];
    assert_eq!(staff, who);
    let joins = store.join_tickets_from(&[], None, 99).unwrap();
    let joins = joins
        .iter()
        .filter(|ticket| ticket.state == JoinState::Open);
    assert_eq!(joins.count(), 1);
    // P1 was transferred.
    assert_eq!(store.patients_of("D2").unwrap(), ["P1", "P2"]);
}

/// Everything that a schema is made of, as the server says it.
fn schema_of(schema: &Schema) -> Vec<String> {
    let queries = [
        "SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable,
             column_default, is_generated, generation_expression)
         FROM information_schema.columns WHERE table_schema = current_schema()",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = current_schema()::regnamespace",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger
         WHERE tgrelid IN (SELECT oid FROM pg_class
                           WHERE relnamespace = current_schema()::regnamespace)
           AND NOT tgisinternal",
        "SELECT pg_get_functiondef(oid) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace",
        "SELECT relname || ' ' || coalesce(reloptions::text, '') FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace",
    ];
    let mut found = Vec::new();
    for sql in queries {
        for row in schema.admin().query(sql, &[]).unwrap() {
            let line: String = row.get(0);
            found.push(line.replace(&schema.name, ""));
        }
    }
    found.sort();
    found
}

#[test]
fn what_leads_to_a_released_schema_is_not_edited_any_more() {
    let (Some(kept), Some(fresh)) = (Schema::new(), Schema::new()) else {
        return;
    };
    put_back(&kept, released("postgres-5").path());
    // Later steps are made from there.
    drop(kept.open("D1"));
    drop(fresh.open("D1"));
    let (kept, fresh) = (schema_of(&kept), schema_of(&fresh));
    assert!(kept.len() > 100, "{kept:?}");
    assert_eq!(kept, fresh, "make a new step instead");
}
