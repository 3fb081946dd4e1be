//! A connection to the doctor's server: frames go out, frames come in, and no
//! wait is without an end.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::deadline::UntilDeadline;
use crate::framing::{Frame, FrameError, FrameReader, MAX_LEN_BEFORE_SESSION, MAX_LEN_IN_SESSION};
use crate::patient::config::Config;

/// Why nothing more comes over a connection, or why there is none.
#[derive(Debug)]
pub enum LinkError {
    /// The address stands for nothing.
    UnknownHost {
        /// `host:port`.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody answers there.
    NoServer {
        /// `host:port`.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The other side closed the connection, between two frames or without
    /// having read what was sent to it.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// Something came that is no frame.
    NoFrame(FrameError),
    /// Nothing came in time.
    Silent(Duration),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost { address, error } => {
                write!(f, "the address {address} cannot be found: {error}")
            }
            Self::NoServer { address, error } => {
                write!(f, "no server answers at {address}: {error}")
            }
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::NoFrame(error) => {
                write!(f, "the server does not speak this protocol: {error}")
            }
            Self::Silent(wait) => {
                write!(
                    f,
                    "nothing came from the server for {} s",
                    wait.as_secs_f32()
                )
            }
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UnknownHost { error, .. }
            | Self::NoServer { error, .. }
            | Self::Broken(error) => Some(error),
            Self::NoFrame(error) => Some(error),
            Self::Closed | Self::Silent(_) => None,
        }
    }
}

/// A connection. Reading belongs to one thread; others may write through a
/// second handle of the stream.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    reader: FrameReader,
    frame: Duration,
    /// End of the handshake's time.
    deadline: Instant,
    handshake: Duration,
}

impl Link {
    /// Connects to `host:port`: every address the name stands for is tried.
    ///
    /// # Errors
    /// [`LinkError`] of the last address tried.
    pub fn connect(address: &str, config: &Config) -> Result<Self, LinkError> {
        let unknown = |error| LinkError::UnknownHost {
            address: address.to_owned(),
            error,
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut tried = false;
        for socket_address in address.to_socket_addrs().map_err(unknown)? {
            tried = true;
            match TcpStream::connect_timeout(&socket_address, config.connect) {
                Ok(stream) => return Self::new(stream, config).map_err(LinkError::Broken),
                Err(error) => last = error,
            }
        }
        if !tried {
            return Err(unknown(last));
        }
        Err(LinkError::NoServer {
            address: address.to_owned(),
            error: last,
        })
    }

    fn new(stream: TcpStream, config: &Config) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(config.write))?;
        Ok(Self {
            stream,
            reader: FrameReader::new(MAX_LEN_BEFORE_SESSION),
            frame: config.frame,
            deadline: Instant::now() + config.handshake,
            handshake: config.handshake,
        })
    }

    /// A second handle of the stream.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn stream(&self) -> Result<TcpStream, LinkError> {
        self.stream.try_clone().map_err(LinkError::Broken)
    }

    /// The device's own address on this connection.
    ///
    /// # Errors
    /// [`LinkError::Broken`]: the connection is over.
    pub fn own_address(&self) -> Result<IpAddr, LinkError> {
        let own = self.stream.local_addr().map_err(LinkError::Broken)?;
        Ok(own.ip())
    }

    /// Accepts the longer frames of a session: M3 is sent.
    pub const fn begin_session(&mut self) {
        self.reader.set_max_len(MAX_LEN_IN_SESSION);
    }

    /// Sends a frame of the handshake.
    ///
    /// # Errors
    /// [`LinkError::Closed`] or [`LinkError::Broken`].
    pub fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        self.stream.write_all(frame.as_bytes()).map_err(broken)
    }

    /// The next frame of the handshake.
    ///
    /// # Errors
    /// [`LinkError`], also if the frame or the whole handshake takes too long.
    pub fn receive(&mut self) -> Result<Frame, LinkError> {
        let frame_deadline = Instant::now() + self.frame;
        let deadline = frame_deadline.min(self.deadline);
        let wait = if deadline == self.deadline {
            self.handshake
        } else {
            self.frame
        };
        self.receive_until(deadline)?.ok_or(LinkError::Silent(wait))
    }

    /// The next frame, or nothing if it is not there whole by `deadline`; what
    /// has come of it is kept.
    ///
    /// # Errors
    /// [`LinkError`] if there will be no more.
    pub fn receive_until(&mut self, deadline: Instant) -> Result<Option<Frame>, LinkError> {
        let mut source = UntilDeadline::new(&self.stream, deadline);
        match self.reader.read_frame(&mut source) {
            Ok(frame) => Ok(Some(frame)),
            Err(FrameError::Io(error)) if is_timeout(&error) => Ok(None),
            Err(FrameError::Io(error)) => Err(broken(error)),
            Err(FrameError::Closed) => Err(LinkError::Closed),
            Err(FrameError::Truncated) => {
                Err(LinkError::Broken(io::ErrorKind::UnexpectedEof.into()))
            }
            Err(error) => Err(LinkError::NoFrame(error)),
        }
    }
}

fn broken(error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => LinkError::Closed,
        _ => LinkError::Broken(error),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
