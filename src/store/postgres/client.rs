//! A client that gives up on a server from which nothing comes: one that hangs
//! keeps its connections open and answers nothing. (The client of the crate
//! `postgres` waits for as long as there is a connection.)

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use postgres::types::ToSql;
use postgres::{NoTls, Row, SimpleQueryMessage, Socket, Statement};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{self, Runtime};
use tokio::time;
use tokio_postgres::{AsyncMessage, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::away;
use crate::store::StoreFault;

/// From the name of the server to its first answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer is waited for where nothing else is said: longer than the
/// server works at a statement.
pub(super) const ANSWER: Duration = Duration::from_secs(40);
/// How long the server has to take the last word.
const CLOSE: Duration = Duration::from_secs(1);

/// A connection that is driven while something is asked on it.
pub(super) struct Client {
    /// None only while it is closed.
    client: Option<tokio_postgres::Client>,
    driver: Driver,
}

type Poller = dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> + Send;

struct Driver {
    runtime: Runtime,
    poll: Box<Poller>,
    /// What was notified of and not asked for yet.
    told: Vec<String>,
    limit: Option<Duration>,
    scissors: Arc<Scissors>,
}

/// Ends what somebody else waits for on a connection.
#[derive(Default)]
pub(super) struct Scissors(Mutex<Cut>);

#[derive(Default)]
struct Cut {
    is_cut: bool,
    waker: Option<Waker>,
}

impl fmt::Debug for Scissors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scissors")
    }
}

impl Scissors {
    /// Nothing is waited for on this connection any more.
    pub(super) fn cut(&self) {
        let mut cut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cut.is_cut = true;
        let waker = cut.waker.take();
        drop(cut);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_cut(&self, context: Option<&Context<'_>>) -> bool {
        let mut cut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cut.waker = context.map(|context| context.waker().clone());
        cut.is_cut
    }
}

/// Nothing came from the server in time.
fn silent() -> StoreFault {
    away("nothing comes from the server")
}

impl Client {
    /// Connects, in clear or with TLS.
    pub(super) fn connect(
        config: &Config,
        tls: Option<MakeRustlsConnect>,
    ) -> Result<Self, StoreFault> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreFault::Failed(error.into()))?;
        let connected = async {
            Ok::<_, Error>(match tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    (client, poller(connection))
                }
                Some(tls) => {
                    let (client, connection) = config.connect(tls).await?;
                    (client, poller(connection))
                }
            })
        };
        let connected = runtime.block_on(async { time::timeout(CONNECT, connected).await });
        let (client, poll) = match connected {
            Ok(Ok(connected)) => connected,
            failed => {
                // Not even for a name that is still looked up.
                runtime.shutdown_background();
                return Err(failed.map_or_else(|_| silent(), |failed| into_fault(failed.err())));
            }
        };
        let driver = Driver {
            runtime,
            poll,
            told: Vec::new(),
            limit: Some(CONNECT),
            scissors: Arc::default(),
        };
        Ok(Self {
            client: Some(client),
            driver,
        })
    }

    /// What ends the waiting of whoever uses this connection.
    pub(super) const fn scissors(&self) -> &Arc<Scissors> {
        &self.driver.scissors
    }

    /// How long an answer is waited for from now on; none: for as long as it
    /// takes.
    pub(super) const fn answer_within(&mut self, limit: Option<Duration>) {
        self.driver.limit = limit;
    }

    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, StoreFault> {
        self.ask(async |client| client.prepare(sql).await)?
            .map_err(StoreFault::from)
    }

    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Result<u64, Error>, StoreFault> {
        self.ask(async |client| client.execute(statement, params).await)
    }

    pub(super) fn query(
        &mut self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Result<Vec<Row>, Error>, StoreFault> {
        self.ask(async |client| client.query(statement, params).await)
    }

    pub(super) fn simple_query(
        &mut self,
        sql: &str,
    ) -> Result<Result<Vec<SimpleQueryMessage>, Error>, StoreFault> {
        self.ask(async |client| client.simple_query(sql).await)
    }

    /// Shows the rows of a statement one after the other as they come.
    pub(super) fn each(
        &mut self,
        sql: &str,
        look: &mut dyn FnMut(&Row) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        let rows = self.ask(async |client| client.query_raw(sql, Vec::<i64>::new()).await)??;
        let mut rows = Box::pin(rows);
        while let Some(row) = self.ask(async |_| rows.next().await.transpose())?? {
            look(&row)?;
        }
        Ok(())
    }

    /// Waits so long for notifications; gives what was said with all that have
    /// come.
    pub(super) fn notified(&mut self, time: Duration) -> Result<Vec<String>, StoreFault> {
        let driver = &mut self.driver;
        let (poll, told, scissors) = (&mut driver.poll, &mut driver.told, &driver.scissors);
        driver.runtime.block_on(async {
            let mut end = pin!(time::sleep(time));
            poll_fn(|context| {
                let is_over = drive(poll, told, context)?;
                if is_over || scissors.is_cut(Some(context)) {
                    return Poll::Ready(Err(away("the connection has ended")));
                }
                match told.is_empty() && end.as_mut().poll(context).is_pending() {
                    true => Poll::Pending,
                    false => Poll::Ready(Ok(())),
                }
            })
            .await
        })?;
        Ok(std::mem::take(&mut driver.told))
    }

    /// Asks for something and drives the connection until it is answered, or
    /// there is no answer in time: then the connection is of no use any more.
    fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, StoreFault> {
        let driver = &mut self.driver;
        let Some(client) = &self.client else {
            return Err(silent());
        };
        let (poll, told, scissors) = (&mut driver.poll, &mut driver.told, &driver.scissors);
        let limit = driver.limit;
        let asked = driver.runtime.block_on(async {
            let mut answer = pin!(question(client));
            // A limit that is never reached: some 30 years.
            let mut end = pin!(time::sleep(limit.unwrap_or(Duration::from_secs(1 << 30))));
            poll_fn(|context| {
                let driven = drive(poll, told, context);
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    // Why a connection has ended is told by itself.
                    return Poll::Ready(match (answer, driven) {
                        (Err(error), Err(fault)) if error.is_closed() => Err(fault),
                        (answer, _) => Ok(answer),
                    });
                }
                if let Err(fault) = driven {
                    return Poll::Ready(Err(fault));
                }
                let is_late = end.as_mut().poll(context).is_ready();
                match scissors.is_cut(Some(context)) || is_late {
                    true => Poll::Ready(Err(silent())),
                    false => Poll::Pending,
                }
            })
            .await
        });
        if asked.is_err() {
            scissors.cut();
        }
        asked
    }
}

/// Takes what the server sends; says whether the connection is over.
fn drive(
    poll: &mut Poller,
    told: &mut Vec<String>,
    context: &mut Context<'_>,
) -> Result<bool, StoreFault> {
    loop {
        match poll(context) {
            Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                told.push(notification.payload().to_owned());
            }
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Err(error.into()),
            Poll::Ready(None) => return Ok(true),
            Poll::Pending => return Ok(false),
        }
    }
}

fn poller<T>(mut connection: tokio_postgres::Connection<Socket, T>) -> Box<Poller>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::new(move |context| connection.poll_message(context))
}

fn into_fault(error: Option<Error>) -> StoreFault {
    let gone = || StoreFault::Failed(io::Error::from(io::ErrorKind::NotConnected).into());
    error.map_or_else(gone, StoreFault::from)
}

impl Drop for Client {
    /// Says goodbye, so that the server sees at once that nothing more comes.
    fn drop(&mut self) {
        drop(self.client.take());
        if self.driver.scissors.is_cut(None) {
            return;
        }
        let Driver {
            runtime,
            poll,
            told,
            ..
        } = &mut self.driver;
        let over = poll_fn(|context| match drive(poll, told, context) {
            Ok(false) => Poll::Pending,
            Ok(true) | Err(_) => Poll::Ready(()),
        });
        // It is gone already, or will see for itself.
        let _ = runtime.block_on(async { time::timeout(CLOSE, over).await });
    }
}
