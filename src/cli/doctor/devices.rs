//! Devices, tickets and fingerprints: asked for, and printed.

mod menu;

pub use menu::run as run_menu;

use std::io::{self, IsTerminal};

use crate::cli::doctor;
use crate::cli::exit::{Exit, Failure};
use crate::cli::input;
use crate::cli::options::{DevicesTask, DoctorOptions};
use crate::cli::output::Object;
use crate::cli::text::clean;
use crate::control::PATIENCE;
use crate::doctor::devices::{Answer, Device, IssuedTicket, Request, find};
use crate::doctor::join_tickets::IssuedJoin;
use crate::doctor::office;
use crate::identity::id::Identifier;

/// Does what is asked.
pub fn run(options: &DoctorOptions, id: &Identifier, task: &DevicesTask) -> Result<(), Failure> {
    let office = |request| match doctor::ask_office(
        options,
        id,
        office::Request::Devices(request),
        PATIENCE,
    )? {
        office::Answer::Devices(answer) => Ok(answer),
        _ => Err(doctor::unexpected()),
    };
    if let Request::Revoke {
        patient, device, ..
    } = &task.request
        && !task.yes
    {
        confirm(patient, device.as_deref(), &office)?;
    }
    let answer = office(task.request.clone())?;
    options.form.print(&text(&answer), &objects(&answer))
}

/// Shows what would be revoked, and asks. What is revoked already needs no
/// question.
fn confirm(
    patient: &str,
    device: Option<&str>,
    office: &dyn Fn(Request) -> Result<Answer, Failure>,
) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked, nothing was revoked";
        let hint = format!("look with 'doctor devices {patient}' first, then say --yes");
        return Err(Failure::new(Exit::Usage, sentence).hint(hint));
    }
    let request = Request::List {
        patient: Some(patient.to_owned()),
    };
    let asked = match (office(request), device) {
        (Ok(Answer::Listed(devices)), Some(named)) => {
            let device = find(&devices, named);
            device_text(device.map_err(|sentence| Failure::new(Exit::Failure, sentence))?)
        }
        (Ok(answer), _) => text(&answer),
        // Nothing is enrolled; there may be open tickets.
        (Err(failure), None) => failure.sentence,
        (Err(failure), Some(_)) => return Err(failure),
    };
    match input::says_yes(&format!("{asked}\n{}", question(device.is_none()))) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nothing was revoked")),
    }
}

const fn question(all: bool) -> &'static str {
    match all {
        true => "Revoke all of this, and open tickets, for good? Type yes: ",
        false => "Revoke this device for good? Type yes: ",
    }
}

/// An answer in words.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Listed(devices) if devices.is_empty() => "No device is enrolled.".to_owned(),
        Answer::Listed(devices) => lines(devices.iter().map(device_text)),
        Answer::Revoked {
            devices,
            before,
            tickets,
        } => revoked(devices, *before, tickets),
        Answer::Unfrozen(device) => format!(
            "{} is let in again. Its ticket stays frozen.",
            named(device)
        ),
        Answer::Tickets { patients, joins } if patients.is_empty() && joins.is_empty() => {
            "No ticket was made yet.".to_owned()
        }
        Answer::Tickets { patients, joins } => {
            let patients = patients.iter().map(ticket_text);
            lines(patients.chain(joins.iter().map(join_text)))
        }
        Answer::JoinTicketRevoked(ticket) => format!(
            "Ticket {} for {} is taken back: nobody joins the clinic with it.",
            ticket.ticket, ticket.name
        ),
        Answer::TicketRevoked(ticket) => format!(
            "Ticket {} for {} is taken back: nobody enrols with it.",
            ticket.ticket, ticket.patient
        ),
        Answer::Fingerprints { doctor, root, key } => {
            format!("Clinic's root:  {root}\nKey of {doctor}:  {key}")
        }
    }
}

fn lines(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("\n")
}

fn named(device: &Device) -> String {
    let (patient, number) = (&device.patient, device.number);
    format!("Device {number} of {patient} ({})", device.code())
}

fn device_text(device: &Device) -> String {
    let seen = device
        .last_seen
        .map_or_else(|| "never".to_owned(), |at| at.to_string());
    let ticket = device
        .ticket
        .as_deref()
        .map_or_else(String::new, |ticket| format!(", with ticket {ticket}"));
    let by = device.enrolled_by.as_deref();
    let by = by.map_or_else(String::new, |doctor| format!(" by {}", clean(doctor)));
    let end = match device.state.as_str() {
        "ended" => "ended",
        _ => "ends",
    };
    let renew = match device.ends_soon || end == "ended" {
        true => format!("; a new ticket renews it: doctor enrol {}", device.patient),
        false => String::new(),
    };
    format!(
        "{}: {}\n  enrolled {}{by}{ticket}, last seen {seen}\n  certificate {end} {}{renew}\n  \
         key {}",
        named(device),
        clean(&device.state),
        device.enrolled,
        device.ends,
        clean(&device.key)
    )
}

fn revoked(devices: &[Device], before: usize, tickets: &[String]) -> String {
    let mut said = Vec::new();
    match devices {
        [] => {}
        devices if devices.len() == before => {
            said.push("Revoked before, nothing was changed:".to_owned());
        }
        _ => said.push("Revoked for good:".to_owned()),
    }
    said.extend(devices.iter().map(|device| format!("  {}", named(device))));
    if (1..devices.len()).contains(&before) {
        said.push(format!("{before} of them had been revoked before."));
    }
    match tickets {
        [] => {}
        [ticket] => said.push(format!("Taken back, too: ticket {ticket}.")),
        several => said.push(format!("Taken back, too: tickets {}.", several.join(", "))),
    }
    said.join("\n")
}

fn ticket_text(ticket: &IssuedTicket) -> String {
    let IssuedTicket {
        ticket,
        patient,
        state,
        made,
        expires,
    } = ticket;
    let (end, patient) = (end_word(state), clean(patient));
    format!("{ticket}  {patient:<16}  {state:<8}  made {made}, {end} {expires}")
}

fn end_word(state: &str) -> &'static str {
    match state {
        "expired" => "ended",
        _ => "good until",
    }
}

fn join_text(join: &IssuedJoin) -> String {
    let IssuedJoin {
        ticket,
        name,
        role,
        doctor,
        state,
        made,
        expires,
    } = join;
    let (end, name, doctor) = (end_word(state), clean(name), clean(doctor));
    format!(
        "{ticket}  {name:<16}  {state:<8}  joins as {role}, made by {doctor} {made}, {end} \
         {expires}"
    )
}

/// An answer for programs.
pub fn objects(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Listed(devices) => devices.iter().map(device_object).collect(),
        Answer::Revoked {
            devices, tickets, ..
        } => {
            let tickets = tickets
                .iter()
                .map(|ticket| Object::new("ticket_revoked").with("ticket", ticket.as_str()));
            devices.iter().map(device_object).chain(tickets).collect()
        }
        Answer::Unfrozen(device) => vec![device_object(device)],
        Answer::Tickets { patients, joins } => {
            let patients = patients.iter().map(ticket_object);
            patients.chain(joins.iter().map(join_object)).collect()
        }
        Answer::JoinTicketRevoked(ticket) => {
            vec![Object::new("ticket_revoked").with("ticket", ticket.ticket.as_str())]
        }
        Answer::TicketRevoked(ticket) => {
            vec![Object::new("ticket_revoked").with("ticket", ticket.ticket.as_str())]
        }
        Answer::Fingerprints { doctor, root, key } => vec![
            Object::new("fingerprints")
                .with("doctor", doctor.as_str())
                .with("root", root.as_str())
                .with("key", key.as_str()),
        ],
    }
}

fn device_object(device: &Device) -> Object {
    Object::new("enrolled_device")
        .with("patient", device.patient.as_str())
        .with("number", device.number)
        .with("device", device.code())
        .with("state", device.state.as_str())
        .with("enrolled", device.enrolled)
        .with("last_seen", device.last_seen)
        .with("ends", device.ends)
        .with("ticket", device.ticket.as_deref())
        .with("enrolled_by", device.enrolled_by.as_deref())
        .with("key", device.key.as_str())
}

fn ticket_object(ticket: &IssuedTicket) -> Object {
    Object::new("issued_ticket")
        .with("ticket", ticket.ticket.as_str())
        .with("patient", ticket.patient.as_str())
        .with("state", ticket.state.as_str())
        .with("made", ticket.made)
        .with("expires", ticket.expires)
}

fn join_object(join: &IssuedJoin) -> Object {
    Object::new("issued_join_ticket")
        .with("ticket", join.ticket.as_str())
        .with("name", join.name.as_str())
        .with("role", join.role.as_str())
        .with("doctor", join.doctor.as_str())
        .with("state", join.state.as_str())
        .with("made", join.made)
        .with("expires", join.expires)
}
