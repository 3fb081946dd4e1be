//! What every back end must do with the audit log.

use super::trust::prekey;
use super::{at, ticket, uses};
use crate::audit::head::Head;
use crate::audit::{self, Action, Entry};
use crate::store::{AuditFilter, CertificateState, Store};

pub(in crate::store) fn audit_entries_form_a_chain(store: &dyn Store) {
    assert_eq!(store.audit_head().unwrap(), None);
    let entry = |subject| Entry::new(at(5), "D1", Action::Enrolled, subject, "detail");
    store.append_audit(&[entry("P1"), entry("P2")]).unwrap();
    store.append_audit(&[]).unwrap();
    store.append_audit(&[entry("P3")]).unwrap();
    let rows = store.audit(1, 10).unwrap();
    let mut before = audit::START;
    for (number, row) in (1..).zip(&rows) {
        let words = ["D1", "enrolled", &format!("P{number}"), "detail"];
        before = audit::link(&before, number, at(5), words);
        assert_eq!((row.number, row.link), (number, before));
        assert_eq!(
            [&*row.actor, &*row.action, &*row.subject, &*row.detail],
            words
        );
    }
    assert_eq!(store.audit_head().unwrap(), Some((3, before)));
    assert_eq!(store.audit(2, 1).unwrap(), rows[1..2]);
}

pub(in crate::store) fn audit_entries_are_found(store: &dyn Store) {
    let entry = |millis, actor, action, subject, detail| {
        Entry::new(at(millis), actor, action, subject, detail)
    };
    let entries = [
        entry(10, "D1", Action::TicketMade, "P1", ""),
        entry(20, "P1", Action::Enrolled, "P1", ""),
        entry(
            30,
            "stranger",
            Action::Refused,
            "192.0.2.7",
            "is P10, 100%_X",
        ),
        entry(40, "D1", Action::TicketMade, "P10", ""),
    ];
    store.append_audit(&entries).unwrap();
    let found = |numbers, filter: AuditFilter| -> Vec<u64> {
        let rows = store.find_audit(&filter, numbers, 10).unwrap();
        rows.iter().map(|row| row.number).collect()
    };
    let all = AuditFilter::default;
    let word = |word: &str| Some(word.to_owned());
    assert_eq!(found(0..=u64::MAX, all()), [1, 2, 3, 4]);
    assert_eq!(found(2..=3, all()), [2, 3]);
    let (patient, actor, action) = (word("P1"), word("D1"), word("ticket made"));
    assert_eq!(found(1..=4, AuditFilter { patient, ..all() }), [1, 2]);
    assert_eq!(found(1..=4, AuditFilter { actor, ..all() }), [1, 4]);
    assert_eq!(found(2..=4, AuditFilter { action, ..all() }), [4]);
    for (text, numbers) in [
        ("p10", &[3, 4][..]),
        ("0%_x", &[3]),
        ("D1\nticket", &[1, 4]),
    ] {
        let text = word(text);
        assert_eq!(found(1..=4, AuditFilter { text, ..all() }), numbers);
    }
    let (since, until) = (Some(20), Some(30));
    let between = AuditFilter {
        since,
        until,
        ..all()
    };
    assert_eq!(found(1..=4, between.clone()), [2, 3]);
    assert_eq!(store.find_audit(&between, 1..=4, 1).unwrap().len(), 1);

    let nth = |filter: &AuditFilter, nth| store.nth_last_audit(filter, 1..=4, nth).unwrap();
    assert_eq!(
        [nth(&all(), 1), nth(&all(), 3), nth(&all(), 99)],
        [Some(4), Some(2), Some(1)]
    );
    assert_eq!(nth(&between, 1), Some(3));
    assert_eq!(store.nth_last_audit(&all(), 5..=9, 1).unwrap(), None);
}

pub(in crate::store) fn an_enrolment_and_a_freezing_are_logged_once(store: &dyn Store) {
    let entry = |action| [Entry::new(at(5), "P1", action, "P1", "")];
    let logged = || store.audit_head().unwrap().map_or(0, |(number, _)| number);
    let enrolled = entry(Action::Enrolled);
    assert!(!store.activate_certificate(&[7; 16], &enrolled).unwrap());
    assert!(!store.freeze_ticket(&[1; 16], &enrolled).unwrap());
    assert_eq!(logged(), 0);
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(uses(store, 1, 7));
    assert!(store.activate_certificate(&[7; 16], &enrolled).unwrap());
    assert!(store.activate_certificate(&[7; 16], &enrolled).unwrap());
    assert_eq!(logged(), 1);
    assert_eq!(store.stopped_certificates().unwrap(), []);
    let frozen = entry(Action::Frozen);
    assert!(store.freeze_ticket(&[1; 16], &frozen).unwrap());
    assert_eq!(logged(), 2);
    let stopped = store.stopped_certificates().unwrap();
    let state = CertificateState::Frozen;
    assert_eq!(stopped, [([7; 16], "P7".to_owned(), state)]);
    store
        .add_prekey(&prekey(1), &entry(Action::KeyChanged))
        .unwrap();
    assert_eq!(logged(), 3);
}

pub(in crate::store) fn signed_heads_are_kept_with_their_certificates(store: &dyn Store) {
    let head = |number: u8| Head {
        number: number.into(),
        link: [number; 32],
        at: at(5),
        certificate: [number / 10; 32],
        signature: vec![number; 512],
    };
    assert_eq!(store.newest_signed_head().unwrap(), None);
    for number in [1, 11, 12] {
        assert!(store.add_signed_head(&head(number), &[number]).unwrap());
    }
    let again = Head {
        link: [9; 32],
        ..head(11)
    };
    assert!(!store.add_signed_head(&again, &[11]).unwrap());
    assert_eq!(store.newest_signed_head().unwrap(), Some(head(12)));
    assert_eq!(store.signed_heads(2, 5).unwrap(), [head(11), head(12)]);
    assert_eq!(store.signed_heads(0, 1).unwrap(), [head(1)]);
    assert_eq!(store.signing_certificates().unwrap(), [[1], [11]]);
}
