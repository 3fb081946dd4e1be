//! Receipts that come in crowds, at several nodes.

use std::sync::Barrier;
use std::thread;

use super::Schema;
use super::faults::wait_until;
use super::shared::{at, message};
use crate::store::conformance::certificate;
use crate::store::messages::{Change, Device, MessageStore, Work};
use crate::store::{PostgresStore, TrustStore};

fn delivered(message: u64, device: Device) -> Change {
    Change::unlogged(Work::Delivered {
        message,
        device,
        at: at(2_000),
        sent: Some(at(1_500)),
    })
}

/// What the server has counted of the database, once everybody who worked there
/// has gone: until then some of it is only theirs.
fn counted(schema: &Schema, stores: impl IntoIterator<Item = PostgresStore>, sql: &str) -> i64 {
    stores.into_iter().for_each(drop);
    let mut admin = schema.admin();
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()
                    AND backend_type = 'client backend'";
    wait_until("the others have gone", || {
        admin.query_one(others, &[]).unwrap().get::<_, i64>(0) == 0
    });
    admin.query_one(sql, &[]).unwrap().get(0)
}

/// Each has one of a patient's two devices, and looks at what the other has said.
#[test]
fn two_nodes_that_write_receipts_at_once_never_wait_for_each_other_in_turn() {
    let Some(schema) = Schema::alone() else {
        return;
    };
    let stores = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    let devices = [[1; 32], [2; 32]];
    for serial in [1, 2] {
        let mut row = certificate(serial);
        row.subject = "P1".to_owned();
        stores[0].add_certificate(&row).unwrap();
    }
    let to = devices.map(|device| (device, "P1".to_owned()));
    let barrier = Barrier::new(2);
    for round in 1..=40 {
        let number = stores[0].add_message(&message(round), &to, &[]).unwrap();
        thread::scope(|scope| {
            for (store, device) in stores.iter().zip(devices) {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    store.commit(&[delivered(number, device)]).unwrap();
                });
            }
        });
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(counted(&schema, stores, deadlocks), 0);
}

/// How much is read for a receipt does not depend on how many others were given
/// the message, even if the server believes that a message has one recipient.
#[test]
fn a_receipt_is_found_through_its_message_and_its_device() {
    const RECIPIENTS: u16 = 2_000;
    const RECEIPTS: i64 = 20;
    let Some(schema) = Schema::alone() else {
        return;
    };
    let store = schema.open("D1").unwrap();
    let device = |index: u16| {
        let mut device = [0; 32];
        device[..2].copy_from_slice(&index.to_be_bytes());
        device
    };
    let to: Vec<_> = (0..RECIPIENTS)
        .map(|index| (device(index), format!("P{index}")))
        .collect();
    for (device, patient) in &to {
        let mut row = certificate(0);
        row.serial.copy_from_slice(&device[..16]);
        (row.fingerprint, row.subject) = (*device, patient.clone());
        store.add_certificate(&row).unwrap();
    }
    for (index, each) in (1_000..).zip(to.chunks(1).take(200)) {
        store.add_message(&message(index), each, &[]).unwrap();
    }
    schema.admin().batch_execute("ANALYZE").unwrap();
    let number = store.add_message(&message(1), &to, &[]).unwrap();
    let read = "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::bigint
                FROM pg_stat_user_tables WHERE relname = 'delivery'";
    let before = counted(&schema, [store], read);
    let store = schema.open("D1").unwrap();
    for (device, _) in to.iter().step_by(50).take(RECEIPTS as usize) {
        store.commit(&[delivered(number, *device)]).unwrap();
    }
    let per_receipt = (counted(&schema, [store], read) - before) / RECEIPTS;
    assert!(per_receipt <= 10, "{per_receipt} rows are read for each");
}
