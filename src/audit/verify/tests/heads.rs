//! What signed heads show of a log that was changed.

use std::fs;

use super::*;
use crate::audit::papers::HeadFault;
use crate::audit::{Action, Entry};
use crate::store::SqliteStore;
use crate::testing::{Clinic, NOW};

#[test]
fn a_missing_end_is_found_by_the_heads() {
    let log = Log::new();
    log.tamper("DELETE FROM audit_entry WHERE number > 12");
    let end = |report: &[Finding]| match report {
        [
            Finding::Truncated {
                last, head, origin, ..
            },
        ] => (*last, *head, origin.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(end(&log.verify_alone()), (12, 16, Origin::Database));
    // Whoever removes the heads of the database as well does not reach the file.
    log.tamper("DELETE FROM audit_head WHERE number > 12");
    assert_eq!(log.verify_alone(), []);
    let origin = Origin::File(log.heads(), 3);
    assert_eq!(end(&log.verify().findings), (12, 16, origin));
    log.tamper("DELETE FROM audit_entry; DELETE FROM audit_head");
    assert!(matches!(
        log.verify().findings[..],
        [Finding::Truncated {
            last: 0,
            head: 16,
            ..
        }]
    ));
}

#[test]
fn a_chain_that_was_computed_anew_is_found_by_the_heads() {
    let log = Log::new();
    log.tamper("UPDATE audit_entry SET subject = 'P99' WHERE number = 10");
    log.recompute(10);
    let replaced = |findings: &[Finding]| match findings {
        [Finding::Replaced { good, head, .. }] => (*good, *head),
        other => panic!("{other:?}"),
    };
    assert_eq!(replaced(&log.verify_alone()), (8, 16));
    log.tamper("DELETE FROM audit_head WHERE number > 8");
    let missing = |number| Finding::HeadMissing {
        number,
        origin: Origin::Log,
    };
    let findings = log.verify().findings;
    assert_eq!(findings[..1], [missing(16)]);
    assert_eq!(log.verify_alone(), [missing(16)]);
    assert_eq!(replaced(&findings[1..]), (8, 16));

    // The same with an entry less, from the very beginning.
    let log = Log::new();
    log.tamper("DELETE FROM audit_head; DELETE FROM audit_entry WHERE number = 2");
    log.recompute(1);
    assert_eq!(log.verify_alone(), [missing(7), missing(15)]);
    let findings = log.verify().findings;
    assert_eq!(findings[..2], [missing(7), missing(15)]);
    assert_eq!(replaced(&findings[2..]), (0, 8));
    // Whoever hides that as well is left without a head.
    let log = Log::new();
    log.tamper(
        "DELETE FROM audit_head;
         UPDATE audit_entry SET action = 'enrolled' WHERE action = 'head signed'",
    );
    log.recompute(1);
    let (first, last) = (1, 20);
    assert_eq!(log.verify_alone(), [Finding::Unvouched { first, last }]);
    assert_eq!(replaced(&log.verify().findings), (0, 8));
}

#[test]
fn a_forged_head_is_found() {
    let log = Log::new();
    log.tamper("UPDATE audit_head SET at = at + 1 WHERE number = 8");
    let forged = |number, origin, fault| Finding::ForgedHead {
        number,
        origin,
        fault,
    };
    let bad = forged(8, Origin::Database, HeadFault::BadSignature);
    assert_eq!(log.verify_alone(), [bad]);

    // Signed by somebody else, who also brings her certificates along.
    let log = Log::new();
    let foreign = Clinic::new().doctor;
    let store = SqliteStore::open(&log.database()).unwrap();
    let head = head_of(&store, &foreign);
    store
        .add_signed_head(&head, foreign.certificate.as_bytes())
        .unwrap();
    drop(store);
    let unknown = forged(20, Origin::Database, HeadFault::UnknownKey);
    assert_eq!(log.verify_alone(), [unknown]);

    let log = Log::new();
    let text = fs::read_to_string(log.heads()).unwrap();
    fs::write(
        log.heads(),
        text.replace(r#""number":8,"#, r#""number":9,"#) + "{}\n",
    )
    .unwrap();
    let origin = |line| Origin::File(log.heads(), line);
    assert_eq!(
        log.verify().findings,
        [
            forged(9, origin(2), HeadFault::BadSignature),
            Finding::BadLine(origin(4))
        ]
    );
}

#[test]
fn a_head_that_was_removed_is_found_in_the_file() {
    let log = Log::new();
    log.tamper("DELETE FROM audit_head WHERE number = 8");
    let (number, origin) = (8, Origin::Log);
    assert_eq!(
        log.verify_alone(),
        [Finding::HeadMissing {
            number,
            origin: Origin::Log
        }]
    );
    assert_eq!(
        log.verify().findings,
        [Finding::HeadMissing { number, origin }]
    );
}

#[test]
fn what_must_have_a_head_behind_it_and_has_none_is_found() {
    let log = Log::new();
    let append = |entries: &[Entry]| {
        let store = SqliteStore::open(&log.database()).unwrap();
        store.append_audit(entries).unwrap();
    };
    let many: Vec<_> = (21..=16 + MAX_UNVOUCHED).map(entry).collect();
    append(&many);
    assert_eq!(log.verify_alone(), []);
    append(&[entry(17 + MAX_UNVOUCHED)]);
    let (first, last) = (17, 17 + MAX_UNVOUCHED);
    assert_eq!(log.verify_alone(), [Finding::Unvouched { first, last }]);
    for action in [Action::Started, Action::Stopped] {
        let log = Log::new();
        let store = SqliteStore::open(&log.database()).unwrap();
        let stopped = Entry::new(NOW, "server", action, "", "");
        store.append_audit(&[stopped, entry(22)]).unwrap();
        drop(store);
        let (first, last) = (17, 22);
        assert_eq!(log.verify_alone(), [Finding::Unvouched { first, last }]);
    }
}
