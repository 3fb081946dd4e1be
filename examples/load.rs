//! Many patients against one server, or against the nodes of a clinic, to see
//! how cost grows with their number: connects them all, with full handshakes and
//! by resumption, broadcasts to them from one node, and waits for every receipt.
//!
//! The servers are the real program, `doctor`, as processes of their own; the
//! patients live in this one. They connect from many loopback addresses, so
//! that the server's limits per address stay on. Each patient answers each
//! broadcast with a proof of its own. To leave the processor to the server
//! their side saves work: a broadcast, which is the same frame for everybody,
//! is opened and its signature verified by the first of them that has it, and
//! compared byte by byte by the others.
//!
//!     make build
//!     cargo run --release --example load -- --patients 1000
//!
//! With the feature `postgres`, several nodes on a PostgreSQL server:
//!
//!     cargo run --release --features postgres --example load -- \
//!         --store postgres://... --nodes 4

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

#[path = "load/connect.rs"]
mod connect;
#[path = "load/crowd.rs"]
mod crowd;
#[path = "load/figures.rs"]
mod figures;
#[path = "load/place.rs"]
mod place;
#[path = "load/practice.rs"]
mod practice;
#[path = "load/process.rs"]
mod process;
#[path = "../benches/common/processor.rs"]
mod processor;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;

use connect::Way;
use crowd::Crowd;
use figures::{Costs, Figure, Spread};
use place::Place;
use practice::Practice;
use process::Doctor;
use telemed::elgamal::Group;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether something has come.
const GLANCE: Duration = Duration::from_micros(200);
/// Threads that play the patients, shared by the nodes' crowds.
const CROWD_THREADS: usize = 2;
/// A server that uses less of a processor in a second has nothing to do.
const IDLE: Duration = Duration::from_millis(50);
/// How long it is looked what connected patients cost who get nothing.
const AT_REST: Duration = Duration::from_secs(10);
/// Messages to single patients that are measured.
const LETTERS: usize = 200;
/// Broadcasts before those that are measured.
const WARM_UP: usize = 3;

/// Connect many patients to one server or several, broadcast to them, and print
/// what it cost.
#[derive(FromArgs)]
struct Args {
    /// how many patients (default 1000)
    #[argh(option, default = "1000")]
    patients: usize,
    /// how many broadcasts of each size (default 50)
    #[argh(option, default = "50")]
    broadcasts: usize,
    /// length of a broadcast's text in bytes; may be given several times
    /// (default 200 and 4096)
    #[argh(option)]
    size: Vec<usize>,
    /// size of the built-in group: 2048, 3072 (default) or 4096 bits
    #[argh(option, default = "3072")]
    bits: usize,
    /// where the clinic's books are: the address of a database on a PostgreSQL
    /// server, in which a schema is made and dropped (default: a file)
    #[argh(option, default = "String::from(\"sqlite\")")]
    store: String,
    /// how many nodes, with the patients spread over them (default 1)
    #[argh(option, default = "1")]
    nodes: usize,
    /// the server's program (default: beside this one)
    #[argh(option)]
    doctor: Option<PathBuf>,
    /// print one JSON object a line
    #[argh(switch)]
    json: bool,
}

fn main() -> ExitCode {
    let mut args: Args = argh::from_env();
    if args.size.is_empty() {
        args.size = vec![200, 4096];
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let group = match args.bits {
        2048 => Group::ffdhe2048(),
        3072 => Group::ffdhe3072(),
        4096 => Group::ffdhe4096(),
        other => return Err(format!("--bits {other}: 2048, 3072 or 4096 are built in").into()),
    };
    let place = Place::new(&args.store)?;
    if args.nodes == 0 || (args.nodes > 1 && matches!(place, Place::File)) {
        return Err(
            "--nodes: several need --store postgres://..., and there is at least one".into(),
        );
    }
    process::raise_file_limit(args.patients)?;
    let print = |figure: Figure| figure.print(args.json);
    eprintln!(
        "load: making keys and certificates of {} patients",
        args.patients
    );
    let mut practice = Practice::found(&group, args.patients, args.nodes, place)?;
    print(Figure::signing(practice.time_of_signature()));

    let servers = Servers::start(args, &practice)?;
    let before = servers.sum(Doctor::resident_kib)?;
    for way in [Way::Full, Way::Resumed] {
        eprintln!("load: connecting them ({})", way.name());
        let (costs, start) = (servers.costs()?, Instant::now());
        connect::all(&mut practice, way, &servers.doors())?;
        let (costs, wall) = (servers.costs()?.since(&costs), start.elapsed());
        print(Figure::handshakes(way.name(), args.patients, &costs, wall));
        if way == Way::Full {
            servers.hang_up()?;
        }
    }
    servers.settle()?;
    let memory = |when: &'static str| -> Result<()> {
        let after = servers.sum(Doctor::resident_kib)?;
        let threads = servers.sum(Doctor::threads)?;
        print(Figure::memory(args.patients, when, before, after, threads));
        Ok(())
    };
    memory("connected")?;
    let costs = servers.costs()?;
    thread::sleep(AT_REST);
    print(Figure::at_rest(AT_REST, &servers.costs()?.since(&costs)));
    for &size in &args.size {
        broadcasts(args, &practice, &servers, size)?;
    }
    memory("after the broadcasts")?;
    letters(args, &servers)?.print(args.json);
    servers.stop()
}

/// The nodes' servers, each with those who are connected to it.
struct Servers(Vec<(Doctor, Crowd)>);

impl Servers {
    fn start(args: &Args, practice: &Practice) -> Result<Self> {
        let threads = (CROWD_THREADS / args.nodes).max(1);
        let start = |node| {
            let doctor = Doctor::start(args.doctor.as_deref(), practice, node)?;
            Ok((doctor, Crowd::gather(&node.known_doctor, threads)?))
        };
        Ok(Self(
            practice.nodes.iter().map(start).collect::<Result<_>>()?,
        ))
    }

    fn doors(&self) -> Vec<(SocketAddr, &Crowd)> {
        let pairs = self.0.iter();
        pairs
            .map(|(doctor, crowd)| (doctor.address(), crowd))
            .collect()
    }

    fn sum(&self, of: impl Fn(&Doctor) -> Result<u64>) -> Result<u64> {
        self.0.iter().map(|(doctor, _)| of(doctor)).sum()
    }

    /// What everything has cost until now.
    fn costs(&self) -> Result<Costs> {
        let servers: Vec<Duration> = (self.0.iter())
            .map(|(doctor, _)| doctor.cpu())
            .collect::<Result<_>>()?;
        let database = processor::of_database()?;
        let known = servers.iter().sum::<Duration>() + database;
        Ok(Costs {
            servers,
            database,
            elsewhere: process::cpu_of_others()?.saturating_sub(known),
        })
    }

    /// Cuts all lines, and waits until the servers have seen it.
    fn hang_up(&self) -> Result<()> {
        for (doctor, crowd) in &self.0 {
            crowd.hang_up(PATIENCE)?;
            wait_until("the server has seen them go", || doctor.is_alone())?;
        }
        Ok(())
    }

    /// Waits until the groups' last keys are out and the servers are idle.
    fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.costs()?;
            thread::sleep(Duration::from_secs(1));
            if self.costs()?.since(&before).of_servers() < IDLE * self.0.len() as u32 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("the servers do not come to rest".into());
            }
        }
    }

    fn stop(self) -> Result<()> {
        self.0.into_iter().try_for_each(|(doctor, _)| doctor.stop())
    }
}

fn broadcasts(args: &Args, practice: &Practice, servers: &Servers, size: usize) -> Result<()> {
    let text = "x".repeat(size);
    let (first, _) = servers.0.first().ok_or("no server")?;
    let mut spreads: [Spread; 3] = Default::default();
    let mut start_of_all = (Instant::now(), servers.costs()?);
    for round in 0..WARM_UP + args.broadcasts {
        if round == WARM_UP {
            start_of_all = (Instant::now(), servers.costs()?);
        }
        let crowds = servers.0.iter().map(|(_, crowd)| crowd);
        let expected: Vec<_> = crowds.map(|crowd| (crowd, crowd.expect())).collect();
        let start = Instant::now();
        let number = first.broadcast(&text)?;
        let acknowledged = start.elapsed();
        let mut has_it = start;
        for (crowd, expected) in expected {
            has_it = has_it.max(crowd.wait(expected, PATIENCE)?);
        }
        wait_until("the last receipt is committed", || {
            practice.is_delivered(number)
        })?;
        let all = start.elapsed();
        if round >= WARM_UP {
            let times = [acknowledged, has_it.duration_since(start), all];
            for (spread, time) in spreads.iter_mut().zip(times) {
                spread.add(time);
            }
        }
    }
    let (start, costs) = start_of_all;
    let (costs, wall) = (servers.costs()?.since(&costs), start.elapsed());
    Figure::broadcasts(args.patients, size, spreads, &costs, wall).print(args.json);
    Ok(())
}

/// Messages to one patient each, from the first node. Every node looks whether
/// they are for somebody who is connected to it.
fn letters(args: &Args, servers: &Servers) -> Result<Figure> {
    let (first, _) = servers.0.first().ok_or("no server")?;
    let text = "x".repeat(args.size[0]);
    servers.settle()?;
    let (costs, mut answered) = (servers.costs()?, Spread::default());
    for number in 0..LETTERS {
        let start = Instant::now();
        first.message(&format!("P{}", number % args.patients), &text)?;
        answered.add(start.elapsed());
    }
    // What the other nodes do comes after the answer.
    thread::sleep(Duration::from_secs(1));
    let costs = servers.costs()?.since(&costs);
    Ok(Figure::letters(&answered, &costs))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("still not: {what}").into());
        }
        thread::sleep(GLANCE);
    }
    Ok(())
}
