//! Steering a running server: requests and answers, from the menu directly,
//! from commands through a Unix socket in the data directory (mode 0600), one
//! line of JSON each.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::doctor::desk::Desk;
use crate::doctor::office;
use crate::protocol::message::MAX_TEXT_LEN;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";
/// The longest request, in bytes: a text in which every byte is escaped.
const MAX_REQUEST: u64 = 6 * MAX_TEXT_LEN as u64 + 1024;
/// The longest path a Unix socket's address holds, in bytes (unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// How long the other side of a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a running server can be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who is connected?
    List,
    /// Send this to every patient.
    Broadcast {
        /// What to say.
        text: String,
    },
    /// Send this to one patient.
    Message {
        /// To whom.
        patient: String,
        /// What to say.
        text: String,
    },
    /// What has reached whom?
    Report,
    /// End every session.
    Disconnect,
    /// Stop.
    Stop,
    /// What takes no running server.
    Office(office::Request),
}

/// What a running server answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The connected devices.
    Connected(Vec<Present>),
    /// The message is on its way.
    Sent {
        /// What the message is called by.
        number: u64,
        /// Devices it was given to.
        devices: usize,
        /// Devices that get it when they come back.
        away: usize,
    },
    /// What became of the messages.
    Report(Vec<MessageReport>),
    /// So many sessions were ended.
    Disconnected(usize),
    /// The server stops.
    Stopping,
    /// What took no running server.
    Office(office::Answer),
    /// It was not done, for this reason.
    Failed(String),
}

/// A connected device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// Whose it is.
    pub patient: String,
    /// Since when, as text.
    pub since: String,
    /// For how many seconds it has been silent.
    pub silent_seconds: u64,
}

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct MessageReport {
    /// What it is called by.
    pub number: u64,
    /// When it was written, as text.
    pub written: String,
    /// What it says.
    pub text: String,
    /// Whether it was for everyone.
    pub broadcast: bool,
    /// Device by device.
    pub deliveries: Vec<DeliveryReport>,
}

/// What became of one message at one device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DeliveryReport {
    /// Whose device it is.
    pub patient: String,
    /// queued, sent, delivered or confirmed.
    pub state: String,
    /// Since when, as text.
    pub at: Option<String>,
}

/// Takes commands for as long as the program runs.
///
/// # Errors
/// If the socket cannot be made.
pub fn listen(directory: &Path, desk: &Arc<Desk>) -> io::Result<()> {
    let (path, _handle) = socket_path(directory)?;
    // Left by a program that was killed: the directory's lock is ours.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let desk = Arc::downgrade(desk);
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                if desk.strong_count() == 0 {
                    return;
                }
                let desk = Weak::clone(&desk);
                let serve = move || {
                    // Whoever asked has gone: nobody is left to be told.
                    let _ = serve(&desk, &stream);
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

fn serve(desk: &Weak<Desk>, stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_REQUEST)).read_until(b'\n', &mut line)?;
    let request: Result<Request, _> = serde_json::from_slice(&line);
    // Held only from here on: who says nothing does not keep the server alive.
    let Some(desk) = desk.upgrade() else {
        return Ok(());
    };
    let (answer, stop) = match request {
        Ok(request) => {
            let stop = request == Request::Stop;
            (desk.answer(request), stop)
        }
        Err(error) => (
            Answer::Failed(format!("the request is malformed: {error}")),
            false,
        ),
    };
    send(stream, &answer)?;
    if stop {
        desk.stop();
    }
    Ok(())
}

fn send(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Asks the server that runs on this directory; nothing if none does.
///
/// # Errors
/// If it is there and gives no answer.
pub fn ask(directory: &Path, request: &Request) -> io::Result<Option<Answer>> {
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
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send(&stream, request)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
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
