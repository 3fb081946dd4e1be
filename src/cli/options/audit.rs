//! What is to be done with the audit log.

use std::path::PathBuf;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::super::exit::Failure;
use super::super::normalise::usage;
use super::value::{identifier, path, value};
use crate::audit::Action;
use crate::audit::papers::MIN_PINNED;
use crate::cli::doctor::audit::AuditCommand;
use crate::doctor::audit::Purpose;
use crate::hex;
use crate::identity::id::Identifier;
use crate::store::AuditFilter;

/// How many entries are listed where nothing else is said.
const LISTED: u64 = 50;

/// The commands of `doctor audit`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuditTask {
    /// Show entries.
    Read {
        /// Whose log, if that was said.
        log: Option<Identifier>,
        /// Whether to list or to search.
        purpose: Purpose,
        /// Which ones.
        filter: AuditFilter,
        /// Of those, only so many of the last ones.
        newest: Option<u64>,
    },
    /// Check the log.
    Verify(Verification),
    /// Hand the log out.
    Export {
        /// Whose log, if that was said.
        log: Option<Identifier>,
        /// Into this file, or to standard output.
        file: Option<PathBuf>,
        /// Which entries.
        filter: AuditFilter,
    },
}

/// What to check the log with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Whose log, if that was said.
    pub log: Option<Identifier>,
    /// Files of signed heads.
    pub heads: Vec<PathBuf>,
    /// A copy of the database, instead of the practice's own.
    pub database: Option<PathBuf>,
    /// The beginning of the root's fingerprint.
    pub root: Option<Vec<u8>>,
}

impl AuditTask {
    /// Checks what was typed.
    pub(super) fn new(command: AuditCommand) -> Result<Self, Failure> {
        match command {
            AuditCommand::List(args) => Ok(Self::Read {
                log: optional("--doctor", args.doctor, identifier)?,
                purpose: Purpose::List,
                filter: AuditFilter {
                    since: optional("--since", args.since, since)?,
                    until: optional("--until", args.until, until)?,
                    ..AuditFilter::default()
                },
                newest: optional("--last", args.last, entries)?.or(Some(LISTED)),
            }),
            AuditCommand::Search(args) => Ok(Self::Read {
                log: optional("--doctor", args.doctor, identifier)?,
                purpose: Purpose::Search,
                filter: AuditFilter {
                    patient: optional("--patient", args.patient, |text| {
                        identifier(text).map(|patient| patient.to_string())
                    })?,
                    actor: args.actor,
                    action: optional("--action", args.action, action)?,
                    text: args.text,
                    ..AuditFilter::default()
                },
                newest: None,
            }),
            AuditCommand::Verify(args) => {
                let heads = args.heads.iter().map(|file| value("--heads", file, path));
                let verification = Verification {
                    log: optional("--doctor", args.doctor, identifier)?,
                    heads: heads.collect::<Result<_, _>>()?,
                    database: optional("--database", args.database, path)?,
                    root: optional("--root", args.root, root)?,
                };
                if verification.database.is_some() && verification.log.is_some() {
                    return Err(usage("--database and --doctor exclude each other"));
                }
                if verification.database.is_some() && verification.root.is_none() {
                    return Err(usage("--database needs --root FINGERPRINT").hint(
                        "a copy cannot vouch for itself: the first start of the server has \
                         printed the fingerprint of the clinic's root",
                    ));
                }
                Ok(Self::Verify(verification))
            }
            AuditCommand::Export(args) => Ok(Self::Export {
                log: optional("--doctor", args.doctor, identifier)?,
                file: match args.file.as_str() {
                    "-" => None,
                    file => Some(value("FILE", file, path)?),
                },
                filter: AuditFilter {
                    since: optional("--since", args.since, since)?,
                    ..AuditFilter::default()
                },
            }),
        }
    }
}

fn optional<T>(
    name: &str,
    typed: Option<String>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    typed.map(|text| value(name, &text, check)).transpose()
}

fn entries(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("this is a whole number from 1 on".to_owned()),
    }
}

fn action(text: &str) -> Result<String, String> {
    if Action::from_word(text).is_some() {
        return Ok(text.to_owned());
    }
    let words: Vec<_> = Action::ALL.iter().map(|action| action.word()).collect();
    Err(format!("the actions are {}", words.join(", ")))
}

/// A fingerprint as it was printed: groups of digits, or all of them.
fn root(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.split_whitespace().collect();
    match hex::decode(&digits) {
        Some(bytes) if (MIN_PINNED..=32).contains(&bytes.len()) => Ok(bytes),
        _ => Err(
            "the fingerprint has 40 to 64 hexadecimal digits, as the first start of the \
                  server has printed it"
                .to_owned(),
        ),
    }
}

/// The beginning of a day, or a time, in milliseconds since 1970.
pub(super) fn since(text: &str) -> Result<u64, String> {
    instant(text, false)
}

fn until(text: &str) -> Result<u64, String> {
    instant(text, true)
}

/// A time in milliseconds since 1970: exact, or local, or a local day, whose
/// end is meant if `end` says so.
fn instant(text: &str, end: bool) -> Result<u64, String> {
    let wrong =
        || "a time is written 2026-03-01, \"2026-03-01 14:05\" or 2026-03-01T13:05:00Z".to_owned();
    let local = |time: DateTime| time.to_zoned(TimeZone::system()).map_err(|_| wrong());
    let millis = if let Ok(exact) = text.parse::<jiff::Timestamp>() {
        exact.as_millisecond()
    } else if let (Ok(day), true) = (text.parse::<Date>(), text.len() == 10) {
        let start: Zoned = local(day.into())?;
        if end {
            let next = start.checked_add(1.day()).map_err(|_| wrong())?;
            next.timestamp().as_millisecond() - 1
        } else {
            start.timestamp().as_millisecond()
        }
    } else {
        let time = text.parse().map_err(|_| wrong())?;
        local(time)?.timestamp().as_millisecond()
    };
    u64::try_from(millis).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_to_its_end_and_a_time_exactly() {
        let utc = "2026-03-01T13:05:09.25Z";
        assert_eq!(since(utc), Ok(1_772_370_309_250));
        assert_eq!(until(utc), since(utc));
        let day = "2026-03-01";
        let length = until(day).unwrap() - since(day).unwrap();
        assert_eq!(length, 24 * 60 * 60 * 1_000 - 1);
        let minute = since("2026-03-01 00:01").unwrap();
        assert_eq!(minute - since(day).unwrap(), 60_000);
        for text in [
            "",
            "yesterday",
            "2026-3-1",
            "2026-02-30",
            "1969-12-01",
            "14:05",
        ] {
            assert!(since(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fingerprint_is_taken_as_it_was_printed() {
        let groups = "00ff ".repeat(10);
        assert_eq!(root(&groups).unwrap().len(), 20);
        assert_eq!(root(&"Ab".repeat(32)), Ok(vec![0xab; 32]));
        for text in [
            "",
            "00ff",
            &"0".repeat(39),
            &"00".repeat(33),
            &"zz".repeat(20),
        ] {
            assert!(root(text).is_err(), "{text}");
        }
    }
}
