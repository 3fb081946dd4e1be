//! Messages and their deliveries in words.

use std::collections::BTreeMap;

use crate::cli::text;
use crate::clock::Timestamp;
use crate::doctor::correspondence::{self, LetterReport};
use crate::doctor::deliveries::{Answer, DeliveryReport, MessageReport};

/// Patients who have not confirmed that are named one by one; more are counted.
const NAMED: usize = 20;

/// What became of messages.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Unconfirmed { patients, .. } if patients.is_empty() => {
            "Everybody has confirmed.".to_owned()
        }
        Answer::Unconfirmed {
            patients, phones, ..
        } => not_confirmed(patients, phones.as_ref()),
        Answer::List {
            missing,
            unconfirmed,
            older,
            messages,
            over,
        } => match over {
            Some((at, without)) => expired(*at, *without),
            None if *unconfirmed => list_unconfirmed(messages),
            None => list(*missing, *older, messages),
        },
    }
}

fn not_confirmed(patients: &[String], phones: Option<&BTreeMap<String, String>>) -> String {
    let (named, more) = patients.split_at(patients.len().min(NAMED));
    let more = match more.len() {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    let named: Vec<String> = named
        .iter()
        .map(|patient| match phones {
            None => patient.clone(),
            Some(phones) => {
                let phone = phones.get(patient).map(String::as_str);
                format!("{patient} ({})", phone_words(phone))
            }
        })
        .collect();
    format!("Not confirmed by: {}{more}.", named.join(", "))
}

fn phone_words(phone: Option<&str>) -> String {
    phone.map_or_else(|| "no phone number on file".to_owned(), text::clean)
}

fn list_unconfirmed(messages: &[MessageReport]) -> String {
    let mut lines = Vec::new();
    for message in messages {
        lines.push(head(message));
        if !message.deliveries.is_empty() {
            lines.push("  not confirmed by:".to_owned());
        } else if message.confirmed > 0 {
            lines.push("  everybody has confirmed it".to_owned());
        } else {
            lines.push("  kept here: no device was there that may come back".to_owned());
        }
        lines.extend(message.deliveries.iter().map(|found| {
            let none = match found.phone {
                None => format!("  {}", phone_words(None)),
                Some(_) => String::new(),
            };
            delivery(found) + &none
        }));
    }
    lines.join("\n")
}

fn expired(at: Timestamp, without: u64) -> String {
    let who = match without {
        0 => return format!("The message expired at {at}; everybody had got it before."),
        1 => "1 patient had".to_owned(),
        count => format!("{count} patients had"),
    };
    format!(
        "The message expired at {at}, and is given to nobody any more: {who} not got it; without \
         --missing they are listed."
    )
}

fn list(missing: bool, older: u64, messages: &[MessageReport]) -> String {
    if messages.is_empty() {
        return match missing {
            true => "Every message has reached everybody.".to_owned(),
            false => "No message was sent yet.".to_owned(),
        };
    }
    let mut lines = Vec::new();
    for message in messages {
        lines.push(head(message));
        if missing {
            lines.push("  not at any device of:".to_owned());
        } else if message.is_for_nobody() {
            lines.push("  kept here: no device was there that may come back".to_owned());
        } else if message.deliveries.is_empty() {
            let MessageReport {
                number,
                queued,
                sent,
                delivered,
                confirmed,
                expired,
                ..
            } = message;
            let expired = match expired {
                0 => String::new(),
                count => format!(", {count} expired"),
            };
            lines.push(format!(
                "  {queued} queued, {sent} sent, {delivered} delivered, {confirmed} \
                 confirmed{expired}; one by one: doctor deliveries {number}"
            ));
        }
        lines.extend(message.deliveries.iter().map(delivery));
        if missing && message.unlisted > 0 {
            lines.push(format!(
                "  and {} more, not shown; all of them: doctor deliveries --missing {}",
                message.unlisted, message.number
            ));
        }
    }
    if older > 0 {
        lines.push(format!(
            "{older} older messages are missing somewhere, too; each is shown by: doctor \
             deliveries --missing NUMBER"
        ));
    }
    lines.push(
        "queued: waits for the device; sent: given to its connection; delivered: the device \
         proved it; confirmed: a person did; expired: not given to the device any more."
            .to_owned(),
    );
    lines.join("\n")
}

fn head(message: &MessageReport) -> String {
    let to = match message.kind.as_str() {
        "broadcast" => "to all".to_owned(),
        "chosen" => "to chosen patients".to_owned(),
        _ => format!("private, {}", message.patient.as_deref().unwrap_or("")),
    };
    let urgent = if message.urgent { ", urgent" } else { "" };
    let expires = message
        .expires
        .map_or_else(String::new, |at| format!(", until {at}"));
    format!(
        "Message {} ({to}{urgent}, {}{expires}, {}{}): {}",
        message.number,
        message.written,
        message.code,
        by(message.author.as_deref()),
        said(message.text.as_deref(), message.doubted, message.damaged)
    )
}

/// Who wrote it.
fn by(author: Option<&str>) -> String {
    author.map_or_else(String::new, |author| {
        format!(", by {}", text::clean(author))
    })
}

/// What a message says, as far as it is for her who reads.
fn said(said: Option<&str>, doubted: bool, damaged: bool) -> String {
    match said {
        None if damaged => "(cannot be opened: it is damaged in the database)".to_owned(),
        None => "(not for assistants)".to_owned(),
        Some(said) if doubted => format!(
            "(given to nobody: the author or the recipient is made up) {}",
            text::clean(said)
        ),
        Some(said) => text::clean(said),
    }
}

/// What a letter says.
fn letter_said(letter: &LetterReport) -> String {
    match &letter.text {
        Some(said) if letter.incoming && letter.doubted => format!(
            "(the database says that somebody else has written it, or nobody has enrolled the \
             device) {}",
            text::clean(said)
        ),
        text => said(text.as_deref(), letter.doubted, letter.damaged),
    }
}

fn delivery(delivery: &DeliveryReport) -> String {
    let name = match delivery.is_one_of_several {
        true => format!("{} (device {})", delivery.patient, delivery.device),
        false => delivery.patient.clone(),
    };
    let genuine = match delivery.genuine {
        Some(true) => "  signature right",
        Some(false) => "  SIGNATURE WRONG",
        None => "",
    };
    let phone = delivery
        .phone
        .as_deref()
        .map_or_else(String::new, |phone| format!("  {}", text::clean(phone)));
    let (state, at) = (&delivery.state, delivery.at);
    format!("  {name:<32}  {state:<9}  {at}{genuine}{phone}")
}

/// What was written.
pub fn letters_text(answer: &correspondence::Answer) -> String {
    use correspondence::Answer;
    match answer {
        Answer::Noted => "It is noted.".to_owned(),
        Answer::Inbox { letters, unread } => {
            let head = match unread {
                0 if letters.is_empty() => "No new message.".to_owned(),
                0 => "No new message. Read before:".to_owned(),
                1 => "1 new message:".to_owned(),
                count => format!("{count} new messages:"),
            };
            let mut lines = vec![head];
            lines.extend(letters.iter().map(|letter| {
                let new = if letter.state == "unread" {
                    "new, "
                } else {
                    ""
                };
                let consultation = match letter.boundary.as_deref() {
                    Some("opens") => " and begins a consultation",
                    Some(_) => " and ends the consultation",
                    None => "",
                };
                format!(
                    "{} writes ({new}{}, {}){consultation}: {}",
                    letter.patient,
                    letter.written,
                    letter.code,
                    letter_said(letter)
                )
            }));
            let listed = letters.iter().filter(|letter| letter.state == "unread");
            match unread.saturating_sub(listed.count() as u64) {
                0 => {}
                more => lines.push(format!(
                    "{more} more new messages are not shown yet: doctor inbox shows the next."
                )),
            }
            lines.join("\n")
        }
        Answer::History {
            patient,
            letters,
            older,
            consulting,
        } => {
            if letters.is_empty() {
                return format!("There is no message to or from {patient}.");
            }
            let mut lines: Vec<_> = letters.iter().map(|letter| line(patient, letter)).collect();
            if *older > 0 {
                let (are, all) = match older {
                    1 => ("message is", "with it"),
                    _ => ("messages are", "all of them"),
                };
                lines.push(format!(
                    "{older} older {are} not shown; {all}: doctor history {patient} --all"
                ));
            }
            if *consulting {
                lines.push(format!(
                    "The consultation is open; it ends by: doctor consult {patient} --end"
                ));
            }
            lines.join("\n")
        }
    }
}

fn line(patient: &str, letter: &LetterReport) -> String {
    let who = match letter.incoming {
        true => letter.patient.clone(),
        false if letter.kind == "broadcast" => "to all".to_owned(),
        false => format!("to {patient}"),
    };
    let written: Timestamp = letter.written;
    let mark = match letter.boundary.as_deref() {
        Some("opens") => "[begins] ",
        Some(_) => "[ends] ",
        None => "",
    };
    let bar = if letter.in_consultation { "|" } else { " " };
    let urgent = if letter.urgent { ", urgent" } else { "" };
    format!(
        "{bar} {written}  {who} ({}, {}{urgent}{}): {mark}{}",
        letter.code,
        letter.state,
        by(letter.author.as_deref()),
        letter_said(letter)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_did_not_confirm_some_are_named_and_the_others_counted() {
        let patients: Vec<_> = (1..=25).map(|number| format!("P{number}")).collect();
        let said = not_confirmed(&patients, None);
        assert!(said.ends_with("P19, P20, and 5 more."), "{said}");
        let phones = BTreeMap::from([("P2".to_owned(), "030\u{1b} 12".to_owned())]);
        assert_eq!(
            not_confirmed(&patients[..2], Some(&phones)),
            "Not confirmed by: P1 (no phone number on file), P2 (030 12)."
        );
    }

    #[test]
    fn a_history_that_was_cut_says_so_and_how_to_see_the_rest() {
        let history = |older| {
            letters_text(&correspondence::Answer::History {
                patient: "P1".to_owned(),
                letters: vec![letter_of("read")],
                older,
                consulting: false,
            })
        };
        assert!(!history(0).contains("older"));
        let cut = history(12);
        assert!(
            cut.ends_with("12 older messages are not shown; all of them: doctor history P1 --all"),
            "{cut}"
        );
    }

    fn letter_of(state: &str) -> LetterReport {
        LetterReport {
            incoming: true,
            number: 1,
            code: "abcdef".to_owned(),
            patient: "P1".to_owned(),
            device: None,
            kind: "private".to_owned(),
            urgent: false,
            written: Timestamp::from_millis(0),
            received: None,
            state: state.to_owned(),
            boundary: None,
            in_consultation: false,
            text: Some("hello".to_owned()),
            author: None,
            doubted: false,
            damaged: false,
        }
    }

    #[test]
    fn an_inbox_with_old_messages_alone_says_that_they_are_old() {
        let answer = |letters| correspondence::Answer::Inbox { unread: 0, letters };
        assert_eq!(letters_text(&answer(Vec::new())), "No new message.");
        let said = letters_text(&answer(vec![letter_of("read")]));
        assert!(said.starts_with("No new message. Read before:\n"), "{said}");
    }

    #[test]
    fn the_inbox_says_what_begins_and_ends_and_what_it_leaves_out() {
        let letter = |boundary: &str| LetterReport {
            incoming: true,
            number: 1,
            code: "b2c3d4".to_owned(),
            patient: "P1".to_owned(),
            device: None,
            kind: "private".to_owned(),
            urgent: false,
            written: Timestamp::from_millis(1),
            received: None,
            state: "unread".to_owned(),
            boundary: Some(boundary.to_owned()),
            in_consultation: true,
            text: Some("hello".to_owned()),
            author: None,
            doubted: false,
            damaged: false,
        };
        let inbox = |unread| {
            letters_text(&correspondence::Answer::Inbox {
                unread,
                letters: vec![letter("opens"), letter("closes")],
            })
        };
        let text = inbox(5);
        assert!(
            text.contains("b2c3d4) and begins a consultation: hello"),
            "{text}"
        );
        assert!(
            text.contains("b2c3d4) and ends the consultation: hello"),
            "{text}"
        );
        assert!(text.contains("3 more new messages"), "{text}");
        assert!(!inbox(2).contains("more"));
    }
}
