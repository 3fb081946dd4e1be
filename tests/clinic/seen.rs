//! What the members of a clinic note in their own directories, and hold the
//! database to.

use std::fs;

use super::*;

use telemed::doctor::member;
use telemed::doctor::seen::{self, CLINIC, SeenError};
use telemed::doctor::staff::{self, StaffError};
use telemed::identity::authority::DoctorIdentity;
use telemed::identity::certificate::Serial;
use telemed::identity::revocation::RevokedDoctors;

fn fault(error: SetupError) -> SeenError {
    match error {
        SetupError::Seen(_, fault) => fault,
        error => panic!("{error}"),
    }
}

impl Scene {
    /// Puts a list into the database, as whoever can write to it does.
    fn put_list(&self, list: &RevokedDoctors) {
        let facts = [(fact::REVOKED_DOCTORS, list.as_bytes())];
        self.practice.store.set_facts(&facts).unwrap();
    }

    fn signed_list(&self, serial: Serial, at: Timestamp) -> RevokedDoctors {
        let (root, secret) = (&self.practice.identity().root, self.root());
        let clinic = &root.subject().clinic;
        let next = self
            .list()
            .extend(&secret, clinic, &serial, at, &mut OsRandom);
        next.unwrap()
    }
}

fn load(member: &(DataDir, Arc<dyn Store>)) -> Result<DoctorIdentity, SetupError> {
    let (directory, store) = member;
    match member::lacks_node(&**store).unwrap() {
        true => member::load(directory, &**store, now(), &mut OsRandom),
        false => setup::load(directory, &**store, now(), &mut OsRandom),
    }
}

fn put_back((directory, store): &(DataDir, Arc<dyn Store>)) -> Option<(u64, u64)> {
    seen::put_back(&directory.path(""), &**store, now(), &mut OsRandom).unwrap()
}

#[test]
fn an_older_list_of_revoked_doctors_is_refused_until_a_doctor_puts_the_newer_one_back() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D3", Role::Doctor);
    let doctor = scene.joined("D2", Role::Doctor);
    let assistant = scene.joined("A1", Role::Assistant);
    let old = scene.list();
    let clinic = scene.practice.store.clinic().unwrap();
    let mut staff = clinic.staff().unwrap().into_iter();
    let third = staff.find(|row| row.id == "D3").unwrap();
    scene.revoke("D3").unwrap();
    let new = scene.list();
    for member in [&doctor, &assistant] {
        load(member).unwrap();
    }
    scene.put_list(&old);
    for member in [&doctor, &assistant] {
        match fault(load(member).unwrap_err()) {
            SeenError::Older { found, seen } => {
                assert_eq!((found, seen), (old.number(), new.number()));
            }
            fault => panic!("{fault}"),
        }
    }
    // As when the whole database was put back.
    clinic.add_staff_if_new(&third).unwrap();
    assert_eq!(put_back(&doctor), Some((old.number(), new.number())));
    assert_eq!(scene.staff(), ["A1", "D1", "D2"]);
    assert_eq!(put_back(&doctor), None);
    assert_eq!(scene.list().as_bytes(), new.as_bytes());
    assert_eq!(actions(&*doctor.1).last().unwrap(), "key changed");
    for member in [&doctor, &assistant] {
        assert_eq!(load(member).unwrap().revoked.number(), new.number());
    }

    // The old one is what is to be gone on with.
    scene.put_list(&old);
    fs::remove_file(assistant.0.path(CLINIC)).unwrap();
    load(&assistant).unwrap();
    // A list that revokes herself she does not put back.
    let serial = load_serial(&doctor, &new, &scene);
    scene.put_list(&scene.signed_list(serial, now().plus(HOUR)));
    assert!(load(&doctor).unwrap().is_revoked());
    scene.put_list(&new);
    assert_eq!(put_back(&doctor), None);
    let fault = fault(load(&doctor).unwrap_err());
    assert!(matches!(fault, SeenError::Older { .. }), "{fault}");
}

fn load_serial(member: &(DataDir, Arc<dyn Store>), list: &RevokedDoctors, scene: &Scene) -> Serial {
    scene.put_list(list);
    load(member).unwrap().certificate.subject().serial
}

#[test]
fn two_lists_with_one_number_are_not_both_taken() {
    let Some(scene) = Scene::new() else { return };
    let doctor = scene.joined("D2", Role::Doctor);
    let at = now().plus(HOUR);
    let [one, other] = [1, 2].map(|byte| scene.signed_list([byte; 16], at));
    assert_eq!(one.number(), other.number());
    scene.put_list(&one);
    load(&doctor).unwrap();
    scene.put_list(&other);
    let fault = fault(load(&doctor).unwrap_err());
    assert!(matches!(fault, SeenError::Twice(_)), "{fault}");
    assert_eq!(put_back(&doctor), None);
    // The root has signed another one since.
    scene.put_list(&scene.signed_list([3; 16], at));
    load(&doctor).unwrap();
}

#[test]
fn nobody_is_let_off_by_revoking_from_an_older_list() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    scene.joined("D3", Role::Doctor);
    let old = scene.list();
    scene.revoke("D3").unwrap();
    let store = &scene.practice.store;
    let loaded = setup::load(&scene.practice.directory, &**store, now(), &mut OsRandom);
    scene.practice.replace_identity(loaded.unwrap());
    // The running server knows the newer list, and the database does not.
    scene.put_list(&old);
    let error = scene.revoke("D2").unwrap_err();
    assert!(matches!(error, StaffError::Unfit(_)), "{error}");
    assert!(staff::show(&scene.practice, &id("D2"), None).is_ok());
}

#[test]
fn another_root_that_certifies_her_key_is_refused_by_who_has_joined() {
    let (Some(scene), Some(other)) = (Scene::new(), Scene::new()) else {
        return;
    };
    let foreign = other.practice.identity();
    for (name, role) in [("D2", Role::Doctor), ("A1", Role::Assistant)] {
        let member = scene.joined(name, role);
        let key = load(&member).unwrap().signing.verifying_key().clone();
        let root = (&foreign.root, &other.root());
        let certificate = certify_staff(root, (&id(name), role), key, now(), &mut OsRandom);
        let fact = match role {
            Role::Doctor => fact::DOCTOR_CERTIFICATE,
            _ => fact::OWN_CERTIFICATE,
        };
        let own = scene.practice.identity();
        let facts = [
            (fact::ROOT_CERTIFICATE, foreign.root.as_bytes()),
            (fact::REVOKED_DOCTORS, foreign.revoked.as_bytes()),
            (fact, certificate.as_bytes()),
        ];
        member.1.set_facts(&facts).unwrap();
        let fault = fault(load(&member).unwrap_err());
        assert!(matches!(fault, SeenError::OtherRoot), "{fault}");
        // What is noted is all that tells.
        fs::remove_file(member.0.path(CLINIC)).unwrap();
        load(&member).unwrap();
        let facts = [
            (fact::ROOT_CERTIFICATE, own.root.as_bytes()),
            (fact::REVOKED_DOCTORS, own.revoked.as_bytes()),
        ];
        scene.practice.store.set_facts(&facts).unwrap();
    }
}
