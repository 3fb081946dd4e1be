//! Messages and their deliveries as programs read them.

use crate::cli::output::Object;
use crate::doctor::correspondence::{self, LetterReport};
use crate::doctor::deliveries::{Answer, MessageReport};
use crate::doctor::office;

/// The objects of an answer about messages; none for any other.
pub fn objects(answer: &office::Answer) -> Vec<Object> {
    match answer {
        office::Answer::Deliveries(Answer::List {
            messages,
            older,
            over,
            ..
        }) => {
            let left_out = (*older > 0).then(|| Object::new("left_out").with("messages", *older));
            let over = over.map(|(at, patients)| {
                let expired = Object::new("expired").with("at", at);
                expired.with("patients", patients)
            });
            let messages = messages.iter().flat_map(message);
            messages.chain(left_out).chain(over).collect()
        }
        office::Answer::Deliveries(Answer::Unconfirmed {
            patients, phones, ..
        }) => {
            let unconfirmed = |patient: &String| {
                let phone = phones.as_ref().and_then(|phones| phones.get(patient));
                Object::new("unconfirmed")
                    .with("patient", patient.as_str())
                    .with("phone", phone.map(String::as_str))
            };
            patients.iter().map(unconfirmed).collect()
        }
        office::Answer::Letters(correspondence::Answer::Inbox { letters, .. }) => {
            letters.iter().map(letter).collect()
        }
        office::Answer::Letters(correspondence::Answer::History { letters, older, .. }) => {
            let left_out = (*older > 0).then(|| Object::new("left_out").with("messages", *older));
            letters.iter().map(letter).chain(left_out).collect()
        }
        _ => Vec::new(),
    }
}

/// How many messages of an answer do not open any more.
pub fn damaged(answer: &office::Answer) -> usize {
    use correspondence::Answer::{History, Inbox};
    match answer {
        office::Answer::Deliveries(Answer::List { messages, .. }) => {
            messages.iter().filter(|message| message.damaged).count()
        }
        office::Answer::Letters(Inbox { letters, .. } | History { letters, .. }) => {
            letters.iter().filter(|letter| letter.damaged).count()
        }
        _ => 0,
    }
}

/// A message, and after it what became of it at each device.
fn message(report: &MessageReport) -> Vec<Object> {
    let to = match report.kind.as_str() {
        "broadcast" => "everyone",
        "chosen" => "chosen",
        _ => "one",
    };
    let message = Object::new("message")
        .with("message", report.number)
        .with("to", to)
        .with("written", report.written)
        .with("text", report.text.as_deref())
        .with("code", report.code.as_str())
        .with("patient", report.patient.as_deref())
        .with("urgent", report.urgent)
        .with("expires", report.expires)
        .with("queued", report.queued)
        .with("sent", report.sent)
        .with("delivered", report.delivered)
        .with("confirmed", report.confirmed)
        .with("expired", report.expired)
        .with("unlisted", report.unlisted)
        .with("author", report.author.as_deref())
        .with("doubted", report.doubted)
        .with("damaged", report.damaged);
    let deliveries = report.deliveries.iter().map(|delivery| {
        Object::new("delivery")
            .with("message", report.number)
            .with("patient", delivery.patient.as_str())
            .with("state", delivery.state.as_str())
            .with("at", delivery.at)
            .with("device", delivery.device.as_str())
            .with("queued", delivery.queued)
            .with("sent", delivery.sent)
            .with("delivered", delivery.delivered)
            .with("confirmed", delivery.confirmed)
            .with("genuine", delivery.genuine)
            .with("phone", delivery.phone.as_deref())
    });
    std::iter::once(message).chain(deliveries).collect()
}

fn letter(letter: &LetterReport) -> Object {
    let direction = if letter.incoming { "in" } else { "out" };
    Object::new("letter")
        .with("direction", direction)
        .with("message", letter.number)
        .with("code", letter.code.as_str())
        .with("patient", letter.patient.as_str())
        .with("device", letter.device.as_deref())
        .with("kind", letter.kind.as_str())
        .with("urgent", letter.urgent)
        .with("written", letter.written)
        .with("received", letter.received)
        .with("state", letter.state.as_str())
        .with("boundary", letter.boundary.as_deref())
        .with("consultation", letter.in_consultation)
        .with("text", letter.text.as_deref())
        .with("author", letter.author.as_deref())
        .with("doubted", letter.doubted)
        .with("damaged", letter.damaged)
}
