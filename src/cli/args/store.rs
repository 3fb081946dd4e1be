//! `doctor store`, as it is typed.

use argh::{ArgsInfo, FromArgs};

/// Move the practice into another store.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "store",
    help_triggers("-h", "--help"),
    usage = "COMMAND"
)]
pub struct Store {
    /// what to do
    #[argh(subcommand)]
    pub command: StoreCommand,
}

/// The commands of `doctor store`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum StoreCommand {
    Copy(Copy),
}

/// Copy everything into an empty store and go on there.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "copy",
    help_triggers("-h", "--help"),
    usage = "--from STORE --to STORE",
    note = "STORE is the address of a PostgreSQL database, postgres://USER@HOST/DATABASE,\nthe word sqlite for the file in the data directory, or the path of a file. The\ndoctor's server must not run. What is copied is read back and compared; then\nthe old store says that the practice has moved, and is kept. A copy that was\ncut short goes on with the same command."
)]
pub struct Copy {
    /// where the practice is
    #[argh(option, arg_name = "store")]
    pub from: String,
    /// where it is to go; must be empty
    #[argh(option, arg_name = "store")]
    pub to: String,
}
