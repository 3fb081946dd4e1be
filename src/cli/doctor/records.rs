//! Answers and events as programs read them.

use crate::cli::doctor::backup;
use crate::cli::doctor::patients;
use crate::cli::output::Record;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::doctor::control::{Answer, MessageReport};
use crate::doctor::event::{Departure, Event};
use crate::doctor::office;

/// The records of an answer; none for one that is a failure.
pub fn answer(answer: &Answer) -> Vec<Record> {
    match answer {
        Answer::Connected(present) => present
            .iter()
            .map(|present| {
                Record::new("device")
                    .with("patient", present.patient.as_str())
                    .with("since", present.since)
                    .with("silent_seconds", present.silent_seconds)
            })
            .collect(),
        Answer::Sent {
            number,
            devices,
            away,
        } => vec![
            Record::new("sent")
                .with("message", *number)
                .with("devices", *devices)
                .with("away", *away),
        ],
        Answer::Report(reports) => reports.iter().flat_map(report).collect(),
        Answer::Disconnected(count) => vec![Record::new("disconnected").with("devices", *count)],
        Answer::Stopping => vec![Record::new("stopping")],
        Answer::Office(answer) => office_answer(answer),
        Answer::Failed(_) => Vec::new(),
    }
}

fn office_answer(answer: &office::Answer) -> Vec<Record> {
    match answer {
        office::Answer::Ticket {
            patient,
            text,
            qr,
            address,
            expires,
        } => vec![
            Record::new("ticket")
                .with("patient", patient.as_str())
                .with("ticket", text.as_str())
                .with("qr", qr.as_str())
                .with("address", address.as_str())
                .with("expires", *expires),
        ],
        office::Answer::Patients(answer) => patients::records(answer),
        office::Answer::Backup(answer) => vec![backup::record(answer)],
        office::Answer::Purged(purged) => vec![super::purge::record(purged)],
        office::Answer::Audit(_) | office::Answer::AddressNeeded | office::Answer::Failed(_) => {
            Vec::new()
        }
    }
}

/// A message, and after it what became of it at each device.
fn report(report: &MessageReport) -> Vec<Record> {
    let to = if report.broadcast { "everyone" } else { "one" };
    let message = Record::new("message")
        .with("message", report.number)
        .with("to", to)
        .with("written", report.written)
        .with("text", report.text.as_str());
    let deliveries = report.deliveries.iter().map(|delivery| {
        Record::new("delivery")
            .with("message", report.number)
            .with("patient", delivery.patient.as_str())
            .with("state", delivery.state.as_str())
            .with("at", delivery.at)
    });
    std::iter::once(message).chain(deliveries).collect()
}

/// The server serves.
pub fn serving(doctor: &str, address: &str, public_address: Option<&str>) -> Record {
    Record::new("serving")
        .with("at", now())
        .with("doctor", doctor)
        .with("address", address)
        .with("public_address", public_address)
}

/// An event, at the time it is told.
pub fn event(event: &Event) -> Record {
    match event {
        Event::Joined {
            patient,
            resumed,
            clock_off,
        } => Record::new("joined")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("resumed", *resumed)
            .with("clock_off_seconds", clock_off.map(|off| off.as_secs())),
        Event::Superseded(patient) => Record::new("superseded")
            .with("at", now())
            .with("patient", patient.as_str()),
        Event::Left(patient, departure) => Record::new("left")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("why", why(*departure)),
        Event::Delivered(patient, number) => Record::new("delivered")
            .with("at", now())
            .with("message", *number)
            .with("patient", patient.as_str()),
        Event::Confirmed(patient, number) => Record::new("confirmed")
            .with("at", now())
            .with("message", *number)
            .with("patient", patient.as_str()),
        Event::Private(patient, message) => Record::new("private")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("written", message.written())
            .with("text", message.text()),
        Event::Enrolled(patient, code) => Record::new("enrolment")
            .with("at", now())
            .with("patient", patient.as_str())
            .with("check_code", code.as_str()),
        Event::Refused(address, reason) => Record::new("refused")
            .with("at", now())
            .with("address", address.to_string())
            .with("reason", reason.to_string()),
        Event::Strangers(count) => Record::new("strangers")
            .with("at", now())
            .with("count", *count),
        Event::Trouble(sentence) => Record::new("trouble")
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
        Departure::Stalled => "stalled",
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}
