//! A few connections that all threads share, and one on which it is looked
//! whether the server answers at all.
//!
//! A server that hangs is away, too: it takes connections and statements, and
//! answers nothing. Whoever looks finds that out for all, and ends what the
//! others wait for.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PostgresAddress;
use super::client::{ANSWER, Door, Scissors};
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
/// How long the server may take to say that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Who has looked so lately looks again: while the server is away nobody else
/// tries.
const LOOKED_AFTER: Duration = Duration::from_secs(15);

/// Connections to one database.
#[derive(Debug)]
pub(super) struct Pool {
    address: PostgresAddress,
    /// What they are called in the server's list of connections.
    name: String,
    /// By which all of them are made.
    door: Door,
    state: Mutex<State>,
    freed: Condvar,
    /// The connection on which it is looked whether the server is there.
    apart: Mutex<Option<Connection>>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// Those in use.
    lent: Vec<Arc<Scissors>>,
    /// How many there are, idle, in use and being made.
    open: usize,
    /// Counts up when one was found dead: those made before are not used again.
    generation: u64,
    /// There while the server does not answer.
    away: Option<Away>,
    /// When it answered last.
    answered: Option<Instant>,
    /// When it was looked last whether it is there.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Away {
    since: Timestamp,
    reason: String,
    /// No other attempt before this.
    until: Instant,
    /// Whether it was tried to reach it since.
    is_tried: bool,
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
            door: Door::default(),
            state: Mutex::default(),
            freed: Condvar::new(),
            apart: Mutex::default(),
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
                state.lent.push(Arc::clone(connection.scissors()));
                let place = Place {
                    pool: self,
                    generation,
                };
                return Ok(Borrowed { place, connection });
            }
            let now = Instant::now();
            if let Some(fault) = state.gives_up(now) {
                return Err(fault);
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

    /// A new connection, whatever the database is like.
    pub(super) fn open(&self) -> Result<Connection, StoreFault> {
        Connection::open(&self.address, &self.name, &self.door)
    }

    /// A connection that is nobody else's, beside those that are shared, on which
    /// an answer comes soon or never.
    pub(super) fn connect_apart(&self) -> Result<Connection, StoreFault> {
        let mut connection = self.open()?;
        connection.answer_within(Some(SIGN_OF_LIFE));
        schema::check_newest(&mut connection)?;
        Ok(connection)
    }

    /// Makes a new connection in a place that was kept for it.
    fn connect<'p>(&'p self, place: Place<'p>) -> Result<Borrowed<'p>, StoreFault> {
        let connected = self.connect_apart().and_then(|mut connection| {
            schema::introduce(&mut connection)?;
            connection.answer_within(Some(ANSWER));
            Ok(connection)
        });
        let mut state = self.state()?;
        match connected {
            Ok(connection) => {
                state.there();
                state.lent.push(Arc::clone(connection.scissors()));
                drop(state);
                Ok(Borrowed { place, connection })
            }
            Err(fault) => {
                let fault = state.note(fault, true);
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

    /// Looks whether the server is there, on a connection of its own. If it is
    /// not, nobody waits for it any more.
    pub(super) fn knock(&self) -> Result<(), StoreFault> {
        // One that half a look was made on is not used again.
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        self.state()?.looked = Some(Instant::now());
        let looked = match apart.take() {
            Some(mut connection) => match look(&mut connection) {
                // The connection alone may be dead.
                Err(fault) if is_away(&fault) && !connection.is_silent() => self.connect_apart(),
                looked => looked.map(|()| connection),
            },
            None => self.connect_apart(),
        };
        let mut state = self.state()?;
        state.looked = Some(Instant::now());
        match looked {
            Ok(connection) => {
                state.there();
                *apart = Some(connection);
                Ok(())
            }
            Err(fault) if is_away(&fault) => {
                let lent = mem::take(&mut state.lent);
                let fault = state.note(fault, true);
                drop(state);
                lent.iter().for_each(|scissors| scissors.cut());
                Err(self.lost(fault))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Notes that a connection was found dead: those that lie idle are, too.
    pub(super) fn lost(&self, fault: StoreFault) -> StoreFault {
        let Ok(mut state) = self.state() else {
            return StoreFault::Poisoned;
        };
        state.generation += 1;
        let dead = mem::take(&mut state.idle);
        state.open -= dead.len();
        let fault = state.note(fault, false);
        drop(state);
        self.freed.notify_all();
        // Closing them may take a moment.
        drop(dead);
        fault
    }
}

impl State {
    fn is_returned(&mut self, connection: &Connection) {
        let scissors = connection.scissors();
        self.lent.retain(|lent| !Arc::ptr_eq(lent, scissors));
    }

    /// It answers.
    fn there(&mut self) {
        self.away = None;
        self.answered = Some(Instant::now());
    }

    /// Why no attempt is made now to reach the server, if none is.
    fn gives_up(&self, now: Instant) -> Option<StoreFault> {
        let away = self.away.as_ref()?;
        let is_looked_after = || {
            self.looked
                .is_some_and(|at| now.saturating_duration_since(at) < LOOKED_AFTER)
        };
        let gives_up = now < away.until || (away.is_tried && is_looked_after());
        gives_up.then(|| away.fault())
    }

    /// Remembers since when the server is away, and whether it was tried just
    /// now; says that it is.
    fn note(&mut self, fault: StoreFault, is_tried: bool) -> StoreFault {
        let StoreFault::Away { since, reason } = fault else {
            return fault;
        };
        let now = Instant::now();
        let until = if is_tried { now + PAUSE } else { now };
        let away = match self.away.take() {
            Some(away) => Away {
                since: away.since,
                reason,
                until: until.max(away.until),
                is_tried: is_tried || away.is_tried,
            },
            None => Away {
                since,
                reason,
                until,
                is_tried,
            },
        };
        let fault = away.fault();
        self.away = Some(away);
        fault
    }
}

/// Asks for a sign of life.
fn look(connection: &mut Connection) -> Result<(), StoreFault> {
    connection.number("SELECT 1::bigint", &[]).map(drop)
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
            state.is_returned(&connection);
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
            // Those whose connections are gone.
            state.lent.retain(|lent| Arc::strong_count(lent) > 1);
        }
        self.pool.freed.notify_one();
    }
}
