//! What every back end must do with prekeys and the doctor's papers.

use super::trust::{certificate_state, prekey};
use super::{at, certificate, ticket};
use crate::audit::head::Head;
use crate::audit::{Action, Entry, Link};
use crate::store::{CertificateState, KeyChange, Revocable, Revoked, Store, StoreFault, fact};

pub(in crate::store) fn prekeys_are_listed_and_removed(store: &dyn Store) {
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

fn sign(number: u64, link: Link) -> Head {
    Head {
        number,
        link,
        at: at(5),
        certificate: [9; 32],
        signature: vec![1; 512],
    }
}

pub(in crate::store) fn papers_change_in_one_step(store: &dyn Store) {
    store.add_prekey(&prekey(1), &[]).unwrap();
    store.add_certificate(&certificate(1)).unwrap();
    let entry = Entry::new(at(5), "D1", Action::KeyChanged, "D1", "");
    let facts = [("a", &b"1"[..])];
    let head = store
        .change_papers(&facts, &[entry], b"certificate", &mut sign)
        .unwrap();
    assert_eq!(store.newest_signed_head().unwrap(), Some(head));
    assert_eq!(store.signing_certificates().unwrap(), [b"certificate"]);
    assert_eq!(store.fact("a").unwrap().unwrap(), b"1");
    assert_eq!(store.prekeys().unwrap(), [prekey(1)]);
    assert_eq!(certificate_state(store, 1), CertificateState::Inactive);
}

pub(in crate::store) fn a_key_changes_with_the_list_that_was_looked_at_or_not_at_all(
    store: &dyn Store,
) {
    store.add_prekey(&prekey(1), &[]).unwrap();
    for number in [1, 2] {
        store.add_certificate(&certificate(number)).unwrap();
        store.add_ticket(&ticket(number), &[]).unwrap();
    }
    store.set_facts(&[(fact::REVOKED_DOCTORS, b"one")]).unwrap();
    // Revoked before: that is not told again.
    let revoked = CertificateState::Revoked;
    assert!(store.set_certificate_state(&[2; 16], revoked).unwrap());
    assert!(store.revoke_ticket(&[2; 16], &[]).unwrap());
    let change = |known: &[u8]| {
        let next = prekey(2);
        let change = KeyChange {
            known,
            list: b"two",
            facts: &[("a", b"1")],
            prekey: &next,
            signed: &[],
            audit: &[Entry::new(at(5), "D1", Action::KeyChanged, "D1", "")],
            revoked: &|revoked| Entry::new(at(5), "D1", Action::Revoked, &revoked.patient, ""),
        };
        store
            .change_key(&change, b"certificate", &mut sign)
            .unwrap()
    };
    assert_eq!(change(b"none"), None);
    assert_eq!(store.fact("a").unwrap(), None);
    assert_eq!(store.prekeys().unwrap(), [prekey(1)]);
    assert_eq!(certificate_state(store, 1), CertificateState::Inactive);
    assert!(store.audit(1, 9).unwrap().is_empty());
    let one = |what| Revoked {
        patient: certificate(1).subject,
        what,
    };
    let of_ticket = Revoked {
        patient: ticket(1).subject,
        what: Revocable::Ticket([1; 16]),
    };
    let both = vec![one(Revocable::Certificate([1; 16])), of_ticket];
    assert_eq!(change(b"one"), Some(both));
    let list = store.fact(fact::REVOKED_DOCTORS).unwrap().unwrap();
    assert_eq!(list, b"two");
    assert_eq!(store.prekeys().unwrap(), [prekey(2)]);
    assert_eq!(certificate_state(store, 1), revoked);
    let logged = store.audit(1, 9).unwrap();
    let actions: Vec<_> = logged.iter().map(|row| &*row.action).collect();
    assert_eq!(actions, ["key changed", "revoked", "revoked"]);
    assert!(store.newest_signed_head().unwrap().is_some());
    assert_eq!(change(b"one"), None);
}
