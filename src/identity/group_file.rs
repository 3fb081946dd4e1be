//! Files that hold a group, for a clinic that is founded on one of its own.
//!
//! ```text
//! telemed-group 1
//! the prime in hexadecimal digits, in as many lines as it takes
//! ```
//!
//! Spaces and line ends between digits count for nothing. A group is public;
//! whatever the file says, its prime passes every check of [`Group::import`]
//! before it is used.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::elgamal::{Group, GroupError};
use crate::hex;
use crate::identity::key_file::quoted;
use crate::new_file::{NewFile, PublishError};
use crate::random::Random;

/// What the file begins with; the number is the format's.
const FIRST_LINE: &str = "telemed-group 1";
/// Hexadecimal digits a line.
const DIGITS_PER_LINE: usize = 64;
/// The longest file that is read, in bytes; a group of 4096 bits takes 1,056.
const MAX_FILE_LEN: u64 = 8192;

/// A group file could not be read or written.
#[derive(Debug)]
pub struct GroupFileError {
    path: PathBuf,
    fault: GroupFileFault,
}

/// What is wrong with a group file.
#[derive(Debug)]
pub enum GroupFileFault {
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// It is something else, or damaged.
    NotAGroupFile,
    /// What it holds is no group.
    Group(GroupError),
}

impl GroupFileError {
    /// What is wrong.
    #[must_use]
    pub const fn fault(&self) -> &GroupFileFault {
        &self.fault
    }
}

impl fmt::Display for GroupFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = quoted(&self.path);
        match &self.fault {
            GroupFileFault::Read(error) => {
                write!(f, "the group file {path} cannot be read: {error}")
            }
            GroupFileFault::Write(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                write!(
                    f,
                    "{path} exists already and is not overwritten; choose another name"
                )
            }
            GroupFileFault::Write(error) => {
                write!(f, "the group file {path} cannot be written: {error}")
            }
            GroupFileFault::NotAGroupFile => write!(
                f,
                "{path} is no group file: it does not hold the line \"{FIRST_LINE}\" and \
                 hexadecimal digits; 'doctor keygen-group' makes one"
            ),
            GroupFileFault::Group(error) => {
                write!(f, "the group in {path} is not accepted: {error}")
            }
        }
    }
}

impl std::error::Error for GroupFileError {}

/// Finds out whether [`save`] could write this file, before a long search.
///
/// # Errors
/// As for [`save`].
pub fn check_place(path: &Path) -> Result<(), GroupFileError> {
    NewFile::beside(path)
        .map(drop)
        .map_err(|error| unwritten(path, error))
}

/// Writes a group into a new file, whole or not at all.
///
/// # Errors
/// [`GroupFileFault::Write`], also if there is a file of this name already.
pub fn save(path: &Path, group: &Group) -> Result<(), GroupFileError> {
    let save = || -> io::Result<()> {
        let file = NewFile::beside(path)?;
        file.file().write_all(encode(group).as_bytes())?;
        file.publish().map_err(|error| match error {
            PublishError::NotThere(error) | PublishError::MayNotLast(error) => error,
        })
    };
    save().map_err(|error| unwritten(path, error))
}

fn unwritten(path: &Path, error: io::Error) -> GroupFileError {
    GroupFileError {
        path: path.to_owned(),
        fault: GroupFileFault::Write(error),
    }
}

/// Reads the group in a file and checks it. Takes seconds for 4096 bits.
///
/// # Errors
/// [`GroupFileError`].
pub fn load(path: &Path, random: &mut dyn Random) -> Result<Group, GroupFileError> {
    let mut load = || -> Result<Group, GroupFileFault> {
        let mut text = String::new();
        let file = File::open(path).map_err(GroupFileFault::Read)?;
        match file.take(MAX_FILE_LEN + 1).read_to_string(&mut text) {
            Ok(_) => decode(&text, random),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(GroupFileFault::NotAGroupFile)
            }
            Err(error) => Err(GroupFileFault::Read(error)),
        }
    };
    load().map_err(|fault| GroupFileError {
        path: path.to_owned(),
        fault,
    })
}

fn encode(group: &Group) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for line in group.modulus_bytes().chunks(DIGITS_PER_LINE / 2) {
        text += &hex::encode(line);
        text.push('\n');
    }
    text
}

fn decode(text: &str, random: &mut dyn Random) -> Result<Group, GroupFileFault> {
    let digits = text
        .split_once('\n')
        .filter(|(first, _)| first.trim_end() == FIRST_LINE)
        .filter(|_| text.len() as u64 <= MAX_FILE_LEN)
        .map(|(_, digits)| digits.split_ascii_whitespace().collect::<String>());
    let prime = digits.filter(|digits| !digits.is_empty());
    let prime = prime.and_then(|digits| hex::decode(&digits));
    let prime = prime.ok_or(GroupFileFault::NotAGroupFile)?;
    Group::import(&prime, random).map_err(GroupFileFault::Group)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::random::OsRandom;

    fn load_text(text: impl AsRef<[u8]>) -> Result<Group, GroupFileError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.group");
        fs::write(&path, text).unwrap();
        load(&path, &mut OsRandom)
    }

    #[test]
    fn a_group_comes_back_from_its_file_which_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.group");
        save(&path, &Group::ffdhe3072()).unwrap();
        assert_eq!(load(&path, &mut OsRandom).unwrap(), Group::ffdhe3072());
        let error = save(&path, &Group::ffdhe2048()).unwrap_err();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(load(&path, &mut OsRandom).unwrap(), Group::ffdhe3072());
    }

    #[test]
    fn a_file_written_by_hand_may_have_other_lines_and_capital_letters() {
        let digits = hex::encode(Group::ffdhe2048().modulus_bytes()).to_uppercase();
        let (one, two) = digits.split_at(101);
        let text = format!("telemed-group 1\r\n{one} \r\n\r\n{two}");
        assert_eq!(load_text(text).unwrap(), Group::ffdhe2048());
    }

    #[test]
    fn what_is_no_group_file_is_refused() {
        let whole = encode(&Group::ffdhe2048());
        let long = format!("{whole}{}", " ".repeat(8192));
        for text in [
            "",
            "telemed-group 1",
            "telemed-group 1\n",
            "telemed-group 1\nabc",
            "telemed-group 1\nxy",
            &whole.replace("group 1", "group 2"),
            &long,
        ] {
            let error = load_text(text).unwrap_err();
            assert!(
                matches!(error.fault(), GroupFileFault::NotAGroupFile),
                "{text:.30}"
            );
        }
        let error = load_text([0xff; 40]).unwrap_err();
        assert!(matches!(error.fault(), GroupFileFault::NotAGroupFile));
    }

    #[test]
    fn a_prime_that_gives_no_group_is_refused() {
        let whole = encode(&Group::ffdhe2048());
        // One digit less, and another number.
        for (wrong, expected) in [
            (whole.trim_end().trim_end_matches("ff"), "exactly 2048"),
            (&*whole.replacen("adf8", "adf9", 1), "safe prime"),
        ] {
            let error = load_text(wrong).unwrap_err();
            assert!(matches!(error.fault(), GroupFileFault::Group(_)));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(Path::new("/nowhere/a.group"), &mut OsRandom).unwrap_err();
        assert!(error.to_string().contains("'/nowhere/a.group'"), "{error}");
    }
}
