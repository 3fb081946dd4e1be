//! The certificates of those who work, or have worked, in a clinic, as they lie in
//! its database: among whatever else somebody has put there who can write to it.

use std::collections::BTreeSet;

use crate::doctor::authority::decode_certificates;
use crate::identity::certificate::{Certificate, Fingerprint, VerifiedCertificate, fingerprint};
use crate::identity::id::Identifier;
use crate::identity::roster::RosterEntry;
use crate::store::clinic::Papers;
use crate::store::{ClinicStore, Store, StoreError, fact};

/// At most so many of the certificates that somebody had before are looked at, the
/// newest.
const EARLIER: usize = 64;

/// At most so many signatures are checked at one look, each of which takes about a
/// millisecond. A clinic has some hundred.
const CHECKED: usize = 4_096;

/// Every certificate of staff that the store has and the clinic's root has
/// signed: those that are good, those that were replaced or are over, and those
/// of people who have left.
///
/// # Errors
/// [`StoreError`].
pub fn certificates(
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<Vec<VerifiedCertificate>, StoreError> {
    let mut found = Found::new(root);
    put_all(&mut found, store)?;
    Ok(found.genuine())
}

/// Those that are not among the ones that are known, and no more than this.
///
/// # Errors
/// [`StoreError`].
pub(in crate::doctor) fn new_certificates(
    store: &dyn Store,
    root: &VerifiedCertificate,
    known: &BTreeSet<Fingerprint>,
    most: usize,
) -> Result<Vec<VerifiedCertificate>, StoreError> {
    let mut found = Found::new(root);
    found.names.clone_from(known);
    put_all(&mut found, store)?;
    found.papers.truncate(most);
    Ok(found.genuine())
}

fn put_all(found: &mut Found<'_>, store: &dyn Store) -> Result<(), StoreError> {
    if let Some(clinic) = store.clinic() {
        found.put(of_staff(clinic)?);
        found.put(singles(clinic, fact::DOCTOR_CERTIFICATE)?);
        found.put(singles(clinic, fact::OWN_CERTIFICATE)?);
    }
    if let Some(nodes) = store.nodes() {
        for (_, entry) in nodes.roster()? {
            found.put(RosterEntry::certificate_in(&entry).map(<[u8]>::to_vec));
        }
    }
    if let Some(clinic) = store.clinic() {
        for name in [fact::EARLIER_CERTIFICATES, fact::FORMER_CERTIFICATES] {
            found.put(lists(clinic, name)?);
        }
    }
    Ok(())
}

/// The same of one member.
///
/// # Errors
/// [`StoreError`].
pub fn certificates_of(
    store: &dyn Store,
    root: &VerifiedCertificate,
    member: &Identifier,
) -> Result<Vec<VerifiedCertificate>, StoreError> {
    certificates_with(store, root, (member, &[]))
}

/// The same, and those of hers among others that were noted elsewhere.
///
/// # Errors
/// [`StoreError`].
pub fn certificates_with(
    store: &dyn Store,
    root: &VerifiedCertificate,
    (member, noted): (&Identifier, &[Vec<u8>]),
) -> Result<Vec<VerifiedCertificate>, StoreError> {
    let Some(clinic) = store.clinic() else {
        return Ok(Vec::new());
    };
    let mut found = Found::new(root);
    for papers in clinic.papers_of(member.as_str())? {
        match papers {
            Papers::One(bytes) => found.put([bytes]),
            Papers::List(list) => found.put(newest_in(&list)),
            Papers::Roster(entry) => {
                found.put(RosterEntry::certificate_in(&entry).map(<[u8]>::to_vec));
            }
        }
    }
    found.put(noted.iter().cloned());
    let mut all = found.genuine();
    all.retain(|certificate| certificate.subject().identifier == *member);
    Ok(all)
}

/// Those for which this holds, of assistants and auditors who have, or had, one.
///
/// # Errors
/// [`StoreError`].
pub(super) fn of_who_lacks_a_node(
    store: &dyn Store,
    root: &VerifiedCertificate,
    is_asked: impl Fn(&[u8]) -> bool,
) -> Result<Vec<VerifiedCertificate>, StoreError> {
    let Some(clinic) = store.clinic() else {
        return Ok(Vec::new());
    };
    let mut found = Found::new(root);
    for papers in [
        of_staff(clinic)?,
        singles(clinic, fact::OWN_CERTIFICATE)?,
        lists(clinic, fact::FORMER_CERTIFICATES)?,
    ] {
        found.put(papers.into_iter().filter(|bytes| is_asked(bytes)));
    }
    Ok(found.genuine())
}

fn of_staff(clinic: &dyn ClinicStore) -> Result<Vec<Vec<u8>>, StoreError> {
    let rows = clinic.staff()?.into_iter();
    Ok(rows.map(|row| row.certificate).collect())
}

/// A fact that is one certificate, of all who have it.
fn singles(clinic: &dyn ClinicStore, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    let all = clinic.facts_of_all(name)?.into_iter();
    Ok(all.map(|(_, bytes)| bytes).collect())
}

/// The same of one that is a list of them.
fn lists(clinic: &dyn ClinicStore, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    let all = clinic.facts_of_all(name)?.into_iter();
    Ok(all.flat_map(|(_, bytes)| newest_in(&bytes)).collect())
}

/// The last ones in a list.
fn newest_in(list: &[u8]) -> Vec<Vec<u8>> {
    let mut all = decode_certificates(list).unwrap_or_default();
    all.drain(..all.len().saturating_sub(EARLIER));
    all
}

/// What may be certificates of the clinic's, each once: most lie in several places.
struct Found<'a> {
    root: &'a VerifiedCertificate,
    names: BTreeSet<Fingerprint>,
    papers: Vec<Vec<u8>>,
}

impl<'a> Found<'a> {
    const fn new(root: &'a VerifiedCertificate) -> Self {
        Self {
            root,
            names: BTreeSet::new(),
            papers: Vec::new(),
        }
    }

    fn put(&mut self, papers: impl IntoIterator<Item = Vec<u8>>) {
        for bytes in papers {
            // What is seen at once comes before what has to be computed.
            if self.root.may_have_issued(&bytes) && self.names.insert(fingerprint(&bytes)) {
                self.papers.push(bytes);
            }
        }
    }

    /// Those that the root has signed.
    fn genuine(self) -> Vec<VerifiedCertificate> {
        let root = self.root;
        let genuine = self.papers.iter().take(CHECKED).filter_map(|bytes| {
            let certificate = Certificate::decode(bytes, root.group()).ok()?;
            root.accept_member(certificate).ok()
        });
        genuine.collect()
    }
}
