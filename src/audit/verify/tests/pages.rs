//! How much of a log is read at once.

use super::*;
use crate::audit::head::Head;
use crate::audit::{Entry, Link, START, link};
use crate::random::OsRandom;
use crate::store::{AuditFilter, AuditRow};
use crate::testing::clinic;

/// A log that knows how many entries were asked for at once.
struct Counting(std::cell::RefCell<(Vec<Link>, usize)>);

impl AuditStore for Counting {
    fn append_audit(&self, _: &[Entry]) -> Result<(), StoreError> {
        Ok(())
    }

    fn audit(&self, first: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let mut state = self.0.borrow_mut();
        state.1 = state.1.max(limit);
        let links = (1..).zip(&state.0);
        let wanted = links.skip_while(|(number, _)| *number < first).take(limit);
        Ok(wanted.map(|(number, link)| row(number, *link)).collect())
    }

    fn find_audit(
        &self,
        _: &AuditFilter,
        _: std::ops::RangeInclusive<u64>,
        _: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        Ok(Vec::new())
    }

    fn nth_last_audit(
        &self,
        _: &AuditFilter,
        _: std::ops::RangeInclusive<u64>,
        _: u64,
    ) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    fn audit_head(&self) -> Result<Option<(u64, Link)>, StoreError> {
        let state = self.0.borrow();
        Ok(state.0.last().map(|link| (state.0.len() as u64, *link)))
    }

    fn add_signed_head(&self, _: &Head, _: &[u8]) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn append_signed(
        &self,
        _: &[Entry],
        _: &[u8],
        sign: &mut dyn FnMut(u64, Link) -> Head,
    ) -> Result<Head, StoreError> {
        Ok(sign(0, START))
    }

    fn impossible_numbers(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn signed_heads(&self, _: u64, _: usize) -> Result<Vec<Head>, StoreError> {
        Ok(Vec::new())
    }

    fn newest_signed_head(&self) -> Result<Option<Head>, StoreError> {
        Ok(None)
    }

    fn signing_certificates(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(Vec::new())
    }
}

fn row(number: u64, link: Link) -> AuditRow {
    let entry = entry(number);
    AuditRow {
        number,
        at: entry.at,
        actor: entry.actor,
        action: entry.action.word().to_owned(),
        subject: entry.subject,
        detail: entry.detail,
        link,
    }
}

#[test]
fn a_long_log_is_read_a_page_at_a_time() {
    let mut links = Vec::new();
    let mut before = START;
    for number in 1..=20_000 {
        let row = row(number, before);
        before = link(&before, number, row.at, row.words());
        links.push(before);
    }
    let store = Counting((links, 0).into());
    let root = clinic().doctor.root.fingerprint();
    let papers = Papers::of(&clinic().doctor);
    let files = HeadsFiles::default();
    let report = verify(&store, papers, &files, &root, &mut OsRandom).unwrap();
    let (first, last) = (1, 20_000);
    let unvouched = [Finding::Unvouched { first, last }];
    assert_eq!(
        (report.entries, &report.findings[..]),
        (last, &unvouched[..])
    );
    assert_eq!(store.0.borrow().1, chain::PAGE);
}
