//! Brings a command line into the order the parser wants.
//!
//! People may write `--doctor_id D1`, `--doctor-id=D1`, the program's options
//! anywhere, and a command's options anywhere after its word; argh takes
//! `--doctor-id D1` only, directly behind the word it belongs to. What could go
//! wrong with an option or a command is noticed here, so that there is one
//! sentence for it.

use std::ffi::OsString;

use argh::{CommandInfoWithArgs as Shape, FlagInfo, FlagInfoKind, Optionality};

use super::Program;
use super::exit::{Exit, Failure};
use super::text::quoted;

/// What a command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Normalised {
    /// The version.
    Version,
    /// The help, of one command if the list names one: its words.
    Help(Vec<String>),
    /// The program's work.
    Run {
        /// The words of program and commands, for sentences about them.
        context: String,
        /// The program's options first, then each command with its options, a
        /// bare `--`, and the last command's own arguments.
        arguments: Vec<String>,
    },
}

/// Normalises `arguments`, which come without the program's name, for a program
/// with these options and commands.
///
/// # Errors
/// A [`Failure`] with [`Exit::Usage`].
pub(super) fn normalise(
    program: Program,
    shape: &Shape,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Normalised, Failure> {
    let mut line = Line::new(program, shape);
    let read = utf8(arguments).and_then(|arguments| line.read(arguments));
    read.map_err(|failure| see_help(&line.context(), failure))?;
    Ok(line.normalised())
}

/// A usage error; where to read on is added by the caller.
pub(super) fn usage(sentence: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, sentence)
}

/// A usage error that also says where to read on: `context` is the program's
/// name, and the command's if the error is its.
pub(super) fn see_help(context: &str, failure: Failure) -> Failure {
    let see = format!("see {context} --help");
    let hint = match &failure.hint {
        Some(hint) => format!("{hint}\n{see}"),
        None => see,
    };
    failure.hint(hint)
}

fn utf8(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let to_text = |(position, argument): (usize, OsString)| {
        argument.into_string().map_err(|argument| {
            let shown = quoted(&argument.to_string_lossy());
            let number = position + 1;
            usage(format!("argument {number}, {shown}, is not valid UTF-8"))
        })
    };
    arguments.into_iter().enumerate().map(to_text).collect()
}

/// The program or a command, as far as it was typed.
struct Level<'a> {
    /// The word it is called by.
    word: &'a str,
    shape: &'a Shape,
    /// The options found for it: names with dashes, each followed by its value
    /// if it takes one.
    options: Vec<String>,
    /// Their names.
    given: Vec<String>,
}

impl<'a> Level<'a> {
    const fn new(word: &'a str, shape: &'a Shape) -> Self {
        Self {
            word,
            shape,
            options: Vec::new(),
            given: Vec::new(),
        }
    }

    fn option(&self, name: &str) -> Option<&'a FlagInfo<'a>> {
        self.shape.flags.iter().find(|flag| flag.long == name)
    }

    fn command(&self, word: &str) -> Option<Level<'a>> {
        let commands = self.shape.commands.iter();
        let mut named = commands.filter(|command| command.name == word);
        named
            .next()
            .map(|found| Self::new(found.name, &found.command))
    }
}

/// The words from a command to the first below it that has this option.
fn owner<'a>(shape: &'a Shape, option: &str) -> Option<Vec<&'a str>> {
    shape.commands.iter().find_map(|command| {
        let inner = &command.command;
        if inner.flags.iter().any(|flag| flag.long == option) {
            return Some(vec![command.name]);
        }
        let words = owner(inner, option)?;
        Some([vec![command.name], words].concat())
    })
}

/// A command line that is being read.
struct Line<'a> {
    /// The program, its command, that one's command, and so on.
    levels: Vec<Level<'a>>,
    words: Vec<String>,
    help: bool,
    version: bool,
}

impl<'a> Line<'a> {
    fn new(program: Program, shape: &'a Shape) -> Self {
        Self {
            levels: vec![Level::new(program.name(), shape)],
            words: Vec::new(),
            help: false,
            version: false,
        }
    }

    fn read(&mut self, arguments: Vec<String>) -> Result<(), Failure> {
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--" => break,
                "-h" | "--help" => self.help = true,
                "-V" | "--version" => self.version = true,
                "-" => self.take_word(argument)?,
                _ if argument.starts_with('-') => self.take_option(&argument, &mut arguments)?,
                _ => self.take_word(argument)?,
            }
        }
        arguments.try_for_each(|argument| self.take_word(argument))
    }

    /// A word is the name of a command where one can stand, or else an argument
    /// of the last command.
    fn take_word(&mut self, word: String) -> Result<(), Failure> {
        let last = self.levels.last().filter(|_| self.words.is_empty());
        let Some(last) = last.filter(|last| !last.shape.commands.is_empty()) else {
            self.words.push(word);
            return Ok(());
        };
        let name = if word == "enroll" { "enrol" } else { &word };
        if let Some(command) = last.command(name) {
            self.levels.push(command);
        } else if !last.shape.positionals.is_empty() {
            self.words.push(word);
        } else if word == "help" {
            self.help = true;
        } else {
            return Err(self.unknown("command", &word));
        }
        Ok(())
    }

    /// Takes one option, and its value if it takes one.
    fn take_option(
        &mut self,
        argument: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), Failure> {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument, None),
        };
        // Only in the name: the value of `--id P_1` stays.
        let name = name.replace('_', "-");
        let mut levels = self.levels.iter_mut().rev();
        let Some((level, option)) =
            levels.find_map(|level| level.option(&name).map(|option| (level, option)))
        else {
            let failure = self.unknown("option", argument);
            return Err(match self.owner(&name) {
                Some(words) => failure.hint(format!("put it behind the command \"{words}\"")),
                None => failure.hint("put \"--\" before a text that begins with a dash"),
            });
        };
        if option.optionality != Optionality::Repeating && level.given.contains(&name) {
            return Err(usage(format!("the option {name} is given twice")));
        }
        level.given.push(name.clone());
        level.options.push(name.clone());
        if option.kind == FlagInfoKind::Switch {
            return match value {
                Some(_) => Err(usage(format!("the option {name} takes no value"))),
                None => Ok(()),
            };
        }
        // A following option is not the value: `--id --data x` lacks one.
        let value = value.or_else(|| rest.next().filter(|value| !value.starts_with("--")));
        let Some(value) = value else {
            return Err(usage(format!("the option {name} needs a value")));
        };
        level.options.push(value);
        Ok(())
    }

    /// The words of a further command that has this option.
    fn owner(&self, option: &str) -> Option<String> {
        let last = self.levels.last()?;
        let words = owner(last.shape, option)?;
        Some([self.commands(), words].concat().join(" "))
    }

    /// There is no such option or command here.
    fn unknown(&self, kind: &str, word: &str) -> Failure {
        let context = match &*self.commands().join(" ") {
            "" => String::new(),
            commands => format!("{commands}: "),
        };
        usage(format!("{context}there is no {kind} {}", quoted(word)))
    }

    /// The words of the commands.
    fn commands(&self) -> Vec<&str> {
        self.levels[1..].iter().map(|level| level.word).collect()
    }

    /// The words of program and commands.
    fn context(&self) -> String {
        let words: Vec<_> = self.levels.iter().map(|level| level.word).collect();
        words.join(" ")
    }

    fn normalised(self) -> Normalised {
        if self.version {
            return Normalised::Version;
        }
        if self.help {
            return Normalised::Help(self.commands().into_iter().map(str::to_owned).collect());
        }
        let context = self.context();
        let mut arguments = Vec::new();
        for (depth, level) in self.levels.into_iter().enumerate() {
            arguments.extend((depth > 0).then(|| level.word.to_owned()));
            arguments.extend(level.options);
        }
        // The `--` keeps a text that begins with a dash from being an option.
        if !self.words.is_empty() {
            arguments.push("--".to_owned());
            arguments.extend(self.words);
        }
        Normalised::Run { context, arguments }
    }
}

#[cfg(test)]
mod tests;
