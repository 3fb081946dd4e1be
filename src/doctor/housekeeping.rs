//! The threads that look after what time changes. One waits for nothing: late
//! rekeys, heartbeats, silent and stalled lines. The other asks the store, which
//! may be slow: certificates and tokens that end, prekeys.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::doctor::authority::{self, Renewal};
use crate::doctor::event::{Departure, Event};
use crate::doctor::recall;
use crate::doctor::setup;
use crate::doctor::shared::Shared;
use crate::doctor::staff;
use crate::handshake::registry::{Registry, Standing};
use crate::identity::certificate::{Fingerprint, Serial};
use crate::protocol::DisconnectReason;
use crate::random::OsRandom;
use crate::session::table::Connected;
use crate::store::{StoreError, is_away};

/// How often the group is looked at, besides when somebody joins.
const TICK: Duration = Duration::from_millis(50);
/// How often lines are looked at.
const LINES_EVERY: Duration = Duration::from_secs(1);
/// How often a person is told that a certificate ends.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after its last token a session may go on.
const RENEWAL_LIMIT: Duration = Duration::from_secs(65 * 60);
/// The same in records.
const RECORD_LIMIT: u64 = 1 << 21;

/// Looks after a server's lines until it stops.
pub fn run(shared: &Arc<Shared>) {
    let timing = &shared.settings.timing;
    // Nobody else sets it.
    let _ = shared.housekeeper.set(thread::current());
    let mut lines_at = Instant::now();
    while !shared.is_stopping() {
        thread::park_timeout(TICK);
        let now = Instant::now();
        shared.pulse.housekeeping(now);
        let sessions = &shared.tables.sessions;
        let rekeyed = sessions.rekey_if_due(now, &mut OsRandom);
        if !rekeyed.members.is_empty() {
            shared.flusher.send(rekeyed.members);
            sessions.rekey_took(now.elapsed());
        }
        shared.dropped(rekeyed.dropped);
        if now >= lines_at {
            lines_at = now + LINES_EVERY;
            shared
                .flusher
                .send(sessions.heartbeats(timing.heartbeat, now));
            for member in sessions.connected() {
                look_at(shared, &member, now);
            }
        }
    }
}

/// Looks after certificates and the like until it stops.
pub fn keep_dates(shared: &Arc<Shared>) {
    let mut dates_at = Instant::now();
    // The start has told it.
    let mut reminded = due(shared).map(|_| shared.clock.now());
    let mut looked_at_staff = None;
    while !shared.is_stopping() {
        thread::park_timeout(TICK);
        let now = Instant::now();
        if now < dates_at {
            continue;
        }
        dates_at = now + shared.settings.timing.dates;
        // What cannot be read now is looked at again in a minute.
        let _ = check_certificates(shared);
        shared.tables.sessions.drop_ended_tokens(shared.clock.now());
        // While the store is away nothing waits for it in vain.
        if shared.practice.store.absence().is_none() {
            renew_prekeys(shared);
            end_expired(shared);
            remind(shared, &mut reminded);
            remind_of_staff(shared, &mut looked_at_staff);
        }
        if !shared.practice.store.may_be_away() {
            // One that may be away has somebody who looks more often.
            log_kept(shared);
        }
        shared.released(&shared.gate.ended_blocks(Instant::now()), false);
        summarise(shared);
    }
}

/// Logs what could not be logged before.
pub fn log_kept(shared: &Shared) {
    if let Some(lost) = shared.ledger.log_kept() {
        shared.tell(Event::Trouble(format!(
            "{lost} entries of the audit log were too many to be kept while the database could \
             not be written"
        )));
    }
}

/// Drops a member who is silent or does not read.
fn look_at(shared: &Shared, member: &Connected, now: Instant) {
    let idle = shared.settings.timing.idle;
    let name = &member.certificate.subject().identifier;
    let device = member.certificate.fingerprint();
    if member.outbox.stalled_for(now) >= idle {
        shared.drop_stalled(&device, member.id, name);
        member.outbox.close();
    } else if member.outbox.unheard_for(now) >= idle {
        if shared.tables.sessions.leave(&device, member.id, now) {
            shared.tell(Event::Left(shared.peer_of(member), Departure::Lost));
        }
        member.outbox.close();
    }
}

/// Ends every session whose certificate was stopped, here or by another node, or
/// has ended, or that was not renewed.
///
/// # Errors
/// [`StoreError`]: which certificates were stopped cannot be read now, and nobody
/// was put out for that.
pub(super) fn check_certificates(shared: &Shared) -> Result<(), StoreError> {
    let members = shared.tables.sessions.connected();
    let (over, rest): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| is_over(shared, member));
    for member in over {
        end(shared, &member, DisconnectReason::Expired);
    }
    // While the store is away nothing waits for it in vain.
    if shared.practice.store.absence().is_some() {
        return Ok(());
    }
    let stopped = stopped(shared, &rest)?;
    // Also of devices that are not connected: while the store is away their tokens
    // would be good.
    for device in &stopped {
        shared.tables.sessions.forget_token(device);
    }
    for member in rest {
        if stopped.contains(&member.certificate.fingerprint()) {
            end(shared, &member, DisconnectReason::Revoked);
        }
    }
    Ok(())
}

fn is_over(shared: &Shared, member: &Connected) -> bool {
    let now = shared.clock.now();
    now.since(member.token_given) > RENEWAL_LIMIT
        || member.outbox.records_sent() > RECORD_LIMIT
        || member.certificate.check_dates(now).is_err()
}

/// Those of these devices, and in a clinic of those with a token, whose
/// certificates were stopped.
fn stopped(shared: &Shared, members: &[Connected]) -> Result<HashSet<Fingerprint>, StoreError> {
    let device = |member: &Connected| member.certificate.fingerprint();
    if let Some(nodes) = shared.practice.store.nodes() {
        // One question for all of them: the store is on another machine.
        let members = members.iter().map(device);
        let holders = shared.tables.sessions.token_holders().into_iter();
        let devices: HashSet<_> = members.chain(holders).collect();
        let devices: Vec<_> = devices.into_iter().collect();
        return Ok(nodes.stopped(&devices)?.into_iter().collect());
    }
    let is_stopped = |member: &&Connected| is_stopped(shared, &member.certificate.subject().serial);
    Ok(members.iter().filter(is_stopped).map(device).collect())
}

/// Whether a certificate was stopped. A table that cannot be read now puts
/// nobody out.
pub fn is_stopped(shared: &Shared, serial: &Serial) -> bool {
    let row = shared.tables.certificate(serial);
    row.is_ok_and(|row| row.is_none_or(|row| row.standing != Standing::Active))
}

fn end(shared: &Shared, member: &Connected, reason: DisconnectReason) {
    let device = member.certificate.fingerprint();
    let sessions = &shared.tables.sessions;
    if reason == DisconnectReason::Revoked {
        sessions.forget_token(&device);
    }
    if let Some(outbox) = sessions.expel(&device, member.id, reason, Instant::now()) {
        let departure = match reason {
            DisconnectReason::Revoked => Departure::Revoked,
            _ => Departure::Expired,
        };
        shared.tell(Event::Left(shared.peer_of(member), departure));
        shared.flusher.send([outbox]);
    }
}

fn summarise(shared: &Shared) {
    let untold = shared.untold.swap(0, Ordering::Relaxed);
    if untold > 0 {
        shared.tell(Event::Trouble(format!(
            "{untold} events were not shown: whoever reads what this program prints is too slow"
        )));
    }
    shared.shown.store(0, Ordering::Relaxed);
    shared.blocks_shown.store(0, Ordering::Relaxed);
    let strangers = shared.strangers.swap(0, Ordering::Relaxed);
    if strangers > 0 {
        shared.tell(Event::Strangers(strangers));
    }
}

fn due(shared: &Shared) -> Option<Renewal> {
    authority::renewal(&shared.practice, shared.clock.now())
}

/// Says once a day that it is time to renew the doctor's certificate.
fn remind(shared: &Shared, reminded: &mut Option<Timestamp>) {
    let now = shared.clock.now();
    let is_told = |told: Timestamp| now.since(told) < REMIND_EVERY;
    match due(shared) {
        None => *reminded = None,
        Some(_) if reminded.is_some_and(is_told) => {}
        Some(renewal) => {
            *reminded = Some(now);
            let command = renewal.command();
            shared.tell(Event::Trouble(format!("{renewal}; renew it: {command}")));
        }
    }
}

/// Says once a day, and at the start, whose certificates end who have no server that
/// would say so.
fn remind_of_staff(shared: &Shared, looked: &mut Option<Timestamp>) {
    let now = shared.clock.now();
    if looked.is_some_and(|at| now.since(at) < REMIND_EVERY) {
        return;
    }
    // What cannot be read now is looked at again in a minute.
    let Ok(ending) = staff::ending(&shared.practice) else {
        return;
    };
    *looked = Some(now);
    for member in ending {
        let [first, second] = member.commands();
        shared.tell(Event::Trouble(format!(
            "{member}; she joins anew: {first}, then {second}"
        )));
    }
}

/// Messages that have ended are given to nobody any more.
fn end_expired(shared: &Shared) {
    if let Err(error) = shared.practice.store.end_expired(shared.clock.now())
        && !is_away(&error)
    {
        shared.tell(Event::Trouble(format!(
            "messages that have ended cannot be taken out: {error}"
        )));
    }
}

/// Makes the prekeys that are due, and drops those that have ended.
fn renew_prekeys(shared: &Shared) {
    let practice = &shared.practice;
    let now = practice.now();
    let current = practice.identity();
    let mut prekeys = current.prekeys.iter();
    if !current.needs_prekey(now) && !prekeys.any(|own| now > own.prekey.not_after()) {
        return;
    }
    // Nobody else changes her papers meanwhile, as when they are renewed.
    let _order = shared.order();
    let (directory, store) = (&practice.directory, &*practice.store);
    let renewed = setup::load(directory, store, now, &mut OsRandom).and_then(|mut identity| {
        setup::renew_prekeys(directory, store, &mut identity, now, &mut OsRandom)?;
        Ok(identity)
    });
    match renewed {
        // The list of revoked doctors may be newer, too.
        Ok(identity) => recall::go_on_with(shared, identity),
        // It is tried again in a minute.
        Err(error) if is_away(&error) => {}
        Err(error) => shared.tell(Event::Trouble(format!("no new prekey: {error}"))),
    }
}
