//! The doctor's messages as a person sees them: each once, with a number, for
//! as long as the directory is kept.

mod confirmation;
mod content;

pub use confirmation::ConfirmError;

use crate::clock::Timestamp;
use crate::identity::id::Identifier;
use crate::patient::damaged::{Damaged, Found};
use crate::patient::files::{Files, FilesError};
use crate::protocol::message::Message;
use crate::random::OsRandom;
use crate::session::patient::Delivery;
use crate::store::{InboxForm, InboxRow, StoreError};
use crate::vault::column;

/// A message in the inbox.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What people call it by: counts all messages, from 1 on.
    pub number: u64,
    /// The message.
    pub message: Message,
    /// How it came.
    pub delivery: Delivery,
    /// Which of the clinic's doctors she was connected to when it came, if that
    /// was not who has written it.
    pub through: Option<Identifier>,
    /// When it came, by this device's clock.
    pub received: Timestamp,
    /// When it was first shown to a person.
    pub shown: Option<Timestamp>,
    /// When the person confirmed it.
    pub confirmed: Option<Timestamp>,
    /// When the doctor's server proved that it has the confirmation.
    pub confirmation_arrived: Option<Timestamp>,
    /// When it said that it does not have the message.
    pub confirmation_refused: Option<Timestamp>,
}

/// What an arriving message is.
#[derive(Debug)]
pub(super) enum Taken {
    /// New, and kept.
    New(Entry),
    /// The same that came before: answer it again, do not show it again.
    Again,
    /// The same, urgent, and no person has confirmed it yet.
    Unconfirmed(Entry),
    /// Another message under the same id.
    Conflict,
}

/// The doctor's messages on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Inbox<'a>(&'a Files);

impl Files {
    /// The doctor's messages.
    #[must_use]
    pub const fn inbox(&self) -> Inbox<'_> {
        Inbox(self)
    }
}

impl Inbox<'_> {
    /// Keeps an arriving message. Nothing may be answered before this returns:
    /// an answer says that the message is kept. It came from this doctor's server.
    pub(super) fn take(
        &self,
        message: &Message,
        delivery: Delivery,
        from: &Identifier,
        now: Timestamp,
    ) -> Result<Taken, FilesError> {
        let id = message.id().0;
        let vault = self.0.vault();
        let is_others = message.author().is_some_and(|author| author != from);
        let through = is_others.then(|| from.clone());
        let content = content::encode(message, through.as_ref());
        let mut row = InboxRow {
            number: 0,
            id,
            form: Some(form_of(delivery)),
            urgent: message.is_urgent(),
            received: now,
            sealed: vault
                .seal(column::INBOX, &id, &content, &mut OsRandom)
                .map_err(StoreError::from)?,
            shown: None,
            confirmed: None,
            confirmation_arrived: None,
            confirmation_refused: None,
        };
        if let Some(number) = self.0.store().add_inbox(&row)? {
            row.number = number;
            let message = (message.clone(), through);
            return Ok(Taken::New(entry_of(row, message, delivery)));
        }
        let known = self.0.store().inbox_with_id(&id)?;
        let known = known.ok_or_else(|| self.0.damaged(INBOX, "a message comes and goes"))?;
        let Ok(known) = self.open(known.clone()) else {
            return self.heal(known, (message, through), delivery, row.sealed);
        };
        Ok(if known.message != *message {
            Taken::Conflict
        } else if message.is_urgent() && known.confirmed.is_none() {
            Taken::Unconfirmed(known)
        } else {
            Taken::Again
        })
    }

    /// A message that was damaged here came again: what came takes its place,
    /// and is unread.
    fn heal(
        &self,
        damaged: InboxRow,
        (message, through): (&Message, Option<Identifier>),
        delivery: Delivery,
        sealed: Vec<u8>,
    ) -> Result<Taken, FilesError> {
        let store = self.0.store();
        store.replace_inbox(&damaged.id, form_of(delivery), &sealed)?;
        let row = InboxRow {
            shown: None,
            ..damaged
        };
        let message = (message.clone(), through);
        Ok(Taken::New(entry_of(row, message, delivery)))
    }

    /// The newest messages, at most `limit`, the oldest of them first.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be read.
    pub fn newest(&self, limit: usize) -> Result<Vec<Found<Entry>>, FilesError> {
        Ok(self.open_all(self.0.store().inbox(limit)?))
    }

    /// The messages that no person has seen, at most `limit`, the oldest first.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be read.
    pub fn unread(&self, limit: usize) -> Result<Vec<Found<Entry>>, FilesError> {
        Ok(self.open_all(self.0.store().inbox_unread(limit)?))
    }

    /// The messages that no person has seen and that were not made noticed
    /// either, at most `limit`, the oldest first; without those that do not
    /// open.
    ///
    /// # Errors
    /// [`FilesError`] if they cannot be read.
    pub fn unannounced(&self, limit: usize) -> Result<Vec<Entry>, FilesError> {
        let found = self.open_all(self.0.store().inbox_unannounced(limit)?);
        Ok(found.into_iter().flatten().collect())
    }

    /// Notes that a message was made noticed.
    ///
    /// # Errors
    /// [`FilesError`] if that cannot be kept: it is made noticed again.
    pub fn mark_announced(&self, number: u64, now: Timestamp) -> Result<(), FilesError> {
        Ok(self.0.store().set_announced(number, now)?)
    }

    /// Takes a message that is new, for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn arrive(&self, message: &Message) -> Entry {
        let doctor = "D1".parse().expect("a name");
        match self.take(message, Delivery::Private, &doctor, message.written()) {
            Ok(Taken::New(entry)) => entry,
            other => panic!("{other:?}"),
        }
    }

    /// Notes that a person has seen these messages.
    ///
    /// # Errors
    /// [`FilesError`] if that cannot be kept: they stay unread.
    pub fn mark_shown(&self, numbers: &[u64], now: Timestamp) -> Result<(), FilesError> {
        Ok(self.0.store().set_shown(numbers, now)?)
    }

    fn open_all(&self, rows: Vec<InboxRow>) -> Vec<Found<Entry>> {
        rows.into_iter().map(|row| self.open(row)).collect()
    }

    fn open(&self, row: InboxRow) -> Result<Entry, Damaged> {
        let content = self.0.vault().open(column::INBOX, &row.id, &row.sealed);
        let message = content
            .ok()
            .and_then(|content| content::decode(content.expose()))
            .filter(|(message, _)| message.id().0 == row.id);
        let found = message.zip(row.form.map(delivery_of));
        let (message, delivery) = found.ok_or(Damaged {
            from_doctor: true,
            number: row.number,
            urgent: row.urgent,
            at: row.received,
            placed: Some(row.received),
            shown: row.shown.is_some(),
        })?;
        Ok(entry_of(row, message, delivery))
    }
}

const INBOX: &str = "inbox";

fn entry_of(
    row: InboxRow,
    (message, through): (Message, Option<Identifier>),
    delivery: Delivery,
) -> Entry {
    Entry {
        number: row.number,
        message,
        delivery,
        through,
        received: row.received,
        shown: row.shown,
        confirmed: row.confirmed,
        confirmation_arrived: row.confirmation_arrived,
        confirmation_refused: row.confirmation_refused,
    }
}

const fn form_of(delivery: Delivery) -> InboxForm {
    match delivery {
        Delivery::Broadcast => InboxForm::Broadcast,
        Delivery::Missed => InboxForm::Missed,
        Delivery::Chosen => InboxForm::Chosen,
        Delivery::Private => InboxForm::Private,
    }
}

const fn delivery_of(form: InboxForm) -> Delivery {
    match form {
        InboxForm::Broadcast => Delivery::Broadcast,
        InboxForm::Missed => Delivery::Missed,
        InboxForm::Chosen => Delivery::Chosen,
        InboxForm::Private => Delivery::Private,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn files(base: &TempDir) -> Files {
        let name = "P1@D1".parse().unwrap();
        Files::create_or_open(base.path(), &name).unwrap()
    }

    fn message(text: &str, urgent: bool) -> Message {
        Message::new(text, urgent, NOW, &mut OsRandom).unwrap()
    }

    fn take(files: &Files, message: &Message) -> Taken {
        let delivery = Delivery::Broadcast;
        let doctor = "D1".parse().unwrap();
        files.inbox().take(message, delivery, &doctor, NOW).unwrap()
    }

    #[test]
    fn a_message_is_new_once_for_ever_and_a_forged_repetition_is_noticed() {
        let base = TempDir::new().unwrap();
        let first = message("drink water", false);
        let taken = take(&files(&base), &first);
        assert!(matches!(taken, Taken::New(Entry { number: 1, .. })));
        // As if by another run of the program.
        let files = files(&base);
        assert!(matches!(take(&files, &first), Taken::Again));
        let mut bytes = first.encode();
        bytes.push(b'!');
        let other = Message::decode(&bytes).unwrap();
        assert!(matches!(take(&files, &other), Taken::Conflict));
        let kept = files.inbox().newest(9).unwrap();
        assert_eq!(kept.len(), 1);
        let kept = kept[0].as_ref().unwrap();
        assert_eq!(kept.message, first);
        assert_eq!(kept.shown, None);
    }

    #[test]
    fn an_urgent_message_reminds_until_it_is_confirmed() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let urgent = message("leave the house", true);
        assert!(matches!(take(&files, &urgent), Taken::New(_)));
        assert!(matches!(take(&files, &urgent), Taken::Unconfirmed(_)));
        files.inbox().confirm("1", NOW).unwrap();
        assert!(matches!(take(&files, &urgent), Taken::Again));
    }

    #[test]
    fn a_message_is_confirmed_once_by_its_number_or_its_code() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        let inbox = files.inbox();
        let messages = ["one", "two"].map(|text| message(text, false));
        for message in &messages {
            take(&files, message);
        }
        for name in ["0", "3", "99999999999999999999", "x", "", "-1"] {
            let error = inbox.confirm(name, NOW).unwrap_err();
            assert!(matches!(error, ConfirmError::NoSuchMessage(_)), "{error}");
        }
        assert_eq!(inbox.confirm("1", NOW).unwrap().number, 1);
        let code = messages[1].id().code();
        assert_eq!(inbox.confirm(&code.to_uppercase(), NOW).unwrap().number, 2);
        for name in ["2", &code] {
            let error = inbox.confirm(name, NOW).unwrap_err();
            assert!(
                matches!(error, ConfirmError::ConfirmedBefore(NOW)),
                "{error}"
            );
        }
        let waiting = inbox.unacknowledged(9).unwrap();
        assert_eq!(waiting.len(), 2);
        let id = messages[1].id();
        assert_eq!(inbox.confirmation_arrived(id, NOW).unwrap(), Some(2));
        assert_eq!(inbox.confirmation_arrived(id, NOW).unwrap(), None);
        assert_eq!(inbox.unacknowledged(9).unwrap().len(), 1);
    }

    #[test]
    fn a_damaged_message_hides_no_other_and_heals_when_it_comes_again() {
        let base = TempDir::new().unwrap();
        let urgent = message("leave the house", true);
        let files = files(&base);
        take(&files, &message("one", false));
        take(&files, &urgent);
        crate::patient::damaged::flip_a_bit(&base, "inbox", 2);
        let inbox = files.inbox();
        for found in [inbox.newest(9).unwrap(), inbox.unread(9).unwrap()] {
            assert_eq!(found[0].as_ref().unwrap().message.text(), "one");
            let damaged = found[1].as_ref().unwrap_err().to_string();
            assert!(damaged.starts_with("URGENT message 2, "), "{damaged}");
            assert!(!damaged.contains("backup"), "{damaged}");
        }
        inbox.mark_shown(&[2], NOW).unwrap();
        let healed = take(&files, &urgent);
        assert!(matches!(healed, Taken::New(Entry { number: 2, .. })));
        let unread = inbox.unread(9).unwrap();
        assert_eq!(unread[1].as_ref().unwrap().message, urgent);
    }

    #[test]
    fn a_flipped_bit_in_how_a_message_came_hides_no_other() {
        let base = TempDir::new().unwrap();
        let messages = ["one", "two", "three"].map(|text| message(text, false));
        for message in &messages {
            take(&files(&base), message);
        }
        for damaged in [&b"broadcasu"[..], b"\xe2roadcast"] {
            let database = base.path().join("P1@D1/telemed.db");
            let database = rusqlite::Connection::open(database).unwrap();
            let sql = "UPDATE inbox SET form = CAST(?1 AS TEXT) WHERE number = 2";
            database.execute(sql, [damaged]).unwrap();
            drop(database);
            // The check at the opening lets it through.
            let files = files(&base);
            let found = files.inbox().newest(9).unwrap();
            let texts = found.iter().map(|found| match found {
                Ok(entry) => entry.message.text().to_owned(),
                Err(damaged) => damaged.to_string(),
            });
            let texts: Vec<_> = texts.collect();
            assert_eq!((texts[0].as_str(), texts[2].as_str()), ("one", "three"));
            assert!(texts[1].starts_with("message 2, "), "{}", texts[1]);
            assert_eq!(files.history(9).unwrap().len(), 3);
            let healed = take(&files, &messages[1]);
            assert!(matches!(healed, Taken::New(Entry { number: 2, .. })));
            assert!(files.inbox().newest(9).unwrap().iter().all(Result::is_ok));
        }
    }

    #[test]
    fn no_text_lies_open_on_the_disk() {
        let base = TempDir::new().unwrap();
        let files = files(&base);
        take(&files, &message("allergic to nuts", false));
        files.outbox().write("allergic to nuts", None, NOW).unwrap();
        drop(files);
        for entry in fs::read_dir(base.path().join("P1@D1")).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(4).any(|window| window == b"nuts"));
        }
    }
}
