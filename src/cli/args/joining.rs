//! How somebody joins a clinic, as it is typed.

use argh::{ArgsInfo, FromArgs};

/// Print a one-time ticket with which a colleague joins the clinic.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "enrol-doctor",
    help_triggers("-h", "--help"),
    note = "She takes it with: doctor --id NAME --store ADDRESS enrol TICKET\nThe clinic's root key signs her certificate: the running server does that by\nitself if root.key lies in its directory, else: doctor authority sign"
)]
pub struct EnrolDoctor {
    /// identifier of the colleague, such as D2
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// doctor, assistant (calls patients, reads no notes) or auditor (reads the
    /// audit log only); default doctor
    #[argh(option)]
    pub role: Option<String>,
    /// how long the ticket is good, from 1h to 30d (default 24h)
    #[argh(option)]
    pub valid: Option<String>,
}
