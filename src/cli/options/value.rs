//! Single values of the command line. A check gives the value, or the reason why
//! there is none.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::super::Program;
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::super::text::quoted;
use crate::address::{Address, AddressError};
use crate::doctor::tickets::LIFETIMES;
use crate::identity::id::{Identifier, IdentifierError};
use crate::identity::join::begins_like_ticket;

/// The longest that can be waited for, in seconds: a day.
const LONGEST_WAIT: u64 = 24 * 60 * 60;
/// Largest tolerance that can be asked for, in seconds: a day.
const MAX_TOLERANCE: u64 = 86_400;
/// The shortest time between two repetitions: 10 minutes.
const SHORTEST_PERIOD: Duration = Duration::from_secs(10 * 60);
/// The longest: 52 weeks.
const LONGEST_PERIOD: Duration = Duration::from_secs(52 * 7 * 24 * 60 * 60);

/// The groups that keys can be made in: those of RFC 7919, and one's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupName {
    /// 2048 bits.
    Ffdhe2048,
    /// 3072 bits.
    Ffdhe3072,
    /// 4096 bits.
    Ffdhe4096,
    /// The one in this file.
    File(PathBuf),
}

/// Looks an environment variable up; a function, so that tests need not touch
/// the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

pub(super) fn value<T>(
    name: &str,
    typed: &str,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    check(typed).map_err(|reason| usage(format!("{name} {}: {reason}", quoted(typed))))
}

pub(super) fn identifier(text: &str) -> Result<Identifier, String> {
    text.parse()
        .map_err(|error: IdentifierError| error.to_string())
}

/// A new name for a patient or for somebody of the staff.
pub(in crate::cli) fn new_name(name: &str, typed: &str) -> Result<Identifier, Failure> {
    // Not repeated: it may hold a part of a ticket's secret.
    if begins_like_ticket(typed) {
        return Err(usage(format!("{name}: {CUT_OFF}")));
    }
    value(name, typed, identifier)
}

/// Why what begins like a ticket is no new name.
pub(in crate::cli) const CUT_OFF: &str = "this begins like a ticket and is no whole one, and no name: copy the whole ticket again, \
     or choose another name";

pub(super) fn address(text: &str) -> Result<Address, String> {
    text.parse()
        .map_err(|error: AddressError| error.to_string())
}

/// An address to connect to, so with a port.
pub(super) fn reachable(text: &str) -> Result<Address, String> {
    match address(text)? {
        Address { port: 0, .. } => Err("nothing can be reached at port 0".to_owned()),
        address if address.is_unspecified() => {
            Err("that means every address of a machine; name the one that patients use".to_owned())
        }
        address => Ok(address),
    }
}

pub(super) fn tolerance(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=MAX_TOLERANCE) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "the tolerance is a whole number of seconds from 1 to {MAX_TOLERANCE}"
        )),
    }
}

/// How long to wait: a whole number of seconds, at most a day.
pub(in crate::cli) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=LONGEST_WAIT) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "this is a whole number of seconds from 1 to {LONGEST_WAIT}"
        )),
    }
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| format!("this is a whole number from 1 to {}", u32::MAX))
}

pub(super) fn group(text: &str) -> Result<GroupName, String> {
    match text {
        "ffdhe2048" => Ok(GroupName::Ffdhe2048),
        "ffdhe3072" => Ok(GroupName::Ffdhe3072),
        "ffdhe4096" => Ok(GroupName::Ffdhe4096),
        path if path.contains('/') => Ok(GroupName::File(PathBuf::from(path))),
        _ => Err(
            "this is ffdhe2048, ffdhe3072, ffdhe4096 or the path of a group file, such as \
             ./own.group"
                .to_owned(),
        ),
    }
}

/// A time between two repetitions: a number with its unit.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let wrong = || {
        "this is a whole number with its unit, min, h, d or w, such as 12h, of at least 10min \
         and at most 52w"
            .to_owned()
    };
    time(text)
        .filter(|period| (SHORTEST_PERIOD..=LONGEST_PERIOD).contains(period))
        .ok_or_else(wrong)
}

/// How long a ticket is to be good.
pub(super) fn validity(text: &str) -> Result<Duration, String> {
    time(text)
        .filter(|time| LIFETIMES.contains(time))
        .ok_or_else(|| "a ticket is good for 1h to 30d, such as 24h or 7d".to_owned())
}

/// A whole number with its unit.
fn time(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_secs(seconds))
}

/// The name of a file or directory.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the name of a file or directory is not empty".to_owned()),
        _ => Ok(PathBuf::from(text)),
    }
}

/// A command for a shell.
pub(super) fn command(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the command is empty".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// The usual data directory, by the XDG base directory specification.
pub(super) fn usual_directory(
    program: Program,
    environment: Environment<'_>,
) -> Result<PathBuf, Failure> {
    // The specification has relative paths ignored.
    let absolute = |name: &str| {
        environment(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("telemed").join(program.name()))
        .ok_or_else(|| {
            usage("there is no home directory to keep data in")
                .hint("name a directory with --data DIR")
        })
}

/// The options that lead to the same data directory again, as a shell takes
/// them, each with a space before; nothing where none was typed.
pub(super) fn data_option(config: Option<&str>, data: Option<&str>) -> String {
    let option = |name: &str, typed: Option<&str>| {
        let quote = |typed: &str| format!(" {name} '{}'", typed.replace('\'', r"'\''"));
        typed.map_or_else(String::new, quote)
    };
    option("--config", config) + &option("--data", data)
}

/// The same for the store.
pub(super) fn store_option(typed: Option<&str>) -> String {
    let quote = |typed: &str| format!(" --store '{}'", typed.replace('\'', r"'\''"));
    typed.map_or_else(String::new, quote)
}

/// The same for an identifier; as it was typed, which is refused later if it is
/// none.
pub(super) fn id_option(name: &str, typed: Option<&str>) -> String {
    typed.map_or_else(String::new, |typed| format!(" {name} {typed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_with_a_unit() {
        for (text, seconds) in [
            ("10min", 600),
            ("12h", 43_200),
            ("1d", 86_400),
            ("2w", 1_209_600),
        ] {
            assert_eq!(period(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in [
            "",
            "d",
            "1",
            "9min",
            "53w",
            "-1d",
            "1 d",
            "1.5h",
            "99999999999999999999w",
        ] {
            assert!(
                period(wrong).unwrap_err().contains("such as 12h"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_data_directory_follows_the_environment() {
        let at = |home: Option<&str>, xdg: Option<&str>| {
            let variable = |name: &str| match name {
                "HOME" => home.map(OsString::from),
                "XDG_DATA_HOME" => xdg.map(OsString::from),
                _ => None,
            };
            usual_directory(Program::Doctor, &variable)
        };
        assert_eq!(at(Some("/h"), Some("/x")), Ok("/x/telemed/doctor".into()));
        let usual = Ok("/h/.local/share/telemed/doctor".into());
        assert_eq!(at(Some("/h"), None), usual);
        assert_eq!(at(Some("/h"), Some("relative")), usual);
        let failure = at(None, None).unwrap_err();
        assert!(failure.hint.unwrap().contains("--data"));
    }
}
