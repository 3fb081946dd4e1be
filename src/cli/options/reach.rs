//! Whether a patient's command connects, and for how long.

use std::time::Duration;

use super::value::{seconds, value};
use crate::cli::exit::Failure;
use crate::cli::normalise::usage;

/// Whether a command connects, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Not at all.
    Offline,
    /// Once, for as long as it takes.
    Once,
    /// Again and again, until what is wanted has come or this time is over.
    Wait(Duration),
}

impl Reach {
    /// What the options say.
    pub(super) fn new(offline: bool, wait: Option<&str>) -> Result<Self, Failure> {
        match (offline, wait) {
            (true, Some(_)) => Err(usage("--offline and --wait exclude each other")),
            (true, None) => Ok(Self::Offline),
            (false, None) => Ok(Self::Once),
            (false, Some(text)) => value("--wait", text, seconds).map(Self::Wait),
        }
    }
}
