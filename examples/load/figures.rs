//! What was measured, as a line for people or for programs.

use std::time::Duration;

use serde_json::{Value, json};

/// Durations of the same thing.
#[derive(Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Adds one.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// The duration that so many hundredths do not exceed, in milliseconds
    /// (nearest rank).
    fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
        sorted.get(rank - 1).map_or(0.0, |found| millis(*found))
    }

    fn to_json(&self) -> Value {
        json!({ "p50": self.percentile(50), "p99": self.percentile(99) })
    }

    fn sum(&self) -> Duration {
        self.0.iter().sum()
    }
}

/// Processor time.
pub struct Costs {
    /// Of each node's server.
    pub servers: Vec<Duration>,
    /// Of PostgreSQL.
    pub database: Duration,
    /// Of all other programs on this machine.
    pub elsewhere: Duration,
}

impl Costs {
    /// What was added since then.
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.servers.iter().zip(&before.servers);
        Self {
            servers: pairs.map(|(now, then)| now.saturating_sub(*then)).collect(),
            database: self.database.saturating_sub(before.database),
            elsewhere: self.elsewhere.saturating_sub(before.elsewhere),
        }
    }

    /// Of all servers together.
    pub fn of_servers(&self) -> Duration {
        self.servers.iter().sum()
    }
}

/// PostgreSQL's part, if it has one.
fn of_database(ms: f64) -> String {
    match ms > 0.0 {
        true => format!(", {ms:.2} of PostgreSQL's"),
        false => String::new(),
    }
}

/// A line of figures.
pub struct Figure {
    text: String,
    fields: Value,
}

impl Figure {
    pub fn signing(time: Duration) -> Self {
        let ms = millis(time);
        Self {
            text: format!("one signature of the doctor's: {ms:.2} ms"),
            fields: json!({ "what": "signature", "ms": ms }),
        }
    }

    pub fn handshakes(way: &str, patients: usize, costs: &Costs, wall: Duration) -> Self {
        let each = millis(costs.of_servers()) / count(patients);
        let database = millis(costs.database) / count(patients);
        let per_second = count(patients) / wall.as_secs_f64();
        Self {
            text: format!(
                "{way}: {each:.2} ms of the server's processor time each{}, {per_second:.0} a \
                 second with the patients on the same machine",
                of_database(database)
            ),
            fields: json!({
                "what": way, "patients": patients, "server_cpu_ms": each,
                "database_cpu_ms": database, "per_second": per_second,
            }),
        }
    }

    pub fn memory(patients: usize, when: &str, before: u64, after: u64, threads: u64) -> Self {
        let each = (after.saturating_sub(before)) as f64 / count(patients);
        Self {
            text: format!(
                "resident memory: {before} KiB empty, {after} KiB with {patients} patients {when}: \
                 {each:.1} KiB each; {threads} threads"
            ),
            fields: json!({
                "what": "memory", "patients": patients, "when": when, "before_kib": before,
                "after_kib": after, "kib_each": each, "threads": threads,
            }),
        }
    }

    /// What everybody costs in this time who is connected and gets nothing.
    pub fn at_rest(time: Duration, costs: &Costs) -> Self {
        let share = |cpu: Duration| cpu.as_secs_f64() / time.as_secs_f64() * 100.0;
        let (servers, database) = (share(costs.of_servers()), share(costs.database));
        Self {
            text: format!(
                "at rest: the servers use {servers:.1} % of a processor, PostgreSQL {database:.1} %"
            ),
            fields: json!({
                "what": "at rest", "servers_percent": servers, "database_percent": database,
            }),
        }
    }

    pub fn broadcasts(
        patients: usize,
        size: usize,
        [answered, received, committed]: [Spread; 3],
        costs: &Costs,
        wall: Duration,
    ) -> Self {
        let deliveries = count(patients) * count(committed.0.len());
        let per_1000 = |cpu| millis(cpu) / deliveries * 1000.0;
        let server = per_1000(costs.of_servers());
        let each: Vec<f64> = costs.servers.iter().map(|cpu| per_1000(*cpu)).collect();
        let database = per_1000(costs.database);
        let elsewhere = costs.elsewhere.as_secs_f64() / wall.as_secs_f64();
        let per_second = deliveries / committed.sum().as_secs_f64();
        Self {
            text: format!(
                "broadcast of {size} B to {patients}, p50 (p99) of {}: the doctor is answered after \
                 {:.1} ({:.1}) ms, the last patient has it after {:.1} ({:.1}) ms, the last receipt \
                 is committed after {:.1} ({:.1}) ms; {per_second:.0} deliveries a second; per 1,000 \
                 deliveries {server:.1} ms of the server's processor time{}; elsewhere {:.0} % of a \
                 processor was busy",
                committed.0.len(),
                answered.percentile(50),
                answered.percentile(99),
                received.percentile(50),
                received.percentile(99),
                committed.percentile(50),
                committed.percentile(99),
                of_database(database),
                elsewhere * 100.0,
            ),
            fields: json!({
                "what": "broadcast", "patients": patients, "bytes": size,
                "rounds": committed.0.len(),
                "answered_ms": answered.to_json(), "received_ms": received.to_json(),
                "committed_ms": committed.to_json(), "deliveries_per_second": per_second,
                "server_cpu_ms_per_1000": server, "each_server_cpu_ms_per_1000": each,
                "database_cpu_ms_per_1000": database, "busy_elsewhere": elsewhere,
            }),
        }
    }

    /// Messages to one patient each.
    pub fn letters(answered: &Spread, costs: &Costs) -> Self {
        let each = |cpu| millis(cpu) / count(answered.0.len());
        let (servers, database) = (each(costs.of_servers()), each(costs.database));
        let (p50, p99) = (answered.percentile(50), answered.percentile(99));
        Self {
            text: format!(
                "message to one patient: the doctor is answered after {p50:.1} ({p99:.1}) ms; \
                 {servers:.2} ms of the servers' processor time each{}",
                of_database(database)
            ),
            fields: json!({
                "what": "message", "answered_ms": answered.to_json(),
                "servers_cpu_ms": servers, "database_cpu_ms": database,
            }),
        }
    }

    /// Prints it on standard output.
    pub fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.fields);
        } else {
            println!("{}", self.text);
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn count(number: usize) -> f64 {
    number as f64
}
