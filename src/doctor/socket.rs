//! Writing to a socket without waiting.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

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
