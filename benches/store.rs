//! How fast the store is where it matters: many receipts at once, a broadcast to
//! thousands, and all that with a million old messages. Every commit is synced,
//! as in the program.
//!
//! `cargo bench --bench store`; docs/store.md has the figures of one machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[path = "common/receipts.rs"]
mod receipts;

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use telemed::clock::{Clock, SystemClock};
use telemed::doctor::ledger::Ledger;
use telemed::store::messages::{Change, Device, MessageStore, Work};
use telemed::store::{SqliteStore, Store};

use receipts::{entry, message, receipt};

/// Patients, each with one device.
const DEVICES: u32 = 5_000;
/// Messages that lie there already.
const OLD: u32 = 1_000_000;
/// How many of them were broadcasts.
const OLD_BROADCASTS: u32 = 200;
/// How often each thing is measured.
const ROUNDS: usize = 7;
/// Sessions whose threads write receipts at the same time.
const THREADS: usize = 50;

fn main() {
    // `cargo test --benches` only wants to see that it compiles.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("telemed.db");
    drop(SqliteStore::open(&path).unwrap());
    enrol(&path);
    let before = measure(&path);
    let begun = Instant::now();
    insert_old(&path);
    println!("{OLD} old messages inserted in {}", in_ms(begun.elapsed()));
    let after = measure(&path);
    println!("\n| | empty | {OLD} messages |\n| --- | ---: | ---: |");
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        println!("| {name} | {before} | {after} |");
    }
}

/// Certificates of [`DEVICES`] patients.
fn enrol(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {DEVICES})
         INSERT INTO certificate (serial, fingerprint, subject, bytes, state, created, not_after)
         SELECT randomblob(16), randomblob(32), 'P' || i, randomblob(1200), 'active', 1,
                9000000000000 FROM n"
    );
    connection.execute_batch(&sql).unwrap();
}

/// [`OLD`] messages that have arrived: most of them private, each to one
/// device, the others to all.
fn insert_old(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let first: u64 = connection
        .query_row("SELECT max(number) + 1 FROM message", [], |row| row.get(0))
        .unwrap();
    let every = OLD / OLD_BROADCASTS;
    let sql = format!(
        "PRAGMA cache_size = -400000;
         BEGIN;
         CREATE TEMP TABLE device AS
             SELECT row_number() OVER (ORDER BY fingerprint) - 1 AS i, fingerprint, subject
             FROM certificate;
         CREATE UNIQUE INDEX temp.device_i ON device (i);
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {OLD})
         INSERT INTO message (number, id, kind, patient, urgent, written, sealed)
         SELECT {first} + n.i, randomblob(16),
                iif(n.i % {every} = 0, 'broadcast', 'private'),
                iif(n.i % {every} = 0, NULL, device.subject), 0, 1000 + n.i, randomblob(336)
         FROM n CROSS JOIN device WHERE device.i = n.i % {DEVICES};
         INSERT INTO delivery (message, device, patient, queued, sent, delivered, open)
         SELECT message.number, device.fingerprint, device.subject, 1000, 1001, 1002, 0
         FROM message CROSS JOIN device
         WHERE message.number >= {first} AND message.kind = 'private'
           AND device.i = (message.number - {first}) % {DEVICES};
         INSERT INTO delivery (message, device, patient, queued, sent, delivered, open)
         SELECT message.number, device.fingerprint, device.subject, 1000, 1001, 1002, 0
         FROM message CROSS JOIN device
         WHERE message.number >= {first} AND message.kind = 'broadcast';
         COMMIT;"
    );
    connection.execute_batch(&sql).unwrap();
}

fn measure(path: &Path) -> Vec<(&'static str, String)> {
    let begun = Instant::now();
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let opened = begun.elapsed();
    drop(store);
    let begun = Instant::now();
    let store = Arc::new(SqliteStore::reopen(path).unwrap());
    let reopened = begun.elapsed();
    let now = SystemClock.now();
    let devices = store.active_devices(None, now).unwrap();
    assert_eq!(devices.len(), DEVICES as usize);
    let mut table = vec![
        ("opening it with the check of all of it", in_ms(opened)),
        ("opening it after a clean stop", in_ms(reopened)),
    ];

    let mut last = 0;
    let broadcast = median(|| {
        let to = store.active_devices(None, now).unwrap();
        last = store
            .add_message(&message(now), &to, &[entry(now)])
            .unwrap();
    });
    table.push(("broadcast to 5,000, one transaction", in_ms(broadcast)));

    let device = devices[DEVICES as usize / 2].0;
    let pending = median(|| {
        let rows = store.pending(&device, 0, u64::MAX, now, 32).unwrap();
        assert!(rows.len() >= ROUNDS);
    });
    table.push(("what is open for a device that joins", in_ms(pending)));
    let list = median(|| {
        for row in store.messages_before(u64::MAX, 20).unwrap() {
            store.delivery_counts(row.number).unwrap();
        }
    });
    table.push(("list of the 20 newest, with counts", in_ms(list)));
    let deliveries = median(|| {
        assert_eq!(store.deliveries(last).unwrap().len(), devices.len());
    });
    table.push(("deliveries of one broadcast", in_ms(deliveries)));

    table.push(("5,000 times \"sent\", one transaction", {
        let at = now;
        let devices = devices.iter().map(|(device, _)| *device).collect();
        let message = last;
        let work = Work::Sent {
            message,
            devices,
            at,
        };
        let begun = Instant::now();
        store.commit(&[Change::unlogged(work)]).unwrap();
        in_ms(begun.elapsed())
    }));
    let (took, commits) = receipts(&store, last, &devices);
    let many = format!("{}, {commits} commits", in_ms(took));
    table.push(("5,000 receipts at once, by the ledger", many));
    let (took, commits) = one_by_one(&store, last - 1, &devices[..500]);
    let alone = format!("{}, {commits} commits", in_ms(took));
    table.push(("500 receipts, a commit each", alone));
    let missing = median(|| {
        store.missing(Some(last - 2), 10_000).unwrap();
    });
    table.push(("who lacks one broadcast", in_ms(missing)));
    let history = median(|| {
        store.messages_to(&devices[7].1, 1_000).unwrap();
    });
    table.push(("a patient's history, at most 1,000", in_ms(history)));
    // The next measurement begins with nothing open.
    drop(store);
    let sql = "UPDATE delivery SET open = 0, delivered = 1 WHERE open = 1 OR delivered IS NULL";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
    table
}

/// A receipt from each device, all at once from several threads.
fn receipts(
    store: &Arc<SqliteStore>,
    message: u64,
    devices: &[(Device, String)],
) -> (Duration, u64) {
    let ledger = Ledger::new(Arc::clone(store) as Arc<dyn Store>);
    let (done, wait) = mpsc::channel();
    let start = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        scope.spawn(|| ledger.run(|sentence| println!("{sentence}")));
        for share in devices.chunks(devices.len().div_ceil(THREADS)) {
            let (ledger, start, done) = (&ledger, &start, done.clone());
            scope.spawn(move || {
                start.wait();
                for (device, _) in share {
                    let done = done.clone();
                    ledger.write(receipt(message, device), move |written| {
                        done.send(written.unwrap()).unwrap();
                    });
                }
            });
        }
        start.wait();
        let begun = Instant::now();
        for _ in devices {
            wait.recv().unwrap();
        }
        let took = begun.elapsed();
        ledger.stop();
        (took, ledger.commits())
    })
}

fn one_by_one(
    store: &Arc<SqliteStore>,
    message: u64,
    devices: &[(Device, String)],
) -> (Duration, usize) {
    let begun = Instant::now();
    for (device, _) in devices {
        store.commit(&[receipt(message, device)]).unwrap();
    }
    (begun.elapsed(), devices.len())
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn in_ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
