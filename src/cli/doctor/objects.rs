//! Answers and events as programs read them.

use crate::cli::doctor::authority;
use crate::cli::doctor::backup;
use crate::cli::doctor::blocks;
use crate::cli::doctor::devices;
use crate::cli::doctor::joining;
use crate::cli::doctor::messages;
use crate::cli::doctor::patients;
use crate::cli::doctor::presence;
use crate::cli::doctor::staff;
use crate::cli::output::Object;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::doctor::control::Answer;
use crate::doctor::event::{Departure, Event};
use crate::doctor::messages::{device_code, mark_of};
use crate::doctor::office;
use crate::doctor::reach::{Unreached, Why};
use crate::protocol::message::Boundary;
use crate::store::messages::BoundaryMark;

/// The objects of an answer; none for one that is a failure.
pub fn answer(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Connected {
            devices,
            unread,
            renewal,
            elsewhere,
            away: _,
        } => {
            let mut objects: Vec<_> = devices
                .iter()
                .map(|present| {
                    Object::new("device")
                        .with("patient", present.patient.as_str())
                        .with("since", present.since)
                        .with("silent_seconds", present.silent_seconds)
                        .with("device", present.device.as_str())
                })
                .collect();
            if *unread > 0 {
                objects.push(Object::new("unread").with("messages", *unread));
            }
            objects.extend(elsewhere.iter().flat_map(presence::devices_of));
            objects.extend(renewal.as_ref().map(authority::renewal_object));
            objects
        }
        Answer::Clinic(nodes) => presence::objects(nodes),
        Answer::Sent {
            number,
            code,
            devices,
            elsewhere,
            away,
            to: _,
            boundary,
            left_out,
            no_clinic: _,
        } => {
            let sent = Object::new("sent")
                .with("message", *number)
                .with("devices", *devices)
                .with("away", *away)
                .with("code", code.as_str())
                .with("boundary", boundary.map(Boundary::word))
                .with("left_out", left_out.len())
                .with("elsewhere", *elsewhere);
            std::iter::once(sent)
                .chain(left_out.iter().map(unreached))
                .collect()
        }
        Answer::Consulting { patient, open } => vec![
            Object::new("consulting")
                .with("patient", patient.as_str())
                .with("open", *open),
        ],
        Answer::Blocks(answer) => blocks::objects(answer),
        Answer::Disconnected(count) => vec![Object::new("disconnected").with("devices", *count)],
        Answer::Stopping => vec![Object::new("stopping")],
        Answer::Office(answer) => office_answer(answer),
        Answer::Failed(_) => Vec::new(),
    }
}

fn unreached(unreached: &Unreached) -> Object {
    let ended = match unreached.why {
        Why::Ended(at) => Some(at),
        _ => None,
    };
    Object::new("unreached")
        .with("patient", unreached.patient.as_str())
        .with("why", unreached.why.word())
        .with("ended", ended)
        .with("devices", unreached.devices)
}

fn office_answer(answer: &office::Answer) -> Vec<Object> {
    match answer {
        office::Answer::Ticket {
            patient,
            text,
            qr,
            address,
            expires,
        } => vec![
            Object::new("ticket")
                .with("patient", patient.as_str())
                .with("ticket", text.as_str())
                .with("qr", qr.as_str())
                .with("address", address.as_str())
                .with("expires", *expires),
        ],
        office::Answer::Devices(answer) => devices::objects(answer),
        office::Answer::Patients(answer) => patients::objects(answer),
        office::Answer::Backup(answer) => vec![backup::object(answer)],
        office::Answer::Authority(answer) => authority::objects(answer),
        office::Answer::Joining(answer) => joining::objects(answer),
        office::Answer::Staff(answer) => staff::objects(answer),
        office::Answer::Purged(purged) => vec![super::purge::object(purged)],
        office::Answer::Deliveries(_) | office::Answer::Letters(_) => messages::objects(answer),
        office::Answer::Audit(_) | office::Answer::AddressNeeded | office::Answer::Failed(_) => {
            Vec::new()
        }
    }
}

/// The server serves.
pub fn serving(doctor: &str, address: &str, public_address: Option<&str>) -> Object {
    Object::new("serving")
        .with("at", now())
        .with("doctor", doctor)
        .with("address", address)
        .with("public_address", public_address)
}

/// An event, at the time it is told.
pub fn event(event: &Event) -> Object {
    match event {
        Event::Joined {
            patient,
            resumed,
            clock_off,
        } => Object::new("joined")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("resumed", *resumed)
            .with("clock_off_seconds", clock_off.map(|off| off.as_secs()))
            .with("device", device_code(&patient.device)),
        Event::Superseded(replacement) => Object::new("superseded")
            .with("at", now())
            .with("patient", replacement.peer.as_str())
            .with("device", device_code(&replacement.peer.device))
            .with("address", replacement.address.to_string())
            .with("older_address", replacement.older.to_string())
            .with("maybe_copied", replacement.maybe_copied),
        Event::Left(patient, departure) => Object::new("left")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("why", why(*departure))
            .with("device", device_code(&patient.device)),
        Event::Delivered(patient, number, _) => Object::new("delivered")
            .with("at", now())
            .with("message", *number)
            .with("patient", patient.as_str())
            .with("device", device_code(&patient.device)),
        Event::Confirmed(patient, number) => Object::new("confirmed")
            .with("at", now())
            .with("message", *number)
            .with("patient", patient.as_str())
            .with("device", device_code(&patient.device)),
        Event::Private(patient, message) => Object::new("private")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("written", message.written())
            .with("text", message.text())
            .with("device", device_code(&patient.device))
            .with("code", message.id().code())
            .with("boundary", mark_of(message).map(BoundaryMark::word)),
        Event::Elsewhere {
            patient,
            through,
            message,
        } => Object::new("private_elsewhere")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("through", through.as_str())
            .with("written", message.written())
            .with("text", message.text())
            .with("code", message.id().code())
            .with("boundary", mark_of(message).map(BoundaryMark::word)),
        Event::Enrolled(patient, code) => Object::new("enrolment")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("check_code", code.as_str()),
        Event::Refused(address, reason) => Object::new("refused")
            .with("at", now())
            .with("address", address.to_string())
            .with("reason", reason.to_string()),
        Event::Blocked(address, time) => Object::new("blocked")
            .with("address", address.to_string())
            .with("seconds", time.as_secs()),
        Event::Released {
            address,
            refused,
            lifted,
        } => Object::new("released")
            .with("address", address.to_string())
            .with("refused", *refused)
            .with("lifted", *lifted),
        Event::Strangers(count) => Object::new("strangers")
            .with("at", now())
            .with("count", *count),
        Event::Clinic(sentence) => Object::new("joining")
            .with("at", now())
            .with("sentence", sentence.as_str()),
        Event::StoreAway(sentence) => Object::new("store_away")
            .with("at", now())
            .with("sentence", sentence.as_str()),
        Event::StoreBack(since) => Object::new("store_back")
            .with("at", now())
            .with("since", *since),
        Event::Transferred(patient) => Object::new("patient_given")
            .with("at", now())
            .with("patient", patient.as_str()),
        Event::Trouble(sentence) => Object::new("trouble")
            .with("at", now())
            .with("sentence", sentence.as_str()),
    }
}

const fn why(departure: Departure) -> &'static str {
    match departure {
        Departure::Asked => "asked",
        Departure::Lost => "lost",
        Departure::Misbehaved => "misbehaved",
        Departure::Expired => "expired",
        Departure::Revoked => "revoked",
        Departure::Stalled => "stalled",
        Departure::Moved => "moved",
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}
