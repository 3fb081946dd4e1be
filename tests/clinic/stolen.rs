//! What the thief of a doctor's machine can put into the database: he has her keys,
//! among them the one under which the clinic's secrets are sealed.

use super::*;

use telemed::identity::authority::DoctorIdentity;
use telemed::identity::ticket::{Made, Maker};
use telemed::store::clinic::JoinTicketRow;

/// A ticket that the thief has written into the database, with a request that fits
/// it: in the name of this doctor, sealed under the clinic's data key, and signed,
/// if he signs it, with a key of his.
fn forge(scene: &Scene, doctor: &DoctorIdentity, number: u8, signing: Option<&SignSecret>) {
    let root = &doctor.root;
    let ticket = JoinTicket {
        clinic: root.subject().clinic,
        root: root.fingerprint(),
        role: Role::Doctor,
        doctor: doctor.identifier().clone(),
        subject: id(&format!("D{number}")),
        id: [number; 16],
        secret: Secret::from_slice(&[7; 16]).unwrap(),
        expires: now().plus(HOUR),
    };
    let mut row = JoinTicketRow {
        id: ticket.id,
        doctor: ticket.doctor.to_string(),
        subject: ticket.subject.to_string(),
        role: ticket.role.word().to_owned(),
        sealed: Vec::new(),
        created: now(),
        expires: ticket.expires,
        state: JoinState::Open,
        request: None,
        answer: None,
    };
    let made = Made {
        id: &row.id,
        secret: &ticket.secret,
        role: ticket.role,
        subject: &ticket.subject,
        made: row.created,
        expires: row.expires,
    };
    let signature = signing.map(|key| Maker::of(doctor).sign(key, &made, &mut OsRandom));
    let content = [&ticket.secret.expose()[..], &signature.unwrap_or_default()].concat();
    let (vault, name) = (&scene.practice.vault, row.row_name());
    let sealed = vault.seal(column::JOIN_TICKET, &name, &content, &mut OsRandom);
    row.sealed = sealed.unwrap();
    let clinic = scene.practice.store.clinic().unwrap();
    clinic.add_join_ticket(&row, &[]).unwrap();
    let keys = NewcomerKeys::generate(&Group::ffdhe2048(), &mut OsRandom);
    let request = JoinRequest::make(&keys, &ticket, now(), &mut OsRandom);
    let request = request.as_bytes();
    clinic.put_join_request(&ticket.id, request).unwrap();
}

#[test]
fn the_thief_of_a_colleagues_keys_lets_nobody_in() {
    let Some(scene) = Scene::new() else { return };
    let (directory, store) = scene.joined("D2", Role::Doctor);
    let thiefs = setup::load(&directory, &*store, now(), &mut OsRandom).unwrap();
    let own = scene.practice.identity();
    let names = || {
        let staff = scene.practice.store.clinic().unwrap().staff().unwrap();
        staff.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    // In the name of the doctor beside whose server the root's key lies: as an
    // earlier version sealed it, and signed with the stolen key.
    for (number, signing) in [(8, None), (9, Some(&thiefs.signing))] {
        forge(&scene, &own, number, signing);
        let asked = joining::waiting(&scene.practice).unwrap();
        assert_eq!((asked.waiting.len(), asked.unfit.len()), (0, 1));
        let Some(Looked::Refused(said)) = scene.look() else {
            panic!("ticket {number} is taken");
        };
        let remedy = format!("make a new one: doctor enrol-doctor D{number}");
        assert!(said.contains(&remedy), "{said}");
        assert!(scene.look().is_none());
    }
    // In the colleague's: nobody else answers that, whoever has the root's key.
    forge(&scene, &thiefs, 7, Some(&thiefs.signing));
    assert!(scene.look().is_none());
    let asked = joining::waiting(&scene.practice).unwrap();
    assert_eq!((asked.waiting.len(), asked.unfit.len()), (0, 0));
    let [others] = &asked.others[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((&*others.subject, &*others.doctor), ("D7", "D2"));
    let admitted = joining::admit(&scene.practice, &scene.root(), &[7; 16], &mut OsRandom);
    let error = admitted.unwrap_err();
    assert!(matches!(error, JoiningError::Others(..)), "{error}");
    assert_eq!(names(), ["D1", "D2"]);
    // What she has signed herself is good.
    forge(&scene, &own, 6, Some(&own.signing));
    assert!(matches!(scene.look(), Some(Looked::Admitted(..))));
    assert_eq!(names(), ["D1", "D2", "D6"]);
}
