//! `doctor keygen-group`, as it is typed.

use argh::{ArgsInfo, FromArgs};

/// Search for a group of one's own, to found a clinic on.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "keygen-group",
    help_triggers("-h", "--help"),
    usage = "--bits BITS --out FILE",
    note = "All processors search, from half a minute for 2048 bits to an hour for 4096.\nNobody needs this: the built-in groups are as good. The clinic is founded on\nit at the doctor's first start, with --group FILE."
)]
pub struct KeygenGroup {
    /// size of the group's prime: 2048, 3072 or 4096
    #[argh(option)]
    pub bits: String,
    /// the file to make
    #[argh(option, arg_name = "file")]
    pub out: String,
}
