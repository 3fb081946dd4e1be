//! Where the log of somebody ended when she was revoked, as the log says of who
//! revoked her: whoever has her key since can sign heads of whatever he writes in the
//! place of it, but not change what the other log says.

use crate::audit::verify::Finding;
use crate::audit::{Action, Link};
use crate::hex;
use crate::store::{AuditFilter, AuditStore, Store, StoreError};

/// What stands before the number of the last entry.
const BEGIN: &str = ", her log ends with entry ";
/// At most so many entries about one person are looked at in each log.
const MOST: usize = 100;

/// What the entry that says who is revoked says of her log.
#[must_use]
pub fn said(end: Option<(u64, Link)>) -> String {
    end.map_or_else(String::new, |(number, link)| {
        format!("{BEGIN}{number} ({})", hex::encode(&link))
    })
}

fn read(detail: &str) -> Option<(u64, Link)> {
    // The reason comes last, and is anybody's.
    let before_reason = detail.split(": ").next()?;
    let (_, end) = before_reason.split_once(BEGIN)?;
    let (number, link) = end.strip_suffix(')')?.split_once(" (")?;
    let link = hex::decode(link)?.try_into().ok()?;
    Some((number.parse().ok()?, link))
}

/// Somebody was revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// In whose log that stands.
    pub by: String,
    /// Under which number.
    pub entry: u64,
    /// Number and link of the last entry of her own log then; none if an earlier
    /// version has written that.
    pub end: Option<(u64, Link)>,
}

/// What the logs of all others say of when somebody was revoked.
///
/// # Errors
/// [`StoreError`].
pub fn of(store: &dyn Store, name: &str) -> Result<Vec<Ended>, StoreError> {
    let mut found = Vec::new();
    let Some(clinic) = store.clinic() else {
        return Ok(found);
    };
    let filter = AuditFilter {
        patient: Some(name.to_owned()),
        ..AuditFilter::of(Action::StaffRevoked)
    };
    for by in clinic.logs()?.into_iter().filter(|by| by != name) {
        let Some((last, _)) = clinic.seen_by(&by).audit_head()? else {
            continue;
        };
        let rows = clinic.seen_by(&by).find_audit(&filter, 1..=last, MOST)?;
        found.extend(rows.into_iter().map(|row| Ended {
            by: by.clone(),
            entry: row.number,
            end: read(&row.detail),
        }));
    }
    Ok(found)
}

impl Ended {
    /// What is wrong with her log by that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn check(&self, log: &dyn AuditStore) -> Result<Option<Finding>, StoreError> {
        let Some((number, link)) = self.end else {
            return Ok(None);
        };
        let rows = log.audit(number, 1)?;
        let is_there = rows
            .iter()
            .any(|row| row.number == number && row.link == link);
        Ok((!is_there).then(|| Finding::Rewritten {
            number,
            by: self.by.clone(),
            entry: self.entry,
        }))
    }

    /// What that means for her log, in a sentence.
    #[must_use]
    pub fn note(&self) -> String {
        let Self { by, entry, end } = self;
        let end = match end {
            Some((number, _)) => format!(
                "Her log ended with entry {number} then, and what comes after it, signed or not, \
                 may be of whoever has her key."
            ),
            None => "Where her log ended then is not noted: all of it, signed or not, may be of \
                     whoever has her key."
                .to_owned(),
        };
        format!("Its owner was revoked: entry {entry} of the log of {by}. {end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_log_is_read_again_and_no_reason_is_taken_for_it() {
        let end = Some((31, [0xab; 32]));
        let detail = format!("doctor, certificates 00, list 7{}: has left", said(end));
        assert_eq!(read(&detail), end);
        let other = said(Some((1, [1; 32])));
        for detail in [
            format!("doctor, certificates 00, list 7: a theft{other}"),
            format!("doctor, list 7: a: theft{other}: b"),
            "doctor, list 7, her log ends with entry x (00): has left".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&detail), None, "{detail}");
        }
        assert_eq!(said(None), "");
    }
}
