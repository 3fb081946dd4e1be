//! How the programs end: exit codes, and the one way an error is printed.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use super::Program;
use super::output::{Form, Object};
use super::text;
use crate::doctor::not_done::{Cause, NotDone};
use crate::identity::key_file::KeyFileFault;
use crate::store::StoreFault;

/// What a program tells the shell. The numbers are documented and stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// Something failed that has no number of its own.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No connection, or no answer in time.
    Unreachable = 3,
    /// One side did not prove who it is, a key is not the expected one, or what was
    /// asked is not for the role of whoever asks.
    Refused = 4,
    /// The ticket is expired or used.
    Ticket = 5,
    /// Somebody did not confirm a message in time, or what was waited for did not
    /// come.
    Unconfirmed = 6,
    /// Stored or received data is damaged or forged.
    Integrity = 7,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in ascending order.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Unreachable,
        Self::Refused,
        Self::Ticket,
        Self::Unconfirmed,
        Self::Integrity,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<&StoreFault> for Exit {
    /// Damage has a number of its own: nothing but a backup helps against it.
    fn from(fault: &StoreFault) -> Self {
        match fault {
            StoreFault::NotADatabase | StoreFault::Damaged(_) => Self::Integrity,
            StoreFault::Away { .. } | StoreFault::Unknown => Self::Unreachable,
            StoreFault::NotLogged(fault) => Self::from(&**fault),
            _ => Self::Failure,
        }
    }
}

impl From<&KeyFileFault> for Exit {
    /// The same.
    fn from(fault: &KeyFileFault) -> Self {
        match fault {
            KeyFileFault::Missing
            | KeyFileFault::NotAKeyFile
            | KeyFileFault::Cut
            | KeyFileFault::Damaged
            | KeyFileFault::Cost
            | KeyFileFault::NoWrappingKey
            | KeyFileFault::OtherWrappingKey
            | KeyFileFault::WrongKind { .. } => Self::Integrity,
            KeyFileFault::Locked | KeyFileFault::WrongPassphrase => Self::Refused,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&NotDone> for Failure {
    /// What may go well later has the number of what is not reached, and what is not
    /// for her who asks that of a refusal.
    fn from(why: &NotDone) -> Self {
        let exit = match why.cause {
            Cause::Away => Exit::Unreachable,
            Cause::Role => Exit::Refused,
            Cause::Asked => Exit::Failure,
        };
        Self::new(exit, why.sentence.as_str())
    }
}

/// Why a program ends without having done what it was asked for: a sentence for
/// a person, the next step if there is one, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, as a sentence without a full stop.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
            hint: None,
        }
    }

    /// The same with the next step named.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints the failure on standard error, each line after the program's name,
    /// or as a JSON object, and gives the exit code.
    pub fn report(&self, program: Program, form: Form) -> Exit {
        match form {
            Form::People | Form::Plain => eprint(&self.lines(program)),
            Form::Json => eprint(&format!("{}\n", self.object().json())),
        }
        self.exit
    }

    fn object(&self) -> Object {
        Object::new("error")
            .with("exit", self.exit.code())
            .with("sentence", self.sentence.as_str())
            .with("hint", self.hint.as_deref())
    }

    fn lines(&self, program: Program) -> String {
        let mut lines = String::new();
        for part in [Some(&self.sentence), self.hint.as_ref()]
            .into_iter()
            .flatten()
        {
            for line in text::clean_lines(part).lines() {
                lines += &format!("{program}: {line}\n");
            }
        }
        lines
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

/// Writes commentary to standard error. That it cannot be written (a closed
/// pipe, a full disk) changes nothing: there is nobody left to tell.
pub fn eprint(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes a result to standard output. A reader that has gone away (`doctor list
/// | head -1`) is no failure.
///
/// # Errors
/// A [`Failure`] if it cannot be written for another reason, as a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    print_whole(text).map(drop)
}

/// The same; false if the reader has gone away before the end. What it did not
/// take must not count as read.
///
/// # Errors
/// As for [`print()`].
pub fn print_whole(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    written(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// Writes a result to standard output that must not be lost.
///
/// # Errors
/// A [`Failure`] if it cannot be written, for whatever reason.
pub fn hand_out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).map_err(|error| {
        let sentence = format!("cannot write to standard output: {error}");
        Failure::new(Exit::Failure, sentence)
    })
}

fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            Exit::Failure,
            format!("cannot write to standard output: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    }

    #[test]
    fn every_line_begins_with_the_program() {
        let failure = Failure::new(Exit::Refused, "the key has changed").hint("ask\nyour doctor");
        assert_eq!(
            failure.lines(Program::Patient),
            "patient: the key has changed\npatient: ask\npatient: your doctor\n"
        );
    }

    #[test]
    fn a_failure_cannot_steer_the_terminal() {
        let failure = Failure::new(Exit::Failure, "no file \x1b[2Jx");
        assert_eq!(failure.lines(Program::Doctor), "doctor: no file [2Jx\n");
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        assert_eq!(written(Ok(())), Ok(true));
        assert_eq!(written(Err(io::ErrorKind::BrokenPipe.into())), Ok(false));
        let failure = written(Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(failure.exit, Exit::Failure);
    }
}
