//! Assistants and auditors whose certificates end soon. They have no server that
//! could say so, and perhaps give no command in that time: the clinic's doctors are
//! told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, in_words};
use crate::doctor::authority::{REMIND, finds};
use crate::doctor::practice::Practice;
use crate::doctor::staff::{StaffError, certificates, revoked_list};
use crate::identity::certificate::VerifiedCertificate;

/// Somebody's certificate ends soon, or has ended: she joins anew.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Her name.
    pub name: String,
    /// What she is: assistant or auditor.
    pub role: String,
    /// When the certificate ends, or has ended.
    pub until: Timestamp,
    /// How long that is from now; none if it is over.
    pub left: Option<Duration>,
    /// What a command needs to find the doctor who is told, as
    /// [`finds`](crate::doctor::authority::finds) gives it.
    pub finds: String,
}

impl Ending {
    /// The commands with which a doctor lets her join anew, in their order.
    #[must_use]
    pub fn commands(&self) -> [String; 2] {
        let Self {
            name, role, finds, ..
        } = self;
        [
            format!("doctor{finds} authority revoke-doctor {name} --reason 'joins anew'"),
            format!("doctor{finds} enrol-doctor {name} --role {role}"),
        ]
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, role, until, ..
        } = self;
        match self.left {
            Some(left) => {
                let left = in_words(left);
                write!(
                    f,
                    "the certificate of {role} {name} ends on {until}, in {left}"
                )
            }
            None => write!(
                f,
                "the certificate of {role} {name} has ended on {until}, and no command of hers \
                 works"
            ),
        }
    }
}

/// Those who work in the clinic without a server and whose newest certificate ends
/// within [`REMIND`] or has ended, in order of their names. None where a practice is
/// one doctor's.
///
/// # Errors
/// [`StaffError`].
pub fn ending(practice: &Practice) -> Result<Vec<Ending>, StaffError> {
    let (store, identity, now) = (&*practice.store, practice.identity(), practice.now());
    let Some(clinic) = store.clinic() else {
        return Ok(Vec::new());
    };
    let list = revoked_list(store, &identity.root)?;
    let all = certificates(store, &identity.root)?;
    let mut newest: BTreeMap<&str, &VerifiedCertificate> = BTreeMap::new();
    for certificate in &all {
        let subject = certificate.subject();
        let known = newest
            .entry(subject.identifier.as_str())
            .or_insert(certificate);
        if known.subject().not_before < subject.not_before {
            *known = certificate;
        }
    }
    let finds = finds(&practice.directory.path(""), identity.identifier());
    let mut found = Vec::new();
    for row in clinic.staff()? {
        let Some(subject) = newest.get(&*row.id).map(|newest| newest.subject()) else {
            continue;
        };
        let (until, role) = (subject.not_after, subject.role);
        let is_near = until.since(now) <= REMIND;
        if role.lacks_node() && is_near && !list.contains(&subject.serial) {
            found.push(Ending {
                name: row.id,
                role: role.word().to_owned(),
                until,
                left: (now <= until).then(|| until.since(now)),
                finds: finds.clone(),
            });
        }
    }
    Ok(found)
}
