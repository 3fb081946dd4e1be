//! A line of the file, to and from JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::audit::head::Head;
use crate::audit::heads_file::Record;
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;
use crate::clock::Timestamp;
use crate::hex;

/// The version of the lines.
const VERSION: u8 = 1;

/// Bytes as hexadecimal digits.
struct Hex(Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).ok_or_else(|| de::Error::custom("no hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    v: u8,
    #[serde(flatten)]
    said: Said,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Certificates {
        root: Hex,
        group: Hex,
        doctors: Vec<Hex>,
    },
    Head {
        number: u64,
        link: Hex,
        at: u64,
        certificate: Hex,
        signature: Hex,
    },
    Revocation {
        serial: Hex,
        subject: String,
        state: String,
        at: u64,
        certificate: Hex,
        signature: Hex,
    },
    #[serde(other)]
    Other,
}

/// A record as a line, with its end; nothing for one that says nothing.
#[must_use]
pub fn json(record: &Record) -> String {
    let of = |bytes: &[u8]| Hex(bytes.to_vec());
    let said = match record {
        Record::Certificates(papers) => Said::Certificates {
            root: of(&papers.root),
            group: of(&papers.group),
            doctors: papers.doctors.iter().map(|bytes| of(bytes)).collect(),
        },
        Record::Head(head) => Said::Head {
            number: head.number,
            link: of(&head.link),
            at: head.at.as_millis(),
            certificate: of(&head.certificate),
            signature: of(&head.signature),
        },
        Record::Revocation(revocation) => Said::Revocation {
            serial: of(&revocation.serial),
            subject: revocation.subject.clone(),
            state: revocation.state.clone(),
            at: revocation.at.as_millis(),
            certificate: of(&revocation.certificate),
            signature: of(&revocation.signature),
        },
        Record::Other => return String::new(),
    };
    // Only maps with other keys than strings cannot be written.
    let line = serde_json::to_string(&Line { v: VERSION, said });
    line.unwrap_or_default() + "\n"
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineFault {
    /// It has no end: its writer was interrupted.
    Torn,
    /// Anything else.
    Malformed,
}

/// The record on a line, whose end may still be there.
pub(super) fn parse(line: &[u8]) -> Result<Record, LineFault> {
    // Inside a string that was cut short it would look like a mistake.
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line: Line = serde_json::from_slice(line).map_err(|error| match error.is_eof() {
        true => LineFault::Torn,
        false => LineFault::Malformed,
    })?;
    if line.v != VERSION {
        return Err(LineFault::Malformed);
    }
    record(line.said).ok_or(LineFault::Malformed)
}

fn record(said: Said) -> Option<Record> {
    Some(match said {
        Said::Certificates {
            root,
            group,
            doctors,
        } => Record::Certificates(Papers {
            root: root.0,
            group: group.0,
            doctors: doctors.into_iter().map(|Hex(bytes)| bytes).collect(),
            own: None,
            whose: None,
        }),
        Said::Head {
            number,
            link,
            at,
            certificate,
            signature,
        } => Record::Head(Head {
            number,
            link: link.0.try_into().ok()?,
            at: Timestamp::from_millis(at),
            certificate: certificate.0.try_into().ok()?,
            signature: signature.0,
        }),
        Said::Revocation {
            serial,
            subject,
            state,
            at,
            certificate,
            signature,
        } => Record::Revocation(Revocation {
            serial: serial.0.try_into().ok()?,
            subject,
            state,
            at: Timestamp::from_millis(at),
            certificate: certificate.0.try_into().ok()?,
            signature: signature.0,
        }),
        Said::Other => Record::Other,
    })
}
