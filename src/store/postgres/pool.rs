//! A few connections that all threads share.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::PostgresAddress;
use super::connection::Connection;
use super::fault::is_away;
use super::schema;
use crate::clock::Timestamp;
use crate::store::{Absence, StoreFault};

/// At most so many connections.
const CONNECTIONS: usize = 4;
/// For so long after a vain attempt no other is made.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for another thread's connection: longer than a statement
/// may take.
const WAIT: Duration = Duration::from_secs(40);

/// Connections to one database.
#[derive(Debug)]
pub(super) struct Pool {
    address: PostgresAddress,
    /// What they are called in the server's list of connections.
    name: String,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// How many there are, idle, in use and being made.
    open: usize,
    /// Counts up when one was found dead: those made before are not used again.
    generation: u64,
    /// There while the server does not answer.
    away: Option<Away>,
    /// When it answered last.
    answered: Option<Instant>,
}

#[derive(Debug)]
struct Away {
    since: Timestamp,
    reason: String,
    /// No other attempt before this.
    until: Instant,
}

/// A connection in use. Unless it is given back it is closed, and the server
/// takes back what was not committed.
pub(super) struct Borrowed<'p> {
    place: Place<'p>,
    connection: Connection,
}

/// Room for one connection, kept until this is dropped.
struct Place<'p> {
    pool: &'p Pool,
    generation: u64,
}

impl Pool {
    pub(super) fn new(address: &PostgresAddress, name: String) -> Self {
        Self {
            address: address.clone(),
            name,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreFault> {
        self.state.lock().map_err(|_| StoreFault::Poisoned)
    }

    /// A connection of one's own, an idle one or a new one.
    pub(super) fn take(&self) -> Result<Borrowed<'_>, StoreFault> {
        let deadline = Instant::now() + WAIT;
        let mut state = self.state()?;
        loop {
            let generation = state.generation;
            if let Some(connection) = state.idle.pop() {
                let place = Place {
                    pool: self,
                    generation,
                };
                return Ok(Borrowed { place, connection });
            }
            let now = Instant::now();
            if let Some(away) = state.away.as_ref().filter(|away| now < away.until) {
                return Err(away.fault());
            }
            if state.open < CONNECTIONS {
                state.open += 1;
                drop(state);
                return self.connect(Place {
                    pool: self,
                    generation,
                });
            }
            if now >= deadline {
                return Err(StoreFault::Busy);
            }
            let waited = self.freed.wait_timeout(state, deadline - now);
            state = waited.map_err(|_| StoreFault::Poisoned)?.0;
        }
    }

    /// A connection that is nobody else's, beside those that are shared.
    pub(super) fn connect_apart(&self) -> Result<Connection, StoreFault> {
        let mut connection = Connection::open(&self.address, &self.name)?;
        schema::check_newest(&mut connection)?;
        Ok(connection)
    }

    /// Makes a new connection in a place that was kept for it.
    fn connect<'p>(&'p self, place: Place<'p>) -> Result<Borrowed<'p>, StoreFault> {
        let connected = Connection::open(&self.address, &self.name).and_then(|mut connection| {
            schema::check_newest(&mut connection)?;
            schema::introduce(&mut connection)?;
            Ok(connection)
        });
        let mut state = self.state()?;
        match connected {
            Ok(connection) => {
                state.away = None;
                state.answered = Some(Instant::now());
                drop(state);
                Ok(Borrowed { place, connection })
            }
            Err(fault) => {
                let fault = state.note(fault, Instant::now() + PAUSE);
                // Its drop takes the lock.
                drop(state);
                Err(fault)
            }
        }
    }

    /// Whether the server was away when it was last tried.
    pub(super) fn absence(&self) -> Option<Absence> {
        let state = self.state.lock().ok()?;
        let away = state.away.as_ref()?;
        let silent = state.answered.map_or(Duration::MAX, |at| at.elapsed());
        Some(Absence {
            since: away.since,
            silent,
        })
    }

    /// Notes that a connection was found dead: those that lie idle are, too.
    pub(super) fn lost(&self, fault: StoreFault) -> StoreFault {
        let Ok(mut state) = self.state() else {
            return StoreFault::Poisoned;
        };
        state.generation += 1;
        let dead = mem::take(&mut state.idle);
        state.open -= dead.len();
        let fault = state.note(fault, Instant::now());
        drop(state);
        self.freed.notify_all();
        // Closing them may take a moment.
        drop(dead);
        fault
    }
}

impl State {
    /// Remembers since when the server is away, and says that.
    fn note(&mut self, fault: StoreFault, until: Instant) -> StoreFault {
        let StoreFault::Away { since, reason } = fault else {
            return fault;
        };
        let since = self.away.as_ref().map_or(since, |away| away.since);
        let away = Away {
            since,
            reason,
            until,
        };
        let fault = away.fault();
        self.away = Some(away);
        fault
    }
}

impl Away {
    fn fault(&self) -> StoreFault {
        StoreFault::Away {
            since: self.since,
            reason: self.reason.clone(),
        }
    }
}

impl Borrowed<'_> {
    /// Leaves it to others, in a state in which they can use it.
    pub(super) fn give_back(self) {
        let Self { place, connection } = self;
        let Ok(mut state) = place.pool.state() else {
            return;
        };
        if state.generation == place.generation {
            state.idle.push(connection);
            state.answered = Some(Instant::now());
            drop(state);
            place.pool.freed.notify_one();
            // It is not free: the idle one lies in it.
            mem::forget(place);
        }
    }

    /// Gives it back after what was done on it, unless that found it dead.
    pub(super) fn end<T>(self, result: Result<T, StoreFault>) -> Result<T, StoreFault> {
        match result {
            Err(fault) if is_away(&fault) => Err(self.place.pool.lost(fault)),
            other => {
                self.give_back();
                other
            }
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.pool.state() {
            state.open -= 1;
        }
        self.pool.freed.notify_one();
    }
}
