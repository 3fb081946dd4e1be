//! Lines from a pipe, a file, or a terminal that cannot edit.

use std::io::{self, BufRead, Read};

use super::{Input, MAX_LINE};

/// The next line of `input`. One that is too long is skipped to its end,
/// without being held in memory.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<Input> {
    let mut line = Vec::new();
    // Two more, for the longest allowed line's end.
    let limit = MAX_LINE as u64 + 2;
    input.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Input::End);
    }
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        line.pop_if(|byte| *byte == b'\r');
    } else if line.len() > MAX_LINE {
        input.skip_until(b'\n')?;
    }
    Ok(checked(line))
}

/// A line as it is returned, or why it is not.
pub(super) fn checked(line: Vec<u8>) -> Input {
    if line.len() > MAX_LINE {
        let sentence = format!("that line has more than {MAX_LINE} bytes and is ignored");
        return Input::Invalid(sentence);
    }
    match String::from_utf8(line) {
        Ok(line) => Input::Line(line),
        Err(_) => not_utf8(),
    }
}

pub(super) fn not_utf8() -> Input {
    Input::Invalid("that line is not valid UTF-8 and is ignored".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(mut bytes: &[u8]) -> Vec<Input> {
        let mut inputs = Vec::new();
        loop {
            let input = read_line(&mut bytes).unwrap();
            if input == Input::End {
                return inputs;
            }
            inputs.push(input);
        }
    }

    fn line(text: &str) -> Input {
        Input::Line(text.to_owned())
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return_or_at_the_end() {
        assert_eq!(inputs(b""), []);
        assert_eq!(inputs(b"\n"), [line("")]);
        assert_eq!(
            inputs("1\r\nGrüße\n\nlast".as_bytes()),
            [line("1"), line("Grüße"), line(""), line("last")]
        );
    }

    #[test]
    fn a_line_that_is_no_utf8_does_not_end_the_reading() {
        let inputs = inputs(b"\xff\xfe\nnext\n");
        let Input::Invalid(sentence) = &inputs[0] else {
            panic!("{inputs:?}");
        };
        assert!(sentence.contains("UTF-8"));
        assert_eq!(inputs[1..], [line("next")]);
    }

    #[test]
    fn the_longest_line_is_taken_and_longer_ones_are_skipped() {
        for end in ["\n", "\r\n", ""] {
            let longest = "x".repeat(MAX_LINE);
            assert_eq!(inputs((longest.clone() + end).as_bytes()), [line(&longest)]);
        }
        for excess in [1, 2, 3, 200_000] {
            let text = "x".repeat(MAX_LINE + excess) + "\nnext\n";
            let inputs = inputs(text.as_bytes());
            let Input::Invalid(sentence) = &inputs[0] else {
                panic!("a line {excess} bytes too long was taken");
            };
            assert!(sentence.contains("65536"));
            assert_eq!(inputs[1..], [line("next")]);
        }
    }
}
