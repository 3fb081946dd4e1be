//! A connection to the server, frame by frame.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use telemed::framing::{Frame, FrameError, FrameReader, MAX_LEN_IN_SESSION};

use super::PATIENCE;

/// A connection that keeps what came over it.
pub struct Wire {
    stream: TcpStream,
    reader: FrameReader,
    /// Every frame that was sent, oldest first.
    pub sent: Vec<Frame>,
    /// Every frame that came, oldest first.
    pub received: Vec<Frame>,
}

impl Wire {
    /// Connects.
    pub fn dial(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).unwrap())
    }

    /// Connects from an address of one's own: all of 127.0.0.0/8 is this machine.
    pub fn dial_from(server: SocketAddr, own: IpAddr) -> Self {
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&descriptor, &SocketAddr::new(own, 0)).unwrap();
        connect(&descriptor, &server).unwrap();
        Self::over(TcpStream::from(descriptor))
    }

    /// Connects with a small buffer, which a sender soon fills.
    pub fn dial_narrow(server: SocketAddr) -> Self {
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        set_socket_recv_buffer_size(&descriptor, 4096).unwrap();
        connect(&descriptor, &server).unwrap();
        Self::over(TcpStream::from(descriptor))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            reader: FrameReader::new(MAX_LEN_IN_SESSION),
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// The socket itself.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a frame. A connection that is over shows when it is read from.
    pub fn send(&mut self, frame: &Frame) {
        self.sent.push(frame.clone());
        self.send_bytes(frame.as_bytes());
    }

    /// Sends any bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame; none if the connection is over.
    #[track_caller]
    pub fn next(&mut self) -> Option<Frame> {
        match self.reader.read_frame(&mut &self.stream) {
            Ok(frame) => {
                self.received.push(frame.clone());
                Some(frame)
            }
            Err(FrameError::Closed) => None,
            Err(FrameError::Io(error)) if is_over(&error) => None,
            Err(error) => panic!("no frame: {error}"),
        }
    }

    /// The next frame, which must come.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        self.next().expect("the connection is over")
    }

    /// Expects the connection to end without another frame.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        if let Some(frame) = self.next() {
            panic!("{frame:?} instead of the end");
        }
    }

    /// Expects that nothing comes for now.
    #[track_caller]
    pub fn expect_silence(&mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        self.stream
            .set_read_timeout(Some(left.max(std::time::Duration::from_millis(1))))
            .unwrap();
        match self.reader.read_frame(&mut &self.stream) {
            Err(FrameError::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("{other:?} instead of silence"),
        }
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Ends the connection, as a broken line does.
    pub fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn is_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
