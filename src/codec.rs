//! Integers and byte strings as they stand on the wire: big-endian, fixed
//! length, or with a length before them. Decoding is strict.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};

/// What was to be decoded is too short, too long, or has a value that is not
/// allowed there. Says nothing more, since nothing more may reach a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed data")
    }
}

impl std::error::Error for DecodeError {}

/// Reads fields from the front of a byte string.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the first byte of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left; nothing is consumed then.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.rest.split_at_checked(len).ok_or(DecodeError)?;
        self.rest = rest;
        Ok(front)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError`] if none is left.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// The next two bytes as a big-endian number.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take(2).map(BigEndian::read_u16)
    }

    /// The next four bytes as a big-endian number.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take(4).map(BigEndian::read_u32)
    }

    /// The next eight bytes as a big-endian number.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take(8).map(BigEndian::read_u64)
    }

    /// LP8: a length of one byte and as many bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn lp8(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// LP16: a length of two bytes and as many bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn lp16(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// LP32: a length of four bytes and as many bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer are left.
    pub fn lp32(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()?;
        self.take(usize::try_from(len).map_err(|_| DecodeError)?)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError`] if bytes are left over.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError)
        }
    }
}

/// Writes fields to the end of a byte string.
#[derive(Default, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Nothing written yet, and room for `len` bytes: where thousands are made.
    #[must_use]
    pub fn with_room(len: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(len),
        }
    }

    /// Appends one byte.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    /// Appends a number as two bytes, big-endian.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a number as four bytes, big-endian.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a number as eight bytes, big-endian.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends bytes as they are.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// LP8: appends a length of one byte and the bytes.
    ///
    /// # Panics
    /// If there are more than 255 of them: lengths written here are our own.
    #[must_use]
    pub fn lp8(self, value: &[u8]) -> Self {
        self.u8(own_length(value.len())).bytes(value)
    }

    /// LP16: appends a length of two bytes and the bytes.
    ///
    /// # Panics
    /// If there are more than 65,535 of them.
    #[must_use]
    pub fn lp16(self, value: &[u8]) -> Self {
        self.u16(own_length(value.len())).bytes(value)
    }

    /// LP32: appends a length of four bytes and the bytes.
    ///
    /// # Panics
    /// If there are more than 4,294,967,295 of them.
    #[must_use]
    pub fn lp32(self, value: &[u8]) -> Self {
        self.u32(own_length(value.len())).bytes(value)
    }

    /// What has been written so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Everything that was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A length as it is to be written. What this program writes is bounded far
/// below every prefix; more would be a bug of ours, never a peer's doing.
#[expect(
    clippy::panic,
    reason = "an own field too long for its prefix is a bug"
)]
fn own_length<T: TryFrom<usize>>(len: usize) -> T {
    T::try_from(len).unwrap_or_else(|_| panic!("{len} bytes do not fit their length prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let bytes = Writer::new()
            .u8(1)
            .u16(0x0203)
            .u32(0x0405_0607)
            .u64(0x0809_0a0b_0c0d_0e0f)
            .lp8(b"a")
            .lp16(b"bc")
            .lp32(b"")
            .bytes(b"end")
            .finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(reader.lp8(), Ok(&b"a"[..]));
        assert_eq!(reader.lp16(), Ok(&b"bc"[..]));
        assert_eq!(reader.lp32(), Ok(&b""[..]));
        assert_eq!(reader.clone().finish(), Err(DecodeError));
        assert_eq!(reader.rest(), b"end");
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn short_input_is_refused_everywhere() {
        assert_eq!(Reader::new(&[]).u8(), Err(DecodeError));
        assert_eq!(Reader::new(&[0; 7]).u64(), Err(DecodeError));
        assert_eq!(Reader::new(&[2, 0]).lp8(), Err(DecodeError));
        assert_eq!(Reader::new(&[0, 2, 0]).lp16(), Err(DecodeError));
        assert_eq!(Reader::new(&[255; 9]).lp32(), Err(DecodeError));
    }
}
