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
use crate::identity::id::{Identifier, IdentifierError};

/// Largest tolerance that can be asked for, in seconds: a day.
const MAX_TOLERANCE: u64 = 86_400;

/// The groups of RFC 7919 that keys can be made in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupName {
    /// 2048 bits.
    Ffdhe2048,
    /// 3072 bits.
    Ffdhe3072,
    /// 4096 bits.
    Ffdhe4096,
}

/// Looks an environment variable up; a function, so that tests need not touch
/// the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Checks the value of an option, if it was given.
pub(super) fn option<T>(
    name: &str,
    typed: Option<String>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    typed.map(|text| value(name, &text, check)).transpose()
}

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

pub(super) fn handshakes(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| format!("this is a whole number from 1 to {}", u32::MAX))
}

pub(super) fn group(text: &str) -> Result<GroupName, String> {
    match text {
        "ffdhe2048" => Ok(GroupName::Ffdhe2048),
        "ffdhe3072" => Ok(GroupName::Ffdhe3072),
        "ffdhe4096" => Ok(GroupName::Ffdhe4096),
        _ => Err("the groups are ffdhe2048, ffdhe3072 and ffdhe4096".to_owned()),
    }
}

/// The data directory: the one that was named, or the usual place of the XDG
/// base directory specification.
pub(super) fn directory(
    typed: Option<String>,
    program: Program,
    environment: Environment<'_>,
) -> Result<PathBuf, Failure> {
    if let Some(typed) = typed {
        if typed.is_empty() {
            return Err(usage("--data \"\": the name of a directory is not empty"));
        }
        return Ok(PathBuf::from(typed));
    }
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

/// The option that names the same data directory again, as a shell takes it,
/// with a space before; nothing for the usual place.
pub(super) fn data_option(typed: Option<&str>) -> String {
    typed.map_or_else(String::new, |typed| {
        format!(" --data '{}'", typed.replace('\'', r"'\''"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_follows_the_environment() {
        let at = |home: Option<&str>, xdg: Option<&str>| {
            let variable = |name: &str| match name {
                "HOME" => home.map(OsString::from),
                "XDG_DATA_HOME" => xdg.map(OsString::from),
                _ => None,
            };
            directory(None, Program::Doctor, &variable)
        };
        assert_eq!(at(Some("/h"), Some("/x")), Ok("/x/telemed/doctor".into()));
        let usual = Ok("/h/.local/share/telemed/doctor".into());
        assert_eq!(at(Some("/h"), None), usual);
        assert_eq!(at(Some("/h"), Some("relative")), usual);
        let failure = at(None, None).unwrap_err();
        assert!(failure.hint.unwrap().contains("--data"));
    }
}
