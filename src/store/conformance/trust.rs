//! What every back end must do with tickets, certificates and timestamps.

use std::thread;

use super::{at, certificate, ticket, uses};
use crate::audit::{Action, Entry};
use crate::identity::certificate::Certificate;
use crate::store::{
    CertificateRow, CertificateState, PrekeyRow, Revocable, Store, StoreFault, TicketRow,
    TicketState, TicketUsed,
};

pub(in crate::store) fn prekey(kid: u8) -> PrekeyRow {
    PrekeyRow {
        kid: [kid; 8],
        bytes: vec![kid; 700],
        not_before: at(1_000 - u64::from(kid)),
        not_after: at(9_000),
    }
}

/// Length of a key in the certificates here.
const KEY: usize = 256;

/// A certificate for two keys, of which all but the last bytes are alike.
fn certificate_for(serial: u8, keys: [u8; 2]) -> CertificateRow {
    let mut bytes = vec![serial; Certificate::BEFORE_KEYS];
    bytes.extend(keys.map(key_of).concat());
    bytes.extend([serial; 2 * KEY]);
    CertificateRow {
        bytes,
        ..certificate(serial)
    }
}

fn key_of(last: u8) -> Vec<u8> {
    let mut key = vec![3; KEY];
    key[KEY - 1] = last;
    key
}

fn ticket_state(store: &dyn Store, id: u8) -> TicketState {
    store.ticket(&[id; 16]).unwrap().unwrap().state
}

pub(super) fn certificate_state(store: &dyn Store, serial: u8) -> CertificateState {
    store.certificate(&[serial; 16]).unwrap().unwrap().state
}

pub(in crate::store) fn a_ticket_comes_back_whole(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    store.add_ticket(&ticket(2), &[]).unwrap();
    let row = store.ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!((row.id, row.subject.as_str()), ([1; 16], "P1"));
    assert_eq!(row.sealed, ticket(1).sealed);
    assert_eq!((row.created, row.expires), (at(999), at(2_000)));
    assert_eq!((row.state, row.serial), (TicketState::Open, None));
    let ids: Vec<_> = store.tickets().unwrap().iter().map(|row| row.id).collect();
    assert_eq!(ids, [[2; 16], [1; 16]], "the oldest first");
}

pub(in crate::store) fn a_second_ticket_of_the_same_name_is_refused(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    let mut other = ticket(1);
    other.subject = "P9".into();
    let error = store.add_ticket(&other, &[]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(store.ticket(&[1; 16]).unwrap().unwrap().subject, "P1");
}

pub(in crate::store) fn a_ticket_is_used_once(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(uses(store, 1, 7));
    assert!(!uses(store, 1, 8));
    let row = store.ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!((row.state, row.serial), (TicketState::Used, Some([7; 16])));
    let kept = CertificateRow {
        ticket: Some([1; 16]),
        ..certificate(7)
    };
    assert_eq!(store.certificate(&[7; 16]).unwrap(), Some(kept.clone()));
    assert_eq!(store.certificate_of_ticket(&[1; 16]).unwrap(), Some(kept));
    assert_eq!(store.certificate(&[8; 16]).unwrap(), None);
}

pub(in crate::store) fn what_is_not_there_is_absent_not_broken(store: &dyn Store) {
    assert!(store.ticket(&[1; 16]).unwrap().is_none());
    assert!(store.tickets().unwrap().is_empty());
    assert!(!uses(store, 1, 7));
    assert!(!store.freeze_ticket(&[1; 16], &[]).unwrap());
    assert!(
        !store
            .set_ticket_state(&[1; 16], TicketState::Revoked)
            .unwrap()
    );
    assert_eq!(store.certificate(&[7; 16]).unwrap(), None);
    assert_eq!(store.certificate_of_ticket(&[1; 16]).unwrap(), None);
    assert!(store.certificates().unwrap().is_empty());
    assert!(!store.activate_certificate(&[7; 16], &[]).unwrap());
    let frozen = CertificateState::Frozen;
    assert!(!store.set_certificate_state(&[7; 16], frozen).unwrap());
    assert_eq!(store.last_timestamp(&[7; 16]).unwrap(), None);
    assert!(store.prekeys().unwrap().is_empty());
    let entry = Entry::new(at(5), "server", Action::KeyChanged, "D1", "");
    assert!(!store.remove_prekey(&[1; 8], &[entry]).unwrap());
    assert_eq!(store.audit_head().unwrap(), None);
}

pub(in crate::store) fn a_certificate_that_cannot_be_stored_leaves_the_ticket_open(
    store: &dyn Store,
) {
    store.add_certificate(&certificate(7)).unwrap();
    store.add_ticket(&ticket(1), &[]).unwrap();
    let error = store
        .use_ticket(&[1; 16], &certificate(7), &[])
        .unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(ticket_state(store, 1), TicketState::Open);
    assert!(uses(store, 1, 8));
}

pub(in crate::store) fn of_two_who_use_a_ticket_one_wins(store: &dyn Store) {
    for round in 0..20 {
        store.add_ticket(&ticket(round), &[]).unwrap();
        let serials = [100 + round, 200 + round];
        let won = thread::scope(|scope| {
            let racers = serials.map(|serial| scope.spawn(move || uses(store, round, serial)));
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
        for (serial, won) in serials.iter().zip(won) {
            let row = store.certificate(&[*serial; 16]).unwrap();
            assert_eq!(row.is_some(), won);
        }
    }
}

pub(in crate::store) fn of_two_tickets_for_one_key_one_is_used(store: &dyn Store) {
    for round in 0..20 {
        let tickets = [2 * round, 2 * round + 1];
        for id in tickets {
            store.add_ticket(&ticket(id), &[]).unwrap();
        }
        let used = thread::scope(|scope| {
            let racers = tickets.map(|id| {
                let row = CertificateRow {
                    bytes: vec![round; Certificate::BEFORE_KEYS + 4 * KEY],
                    ..certificate(100 + id)
                };
                scope.spawn(move || {
                    let key = row.bytes[..KEY].to_vec();
                    store.use_ticket(&[id; 16], &row, &[&key]).unwrap()
                })
            });
            racers.map(|racer| racer.join().unwrap())
        });
        let (won, lost) = match used {
            [TicketUsed::Now, TicketUsed::Clash] => (tickets[0], tickets[1]),
            [TicketUsed::Clash, TicketUsed::Now] => (tickets[1], tickets[0]),
            other => panic!("{other:?}"),
        };
        assert_eq!(ticket_state(store, won), TicketState::Used);
        assert_eq!(ticket_state(store, lost), TicketState::Open);
        assert_eq!(store.certificate(&[100 + lost; 16]).unwrap(), None);
    }
}

pub(in crate::store) fn a_key_is_found_in_either_place_of_a_certificate(store: &dyn Store) {
    let short = CertificateRow {
        bytes: vec![3; 100],
        ..certificate(90)
    };
    store.add_certificate(&short).unwrap();
    let used = |id: u8, keys: [u8; 2]| {
        store.add_ticket(&ticket(id), &[]).unwrap();
        let row = certificate_for(id, keys);
        let keys = keys.map(key_of);
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        store.use_ticket(&[id; 16], &row, &keys).unwrap()
    };
    assert_eq!(used(1, [1, 2]), TicketUsed::Now);
    for (id, keys) in [(2, [1, 9]), (3, [9, 1]), (4, [2, 9]), (5, [9, 2])] {
        assert_eq!(used(id, keys), TicketUsed::Clash, "{keys:?}");
        assert_eq!(store.certificate(&[id; 16]).unwrap(), None);
        assert_eq!(ticket_state(store, id), TicketState::Open);
    }
    // A revoked one counts as well.
    assert!(
        store
            .set_certificate_state(&[1; 16], CertificateState::Revoked)
            .unwrap()
    );
    assert_eq!(used(6, [9, 2]), TicketUsed::Clash);
    assert_eq!(used(7, [8, 9]), TicketUsed::Now);
}

pub(in crate::store) fn a_ticket_is_never_opened_again(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    let open = TicketState::Open;
    assert!(store.set_ticket_state(&[1; 16], open).unwrap(), "it is");
    for state in [TicketState::Used, TicketState::Frozen, TicketState::Used] {
        assert!(store.set_ticket_state(&[1; 16], state).unwrap());
        assert!(!store.set_ticket_state(&[1; 16], open).unwrap());
        assert_eq!(ticket_state(store, 1), state);
    }
}

pub(in crate::store) fn freezing_a_ticket_freezes_its_certificate(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    store.add_ticket(&ticket(2), &[]).unwrap();
    assert!(uses(store, 1, 7));
    assert!(uses(store, 2, 8));
    assert!(store.freeze_ticket(&[1; 16], &[]).unwrap());
    assert_eq!(ticket_state(store, 1), TicketState::Frozen);
    assert_eq!(certificate_state(store, 7), CertificateState::Frozen);
    assert_eq!(ticket_state(store, 2), TicketState::Used);
    assert_eq!(certificate_state(store, 8), CertificateState::Inactive);
}

pub(in crate::store) fn freezing_does_not_soften_a_revocation(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(uses(store, 1, 7));
    let revoked = CertificateState::Revoked;
    assert!(store.set_certificate_state(&[7; 16], revoked).unwrap());
    assert!(
        store
            .set_ticket_state(&[1; 16], TicketState::Revoked)
            .unwrap()
    );
    assert!(store.freeze_ticket(&[1; 16], &[]).unwrap());
    assert_eq!(certificate_state(store, 7), revoked);
    assert_eq!(ticket_state(store, 1), TicketState::Revoked);
}

pub(in crate::store) fn revoked_is_final(store: &dyn Store) {
    store.add_certificate(&certificate(7)).unwrap();
    let revoked = CertificateState::Revoked;
    let active = CertificateState::Active;
    assert!(store.set_certificate_state(&[7; 16], active).unwrap());
    assert!(store.set_certificate_state(&[7; 16], revoked).unwrap());
    assert!(store.set_certificate_state(&[7; 16], revoked).unwrap());
    assert!(!store.set_certificate_state(&[7; 16], active).unwrap());
    assert!(!store.activate_certificate(&[7; 16], &[]).unwrap());
    assert_eq!(certificate_state(store, 7), revoked);
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(
        store
            .set_ticket_state(&[1; 16], TicketState::Revoked)
            .unwrap()
    );
    assert!(
        !store
            .set_ticket_state(&[1; 16], TicketState::Frozen)
            .unwrap()
    );
    assert!(!uses(store, 1, 8));
    assert_eq!(ticket_state(store, 1), TicketState::Revoked);
}

/// An entry that names what was revoked.
fn revoking(what: &Revocable) -> Entry {
    let detail = match what {
        Revocable::Certificate(serial) => format!("certificate {}", serial[0]),
        Revocable::Ticket(id) => format!("ticket {}", id[0]),
    };
    Entry::new(at(5), "D1", Action::Revoked, "P1", &detail)
}

pub(in crate::store) fn a_patient_is_revoked_with_her_open_tickets_and_each_is_logged(
    store: &dyn Store,
) {
    for id in [1, 2, 3] {
        let subject = "P1".to_owned();
        store
            .add_ticket(
                &TicketRow {
                    subject,
                    ..ticket(id)
                },
                &[],
            )
            .unwrap();
    }
    store.add_ticket(&ticket(4), &[]).unwrap();
    let hers = |serial: u8| CertificateRow {
        subject: "P1".to_owned(),
        ..certificate(serial)
    };
    let used = store.use_ticket(&[1; 16], &hers(7), &[]).unwrap();
    assert_eq!(used, TicketUsed::Now);
    store.add_certificate(&hers(8)).unwrap();
    store.add_certificate(&certificate(9)).unwrap();
    assert!(store.freeze_ticket(&[2; 16], &[]).unwrap());
    let mut revoked = store.revoke("P1", None, &revoking).unwrap();
    revoked.sort_by_key(|what| match what {
        Revocable::Certificate(name) | Revocable::Ticket(name) => name[0],
    });
    let expected = [
        Revocable::Ticket([3; 16]),
        Revocable::Certificate([7; 16]),
        Revocable::Certificate([8; 16]),
    ];
    assert_eq!(revoked, expected);
    let state = CertificateState::Revoked;
    assert_eq!(
        [7, 8].map(|serial| certificate_state(store, serial)),
        [state; 2]
    );
    assert_eq!(certificate_state(store, 9), CertificateState::Inactive);
    let states = [1, 2, 3, 4].map(|id| ticket_state(store, id));
    let [used, frozen, revoked, open] = states;
    assert_eq!((used, frozen), (TicketState::Used, TicketState::Frozen));
    assert_eq!((revoked, open), (TicketState::Revoked, TicketState::Open));
    let logged = store.audit(1, 9).unwrap();
    assert_eq!(logged.len(), 3);
    assert!(logged.iter().any(|row| row.detail == "ticket 3"));
    // Once.
    assert_eq!(store.revoke("P1", None, &revoking).unwrap(), []);
    assert_eq!(store.audit(1, 9).unwrap().len(), 3);
}

pub(in crate::store) fn one_certificate_is_revoked_alone(store: &dyn Store) {
    let hers = |serial: u8| CertificateRow {
        subject: "P1".to_owned(),
        ..certificate(serial)
    };
    store.add_certificate(&hers(7)).unwrap();
    store.add_certificate(&hers(8)).unwrap();
    let subject = "P1".to_owned();
    store
        .add_ticket(
            &TicketRow {
                subject,
                ..ticket(1)
            },
            &[],
        )
        .unwrap();
    let expected = [Revocable::Certificate([8; 16])];
    assert_eq!(
        store.revoke("P1", Some(&[8; 16]), &revoking).unwrap(),
        expected
    );
    assert_eq!(store.revoke("P2", Some(&[7; 16]), &revoking).unwrap(), []);
    assert_eq!(certificate_state(store, 7), CertificateState::Inactive);
    assert_eq!(certificate_state(store, 8), CertificateState::Revoked);
    assert_eq!(ticket_state(store, 1), TicketState::Open);
    assert_eq!(store.audit(1, 9).unwrap().len(), 1);
}

pub(in crate::store) fn only_what_is_frozen_is_let_in_again(store: &dyn Store) {
    let entry = [Entry::new(at(5), "D1", Action::Unfrozen, "P1", "")];
    let lifted = |serial: u8| store.unfreeze_certificate(&[serial; 16], &entry).unwrap();
    assert!(!lifted(7), "there is none");
    store.add_ticket(&ticket(1), &[]).unwrap();
    assert!(uses(store, 1, 7));
    assert!(!lifted(7), "it is inactive");
    assert!(store.freeze_ticket(&[1; 16], &[]).unwrap());
    assert!(lifted(7));
    assert!(!lifted(7), "it is active");
    assert_eq!(certificate_state(store, 7), CertificateState::Active);
    assert_eq!(ticket_state(store, 1), TicketState::Frozen);
    store.revoke("P7", None, &revoking).unwrap();
    assert!(!lifted(7), "it is revoked");
    assert_eq!(certificate_state(store, 7), CertificateState::Revoked);
    let logged = store.audit(1, 9).unwrap();
    assert_eq!(logged.len(), 2);
    assert_eq!(logged[0].action, Action::Unfrozen.word());
}

pub(in crate::store) fn only_an_open_ticket_is_taken_back(store: &dyn Store) {
    let entry = [Entry::new(at(5), "D1", Action::TicketRevoked, "P1", "")];
    let taken = |id: u8| store.revoke_ticket(&[id; 16], &entry).unwrap();
    assert!(!taken(1), "there is none");
    store.add_ticket(&ticket(1), &[]).unwrap();
    store.add_ticket(&ticket(2), &[]).unwrap();
    assert!(uses(store, 2, 7));
    assert!(taken(1));
    assert!(!taken(1) && !taken(2));
    assert!(!uses(store, 1, 8));
    assert_eq!(ticket_state(store, 1), TicketState::Revoked);
    assert_eq!(ticket_state(store, 2), TicketState::Used);
    assert_eq!(store.audit(1, 9).unwrap().len(), 1);
}

pub(in crate::store) fn activation_does_not_thaw(store: &dyn Store) {
    store.add_certificate(&certificate(7)).unwrap();
    assert!(store.activate_certificate(&[7; 16], &[]).unwrap());
    assert!(store.activate_certificate(&[7; 16], &[]).unwrap(), "again");
    assert_eq!(certificate_state(store, 7), CertificateState::Active);
    let frozen = CertificateState::Frozen;
    assert!(store.set_certificate_state(&[7; 16], frozen).unwrap());
    assert!(!store.activate_certificate(&[7; 16], &[]).unwrap());
    assert_eq!(certificate_state(store, 7), frozen);
}

pub(in crate::store) fn certificates_are_listed_oldest_first(store: &dyn Store) {
    for serial in [1, 3, 2] {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    let expected = [certificate(3), certificate(2), certificate(1)];
    assert_eq!(store.certificates().unwrap(), expected);
}

pub(in crate::store) fn a_serial_or_fingerprint_is_not_used_twice(store: &dyn Store) {
    store.add_certificate(&certificate(1)).unwrap();
    let same_serial = CertificateRow {
        serial: [1; 16],
        ..certificate(2)
    };
    let same_fingerprint = CertificateRow {
        fingerprint: [1; 32],
        ..certificate(2)
    };
    for row in [same_serial, same_fingerprint] {
        let error = store.add_certificate(&row).unwrap_err();
        assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    }
    assert_eq!(store.certificates().unwrap(), [certificate(1)]);
}

pub(in crate::store) fn a_certificate_of_a_ticket_that_is_not_there_is_refused(store: &dyn Store) {
    let row = CertificateRow {
        ticket: Some([9; 16]),
        ..certificate(1)
    };
    let error = store.add_certificate(&row).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Dangling), "{error}");
    assert_eq!(store.certificate(&[1; 16]).unwrap(), None);
}

pub(in crate::store) fn a_timestamp_only_rises(store: &dyn Store) {
    let serial = [1; 16];
    assert!(store.advance_timestamp(&serial, at(10)).unwrap());
    assert!(!store.advance_timestamp(&serial, at(10)).unwrap());
    assert!(!store.advance_timestamp(&serial, at(9)).unwrap());
    assert_eq!(store.last_timestamp(&serial).unwrap(), Some(at(10)));
    assert!(store.advance_timestamp(&serial, at(11)).unwrap());
    assert_eq!(store.last_timestamp(&serial).unwrap(), Some(at(11)));
}

pub(in crate::store) fn timestamps_of_two_certificates_are_apart(store: &dyn Store) {
    assert!(store.advance_timestamp(&[1; 16], at(10)).unwrap());
    assert!(store.advance_timestamp(&[2; 16], at(5)).unwrap());
    assert_eq!(store.last_timestamp(&[1; 16]).unwrap(), Some(at(10)));
}

pub(in crate::store) fn of_two_equal_timestamps_one_wins(store: &dyn Store) {
    for round in 1..=20 {
        let won = thread::scope(|scope| {
            let racers = [(); 2]
                .map(|()| scope.spawn(|| store.advance_timestamp(&[1; 16], at(round)).unwrap()));
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
    }
}

pub(in crate::store) fn the_last_timestamp_there_is_fits(store: &dyn Store) {
    assert!(store.advance_timestamp(&[1; 16], at(u64::MAX)).unwrap());
    assert!(!store.advance_timestamp(&[1; 16], at(u64::MAX)).unwrap());
    let kept = store.last_timestamp(&[1; 16]).unwrap().unwrap();
    assert_eq!(kept.as_millis(), u64::MAX / 2);
}
