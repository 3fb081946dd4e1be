//! What happens at a server, as the doctor reads it.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use crate::cli::text;
use crate::clock::in_words;
use crate::doctor::event::{Departure, Event, Progress, Replacement};
use crate::protocol::message::{Boundary, Message};

/// Receipts for one message that are named one by one; more are counted.
const NAMED: usize = 10;
/// Who reads what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// A person, at a terminal or the menu.
    Person,
    /// A log, which is kept, and read by others: what patients write does not
    /// belong there.
    Log,
}

/// Shows events until there are no more. Receipts that come together are shown
/// together.
pub fn events(events: &Receiver<Event>, reader: Reader, mut line: impl FnMut(String)) {
    while let Ok(first) = events.recv() {
        let mut receipts: BTreeMap<u64, Receipts> = BTreeMap::new();
        for event in std::iter::once(first).chain(events.try_iter()) {
            if let Event::Delivered(patient, number, progress) = event {
                let receipts = receipts.entry(number).or_default();
                receipts.patients.push(patient.to_string());
                receipts.note(progress);
            } else {
                line(match (&event, reader) {
                    (Event::Private(patient, message), Reader::Log) => format!(
                        "{patient} has written{}: doctor inbox shows it.",
                        consultation(message)
                    ),
                    (
                        Event::Elsewhere {
                            patient,
                            through,
                            message,
                        },
                        Reader::Log,
                    ) => format!(
                        "{patient} has written (through {through}){}: doctor inbox shows it.",
                        consultation(message)
                    ),
                    _ => event_text(event),
                });
            }
        }
        for (number, receipts) in receipts {
            line(receipts.text(number));
        }
    }
}

/// What came at once of the receipts of one message.
#[derive(Default)]
struct Receipts {
    patients: Vec<String>,
    progress: Option<Progress>,
}

impl Receipts {
    /// Receipts are shown in the order in which they were committed, which
    /// need not be that in which they were counted.
    fn note(&mut self, progress: Option<Progress>) {
        let kept = |progress: &Progress| progress.kept;
        let both = self.progress.into_iter().chain(progress);
        self.progress = both.max_by_key(kept);
    }

    /// In words: names while they are few, then how far it is.
    fn text(&self, number: u64) -> String {
        let count = self.patients.len();
        let delivered = match count > NAMED {
            true => format!("Message {number}: delivered to {count} more devices"),
            false => format!(
                "Message {number}: delivered to {}",
                self.patients.join(", ")
            ),
        };
        let Some(progress) = self.progress.filter(|progress| progress.given > NAMED) else {
            return delivered + ".";
        };
        let Progress { given, kept, left } = progress;
        match given - kept {
            0 => format!("{delivered}; all {given} have it."),
            others if others == left => {
                format!("{delivered}; {kept} of {given} have it, the others have left.")
            }
            _ => format!("{delivered}; {kept} of {given} have it."),
        }
    }
}

/// What a patient's message does to the consultation.
fn consultation(message: &Message) -> &'static str {
    message.boundary().map_or("", |boundary| match boundary {
        Boundary::Opens => " and begins a consultation",
        Boundary::Closes => " and ends the consultation",
    })
}

fn event_text(event: Event) -> String {
    match event {
        Event::Joined {
            patient,
            resumed,
            clock_off,
        } => {
            let how = if resumed { " again" } else { "" };
            let clock = clock_off.map_or_else(String::new, |off| {
                format!("; the device's clock is off by {}", in_words(off))
            });
            format!("{patient} is connected{how}{clock}.")
        }
        Event::Superseded(replacement) => superseded(&replacement),
        Event::Left(patient, departure) => match departure {
            Departure::Asked => format!("{patient} has left."),
            Departure::Lost => format!("{patient}: the connection was lost."),
            Departure::Misbehaved => {
                format!("{patient}: the device broke the protocol and was disconnected.")
            }
            Departure::Expired => {
                format!("{patient}: the session or certificate has ended.")
            }
            Departure::Revoked => {
                format!("{patient}: the certificate was revoked or frozen; disconnected.")
            }
            Departure::Stalled => {
                format!("{patient}: the device does not read; it was disconnected.")
            }
            Departure::Moved => {
                format!("{patient} is connected to another doctor of the clinic now.")
            }
        },
        Event::Delivered(patient, number, _) => {
            format!("Message {number}: delivered to {patient}.")
        }
        Event::Confirmed(patient, number) => format!("Message {number}: confirmed by {patient}."),
        Event::Private(patient, message) => format!(
            "{patient} writes ({}, {}){}: {}",
            message.written(),
            message.id().code(),
            consultation(&message),
            text::clean(message.text())
        ),
        Event::Elsewhere {
            patient,
            through,
            message,
        } => format!(
            "{patient} writes (through {through}; {}, {}){}: {}",
            message.written(),
            message.id().code(),
            consultation(&message),
            text::clean(message.text())
        ),
        Event::Enrolled(patient, code) => format!(
            "{patient} has enrolled. Compare this code over the phone with what {patient} sees: \
             {code}"
        ),
        Event::Refused(address, reason) => format!("Not let in: {address} {reason}."),
        Event::Blocked(address, time) => format!(
            "Blocked for {}: {address} failed too often to prove who it is. To lift it: doctor \
             blocks lift {address}",
            in_words(time)
        ),
        Event::Released {
            address, refused, ..
        } => format!("No longer blocked: {address}, {refused} first messages were turned away."),
        Event::Strangers(1) => "1 more stranger was not let in.".to_owned(),
        Event::Strangers(count) => format!("{count} more strangers were not let in."),
        Event::Clinic(sentence) => text::sentence(&sentence),
        Event::StoreAway(sentence) => format!(
            "{} Patients who are connected stay so, and those who were until now come back for \
             five minutes; nothing is kept or answered until it is there again.",
            text::sentence(&sentence)
        ),
        Event::StoreBack(since) => format!(
            "The database is there again, after it was away since {since}. What was not answered \
             comes again."
        ),
        Event::Transferred(patient) => format!(
            "{patient} is your patient now: another doctor of the clinic has given her to you."
        ),
        Event::Trouble(sentence) => format!("Trouble: {sentence}."),
    }
}

fn superseded(replacement: &Replacement) -> String {
    let Replacement {
        peer,
        address,
        older,
        silent,
        maybe_copied,
    } = replacement;
    let mut said = match replacement.is_elsewhere() {
        false => {
            format!("{peer} has connected anew from the same device; the older line was ended.")
        }
        true => format!(
            "{peer} has connected anew with the same device, now from {address}; the older line, \
             from {older} and last heard {} s ago, was ended.",
            silent.as_secs()
        ),
    };
    if *maybe_copied {
        said += &format!(
            " The third time in ten minutes, or more: the device has lost power or its program \
             was killed several times, or two copies of the device are in use. \
             Ask {}; if it was copied: {}",
            peer.patient,
            replacement.remedy()
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_of_many_say_how_far_the_message_is() {
        let said = |new: usize, kept, left| {
            let mut receipts = Receipts::default();
            for done in (0..new).rev() {
                receipts.patients.push(format!("P{done}"));
                receipts.note(Some(Progress {
                    given: 1_000,
                    kept: kept - done,
                    left,
                }));
            }
            receipts.text(7)
        };
        let some = "Message 7: delivered to 213 more devices; 640 of 1000 have it.";
        assert_eq!(said(213, 640, 2), some);
        let all = "Message 7: delivered to P1, P0; all 1000 have it.";
        assert_eq!(said(2, 1_000, 0), all);
        assert!(said(1, 998, 2).ends_with("998 of 1000 have it, the others have left."));
        let mut alone = Receipts::default();
        alone.patients.push("P1".to_owned());
        alone.note(None);
        assert_eq!(alone.text(7), "Message 7: delivered to P1.");
    }
}
