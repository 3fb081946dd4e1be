//! Many patients against one server, to see how cost grows with their number:
//! connects them all, with full handshakes and by resumption, broadcasts to
//! them, and waits for every receipt.
//!
//! The server is the real program, `doctor`, as a process of its own; the
//! patients live in this one. They connect from many loopback addresses, so
//! that the server's limits per address stay on. Each patient answers each
//! broadcast with a proof of its own. To leave the processor to the server
//! their side saves work: a broadcast, which is the same frame for everybody,
//! is opened and its signature verified by the first of them that has it, and
//! compared byte by byte by the others.
//!
//!     cargo build --release --bins
//!     cargo run --release --example load -- --patients 1000

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

#[path = "load/connect.rs"]
mod connect;
#[path = "load/crowd.rs"]
mod crowd;
#[path = "load/figures.rs"]
mod figures;
#[path = "load/practice.rs"]
mod practice;
#[path = "load/process.rs"]
mod process;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;

use connect::Way;
use crowd::Crowd;
use figures::{Figure, Spread};
use practice::Practice;
use process::Doctor;
use telemed::elgamal::Group;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether something has come.
const GLANCE: Duration = Duration::from_micros(200);
/// Broadcasts before those that are measured.
const WARM_UP: usize = 3;

/// Connect many patients to one server, broadcast to them, and print what it
/// cost.
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
    process::raise_file_limit(args.patients)?;
    let print = |figure: Figure| figure.print(args.json);
    eprintln!(
        "load: making keys and certificates of {} patients",
        args.patients
    );
    let mut practice = Practice::found(&group, args.patients)?;
    print(Figure::signing(practice.time_of_signature()));

    let doctor = Doctor::start(args.doctor.as_deref(), &practice)?;
    let before = doctor.resident_kib()?;
    let crowd = Crowd::gather(&practice)?;
    for way in [Way::Full, Way::Resumed] {
        eprintln!("load: connecting them ({})", way.name());
        let (cpu, start) = (doctor.cpu()?, Instant::now());
        connect::all(&mut practice, way, doctor.address(), &crowd)?;
        let (cpu, wall) = (doctor.cpu()? - cpu, start.elapsed());
        print(Figure::handshakes(way.name(), args.patients, cpu, wall));
        if way == Way::Full {
            crowd.hang_up(PATIENCE)?;
            wait_until("the server has seen them go", || doctor.is_alone())?;
        }
    }
    settle(&doctor)?;
    let memory = |when: &'static str| -> Result<()> {
        let (after, threads) = (doctor.resident_kib()?, doctor.threads()?);
        print(Figure::memory(args.patients, when, before, after, threads));
        Ok(())
    };
    memory("connected")?;
    for &size in &args.size {
        broadcasts(args, &practice, &doctor, &crowd, size)?;
    }
    memory("after the broadcasts")?;
    doctor.stop()
}

/// Waits until the group's last key is out and the server is idle.
fn settle(doctor: &Doctor) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = doctor.cpu()?;
        thread::sleep(Duration::from_secs(1));
        if doctor.cpu()? - before < Duration::from_millis(50) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the server does not come to rest".into());
        }
    }
}

fn broadcasts(
    args: &Args,
    practice: &Practice,
    doctor: &Doctor,
    crowd: &Crowd,
    size: usize,
) -> Result<()> {
    let text = "x".repeat(size);
    let (mut answered, mut received, mut committed) =
        (Spread::default(), Spread::default(), Spread::default());
    let mut cpu = Duration::ZERO;
    let start_of_all = Instant::now();
    let others = process::busy_elsewhere(doctor)?;
    for round in 0..WARM_UP + args.broadcasts {
        let before = doctor.cpu()?;
        let expected = crowd.expect();
        let start = Instant::now();
        let number = doctor.broadcast(&text)?;
        let acknowledged = start.elapsed();
        let has_it = crowd.wait(expected, PATIENCE)?.duration_since(start);
        wait_until("the last receipt is committed", || {
            practice.is_delivered(number)
        })?;
        let all = start.elapsed();
        if round >= WARM_UP {
            answered.add(acknowledged);
            received.add(has_it);
            committed.add(all);
            cpu += doctor.cpu()? - before;
        }
    }
    let others = process::busy_elsewhere(doctor)?.share_since(&others, start_of_all.elapsed());
    Figure::broadcasts(
        args.patients,
        size,
        [answered, received, committed],
        cpu,
        others,
    )
    .print(args.json);
    Ok(())
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
