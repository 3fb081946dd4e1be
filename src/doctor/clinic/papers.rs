//! Papers of the clinic that another doctor may have changed: the list of
//! revoked doctors, where doctors are reached, and the recovery code.

use std::sync::Arc;

use super::roster;
use crate::audit::{Action, Entry};
use crate::doctor::dismissal::{self, Dismissed};
use crate::doctor::event::Event;
use crate::doctor::practice::SERVER;
use crate::doctor::recall;
use crate::doctor::recovery;
use crate::doctor::setup;
use crate::doctor::shared::Shared;
use crate::random::OsRandom;
use crate::store::StoreError;
use crate::store::nodes::NodeStore;

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
    roster::say(shared, nodes, &identity)?;
    roster::tell(shared, nodes, &identity)?;
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
