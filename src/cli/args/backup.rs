//! Backups and the recovery code, as they are typed.

use argh::{ArgsInfo, FromArgs};

/// Make a backup of everything in a new file, sealed; or check one.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "backup", help_triggers("-h", "--help"))]
pub struct Backup {
    /// the file to make
    #[argh(positional, arg_name = "FILE")]
    pub file: Option<String>,
    /// what else to do
    #[argh(subcommand)]
    pub command: Option<BackupCommand>,
}

/// The commands of `doctor backup`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "the variant's type has the words")]
pub enum BackupCommand {
    Verify(Verify),
}

/// Open all of a backup and check everything in it.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "verify", help_triggers("-h", "--help"))]
pub struct Verify {
    /// the backup
    #[argh(positional, arg_name = "FILE")]
    pub file: String,
    /// file with the recovery code, - for standard input; without it this
    /// machine's own key is tried first, then the code is asked for
    #[argh(option, arg_name = "file")]
    pub recovery_code_file: Option<String>,
}

/// Make a practice anew from a backup, on an empty machine.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "restore", help_triggers("-h", "--help"))]
pub struct Restore {
    /// the backup
    #[argh(positional, arg_name = "FILE")]
    pub file: String,
    /// file with the recovery code, - for standard input
    #[argh(option, arg_name = "file")]
    pub recovery_code_file: Option<String>,
    /// file of signed heads of the audit log, which tells what happened after
    /// the backup
    #[argh(option, arg_name = "file")]
    pub heads: Option<String>,
}

/// Print a new recovery code, which opens backups; the older one is void.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "recovery-code", help_triggers("-h", "--help"))]
pub struct RecoveryCode {
    /// do not ask, in a clinic of several doctors
    #[argh(switch)]
    pub yes: bool,
    /// what else to do
    #[argh(subcommand)]
    pub command: Option<RecoveryCodeCommand>,
}

/// The commands of `doctor recovery-code`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "the variant's type has the words")]
pub enum RecoveryCodeCommand {
    Check(Check),
}

/// Say whether a recovery code is the right one.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "check", help_triggers("-h", "--help"))]
pub struct Check {
    /// file with the recovery code, - for standard input; without it the code
    /// is asked for
    #[argh(option, arg_name = "file")]
    pub recovery_code_file: Option<String>,
}
