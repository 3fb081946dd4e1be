//! What every back end must do, as functions on a store, and the macro that
//! makes them tests of one back end.

mod mailbox;
mod messages;
mod records;

use std::thread;

use super::{
    AuditFilter, CertificateRow, CertificateState, PapersChange, PrekeyRow, Revocable, Store,
    StoreFault, TicketRow, TicketState, TicketUsed,
};
use crate::audit::head::Head;
use crate::audit::{self, Action, Entry};
use crate::clock::Timestamp;

/// Makes a module of tests; `$open` gives something that derefs to a new,
/// empty store.
macro_rules! conformance_tests {
    ($open:expr, $($name:ident),* $(,)?) => {
        $(#[test] fn $name() { $crate::store::conformance::$name(&*$open); })*
    };
    ($open:expr) => {
        $crate::store::conformance::conformance_tests!(
            $open,
            facts_are_kept_replaced_and_removed,
            a_fact_is_moved_only_if_it_is_still_the_same,
            facts_are_exact_bytes,
            a_ticket_comes_back_whole,
            a_second_ticket_of_the_same_name_is_refused,
            a_ticket_is_used_once,
            what_is_not_there_is_absent_not_broken,
            a_certificate_that_cannot_be_stored_leaves_the_ticket_open,
            of_two_who_use_a_ticket_one_wins,
            of_two_tickets_for_what_clashes_one_is_used,
            a_ticket_is_never_opened_again,
            freezing_a_ticket_freezes_its_certificate,
            freezing_does_not_soften_a_revocation,
            revoked_is_final,
            a_patient_is_revoked_with_her_open_tickets_and_each_is_logged,
            one_certificate_is_revoked_alone,
            only_what_is_frozen_is_let_in_again,
            only_an_open_ticket_is_taken_back,
            activation_does_not_thaw,
            certificates_are_listed_oldest_first,
            a_serial_or_fingerprint_is_not_used_twice,
            a_certificate_of_a_ticket_that_is_not_there_is_refused,
            a_timestamp_only_rises,
            timestamps_of_two_certificates_are_apart,
            of_two_equal_timestamps_one_wins,
            the_last_timestamp_there_is_fits,
            prekeys_are_listed_and_removed,
            papers_change_in_one_step,
            audit_entries_form_a_chain,
            audit_entries_are_found,
            an_enrolment_and_a_freezing_are_logged_once,
            signed_heads_are_kept_with_their_certificates,
            a_received_message_comes_back_whole_and_is_kept_once,
            a_message_is_unread_until_it_was_shown,
            a_confirmation_is_given_once_and_waits_until_it_arrived,
            a_written_message_waits_until_it_arrived,
            a_record_comes_back_whole,
            a_patient_has_one_record,
            a_change_counts_the_record_up,
            of_two_changes_of_one_version_one_wins,
            consultations_are_listed_by_their_beginning,
            a_consultation_needs_a_record,
            devices_are_listed_with_when_they_were_seen,
            a_message_is_queued_for_each_of_its_recipients,
            a_message_of_the_same_id_is_refused_whole,
            each_state_has_its_time_and_the_first_one_stays,
            what_is_open_is_given_until_it_has_arrived,
            what_is_urgent_is_given_until_the_patient_has_confirmed,
            what_has_ended_is_given_to_nobody,
            a_new_device_gets_what_no_other_of_its_patient_has_got,
            what_is_missing_at_one_device_only_is_not_missing,
            a_confirmation_is_kept_as_it_came,
            messages_are_found_by_number_prefix_and_patient,
            a_patients_message_is_kept_once_for_each_device,
            a_patients_message_is_unread_until_it_was_shown,
            a_consultations_last_word_is_found,
            changes_are_committed_and_logged_together,
            only_active_devices_are_recipients,
            who_has_no_active_device_is_found_with_the_reason,
        );
    };
}
pub(super) use conformance_tests;
pub(super) use mailbox::*;
pub(super) use messages::*;
pub(super) use records::*;

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn ticket(id: u8) -> TicketRow {
    TicketRow {
        id: [id; 16],
        subject: format!("P{id}"),
        sealed: vec![id ^ 0xff; 40],
        created: at(1_000 - u64::from(id)),
        expires: at(2_000),
        state: TicketState::Open,
        serial: None,
    }
}

pub(super) fn certificate(serial: u8) -> CertificateRow {
    CertificateRow {
        serial: [serial; 16],
        fingerprint: [serial; 32],
        subject: format!("P{serial}"),
        bytes: vec![serial; 1_000],
        state: CertificateState::Inactive,
        ticket: None,
        created: at(1_000 - u64::from(serial)),
        not_after: at(9_000),
    }
}

/// Whether this ticket is used for this certificate now.
pub(super) fn uses(store: &dyn Store, id: u8, serial: u8) -> bool {
    let used = store.use_ticket(&[id; 16], &certificate(serial), &|_| false);
    used.unwrap() == TicketUsed::Now
}

fn prekey(kid: u8) -> PrekeyRow {
    PrekeyRow {
        kid: [kid; 8],
        bytes: vec![kid; 700],
        not_before: at(1_000 - u64::from(kid)),
        not_after: at(9_000),
    }
}

fn ticket_state(store: &dyn Store, id: u8) -> TicketState {
    store.ticket(&[id; 16]).unwrap().unwrap().state
}

fn certificate_state(store: &dyn Store, serial: u8) -> CertificateState {
    store.certificate(&[serial; 16]).unwrap().unwrap().state
}

pub(super) fn facts_are_kept_replaced_and_removed(store: &dyn Store) {
    assert_eq!(store.fact("a").unwrap(), None);
    store.set_facts(&[("a", b"1"), ("b", b"2")]).unwrap();
    store.set_facts(&[("b", b"3")]).unwrap();
    assert_eq!(store.fact("a").unwrap().unwrap(), b"1");
    assert_eq!(store.fact("b").unwrap().unwrap(), b"3");
    assert!(store.remove_fact("a").unwrap());
    assert!(!store.remove_fact("a").unwrap());
    assert_eq!(store.fact("a").unwrap(), None);
}

pub(super) fn a_fact_is_moved_only_if_it_is_still_the_same(store: &dyn Store) {
    store.set_facts(&[("new", b"1"), ("good", b"0")]).unwrap();
    let entry = Entry::new(at(1), "D1", Action::KeyChanged, "", "");
    let audit = [entry];
    assert!(!store.move_fact("new", b"2", "good", &audit).unwrap());
    assert_eq!(store.fact("good").unwrap().unwrap(), b"0");
    assert_eq!(store.audit_head().unwrap(), None);
    assert!(store.move_fact("new", b"1", "good", &audit).unwrap());
    assert_eq!(store.fact("good").unwrap().unwrap(), b"1");
    assert_eq!(store.fact("new").unwrap(), None);
    assert_eq!(store.audit_head().unwrap().unwrap().0, 1);
}

pub(super) fn facts_are_exact_bytes(store: &dyn Store) {
    let every_byte: Vec<u8> = (0..=255).collect();
    store
        .set_facts(&[("all", &every_byte), ("none", b"")])
        .unwrap();
    assert_eq!(store.fact("all").unwrap().unwrap(), every_byte);
    assert_eq!(store.fact("none").unwrap().unwrap(), b"");
    assert_eq!(store.fact("ALL").unwrap(), None);
}

pub(super) fn a_ticket_comes_back_whole(store: &dyn Store) {
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

pub(super) fn a_second_ticket_of_the_same_name_is_refused(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    let mut other = ticket(1);
    other.subject = "P9".into();
    let error = store.add_ticket(&other, &[]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(store.ticket(&[1; 16]).unwrap().unwrap().subject, "P1");
}

pub(super) fn a_ticket_is_used_once(store: &dyn Store) {
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

pub(super) fn what_is_not_there_is_absent_not_broken(store: &dyn Store) {
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

pub(super) fn a_certificate_that_cannot_be_stored_leaves_the_ticket_open(store: &dyn Store) {
    store.add_certificate(&certificate(7)).unwrap();
    store.add_ticket(&ticket(1), &[]).unwrap();
    let error = store
        .use_ticket(&[1; 16], &certificate(7), &|_| false)
        .unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(ticket_state(store, 1), TicketState::Open);
    assert!(uses(store, 1, 8));
}

pub(super) fn of_two_who_use_a_ticket_one_wins(store: &dyn Store) {
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

pub(super) fn of_two_tickets_for_what_clashes_one_is_used(store: &dyn Store) {
    for round in 0..20 {
        let tickets = [2 * round, 2 * round + 1];
        for id in tickets {
            store.add_ticket(&ticket(id), &[]).unwrap();
        }
        let used = thread::scope(|scope| {
            let racers = tickets.map(|id| {
                let row = CertificateRow {
                    bytes: vec![round; 1_000],
                    ..certificate(100 + id)
                };
                scope.spawn(move || {
                    let clashes = |other: &[u8]| other == row.bytes;
                    store.use_ticket(&[id; 16], &row, &clashes).unwrap()
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

pub(super) fn a_ticket_is_never_opened_again(store: &dyn Store) {
    store.add_ticket(&ticket(1), &[]).unwrap();
    let open = TicketState::Open;
    assert!(store.set_ticket_state(&[1; 16], open).unwrap(), "it is");
    for state in [TicketState::Used, TicketState::Frozen, TicketState::Used] {
        assert!(store.set_ticket_state(&[1; 16], state).unwrap());
        assert!(!store.set_ticket_state(&[1; 16], open).unwrap());
        assert_eq!(ticket_state(store, 1), state);
    }
}

pub(super) fn freezing_a_ticket_freezes_its_certificate(store: &dyn Store) {
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

pub(super) fn freezing_does_not_soften_a_revocation(store: &dyn Store) {
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

pub(super) fn revoked_is_final(store: &dyn Store) {
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

pub(super) fn a_patient_is_revoked_with_her_open_tickets_and_each_is_logged(store: &dyn Store) {
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
    let never = |_: &[u8]| false;
    let used = store.use_ticket(&[1; 16], &hers(7), &never).unwrap();
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

pub(super) fn one_certificate_is_revoked_alone(store: &dyn Store) {
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

pub(super) fn only_what_is_frozen_is_let_in_again(store: &dyn Store) {
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

pub(super) fn only_an_open_ticket_is_taken_back(store: &dyn Store) {
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

pub(super) fn activation_does_not_thaw(store: &dyn Store) {
    store.add_certificate(&certificate(7)).unwrap();
    assert!(store.activate_certificate(&[7; 16], &[]).unwrap());
    assert!(store.activate_certificate(&[7; 16], &[]).unwrap(), "again");
    assert_eq!(certificate_state(store, 7), CertificateState::Active);
    let frozen = CertificateState::Frozen;
    assert!(store.set_certificate_state(&[7; 16], frozen).unwrap());
    assert!(!store.activate_certificate(&[7; 16], &[]).unwrap());
    assert_eq!(certificate_state(store, 7), frozen);
}

pub(super) fn certificates_are_listed_oldest_first(store: &dyn Store) {
    for serial in [1, 3, 2] {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    let expected = [certificate(3), certificate(2), certificate(1)];
    assert_eq!(store.certificates().unwrap(), expected);
}

pub(super) fn a_serial_or_fingerprint_is_not_used_twice(store: &dyn Store) {
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

pub(super) fn a_certificate_of_a_ticket_that_is_not_there_is_refused(store: &dyn Store) {
    let row = CertificateRow {
        ticket: Some([9; 16]),
        ..certificate(1)
    };
    let error = store.add_certificate(&row).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Dangling), "{error}");
    assert_eq!(store.certificate(&[1; 16]).unwrap(), None);
}

pub(super) fn a_timestamp_only_rises(store: &dyn Store) {
    let serial = [1; 16];
    assert!(store.advance_timestamp(&serial, at(10)).unwrap());
    assert!(!store.advance_timestamp(&serial, at(10)).unwrap());
    assert!(!store.advance_timestamp(&serial, at(9)).unwrap());
    assert_eq!(store.last_timestamp(&serial).unwrap(), Some(at(10)));
    assert!(store.advance_timestamp(&serial, at(11)).unwrap());
    assert_eq!(store.last_timestamp(&serial).unwrap(), Some(at(11)));
}

pub(super) fn timestamps_of_two_certificates_are_apart(store: &dyn Store) {
    assert!(store.advance_timestamp(&[1; 16], at(10)).unwrap());
    assert!(store.advance_timestamp(&[2; 16], at(5)).unwrap());
    assert_eq!(store.last_timestamp(&[1; 16]).unwrap(), Some(at(10)));
}

pub(super) fn of_two_equal_timestamps_one_wins(store: &dyn Store) {
    for round in 1..=20 {
        let won = thread::scope(|scope| {
            let racers = [(); 2]
                .map(|()| scope.spawn(|| store.advance_timestamp(&[1; 16], at(round)).unwrap()));
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
    }
}

pub(super) fn the_last_timestamp_there_is_fits(store: &dyn Store) {
    assert!(store.advance_timestamp(&[1; 16], at(u64::MAX)).unwrap());
    assert!(!store.advance_timestamp(&[1; 16], at(u64::MAX)).unwrap());
    let kept = store.last_timestamp(&[1; 16]).unwrap().unwrap();
    assert_eq!(kept.as_millis(), u64::MAX / 2);
}

pub(super) fn prekeys_are_listed_and_removed(store: &dyn Store) {
    store.add_prekey(&prekey(1), &[]).unwrap();
    store.add_prekey(&prekey(2), &[]).unwrap();
    let error = store.add_prekey(&prekey(2), &[]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(store.prekeys().unwrap(), [prekey(2), prekey(1)]);
    let entry = Entry::new(at(5), "server", Action::KeyChanged, "D1", "");
    assert!(store.remove_prekey(&[2; 8], &[entry]).unwrap());
    assert_eq!(store.prekeys().unwrap(), [prekey(1)]);
    assert_eq!(store.audit(0, 9).unwrap().len(), 1);
}

pub(super) fn papers_change_in_one_step(store: &dyn Store) {
    store.add_prekey(&prekey(1), &[]).unwrap();
    store.add_certificate(&certificate(1)).unwrap();
    let entry = Entry::new(at(5), "D1", Action::KeyChanged, "D1", "");
    let mut sign = |number, link| Head {
        number,
        link,
        at: at(5),
        certificate: [9; 32],
        signature: vec![1; 512],
    };
    let facts = [("a", &b"1"[..])];
    let mut change = PapersChange {
        facts: &facts,
        prekey: None,
    };
    let entries = [entry];
    let head = store
        .change_papers(&change, &entries, b"certificate", &mut sign)
        .unwrap();
    assert_eq!(store.newest_signed_head().unwrap(), Some(head));
    assert_eq!(store.signing_certificates().unwrap(), [b"certificate"]);
    assert_eq!(store.fact("a").unwrap().unwrap(), b"1");
    assert_eq!(store.prekeys().unwrap(), [prekey(1)]);
    assert_eq!(certificate_state(store, 1), CertificateState::Inactive);
    let next = prekey(2);
    change.prekey = Some(&next);
    store
        .change_papers(&change, &entries, b"certificate", &mut sign)
        .unwrap();
    assert_eq!(store.prekeys().unwrap(), [prekey(2)]);
    assert_eq!(certificate_state(store, 1), CertificateState::Revoked);
    assert_eq!(store.audit(1, 9).unwrap().len(), 2);
}

pub(super) fn audit_entries_form_a_chain(store: &dyn Store) {
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

pub(super) fn audit_entries_are_found(store: &dyn Store) {
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

pub(super) fn an_enrolment_and_a_freezing_are_logged_once(store: &dyn Store) {
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

pub(super) fn signed_heads_are_kept_with_their_certificates(store: &dyn Store) {
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
