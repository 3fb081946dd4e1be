//! What the programs print for whom: sentences for people, lines of fields for
//! simple scripts (`--plain`), one JSON object a line for programs (`--json`).
//! docs/json.md has every object; a test keeps it complete.

use std::ffi::OsString;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::exit::{Failure, print_whole};
use super::normalise::usage;
use super::text;
use crate::clock::Timestamp;

/// The version of the objects: it changes when a field goes or changes its
/// meaning, not when one is added.
const VERSION: u8 = 1;

/// In which form results are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// Sentences and tables, which may change at any time.
    #[default]
    People,
    /// One object a line, its fields separated by tabs.
    Plain,
    /// One object a line, as JSON.
    Json,
}

impl Form {
    /// The form that the switches ask for.
    ///
    /// # Errors
    /// A usage error if both are given.
    pub fn chosen(json: bool, plain: bool) -> Result<Self, Failure> {
        match (json, plain) {
            (true, true) => Err(usage("--json and --plain exclude each other")),
            (true, false) => Ok(Self::Json),
            (false, true) => Ok(Self::Plain),
            (false, false) => Ok(Self::People),
        }
    }

    /// Whether a command line asks for JSON, even if it is wrong in other
    /// respects: its failure is printed as JSON then.
    #[must_use]
    pub fn of_failures(arguments: &[OsString]) -> Self {
        let mut options = arguments.iter().take_while(|argument| *argument != "--");
        match options.any(|argument| argument == "--json") {
            true => Self::Json,
            false => Self::People,
        }
    }

    /// Prints a result on standard output in this form: `people` for people,
    /// `objects` otherwise.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print(self, people: &str, objects: &[Object]) -> Result<(), Failure> {
        self.print_whole(people, objects).map(drop)
    }

    /// The same; false if the reader has gone away before the end.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print_whole(self, people: &str, objects: &[Object]) -> Result<bool, Failure> {
        print_whole(&self.text(people, objects))
    }

    /// A result in this form, as it is printed.
    #[must_use]
    pub fn text(self, people: &str, objects: &[Object]) -> String {
        match self {
            Self::People => format!("{people}\n"),
            Self::Plain | Self::Json => self.lines(objects),
        }
    }

    /// Prints objects, as JSON unless it is to be plain.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print_objects(self, objects: &[Object]) -> Result<(), Failure> {
        self.print_objects_whole(objects).map(drop)
    }

    /// The same; false if the reader has gone away before the end.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print_objects_whole(self, objects: &[Object]) -> Result<bool, Failure> {
        print_whole(&self.lines(objects))
    }

    fn lines(self, objects: &[Object]) -> String {
        let mut lines = String::new();
        for object in objects {
            lines += &match self {
                Self::Plain => object.plain(),
                Self::People | Self::Json => object.json(),
            };
            lines.push('\n');
        }
        lines
    }
}

/// One thing that is said to a program. Its fields are always all there, in the
/// same order; what is not known is `null`.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    kind: &'static str,
    fields: Vec<(&'static str, Value)>,
}

impl Object {
    /// An object of this type.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            fields: Vec::new(),
        }
    }

    /// The same with one more field. Text is taken as it is, whatever is in it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The object as JSON on one line. Characters that could steer a
    /// terminal or deceive its reader are escaped: to a program that changes
    /// nothing.
    #[must_use]
    pub fn json(&self) -> String {
        // Only maps with other keys than strings cannot be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut escaped = String::with_capacity(json.len());
        for character in json.chars() {
            if text::is_hidden(character) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    escaped += &format!("\\u{unit:04x}");
                }
            } else {
                escaped.push(character);
            }
        }
        escaped
    }

    /// The object as its type and its fields, separated by tabs, cleaned as for
    /// people. What is not known is empty.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut line = self.kind.to_owned();
        for (_, value) in &self.fields {
            line.push('\t');
            line += &plain(value);
        }
        line
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text::clean(text),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => text::clean(&other.to_string()),
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.fields.len()))?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("type", self.kind)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::String(time.to_rfc3339())
    }
}

#[cfg(test)]
mod tests;
