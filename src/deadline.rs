//! Reading from a socket until a point in time.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Instant;

/// Reads from a socket, but not beyond a point in time, however slowly the
/// bytes drip in.
pub struct UntilDeadline<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl<'a> UntilDeadline<'a> {
    /// Reads from `stream` until `deadline`.
    #[must_use]
    pub const fn new(stream: &'a TcpStream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }
}

impl Read for UntilDeadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}
