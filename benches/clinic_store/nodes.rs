//! The measurement.

#[path = "../common/processor.rs"]
mod processor;
#[path = "../common/receipts.rs"]
mod receipts;
#[path = "../../tests/support/schema.rs"]
mod schema;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use telemed::clock::{Clock, SystemClock};
use telemed::doctor::ledger::Ledger;
use telemed::store::messages::{Device, MessageStore};
use telemed::store::{PostgresStore, Store};

use receipts::{entry, message, receipt};
use schema::Schema;

/// How many nodes write at once.
const NODES: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// How long they write, a commit for each receipt.
const WRITING: Duration = Duration::from_secs(4);
/// Patients of the whole clinic.
const DEVICES: usize = 4_000;
/// How often all of them get a broadcast.
const ROUNDS: usize = 5;

pub fn main() {
    let Ok(url) = env::var("TELEMED_TEST_POSTGRES") else {
        println!(
            "clinic_store: no server in TELEMED_TEST_POSTGRES; 'make bench-clinic' starts one"
        );
        return;
    };
    println!(
        "| nodes | commits a second, one receipt each | PostgreSQL's ms per commit | {DEVICES} \
         receipts at once, gathered | commits for them | PostgreSQL's ms per 1,000 |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for nodes in NODES {
        let clinic = Clinic::new(&url, nodes);
        let (commits, cpu) = clinic.one_by_one();
        let each = in_ms(cpu) / commits as f64;
        let a_second = commits as f64 / WRITING.as_secs_f64();
        let (took, gathered, cpu) = clinic.gathered();
        println!(
            "| {nodes} | {a_second:.0} | {each:.2} | {:.0} ms | {gathered} | {:.0} |",
            in_ms(took),
            in_ms(cpu) / (DEVICES * ROUNDS) as f64 * 1000.0,
        );
    }
}

/// Nodes on a schema of their own, which is dropped after them.
struct Clinic {
    nodes: Vec<Arc<PostgresStore>>,
    devices: Vec<(Device, String)>,
    _schema: Schema,
}

impl Clinic {
    fn new(url: &str, nodes: usize) -> Self {
        let schema = Schema::create(url).unwrap();
        let address = schema.address().parse().unwrap();
        let open = |number| PostgresStore::open(&address, &format!("D{number}")).unwrap();
        let nodes: Vec<_> = (1..=nodes).map(|number| Arc::new(open(number))).collect();
        let sql = format!(
            "INSERT INTO certificate
                    (serial, fingerprint, doctor, subject, bytes, state, created, not_after)
             SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), sha256(int4send(i)), 'D1', 'P' || i,
                    '\\x00', 'active', 1, 9000000000000 FROM generate_series(1, {DEVICES}) AS i"
        );
        schema.client().unwrap().batch_execute(&sql).unwrap();
        let devices = nodes[0].active_devices(None, SystemClock.now()).unwrap();
        assert_eq!(devices.len(), DEVICES);
        Self {
            nodes,
            devices,
            _schema: schema,
        }
    }

    /// A broadcast to everybody, which nobody has yet.
    fn broadcast(&self) -> u64 {
        let now = SystemClock.now();
        self.nodes[0]
            .add_message(&message(now), &self.devices, &[entry(now)])
            .unwrap()
    }

    /// The patients of each node.
    fn shares(&self) -> impl Iterator<Item = (&Arc<PostgresStore>, &[(Device, String)])> {
        let share = DEVICES.div_ceil(self.nodes.len());
        self.nodes.iter().zip(self.devices.chunks(share))
    }

    /// Every node writes one receipt after the other: how many there were in
    /// [`WRITING`], and the processor time of PostgreSQL for them.
    fn one_by_one(&self) -> (u64, Duration) {
        let (commits, start) = (AtomicU64::new(0), Barrier::new(self.nodes.len()));
        let messages: Vec<u64> = (0..40).map(|_| self.broadcast()).collect();
        let cpu = processor::of_database().unwrap();
        thread::scope(|scope| {
            for (store, devices) in self.shares() {
                let (commits, start, messages) = (&commits, &start, &messages);
                scope.spawn(move || {
                    start.wait();
                    let begun = Instant::now();
                    let all = messages.iter().flat_map(|message| {
                        devices.iter().map(move |(device, _)| (*message, device))
                    });
                    for (message, device) in all {
                        if begun.elapsed() >= WRITING {
                            break;
                        }
                        store.commit(&[receipt(message, device)]).unwrap();
                        commits.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        (
            commits.into_inner(),
            processor::of_database().unwrap() - cpu,
        )
    }

    /// A receipt from everybody at once, through each node's ledger: how long
    /// that takes in the middle of several rounds, the commits for one, and the
    /// processor time of PostgreSQL for all.
    fn gathered(&self) -> (Duration, u64, Duration) {
        let cpu = processor::of_database().unwrap();
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| self.gathered_once()).collect();
        rounds.sort_unstable();
        let (took, commits) = rounds[ROUNDS / 2];
        (took, commits, processor::of_database().unwrap() - cpu)
    }

    fn gathered_once(&self) -> (Duration, u64) {
        let message = self.broadcast();
        let store = |store: &Arc<PostgresStore>| Arc::clone(store) as Arc<dyn Store>;
        let ledgers: Vec<_> = self
            .nodes
            .iter()
            .map(|node| Ledger::new(store(node)))
            .collect();
        let (done, wait) = mpsc::channel();
        thread::scope(|scope| {
            for ledger in &ledgers {
                scope.spawn(|| ledger.run(|sentence| println!("{sentence}")));
            }
            let begun = Instant::now();
            for ((_, devices), ledger) in self.shares().zip(&ledgers) {
                let done = done.clone();
                scope.spawn(move || {
                    for (device, _) in devices {
                        let done = done.clone();
                        ledger.write(receipt(message, device), move |written| {
                            done.send(written.unwrap()).unwrap();
                        });
                    }
                });
            }
            for _ in &self.devices {
                wait.recv().unwrap();
            }
            let took = begun.elapsed();
            ledgers.iter().for_each(Ledger::stop);
            (took, ledgers.iter().map(Ledger::commits).sum())
        })
    }
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
