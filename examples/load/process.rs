//! The servers' processes, and what the operating system says about them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use telemed::control;
use telemed::doctor::control::{Answer, Broadcast, Request};

use crate::practice::{Node, Practice};
use crate::{PATIENCE, Result, processor};

/// Descriptors that are no patient's socket.
const SPARE: usize = 256;

/// Lets this process, and the servers after it, have a descriptor for each
/// patient.
pub fn raise_file_limit(patients: usize) -> Result<()> {
    let needed = u64::try_from(patients + SPARE)?;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!(
            "{patients} patients need {needed} open files, this user may have {}; raise the hard \
             limit (ulimit -Hn), or connect fewer",
            limit.maximum.unwrap_or(0)
        )
        .into());
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// A running server.
pub struct Doctor {
    process: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Doctor {
    /// Starts the program on one node of a practice, and waits until it serves.
    pub fn start(program: Option<&Path>, practice: &Practice, node: &Node) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => beside()?,
        };
        let mut process = Command::new(&program)
            .args([
                "--id",
                &node.doctor,
                "--listen",
                "127.0.0.1:0",
                "--plain-keys",
            ])
            .arg("--data")
            .arg(practice.base())
            .arg("serve")
            // Not an argument: it may name a user.
            .env("TELEMED_STORE", practice.store())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start '{}': {error}", program.display()))?;
        let stderr = process.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines.next().ok_or("the server ended at once")??;
            if let Some((_, address)) = line.split_once("is serving on ") {
                break address.parse()?;
            }
        };
        // It must not wait for somebody to read what it tells.
        thread::spawn(move || for _ in lines.map_while(std::result::Result::ok) {});
        Ok(Self {
            process,
            address,
            directory: node.directory.clone(),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn ask(&self, request: &Request) -> Result<Answer> {
        let answer = control::ask(&self.directory, request, PATIENCE)?;
        match answer.ok_or("the server is gone")? {
            Answer::Failed(sentence) => Err(sentence.to_string().into()),
            answer => Ok(answer),
        }
    }

    /// Broadcasts a text to all patients of the clinic and gives the message's
    /// number, once the server says that it is on its way.
    pub fn broadcast(&self, text: &str) -> Result<u64> {
        let broadcast = Broadcast {
            text: text.to_owned(),
            clinic: true,
            ..Broadcast::default()
        };
        match self.ask(&Request::Broadcast(broadcast))? {
            Answer::Sent { number, .. } => Ok(number),
            other => Err(format!("{other:?} instead of a number").into()),
        }
    }

    /// Sends a message to one patient.
    pub fn message(&self, patient: &str, text: &str) -> Result<()> {
        let message = Request::Message {
            patient: patient.to_owned(),
            text: text.to_owned(),
            urgent: false,
            expires_seconds: None,
        };
        match self.ask(&message)? {
            Answer::Sent { .. } => Ok(()),
            other => Err(format!("{other:?} instead of a number").into()),
        }
    }

    /// Whether nobody is connected any more.
    pub fn is_alone(&self) -> Result<bool> {
        match self.ask(&Request::List)? {
            Answer::Connected { devices, .. } => Ok(devices.is_empty()),
            other => Err(format!("{other:?} instead of a list").into()),
        }
    }

    /// Stops it.
    pub fn stop(mut self) -> Result<()> {
        self.ask(&Request::Stop)?;
        self.process.wait()?;
        Ok(())
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        Ok(fs::read_to_string(path)?)
    }

    /// Processor time until now, in user and system mode together (proc(5)).
    pub fn cpu(&self) -> Result<Duration> {
        Ok(processor::of_stat(&self.proc("stat")?, 2)?)
    }

    fn status(&self, field: &str) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let value = line.and_then(|line| line.split_whitespace().next());
        Ok(value.ok_or("/proc: status")?.parse()?)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// How many threads it has.
    pub fn threads(&self) -> Result<u64> {
        self.status("Threads:")
    }
}

impl Drop for Doctor {
    fn drop(&mut self) {
        // Gone already, where it was told to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's program where cargo puts it.
fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().and_then(Path::parent).ok_or("no directory")?;
    let program = directory.join("doctor");
    if program.exists() {
        return Ok(program);
    }
    Err(format!(
        "'{}' is not there; build it first (make build), or name it with --doctor",
        program.display()
    )
    .into())
}

/// The processor time of everything on this machine but this program.
pub fn cpu_of_others() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("/proc/stat")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    // user, nice, system, irq, softirq; not idle, iowait, steal.
    let ticks: u64 = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|&at| fields.get(at))
        .sum();
    let all = Duration::from_millis(ticks * processor::TICK_MILLIS);
    let own = processor::of_stat(&fs::read_to_string("/proc/self/stat")?, 2)?;
    Ok(all.saturating_sub(own))
}
