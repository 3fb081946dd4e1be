//! Standard output, shared between what is printed and what is being typed.

use std::io::Write;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

use crate::cli::text::clean_lines;

/// Jobs that are done together, so that a flood of lines makes few redraws.
const BATCH: usize = 256;

/// Standard output. While a line is being edited, text is not written but waits
/// until the editor draws its prompt, and is drawn with it: so nothing is lost
/// or doubled, whenever the editing ends.
///
/// The editor's own printer alone would not do: what it has queued when the
/// line ends is shown with the next line, and lost if there is none.
pub(super) struct Screen(Mutex<State>);

struct State {
    out: Box<dyn Write + Send>,
    /// Makes the editor draw its prompt. Full if it will do so anyway.
    wake: Option<SyncSender<()>>,
    editing: bool,
    /// Whole lines; empty unless `editing`.
    waiting: String,
    /// Something could not be written.
    broken: bool,
}

impl State {
    /// Standard output that has gone away is no reason to stop: a server goes on
    /// serving.
    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        self.broken |= written.and_then(|()| self.out.flush()).is_err();
    }

    fn redraw(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }
}

impl Screen {
    pub(super) const fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Mutex::new(State {
            out,
            wake: None,
            editing: false,
            waiting: String::new(),
            broken: false,
        }))
    }

    /// Whether everything until now could be written.
    fn is_whole(&self) -> bool {
        !lock(&self.0).broken
    }

    /// Says how the editor is told to draw its prompt.
    pub(super) fn attach_editor(&self, wake: SyncSender<()>) {
        lock(&self.0).wake = Some(wake);
    }

    /// Writes `text`, or leaves it to the editor.
    pub(super) fn show(&self, text: &str) {
        let mut state = lock(&self.0);
        if state.editing {
            state.waiting += text;
            state.redraw();
        } else {
            state.write(text);
        }
    }

    /// Makes the editor draw its prompt, if there is an editor.
    pub(super) fn redraw(&self) {
        lock(&self.0).redraw();
    }

    /// From now on text waits for the editor.
    pub(super) fn enter_editor(&self) {
        lock(&self.0).editing = true;
    }

    /// What the editor has to draw above its prompt.
    pub(super) fn take_waiting(&self) -> String {
        std::mem::take(&mut lock(&self.0).waiting)
    }

    /// Writes what the editor has not drawn, and from now on everything.
    pub(super) fn leave_editor(&self) {
        let mut state = lock(&self.0);
        state.editing = false;
        let waiting = std::mem::take(&mut state.waiting);
        state.write(&waiting);
    }
}

/// What a thread held that has panicked is still whole: every change above is
/// one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Job {
    Line(String),
    /// To be told whether everything until now could be written.
    Flush(Sender<bool>),
}

/// Prints lines on standard output, from any thread, without waiting for it.
#[derive(Clone)]
pub struct Printer(Sender<Job>);

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Printer(..)")
    }
}

impl Printer {
    /// A printer for a program that reads nothing, as a server without a menu.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new() -> io::Result<Self> {
        Self::start(Arc::new(Screen::new(Box::new(io::stdout()))))
    }

    /// Starts the one thread that prints.
    pub(super) fn start(screen: Arc<Screen>) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || print(&jobs, &screen))?;
        Ok(Self(sender))
    }

    /// Prints `text` and a line break. Several lines stay together. Control and
    /// direction characters are left out, so whatever it is, it cannot steer
    /// the terminal; text from the other side also goes through
    /// [`crate::cli::text::clean`] before, so that it cannot begin a line.
    pub fn line(&self, text: impl Into<String>) {
        let mut line = clean_lines(&text.into());
        if !line.ends_with('\n') {
            line.push('\n');
        }
        // The thread ends only with the last printer.
        let _ = self.0.send(Job::Line(line));
    }

    /// Waits until everything handed over before is on the screen, or with the
    /// line editor, which draws it before it gives the line back. False if
    /// something could not be written, now or before: what was handed over must
    /// not count as read then.
    pub fn flush(&self) -> bool {
        let (done, flushed) = mpsc::channel();
        self.0.send(Job::Flush(done)).is_ok() && flushed.recv().unwrap_or(false)
    }
}

fn print(jobs: &Receiver<Job>, screen: &Screen) {
    while let Ok(first) = jobs.recv() {
        let mut text = String::new();
        let mut waiting = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(BATCH)) {
            match job {
                Job::Line(line) => text += &line,
                Job::Flush(done) => waiting.push(done),
            }
        }
        if !text.is_empty() {
            screen.show(&text);
        }
        for done in waiting {
            // Whoever waits may have gone away.
            let _ = done.send(screen.is_whole());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output whose content can be looked at.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that nobody reads any more.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn lines_come_out_in_order_and_ended() {
        let paper = Paper::default();
        let printer = Printer::start(Arc::new(Screen::new(Box::new(paper.clone())))).unwrap();
        printer.line("one");
        printer.line("two\n");
        printer.line("three\n    four");
        printer.line("");
        assert!(printer.flush());
        assert_eq!(paper.text(), "one\ntwo\nthree\n    four\n\n");
    }

    #[test]
    fn nothing_printed_can_steer_the_terminal() {
        let paper = Paper::default();
        let printer = Printer::start(Arc::new(Screen::new(Box::new(paper.clone())))).unwrap();
        printer.line("a\x1b[2Jb\u{202e}c\x07");
        printer.flush();
        assert_eq!(paper.text(), "a[2Jbc\n");
    }

    #[test]
    fn a_closed_output_stops_nothing() {
        let printer = Printer::start(Arc::new(Screen::new(Box::new(Closed)))).unwrap();
        assert!(printer.flush(), "nothing was to be written");
        for line in ["one", "two"] {
            printer.line(line);
            assert!(!printer.flush());
        }
    }

    #[test]
    fn text_waits_for_the_editor_and_is_written_once() {
        let paper = Paper::default();
        let (wake, woken) = mpsc::sync_channel(1);
        let screen = Screen::new(Box::new(paper.clone()));
        screen.attach_editor(wake);
        screen.show("before\n");
        assert!(woken.try_recv().is_err());
        screen.enter_editor();
        screen.show("drawn\n");
        screen.show("too\n");
        assert!(woken.try_recv().is_ok());
        assert_eq!(screen.take_waiting(), "drawn\ntoo\n");
        screen.show("not drawn\n");
        assert_eq!(paper.text(), "before\n");
        screen.leave_editor();
        screen.leave_editor();
        screen.show("after\n");
        assert_eq!(paper.text(), "before\nnot drawn\nafter\n");
    }
}
