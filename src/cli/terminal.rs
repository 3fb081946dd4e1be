//! Talking with a person: lines come in, lines go out, at the same time.
//!
//! Typed at a terminal, lines are edited, and what arrives in between is drawn
//! above the prompt without touching what is being typed. Fed from a pipe,
//! lines are read and written plainly.
//!
//! ```text
//! any thread --Printer--> printer thread --> Screen --> standard output
//! main thread <--Input--- reader thread  <------------ standard input
//!       ^------Stopper--- any thread
//! ```
//!
//! Lines are kept nowhere after they were returned: there is no history, since
//! messages are confidential.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustix::termios::isatty;

mod plain;
mod screen;
mod typed;

pub use screen::Printer;

use screen::Screen;
use typed::{LineEditor, Tty};

/// Longest line that is taken, in bytes.
pub const MAX_LINE: usize = 65_536;

/// How long the line editor may take to notice that its input has ended.
const EDITOR_END: Duration = Duration::from_secs(1);

/// What comes from the person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A line, without its end. Text pasted into a terminal can hold line
    /// breaks.
    Line(String),
    /// A line that cannot be used, and why, as a sentence. Reading goes on with
    /// the next one.
    Invalid(String),
    /// End of input, or Ctrl-D.
    End,
    /// Ctrl-C, typed or as a signal while a line was being edited.
    Interrupted,
    /// A [`Stopper`] was used. All further reading gives this too.
    Stopped,
}

/// What the main thread waits for.
enum Event {
    Read(io::Result<Input>),
    Stop,
}

/// Ends the reading of a [`Terminal`] from another thread: for signals, and for
/// a connection that has ended.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Event>);

impl Stopper {
    /// Makes [`Terminal::read_line`] return [`Input::Stopped`], at once if it
    /// is waiting.
    pub fn stop(&self) {
        // If the terminal is gone, nobody reads any more.
        let _ = self.0.send(Event::Stop);
    }
}

/// Standard input and standard output.
pub struct Terminal {
    printer: Printer,
    screen: Arc<Screen>,
    tty: Option<Tty>,
    /// Whether the prompt is shown by us: a person types, but without editing.
    bare_prompt: bool,
    /// Asks the reader thread for a line, with this prompt.
    requests: Sender<String>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
    stopped: bool,
}

impl Terminal {
    /// Takes over standard input and standard output. There can be only one.
    /// Handlers of signals must be registered before, since the line editor
    /// puts its own in front of that of Ctrl-C while it waits.
    ///
    /// # Errors
    /// If no thread can be started, or the terminal cannot be set up.
    pub fn new() -> io::Result<(Self, Printer)> {
        let screen = Arc::new(Screen::new(Box::new(io::stdout())));
        let printer = Printer::start(Arc::clone(&screen))?;
        let tty = Tty::open();
        let mut editor = match tty {
            Some(_) => Some(LineEditor::new(Arc::clone(&screen))?),
            None => None,
        };
        let (requests, prompts) = mpsc::channel::<String>();
        let (event_sender, events) = mpsc::channel();
        let replies = event_sender.clone();
        thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                for prompt in prompts {
                    let input = match &mut editor {
                        Some(editor) => editor.read_line(&prompt),
                        None => plain::read_line(&mut io::stdin().lock()),
                    };
                    if replies.send(Event::Read(input)).is_err() {
                        break;
                    }
                }
            })?;
        let terminal = Self {
            printer: printer.clone(),
            screen,
            bare_prompt: tty.is_none() && isatty(io::stdin()),
            tty,
            requests,
            events,
            event_sender,
            stopped: false,
        };
        Ok((terminal, printer))
    }

    /// What ends the reading from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.event_sender.clone())
    }

    /// Whether a person types, rather than a pipe or a file being read.
    #[must_use]
    pub const fn is_typed(&self) -> bool {
        self.tty.is_some() || self.bare_prompt
    }

    /// Shows `prompt` and waits for a line. Everything printed before stands
    /// above the prompt. From a pipe, no prompt is shown.
    ///
    /// # Errors
    /// If standard input cannot be read.
    pub fn read_line(&mut self, prompt: &str) -> io::Result<Input> {
        // Nothing was asked for yet: what waits here can only be a stop.
        self.stopped |= self.events.try_recv().is_ok();
        if self.stopped {
            return Ok(Input::Stopped);
        }
        self.printer.flush();
        if self.bare_prompt {
            self.screen.show(prompt);
        }
        if self.requests.send(prompt.to_owned()).is_err() {
            return Ok(Input::End);
        }
        match self.events.recv() {
            Ok(Event::Read(input)) => input,
            Ok(Event::Stop) => {
                self.stopped = true;
                self.end_editing();
                Ok(Input::Stopped)
            }
            Err(mpsc::RecvError) => Ok(Input::End),
        }
    }

    /// Ends the line that is being edited and gives the terminal back as it was.
    /// A plain read is left waiting: it holds nothing that must be given back.
    fn end_editing(&mut self) {
        let Some(tty) = &self.tty else { return };
        tty.end_input();
        self.screen.redraw();
        let _ = self.events.recv_timeout(EDITOR_END);
        self.screen.leave_editor();
        self.screen.show(tty.restore());
    }
}

impl Drop for Terminal {
    /// Waits until everything handed to a [`Printer`] so far is written.
    fn drop(&mut self) {
        self.printer.flush();
    }
}
