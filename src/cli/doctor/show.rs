//! Answers and events as the doctor reads them.

mod events;

pub use events::{Reader, events};

use crate::cli::doctor::{
    authority, blocks, devices, joining, messages, objects, patients, presence,
};
use crate::cli::exit::{Exit, Failure, eprint, print_whole};
use crate::cli::output::Form;
use crate::cli::{qr, text};
use crate::clock::Timestamp;
use crate::doctor::control::{Answer, Present};
use crate::doctor::office;
use crate::doctor::presence::Node;
use crate::doctor::reach::Unreached;
use crate::protocol::message::Boundary;

/// Patients whom a message does not reach that are named one by one.
const NAMED_LEFT_OUT: usize = 20;

/// What is added to a broadcast with `--clinic` where there is no clinic.
const NO_CLINIC: &str = "\nThere is no clinic of several doctors here: broadcast reaches the same \
                         patients without --clinic.";

/// Prints an answer to a command: results on standard output.
pub fn answer(answer: &Answer, form: Form) -> Result<(), Failure> {
    answer_whole(answer, form).map(drop)
}

/// The same; false if the reader has gone away before the end.
pub fn answer_whole(answer: &Answer, form: Form) -> Result<bool, Failure> {
    match answer {
        Answer::Failed(why) | Answer::Office(office::Answer::Failed(why)) => Err(why.into()),
        Answer::Connected {
            away: Some(sentence),
            ..
        } => {
            form.print_whole(&self::text(answer), &objects::answer(answer))?;
            let only = "only who is connected to this server is listed";
            Err(Failure::new(
                Exit::Unreachable,
                format!("{sentence}; {only}"),
            ))
        }
        Answer::Office(office::Answer::AddressNeeded) => Err(Failure::new(
            Exit::Usage,
            "it is not known where patients reach this server",
        )
        .hint("say it: doctor enrol PATIENT --public-address HOST:PORT")),
        Answer::Office(office::Answer::Ticket { text, .. }) if form == Form::People => {
            // The ticket alone goes to standard output, so that it can be
            // handed on by a pipe.
            let all = self::text(answer);
            eprint(all.strip_suffix(text.as_str()).unwrap_or_default());
            print_whole(&format!("{text}\n"))
        }
        Answer::Office(office::Answer::Patients(answer)) => {
            patients::answer(answer, form).map(|()| true)
        }
        answer => form.print_whole(&self::text(answer), &objects::answer(answer)),
    }
}

/// An answer in words.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Connected {
            devices,
            unread,
            renewal,
            elsewhere,
            away,
        } => {
            let mut connected = connected(devices, *unread, elsewhere);
            if away.is_some() {
                connected +=
                    "\nThat is what this server knows itself: the database does not answer.";
            }
            connected + &authority::reminder(renewal.as_ref())
        }
        Answer::Clinic(nodes) => presence::text(nodes),
        Answer::Sent {
            number,
            code,
            devices,
            elsewhere,
            away,
            to,
            boundary,
            left_out,
            no_clinic,
        } => {
            let counts = [*devices, *elsewhere, *away];
            let said = sent(*number, code, counts, to.as_deref());
            let consultation = consulted(*boundary, to.as_deref());
            let alone = if *no_clinic { NO_CLINIC } else { "" };
            format!("{consultation}{said}{}{alone}", without(left_out))
        }
        Answer::Consulting {
            patient,
            open: true,
        } => format!("The consultation with {patient} is open already."),
        Answer::Consulting { patient, .. } => {
            format!("There is no open consultation with {patient}.")
        }
        Answer::Blocks(answer) => blocks::text(answer),
        Answer::Disconnected(0) => "Nobody is connected.".to_owned(),
        Answer::Disconnected(1) => "1 device was disconnected.".to_owned(),
        Answer::Disconnected(count) => format!("{count} devices were disconnected."),
        Answer::Stopping => "The server stops.".to_owned(),
        Answer::Office(answer) => office_text(answer),
        Answer::Failed(reason) => text::sentence(reason),
    }
}

fn office_text(answer: &office::Answer) -> String {
    match answer {
        office::Answer::Ticket {
            patient,
            text,
            qr,
            address,
            expires,
        } => ticket(patient, text, qr, address, *expires),
        // The commands that ask for it print it.
        office::Answer::Audit(_) => String::new(),
        office::Answer::Devices(answer) => devices::text(answer),
        office::Answer::Joining(answer) => joining::text(answer),
        office::Answer::Staff(answer) => super::staff::text(answer),
        office::Answer::Purged(purged) => super::purge::text(purged),
        office::Answer::Authority(answer) => authority::text(answer),
        office::Answer::Deliveries(answer) => messages::text(answer),
        office::Answer::Letters(answer) => messages::letters_text(answer),
        office::Answer::AddressNeeded => {
            "It is not known where patients reach this server.".to_owned()
        }
        office::Answer::Patients(answer) => patients::text(answer),
        office::Answer::Backup(answer) => super::backup::text(answer),
        office::Answer::Failed(reason) => text::sentence(reason),
    }
}

fn connected(present: &[Present], unread: u64, elsewhere: &[Node]) -> String {
    let mut lines = match present {
        [] => "Nobody is connected.".to_owned(),
        [_] => "1 device is connected:".to_owned(),
        several => format!("{} devices are connected:", several.len()),
    };
    for Present {
        patient,
        device,
        is_one_of_several,
        since,
        silent_seconds,
    } in present
    {
        let name = match is_one_of_several {
            true => format!("{patient} (device {device})"),
            false => patient.clone(),
        };
        lines += &format!("\n  {name:<32}  since {since}, last heard {silent_seconds} s ago");
    }
    lines += &presence::own_elsewhere(elsewhere);
    match unread {
        0 => {}
        1 => lines += "\n1 new message from a patient: see the inbox.",
        count => lines += &format!("\n{count} new messages from patients: see the inbox."),
    }
    lines
}

/// How many devices it was given to, how many get it from the clinic's other
/// doctors, and how many when they come back.
fn sent(number: u64, code: &str, counts: [usize; 3], to: Option<&[String]>) -> String {
    let [devices, elsewhere, away] = counts;
    let now = match (devices, elsewhere) {
        (0, 0) if away == 0 => match to {
            Some([patient]) => format!("kept here, {patient} has no device that may come back"),
            _ => "nobody gets it".to_owned(),
        },
        (0, 0) => match to {
            None => "nobody is connected".to_owned(),
            Some([patient]) => format!("{patient} is not connected"),
            Some(_) => "none of them is connected".to_owned(),
        },
        (0, 1) => "1 device gets it from another doctor's server".to_owned(),
        (0, _) => format!("{elsewhere} devices get it from other doctors' servers"),
        (1, _) => "sent to 1 device".to_owned(),
        (_, _) => format!("sent to {devices} devices"),
    };
    let others = match (devices, elsewhere) {
        (0, _) | (_, 0) => String::new(),
        (_, 1) => ", and 1 gets it from another doctor's server".to_owned(),
        (_, _) => format!(", and {elsewhere} get it from other doctors' servers"),
    };
    let more = if devices + elsewhere == 0 {
        ""
    } else {
        " more"
    };
    let later = match away {
        0 => String::new(),
        1 => format!("; 1{more} device gets it when it comes back"),
        _ => format!("; {away}{more} devices get it when they come back"),
    };
    format!("Message {number}: {now}{others}{later}. Short name: {code}.")
}

/// What a message to one patient has done to the consultation.
fn consulted(boundary: Option<Boundary>, to: Option<&[String]>) -> String {
    match (boundary, to) {
        (Some(Boundary::Opens), Some([patient])) => {
            format!("The consultation with {patient} has begun. ")
        }
        (Some(Boundary::Closes), Some([patient])) => {
            format!("The consultation with {patient} has ended. ")
        }
        _ => String::new(),
    }
}

/// Whom a message to many does not reach, on a line of its own.
fn without(left_out: &[Unreached]) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let (named, more) = left_out.split_at(left_out.len().min(NAMED_LEFT_OUT));
    let named: Vec<_> = named.iter().map(ToString::to_string).collect();
    let more = match more.len() {
        0 => String::new(),
        count => format!(", and {count} more; all of them: --json"),
    };
    let count = left_out.len();
    format!("\n{count} left out: {}{more}.", named.join(", "))
}

/// A ticket, its text alone on the last line.
fn ticket(patient: &str, text: &str, qr: &str, address: &str, expires: Timestamp) -> String {
    let mut lines = vec![format!(
        "Ticket for {patient}, good once, until {expires}, for the server at {address}."
    )];
    lines.extend(qr::lines(qr).unwrap_or_default());
    lines.push(format!(
        "Hand it to {patient} in a way you trust. On {patient}'s machine it is used with\n  \
         patient enrol TICKET\nwhere TICKET is this:"
    ));
    lines.push(text.to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_connected_is_named_and_nobody_else() {
        let said = |to: Option<&[&str]>| {
            let to = to.map(|to| to.iter().map(ToString::to_string).collect::<Vec<_>>());
            sent(1, "abcdef", [0, 0, 1], to.as_deref())
        };
        assert!(said(None).starts_with("Message 1: nobody is connected; 1 device gets it"));
        assert!(said(Some(&["P2"])).starts_with("Message 1: P2 is not connected; "));
        assert!(said(Some(&["P2", "P3"])).starts_with("Message 1: none of them is connected; "));
    }

    #[test]
    fn whoever_is_connected_to_another_doctor_is_not_said_to_be_away() {
        let said = |counts| sent(1, "abcdef", counts, None);
        assert_eq!(
            said([0, 2, 1]),
            "Message 1: 2 devices get it from other doctors' servers; 1 more device gets it \
             when it comes back. Short name: abcdef."
        );
        assert_eq!(
            said([3, 1, 0]),
            "Message 1: sent to 3 devices, and 1 gets it from another doctor's server. Short \
             name: abcdef."
        );
    }
}
