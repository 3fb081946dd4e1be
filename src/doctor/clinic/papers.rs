//! Papers of the clinic that another doctor may have changed: the list of
//! revoked doctors, and where doctors are reached.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::dismissal::{self, Dismissed};
use crate::doctor::event::Event;
use crate::doctor::office;
use crate::doctor::practice::SERVER;
use crate::doctor::recall;
use crate::doctor::recovery;
use crate::doctor::roster;
use crate::doctor::setup;
use crate::doctor::shared::Shared;
use crate::identity::authority::DoctorIdentity;
use crate::identity::roster::RosterEntry;
use crate::random::OsRandom;
use crate::store::StoreError;
use crate::store::nodes::NodeStore;

/// How far another doctor's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What is told of a list of revoked doctors that is none.
const UNREAD: &str = "the list of revoked doctors in the database is missing, damaged or not this \
    clinic's; this server goes on by the newest one it knows and hears of nobody who is revoked: \
    see who can write to the database, and restore a backup";

/// Goes on with newer papers.
///
/// # Errors
/// [`StoreError`].
pub(super) fn catch_up(shared: &Arc<Shared>, nodes: &dyn NodeStore) -> Result<(), StoreError> {
    renew_revoked(shared)?;
    if shared.dismissal.is() {
        return Ok(());
    }
    let identity = shared.identity();
    put_own_entry(shared, nodes, &identity)?;
    tell_roster(shared, nodes, &identity)?;
    tell_unfit(shared, nodes)?;
    tell_recovery(shared)
}

/// Goes on with a newer list of revoked doctors. Patients learn it with a full
/// handshake: they are asked to come back.
fn renew_revoked(shared: &Shared) -> Result<(), StoreError> {
    let practice = &shared.practice;
    let identity = practice.identity();
    let Some(revoked) = setup::stored_revoked(&*practice.store, &identity.root)? else {
        tell_list_trouble(shared, Some(UNREAD));
        return Ok(());
    };
    if revoked.contains(&identity.certificate.subject().serial) {
        dismissal::dismiss(shared, Dismissed::Revoked);
        return Ok(());
    }
    if revoked.number() <= identity.revoked.number() {
        tell_list_trouble(shared, None);
        return Ok(());
    }
    let order = shared.order();
    let now = practice.now();
    let loaded = setup::load(&practice.directory, &*practice.store, now, &mut OsRandom);
    match loaded {
        Ok(identity) => {
            recall::go_on_with(shared, identity);
            drop(order);
            tell_list_trouble(shared, None);
        }
        Err(error) => {
            drop(order);
            let trouble = format!("the clinic's new list of revoked doctors is not told: {error}");
            tell_list_trouble(shared, Some(&trouble));
        }
    }
    Ok(())
}

/// Says, once, why the list of revoked doctors in the database is not gone by.
fn tell_list_trouble(shared: &Shared, trouble: Option<&str>) {
    let is_new = shared.clinic.is_new_list_trouble(trouble);
    if let Some(sentence) = trouble.filter(|_| is_new) {
        shared.tell(Event::Trouble(sentence.to_owned()));
    }
}

/// Says where her patients reach her, if that or her certificate has changed.
fn put_own_entry(
    shared: &Shared,
    nodes: &dyn NodeStore,
    identity: &DoctorIdentity,
) -> Result<(), StoreError> {
    let Some(address) = office::reachable_address(&shared.practice)? else {
        return Ok(());
    };
    let Ok(address) = address.parse::<Address>() else {
        return Ok(());
    };
    let entries = nodes.roster()?;
    let own = entries.iter().find(|(name, _)| name == nodes.doctor());
    let known = own.and_then(|(_, bytes)| RosterEntry::verify(bytes, &identity.root).ok());
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

/// Says, once, that another doctor has made a new recovery code, and logs it here
/// too: hers may be on paper somewhere.
fn tell_recovery(shared: &Shared) -> Result<(), StoreError> {
    if let Some(sentence) = recovery::changed_elsewhere(&shared.practice)? {
        let now = shared.clock.now();
        shared.note(Entry::new(now, SERVER, Action::KeyChanged, "", &sentence));
        shared.tell(Event::Clinic(sentence));
    }
    Ok(())
}

/// Says, once, that rows of other nodes are not read.
fn tell_unfit(shared: &Shared, nodes: &dyn NodeStore) -> Result<(), StoreError> {
    let unfit = nodes.unfit()?;
    let is_new = shared.clinic.is_new_unfit(&unfit);
    if unfit.is_empty() || !is_new {
        return Ok(());
    }
    let tables = unfit.iter().map(|(table, rows)| match rows {
        1 => format!("1 row of the table '{table}'"),
        rows => format!("{rows} rows of the table '{table}'"),
    });
    let tables: Vec<String> = tables.collect();
    shared.tell(Event::Trouble(format!(
        "the database has {} with names, papers or times that cannot be, or more than are \
         read; they are not gone by: see which server has put them there, and who can write to the database",
        tables.join(", ")
    )));
    Ok(())
}

/// Tells patients where the clinic's doctors are reached, if there are several.
fn tell_roster(
    shared: &Shared,
    nodes: &dyn NodeStore,
    identity: &DoctorIdentity,
) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let accepted = nodes.roster()?.into_iter().filter(|(_, bytes)| {
        RosterEntry::accept(bytes, &identity.root, &identity.revoked)
            .is_ok_and(|entry| !is_early(&entry, now))
    });
    let mut entries: Vec<_> = accepted.map(|(_, bytes)| bytes).collect();
    if entries.len() < 2 {
        entries.clear();
    }
    if shared.clinic.is_new_roster(&entries) {
        roster::set(shared, entries);
    }
    Ok(())
}
