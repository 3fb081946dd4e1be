//! Steering a running program from outside: a Unix socket in its data
//! directory, one request and one answer each way, one line of JSON each. What
//! can be asked is the program's own business.
//!
//! Only the user whose program it is, and root, are listened to: the socket has
//! mode 0600, and whoever connects nevertheless is asked of the kernel.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, geteuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";
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
/// long either side may take over one line.
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

fn serve<H: Handler>(handler: &Weak<H>, stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
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
    let answer = match request {
        Ok(request) => handler.answer(request),
        Err(reason) => handler.refuse(reason),
    };
    let sent = send(stream, &answer);
    handler.answered(&answer);
    sent
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

/// Asks the program that runs on this directory, and waits for its answer as
/// long as `patience` says; nothing if none runs.
///
/// # Errors
/// If it is there and gives no answer.
pub fn ask<Request: Serialize, Answer: DeserializeOwned>(
    directory: &Path,
    request: &Request,
    patience: Duration,
) -> io::Result<Option<Answer>> {
    let connected = socket_path(directory).and_then(|(path, _handle)| UnixStream::connect(path));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send(&stream, request)?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new(&stream).read_line(&mut line)?;
    if line.is_empty() {
        let reason = "it ended the connection; commands are taken from its own user and root only";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
    }
    Ok(Some(serde_json::from_str(&line)?))
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

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    /// Says everything twice.
    struct Echo;

    impl Handler for Echo {
        type Request = String;
        type Answer = String;

        fn answer(&self, request: String) -> String {
            request.repeat(2)
        }

        fn refuse(&self, reason: String) -> String {
            reason
        }
    }

    fn asked(directory: &Path, request: &str) -> io::Result<Option<String>> {
        ask(directory, &request, PATIENCE)
    }

    #[test]
    fn a_request_gets_its_answer_and_nonsense_a_sentence() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(asked(directory.path(), "ha").unwrap(), None);
        let echo = Arc::new(Echo);
        listen(directory.path(), &echo).unwrap();
        let answer = asked(directory.path(), "ha").unwrap();
        assert_eq!(answer.as_deref(), Some("haha"));
        let answer: Option<String> = ask(directory.path(), &7, PATIENCE).unwrap();
        assert!(answer.unwrap().starts_with("the request is malformed"));
        let socket = directory.path().join(SOCKET);
        assert_eq!(
            fs::metadata(socket).unwrap().permissions().mode() & 0o777,
            0o600
        );
        unlisten(directory.path());
        assert_eq!(asked(directory.path(), "ha").unwrap(), None);
    }

    #[test]
    fn a_request_that_is_too_long_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let echo = Arc::new(Echo);
        listen(directory.path(), &echo).unwrap();
        let long = "x".repeat(2 * MAX_REQUEST as usize);
        let answer = asked(directory.path(), &long).unwrap().unwrap();
        assert!(answer.starts_with("the request is too long"), "{answer}");
    }

    #[test]
    fn more_than_can_be_served_at_once_wait_for_a_place() {
        let directory = tempfile::tempdir().unwrap();
        let echo = Arc::new(Echo);
        listen(directory.path(), &echo).unwrap();
        let silent = || UnixStream::connect(directory.path().join(SOCKET)).unwrap();
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| silent()).collect();
        let short = Duration::from_millis(200);
        assert!(ask::<_, String>(directory.path(), &"ha", short).is_err());
        held.clear();
        let answer = asked(directory.path(), "ha").unwrap();
        assert_eq!(answer.as_deref(), Some("haha"));
    }

    #[test]
    fn only_the_own_user_and_root_are_trusted() {
        let [root, ada, bob] = [0, 1000, 1001].map(Uid::from_raw);
        assert!(is_trusted(ada, ada) && is_trusted(root, ada) && is_trusted(root, root));
        assert!(!is_trusted(bob, ada) && !is_trusted(ada, root));
    }

    /// Where the test below asks when it is its own child.
    const DIRECTORY: &str = "TELEMED_TEST_CONTROL";

    #[test]
    fn another_user_is_refused_where_the_files_let_him_through() {
        if let Some(directory) = env::var_os(DIRECTORY) {
            let refused = asked(Path::new(&directory), "ha").is_err();
            std::process::exit(if refused { 9 } else { 8 });
        }
        if !geteuid().is_root() {
            // Nobody else can become another user.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let echo = Arc::new(Echo);
        listen(directory.path(), &echo).unwrap();
        let open = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        open(directory.path(), 0o755);
        open(&directory.path().join(SOCKET), 0o666);
        let name = "control::tests::another_user_is_refused_where_the_files_let_him_through";
        for (user, code) in [(0, 8), (65_534, 9)] {
            // By this name, since the other user may not reach the file's own.
            let child = Command::new("/proc/self/exe")
                .args([name, "--exact"])
                .env(DIRECTORY, directory.path())
                .current_dir("/")
                .uid(user)
                .gid(user)
                .output()
                .unwrap();
            assert_eq!(child.status.code(), Some(code), "{child:?}");
        }
    }
}
