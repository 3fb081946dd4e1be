//! A doctor's signing key is replaced in a clinic where others are at work, and
//! devices that a thief could have enrolled are revoked.

#[path = "over.rs"]
mod over;

use super::*;

use std::cell::RefCell;

use telemed::doctor::authority::{self, AuthorityError};
use telemed::doctor::staff::{self, Answer, Enrolled, StaffError};
use telemed::doctor::tickets;
use telemed::handshake::enrol::NewKeys;
use telemed::identity::authority::DoctorIdentity;
use telemed::identity::certificate::Fingerprint;
use telemed::identity::closing::ClosedKeys;
use telemed::identity::revocation::RevokedDoctors;
use telemed::random::Random;
use telemed::store::{CertificateRow, CertificateState};

/// A certificate row of a device, as if the doctor of this store had enrolled it so
/// long ago.
fn enrol(store: &dyn Store, patient: &str, number: u8, ago: Duration) {
    let row = CertificateRow {
        serial: [number; 16],
        fingerprint: [number; 32],
        subject: patient.to_owned(),
        bytes: vec![number; 100],
        state: CertificateState::Active,
        ticket: None,
        created: now().minus(ago),
        not_after: now().plus(HOUR),
    };
    store.add_certificate(&row).unwrap();
}

/// A device that this doctor's key has certified, in a row of the store's doctor.
fn certified(store: &dyn Store, by: &DoctorIdentity, number: u8) {
    let keys = NewKeys::generate(by.group(), &mut OsRandom);
    let (signing, encryption) = (
        keys.signing.verifying_key().clone(),
        keys.encryption.public().clone(),
    );
    let patient = id(&format!("P{number}"));
    let certificate = by.certify(&patient, signing, encryption, now(), &mut OsRandom);
    let row = CertificateRow {
        serial: [number; 16],
        fingerprint: certificate.fingerprint(),
        subject: patient.to_string(),
        bytes: certificate.as_bytes().to_vec(),
        state: CertificateState::Active,
        ticket: None,
        created: now(),
        not_after: certificate.subject().not_after,
    };
    store.add_certificate(&row).unwrap();
}

fn state(scene: &Scene, number: u8) -> CertificateState {
    let row = scene.practice.store.certificate(&[number; 16]).unwrap();
    row.unwrap().state
}

/// What the founder's log says since, but for whose it is.
fn logged(scene: &Scene, action: &str) -> Vec<(String, String)> {
    let rows = scene.practice.store.audit(1, 999).unwrap().into_iter();
    let rows = rows.filter(|row| row.action == action);
    rows.map(|row| (row.subject, row.detail)).collect()
}

/// Does something when it is first asked for random bytes.
struct Meanwhile<F: FnOnce()>(RefCell<Option<F>>);

impl<F: FnOnce()> Random for Meanwhile<F> {
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Some(done) = self.0.take() {
            done();
        }
        OsRandom.fill(bytes);
    }
}

#[test]
fn a_key_is_not_replaced_over_a_list_that_another_doctor_has_signed_meanwhile() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    let serial = |scene: &Scene| scene.practice.identity().certificate.subject().serial;
    let old = serial(&scene);
    let meanwhile = || {
        scene.revoke("D2").unwrap();
    };
    let mut random = Meanwhile(RefCell::new(Some(meanwhile)));
    let error =
        authority::replace_key(&scene.practice, &scene.root(), "a theft", &mut random).unwrap_err();
    assert!(matches!(error, AuthorityError::Overtaken), "{error}");
    // Nothing was lost, changed or left behind.
    assert_eq!(scene.list().serials().len(), 1);
    assert_eq!(scene.staff(), ["D1"]);
    assert_eq!(serial(&scene), old);
    assert!(logged(&scene, "key changed").is_empty());
    for name in ["signing-next.key", "prekey-next.key"] {
        assert!(!scene.practice.directory.path(name).exists(), "{name}");
    }
    setup::load(
        &scene.practice.directory,
        &*scene.practice.store,
        now(),
        &mut OsRandom,
    )
    .unwrap();
    let random = &mut OsRandom;
    authority::replace_key(&scene.practice, &scene.root(), "a theft", random).unwrap();
    assert_eq!(scene.list().serials().len(), 2);
    assert!(scene.list().contains(&old));
}

#[test]
fn a_key_is_not_replaced_over_an_older_list_that_somebody_has_put_back() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    let old = scene.list();
    scene.revoke("D2").unwrap();
    let new = scene.list();
    let practice = &scene.practice;
    let load = || {
        let (directory, store) = (&practice.directory, &*practice.store);
        setup::load(directory, store, now(), &mut OsRandom).unwrap()
    };
    practice.replace_identity(load());
    // While the question is answered whether the key is to be replaced.
    let put = |list: &RevokedDoctors| {
        let facts = [(fact::REVOKED_DOCTORS, list.as_bytes())];
        practice.store.set_facts(&facts).unwrap();
    };
    put(&old);
    let replace = || authority::replace_key(practice, &scene.root(), "a theft", &mut OsRandom);
    let error = replace().unwrap_err();
    assert!(matches!(error, AuthorityError::OlderList), "{error}");
    assert_eq!(scene.list().as_bytes(), old.as_bytes());
    assert!(logged(&scene, "key changed").is_empty());
    put(&new);
    replace().unwrap();
    assert_eq!(scene.list().serials().len(), 2);
}

#[test]
fn a_device_that_her_key_has_certified_is_revoked_with_the_key_whoever_the_row_names() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let other = setup::load(&directory, &*second, now(), &mut OsRandom).unwrap();
    let own = scene.practice.identity();
    // Both of them by the other doctor's login.
    certified(&*second, &own, 1);
    certified(&*second, &other, 2);
    assert_eq!(authority::devices_at_stake(&scene.practice).unwrap(), 1);
    let random = &mut OsRandom;
    let done = authority::replace_key(&scene.practice, &scene.root(), "a theft", random).unwrap();
    assert_eq!((done.devices, done.patients), (1, 1));
    let states = [1, 2].map(|number| state(&scene, number));
    assert_eq!(
        states,
        [CertificateState::Revoked, CertificateState::Active]
    );
    let whose = logged(&scene, "revoked").into_iter().map(|it| it.0);
    assert_eq!(Vec::from_iter(whose), ["P1"]);
}

#[test]
fn the_log_says_of_a_replaced_key_what_it_has_revoked_and_no_more() {
    let Some(scene) = Scene::new() else { return };
    let (_directory, second) = scene.joined("D2", Role::Doctor);
    let first = &*scene.practice.store;
    for (number, patient) in [(1, "P1"), (2, "P1"), (3, "P3")] {
        enrol(first, patient, number, HOUR);
    }
    enrol(&*second, "P2", 4, HOUR);
    let gone = CertificateState::Revoked;
    assert!(first.set_certificate_state(&[3; 16], gone).unwrap());
    let (patient, place) = (id("P5"), "clinic.example:4000");
    tickets::make(&scene.practice, &patient, place, HOUR, &mut OsRandom).unwrap();
    assert_eq!(authority::devices_at_stake(&scene.practice).unwrap(), 2);
    let random = &mut OsRandom;
    let done = authority::replace_key(&scene.practice, &scene.root(), "a theft", random).unwrap();
    assert_eq!((done.devices, done.patients), (2, 1));
    let states = [1, 2, 3, 4].map(|number| state(&scene, number));
    assert_eq!(states, [gone, gone, gone, CertificateState::Active]);
    let whose: Vec<_> = logged(&scene, "revoked")
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(whose, ["P1", "P1"]);
    let tickets = logged(&scene, "ticket revoked");
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].0, "P5");
    assert_eq!(logged(&scene, "key changed").len(), 1);
}

#[test]
fn devices_that_a_revoked_doctor_has_enrolled_are_revoked_with_her_if_that_is_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let (_directory, second) = scene.joined("D2", Role::Doctor);
    enrol(&*scene.practice.store, "P1", 1, HOUR);
    enrol(&*second, "P2", 2, HOUR * 9);
    enrol(&*second, "P2", 3, HOUR);
    enrol(&*second, "P3", 4, HOUR);
    let since = Enrolled {
        since: Some(now().minus(HOUR * 2)),
    };
    let revoke = |devices: Option<Enrolled>| {
        let member = staff::show(&scene.practice, &id("D2"), devices)?;
        let identity = scene.practice.identity();
        let root = (&identity.root, &scene.root());
        let store = &*scene.practice.store;
        let list = staff::next_list(store, root, &member.serials, now(), &mut OsRandom)?;
        let closed = scene.closed("D2", &list, devices);
        let signed = (list.as_bytes(), &closed[..]);
        match staff::revoke(
            &scene.practice,
            &id("D2"),
            signed,
            "her laptop was stolen",
            devices,
        )? {
            Answer::Revoked {
                member,
                devices,
                enrol_anew,
                ..
            } => Ok((member.enrolled, devices, enrol_anew)),
            Answer::Shown(_) => panic!("it was not asked who she is"),
        }
    };
    let active = CertificateState::Active;
    let states = || [1, 2, 3, 4].map(|number| state(&scene, number));
    // It says how many there are, and leaves them.
    assert_eq!(revoke(None).unwrap(), (3, None, Vec::new()));
    assert_eq!(states(), [active; 4]);
    assert!(matches!(revoke(None), Err(StaffError::Already(_))));
    // It is not too late.
    let (count, done, patients) = revoke(Some(since)).unwrap();
    assert_eq!((count, done), (2, Some(2)));
    assert_eq!(patients, ["P2", "P3"]);
    let gone = CertificateState::Revoked;
    assert_eq!(states(), [active, active, gone, gone]);
    let all = Enrolled::default();
    let (count, done, patients) = revoke(Some(all)).unwrap();
    assert_eq!((count, done, patients), (1, Some(1), vec!["P2".to_owned()]));
    assert_eq!(states(), [active, gone, gone, gone]);
    let entries = logged(&scene, "revoked");
    let whose: Vec<_> = entries.iter().map(|entry| &*entry.0).collect();
    assert_eq!(whose, ["P2", "P3", "P2"]);
    for (_, detail) in &entries {
        assert!(detail.contains("enrolled by D2"), "{detail}");
        assert!(detail.ends_with("her laptop was stolen"), "{detail}");
    }
}

/// The keys that are closed, as the database says.
fn closed(scene: &Scene) -> ClosedKeys {
    let root = &scene.practice.identity().root;
    staff::stored_closed(&*scene.practice.store, root).unwrap()
}

fn device(scene: &Scene, number: u8) -> Fingerprint {
    let row = scene.practice.store.certificate(&[number; 16]).unwrap();
    row.unwrap().fingerprint
}

#[test]
fn the_root_says_what_a_former_doctors_key_has_certified_and_never_more_later() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let thief = setup::load(&directory, &*second, now(), &mut OsRandom).unwrap();
    let key = thief.certificate.key_id();
    certified(&*second, &thief, 1);
    certified(&*second, &thief, 2);
    let frozen = CertificateState::Frozen;
    second.set_certificate_state(&[2; 16], frozen).unwrap();
    let revoke = |devices: Option<Enrolled>| {
        let member = staff::show(&scene.practice, &id("D2"), devices)?;
        let identity = scene.practice.identity();
        let (root, store) = ((&identity.root, &scene.root()), &*scene.practice.store);
        let list = staff::next_list(store, root, &member.serials, now(), &mut OsRandom)?;
        let closed = scene.closed("D2", &list, devices);
        let signed = (list.as_bytes(), &closed[..]);
        staff::revoke(&scene.practice, &id("D2"), signed, "a theft", devices)
    };
    revoke(None).unwrap();
    let statements: Vec<_> = closed(&scene)
        .statements()
        .map(|it| (*it.key(), it.count()))
        .collect();
    assert_eq!(statements, [(key, 1)]);
    // What is frozen, or comes later, is not among them, and is not added when it is
    // said again.
    certified(&*scene.practice.store, &thief, 3);
    let refused = || [1, 2, 3].map(|number| closed(&scene).refuses(&key, &device(&scene, number)));
    assert_eq!(refused(), [false, true, true]);
    assert!(matches!(revoke(None), Err(StaffError::Already(_))));
    let since = |since| Some(Enrolled { since: Some(since) });
    revoke(since(now().plus(HOUR))).unwrap();
    assert_eq!(refused(), [false, true, true]);
    revoke(Some(Enrolled::default())).unwrap();
    assert_eq!(refused(), [true; 3]);
    let identity = setup::load(
        &scene.practice.directory,
        &*scene.practice.store,
        now(),
        &mut OsRandom,
    );
    assert!(identity.unwrap().closed.contains(&key));
}

#[test]
fn a_key_that_an_earlier_version_has_not_closed_is_closed_when_that_is_said_again() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let thief = setup::load(&directory, &*second, now(), &mut OsRandom).unwrap();
    certified(&*second, &thief, 1);
    let list = scene.next_list("D2");
    let signed = (list.as_bytes(), &[][..]);
    staff::revoke(&scene.practice, &id("D2"), signed, "has left", None).unwrap();
    let key = thief.certificate.key_id();
    assert!(!closed(&scene).contains(&key));
    let unclosed = || {
        let identity = setup::load(
            &scene.practice.directory,
            &*scene.practice.store,
            now(),
            &mut OsRandom,
        );
        scene.practice.replace_identity(identity.unwrap());
        staff::unclosed(&scene.practice).unwrap()
    };
    assert_eq!(unclosed(), ["D2"]);
    scene.revoke("D2").unwrap();
    assert!(unclosed().is_empty());
    assert!(closed(&scene).contains(&key));
    assert!(!closed(&scene).refuses(&key, &device(&scene, 1)));
    assert!(matches!(
        staff::show(&scene.practice, &id("D2"), None),
        Err(StaffError::Already(_))
    ));
}

#[test]
fn what_the_root_says_of_a_key_is_taken_for_the_devices_that_it_has_seen() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let thief = setup::load(&directory, &*second, now(), &mut OsRandom).unwrap();
    let list = scene.next_list("D2");
    let said = scene.closed("D2", &list, None);
    let revoke = |list: &RevokedDoctors, closed: &[String]| {
        let signed = (list.as_bytes(), closed);
        staff::revoke(&scene.practice, &id("D2"), signed, "a theft", None)
    };
    certified(&*scene.practice.store, &thief, 1);
    let error = revoke(&list, &said).unwrap_err();
    assert!(matches!(error, StaffError::Overtaken), "{error}");
    // Nor beside another list, nor of another's key, nor by another root.
    let next = scene.next_list("D2");
    scene.joined("D3", Role::Doctor);
    for unfit in [said, scene.closed("D3", &next, None), vec!["00".to_owned()]] {
        let error = revoke(&next, &unfit).unwrap_err();
        let is_unfit = matches!(error, StaffError::Unfit(_) | StaffError::Overtaken);
        assert!(is_unfit, "{error}");
    }
    assert!(closed(&scene).statements().next().is_none());
    assert_eq!(scene.staff(), ["D1", "D2", "D3"]);
}

#[test]
fn a_key_that_was_replaced_certifies_nobody_any_more() {
    let Some(scene) = Scene::new() else { return };
    let old = scene.practice.identity().certificate.key_id();
    certified(&*scene.practice.store, &scene.practice.identity(), 1);
    let random = &mut OsRandom;
    authority::replace_key(&scene.practice, &scene.root(), "a theft", random).unwrap();
    let identity = scene.practice.identity();
    for closed in [&closed(&scene), &identity.closed] {
        assert!(closed.refuses(&old, &device(&scene, 1)));
        assert!(!closed.contains(&identity.certificate.key_id()));
    }
}

#[test]
fn a_device_that_her_key_has_certified_is_revoked_with_her_whoever_the_row_names() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let thief = setup::load(&directory, &*second, now(), &mut OsRandom).unwrap();
    let own = scene.practice.identity();
    // Both of them by the founder's login.
    let store = &*scene.practice.store;
    certified(store, &thief, 1);
    certified(store, &own, 2);
    let devices = Some(Enrolled::default());
    let member = staff::show(&scene.practice, &id("D2"), devices).unwrap();
    assert_eq!(member.enrolled, 1);
    let list = scene.next_list("D2");
    let signed = (list.as_bytes(), &[][..]);
    staff::revoke(&scene.practice, &id("D2"), signed, "a theft", devices).unwrap();
    let states = [1, 2].map(|number| state(&scene, number));
    assert_eq!(
        states,
        [CertificateState::Revoked, CertificateState::Active]
    );
}

/// A clock that is ahead.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}

#[test]
fn doctors_are_told_in_time_that_an_assistants_certificate_ends() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("A1", Role::Assistant);
    scene.joined("R1", Role::Auditor);
    scene.joined("D2", Role::Doctor);
    scene.joined("A2", Role::Assistant);
    scene.revoke("A2").unwrap();
    let load = || {
        let (directory, store) = (&scene.practice.directory, &*scene.practice.store);
        setup::load(directory, store, now(), &mut OsRandom).unwrap()
    };
    let told = |days: u32| {
        let practice = Practice::open(
            Arc::clone(&scene.practice.directory),
            Arc::clone(&scene.practice.store),
            load(),
            Arc::new(Ahead(HOUR * 24 * days)),
        );
        staff::ending(&practice.unwrap()).unwrap()
    };
    assert!(told(334).is_empty());
    let soon = told(338);
    let names: Vec<_> = soon.iter().map(|it| (&*it.name, &*it.role)).collect();
    assert_eq!(names, [("A1", "assistant"), ("R1", "auditor")]);
    assert!(soon[0].left.is_some() && soon[0].to_string().contains("ends on"));
    let [first, second] = soon[0].commands();
    assert!(
        first.contains(" authority revoke-doctor A1 --reason"),
        "{first}"
    );
    assert!(
        second.ends_with(" enrol-doctor A1 --role assistant"),
        "{second}"
    );
    let late = told(400);
    assert!(late[1].left.is_none() && late[1].to_string().contains("has ended"));
}

#[test]
fn devices_say_at_whose_server_they_were_enrolled() {
    use telemed::doctor::devices::{self, Request};
    let Some(scene) = Scene::new() else { return };
    let (_directory, second) = scene.joined("D2", Role::Doctor);
    enrol(&*scene.practice.store, "P1", 1, HOUR);
    enrol(&*second, "P2", 2, HOUR);
    let listed = devices::answer(&scene.practice, &Request::List { patient: None }).unwrap();
    let devices::Answer::Listed(listed) = listed else {
        panic!("it was asked which there are");
    };
    let by: Vec<_> = listed
        .iter()
        .map(|it| (&*it.patient, it.enrolled_by.as_deref().unwrap()))
        .collect();
    assert_eq!(by, [("P1", "D1"), ("P2", "D2")]);
}
