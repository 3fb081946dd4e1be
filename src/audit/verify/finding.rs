//! What can be wrong with the log, in words.

use std::fmt;
use std::path::PathBuf;

use crate::audit::papers::HeadFault;
use crate::clock::Timestamp;

/// Where a head was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// In the database.
    Database,
    /// On a line of a file.
    File(PathBuf, u64),
    /// An entry tells of it.
    Log,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("in the database"),
            Self::Log => f.write_str("of which the log tells"),
            Self::File(path, line) => write!(f, "on line {line} of '{}'", path.display()),
        }
    }
}

/// Something that is wrong with the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Entries are not there, and nothing stands in their place.
    Missing {
        /// Number of the first one.
        first: u64,
        /// Number of the last one.
        last: u64,
    },
    /// Entries are not what was logged under their numbers.
    Changed {
        /// Number of the first one.
        first: u64,
        /// Number of the last one.
        last: u64,
    },
    /// Entries were put in, and those behind them numbered anew.
    Inserted {
        /// Number of the first one.
        first: u64,
        /// Number of the last one.
        last: u64,
    },
    /// Entries were taken out, and those behind them numbered anew.
    Removed {
        /// The number the first one had.
        first: u64,
        /// How many they were.
        count: u64,
    },
    /// An entry stands in another place.
    Reordered {
        /// The number it was logged under.
        number: u64,
        /// The number it has now.
        stands: u64,
    },
    /// An entry cannot be read.
    Unreadable {
        /// Its number.
        number: u64,
    },
    /// The end of the log is not there.
    Truncated {
        /// Number of the last entry that is.
        last: u64,
        /// Number of an entry that was.
        head: u64,
        /// When that was signed.
        at: Timestamp,
        /// Where.
        origin: Origin,
    },
    /// The chain is sound and not the one that was signed.
    Replaced {
        /// Number of the last entry a head still fits; 0 for none.
        good: u64,
        /// Number of the first entry a head does not fit.
        head: u64,
        /// When that head was signed.
        at: Timestamp,
        /// Where it is.
        origin: Origin,
    },
    /// A head was not signed by a doctor of this clinic.
    ForgedHead {
        /// The entry it names.
        number: u64,
        /// Where it is.
        origin: Origin,
        /// What is wrong with it.
        fault: HeadFault,
    },
    /// A head of which a file or the log itself tells is not in the database.
    HeadMissing {
        /// The entry it names.
        number: u64,
        /// Where it is.
        origin: Origin,
    },
    /// What a file says of a certificate that was stopped was not signed by a
    /// doctor of this clinic.
    ForgedRevocation {
        /// Where it is.
        origin: Origin,
        /// What is wrong with it.
        fault: HeadFault,
    },
    /// No head vouches for entries for which there must be one.
    Unvouched {
        /// Number of the first one.
        first: u64,
        /// Number of the last one.
        last: u64,
    },
    /// Entries or heads have a number that none can have.
    ImpossibleNumber {
        /// How many.
        count: u64,
    },
    /// A line of a file of heads means nothing.
    BadLine(Origin),
    /// Nothing here belongs to the clinic with this root.
    OtherClinic,
    /// The log lies under what cannot be anybody's name.
    NoName,
    /// An entry is not what stood there when its owner was revoked.
    Rewritten {
        /// Its number: the last one then.
        number: u64,
        /// In whose log that stands.
        by: String,
        /// Under which number.
        entry: u64,
    },
}

impl Finding {
    /// One word for it, which stays.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Changed { .. } => "changed",
            Self::Inserted { .. } => "inserted",
            Self::Removed { .. } => "removed",
            Self::Reordered { .. } => "reordered",
            Self::Unreadable { .. } => "unreadable",
            Self::Truncated { .. } => "truncated",
            Self::Replaced { .. } => "replaced",
            Self::ForgedHead { .. } => "forged_head",
            Self::HeadMissing { .. } => "head_missing",
            Self::ForgedRevocation { .. } => "forged_revocation",
            Self::Unvouched { .. } => "unvouched",
            Self::ImpossibleNumber { .. } => "impossible_number",
            Self::BadLine(_) => "bad_line",
            Self::OtherClinic => "other_clinic",
            Self::NoName => "no_name",
            Self::Rewritten { .. } => "rewritten",
        }
    }

    /// The number of the first entry concerned, if it is about entries.
    #[must_use]
    pub const fn entry(&self) -> Option<u64> {
        match self {
            Self::Missing { first, .. }
            | Self::Changed { first, .. }
            | Self::Inserted { first, .. }
            | Self::Removed { first, .. }
            | Self::Unvouched { first, .. } => Some(*first),
            Self::Reordered { number, .. }
            | Self::Unreadable { number }
            | Self::ForgedHead { number, .. }
            | Self::HeadMissing { number, .. }
            | Self::Rewritten { number, .. } => Some(*number),
            Self::Truncated { last, .. } => Some(*last + 1),
            Self::Replaced { good, .. } => Some(*good + 1),
            Self::ForgedRevocation { .. }
            | Self::ImpossibleNumber { .. }
            | Self::BadLine(_)
            | Self::OtherClinic
            | Self::NoName => None,
        }
    }
}

/// `entry 5 was`, `entries 5 to 7 were`.
fn entries(first: u64, last: u64, one: &str, several: &str) -> String {
    if first == last {
        format!("entry {first} {one}")
    } else {
        format!("entries {first} to {last} {several}")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { first, last } => {
                f.write_str(&entries(*first, *last, "is missing", "are missing"))
            }
            Self::Changed { first, last } => {
                let what = entries(*first, *last, "was changed", "were changed");
                write!(f, "{what}: not what was logged there")
            }
            Self::Inserted { first, last } => {
                let what = entries(*first, *last, "was inserted", "were inserted");
                write!(f, "{what}: what was logged there comes after")
            }
            Self::Removed { first, count } => {
                let what = entries(*first, first + count - 1, "was removed", "were removed");
                write!(f, "{what}, and those after numbered anew")
            }
            Self::Reordered { number, stands } => {
                write!(f, "entry {number} was moved: it stands as entry {stands}")
            }
            Self::Unreadable { number } => write!(f, "entry {number} cannot be read"),
            Self::Truncated {
                last,
                head,
                at,
                origin,
            } => write!(
                f,
                "the end of the log is missing: the last entry is {last}, and the head signed \
                 {at}, {origin}, is that of entry {head}"
            ),
            Self::Replaced {
                good,
                head,
                at,
                origin,
            } => write!(
                f,
                "the log was replaced: what stands from entry {} to entry {head} is not what was \
                 logged, for the head signed {at}, {origin}, does not fit",
                good + 1
            ),
            Self::ForgedHead {
                number,
                origin,
                fault,
            } => write!(
                f,
                "the head of entry {number}, {origin}, is forged: {fault}"
            ),
            Self::ForgedRevocation { origin, fault } => write!(
                f,
                "what stands {origin} about a device that was stopped is forged: {fault}"
            ),
            Self::HeadMissing { number, origin } => write!(
                f,
                "the head of entry {number}, {origin}, was removed from the database"
            ),
            Self::Unvouched { first, last } => write!(
                f,
                "no signed head vouches for {}, though the server signs one at every start and \
                 stop and after 1,000 entries: the heads were removed, or the log was written anew",
                match first == last {
                    true => format!("entry {first}"),
                    false => format!("entries {first} to {last}"),
                }
            ),
            Self::ImpossibleNumber { count } => write!(
                f,
                "somebody put rows into the log with numbers that nothing there can have: {count}"
            ),
            Self::BadLine(origin) => write!(f, "what stands {origin} cannot be understood"),
            Self::OtherClinic => f.write_str(
                "neither the database nor a file of heads belongs to the clinic whose root has \
                 this fingerprint",
            ),
            Self::Rewritten { number, by, entry } => write!(
                f,
                "entry {number} is not the one that stood there when its owner was revoked, which \
                 entry {entry} of the log of {by} names: the log was written anew with her key, \
                 or cut off"
            ),
            Self::NoName => f.write_str(
                "the log lies under what cannot be anybody's name in the clinic: somebody has put \
                 it into the database",
            ),
        }
    }
}
