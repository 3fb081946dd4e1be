//! The thread that looks whether a store on a server is there. It tells once
//! that it is away and once that it is back, however many wait for it. Then it
//! tells what was put there at the last moment, and begins the sessions anew for
//! which something could not be done meanwhile.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::event::Event;
use crate::doctor::housekeeping;
use crate::doctor::practice::SERVER;
use crate::doctor::shared::Shared;
use crate::doctor::unsure;
use crate::protocol::DisconnectReason;
use crate::store::is_away;

/// How often it is looked.
const TICK: Duration = Duration::from_secs(1);

/// Looks until the server stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut away: Option<Timestamp> = None;
    while !shared.is_stopping() {
        match (shared.practice.store.knock(), away) {
            (Err(error), None) if is_away(&error) => {
                let absence = shared.practice.store.absence();
                away = Some(absence.map_or_else(|| shared.clock.now(), |absence| absence.since));
                shared.tell(Event::StoreAway(error.to_string()));
            }
            (Ok(()), since) => {
                if let Some(since) = since {
                    shared.tell(Event::StoreBack(since));
                    away = None;
                }
                housekeeping::log_kept(shared);
                unsure::look(shared);
                begin_anew(shared);
            }
            // Still away, or another trouble, which those tell who meet it.
            (Err(_), _) => {}
        }
        // Who stops the server wakes it.
        thread::park_timeout(TICK);
    }
}

/// Ends the sessions for which something could not be done: their devices come
/// back at once, are given what is open and say again what was not answered.
fn begin_anew(shared: &Shared) {
    let now = Instant::now();
    let due = |_: &_, (_, at): &mut (_, Instant)| *at <= now;
    let unsettled: Vec<_> = shared.unsettled().extract_if(due).collect();
    for (device, (id, _)) in unsettled {
        let reason = DisconnectReason::Expired;
        let sessions = &shared.tables.sessions;
        let members = sessions.connected().into_iter();
        let patient = members
            .filter(|member| member.id == id)
            .map(|member| member.certificate.subject().identifier.to_string())
            .next();
        if let (Some(outbox), Some(patient)) =
            (sessions.expel(&device, id, reason, Instant::now()), patient)
        {
            let why = "the session is begun anew, the database answers again";
            let now = shared.clock.now();
            shared.note(Entry::new(now, SERVER, Action::Left, &patient, why));
            shared.flusher.send([outbox]);
        }
    }
}
