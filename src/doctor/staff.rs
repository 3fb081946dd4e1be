//! Who works in a clinic, and how the root takes somebody out of it: a doctor who
//! leaves, or one whose keys may be in other hands.
//!
//! The root's secret stays in the command that asks: it signs the next list of
//! revoked doctors, and what is put into the database here is that list.

mod closing;
mod ending;
mod enrolled;
mod over;
mod papers;

pub(super) use closing::{close, known as closed_keys};
pub use closing::{close_keys_of, stored as stored_closed, unclosed};
pub use ending::{Ending, ending};
pub use enrolled::Enrolled;
pub(super) use enrolled::signed_by;
pub use over::{over, over_among};
pub(super) use papers::new_certificates;
pub use papers::{certificates, certificates_of, certificates_with};

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audit::{Action, log_end};
use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::doctor::seen;
use crate::doctor::setup::{self, SetupError};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::certificate::{Fingerprint, Role, Serial, VerifiedCertificate};
use crate::identity::id::{Identifier, IdentifierError};
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;
use crate::store::clinic::{Devices, Removal, StaffRow};
use crate::store::{ClinicStore, Revoked, Store, StoreError, fact};

/// What can be asked about who works in the clinic.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who is she?
    Show {
        /// Her name.
        member: String,
        /// The devices she has enrolled are to be revoked: it does not matter then
        /// whether she is revoked already.
        #[serde(default)]
        devices: Option<Enrolled>,
    },
    /// Revoke her certificates, which this list names.
    Revoke {
        /// Her name.
        member: String,
        /// The next list of revoked doctors, which the root has signed, in
        /// hexadecimal digits.
        list: String,
        /// What the root says of each of her keys, likewise.
        #[serde(default)]
        closed: Vec<String>,
        /// Why.
        reason: String,
        /// Revoke devices that she has enrolled, too.
        #[serde(default)]
        devices: Option<Enrolled>,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// This is she.
    Shown(Member),
    /// Her certificates are revoked.
    Revoked {
        /// As she was.
        member: Member,
        /// Number of the list that names them.
        revoked_number: u64,
        /// So many devices that she has enrolled were revoked with her; none if that
        /// was not asked for.
        devices: Option<usize>,
        /// The patients whose devices these are, in order of their names: each needs
        /// a new ticket.
        enrol_anew: Vec<String>,
    },
}

/// Somebody who works in the clinic.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Her name.
    pub name: String,
    /// What she is: doctor, assistant or auditor.
    pub role: String,
    /// Name of her signing key.
    pub key: Fingerprint,
    /// Until when her newest certificate is good, or was.
    pub until: Timestamp,
    /// Her certificates that are not revoked, also those that are over.
    pub serials: Vec<Serial>,
    /// So many patients are hers.
    pub patients: usize,
    /// So many devices that she has enrolled, of those that were asked about, are
    /// not revoked and have not ended.
    pub enrolled: usize,
    /// So many devices are connected to her server.
    pub connected: usize,
    /// The clinic's other doctors.
    pub colleagues: Vec<String>,
}

impl Member {
    /// The numbers of her certificates, in hexadecimal digits.
    #[must_use]
    pub fn serials_in_hex(&self) -> Vec<String> {
        self.serials
            .iter()
            .map(|serial| hex::encode(serial))
            .collect()
    }
}

/// Why nobody was revoked.
#[derive(Debug)]
pub enum StaffError {
    /// The store.
    Store(StoreError),
    /// There is nobody else.
    Alone,
    /// It is no name.
    Name(IdentifierError),
    /// Nobody of this name works here; these do.
    Nobody(Identifier, Vec<String>),
    /// She is revoked already.
    Already(Identifier),
    /// It is the doctor herself.
    Oneself(Identifier),
    /// The list of revoked doctors in the database is not the clinic's.
    Damaged,
    /// What was signed is no list that can follow.
    Unfit(&'static str),
    /// The list or her certificates have changed since they were looked at.
    Overtaken,
    /// What is noted of the clinic's members cannot be read.
    Noted(Box<SetupError>),
    /// There is no room in the list.
    ListFull,
    /// There is no room for all the devices that the root would have to name.
    TooMany,
}

impl fmt::Display for StaffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Alone => f.write_str(
                "this practice is one doctor's, there is nobody else to revoke; a signing key \
                 that was stolen is replaced with: doctor authority replace-key",
            ),
            Self::Name(error) => write!(f, "{error}"),
            Self::Nobody(name, others) if others.is_empty() => {
                write!(f, "nobody of the name {name} works in this clinic")
            }
            Self::Nobody(name, others) => write!(
                f,
                "nobody of the name {name} works in this clinic, but {}",
                others.join(", ")
            ),
            Self::Already(name) => write!(
                f,
                "{name} is revoked already; an assistant's or auditor's name may be given again: \
                 doctor enrol-doctor {name}; give a doctor another one, since patients' programs \
                 take no other key under a name they know"
            ),
            Self::Oneself(name) => write!(
                f,
                "{name} is yourself: if your signing key may be in other hands, replace it: \
                 doctor authority replace-key; if you leave, another doctor revokes you"
            ),
            Self::Damaged => f.write_str(
                "the list of revoked doctors in the database is not this clinic's: restore a \
                 backup, and see who can write to the database",
            ),
            Self::Unfit(why) => write!(f, "the list of revoked doctors is not taken: {why}"),
            Self::Overtaken => f.write_str(
                "the clinic's list of revoked doctors has changed meanwhile, and nobody was \
                 revoked; say the same again",
            ),
            Self::Noted(error) => write!(f, "{error}"),
            Self::ListFull => f.write_str("the list of revoked doctors is full"),
            Self::TooMany => f.write_str(
                "she has enrolled more devices than the root can vouch for one by one; revoke \
                 them with her: --devices",
            ),
        }
    }
}

impl std::error::Error for StaffError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Noted(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for StaffError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Does what is asked.
///
/// # Errors
/// [`StaffError`]; nothing was changed.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, StaffError> {
    let named = |member: &str| member.parse().map_err(StaffError::Name);
    match request {
        Request::Show { member, devices } => {
            Ok(Answer::Shown(show(practice, &named(member)?, *devices)?))
        }
        Request::Revoke {
            member,
            list,
            closed,
            reason,
            devices,
        } => {
            let list = hex::decode(list).ok_or(StaffError::Unfit("it is malformed"))?;
            revoke(practice, &named(member)?, (&list, closed), reason, *devices)
        }
    }
}

fn clinic(practice: &Practice) -> Result<&dyn ClinicStore, StaffError> {
    practice.store.clinic().ok_or(StaffError::Alone)
}

/// The certificates of one member, in the store or among those that were seen there
/// before.
fn certificates_here(
    practice: &Practice,
    member: &Identifier,
) -> Result<Vec<VerifiedCertificate>, StaffError> {
    let (store, root) = (&*practice.store, &practice.identity().root);
    let noted = seen::noted_members(&practice.directory.path(""));
    let noted = noted.map_err(|error| StaffError::Noted(Box::new(error)))?;
    Ok(certificates_with(store, root, (member, &noted))?)
}

/// The clinic's list of revoked doctors as it is in the store now.
///
/// # Errors
/// [`StaffError::Damaged`] or [`StaffError::Store`].
pub fn revoked_list(
    store: &dyn Store,
    root: &VerifiedCertificate,
) -> Result<RevokedDoctors, StaffError> {
    setup::stored_revoked(store, root)?.ok_or(StaffError::Damaged)
}

/// The names of those who are doctors.
pub(super) fn doctors(staff: Vec<StaffRow>) -> Vec<String> {
    let doctors = staff
        .into_iter()
        .filter(|row| row.role == Role::Doctor.word());
    doctors.map(|row| row.id).collect()
}

/// Who somebody is who works in the clinic and is not this doctor. Where devices
/// that she has enrolled are asked for she may have left, too.
///
/// # Errors
/// [`StaffError`].
pub fn show(
    practice: &Practice,
    member: &Identifier,
    devices: Option<Enrolled>,
) -> Result<Member, StaffError> {
    let list = revoked_list(&*practice.store, &practice.identity().root)?;
    show_with(practice, member, &list, devices)
}

fn show_with(
    practice: &Practice,
    member: &Identifier,
    list: &RevokedDoctors,
    devices: Option<Enrolled>,
) -> Result<Member, StaffError> {
    let clinic = clinic(practice)?;
    let identity = practice.identity();
    if member == identity.identifier() {
        return Err(StaffError::Oneself(member.clone()));
    }
    let all = certificates_here(practice, member)?;
    // Those that are over, too: who has one works here until it is revoked.
    let over = over(&all, practice.now());
    let (staff, is_here) = (clinic.staff()?, clinic.has_member(member.as_str())?);
    let is_good = |it: &&VerifiedCertificate| {
        !list.contains(&it.subject().serial) && (is_here || !over.contains(&it.subject().serial))
    };
    let good: Vec<_> = all.iter().filter(is_good).collect();
    let is_other = |id: &String| id != member.as_str() && id != identity.identifier().as_str();
    let newest = |all: &[&VerifiedCertificate]| {
        let newest = all.iter().max_by_key(|each| each.subject().not_before);
        newest.map(|newest| VerifiedCertificate::clone(newest))
    };
    let former = newest(&all.iter().collect::<Vec<_>>());
    let is_known = former.is_some();
    // Revoked by an earlier version, which closed no key.
    let known = closing::known(&*practice.store, &identity.root, &identity.closed)?;
    let is_asked = devices.is_some() || closing::has_open_key(member, &all, &known);
    let former = former.filter(|_| is_asked);
    let Some(newest) = newest(&good).or(former) else {
        return Err(match is_known {
            true => StaffError::Already(member.clone()),
            false => {
                let others = staff.into_iter().map(|row| row.id).filter(is_other);
                StaffError::Nobody(member.clone(), others.collect())
            }
        });
    };
    let doctors = doctors(staff).into_iter();
    let present = practice.store.nodes().map(|nodes| nodes.present());
    let present = present.transpose()?.unwrap_or_default();
    Ok(Member {
        name: member.to_string(),
        role: newest.subject().role.word().to_owned(),
        key: newest.key_id(),
        until: newest.subject().not_after,
        serials: good.iter().map(|each| each.subject().serial).collect(),
        patients: clinic.patients_of(member.as_str())?.len(),
        enrolled: enrolled::count(practice, member, &all, devices.unwrap_or_default())?,
        connected: present
            .iter()
            .filter(|row| row.doctor == member.as_str())
            .count(),
        colleagues: doctors.filter(|id| id != member.as_str()).collect(),
    })
}

/// Whether somebody of this name works in the clinic: one of whose certificates
/// is not revoked does, until it has been.
///
/// # Errors
/// [`StaffError`].
pub fn works_here(practice: &Practice, name: &str) -> Result<bool, StaffError> {
    let (store, identity) = (&*practice.store, practice.identity());
    let Some(clinic) = store.clinic() else {
        return Ok(false);
    };
    let Ok(member) = name.parse() else {
        return Ok(false);
    };
    let list = revoked_list(store, &identity.root)?;
    let mut of_her = certificates_of(store, &identity.root, &member)?;
    of_her.retain(|it| !list.contains(&it.subject().serial));
    let over = over(&of_her, practice.now());
    let lasts = of_her.iter().any(|it| !over.contains(&it.subject().serial));
    Ok(lasts || !of_her.is_empty() && clinic.has_member(name)?)
}

/// The list that follows the one in the store and names these certificates, but
/// for those that are over.
///
/// # Errors
/// [`StaffError`].
pub fn next_list(
    store: &dyn Store,
    (root, secret): (&VerifiedCertificate, &SignSecret),
    serials: &[Serial],
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<RevokedDoctors, StaffError> {
    let clinic = &root.subject().clinic;
    let known = revoked_list(store, root)?;
    let asked = [known.serials(), serials].concat();
    let over = over_among(store, root, &asked, now)?;
    let next = known.follow(secret, clinic, (serials, &over), now, random);
    next.ok_or(StaffError::ListFull)
}

/// Revokes somebody's certificates with a list that the root has signed, takes
/// her out of the clinic, revokes devices that she has enrolled if that is asked
/// for, and logs that. All nodes hear of it, and patients when they connect. `closed`
/// is what the root says of each of her keys, in hexadecimal digits.
///
/// # Errors
/// [`StaffError`]; nothing was changed.
pub fn revoke(
    practice: &Practice,
    member: &Identifier,
    (list, closed): (&[u8], &[String]),
    reason: &str,
    devices: Option<Enrolled>,
) -> Result<Answer, StaffError> {
    let identity = practice.identity();
    let next = RevokedDoctors::accept(list, &identity.root)
        .map_err(|_| StaffError::Unfit("this clinic's root has not signed it"))?;
    let known = revoked_list(&*practice.store, &identity.root)?;
    let shown = show_with(practice, member, &known, devices)?;
    if next.contains(&identity.certificate.subject().serial) {
        return Err(StaffError::Unfit("it names this doctor's own certificate"));
    }
    let asked = [identity.revoked.serials(), known.serials(), &shown.serials].concat();
    let over = over_among(&*practice.store, &identity.root, &asked, practice.now())?;
    if !next.holds_all_of(&identity.revoked, &over) {
        return Err(StaffError::Unfit(
            "it lets somebody off who was revoked, since the one in the database is older than \
             the one that is known here; start the server anew, which puts the newer one back",
        ));
    }
    let is_done = |serial: &Serial| next.contains(serial) || over.contains(serial);
    let names_her = shown.serials.iter().all(is_done);
    if next.number() <= known.number() || !next.holds_all_of(&known, &over) || !names_her {
        return Err(StaffError::Overtaken);
    }
    let closed = {
        let (store, root) = (&*practice.store, &identity.root);
        let known = closing::known(store, root, &identity.closed)?;
        let keys = closing::keys_of(member, &certificates_here(practice, member)?);
        closing::with(store, (root, known), (closed, &keys), (&next, devices))?
    };
    let what = match shown.serials_in_hex() {
        serials if serials.is_empty() => "revoked before".to_owned(),
        serials => format!("certificates {}", serials.join(", ")),
    };
    // Whoever has her key can write it anew.
    let log = clinic(practice)?.seen_by(member.as_str()).audit_head()?;
    let (role, number, log) = (&shown.role, next.number(), log_end::said(log));
    let detail = format!("{role}, {what}, list {number}{log}: {reason}");
    let entry = practice.by_doctor(Action::StaffRevoked, member.as_str(), &detail);
    let signed = devices.map(|_| enrolled::signed_by(practice, member));
    let signed = signed.transpose()?.unwrap_or_default();
    let of_device = |revoked: &Revoked| enrolled::entry(practice, member, revoked, reason);
    let removal = Removal {
        member: member.as_str(),
        known: known.as_bytes(),
        list: next.as_bytes(),
        facts: &[(fact::CLOSED_KEYS, &closed)],
        devices: devices.map(|which| Devices {
            since: which.since,
            also: &signed,
            entry: &of_device,
        }),
    };
    let revoked = clinic(practice)?.remove_member(&removal, &[entry])?;
    let revoked = revoked.ok_or(StaffError::Overtaken)?;
    let patients: BTreeSet<_> = revoked.iter().map(|it| it.patient.clone()).collect();
    Ok(Answer::Revoked {
        member: shown,
        revoked_number: next.number(),
        devices: devices.map(|_| revoked.len()),
        enrol_anew: patients.into_iter().collect(),
    })
}
