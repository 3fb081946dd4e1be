//! The doctor's authority, as it is typed.

use argh::{ArgsInfo, FromArgs};

/// Look after the doctor's certificate and the clinic's root.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "authority",
    help_triggers("-h", "--help"),
    usage = "COMMAND"
)]
pub struct Authority {
    /// what to do
    #[argh(subcommand)]
    pub command: AuthorityCommand,
}

/// The commands of `doctor authority`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum AuthorityCommand {
    Show(Show),
    MoveRoot(MoveRoot),
    Renew(Renew),
    Sign(Sign),
    RevokeDoctor(RevokeDoctor),
    ReplaceKey(ReplaceKey),
}

/// Show the root's fingerprint, the doctor's certificate and her prekeys.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub struct Show {}

/// Move the clinic's root key to a memory stick, for a drawer.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "move-root",
    help_triggers("-h", "--help"),
    note = "The file is copied and compared; only then the one here is removed."
)]
pub struct MoveRoot {
    /// the directory to move root.key to
    #[argh(positional, arg_name = "DIR")]
    pub directory: String,
}

/// Renew the doctor's certificate, for the same key and another year.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "renew",
    help_triggers("-h", "--help"),
    note = "A running server takes it over at once: patients are disconnected, come back\nby themselves, and need no new ticket."
)]
pub struct Renew {
    /// the root key (default root.key in the doctor's directory)
    #[argh(option, arg_name = "file")]
    pub root: Option<String>,
    /// file with the root key's passphrase, if it has one of its own
    #[argh(option, arg_name = "file")]
    pub root_passphrase_file: Option<String>,
}

/// Sign who asks to join the clinic.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "sign",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS]",
    note = "Each is shown with the fingerprint of her request, which she is shown too:\ncompare it over the phone."
)]
pub struct Sign {
    /// the root key (default root.key in the doctor's directory)
    #[argh(option, arg_name = "file")]
    pub root_key: Option<String>,
    /// file with the root key's passphrase, if it has one of its own
    #[argh(option, arg_name = "file")]
    pub root_passphrase_file: Option<String>,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
}

/// Take a doctor, assistant or auditor out of the clinic, for good.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "revoke-doctor",
    help_triggers("-h", "--help"),
    usage = "NAME --reason TEXT [OPTIONS]",
    note = "All servers hear of it at once, and patients when they connect; hers stops.\nDevices that she has enrolled stay, unless --devices is said: say it if her\nmachine was stolen, also later.\nShe still has the data key and the database's password: change that at\nPostgreSQL. Another doctor gets another name:\npatients' programs that know this one take no other key under it."
)]
pub struct RevokeDoctor {
    /// identifier of the colleague, such as D2
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// the root key (default root.key in the doctor's directory)
    #[argh(option, arg_name = "file")]
    pub root_key: Option<String>,
    /// file with the root key's passphrase, if it has one of its own
    #[argh(option, arg_name = "file")]
    pub root_passphrase_file: Option<String>,
    /// why; it stands in the audit log
    #[argh(option, arg_name = "text")]
    pub reason: String,
    /// also revoke the patients' devices that she has enrolled
    #[argh(switch)]
    pub devices: bool,
    /// with --devices: only those enrolled since this day or time
    #[argh(option, arg_name = "time")]
    pub since: Option<String>,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
}

/// Replace the doctor's signing key, because somebody else may have it.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "replace-key",
    help_triggers("-h", "--help"),
    usage = "--reason TEXT [OPTIONS]",
    note = "Her server may not run. The certificates of all patients whom she has enrolled\nare revoked: each needs a new ticket, and keeps her messages. What is on file\nstays as it is."
)]
pub struct ReplaceKey {
    /// the root key (default root.key in the doctor's directory)
    #[argh(option, arg_name = "file")]
    pub root: Option<String>,
    /// file with the root key's passphrase, if it has one of its own
    #[argh(option, arg_name = "file")]
    pub root_passphrase_file: Option<String>,
    /// why, for the audit log
    #[argh(option, arg_name = "text")]
    pub reason: String,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
}
