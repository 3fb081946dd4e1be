//! Network addresses as people type them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The port used where none is named.
pub const DEFAULT_PORT: u16 = 7400;

/// Longest host name, in bytes: with brackets, colon and port it still fits the
/// 255 bytes it has in a ticket.
const MAX_HOST: usize = 247;

/// A host and a port: `clinic.example:7400`, `192.0.2.1`, `[2001:db8::1]:7400`.
/// Names are looked up only when the address is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port; 0 lets the system choose one to listen on.
    pub port: u16,
}

/// The text is no address. Says what one looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressError;

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an address is HOST:PORT, such as clinic.example:7400, 192.0.2.1:7400 or \
             [2001:db8::1]:7400; without a port 7400 is meant",
        )
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Whether it is the address that stands for all of a machine's, `0.0.0.0`
    /// or `::`: one can listen there, and not be reached.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    }

    /// All socket addresses the host stands for.
    ///
    /// # Errors
    /// If the name is not known, or has no address.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(AddressError)?;
            host.parse::<Ipv6Addr>().map_err(|_| AddressError)?;
            let port = match port.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if port.is_empty() => DEFAULT_PORT,
                None => return Err(AddressError),
            };
            return Ok(Self::new(host, port));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::new(text, DEFAULT_PORT));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, DEFAULT_PORT),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty()
            || host.len() > MAX_HOST
            || host.starts_with('-')
            || !host.chars().all(allowed)
        {
            return Err(AddressError);
        }
        Ok(Self::new(host, port))
    }
}

impl Address {
    fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }
}

/// Digits only: `+7400` is no port.
fn parse_port(text: &str) -> Result<u16, AddressError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError);
    }
    text.parse().map_err(|_| AddressError)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (typed, meant) in [
            ("127.0.0.1:7400", "127.0.0.1:7400"),
            ("127.0.0.1", "127.0.0.1:7400"),
            ("clinic.example:1", "clinic.example:1"),
            ("localhost:0", "localhost:0"),
            ("[::1]:65535", "[::1]:65535"),
            ("[::1]", "[::1]:7400"),
            ("::1", "[::1]:7400"),
            ("2001:db8::1", "[2001:db8::1]:7400"),
        ] {
            let address: Address = typed.parse().unwrap();
            assert_eq!(address.to_string(), meant);
            assert_eq!(meant.parse(), Ok(address));
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let long = format!("{}:1", "x".repeat(MAX_HOST + 1));
        for typed in [
            "",
            ":7400",
            "host:",
            "host:x",
            "host:+1",
            "host:65536",
            "a:b:1",
            "[::1",
            "[::1]x",
            "[host]:1",
            "ho st:1",
            "-host:1",
            "host/path:1",
            "http://host:1",
            "h\u{f6}st",
            &long,
        ] {
            assert_eq!(typed.parse::<Address>(), Err(AddressError), "{typed:?}");
        }
    }

    #[test]
    fn the_longest_address_fits_a_ticket() {
        let host = "x".repeat(MAX_HOST);
        let address: Address = format!("{host}:65535").parse().unwrap();
        assert!(address.to_string().len() <= 255);
    }

    #[test]
    fn loopback_resolves() {
        let found = Address::new("::1", 1).resolve().unwrap();
        assert_eq!(found, ["[::1]:1".parse().unwrap()]);
    }
}
