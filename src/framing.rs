//! Frames: what goes over a connection, cut out of the stream of its bytes.
//!
//! ```text
//! ┌────────────┬────────────┬───────────┬────────┬──────┐
//! │ length u32 │ version u8 │ opcode u8 │ sub u8 │ body │
//! └────────────┴────────────┴───────────┴────────┴──────┘
//!              └────────── `length` bytes ──────────────┘
//! ```
//!
//! The length is checked before anything behind it is waited for, and memory is
//! taken only for bytes that have arrived.

use std::fmt;
use std::io;

use byteorder::{BigEndian, ByteOrder};

mod reader;

pub use reader::FrameReader;

/// Length in bytes of everything before the body.
pub const HEADER_LEN: usize = 7;
/// The only version there is.
pub const VERSION: u8 = 1;
/// The largest length field while the other side is not yet authenticated.
pub const MAX_LEN_BEFORE_SESSION: u32 = 16_380;
/// The largest length field in a session.
pub const MAX_LEN_IN_SESSION: u32 = 81_916;

/// Length in bytes of the length field, which does not count itself.
const LEN_LEN: usize = 4;
/// The smallest length field: version, opcode and sub.
const MIN_LEN: u32 = 3;

/// A whole frame, from the first byte of its length to the last of its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// At least [`HEADER_LEN`] bytes; the first four give the number of the rest.
    bytes: Vec<u8>,
}

impl Frame {
    /// A frame to be sent.
    ///
    /// # Panics
    /// If it would be longer than any frame may be ([`MAX_LEN_IN_SESSION`]):
    /// what is sent is our own, and bounded before it gets here.
    #[must_use]
    pub fn new(opcode: u8, sub: u8, body: &[u8]) -> Self {
        let header = Self::header(opcode, sub, body.len());
        Self {
            bytes: [&header, body].concat(),
        }
    }

    /// The first bytes of a frame whose body has `body_len` bytes. For bodies
    /// that are sealed together with the header before them.
    ///
    /// # Panics
    /// As [`Frame::new`].
    #[must_use]
    pub fn header(opcode: u8, sub: u8, body_len: usize) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = own_len(body_len).to_be_bytes();
        [a, b, c, d, VERSION, opcode, sub]
    }

    /// Takes `bytes` as one frame whose length field is at most `max_len`.
    ///
    /// # Errors
    /// [`FrameError`] if they are not exactly one such frame: less, more, or
    /// another version.
    pub fn parse(bytes: &[u8], max_len: u32) -> Result<Self, FrameError> {
        let total = announced(bytes, max_len)?.ok_or(FrameError::Truncated)?;
        if bytes.len() > total {
            return Err(FrameError::TrailingBytes);
        }
        if bytes.len() < total {
            return Err(FrameError::Truncated);
        }
        Ok(Self {
            bytes: bytes.to_vec(),
        })
    }

    /// What kind of frame this is.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.bytes[5]
    }

    /// Which one of this opcode's frames this is.
    #[must_use]
    pub fn sub(&self) -> u8 {
        self.bytes[6]
    }

    /// What follows the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The whole frame.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole frame.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (opcode, sub, body_len) = (self.opcode(), self.sub(), self.body().len());
        write!(f, "Frame({opcode}.{sub}, body of {body_len} bytes)")
    }
}

/// The length field of a frame of ours.
fn own_len(body_len: usize) -> u32 {
    u32::try_from(body_len)
        .ok()
        .and_then(|len| len.checked_add(MIN_LEN))
        .filter(|&len| len <= MAX_LEN_IN_SESSION)
        .unwrap_or_else(|| too_long(body_len))
}

#[expect(clippy::panic, reason = "a frame of our own too long to send is a bug")]
fn too_long(body_len: usize) -> ! {
    panic!("a body of {body_len} bytes does not fit a frame")
}

/// The length in bytes of the frame that begins with `front`, its length field
/// included; nothing while too little of it is there to say. Judges the length
/// and the version as soon as they are there.
fn announced(front: &[u8], max_len: u32) -> Result<Option<usize>, FrameError> {
    let Some((len, rest)) = front.split_first_chunk::<LEN_LEN>() else {
        return Ok(None);
    };
    let len = BigEndian::read_u32(len);
    if !(MIN_LEN..=max_len).contains(&len) {
        return Err(FrameError::BadLength { len, max: max_len });
    }
    match rest.first() {
        Some(&VERSION) | None => {}
        Some(&other) => return Err(FrameError::Version(other)),
    }
    let len = usize::try_from(len).map_err(|_| FrameError::BadLength { len, max: max_len })?;
    Ok(Some(LEN_LEN + len))
}

/// Why there is no frame.
#[derive(Debug)]
pub enum FrameError {
    /// The stream ended between two frames.
    Closed,
    /// The stream, or the bytes to be parsed, ended inside a frame.
    Truncated,
    /// More bytes than one frame were to be parsed as one.
    TrailingBytes,
    /// The length field is not from 3 to `max`.
    BadLength {
        /// What it says.
        len: u32,
        /// The largest one accepted at this time.
        max: u32,
    },
    /// The frame is of another version than [`VERSION`].
    Version(u8),
    /// The stream could not be read.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("connection closed"),
            Self::Truncated => f.write_str("connection closed in the middle of a frame"),
            Self::TrailingBytes => f.write_str("bytes left over after a frame"),
            Self::BadLength { len, max } => {
                write!(f, "frame of {len} bytes, where {MIN_LEN} to {max} may come")
            }
            Self::Version(version) => {
                write!(f, "frame of version {version}, where {VERSION} is spoken")
            }
            Self::Io(error) => write!(f, "connection failed: {error}"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = MAX_LEN_BEFORE_SESSION;

    #[test]
    fn a_frame_is_laid_out_as_drawn() {
        let frame = Frame::new(10, 1, b"body");
        assert_eq!(frame.as_bytes(), b"\0\0\0\x07\x01\x0a\x01body");
        assert_eq!(Frame::header(10, 1, 4), frame.as_bytes()[..HEADER_LEN]);
        assert_eq!((frame.opcode(), frame.sub()), (10, 1));
        assert_eq!(frame.body(), b"body");
        assert_eq!(frame.clone().into_bytes(), frame.as_bytes());
    }

    #[test]
    fn what_was_written_is_parsed() {
        for body_len in [0, 1, 16_377] {
            let frame = Frame::new(60, 255, &vec![7; body_len]);
            assert_eq!(Frame::parse(frame.as_bytes(), MAX).unwrap(), frame);
        }
    }

    #[test]
    fn only_exactly_one_frame_is_parsed() {
        let mut bytes = Frame::new(10, 1, b"body").into_bytes();
        for len in 0..bytes.len() {
            let error = Frame::parse(&bytes[..len], MAX).unwrap_err();
            assert!(matches!(error, FrameError::Truncated), "{len} bytes");
        }
        bytes.push(0);
        let error = Frame::parse(&bytes, MAX).unwrap_err();
        assert!(matches!(error, FrameError::TrailingBytes));
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        for len in [0, 1, 2, MAX + 1, u32::MAX] {
            let bytes = [&len.to_be_bytes()[..], &[VERSION, 10, 1]].concat();
            let error = Frame::parse(&bytes, MAX).unwrap_err();
            assert!(
                matches!(error, FrameError::BadLength { len: l, max: MAX } if l == len),
                "{error}"
            );
        }
        let largest = Frame::new(10, 1, &vec![0; MAX_LEN_IN_SESSION as usize - 3]);
        assert!(Frame::parse(largest.as_bytes(), MAX_LEN_IN_SESSION).is_ok());
        assert!(Frame::parse(largest.as_bytes(), MAX_LEN_IN_SESSION - 1).is_err());
    }

    #[test]
    fn another_version_is_refused() {
        for version in [0, 2, 255] {
            let error = Frame::parse(&[0, 0, 0, 3, version, 10, 1], MAX).unwrap_err();
            assert!(matches!(error, FrameError::Version(v) if v == version));
        }
    }

    #[test]
    fn the_largest_sealed_message_fits_a_frame() {
        let counter = size_of::<u64>();
        let body_len = counter + crate::aes::sealed_len(crate::aes::MAX_SEALED_MESSAGE);
        let _ = Frame::header(60, 0, body_len);
    }

    #[test]
    #[should_panic(expected = "a body of 81914 bytes does not fit a frame")]
    fn a_frame_of_our_own_that_is_too_long_is_a_bug() {
        let _ = Frame::header(10, 1, 81_914);
    }

    #[test]
    fn debug_shows_no_body() {
        let frame = Frame::new(10, 1, &[171; 3]);
        assert_eq!(format!("{frame:?}"), "Frame(10.1, body of 3 bytes)");
    }
}
