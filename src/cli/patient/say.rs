//! The events of a connection as a person reads them.

use crate::cli::text::{clean, sentence};
use crate::patient::event::{self, Event};
use crate::patient::inbox::Entry;
use crate::protocol::message::{Boundary, Message};
use crate::session::patient::Delivery;
use crate::store::MailCounts;

/// The lines for an event; nothing for those that are said elsewhere.
pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connected {
            doctor,
            resumed,
            clock,
        } => {
            let again = if *resumed { " again" } else { "" };
            let warning = clock.as_ref().map_or_else(String::new, |clock| {
                format!("\nNote: {clock}; one of them is wrong.")
            });
            format!("Connected to doctor {doctor}{again}.{warning}")
        }
        Event::Epoch { devices, missed } => {
            let group = match devices {
                1 => "This is the only device in the group now.".to_owned(),
                _ => format!("{devices} devices are in the group now."),
            };
            match missed {
                0 => group,
                1 => format!("{group} 1 message was missed, it will follow."),
                _ => format!("{group} {missed} messages were missed, they will follow."),
            }
        }
        Event::Message(entry) => message(entry),
        Event::Reminder(entry) => format!(
            "URGENT message {} waits for your confirmation, it came {}: {}",
            entry.number,
            entry.received,
            clean(entry.message.text())
        ),
        Event::Delivered(_) => "Your message has arrived at the doctor's.".to_owned(),
        Event::ConfirmationArrived(number) => {
            format!("The doctor has your confirmation of message {number}.")
        }
        Event::FilesFailed(error) => sentence(&error.to_string()),
        Event::ConnectionLost(loss) => sentence(&loss.to_string()),
        Event::Ended(reason) => sentence(event::ended(*reason)),
        Event::NotConnected(error) => sentence(&format!("not connected: {error}")),
        Event::Retrying { after } => {
            format!("Connecting again in {:.0} s.", after.as_secs_f32().ceil())
        }
        Event::Stopped(_) => return None,
    })
}

/// A message in the list.
pub(super) fn message(entry: &Entry) -> String {
    let urgent = if entry.message.is_urgent() {
        "URGENT, "
    } else {
        ""
    };
    let delivery = match entry.delivery {
        Delivery::Broadcast => "to everyone",
        Delivery::Missed => "to everyone, missed while away",
        Delivery::Chosen => "to chosen patients",
        Delivery::Private => "to you alone",
    };
    let confirmed =
        entry
            .confirmed
            .map_or_else(String::new, |at| match entry.confirmation_arrived {
                Some(_) => format!(", confirmed {at}"),
                None => format!(", confirmed {at} (the doctor does not know yet)"),
            });
    format!(
        "Message {} ({urgent}{delivery}{}), code {}, written {}, received {}{confirmed}:\n    {}",
        entry.number,
        boundary(&entry.message),
        entry.message.id().code(),
        entry.message.written(),
        entry.received,
        clean(entry.message.text())
    )
}

/// What a message is to a consultation.
const fn boundary(message: &Message) -> &'static str {
    match message.boundary() {
        None => "",
        Some(Boundary::Opens) => ", opens a consultation",
        Some(Boundary::Closes) => ", closes the consultation",
    }
}

/// How many messages are unread; nothing if none is.
pub(super) fn unread(counts: MailCounts) -> Option<String> {
    let urgent = match counts.unread_urgent {
        0 => String::new(),
        count => format!(", {count} of them URGENT"),
    };
    match counts.unread {
        0 => None,
        1 => Some(format!("1 message is unread{urgent}")),
        count => Some(format!("{count} messages are unread{urgent}")),
    }
}

/// What waits for the doctor; nothing if nothing does.
pub(super) fn waiting(counts: MailCounts) -> Option<String> {
    let some = |count, what| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [
        some(counts.waiting_messages, "message"),
        some(counts.waiting_confirmations, "confirmation"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::random::OsRandom;

    #[test]
    fn a_message_cannot_imitate_the_program() {
        let now = Timestamp::from_millis(0);
        let text = "hello\x1b[2J\nConnected to doctor D2.";
        let entry = Entry {
            number: 1,
            message: Message::new(text, true, now, &mut OsRandom).unwrap(),
            delivery: Delivery::Broadcast,
            received: now,
            shown: None,
            confirmed: None,
            confirmation_arrived: None,
        };
        let said = message(&entry);
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(!said.contains('\x1b'));
        assert!(said.contains("URGENT") && said.contains("written 1970"));
    }
}
