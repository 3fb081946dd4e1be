//! What is to be done about backups and the recovery code.

use std::path::PathBuf;

use super::super::args::backup::{
    Backup, BackupCommand, RecoveryCode, RecoveryCodeCommand, Restore,
};
use super::super::exit::Failure;
use super::super::normalise::usage;

/// What `doctor` is to do about backups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackupTask {
    /// Make one in this file.
    Make(PathBuf),
    /// Check this one.
    Verify(PathBuf, CodeSource),
    /// Restore this one, with a file of heads.
    Restore(PathBuf, CodeSource, Option<PathBuf>),
    /// Make a new recovery code.
    NewCode {
        /// Whether nobody is asked.
        yes: bool,
    },
    /// Check a recovery code.
    CheckCode(CodeSource),
}

/// Where a recovery code comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeSource {
    /// From the person at the terminal.
    Asked,
    /// From standard input.
    StandardInput,
    /// From this file.
    File(PathBuf),
}

impl CodeSource {
    fn new(file: Option<String>) -> Result<Self, Failure> {
        Ok(match file.as_deref() {
            None => Self::Asked,
            Some("-") => Self::StandardInput,
            Some(_) => path("--recovery-code-file", file.unwrap_or_default()).map(Self::File)?,
        })
    }
}

impl BackupTask {
    pub(super) fn backup(args: Backup) -> Result<Self, Failure> {
        match (args.file, args.command) {
            (Some(file), None) => Ok(Self::Make(path("FILE", file)?)),
            (None, Some(BackupCommand::Verify(args))) => {
                let code = CodeSource::new(args.recovery_code_file)?;
                Ok(Self::Verify(path("FILE", args.file)?, code))
            }
            _ => Err(usage("the command needs FILE")),
        }
    }

    pub(super) fn restore(args: Restore) -> Result<Self, Failure> {
        let code = CodeSource::new(args.recovery_code_file)?;
        let heads = args.heads.map(|heads| path("--heads", heads)).transpose()?;
        Ok(Self::Restore(path("FILE", args.file)?, code, heads))
    }

    pub(super) fn recovery_code(args: RecoveryCode) -> Result<Self, Failure> {
        match args.command {
            None => Ok(Self::NewCode { yes: args.yes }),
            Some(RecoveryCodeCommand::Check(args)) => {
                CodeSource::new(args.recovery_code_file).map(Self::CheckCode)
            }
        }
    }
}

fn path(what: &str, text: String) -> Result<PathBuf, Failure> {
    if text.is_empty() {
        return Err(usage(format!(
            "{what} \"\": the name of a file is not empty"
        )));
    }
    Ok(PathBuf::from(text))
}
