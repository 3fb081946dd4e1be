//! What is wanted of the doctor's authority.

use std::path::PathBuf;

use super::super::args::authority::AuthorityCommand;
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::audit;
use super::value::{identifier, path, value};
use crate::clock::Timestamp;
use crate::doctor::devices::check_reason;
use crate::doctor::staff::Enrolled;
use crate::identity::id::Identifier;

/// The longest reason, in bytes: the audit log cuts what is longer.
const MAX_REASON: usize = 500;

/// What `doctor authority` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthorityTask {
    /// Say what is there.
    Show,
    /// Move the root key into this directory.
    MoveRoot(PathBuf),
    /// Renew the certificate with this root key.
    Renew(RootFile),
    /// Sign who asks to join the clinic.
    Sign {
        /// The root key.
        root: RootFile,
        /// Not to ask.
        yes: bool,
    },
    /// Take somebody out of the clinic.
    RevokeDoctor {
        /// Whom.
        name: Identifier,
        /// The root key.
        root: RootFile,
        /// Why.
        reason: String,
        /// The devices she has enrolled, too.
        devices: Option<Enrolled>,
        /// Not to ask.
        yes: bool,
    },
    /// Replace the signing key.
    ReplaceKey {
        /// The root key.
        root: RootFile,
        /// Why.
        reason: String,
        /// Not to ask.
        yes: bool,
    },
}

/// Where the root key is read from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RootFile {
    /// Its file, if not the usual one.
    pub file: Option<PathBuf>,
    /// The file with its passphrase, if it has one of its own.
    pub passphrase: Option<PathBuf>,
}

impl RootFile {
    fn new(file: Option<String>, passphrase: Option<String>) -> Result<Self, Failure> {
        let checked = |name: &str, typed: Option<String>| {
            typed.map(|typed| value(name, &typed, path)).transpose()
        };
        Ok(Self {
            file: checked("--root", file)?,
            passphrase: checked("--root-passphrase-file", passphrase)?,
        })
    }
}

impl AuthorityTask {
    /// Checks what was typed.
    pub(super) fn new(command: AuthorityCommand) -> Result<Self, Failure> {
        Ok(match command {
            AuthorityCommand::Show(_) => Self::Show,
            AuthorityCommand::MoveRoot(args) => {
                Self::MoveRoot(value("DIR", &args.directory, path)?)
            }
            AuthorityCommand::Renew(args) => {
                Self::Renew(RootFile::new(args.root, args.root_passphrase_file)?)
            }
            AuthorityCommand::Sign(args) => Self::Sign {
                root: RootFile::new(args.root_key, args.root_passphrase_file)?,
                yes: args.yes,
            },
            AuthorityCommand::RevokeDoctor(args) => Self::RevokeDoctor {
                name: value("NAME", &args.name, identifier)?,
                root: RootFile::new(args.root_key, args.root_passphrase_file)?,
                reason: value("--reason", &args.reason, check_reason)?,
                devices: enrolled(args.devices, args.since)?,
                yes: args.yes,
            },
            AuthorityCommand::ReplaceKey(args) => Self::ReplaceKey {
                root: RootFile::new(args.root, args.root_passphrase_file)?,
                reason: value("--reason", &args.reason, reason)?,
                yes: args.yes,
            },
        })
    }
}

fn enrolled(devices: bool, since: Option<String>) -> Result<Option<Enrolled>, Failure> {
    if since.is_some() && !devices {
        return Err(usage("--since needs --devices"));
    }
    let millis = since.map(|text| value("--since", &text, audit::since));
    let since = millis.transpose()?.map(Timestamp::from_millis);
    Ok(devices.then_some(Enrolled { since }))
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.len() {
        0 => Err("say why, in a few words".to_owned()),
        1..=MAX_REASON => Ok(text.to_owned()),
        _ => Err(format!("this has at most {MAX_REASON} bytes")),
    }
}
