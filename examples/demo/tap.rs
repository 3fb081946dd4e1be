//! Somebody on the line: passes everything on, and keeps a copy.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use telemed::framing::{Frame, FrameReader, MAX_LEN_IN_SESSION};

/// A recording of one direction of every connection, in order.
type Recording = Arc<Mutex<Vec<Vec<u8>>>>;

/// Listens between patients and the doctor's server.
pub struct Tap {
    /// Where patients reach the doctor through it.
    pub address: SocketAddr,
    from_patients: Recording,
    from_doctor: Recording,
}

impl Tap {
    /// Stands before the server at `doctor`.
    pub fn start(doctor: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tap = Self {
            address: listener.local_addr()?,
            from_patients: Recording::default(),
            from_doctor: Recording::default(),
        };
        let (up, down) = (Arc::clone(&tap.from_patients), Arc::clone(&tap.from_doctor));
        thread::spawn(move || {
            for patient in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(doctor) {
                    let _ = pass_on(&patient, &server, &up);
                    let _ = pass_on(&server, &patient, &down);
                }
            }
        });
        Ok(tap)
    }

    /// All frames the doctor's server has sent through it.
    pub fn frames_from_doctor(&self) -> Vec<Frame> {
        frames(&self.from_doctor)
    }

    /// All frames patients have sent through it.
    pub fn frames_from_patients(&self) -> Vec<Frame> {
        frames(&self.from_patients)
    }

    /// Whether these bytes went over the line, in whatever direction.
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        [&self.from_patients, &self.from_doctor]
            .iter()
            .any(|recording| {
                lock(recording)
                    .iter()
                    .any(|line| line.windows(bytes.len()).any(|window| window == bytes))
            })
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, recording: &Recording) -> io::Result<()> {
    let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
    to.set_nodelay(true)?;
    let recording = Arc::clone(recording);
    let line = {
        let mut lines = lock(&recording);
        lines.push(Vec::new());
        lines.len() - 1
    };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            // Recorded first: whatever a patient has seen is in the recording.
            lock(&recording)[line].extend_from_slice(&buffer[..count]);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    Ok(())
}

fn lock(recording: &Recording) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

fn frames(recording: &Recording) -> Vec<Frame> {
    let mut frames = Vec::new();
    for line in lock(recording).iter() {
        let mut reader = FrameReader::new(MAX_LEN_IN_SESSION);
        let mut rest = line.as_slice();
        while let Ok(frame) = reader.read_frame(&mut rest) {
            frames.push(frame);
        }
    }
    frames
}
