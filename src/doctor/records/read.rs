//! Reading records: one, all of them, or those in which something stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fold::{Wanted, fold};
use super::sealed::{Sight, open_note};
use super::{Content, Field, Personal, RecordError};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::store::{CertificateState, DeviceRow, RecordRow};

/// A device of a patient's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// `inactive` (enrolled and not connected yet), `active`, `frozen` or
    /// `revoked`.
    pub state: String,
    /// When it asked to be let in last.
    pub last_seen: Option<Timestamp>,
}

/// A record with the times beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What a change is based on.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub changed: Timestamp,
    /// Since when it has been put away.
    pub archived: Option<Timestamp>,
    /// Whether notes, tags and consultations are left out: who asked has only the
    /// key to the contact part. The contents below have none of them then.
    pub contact_only: bool,
    /// What it says.
    pub content: Content,
    /// Its consultations, the first one first.
    pub consultations: Vec<Consultation>,
}

/// A consultation in a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Consultation {
    /// When it was written.
    pub written: Timestamp,
    /// When the consultation began.
    pub begun: Timestamp,
    /// When it ended, if that is known.
    pub ended: Option<Timestamp>,
    /// What was noted.
    pub note: Personal,
}

/// All about one patient.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Who it is.
    pub patient: String,
    /// The record; none if the patient is only enrolled.
    pub record: Option<Record>,
    /// The devices, the oldest first.
    pub devices: Vec<Device>,
}

/// A patient in a list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Who it is.
    pub patient: String,
    /// From the record, if there is one that opens.
    pub record: Option<Summary>,
    /// Whether the record, or a note in it, does not open.
    pub damaged: bool,
    /// Whether who asked has only the key to the contact part of records.
    pub contact_only: bool,
    /// Whether that shows nothing of this record, because an earlier version has
    /// sealed it in one piece.
    pub unsplit: bool,
    /// The state of the device that can do most, see [`Device::state`]; none if
    /// the patient is not enrolled.
    pub device: Option<String>,
    /// When a device asked to be let in last.
    pub last_seen: Option<Timestamp>,
}

/// The front of a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// See [`Content::name`].
    pub name: Personal,
    /// See [`Content::born`].
    pub born: Personal,
    /// See [`Content::phone`].
    pub phone: Personal,
    /// Since when it has been put away.
    pub archived: Option<Timestamp>,
}

/// A patient of whom something was found.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Who it is.
    pub patient: Listed,
    /// Where it stands: `id`, `consultation`, or the [`Field::word`]s.
    pub fields: Vec<String>,
}

/// Whether only the contact part of records can be opened here.
///
/// # Errors
/// [`RecordError`] if nothing of them can.
pub fn is_contact_only(practice: &Practice) -> Result<bool, RecordError> {
    Ok(Sight::of(practice)? == Sight::Contact)
}

/// Everything on file about a patient, as far as there are keys.
///
/// # Errors
/// [`RecordError`]; nothing is given that could not be logged.
pub fn show(practice: &Practice, patient: &Identifier) -> Result<Shown, RecordError> {
    let sight = Sight::of(practice)?;
    let name = patient.as_str();
    let devices = practice.store.devices()?.into_iter();
    let devices: Vec<_> = devices.filter(|device| device.patient == name).collect();
    let row = practice.store.record(name)?;
    if row.is_none() && devices.is_empty() {
        return Err(RecordError::Unknown(patient.clone()));
    }
    let record = row.map(|row| record(practice, sight, &row)).transpose()?;
    let detail = match sight {
        Sight::Whole => "",
        Sight::Contact => "contact",
    };
    practice.note_read(Action::RecordRead, name, detail)?;
    Ok(Shown {
        patient: name.to_owned(),
        record,
        devices: devices.iter().map(device).collect(),
    })
}

fn record(practice: &Practice, sight: Sight, row: &RecordRow) -> Result<Record, RecordError> {
    let rows = match sight {
        Sight::Whole => practice.store.consultations(&row.patient)?,
        Sight::Contact => Vec::new(),
    };
    let consultations = rows.iter().map(|row| {
        Ok(Consultation {
            written: row.written,
            begun: row.begun,
            ended: row.ended,
            note: open_note(practice, row)?,
        })
    });
    Ok(Record {
        version: row.version,
        created: row.created,
        changed: row.changed,
        archived: row.archived,
        contact_only: sight == Sight::Contact,
        content: sight.read(practice, row)?,
        consultations: consultations.collect::<Result<_, RecordError>>()?,
    })
}

fn device(row: &DeviceRow) -> Device {
    Device {
        state: row.state.word().to_owned(),
        last_seen: row.last_seen,
    }
}

/// The patients with a record that is not archived (or, if that is asked, is),
/// and the enrolled ones without a record; with a tag, only those who have it.
/// Those whose records do not open are always there. Who has only the key to the
/// contact part chooses by no tag.
///
/// # Errors
/// [`RecordError`]; nothing is given that could not be logged.
pub fn list(
    practice: &Practice,
    archived: bool,
    tag: Option<&str>,
) -> Result<Vec<Listed>, RecordError> {
    let sight = Sight::of(practice)?;
    if tag.is_some() && sight == Sight::Contact {
        return Err(RecordError::DoctorsOnly("choosing patients by their tags"));
    }
    let mut listed = Vec::new();
    for (patient, content) in everybody(practice, sight)? {
        let in_place = match (&patient.record, &content) {
            (Some(record), Some(content)) => {
                record.archived.is_some() == archived && tag.is_none_or(|tag| has_tag(content, tag))
            }
            // Its tags are not known, nor whether it is archived.
            _ if patient.damaged || patient.unsplit => true,
            _ => !archived && tag.is_none(),
        };
        if in_place {
            listed.push(patient);
        }
    }
    let by = if tag.is_some() { " by tag" } else { "" };
    let which = if archived { " of the archive" } else { "" };
    let detail = format!("{} patients{which}{by}", listed.len());
    practice.note_read(Action::RecordsListed, "", &detail)?;
    Ok(listed)
}

/// The patients in whose records `text` stands, archived ones too: without
/// regard to case and accents, and where. Those whose records do not open are
/// there too: it may stand in them. With the key to the contact part only, it is
/// looked for in nothing else.
///
/// # Errors
/// [`RecordError`]; nothing is given that could not be logged.
pub fn search(practice: &Practice, text: &str) -> Result<Vec<Found>, RecordError> {
    if fold(text).trim().is_empty() {
        let sentence = "say what to look for".to_owned();
        return Err(RecordError::Content(sentence));
    }
    let sight = Sight::of(practice)?;
    let wanted = Wanted::new(text);
    let mut consulted = BTreeSet::new();
    let mut damaged = BTreeSet::new();
    let notes = match sight {
        Sight::Whole => practice.store.all_consultations()?,
        Sight::Contact => Vec::new(),
    };
    for row in notes {
        match open_note(practice, &row) {
            Ok(note) if wanted.is_in(note.as_str()) => consulted.insert(row.patient),
            Ok(_) => false,
            Err(_) => damaged.insert(row.patient),
        };
    }
    let mut found = Vec::new();
    for (mut patient, content) in everybody(practice, sight)? {
        patient.damaged |= damaged.contains(&patient.patient);
        let mut fields = Vec::new();
        if wanted.is_in(&patient.patient) {
            fields.push("id".to_owned());
        }
        let hits = content.iter().flat_map(|content| hits(content, &wanted));
        fields.extend(hits.map(|field| field.word().to_owned()));
        if consulted.contains(&patient.patient) {
            fields.push("consultation".to_owned());
        }
        if !fields.is_empty() || patient.damaged || patient.unsplit {
            found.push(Found { patient, fields });
        }
    }
    let detail = format!("searched, {} patients", found.len());
    practice.note_read(Action::RecordsListed, "", &detail)?;
    Ok(found)
}

/// The fields in which something stands. The sex is none of them: hardly
/// anybody who types "male" looks for half of all patients.
fn hits(content: &Content, wanted: &Wanted) -> Vec<Field> {
    let is_hit = |field: &Field| match field {
        Field::Sex => false,
        Field::Phone => wanted.is_in_number(content.phone.as_str()),
        Field::Tags => content.tags.iter().any(|tag| wanted.is_in(tag.as_str())),
        text => content
            .text(*text)
            .is_some_and(|text| wanted.is_in(text.as_str())),
    };
    Field::ALL.into_iter().filter(is_hit).collect()
}

/// The patients whose record has this tag, in any spelling, and is not
/// archived. A record that does not open has none.
///
/// # Errors
/// [`RecordError`].
pub fn patients_with_tag(practice: &Practice, tag: &str) -> Result<Vec<String>, RecordError> {
    let listed = list(practice, false, Some(tag))?.into_iter();
    let tagged = listed.filter(|listed| !listed.damaged);
    Ok(tagged.map(|listed| listed.patient).collect())
}

/// The patient's phone number, if it is on file.
///
/// # Errors
/// [`RecordError`].
pub fn phone_of(practice: &Practice, patient: &str) -> Result<Option<Personal>, RecordError> {
    Ok(phones(practice, &[patient])?.remove(patient))
}

/// The phone numbers of these patients, as far as they are on file and open;
/// one entry in the audit log for all.
///
/// # Errors
/// [`RecordError`].
pub fn phones(
    practice: &Practice,
    patients: &[&str],
) -> Result<BTreeMap<String, Personal>, RecordError> {
    let mut phones = BTreeMap::new();
    let Ok(sight) = Sight::of(practice) else {
        return Ok(phones);
    };
    for patient in patients {
        if let Some(row) = practice.store.record(patient)? {
            // One that does not open keeps nobody else's number back.
            let Ok(content) = sight.read(practice, &row) else {
                continue;
            };
            if !content.phone.is_empty() {
                phones.insert(row.patient, content.phone.clone());
            }
        }
    }
    match phones.keys().next() {
        None => {}
        Some(only) if phones.len() == 1 => practice.note_read(Action::RecordRead, only, "phone")?,
        Some(_) => {
            let detail = format!("phone numbers of {} patients", phones.len());
            practice.note_read(Action::RecordsListed, "", &detail)?;
        }
    }
    Ok(phones)
}

fn has_tag(content: &Content, tag: &str) -> bool {
    let wanted = fold(tag.trim());
    content.tags.iter().any(|tag| fold(tag.as_str()) == wanted)
}

/// Everybody with a record or a device, P2 before P10, with what the record
/// says, as far as it is seen.
fn everybody(
    practice: &Practice,
    sight: Sight,
) -> Result<Vec<(Listed, Option<Content>)>, RecordError> {
    let mut devices: BTreeMap<String, Vec<DeviceRow>> = BTreeMap::new();
    for row in practice.store.devices()? {
        devices.entry(row.patient.clone()).or_default().push(row);
    }
    let mut everybody = Vec::new();
    for row in practice.store.records()? {
        let read = sight.read(practice, &row);
        let unsplit = matches!(read, Err(RecordError::Unsplit(_)));
        let content = read.ok();
        let summary = content.as_ref().map(|content| Summary {
            name: content.name.clone(),
            born: content.born.clone(),
            phone: content.phone.clone(),
            archived: row.archived,
        });
        let devices = devices.remove(&row.patient).unwrap_or_default();
        let mut listed = listed(row.patient, summary, &devices);
        listed.unsplit = unsplit;
        listed.damaged = content.is_none() && !unsplit;
        everybody.push((listed, content));
    }
    for (patient, devices) in devices {
        everybody.push((listed(patient, None, &devices), None));
    }
    for (listed, _) in &mut everybody {
        listed.contact_only = sight == Sight::Contact;
    }
    everybody.sort_by_cached_key(|(listed, _)| in_order(&listed.patient));
    Ok(everybody)
}

fn listed(patient: String, record: Option<Summary>, devices: &[DeviceRow]) -> Listed {
    let able = |state: &CertificateState| match state {
        CertificateState::Revoked => 0,
        CertificateState::Frozen => 1,
        CertificateState::Inactive => 2,
        CertificateState::Active => 3,
    };
    let state = devices.iter().map(|device| device.state).max_by_key(able);
    Listed {
        patient,
        record,
        damaged: false,
        contact_only: false,
        unsplit: false,
        device: state.map(|state| state.word().to_owned()),
        last_seen: devices.iter().filter_map(|device| device.last_seen).max(),
    }
}

/// A key that sorts identifiers as people do: numbers by their value.
fn in_order(patient: &str) -> String {
    let mut key = String::new();
    let mut rest = patient;
    while !rest.is_empty() {
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (word, numbers) = rest.split_at(letters);
        let digits = numbers.find(|c: char| !c.is_ascii_digit());
        let (number, after) = numbers.split_at(digits.unwrap_or(numbers.len()));
        key += word;
        if !number.is_empty() {
            key += &format!("{number:0>32}");
        }
        rest = after;
    }
    key
}
