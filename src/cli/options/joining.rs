//! What is wanted of joining a clinic.

use std::time::Duration;

use super::super::args::EnrolPatient;
use super::super::args::joining::EnrolDoctor;
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::value::{new_name, validity, value};
use super::{DoctorTask, TicketSource};
use crate::identity::certificate::Role;
use crate::identity::join::looks_like_ticket;

/// How long an answer is waited for, if nothing else is said.
const WAIT: Duration = Duration::from_secs(60);

/// `enrol-doctor`.
pub(super) fn invite(args: &EnrolDoctor) -> Result<DoctorTask, Failure> {
    let role = |text: &str| {
        Role::staff_from_word(text).ok_or_else(|| "choose doctor, assistant or auditor".to_owned())
    };
    let role = args.role.as_deref().map(|text| value("--role", text, role));
    let valid = args.valid.as_deref();
    let valid = valid.map(|text| value("--valid", text, validity));
    Ok(DoctorTask::Invite(
        new_name("NAME", &args.name)?,
        role.transpose()?.unwrap_or(Role::Doctor),
        valid.transpose()?,
    ))
}

/// Whether `enrol` was given a ticket, not a patient.
pub(super) fn is_ticket(args: &EnrolPatient) -> bool {
    args.patient == "-" || looks_like_ticket(&args.patient)
}

/// `enrol` with a ticket.
pub(super) fn join(args: EnrolPatient) -> Result<DoctorTask, Failure> {
    if args.valid.is_some() {
        return Err(usage(
            "a ticket for joining has its time: leave out --valid",
        ));
    }
    let wait = args.wait.map(|seconds| Duration::from_secs(seconds.into()));
    let source = TicketSource::from_pieces(&[args.patient])?;
    Ok(DoctorTask::Join(source, wait.unwrap_or(WAIT)))
}
