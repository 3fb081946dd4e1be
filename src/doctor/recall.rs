//! All patients are asked to come back, and learn what has changed with a full
//! handshake.

use std::time::Instant;

use crate::audit::{Action, Entry};
use crate::doctor::practice::SERVER;
use crate::doctor::shared::Shared;
use crate::identity::authority::DoctorIdentity;
use crate::protocol::DisconnectReason;
use crate::session::table::Connected;

/// Goes on with these papers of the doctor's. If they bring a newer list of revoked
/// doctors the patients are to learn it. To be called with [`Shared::order`] held.
pub(super) fn go_on_with(shared: &Shared, identity: DoctorIdentity) {
    let practice = &shared.practice;
    let is_newer = identity.revoked.number() > practice.identity().revoked.number();
    practice.replace_identity(identity);
    if is_newer {
        recall(shared, "the clinic has a new list of revoked doctors");
    }
}

/// Ends all sessions; their devices come back at once. To be called with
/// [`Shared::order`] held.
pub(super) fn recall(shared: &Shared, why: &str) {
    end_all(shared, DisconnectReason::Expired, why);
}

/// Ends all sessions with this reason, and their tokens; `why` is for the audit
/// log. To be called with [`Shared::order`] held.
pub(super) fn end_all(shared: &Shared, reason: DisconnectReason, why: &str) {
    let sessions = &shared.tables.sessions;
    let ended = sessions.expel_all(reason, Instant::now());
    for member in &ended {
        sessions.forget_token(&member.certificate.fingerprint());
    }
    say_last_words(shared, ended, SERVER, why);
}

/// Sends the last words of sessions that were ended, and logs their end: who has
/// ended them, and why.
pub(super) fn say_last_words(shared: &Shared, ended: Vec<Connected>, actor: &str, why: &str) {
    let now = shared.clock.now();
    for member in &ended {
        let patient = member.certificate.subject().identifier.as_str();
        shared.note(Entry::new(now, actor, Action::Left, patient, why));
    }
    let queues = ended.into_iter().map(|member| member.outbox);
    shared.flusher.send(queues);
}
