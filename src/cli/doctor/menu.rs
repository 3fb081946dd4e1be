//! The doctor's menu.

use std::io;

use crate::address::{Address, AddressError};
use crate::cli::doctor::show;
use crate::cli::menu::{self, Answer as Choice, Dialogue, DoctorChoice, ask};
use crate::cli::text::check_message;
use crate::doctor::control::{Answer, Request};
use crate::doctor::desk::Desk;
use crate::identity::id::{Identifier, IdentifierError};

/// Shows the menu until Exit, end of input, Ctrl-C, or until the program is
/// told to stop.
pub fn run(dialogue: &mut dyn Dialogue, desk: &Desk) -> io::Result<()> {
    loop {
        let Choice::Given(choice) = menu::DOCTOR.choose(dialogue)? else {
            return Ok(());
        };
        if choice == DoctorChoice::Exit {
            return Ok(());
        }
        let Some(request) = request_for(dialogue, choice)? else {
            return Ok(());
        };
        let mut answer = desk.answer(request.clone());
        if let (Answer::AddressNeeded, Request::Enrol { patient, .. }) = (&answer, request) {
            let Choice::Given(address) = ask(dialogue, ADDRESS_PROMPT, |typed| {
                let address: Result<Address, AddressError> = typed.parse();
                address.map_err(|error| error.to_string())
            })?
            else {
                return Ok(());
            };
            let public_address = Some(address.to_string());
            answer = desk.answer(Request::Enrol {
                patient,
                public_address,
            });
        }
        dialogue.say(&show::text(&answer));
    }
}

const ADDRESS_PROMPT: &str = "Address where patients reach this machine (HOST:PORT): ";

/// Asks what a choice still needs; none if the input ended.
fn request_for(dialogue: &mut dyn Dialogue, choice: DoctorChoice) -> io::Result<Option<Request>> {
    Ok(Some(match choice {
        DoctorChoice::List => Request::List,
        DoctorChoice::Disconnect => Request::Disconnect,
        DoctorChoice::Report => Request::Report,
        DoctorChoice::Exit => Request::Stop,
        DoctorChoice::Broadcast => {
            let Some(text) = message(dialogue)? else {
                return Ok(None);
            };
            Request::Broadcast { text }
        }
        DoctorChoice::Message => {
            let Some(patient) = patient(dialogue)? else {
                return Ok(None);
            };
            let Some(text) = message(dialogue)? else {
                return Ok(None);
            };
            Request::Message { patient, text }
        }
        DoctorChoice::Enrol => {
            let Some(patient) = patient(dialogue)? else {
                return Ok(None);
            };
            Request::Enrol {
                patient,
                public_address: None,
            }
        }
    }))
}

fn message(dialogue: &mut dyn Dialogue) -> io::Result<Option<String>> {
    let answer = ask(dialogue, "Message: ", |typed| {
        check_message(typed).map(|()| typed.to_owned())
    })?;
    Ok(given(answer))
}

fn patient(dialogue: &mut dyn Dialogue) -> io::Result<Option<String>> {
    let answer = ask(dialogue, "Patient: ", |typed| {
        let patient: Result<Identifier, IdentifierError> = typed.parse();
        patient
            .map(|patient| patient.to_string())
            .map_err(|error| error.to_string())
    })?;
    Ok(given(answer))
}

fn given<T>(answer: Choice<T>) -> Option<T> {
    match answer {
        Choice::Given(value) => Some(value),
        Choice::End | Choice::Interrupted | Choice::Stopped => None,
    }
}
