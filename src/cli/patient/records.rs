//! What happens to a patient, as programs read it.

use crate::cli::output::Record;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::patient::enrol::Enrolled;
use crate::patient::event::{self, Event};
use crate::patient::files::Name;
use crate::patient::inbox::Entry;
use crate::protocol::message::{Boundary, Message};
use crate::session::patient::Delivery;

/// An enrolment that has succeeded; one that had before has no code to compare.
pub(super) fn enrolled(name: &Name, enrolled: &Enrolled) -> Record {
    let check_code = match enrolled {
        Enrolled::Now { check_code } => Some(check_code.to_string()),
        Enrolled::Before => None,
    };
    Record::new("enrolled")
        .with("patient", name.patient.as_str())
        .with("doctor", name.doctor.as_str())
        .with("check_code", check_code)
}

/// A message from the doctor.
pub(super) fn message(entry: &Entry) -> Record {
    let to = match entry.delivery {
        Delivery::Broadcast | Delivery::Missed => "everyone",
        Delivery::Chosen => "chosen",
        Delivery::Private => "you",
    };
    Record::new("received")
        .with("message", entry.number)
        .with("urgent", entry.message.is_urgent())
        .with("to", to)
        .with("missed", entry.delivery == Delivery::Missed)
        .with("written", entry.message.written())
        .with("received", entry.received)
        .with("confirmed", entry.confirmed)
        .with("text", entry.message.text())
        .with("code", entry.message.id().code())
        .with("consultation", boundary(&entry.message))
        .with("shown", entry.shown)
        .with("confirmation_arrived", entry.confirmation_arrived)
}

const fn boundary(message: &Message) -> Option<&'static str> {
    match message.boundary() {
        None => None,
        Some(Boundary::Opens) => Some("opens"),
        Some(Boundary::Closes) => Some("closes"),
    }
}

/// An event, at the time it is told.
pub(super) fn event(event: &Event) -> Record {
    match event {
        Event::Connected {
            doctor,
            resumed,
            clock,
        } => Record::new("connected")
            .with("at", now())
            .with("doctor", doctor.as_str())
            .with("resumed", *resumed)
            .with("clock", clock.map(|clock| clock.to_string())),
        Event::Epoch { devices, missed } => Record::new("group")
            .with("at", now())
            .with("devices", *devices)
            .with("missed", *missed),
        Event::Message(entry) => message(entry),
        Event::Reminder(entry) => Record::new("reminder")
            .with("at", now())
            .with("message", entry.number)
            .with("code", entry.message.id().code())
            .with("text", entry.message.text()),
        Event::ConfirmationArrived(number) => Record::new("confirmation_arrived")
            .with("at", now())
            .with("message", *number),
        Event::FilesFailed(error) => Record::new("trouble")
            .with("at", now())
            .with("sentence", error.to_string()),
        Event::Delivered(id) => Record::new("arrived")
            .with("at", now())
            .with("id", id.to_string()),
        Event::ConnectionLost(loss) => Record::new("lost")
            .with("at", now())
            .with("sentence", loss.to_string()),
        Event::Ended(reason) => Record::new("ended")
            .with("at", now())
            .with("sentence", event::ended(*reason)),
        Event::NotConnected(error) => Record::new("not_connected")
            .with("at", now())
            .with("sentence", error.to_string()),
        Event::Retrying { after } => Record::new("retrying").with("at", now()).with(
            "seconds",
            after
                .as_millis()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(u64::MAX),
        ),
        Event::Stopped(stopped) => Record::new("stopped")
            .with("at", now())
            .with("sentence", stopped.to_string()),
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}
