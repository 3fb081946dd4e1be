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
    mode: Arc<Mutex<Mode>>,
}

impl Proxy {
    /// Between whoever connects and the server at this address.
    pub(super) fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(Mutex::new(Mode::Open));
        let shared = Arc::clone(&mode);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if *shared.lock().unwrap() == Mode::Closed {
                    continue;
                }
                // A server that is stopped ends its clients' connections.
                if let Ok(server) = TcpStream::connect(&upstream) {
                    relay(&client, &server, &shared);
                }
            }
        });
        Self { port, mode }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

fn relay(client: &TcpStream, server: &TcpStream, mode: &Arc<Mutex<Mode>>) {
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    let (mut from, mut to) = (clone(server), clone(client));
    let silence = Arc::clone(mode);
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            while *silence.lock().unwrap() == Mode::Silent {
                thread::sleep(Duration::from_millis(10));
            }
            if to.write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (clone(client), clone(server));
    let mode = Arc::clone(mode);
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            let mut mode = mode.lock().unwrap();
            let cuts = !matches!(*mode, Mode::Open | Mode::Silent);
            if cuts && bytes[..len].windows(7).any(|text| text == b"COMMIT\0") {
                let _ = from.shutdown(Shutdown::Both);
                if *mode != Mode::LoseCommit {
                    let _ = to.write_all(&bytes[..len]);
                }
                *mode = match *mode {
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
