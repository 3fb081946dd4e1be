//! A patient's messages.

use super::at;
use crate::store::{InboxForm, InboxRow, MailCounts, OutgoingRow, PatientStore, StoreFault};

fn received(id: u8) -> InboxRow {
    InboxRow {
        number: 0,
        id: [id; 16],
        form: Some(InboxForm::Private),
        urgent: false,
        received: at(1_000),
        sealed: vec![id; 300],
        shown: None,
        confirmed: None,
        confirmation_arrived: None,
        confirmation_refused: None,
    }
}

fn written(id: u8) -> OutgoingRow {
    OutgoingRow {
        number: 0,
        id: [id; 16],
        written: at(1_000),
        sealed: vec![id; 300],
        sent: None,
        delivered: None,
        placed: None,
    }
}

fn numbers(rows: &[InboxRow]) -> Vec<u64> {
    rows.iter().map(|row| row.number).collect()
}

pub(crate) fn a_received_message_comes_back_whole_and_is_kept_once(store: &dyn PatientStore) {
    let forms = [
        InboxForm::Broadcast,
        InboxForm::Missed,
        InboxForm::Chosen,
        InboxForm::Private,
    ];
    for (number, form) in (1..).zip(forms) {
        let row = InboxRow {
            number,
            form: Some(form),
            urgent: number == 2,
            ..received(u8::try_from(number).unwrap())
        };
        assert_eq!(store.add_inbox(&row).unwrap(), Some(number));
        assert_eq!(store.inbox_with_id(&row.id).unwrap(), Some(row.clone()));
        assert_eq!(store.inbox_numbered(number).unwrap(), Some(row));
    }
    let other = InboxRow {
        sealed: vec![0],
        ..received(1)
    };
    assert_eq!(store.add_inbox(&other).unwrap(), None);
    assert_eq!(store.add_inbox(&received(5)).unwrap(), Some(5), "no gap");
    assert_eq!(store.inbox_numbered(1).unwrap().unwrap().sealed, [1; 300]);
    assert_eq!(numbers(&store.inbox(9).unwrap()), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&store.inbox(2).unwrap()), [4, 5], "the newest");
    let named = |digits| numbers(&store.inbox_with_code(digits).unwrap());
    assert_eq!(named("030303"), [3]);
    assert_eq!(named("0"), [1, 2, 3, 4, 5]);
    assert_eq!(named("030304"), [0; 0]);
    assert_eq!(store.inbox_with_id(&[9; 16]).unwrap(), None);
    assert_eq!(store.inbox_numbered(u64::MAX).unwrap(), None);
}

pub(crate) fn a_message_is_unread_until_it_was_shown(store: &dyn PatientStore) {
    for id in 1..=3 {
        let row = InboxRow {
            urgent: id == 3,
            ..received(id)
        };
        store.add_inbox(&row).unwrap();
    }
    store.set_shown(&[2, 99], at(5)).unwrap();
    store.set_shown(&[2], at(6)).unwrap();
    assert_eq!(store.inbox_numbered(2).unwrap().unwrap().shown, Some(at(5)));
    assert_eq!(numbers(&store.inbox_unread(9).unwrap()), [1, 3]);
    assert_eq!(numbers(&store.inbox_unread(1).unwrap()), [1]);
    let counts = store.mail_counts().unwrap();
    assert_eq!((counts.unread, counts.unread_urgent), (2, 1));
}

pub(crate) fn a_confirmation_is_given_once_and_waits_until_it_arrived(store: &dyn PatientStore) {
    for id in 1..=3 {
        store.add_inbox(&received(id)).unwrap();
    }
    assert!(!store.set_confirmation_arrived(&[2; 16], at(4)).unwrap());
    assert!(store.set_confirmed(3, at(5)).unwrap());
    assert!(store.set_confirmed(1, at(6)).unwrap());
    assert!(!store.set_confirmed(1, at(7)).unwrap(), "it was before");
    assert!(!store.set_confirmed(4, at(7)).unwrap(), "there is none");
    let waiting = |limit| numbers(&store.inbox_unacknowledged(limit).unwrap());
    assert_eq!(waiting(9), [3, 1], "in the order of confirming");
    assert_eq!(waiting(1), [3]);
    assert_eq!(store.mail_counts().unwrap().waiting_confirmations, 2);
    assert!(store.set_confirmation_arrived(&[3; 16], at(8)).unwrap());
    assert!(!store.set_confirmation_arrived(&[3; 16], at(9)).unwrap());
    assert_eq!(waiting(9), [1]);
    assert!(!store.set_confirmation_refused(&[3; 16], at(9)).unwrap());
    assert!(!store.set_confirmation_refused(&[2; 16], at(9)).unwrap());
    assert!(store.set_confirmation_refused(&[1; 16], at(9)).unwrap());
    assert!(!store.set_confirmation_refused(&[1; 16], at(10)).unwrap());
    assert!(!store.set_confirmation_arrived(&[1; 16], at(10)).unwrap());
    assert_eq!(waiting(9), [0; 0]);
    assert_eq!(store.mail_counts().unwrap().waiting_confirmations, 0);
    let refused = store.inbox_numbered(1).unwrap().unwrap();
    assert_eq!(refused.confirmation_refused, Some(at(9)));
    let row = store.inbox_numbered(3).unwrap().unwrap();
    let times = (row.confirmed, row.confirmation_arrived);
    assert_eq!(times, (Some(at(5)), Some(at(8))));
}

pub(crate) fn a_written_message_waits_until_it_arrived(store: &dyn PatientStore) {
    for id in 1..=3 {
        assert_eq!(store.add_outgoing(&written(id)).unwrap(), u64::from(id));
    }
    let error = store.add_outgoing(&written(2)).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    let waiting = || {
        let rows = store.outgoing_waiting(2).unwrap();
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    assert_eq!(waiting(), [1, 2]);
    store.set_sent(&[[1; 16], [9; 16]], at(4)).unwrap();
    assert!(store.set_delivered(&[1; 16], at(5), at(15)).unwrap());
    assert!(!store.set_delivered(&[1; 16], at(6), at(16)).unwrap());
    assert!(!store.set_delivered(&[9; 16], at(6), at(16)).unwrap());
    assert_eq!(waiting(), [2, 3]);
    let row = OutgoingRow {
        number: 1,
        sent: Some(at(4)),
        delivered: Some(at(5)),
        placed: Some(at(15)),
        ..written(1)
    };
    assert_eq!(store.outgoing(9).unwrap()[0], row);
    assert_eq!(store.outgoing_numbered(1).unwrap(), Some(row));
    assert_eq!(store.outgoing(1).unwrap()[0].number, 3, "the newest");
    let expected = MailCounts {
        waiting_messages: 2,
        ..MailCounts::default()
    };
    assert_eq!(store.mail_counts().unwrap(), expected);
}
