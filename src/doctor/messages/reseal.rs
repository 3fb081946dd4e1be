//! Sealing anew what earlier versions sealed without the word for whom it is.
//!
//! It is done in a file, where nobody else writes, so that a practice can move to a
//! store that several share: there the rows' word is not enough.

use super::addressees::Addressees;
use crate::protocol::message::Message;
use crate::random::OsRandom;
use crate::store::{Store, StoreError, fact};
use crate::vault::{Vault, column};

/// Messages that are sealed anew in one transaction.
const BATCH: usize = 500;

/// Seals all messages of a file anew that were sealed by an earlier version, once.
/// One that does not open stays as it is. Cut short, it begins again. A store that
/// several share is left as it is.
///
/// # Errors
/// [`StoreError`]; what was sealed until then stays so.
pub(in crate::doctor) fn seal_old(store: &dyn Store, vault: &Vault) -> Result<(), StoreError> {
    if store.fact(fact::MESSAGES_ADDRESSED)?.is_some() {
        return Ok(());
    }
    if store.nodes().is_some() {
        // What is not so there counts for nothing, nor will it in a copy of it.
        return store.set_facts(&[(fact::MESSAGES_ADDRESSED, &[1])]);
    }
    let mut before = u64::MAX;
    loop {
        let rows = store.messages_before(before, BATCH)?;
        let Some(last) = rows.last() else {
            break;
        };
        before = last.number;
        let mut sealed = Vec::new();
        for row in &rows {
            let opened = vault.open(column::MESSAGE, &row.id, &row.sealed).ok();
            let message = opened.and_then(|bytes| Message::decode(bytes.expose()).ok());
            let (Some(message), Some(addressees)) = (message, Addressees::of_row(row)) else {
                continue;
            };
            let content = addressees.content(&message);
            let column = column::DOCTOR_MESSAGE;
            sealed.push((
                row.number,
                vault.seal(column, &row.id, &content, &mut OsRandom)?,
            ));
        }
        if !sealed.is_empty() {
            store.seal_messages(&sealed)?;
        }
    }
    store.set_facts(&[(fact::MESSAGES_ADDRESSED, &[1])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::SqliteStore;
    use crate::store::messages::{Kind, MessageRow, MessageStore};

    #[test]
    fn what_earlier_versions_sealed_says_afterwards_for_whom_it_is() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(&directory.path().join("telemed.db")).unwrap();
        let vault = Vault::generate(&mut OsRandom);
        let written = Timestamp::from_millis(1);
        // More than are sealed in one transaction, and one that does not open.
        let count = BATCH + 2;
        let messages: Vec<_> = (0..count)
            .map(|number| Message::new(&number.to_string(), false, written, &mut OsRandom))
            .map(Result::unwrap)
            .collect();
        let mut rows = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let id = message.id().0;
            let sealed = vault.seal(column::MESSAGE, &id, &message.encode(), &mut OsRandom);
            let (kind, patient) = match index % 3 {
                0 => (Kind::Broadcast, None),
                1 => (Kind::Chosen, None),
                _ => (Kind::Private, Some("P1".to_owned())),
            };
            let mut row = MessageRow {
                number: 0,
                id,
                kind,
                patient,
                boundary: None,
                urgent: false,
                written,
                expires: None,
                sealed: sealed.unwrap(),
            };
            if index == 0 {
                row.sealed[0] ^= 1;
            }
            row.number = store.add_message(&row, &[], &[]).unwrap();
            rows.push(row);
        }
        seal_old(&store, &vault).unwrap();
        for (row, message) in rows.iter().zip(&messages).skip(1) {
            let now = store.message(row.number).unwrap().unwrap();
            let content = vault.open(column::DOCTOR_MESSAGE, &row.id, &now.sealed);
            let content = content.unwrap();
            let (addressees, bytes) = Addressees::decode(content.expose()).unwrap();
            assert_eq!(Some(addressees), Addressees::of_row(row));
            assert_eq!(bytes, message.encode());
        }
        let damaged = store.message(rows[0].number).unwrap().unwrap();
        assert_eq!(damaged.sealed, rows[0].sealed);
        // Once: what looks like an old one later stays as it is.
        store
            .seal_messages(&[(rows[1].number, rows[1].sealed.clone())])
            .unwrap();
        seal_old(&store, &vault).unwrap();
        let again = store.message(rows[1].number).unwrap().unwrap();
        assert_eq!(again.sealed, rows[1].sealed);
    }
}
