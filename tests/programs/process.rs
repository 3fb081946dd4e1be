//! A program that runs beside the test: lines come out, lines go in, and no
//! wait is without an end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Far more than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which of a program's outputs a line is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Stdout,
    Stderr,
}

/// A running program. Dropping it kills it.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<(From, String)>,
    /// Everything it has said.
    said: Vec<(From, String)>,
    /// The lines of it that no test has asked for yet.
    unread: Vec<String>,
}

/// What a program has left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to standard output.
    pub out: String,
    /// All it wrote to standard error.
    pub err: String,
}

impl Running {
    /// Starts a program whose standard input stays open.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        read(From::Stdout, child.stdout.take().unwrap(), sender.clone());
        read(From::Stderr, child.stderr.take().unwrap(), sender);
        Self {
            input: child.stdin.take(),
            child,
            lines,
            said: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Types lines.
    pub fn type_lines(&mut self, lines: &[&str]) {
        for line in lines {
            self.type_bytes(format!("{line}\n").as_bytes());
        }
    }

    /// Types anything.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input was closed");
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for a line that holds `part`, and gives it. Each line is given
    /// once; other lines stay for later questions.
    #[track_caller]
    pub fn expect(&mut self, part: &str) -> String {
        self.expect_line(|line| line.contains(part), &format!("{part:?}"))
    }

    /// Waits for a line that begins with `start`.
    #[track_caller]
    pub fn expect_start(&mut self, start: &str) -> String {
        self.expect_line(
            |line| line.starts_with(start),
            &format!("{start:?} in front"),
        )
    }

    #[track_caller]
    fn expect_line(&mut self, wanted: impl Fn(&str) -> bool, shown: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.unread.iter().position(|line| wanted(line)) {
                return self.unread.remove(place);
            }
            if !self.hear(deadline) {
                panic!("no line with {shown}; it said:\n{}", self.transcript());
            }
        }
    }

    /// Takes the next line, if there is one in time. No line of a program may
    /// steer a terminal, wherever its words come from.
    #[track_caller]
    fn hear(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok((from, line)) => {
                let steers = |c: char| c.is_control() && c != '\t';
                assert!(!line.chars().any(steers), "{line:?}");
                self.said.push((from, line.clone()));
                self.unread.push(line);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Everything it has said so far.
    pub fn transcript(&self) -> String {
        let lines: Vec<_> = self.said.iter().map(|(_, line)| line.as_str()).collect();
        lines.join("\n")
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops it, and waits until none of its threads runs.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        let runs = |task: &fs::DirEntry| {
            // The state follows the name, which is in parentheses (proc(5)).
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
            !matches!(state, Some(Some('T')) | None)
        };
        let deadline = Instant::now() + PATIENCE;
        while fs::read_dir(&tasks)
            .unwrap()
            .any(|task| runs(&task.unwrap()))
        {
            assert!(Instant::now() < deadline, "it does not stop");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Ends it without a warning, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it ends within this time.
    #[track_caller]
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.hear(deadline) {}
        Instant::now() < deadline
    }

    /// Waits until it ends by itself; its standard input stays as it is.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        self.wait()
    }

    /// The same, for a program that is asked several times.
    #[track_caller]
    pub fn wait(&mut self) -> Finished {
        assert!(
            self.ends_within(PATIENCE),
            "it does not end; it said:\n{}",
            self.transcript()
        );
        // Both outputs are closed: nothing is left for it to do.
        let status: ExitStatus = self.child.wait().unwrap();
        let text = |wanted: From| {
            let lines = self.said.iter().filter(|(from, _)| *from == wanted);
            lines.fold(String::new(), |text, (_, line)| text + line + "\n")
        };
        Finished {
            code: status.code(),
            out: text(From::Stdout),
            err: text(From::Stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: From, output: impl Read + Send + 'static, lines: Sender<(From, String)>) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            line.pop_if(|byte| *byte == b'\n');
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if lines.send((from, text)).is_err() {
                return;
            }
        }
    });
}

/// Runs a program with nothing on its standard input, to its end.
#[track_caller]
pub fn run(command: Command) -> Finished {
    run_with(command, b"")
}

/// Runs a program with this on its standard input, to its end.
#[track_caller]
pub fn run_with(command: Command, input: &[u8]) -> Finished {
    let mut running = Running::start(command);
    if !input.is_empty() {
        running.type_bytes(input);
    }
    running.close_input();
    running.finish()
}

impl Finished {
    /// Checks the exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that each of these sentences was said on standard error.
    #[track_caller]
    pub fn complains(self, sentences: &[&str]) -> Self {
        for sentence in sentences {
            assert!(self.err.contains(sentence), "no {sentence:?} in {self}");
        }
        self
    }

    /// Checks that this was said on standard output.
    #[track_caller]
    pub fn says(self, sentence: &str) -> Self {
        assert!(self.out.contains(sentence), "no {sentence:?} in {self}");
        self
    }

    /// Checks that this was said once, wherever.
    #[track_caller]
    pub fn says_once(self, part: &str) -> Self {
        let all = [self.out.as_str(), &self.err].concat();
        assert_eq!(all.matches(part).count(), 1, "{part:?} in {self}");
        self
    }

    /// Checks that this was said nowhere.
    #[track_caller]
    pub fn never_says(self, sentence: &str) -> Self {
        let anywhere = self.out.contains(sentence) || self.err.contains(sentence);
        assert!(!anywhere, "{sentence:?} in {self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err } = self;
        write!(f, "exit {code:?}, output:\n{out}\ncommentary:\n{err}")
    }
}
