//! File systems that keep no modes, as on most memory sticks: whoever can read
//! one file there can read all of them, here or wherever the stick is next.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FsWord, fstatfs, major};

/// What `fstatfs` calls those that are known (statfs(2) and Linux's
/// `fs/ntfs3/super.c`).
const MODELESS: [(FsWord, &str); 4] = [
    (0x4d44, "FAT"),
    (0x2011_bab0, "exFAT"),
    (0x5346_544e, "NTFS"),
    (0x7366_746e, "NTFS"),
];
/// What `fstatfs` calls all that a program serves (statfs(2)).
const FUSE: FsWord = 0x6573_5546;

/// A file system on which a mode, whatever it says, keeps nobody out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSystem {
    /// It keeps no modes.
    Modeless(&'static str),
    /// A program serves a whole disk, such as ntfs-3g or exfat-fuse: whether it
    /// keeps modes cannot be known.
    FuseDisk,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Modeless(name) => write!(f, "{name}, which keeps no file from other users"),
            Self::FuseDisk => f.write_str(
                "a disk that is read through FUSE, as by ntfs-3g or exfat-fuse, and it cannot be \
                 known whether that keeps files from other users",
            ),
        }
    }
}

/// The file system on which the file lies, if its modes are worth nothing.
pub(super) fn modeless(file: &File) -> Option<FileSystem> {
    // Where it cannot be told the file is treated like any other.
    let kind = fstatfs(file).ok()?.f_type;
    // Without a disk behind it, FUSE is a directory of this machine or another
    // one that a program passes on, with its modes (sshfs, gocryptfs). Such
    // devices have the major number 0.
    let has_disk = || file.metadata().is_ok_and(|found| major(found.dev()) != 0);
    if kind == FUSE {
        return has_disk().then_some(FileSystem::FuseDisk);
    }
    MODELESS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, name)| FileSystem::Modeless(name))
}
