//! The patient's menu, beside a connection that lives its own life.

use std::io::{self, IsTerminal};
use std::process;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::alarm::Alarm;
use super::connection::{self, Reachable, broken};
use super::failure::{self, Place};
use super::{config, say};
use crate::cli::exit::{Exit, Failure};
use crate::cli::menu::{Answer, Console, Dialogue, PATIENT, PatientChoice, question};
use crate::cli::options::PatientOptions;
use crate::cli::terminal::{Printer, Stopper, Terminal};
use crate::cli::text::{check_message, quoted, sentence};
use crate::patient::client::Client;
use crate::patient::control::{Said, Status};
use crate::patient::damaged::Damaged;
use crate::patient::event::{Event, Stopped};
use crate::patient::files::Files;
use crate::patient::inbox::Entry;
use crate::protocol::message::Boundary;

/// How long commands from a pipe wait for what was missed, once connected.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How long a program that is to end waits for receipts.
const SETTLE: Duration = Duration::from_secs(10);
/// How long a connection that has ended may take to say so.
const LAST_EVENT: Duration = Duration::from_secs(1);
/// Longer than any attempt to connect.
const ATTEMPT: Duration = Duration::from_secs(600);
/// How many of the newest messages are shown at once.
const SHOWN: usize = 100;

/// Connects, and does what the menu is told.
pub(super) fn run(options: &PatientOptions, files: Files) -> Result<Exit, Failure> {
    let place = Place::new(options, files.name());
    let files = Arc::new(files);
    let counts = files
        .mail_counts()
        .map_err(|error| failure::files(&error))?;
    // Before the terminal: its editor puts a handler of its own in front.
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(broken)?;
    let (terminal, printer) = Terminal::new().map_err(broken)?;
    if let Some(unread) = say::unread(&Status::new(counts, true, false)) {
        printer.line(format!("{unread}: choose 4 to read."));
    }
    let watch = Arc::new(Watch::new(place, terminal.stopper()));
    let on_signal = Arc::clone(&watch);
    spawn("signals", move || on_signal.heed(signals)).map_err(broken)?;
    let complaints = printer.clone();
    let command = options.on_message.as_deref();
    let alarm = Alarm::new(command, &files, move |said| complaints.line(said));
    let alarm = alarm.map_err(broken)?;
    let (client, events) = connection::start(options, config(options), &files)?;
    let _reachable = Reachable::new(&files, &client)?;
    let follower = Follower {
        watch: Arc::clone(&watch),
        client: Arc::clone(&client),
        printer: printer.clone(),
        alarm,
    };
    spawn("events", move || follower.follow(&events)).map_err(broken)?;
    let mut session = Session {
        console: Console { terminal, printer },
        client,
        watch,
        interactive: io::stdin().is_terminal(),
        left: false,
    };
    session.run()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
}

/// What the other threads have seen.
struct Watch {
    place: Place,
    stopper: Stopper,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    /// There was a session.
    connected: bool,
    /// There is a session.
    online: bool,
    /// There was a group key in it: what was missed has come before.
    caught_up: bool,
    /// Why the last attempt failed.
    failed: Option<Failure>,
    /// There will be no further attempt.
    stopped: Option<Result<Exit, Failure>>,
    /// There will be no further event.
    over: bool,
    /// A signal came.
    signalled: bool,
}

impl Watch {
    fn new(place: Place, stopper: Stopper) -> Self {
        Self {
            place,
            stopper,
            seen: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, patience: Duration, done: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let waited = self
            .changed
            .wait_timeout_while(self.seen(), patience, |seen| {
                !(done(seen) || seen.signalled || seen.stopped.is_some())
            });
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until everything that has happened is handed to the printer.
    fn wait_for_the_last_event(&self) {
        let waited = self
            .changed
            .wait_timeout_while(self.seen(), LAST_EVENT, |seen| !seen.over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The first signal ends the program in good order, the second at once.
    fn heed(&self, mut signals: Signals) {
        for _ in signals.forever() {
            let before = std::mem::replace(&mut self.seen().signalled, true);
            if before {
                process::exit(i32::from(Exit::Interrupted.code()));
            }
            self.changed.notify_all();
            self.stopper.stop();
        }
    }

    /// Notes whether there is a session, before that is said: whoever has read it
    /// is answered by it.
    fn note_session(&self, event: &Event) {
        match event {
            Event::Connected { .. } => self.seen().online = true,
            Event::ConnectionLost(_) | Event::Ended(_) | Event::Back { .. } => {
                self.seen().online = false;
            }
            _ => {}
        }
    }

    /// Notes the rest, when it was said.
    fn note(&self, event: &Event, printer: &Printer) {
        let mut seen = self.seen();
        match event {
            Event::Connected { .. } => {
                seen.connected = true;
                seen.failed = None;
            }
            Event::Epoch { .. } => seen.caught_up = true,
            Event::NotConnected(error) => {
                seen.failed = Some(failure::connect(error, &self.place));
            }
            Event::Stopped(stopped) => {
                let result = failure::stopped(stopped, &self.place);
                if !matches!(stopped, Stopped::Asked) {
                    if result.is_ok() {
                        printer.line(sentence(&stopped.to_string()));
                    }
                    seen.stopped = Some(result);
                    self.stopper.stop();
                }
                seen.over = true;
            }
            _ => {}
        }
        drop(seen);
        self.changed.notify_all();
    }
}

/// Shows what happens.
struct Follower {
    watch: Arc<Watch>,
    client: Arc<Client>,
    printer: Printer,
    alarm: Alarm,
}

impl Follower {
    fn follow(&self, events: &Receiver<Event>) {
        for event in events {
            self.alarm.on(&event);
            self.watch.note_session(&event);
            if let Some(lines) = say::event(&event) {
                self.printer.line(lines);
            }
            if let Event::Message(entry) = &event {
                self.mark_shown(entry.number);
            }
            self.watch.note(&event, &self.printer);
        }
    }

    /// Only what stands on the screen counts as shown: a program that is killed
    /// before leaves the message unread.
    fn mark_shown(&self, number: u64) {
        if self.printer.flush()
            && let Err(error) = self.client.shown(&[number])
        {
            let said = format!("message {number} stays unread: {error}");
            self.printer.line(sentence(&said));
        }
    }
}

/// What a message is called by, also one that does not open.
fn number(found: &Result<Entry, Damaged>) -> u64 {
    found
        .as_ref()
        .map_or_else(|damaged| damaged.number, |entry| entry.number)
}

/// The menu's state.
struct Session {
    console: Console,
    client: Arc<Client>,
    watch: Arc<Watch>,
    interactive: bool,
    /// The person has disconnected.
    left: bool,
}

impl Session {
    fn run(&mut self) -> Result<Exit, Failure> {
        if !self.interactive {
            // Commands that are there already need a session, and what came
            // while away.
            drop(self.first_attempt());
            if self.watch.seen().connected {
                drop(self.watch.wait(CATCH_UP, |seen| seen.caught_up));
            }
        }
        loop {
            let answer = PATIENT.choose(&mut self.console);
            match answer.and_then(|answer| self.on_answer(answer)) {
                Ok(Some(end)) => return end,
                Ok(None) => {}
                Err(error) => {
                    self.leave();
                    let sentence = format!("cannot read standard input: {error}");
                    return Err(Failure::new(Exit::Failure, sentence));
                }
            }
        }
    }

    fn first_attempt(&self) -> MutexGuard<'_, Seen> {
        let watch = &self.watch;
        watch.wait(ATTEMPT, |seen| seen.connected || seen.failed.is_some())
    }

    fn leave(&self) {
        self.client.leave();
        self.watch.wait_for_the_last_event();
    }

    /// Does what was chosen; gives how the program ends, if it does.
    fn on_answer(
        &mut self,
        answer: Answer<PatientChoice>,
    ) -> io::Result<Option<Result<Exit, Failure>>> {
        // Whoever is at the keyboard does not wait for the next attempt.
        self.client.hurry();
        let answer = answer.and_then(|choice| match choice {
            PatientChoice::Disconnect => {
                self.disconnect();
                Ok(Answer::Given(()))
            }
            PatientChoice::Exit => Ok(Answer::End),
            PatientChoice::Message => self.message(None),
            PatientChoice::Open => self.message(Some(Boundary::Opens)),
            PatientChoice::Close => self.message(Some(Boundary::Closes)),
            PatientChoice::History => {
                self.history();
                Ok(Answer::Given(()))
            }
            PatientChoice::Show => {
                self.show();
                Ok(Answer::Given(()))
            }
            PatientChoice::Confirm => self.confirm(),
        })?;
        Ok(match answer {
            Answer::Given(()) => None,
            Answer::Back => {
                self.console.say("Nothing was done.");
                None
            }
            Answer::End => Some(self.exit()),
            Answer::Interrupted => Some(self.end_with(Ok(Exit::Ok))),
            Answer::Stopped => Some(self.stopped()),
        })
    }

    fn disconnect(&mut self) {
        if self.left {
            self.console.say("You are disconnected already.");
            return;
        }
        if !self.interactive {
            let _ = self.client.settle(SETTLE);
        }
        self.left = true;
        self.leave();
        self.console.say(
            "You are disconnected. The messages can still be shown; \
             to connect again, start the program again.",
        );
    }

    fn message(&mut self, boundary: Option<Boundary>) -> io::Result<Answer<()>> {
        if self.is_over() {
            return Ok(Answer::Given(()));
        }
        let text = question(&mut self.console, "Message: ", |typed| {
            check_message(typed).map(|()| typed.to_owned())
        })?;
        text.and_then(|text| {
            let online = self.watch.seen().online;
            match self.client.send(&text, boundary) {
                Ok(_) if online => {}
                Ok(_) => self.console.say("It will be sent when you are connected."),
                Err(error) => self.console.say(&sentence(&error.to_string())),
            }
            Ok(Answer::Given(()))
        })
    }

    fn history(&mut self) {
        let said = match self.client.files().history(SHOWN) {
            Ok(items) => say::history(&items.iter().map(Into::into).collect::<Vec<_>>()),
            Err(error) => sentence(&error.to_string()),
        };
        self.console.say(&said);
    }

    fn show(&mut self) {
        let unread = self.client.files().inbox().unread(SHOWN);
        let messages = unread.and_then(|unread| {
            // So many newest ones, but each that is unread.
            let mut messages = self.client.files().inbox().newest(SHOWN)?;
            let first = messages.first().map_or(0, number);
            messages.splice(0..0, unread.into_iter().filter(|e| number(e) < first));
            Ok(messages)
        });
        match messages {
            Ok(messages) => self.show_all(&messages),
            Err(error) => self.console.say(&sentence(&error.to_string())),
        }
    }

    fn show_all(&mut self, messages: &[Result<Entry, Damaged>]) {
        if messages.is_empty() {
            self.console.say("There are no messages.");
        }
        let messages: Vec<Said> = messages.iter().map(Into::into).collect();
        for message in &messages {
            self.console.say(&say::said(message));
        }
        let is_whole = self.console.printer.flush();
        let unread: Vec<u64> = messages.iter().filter_map(Said::unread).collect();
        if is_whole
            && !unread.is_empty()
            && let Err(error) = self.client.shown(&unread)
        {
            let said = format!("they stay unread: {error}");
            self.console.say(&sentence(&said));
        }
    }

    fn confirm(&mut self) -> io::Result<Answer<()>> {
        if self.is_over() {
            return Ok(Answer::Given(()));
        }
        let name = question(
            &mut self.console,
            "Number or code of the message: ",
            |typed| match typed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                true => Ok(typed.to_owned()),
                false => Err(format!("{} is not the number of a message", quoted(typed))),
            },
        )?;
        name.and_then(|name| {
            let online = self.watch.seen().online;
            let said = match self.client.confirm(&name) {
                Ok(entry) if online => format!("You have confirmed message {}.", entry.number),
                Ok(entry) => format!(
                    "You have confirmed message {}. The doctor will learn of it when \
                     you are connected.",
                    entry.number
                ),
                Err(error) => sentence(&error.to_string()),
            };
            self.console.say(&said);
            Ok(Answer::Given(()))
        })
    }

    fn is_over(&mut self) -> bool {
        if self.left {
            self.console
                .say("You are disconnected. To connect again, start the program again.");
        }
        self.left
    }

    /// The person, or the end of the input, wants to end the program.
    fn exit(&mut self) -> Result<Exit, Failure> {
        if !self.left && !self.interactive {
            let first = self.first_attempt();
            let failed = first.failed.clone().filter(|_| !first.connected);
            let stopped = match first.signalled {
                true => Some(Ok(Exit::Ok)),
                false => first.stopped.clone(),
            };
            drop(first);
            if let Some(end) = stopped.or(failed.map(Err)) {
                return self.end_with(end);
            }
            let _ = self.client.settle(SETTLE);
        }
        self.end_with(Ok(Exit::Ok))
    }

    /// A signal came, or the connection is over for good.
    fn stopped(&mut self) -> Result<Exit, Failure> {
        let stopped = self.watch.seen().stopped.clone();
        self.end_with(stopped.unwrap_or(Ok(Exit::Ok)))
    }

    /// Ends the session, and the program in this way.
    fn end_with(&mut self, end: Result<Exit, Failure>) -> Result<Exit, Failure> {
        self.leave();
        let counts = self.client.files().mail_counts();
        let status = counts.map(|counts| Status::new(counts, true, false));
        if let Some(waiting) = status.ok().as_ref().and_then(say::waiting) {
            self.console.say(&format!(
                "Not yet at the doctor's: {waiting}. It is kept here, and sent at the next \
                 connection."
            ));
        }
        end
    }
}
