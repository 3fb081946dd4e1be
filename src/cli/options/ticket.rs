//! Where `patient enrol` takes its ticket from.

use std::fmt;
use std::io::{self, BufRead};

use super::super::exit::{Exit, Failure};
use super::super::normalise::usage;

/// Longest ticket that is read, in bytes; a real one has about 200.
const MAX_TICKET: u64 = 4096;

/// Where a ticket comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TicketSource {
    /// From the command line; its pieces are joined by spaces.
    Text(String),
    /// From standard input.
    StandardInput,
}

impl fmt::Debug for TicketSource {
    /// Without the text, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::StandardInput => "StandardInput",
        })
    }
}

impl TicketSource {
    /// What the words after `enrol` mean.
    pub(super) fn from_pieces(pieces: &[String]) -> Result<Self, Failure> {
        match pieces {
            [] => Err(usage("the command needs TICKET")),
            [one] if one == "-" => Ok(Self::StandardInput),
            _ => Ok(Self::Text(pieces.join(" "))),
        }
    }

    /// The ticket's text, read from `input` if it comes from standard input:
    /// everything up to its end or to an empty line after the ticket.
    ///
    /// # Errors
    /// A [`Failure`] if there is none, or if it cannot be read.
    pub fn read(self, input: impl BufRead) -> Result<String, Failure> {
        let text = match self {
            Self::Text(text) => return Ok(text),
            Self::StandardInput => read_ticket(input).map_err(|error| {
                let sentence = format!("cannot read the ticket from standard input: {error}");
                Failure::new(Exit::Failure, sentence)
            })?,
        };
        if text.is_empty() {
            return Err(usage("there is no ticket on standard input"));
        }
        Ok(text)
    }
}

fn read_ticket(input: impl BufRead) -> io::Result<String> {
    let mut words = String::new();
    for line in input.take(MAX_TICKET).lines() {
        let line = line?;
        if line.trim().is_empty() && !words.is_empty() {
            break;
        }
        words += line.trim();
        words.push(' ');
    }
    Ok(words.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pieces: &[&str]) -> Result<TicketSource, Failure> {
        let pieces: Vec<_> = pieces.iter().map(ToString::to_string).collect();
        TicketSource::from_pieces(&pieces)
    }

    #[test]
    fn a_ticket_comes_in_pieces_or_from_standard_input() {
        let text = source(&["TELEMED1", "AB-CD", "EF"]).unwrap();
        assert_eq!(text.read(&b""[..]).unwrap(), "TELEMED1 AB-CD EF");
        for (input, ticket) in [
            ("telemed1 AB\n", "telemed1 AB"),
            ("\n  telemed1\r\nAB\n\nrest", "telemed1 AB"),
            ("telemed1", "telemed1"),
        ] {
            assert_eq!(
                source(&["-"]).unwrap().read(input.as_bytes()).unwrap(),
                ticket
            );
        }
        let failure = source(&["-"]).unwrap().read(&b" \n"[..]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let failure = source(&["-"]).unwrap().read(&b"\xff\n"[..]).unwrap_err();
        assert_eq!(failure.exit, Exit::Failure);
        assert_eq!(
            source(&[]).unwrap_err().sentence,
            "the command needs TICKET"
        );
    }
}
