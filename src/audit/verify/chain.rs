//! The chain of entries, from the first to the last, a page at a time.

use std::collections::BTreeSet;

use crate::audit::verify::{Finding, Report};
use crate::audit::{Link, START, link};
use crate::store::{AuditRow, AuditStore, StoreError, StoreFault};

/// So many entries are held at a time, and so far is it looked for where a
/// wrong one comes from.
pub(super) const PAGE: usize = 1_000;

/// Walks over all entries and notes what is wrong.
pub(super) fn walk(store: &dyn AuditStore, report: &mut Report) -> Result<(), StoreError> {
    let mut walk = Walk {
        store,
        report,
        next: 1,
        before: Some(START),
        moved: BTreeSet::new(),
    };
    while walk.page()? {}
    let last = store.audit_head();
    report.last = match last {
        Ok(head) => head.map_or(0, |(number, _)| number),
        // It was named above.
        Err(error) if is_damage(&error) => report.last,
        Err(error) => return Err(error),
    };
    Ok(())
}

/// A row that is not what it should be, rather than a store that does not work.
pub(super) fn is_damage(error: &StoreError) -> bool {
    matches!(error.fault(), StoreFault::Damaged(_))
}

struct Walk<'a> {
    store: &'a dyn AuditStore,
    report: &'a mut Report,
    /// The number that comes next.
    next: u64,
    /// The link before it, if it is known.
    before: Option<Link>,
    /// Numbers under which entries of other places were found.
    moved: BTreeSet<u64>,
}

/// What is wrong with an entry, and where it goes on behind: the number and the
/// link before it; or nothing, if nothing can be told from there on.
type Diagnosis = (Finding, Option<(u64, Link)>);

impl Walk<'_> {
    /// Looks at one page; false when there is nothing more to look at.
    fn page(&mut self) -> Result<bool, StoreError> {
        let Some(rows) = read(self.store, self.next)? else {
            let number = self.next;
            self.before = None;
            self.next += 1;
            return Ok(self.report.add(Finding::Unreadable { number }));
        };
        if rows.is_empty() {
            return Ok(false);
        }
        for row in rows {
            if row.number != self.next && !self.gap(&row)? {
                return Ok(false);
            }
            if let Some(before) = self.before
                && !fits(&before, row.number, &row)
            {
                let (finding, go_on) = self.diagnose(&before)?;
                if !self.note(finding) {
                    return Ok(false);
                }
                let Some((next, before)) = go_on else {
                    return Ok(false);
                };
                self.report.entries += next - self.next;
                (self.next, self.before) = (next, Some(before));
                return Ok(true);
            }
            self.report.entries += 1;
            self.report.last = row.number;
            (self.next, self.before) = (row.number + 1, Some(row.link));
        }
        Ok(true)
    }

    /// Notes something, unless it is the other half of what is noted already;
    /// false if that is enough.
    fn note(&mut self, finding: Finding) -> bool {
        match finding {
            Finding::Changed { first, last } if first == last && self.moved.remove(&first) => true,
            Finding::Reordered { stands, .. } => {
                self.moved.insert(stands);
                self.report.add(finding)
            }
            finding => self.report.add(finding),
        }
    }

    /// Numbers are missing before `row`.
    fn gap(&mut self, row: &AuditRow) -> Result<bool, StoreError> {
        let (first, last) = (self.next, row.number - 1);
        let before = self.before.take();
        self.next = row.number;
        if self.moved.remove(&row.number) {
            return Ok(true);
        }
        let finding = match before {
            Some(before) => self.stands(&before, first)?,
            None => None,
        };
        Ok(self.note(finding.unwrap_or(Finding::Missing { first, last })))
    }

    /// Whether what was logged as entry `number` stands at the end or nearby.
    fn stands(&self, before: &Link, number: u64) -> Result<Option<Finding>, StoreError> {
        let mut others = read(self.store, number)?.unwrap_or_default();
        if let Some((last, _)) = self.store.audit_head()? {
            others.extend(self.store.audit(last, 1)?);
        }
        let found = others.iter().find(|row| fits(before, number, row));
        Ok(found.map(|row| Finding::Reordered {
            number,
            stands: row.number,
        }))
    }

    /// Entry `next` does not fit.
    fn diagnose(&self, before: &Link) -> Result<Diagnosis, StoreError> {
        let mut rows = read(self.store, self.next)?.unwrap_or_default();
        let in_order = (self.next..)
            .zip(&rows)
            .take_while(|(number, row)| row.number == *number)
            .count();
        rows.truncate(in_order);
        Ok(moved(before, &rows)
            .or_else(|| exchanged(before, &rows))
            .or_else(|| removed(&rows))
            .unwrap_or_else(|| changed(before, &rows, self.next)))
    }
}

/// Entries from `first` on; none if the first of them cannot be read.
fn read(store: &dyn AuditStore, first: u64) -> Result<Option<Vec<AuditRow>>, StoreError> {
    let mut limit = PAGE;
    loop {
        match store.audit(first, limit) {
            Ok(rows) => return Ok(Some(rows)),
            Err(error) if is_damage(&error) && limit > 1 => limit /= 2,
            Err(error) if is_damage(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// The link that `row` would have as entry `number`.
fn link_of(before: &Link, number: u64, row: &AuditRow) -> Link {
    link(before, number, row.at, row.words())
}

/// Whether `row` was logged as entry `number`, after this link.
fn fits(before: &Link, number: u64, row: &AuditRow) -> bool {
    link_of(before, number, row) == row.link
}

/// Whether what belongs to the front stands further behind, with its link: the
/// front was put in, or the two were moved.
fn moved(before: &Link, rows: &[AuditRow]) -> Option<Diagnosis> {
    let front = rows.first()?;
    let first = front.number;
    let place = rows.iter().position(|row| fits(before, first, row))?;
    let home = &rows[place];
    // The front was logged too: behind what stands before or at its own place
    // now, or directly behind the entry that belongs here.
    let came_from = (1..rows.len()).any(|other| {
        let number = rows[other].number;
        fits(&rows[other].link, number, front)
            || (other > 1 && fits(&rows[other - 1].link, number, front))
    });
    let is_known = came_from || fits(&home.link, first + 1, front);
    let follows = rows.get(place + 1);
    let goes_on = follows.is_none_or(|row| fits(&home.link, first + 1, row));
    let finding = if goes_on && !is_known {
        Finding::Inserted {
            first,
            last: home.number - 1,
        }
    } else {
        Finding::Reordered {
            number: first,
            stands: home.number,
        }
    };
    Some((finding, None))
}

/// Whether the words of two entries were exchanged and their links were not.
fn exchanged(before: &Link, rows: &[AuditRow]) -> Option<Diagnosis> {
    let (front, rest) = rows.split_first()?;
    let other = rest
        .iter()
        .find(|row| link_of(before, front.number, row) == front.link)?;
    let finding = Finding::Reordered {
        number: front.number,
        stands: other.number,
    };
    Some((finding, Some((front.number + 1, front.link))))
}

/// Whether the front was logged under a higher number than it has: the next one
/// tells.
fn removed(rows: &[AuditRow]) -> Option<Diagnosis> {
    let (front, next) = (rows.first()?, rows.get(1)?);
    let count = (1..=PAGE as u64).find(|count| fits(&front.link, next.number + count, next))?;
    let first = front.number;
    Some((Finding::Removed { first, count }, None))
}

/// What remains: the front, and perhaps some behind it, are not what was
/// logged. It goes on where an entry fits again.
fn changed(before: &Link, rows: &[AuditRow], first: u64) -> Diagnosis {
    if let [front, next, ..] = rows {
        let link = link_of(before, first, front);
        if fits(&link, next.number, next) {
            // Only its link was changed.
            let finding = Finding::Changed { first, last: first };
            return (finding, Some((next.number, link)));
        }
    }
    let sound = rows
        .windows(2)
        .find(|pair| fits(&pair[0].link, pair[1].number, &pair[1]))
        .and_then(|pair| pair.first())
        .or(rows.last());
    match sound {
        Some(row) => {
            let last = row.number;
            let finding = Finding::Changed { first, last };
            (finding, Some((last + 1, row.link)))
        }
        None => (Finding::Unreadable { number: first }, None),
    }
}
