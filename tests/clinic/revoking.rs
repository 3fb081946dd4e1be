//! Somebody is taken out of the clinic.

use super::*;

use std::collections::BTreeSet;

use telemed::audit::{Action, Entry};
use telemed::doctor::member;
use telemed::doctor::seen;
use telemed::doctor::staff::{self, Answer, Enrolled, StaffError};
use telemed::doctor::transfer::{TransferError, transfer, transfer_all};
use telemed::identity::revocation::RevokedDoctors;
use telemed::store::clinic::{JoinTicketRow, Removal};

impl Scene {
    pub fn root(&self) -> SignSecret {
        let path = self.practice.directory.path(ROOT_KEY);
        let keyring = self.practice.directory.keyring();
        let (_, secret) = keyring.load(&path, KeyKind::RootSigning).unwrap();
        let group = self.practice.identity().root.group().clone();
        SignSecret::from_bytes(&group, secret.expose()).unwrap()
    }

    pub fn list(&self) -> RevokedDoctors {
        let root = &self.practice.identity().root;
        staff::revoked_list(&*self.practice.store, root).unwrap()
    }

    /// The list that names somebody, too.
    pub(super) fn next_list(&self, name: &str) -> RevokedDoctors {
        let member = staff::show(&self.practice, &id(name), None).unwrap();
        let (root, secret) = (&self.practice.identity().root, self.root());
        let store = &*self.practice.store;
        let root = (root, &secret);
        staff::next_list(store, root, &member.serials, now(), &mut OsRandom).unwrap()
    }

    /// What the root says of somebody's keys, beside this list.
    pub(super) fn closed(
        &self,
        name: &str,
        list: &RevokedDoctors,
        devices: Option<Enrolled>,
    ) -> Vec<String> {
        let (root, store) = (&self.practice.identity().root, &*self.practice.store);
        let known = staff::stored_closed(store, root).unwrap();
        let noted = seen::noted_members(&self.practice.directory.path("")).unwrap();
        let closed = staff::close_keys_of(
            store,
            (root, &self.root()),
            (&id(name), &noted, &known),
            (list, devices),
            now(),
            &mut OsRandom,
        );
        let closed = closed.unwrap();
        closed.iter().map(|it| hex::encode(it.as_bytes())).collect()
    }

    pub(super) fn revoke(&self, name: &str) -> Result<u64, StaffError> {
        let list = self.next_list(name);
        let closed = self.closed(name, &list, None);
        let done = staff::revoke(
            &self.practice,
            &id(name),
            (list.as_bytes(), &closed),
            "has left",
            None,
        );
        done.map(|done| match done {
            Answer::Revoked { revoked_number, .. } => revoked_number,
            Answer::Shown(_) => panic!("it was not asked who she is"),
        })
    }

    pub fn staff(&self) -> Vec<String> {
        let staff = self.practice.store.clinic().unwrap().staff().unwrap();
        staff.into_iter().map(|row| row.id).collect()
    }
}

fn serial(directory: &DataDir, store: &dyn Store) -> [u8; 16] {
    let identity = setup::load(directory, store, now(), &mut OsRandom).unwrap();
    identity.certificate.subject().serial
}

#[test]
fn a_doctor_who_is_revoked_stands_in_the_list_and_is_nobody_in_the_clinic() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("D2", Role::Doctor);
    scene.joined("A1", Role::Assistant);
    let clinic = scene.practice.store.clinic().unwrap();
    clinic.assign_if_new("P1", "D2").unwrap();
    // A ticket of hers is of no use to anybody then.
    let made_by_her = JoinTicketRow {
        id: [7; 16],
        doctor: "D2".to_owned(),
        subject: "D9".to_owned(),
        role: "doctor".to_owned(),
        sealed: vec![1],
        created: now(),
        expires: now().plus(HOUR),
        state: JoinState::Open,
        request: None,
        answer: None,
    };
    clinic.add_join_ticket(&made_by_her, &[]).unwrap();
    store
        .nodes()
        .unwrap()
        .put_roster_entry(b"an entry")
        .unwrap();
    let member = staff::show(&scene.practice, &id("D2"), None).unwrap();
    assert_eq!((&*member.role, member.patients), ("doctor", 1));
    assert_eq!(member.serials, [serial(&directory, &*store)]);
    assert_eq!(member.colleagues, ["D1"]);

    let before = scene.list();
    let number = scene.revoke("D2").unwrap();
    let list = scene.list();
    assert!(number > before.number() && list.number() == number);
    assert_eq!(list.serials(), member.serials);
    assert_eq!(scene.staff(), ["A1", "D1"]);
    let row = clinic.join_ticket(&[7; 16]).unwrap().unwrap();
    assert_eq!(row.state, JoinState::Revoked);
    assert!(store.nodes().unwrap().roster().unwrap().is_empty());
    let log = scene.practice.store.audit(1, 99).unwrap();
    let last = log.last().unwrap();
    assert_eq!((&*last.action, &*last.subject), ("staff revoked", "D2"));
    assert!(last.detail.ends_with("has left"), "{}", last.detail);
    // Her papers tell her so.
    let identity = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    assert!(identity.is_revoked());

    let again = staff::show(&scene.practice, &id("D2"), None).unwrap_err();
    assert!(matches!(again, StaffError::Already(_)), "{again}");
    // Nobody is let off when the next one goes.
    scene.revoke("A1").unwrap();
    assert_eq!(scene.list().serials().len(), 2);
    assert!(scene.list().holds_all_of(&list, &BTreeSet::new()));
    assert_eq!(scene.staff(), ["D1"]);
}

#[test]
fn nobody_is_revoked_by_herself_nor_with_a_list_that_lets_somebody_off() {
    let Some(scene) = Scene::new() else { return };
    let oneself = staff::show(&scene.practice, &id("D1"), None).unwrap_err();
    assert!(matches!(oneself, StaffError::Oneself(_)), "{oneself}");
    scene.joined("D2", Role::Doctor);
    scene.joined("D3", Role::Doctor);
    let nobody = staff::show(&scene.practice, &id("D9"), None).unwrap_err();
    assert!(nobody.to_string().contains("but D2, D3"), "{nobody}");

    let (both, of_third) = (scene.next_list("D2"), scene.next_list("D3"));
    let revoke = |name: &str, list: &RevokedDoctors| {
        staff::revoke(
            &scene.practice,
            &id(name),
            (list.as_bytes(), &[]),
            "has left",
            None,
        )
    };
    // It names somebody else.
    let error = revoke("D2", &of_third).unwrap_err();
    assert!(matches!(error, StaffError::Overtaken), "{error}");
    revoke("D2", &both).unwrap();
    // It was signed before, and does not name her.
    let error = revoke("D3", &of_third).unwrap_err();
    assert!(matches!(error, StaffError::Overtaken), "{error}");
    // A later number does not help it.
    let identity = scene.practice.identity();
    let (root, secret) = (&identity.root, scene.root());
    let clinic = &root.subject().clinic;
    let member = staff::show(&scene.practice, &id("D3"), None).unwrap();
    let later = now().plus(HOUR);
    let next = identity
        .revoked
        .extend_by(&secret, clinic, &member.serials, later, &mut OsRandom);
    let error = revoke("D3", &next.unwrap()).unwrap_err();
    assert!(matches!(error, StaffError::Overtaken), "{error}");
    // All of them, under an earlier number.
    let all = [&member.serials[..], both.serials()].concat();
    let long_ago = Timestamp::from_millis(0);
    let early = identity
        .revoked
        .extend_by(&secret, clinic, &all, long_ago, &mut OsRandom);
    let error = revoke("D3", &early.unwrap()).unwrap_err();
    assert!(matches!(error, StaffError::Overtaken), "{error}");
    // Another key than the root's.
    let stranger = SignSecret::generate(root.group(), &mut OsRandom);
    let forged = scene
        .list()
        .extend_by(&stranger, clinic, &member.serials, later, &mut OsRandom);
    let error = revoke("D3", &forged.unwrap()).unwrap_err();
    assert!(matches!(error, StaffError::Unfit(_)), "{error}");
    // Another clinic's root.
    let Some(other) = Scene::new() else { return };
    other.joined("D3", Role::Doctor);
    let error = revoke("D3", &other.next_list("D3")).unwrap_err();
    assert!(matches!(error, StaffError::Unfit(_)), "{error}");
    // The doctor's own certificate in it.
    let own = [
        &member.serials[..],
        &[identity.certificate.subject().serial],
    ]
    .concat();
    let list = scene
        .list()
        .extend_by(&secret, clinic, &own, later, &mut OsRandom);
    let error = revoke("D3", &list.unwrap()).unwrap_err();
    assert!(matches!(error, StaffError::Unfit(_)), "{error}");
    assert_eq!(scene.staff(), ["D1", "D3"]);
}

#[test]
fn a_name_that_was_revoked_is_given_to_new_keys_and_the_old_ones_stay_out() {
    let Some(scene) = Scene::new() else { return };
    let (old, store) = scene.joined("D2", Role::Doctor);
    let old_serial = serial(&old, &*store);
    scene.revoke("D2").unwrap();
    // Her directory is lost: another one, under the same name.
    let base = TempDir::new().unwrap();
    let directory = DataDir::create_or_open(base.path(), "D2").unwrap();
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let store = scene.store("D2");
    let error = go_on(newcomer(&old, &*store, &ticket)).unwrap_err();
    assert!(matches!(error, NewcomerError::KeysHere), "{error}");
    let newcomer = newcomer(&directory, &*store, &ticket);
    assert!(matches!(go_on(newcomer).unwrap(), Progress::Waiting { .. }));
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);

    let identity = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    assert!(!identity.is_revoked());
    assert!(identity.revoked.contains(&old_serial));
    assert_eq!(identity.prekeys.len(), 1);
    assert_eq!(store.prekeys().unwrap().len(), 1);
    let earlier: Vec<_> = identity
        .earlier
        .iter()
        .map(|each| each.subject().serial)
        .collect();
    assert_eq!(earlier, [old_serial]);
    let error = setup::load(&old, &*store, now(), &mut OsRandom).unwrap_err();
    assert!(matches!(error, SetupError::Dismissed(_)), "{error}");
    // And once more, as somebody else.
    scene.revoke("D2").unwrap();
    assert_eq!(scene.list().serials().len(), 2);
    let base = TempDir::new().unwrap();
    let directory = DataDir::create_or_open(base.path(), "D2").unwrap();
    let ticket = scene.invite("D2", Role::Auditor).unwrap();
    let newcomer = super::newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    scene.look().unwrap();
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
    assert_eq!(store.fact(fact::DOCTOR_CERTIFICATE).unwrap(), None);
    assert!(store.fact(fact::OWN_CERTIFICATE).unwrap().is_some());
}

#[test]
fn who_is_revoked_before_she_takes_the_answer_does_not_join() {
    let Some(scene) = Scene::new() else { return };
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    // Whoever can write to the database puts her answer back.
    scene.attack("CREATE TABLE kept AS SELECT * FROM join_ticket");
    scene.revoke("D2").unwrap();
    let error = go_on(newcomer).unwrap_err();
    assert!(matches!(error, NewcomerError::Revoked), "{error}");
    scene.attack(
        "UPDATE join_ticket SET state = kept.state, answer = kept.answer FROM kept
         WHERE join_ticket.id = kept.id",
    );
    let error = go_on(newcomer).unwrap_err();
    assert!(matches!(error, NewcomerError::Revocation), "{error}");
    assert!(!directory.path(DATA_KEY).exists());
}

#[test]
fn who_joins_takes_no_older_list_than_the_answer_knows_of() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D3", Role::Doctor);
    let old = scene.list();
    scene.revoke("D3").unwrap();
    let practice = &scene.practice;
    let loaded = setup::load(&practice.directory, &*practice.store, now(), &mut OsRandom);
    practice.replace_identity(loaded.unwrap());
    let ticket = scene.invite("D2", Role::Doctor).unwrap();
    let (directory, store) = (scene.directory("D2"), scene.store("D2"));
    let newcomer = newcomer(&directory, &*store, &ticket);
    go_on(newcomer).unwrap();
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    let new = scene.list();
    let put = |list: &RevokedDoctors| {
        let facts = [(fact::REVOKED_DOCTORS, list.as_bytes())];
        practice.store.set_facts(&facts).unwrap();
    };
    put(&old);
    let error = go_on(newcomer).unwrap_err();
    assert!(matches!(error, NewcomerError::Revocation), "{error}");
    assert!(!directory.path(DATA_KEY).exists());
    put(&new);
    assert_eq!(go_on(newcomer).unwrap(), Progress::Joined);
}

#[test]
fn nobody_is_revoked_over_a_list_that_another_doctor_has_signed_meanwhile() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    scene.joined("D3", Role::Doctor);
    let (known, list) = (scene.list(), scene.next_list("D3"));
    scene.revoke("D2").unwrap();
    let (new, log) = (scene.list(), actions(&*scene.practice.store));
    let removal = Removal {
        member: "D3",
        known: known.as_bytes(),
        list: list.as_bytes(),
        facts: &[],
        devices: None,
    };
    let entry = Entry::new(now(), "D1", Action::StaffRevoked, "D3", "");
    let clinic = scene.practice.store.clinic().unwrap();
    let revoked = clinic.remove_member(&removal, &[entry]).unwrap();
    assert!(revoked.is_none());
    assert_eq!(scene.list().as_bytes(), new.as_bytes());
    assert_eq!(scene.staff(), ["D1", "D3"]);
    assert_eq!(actions(&*scene.practice.store), log);
}

/// Two years from now, when the certificates of today are over.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(2 * 365 * 24 * HOUR)
    }
}

#[test]
fn whose_certificate_has_ended_is_revoked_replaced_and_relieved_of_her_patients() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("A1", Role::Assistant);
    scene.joined("D2", Role::Doctor);
    let late = member::load(&directory, &*store, Later.now(), &mut OsRandom).unwrap_err();
    assert!(late.to_string().contains("revoke-doctor A1"), "{late}");
    let clinic = scene.practice.store.clinic().unwrap();
    clinic.assign_if_new("P1", "D2").unwrap();
    let practice = Practice::open(
        Arc::clone(&scene.practice.directory),
        Arc::clone(&scene.practice.store),
        setup::load(
            &scene.practice.directory,
            &*scene.practice.store,
            now(),
            &mut OsRandom,
        )
        .unwrap(),
        Arc::new(Later),
    )
    .unwrap();
    let works = scene.invite("A1", Role::Assistant).unwrap_err();
    assert!(works.to_string().contains("revoke-doctor A1"), "{works}");
    for name in ["A1", "D2"] {
        let shown = staff::show(&practice, &id(name), None).unwrap();
        assert!(shown.until < Later.now());
        let list = scene.next_list(name);
        staff::revoke(
            &practice,
            &id(name),
            (list.as_bytes(), &[]),
            "it has ended",
            None,
        )
        .unwrap();
    }
    assert_eq!(
        transfer_all(&practice, &id("D2"), &id("D1")).unwrap(),
        ["P1"]
    );
    // In her own directory, from which the old keys were moved away.
    drop(directory);
    let place = scene.base.path().join("A1");
    std::fs::rename(&place, scene.base.path().join("A1.old")).unwrap();
    let (directory, store) = scene.joined("A1", Role::Assistant);
    member::load(&directory, &*store, now(), &mut OsRandom).unwrap();
}

#[test]
fn a_renewed_certificate_is_revoked_with_the_first() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("D2", Role::Doctor);
    let first = serial(&directory, &*store);
    let papers = setup::load_papers(&*store, &mut OsRandom).unwrap();
    let root = scene.root();
    let identity = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    let clock = Arc::new(SystemClock);
    let practice =
        Practice::open(Arc::new(directory), Arc::clone(&store), identity, clock).unwrap();
    let renewed =
        telemed::doctor::authority::new_certificate(&papers, &root, now(), &mut OsRandom).unwrap();
    let request = telemed::doctor::authority::Request::Renew(hex::encode(renewed.as_bytes()));
    telemed::doctor::authority::answer(&practice, &request).unwrap();
    scene.revoke("D2").unwrap();
    let mut both = [first, renewed.subject().serial];
    both.sort_unstable();
    assert_eq!(scene.list().serials(), both);
    // Nor is she given a third one for the same key by mistake.
    let papers = setup::load_papers(&*store, &mut OsRandom).unwrap();
    let third =
        telemed::doctor::authority::new_certificate(&papers, &root, now(), &mut OsRandom).unwrap();
    let identity = setup::load(&practice.directory, &*store, now(), &mut OsRandom).unwrap();
    practice.replace_identity(identity);
    let request = telemed::doctor::authority::Request::Renew(hex::encode(third.as_bytes()));
    let error = telemed::doctor::authority::answer(&practice, &request).unwrap_err();
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[test]
fn the_patients_of_a_doctor_who_has_left_are_given_to_another() {
    let Some(scene) = Scene::new() else { return };
    scene.joined("D2", Role::Doctor);
    scene.joined("D3", Role::Doctor);
    let clinic = scene.practice.store.clinic().unwrap();
    for patient in ["P1", "P2", "P3"] {
        clinic.assign_if_new(patient, "D2").unwrap();
    }
    let (own, second, third) = (id("D1"), id("D2"), id("D3"));
    let error = transfer_all(&scene.practice, &second, &own).unwrap_err();
    assert!(matches!(error, TransferError::HerOwn(_)), "{error}");
    let error = transfer(&scene.practice, &id("P1"), &own).unwrap_err();
    assert!(matches!(error, TransferError::Others(..)), "{error}");
    scene.revoke("D2").unwrap();
    let error = transfer(&scene.practice, &id("P1"), &second).unwrap_err();
    assert!(matches!(error, TransferError::NoDoctor(..)), "{error}");
    transfer(&scene.practice, &id("P1"), &own).unwrap();
    let given = transfer_all(&scene.practice, &second, &third).unwrap();
    assert_eq!(given, ["P2", "P3"]);
    assert_eq!(clinic.patients_of("D1").unwrap(), ["P1"]);
    assert_eq!(clinic.patients_of("D3").unwrap(), ["P2", "P3"]);
    let error = transfer_all(&scene.practice, &second, &third).unwrap_err();
    assert!(matches!(error, TransferError::NoPatients(_)), "{error}");
    // Her own at once, too.
    assert_eq!(transfer_all(&scene.practice, &own, &third).unwrap(), ["P1"]);
    let transferred = |action: &String| action == "patient transferred";
    let logged = actions(&*scene.practice.store).into_iter();
    assert_eq!(logged.filter(transferred).count(), 4);
}

#[test]
fn a_log_that_is_written_anew_with_a_stolen_key_is_not_the_one_that_was_noted() {
    use telemed::audit::log_end;
    use telemed::audit::verify::Finding;
    let Some(scene) = Scene::new() else { return };
    let (_directory, store) = scene.joined("D2", Role::Doctor);
    let (last, _) = store.audit_head().unwrap().unwrap();
    scene.revoke("D2").unwrap();
    let ended = log_end::of(&*scene.practice.store, "D2").unwrap();
    let [ended] = &*ended else {
        panic!("{ended:?}");
    };
    assert_eq!((&*ended.by, ended.end.unwrap().0), ("D1", last));
    assert_eq!(ended.check(&*store).unwrap(), None);
    let rewrite = "UPDATE audit_entry SET link = sha256('another') WHERE doctor = 'D2'";
    let forget = "DELETE FROM audit_entry WHERE doctor = 'D2'";
    for forge in [rewrite, forget] {
        scene.schema.client().unwrap().batch_execute(forge).unwrap();
        let found = ended.check(&*store).unwrap();
        let is_found = matches!(found, Some(Finding::Rewritten { number, .. }) if number == last);
        assert!(is_found, "{found:?}");
    }
}

#[test]
fn who_has_taken_her_rows_away_is_revoked_by_the_certificate_that_was_seen() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("D2", Role::Doctor);
    let hers = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    let (serial, key) = (hers.certificate.subject().serial, hers.certificate.key_id());
    let own = &scene.practice.directory;
    // Any command of the other doctor's.
    setup::load(own, &*scene.practice.store, now(), &mut OsRandom).unwrap();
    let vanish = "DELETE FROM staff WHERE id = 'D2';
                  DELETE FROM roster WHERE doctor = 'D2';
                  DELETE FROM fact WHERE doctor = 'D2'";
    let mut admin = scene.schema.client().unwrap();
    admin.batch_execute(vanish).unwrap();
    scene.revoke("D2").unwrap();
    assert!(scene.list().contains(&serial));
    let root = &scene.practice.identity().root;
    let closed = staff::stored_closed(&*scene.practice.store, root).unwrap();
    assert!(closed.contains(&key));
    // What is no certificate there is none.
    std::fs::write(own.path(seen::MEMBERS), b"\0\x01x\0").unwrap();
    let gone = staff::show(&scene.practice, &id("D2"), None).unwrap_err();
    assert!(matches!(gone, StaffError::Nobody(..)), "{gone}");
}
