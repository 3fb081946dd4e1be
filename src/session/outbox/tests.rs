use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::framing::{FrameReader, MAX_LEN_IN_SESSION};
use crate::kdf;
use crate::protocol::opcode::{ENC_MSG, HEARTBEAT, KEY_VERIFICATION, PRIVATE, SESSION_TOKEN};
use crate::protocol::sub;
use crate::random::OsRandom;
use crate::session::channel::Opener;
use crate::session::{Direction, SessionKey};

/// A socket in memory that takes as many bytes at once as it is told.
#[derive(Clone, Default)]
struct Pipe(Arc<Taken>);

#[derive(Default)]
struct Taken {
    bytes: Mutex<Vec<u8>>,
    /// How many bytes are taken before the next `WouldBlock`.
    room: AtomicUsize,
    /// The most one write takes.
    bite: AtomicUsize,
    broken: AtomicBool,
    finished: AtomicUsize,
    closed: AtomicBool,
}

impl Pipe {
    fn wide() -> Self {
        let pipe = Self::default();
        pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
        pipe.give_room(usize::MAX);
        pipe
    }

    fn give_room(&self, bytes: usize) {
        self.0.room.store(bytes, Ordering::SeqCst);
    }

    fn frames(&self) -> Vec<Frame> {
        let bytes = self.0.bytes.lock().unwrap().clone();
        let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
        let mut source = bytes.as_slice();
        std::iter::from_fn(|| reader.read_frame(&mut source).ok()).collect()
    }
}

impl Sink for Pipe {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.0.room.load(Ordering::SeqCst);
        let count = bytes
            .len()
            .min(room)
            .min(self.0.bite.load(Ordering::SeqCst));
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if room != usize::MAX {
            self.give_room(room - count);
        }
        self.0
            .bytes
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn finish(&self) {
        self.0.finished.fetch_add(1, Ordering::SeqCst);
    }

    fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn session(number: u8) -> SessionKey {
    SessionKey::new(kdf::extract(&[number], &[]), [number; 64])
}

fn sealer(number: u8) -> Sealer {
    Sealer::new(&session(number), Direction::DoctorToPatient)
}

fn outbox(pipe: &Pipe) -> Outbox {
    Outbox::new(Box::new(pipe.clone()), sealer(1), Instant::now())
}

fn record(text: &[u8]) -> SecretBytes {
    SecretBytes::copy_of(text)
}

fn shared(len: usize) -> Arc<Frame> {
    Arc::new(Frame::new(ENC_MSG, sub::NONE, &vec![7; len]))
}

fn pump(outbox: &Outbox) -> Progress {
    outbox.pump(Instant::now(), &mut OsRandom)
}

/// What the patient reads: opcodes, and the bodies of records.
fn read(frames: &[Frame]) -> Vec<(u8, Vec<u8>)> {
    let mut opener = Opener::new(&session(1), Direction::DoctorToPatient);
    frames
        .iter()
        .map(|frame| match frame.opcode() {
            KEY_VERIFICATION => {
                if frame.sub() == sub::RESUMED {
                    opener = Opener::new(&session(2), Direction::DoctorToPatient);
                }
                (frame.opcode(), frame.body().to_vec())
            }
            ENC_MSG => (ENC_MSG, Vec::new()),
            opcode => (opcode, opener.open(frame).unwrap().expose().to_vec()),
        })
        .collect()
}

fn disconnect(body: &[u8]) -> DisconnectReason {
    Disconnect::decode(body).unwrap().reason
}

#[test]
fn everything_arrives_whole_and_in_order_however_little_is_taken_at_once() {
    for bite in [1, 2, 3, 7, 100, 1_000, 65_535, usize::MAX] {
        let pipe = Pipe::default();
        pipe.0.bite.store(bite, Ordering::SeqCst);
        let outbox = outbox(&pipe);
        for number in 0..20_u8 {
            outbox.push_record(PRIVATE, record(&[number; 50])).unwrap();
            outbox.push_shared(&shared(usize::from(number))).unwrap();
        }
        let mut rounds = 0;
        loop {
            pipe.give_room(1 + rounds * 37 % 4_000);
            rounds += 1;
            match pump(&outbox) {
                Progress::Behind => assert!(rounds < 10_000),
                other => break assert_eq!(other, Progress::Drained),
            }
        }
        let got = read(&pipe.frames());
        assert_eq!(got.len(), 40);
        for (number, pair) in got.chunks(2).enumerate() {
            let number = u8::try_from(number).unwrap();
            assert_eq!(pair[0], (PRIVATE, vec![number; 50]));
            assert_eq!(pair[1].0, ENC_MSG);
        }
    }
}

#[test]
fn a_queue_holds_so_many_frames_and_takes_more_once_they_are_written() {
    let pipe = Pipe::default();
    let outbox = outbox(&pipe);
    for _ in 0..MAX_FRAMES {
        outbox.push_shared(&shared(1)).unwrap();
    }
    assert_eq!(outbox.push_shared(&shared(1)), Err(QueueFull));
    assert_eq!(
        outbox.push_record(HEARTBEAT, record(&[0; 8])),
        Err(QueueFull)
    );
    pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
    pipe.give_room(usize::MAX);
    assert_eq!(pump(&outbox), Progress::Drained);
    outbox.push_record(HEARTBEAT, record(&[0; 8])).unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    // What was refused has left no gap.
    assert_eq!(read(&pipe.frames()).len(), MAX_FRAMES + 1);
}

#[test]
fn a_queue_holds_so_many_bytes_of_records() {
    let outbox = outbox(&Pipe::default());
    let body = vec![1; 64 * 1024];
    for _ in 0..MAX_BYTES / body.len() {
        outbox.push_record(PRIVATE, record(&body)).unwrap();
    }
    assert_eq!(outbox.push_record(PRIVATE, record(&[1])), Err(QueueFull));
    // A broadcast's one buffer is not this queue's.
    for _ in 0..100 {
        outbox.push_shared(&shared(80_000)).unwrap();
    }
}

#[test]
fn bytes_are_counted_out_as_they_were_counted_in() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    let body = vec![1; 32 * 1024];
    for _ in 0..3 {
        for _ in 0..MAX_BYTES / body.len() {
            outbox.push_record(PRIVATE, record(&body)).unwrap();
        }
        assert_eq!(pump(&outbox), Progress::Drained);
        assert_eq!(outbox.lock().queued, 0);
    }
    outbox
        .push_renewal(Frame::new(KEY_VERIFICATION, sub::RESUMED, &[9; 300]))
        .unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    outbox.renew(sealer(2), SESSION_TOKEN, record(&[3; 60]));
    assert_eq!(pump(&outbox), Progress::Drained);
    outbox.push_record(PRIVATE, record(&body)).unwrap();
    let parting = Frame::new(KEY_VERIFICATION, sub::NO_TOKEN, &[]);
    outbox.end(Some(parting), DisconnectReason::Expired, 0, Instant::now());
    assert_eq!(pump(&outbox), Progress::Finished);
    assert_eq!(outbox.lock().queued, 0);
}

#[test]
fn nothing_follows_the_last_word_and_what_waited_is_dropped() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    outbox.push_record(PRIVATE, record(b"written")).unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    outbox.push_record(PRIVATE, record(b"waiting")).unwrap();
    outbox.push_shared(&shared(5)).unwrap();
    outbox.heard(Instant::now(), 12);
    outbox.end(None, DisconnectReason::EndedByDoctor, 34, Instant::now());
    assert!(outbox.is_ending() && !outbox.is_closed());
    outbox.push_record(PRIVATE, record(b"later")).unwrap();
    outbox.push_shared(&shared(5)).unwrap();
    // The first reason stays.
    outbox.end(None, DisconnectReason::QueueFull, 35, Instant::now());
    assert_eq!(pump(&outbox), Progress::Finished);
    assert_eq!(pump(&outbox), Progress::Finished);
    let got = read(&pipe.frames());
    assert_eq!(got.len(), 2);
    assert_eq!(got[0], (PRIVATE, b"written".to_vec()));
    let last = Disconnect::decode(&got[1].1).unwrap();
    assert_eq!(last.reason, DisconnectReason::EndedByDoctor);
    assert_eq!((last.last_mid, last.records_received), (34, 12));
    assert!(pipe.0.finished.load(Ordering::SeqCst) >= 1);
    assert!(!pipe.0.closed.load(Ordering::SeqCst));
}

#[test]
fn the_last_word_follows_a_frame_that_was_begun() {
    let pipe = Pipe::default();
    pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
    let outbox = outbox(&pipe);
    outbox.push_record(PRIVATE, record(b"begun")).unwrap();
    pipe.give_room(10);
    assert_eq!(pump(&outbox), Progress::Behind);
    outbox.push_record(PRIVATE, record(b"not begun")).unwrap();
    outbox.end(None, DisconnectReason::QueueFull, 0, Instant::now());
    assert_eq!(pump(&outbox), Progress::Behind);
    pipe.give_room(usize::MAX);
    assert_eq!(pump(&outbox), Progress::Finished);
    let got = read(&pipe.frames());
    assert_eq!(got[0], (PRIVATE, b"begun".to_vec()));
    assert_eq!(disconnect(&got[1].1), DisconnectReason::QueueFull);
    assert_eq!(got.len(), 2);
}

#[test]
fn a_full_queue_still_takes_the_last_word() {
    let pipe = Pipe::default();
    let outbox = outbox(&pipe);
    while outbox.push_record(PRIVATE, record(&[1; 1000])).is_ok() {}
    outbox.end(None, DisconnectReason::QueueFull, 0, Instant::now());
    pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
    pipe.give_room(usize::MAX);
    assert_eq!(pump(&outbox), Progress::Finished);
    let got = read(&pipe.frames());
    assert_eq!(
        disconnect(&got.last().unwrap().1),
        DisconnectReason::QueueFull
    );
}

#[test]
fn during_a_renewal_everything_waits_for_the_new_keys() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    outbox.push_record(PRIVATE, record(b"old keys")).unwrap();
    let answer = Frame::new(KEY_VERIFICATION, sub::RESUMED, b"answer");
    outbox.push_renewal(answer).unwrap();
    outbox.push_record(PRIVATE, record(b"new keys")).unwrap();
    outbox.push_shared(&shared(3)).unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    assert_eq!(read(&pipe.frames()).len(), 2);
    outbox
        .push_record(PRIVATE, record(b"new keys too"))
        .unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    assert_eq!(pipe.frames().len(), 2);
    outbox.renew(sealer(2), SESSION_TOKEN, record(b"token"));
    assert_eq!(pump(&outbox), Progress::Drained);
    let bodies: Vec<_> = read(&pipe.frames());
    let expected = [
        (PRIVATE, &b"old keys"[..]),
        (KEY_VERIFICATION, b"answer"),
        (SESSION_TOKEN, b"token"),
        (PRIVATE, b"new keys"),
        (ENC_MSG, b""),
        (PRIVATE, b"new keys too"),
    ];
    assert_eq!(
        bodies,
        expected.map(|(opcode, body)| (opcode, body.to_vec()))
    );
}

#[test]
fn a_session_that_ends_between_two_keys_closes_without_a_record() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    let answer = Frame::new(KEY_VERIFICATION, sub::RESUMED, &[]);
    outbox.push_renewal(answer).unwrap();
    assert_eq!(pump(&outbox), Progress::Drained);
    outbox.end(None, DisconnectReason::ShuttingDown, 0, Instant::now());
    assert_eq!(pump(&outbox), Progress::Finished);
    assert_eq!(pipe.frames().len(), 1);
}

#[test]
fn a_parting_frame_comes_before_the_last_word() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    outbox.push_record(PRIVATE, record(b"dropped")).unwrap();
    let parting = Frame::new(KEY_VERIFICATION, sub::NO_TOKEN, &[]);
    outbox.end(Some(parting), DisconnectReason::Expired, 0, Instant::now());
    assert_eq!(pump(&outbox), Progress::Finished);
    let got = read(&pipe.frames());
    assert_eq!(got[0].0, KEY_VERIFICATION);
    assert_eq!(disconnect(&got[1].1), DisconnectReason::Expired);
}

#[test]
fn a_broken_connection_is_closed_and_takes_nothing() {
    for already_begun in [false, true] {
        let pipe = Pipe::default();
        pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
        let outbox = outbox(&pipe);
        outbox.push_record(PRIVATE, record(&[1; 100])).unwrap();
        if already_begun {
            pipe.give_room(5);
            assert_eq!(pump(&outbox), Progress::Behind);
        }
        pipe.0.broken.store(true, Ordering::SeqCst);
        assert_eq!(pump(&outbox), Progress::Closed);
        assert!(outbox.is_closed() && pipe.0.closed.load(Ordering::SeqCst));
        outbox.push_record(PRIVATE, record(b"x")).unwrap();
        assert_eq!(pump(&outbox), Progress::Closed);
        assert!(outbox.lock().queue.is_empty());
    }
}

#[test]
fn closing_at_once_writes_nothing_more() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    let pushed = outbox.push_record(PRIVATE, record(b"never"));
    assert_eq!(pushed, Ok(Pushed::Queued));
    outbox.close();
    let pushed = outbox.push_record(PRIVATE, record(b"neither"));
    assert_eq!(pushed, Ok(Pushed::Over));
    assert_eq!(pump(&outbox), Progress::Closed);
    assert!(pipe.frames().is_empty());
}

#[test]
fn silence_and_stalls_are_measured_from_the_last_byte_taken() {
    let pipe = Pipe::default();
    pipe.0.bite.store(usize::MAX, Ordering::SeqCst);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let outbox = Outbox::new(Box::new(pipe.clone()), sealer(1), start);
    assert_eq!(outbox.silent_for(at(7)), Duration::from_secs(7));
    outbox.push_record(PRIVATE, record(&[1; 100])).unwrap();
    assert_eq!(outbox.silent_for(at(7)), Duration::ZERO);
    pipe.give_room(10);
    outbox.pump(at(10), &mut OsRandom);
    assert_eq!(outbox.stalled_for(at(30)), Duration::from_secs(20));
    assert_eq!(outbox.silent_for(at(30)), Duration::ZERO);
    // The last word has its own time.
    outbox.end(None, DisconnectReason::QueueFull, 0, at(40));
    assert_eq!(outbox.stalled_for(at(41)), Duration::from_secs(1));
    pipe.give_room(usize::MAX);
    outbox.pump(at(50), &mut OsRandom);
    assert_eq!(outbox.stalled_for(at(60)), Duration::ZERO);
    assert_eq!(outbox.unheard_for(at(60)), Duration::from_secs(60));
    outbox.heard(at(55), 1);
    assert_eq!(outbox.unheard_for(at(60)), Duration::from_secs(5));
}

#[test]
fn an_idle_queue_keeps_no_buffer() {
    let pipe = Pipe::wide();
    let outbox = outbox(&pipe);
    for _ in 0..10 {
        outbox.push_record(PRIVATE, record(&[1; 30_000])).unwrap();
    }
    pump(&outbox);
    assert_eq!(outbox.lock().writing.capacity(), 0);
}
