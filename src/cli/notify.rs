//! Telling the service manager how the server is (sd_notify(3)): one datagram
//! of lines `NAME=value` to the socket that `NOTIFY_SOCKET` names. Without that
//! variable nothing is told to anybody.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::options::Environment;

/// The status is told at most so often.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How long the service manager may take to make room for a datagram.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the server is at a moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observation {
    /// Whether it does its work.
    pub alive: bool,
    /// What it does, for people.
    pub status: String,
}

/// A server whose service manager is kept informed.
#[derive(Debug)]
pub struct Supervision {
    notifier: Arc<Notifier>,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Supervision {
    /// Tells that the server is ready, and from then on how it is: the status
    /// when it changes, and a sign of life twice in the time that the watchdog
    /// allows, as long as `observe` finds it alive. Its argument is the time
    /// within which a sign of life counts as one. Nothing if there is nobody to
    /// tell.
    ///
    /// # Errors
    /// If the operating system gives no socket or thread.
    pub fn start(
        environment: Environment<'_>,
        observe: impl FnMut(Duration) -> Observation + Send + 'static,
    ) -> io::Result<Option<Self>> {
        let Some(address) = address(environment) else {
            return Ok(None);
        };
        let notifier = Arc::new(Notifier::new(address)?);
        let (stop, stopped) = mpsc::channel();
        let mut watch = Watch {
            notifier: Arc::clone(&notifier),
            observe,
            sign_every: sign_of_life_every(environment),
            told: String::new(),
        };
        watch.tell_status("READY=1\n");
        let thread = thread::Builder::new()
            .name("supervision".to_owned())
            .spawn(move || watch.run(&stopped))?;
        Ok(Some(Self {
            notifier,
            stop,
            thread,
        }))
    }

    /// Tells that the server ends; nothing is told after that.
    pub fn stopping(self) {
        drop(self.stop);
        // A thread that panicked has said so already.
        let _ = self.thread.join();
        self.notifier.tell("STOPPING=1");
    }
}

/// The address in `NOTIFY_SOCKET`: a path, or after `@` a name that is in no
/// directory (unix(7)). Other kinds, such as vsock, are not of this machine.
fn address(environment: Environment<'_>) -> Option<SocketAddr> {
    let name = environment("NOTIFY_SOCKET")?;
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(&name).ok(),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        _ => None,
    }
}

/// Half of what the watchdog allows, if there is one and it is for this process.
fn sign_of_life_every(environment: Environment<'_>) -> Option<Duration> {
    let number = |name: &str| {
        let value = environment(name)?;
        value.to_str()?.parse::<u64>().ok()
    };
    if environment("WATCHDOG_PID").is_some()
        && number("WATCHDOG_PID") != Some(std::process::id().into())
    {
        return None;
    }
    let allowed = number("WATCHDOG_USEC").filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(allowed) / 2)
}

/// Where datagrams go.
#[derive(Debug)]
struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    /// Nobody may be listening: then there is nobody to tell that either.
    fn tell(&self, lines: &str) {
        let _ = self.socket.send_to_addr(lines.as_bytes(), &self.address);
    }
}

struct Watch<F> {
    notifier: Arc<Notifier>,
    observe: F,
    sign_every: Option<Duration>,
    /// The status that was told last.
    told: String,
}

impl<F: FnMut(Duration) -> Observation> Watch<F> {
    fn run(&mut self, stopped: &Receiver<()>) {
        let tick = self.sign_every.map_or(STATUS_EVERY, |every| every / 2);
        let tick = tick.min(STATUS_EVERY);
        let (mut status_at, mut sign_at) = (Instant::now(), Instant::now());
        while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
            if status_at.elapsed() >= STATUS_EVERY {
                status_at = Instant::now();
                self.tell_status("");
            }
            if let Some(every) = self.sign_every.filter(|every| sign_at.elapsed() >= *every) {
                sign_at = Instant::now();
                if (self.observe)(every.max(STATUS_EVERY)).alive {
                    self.notifier.tell("WATCHDOG=1");
                }
            }
        }
    }

    /// Tells the status behind other lines; alone, only if it has changed.
    fn tell_status(&mut self, before: &str) {
        let status = (self.observe)(STATUS_EVERY).status;
        if status != self.told || !before.is_empty() {
            self.notifier.tell(&format!("{before}STATUS={status}"));
            self.told = status;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A service manager that listens at a path.
    fn manager(directory: &Path) -> (UnixDatagram, OsString) {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        (socket, path.into_os_string())
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut datagram = [0; 256];
        let len = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..len].to_vec()).unwrap()
    }

    #[test]
    fn there_are_signs_of_life_only_while_there_is_life() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, path) = manager(directory.path());
        let environment = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.clone()),
            "WATCHDOG_USEC" => Some("20000".into()),
            _ => None,
        };
        let now = Arc::new(Mutex::new(Observation {
            alive: true,
            status: "well".to_owned(),
        }));
        let looks = Arc::new(AtomicUsize::new(0));
        let (observed, counted) = (Arc::clone(&now), Arc::clone(&looks));
        let observe = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            observed.lock().unwrap().clone()
        };
        let supervision = Supervision::start(&environment, observe).unwrap().unwrap();
        assert_eq!(heard(&socket), "READY=1\nSTATUS=well");
        assert_eq!(heard(&socket), "WATCHDOG=1");
        *now.lock().unwrap() = Observation {
            alive: false,
            status: "stuck".to_owned(),
        };
        while heard(&socket) != "STATUS=stuck" {}
        // Looked at again and again, it does not come to life.
        let before = looks.load(Ordering::SeqCst);
        while looks.load(Ordering::SeqCst) < before + 10 {
            thread::yield_now();
        }
        supervision.stopping();
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn only_who_is_named_is_told() {
        let socket = |name: &str| {
            address(&|asked| (asked == "NOTIFY_SOCKET").then(|| OsStr::new(name).to_owned()))
        };
        assert_eq!(
            socket("/run/x").unwrap().as_pathname(),
            Some(Path::new("/run/x"))
        );
        assert_eq!(
            socket("@name").unwrap().as_abstract_name(),
            Some(&b"name"[..])
        );
        assert!(socket("vsock:2:1234").is_none() && socket("").is_none());
        let nobody = |_: &str| None;
        let observe = |_| panic!("nobody asks");
        assert!(Supervision::start(&nobody, observe).unwrap().is_none());
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_fed() {
        let every = |micros: &str, process: Option<u32>| {
            sign_of_life_every(&|name| match name {
                "WATCHDOG_USEC" => Some(micros.into()),
                "WATCHDOG_PID" => process.map(|process| process.to_string().into()),
                _ => None,
            })
        };
        let half_a_minute = Some(Duration::from_secs(30));
        assert_eq!(every("60000000", None), half_a_minute);
        assert_eq!(every("60000000", Some(std::process::id())), half_a_minute);
        assert_eq!(every("60000000", Some(1)), None);
        assert_eq!(every("0", None), None);
        assert_eq!(every("often", None), None);
    }
}
