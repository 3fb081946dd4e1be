//! Names of patients and of those who work in the clinic, kept apart.

use telemed::doctor::joining::JoiningError;
use telemed::doctor::tickets::{self, TicketRefusal};
use telemed::identity::certificate::Role;
use telemed::random::OsRandom;

use crate::{Scene, id};

#[test]
fn nobody_is_called_like_a_patient_nor_a_patient_like_who_works_here() {
    let Some(scene) = Scene::new() else { return };
    let make = |name: &str| {
        let lifetime = tickets::LIFETIME;
        tickets::make(&scene.practice, &id(name), "a:1", lifetime, &mut OsRandom)
    };
    scene.joined("A10", Role::Assistant);
    scene.invite("R1", Role::Auditor).unwrap();
    for (name, whose) in [
        ("A10", "A10"),
        ("a10", "A10"),
        ("AlO", "A10"),
        ("AI0", "A10"),
        ("r1", "R1"),
        ("D1", "D1"),
        ("dl", "D1"),
    ] {
        match make(name).unwrap_err() {
            TicketRefusal::StaffName { patient, member } => {
                assert_eq!((patient.as_str(), member.as_str()), (name, whose));
            }
            TicketRefusal::OwnName(own) => assert_eq!(own.as_str(), "D1"),
            error => panic!("{error}"),
        }
    }
    make("P1").unwrap();
    let error = scene.invite("P1", Role::Doctor).unwrap_err();
    assert!(matches!(error, JoiningError::Taken(_)), "{error}");
    for name in ["p1", "PI", "pl"] {
        let error = scene.invite(name, Role::Doctor).unwrap_err();
        assert!(
            matches!(&error, JoiningError::Alike(_, p) if p == "P1"),
            "{error}"
        );
    }
    scene.invite("P2", Role::Doctor).unwrap();
}
