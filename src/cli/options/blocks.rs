//! What is wanted of the blocked addresses.

use super::super::args::blocks::{Blocks, BlocksCommand};
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::value::value;
use crate::doctor::blocks::Request;

/// Checks what was typed.
pub(super) fn request(args: &Blocks) -> Result<Request, Failure> {
    let Some(BlocksCommand::Lift(lift)) = &args.command else {
        return Ok(Request::List);
    };
    match (&lift.address, lift.all) {
        (None, true) => Ok(Request::Lift(None)),
        (Some(address), false) => {
            let parse = |text: &str| {
                text.parse()
                    .map_err(|_| "this is an IP address, as 'doctor blocks' lists them".to_owned())
            };
            value("ADDRESS", address, parse).map(|address| Request::Lift(Some(address)))
        }
        _ => Err(usage(
            "name the ADDRESS whose block is to be lifted, or say --all",
        )),
    }
}
