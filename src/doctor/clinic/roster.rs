//! Where the clinic's doctors are reached: each puts a signed entry of hers into the
//! store, under her name, and every node tells its patients all of them.

use std::collections::HashMap;
use std::time::Duration;

use crate::address::Address;
use crate::clock::Timestamp;
use crate::doctor::event::Event;
use crate::doctor::office;
use crate::doctor::roster;
use crate::doctor::shared::Shared;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Fingerprint, fingerprint};
use crate::identity::roster::RosterEntry;
use crate::random::OsRandom;
use crate::store::nodes::NodeStore;
use crate::store::{StoreError, StoreFault};

/// How far another doctor's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Patients are told of so many doctors at most.
const TOLD: usize = 128;

/// What was found of entries when they were looked at: none of those that do not
/// pass. They lie under what their bytes are called by.
pub(super) type Checked = HashMap<Fingerprint, Option<RosterEntry>>;

/// Says where her patients reach her, if that or her certificate has changed.
pub(super) fn say(
    shared: &Shared,
    nodes: &dyn NodeStore,
    identity: &DoctorIdentity,
) -> Result<(), StoreError> {
    let address = match office::reachable_address(&shared.practice) {
        // What lies there is no address: it is told, and the rest goes on.
        Err(error) if matches!(error.fault(), StoreFault::Damaged(_)) => {
            if shared.clinic.is_newly_lost(true) {
                shared.tell(Event::Trouble(format!(
                    "patients are not told where this server is reached: {error}"
                )));
            }
            return Ok(());
        }
        address => address?,
    };
    shared.clinic.is_newly_lost(false);
    let Some(address) = address else {
        return Ok(());
    };
    let Ok(address) = address.parse::<Address>() else {
        return Ok(());
    };
    let own = nodes.own_roster_entry()?;
    let known = own.and_then(|bytes| RosterEntry::verify(&bytes, &identity.root).ok());
    let certificate = identity.certificate.fingerprint();
    let is_known = known.is_some_and(|known| {
        *known.address() == address
            && known.certificate().fingerprint() == certificate
            && !is_early(&known, shared.clock.now())
    });
    if is_known || identity.is_revoked() {
        return Ok(());
    }
    match RosterEntry::make(identity, &address, shared.clock.now(), &mut OsRandom) {
        Some(entry) => nodes.put_roster_entry(entry.as_bytes()),
        None => Ok(()),
    }
}

/// Whether an entry is from a time that has not come: patients, who keep the later
/// of two, would keep it for ever.
fn is_early(entry: &RosterEntry, now: Timestamp) -> bool {
    entry.made() > now.plus(AHEAD)
}

/// Tells patients where the clinic's doctors are reached, if there are several.
pub(super) fn tell(
    shared: &Shared,
    nodes: &dyn NodeStore,
    identity: &DoctorIdentity,
) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let checked = check(&shared.clinic.take_checked(), nodes.roster()?, identity);
    let entries = checked.iter().flat_map(|(_, entry)| entry);
    let entries =
        entries.filter(|entry| !entry.is_revoked(&identity.revoked) && !is_early(entry, now));
    let mut entries: Vec<_> = entries.map(|entry| entry.as_bytes().to_vec()).collect();
    shared.clinic.set_checked(checked.into_iter().collect());
    entries.truncate(TOLD);
    if entries.len() < 2 {
        entries.clear();
    }
    if shared.clinic.is_new_roster(&entries) {
        roster::set(shared, entries);
    }
    Ok(())
}

/// Checks these entries, in their order, but for those that were checked before. One
/// that lies under another name than its own is no entry: so each doctor has one.
fn check(
    before: &Checked,
    rows: Vec<(String, Vec<u8>)>,
    identity: &DoctorIdentity,
) -> Vec<(Fingerprint, Option<RosterEntry>)> {
    let is_named = |(name, bytes): &(String, Vec<u8>)| {
        RosterEntry::doctor_in(bytes).is_some_and(|doctor| doctor.as_str() == name)
    };
    let rows = rows.into_iter().filter(is_named);
    let checked = rows.map(|(_, bytes)| {
        let print = fingerprint(&bytes);
        let known = before.get(&print).cloned();
        let entry = known.unwrap_or_else(|| RosterEntry::verify(&bytes, &identity.root).ok());
        (print, entry)
    });
    checked.collect()
}
