//! The menu of devices and tickets.

use std::io;

use super::text;
use crate::cli::menu::{Answer as Choice, Dialogue, Menu, question, run_below};
use crate::cli::text::sentence;
use crate::doctor::devices::{Request, check_reason};
use crate::doctor::office;
use crate::identity::id::{Identifier, IdentifierError};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Devices,
    RevokeDevice,
    RevokePatient,
    Unfreeze,
    Tickets,
    RevokeTicket,
    Fingerprints,
    Back,
}

const MENU: Menu<Item> = Menu {
    title: "Devices and tickets",
    entries: &[
        (Item::Devices, "List a patient's devices"),
        (Item::RevokeDevice, "Revoke a device"),
        (Item::RevokePatient, "Revoke all devices of a patient"),
        (Item::Unfreeze, "Let a frozen device in again"),
        (Item::Tickets, "List the tickets"),
        (Item::RevokeTicket, "Take a ticket back"),
        (Item::Fingerprints, "Fingerprints of this practice"),
        (Item::Back, "Back"),
    ],
};

/// Shows the menu until Back; `office` answers what is asked.
///
/// # Errors
/// If nothing can be read.
pub fn run(
    dialogue: &mut dyn Dialogue,
    office: &dyn Fn(Request) -> office::Answer,
) -> io::Result<Choice<()>> {
    run_below(dialogue, &MENU, Item::Back, |dialogue, item| {
        let request = request_for(dialogue, office, item)?;
        request.and_then(|request| Ok(Choice::Given(said(&office(request)))))
    })
}

fn said(answer: &office::Answer) -> String {
    match answer {
        office::Answer::Devices(answer) => text(answer),
        office::Answer::Failed(reason) => sentence(reason),
        _ => String::new(),
    }
}

/// Asks what an entry still needs. The devices are shown before one is to be
/// named.
fn request_for(
    dialogue: &mut dyn Dialogue,
    office: &dyn Fn(Request) -> office::Answer,
    item: Item,
) -> io::Result<Choice<Request>> {
    match item {
        Item::Tickets => return Ok(Choice::Given(Request::Tickets)),
        Item::Fingerprints => return Ok(Choice::Given(Request::Fingerprints)),
        Item::RevokeTicket => {
            let ticket = question(dialogue, "Ticket: ", |typed| Ok(typed.to_owned()))?;
            return ticket.and_then(|ticket| Ok(Choice::Given(Request::RevokeTicket { ticket })));
        }
        _ => {}
    }
    patient(dialogue)?.and_then(|patient| {
        let list = Request::List {
            patient: Some(patient.clone()),
        };
        if item == Item::Devices {
            return Ok(Choice::Given(list));
        }
        dialogue.say(&said(&office(list)));
        if item == Item::RevokePatient {
            return reason(dialogue)?.and_then(|reason| {
                Ok(Choice::Given(Request::Revoke {
                    patient,
                    device: None,
                    reason,
                }))
            });
        }
        let device = question(dialogue, "Number of the device: ", |typed| {
            Ok(typed.to_owned())
        })?;
        device.and_then(|device| {
            reason(dialogue)?.and_then(|reason| {
                Ok(Choice::Given(match item {
                    Item::Unfreeze => Request::Unfreeze {
                        patient,
                        device,
                        reason,
                    },
                    _ => Request::Revoke {
                        patient,
                        device: Some(device),
                        reason,
                    },
                }))
            })
        })
    })
}

/// The last question: an empty line leads back.
fn reason(dialogue: &mut dyn Dialogue) -> io::Result<Choice<String>> {
    let prompt = "Reason, for the audit log (empty: leave it): ";
    question(dialogue, prompt, check_reason)
}

fn patient(dialogue: &mut dyn Dialogue) -> io::Result<Choice<String>> {
    question(dialogue, "Patient: ", |typed| {
        let patient: Result<Identifier, IdentifierError> = typed.parse();
        let patient = patient.map_err(|error| error.to_string())?;
        Ok(patient.to_string())
    })
}
