//! `doctor authority revoke-doctor`: takes somebody out of the clinic. The root's
//! secret stays in this program; the books are given the list it has signed.

use std::io::{self, IsTerminal};

use crate::cli::doctor::authority::root_secret;
use crate::cli::doctor::{ask_office, failed, setup_failed, unexpected};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::input;
use crate::cli::options::{DoctorOptions, RootFile};
use crate::cli::output::Object;
use crate::cli::text::sentence;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::control;
use crate::doctor::staff::{self, Answer, Enrolled, Member, Request, StaffError};
use crate::doctor::{office, seen, setup};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::closing::ClosedKeys;
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::identity::known_doctor::fingerprint_groups;
use crate::identity::revocation::RevokedDoctors;
use crate::random::OsRandom;
use crate::store::Store;

fn ask(options: &DoctorOptions, id: &Identifier, request: Request) -> Result<Answer, Failure> {
    let request = office::Request::Staff(request);
    match ask_office(options, id, request, control::PATIENCE)? {
        office::Answer::Staff(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// Shows whom it is about, asks, and revokes her.
pub fn revoke(
    options: &DoctorOptions,
    id: &Identifier,
    (name, reason): (&Identifier, &str),
    (from, devices): (&RootFile, Option<Enrolled>),
    yes: bool,
) -> Result<(), Failure> {
    let member = name.to_string();
    let Answer::Shown(shown) = ask(options, id, Request::Show { member, devices })? else {
        return Err(unexpected());
    };
    if !yes && !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked, nobody was revoked";
        eprint(&format!("{}\n", described(&shown)));
        return Err(Failure::new(Exit::Usage, sentence).hint(
            "if it is she who is to be revoked, say the same again with --yes; in a terminal it \
             is asked",
        ));
    }
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let store = setup::look_at_store(&directory, &options.store, id);
    let store = store.map_err(|error| setup_failed(&error))?;
    let papers =
        setup::load_papers(&*store, &mut OsRandom).map_err(|error| setup_failed(&error))?;
    let secret = root_secret(options, id, &papers.root, from)?;
    eprint(&format!("{}\n{FIRST}\n", described(&shown)));
    if !yes {
        confirm(&shown, devices)?;
    }
    let (root, now) = ((&papers.root, &secret), SystemClock.now());
    let list = staff::next_list(&*store, root, &shown.serials, now, &mut OsRandom);
    let list = list.map_err(|error| staff_failed(&error))?;
    let known = seen::closed_keys(&directory, &*store, root.0);
    let known = known.map_err(|error| setup_failed(&error))?;
    let noted = seen::noted_members(&directory).map_err(|error| setup_failed(&error))?;
    let closed = close_keys(&*store, root, (name, &noted, &known), (&list, devices), now)?;
    let request = Request::Revoke {
        member: shown.name,
        list: hex::encode(list.as_bytes()),
        closed,
        reason: reason.to_owned(),
        devices,
    };
    let answer = ask(options, id, request)?;
    options.form.print(&text(&answer), &objects(&answer))
}

/// What the root says of her keys, in hexadecimal digits.
fn close_keys(
    store: &dyn Store,
    root: (&VerifiedCertificate, &SignSecret),
    whose: (&Identifier, &[Vec<u8>], &ClosedKeys),
    list: (&RevokedDoctors, Option<Enrolled>),
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let closed = staff::close_keys_of(store, root, whose, list, now, &mut OsRandom);
    let closed = closed.map_err(|error| staff_failed(&error.into()))?;
    Ok(closed.iter().map(|it| hex::encode(it.as_bytes())).collect())
}

fn staff_failed(error: &StaffError) -> Failure {
    let exit = match error {
        StaffError::Store(error) => error.fault().into(),
        StaffError::Damaged => Exit::Integrity,
        _ => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

fn described(member: &Member) -> String {
    let connected = match member.connected {
        0 => String::new(),
        1 => "; 1 device is connected to her".to_owned(),
        count => format!("; {count} devices are connected to her"),
    };
    let (name, role, key) = (&member.name, &member.role, fingerprint_groups(&member.key));
    let who = match member.serials_in_hex() {
        serials if serials.is_empty() => {
            format!("{name} worked in this clinic as {role} and is revoked.\n  key {key}")
        }
        serials => format!(
            "{name} works in this clinic as {role}.\n  key {key}\n  certificate {}, until {}",
            serials.join(", "),
            member.until
        ),
    };
    let (patients, enrolled) = (member.patients, member.enrolled);
    format!("{who}\n  patients: {patients}{connected}\n  devices she has enrolled: {enrolled}")
}

/// What comes before somebody is revoked whose machine was stolen.
const FIRST: &str = "If her machine or her keys may be in other hands, take the database's password \
     from her first, at PostgreSQL, and end her connections: whoever has it can write there, and in \
     a colleague's name, as long as it is good.";

/// What is to be looked at then.
const LOOK: &str = "Look at what has come since her keys may have been in other hands: doctor \
     devices, doctor tickets, doctor list --clinic, doctor deliveries, doctor audit list.";

/// What a doctor's name is good for when she is gone.
const DOCTORS_NAME: &str = "who follows needs another name, since patients' programs that know \
     this one take no other key under it";

fn confirm(member: &Member, devices: Option<Enrolled>) -> Result<(), Failure> {
    let name = &member.name;
    let again = match member.role.as_str() {
        "doctor" => DOCTORS_NAME,
        _ => "the name may be given again, with other keys",
    };
    let too = match devices {
        None => "",
        Some(Enrolled { since: None }) => " and these devices",
        Some(Enrolled { since: Some(_) }) => " and those of these devices that are so new",
    };
    let question = format!("That cannot be undone; {again}.\nRevoke {name}{too}? Type yes: ");
    match input::says_yes(&question) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nobody was revoked")),
    }
}

/// For people.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Shown(member) => described(member),
        Answer::Revoked {
            member,
            revoked_number,
            devices,
            enrol_anew,
        } => revoked(
            member,
            *revoked_number,
            devices.map(|count| (count, enrol_anew)),
        ),
    }
}

/// What becomes of the devices she has enrolled.
fn of_devices(member: &Member, revoked: Option<(usize, &Vec<String>)>) -> Option<String> {
    let name = &member.name;
    match revoked {
        None if member.enrolled == 0 => None,
        None => Some(format!(
            "Devices that {name} has enrolled and that are let in as before: {}. If her machine or \
             her keys may be in other hands, revoke them, too: doctor authority revoke-doctor \
             {name} --devices --reason TEXT",
            member.enrolled
        )),
        Some((0, _)) => Some(format!(
            "No device that {name} has enrolled was left to be revoked."
        )),
        Some((count, patients)) => Some(format!(
            "Devices that {name} has enrolled, revoked now: {count}. Each of these {} patients \
             needs a new ticket (doctor enrol PATIENT): {}",
            patients.len(),
            patients.join(", ")
        )),
    }
}

fn revoked(member: &Member, number: u64, devices: Option<(usize, &Vec<String>)>) -> String {
    let name = &member.name;
    let to = member.colleagues.first().map_or("DOCTOR", String::as_str);
    let mut lines = vec![format!(
        "{name} is revoked (list number {number}). Every server of the clinic hears of it at \
         once, {name}'s own stops, and patients learn it when they connect."
    )];
    match member.patients {
        0 => {}
        count => {
            let patients = match count {
                1 => "1 patient is".to_owned(),
                count => format!("{count} patients are"),
            };
            lines.push(format!(
                "{patients} still {name}'s; give them to another doctor: doctor patients transfer \
                 --from {name} {to}"
            ));
        }
    }
    lines.extend(of_devices(member, devices));
    if member.role == "doctor" {
        lines.push(sentence(DOCTORS_NAME));
    }
    let kept = match member.role.as_str() {
        "doctor" => "the data key, which opens what is in the database",
        "assistant" => "keys to a part of what is in the database",
        _ => "what she has read",
    };
    lines.push(format!(
        "{name} has {kept}, and the database's password, if that was not taken from her yet: do \
         it now, at PostgreSQL. {LOOK}"
    ));
    lines.join("\n")
}

/// For programs.
pub fn objects(answer: &Answer) -> Vec<Object> {
    match answer {
        // The command that asks for it says it on standard error.
        Answer::Shown(_) => Vec::new(),
        Answer::Revoked {
            member,
            revoked_number,
            devices,
            enrol_anew,
        } => {
            vec![
                Object::new("staff_revoked")
                    .with("name", member.name.as_str())
                    .with("role", member.role.as_str())
                    .with("key", hex::encode(&member.key))
                    .with("serials", member.serials_in_hex())
                    .with("revoked_number", *revoked_number)
                    .with("patients", member.patients)
                    .with("enrolled", member.enrolled)
                    .with("devices", *devices)
                    .with("enrol_anew", enrol_anew.clone()),
            ]
        }
    }
}
