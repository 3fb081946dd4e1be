//! What only a clinic of several doctors has: who works in it, how somebody
//! joins it, and whose patient a patient is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::store::{Revoked, Store, StoreError};

/// What has become of a ticket for joining. Its end is not a state: see
/// [`JoinTicketRow::expires`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinState {
    /// Nobody has used it.
    Open,
    /// Somebody asks to be let in with it.
    Asked,
    /// She was answered.
    Answered,
    /// She has the answer, and works in the clinic.
    Used,
    /// Taken back. No other state follows.
    Revoked,
}

impl JoinState {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Asked,
        Self::Answered,
        Self::Used,
        Self::Revoked,
    ];

    /// The state as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Used => "used",
            Self::Revoked => "revoked",
        }
    }

    /// The state that is called this.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for JoinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A one-time ticket with which somebody joins the clinic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinTicketRow {
    /// Its identifier.
    pub id: [u8; 16],
    /// The doctor who made it.
    pub doctor: String,
    /// Whom it is for.
    pub subject: String,
    /// What she will be: doctor, assistant or auditor.
    pub role: String,
    /// What she proves to know, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What has become of it.
    pub state: JoinState,
    /// The request that was made with it.
    pub request: Option<Vec<u8>>,
    /// The answer to that.
    pub answer: Option<Vec<u8>>,
}

impl JoinTicketRow {
    /// What the secret is sealed to: all that must not be changed of the ticket.
    #[must_use]
    pub fn row_name(&self) -> Vec<u8> {
        let (created, expires) = (self.created.as_millis(), self.expires.as_millis());
        let (doctor, subject, role) = (&self.doctor, &self.subject, &self.role);
        let text = format!("{doctor}|{subject}|{role}|{created}|{expires}");
        Writer::new()
            .bytes(&self.id)
            .bytes(text.as_bytes())
            .finish()
    }
}

/// What came of handing in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handed {
    /// It is there now.
    Now,
    /// The very same was there already.
    Before,
    /// The ticket is not there, was taken back, or another request was made with
    /// it; nothing was changed.
    Refused,
}

/// Somebody who works in the clinic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaffRow {
    /// Her identifier.
    pub id: String,
    /// What she is: doctor, assistant or auditor.
    pub role: String,
    /// Her certificate, as the root signed it when she joined.
    pub certificate: Vec<u8>,
    /// When that was.
    pub joined: Timestamp,
}

/// Somebody who is taken out of the clinic.
#[derive(Clone, Copy)]
pub struct Removal<'a> {
    /// Who.
    pub member: &'a str,
    /// The list of revoked doctors that was looked at.
    pub known: &'a [u8],
    /// The one that follows it, and names her certificates.
    pub list: &'a [u8],
    /// The facts that have new values besides.
    pub facts: &'a [(&'a str, &'a [u8])],
    /// Whether the patients' devices that she has enrolled are revoked with her.
    pub devices: Option<Devices<'a>>,
}

/// Devices that a doctor has enrolled.
#[derive(Clone, Copy)]
pub struct Devices<'a> {
    /// Only those that were enrolled at this time or later.
    pub since: Option<Timestamp>,
    /// These, too, whoever has enrolled them: the serial numbers of their
    /// certificates.
    pub also: &'a [[u8; 16]],
    /// What the audit log says of each that is revoked.
    pub entry: &'a dyn Fn(&Revoked) -> Entry,
}

/// What may hold certificates of somebody who works in the clinic, or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Papers {
    /// One certificate.
    One(Vec<u8>),
    /// Those she had before, the newest last.
    List(Vec<u8>),
    /// Where she is reached, with the certificate of who has signed that.
    Roster(Vec<u8>),
}

/// What only a clinic of several doctors has.
///
/// # Errors
/// As for [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait ClinicStore {
    /// Adds a ticket for joining, with no request yet, and logs that.
    fn add_join_ticket(&self, ticket: &JoinTicketRow, audit: &[Entry]) -> Result<(), StoreError>;

    /// The ticket with this identifier.
    fn join_ticket(&self, id: &[u8; 16]) -> Result<Option<JoinTicketRow>, StoreError>;

    /// Tickets for joining whose identifiers begin so, without requests and answers, in
    /// the order of the identifiers: those behind this one, and no more than so many.
    fn join_tickets_from(
        &self,
        begin: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Result<Vec<JoinTicketRow>, StoreError>;

    /// Who works here, or is invited to with a ticket that is good at this time or was
    /// answered, under this name or one that is taken for it, as
    /// [`alike`](crate::doctor::alike) has it; who has this very name first.
    fn member_like(&self, name: &str, at: Timestamp) -> Result<Option<String>, StoreError>;

    /// The tickets, of this doctor's or of anybody's, with which somebody asks to be
    /// let in and that have not ended at this time: the oldest, and no more than
    /// this.
    fn asked_join_tickets(
        &self,
        doctor: Option<&str>,
        at: Timestamp,
        most: usize,
    ) -> Result<Vec<JoinTicketRow>, StoreError>;

    /// Hands in the one request that may be made with an open ticket.
    fn put_join_request(&self, id: &[u8; 16], request: &[u8]) -> Result<Handed, StoreError>;

    /// Answers this very request, adds who joins, and logs that: all or nothing.
    /// False, and nothing is changed, if the request is not there or not waiting
    /// any more, or if there is somebody of that name already.
    fn put_join_answer(
        &self,
        id: &[u8; 16],
        request: &[u8],
        answer: &[u8],
        joins: &StaffRow,
        audit: &[Entry],
    ) -> Result<bool, StoreError>;

    /// Ends a ticket that was answered, forgets the answer, which is of no more
    /// use, and logs that; says whether the ticket is used now. What is used
    /// already is not logged again.
    fn use_join_ticket(&self, id: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Takes back a ticket that was not answered yet, and logs that; says whether
    /// it did.
    fn revoke_join_ticket(&self, id: &[u8; 16], audit: &[Entry]) -> Result<bool, StoreError>;

    /// Adds somebody who works in the clinic without having joined: its founder.
    /// Says whether there was nobody of that name.
    fn add_staff_if_new(&self, row: &StaffRow) -> Result<bool, StoreError>;

    /// Whether somebody of this name works in the clinic.
    fn has_member(&self, name: &str) -> Result<bool, StoreError>;

    /// Who works in the clinic, in order of their names.
    fn staff(&self) -> Result<Vec<StaffRow>, StoreError>;

    /// What may be certificates of somebody of this name, who works in the clinic or
    /// did: her row among the staff, her facts, and where she is reached. Whatever lies there for others does not matter.
    fn papers_of(&self, name: &str) -> Result<Vec<Papers>, StoreError>;

    /// The store as another member of the clinic sees it: her log, her own facts.
    fn seen_by(&self, member: &str) -> Arc<dyn Store>;

    /// Whether there is a log of this name, of somebody who works in the clinic or did.
    fn has_log(&self, name: &str) -> Result<bool, StoreError>;

    /// Whose logs there are, in order of their names: those who work in the clinic,
    /// and those who did, 1,000 at most.
    fn logs(&self) -> Result<Vec<String>, StoreError>;

    /// Who has put these messages into the books, by their numbers. It is the
    /// store's word.
    fn writers(&self, messages: &[u64]) -> Result<BTreeMap<u64, String>, StoreError>;

    /// A fact that each has for herself, of all who have it: with their names, and
    /// in the order of these. No more than 1,000, and 16 MiB in all.
    fn facts_of_all(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Takes somebody out of the clinic: puts the list of revoked doctors in the
    /// place of the one that was looked at, forgets where she is reached and
    /// which devices are connected to her, takes back the tickets that were made
    /// by or for her and are of use still, revokes devices that she has enrolled, if
    /// that is asked for, and logs that: all or nothing. Whose patients her patients
    /// are does not change. Gives the devices that were revoked. None, and nothing
    /// is changed, if the list is another one by now.
    fn remove_member(
        &self,
        removal: &Removal<'_>,
        audit: &[Entry],
    ) -> Result<Option<Vec<Revoked>>, StoreError>;

    /// Who has issued these certificates of patients, by their serial numbers: the
    /// doctor at whose server the device was enrolled. It is the store's word.
    fn issuers(&self, serials: &[[u8; 16]]) -> Result<BTreeMap<[u8; 16], String>, StoreError>;

    /// Puts a list of revoked doctors in the place of the one that was looked at, gives
    /// these facts new values, and logs that. False, and nothing is changed, if it is
    /// another one by now.
    fn put_revoked_list(
        &self,
        lists: (&[u8], &[u8]),
        facts: &[(&str, &[u8])],
        audit: &[Entry],
    ) -> Result<bool, StoreError>;

    /// Gives a patient who is nobody's yet to this doctor; says whose she is now.
    fn assign_if_new(&self, patient: &str, doctor: &str) -> Result<String, StoreError>;

    /// Whose patient she is.
    fn assigned(&self, patient: &str) -> Result<Option<String>, StoreError>;

    /// A doctor's patients, in order of their names.
    fn patients_of(&self, doctor: &str) -> Result<Vec<String>, StoreError>;

    /// Gives a patient of one doctor to another, and logs that. False, and
    /// nothing is changed, if she is not a patient of the first.
    fn transfer(
        &self,
        patient: &str,
        from: &str,
        to: &str,
        audit: &[Entry],
    ) -> Result<bool, StoreError>;

    /// Gives all patients of one doctor to another, and logs each of them; gives
    /// their names.
    fn transfer_all(
        &self,
        from: &str,
        to: &str,
        entry: &dyn Fn(&str) -> Entry,
    ) -> Result<Vec<String>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_of_its_own() {
        for state in JoinState::ALL {
            assert_eq!(JoinState::from_word(state.word()), Some(state));
        }
        assert_eq!(JoinState::from_word("Open"), None);
    }
}
