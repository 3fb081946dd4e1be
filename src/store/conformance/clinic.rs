//! What every back end that several doctors can share must do with joining,
//! and with whose patient a patient is.

use super::{at, ticket};
use crate::audit::{Action, Entry};
use crate::store::clinic::{ClinicStore, Handed, JoinState, JoinTicketRow, Removal, StaffRow};
use crate::store::{Store, StoreFault, TicketState, fact};

fn clinic(store: &dyn Store) -> &dyn ClinicStore {
    store.clinic().expect("several doctors can share it")
}

fn entry(action: Action) -> Entry {
    Entry::new(at(5), "D1", action, "D2", "")
}

fn logged(store: &dyn Store) -> Vec<String> {
    let rows = store.audit(1, 99).unwrap().into_iter();
    rows.map(|row| row.action).collect()
}

fn join_ticket(id: u8, subject: &str) -> JoinTicketRow {
    JoinTicketRow {
        id: [id; 16],
        doctor: "D1".to_owned(),
        subject: subject.to_owned(),
        role: "doctor".to_owned(),
        sealed: vec![id; 300],
        created: at(1_000 - u64::from(id)),
        expires: at(2_000),
        state: JoinState::Open,
        request: None,
        answer: None,
    }
}

fn staff(id: &str) -> StaffRow {
    StaffRow {
        id: id.to_owned(),
        role: "doctor".to_owned(),
        certificate: vec![3; 1_000],
        joined: at(7),
    }
}

pub(in crate::store) fn a_join_ticket_comes_back_whole(store: &dyn Store) {
    let clinic = clinic(store);
    for id in [1, 2] {
        let made = [entry(Action::JoinTicketMade)];
        clinic
            .add_join_ticket(&join_ticket(id, "D2"), &made)
            .unwrap();
    }
    assert_eq!(
        clinic.join_ticket(&[1; 16]).unwrap(),
        Some(join_ticket(1, "D2"))
    );
    assert_eq!(clinic.join_ticket(&[9; 16]).unwrap(), None);
    let from = |begin: &[u8], after: Option<u8>, most| {
        let after = after.map(|id| [id; 16]);
        let rows = clinic.join_tickets_from(begin, after.as_ref(), most);
        rows.unwrap()
    };
    let (first, second) = (join_ticket(1, "D2"), join_ticket(2, "D2"));
    assert_eq!(from(&[], None, 9), [first.clone(), second.clone()]);
    assert_eq!(from(&[], None, 1), [first]);
    assert_eq!(from(&[], Some(1), 9), std::slice::from_ref(&second));
    assert_eq!(from(&[2, 2], None, 9), [second]);
    assert_eq!(from(&[2, 2], Some(2), 9), []);
    assert_eq!(from(&[2, 3], None, 9), []);
    let error = clinic
        .add_join_ticket(&join_ticket(1, "D3"), &[])
        .unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(logged(store).len(), 2);
}

pub(in crate::store) fn one_request_is_made_with_a_join_ticket(store: &dyn Store) {
    let clinic = clinic(store);
    clinic.add_join_ticket(&join_ticket(1, "D2"), &[]).unwrap();
    let put = |id: u8, request: &[u8]| clinic.put_join_request(&[id; 16], request).unwrap();
    assert_eq!(put(9, b"request"), Handed::Refused);
    assert_eq!(put(1, b"request"), Handed::Now);
    assert_eq!(put(1, b"request"), Handed::Before);
    assert_eq!(put(1, b"another"), Handed::Refused);
    let row = clinic.join_ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!(
        (row.state, row.request.as_deref()),
        (JoinState::Asked, Some(&b"request"[..]))
    );
}

pub(in crate::store) fn a_request_to_join_is_answered_once(store: &dyn Store) {
    let clinic = clinic(store);
    clinic.add_join_ticket(&join_ticket(1, "D2"), &[]).unwrap();
    let answer = |request: &[u8]| {
        let admitted = [entry(Action::Admitted)];
        clinic
            .put_join_answer(&[1; 16], request, b"answer", &staff("D2"), &admitted)
            .unwrap()
    };
    assert!(!answer(b"request"), "nobody has asked");
    clinic.put_join_request(&[1; 16], b"request").unwrap();
    assert!(!answer(b"another"));
    assert!(clinic.staff().unwrap().is_empty() && logged(store).is_empty());
    assert!(answer(b"request"));
    assert!(!answer(b"request"));
    assert_eq!(clinic.staff().unwrap(), [staff("D2")]);
    assert_eq!(logged(store), ["staff admitted"]);
    let row = clinic.join_ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!(
        (row.state, row.answer.as_deref()),
        (JoinState::Answered, Some(&b"answer"[..]))
    );
    assert!(!clinic.revoke_join_ticket(&[1; 16], &[]).unwrap());
    for _ in 0..2 {
        let used = [entry(Action::ClinicJoined)];
        assert!(clinic.use_join_ticket(&[1; 16], &used).unwrap());
    }
    let row = clinic.join_ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!((row.state, row.answer), (JoinState::Used, None));
    assert_eq!(logged(store), ["staff admitted", "clinic joined"]);
}

pub(in crate::store) fn a_name_is_given_to_one_person(store: &dyn Store) {
    let clinic = clinic(store);
    assert!(clinic.add_staff_if_new(&staff("D2")).unwrap());
    assert!(!clinic.add_staff_if_new(&staff("D2")).unwrap());
    clinic.add_join_ticket(&join_ticket(1, "D2"), &[]).unwrap();
    clinic.put_join_request(&[1; 16], b"request").unwrap();
    let admitted = [entry(Action::Admitted)];
    let answered = clinic
        .put_join_answer(&[1; 16], b"request", b"answer", &staff("D2"), &admitted)
        .unwrap();
    assert!(!answered);
    assert!(logged(store).is_empty());
    let row = clinic.join_ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!((row.state, row.answer), (JoinState::Asked, None));
}

pub(in crate::store) fn a_join_ticket_that_was_taken_back_is_of_no_use(store: &dyn Store) {
    let clinic = clinic(store);
    for (id, asked) in [(1, false), (2, true)] {
        let id = [id; 16];
        clinic
            .add_join_ticket(&join_ticket(id[0], "D2"), &[])
            .unwrap();
        if asked {
            clinic.put_join_request(&id, b"request").unwrap();
        }
        let revoked = [entry(Action::JoinTicketRevoked)];
        assert!(clinic.revoke_join_ticket(&id, &revoked).unwrap());
        assert!(!clinic.revoke_join_ticket(&id, &revoked).unwrap());
        assert_eq!(
            clinic.put_join_request(&id, b"request").unwrap(),
            Handed::Refused
        );
        let answered = clinic.put_join_answer(&id, b"request", b"a", &staff("D2"), &[]);
        assert!(!answered.unwrap());
        assert!(!clinic.use_join_ticket(&id, &[]).unwrap());
    }
    assert_eq!(
        logged(store),
        ["join ticket revoked", "join ticket revoked"]
    );
}

pub(in crate::store) fn a_patient_is_one_doctors_until_she_is_transferred(store: &dyn Store) {
    let clinic = clinic(store);
    assert_eq!(clinic.assigned("P1").unwrap(), None);
    assert_eq!(clinic.assign_if_new("P1", "D1").unwrap(), "D1");
    assert_eq!(clinic.assign_if_new("P1", "D2").unwrap(), "D1");
    assert_eq!(clinic.assign_if_new("P0", "D1").unwrap(), "D1");
    assert_eq!(clinic.patients_of("D1").unwrap(), ["P0", "P1"]);
    let transfer = |from: &str, to: &str| {
        let moved = [entry(Action::Transferred)];
        clinic.transfer("P1", from, to, &moved).unwrap()
    };
    assert!(!transfer("D2", "D3"));
    assert!(transfer("D1", "D2"));
    assert!(!transfer("D1", "D2"));
    assert_eq!(logged(store), ["patient transferred"]);
    assert_eq!(clinic.assigned("P1").unwrap().as_deref(), Some("D2"));
    assert_eq!(clinic.patients_of("D1").unwrap(), ["P0"]);
    assert_eq!(clinic.patients_of("D2").unwrap(), ["P1"]);
}

pub(in crate::store) fn all_patients_of_one_doctor_are_given_at_once(store: &dyn Store) {
    let clinic = clinic(store);
    for (patient, doctor) in [("P2", "D2"), ("P1", "D2"), ("P3", "D3")] {
        clinic.assign_if_new(patient, doctor).unwrap();
    }
    let moved = |patient: &str| Entry::new(at(5), "D1", Action::Transferred, patient, "");
    assert_eq!(
        clinic.transfer_all("D2", "D1", &moved).unwrap(),
        ["P1", "P2"]
    );
    assert!(clinic.transfer_all("D2", "D1", &moved).unwrap().is_empty());
    assert_eq!(clinic.patients_of("D1").unwrap(), ["P1", "P2"]);
    assert_eq!(clinic.patients_of("D3").unwrap(), ["P3"]);
    let subjects = store.audit(1, 9).unwrap().into_iter();
    assert_eq!(
        subjects.map(|row| row.subject).collect::<Vec<_>>(),
        ["P1", "P2"]
    );
}

pub(in crate::store) fn a_list_is_followed_by_one_that_was_made_from_it(store: &dyn Store) {
    let clinic = clinic(store);
    // Whose view of the store it is: hers are the tickets that are made here.
    let own = store.nodes().unwrap().doctor();
    let list = || store.fact(fact::REVOKED_DOCTORS).unwrap().unwrap();
    let facts: [(&str, &[u8]); 2] = [
        (fact::REVOKED_DOCTORS, b"first"),
        (fact::DOCTOR_CERTIFICATE, b"hers"),
    ];
    store.set_facts(&facts).unwrap();
    for name in [own, "D2", "D3"] {
        clinic.add_staff_if_new(&staff(name)).unwrap();
    }
    // For her, by her, and neither.
    clinic.add_join_ticket(&join_ticket(1, own), &[]).unwrap();
    let by_her = JoinTicketRow {
        doctor: own.to_owned(),
        ..join_ticket(2, "D9")
    };
    clinic.add_join_ticket(&by_her, &[]).unwrap();
    let others = JoinTicketRow {
        doctor: "D2".to_owned(),
        ..join_ticket(3, "D9")
    };
    clinic.add_join_ticket(&others, &[]).unwrap();
    store.add_ticket(&ticket(1), &[]).unwrap();
    clinic.assign_if_new("P1", own).unwrap();
    let remove = |known: &[u8]| {
        let removal = Removal {
            member: own,
            known,
            list: b"second",
            facts: &[(fact::CLOSED_KEYS, b"closed")],
            devices: None,
        };
        let logged = [entry(Action::StaffRevoked)];
        clinic.remove_member(&removal, &logged).unwrap()
    };
    let ids = || -> Vec<_> {
        let staff = clinic.staff().unwrap().into_iter();
        staff.map(|row| row.id).collect()
    };
    // Somebody else was revoked since that was read.
    assert_eq!(remove(b"another"), None);
    assert_eq!((list(), ids().len()), (b"first".to_vec(), 3));
    assert_eq!(store.fact(fact::CLOSED_KEYS).unwrap(), None);
    assert!(logged(store).is_empty());
    assert_eq!(remove(b"first"), Some(Vec::new()));
    assert_eq!(remove(b"first"), None);
    assert_eq!(
        (list(), ids()),
        (b"second".to_vec(), vec!["D2".into(), "D3".into()])
    );
    assert_eq!(logged(store), ["staff revoked"]);
    let state = |id: u8| clinic.join_ticket(&[id; 16]).unwrap().unwrap().state;
    assert_eq!(
        [1, 2, 3].map(state),
        [JoinState::Revoked, JoinState::Revoked, JoinState::Open]
    );
    let made = store.ticket(&[1; 16]).unwrap().unwrap();
    assert_eq!(made.state, TicketState::Revoked);
    assert_eq!(clinic.assigned("P1").unwrap().as_deref(), Some(own));
    // What she has signed can still be checked.
    let all = clinic.facts_of_all(fact::DOCTOR_CERTIFICATE).unwrap();
    assert_eq!(all, [(own.to_owned(), b"hers".to_vec())]);
    assert!(
        clinic
            .facts_of_all(fact::REVOKED_DOCTORS)
            .unwrap()
            .is_empty()
    );
}
