//! What is to be deleted for good.

use jiff::{Span, ToSpan, Zoned};

use super::super::doctor::purge::Purge;
use super::super::exit::Failure;
use super::value::value;
use crate::clock::Timestamp;

/// What `doctor purge` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeTask {
    /// What is older than this.
    pub before: Timestamp,
    /// Only to look.
    pub dry_run: bool,
    /// Not to ask.
    pub yes: bool,
}

impl PurgeTask {
    /// Checks what was typed.
    pub(super) fn new(args: &Purge) -> Result<Self, Failure> {
        let now = Zoned::now();
        let older_than = |text: &str| before(text, &now);
        Ok(Self {
            before: value("--older-than", &args.older_than, older_than)?,
            dry_run: args.dry_run,
            yes: args.yes,
        })
    }
}

/// The time that lies so far back, by the calendar: `10y` before 29 February is
/// a 28 February.
fn before(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong = || {
        "this is a whole number from 1 on with its unit, d, w, mo or y, such as 10y, and not more \
         than 200 years"
            .to_owned()
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i32 = number.parse().map_err(|_| wrong())?;
    let (most, span): (i32, fn(i32) -> Span) = match unit {
        "d" => (73_000, |n| n.days()),
        "w" => (10_400, |n| n.weeks()),
        "mo" => (2_400, |n| n.months()),
        "y" => (200, |n| n.years()),
        _ => return Err(wrong()),
    };
    if !(1..=most).contains(&number) {
        return Err(wrong());
    }
    let then = now.checked_sub(span(number)).map_err(|_| wrong())?;
    let millis = u64::try_from(then.timestamp().as_millisecond());
    // Before 1970 there is nothing to be deleted.
    Ok(Timestamp::from_millis(millis.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_before(text: &str) -> Result<String, String> {
        let day = jiff::civil::date(2028, 2, 29).at(12, 0, 0, 0);
        let now = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        before(text, &now).map(|at| at.to_rfc3339()[..10].to_owned())
    }

    #[test]
    fn ages_are_counted_by_the_calendar() {
        for (age, day) in [
            ("10y", "2018-02-28"),
            ("1mo", "2028-01-29"),
            ("2w", "2028-02-15"),
            ("1d", "2028-02-28"),
            ("200y", "1970-01-01"),
        ] {
            assert_eq!(day_before(age).unwrap(), day, "{age}");
        }
    }

    #[test]
    fn an_age_without_a_unit_or_of_nothing_is_refused() {
        for age in [
            "",
            "10",
            "0d",
            "-1y",
            "1.5y",
            "10m",
            "201y",
            "99999999999y",
            "y",
        ] {
            assert!(
                day_before(age).unwrap_err().contains("such as 10y"),
                "{age}"
            );
        }
    }
}
