//! Which store is meant.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "postgres")]
use super::PostgresAddress;

/// The word for the file.
const FILE: &str = "sqlite";

/// Where a practice keeps its state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StoreChoice {
    /// In the `SQLite` file in its data directory.
    #[default]
    File,
    /// In a database on a server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresAddress>),
}

impl FromStr for StoreChoice {
    type Err = String;

    /// `sqlite` or the address of a database. The error is a sentence, which
    /// holds nothing of what may be a password.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == FILE {
            return Ok(Self::File);
        }
        server(text)
    }
}

#[cfg(feature = "postgres")]
fn server(text: &str) -> Result<StoreChoice, String> {
    let address: PostgresAddress = text
        .parse()
        .map_err(|error| format!("{error}; or it is the word '{FILE}'"))?;
    Ok(StoreChoice::Server(Box::new(address)))
}

#[cfg(not(feature = "postgres"))]
fn server(text: &str) -> Result<StoreChoice, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err(
            "this program was built without PostgreSQL; use one that was built with \
             'make build' or 'cargo build --release --features postgres'"
                .to_owned(),
        );
    }
    Err(format!(
        "this is the word '{FILE}' or the address of a database, postgres://USER@HOST/DATABASE"
    ))
}

impl fmt::Display for StoreChoice {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str(FILE),
            #[cfg(feature = "postgres")]
            Self::Server(address) => f.write_str(address.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_the_word_or_an_address() {
        assert_eq!("sqlite".parse(), Ok(StoreChoice::File));
        let error = "mysql://x".parse::<StoreChoice>().unwrap_err();
        assert!(error.contains("'sqlite'"), "{error}");
        let address = "postgres://clinic@127.0.0.1/telemed";
        match address.parse::<StoreChoice>() {
            Ok(choice) => assert_eq!(choice.to_string(), address),
            Err(error) => assert!(error.contains("--features postgres"), "{error}"),
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = "postgres://clinic:hunter2@127.0.0.1/telemed".parse::<StoreChoice>();
        let error = error.unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
