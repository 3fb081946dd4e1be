//! The sessions that this node holds, and what each was given.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::roster::Checked;
use crate::identity::certificate::Fingerprint;
use crate::random::{self, Random};
use crate::session::table::SessionId;
use crate::store::nodes::{Answered, Claim, SessionName, Stamp};

/// The sessions of a node among others.
pub(in crate::doctor) struct Clinic {
    /// Tells this run's sessions from those of others.
    run: [u8; 8],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: BTreeMap<SessionId, Held>,
    /// Messages that were sent here before the sessions had been given all that
    /// comes before them; the first session that was not there then.
    sent: BTreeMap<u64, SessionId>,
    /// Sessions that are over.
    ended: Vec<(Fingerprint, SessionName)>,
    /// The first session that comes next.
    next: SessionId,
    /// What was told last of where the clinic's doctors are reached.
    roster: Vec<Vec<u8>>,
    /// What was found of the entries of which that is made.
    checked: Checked,
    /// Whether it could not be read where this doctor is reached.
    is_lost: bool,
    /// The tables with rows that are not read, as it was told last.
    unfit: Vec<(String, u64)>,
    /// Why the list of revoked doctors in the store was not gone by last, as it was
    /// told; empty if it was.
    list_trouble: String,
    /// The doctor's patients, as they were when it was last looked; none before
    /// the first look.
    patients: Option<HashSet<String>>,
    /// Patients to whom she makes tickets herself.
    expected: HashSet<String>,
    /// The last message of a patient's that was looked at; none before the first
    /// look.
    heard: Option<u64>,
}

struct Held {
    device: Fingerprint,
    /// When its first message was answered.
    answered: Answered,
    /// The message up to which it was given everything.
    given: u64,
    /// Whether its own thread has begun to give it what is from before it: nothing
    /// else's is put before that.
    is_served: bool,
}

/// A session that may lack something.
#[derive(Clone, Copy)]
pub(super) struct Behind {
    pub(super) session: SessionId,
    pub(super) device: Fingerprint,
    /// The message up to which it was given everything.
    pub(super) given: u64,
    /// Whether it may be given more now.
    pub(super) is_served: bool,
}

impl Clinic {
    pub(in crate::doctor) fn new(random: &mut dyn Random) -> Self {
        Self {
            run: random::array(random),
            state: Mutex::default(),
        }
    }

    /// Each change is complete in itself: a panic elsewhere leaves it usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, id: SessionId) -> SessionName {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&self.run);
        name[8..].copy_from_slice(&id.number().to_be_bytes());
        name
    }

    /// A session begins whose own thread gives it everything up to this message;
    /// nothing if it is not known which is the newest: it is begun anew when the
    /// store is there again. To be called while nobody sends.
    pub(in crate::doctor) fn joined(
        &self,
        id: SessionId,
        device: Fingerprint,
        answered: Instant,
        newest: Option<u64>,
    ) {
        let held = Held {
            device,
            answered: Answered::Here(answered),
            given: newest.unwrap_or(0),
            is_served: false,
        };
        let mut state = self.state();
        state.next = id.next();
        state.held.insert(id, held);
    }

    /// What is from before a session is in its queue, or what fits of it.
    pub(in crate::doctor) fn served(&self, id: SessionId) {
        if let Some(held) = self.state().held.get_mut(&id) {
            held.is_served = true;
        }
    }

    /// A session is over.
    pub(in crate::doctor) fn left(&self, id: SessionId) {
        let name = self.name(id);
        let mut state = self.state();
        if let Some(held) = state.held.remove(&id) {
            state.ended.push((held.device, name));
        }
    }

    /// A message was put into the books here and is given to its recipients by
    /// whoever did so. To be called while nobody joins.
    pub(in crate::doctor) fn sent(&self, number: u64) {
        let mut state = self.state();
        let mut all = true;
        for held in state.held.values_mut() {
            match held.given + 1 == number {
                true => held.given = number,
                false => all &= held.given >= number,
            }
        }
        if !all {
            let next = state.next;
            state.sent.insert(number, next);
        }
    }

    /// What to claim a session with, if it is not over.
    pub(super) fn claim(&self, id: SessionId) -> Option<Claim> {
        let state = self.state();
        let held = state.held.get(&id)?;
        Some(self.claim_of(id, held))
    }

    fn claim_of(&self, id: SessionId, held: &Held) -> Claim {
        Claim {
            device: held.device,
            session: self.name(id),
            answered: held.answered,
        }
    }

    /// A session is claimed: from now on it is as old as the store says.
    pub(super) fn claimed(&self, id: SessionId, stamp: Stamp) {
        if let Some(held) = self.state().held.get_mut(&id) {
            held.answered = Answered::Stored(stamp);
        }
    }

    /// What to claim all sessions with.
    pub(super) fn claims(&self) -> HashMap<SessionId, Claim> {
        let state = self.state();
        let held = state.held.iter();
        held.map(|(id, held)| (*id, self.claim_of(*id, held)))
            .collect()
    }

    pub(super) fn take_ended(&self) -> Vec<(Fingerprint, SessionName)> {
        std::mem::take(&mut self.state().ended)
    }

    pub(super) fn put_back(&self, ended: Vec<(Fingerprint, SessionName)>) {
        self.state().ended.extend(ended);
    }

    /// The sessions that were not given everything up to this message.
    pub(super) fn behind(&self, newest: u64) -> Vec<Behind> {
        let state = self.state();
        let behind = state.held.iter().filter(|(_, held)| held.given < newest);
        behind
            .map(|(id, held)| Behind {
                session: *id,
                device: held.device,
                given: held.given,
                is_served: held.is_served,
            })
            .collect()
    }

    /// Whether a session was given more than there is, this message being the newest:
    /// an older copy of the store has taken its place.
    pub(super) fn is_ahead_of(&self, newest: u64) -> bool {
        let state = self.state();
        state.held.values().any(|held| held.given > newest)
    }

    /// No session counts as having been given more than this message.
    pub(super) fn fall_back_to(&self, newest: u64) {
        let mut state = self.state();
        for held in state.held.values_mut() {
            held.given = held.given.min(newest);
        }
        state.sent.split_off(&(newest + 1));
    }

    /// Whether a session was given this message by whoever sent it here.
    pub(super) fn was_sent(&self, number: u64, id: SessionId) -> bool {
        let state = self.state();
        state.sent.get(&number).is_some_and(|next| id < *next)
    }

    /// These sessions are given everything up to these messages.
    pub(super) fn given(&self, sessions: impl Iterator<Item = (SessionId, u64)>) {
        let mut state = self.state();
        for (id, number) in sessions {
            if let Some(held) = state.held.get_mut(&id) {
                held.given = held.given.max(number);
            }
        }
        let least = state.held.values().map(|held| held.given).min();
        match least {
            Some(least) => state.sent = state.sent.split_off(&(least + 1)),
            None => state.sent.clear(),
        }
    }

    /// The doctor makes a ticket: a patient of this name is nobody's gift.
    pub(in crate::doctor) fn expect(&self, patient: &str) {
        self.state().expected.insert(patient.to_owned());
    }

    /// She is another doctor's all the same.
    pub(in crate::doctor) fn expect_no_more(&self, patient: &str) {
        self.state().expected.remove(patient);
    }

    /// Notes who the doctor's patients are; gives those who are new, and to whom
    /// she has made no ticket. At the first look nobody is new.
    pub(super) fn new_patients(&self, patients: Vec<String>) -> Vec<String> {
        let mut state = self.state();
        let patients: HashSet<String> = patients.into_iter().collect();
        let State {
            patients: known,
            expected,
            ..
        } = &mut *state;
        let mut new = Vec::new();
        if let Some(known) = known {
            let is_new = |patient: &&String| !known.contains(*patient);
            let given = patients.iter().filter(is_new);
            new.extend(given.filter(|it| !expected.contains(*it)).cloned());
            new.sort_unstable();
        }
        expected.retain(|patient| !patients.contains(patient));
        *known = Some(patients);
        new
    }

    /// After which message of a patient's it is to be looked for more; none before
    /// the first look.
    pub(super) fn heard(&self) -> Option<u64> {
        self.state().heard
    }

    /// Everything up to this message was looked at.
    pub(super) fn has_heard(&self, number: u64) {
        self.state().heard = Some(number);
    }

    /// Notes which tables have rows that are not read; says whether that is new.
    pub(super) fn is_new_unfit(&self, unfit: &[(String, u64)]) -> bool {
        let mut state = self.state();
        let is_new = state.unfit != unfit;
        if is_new {
            state.unfit = unfit.to_vec();
        }
        is_new
    }

    /// Notes why the list of revoked doctors in the store is not gone by, if so; says
    /// whether that is to be told.
    pub(super) fn is_new_list_trouble(&self, trouble: Option<&str>) -> bool {
        let trouble = trouble.unwrap_or_default();
        let mut state = self.state();
        let is_new = state.list_trouble != trouble;
        if is_new {
            trouble.clone_into(&mut state.list_trouble);
        }
        is_new && !trouble.is_empty()
    }

    /// What was found of entries of the roster when they were looked at last.
    pub(super) fn take_checked(&self) -> Checked {
        std::mem::take(&mut self.state().checked)
    }

    /// Notes that for the next time.
    pub(super) fn set_checked(&self, checked: Checked) {
        self.state().checked = checked;
    }

    /// Notes whether it could not be read where this doctor is reached; says whether
    /// that is new.
    pub(super) fn is_newly_lost(&self, is_lost: bool) -> bool {
        let before = std::mem::replace(&mut self.state().is_lost, is_lost);
        is_lost && !before
    }

    /// Notes what is told of where doctors are reached; says whether it is new.
    pub(super) fn is_new_roster(&self, entries: &[Vec<u8>]) -> bool {
        let mut state = self.state();
        let is_new = state.roster != entries;
        if is_new {
            state.roster = entries.to_vec();
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn session(number: u64) -> SessionId {
        SessionId::for_test(number)
    }

    fn joined(clinic: &Clinic, number: u8, newest: Option<u64>) {
        let id = session(u64::from(number));
        clinic.joined(id, [number; 32], Instant::now(), newest);
    }

    fn behind(clinic: &Clinic, newest: u64) -> Vec<(u8, u64)> {
        let behind = clinic.behind(newest).into_iter();
        behind.map(|it| (it.device[0], it.given)).collect()
    }

    #[test]
    fn what_is_sent_here_in_order_leaves_nobody_behind() {
        let clinic = Clinic::new(&mut OsRandom);
        joined(&clinic, 1, Some(4));
        clinic.sent(5);
        joined(&clinic, 2, Some(5));
        clinic.sent(6);
        assert!(behind(&clinic, 6).is_empty());
        assert!(!clinic.was_sent(6, session(1)), "nothing to remember");
        // Another node's is 7.
        clinic.sent(8);
        assert_eq!(behind(&clinic, 8), [(1, 6), (2, 6)]);
        joined(&clinic, 3, Some(8));
        let sent_to: Vec<_> = (1..=3).map(|it| clinic.was_sent(8, session(it))).collect();
        assert_eq!(sent_to, [true, true, false]);
        assert!(!clinic.was_sent(7, session(1)));
        clinic.given([1, 2].map(|it| (session(it), 8)).into_iter());
        assert!(behind(&clinic, 8).is_empty());
        assert!(!clinic.was_sent(8, session(1)), "forgotten");
    }

    #[test]
    fn who_joins_while_the_store_is_away_lacks_everything_but_what_is_sent_here() {
        let clinic = Clinic::new(&mut OsRandom);
        joined(&clinic, 1, None);
        clinic.sent(9);
        assert_eq!(behind(&clinic, 9), [(1, 0)]);
        assert!(clinic.was_sent(9, session(1)));
        joined(&clinic, 2, None);
        assert!(!clinic.was_sent(9, session(2)));
        joined(&clinic, 3, Some(9));
        assert_eq!(behind(&clinic, 9), [(1, 0), (2, 0)]);
    }

    #[test]
    fn whoever_is_given_to_a_doctor_is_new_once_and_those_she_enrols_are_not() {
        let clinic = Clinic::new(&mut OsRandom);
        let new = |patients: &[&str]| {
            let patients = patients.iter().map(ToString::to_string).collect();
            clinic.new_patients(patients)
        };
        assert!(new(&["P1"]).is_empty(), "the first look");
        assert_eq!(new(&["P1", "P2"]), ["P2"]);
        assert!(new(&["P1", "P2"]).is_empty());
        clinic.expect("P3");
        assert!(new(&["P2", "P3"]).is_empty());
        // Given away, and back.
        assert_eq!(new(&["P1", "P2"]), ["P1"]);
        assert_eq!(new(&["P1", "P2", "P3"]), ["P3"]);
        clinic.expect("P4");
        clinic.expect_no_more("P4");
        assert_eq!(new(&["P4"]), ["P4"]);
    }

    #[test]
    fn a_session_that_is_over_is_released_once() {
        let clinic = Clinic::new(&mut OsRandom);
        joined(&clinic, 1, Some(4));
        let claim = clinic.claim(session(1)).unwrap();
        assert_eq!(clinic.claims().len(), 1);
        clinic.left(session(1));
        clinic.left(session(1));
        assert_eq!(clinic.take_ended(), [([1; 32], claim.session)]);
        assert!(clinic.take_ended().is_empty());
        assert!(clinic.claim(session(1)).is_none());
        let other = Clinic::new(&mut OsRandom);
        joined(&other, 1, Some(4));
        let same_number = other.claim(session(1)).unwrap();
        assert_ne!(same_number.session, claim.session);
    }
}
