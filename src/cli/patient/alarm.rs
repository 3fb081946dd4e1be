//! Makes messages noticed: the terminal's bell, and a command of the person's.

use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::cli::text::clean;
use crate::clock::{Clock, SystemClock};
use crate::patient::event::Event;
use crate::patient::files::Files;
use crate::patient::inbox::Entry;

/// How many commands run at once, and as many more for urgent messages.
const AT_ONCE: usize = 3;
/// How many messages may wait for a command to end.
const WAITING: usize = 1_000;
/// The variables by which a service manager hears of this program: a command
/// must not speak for it.
const MANAGER: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// How long a command may run.
const LONGEST: Duration = Duration::from_secs(600);
/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(50);

/// Makes messages noticed.
pub(super) struct Alarm {
    bell: bool,
    commands: Option<Lanes>,
    complain: Complain,
}

/// Where messages wait for the command. An emergency does not wait behind what
/// is none.
struct Lanes {
    urgent: SyncSender<Job>,
    other: SyncSender<Job>,
}

/// A message, for the command.
struct Job {
    number: u64,
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
    /// An alarm that runs `command`, if there is one, for every message in
    /// `files`, and says with `say` what is wrong with it. It begins with what
    /// is unread and had no command before, as after a program was killed.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn new(
        command: Option<&str>,
        files: &Arc<Files>,
        say: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let complain = Complain {
            said: Arc::default(),
            say: Arc::new(say),
        };
        let commands = command
            .map(|command| Lanes::start(command, files, &complain))
            .transpose()?;
        let alarm = Self {
            bell: io::stdout().is_terminal(),
            commands,
            complain,
        };
        if alarm.commands.is_some() {
            alarm.catch_up(files);
        }
        Ok(alarm)
    }

    fn catch_up(&self, files: &Files) {
        match files.inbox().unannounced(WAITING) {
            Ok(entries) => entries.iter().for_each(|entry| self.ring(entry)),
            Err(error) => self.complain.about(&error.to_string()),
        }
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
            number: entry.number,
            text: entry.message.text().to_owned(),
            urgent,
        };
        if let Some(Lanes {
            urgent: first,
            other,
        }) = &self.commands
            && if urgent { first } else { other }.try_send(job).is_err()
        {
            self.complain.about("it takes too long");
        }
    }
}

impl Lanes {
    fn start(command: &str, files: &Arc<Files>, complain: &Complain) -> io::Result<Self> {
        Ok(Self {
            urgent: start(command, files, complain)?,
            other: start(command, files, complain)?,
        })
    }
}

/// Starts the threads that run the command in one lane.
fn start(command: &str, files: &Arc<Files>, complain: &Complain) -> io::Result<SyncSender<Job>> {
    let (sender, jobs) = mpsc::sync_channel(WAITING);
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..AT_ONCE {
        let worker = Worker {
            jobs: Arc::clone(&jobs),
            command: command.to_owned(),
            files: Arc::clone(files),
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
    files: Arc<Files>,
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
        let mut command = Command::new("sh");
        for name in MANAGER {
            command.env_remove(name);
        }
        // A group of its own, so that what it has started ends with it.
        let mut child = command
            .args(["-c", &self.command])
            .process_group(0)
            .env("TELEMED_URGENT", if job.urgent { "1" } else { "0" })
            .env("TELEMED_FROM", self.files.name().doctor.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // Shorter than what a pipe holds, so this waits for nobody. A
            // command need not read it.
            let _ = input.write_all(job.text.as_bytes());
        }
        if let Err(error) = self
            .files
            .inbox()
            .mark_announced(job.number, SystemClock.now())
        {
            self.complain.about(&error.to_string());
        }
        wait(child, LONGEST)
    }
}

fn wait(mut child: Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(TICK);
    }
    // It has not been waited for, so its number is still its own.
    kill_process_group(Pid::from_child(&child), Signal::KILL)?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Timestamp;
    use crate::protocol::message::Message;
    use crate::random::OsRandom;

    fn files(base: &TempDir) -> Arc<Files> {
        let name = "P1@D1".parse().unwrap();
        Arc::new(Files::create_or_open(base.path(), &name).unwrap())
    }

    fn arrive(files: &Files, text: &str, urgent: bool) -> Entry {
        let now = Timestamp::from_millis(1);
        let message = Message::new(text, urgent, now, &mut OsRandom).unwrap();
        files.inbox().arrive(&message)
    }

    /// Waits until the file holds this text; a file is written in one go.
    #[track_caller]
    fn until(path: &Path, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while fs::read_to_string(path).unwrap_or_default() != text {
            assert!(Instant::now() < deadline, "{}", path.display());
            thread::sleep(TICK);
        }
    }

    #[test]
    fn an_emergency_does_not_wait_behind_commands_that_hang() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let gate = base.path().join("gate");
        fs::write(&gate, "").unwrap();
        let heard = base.path().join("heard");
        // What is not urgent hangs until the test is over.
        let command = format!(
            "if [ $TELEMED_URGENT = 1 ]; then cat > '{}'; \
             else while [ -e '{}' ]; do sleep 0.1; done; fi",
            heard.display(),
            gate.display()
        );
        let alarm = Alarm::new(Some(&command), &files, |_| {}).unwrap();
        for _ in 0..=AT_ONCE {
            alarm.on(&Event::Message(arrive(&files, "slow", false)));
        }
        alarm.on(&Event::Message(arrive(&files, "leave the house", true)));
        until(&heard, "leave the house");
        fs::remove_file(gate).unwrap();
    }

    #[test]
    fn what_was_kept_before_a_kill_gets_its_command_at_the_next_start_once() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let heard = base.path().join("heard");
        arrive(&files, "drink water.", false);
        let command = format!("cat >> '{}'", heard.display());
        drop(Alarm::new(Some(&command), &files, |_| {}).unwrap());
        until(&heard, "drink water.");
        arrive(&files, "and sleep.", false);
        drop(Alarm::new(Some(&command), &files, |_| {}).unwrap());
        until(&heard, "drink water.and sleep.");
        assert_eq!(files.inbox().unannounced(9).unwrap().len(), 0);
    }

    #[test]
    fn what_a_command_has_started_ends_with_it_at_the_time_limit() {
        // The pipe's end is inherited by all of them: it closes with the last.
        let mut child = Command::new("sh")
            .args(["-c", "sleep 300 & sleep 300 & wait"])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        assert!(wait(child, Duration::from_millis(1)).unwrap().is_none());
        assert_eq!(io::copy(&mut out, &mut io::sink()).unwrap(), 0);
    }
}
