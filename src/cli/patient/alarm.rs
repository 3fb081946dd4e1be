//! Makes messages noticed: the terminal's bell, and a command of the person's.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::text::clean;
use crate::identity::id::Identifier;
use crate::patient::event::Event;
use crate::patient::inbox::Entry;

/// How many commands run at once.
const AT_ONCE: usize = 3;
/// How many messages may wait for a command to end.
const WAITING: usize = 1_000;
/// How long a command may run.
const LONGEST: Duration = Duration::from_secs(600);
/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(50);

/// Makes messages noticed.
pub(super) struct Alarm {
    bell: bool,
    commands: Option<SyncSender<Job>>,
    complain: Complain,
}

/// A message, for the command.
struct Job {
    text: String,
    urgent: bool,
}

/// Tells the person what is wrong with the command, once.
#[derive(Clone)]
struct Complain {
    said: Arc<AtomicBool>,
    say: Arc<dyn Fn(String) + Send + Sync>,
}

impl Complain {
    fn about(&self, reason: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            let reason = clean(reason);
            (self.say)(format!(
                "The command for messages fails: {reason}. This is said once."
            ));
        }
    }
}

impl Alarm {
    /// An alarm that runs `command`, if there is one, for every message of
    /// `doctor`, and says with `say` what is wrong with it.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn new(
        command: Option<&str>,
        doctor: &Identifier,
        say: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let complain = Complain {
            said: Arc::default(),
            say: Arc::new(say),
        };
        let commands = command
            .map(|command| start(command, doctor, &complain))
            .transpose()?;
        Ok(Self {
            bell: io::stdout().is_terminal(),
            commands,
            complain,
        })
    }

    /// Makes this noticed, if it is a message. Waits for nothing.
    pub(super) fn on(&self, event: &Event) {
        match event {
            Event::Message(entry) | Event::Reminder(entry) => self.ring(entry),
            _ => {}
        }
    }

    fn ring(&self, entry: &Entry) {
        let urgent = entry.message.is_urgent();
        if urgent && self.bell {
            let mut stdout = io::stdout().lock();
            // A terminal that has gone away hears nothing.
            let _ = stdout.write_all(b"\x07").and_then(|()| stdout.flush());
        }
        let job = Job {
            text: entry.message.text().to_owned(),
            urgent,
        };
        if let Some(commands) = &self.commands
            && commands.try_send(job).is_err()
        {
            self.complain.about("it takes too long");
        }
    }
}

/// Starts the threads that run the command.
fn start(command: &str, doctor: &Identifier, complain: &Complain) -> io::Result<SyncSender<Job>> {
    let (sender, jobs) = mpsc::sync_channel(WAITING);
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..AT_ONCE {
        let worker = Worker {
            jobs: Arc::clone(&jobs),
            command: command.to_owned(),
            doctor: doctor.to_string(),
            complain: complain.clone(),
        };
        thread::Builder::new()
            .name("on-message".to_owned())
            .spawn(move || worker.run())?;
    }
    Ok(sender)
}

struct Worker {
    jobs: Arc<Mutex<Receiver<Job>>>,
    command: String,
    doctor: String,
    complain: Complain,
}

impl Worker {
    fn run(&self) {
        loop {
            let next = self
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(job) = next else { return };
            match self.work(&job) {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => self.complain.about(&format!("it ends with {status}")),
                Ok(None) => self.complain.about("it takes too long and was ended"),
                Err(error) => self.complain.about(&error.to_string()),
            }
        }
    }

    /// Runs the command for one message; nothing if it had to be ended.
    fn work(&self, job: &Job) -> io::Result<Option<ExitStatus>> {
        let mut child = Command::new("sh")
            .args(["-c", &self.command])
            .env("TELEMED_URGENT", if job.urgent { "1" } else { "0" })
            .env("TELEMED_FROM", &self.doctor)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // Shorter than what a pipe holds, so this waits for nobody. A
            // command need not read it.
            let _ = input.write_all(job.text.as_bytes());
        }
        wait(child)
    }
}

fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + LONGEST;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(TICK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
