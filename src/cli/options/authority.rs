//! What is wanted of the doctor's authority.

use std::path::PathBuf;

use super::super::args::authority::AuthorityCommand;
use super::super::exit::Failure;
use super::value::{path, value};

/// The longest reason, in bytes: the audit log cuts what is longer.
const MAX_REASON: usize = 500;

/// What `doctor authority` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthorityTask {
    /// Say what is there.
    Show,
    /// Move the root key into this directory.
    MoveRoot(PathBuf),
    /// Renew the certificate with the root key in this file, if not in the
    /// usual one.
    Renew(Option<PathBuf>),
    /// Replace the signing key.
    ReplaceKey {
        /// The root key's file, if not the usual one.
        root: Option<PathBuf>,
        /// Why.
        reason: String,
        /// Not to ask.
        yes: bool,
    },
}

impl AuthorityTask {
    /// Checks what was typed.
    pub(super) fn new(command: AuthorityCommand) -> Result<Self, Failure> {
        let root =
            |typed: Option<String>| typed.map(|typed| value("--root", &typed, path)).transpose();
        Ok(match command {
            AuthorityCommand::Show(_) => Self::Show,
            AuthorityCommand::MoveRoot(args) => {
                Self::MoveRoot(value("DIR", &args.directory, path)?)
            }
            AuthorityCommand::Renew(args) => Self::Renew(root(args.root)?),
            AuthorityCommand::ReplaceKey(args) => Self::ReplaceKey {
                root: root(args.root)?,
                reason: value("--reason", &args.reason, reason)?,
                yes: args.yes,
            },
        })
    }
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.len() {
        0 => Err("say why, in a few words".to_owned()),
        1..=MAX_REASON => Ok(text.to_owned()),
        _ => Err(format!("this has at most {MAX_REASON} bytes")),
    }
}
