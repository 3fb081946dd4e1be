//! The doctor's menu.

use std::io;

use crate::address::{Address, AddressError};
use crate::cli::doctor::{alike, devices, messages, patients, show};
use crate::cli::menu::{self, Answer as Choice, Dialogue, DoctorChoice, question};
use crate::cli::options::CUT_OFF;
use crate::cli::text::check_message;
use crate::doctor;
use crate::doctor::control::{Answer, Broadcast, Request};
use crate::doctor::correspondence;
use crate::doctor::desk::Desk;
use crate::doctor::not_done::NotDone;
use crate::doctor::office;
use crate::identity::id::{Identifier, IdentifierError};
use crate::identity::join::begins_like_ticket;

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
        if choice == DoctorChoice::Patients {
            let store = desk.server().practice().store.as_ref();
            match patients::run_menu(dialogue, store, &|request| patients_office(desk, request))? {
                Choice::Given(()) | Choice::Back => continue,
                Choice::End | Choice::Interrupted | Choice::Stopped => return Ok(()),
            }
        }
        if choice == DoctorChoice::Devices {
            match devices::run_menu(dialogue, &|request| devices_office(desk, request))? {
                Choice::Given(()) | Choice::Back => continue,
                Choice::End | Choice::Interrupted | Choice::Stopped => return Ok(()),
            }
        }
        let answer = request_for(dialogue, desk, choice)?
            .and_then(|request| answer_to(dialogue, desk, request))?;
        match answer {
            Choice::Given(answer) => {
                dialogue.say(&show::text(&answer));
                if let Some(request) = messages::shown(&answer)
                    && dialogue.flush()
                {
                    // Otherwise they are shown again.
                    let _ = desk.answer(request);
                }
            }
            Choice::Back => dialogue.say("Nothing was done."),
            Choice::End | Choice::Interrupted | Choice::Stopped => return Ok(()),
        }
    }
}

/// Has a request answered; asks for the server's address if that is missing.
fn answer_to(
    dialogue: &mut dyn Dialogue,
    desk: &Desk,
    request: Request,
) -> io::Result<Choice<Answer>> {
    let answer = desk.answer(request.clone());
    let (
        Answer::Office(office::Answer::AddressNeeded),
        Request::Office(office::Request::Enrol { patient, .. }),
    ) = (&answer, request)
    else {
        return Ok(Choice::Given(answer));
    };
    question(dialogue, ADDRESS_PROMPT, |typed| {
        let address: Address = typed
            .parse()
            .map_err(|error: AddressError| error.to_string())?;
        if address.is_unspecified() {
            return Err("that means every address of a machine; name one".to_owned());
        }
        Ok(address)
    })?
    .and_then(|address| {
        let public_address = Some(address.to_string());
        let request = office::Request::Enrol {
            patient,
            public_address,
            valid_seconds: None,
        };
        Ok(Choice::Given(desk.answer(Request::Office(request))))
    })
}

const ADDRESS_PROMPT: &str = "Address where patients reach this machine (HOST:PORT): ";

/// Asks what a choice still needs.
fn request_for(
    dialogue: &mut dyn Dialogue,
    desk: &Desk,
    choice: DoctorChoice,
) -> io::Result<Choice<Request>> {
    Ok(Choice::Given(match choice {
        DoctorChoice::List => Request::List,
        DoctorChoice::Disconnect => Request::Disconnect,
        DoctorChoice::Report => messages::report(),
        DoctorChoice::Missing => messages::missing(),
        DoctorChoice::Inbox => messages::letters(correspondence::Request::Inbox { all: false }),
        DoctorChoice::Authority => {
            Request::Office(office::Request::Authority(doctor::authority::Request::Show))
        }
        DoctorChoice::Exit | DoctorChoice::Patients | DoctorChoice::Devices => Request::Stop,
        DoctorChoice::ClinicList => Request::ListClinic,
        DoctorChoice::Broadcast | DoctorChoice::ClinicBroadcast => {
            let clinic = choice == DoctorChoice::ClinicBroadcast;
            let prompt = match clinic {
                false => "Urgent message to all: ",
                true => "Urgent message to all patients of the clinic: ",
            };
            return message(dialogue, prompt)?.and_then(|text| {
                Ok(Choice::Given(Request::Broadcast(Broadcast {
                    text,
                    urgent: true,
                    clinic,
                    ..Broadcast::default()
                })))
            });
        }
        DoctorChoice::Message => {
            return patient(dialogue, |patient| desk.check_patient(patient))?.and_then(|patient| {
                message(dialogue, "Message: ")?.and_then(|text| {
                    Ok(Choice::Given(Request::Message {
                        patient,
                        text,
                        urgent: false,
                        expires_seconds: None,
                    }))
                })
            });
        }
        DoctorChoice::History => {
            return patient(dialogue, |patient| desk.check_on_file(patient))?.and_then(|patient| {
                let request = correspondence::Request::History {
                    patient,
                    last: Some(correspondence::LAST),
                };
                Ok(Choice::Given(messages::letters(request)))
            });
        }
        DoctorChoice::Consult | DoctorChoice::EndConsult => {
            let end = choice == DoctorChoice::EndConsult;
            let check = |patient: &Identifier| match end {
                false => desk.check_patient(patient),
                true => desk.check_on_file(patient),
            };
            return patient(dialogue, check)?
                .and_then(|patient| Ok(Choice::Given(Request::Consult { patient, end })));
        }
        DoctorChoice::Enrol => {
            let named = patient(dialogue, |name| match begins_like_ticket(name.as_str()) {
                true => Err(CUT_OFF.to_owned().into()),
                false => Ok(()),
            })?;
            let store = desk.server().practice().store.as_ref();
            let named = named.and_then(|patient| alike::ask(dialogue, store, patient))?;
            return named.and_then(|patient| {
                Ok(Choice::Given(Request::Office(office::Request::Enrol {
                    patient,
                    public_address: None,
                    valid_seconds: None,
                })))
            });
        }
    }))
}

/// Has a request about patients' records answered.
fn patients_office(desk: &Desk, request: doctor::patients::Request) -> doctor::patients::Answer {
    let request = office::Request::Patients(request);
    match desk.answer(Request::Office(request)) {
        Answer::Office(office::Answer::Patients(answer)) => answer,
        other => doctor::patients::Answer::Failed(show::text(&other).into()),
    }
}

/// Has a request about devices and tickets answered.
fn devices_office(desk: &Desk, request: doctor::devices::Request) -> office::Answer {
    match desk.answer(Request::Office(office::Request::Devices(request))) {
        Answer::Office(answer) => answer,
        other => office::Answer::Failed(show::text(&other).into()),
    }
}

fn message(dialogue: &mut dyn Dialogue, prompt: &str) -> io::Result<Choice<String>> {
    question(dialogue, prompt, |typed| {
        check_message(typed).map(|()| typed.to_owned())
    })
}

fn patient(
    dialogue: &mut dyn Dialogue,
    check: impl Fn(&Identifier) -> Result<(), NotDone>,
) -> io::Result<Choice<String>> {
    question(dialogue, "Patient: ", |typed| {
        let patient: Identifier = typed
            .parse()
            .map_err(|error: IdentifierError| error.to_string())?;
        check(&patient).map_err(|why| why.sentence)?;
        Ok(patient.to_string())
    })
}
