//! What must hold for every input whatever, shared with `fuzz/`.

use telemed::aes::SealingKey;
use telemed::codec::Reader;
use telemed::framing::{Frame, FrameError, FrameReader, MAX_LEN_IN_SESSION};
use telemed::secret::Secret;

/// The key that the corpus is sealed with.
pub fn key() -> SealingKey {
    SealingKey::new(Secret::zero())
}

/// Sends `input` through everything that reads bytes from a stranger.
///
/// # Panics
/// If one of them does not do as it should.
pub fn check(input: &[u8]) {
    let frames = frames_are_a_prefix(input);
    for frame in frames {
        let parsed = Frame::parse(frame.as_bytes(), MAX_LEN_IN_SESSION);
        assert!(parsed.is_ok_and(|parsed| parsed == frame));
        // Whether it opens is the caller's matter, not panicking is ours.
        let header = &frame.as_bytes()[..7];
        let _ = key().open(&[header], frame.body());
        fields_are_a_prefix(frame.body());
    }
    let _ = key().open(&[], input);
    fields_are_a_prefix(input);
}

/// Frames come out as they went in, in order, and nothing is made up.
fn frames_are_a_prefix(input: &[u8]) -> Vec<Frame> {
    let mut source = input;
    let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
    let mut frames = Vec::new();
    let mut rest = input;
    let error = loop {
        match reader.read_frame(&mut source) {
            Ok(frame) => {
                let (front, behind) = rest.split_at(frame.as_bytes().len());
                assert_eq!(front, frame.as_bytes());
                rest = behind;
                frames.push(frame);
            }
            Err(error) => break error,
        }
    };
    match error {
        FrameError::Closed => assert!(rest.is_empty()),
        FrameError::Truncated => assert!(!rest.is_empty() && source.is_empty()),
        FrameError::BadLength { len, max } => assert!(len < 3 || len > max),
        FrameError::Version(version) => assert_ne!(version, 1),
        FrameError::Io(_) | FrameError::TrailingBytes => unreachable!("{error}"),
    }
    frames
}

/// Fields of every kind, chosen by the input itself, are taken from its front
/// until one is refused; what is left then is the input's end.
fn fields_are_a_prefix(input: &[u8]) {
    let mut reader = Reader::new(input);
    let mut consumed = 0;
    loop {
        let kind = input.get(consumed).copied().unwrap_or_default();
        let taken = match kind % 8 {
            0 => reader.u8().map(|_| 1),
            1 => reader.u16().map(|_| 2),
            2 => reader.u32().map(|_| 4),
            3 => reader.u64().map(|_| 8),
            4 => reader.array::<32>().map(|_| 32),
            5 => reader.lp8().map(|field| 1 + field.len()),
            6 => reader.lp16().map(|field| 2 + field.len()),
            _ => reader.lp32().map(|field| 4 + field.len()),
        };
        match taken {
            Ok(len) => consumed += len,
            Err(_) => break,
        }
    }
    assert!(input.ends_with(reader.rest()));
    assert!(consumed <= input.len());
}
