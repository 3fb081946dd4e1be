//! The file of signed heads, which may lie on another disk or machine: one JSON
//! object a line. With the clinic's root fingerprint and nothing else anybody
//! can check it, and with it the log. It also says which certificates were
//! stopped, so that after the restore of an older backup it is known which of
//! them the backup takes for good.
//!
//! ```text
//! {"v":1,"type":"certificates","root":HEX,"group":HEX or "","doctors":[HEX]}
//! {"v":1,"type":"head","number":N,"link":HEX,"at":MILLIS,"certificate":HEX,"signature":HEX}
//! {"v":1,"type":"revocation","serial":HEX,"subject":"P1","state":"frozen","at":MILLIS,"certificate":HEX,"signature":HEX}
//! ```
//!
//! `group` is the prime of a group that is not built in. A program killed while
//! it writes may leave a line without its end: that one is passed over.

mod line;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::head::Head;
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;

pub use line::json;
pub use read::{Contents, Lines, open, read};
pub use write::{HeadsFile, Known};

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The certificates that the heads are checked with.
    Certificates(Papers),
    /// A signed head.
    Head(Head),
    /// A certificate was stopped.
    Revocation(Revocation),
    /// Something else, perhaps of a later version.
    Other,
}

/// The file cannot be used.
#[derive(Debug)]
pub struct HeadsFileError {
    path: PathBuf,
    fault: HeadsFileFault,
}

/// What is wrong with the file.
#[derive(Debug)]
pub enum HeadsFileFault {
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be made or written.
    Write(io::Error),
    /// It holds the heads of another clinic.
    OtherClinic,
}

impl HeadsFileError {
    fn new(path: &Path, fault: HeadsFileFault) -> Self {
        let path = path.to_owned();
        Self { path, fault }
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &HeadsFileFault {
        &self.fault
    }
}

impl fmt::Display for HeadsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            HeadsFileFault::Read(error) => {
                write!(
                    f,
                    "the file of audit heads '{path}' cannot be read: {error}"
                )
            }
            HeadsFileFault::Write(error) => write!(
                f,
                "the file of audit heads '{path}' cannot be written: {error}; check that its \
                 directory is there and has space, or name another file with --audit-heads"
            ),
            HeadsFileFault::OtherClinic => write!(
                f,
                "the file of audit heads '{path}' belongs to another clinic; name another file \
                 with --audit-heads"
            ),
        }
    }
}

impl std::error::Error for HeadsFileError {}
