//! How a doctor lets somebody join the clinic: she makes a ticket, and who has
//! the root's key answers the request that is made with it. The newcomer's side
//! is [`newcomer`](crate::doctor::newcomer).

mod asked;
mod error;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::alike;
use crate::doctor::practice::Practice;
use crate::doctor::tickets;
use crate::doctor::tickets::{LIFETIME, LIFETIMES, ticket_code};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::authority::certify_staff;
use crate::identity::certificate::{Certificate, Fingerprint, Role, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::join::{Answered, Grant, JoinAnswer, JoinError, JoinTicket};
use crate::identity::ticket::{Maker, TicketId};
use crate::random::{self, OsRandom, Random};
use crate::secret::SecretBytes;
use crate::store::clinic::{JoinState, JoinTicketRow, StaffRow};
use crate::store::{ClinicStore, StoreError};
use crate::vault::{Column, column};

/// What an assistant can open: what assistants wrote, and how patients are
/// reached. What doctors wrote to patients lies under another key, and so does all
/// that patients wrote or that stands in their records beside that.
pub const ASSISTANTS_COLUMNS: [Column; 2] = [column::STAFF_MESSAGE, column::CONTACT];

pub use asked::{Looked, look, waiting};
pub use error::JoiningError;

use asked::open;

/// What can be asked about joining.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make a ticket.
    Invite {
        /// For whom.
        subject: String,
        /// What she will be: doctor, assistant or auditor.
        role: String,
        /// For so many seconds, if not as long as usual.
        valid_seconds: Option<u64>,
    },
    /// Who asks to be let in?
    Waiting,
    /// Let her in with this certificate, which the root has signed.
    Admit {
        /// Her ticket.
        ticket: TicketId,
        /// The certificate, in hexadecimal digits.
        certificate: String,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A ticket.
    Invited {
        /// For whom.
        subject: String,
        /// What she will be.
        role: String,
        /// The text to hand over: it holds the ticket's secret.
        text: String,
        /// Last instant of its validity.
        expires: Timestamp,
    },
    /// Who asks.
    Waiting(Asked),
    /// She was let in.
    Admitted,
}

/// Who asks to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Those who can be.
    pub waiting: Vec<Waiting>,
    /// The requests that cannot be answered.
    pub unfit: Vec<Unfit>,
    /// Those that are made with other doctors' tickets.
    pub others: Vec<OthersTicket>,
}

/// A request to join with a ticket that another doctor has made, by the word of the
/// store: she alone answers it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct OthersTicket {
    /// Short name of the ticket.
    pub ticket: String,
    /// Whom the ticket is for.
    pub subject: String,
    /// Who has made it.
    pub doctor: String,
}

/// A request to join that cannot be answered, as when its row in the database was
/// damaged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Unfit {
    /// Short name of the ticket.
    pub ticket: String,
    /// Whom the ticket is for, as its row says.
    pub subject: String,
    /// Why.
    pub why: String,
}

/// Somebody who asks to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The ticket.
    pub ticket: TicketId,
    /// Who made it.
    pub doctor: String,
    /// Who asks.
    pub subject: String,
    /// What she will be.
    pub role: String,
    /// When she asked, by her clock.
    pub asked: Timestamp,
    /// Fingerprint of her request, which she is shown too.
    pub request: Fingerprint,
    /// The key to be certified, in hexadecimal digits.
    pub key: String,
}

/// Does what is asked.
///
/// # Errors
/// [`JoiningError`]; nothing was changed.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, JoiningError> {
    match request {
        Request::Invite {
            subject,
            role,
            valid_seconds,
        } => {
            let subject = subject
                .parse()
                .map_err(|error| JoiningError::Key(format!("{error}")))?;
            let role =
                Role::staff_from_word(role).ok_or_else(|| JoiningError::NoRole(role.clone()))?;
            let lifetime = valid_seconds.map_or(LIFETIME, Duration::from_secs);
            let ticket = invite(practice, &subject, role, lifetime, &mut OsRandom)?;
            Ok(Answer::Invited {
                subject: subject.to_string(),
                role: role.word().to_owned(),
                text: ticket.to_text(),
                expires: ticket.expires,
            })
        }
        Request::Waiting => Ok(Answer::Waiting(waiting(practice)?)),
        Request::Admit {
            ticket,
            certificate,
        } => {
            let malformed = || JoiningError::Request(*ticket, JoinError::Malformed);
            let certificate = hex::decode(certificate).ok_or_else(malformed)?;
            admit_signed(practice, ticket, &certificate, &mut OsRandom)?;
            Ok(Answer::Admitted)
        }
    }
}

fn clinic(practice: &Practice) -> Result<&dyn ClinicStore, JoiningError> {
    practice.store.clinic().ok_or(JoiningError::OneDoctor)
}

/// Makes a one-time ticket with which `subject` joins the clinic within
/// `lifetime`, and stores it.
///
/// # Errors
/// [`JoiningError`].
pub fn invite(
    practice: &Practice,
    subject: &Identifier,
    role: Role,
    lifetime: Duration,
    random: &mut dyn Random,
) -> Result<JoinTicket, JoiningError> {
    let clinic = clinic(practice)?;
    let (identity, now) = (practice.identity(), practice.now());
    if !role.is_staff() {
        return Err(JoiningError::NoRole(role.to_string()));
    }
    if *subject == Identifier::root() {
        return Err(JoiningError::Reserved);
    }
    if !LIFETIMES.contains(&lifetime) {
        return Err(JoiningError::Lifetime);
    }
    let doctor = identity.identifier();
    clinic.add_staff_if_new(&StaffRow {
        id: doctor.to_string(),
        role: Role::Doctor.word().to_owned(),
        certificate: identity.certificate.as_bytes().to_vec(),
        joined: identity.certificate.subject().not_before,
    })?;
    check_is_free(practice, clinic, subject)?;
    let root = &identity.root;
    let ticket = JoinTicket {
        clinic: root.subject().clinic,
        root: root.fingerprint(),
        role,
        doctor: doctor.clone(),
        subject: subject.clone(),
        id: random::array(random),
        secret: random::secret(random),
        expires: now.plus(lifetime),
    };
    let row = open_row(practice, &ticket, now, random)?;
    let code = tickets::ticket_code(&ticket.id);
    let detail = format!("ticket {code} for a {role}, good until {}", ticket.expires);
    let entry = practice.by_doctor(Action::JoinTicketMade, subject.as_str(), &detail);
    clinic.add_join_ticket(&row, &[entry])?;
    Ok(ticket)
}

/// Nobody who works in the clinic may have this name, and no patient it or one that
/// is taken for it.
fn check_is_free(
    practice: &Practice,
    clinic: &dyn ClinicStore,
    name: &Identifier,
) -> Result<(), JoiningError> {
    if clinic.has_member(name.as_str())? {
        return Err(JoiningError::Works(name.clone()));
    }
    match alike::patient(&*practice.store, name, practice.now())? {
        Some(patient) if patient != name.as_str() => {
            Err(JoiningError::Alike(name.clone(), patient))
        }
        None if !practice.store.has_ticket(name.as_str())? => Ok(()),
        _ => Err(JoiningError::Taken(name.clone())),
    }
}

/// What the database holds of a ticket that was made just now.
fn open_row(
    practice: &Practice,
    ticket: &JoinTicket,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<JoinTicketRow, StoreError> {
    let mut row = JoinTicketRow {
        id: ticket.id,
        doctor: ticket.doctor.to_string(),
        subject: ticket.subject.to_string(),
        role: ticket.role.word().to_owned(),
        sealed: Vec::new(),
        created: now,
        expires: ticket.expires,
        state: JoinState::Open,
        request: None,
        answer: None,
    };
    row.sealed = seal(practice, &row, ticket, random)?;
    Ok(row)
}

/// Seals a ticket's secret, with her signature on the ticket.
fn seal(
    practice: &Practice,
    row: &JoinTicketRow,
    ticket: &JoinTicket,
    random: &mut dyn Random,
) -> Result<Vec<u8>, StoreError> {
    let identity = practice.identity();
    let made = asked::as_made(row, ticket);
    let signature = Maker::of(&identity).sign(&identity.signing, &made, random);
    let content = [&ticket.secret.expose()[..], &signature].concat();
    let (content, name) = (SecretBytes::new(content), row.row_name());
    let vault = &practice.vault;
    Ok(vault.seal(column::JOIN_TICKET, &name, content.expose(), random)?)
}

/// Takes back a ticket that was not answered; says whether it could be.
///
/// # Errors
/// [`JoiningError`].
pub fn revoke(practice: &Practice, id: &TicketId, reason: &str) -> Result<bool, JoiningError> {
    let clinic = clinic(practice)?;
    let row = clinic.join_ticket(id)?.ok_or(JoiningError::NotWaiting)?;
    let detail = format!("ticket {}: {reason}", ticket_code(id));
    let entry = practice.by_doctor(Action::JoinTicketRevoked, &row.subject, &detail);
    Ok(clinic.revoke_join_ticket(id, &[entry])?)
}

/// Answers a request: signs the newcomer's certificate with the root's key, and
/// gives her what her role can open.
///
/// # Errors
/// [`JoiningError`]; nobody was let in then.
pub fn admit(
    practice: &Practice,
    root: &SignSecret,
    id: &TicketId,
    random: &mut dyn Random,
) -> Result<(), JoiningError> {
    let row = asking(practice, id)?;
    let (ticket, request) = open(practice, &row)?;
    let issuer = &practice.identity().root;
    let newcomer = (&ticket.subject, ticket.role);
    let (key, now) = (request.signing_key.clone(), practice.now());
    let certificate = certify_staff((issuer, root), newcomer, key, now, random);
    // Checked as any: a wrong key would use the ticket up for nothing.
    admit_signed(practice, id, certificate.as_bytes(), random)
}

/// The same with a certificate that the root has signed elsewhere.
///
/// # Errors
/// [`JoiningError`]; nobody was let in then.
pub fn admit_signed(
    practice: &Practice,
    id: &TicketId,
    certificate: &[u8],
    random: &mut dyn Random,
) -> Result<(), JoiningError> {
    let row = asking(practice, id)?;
    let root = &practice.identity().root;
    let role = Role::staff_from_word(&row.role).ok_or(JoiningError::Damaged(*id))?;
    let certificate = Certificate::decode(certificate, root.group())
        .and_then(|certificate| root.accept_staff(certificate, role))
        .map_err(|error| JoiningError::Request(*id, JoinError::Certificate(error)))?;
    admit_with(practice, &row, certificate, random)
}

fn asking(practice: &Practice, id: &TicketId) -> Result<JoinTicketRow, JoiningError> {
    let row = clinic(practice)?.join_ticket(id)?;
    row.filter(|row| row.state == JoinState::Asked)
        .ok_or(JoiningError::NotWaiting)
}

fn admit_with(
    practice: &Practice,
    row: &JoinTicketRow,
    certificate: VerifiedCertificate,
    random: &mut dyn Random,
) -> Result<(), JoiningError> {
    let (ticket, request) = open(practice, row)?;
    let (identity, now) = (practice.identity(), practice.now());
    let answered = Answered {
        certificate,
        revoked_number: identity.revoked.number(),
        grant: grant(practice, ticket.role)?,
    };
    let answer = JoinAnswer::make(&ticket, &request, &answered, random)
        .ok_or(JoiningError::Request(row.id, JoinError::OtherCertificate))?;
    let serial = hex::encode(&answered.certificate.subject().serial);
    let code = ticket_code(&row.id);
    let detail = format!("{}, certificate {serial}, ticket {code}", ticket.role);
    let entry = practice.by_doctor(Action::Admitted, ticket.subject.as_str(), &detail);
    let joins = StaffRow {
        id: row.subject.clone(),
        role: row.role.clone(),
        certificate: answered.certificate.as_bytes().to_vec(),
        joined: now,
    };
    let (request, answer) = (request.as_bytes(), answer.as_bytes());
    match clinic(practice)?.put_join_answer(&row.id, request, answer, &joins, &[entry])? {
        true => Ok(()),
        false => Err(JoiningError::NotWaiting),
    }
}

fn grant(practice: &Practice, role: Role) -> Result<Grant, JoiningError> {
    let vault = &practice.vault;
    Ok(match role {
        Role::Doctor => Grant::DataKey(vault.key().map_err(StoreError::from)?.duplicate()),
        Role::Assistant => {
            let keys = vault.column_keys(&ASSISTANTS_COLUMNS);
            Grant::Columns(keys.map_err(StoreError::from)?)
        }
        _ => Grant::Nothing,
    })
}
