//! How long the programs take to start where a practice has grown: until the
//! server accepts connections, and until a patient's inbox is on the screen.
//!
//!     cargo build --release --bins
//!     cargo run --release --example startup

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use argh::FromArgs;
use rusqlite::Connection;
use telemed::control;
use telemed::doctor::control::{Answer, Broadcast, Request};
use tempfile::TempDir;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DOCTOR: &str = "D1";
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Start the server of a large practice, and print how long it takes; the same
/// for a patient's inbox.
#[derive(FromArgs)]
struct Args {
    /// enrolled patients (default 10000)
    #[argh(option, default = "10_000")]
    patients: u32,
    /// broadcasts that each of them has got (default 10)
    #[argh(option, default = "10")]
    broadcasts: u32,
    /// messages in the inbox (default 50)
    #[argh(option, default = "50")]
    inbox: u32,
    /// how often each program is started (default 20)
    #[argh(option, default = "20")]
    rounds: usize,
    /// where the programs are (default: beside this one)
    #[argh(option)]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&argh::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("startup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let own = std::env::current_exe()?;
    let beside = own.parent().and_then(Path::parent).ok_or("no directory")?;
    let place = Place {
        programs: args.programs.clone().unwrap_or_else(|| beside.to_owned()),
        base: TempDir::new()?,
    };
    let (server, _) = place.serve()?;
    place.enrol(&server)?;
    place.fill_inbox(&server, args.inbox)?;
    place.stop(server)?;
    place.grow(args.patients, args.broadcasts)?;

    let mut served = Vec::new();
    for _ in 0..args.rounds {
        let (server, took) = place.serve()?;
        served.push(took);
        place.stop(server)?;
    }
    let what = format!(
        "server with {} patients and {} deliveries, until it accepts",
        args.patients,
        args.patients * args.broadcasts
    );
    print(&what, served);
    let mut shown = Vec::new();
    for _ in 0..args.rounds {
        let begun = Instant::now();
        place.patient(&["inbox"])?;
        shown.push(begun.elapsed());
    }
    print(
        &format!("inbox of {} messages, until it is shown", args.inbox),
        shown,
    );
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    println!(
        "{what}: {:.1} ms (median of {}; slowest {:.1} ms)",
        millis(times.get(times.len() / 2)),
        times.len(),
        millis(times.last())
    );
}

struct Server {
    process: Child,
    address: String,
    /// Kept open, and not read: next to nothing is told.
    _stderr: BufReader<ChildStderr>,
}

struct Place {
    programs: PathBuf,
    base: TempDir,
}

impl Place {
    fn directory(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// Starts the server; how long until it has accepted a connection.
    fn serve(&self) -> Result<(Server, Duration)> {
        let begun = Instant::now();
        let mut process = Command::new(self.programs.join("doctor"))
            .args(["--id", DOCTOR, "--listen", "127.0.0.1:0", "--plain-keys"])
            .arg("--data")
            .arg(self.directory("doctor"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{error}; build it first: cargo build --release --bins"))?;
        let mut stderr = BufReader::new(process.stderr.take().ok_or("no standard error")?);
        let address = loop {
            let mut line = String::new();
            if stderr.read_line(&mut line)? == 0 {
                return Err("the server ended at once".into());
            }
            if let Some((_, address)) = line.split_once("is serving on ") {
                break address.trim().to_owned();
            }
        };
        drop(TcpStream::connect(&address)?);
        let server = Server {
            process,
            address,
            _stderr: stderr,
        };
        Ok((server, begun.elapsed()))
    }

    fn ask(&self, request: &Request) -> Result<Answer> {
        let directory = self.directory("doctor").join(DOCTOR);
        let answer = control::ask(&directory, request, PATIENCE)?;
        Ok(answer.ok_or("the server is gone")?)
    }

    fn stop(&self, mut server: Server) -> Result<()> {
        self.ask(&Request::Stop)?;
        server.process.wait()?;
        Ok(())
    }

    /// A patient with a directory of her own.
    fn enrol(&self, server: &Server) -> Result<()> {
        let ticket = Command::new(self.programs.join("doctor"))
            .args(["--id", DOCTOR, "--plain-keys", "--data"])
            .arg(self.directory("doctor"))
            .args(["enrol", "P0", "--public-address", &server.address])
            .stderr(Stdio::null())
            .output()?;
        self.patient(&["enrol", String::from_utf8(ticket.stdout)?.trim()])
    }

    fn patient(&self, arguments: &[&str]) -> Result<()> {
        let done = Command::new(self.programs.join("patient"))
            .args(["--plain-keys", "--data"])
            .arg(self.directory("patient"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        match done.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&done.stderr).into()),
        }
    }

    /// Has the patient connected until so many broadcasts have come.
    fn fill_inbox(&self, server: &Server, count: u32) -> Result<()> {
        let mut watch = Command::new(self.programs.join("patient"))
            .args(["--plain-keys", "--data"])
            .arg(self.directory("patient"))
            .args(["--connect", &server.address, "watch"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        for number in 0..count {
            let broadcast = Broadcast {
                text: format!("Message {number}: the practice is closed on Monday."),
                ..Broadcast::default()
            };
            if let Answer::Failed(sentence) = self.ask(&Request::Broadcast(broadcast))? {
                return Err(sentence.into());
            }
        }
        let books = Connection::open(self.directory("doctor").join(DOCTOR).join("telemed.db"))?;
        let begun = Instant::now();
        let missing = "SELECT count(*) FROM delivery WHERE delivered IS NULL";
        while books.query_row(missing, [], |row| row.get::<_, u32>(0))? > 0 {
            if begun.elapsed() > PATIENCE {
                return Err("the broadcasts do not arrive".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        watch.kill()?;
        watch.wait()?;
        Ok(())
    }

    /// Puts more patients, and what they were sent, into the books: certificates
    /// that nobody will use.
    fn grow(&self, patients: u32, broadcasts: u32) -> Result<()> {
        let path = self.directory("doctor").join(DOCTOR).join("telemed.db");
        let books = Connection::open(path)?;
        let entries = patients * broadcasts;
        books.execute_batch(&format!(
            "BEGIN;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {patients})
             INSERT INTO certificate
                 (serial, fingerprint, subject, bytes, state, created, not_after)
             SELECT randomblob(16), randomblob(32), 'P' || i, randomblob(1706), 'active', 1,
                    9000000000000 FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {broadcasts})
             INSERT INTO message (id, kind, urgent, written, sealed)
             SELECT randomblob(16), 'broadcast', 0, 1000 + i, randomblob(336) FROM n;
             INSERT INTO delivery (message, device, patient, queued, sent, delivered, open)
             SELECT number, fingerprint, subject, 1000, 1001, 1002, 0
             FROM (SELECT number FROM message ORDER BY number DESC LIMIT {broadcasts})
                  CROSS JOIN (SELECT fingerprint, subject FROM certificate ORDER BY fingerprint);
             CREATE TEMP TABLE last AS SELECT max(number) AS number FROM audit_entry;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {entries})
             INSERT INTO audit_entry (number, at, actor, action, subject, detail, link)
             SELECT last.number + i, 1000, 'P' || i, 'delivered', '',
                    'message 012345, device 012345', randomblob(32) FROM n CROSS JOIN last;
             COMMIT;"
        ))?;
        Ok(())
    }
}
