//! What every back end must do, as functions on a store, and the macro that
//! makes them tests of one back end.

mod audit;
#[cfg(feature = "postgres")]
mod clinic;
mod mailbox;
mod messages;
mod papers;
mod purge;
mod records;
mod trust;

use super::{CertificateRow, CertificateState, Store, TicketRow, TicketState, TicketUsed};
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;

/// Makes tests of what a doctor's store must do; `$with` calls what it is given
/// with a new, empty store.
macro_rules! conformance_tests {
    ($with:ident, $($name:ident),* $(,)?) => {
        $(#[test] fn $name() { $with(|store| $crate::store::conformance::$name(store)); })*
    };
    ($with:ident) => {
        $crate::store::conformance::conformance_tests!(
            $with,
            facts_are_kept_replaced_and_removed,
            a_fact_is_moved_only_if_it_is_still_the_same,
            facts_are_exact_bytes,
            a_ticket_comes_back_whole,
            a_second_ticket_of_the_same_name_is_refused,
            a_ticket_is_used_once,
            what_is_not_there_is_absent_not_broken,
            a_certificate_that_cannot_be_stored_leaves_the_ticket_open,
            of_two_who_use_a_ticket_one_wins,
            of_two_tickets_for_one_key_one_is_used,
            a_key_is_found_in_either_place_of_a_certificate,
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
            a_key_changes_with_the_list_that_was_looked_at_or_not_at_all,
            audit_entries_form_a_chain,
            audit_entries_are_found,
            an_enrolment_and_a_freezing_are_logged_once,
            signed_heads_are_kept_with_their_certificates,
            a_record_comes_back_whole,
            a_patient_has_one_record,
            a_change_counts_the_record_up,
            of_two_changes_of_one_version_one_wins,
            a_record_in_one_piece_is_split_once,
            two_who_split_the_same_records_do_it_once,
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
            what_a_patient_waits_for_outlives_the_purge,
            what_the_doctor_has_not_read_outlives_the_purge,
            an_open_consultation_outlives_the_purge_from_its_opening_on,
            no_purge_opens_a_consultation_that_has_ended,
            only_active_devices_are_recipients,
            who_has_no_active_device_is_found_with_the_reason,
        );
    };
}

/// The same for a store of a patient's, as far as that is not a doctor's.
macro_rules! mailbox_tests {
    ($with:ident) => {
        $crate::store::conformance::conformance_tests!(
            $with,
            a_received_message_comes_back_whole_and_is_kept_once,
            a_message_is_unread_until_it_was_shown,
            a_confirmation_is_given_once_and_waits_until_it_arrived,
            a_written_message_waits_until_it_arrived,
        );
    };
}
pub(super) use audit::*;
#[cfg(feature = "postgres")]
pub(super) use clinic::*;
pub(super) use conformance_tests;
pub(super) use mailbox::*;
pub(super) use mailbox_tests;
pub(super) use messages::*;
pub(super) use papers::*;
pub(super) use purge::*;
pub(super) use records::*;
pub(super) use trust::*;

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
    let used = store.use_ticket(&[id; 16], &certificate(serial), &[]);
    used.unwrap() == TicketUsed::Now
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
