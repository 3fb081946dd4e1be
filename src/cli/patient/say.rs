//! The events of a connection as a person reads them.

use crate::cli::text::{clean, sentence};
use crate::patient::event::{self, Event};
use crate::patient::inbox::Entry;
use crate::session::patient::Delivery;

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
        Event::Delivered(_) => "Your message has arrived at the doctor's.".to_owned(),
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
    let confirmed = entry
        .confirmed
        .map_or_else(String::new, |at| format!(", confirmed {at}"));
    format!(
        "Message {} ({urgent}{delivery}), written {}, received {}{confirmed}:\n    {}",
        entry.number,
        entry.message.written(),
        entry.received,
        clean(entry.message.text())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::protocol::message::Message;
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
            confirmed: None,
        };
        let said = message(&entry);
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(!said.contains('\x1b'));
        assert!(said.contains("URGENT") && said.contains("written 1970"));
    }
}
