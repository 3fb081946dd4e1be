//! The signed heads, of the database and of files, against the entries.

use crate::audit::Action;
use crate::audit::head::Head;
use crate::audit::heads_file::Record;
use crate::audit::papers::{HeadFault, Trust};
use crate::audit::revocation::Revocation;
use crate::audit::verify::chain::is_damage;
use crate::audit::verify::{Finding, HeadsFiles, Origin, Report, VerifyError};
use crate::clock::Timestamp;
use crate::store::{AuditFilter, AuditStore, StoreError};

/// So many heads are held at a time.
const PAGE: usize = 100;

/// Checks all heads and notes what is wrong.
pub(super) fn check(
    store: &dyn AuditStore,
    files: &HeadsFiles,
    trust: &Trust,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let first_wrong = report.findings.iter().filter_map(Finding::entry).min();
    let mut check = Check {
        store,
        trust,
        last: report.last,
        first_wrong: first_wrong.unwrap_or(u64::MAX),
        beyond: None,
        unfit: None,
        own_since: u64::MAX,
        report,
    };
    if !check.logged()? {
        return Ok(());
    }
    check.database()?;
    for file in &files.files {
        for line in file.again()? {
            let (number, record) = line?;
            let origin = || Origin::File(file.path().to_owned(), number);
            let go_on = match record {
                Some(Record::Head(head)) => check.head(&head, origin())?,
                Some(Record::Revocation(line)) => check.revocation(&line, origin()),
                Some(Record::Certificates(_) | Record::Other) => true,
                None => check.report.add(Finding::BadLine(origin())),
            };
            if !go_on {
                break;
            }
        }
    }
    check.end();
    Ok(())
}

/// The entry that a head names, and where and when the head was made.
type Place = (u64, Timestamp, Origin);

struct Check<'a> {
    store: &'a dyn AuditStore,
    trust: &'a Trust,
    report: &'a mut Report,
    /// Number of the last entry.
    last: u64,
    /// Number of the first entry that is known to be wrong.
    first_wrong: u64,
    /// The head furthest beyond the end.
    beyond: Option<Place>,
    /// The first head that does not fit.
    unfit: Option<Place>,
    /// Number of the first head of the key that the doctor has now.
    own_since: u64,
}

impl Check<'_> {
    /// Looks for the heads that the log itself tells of, as far as it is known
    /// to be sound; false if enough is wrong.
    fn logged(&mut self) -> Result<bool, StoreError> {
        let filter = AuditFilter::of(Action::HeadSigned);
        let end = self.last.min(self.first_wrong.saturating_sub(1));
        let mut next = 1;
        while next <= end {
            let rows = self.store.find_audit(&filter, next..=end, PAGE)?;
            let Some(last) = rows.last() else {
                break;
            };
            next = last.number + 1;
            for row in &rows {
                let (number, origin) = (row.number, Origin::Log);
                if !self.is_stored(number)?
                    && !self.report.add(Finding::HeadMissing { number, origin })
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether there is a head of this entry in the database, or something
    /// that cannot be read.
    fn is_stored(&self, number: u64) -> Result<bool, StoreError> {
        match self.store.signed_heads(number, 1) {
            Err(error) if is_damage(&error) => Ok(true),
            heads => Ok(heads?.iter().any(|head| head.number == number)),
        }
    }

    fn database(&mut self) -> Result<(), StoreError> {
        let mut next = 0;
        loop {
            let heads = match self.store.signed_heads(next, PAGE) {
                Err(error) if is_damage(&error) => {
                    self.report.add(Finding::BadLine(Origin::Database));
                    return Ok(());
                }
                heads => heads?,
            };
            let Some(last) = heads.last() else {
                return Ok(());
            };
            next = last.number.saturating_add(1);
            for head in &heads {
                if !self.head(head, Origin::Database)? {
                    return Ok(());
                }
            }
        }
    }

    /// Checks one head; false if enough is wrong.
    fn head(&mut self, head: &Head, origin: Origin) -> Result<bool, StoreError> {
        let number = head.number;
        if let Err(fault) = self.trust.check(head) {
            return Ok(self.report.add(Finding::ForgedHead {
                number,
                origin,
                fault,
            }));
        }
        let is_own = self.trust.is_own(head);
        if !is_own && number > self.own_since {
            let fault = HeadFault::ReplacedKey;
            return Ok(self.report.add(Finding::ForgedHead {
                number,
                origin,
                fault,
            }));
        }
        if number > self.last {
            if self
                .beyond
                .as_ref()
                .is_none_or(|(other, ..)| *other < number)
            {
                self.beyond = Some((number, head.at, origin));
            }
            return Ok(true);
        }
        let row = match self.store.audit(number, 1) {
            Err(error) if is_damage(&error) => None,
            rows => rows?.into_iter().next().filter(|row| row.number == number),
        };
        // Without the entry: that it is not there was noted before.
        let Some(row) = row else {
            return Ok(true);
        };
        if row.link != head.link {
            if self
                .unfit
                .as_ref()
                .is_none_or(|(other, ..)| *other > number)
            {
                self.unfit = Some((number, head.at, origin));
            }
            return Ok(true);
        }
        self.report.heads += 1;
        if is_own {
            self.report.vouched = self.report.vouched.max(number);
            self.own_since = self.own_since.min(number);
        }
        self.is_kept(head, origin)
    }

    /// Checks a line about a certificate that was stopped; false if enough is
    /// wrong.
    fn revocation(&mut self, line: &Revocation, origin: Origin) -> bool {
        match self.trust.check_revocation(line) {
            Ok(()) => true,
            Err(fault) => self.report.add(Finding::ForgedRevocation { origin, fault }),
        }
    }

    /// A head of a file was in the database before it was in the file.
    fn is_kept(&mut self, head: &Head, origin: Origin) -> Result<bool, StoreError> {
        if origin == Origin::Database {
            return Ok(true);
        }
        let number = head.number;
        let log = Finding::HeadMissing {
            number,
            origin: Origin::Log,
        };
        if self.is_stored(number)? || self.report.findings.contains(&log) {
            return Ok(true);
        }
        Ok(self.report.add(Finding::HeadMissing { number, origin }))
    }

    /// Notes what was found of all heads together.
    fn end(self) {
        let last = self.last;
        if let Some((head, at, origin)) = self.unfit
            // Otherwise it was said already why it does not fit.
            && head < self.first_wrong
        {
            let good = match self.report.vouched {
                good if good < head => good,
                _ => 0,
            };
            self.report.add(Finding::Replaced {
                good,
                head,
                at,
                origin,
            });
        }
        if let Some((head, at, origin)) = self.beyond {
            self.report.add(Finding::Truncated {
                last,
                head,
                at,
                origin,
            });
        }
    }
}
