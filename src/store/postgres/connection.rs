//! One connection: how it is made, and statements on it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{SslMode, TargetSessionAttrs};
use postgres::error::SqlState;
use postgres::types::{FromSql, ToSql};
use postgres::{Row, SimpleQueryMessage, Statement};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresAddress;
use super::address::Tls;
use super::client::{ANSWER, Client, Door, Scissors};
use super::password;
use crate::random::{self, OsRandom};
use crate::store::StoreFault;

/// The least version of the server.
const LEAST: u32 = 13;
/// How long to wait for a server that does not answer.
const CONNECT: Duration = Duration::from_secs(3);
/// How long what was sent may remain unacknowledged by the other machine.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// A connection on which nothing happens is tried after this time, and given up
/// after some more of this length.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);
/// The certificates that this machine trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What the server is to give up after: a statement, waiting for a lock, a
/// program that went silent in the middle of a change, and one whose machine or
/// line is gone, with everything that it holds: after 11 seconds, or 10 if the
/// server has sent it something. A commit is on the disk before it is answered,
/// whatever the server's default.
const SETTINGS: &str = "-c statement_timeout=30s -c lock_timeout=5s \
    -c idle_in_transaction_session_timeout=30s -c tcp_keepalives_idle=5 \
    -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10s \
    -c client_min_messages=error";

/// The parameters of a statement.
pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// A connection to the server.
pub(super) struct Connection {
    client: Client,
    /// What was prepared on it, by its text.
    statements: HashMap<String, Statement>,
    /// Its row in the table `last_commit`.
    pub(super) name: [u8; 16],
    /// How many changes were begun on it.
    pub(super) changes: u64,
    /// Whether the server gave up a change for the sake of another: the same
    /// may go well when it is done again.
    pub(super) gave_way: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Connects, by this door; `name` is shown in the server's list of
    /// connections.
    pub(super) fn open(
        address: &PostgresAddress,
        name: &str,
        door: &Door,
    ) -> Result<Self, StoreFault> {
        let mut config = address.config();
        let options = [config.get_options().unwrap_or(""), SETTINGS].join(" ");
        config
            .options(options.trim_start())
            .application_name(name)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE.0)
            .keepalives_interval(KEEPALIVE.1)
            .keepalives_retries(KEEPALIVE.2);
        // The crate keeps a copy until the attempt to connect has ended, and does
        // not wipe it; ours is gone at the end of this function.
        if let Some(password) = password::find(address)? {
            config.password(password.expose());
        }
        let (mode, tls) = match address.tls() {
            None => (SslMode::Disable, None),
            Some(tls) => {
                let tls = MakeRustlsConnect::new(verifying(tls)?);
                (SslMode::Require, Some(tls))
            }
        };
        config.ssl_mode(mode);
        let client = Client::connect(config, tls, door)?;
        let mut connection = Self {
            client,
            statements: HashMap::new(),
            name: random::array(&mut OsRandom),
            changes: 0,
            gave_way: false,
        };
        connection.look_at_server()?;
        connection.answer_within(Some(ANSWER));
        Ok(connection)
    }

    /// Refuses a server that could not keep what it is given.
    fn look_at_server(&mut self) -> Result<(), StoreFault> {
        let row = self.first(
            "SELECT current_setting('server_encoding'), current_schema(), set_config(
                 'synchronous_commit', CASE current_setting('synchronous_commit')
                     WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
                 current_setting('server_version_num'), current_setting('server_version')",
            &[],
        )?;
        let Some(row) = &row else {
            return Err(StoreFault::Failed("it does not say what it is".into()));
        };
        refuse_old(&value::<String>(row, 3)?, &value::<String>(row, 4)?)?;
        let encoding: String = value(row, 0)?;
        if encoding != "UTF8" {
            return Err(StoreFault::Refused(format!(
                "its encoding is {encoding}; make it anew with: createdb --encoding=UTF8"
            )));
        }
        let schema: Option<String> = value(row, 1)?;
        match schema {
            Some(_) => Ok(()),
            None => Err(StoreFault::Refused(
                "it has no schema to put tables into; see its search_path".into(),
            )),
        }
    }

    /// What ends the waiting of whoever uses it.
    pub(super) const fn scissors(&self) -> &Arc<Scissors> {
        self.client.scissors()
    }

    /// Whether nothing came on it in time, or it was cut.
    pub(super) fn is_silent(&self) -> bool {
        self.client.scissors().is_cut()
    }

    /// An answer is waited for no longer than this from now on; none: for as
    /// long as it takes.
    pub(super) const fn answer_within(&mut self, limit: Option<Duration>) {
        self.client.answer_within(limit);
    }

    /// From now on a statement may take as long as it likes.
    pub(super) fn take_time(&mut self) -> Result<(), StoreFault> {
        self.answer_within(None);
        self.batch("SET statement_timeout = 0").map(drop)
    }

    /// The same as for others again.
    pub(super) fn hurry_again(&mut self) -> Result<(), StoreFault> {
        self.answer_within(Some(ANSWER));
        self.batch("RESET statement_timeout").map(drop)
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreFault> {
        Ok(match self.statements.entry(sql.to_owned()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(self.client.prepare(sql)?).clone(),
        })
    }

    fn noted<T>(&mut self, result: Result<T, postgres::Error>) -> Result<T, StoreFault> {
        result.map_err(|error| {
            self.gave_way = matches!(
                error.code(),
                Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
            );
            error.into()
        })
    }

    /// Runs a statement; says how many rows it changed.
    pub(super) fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64, StoreFault> {
        let statement = self.prepared(sql)?;
        let result = self.client.execute(&statement, params)?;
        self.noted(result)
    }

    /// All rows of a statement.
    pub(super) fn rows(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreFault> {
        let statement = self.prepared(sql)?;
        let result = self.client.query(&statement, params)?;
        self.noted(result)
    }

    /// The first row of a statement.
    pub(super) fn first(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, StoreFault> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }

    /// The one value of a statement that always has one.
    pub(super) fn number(&mut self, sql: &str, params: Params<'_>) -> Result<u64, StoreFault> {
        match self.first(sql, params)? {
            Some(row) => value(&row, 0),
            None => Ok(0),
        }
    }

    /// Shows the rows of a statement one after the other as they come.
    pub(super) fn each(
        &mut self,
        sql: &str,
        look: &mut dyn FnMut(&Row) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        self.client.each(sql, look)
    }

    /// Waits so long for notifications; gives what `hear` makes of those that have
    /// come.
    pub(super) fn notified<T: Default + Send + 'static>(
        &mut self,
        time: Duration,
        hear: fn(&mut T, &str),
    ) -> Result<T, StoreFault> {
        self.client.notified(time, hear)
    }

    /// Runs statements without parameters, in one trip to the server; gives the
    /// first column of the last row.
    pub(super) fn batch(&mut self, sql: &str) -> Result<Option<String>, StoreFault> {
        let answers = self.client.simple_query(sql)?;
        let answers = self.noted(answers)?;
        let last = answers.iter().rev().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
            _ => None,
        });
        Ok(last)
    }
}

/// Refuses a server that lacks what the tables need; `number` is its version as
/// one number, and `version` as it is written.
fn refuse_old(number: &str, version: &str) -> Result<(), StoreFault> {
    match number.parse::<u32>() {
        Ok(number) if number / 10_000 >= LEAST => Ok(()),
        _ => Err(StoreFault::Refused(format!(
            "its server is PostgreSQL {version}, and telemed needs {LEAST} or newer"
        ))),
    }
}

/// Verifies the server's certificate and that it is for the name in the address.
fn verifying(tls: &Tls) -> Result<ClientConfig, StoreFault> {
    let file = tls.roots.as_deref().unwrap_or(Path::new(SYSTEM_ROOTS));
    let unusable = |error: &dyn fmt::Display| {
        let file = file.display();
        StoreFault::Refused(format!(
            "the certificates in '{file}', to verify the server with, cannot be used: {error}"
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        // One that cannot be used is no reason not to trust the others.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(unusable(&"there are none"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What a column holds, in terms of this program.
pub(super) trait Value: Sized {
    /// The same in terms of the database.
    type Raw<'r>: FromSql<'r>;

    /// The value, unless the column cannot hold this.
    fn read(raw: Self::Raw<'_>) -> Option<Self>;
}

/// The value in this place of a row.
pub(super) fn value<T: Value>(row: &Row, place: usize) -> Result<T, StoreFault> {
    T::read(row.try_get(place)?).ok_or_else(|| {
        let name = row.columns().get(place).map_or("?", |column| column.name());
        StoreFault::Damaged(format!("a value in the column '{name}' means nothing"))
    })
}
