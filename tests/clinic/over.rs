//! What need not stand in the list of revoked doctors any more.

use super::*;

use telemed::doctor::seen;
use telemed::identity::revocation::RevokedDoctors;

/// The same practice so many days later.
fn later(scene: &Scene, days: u32) -> Practice {
    let (directory, store) = (&scene.practice.directory, &scene.practice.store);
    let identity = setup::load(directory, &**store, now(), &mut OsRandom).unwrap();
    let clock = Arc::new(Ahead(HOUR * 24 * days));
    Practice::open(Arc::clone(directory), Arc::clone(store), identity, clock).unwrap()
}

fn serial(scene: &Scene, name: &str) -> [u8; 16] {
    let member = staff::show(&scene.practice, &id(name), None).unwrap();
    member.serials[0]
}

/// Revokes somebody with a list that is signed then.
fn revoke(scene: &Scene, practice: &Practice, name: &str) -> Result<RevokedDoctors, StaffError> {
    let member = staff::show(practice, &id(name), None)?;
    let identity = practice.identity();
    let (root, store) = ((&identity.root, &scene.root()), &*practice.store);
    let list = staff::next_list(store, root, &member.serials, practice.now(), &mut OsRandom)?;
    staff::revoke(
        practice,
        &id(name),
        (list.as_bytes(), &[]),
        "has left",
        None,
    )?;
    Ok(list)
}

#[test]
fn an_assistants_certificate_leaves_the_list_a_month_after_its_end_and_a_doctors_stays() {
    let Some(scene) = Scene::new() else { return };
    for (name, role) in [
        ("A1", Role::Assistant),
        ("A2", Role::Assistant),
        ("R1", Role::Auditor),
        ("D2", Role::Doctor),
        ("D3", Role::Doctor),
        ("D4", Role::Doctor),
    ] {
        scene.joined(name, role);
    }
    let [first, second, third] = ["A1", "D2", "D3"].map(|name| serial(&scene, name));
    scene.revoke("A1").unwrap();
    scene.revoke("D2").unwrap();
    let old = scene.list();
    // The certificates last for 366 days: not so long after the end.
    let list = revoke(&scene, &later(&scene, 394), "D3").unwrap();
    assert!([first, second, third].iter().all(|it| list.contains(it)));
    let then = later(&scene, 398);
    let list = revoke(&scene, &then, "D4").unwrap();
    assert!(!list.contains(&first));
    assert!([second, third].iter().all(|it| list.contains(it)));
    // Who is over need not be put into it either, and is out all the same.
    assert!(staff::works_here(&then, "A2").unwrap());
    let list = revoke(&scene, &then, "A2").unwrap();
    assert_eq!(list.serials().len(), 3);
    for name in ["A1", "A2"] {
        assert!(!staff::works_here(&then, name).unwrap(), "{name}");
        let error = staff::show(&then, &id(name), None).unwrap_err();
        assert!(matches!(error, StaffError::Already(_)), "{error}");
    }
    // Whoever has not left yet works here.
    assert!(staff::works_here(&then, "R1").unwrap());
    // Who has noted the longer one takes the shorter one, with a clock that is
    // somewhat behind, too; not where the end has not come.
    let (directory, store) = (&scene.practice.directory, &*scene.practice.store);
    let load = |at| setup::load(directory, store, at, &mut OsRandom);
    seen::note(&directory.path(""), &then.identity().root, &old).unwrap();
    let early = load(now()).unwrap_err().to_string();
    assert!(early.contains(&hex::encode(&first)), "{early}");
    let behind = then.now().minus(HOUR * 48);
    assert_eq!(load(behind).unwrap().revoked.number(), list.number());
    // The shorter list is put back where an old copy of the longer one is.
    let directory = directory.path("");
    seen::note(&directory, &then.identity().root, &list).unwrap();
    store
        .set_facts(&[(fact::REVOKED_DOCTORS, old.as_bytes())])
        .unwrap();
    let put = seen::put_back(&directory, store, then.now(), &mut OsRandom).unwrap();
    assert_eq!(put, Some((old.number(), list.number())));
    assert_eq!(scene.list().serials(), list.serials());
}
