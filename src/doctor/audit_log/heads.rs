//! Signing heads, and telling the good ones in the store from what somebody
//! else may have put there.

use crate::audit::head::Head;
use crate::audit::papers::{Papers, Trust};
use crate::audit::{Action, Entry};
use crate::doctor::practice::{Practice, SERVER};
use crate::random::OsRandom;
use crate::store::{StoreError, StoreFault};

/// Logs these entries and that a head is signed, and signs it: all of that or
/// nothing. Since the log tells of its heads, none can be taken away without
/// writing the log anew.
///
/// # Errors
/// [`StoreError`] if the store cannot be written.
pub fn log_and_sign(practice: &Practice, entries: &[Entry]) -> Result<Head, StoreError> {
    let doctor = practice.identity();
    let now = practice.now();
    let mut entries = entries.to_vec();
    entries.push(Entry::new(now, SERVER, Action::HeadSigned, "", ""));
    let certificate = doctor.certificate.as_bytes();
    let mut sign = |number, link| Head::sign(&doctor, (number, link), now, &mut OsRandom);
    practice
        .store
        .append_signed(&entries, certificate, &mut sign)
}

/// Signs the newest link, unless that was done already. Gives the newest head;
/// none if the log is empty.
///
/// # Errors
/// [`StoreError`] if the store cannot be read or written.
pub fn sign_head(practice: &Practice) -> Result<Option<Head>, StoreError> {
    let store = &practice.store;
    let Some((last, _)) = store.audit_head()? else {
        return Ok(None);
    };
    let there = readable(store.signed_heads(last, 1))?.unwrap_or_default();
    if let Some(head) = there.into_iter().next()
        && Judge::new(practice)?.is_good(practice, &head)?
    {
        return Ok(Some(head));
    }
    log_and_sign(practice, &[]).map(Some)
}

/// Judges heads by the practice's own root.
pub(super) struct Judge {
    trust: Option<Trust>,
}

impl Judge {
    pub(super) fn new(practice: &Practice) -> Result<Self, StoreError> {
        let doctor = practice.identity();
        let mut papers = Papers::of(&doctor);
        papers.whose = Some(doctor.identifier().clone());
        papers
            .doctors
            .extend(practice.store.signing_certificates()?);
        let trust = Trust::new(&doctor.root.fingerprint(), &[papers], &mut OsRandom);
        Ok(Self { trust })
    }

    /// Whether a doctor of this clinic has signed the head, and the entry it
    /// names is there with that link.
    pub(super) fn is_good(&self, practice: &Practice, head: &Head) -> Result<bool, StoreError> {
        let signed = |trust: &Trust| trust.check(head).is_ok();
        Ok(fits(practice, head)? && self.trust.as_ref().is_some_and(signed))
    }
}

/// Whether the entry a head names is there with its link.
fn fits(practice: &Practice, head: &Head) -> Result<bool, StoreError> {
    let rows = readable(practice.store.audit(head.number, 1))?.unwrap_or_default();
    let row = rows.first();
    Ok(row.is_some_and(|row| (row.number, row.link) == (head.number, head.link)))
}

/// None if it is there and makes no sense.
fn readable<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.fault(), StoreFault::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A sentence about what no program of ours has put into the store; none if
/// there is nothing. The head `own` was signed by this very program.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub(super) fn doubt(practice: &Practice, own: Option<&Head>) -> Result<Option<String>, StoreError> {
    let store = &practice.store;
    if store.impossible_numbers()? > 0 {
        return Ok(Some(sentence("entries or heads with impossible numbers")));
    }
    let is_good = match readable(store.newest_signed_head())? {
        Some(None) => true,
        Some(Some(head)) if Some(&head) == own => fits(practice, &head)?,
        Some(Some(head)) => Judge::new(practice)?.is_good(practice, &head)?,
        None => false,
    };
    Ok((!is_good).then(|| sentence("a head that is not the doctor's or does not fit its log")))
}

/// Says that something is in the database.
pub(super) fn sentence(what: &str) -> String {
    format!(
        "the database has {what}: an older backup was restored, or somebody changed the log; \
         check it: doctor audit verify"
    )
}
