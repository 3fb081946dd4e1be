//! Steering a running program from outside: a Unix socket in its data
//! directory. What can be asked is the program's own business.
//!
//! ```text
//! program -> asker   ready
//! asker -> program   the request, one line of JSON
//! program -> asker   the answer, one line of JSON
//! ```
//!
//! A program that was stopped (SIGSTOP), or has too much to do, is not asked: who
//! hears no `ready` in time has sent nothing, and can say so. And nothing is done for
//! an asker who has hung up, since he was told that there is no answer and may have
//! asked again: it is looked whether he is still there right before his request is
//! answered.
//!
//! Only the user whose program it is, and root, are listened to: the socket has
//! mode 0600, and whoever connects nevertheless is asked of the kernel.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, geteuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";
/// What is said to whoever connects.
const READY: &[u8] = b"ready\n";
/// The longest request, in bytes.
const MAX_REQUEST: u64 = 1 << 20;
/// The longest path a Unix socket's address holds, in bytes (unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// How much of a longer request is read, so that its sender gets an answer, in
/// bytes.
const MAX_READ: u64 = 16 * MAX_REQUEST;
/// How many requests are served at once; more wait.
const AT_ONCE: usize = 64;
/// How long it is waited after a connection that could not be taken, as when
/// the program has no file descriptor left.
const BREATH: Duration = Duration::from_millis(100);
/// How long an answer may take that needs nothing but this machine; and how
/// long the program waits for a request.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What it can be asked.
    type Request: DeserializeOwned;
    /// What it answers.
    type Answer: Serialize;

    /// Does what is asked and says what came of it.
    fn answer(&self, request: Self::Request) -> Self::Answer;

    /// The answer to what is no request, for this reason.
    fn refuse(&self, reason: String) -> Self::Answer;

    /// Called when an answer has been handed over, or nobody was left to take
    /// it: the place to end the program that was told to stop.
    fn answered(&self, answer: &Self::Answer) {
        let _ = answer;
    }
}

/// Takes requests for as long as somebody else holds the handler.
///
/// # Errors
/// If the socket cannot be made.
pub fn listen<H: Handler>(directory: &Path, handler: &Arc<H>) -> io::Result<()> {
    let (path, _handle) = socket_path(directory)?;
    // Left by a program that was killed: the directory's lock is ours.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let handler = Arc::downgrade(handler);
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            let slots = Arc::new(Slots::default());
            for stream in listener.incoming() {
                if handler.strong_count() == 0 {
                    return;
                }
                let Ok(stream) = stream else {
                    thread::sleep(BREATH);
                    continue;
                };
                if !matches!(peer(&stream), Ok(peer) if is_trusted(peer, geteuid())) {
                    continue;
                }
                let handler = Weak::clone(&handler);
                let slot = Slots::take(&slots);
                let serve = move || {
                    let _slot = slot;
                    // Whoever asked has gone: nobody is left to be told.
                    let _ = serve(&handler, &stream);
                };
                // Each on its own, so that one who says nothing keeps nobody
                // waiting. Without a thread the connection is closed.
                let _ = thread::Builder::new()
                    .name("control".to_owned())
                    .spawn(serve);
            }
        })?;
    Ok(())
}

/// Takes the socket's name away, at the end of the program.
pub fn unlisten(directory: &Path) {
    let _ = fs::remove_file(directory.join(SOCKET));
}

/// The user at the other end, as the kernel knows him (SO_PEERCRED, unix(7)).
fn peer(stream: impl AsFd) -> io::Result<Uid> {
    Ok(socket_peercred(stream)?.uid)
}

/// Whether a program of user `own` does what `peer` asks.
fn is_trusted(peer: Uid, own: Uid) -> bool {
    peer == own || peer.is_root()
}

fn serve<H: Handler>(handler: &Weak<H>, mut stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(READY)?;
    answer(handler, stream)
}

/// Takes one request, and answers it if its asker is still there then.
fn answer<H: Handler>(handler: &Weak<H>, stream: &UnixStream) -> io::Result<()> {
    // Wiped afterwards: what is said about patients goes through here.
    let mut line = Zeroizing::new(Vec::new());
    let mut reader = BufReader::new(stream.take(MAX_REQUEST));
    reader.read_until(b'\n', &mut line)?;
    let is_too_long = line.len() as u64 == MAX_REQUEST && line.last() != Some(&b'\n');
    if is_too_long {
        // A socket that is closed with something unread takes its answer back.
        reader.get_mut().set_limit(MAX_READ);
        reader.skip_until(b'\n')?;
    }
    let request = match is_too_long {
        true => Err(too_long()),
        false => serde_json::from_slice::<H::Request>(&line)
            .map_err(|error| format!("the request is malformed: {error}")),
    };
    // Held only from here on: who says nothing does not keep the program alive.
    let Some(handler) = handler.upgrade() else {
        return Ok(());
    };
    if has_hung_up(stream)? {
        return Ok(());
    }
    let answer = match request {
        Ok(request) => handler.answer(request),
        Err(reason) => handler.refuse(reason),
    };
    let sent = send(stream, &answer);
    handler.answered(&answer);
    sent
}

/// Whether nobody waits at the other end any more, also where what he has sent is
/// still to be read. One who only sends nothing more is there.
fn has_hung_up(stream: &UnixStream) -> io::Result<bool> {
    // That the other end is closed is told whether it was asked for or not.
    let mut watched = [PollFd::new(stream, PollFlags::empty())];
    retry_on_intr(|| poll(&mut watched, Some(&Timespec::default())))?;
    Ok(watched[0].revents().contains(PollFlags::HUP))
}

fn too_long() -> String {
    format!("the request is too long: at most {MAX_REQUEST} bytes are taken")
}

/// Counts what is served.
#[derive(Default)]
struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of them; free again when it is dropped.
struct Slot(Arc<Slots>);

impl Slots {
    /// Waits for a free one.
    fn take(slots: &Arc<Self>) -> Slot {
        let taken = slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = slots.freed.wait_while(taken, |taken| *taken >= AT_ONCE);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Slot(Arc::clone(slots))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slots = &self.0;
        let mut taken = slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(1);
        slots.freed.notify_one();
    }
}

fn send(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = Zeroizing::new(serde_json::to_vec(value)?);
    line.push(b'\n');
    stream.write_all(&line)
}

/// A program that runs gave no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// Why.
    pub error: io::Error,
    /// Whether the request was sent: if not, nothing was done and nothing will be; if
    /// so, that is not known.
    pub was_asked: bool,
}

impl NoAnswer {
    const fn new(error: io::Error, was_asked: bool) -> Self {
        Self { error, was_asked }
    }

    /// Whether it was waited for until the time was over.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(
            self.error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }
}

impl fmt::Display for NoAnswer {
    /// What follows the program's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_late() {
            true => f.write_str("gives no answer in time"),
            false => write!(f, "gives no answer: {}", self.error),
        }
    }
}

impl std::error::Error for NoAnswer {}

/// Asks the program that runs on this directory, and waits for its answer as
/// long as `patience` says; nothing if none runs.
///
/// # Errors
/// [`NoAnswer`] if it is there and gives none.
pub fn ask<Request: Serialize, Answer: DeserializeOwned>(
    directory: &Path,
    request: &Request,
    patience: Duration,
) -> Result<Option<Answer>, NoAnswer> {
    let deadline = Instant::now() + patience;
    let not_asked = |error| NoAnswer::new(error, false);
    let Some(stream) = connect(directory).map_err(not_asked)? else {
        return Ok(None);
    };
    let mut reader = BufReader::new(&stream);
    let ready = receive(&mut reader, deadline).map_err(not_asked)?;
    if *ready != *READY {
        return Err(not_asked(io::Error::other(
            "it speaks otherwise: it is of another version",
        )));
    }
    let answered = stream
        .set_write_timeout(Some(left(deadline)))
        .and_then(|()| send(&stream, request))
        .and_then(|()| receive(&mut reader, deadline))
        .and_then(|line| Ok(serde_json::from_slice(&line)?));
    answered.map_err(|error| NoAnswer::new(error, true))
}

/// A connection to the program that runs on this directory; none if none runs.
fn connect(directory: &Path) -> io::Result<Option<UnixStream>> {
    let connected = socket_path(directory).and_then(|(path, _handle)| UnixStream::connect(path));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The next line, with its end.
fn receive(
    reader: &mut BufReader<&UnixStream>,
    deadline: Instant,
) -> io::Result<Zeroizing<Vec<u8>>> {
    reader.get_ref().set_read_timeout(Some(left(deadline)))?;
    let mut line = Zeroizing::new(Vec::new());
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        let reason = "it ended the connection; commands are taken from its own user and root only";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
    }
    Ok(line)
}

/// The time until then, as a socket takes it: never none.
fn left(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left.max(Duration::from_millis(1))
}

/// Where the socket lies. A path too long for a socket's address is named
/// through a handle of its directory instead, which must live until it is used.
fn socket_path(directory: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = directory.join(SOCKET);
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok((path, None));
    }
    let handle = File::open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd()));
    Ok((path, Some(handle)))
}
