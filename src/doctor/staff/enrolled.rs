//! Patients' devices that a doctor has enrolled, or a thief in her name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::doctor::seen;
use crate::doctor::sifted::each_page;
use crate::doctor::staff::{StaffError, certificates_with, clinic};
use crate::doctor::tickets::ticket_code;
use crate::hex;
use crate::identity::certificate::{Certificate, KeyId, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::store::{CertificateRow, CertificateState, Revocable, Revoked, StoreError};

/// Patients' devices that a doctor has enrolled.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// Only those that were enrolled at this time or later.
    pub since: Option<Timestamp>,
}

/// The names of the keys that somebody has, or had, by these certificates.
fn keys_of(member: &Identifier, all: &[VerifiedCertificate]) -> BTreeSet<KeyId> {
    let of_her = all.iter().filter(|it| it.subject().identifier == *member);
    of_her.map(|certificate| certificate.key_id()).collect()
}

/// Whether one of these keys has signed a device's certificate. A row that says
/// another key has signed it lets nobody in.
fn is_signed_by(keys: &BTreeSet<KeyId>, row: &CertificateRow) -> bool {
    Certificate::issuer_in(&row.bytes).is_some_and(|key| keys.contains(&key))
}

/// How many devices that a doctor has enrolled can be let in, or could be if they
/// were not frozen: those that the store says are hers, and those that her keys
/// have signed. `all` are the certificates of those who work or have worked here.
///
/// # Errors
/// [`StaffError::Store`].
pub(super) fn count(
    practice: &Practice,
    doctor: &Identifier,
    all: &[VerifiedCertificate],
    which: Enrolled,
) -> Result<usize, StaffError> {
    let clinic = clinic(practice)?;
    let (keys, now) = (keys_of(doctor, all), practice.now());
    let mut count = 0;
    each_page(&*practice.store, None, |page| {
        let serials: Vec<_> = page.iter().map(|row| row.serial).collect();
        let issuers = clinic.issuers(&serials)?;
        let of_her = page.iter().filter(|row| {
            let issuer = issuers.get(&row.serial);
            let is_hers = issuer.is_some_and(|name| name == doctor.as_str());
            (is_hers || is_signed_by(&keys, row))
                && row.state != CertificateState::Revoked
                && row.not_after >= now
                && which.since.is_none_or(|since| row.created >= since)
        });
        count += of_her.count();
        Ok(())
    })?;
    Ok(count)
}

/// The serial numbers of the devices' certificates that a doctor's keys have
/// signed, whoever has enrolled them by the word of the store.
///
/// # Errors
/// [`StoreError`].
pub(in crate::doctor) fn signed_by(
    practice: &Practice,
    doctor: &Identifier,
) -> Result<Vec<[u8; 16]>, StoreError> {
    let identity = practice.identity();
    // Whoever revokes somebody has been told before if these cannot be read.
    let noted = seen::noted_members(&practice.directory.path("")).unwrap_or_default();
    let whose = (doctor, &noted[..]);
    let mut all = certificates_with(&*practice.store, &identity.root, whose)?;
    all.push(identity.certificate.clone());
    let keys = keys_of(doctor, &all);
    let mut signed = Vec::new();
    each_page(&*practice.store, None, |page| {
        let of_hers = page.iter().filter(|row| is_signed_by(&keys, row));
        signed.extend(of_hers.map(|row| row.serial));
        Ok(())
    })?;
    Ok(signed)
}

/// What the audit log says of a device that is revoked with who has enrolled it.
pub(super) fn entry(
    practice: &Practice,
    by: &Identifier,
    revoked: &Revoked,
    reason: &str,
) -> Entry {
    let what = match &revoked.what {
        Revocable::Certificate(serial) => format!("certificate {}", hex::encode(serial)),
        Revocable::Ticket(id) => format!("ticket {}", ticket_code(id)),
    };
    let detail = format!("{what}, enrolled by {by}, who is revoked: {reason}");
    practice.by_doctor(Action::Revoked, &revoked.patient, &detail)
}
