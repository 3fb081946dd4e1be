//! The thread that accepts connections.

use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::doctor::event::Event;
use crate::doctor::line::STACK_LEN;
use crate::doctor::shared::Shared;
use crate::doctor::{connection, pulse};

/// Pause after the operating system refused a descriptor or a thread.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause after each connection while a broadcast is on its way: what a flood of
/// strangers costs would delay it, whether they are turned away here or by their
/// threads. Patients wait behind them in the system's queue, which is short.
const GIVE_WAY: Duration = Duration::from_millis(2);

/// How often it is told that none can be accepted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Accepts connections until the server stops.
pub fn run(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut told: Option<Instant> = None;
    loop {
        shared.pulse.listener(Instant::now());
        let accepted = listener.accept();
        if shared.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => {
                accept(shared, stream, peer.ip());
                if shared.pulse.is_broadcasting(Instant::now()) {
                    thread::sleep(GIVE_WAY);
                }
            }
            Err(error) if is_nothing(&error) => wait(listener),
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    shared.tell(Event::Trouble(format!(
                        "no connection can be accepted now: {error}"
                    )));
                }
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Waits for a connection, but not for long. While many come one after the
/// other, nobody waits between them.
fn wait(listener: &TcpListener) {
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: pulse::TICK.subsec_nanos().into(),
    };
    // Interrupted or not, the listener is asked next.
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&tick));
}

/// Whether there is no connection now, and nothing wrong with that.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

fn accept(shared: &Arc<Shared>, stream: TcpStream, address: IpAddr) {
    let stream = Arc::new(stream);
    let now = Instant::now();
    let Some(place) = shared.gate.enter(address, &stream, now) else {
        drop(stream);
        shared.turned_away();
        return;
    };
    let shared = Arc::clone(shared);
    let serve = move || connection::serve(&shared, stream, address, place);
    // Without a thread the connection is closed: the patient comes back.
    let spawned = thread::Builder::new()
        .name("handshake".to_owned())
        .stack_size(STACK_LEN)
        .spawn(serve);
    if spawned.is_err() {
        thread::sleep(PAUSE);
    }
}

/// Ends the listening: the accepting thread wakes and sees that the server
/// stops. A connection to itself would do the same, unless the address is not
/// this machine's any more.
pub fn shut(listener: &TcpListener) {
    // Fails only where nothing listens any more.
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}
