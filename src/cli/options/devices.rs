//! What is wanted of devices, tickets and fingerprints.

use super::super::args::devices::{Devices, Revoke, Tickets, TicketsCommand, Unfreeze};
use super::super::exit::Failure;
use super::value::{identifier, value};
use crate::doctor::devices::{Request, check_reason};

/// What the commands about devices and tickets are to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevicesTask {
    /// What is asked.
    pub request: Request,
    /// Not to ask back.
    pub yes: bool,
}

impl DevicesTask {
    /// The same fingerprints that patients see.
    pub(super) const fn fingerprints() -> Self {
        Self::of(Request::Fingerprints)
    }

    pub(super) fn devices(args: &Devices) -> Result<Self, Failure> {
        let patient = args.patient.as_deref().map(patient).transpose()?;
        Ok(Self::of(Request::List { patient }))
    }

    pub(super) fn revoke(args: Revoke) -> Result<Self, Failure> {
        let request = Request::Revoke {
            patient: patient(&args.patient)?,
            device: args.device,
            reason: value("--reason", &args.reason, check_reason)?,
        };
        let yes = args.yes;
        Ok(Self { request, yes })
    }

    pub(super) fn unfreeze(args: Unfreeze) -> Result<Self, Failure> {
        Ok(Self::of(Request::Unfreeze {
            patient: patient(&args.patient)?,
            device: args.device,
            reason: value("--reason", &args.reason, check_reason)?,
        }))
    }

    pub(super) fn tickets(args: Tickets) -> Self {
        Self::of(match args.command {
            None | Some(TicketsCommand::List(_)) => Request::Tickets,
            Some(TicketsCommand::Revoke(revoke)) => Request::RevokeTicket {
                ticket: revoke.ticket,
            },
        })
    }

    const fn of(request: Request) -> Self {
        Self {
            request,
            yes: false,
        }
    }
}

fn patient(typed: &str) -> Result<String, Failure> {
    value("PATIENT", typed, identifier).map(|patient| patient.to_string())
}
