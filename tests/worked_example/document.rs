//! The text of the example: named values, in the order in which they come up.

use std::fmt::Write;

use crate::stream::Stream;

/// Bytes in a line of the text.
const LINE: usize = 32;

/// The example as it is written down, and where its random bytes come from.
#[derive(Default)]
pub struct Document {
    text: String,
    pub random: Stream,
}

impl Document {
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Begins a part of the example.
    pub fn section(&mut self, title: &str) {
        self.line("");
        self.line(&format!("## {title}"));
        self.line("");
    }

    /// A remark; readers skip it.
    pub fn note(&mut self, text: &str) {
        for line in text.lines() {
            self.line(format!("# {line}").trim_end());
        }
    }

    /// A byte string.
    pub fn bytes(&mut self, name: &str, value: &[u8]) {
        let mut text = format!("{name} =");
        for (position, byte) in value.iter().enumerate() {
            if value.len() > LINE && position % LINE == 0 {
                text.push_str("\n  ");
            } else if position == 0 {
                text.push(' ');
            }
            write!(text, "{byte:02x}").unwrap();
        }
        self.line(&text);
    }

    /// A number or a text.
    pub fn plain(&mut self, name: &str, value: impl ToString) {
        self.line(&format!("{name} : {}", value.to_string()));
    }

    /// Names what was drawn since the last time, and gives it back: one name for
    /// each draw, in order. `-` stands for one that nothing later shows, and a
    /// name after `^` for a secret exponent, whose top bit is always set.
    pub fn drawn(&mut self, names: &[&str]) -> Vec<Vec<u8>> {
        let mut drawn = self.random.take_drawn();
        assert_eq!(drawn.len(), names.len(), "draws for {names:?}");
        for (name, bytes) in names.iter().zip(&mut drawn) {
            let exponent = name.strip_prefix('^');
            if exponent.is_some() {
                bytes[0] |= 0x80;
            }
            if *name != "-" {
                self.bytes(exponent.unwrap_or(name), bytes);
            }
        }
        drawn
    }
}
