//! Verifying the log: the chain of its entries, and the signed heads beside it
//! and elsewhere. No secret is needed, and not more memory for a longer log.

mod chain;
mod finding;
mod heads;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use crate::audit::Action;
use crate::audit::head::HEAD_AFTER;
use crate::audit::heads_file::{self, HeadsFileError, Lines, Record};
use crate::audit::papers::{Papers, Trust};
use crate::random::Random;
use crate::store::{AuditFilter, AuditStore, StoreError};

pub use finding::{Finding, Origin};

/// The most findings that are told one by one.
const MAX_FINDINGS: usize = 100;
/// The most certificates of heads files that are looked at: a clinic has one a
/// year.
const MAX_PAPERS: usize = 100;

/// The most entries that may come after the newest head. Twice what makes the
/// server sign one: it may be killed just then, while much happens at once.
const MAX_UNVOUCHED: u64 = 2 * HEAD_AFTER;

/// Why the log could not be verified. It says nothing about the log.
#[derive(Debug)]
pub enum VerifyError {
    /// The store.
    Store(StoreError),
    /// A file of heads.
    HeadsFile(HeadsFileError),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::HeadsFile(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for VerifyError {}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<HeadsFileError> for VerifyError {
    fn from(error: HeadsFileError) -> Self {
        Self::HeadsFile(error)
    }
}

/// Files of heads, as far as they went when they were opened. To be opened
/// before the store: a head written in between names an entry that is there.
#[derive(Debug, Default)]
pub struct HeadsFiles {
    files: Vec<Lines>,
    papers: Vec<Papers>,
}

impl HeadsFiles {
    /// Opens the files.
    ///
    /// # Errors
    /// [`HeadsFileError`] if one cannot be read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, HeadsFileError> {
        let mut opened = Self::default();
        for path in paths {
            let lines = heads_file::open(path)?;
            for line in lines.again()? {
                if let (_, Some(Record::Certificates(papers))) = line?
                    && opened.papers.len() < MAX_PAPERS
                    && !opened.papers.contains(&papers)
                {
                    opened.papers.push(papers);
                }
            }
            opened.files.push(lines);
        }
        Ok(opened)
    }

    /// Whom to trust of these papers and those in the files (see
    /// [`Trust::new`]).
    #[must_use]
    pub fn trust(&self, papers: Papers, root: &[u8], random: &mut dyn Random) -> Option<Trust> {
        let mut all = self.papers.clone();
        all.push(papers);
        Trust::new(root, &all, random)
    }
}

/// What came of a verification.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// So many entries were looked at.
    pub entries: u64,
    /// Number of the last one; 0 if there is none.
    pub last: u64,
    /// So many signed heads fit the log.
    pub heads: u64,
    /// Number of the last entry that one of them vouches for; 0 for none.
    pub vouched: u64,
    /// What is wrong, the entries first.
    pub findings: Vec<Finding>,
    /// Whether the verification was given up because so much is wrong.
    pub cut_short: bool,
}

impl Report {
    /// Notes something; false if that is enough.
    fn add(&mut self, finding: Finding) -> bool {
        self.findings.push(finding);
        self.cut_short = self.findings.len() >= MAX_FINDINGS;
        !self.cut_short
    }
}

/// Verifies the log in `store` and all heads, with the certificates that lie
/// beside them and nothing but this fingerprint of the clinic's root to trust
/// (see [`Trust::new`]).
///
/// # Errors
/// [`VerifyError`] if store or files cannot be read. What is wrong with the log
/// is no error, but a finding.
pub fn verify(
    store: &dyn AuditStore,
    papers: Papers,
    files: &HeadsFiles,
    root: &[u8],
    random: &mut dyn Random,
) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    chain::walk(store, &mut report)?;
    match store.impossible_numbers()? {
        0 => {}
        count => {
            report.add(Finding::ImpossibleNumber { count });
        }
    }
    match files.trust(papers, root, random) {
        Some(trust) if !report.cut_short => heads::check(store, files, &trust, &mut report)?,
        Some(_) => {}
        None => {
            report.add(Finding::OtherClinic);
        }
    }
    // Otherwise it has been said that something is wrong.
    if report.findings.is_empty() && is_unvouched(store, &report)? {
        let (first, last) = (report.vouched + 1, report.last);
        report.add(Finding::Unvouched { first, last });
    }
    Ok(report)
}

/// Whether a log that is sound by itself lacks a head that it must have. Start
/// and stop are committed together with theirs.
fn is_unvouched(store: &dyn AuditStore, report: &Report) -> Result<bool, StoreError> {
    let (vouched, last) = (report.vouched, report.last);
    if vouched == last {
        return Ok(false);
    }
    if vouched == 0 || last - vouched > MAX_UNVOUCHED {
        return Ok(true);
    }
    for action in [Action::Started, Action::Stopped] {
        let filter = AuditFilter::of(action);
        if !store.find_audit(&filter, vouched + 1..=last, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
