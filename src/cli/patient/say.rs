//! What a patient reads: messages, the history, and what happens on the
//! connection.

use crate::cli::text::{clean, sentence};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::identity::id::Identifier;
use crate::patient::control::{
    ClinicDoctor, Fingerprints, Received, Said, Sent, Status, Word, ends_soon,
};
use crate::patient::event::{self, Event};

/// The lines for an event; nothing for those that are said elsewhere.
pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connected {
            doctor,
            instead_of,
            resumed,
            clock,
        } => {
            let again = if *resumed { " again" } else { "" };
            let warning = clock.as_ref().map_or_else(String::new, |clock| {
                format!("\nNote: {clock}; one of them is wrong.")
            });
            match instead_of {
                None => format!("Connected to doctor {doctor}{again}.{warning}"),
                Some(asked) => format!("{}{warning}", sentence(&event::instead_of(asked, doctor))),
            }
        }
        Event::CertificateEnds(end) => ends(*end),
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
        Event::Message(entry) => received(&entry.into()),
        Event::Reminder(entry) => format!(
            "URGENT message {} waits for your confirmation, it came {}: {}",
            entry.number,
            entry.received,
            clean(entry.message.text())
        ),
        Event::NotTaken(ids) => sentence(&event::not_taken(ids)),
        Event::Delivered(_) => "Your message has arrived at the doctor's.".to_owned(),
        Event::ConfirmationArrived(number) => {
            format!("The doctor has your confirmation of message {number}.")
        }
        Event::ConfirmationRefused(number) => sentence(&event::refused(*number)),
        Event::FilesFailed(error) => sentence(&error.to_string()),
        Event::ConnectionLost(loss) => sentence(&loss.to_string()),
        Event::Ended(reason) => sentence(event::ended(*reason)),
        Event::Unreached {
            doctor,
            reason,
            next,
        } => sentence(&event::unreached(doctor, reason, next.as_ref())),
        Event::NotConnected(error) => sentence(&format!("not connected: {error}")),
        Event::Back { doctor } => {
            format!("Doctor {doctor} is reached again: changing over to her.")
        }
        Event::Clinic { doctors } => match &doctors[..] {
            [] | [_] => return None,
            several => {
                let names: Vec<_> = several.iter().map(Identifier::as_str).collect();
                format!("The doctors of your clinic: {}.", names.join(", "))
            }
        },
        Event::EntryRefused { doctor, error } => {
            sentence(&event::entry_refused(doctor.as_ref(), error))
        }
        Event::Retrying { after } => {
            format!("Connecting again in {:.0} s.", after.as_secs_f32().ceil())
        }
        Event::Stopped(_) => return None,
    })
}

/// The same without a word of what the doctor says.
pub(super) fn notice(event: &Event) -> Option<String> {
    let (entry, what) = match event {
        Event::Message(entry) => (entry, "has come: \"patient inbox\" shows it"),
        Event::Reminder(entry) => (entry, "waits to be confirmed: \"patient inbox\" shows it"),
        other => return self::event(other),
    };
    let urgent = match entry.message.is_urgent() {
        true => "URGENT message",
        false => "Message",
    };
    Some(format!("{urgent} {} {what}.", entry.number))
}

/// A message of the doctor's.
pub(super) fn received(message: &Received) -> String {
    let urgent = if message.urgent { "URGENT, " } else { "" };
    let through = message.through.as_ref().map_or_else(String::new, |doctor| {
        format!(" (through {})", clean(doctor))
    });
    let author = message.author.as_ref().map_or_else(String::new, |author| {
        format!("from {}{through}, ", clean(author))
    });
    let to = match (message.to.as_str(), message.missed) {
        ("everyone", false) => "to everyone",
        ("everyone", true) => "to everyone, missed while away",
        ("chosen", _) => "to chosen patients",
        _ => "to you alone",
    };
    let confirmed =
        message
            .confirmed
            .map_or_else(String::new, |at| match message.confirmation_arrived {
                Some(_) => format!(", confirmed {at}"),
                None if message.confirmation_refused.is_some() => {
                    format!(", confirmed {at} (the doctor's server does not have the message)")
                }
                None => format!(", confirmed {at} (the doctor does not know yet)"),
            });
    format!(
        "Message {} ({author}{urgent}{to}{}), code {}, written {}, received {}{confirmed}:\n    {}",
        message.number,
        consultation(message.consultation),
        clean(&message.code),
        message.written,
        message.received,
        clean(&message.text)
    )
}

/// A message to the doctor.
fn sent(message: &Sent) -> String {
    let state = match message.delivered {
        Some(at) => format!("arrived {at}"),
        None => format!("{}, has not arrived yet", clean(&message.state)),
    };
    format!(
        "You wrote (code {}{}), {}, {state}:\n    {}",
        clean(&message.code),
        consultation(message.consultation),
        message.written,
        clean(&message.text)
    )
}

/// All that was said.
pub(super) fn history(said: &[Said]) -> String {
    if said.is_empty() {
        return "Nothing was said yet.".to_owned();
    }
    said.iter().map(self::said).collect::<Vec<_>>().join("\n")
}

/// Something that was said.
pub(super) fn said(said: &Said) -> String {
    let rule = |what: &str, at: &Timestamp| format!("--- {what} {at} ---");
    match said {
        Said::Received(message) => received(message),
        Said::Sent(message) => sent(message),
        Said::Damaged(damaged) => sentence(&clean(&damaged.sentence)),
        Said::Begins(at) => rule("a consultation begins", at),
        Said::Ends(at) => rule("the consultation ends", at),
    }
}

/// What a message is to a consultation.
const fn consultation(word: Option<Word>) -> &'static str {
    match word {
        None => "",
        Some(Word::Opens) => ", begins a consultation",
        Some(Word::Closes) => ", ends the consultation",
    }
}

/// How many messages are unread; nothing if none is.
pub(super) fn unread(status: &Status) -> Option<String> {
    let urgent = match status.unread_urgent {
        0 => String::new(),
        count => format!(", {count} of them URGENT"),
    };
    match status.unread {
        0 => None,
        1 => Some(format!("1 message is unread{urgent}")),
        count => Some(format!("{count} messages are unread{urgent}")),
    }
}

/// What waits for the doctor; nothing if nothing does.
pub(super) fn waiting(status: &Status) -> Option<String> {
    let some = |count, what| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [
        some(status.waiting_messages, "message"),
        some(status.waiting_confirmations, "confirmation"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// How things are.
pub(super) fn status(status: &Status, fingerprints: &Fingerprints) -> String {
    let connection = match (status.running, status.connected) {
        (true, true) => match &status.doctor {
            Some(doctor) => format!("Connected to doctor {}.", clean(doctor)),
            None => "Connected.".to_owned(),
        },
        (true, false) => "Not connected; the program tries again by itself.".to_owned(),
        (false, _) => "No program is running: nothing is received now.".to_owned(),
    };
    let unread = unread(status).unwrap_or_else(|| "no message is unread".to_owned());
    let waiting = waiting(status).unwrap_or_else(|| "nothing".to_owned());
    // A confirmation has no end of its own here: it waits for a receipt.
    let why = match (status.connected, status.waiting_confirmations) {
        (false, _) | (_, 0) => "",
        _ => {
            "\nA confirmation stays there for ever if the doctor's server does not know its \
             message any more, as after she has restored a backup; there is nothing to do then."
        }
    };
    let now = SystemClock.now();
    let soon = status.certificate_ends.filter(|end| ends_soon(*end, now));
    let end = soon.map_or_else(String::new, |end| format!("\n{}", ends(end)));
    format!(
        "{connection}\n{}\nNot yet at the doctor's: {waiting}.{why}{end}\n\
         Fingerprints, to compare with the doctor over the phone:\n  \
         clinic's root:      {}\n  doctor's key:       {}\n  this device's key:  {}",
        sentence(&unread),
        clean(&fingerprints.root),
        clean(&fingerprints.doctor),
        clean(&fingerprints.own)
    )
}

/// The clinic's doctors, a line each.
pub(super) fn doctors(doctors: &[ClinicDoctor]) -> String {
    let line = |doctor: &ClinicDoctor| {
        let since = doctor
            .since
            .map(|since| format!("known since {since}"))
            .filter(|_| !doctor.enrolled);
        let words = [
            (doctor.enrolled, "has enrolled you"),
            (doctor.asked, "the one you ask for"),
            (doctor.connected, "connected"),
            (doctor.revoked, "REVOKED by the clinic, not connected to"),
        ];
        let words = words.iter().filter(|(is_so, _)| *is_so);
        let words = words.map(|(_, word)| (*word).to_owned()).chain(since);
        let words: Vec<String> = words.collect();
        let (name, address) = (clean(&doctor.doctor), clean(&doctor.address));
        format!("{name} at {address} ({})", words.join(", "))
    };
    doctors.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// That this device's certificate ends, and what to do.
fn ends(end: Timestamp) -> String {
    let verb = match SystemClock.now() > end {
        true => "has ended",
        false => "ends",
    };
    format!(
        "Note: this device's certificate {verb} on {end}. Ask the doctor for a new ticket, and \
         use it here: patient enrol TICKET. Your messages stay."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Received {
        Received {
            number: 1,
            code: "3fa9c1".to_owned(),
            urgent: true,
            to: "everyone".to_owned(),
            missed: false,
            consultation: None,
            written: Timestamp::from_millis(0),
            received: Timestamp::from_millis(0),
            shown: None,
            confirmed: None,
            confirmation_arrived: None,
            confirmation_refused: None,
            author: None,
            through: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_message_cannot_imitate_the_program() {
        let said = received(&message("hello\x1b[2J\nConnected to doctor D2."));
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(!said.contains('\x1b'));
        assert!(said.contains("URGENT") && said.contains("written 1970"));
    }

    #[test]
    fn a_message_of_another_doctor_says_through_whom_it_came() {
        let mut shown = message("Come tomorrow.");
        shown.author = Some("D1".to_owned());
        assert!(received(&shown).starts_with("Message 1 (from D1, URGENT"));
        shown.through = Some("D2".to_owned());
        assert!(received(&shown).starts_with("Message 1 (from D1 (through D2), URGENT"));
    }

    #[test]
    fn it_is_told_with_whom_a_session_is_that_was_not_asked_for() {
        let name = |text: &str| text.parse::<Identifier>().unwrap();
        let said = |event: &Event| super::event(event).unwrap();
        let unreached = Event::Unreached {
            doctor: name("D1"),
            reason: "no server answers at h:1".to_owned(),
            next: Some(name("D2")),
        };
        assert_eq!(
            said(&unreached),
            "D1 is not reached (no server answers at h:1); trying D2 of the same clinic."
        );
        let connected = Event::Connected {
            doctor: name("D2"),
            instead_of: Some(name("D1")),
            resumed: true,
            clock: None,
        };
        assert_eq!(
            said(&connected),
            "D1 is not reached; you are connected to D2 of the same clinic."
        );
        let back = Event::Back { doctor: name("D1") };
        assert!(said(&back).starts_with("Doctor D1 is reached again"));
    }

    #[test]
    fn the_status_says_what_is_unread_and_what_waits() {
        let mut shown = Status {
            running: true,
            connected: false,
            unread: 2,
            unread_urgent: 1,
            waiting_messages: 1,
            waiting_confirmations: 2,
            certificate_ends: None,
            doctor: None,
        };
        let fingerprints = Fingerprints {
            root: "06b2".to_owned(),
            doctor: "3fa9".to_owned(),
            own: "77e0".to_owned(),
        };
        let said = status(&shown, &fingerprints);
        assert!(said.contains("2 messages are unread, 1 of them URGENT."));
        assert!(said.contains("1 message and 2 confirmations."), "{said}");
        assert!(!said.contains("restored a backup"), "{said}");
        shown.connected = true;
        assert!(status(&shown, &fingerprints).contains("restored a backup"));
        shown.doctor = Some("D2".to_owned());
        assert!(status(&shown, &fingerprints).starts_with("Connected to doctor D2."));
        assert!(said.ends_with("this device's key:  77e0"), "{said}");
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        shown.certificate_ends = Some(SystemClock.now().plus(day * 31));
        assert!(!status(&shown, &fingerprints).contains("certificate ends"));
        shown.certificate_ends = Some(SystemClock.now().plus(day * 29));
        let said = status(&shown, &fingerprints);
        assert!(said.contains("certificate ends on ") && said.contains("patient enrol TICKET"));
        shown.waiting_messages = 0;
        shown.waiting_confirmations = 0;
        assert_eq!(waiting(&shown), None);
    }
}
