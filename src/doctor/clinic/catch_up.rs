//! What other nodes have changed, done here as if it had been changed here. It
//! may be done again at any time: what was done is not done twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::held::Behind;
use super::{claim_for, moved, papers};
use crate::doctor::authors::Authors;
use crate::doctor::event::Event;
use crate::doctor::housekeeping;
use crate::doctor::messages::addressees::Addressees;
use crate::doctor::messages::senders::Senders;
use crate::doctor::messages::{self, BookError};
use crate::doctor::post::outgoing::Outgoing;
use crate::doctor::post::prepare;
use crate::doctor::recall;
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::protocol::message::Message;
use crate::session::table::{Connected, SessionId};
use crate::store::StoreError;
use crate::store::messages::{Kind, MessageRow};
use crate::store::nodes::{News, NodeStore};

/// At most so many messages are ahead of a session's receipts: the rest is given
/// at the next look. Its queue holds four times as many.
const AT_ONCE: usize = 64;

/// At most so many messages are read at one look, while nobody else gives anything:
/// some 16 MB if they are of the longest.
const READ_AT_ONCE: usize = 256;

/// Catches up with what has changed; gives what it leaves for the next time, and
/// the first error that kept it from something: what one kind of news fails at
/// keeps no other back.
pub(in crate::doctor) fn catch_up(
    shared: &Arc<Shared>,
    news: News,
) -> (News, Result<(), StoreError>) {
    let store = Arc::clone(&shared.practice.store);
    let (mut left, mut result) = (News::default(), Ok(()));
    let Some(nodes) = store.nodes() else {
        return (left, result);
    };
    let mut is_left = |is_news: bool, work: &dyn Fn() -> Result<bool, StoreError>| {
        is_news
            && work().unwrap_or_else(|error| {
                if result.is_ok() {
                    result = Err(error);
                }
                true
            })
    };
    let done = |()| false;
    // A doctor who was put out gives nothing any more, nor is a device that was
    // given anything.
    left.papers = is_left(news.papers, &|| papers::catch_up(shared, nodes).map(done));
    left.certificates = is_left(news.certificates, &|| {
        housekeeping::check_certificates(shared)?;
        // It is not looked while the store is known to be away.
        Ok(store.absence().is_some())
    });
    left.claims = is_left(news.claims, &|| end_moved(shared, nodes).map(done));
    left.messages = is_left(news.messages, &|| give(shared, nodes));
    left.transfers = is_left(news.transfers, &|| tell_transfers(shared, nodes).map(done));
    left.letters = is_left(news.letters, &|| tell_letters(shared, nodes));
    (left, result)
}

/// Ends the sessions whose devices have newer ones elsewhere, and releases what is
/// claimed for sessions that are over.
fn end_moved(shared: &Shared, nodes: &dyn NodeStore) -> Result<(), StoreError> {
    let claims = shared.clinic.claims();
    let all: Vec<_> = claims.values().copied().collect();
    let held: Vec<_> = all.iter().map(|claim| claim.session).collect();
    nodes.release_others(&held)?;
    let unclaimed: HashSet<_> = nodes.unclaimed(&all)?.into_iter().collect();
    for (id, claim) in claims {
        // It may be nobody's: the server has forgotten, or could not be asked.
        if unclaimed.contains(&claim.session) && !claim_for(shared, nodes, id, &claim)? {
            moved(shared, &claim, id);
        }
    }
    Ok(())
}

/// Tells the doctor whom others have given to her.
fn tell_transfers(shared: &Shared, nodes: &dyn NodeStore) -> Result<(), StoreError> {
    let Some(clinic) = shared.practice.store.clinic() else {
        return Ok(());
    };
    let patients = clinic.patients_of(nodes.doctor())?;
    for patient in shared.clinic.new_patients(patients) {
        shared.tell(Event::Transferred(patient));
    }
    Ok(())
}

/// Tells the doctor what her patients have written to others; says whether there
/// is more. What was there before this server started is in her inbox.
fn tell_letters(shared: &Shared, nodes: &dyn NodeStore) -> Result<bool, StoreError> {
    let newest = nodes.newest_incoming()?;
    let Some(heard) = shared.clinic.heard() else {
        shared.clinic.has_heard(newest);
        return Ok(false);
    };
    if newest <= heard {
        // Others come under the numbers of those that an older copy has not.
        shared.clinic.has_heard(newest);
        return Ok(false);
    }
    let came = nodes.came_elsewhere(heard, newest, AT_ONCE)?;
    let is_all = came.len() < AT_ONCE;
    let senders = Senders::new(&shared.practice);
    for (through, row) in came {
        match senders.open(&row) {
            Ok((patient, message)) => shared.tell(Event::Elsewhere {
                patient,
                through,
                message,
            }),
            Err(BookError::Store(error)) => return Err(error),
            Err(error) => shared.tell_refused_letter(row.number, &error),
        }
        shared.clinic.has_heard(row.number);
    }
    if is_all {
        shared.clinic.has_heard(newest);
    }
    Ok(!is_all)
}

/// A message, and those it is to be given to.
struct Open {
    row: MessageRow,
    sessions: HashSet<SessionId>,
}

/// The same with what the message says, and for whom.
type Opened = (Open, (Message, Addressees));

/// Gives what the sessions lack; says whether some lack still more.
fn give(shared: &Arc<Shared>, nodes: &dyn NodeStore) -> Result<bool, StoreError> {
    let store = &shared.practice.store;
    // A look that keeps nobody waiting.
    let newest = store.newest_message()?;
    let behind = shared.clinic.behind(newest);
    if behind.iter().all(|it| !it.is_served) && !shared.clinic.is_ahead_of(newest) {
        return Ok(!behind.is_empty());
    }
    // Nobody joins and nobody else gives anything between the look at what is
    // open and the word of what is given.
    let order = shared.order();
    let newest = store.newest_message()?;
    if shared.clinic.is_ahead_of(newest) {
        // Other messages come under the numbers of those that are gone.
        shared.clinic.fall_back_to(newest);
        shared.signed().clear();
        shared.forget_refused();
        recall::recall(shared, "the database was put back to an earlier state");
        return Ok(true);
    }
    let members = shared.tables.sessions.connected();
    let present: HashSet<_> = members.iter().map(|member| member.id).collect();
    let behind = shared.clinic.behind(newest).into_iter();
    // A session that was ended is held until its thread has ended, too.
    let (behind, over): (Vec<_>, Vec<_>) = behind.partition(|it| present.contains(&it.session));
    // In the order of numbers: what is from before a session comes first.
    let (behind, unserved): (Vec<_>, Vec<_>) = behind.into_iter().partition(|it| it.is_served);
    let (open, given) = find_open(shared, nodes, &behind, newest)?;
    // What cannot be read now is given at another look: nobody counts as having
    // been given it before.
    let open = open_all(shared, open)?;
    let over = over.into_iter().map(|it| (it.session, newest));
    shared.clinic.given(given.iter().copied().chain(over));
    let mut later = Vec::new();
    for (Open { row, sessions }, message) in open {
        let is_for = |member: &&Connected| sessions.contains(&member.id);
        let members: Vec<_> = members.iter().filter(is_for).cloned().collect();
        let devices = members.iter().map(|it| it.certificate.fingerprint());
        let outgoing = Outgoing::new(shared, message, row.number, devices.collect());
        if row.kind == Kind::Broadcast && outgoing.is_for_all() {
            let prepared = prepare(shared, outgoing.message(), shared.clock.now());
            let (given, _) = outgoing.to_group(prepared);
            shared
                .flusher
                .send(given.into_iter().map(|member| member.outbox));
        } else {
            later.push((outgoing, row.kind, members));
        }
    }
    drop(order);
    for (outgoing, kind, members) in later {
        outgoing.one_by_one(kind, members);
    }
    Ok(!unserved.is_empty() || given.iter().any(|(_, number)| *number < newest))
}

/// Opens these messages. Those that may be given to nobody are told of and left
/// out.
fn open_all(shared: &Shared, open: Vec<Open>) -> Result<Vec<Opened>, StoreError> {
    let authors = Authors::new(&shared.practice);
    let mut opened = Vec::with_capacity(open.len());
    for each in open {
        match messages::open_with(&authors, &each.row) {
            Ok(found) => opened.push((each, found)),
            Err(BookError::Store(error)) => return Err(error),
            Err(error) => shared.tell_refused(each.row.number, &error),
        }
    }
    Ok(opened)
}

type Given = Vec<(SessionId, u64)>;

/// What is open for these sessions and was not given to them, the oldest first;
/// and up to which message each is given everything with that. However many there
/// are, the oldest are given first, and the rest at the next look.
fn find_open(
    shared: &Shared,
    nodes: &dyn NodeStore,
    behind: &[Behind],
    newest: u64,
) -> Result<(Vec<Open>, Given), StoreError> {
    let by_device: HashMap<Fingerprint, SessionId> =
        behind.iter().map(|it| (it.device, it.session)).collect();
    let devices: Vec<_> = behind.iter().map(|it| (it.device, it.given)).collect();
    let (found, mut all_up_to) = nodes.open_for(&devices, newest, shared.clock.now())?;
    let mut given: HashMap<SessionId, u64> = behind.iter().map(|it| (it.session, newest)).collect();
    let mut counts: HashMap<SessionId, usize> = HashMap::new();
    let mut open = Vec::new();
    for (number, devices) in found {
        if open.len() == READ_AT_ONCE {
            all_up_to = number - 1;
            break;
        }
        let mut sessions = HashSet::new();
        for device in devices {
            let Some(&session) = by_device.get(&device) else {
                continue;
            };
            // Full already, or given when it was sent.
            if given.get(&session).is_none_or(|up_to| *up_to < number)
                || shared.clinic.was_sent(number, session)
            {
                continue;
            }
            let awaited = || shared.live().records_awaited(session);
            let count = counts.entry(session).or_insert_with(awaited);
            *count += 1;
            if *count > AT_ONCE {
                given.insert(session, number - 1);
            } else {
                sessions.insert(session);
            }
        }
        if !sessions.is_empty()
            && let Some(row) = shared.practice.store.message(number)?
        {
            open.push(Open { row, sessions });
        }
    }
    let given = given.into_iter();
    Ok((
        open,
        given
            .map(|(session, up_to)| (session, up_to.min(all_up_to)))
            .collect(),
    ))
}
