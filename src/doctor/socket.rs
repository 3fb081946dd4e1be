//! Sockets: writing without waiting, reading until a deadline.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::net::SendFlags;

use crate::session::outbox::Sink;

/// The sending half of a patient's connection. It shares the one descriptor
/// with the thread that reads.
pub struct Socket(pub Arc<TcpStream>);

impl Sink for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::send(&*self.0, bytes, flags)?)
    }

    fn finish(&self) {
        // Fails only where there is nothing left to end.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    fn close(&self) {
        // Fails only where there is nothing left to close.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

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
