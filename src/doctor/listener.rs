//! The thread that accepts connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::doctor::connection;
use crate::doctor::event::Event;
use crate::doctor::shared::Shared;

/// Stack of a connection's thread, in bytes: exponentiation keeps its tables
/// there, SQLite its pages elsewhere.
const STACK_LEN: usize = 256 * 1024;
/// Pause after the operating system refused a descriptor or a thread.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the server stops.
pub fn run(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        if shared.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => accept(shared, stream, peer.ip()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shared.tell(Event::Trouble(format!(
                    "no connection can be accepted now: {error}"
                )));
                thread::sleep(PAUSE);
            }
        }
    }
}

fn accept(shared: &Arc<Shared>, stream: TcpStream, address: IpAddr) {
    let stream = Arc::new(stream);
    let Some(place) = shared.gate.enter(address, &stream, Instant::now()) else {
        shared.turned_away();
        return;
    };
    let shared = Arc::clone(shared);
    let serve = move || connection::serve(&shared, stream, address, place);
    // Without a thread the connection is closed: the patient comes back.
    let spawned = thread::Builder::new()
        .name("connection".to_owned())
        .stack_size(STACK_LEN)
        .spawn(serve);
    if spawned.is_err() {
        thread::sleep(PAUSE);
    }
}

/// Wakes the accepting thread, which then sees that the server stops.
pub fn wake(address: SocketAddr) {
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let _ = TcpStream::connect_timeout(
        &SocketAddr::new(reachable, address.port()),
        Duration::from_secs(1),
    );
}
