//! Key files and their passphrase, as they are typed. A patient has only those
//! of her directory; the clinic's root key may lie by itself.

use argh::{ArgsInfo, FromArgs};

/// Change the passphrase of the keys, or show how they are protected.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "key", help_triggers("-h", "--help"))]
pub struct Key {
    /// what to do
    #[argh(subcommand)]
    pub command: KeyCommand,
}

/// The commands of `doctor key`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum KeyCommand {
    Passwd(Passwd),
    Show(Show),
}

/// Seal the keys under a passphrase, or another one; --plain-keys takes it off.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "passwd",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS]"
)]
pub struct Passwd {
    /// file with the new passphrase; without it the passphrase is asked for
    #[argh(option, arg_name = "file")]
    pub new_passphrase_file: Option<String>,
    /// a single key file, such as the root's in its drawer, instead of those in
    /// the data directory
    #[argh(option, arg_name = "file")]
    pub file: Option<String>,
    /// file with the passphrase of the root's key, if it has one of its own
    #[argh(option, arg_name = "file")]
    pub root_passphrase_file: Option<String>,
}

/// List the key files and how each is protected.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub struct Show {}

/// Change the passphrase of the keys, or show how they are protected.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "key", help_triggers("-h", "--help"))]
pub struct PatientKey {
    /// what to do
    #[argh(subcommand)]
    pub command: PatientKeyCommand,
}

/// The commands of `patient key`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum PatientKeyCommand {
    Passwd(PatientPasswd),
    Show(Show),
}

/// Seal the keys under a passphrase, or another one; --plain-keys takes it off.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "passwd",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS]"
)]
pub struct PatientPasswd {
    /// file with the new passphrase; without it the passphrase is asked for
    #[argh(option, arg_name = "file")]
    pub new_passphrase_file: Option<String>,
}
