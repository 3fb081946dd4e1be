//! Answers about records, as people and programs read them.

use serde_json::Value;

use crate::cli::doctor::unexpected;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Form, Object};
use crate::cli::text::{clean, clean_lines, sentence};
use crate::clock::Timestamp;
use crate::doctor::patients::Answer;
use crate::doctor::records::{self as kept, Consultation, Device, Found, Listed, Personal, Shown};

/// What is said to somebody who may see only the contact part of records.
const CONTACT_ONLY: &str = "Notes, tags and consultations are for the clinic's doctors.";

/// Prints an answer to a command.
pub fn answer(answer: &Answer, form: Form) -> Result<(), Failure> {
    match answer {
        Answer::Failed(_) | Answer::Damaged(_) => Err(failure(answer)),
        answer => {
            form.print(&text(answer), &objects(answer))?;
            damage(answer)
        }
    }
}

/// A failure that names the records in a list which do not open.
fn damage(answer: &Answer) -> Result<(), Failure> {
    let everybody: Vec<&Listed> = match answer {
        Answer::Listed(patients) => patients.iter().collect(),
        Answer::Found { patients, .. } => patients.iter().map(|found| &found.patient).collect(),
        _ => Vec::new(),
    };
    let damaged = everybody.iter().filter(|listed| listed.damaged);
    let patients: Vec<_> = damaged.map(|listed| listed.patient.as_str()).collect();
    match &*patients.join(", ") {
        "" => Ok(()),
        patients => {
            let error = kept::RecordError::Damaged(patients.to_owned());
            Err(Failure::new(Exit::Integrity, error.to_string()))
        }
    }
}

/// An answer that is none, as a failure.
pub(super) fn failure(answer: &Answer) -> Failure {
    match answer {
        Answer::Failed(why) => why.into(),
        Answer::Damaged(reason) => Failure::new(Exit::Integrity, reason.clone()),
        _ => unexpected(),
    }
}

/// An answer in words.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Added { patient } => format!("There is a record of {patient} now."),
        Answer::Edited {
            patient,
            version,
            fields,
        } => match &*fields.join(", ") {
            "" => format!("The record of {patient} says so already; nothing was changed."),
            fields => {
                format!("The record of {patient} was changed: {fields}. It has version {version}.")
            }
        },
        Answer::Shown(shown) => shown_text(shown),
        Answer::Listed(patients) => listed_text(patients),
        Answer::Found {
            patients,
            contact_only,
        } => found_text(patients, *contact_only),
        Answer::Archived { patient } => format!("The record of {patient} is archived."),
        Answer::Transferred { patient, doctor } => {
            format!("{patient} is a patient of doctor {doctor} now.")
        }
        Answer::AllTransferred { patients, doctor } => match patients.len() {
            1 => format!("{} is a patient of doctor {doctor} now.", patients.join("")),
            count => format!(
                "{count} patients are patients of doctor {doctor} now: {}.",
                patients.join(", ")
            ),
        },
        Answer::Unarchived { patient } => {
            format!("The record of {patient} is not in the archive.")
        }
        Answer::Noted { patient } => format!("It stands in the record of {patient} now."),
        Answer::Failed(why) => sentence(why),
        Answer::Damaged(reason) => sentence(reason),
    }
}

fn shown_text(shown: &Shown) -> String {
    let mut lines = vec![format!("Patient {}", shown.patient)];
    if let Some(record) = &shown.record {
        let content = &record.content;
        let tags: Vec<_> = content.tags.iter().map(Personal::as_str).collect();
        for (label, text) in [
            ("Name", content.name.as_str()),
            ("Born", content.born.as_str()),
            ("Sex", content.sex.as_str()),
            ("Phone", content.phone.as_str()),
            ("E-mail", content.email.as_str()),
            ("Address", content.address.as_str()),
            ("Tags", &tags.join(", ")),
            ("Notes", content.notes.as_str()),
        ] {
            field(&mut lines, label, text);
        }
        let mut state = format!(
            "version {}, made {}, changed {}",
            record.version, record.created, record.changed
        );
        if let Some(archived) = record.archived {
            state += &format!(", archived {archived}");
        }
        field(&mut lines, "Record", &state);
        if record.contact_only {
            field(&mut lines, "Notes", CONTACT_ONLY);
        }
    } else {
        field(&mut lines, "Record", "none");
    }
    if shown.devices.is_empty() {
        field(&mut lines, "Device", "not enrolled");
    }
    for device in &shown.devices {
        field(&mut lines, "Device", &device_text(device));
    }
    let consultations = shown.record.iter().flat_map(|record| &record.consultations);
    for consultation in consultations {
        let ended = consultation.ended;
        let ended = ended.map_or_else(String::new, |ended| format!(" to {ended}"));
        lines.push(format!("Consultation {}{ended}", consultation.begun));
        let note = clean_lines(consultation.note.as_str());
        lines.extend(note.lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

/// A field, its further lines below the first one.
fn field(lines: &mut Vec<String>, label: &str, text: &str) {
    for (number, line) in clean_lines(text).lines().enumerate() {
        let label = if number == 0 { label } else { "" };
        lines.push(format!("  {label:<9}{line}"));
    }
}

fn device_text(device: &Device) -> String {
    let seen = device.last_seen;
    let seen = seen.map_or_else(
        || "never connected".to_owned(),
        |seen| format!("last seen {seen}"),
    );
    format!("{}, {seen}", device.state)
}

fn listed_text(patients: &[Listed]) -> String {
    if patients.is_empty() {
        return "There is no such patient.".to_owned();
    }
    let headings = ["ID", "NAME", "BORN", "PHONE", "DEVICE", "LAST SEEN"];
    let mut rows = vec![headings.map(str::to_owned)];
    rows.extend(patients.iter().map(listed_row));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        line.trim_end().to_owned()
    };
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    if patients.iter().any(|listed| listed.contact_only) {
        lines.push(CONTACT_ONLY.to_owned());
    }
    lines.join("\n")
}

fn listed_row(listed: &Listed) -> [String; 6] {
    let record = listed.record.as_ref();
    let of_record = |text: fn(&kept::Summary) -> &Personal| {
        record.map_or_else(String::new, |record| clean(text(record).as_str()))
    };
    let name = match record {
        _ if listed.damaged => format!("the record of {} does not open", listed.patient),
        _ if listed.unsplit => "(seen when a doctor has started this version once)".to_owned(),
        None => "(no record)".to_owned(),
        Some(record) if record.archived.is_some() => {
            format!("{} (archived)", clean(record.name.as_str()))
        }
        Some(record) => clean(record.name.as_str()),
    };
    let seen = listed.last_seen;
    [
        listed.patient.clone(),
        name,
        of_record(|record| &record.born),
        of_record(|record| &record.phone),
        listed
            .device
            .as_deref()
            .unwrap_or("not enrolled")
            .to_owned(),
        seen.map_or_else(String::new, |seen| seen.to_string()),
    ]
}

fn found_text(found: &[Found], contact_only: bool) -> String {
    let mut lines = match found {
        [] => vec!["Nothing was found.".to_owned()],
        found => found.iter().map(found_line).collect(),
    };
    if contact_only {
        let searched = "Only names, dates of birth, phone numbers and addresses were searched.";
        lines.push(format!("{searched} {CONTACT_ONLY}"));
    }
    lines.join("\n")
}

fn found_line(found: &Found) -> String {
    let [patient, name, born, phone, ..] = listed_row(&found.patient);
    let fields = match &*found.fields.join(", ") {
        "" => "nothing".to_owned(),
        fields => fields.to_owned(),
    };
    let known = [name, born, phone]
        .into_iter()
        .filter(|text| !text.is_empty());
    let known: Vec<_> = known.collect();
    format!("{patient}  {}  (found in: {fields})", known.join(", "))
}

/// The objects of an answer; none for one that is a failure.
pub fn objects(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Added { patient } => {
            vec![Object::new("record_added").with("patient", patient.as_str())]
        }
        Answer::Edited {
            patient,
            version,
            fields,
        } => vec![
            Object::new("record_changed")
                .with("patient", patient.as_str())
                .with("version", *version)
                .with("fields", fields.clone()),
        ],
        Answer::Shown(shown) => shown_objects(shown),
        Answer::Listed(patients) => patients
            .iter()
            .map(|listed| front(Object::new("patient"), listed))
            .collect(),
        Answer::Found { patients, .. } => patients
            .iter()
            .map(|found| {
                front(Object::new("patient_found"), &found.patient)
                    .with("fields", found.fields.clone())
            })
            .collect(),
        Answer::Archived { patient } => vec![archived(patient, true)],
        Answer::Transferred { patient, doctor } => vec![transferred(patient, doctor)],
        Answer::AllTransferred { patients, doctor } => patients
            .iter()
            .map(|patient| transferred(patient, doctor))
            .collect(),
        Answer::Unarchived { patient } => vec![archived(patient, false)],
        Answer::Noted { patient } => {
            vec![Object::new("consultation_noted").with("patient", patient.as_str())]
        }
        Answer::Failed(_) | Answer::Damaged(_) => Vec::new(),
    }
}

fn transferred(patient: &str, doctor: &str) -> Object {
    Object::new("patient_transferred")
        .with("patient", patient)
        .with("doctor", doctor)
}

fn archived(patient: &str, archived: bool) -> Object {
    Object::new("record_archived")
        .with("patient", patient)
        .with("archived", archived)
}

/// What lists say of a patient.
fn front(object: Object, listed: &Listed) -> Object {
    let of_record = |text: fn(&kept::Summary) -> &Personal| {
        listed
            .record
            .as_ref()
            .map_or(Value::Null, |record| known(text(record)))
    };
    object
        .with("patient", listed.patient.as_str())
        .with("name", of_record(|record| &record.name))
        .with("born", of_record(|record| &record.born))
        .with("phone", of_record(|record| &record.phone))
        .with(
            "archived",
            time(listed.record.as_ref().and_then(|record| record.archived)),
        )
        .with("device", listed.device.as_deref())
        .with("last_seen", time(listed.last_seen))
        .with("damaged", listed.damaged)
        .with("contact_only", listed.contact_only)
        .with("unsplit", listed.unsplit)
}

fn shown_objects(shown: &Shown) -> Vec<Object> {
    let mut objects = Vec::new();
    let patient = shown.patient.as_str();
    if let Some(record) = &shown.record {
        let content = &record.content;
        let tags: Vec<_> = content.tags.iter().map(Personal::as_str).collect();
        let tags = match record.contact_only {
            true => Value::Null,
            false => tags.into(),
        };
        objects.push(
            Object::new("patient_record")
                .with("patient", patient)
                .with("name", known(&content.name))
                .with("born", known(&content.born))
                .with("sex", known(&content.sex))
                .with("phone", known(&content.phone))
                .with("email", known(&content.email))
                .with("address", known(&content.address))
                .with("notes", known(&content.notes))
                .with("tags", tags)
                .with("contact_only", record.contact_only)
                .with("version", record.version)
                .with("created", record.created)
                .with("changed", record.changed)
                .with("archived", time(record.archived)),
        );
        let consultations = record.consultations.iter();
        objects.extend(consultations.map(|consultation| consulted(patient, consultation)));
    }
    objects.extend(shown.devices.iter().map(|device| {
        Object::new("patient_device")
            .with("patient", patient)
            .with("state", device.state.as_str())
            .with("last_seen", time(device.last_seen))
    }));
    objects
}

fn consulted(patient: &str, consultation: &Consultation) -> Object {
    Object::new("patient_consultation")
        .with("patient", patient)
        .with("written", consultation.written)
        .with("begun", consultation.begun)
        .with("ended", time(consultation.ended))
        .with("note", known(&consultation.note))
}

fn known(text: &Personal) -> Value {
    match text.as_str() {
        "" => Value::Null,
        text => text.into(),
    }
}

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests;
