//! The doctor's program: the server, with its menu and commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    telemed::cli::doctor::run(std::env::args_os().skip(1))
}
