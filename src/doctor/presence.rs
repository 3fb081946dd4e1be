//! Who is connected where in a clinic of several doctors.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::doctor::messages::device_code;
use crate::doctor::practice::Practice;
use crate::identity::certificate::Fingerprint;
use crate::store::StoreError;
use crate::store::nodes::NodeRow;

/// What a node that was killed, or is cut off, has said of its sessions is worth
/// something for so long: a session that is silent for longer is over.
const IDLE: Duration = Duration::from_secs(45);

/// A doctor's server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Whose.
    pub doctor: String,
    /// When its process started.
    pub started: Timestamp,
    /// For how many seconds it has said nothing, if it was killed or is cut off
    /// from the database.
    pub silent_seconds: Option<u64>,
    /// Who is connected to it, or was when it was heard of last, if that is less
    /// than 45 seconds ago.
    pub devices: Vec<Elsewhere>,
}

/// A device that is connected.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// Whose it is.
    pub patient: String,
    /// Its short name.
    pub device: String,
    /// Since when.
    pub since: Timestamp,
}

/// The clinic's nodes in order of their doctors; none where a practice is one
/// doctor's.
///
/// # Errors
/// [`StoreError`].
pub fn of_clinic(practice: &Practice) -> Result<Vec<Node>, StoreError> {
    let Some(nodes) = practice.store.nodes() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for row in nodes.running()? {
        if row.has_seat || row.silent < IDLE {
            known.insert(row.doctor.clone());
        }
        found.push(Node {
            doctor: row.doctor,
            started: row.started,
            silent_seconds: (!row.has_seat).then_some(row.silent.as_secs()),
            devices: Vec::new(),
        });
    }
    for row in nodes.present()? {
        if !known.contains(&row.doctor) {
            continue;
        }
        let device = Elsewhere {
            patient: row.patient,
            device: device_code(&row.device),
            since: row.since,
        };
        if let Some(node) = found.iter_mut().find(|node| node.doctor == row.doctor) {
            node.devices.push(device);
        }
    }
    Ok(found)
}

/// How many of these devices are connected to other doctors' servers that run.
///
/// # Errors
/// [`StoreError`].
pub fn elsewhere(practice: &Practice, devices: &HashSet<Fingerprint>) -> Result<usize, StoreError> {
    let Some(nodes) = practice.store.nodes() else {
        return Ok(0);
    };
    let running = nodes.running()?;
    let runs = |doctor: &str| {
        let heard = |row: &NodeRow| row.doctor == doctor && row.has_seat;
        doctor != nodes.doctor() && running.iter().any(heard)
    };
    let present = nodes.present()?;
    let there = present.iter().filter(|row| devices.contains(&row.device));
    Ok(there.filter(|row| runs(&row.doctor)).count())
}

/// The doctor's own patients who are connected to other doctors of the clinic,
/// under those.
///
/// # Errors
/// [`StoreError`].
pub fn own_elsewhere(practice: &Practice) -> Result<Vec<Node>, StoreError> {
    let (Some(nodes), Some(clinic)) = (practice.store.nodes(), practice.store.clinic()) else {
        return Ok(Vec::new());
    };
    let own: HashSet<String> = clinic.patients_of(nodes.doctor())?.into_iter().collect();
    let mut found = of_clinic(practice)?;
    found.retain(|node| node.doctor != nodes.doctor());
    for node in &mut found {
        node.devices.retain(|device| own.contains(&device.patient));
    }
    found.retain(|node| !node.devices.is_empty());
    Ok(found)
}
