//! Blocked addresses, as they are typed.

use argh::{ArgsInfo, FromArgs};

/// List the addresses that are blocked: they failed too often to prove anything.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "blocks",
    help_triggers("-h", "--help"),
    note = "Patients whom this practice knows are let in from a blocked address, too, at\na slower pace."
)]
pub struct Blocks {
    /// what else to do
    #[argh(subcommand)]
    pub command: Option<BlocksCommand>,
}

/// The commands of `doctor blocks`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "the variant's type has the words")]
pub enum BlocksCommand {
    Lift(Lift),
}

/// Lift the block of an address, or all of them.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "lift",
    help_triggers("-h", "--help"),
    usage = "ADDRESS | --all"
)]
pub struct Lift {
    /// the address, as it is listed
    #[argh(positional, arg_name = "ADDRESS")]
    pub address: Option<String>,
    /// all of them
    #[argh(switch)]
    pub all: bool,
}
