//! Who may ask what. A doctor may ask everything; what an assistant or an auditor
//! of her clinic may ask stands here, and nowhere else: a new request does not
//! compile until it has its place. It is looked at wherever requests are
//! answered.
//!
//! What an assistant's keys do not open she cannot read whatever she asks, see
//! [`ASSISTANTS_COLUMNS`](crate::doctor::joining::ASSISTANTS_COLUMNS); the rest is
//! the program's word alone.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::doctor::control::{self, Broadcast};
use crate::doctor::practice::Practice;
use crate::doctor::{
    audit, authority, backup, blocks, correspondence, deliveries, devices, joining, office,
    patients, staff,
};
use crate::identity::certificate::Role;
use crate::identity::id::Identifier;

/// Who may ask something, beside the doctors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum For {
    /// Nobody else.
    Doctors,
    /// Assistants.
    Assistants,
    /// Auditors.
    Auditors,
}

impl For {
    const fn lets(self, role: Role) -> bool {
        match role {
            Role::Doctor => true,
            Role::Assistant => matches!(self, Self::Assistants),
            Role::Auditor => matches!(self, Self::Auditors),
            Role::Root | Role::Patient => false,
        }
    }
}

/// Somebody has asked what is not for her. Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotForRole {
    /// Who.
    pub name: Identifier,
    /// What she is.
    pub role: Role,
}

impl fmt::Display for NotForRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, role } = self;
        match role {
            Role::Assistant => write!(
                f,
                "{name} is an assistant of this clinic, who sees who is connected, writes to \
                 patients, follows what has reached whom and looks up how they are reached; what \
                 was asked is for its doctors"
            ),
            Role::Auditor => write!(
                f,
                "{name} is an auditor of this clinic, who reads and verifies its audit logs with \
                 'doctor audit', and nothing else"
            ),
            _ => write!(
                f,
                "{name} has the certificate of a {role}, and may ask nothing"
            ),
        }
    }
}

impl std::error::Error for NotForRole {}

/// Whether she whose practice this is may ask this.
///
/// # Errors
/// [`NotForRole`].
pub fn check(practice: &Practice, request: &control::Request) -> Result<(), NotForRole> {
    allow(practice, asked(request))
}

/// The same of what takes no running server.
///
/// # Errors
/// [`NotForRole`].
pub fn check_office(practice: &Practice, request: &office::Request) -> Result<(), NotForRole> {
    allow(practice, asked_of_office(request))
}

fn allow(practice: &Practice, who: For) -> Result<(), NotForRole> {
    let identity = practice.identity();
    let subject = identity.certificate.subject();
    match who.lets(subject.role) {
        true => Ok(()),
        false => Err(NotForRole {
            name: subject.identifier.clone(),
            role: subject.role,
        }),
    }
}

/// Whom a request is for.
const fn asked(request: &control::Request) -> For {
    use control::Request;
    match request {
        Request::List | Request::ListClinic | Request::Message { .. } => For::Assistants,
        // Tags stand among the notes.
        Request::Broadcast(Broadcast { tag: Some(_), .. }) => For::Doctors,
        Request::Broadcast(Broadcast { tag: None, .. }) => For::Assistants,
        Request::Consult { .. }
        | Request::Blocks(blocks::Request::List | blocks::Request::Lift(_))
        | Request::Disconnect
        | Request::Stop => For::Doctors,
        Request::Office(request) => asked_of_office(request),
    }
}

const fn asked_of_office(request: &office::Request) -> For {
    use office::Request;
    match request {
        Request::Enrol { .. } | Request::Purge { .. } => For::Doctors,
        Request::Devices(request) => about_devices(request),
        Request::Audit(request) => about_audit(request),
        Request::Patients(request) => about_patients(request),
        Request::Backup(request) => about_backup(request),
        Request::Authority(request) => about_authority(request),
        Request::Joining(request) => about_joining(request),
        Request::Staff(request) => about_staff(request),
        Request::Deliveries(request) => about_deliveries(request),
        Request::Letters(request) => about_letters(request),
    }
}

const fn about_devices(request: &devices::Request) -> For {
    use devices::Request;
    match request {
        Request::List { .. }
        | Request::Revoke { .. }
        | Request::Unfreeze { .. }
        | Request::Tickets
        | Request::RevokeTicket { .. }
        | Request::Fingerprints => For::Doctors,
    }
}

const fn about_audit(request: &audit::Request) -> For {
    use audit::Request;
    match request {
        Request::Logs | Request::Begin { .. } | Request::Page { .. } | Request::Verify { .. } => {
            For::Auditors
        }
    }
}

const fn about_patients(request: &patients::Request) -> For {
    use patients::Request;
    match request {
        Request::Show { .. } | Request::List { tag: None, .. } | Request::Search { .. } => {
            For::Assistants
        }
        Request::List { tag: Some(_), .. }
        | Request::Add { .. }
        | Request::Edit { .. }
        | Request::Archive { .. }
        | Request::Unarchive { .. }
        | Request::Transfer { .. }
        | Request::TransferAll { .. }
        | Request::Note { .. } => For::Doctors,
    }
}

const fn about_backup(request: &backup::Request) -> For {
    use backup::Request;
    match request {
        Request::Make { .. }
        | Request::Sharers
        | Request::NewCode
        | Request::KeepCode { .. }
        | Request::Wrapped => For::Doctors,
    }
}

const fn about_authority(request: &authority::Request) -> For {
    use authority::Request;
    match request {
        Request::Show | Request::Renew(_) | Request::RootMoved(_) => For::Doctors,
    }
}

const fn about_joining(request: &joining::Request) -> For {
    use joining::Request;
    match request {
        Request::Invite { .. } | Request::Waiting | Request::Admit { .. } => For::Doctors,
    }
}

const fn about_staff(request: &staff::Request) -> For {
    use staff::Request;
    match request {
        Request::Show { .. } | Request::Revoke { .. } => For::Doctors,
    }
}

const fn about_deliveries(request: &deliveries::Request) -> For {
    use deliveries::Request;
    match request {
        // A signature is on a text that she may not open.
        Request::List { verify: true, .. } => For::Doctors,
        Request::List { verify: false, .. } | Request::Unconfirmed { .. } => For::Assistants,
    }
}

const fn about_letters(request: &correspondence::Request) -> For {
    use correspondence::Request;
    match request {
        Request::History { .. } => For::Assistants,
        Request::Inbox { .. } | Request::Shown { .. } => For::Doctors,
    }
}
