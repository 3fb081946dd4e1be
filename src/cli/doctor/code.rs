//! Asking for a recovery code, and handing one over.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::doctor::store_failed;
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::options::CodeSource;
use crate::doctor::practice::Practice;
use crate::doctor::recovery::{self, MAX_TEXT};
use crate::vault::RecoveryCode;

/// How often a person may try.
const TRIES: usize = 3;
const KEEP: &str = "write it on paper and keep it away from this machine; with it, and only with \
                    it, a backup opens where the machine is gone";

/// Gets a recovery code from where it is said to be.
pub fn get(source: &CodeSource) -> Result<RecoveryCode, Failure> {
    match source {
        CodeSource::Asked => ask(),
        CodeSource::StandardInput => parse(&read(io::stdin().lock(), "standard input")?),
        CodeSource::File(path) => {
            let shown = format!("'{}'", path.display());
            let file = File::open(path).map_err(|error| unreadable(&shown, &error))?;
            parse(&read(file, &shown)?)
        }
    }
}

/// Asks the person at the terminal, again if something was mistyped.
fn ask() -> Result<RecoveryCode, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let failure = Failure::new(Exit::Usage, "the recovery code is needed");
        return Err(failure.hint("name a file that holds it with --recovery-code-file FILE"));
    }
    let mut input = BufReader::new(io::stdin().lock());
    let mut tried = 1;
    loop {
        eprint("Recovery code: ");
        let mut line = Zeroizing::new(String::new());
        let read = input.by_ref().take(MAX_TEXT).read_line(&mut line);
        read.map_err(|error| unreadable("standard input", &error))?;
        if line.trim().is_empty() {
            return Err(Failure::new(Exit::Failure, "there is no recovery code"));
        }
        // Typed blind, 32 letters would hardly ever be right: they are shown,
        // and taken from the screen again.
        eprint("\x1b[A\x1b[2KRecovery code: (entered)\n");
        match parse(&line) {
            Err(failure) if tried < TRIES => eprint(&format!("doctor: {failure}; try again\n")),
            other => return other,
        }
        tried += 1;
    }
}

fn read(input: impl Read, shown: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = input.take(MAX_TEXT).read_to_string(&mut text);
    read.map_err(|error| unreadable(shown, &error))?;
    Ok(text)
}

fn unreadable(shown: &str, error: &io::Error) -> Failure {
    let sentence = format!("the recovery code cannot be read from {shown}: {error}");
    Failure::new(Exit::Failure, sentence)
}

fn parse(text: &str) -> Result<RecoveryCode, Failure> {
    // Some editors put this mark at the front of a file.
    let text = text.trim_start_matches('\u{feff}');
    text.parse::<RecoveryCode>()
        .map_err(|error| Failure::new(Exit::Refused, error.to_string()))
}

/// Makes the first recovery code. It is good only once it was handed over: what
/// goes wrong before is made good by the next start.
pub fn first(practice: &Practice) -> Result<(), Failure> {
    if recovery::is_pending(practice).map_err(|error| store_failed(&error))? {
        eprint(
            "doctor: an earlier start was cut short: if it has shown a recovery code, or left \
             one in a file, that one opens nothing; this is another one\n",
        );
    }
    let new = recovery::make(practice).map_err(|error| store_failed(&error))?;
    let is_shown = io::stderr().is_terminal();
    let code = Zeroizing::new(new.code.to_text());
    match is_shown {
        true => show(&code)?,
        false => leave(practice, &code)?,
    }
    recovery::keep(practice, &new.wrapped).map_err(|error| store_failed(&error))?;
    if is_shown {
        // One that an earlier start has left; nobody is told of it any more.
        let _ = recovery::remove_file(practice);
    }
    remind(practice)
}

/// Shows the code to the person at the terminal.
fn show(code: &str) -> Result<(), Failure> {
    let lines = Zeroizing::new(format!(
        "doctor: the recovery code, shown this once: {code}\ndoctor: {KEEP}\n"
    ));
    io::stderr().write_all(lines.as_bytes()).map_err(|error| {
        let sentence = format!("the recovery code cannot be shown: {error}");
        Failure::new(Exit::Failure, sentence)
    })
}

/// A service's output goes into a log, where no secret belongs: there the code
/// is left in a file.
fn leave(practice: &Practice, code: &str) -> Result<(), Failure> {
    let path = recovery::file(practice);
    write(practice, &path, code).map_err(|error| {
        let sentence = format!(
            "the recovery code cannot be written to '{}': {error}",
            path.display()
        );
        Failure::new(Exit::Failure, sentence).hint(
            "free some space, or move away what lies there, and start again: the next start \
             makes another code",
        )
    })
}

/// Writes the file so that it is still there after a power cut, or not at all.
fn write(practice: &Practice, path: &Path, code: &str) -> io::Result<()> {
    recovery::remove_file(practice)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let line = Zeroizing::new(format!("{code}\n"));
    let written = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(practice.directory.path(""))?.sync_all());
    if written.is_err() {
        // Half a code is of no use to anybody.
        let _ = recovery::remove_file(practice);
    }
    written
}

/// Speaks of the file with the recovery code for as long as it lies there and
/// its code is the one that is good.
pub fn remind(practice: &Practice) -> Result<(), Failure> {
    if recovery::is_in_file(practice).map_err(|error| store_failed(&error))? {
        eprint(&format!(
            "doctor: the recovery code is in '{}': {KEEP}, then delete the file\n",
            recovery::file(practice).display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn a_code_is_read_however_a_file_holds_it() {
        let text = RecoveryCode::generate(&mut OsRandom).to_text();
        for held in [
            format!("{text}\n"),
            format!("{text}\r\n"),
            format!("\u{feff}{text}\r\n\r\n"),
            text.to_lowercase().replace('-', "\n"),
        ] {
            let read = read(held.as_bytes(), "a file").unwrap();
            assert_eq!(parse(&read).unwrap().to_text(), text, "{held:?}");
        }
        let failure = parse(&text[1..]).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(!failure.sentence.contains(&text[1..5]));
    }
}
