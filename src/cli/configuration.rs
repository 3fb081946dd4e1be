//! What the environment and a configuration file say about options: the file
//! counts least, then variables such as `TELEMED_LISTEN`, then what is typed.
//!
//! The keys are the long names of the program's options; docs/configuration.md
//! lists them. A key that is none, or a value of another type, is refused with
//! the file, the line and the key.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Program;
use super::exit::{Exit, Failure};
use super::normalise::usage;
use super::options::Environment;
use super::text::{clean, quoted};

/// Where the configuration of the whole machine lies.
const SYSTEM: &str = "/etc";
/// The longest configuration, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What kind of value a key has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    /// The path of a file or directory.
    Path,
    Number,
    Switch,
}

/// A key and its kind; those of a table are named with a dot.
type Key = (&'static str, Kind);

const DOCTOR: &[Key] = &[
    ("id", Kind::Text),
    ("listen", Kind::Text),
    ("data", Kind::Path),
    ("store", Kind::Text),
    ("public-address", Kind::Text),
    ("tolerance", Kind::Number),
    ("strict-clock", Kind::Switch),
    ("group", Kind::Text),
    ("handshakes-per-address", Kind::Number),
    ("block", Kind::Text),
    ("block-after", Kind::Number),
    ("audit-heads", Kind::Path),
    ("passphrase-file", Kind::Path),
    ("backup.directory", Kind::Path),
    ("backup.every", Kind::Text),
    ("backup.keep", Kind::Number),
];

const PATIENT: &[Key] = &[
    ("id", Kind::Text),
    ("doctor-id", Kind::Text),
    ("connect", Kind::Text),
    ("failover", Kind::Switch),
    ("data", Kind::Path),
    ("tolerance", Kind::Number),
    ("passphrase-file", Kind::Path),
    ("on-message", Kind::Text),
];

/// A value, and where it stands.
struct Setting {
    text: String,
    /// For a sentence about it: file, line and key, or the variable.
    place: String,
}

type Settings = BTreeMap<&'static str, Setting>;

/// Everything that was said about options but not typed.
pub(super) struct Configuration {
    /// What counts less comes first.
    layers: [Settings; 2],
}

impl Configuration {
    /// Reads the configuration file that is named, by `typed` or in
    /// `TELEMED_CONFIG`, or else the first that exists of the usual ones, and
    /// the environment.
    ///
    /// # Errors
    /// A [`Failure`] if a file that is named or exists cannot be read, or holds
    /// what does not belong there.
    pub fn read(
        program: Program,
        typed: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<Self, Failure> {
        let named = match typed {
            Some(typed) => Some(typed.to_owned()),
            None => variable("config", environment)?.map(|setting| setting.text),
        };
        let keys = keys(program);
        let from_file = match named {
            Some(named) => Some(PathBuf::from(named)),
            None => places(program, environment)
                .into_iter()
                .find(|place| place.exists()),
        };
        let from_file = match from_file {
            Some(path) => parse(&path, &load(&path)?, keys, home(environment).as_deref())?,
            None => Settings::new(),
        };
        let mut from_environment = Settings::new();
        for (key, _) in keys {
            if let Some(setting) = variable(key, environment)? {
                from_environment.insert(*key, setting);
            }
        }
        Ok(Self {
            layers: [from_file, from_environment],
        })
    }

    /// The value of an option: as typed, or else from the environment, or else
    /// from the file. All of them are checked.
    ///
    /// # Errors
    /// A usage error with the reason that `check` gives.
    pub fn option<T>(
        &self,
        key: &str,
        typed: Option<String>,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let mut found = None;
        for setting in self.layers.iter().filter_map(|layer| layer.get(key)) {
            found = Some(checked(&setting.place, &setting.text, &check)?);
        }
        if let Some(typed) = typed {
            found = Some(checked(&format!("--{key}"), &typed, &check)?);
        }
        Ok(found)
    }

    /// Whether a switch is on: typed, or as environment or file say.
    ///
    /// # Errors
    /// A usage error if a variable is neither true nor false.
    pub fn switch(&self, key: &str, typed: bool) -> Result<bool, Failure> {
        let typed = typed.then(|| "true".to_owned());
        let value = self.option(key, typed, |text| {
            text.parse()
                .map_err(|_| "this is either true or false".to_owned())
        })?;
        Ok(value.unwrap_or(false))
    }
}

fn checked<T>(
    place: &str,
    text: &str,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    check(text).map_err(|reason| usage(format!("{place} {}: {reason}", quoted(text))))
}

const fn keys(program: Program) -> &'static [Key] {
    match program {
        Program::Doctor => DOCTOR,
        Program::Patient => PATIENT,
    }
}

/// The variable that stands for a key; one that is empty says nothing.
fn variable(key: &str, environment: Environment<'_>) -> Result<Option<Setting>, Failure> {
    let place = variable_name(key);
    let Some(value) = environment(&place).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match value.into_string() {
        Ok(text) => Ok(Some(Setting { text, place })),
        Err(value) => {
            let shown = quoted(&value.to_string_lossy());
            Err(usage(format!("{place}, {shown}, is not valid UTF-8")))
        }
    }
}

fn variable_name(key: &str) -> String {
    format!("TELEMED_{}", key.to_uppercase().replace(['-', '.'], "_"))
}

/// Where a configuration is looked for, the first place first (XDG base
/// directory specification, which has relative paths ignored). A home that this
/// user cannot enter, as after a change of user, has none for him.
fn places(program: Program, environment: Environment<'_>) -> Vec<PathBuf> {
    let absolute = |name: &str| {
        let path = environment(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let own = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    own.into_iter()
        .chain([PathBuf::from(SYSTEM)])
        .map(|base| base.join("telemed").join(format!("{program}.toml")))
        .collect()
}

fn load(path: &Path) -> Result<String, Failure> {
    let refused = |reason: &dyn Display| {
        let place = path.display();
        let sentence = format!("cannot read the configuration '{place}': {reason}");
        Failure::new(Exit::Failure, sentence)
    };
    // Before it is opened: a pipe would wait for its writer, and a device need
    // not end.
    let metadata = fs::metadata(path).map_err(|error| refused(&error))?;
    if !metadata.is_file() {
        return Err(refused(&"it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|error: io::Error| refused(&error))?;
    if text.len() as u64 > MAX_FILE {
        return Err(refused(&"it is longer than 1 MiB"));
    }
    Ok(text)
}

/// The home directory, for paths that begin with `~/`.
fn home(environment: Environment<'_>) -> Option<String> {
    let home = environment("HOME")?.into_string().ok()?;
    home.starts_with('/').then_some(home)
}

/// A path of a file that programs read in whichever directory they run: it must
/// not depend on that.
fn absolute(text: String, home: Option<&str>) -> Result<String, &'static str> {
    match (text.strip_prefix("~/"), home) {
        _ if text.starts_with('/') => Ok(text),
        (Some(rest), Some(home)) => Ok(format!("{}/{rest}", home.trim_end_matches('/'))),
        (Some(_), None) => Err("it begins with ~/, and HOME is not set to an absolute path"),
        (None, _) => Err("a path in this file must begin with / or ~/"),
    }
}

fn parse(path: &Path, text: &str, keys: &[Key], home: Option<&str>) -> Result<Settings, Failure> {
    let place = |offset: usize| {
        let before = text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        format!("'{}', line {line}: ", path.display())
    };
    let document = DeTable::parse(text).map_err(|error| {
        let place = place(error.span().map_or(0, |span| span.start));
        usage(place + &clean(error.message()))
    })?;
    let mut settings = Settings::new();
    take_table("", document.get_ref(), keys, &place, &mut settings)?;
    for (key, _) in keys.iter().filter(|(_, kind)| *kind == Kind::Path) {
        if let Some(setting) = settings.get_mut(key) {
            let Setting { text, place } = setting;
            *text = absolute(text.clone(), home)
                .map_err(|reason| usage(format!("{place} {}: {reason}", quoted(text))))?;
        }
    }
    Ok(settings)
}

/// Takes the entries of a table whose keys begin with `prefix`.
fn take_table(
    prefix: &str,
    table: &DeTable<'_>,
    keys: &[Key],
    place: &dyn Fn(usize) -> String,
    settings: &mut Settings,
) -> Result<(), Failure> {
    for (key, value) in table {
        let place_of_key = place(key.span().start);
        let name = format!("{prefix}{}", key.get_ref().replace('_', "-"));
        let inner = format!("{name}.");
        if let DeValue::Table(table) = value.get_ref()
            && keys.iter().any(|(key, _)| key.starts_with(&inner))
        {
            take_table(&inner, table, keys, place, settings)?;
            continue;
        }
        let Some((key, kind)) = keys.iter().find(|(key, _)| *key == name) else {
            let known: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
            let sentence = format!("{place_of_key}there is no key {}", quoted(&name));
            return Err(usage(sentence).hint(format!("the keys are {}", known.join(", "))));
        };
        let place = format!("{place_of_key}{key}");
        let text = text_of(value.get_ref(), *kind)
            .map_err(|expected| usage(format!("{place}: the value is to be {expected}")))?;
        if settings.insert(*key, Setting { text, place }).is_some() {
            return Err(usage(format!("{place_of_key}{key} is given twice")));
        }
    }
    Ok(())
}

/// The value as it would be typed, or what it should have been.
fn text_of(value: &DeValue<'_>, kind: Kind) -> Result<String, &'static str> {
    match (kind, value) {
        (Kind::Text | Kind::Path, DeValue::String(text)) => Ok(text.to_string()),
        (Kind::Number, DeValue::Integer(number)) => Ok(number.to_string()),
        (Kind::Switch, DeValue::Boolean(value)) => Ok(value.to_string()),
        (Kind::Text | Kind::Path, _) => Err("a text in quotation marks"),
        (Kind::Number, _) => Err("a whole number"),
        (Kind::Switch, _) => Err("true or false"),
    }
}

#[cfg(test)]
mod tests;
