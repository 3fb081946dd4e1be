//! Patients whose sockets are behind: one thread polls them and writes on, so
//! that whoever broadcasts waits for nobody.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::random::OsRandom;
use crate::session::outbox::{Outbox, Progress};

/// How often closed connections are looked for among the waiting.
const TICK: Duration = Duration::from_secs(1);
/// The same while last words are to be taken.
const SHORT_TICK: Duration = Duration::from_millis(20);

/// The queues that wait for their sockets.
#[derive(Debug)]
pub struct Flusher {
    waiting: Mutex<Waiting>,
    /// Wakes the thread when there is more to poll.
    wake: OwnedFd,
    /// How long a patient has to close after the last word.
    linger: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    queues: Vec<Arc<Outbox>>,
    /// Sessions whose last word is written, and since when.
    finished: Vec<(Instant, Arc<Outbox>)>,
    stopping: bool,
}

impl Flusher {
    /// Nobody waits yet. Whoever does not close within `linger` after the last
    /// word is closed.
    ///
    /// # Errors
    /// If the operating system has no descriptor left.
    pub fn new(linger: Duration) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            linger,
        })
    }

    /// A list: a panic under the lock leaves it usable.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the sockets take now, and leaves the rest to the thread.
    pub fn send(&self, queues: impl IntoIterator<Item = Arc<Outbox>>) {
        let now = Instant::now();
        let (mut behind, mut finished) = (Vec::new(), Vec::new());
        for queue in queues {
            match queue.pump(now, &mut OsRandom) {
                Progress::Behind => behind.push(queue),
                Progress::Finished => finished.push((now, queue)),
                Progress::Drained | Progress::Closed => {}
            }
        }
        if behind.is_empty() && finished.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        for queue in behind {
            if !waiting
                .queues
                .iter()
                .any(|known| Arc::ptr_eq(known, &queue))
            {
                waiting.queues.push(queue);
            }
        }
        waiting.finished.extend(finished);
        drop(waiting);
        self.wake();
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.wake();
    }

    /// Whether everything is written, and every last word taken.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let waiting = self.lock();
        waiting.queues.is_empty() && waiting.finished.is_empty()
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// The thread.
    pub fn run(&self) {
        loop {
            let (queues, lingering) = {
                let waiting = self.lock();
                if waiting.stopping {
                    // Whoever has not taken the last word by now never will.
                    let finished = waiting.finished.iter().map(|(_, queue)| queue);
                    waiting
                        .queues
                        .iter()
                        .chain(finished)
                        .for_each(|queue| queue.close());
                    return;
                }
                (waiting.queues.clone(), !waiting.finished.is_empty())
            };
            self.wait_for(&queues, if lingering { SHORT_TICK } else { TICK });
            let now = Instant::now();
            // Under the lock, so that nobody who falls behind meanwhile is
            // taken off the list.
            let mut waiting = self.lock();
            let mut finished = Vec::new();
            waiting.queues.retain(|queue| {
                let progress = queue.pump(now, &mut OsRandom);
                match progress {
                    Progress::Finished => finished.push((now, Arc::clone(queue))),
                    // Nobody else looks after it: it is no member's any more.
                    Progress::Behind
                        if queue.is_ending() && queue.stalled_for(now) >= self.linger =>
                    {
                        queue.close();
                    }
                    _ => {}
                }
                progress == Progress::Behind && !queue.is_closed()
            });
            waiting.finished.extend(finished);
            waiting.finished.retain(|(since, queue)| {
                if now.saturating_duration_since(*since) >= self.linger {
                    queue.close();
                }
                !queue.is_closed()
            });
        }
    }

    /// Waits until a socket takes more, something new waits, or a tick is over.
    fn wait_for(&self, queues: &[Arc<Outbox>], tick: Duration) {
        let mut polled: Vec<PollFd<'_>> = queues
            .iter()
            .filter_map(|queue| queue.fd())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT))
            .collect();
        polled.push(PollFd::new(&self.wake, PollFlags::IN));
        let tick = Timespec::try_from(tick).ok();
        // An interrupted poll is a short one.
        let _ = poll(&mut polled, tick.as_ref());
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }
}
