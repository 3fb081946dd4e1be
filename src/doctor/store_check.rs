//! The thread that reads the whole database while the server is at work, from
//! the start on and then once a day: the start itself waits for that only if
//! whoever had the database open before did not close it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;

use crate::doctor::event::Event;
use crate::doctor::shared::Shared;
use crate::store::is_away;

/// From one reading to the next; also how often damage is told.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The same if it could not be read because its server was away.
const RETRY: Duration = Duration::from_secs(60);
/// Everybody else has the processor first (setpriority(2)).
const NICE: i32 = 10;

/// Reads it until the server stops.
pub(super) fn run(shared: &Arc<Shared>) {
    // The system knows each thread as a process here. Refused: then it is as
    // important as the others.
    let _ = setpriority_process(None, NICE);
    let mut read_at = Instant::now();
    while !shared.is_stopping() {
        let now = Instant::now();
        if now >= read_at {
            read_at = now + EVERY;
            if !read(shared) {
                read_at = now + RETRY;
            }
        }
        // Who stops the server wakes it.
        thread::park_timeout(read_at.saturating_duration_since(Instant::now()));
    }
}

/// False if the store is away: that is told by who looks after it.
fn read(shared: &Arc<Shared>) -> bool {
    let stops = Arc::clone(shared);
    let go_on = Box::new(move || !stops.is_stopping());
    match shared.practice.store.check_while(go_on) {
        Err(error) if is_away(&error) => return false,
        Err(error) => shared.tell(Event::Trouble(error.to_string())),
        Ok(_) => {}
    }
    true
}
