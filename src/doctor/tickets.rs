//! Making tickets, and keeping their secrets sealed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::audit::Action;
use crate::doctor::alike;
use crate::doctor::practice::Practice;
use crate::doctor::sifted::{PAGE, Sifted, sift};
use crate::hex;
use crate::identity::certificate::{CertificateError, Role};
use crate::identity::id::Identifier;
use crate::identity::ticket::{Made, Maker, Ticket, TicketId};
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};
use crate::store::{Store, StoreError, TicketRow, TicketState};
use crate::vault::{Vault, column};

/// How long a ticket is good where nothing else is said.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a ticket may be good: from an hour to 30 days.
pub const LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(60 * 60)..=Duration::from_secs(30 * 24 * 60 * 60);

/// The length of a ticket's secret, in bytes.
const SECRET_LEN: usize = 16;

/// The length of a ticket's short name, in letters.
pub(in crate::doctor) const TICKET_CODE_LEN: usize = 8;

/// A short name for a ticket: the first eight hexadecimal digits of its
/// identifier.
#[must_use]
pub fn ticket_code(ticket: &TicketId) -> String {
    hex::encode(&ticket[..4])
}

/// The state of a row that is no ticket of this practice's.
pub(in crate::doctor) const DAMAGED: &str = "damaged";

/// Why no ticket is made.
#[derive(Debug)]
pub enum TicketRefusal {
    /// Patients are not called like the doctor.
    OwnName(Identifier),
    /// Nor like somebody who works in the clinic, or so that the one is taken for
    /// the other.
    StaffName {
        /// What the patient was to be called.
        patient: Identifier,
        /// Who is called so, or nearly so.
        member: String,
    },
    /// Nor like the clinic's root.
    Reserved,
    /// Nobody makes a ticket that is good for so short or long a time.
    Lifetime,
    /// The doctor's certificate does not hold now: nobody could enrol.
    Certificate(CertificateError),
    /// The store.
    Store(StoreError),
}

impl fmt::Display for TicketRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnName(name) => write!(
                f,
                "{name} is the doctor's own identifier; choose another one for the patient"
            ),
            Self::StaffName { patient, member } if patient.as_str() == member => write!(
                f,
                "{patient} is the name of somebody who works in this clinic, or is invited to; \
                 choose another one for the patient"
            ),
            Self::StaffName { patient, member } => write!(
                f,
                "the name {patient} is easily taken for {member}, who works in this clinic or is \
                 invited to; choose another one for the patient"
            ),
            Self::Reserved => {
                f.write_str("the name root is the clinic's own; choose another one for the patient")
            }
            Self::Lifetime => f.write_str("a ticket is good for 1 hour to 30 days"),
            Self::Certificate(error) => {
                write!(f, "nobody can enrol with the doctor's certificate: {error}")
            }
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TicketRefusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Makes a one-time ticket with which `subject` enrols at `address` within
/// `lifetime`, and stores it.
///
/// # Errors
/// [`TicketRefusal`].
pub fn make(
    practice: &Practice,
    subject: &Identifier,
    address: &str,
    lifetime: Duration,
    random: &mut dyn Random,
) -> Result<Ticket, TicketRefusal> {
    let identity = practice.identity();
    let now = practice.now();
    if subject == identity.identifier() {
        return Err(TicketRefusal::OwnName(subject.clone()));
    }
    if *subject == Identifier::root() {
        return Err(TicketRefusal::Reserved);
    }
    check_staff(practice, subject).map_err(TicketRefusal::Store)??;
    if !LIFETIMES.contains(&lifetime) {
        return Err(TicketRefusal::Lifetime);
    }
    let dates = identity.certificate.check_dates(now);
    dates.map_err(TicketRefusal::Certificate)?;
    let ticket = Ticket {
        root: identity.root.fingerprint(),
        address: address.to_owned(),
        doctor: identity.identifier().clone(),
        subject: subject.clone(),
        id: random::array(random),
        secret: random::secret(random),
        expires: now.plus(lifetime),
    };
    let mut row = TicketRow {
        id: ticket.id,
        subject: subject.to_string(),
        sealed: Vec::new(),
        created: now,
        expires: ticket.expires,
        state: TicketState::Open,
        serial: None,
    };
    let maker = Maker::of(&identity);
    let made = as_made(&row, subject, &ticket.secret);
    let signature = maker.sign(&identity.signing, &made, random);
    let content = [&ticket.secret.expose()[..], &row.name(), &signature].concat();
    let (content, vault) = (SecretBytes::new(content), &practice.vault);
    row.sealed = seal(vault, &ticket.id, content.expose(), random).map_err(TicketRefusal::Store)?;
    let code = ticket_code(&ticket.id);
    let detail = format!("ticket {code}, good until {}", ticket.expires);
    let entry = practice.by_doctor(Action::TicketMade, subject.as_str(), &detail);
    practice
        .store
        .add_ticket(&row, &[entry])
        .map_err(TicketRefusal::Store)?;
    if let Some(clinic) = practice.store.clinic() {
        let doctor = identity.identifier().as_str();
        let assigned = clinic.assign_if_new(subject.as_str(), doctor);
        assigned.map_err(TicketRefusal::Store)?;
    }
    Ok(ticket)
}

/// Refuses the name of somebody who works here, and a new one that is taken for
/// it. A patient who has nearly such a name since before is not locked out.
fn check_staff(
    practice: &Practice,
    patient: &Identifier,
) -> Result<Result<(), TicketRefusal>, StoreError> {
    let Some(member) = alike::staff(practice, patient)? else {
        return Ok(Ok(()));
    };
    if member != patient.as_str() && practice.store.has_certificate(patient.as_str())? {
        return Ok(Ok(()));
    }
    let patient = patient.clone();
    Ok(Err(TicketRefusal::StaffName { patient, member }))
}

fn seal(
    vault: &Vault,
    id: &TicketId,
    content: &[u8],
    random: &mut dyn Random,
) -> Result<Vec<u8>, StoreError> {
    Ok(vault.seal(column::TICKET, id, content, random)?)
}

/// What her signature stands for.
const fn as_made<'a>(
    row: &'a TicketRow,
    subject: &'a Identifier,
    secret: &'a Secret<16>,
) -> Made<'a> {
    Made {
        id: &row.id,
        secret,
        role: Role::Patient,
        subject,
        made: row.created,
        expires: row.expires,
    }
}

/// What is sealed of a ticket.
pub(in crate::doctor) struct Opened {
    /// Its secret.
    pub(in crate::doctor) secret: Secret<16>,
    /// Whom it is for.
    pub(in crate::doctor) subject: Identifier,
    /// Whether this doctor has signed it. If nobody else writes to the store that is
    /// not asked.
    pub(in crate::doctor) is_hers: bool,
}

/// Opens a ticket of this doctor's; none if what is stored does not open, or not for
/// this subject and these times. What earlier versions sealed says nothing of them:
/// it is good in a file, to which nobody else writes, and not where several share a
/// store; there a doctor's server goes by the tickets alone that she has signed.
pub(in crate::doctor) fn open(
    vault: &Vault,
    row: &TicketRow,
    maker: &Maker,
    is_shared: bool,
) -> Option<Opened> {
    let opened = vault.open(column::TICKET, &row.id, &row.sealed).ok()?;
    let (secret, rest) = opened.expose().split_at_checked(SECRET_LEN)?;
    let (secret, subject) = (Secret::from_slice(secret)?, row.subject.parse().ok()?);
    let is_hers = match rest.strip_prefix(&*row.name()) {
        Some(signature) if is_shared => {
            maker.has_signed(&as_made(row, &subject, &secret), signature)
        }
        Some(_) => true,
        None if rest.is_empty() && !is_shared => true,
        None => return None,
    };
    Some(Opened {
        secret,
        subject,
        is_hers,
    })
}

/// The tickets whose short names begin so: those that were made here, and some of
/// what else lies there. In a file nobody else writes any.
///
/// # Errors
/// [`StoreError`].
pub(in crate::doctor) fn beginning(
    practice: &Practice,
    begin: &[u8],
) -> Result<Sifted<TicketRow>, StoreError> {
    let (store, vault) = (&practice.store, &practice.vault);
    let is_shared = store.clinic().is_some();
    let opens = |row: &TicketRow| vault.open(column::TICKET, &row.id, &row.sealed).is_ok();
    sift(
        |after| store.tickets_from(begin, after, PAGE),
        |row| row.id,
        |row| !is_shared || opens(row),
    )
}

/// Seals the secrets of tickets that an earlier version kept in clear.
pub(in crate::doctor) fn seal_old(
    store: &dyn Store,
    vault: &Vault,
    random: &mut dyn Random,
) -> Result<(), StoreError> {
    let old = store.unsealed_tickets()?;
    if old.is_empty() {
        return Ok(());
    }
    let sealed: Vec<_> = old
        .iter()
        .map(|(id, secret)| Ok((*id, seal(vault, id, secret.expose(), random)?)))
        .collect::<Result<_, StoreError>>()?;
    store.seal_tickets(&sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::elgamal::Group;
    use crate::identity::authority::{DoctorIdentity, found_clinic};
    use crate::random::OsRandom;
    use crate::testing::NOW;

    const SECRET: [u8; SECRET_LEN] = [7; SECRET_LEN];

    fn row(vault: &Vault, content: impl Fn(&TicketRow) -> Vec<u8>) -> TicketRow {
        let mut row = TicketRow {
            id: [1; 16],
            subject: "P9".to_owned(),
            sealed: Vec::new(),
            created: Timestamp::from_millis(1_000),
            expires: Timestamp::from_millis(2_000),
            state: TicketState::Open,
            serial: None,
        };
        row.sealed = seal(vault, &row.id, &content(&row), &mut OsRandom).unwrap();
        row
    }

    fn doctor() -> DoctorIdentity {
        let (group, name) = (Group::ffdhe2048(), "D1".parse().unwrap());
        found_clinic(&group, &name, NOW, &mut OsRandom).1
    }

    /// As [`make`] seals it, with the key of this doctor.
    fn signed(row: &TicketRow, doctor: &DoctorIdentity) -> Vec<u8> {
        let secret = Secret::from_slice(&SECRET).unwrap();
        let subject = row.subject.parse().unwrap();
        let made = as_made(row, &subject, &secret);
        let signature = Maker::of(doctor).sign(&doctor.signing, &made, &mut OsRandom);
        [&SECRET[..], &row.name(), &signature].concat()
    }

    #[test]
    fn a_ticket_is_good_for_its_subject_and_its_times_alone() {
        let (vault, doctor) = (Vault::generate(&mut OsRandom), doctor());
        let maker = Maker::of(&doctor);
        let row = || row(&vault, |row| signed(row, &doctor));
        for is_shared in [false, true] {
            let opens = |row: &TicketRow| open(&vault, row, &maker, is_shared).is_some();
            assert!(open(&vault, &row(), &maker, is_shared).unwrap().is_hers);
            let subject = "P1".to_owned();
            assert!(!opens(&TicketRow { subject, ..row() }));
            let later = Timestamp::from_millis(9_000);
            assert!(!opens(&TicketRow {
                expires: later,
                ..row()
            }));
            assert!(!opens(&TicketRow {
                created: later,
                ..row()
            }));
            assert!(!opens(&TicketRow {
                id: [2; 16],
                ..row()
            }));
        }
    }

    #[test]
    fn who_has_the_data_key_makes_no_ticket_in_a_doctors_name() {
        let (vault, hers) = (Vault::generate(&mut OsRandom), doctor());
        let maker = Maker::of(&hers);
        let thief = doctor();
        let earlier = row(&vault, |row| [&SECRET[..], &row.name()].concat());
        let forged = row(&vault, |row| signed(row, &thief));
        for row in [earlier, forged] {
            assert!(!open(&vault, &row, &maker, true).unwrap().is_hers);
            assert!(open(&vault, &row, &maker, false).unwrap().is_hers);
        }
    }

    #[test]
    fn what_earlier_versions_sealed_is_good_in_a_file_only() {
        let (vault, maker) = (Vault::generate(&mut OsRandom), Maker::of(&doctor()));
        let old = row(&vault, |_| SECRET.to_vec());
        let opened = open(&vault, &old, &maker, false).unwrap();
        assert_eq!(opened.secret.expose(), &SECRET);
        assert!(open(&vault, &old, &maker, true).is_none());
        let short = row(&vault, |_| vec![7; 15]);
        assert!(open(&vault, &short, &maker, false).is_none());
    }
}
