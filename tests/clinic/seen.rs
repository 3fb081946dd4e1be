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
    // The root has signed another one since, over both.
    let clinic = scene.practice.identity().root.subject().clinic;
    let both = one.extend_by(
        &scene.root(),
        &clinic,
        &[[2; 16], [3; 16]],
        at,
        &mut OsRandom,
    );
    scene.put_list(&both.unwrap());
    load(&doctor).unwrap();
}

#[test]
fn a_newer_list_that_lets_somebody_off_is_refused_by_all_who_have_seen_her_revoked() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D3", Role::Doctor);
    scene.joined("A2", Role::Assistant);
    let doctor = scene.joined("D2", Role::Doctor);
    let assistant = scene.joined("A1", Role::Assistant);
    let empty = scene.list();
    scene.revoke("A2").unwrap();
    let first = scene.list();
    scene.revoke("D3").unwrap();
    let known = scene.list();
    for member in [&doctor, &assistant] {
        load(member).unwrap();
    }
    // As whoever signs over an older list that was put back; once it is a doctor who
    // is let off, once an assistant whose certificate has not ended.
    let later = now().plus(HOUR);
    let of_third = *known
        .serials()
        .iter()
        .find(|it| !first.contains(it))
        .unwrap();
    scene.put_list(&first);
    let without_doctor = scene.signed_list([1; 16], later);
    scene.put_list(&empty);
    let without_assistant = scene.signed_list(of_third, later);
    for (list, lacks) in [
        (&without_doctor, of_third),
        (&without_assistant, first.serials()[0]),
    ] {
        scene.put_list(list);
        for member in [&doctor, &assistant] {
            let fault = fault(load(member).unwrap_err());
            let said = fault.to_string();
            let SeenError::LetsOff { found, seen, who } = fault else {
                panic!("{said}");
            };
            assert_eq!((found, seen), (list.number(), known.number()));
            assert_eq!(who, [lacks]);
            assert!(said.contains(&hex::encode(&lacks)), "{said}");
        }
        assert_eq!(put_back(&doctor), None);
    }
    // Who was revoked with it is, and nobody is let off.
    let both = known.extend(
        &scene.root(),
        &scene.practice.identity().root.subject().clinic,
        &[1; 16],
        later.plus(HOUR),
        &mut OsRandom,
    );
    scene.put_list(&both.unwrap());
    for member in [&doctor, &assistant] {
        assert_eq!(load(member).unwrap().revoked.serials().len(), 3);
    }
    // It is what is to be gone on with.
    scene.put_list(&without_doctor);
    fs::remove_file(doctor.0.path(CLINIC)).unwrap();
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

/// What only a program with the numbers of the database noted can see.
fn marks_in(directory: &DataDir) -> Option<String> {
    let text = fs::read_to_string(directory.path(CLINIC)).unwrap();
    let (_, marks) = text.split_once(r#""database":"#)?;
    Some(marks.to_owned())
}

#[test]
fn an_older_copy_of_the_database_is_refused_until_it_is_accepted() {
    let Some(scene) = Scene::new() else { return };
    let old = scene.list();
    scene.put_list(&scene.signed_list([1; 16], now()));
    let new = scene.list();
    for (name, role) in [("D2", Role::Doctor), ("A1", Role::Assistant)] {
        let member = scene.joined(name, role);
        scene.attack("UPDATE counter SET last = 7 WHERE name = 'message'");
        load(&member).unwrap();
        scene.attack("UPDATE counter SET last = 6 WHERE name = 'message'");
        match fault(load(&member).unwrap_err()) {
            fault @ SeenError::OlderDatabase { found, seen } => {
                assert_eq!((found.message, seen.message), (6, 7));
                assert_eq!(found.audit, seen.audit);
                let said = fault.to_string();
                assert!(said.contains("number 6, and number 7 was seen"), "{said}");
                assert!(said.contains("--accept-older-database"), "{said}");
            }
            fault => panic!("{fault}"),
        }
        // Nothing is put back into it either.
        scene.put_list(&old);
        let put_back = seen::put_back(&member.0.path(""), &*member.1, now(), &mut OsRandom);
        let refused = fault(put_back.unwrap_err());
        assert!(
            matches!(refused, SeenError::OlderDatabase { .. }),
            "{refused}"
        );
        assert_eq!(scene.list().as_bytes(), old.as_bytes());
        scene.put_list(&new);
        let accept = || seen::accept_older(&member.0.path(""), &*member.1, now()).unwrap();
        assert!(accept().is_some());
        assert!(accept().is_none());
        load(&member).unwrap();
        assert_eq!(
            actions(&*member.1).last().unwrap(),
            "older database accepted"
        );
        // An audit log that ends earlier.
        load(&member).unwrap();
        scene.attack(&format!(
            "DELETE FROM audit_head WHERE doctor = '{name}';
             DELETE FROM audit_entry WHERE doctor = '{name}' AND number > 1"
        ));
        let fault = fault(load(&member).unwrap_err());
        let said = fault.to_string();
        assert!(said.contains("ends at entry 1 there"), "{said}");
        assert!(accept().is_some());
        load(&member).unwrap();
    }
}

#[test]
fn another_database_of_the_clinic_is_refused_until_it_is_accepted() {
    let Some(scene) = Scene::new() else { return };
    let member = scene.joined("D2", Role::Doctor);
    load(&member).unwrap();
    scene.attack("UPDATE telemed_schema SET identity = uuid_send(gen_random_uuid())");
    let fault = fault(load(&member).unwrap_err());
    assert!(matches!(fault, SeenError::OtherDatabase), "{fault}");
    let accepted = seen::accept_older(&member.0.path(""), &*member.1, now());
    assert!(accepted.unwrap().is_some());
    load(&member).unwrap();
}

#[test]
fn another_clinics_database_is_not_accepted_and_nothing_is_written_into_it() {
    let (Some(scene), Some(other)) = (Scene::new(), Scene::new()) else {
        return;
    };
    let member = scene.joined("D2", Role::Doctor);
    let foreign = other.joined("D2", Role::Doctor);
    load(&member).unwrap();
    let (path, log) = (member.0.path(CLINIC), actions(&*foreign.1));
    let noted = fs::read(&path).unwrap();
    let accepted = seen::accept_older(&member.0.path(""), &*foreign.1, now());
    let fault = fault(accepted.unwrap_err());
    assert!(matches!(fault, SeenError::OtherRoot), "{fault}");
    assert_eq!(actions(&*foreign.1), log);
    assert_eq!(fs::read(&path).unwrap(), noted);
    load(&member).unwrap();
}

#[test]
fn a_file_of_the_first_version_is_read_and_how_far_the_database_is_is_noted() {
    let Some(scene) = Scene::new() else { return };
    let member = scene.joined("D2", Role::Doctor);
    load(&member).unwrap();
    let path = member.0.path(CLINIC);
    let text = fs::read_to_string(&path).unwrap();
    let (first, _) = text.split_once(r#","database""#).unwrap();
    let first = first.replace(r#""v":2"#, r#""v":1"#);
    fs::write(&path, format!("{first}}}\n")).unwrap();
    assert_eq!(marks_in(&member.0), None);
    load(&member).unwrap();
    let marks = marks_in(&member.0).unwrap();
    assert!(marks.contains(r#""audit":"#), "{marks}");
    // It goes with what is in the database.
    member.1.append_audit(&[]).unwrap();
    scene.attack("UPDATE counter SET last = 9 WHERE name = 'message'");
    seen::note_progress(&member.0.path(""), &*member.1).unwrap();
    assert!(marks_in(&member.0).unwrap().contains(r#""message":9"#));
    // What is of no version is damaged.
    fs::write(&path, text.replace(r#""v":2"#, r#""v":1"#)).unwrap();
    let fault = fault(load(&member).unwrap_err());
    assert!(matches!(fault, SeenError::Damaged), "{fault}");
}

#[test]
fn a_closing_statement_that_is_taken_away_is_gone_by_where_it_was_seen_and_put_back() {
    let Some(scene) = Scene::new() else { return };
    let (directory, second) = scene.joined("D2", Role::Doctor);
    let third = scene.joined("D3", Role::Doctor);
    let key = load(&(directory, second)).unwrap().certificate.key_id();
    scene.revoke("D2").unwrap();
    assert!(load(&third).unwrap().closed.contains(&key));
    // Whoever can write to the database.
    let store = &*scene.practice.store;
    let genuine = store.fact(fact::CLOSED_KEYS).unwrap().unwrap();
    let put = |bytes: &[u8]| store.set_facts(&[(fact::CLOSED_KEYS, bytes)]).unwrap();
    let put_back = |(directory, store): &(DataDir, Arc<dyn Store>)| {
        seen::put_closed_back(&directory.path(""), &**store, now(), &mut OsRandom).unwrap()
    };
    // Taken away, made up, or too long to be read.
    let long = vec![0; 9 << 20];
    for bytes in [&[][..], &genuine[..genuine.len() - 9], &long] {
        put(bytes);
        let closed = load(&third).unwrap().closed;
        assert!(closed.refuses(&key, &[9; 32]), "{}", bytes.len());
        assert!(put_back(&third) && !put_back(&third));
        assert_eq!(store.fact(fact::CLOSED_KEYS).unwrap().unwrap(), genuine);
        let logged = third.1.audit(1, 99).unwrap().pop().unwrap();
        assert!(
            logged.detail.contains("former doctors' keys"),
            "{}",
            logged.detail
        );
    }
}
