//! Lines typed at a terminal, with editing.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter, Helper};

use super::screen::Screen;
use super::{Input, plain};

/// Ends the mode in which a terminal marks pasted text, which the line editor
/// has begun.
const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l";

/// Printed through the line editor, this changes nothing that is seen but makes
/// it draw its prompt anew: the editor ends what it prints with a line break,
/// so the cursor goes up before.
const REDRAW: &str = "\x1b[A\n";

/// The terminal, and how it was before any editing.
pub(super) struct Tty {
    /// Not standard input itself, which [`Tty::end_input`] replaces.
    device: OwnedFd,
    mode: Termios,
}

impl Tty {
    /// The terminal, if standard input and standard output both are one that
    /// can move its cursor.
    pub(super) fn open() -> Option<Self> {
        let capable = std::env::var("TERM")
            .is_ok_and(|term| !term.is_empty() && !matches!(&*term, "dumb" | "cons25" | "emacs"));
        if !capable || !isatty(io::stdin()) || !isatty(io::stdout()) {
            return None;
        }
        let device = rustix::io::dup(io::stdin()).ok()?;
        let mode = tcgetattr(&device).ok()?;
        Some(Self { device, mode })
    }

    /// Makes standard input end. The line editor cannot be told to stop, but
    /// when it next looks at its input it finds the end of it and returns in
    /// good order, its signal handlers removed.
    pub(super) fn end_input(&self) {
        if let Ok(nothing) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(&nothing);
        }
    }

    /// Gives the terminal back as it was, but for the returned text, which is
    /// to be written to it. The editor does that itself, unless its input was
    /// taken away.
    pub(super) fn restore(&self) -> &'static str {
        let _ = tcsetattr(&self.device, OptionalActions::Drain, &self.mode);
        BRACKETED_PASTE_OFF
    }
}

/// Draws what waits on the screen above the prompt, whenever the prompt is
/// drawn. The editor places its cursor relative to the end of what it has
/// drawn, so more lines before do not disturb it.
struct Above(Arc<Screen>);

impl Highlighter for Above {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        let waiting = self.0.take_waiting();
        if waiting.is_empty() {
            Cow::Borrowed(prompt)
        } else {
            Cow::Owned(waiting + prompt)
        }
    }
}

impl Completer for Above {
    type Candidate = String;
}

impl Hinter for Above {
    type Hint = String;
}

impl Validator for Above {}

impl Helper for Above {}

/// The line editor.
pub(super) struct LineEditor {
    editor: Editor<Above, DefaultHistory>,
    screen: Arc<Screen>,
}

impl LineEditor {
    /// An editor that draws on `screen`.
    pub(super) fn new(screen: Arc<Screen>) -> io::Result<Self> {
        // Without colours the prompt is not handed to the helper. No history: it
        // would keep messages.
        let config = Config::builder()
            .color_mode(ColorMode::Forced)
            .auto_add_history(false)
            .build();
        let mut editor = Editor::with_config(config).map_err(io_error)?;
        editor.set_helper(Some(Above(Arc::clone(&screen))));
        let mut printer = editor.create_external_printer().map_err(io_error)?;
        let (wake, woken) = mpsc::sync_channel(1);
        // A thread of its own, because what it does can block until the next
        // line is edited.
        thread::Builder::new()
            .name("redraw".to_owned())
            .spawn(move || {
                for () in woken {
                    if printer.print(REDRAW.to_owned()).is_err() {
                        break;
                    }
                }
            })?;
        screen.attach_editor(wake);
        Ok(Self { editor, screen })
    }

    /// Edits one line.
    pub(super) fn read_line(&mut self, prompt: &str) -> io::Result<Input> {
        self.screen.enter_editor();
        let line = self.editor.readline(prompt);
        self.screen.leave_editor();
        match line {
            Ok(line) => Ok(plain::checked(line.into_bytes())),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupted),
            Err(error) => match io_error(error) {
                // Bytes that are no UTF-8 were typed; the line is gone.
                error if error.kind() == io::ErrorKind::InvalidData => Ok(plain::not_utf8()),
                error if is_hang_up(&error) => Ok(Input::End),
                error => Err(error),
            },
        }
    }
}

/// Whether the terminal is gone.
fn is_hang_up(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn io_error(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        ReadlineError::Errno(error) => error.into(),
        other => io::Error::other(other),
    }
}
