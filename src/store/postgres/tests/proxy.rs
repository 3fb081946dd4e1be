//! A server that others reach by way of a program that cuts their connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Nothing.
    Open,
    /// The next COMMIT gets to the server, its answer does not come back.
    LoseAnswer,
    /// The same, and no other connection is let through.
    LoseAnswerAndClose,
    /// The next COMMIT does not get to the server.
    LoseCommit,
    /// None is let through.
    Closed,
    /// They are taken, and nothing comes from the server until this is over.
    Silent,
}

pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    /// What a transaction must contain whose COMMIT is meant; nothing: any.
    marker: Vec<u8>,
    /// How many were cut off.
    cuts: usize,
}

impl Proxy {
    /// Between whoever connects and the server at this address.
    pub(super) fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            mode: Mode::Open,
            marker: Vec::new(),
            cuts: 0,
        }));
        let shared = Arc::clone(&state);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.lock().unwrap().mode == Mode::Closed {
                    continue;
                }
                // A server that is stopped ends its clients' connections.
                if let Ok(server) = TcpStream::connect(&upstream) {
                    relay(&client, &server, &shared);
                }
            }
        });
        Self { port, state }
    }

    pub(super) fn set(&self, mode: Mode) {
        let mut state = self.state.lock().unwrap();
        (state.mode, state.marker) = (mode, Vec::new());
    }

    /// The same for the next COMMIT of a transaction that is given this value.
    pub(super) fn set_for(&self, mode: Mode, value: &str) {
        let mut state = self.state.lock().unwrap();
        let len = u32::try_from(value.len()).unwrap();
        // As parameters are sent, alone and in arrays.
        let marker = [&len.to_be_bytes()[..], value.as_bytes()].concat();
        (state.mode, state.marker) = (mode, marker);
    }

    /// How many COMMITs were cut off until now.
    pub(super) fn cuts(&self) -> usize {
        self.state.lock().unwrap().cuts
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).rposition(|it| it == part)
}

fn relay(client: &TcpStream, server: &TcpStream, state: &Arc<Mutex<State>>) {
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    let (mut from, mut to) = (clone(server), clone(client));
    let silence = Arc::clone(state);
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            while silence.lock().unwrap().mode == Mode::Silent {
                thread::sleep(Duration::from_millis(10));
            }
            if to.write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (clone(client), clone(server));
    let state = Arc::clone(state);
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        // What was said since the transaction began.
        let mut said = Vec::new();
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            said.extend_from_slice(&bytes[..len]);
            if let Some(begin) = find(&said, b"BEGIN") {
                said.drain(..begin);
            }
            let mut state = state.lock().unwrap();
            let cuts = !matches!(state.mode, Mode::Open | Mode::Silent);
            let is_meant = state.marker.is_empty() || find(&said, &state.marker).is_some();
            if cuts && is_meant && find(&bytes[..len], b"COMMIT\0").is_some() {
                let _ = from.shutdown(Shutdown::Both);
                if state.mode != Mode::LoseCommit {
                    let _ = to.write_all(&bytes[..len]);
                }
                state.cuts += 1;
                state.mode = match state.mode {
                    Mode::LoseAnswerAndClose | Mode::Closed => Mode::Closed,
                    _ => Mode::Open,
                };
                break;
            }
            if to.write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
