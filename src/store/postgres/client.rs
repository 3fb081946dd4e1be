//! A client that gives up on a server from which nothing comes: one that hangs
//! keeps its connections open and answers nothing, and the client of the crate
//! `postgres` waits for as long as there is a connection.
//!
//! So that client belongs to a thread of its own, which does what it is given
//! to do; whoever gave it waits for the answer, the end of a limit, or that he
//! is cut off. A thread that nobody waits for any more ends when its socket
//! says something or breaks.

mod door;
mod encoded;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Config, Error, NoTls, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::Params;
use super::fault::away;
use crate::store::StoreFault;
pub(super) use door::Door;
use encoded::{borrowed, encode};

/// From the name of the server to its first answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer is waited for where nothing else is said: longer than the
/// server works at a statement.
pub(super) const ANSWER: Duration = Duration::from_secs(40);
/// How long the server has to take the last word.
const CLOSE: Duration = Duration::from_secs(1);
/// The stack of a connection's thread, in bytes: enough for the start of TLS.
const STACK: usize = 256 << 10;
/// At most so many rows lie ready for whoever looks at them one after the other.
const ROWS: usize = 64;

/// At most so many notifications are heard at once.
const HEARD: usize = 10_000;

/// A connection on which another thread works.
pub(super) struct Client {
    /// What that thread is to do; none only while this is closed.
    jobs: Option<Sender<Job>>,
    /// Rings when there may be an answer, and when this is cut off.
    bell: Receiver<()>,
    limit: Option<Duration>,
    scissors: Arc<Scissors>,
}

type Job = Box<dyn FnOnce(&mut postgres::Client) + Send>;

/// Ends what somebody else waits for on a connection.
pub(super) struct Scissors {
    is_cut: AtomicBool,
    bell: SyncSender<()>,
}

impl fmt::Debug for Scissors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scissors")
    }
}

impl Scissors {
    /// Nothing is waited for on this connection any more.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        // If there is no room it rings already.
        let _ = self.bell.try_send(());
    }
}

/// The thread's end of a connection. However the thread ends, nobody waits for
/// it after that.
struct End(Arc<Scissors>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Nothing came from the server in time.
fn silent() -> StoreFault {
    away("nothing comes from the server")
}

impl Client {
    /// Connects, in clear or with TLS, unless another attempt by this door hangs.
    pub(super) fn connect(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        door: &Door,
    ) -> Result<Self, StoreFault> {
        let passage = door.pass().ok_or_else(silent)?;
        let (ring, bell) = mpsc::sync_channel(1);
        let (jobs, given) = mpsc::channel();
        let (say, said) = mpsc::channel();
        let scissors = Arc::new(Scissors {
            is_cut: AtomicBool::new(false),
            bell: ring,
        });
        let end = End(Arc::clone(&scissors));
        let run = move || {
            // The last that is dropped here, after the connection.
            let end = end;
            let connected = match tls {
                None => config.connect(NoTls),
                Some(tls) => config.connect(tls),
            };
            drop((config, passage));
            match connected {
                Ok(mut client) => {
                    let _ = say.send(Ok(()));
                    work(&mut client, &given, &end.0);
                }
                Err(error) => drop(say.send(Err(error))),
            }
        };
        let thread = thread::Builder::new()
            .name("postgres".to_owned())
            .stack_size(STACK);
        thread
            .spawn(run)
            .map_err(|error| StoreFault::Failed(error.into()))?;
        let client = Self {
            jobs: Some(jobs),
            bell,
            limit: Some(CONNECT),
            scissors,
        };
        client.answer(client.limit, &said)??;
        Ok(client)
    }

    /// What ends the waiting of whoever uses this connection.
    pub(super) const fn scissors(&self) -> &Arc<Scissors> {
        &self.scissors
    }

    /// How long an answer is waited for from now on; none: for as long as it
    /// takes.
    pub(super) const fn answer_within(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, StoreFault> {
        let sql = sql.to_owned();
        self.ask(self.limit, move |client| client.prepare(&sql))?
            .map_err(StoreFault::from)
    }

    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        params: Params<'_>,
    ) -> Result<Result<u64, Error>, StoreFault> {
        let params = encode(statement, params)?;
        let statement = statement.clone();
        self.ask(self.limit, move |client| {
            client.execute(&statement, &borrowed(&params))
        })
    }

    pub(super) fn query(
        &mut self,
        statement: &Statement,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, Error>, StoreFault> {
        let params = encode(statement, params)?;
        let statement = statement.clone();
        self.ask(self.limit, move |client| {
            client.query(&statement, &borrowed(&params))
        })
    }

    pub(super) fn simple_query(
        &mut self,
        sql: &str,
    ) -> Result<Result<Vec<SimpleQueryMessage>, Error>, StoreFault> {
        let sql = sql.to_owned();
        self.ask(self.limit, move |client| client.simple_query(&sql))
    }

    /// Shows the rows of a statement one after the other as they come.
    pub(super) fn each(
        &mut self,
        sql: &str,
        look: &mut dyn FnMut(&Row) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        let sql = sql.to_owned();
        let (show, rows) = mpsc::sync_channel(ROWS);
        let scissors = Arc::clone(&self.scissors);
        self.give(move |client| {
            let shown = client
                .query_raw(&sql, Vec::<i64>::new())
                .and_then(|mut rows| {
                    while let Some(row) = rows.next()? {
                        if show.send(Ok(Some(row))).is_err() {
                            // Nobody looks any more; the rest is passed over.
                            break;
                        }
                        scissors.ring();
                    }
                    Ok(None)
                });
            let _ = show.send(shown);
        })?;
        while let Some(row) = self.answer(self.limit, &rows)?? {
            look(&row)?;
        }
        Ok(())
    }

    /// Waits so long for notifications; gives what `hear` makes of what was said with
    /// those that have come, one after the other: however many they are, they are not
    /// kept, and what comes on and on is heard the next time.
    pub(super) fn notified<T: Default + Send + 'static>(
        &mut self,
        time: Duration,
        hear: fn(&mut T, &str),
    ) -> Result<T, StoreFault> {
        // The thread keeps the time itself, whatever the server does.
        let told = self.ask(Some(time + CONNECT), move |client| {
            let (mut notifications, mut told) = (client.notifications(), T::default());
            let Some(first) = notifications.timeout_iter(time).next()? else {
                return Ok(told);
            };
            hear(&mut told, first.payload());
            let mut others = notifications.iter();
            for _ in 0..HEARD {
                match others.next()? {
                    Some(other) => hear(&mut told, other.payload()),
                    None => break,
                }
            }
            Ok(told)
        });
        Ok(told??)
    }

    /// Asks for something and waits until it is answered, or there is no answer
    /// in time: then the connection is of no use any more.
    fn ask<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        question: impl FnOnce(&mut postgres::Client) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, StoreFault> {
        let (say, said) = mpsc::channel();
        self.give(move |client| drop(say.send(question(client))))?;
        self.answer(limit, &said)
    }

    /// Gives the thread something to do, unless nothing is waited for any more.
    fn give(
        &self,
        job: impl FnOnce(&mut postgres::Client) + Send + 'static,
    ) -> Result<(), StoreFault> {
        match &self.jobs {
            Some(jobs) if !self.scissors.is_cut() => {
                // If the thread has just ended there is no answer.
                let _ = jobs.send(Box::new(job));
                Ok(())
            }
            _ => Err(silent()),
        }
    }

    fn answer<T>(&self, limit: Option<Duration>, said: &Receiver<T>) -> Result<T, StoreFault> {
        let answer = self.wait(limit, || said.try_recv().ok());
        answer.ok_or_else(|| {
            self.scissors.cut();
            silent()
        })
    }

    /// Waits until there is this, for so long and until nothing is waited for
    /// any more.
    fn wait<T>(&self, limit: Option<Duration>, mut this: impl FnMut() -> Option<T>) -> Option<T> {
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            // Before it is looked: what was said first counts.
            let is_cut = self.scissors.is_cut();
            if let Some(this) = this() {
                return Some(this);
            }
            if is_cut {
                return None;
            }
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => self.bell.recv().ok()?,
                Some(left) => self.bell.recv_timeout(left).ok()?,
            }
        }
    }
}

/// Does what is given until nobody gives anything, or waits, any more.
fn work(client: &mut postgres::Client, given: &Receiver<Job>, scissors: &Scissors) {
    scissors.ring();
    while let Ok(job) = given.recv()
        && !scissors.is_cut()
    {
        job(client);
        scissors.ring();
    }
}

impl Drop for Client {
    /// Says goodbye, so that the server sees at once that nothing more comes.
    fn drop(&mut self) {
        drop(self.jobs.take());
        // It is gone already, or will see for itself.
        self.wait(Some(CLOSE), || self.scissors.is_cut().then_some(()));
    }
}
