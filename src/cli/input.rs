//! Text that is read from a file or from standard input.

use std::fs::File;
use std::io::{self, BufRead, Read};

use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::normalise::usage;
use crate::cli::text::{self, MAX_MESSAGE};

/// The name of standard input, where a file or a text is named.
pub const STANDARD_INPUT: &str = "-";

/// The text in a file, of at most `most` bytes; `-` is standard input.
///
/// # Errors
/// A usage error if it is too long or not UTF-8; [`Exit::Failure`] if it cannot
/// be read.
pub fn read(file: &str, most: usize) -> Result<String, Failure> {
    let name = shown(file);
    let bytes = match file {
        STANDARD_INPUT => bytes(io::stdin().lock(), most),
        file => File::open(file).and_then(|file| bytes(file, most)),
    };
    let bytes = bytes
        .map_err(|error| Failure::new(Exit::Failure, format!("{name} cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(usage(format!("{name} has more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| usage(format!("{name} is not text in UTF-8")))
}

/// At most one byte more than `most`, which tells that there are more.
fn bytes(input: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks at the terminal, and says whether it was answered with yes.
pub fn says_yes(question: &str) -> bool {
    eprint(question);
    let mut typed = String::new();
    let read = io::stdin().lock().read_line(&mut typed);
    read.is_ok() && typed.trim() == "yes"
}

/// A file's name for a sentence.
pub fn shown(file: &str) -> String {
    match file {
        STANDARD_INPUT => "standard input".to_owned(),
        file => format!("'{file}'"),
    }
}

/// The text of a message: as it was typed, or, where that is `-`, what is on
/// standard input, which other users of the machine cannot see.
///
/// # Errors
/// Those of [`read`], and a usage error if no message may have this text.
pub fn message(typed: String) -> Result<String, Failure> {
    let text = match typed.as_str() {
        STANDARD_INPUT => {
            let text = read(STANDARD_INPUT, MAX_MESSAGE + LINE_END.len())?;
            without_line_end(&text).to_owned()
        }
        _ => typed,
    };
    match text::check_message(&text) {
        Ok(()) => Ok(text),
        Err(sentence) => Err(usage(sentence)),
    }
}

/// The longest end of a line.
const LINE_END: &str = "\r\n";

fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n');
    line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_cut() {
        for (text, cut) in [
            ("a\nb\n", "a\nb"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("a\r", "a\r"),
            ("\n", ""),
        ] {
            assert_eq!(without_line_end(text), cut);
        }
    }

    #[test]
    fn no_more_is_read_than_it_takes_to_see_that_it_is_too_much() {
        assert_eq!(bytes(&b"abc"[..], 3).unwrap(), b"abc");
        assert_eq!(bytes(io::repeat(b'x'), 3).unwrap(), b"xxxx");
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_refused_as_wrongly_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("text");
        let name = file.to_str().unwrap();
        // The cut falls into a character, and it is still too long.
        for (content, said) in [
            (&"é".repeat(3).into_bytes()[..], "has more than 4 bytes"),
            (b"\xff\xfe", "is not text in UTF-8"),
        ] {
            std::fs::write(&file, content).unwrap();
            let failure = read(name, 4).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.sentence.ends_with(said), "{failure}");
        }
        assert_eq!(read("/nowhere", 4).unwrap_err().exit, Exit::Failure);
    }
}
