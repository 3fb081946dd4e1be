//! What happens to a patient, as programs read it.

use crate::cli::output::Object;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::identity::id::Identifier;
use crate::patient::control::{ClinicDoctor, Fingerprints, Received, Said, Status, Word};
use crate::patient::enrol::Enrolled;
use crate::patient::event::{self, Event};
use crate::patient::files::Name;

/// An enrolment that has succeeded; one that had before has no code to compare.
pub(super) fn enrolled(name: &Name, enrolled: &Enrolled) -> Object {
    let check_code = match enrolled {
        Enrolled::Now { check_code } => Some(check_code.to_string()),
        Enrolled::Before => None,
    };
    Object::new("enrolled")
        .with("patient", name.patient.as_str())
        .with("doctor", name.doctor.as_str())
        .with("check_code", check_code)
}

/// A message from the doctor.
pub(super) fn received(message: &Received) -> Object {
    Object::new("received")
        .with("message", message.number)
        .with("urgent", message.urgent)
        .with("to", message.to.as_str())
        .with("missed", message.missed)
        .with("written", message.written)
        .with("received", message.received)
        .with("confirmed", message.confirmed)
        .with("text", message.text.as_str())
        .with("code", message.code.as_str())
        .with("consultation", message.consultation.map(Word::word))
        .with("shown", message.shown)
        .with("confirmation_arrived", message.confirmation_arrived)
        .with("confirmation_refused", message.confirmation_refused)
        .with("author", message.author.clone())
        .with("through", message.through.clone())
}

/// A message to the doctor that is kept now.
pub(super) fn queued(number: u64, code: &str) -> Object {
    Object::new("queued")
        .with("at", now())
        .with("message", number)
        .with("code", code)
}

/// Whether a message to the doctor has arrived there.
pub(super) fn delivery(number: u64, code: &str, arrived: bool) -> Object {
    Object::new("sending")
        .with("at", now())
        .with("message", number)
        .with("code", code)
        .with("arrived", arrived)
}

/// A message is confirmed; and whether the doctor has the confirmation.
pub(super) fn confirmation(number: u64, code: &str, arrived: bool) -> Object {
    Object::new("confirmation")
        .with("at", now())
        .with("message", number)
        .with("code", code)
        .with("arrived", arrived)
}

/// Something in the history.
pub(super) fn said(said: &Said) -> Object {
    match said {
        Said::Received(message) => received(message),
        Said::Sent(message) => Object::new("written")
            .with("message", message.number)
            .with("code", message.code.as_str())
            .with("written", message.written)
            .with("state", message.state.as_str())
            .with("delivered", message.delivered)
            .with("consultation", message.consultation.map(Word::word))
            .with("text", message.text.as_str()),
        Said::Damaged(damaged) => Object::new("damaged")
            .with("message", damaged.number)
            .with("from_doctor", damaged.from_doctor)
            .with("urgent", damaged.urgent)
            .with("sentence", damaged.sentence.as_str()),
        Said::Begins(at) => consultation("begins", *at),
        Said::Ends(at) => consultation("ends", *at),
    }
}

fn consultation(what: &'static str, at: Timestamp) -> Object {
    Object::new("consultation")
        .with("at", at)
        .with("what", what)
}

/// How things are.
pub(super) fn status(status: &Status, fingerprints: &Fingerprints) -> Object {
    Object::new("status")
        .with("running", status.running)
        .with("connected", status.connected)
        .with("unread", status.unread)
        .with("unread_urgent", status.unread_urgent)
        .with("waiting_messages", status.waiting_messages)
        .with("waiting_confirmations", status.waiting_confirmations)
        .with("root", fingerprints.root.as_str())
        .with("doctor_key", fingerprints.doctor.as_str())
        .with("own_key", fingerprints.own.as_str())
        .with("certificate_ends", status.certificate_ends)
        .with("doctor", status.doctor.clone())
}

/// A doctor of the clinic.
pub(super) fn doctor(doctor: &ClinicDoctor) -> Object {
    Object::new("doctor")
        .with("doctor", doctor.doctor.as_str())
        .with("address", doctor.address.as_str())
        .with("enrolled", doctor.enrolled)
        .with("asked", doctor.asked)
        .with("connected", doctor.connected)
        .with("revoked", doctor.revoked)
        .with("since", doctor.since)
}

/// An event, at the time it is told.
pub(super) fn event(event: &Event) -> Object {
    match event {
        Event::Connected {
            doctor,
            instead_of,
            resumed,
            clock,
        } => Object::new("connected")
            .with("at", now())
            .with("doctor", doctor.as_str())
            .with("resumed", *resumed)
            .with("clock", clock.map(|clock| clock.to_string()))
            .with("instead_of", name_of(instead_of.as_ref())),
        Event::CertificateEnds(end) => Object::new("certificate_ends")
            .with("at", now())
            .with("ends", *end),
        Event::Epoch { devices, missed } => Object::new("group")
            .with("at", now())
            .with("devices", *devices)
            .with("missed", *missed),
        Event::Message(entry) => received(&entry.into()),
        Event::Reminder(entry) => Object::new("reminder")
            .with("at", now())
            .with("message", entry.number)
            .with("code", entry.message.id().code())
            .with("text", entry.message.text()),
        Event::ConfirmationArrived(number) => Object::new("confirmation_arrived")
            .with("at", now())
            .with("message", *number),
        Event::ConfirmationRefused(number) => Object::new("confirmation_refused")
            .with("at", now())
            .with("message", *number),
        Event::FilesFailed(error) => Object::new("trouble")
            .with("at", now())
            .with("sentence", error.to_string()),
        Event::Delivered(id) => Object::new("arrived")
            .with("at", now())
            .with("id", id.to_string()),
        Event::NotTaken(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            Object::new("not_taken").with("at", now()).with("ids", ids)
        }
        Event::ConnectionLost(loss) => Object::new("lost")
            .with("at", now())
            .with("sentence", loss.to_string()),
        Event::Ended(reason) => Object::new("ended")
            .with("at", now())
            .with("sentence", event::ended(*reason)),
        Event::Unreached {
            doctor,
            reason,
            next,
        } => Object::new("doctor_unreached")
            .with("at", now())
            .with("doctor", doctor.as_str())
            .with("sentence", reason.as_str())
            .with("next", name_of(next.as_ref())),
        Event::NotConnected(error) => Object::new("not_connected")
            .with("at", now())
            .with("sentence", error.to_string()),
        Event::Back { doctor } => Object::new("back")
            .with("at", now())
            .with("doctor", doctor.as_str()),
        Event::Clinic { doctors } => {
            let names: Vec<&str> = doctors.iter().map(Identifier::as_str).collect();
            Object::new("clinic")
                .with("at", now())
                .with("doctors", names)
        }
        Event::EntryRefused { doctor, error } => Object::new("trouble")
            .with("at", now())
            .with("sentence", event::entry_refused(doctor.as_ref(), error)),
        Event::Retrying { after } => Object::new("retrying").with("at", now()).with(
            "seconds",
            after
                .as_millis()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(u64::MAX),
        ),
        Event::Stopped(stopped) => Object::new("stopped")
            .with("at", now())
            .with("sentence", stopped.to_string()),
    }
}

fn name_of(doctor: Option<&Identifier>) -> Option<String> {
    doctor.map(ToString::to_string)
}

fn now() -> Timestamp {
    SystemClock.now()
}
