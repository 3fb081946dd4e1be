//! Cuts frames out of a stream that comes in pieces of any size.

use std::fmt;
use std::io::{self, Read};

use super::{Frame, FrameError, announced};

/// The buffer's length in bytes while no large frame is on its way: what an
/// idle connection costs. Holds two of the shortest sealed messages.
const IDLE_BUFFER: usize = 1024;

/// Cuts frames out of a stream. Keeps what has arrived of the next ones, so
/// that a time-out loses nothing and one read may bring several.
pub struct FrameReader {
    /// At least [`IDLE_BUFFER`] bytes, of which `start..end` have arrived and
    /// were not handed out. Grows by doubling, and only when it is full.
    buffer: Vec<u8>,
    /// At most `end`.
    start: usize,
    /// At most the buffer's length.
    end: usize,
    max_len: u32,
}

impl FrameReader {
    /// A reader at the beginning of a stream, for frames whose length field is
    /// at most `max_len`.
    #[must_use]
    pub fn new(max_len: u32) -> Self {
        Self {
            buffer: vec![0; IDLE_BUFFER],
            start: 0,
            end: 0,
            max_len,
        }
    }

    /// Changes the limit for every frame not yet handed out, whether or not it
    /// has arrived.
    pub const fn set_max_len(&mut self, max_len: u32) {
        self.max_len = max_len;
    }

    /// The next frame; reads from `source` only if it has not arrived yet.
    ///
    /// # Errors
    /// - [`FrameError::Io`] as `source` reports it, except that an interrupted
    ///   read is repeated. After a time-out (`WouldBlock`, `TimedOut`) this may
    ///   be called again, and goes on where it stopped.
    /// - [`FrameError::Closed`], [`FrameError::Truncated`] at the stream's end.
    /// - [`FrameError::BadLength`], [`FrameError::Version`] for a frame that is
    ///   not accepted. It stays where it is: the stream cannot be read on.
    pub fn read_frame(&mut self, source: &mut impl Read) -> Result<Frame, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            self.fill(source)?;
        }
    }

    /// Whether the next [`read_frame`](Self::read_frame) will answer without
    /// reading: a whole frame has arrived, or one that is not accepted.
    #[must_use]
    pub fn has_buffered_frame(&self) -> bool {
        let arrived = self.arrived();
        match announced(arrived, self.max_len) {
            Ok(total) => total.is_some_and(|total| arrived.len() >= total),
            Err(_) => true,
        }
    }

    fn arrived(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let arrived = self.arrived();
        let Some(total) = announced(arrived, self.max_len)? else {
            return Ok(None);
        };
        let Some(bytes) = arrived.get(..total) else {
            return Ok(None);
        };
        let bytes = bytes.to_vec();
        self.start += total;
        self.shrink();
        Ok(Some(Frame { bytes }))
    }

    /// Gives the memory of a large frame back once it has been handed out.
    fn shrink(&mut self) {
        if self.buffer.len() > IDLE_BUFFER && self.end - self.start <= IDLE_BUFFER {
            let mut buffer = vec![0; IDLE_BUFFER];
            buffer[..self.end - self.start].copy_from_slice(self.arrived());
            self.end -= self.start;
            self.start = 0;
            self.buffer = buffer;
        }
    }

    /// Reads once, as much as there is room for.
    fn fill(&mut self, source: &mut impl Read) -> Result<(), FrameError> {
        self.make_room();
        let count = loop {
            match source.read(&mut self.buffer[self.end..]) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Io(error)),
            }
        };
        self.end += count;
        match count {
            0 if self.arrived().is_empty() => Err(FrameError::Closed),
            0 => Err(FrameError::Truncated),
            _ => Ok(()),
        }
    }

    /// Leaves room behind `end`. Called while no whole frame is there, so that a
    /// full buffer means that its frame was accepted and is longer still.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let more = self.buffer.len();
            self.buffer.reserve_exact(more);
            self.buffer.resize(2 * more, 0);
        }
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameReader({} bytes arrived)", self.arrived().len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::super::{MAX_LEN_BEFORE_SESSION, MAX_LEN_IN_SESSION};
    use super::*;

    const MAX: u32 = MAX_LEN_BEFORE_SESSION;

    /// What a source does, read by read; then the stream ends.
    #[derive(Default)]
    struct Script(VecDeque<Result<Vec<u8>, io::ErrorKind>>);

    impl Script {
        fn of(bytes: &[u8], piece: usize) -> Self {
            Self(
                bytes
                    .chunks(piece)
                    .map(|piece| Ok(piece.to_vec()))
                    .collect(),
            )
        }
    }

    impl Read for Script {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            assert!(!room.is_empty(), "a read without room looks like the end");
            let Some(step) = self.0.pop_front() else {
                return Ok(0);
            };
            let mut piece = step?;
            let count = piece.len().min(room.len());
            room[..count].copy_from_slice(&piece[..count]);
            let rest = piece.split_off(count);
            if !rest.is_empty() {
                self.0.push_front(Ok(rest));
            }
            Ok(count)
        }
    }

    /// Fails the test if it is read from.
    struct Untouched;

    impl Read for Untouched {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("read although a frame was there")
        }
    }

    fn frames() -> Vec<Frame> {
        [0, 1, 300, 2_000, 0, 16_377, 5]
            .iter()
            .zip(0..)
            .map(|(&len, sub)| Frame::new(10, sub, &vec![sub; len]))
            .collect()
    }

    fn stream(frames: &[Frame]) -> Vec<u8> {
        frames
            .iter()
            .flat_map(|frame| frame.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn pieces_of_every_size_give_the_same_frames() {
        let bytes = stream(&frames());
        for piece in [1, 2, 3, 5, 7, 1023, 1024, 1025, 4096, bytes.len()] {
            let mut source = Script::of(&bytes, piece);
            let mut reader = FrameReader::new(MAX);
            for frame in frames() {
                assert_eq!(reader.read_frame(&mut source).unwrap(), frame);
            }
            let end = reader.read_frame(&mut source).unwrap_err();
            assert!(matches!(end, FrameError::Closed), "{end}");
        }
    }

    #[test]
    fn frames_of_one_read_need_no_other() {
        let small: Vec<_> = (0..20).map(|sub| Frame::new(10, sub, b"body")).collect();
        let mut source = Script::of(&stream(&small), 1024);
        let mut reader = FrameReader::new(MAX);
        assert!(!reader.has_buffered_frame());
        assert_eq!(reader.read_frame(&mut source).unwrap(), small[0]);
        for frame in &small[1..] {
            assert!(reader.has_buffered_frame());
            assert_eq!(&reader.read_frame(&mut Untouched).unwrap(), frame);
        }
        assert!(!reader.has_buffered_frame());
    }

    #[test]
    fn a_time_out_loses_nothing() {
        let bytes = stream(&frames());
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            let steps = bytes
                .chunks(97)
                .flat_map(|piece| [Err(kind), Ok(piece.to_vec())]);
            let mut source = Script(steps.collect());
            let mut reader = FrameReader::new(MAX);
            let mut arrived = Vec::new();
            loop {
                match reader.read_frame(&mut source) {
                    Ok(frame) => arrived.push(frame),
                    Err(FrameError::Io(error)) => assert_eq!(error.kind(), kind),
                    Err(FrameError::Closed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(arrived, frames());
        }
    }

    #[test]
    fn an_interrupted_read_is_repeated() {
        let frame = Frame::new(10, 1, b"body");
        let mut source = Script::of(frame.as_bytes(), 4);
        source.0.insert(1, Err(io::ErrorKind::Interrupted));
        let mut reader = FrameReader::new(MAX);
        assert_eq!(reader.read_frame(&mut source).unwrap(), frame);
    }

    #[test]
    fn an_end_inside_a_frame_is_no_end() {
        let bytes = Frame::new(10, 1, b"body").into_bytes();
        for len in 1..bytes.len() {
            let error = FrameReader::new(MAX).read_frame(&mut &bytes[..len]);
            assert!(matches!(error, Err(FrameError::Truncated)), "{len} bytes");
        }
        let error = FrameReader::new(MAX).read_frame(&mut &[][..]);
        assert!(matches!(error, Err(FrameError::Closed)));
    }

    #[test]
    fn a_wrong_length_is_refused_before_anything_follows() {
        for len in [0, 1, 2, MAX + 1, MAX_LEN_IN_SESSION, u32::MAX] {
            let mut reader = FrameReader::new(MAX);
            let mut source = Script(VecDeque::from([
                Ok(len.to_be_bytes().to_vec()),
                Err(io::ErrorKind::WouldBlock),
            ]));
            let error = reader.read_frame(&mut source).unwrap_err();
            assert!(matches!(error, FrameError::BadLength { len: l, max: MAX } if l == len));
            assert_eq!(source.0.len(), 1, "it was read on");
            assert_eq!(reader.buffer.capacity(), IDLE_BUFFER);

            assert!(reader.has_buffered_frame());
            let again = reader.read_frame(&mut Untouched).unwrap_err();
            assert!(matches!(again, FrameError::BadLength { .. }));
        }
    }

    #[test]
    fn another_version_is_refused_before_anything_follows() {
        let mut reader = FrameReader::new(MAX);
        let mut source = Script(VecDeque::from([
            Ok(vec![0, 0, 1, 0, 2]),
            Err(io::ErrorKind::WouldBlock),
        ]));
        let error = reader.read_frame(&mut source).unwrap_err();
        assert!(matches!(error, FrameError::Version(2)), "{error}");
        assert_eq!(source.0.len(), 1, "it was read on");
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let frame = Frame::new(60, 0, &vec![1; 81_913]).into_bytes();
        let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
        let mut arrived = 0;
        for upto in [5, 1_000, 1_024, 3_000, 40_000] {
            let mut source = Script(VecDeque::from([
                Ok(frame[arrived..upto].to_vec()),
                Err(io::ErrorKind::WouldBlock),
            ]));
            let error = reader.read_frame(&mut source).unwrap_err();
            assert!(matches!(error, FrameError::Io(_)), "{error}");
            arrived = upto;
            assert_eq!(reader.arrived().len(), arrived);
            assert!(reader.buffer.capacity() <= (2 * arrived).max(IDLE_BUFFER));
        }
    }

    #[test]
    fn the_memory_of_a_large_frame_is_given_back() {
        let large = Frame::new(60, 0, &vec![1; 81_913]);
        let small = Frame::new(60, 1, b"body");
        let bytes = stream(&[large.clone(), small.clone(), large.clone()]);
        for piece in [1_000, 4_096, bytes.len()] {
            let mut source = Script::of(&bytes, piece);
            let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
            assert_eq!(reader.read_frame(&mut source).unwrap(), large);
            assert_eq!(reader.read_frame(&mut source).unwrap(), small);
            assert_eq!(reader.read_frame(&mut source).unwrap(), large);
            assert_eq!(reader.buffer.capacity(), IDLE_BUFFER);
        }
    }

    #[test]
    fn the_beginning_of_the_next_frame_keeps_no_memory() {
        let large = Frame::new(60, 0, &vec![1; 81_913]);
        let small = Frame::new(60, 1, b"body");
        let mut bytes = stream(&[large.clone(), small.clone()]);
        let last = bytes.split_off(bytes.len() - 2);
        let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
        let frame = reader.read_frame(&mut Script::of(&bytes, bytes.len()));
        assert_eq!(frame.unwrap(), large);
        assert_eq!(reader.arrived().len(), small.as_bytes().len() - 2);
        assert_eq!(reader.buffer.capacity(), IDLE_BUFFER);
        assert_eq!(reader.read_frame(&mut &last[..]).unwrap(), small);
    }

    #[test]
    fn a_new_limit_holds_for_what_has_arrived_already() {
        let first = Frame::new(10, 3, b"body");
        let second = Frame::new(60, 0, &vec![1; 20_000]);
        let bytes = stream(&[first.clone(), second.clone()]);

        let mut reader = FrameReader::new(MAX);
        let mut source = &bytes[..];
        assert_eq!(reader.read_frame(&mut source).unwrap(), first);
        let error = reader.read_frame(&mut source).unwrap_err();
        assert!(matches!(
            error,
            FrameError::BadLength {
                len: 20_003,
                max: MAX
            }
        ));
        reader.set_max_len(MAX_LEN_IN_SESSION);
        assert_eq!(reader.read_frame(&mut source).unwrap(), second);

        let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
        let mut source = &bytes[..];
        assert_eq!(reader.read_frame(&mut source).unwrap(), first);
        reader.set_max_len(MAX);
        let error = reader.read_frame(&mut source).unwrap_err();
        assert!(matches!(
            error,
            FrameError::BadLength {
                len: 20_003,
                max: MAX
            }
        ));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            piece in 1..50_usize,
        ) {
            let mut reader = FrameReader::new(MAX);
            let mut source = Script::of(&bytes, piece);
            while reader.read_frame(&mut source).is_ok() {}
            prop_assert_eq!(reader.buffer.capacity(), IDLE_BUFFER);
        }

        #[test]
        fn any_frames_in_any_pieces_come_out_in_order(
            bodies in prop::collection::vec(0..3_000_usize, 1..12),
            pieces in prop::collection::vec(1..2_500_usize, 1..20),
        ) {
            let frames: Vec<_> = bodies
                .iter()
                .zip(0..)
                .map(|(&len, sub)| Frame::new(70, sub, &vec![sub; len]))
                .collect();
            let mut source = Script::default();
            let mut bytes = &stream(&frames)[..];
            for &piece in pieces.iter().cycle() {
                let (front, rest) = bytes.split_at(piece.min(bytes.len()));
                source.0.push_back(Ok(front.to_vec()));
                bytes = rest;
                if bytes.is_empty() {
                    break;
                }
            }
            let mut reader = FrameReader::new(MAX);
            for frame in &frames {
                prop_assert_eq!(&reader.read_frame(&mut source).unwrap(), frame);
            }
            prop_assert!(matches!(
                reader.read_frame(&mut source),
                Err(FrameError::Closed)
            ));
        }
    }
}
