//! The doctor's office: answers every request that needs the practice's books
//! only, whether a server runs or not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::clock::Timestamp;
use crate::doctor::audit;
use crate::doctor::authority;
use crate::doctor::backup;
use crate::doctor::devices;
use crate::doctor::joining;
use crate::doctor::not_done::NotDone;
use crate::doctor::patients;
use crate::doctor::practice::Practice;
use crate::doctor::purge::{self, Purged};
use crate::doctor::roles;
use crate::doctor::staff;
use crate::doctor::tickets;
use crate::doctor::{correspondence, deliveries};
use crate::identity::id::Identifier;
use crate::identity::ticket::Ticket;
use crate::random::OsRandom;
use crate::store::{StoreError, fact};

/// What the office can be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make a ticket.
    Enrol {
        /// For whom.
        patient: String,
        /// Where patients reach the server, if not where it was last said.
        public_address: Option<String>,
        /// For so many seconds, if not as long as usual.
        #[serde(default)]
        valid_seconds: Option<u64>,
    },
    /// About devices, tickets and fingerprints.
    Devices(devices::Request),
    /// Something about the audit log.
    Audit(audit::Request),
    /// Something about patients' records.
    Patients(patients::Request),
    /// About backups and the recovery code.
    Backup(backup::Request),
    /// About the doctor's authority.
    Authority(authority::Request),
    /// About joining the clinic.
    Joining(joining::Request),
    /// About who works in the clinic.
    Staff(staff::Request),
    /// Delete what is older than this, for good.
    Purge {
        /// Than this.
        before: Timestamp,
        /// Only look.
        dry_run: bool,
    },
    /// What has reached whom?
    Deliveries(deliveries::Request),
    /// What was written?
    Letters(correspondence::Request),
}

impl Request {
    /// Whether the answer says how far messages are: what a running server has
    /// still to write belongs to it.
    #[must_use]
    pub const fn asks_for_states(&self) -> bool {
        matches!(self, Self::Deliveries(_) | Self::Letters(_))
    }
}

/// What the office answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A ticket.
    Ticket {
        /// For whom.
        patient: String,
        /// The text to hand over: it holds the ticket's secret.
        text: String,
        /// The same for a QR code.
        qr: String,
        /// The address in it.
        address: String,
        /// Last instant of its validity.
        expires: Timestamp,
    },
    /// About devices, tickets and fingerprints.
    Devices(devices::Answer),
    /// What the audit log says.
    Audit(audit::Answer),
    /// What has reached whom.
    Deliveries(deliveries::Answer),
    /// What was written.
    Letters(correspondence::Answer),
    /// It is not known where patients reach this server.
    AddressNeeded,
    /// Something about patients' records.
    Patients(patients::Answer),
    /// About backups and the recovery code.
    Backup(backup::Answer),
    /// About the doctor's authority.
    Authority(authority::Answer),
    /// About joining the clinic.
    Joining(joining::Answer),
    /// About who works in the clinic.
    Staff(staff::Answer),
    /// What was deleted, or would be.
    Purged(Purged),
    /// It was not done, for this reason.
    Failed(NotDone),
}

/// Does what is asked and says what came of it.
#[must_use]
pub fn answer(practice: &Practice, request: Request) -> Answer {
    if let Err(refusal) = roles::check_office(practice, &request) {
        return failed(&refusal);
    }
    match request {
        Request::Enrol {
            patient,
            public_address,
            valid_seconds,
        } => {
            let valid = valid_seconds.map(Duration::from_secs);
            enrol(practice, &patient, public_address.as_deref(), valid)
        }
        Request::Devices(request) => {
            devices::answer(practice, &request).map_or_else(Answer::Failed, Answer::Devices)
        }
        Request::Audit(request) => {
            audit::answer(practice, &request).map_or_else(Answer::Failed, Answer::Audit)
        }
        Request::Patients(request) => Answer::Patients(patients::answer(practice, request)),
        Request::Authority(request) => match authority::answer(practice, &request) {
            Ok(answer) => Answer::Authority(answer),
            Err(error) => failed(&error),
        },
        Request::Joining(request) => match joining::answer(practice, &request) {
            Ok(answer) => Answer::Joining(answer),
            Err(error) => failed(&error),
        },
        Request::Staff(request) => match staff::answer(practice, &request) {
            Ok(answer) => Answer::Staff(answer),
            Err(error) => failed(&error),
        },
        Request::Purge { before, dry_run } => {
            let purged = match dry_run {
                true => purge::look(practice, before),
                false => purge::purge(practice, before),
            };
            purged.map_or_else(|error| failed(&error), Answer::Purged)
        }
        Request::Backup(request) => match backup::answer(practice, request) {
            Ok(answer) => Answer::Backup(answer),
            Err(why) => Answer::Failed(why),
        },
        Request::Deliveries(request) => {
            deliveries::answer(practice, &request).map_or_else(Answer::Failed, Answer::Deliveries)
        }
        Request::Letters(request) => {
            correspondence::answer(practice, &request).map_or_else(Answer::Failed, Answer::Letters)
        }
    }
}

/// An error as an answer.
fn failed(error: &(dyn std::error::Error + 'static)) -> Answer {
    Answer::Failed(NotDone::of(error))
}

fn enrol(
    practice: &Practice,
    patient: &str,
    public_address: Option<&str>,
    valid: Option<Duration>,
) -> Answer {
    let patient: Identifier = match patient.parse() {
        Ok(patient) => patient,
        Err(error) => return failed(&error),
    };
    if let Some(address) = public_address {
        let remembered = match address.parse::<Address>() {
            Ok(address) => remember_address(practice, &address),
            Err(error) => return failed(&error),
        };
        if let Err(error) = remembered {
            return failed(&error);
        }
    }
    let address = match reachable_address(practice) {
        Ok(Some(address)) => address,
        Ok(None) => return Answer::AddressNeeded,
        Err(error) => return failed(&error),
    };
    let valid = valid.unwrap_or(tickets::LIFETIME);
    match tickets::make(practice, &patient, &address, valid, &mut OsRandom) {
        Ok(ticket) => ticket_answer(&ticket),
        Err(error) => failed(&error),
    }
}

/// Keeps where patients reach the server, for tickets made later.
///
/// # Errors
/// [`StoreError`] if it cannot be stored.
pub fn remember_address(practice: &Practice, address: &Address) -> Result<(), StoreError> {
    let address = address.to_string();
    practice
        .store
        .set_facts(&[(fact::ADDRESS, address.as_bytes())])
}

/// Where patients reach the server, as it was said last; or else where it
/// listened last, if that is an address they can use.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn reachable_address(practice: &Practice) -> Result<Option<String>, StoreError> {
    for name in [fact::ADDRESS, fact::LISTEN_ADDRESS] {
        if let Some(bytes) = practice.store.fact(name)? {
            let address = String::from_utf8(bytes).ok();
            return Ok(address.filter(|address| !address.is_empty()));
        }
    }
    Ok(None)
}

fn ticket_answer(ticket: &Ticket) -> Answer {
    Answer::Ticket {
        patient: ticket.subject.to_string(),
        text: ticket.to_text(),
        qr: ticket.to_qr_text(),
        address: ticket.address.clone(),
        expires: ticket.expires,
    }
}
