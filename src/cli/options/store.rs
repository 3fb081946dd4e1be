//! From where to where a practice is to be moved.

use std::path::PathBuf;

use super::super::args::store::{Store, StoreCommand};
use super::super::exit::Failure;
use super::value::{path, value};
use crate::cli::normalise::usage;
use crate::store::StoreChoice;

/// What `doctor store` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyTask {
    /// Where the practice is.
    pub from: StoreEnd,
    /// Where it is to go.
    pub to: StoreEnd,
}

/// A store, as it is named for a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreEnd {
    /// As `--store` names it.
    Usual(StoreChoice),
    /// A file anywhere.
    File(PathBuf),
}

impl CopyTask {
    /// Checks what was typed.
    pub(super) fn new(args: &Store) -> Result<Self, Failure> {
        let StoreCommand::Copy(args) = &args.command;
        let task = Self {
            from: value("--from", &args.from, end)?,
            to: value("--to", &args.to, end)?,
        };
        match task.from == task.to {
            true => Err(usage("--from and --to name the same store")),
            false => Ok(task),
        }
    }
}

/// Whatever has a slash and no scheme is a path.
fn end(text: &str) -> Result<StoreEnd, String> {
    match text.contains('/') && !text.contains("://") {
        true => Ok(StoreEnd::File(path(text)?)),
        false => text
            .parse()
            .map(StoreEnd::Usual)
            .map_err(|error| format!("{error}; or the path of a file, such as ./copy.db")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_word_an_address_or_a_path() {
        assert_eq!(end("sqlite"), Ok(StoreEnd::Usual(StoreChoice::File)));
        assert_eq!(end("./a.db"), Ok(StoreEnd::File("./a.db".into())));
        assert!(end("a.db").unwrap_err().contains("./copy.db"));
    }
}
