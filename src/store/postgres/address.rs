//! Where the database is, as a URL.
//!
//! ```text
//! postgres://USER@HOST:PORT/DATABASE?sslrootcert=FILE
//! postgres://USER@/DATABASE?host=/run/postgresql
//! ```

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use postgres::Config;
use postgres::config::Host;

/// The port that servers listen on by default.
const PORT: u16 = 5432;
/// What may stand behind the question mark. More could lead elsewhere, weaken
/// the connection or hold a secret.
const PARAMETERS: [&str; 7] = [
    "host",
    "port",
    "user",
    "dbname",
    "options",
    "sslmode",
    "sslrootcert",
];

/// The address of a database on a `PostgreSQL` server. It holds no secret: a
/// password is looked up in a file when a connection is made.
#[derive(Clone)]
pub struct PostgresAddress {
    /// As it was written.
    text: String,
    config: Config,
    host: Host,
    port: u16,
    user: String,
    database: String,
    tls: Option<Tls>,
}

/// That the connection is encrypted, and the server's name verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tls {
    /// The certificates to verify it with; none for those of the system.
    pub roots: Option<PathBuf>,
}

/// Why a text is no address, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostgresAddressError(String);

impl fmt::Display for PostgresAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PostgresAddressError {}

fn refused<T>(sentence: impl Into<String>) -> Result<T, PostgresAddressError> {
    Err(PostgresAddressError(sentence.into()))
}

impl FromStr for PostgresAddress {
    type Err = PostgresAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((url, mode, roots)) = without_tls(text)? else {
            return refused(
                "an address of a database begins with 'postgres://', as in \
                 postgres://USER@HOST/DATABASE",
            );
        };
        let config: Config = match url.parse() {
            Ok(config) => config,
            // What is wrong in it may be a password: none of it is shown.
            Err(_) => return refused(MALFORMED),
        };
        if config.get_password().is_some() {
            return refused(PASSWORD);
        }
        let ([host], [] | [_]) = (config.get_hosts(), config.get_ports()) else {
            return refused(
                "an address of a database names one server, as in postgres://USER@HOST/DATABASE",
            );
        };
        let Some(user) = config.get_user() else {
            return refused(
                "the address of the database names no user; it should read \
                 postgres://USER@HOST/DATABASE",
            );
        };
        let address = Self {
            text: text.to_owned(),
            host: host.clone(),
            port: config.get_ports().first().copied().unwrap_or(PORT),
            user: user.to_owned(),
            database: config.get_dbname().unwrap_or(user).to_owned(),
            tls: None,
            config,
        };
        let tls = address.tls_for(mode.as_deref(), roots)?;
        Ok(Self { tls, ..address })
    }
}

const MALFORMED: &str = "this is not an address of a database; it should read \
     postgres://USER@HOST:PORT/DATABASE, with special characters as %XX";

const PASSWORD: &str = "the address of the database holds a password, which others could read in the \
     list of processes; leave it out and write it into the file ~/.pgpass or the one that \
     PGPASSFILE names, as the line HOST:PORT:DATABASE:USER:PASSWORD";

/// Whether it is what a parameter or its value is called: only that is ever shown.
fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-')
}

/// The URL without what it says of TLS; that; and the file of certificates.
/// None if it is no URL of a database.
#[expect(clippy::type_complexity, reason = "used in one place")]
fn without_tls(
    text: &str,
) -> Result<Option<(String, Option<String>, Option<PathBuf>)>, PostgresAddressError> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return Ok(None);
    }
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "password" => return refused(PASSWORD),
            // A password in which a '?' was not written as %3F ends up here.
            name if !is_word(name) => return refused(MALFORMED),
            name if !PARAMETERS.contains(&name) => {
                return refused(format!(
                    "'{name}' is not known in an address of a database; known are: {}",
                    PARAMETERS.join(", ")
                ));
            }
            "sslmode" => mode = Some(value.to_owned()),
            "sslrootcert" => roots = Some(PathBuf::from(decoded(value)?)),
            _ => rest.push(parameter),
        }
    }
    let url = match rest.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", rest.join("&")),
    };
    Ok(Some((url, mode, roots)))
}

/// A value of a URL in clear.
fn decoded(value: &str) -> Result<String, PostgresAddressError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return refused("a '%' in an address of a database is followed by two digits");
        };
        bytes.push(byte);
        rest = &tail[2..];
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => refused("the address of the database is not text"),
    }
}

impl PostgresAddress {
    /// How to encrypt. On this machine nobody can listen; elsewhere there is no
    /// way around it.
    fn tls_for(
        &self,
        mode: Option<&str>,
        roots: Option<PathBuf>,
    ) -> Result<Option<Tls>, PostgresAddressError> {
        match mode {
            None if self.is_local() => Ok(roots.map(|roots| Tls { roots: Some(roots) })),
            Some("disable" | "allow" | "prefer") if self.is_local() => Ok(None),
            None | Some("require" | "verify-ca" | "verify-full") => Ok(Some(Tls { roots })),
            Some(mode @ ("disable" | "allow" | "prefer")) => refused(format!(
                "'sslmode={mode}' is refused: the connection to the database on another machine \
                 must be encrypted; leave it out, and name the certificate of who signed the \
                 server's with 'sslrootcert=FILE' if it is your own"
            )),
            Some(mode) if !is_word(mode) => refused(MALFORMED),
            Some(mode) => refused(format!(
                "'sslmode={mode}' is not known; leave it out, or use 'sslmode=verify-full'"
            )),
        }
    }

    fn is_local(&self) -> bool {
        match &self.host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }

    /// The settings to connect with, but for what the program adds.
    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    pub(super) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The directory of the socket, if it is one.
    pub(super) fn socket_directory(&self) -> Option<&Path> {
        match &self.host {
            Host::Unix(directory) => Some(directory),
            Host::Tcp(_) => None,
        }
    }

    /// Name or number of the server, or the directory of its socket.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => name.clone(),
            Host::Unix(directory) => directory.display().to_string(),
        }
    }

    /// The port it listens on; also part of the name of a socket.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whom to connect as.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The whole of it as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Server and database, as they stand in sentences: `HOST:PORT/DATABASE`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.host(), self.port, self.database)
    }
}

impl PartialEq for PostgresAddress {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PostgresAddress {}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}", self.user, self.place())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresAddress {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<PostgresAddress>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_says_who_and_where() {
        let address = parsed("postgres://clinic@db.example:5433/telemed");
        assert_eq!(
            address.to_string(),
            "postgres://clinic@db.example:5433/telemed"
        );
        assert_eq!(address.place(), "db.example:5433/telemed");
        let short = parsed("postgresql://clinic@db.example");
        assert_eq!(short.place(), "db.example:5432/clinic");
        let ip = parsed("postgres://clinic@[::1]/telemed");
        assert_eq!(ip.place(), "[::1]:5432/telemed");
        for text in [
            "postgres://clinic@/telemed?host=/run/postgresql",
            "postgres://clinic@%2Frun%2Fpostgresql/telemed",
        ] {
            let socket = parsed(text);
            assert_eq!(socket.place(), "/run/postgresql:5432/telemed");
            assert_eq!(
                socket.socket_directory(),
                Some(Path::new("/run/postgresql"))
            );
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in [
            "postgres://clinic:hunter2@localhost/telemed",
            "postgres://clinic@localhost/telemed?password=hunter2",
            "postgres://clinic@localhost/telemed?p%61ssword=hunter2",
            "postgres://clinic:hunter2@localhost:port/telemed",
            "clinic:hunter2@localhost",
            "postgres://clinic:what?hunter2@localhost/telemed",
            "postgres://clinic:what?sslmode=hunter2@localhost/telemed",
        ] {
            let sentence = refusal(text);
            assert!(!sentence.contains("hunter2"), "{sentence}");
        }
        let sentence = refusal("postgres://clinic:hunter2@localhost/telemed");
        assert!(sentence.contains(".pgpass"), "{sentence}");
    }

    #[test]
    fn to_another_machine_there_is_no_way_around_tls() {
        for host in ["db.example", "192.0.2.1", "[2001:db8::1]"] {
            let url = format!("postgres://clinic@{host}/telemed");
            assert_eq!(parsed(&url).tls(), Some(&Tls { roots: None }));
            for mode in ["disable", "allow", "prefer"] {
                let sentence = refusal(&format!("{url}?sslmode={mode}"));
                assert!(sentence.contains("encrypted"), "{sentence}");
            }
        }
        let roots = Some(PathBuf::from("/etc/my ca.pem"));
        let own = "postgres://clinic@db.example/telemed?sslrootcert=/etc/my%20ca.pem";
        assert_eq!(parsed(own).tls(), Some(&Tls { roots }));
        for local in ["localhost", "127.0.0.1", "[::1]", "%2Frun"] {
            let url = format!("postgres://clinic@{local}/telemed");
            assert_eq!(parsed(&url).tls(), None);
            assert!(
                parsed(&format!("{url}?sslmode=verify-full"))
                    .tls()
                    .is_some()
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, word) in [
            ("sqlite://telemed.db", "postgres://"),
            ("postgres://db.example/telemed", "user"),
            ("postgres://clinic@/telemed", "one server"),
            ("postgres://clinic@a,b/telemed", "one server"),
            (
                "postgres://clinic@a/telemed?hostaddr=192.0.2.1",
                "'hostaddr'",
            ),
            (
                "postgres://clinic@a/telemed?sslmode=maybe",
                "'sslmode=maybe'",
            ),
            ("postgres://clinic@a/telemed?sslrootcert=%zz", "two digits"),
        ] {
            let sentence = refusal(text);
            assert!(sentence.contains(word), "{sentence}");
        }
    }
}
