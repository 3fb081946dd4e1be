//! What the log says of what the server tells the doctor.

use crate::audit::{Action, Entry};
use crate::clock::{Timestamp, in_words};
use crate::doctor::event::{Departure, Event, Replacement};
use crate::doctor::messages::device_code;
use crate::doctor::practice::{SERVER, STRANGER};
use crate::handshake::doctor::RefusalReason;

/// What the log says of something the server tells the doctor; nothing for what
/// is logged together with the change it tells of.
pub(in crate::doctor) fn entry_of(event: &Event, at: Timestamp) -> Option<Entry> {
    let by_patient = |patient: &str, action, detail: &str| {
        Some(Entry::new(at, patient, action, patient, detail))
    };
    match event {
        Event::Joined {
            patient,
            resumed,
            clock_off,
        } => {
            let how = if *resumed { "again" } else { "anew" };
            let clock = clock_off.map_or_else(String::new, |off| {
                format!(", with a clock that is off by {}", in_words(off))
            });
            by_patient(patient.as_str(), Action::Joined, &format!("{how}{clock}"))
        }
        Event::Superseded(replacement) => {
            let detail = replaced(replacement);
            by_patient(replacement.peer.as_str(), Action::Superseded, &detail)
        }
        Event::Left(patient, departure) => {
            let patient = patient.as_str();
            let actor = match departure {
                Departure::Asked | Departure::Lost | Departure::Misbehaved | Departure::Moved => {
                    patient
                }
                Departure::Expired | Departure::Revoked | Departure::Stalled => SERVER,
            };
            let why = why(*departure);
            Some(Entry::new(at, actor, Action::Left, patient, why))
        }
        Event::Refused(address, reason) => {
            let subject = named_in(reason).unwrap_or_default();
            let detail = format!("{address} {reason}");
            Some(Entry::new(at, STRANGER, Action::Refused, subject, &detail))
        }
        Event::Blocked(address, time) => {
            let detail = format!("for {}", in_words(*time));
            let address = address.to_string();
            Some(Entry::new(at, SERVER, Action::Blocked, &address, &detail))
        }
        // Who has lifted it logs that.
        Event::Released { lifted: true, .. } => None,
        Event::Released {
            address, refused, ..
        } => {
            let detail = format!("{refused} first messages were turned away");
            let address = address.to_string();
            Some(Entry::new(at, SERVER, Action::Released, &address, &detail))
        }
        Event::Strangers(count) => {
            let detail = format!("{count} more, not told one by one");
            Some(Entry::new(at, STRANGER, Action::Refused, "", &detail))
        }
        Event::Trouble(sentence) => Some(Entry::new(at, SERVER, Action::Trouble, "", sentence)),
        // The store logs it with the change it tells of.
        Event::Clinic(_) => None,
        Event::StoreBack(since) => {
            let detail = format!("the database did not answer since {since}");
            Some(Entry::new(at, SERVER, Action::Trouble, "", &detail))
        }
        // It could not be written.
        Event::StoreAway(_) => None,
        // Who has given her logs that.
        Event::Transferred(_) => None,
        Event::Enrolled(..)
        | Event::Delivered(..)
        | Event::Confirmed(..)
        | Event::Private(..)
        | Event::Elsewhere { .. } => None,
    }
}

/// Where from and how often, if that is anything but a line that was lost.
fn replaced(replacement: &Replacement) -> String {
    let Replacement { address, older, .. } = replacement;
    let device = device_code(&replacement.peer.device);
    let copied = match replacement.maybe_copied {
        true => "; it was killed or lost power several times, or two copies of it are in use",
        false => "",
    };
    match replacement.is_elsewhere() || replacement.maybe_copied {
        true => format!("device {device}, from {address} instead of {older}{copied}"),
        false => String::new(),
    }
}

const fn why(departure: Departure) -> &'static str {
    match departure {
        Departure::Asked => "asked for it",
        Departure::Lost => "the connection was lost",
        Departure::Misbehaved => "broke the protocol",
        Departure::Expired => "session or certificate has ended",
        Departure::Revoked => "the certificate was revoked or frozen",
        Departure::Stalled => "did not read",
        Departure::Moved => "is connected to another doctor of the clinic",
    }
}

/// The patient whose name, ticket or certificate was shown.
fn named_in(reason: &RefusalReason) -> Option<&str> {
    match reason {
        RefusalReason::TooOften(patient)
        | RefusalReason::Alert(_, patient)
        | RefusalReason::WrongTicketProof(patient)
        | RefusalReason::KeysInUse(patient)
        | RefusalReason::TicketUsedTwice(patient)
        | RefusalReason::TicketNotSigned(patient) => Some(patient.as_str()),
        RefusalReason::Unexpected
        | RefusalReason::UnknownPrekey
        | RefusalReason::CannotBeOpened
        | RefusalReason::UnknownCertificate
        | RefusalReason::OwnKey
        | RefusalReason::BadSignature
        | RefusalReason::UnknownTicket
        | RefusalReason::Registry(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_patient_is_found_by_name_and_a_stranger_by_address() {
        let at = Timestamp::from_millis(5);
        let address = "192.0.2.7".parse().unwrap();
        let reason = RefusalReason::TooOften("P1".parse().unwrap());
        let entry = entry_of(&Event::Refused(address, reason), at).unwrap();
        assert_eq!((&*entry.actor, &*entry.subject), ("stranger", "P1"));
        let unknown = Event::Refused(address, RefusalReason::UnknownTicket);
        let entry = entry_of(&unknown, at).unwrap();
        assert_eq!(entry.detail, "192.0.2.7 showed a ticket not issued here");
    }

    #[test]
    fn the_check_code_of_an_enrolment_is_not_logged() {
        let event = Event::Enrolled("P1".parse().unwrap(), "1234 5678".to_owned());
        assert_eq!(entry_of(&event, Timestamp::default()), None);
    }
}
