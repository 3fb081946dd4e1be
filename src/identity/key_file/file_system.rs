//! File systems that keep no modes, as on most memory sticks: whoever can read
//! one file there can read all of them.

use std::fs::File;

use rustix::fs::{FsWord, fstatfs};

/// What `fstatfs` calls those that are known (statfs(2) and Linux's
/// `fs/ntfs3/super.c`).
const MODELESS: [(FsWord, &str); 4] = [
    (0x4d44, "FAT"),
    (0x2011_bab0, "exFAT"),
    (0x5346_544e, "NTFS"),
    (0x7366_746e, "NTFS"),
];

/// The name of the file system on which the file lies, if it keeps no modes.
pub(super) fn modeless(file: &File) -> Option<&'static str> {
    // Where it cannot be told the file is treated like any other.
    let kind = fstatfs(file).ok()?.f_type;
    MODELESS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, name)| *name)
}
