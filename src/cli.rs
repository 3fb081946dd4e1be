//! The command line and the terminal: what both programs share in talking to
//! people and shells.

use std::fmt;

pub mod args;
mod configuration;
pub mod doctor;
pub mod exit;
mod input;
mod key;
pub mod menu;
mod normalise;
mod notify;
pub mod options;
pub mod output;
pub mod passphrase;
pub mod patient;
pub mod qr;
pub mod terminal;
pub mod text;

/// Which of the two programs is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// The server.
    Doctor,
    /// The client.
    Patient,
}

impl Program {
    /// The name of the program, as it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Patient => "patient",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
