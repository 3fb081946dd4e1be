//! What went wrong, with the next step and the exit code: the one place where
//! the patient's errors become either.

use std::path::PathBuf;

use crate::cli::exit::{Exit, Failure};
use crate::cli::options::PatientOptions;
use crate::handshake::patient::HandshakeError;
use crate::identity::data_dir::{DataDirError, location};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::TrustError;
use crate::patient::connect::ConnectError;
use crate::patient::control::Said;
use crate::patient::enrol::EnrolError;
use crate::patient::event::Stopped;
use crate::patient::files::{FilesError, Heard, Name};
use crate::patient::link::LinkError;
use crate::protocol::{AlertCode, DisconnectReason};
use crate::vault::VaultError;

const ASK_FOR_TICKET: &str = "ask the doctor for a new ticket";
const AGAIN: &str = "nothing is lost: run the same command again";

/// Which identity, and where it lies: for naming the next command exactly.
#[derive(Clone, Debug)]
pub(super) struct Place {
    name: Name,
    directory: PathBuf,
    data_option: String,
}

impl Place {
    pub(super) fn new(options: &PatientOptions, name: &Name) -> Self {
        let directory = location(&options.data, &name.to_string());
        Self {
            name: name.clone(),
            directory: directory.unwrap_or_else(|_| options.data.clone()),
            data_option: options.data_option.clone(),
        }
    }
}

/// Nobody of this name is enrolled here, nor does any of these identities know
/// the doctor who was asked for.
pub(super) fn not_enrolled(options: &PatientOptions, known: &[(Name, Heard)]) -> Failure {
    let patient = options.id.as_ref().map_or("P1", |id| id.as_str());
    let who = match (&options.id, &options.doctor_id) {
        (Some(id), Some(doctor)) => format!("{id} is not enrolled with doctor {doctor} here"),
        (Some(id), None) => format!("{id} is not enrolled here"),
        (None, Some(doctor)) => format!("nobody is enrolled with doctor {doctor} here"),
        (None, None) => "nobody is enrolled here".to_owned(),
    };
    let nor = match (&options.doctor_id, known) {
        (Some(_), [_, ..]) => ", and no clinic known here has told of her",
        _ => "",
    };
    let doctors: Vec<String> = known
        .iter()
        .map(|(Name { patient, doctor }, heard)| {
            let others = heard.doctors.iter().filter(|other| *other != doctor);
            let others: Vec<&str> = others.map(Identifier::as_str).collect();
            match others[..] {
                [] => format!("{patient} can connect to {doctor}\n"),
                _ => format!("{patient} can connect to {doctor}, {}\n", others.join(", ")),
            }
        })
        .collect();
    let sentence = format!("{who}{nor} (in {})", options.data.display());
    Failure::new(Exit::Refused, sentence).hint(format!(
        "{}to enrol takes two commands:\n\
         \x20 at the doctor's: doctor enrol {patient}\n\
         \x20 then here:       patient{} enrol TICKET",
        doctors.concat(),
        options.data_option
    ))
}

/// An enrolment was begun here and not finished.
pub(super) fn half_enrolled(place: &Place) -> Failure {
    let Name { patient, doctor } = &place.name;
    let sentence = format!("the enrolment of {patient} with doctor {doctor} is not finished");
    Failure::new(Exit::Refused, sentence).hint(format!(
        "run the command again that began it: patient{} enrol TICKET\n\
         or, for a new ticket, at the doctor's: doctor enrol {patient}",
        place.data_option
    ))
}

pub(super) fn directory(error: &DataDirError) -> Failure {
    Failure::new(Exit::Failure, error.to_string())
}

pub(super) fn files(error: &FilesError) -> Failure {
    let exit = match error {
        FilesError::Missing { .. } | FilesError::Message(_) | FilesError::Damaged { .. } => {
            Exit::Integrity
        }
        FilesError::Store(error) => error.fault().into(),
        FilesError::Key(error) | FilesError::Vault(VaultError::KeyFile(error)) => {
            error.fault().into()
        }
        FilesError::Vault(VaultError::Store(error)) => error.fault().into(),
        FilesError::Vault(VaultError::OtherKey) => Exit::Integrity,
        FilesError::Directory(_) => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

/// What was shown is all there is, but for what does not open.
pub(super) fn if_damaged(said: &[Said]) -> Result<Exit, Failure> {
    let is_damaged = |said: &&Said| matches!(said, Said::Damaged(_));
    let sentence = match said.iter().filter(is_damaged).count() {
        0 => return Ok(Exit::Ok),
        1 => "1 message does not open: it is damaged on this disk".to_owned(),
        count => format!("{count} messages do not open: they are damaged on this disk"),
    };
    Err(Failure::new(Exit::Integrity, sentence)
        .hint("the others are whole; the disk may be failing: copy what you need from it"))
}

pub(super) fn enrol(error: &EnrolError, place: &Place) -> Failure {
    let sentence = error.to_string();
    match error {
        EnrolError::Expired { .. } => Failure::new(Exit::Ticket, sentence)
            .hint(format!("{ASK_FOR_TICKET}, or set the clock if it is wrong")),
        EnrolError::OtherClinic(name) => Failure::new(Exit::Failure, sentence).hint(format!(
            "to connect: patient{} --id {} --doctor-id {}\n\
             to be this other clinic's patient, first move the old identity away: {}",
            place.data_option,
            name.patient,
            name.doctor,
            move_away(place)
        )),
        EnrolError::Files(error) => files(error),
        EnrolError::Link(error) => link(error, AGAIN),
        EnrolError::Unfinished(_) => Failure::new(Exit::Unreachable, sentence).hint(
            "run the same command again here: it goes on with the same ticket and the same key, \
             also if the ticket has expired meanwhile",
        ),
        EnrolError::NotAccepted => Failure::new(Exit::Refused, sentence).hint(
            "run the same command again; if that does not help, ask the doctor for a new ticket",
        ),
        EnrolError::Handshake(HandshakeError::Refused { code, .. }) => match code {
            AlertCode::TicketUsed => Failure::new(Exit::Ticket, sentence).hint(format!(
                "if it was not you who used it, somebody else has it: phone the doctor at once; \
                 then {ASK_FOR_TICKET}"
            )),
            AlertCode::TicketExpired | AlertCode::TicketWithdrawn => {
                Failure::new(Exit::Ticket, sentence).hint(ASK_FOR_TICKET)
            }
            _ => Failure::new(Exit::Refused, sentence).hint(AGAIN),
        },
        EnrolError::Handshake(HandshakeError::Trust(error)) => trust(error, place),
        EnrolError::Handshake(_) => Failure::new(Exit::Refused, sentence)
            .hint("check the address, and run the same command again"),
    }
}

pub(super) fn connect(error: &ConnectError, place: &Place) -> Failure {
    let sentence = error.to_string();
    match error {
        ConnectError::Left { doctor, others } => {
            let other = |other: &Identifier| {
                let Place {
                    name, data_option, ..
                } = place;
                format!(
                    "to connect to {other}: patient{data_option} --id {} --doctor-id {other}\n",
                    name.patient
                )
            };
            let others: Vec<String> = others.iter().map(other).collect();
            Failure::new(Exit::Refused, sentence).hint(format!(
                "{}if {doctor} still works there, she has a new key: ask her over the phone\n{}",
                others.concat(),
                new_identity(place)
            ))
        }
        ConnectError::Link(error) => link(
            error,
            "check that the doctor's program is running, and the network; \
             --connect HOST:PORT names another address",
        ),
        ConnectError::NotAccepted => Failure::new(Exit::Refused, sentence)
            .hint("ask the doctor whether she still knows this device; if not, for a new ticket"),
        ConnectError::Files(error) => files(error),
        ConnectError::Papers(error) | ConnectError::Handshake(HandshakeError::Trust(error)) => {
            trust(error, place)
        }
        ConnectError::Handshake(HandshakeError::Refused { code, .. }) => {
            let failure = Failure::new(Exit::Refused, sentence);
            match code {
                AlertCode::Clock | AlertCode::NotYetValid => {
                    failure.hint("set this device's clock, then start the program again")
                }
                AlertCode::Busy => failure.hint("try again later"),
                AlertCode::Revoked => failure.hint(format!(
                    "phone the doctor: if it is only frozen, she can let this device in again \
                     (its key: patient status); if not:\n{}",
                    new_identity(place)
                )),
                _ => failure.hint(new_identity(place)),
            }
        }
        ConnectError::Handshake(_) => Failure::new(Exit::Refused, sentence)
            .hint("check the address; --connect HOST:PORT names another one"),
    }
}

pub(super) fn stopped(stopped: &Stopped, place: &Place) -> Result<Exit, Failure> {
    let sentence = stopped.to_string();
    Err(match stopped {
        Stopped::Asked
        | Stopped::Ended(DisconnectReason::EndedByDoctor | DisconnectReason::AskedByPatient) => {
            return Ok(Exit::Ok);
        }
        Stopped::Ended(DisconnectReason::Revoked) => {
            Failure::new(Exit::Refused, sentence).hint(new_identity(place))
        }
        Stopped::Ended(DisconnectReason::Superseded) => Failure::new(Exit::Failure, sentence).hint(
            "if that was you, use the other program; if not, tell the doctor: \
                 somebody may have copied this device's keys",
        ),
        Stopped::Ended(_) | Stopped::ProtocolBroken => Failure::new(Exit::Integrity, sentence)
            .hint("start the program again; if this comes back, tell the doctor"),
        Stopped::Refused(error) => connect(error, place),
        Stopped::OwnCertificate(error) => {
            use crate::identity::certificate::CertificateError::NotYetValid;
            let failure = Failure::new(Exit::Refused, sentence);
            match error {
                NotYetValid(_) => failure.hint("set this device's clock, it seems to be wrong"),
                _ => failure.hint(format!(
                    "set this device's clock if it is wrong; if not:\n{}",
                    new_identity(place)
                )),
            }
        }
    })
}

fn link(error: &LinkError, hint: &str) -> Failure {
    let exit = match error {
        LinkError::NoFrame(_) => Exit::Refused,
        _ => Exit::Unreachable,
    };
    Failure::new(exit, error.to_string()).hint(hint)
}

fn trust(error: &TrustError, place: &Place) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    match error {
        TrustError::ChangedKey { .. } => failure.hint(format!(
            "{}\n{}",
            changed("her key was stolen or lost and she has made a new one"),
            new_identity(place)
        )),
        TrustError::ChangedRoot { .. } => failure.hint(format!(
            "check the address; if it is right: {}\n{}",
            changed("her server was set up anew"),
            new_clinic(place)
        )),
        TrustError::Root(_) | TrustError::OtherDoctor { .. } => failure.hint(
            "check the address, and with the doctor whether her server was set up anew; \
             if it was, ask her for a new ticket",
        ),
        TrustError::Revoked => failure.hint(format!(
            "the clinic says that somebody else may have this doctor's key: ask her, best over \
             the phone\n{}",
            new_identity(place)
        )),
        TrustError::OwnClock(_) => {
            failure.hint("check this device's clock; if it is right, tell the doctor")
        }
        TrustError::PrekeyDates => failure.hint(
            "the doctor's prekey is out of date by this device's clock: check this device's \
             clock; if it is right, tell the doctor; then try again",
        ),
        _ => failure.hint("tell the doctor; nothing was sent"),
    }
}

/// What a changed key can mean, and what to do before anything else.
fn changed(honest: &str) -> String {
    format!(
        "nothing was sent. Either {honest}, or somebody is posing as the doctor. Do not go on \
         before she has told you over the phone which it is, and the new fingerprint: 'doctor \
         fingerprint' shows it there"
    )
}

/// The commands that lead to a new identity.
fn new_identity(place: &Place) -> String {
    format!(
        "to enrol anew:\n\
         \x20 at the doctor's: doctor enrol {}\n\
         \x20 then here:       patient{} enrol TICKET\n\
         your messages stay",
        place.name.patient, place.data_option
    )
}

/// Another root is another clinic: its patient begins with nothing.
fn new_clinic(place: &Place) -> String {
    format!(
        "to be the new clinic's patient:\n\
         \x20 at the doctor's: doctor enrol {}\n\
         \x20 then here:       {}\n\
         \x20 and:             patient{} enrol TICKET\n\
         your messages stay in the directory that is moved away",
        place.name.patient,
        move_away(place),
        place.data_option
    )
}

fn move_away(place: &Place) -> String {
    let directory = place.directory.display().to_string().replace('\'', r"'\''");
    format!("mv '{directory}' '{directory}.old'")
}
