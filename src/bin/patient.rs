//! The patient's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    telemed::cli::patient::run(std::env::args_os().skip(1))
}
