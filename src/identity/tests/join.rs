//! Joining a clinic: who is believed, and who opens what.

use std::sync::LazyLock;

use crate::elgamal::SignSecret;
use crate::identity::authority::certify_staff;
use crate::identity::certificate::{Role, Subject, VerifiedCertificate};
use crate::identity::join::{
    Answered, ColumnKeys, Grant, JoinAnswer, JoinError, JoinRequest, JoinTicket, NewcomerKeys,
    request,
};
use crate::random::{self, OsRandom};
use crate::secret::Secret;
use crate::testing::{Clinic, NOW, at, clinic};

/// What a doctor, an assistant and an auditor are given.
fn grant(role: Role) -> Grant {
    let key = || Secret::from_slice(&[5; 128]).unwrap();
    match role {
        Role::Assistant => {
            let columns = vec![("message".to_owned(), key()), ("other".to_owned(), key())];
            Grant::Columns(ColumnKeys::new(columns).unwrap())
        }
        Role::Auditor => Grant::Nothing,
        _ => Grant::DataKey(Secret::from_slice(&[4; 32]).unwrap()),
    }
}

/// One who joins, and everything that travels.
struct Scene {
    ticket: JoinTicket,
    keys: NewcomerKeys,
    request: JoinRequest,
    answer: JoinAnswer,
}

fn ticket(clinic: &Clinic, role: Role) -> JoinTicket {
    let root = &clinic.doctor.root;
    JoinTicket {
        clinic: root.subject().clinic,
        root: root.fingerprint(),
        role,
        doctor: clinic.doctor.identifier().clone(),
        subject: "D2".parse().unwrap(),
        id: random::array(&mut OsRandom),
        secret: random::secret(&mut OsRandom),
        expires: at(3_600),
    }
}

/// The same ticket, changed.
fn changed(ticket: &JoinTicket, change: impl FnOnce(&mut JoinTicket)) -> JoinTicket {
    let mut copy: JoinTicket = ticket.to_text().parse().unwrap();
    change(&mut copy);
    copy
}

impl Scene {
    fn new(clinic: &Clinic, role: Role) -> Self {
        let ticket = ticket(clinic, role);
        let keys = NewcomerKeys::generate(clinic.doctor.group(), &mut OsRandom);
        let request = JoinRequest::make(&keys, &ticket, NOW, &mut OsRandom);
        let received = JoinRequest::accept(request.as_bytes(), &ticket, &clinic.doctor.root);
        let answered = certified(clinic, &ticket, &received.unwrap());
        let answer = JoinAnswer::make(&ticket, &request, &answered, &mut OsRandom).unwrap();
        Self {
            ticket,
            keys,
            request,
            answer,
        }
    }

    fn open(&self, answer: &JoinAnswer) -> Result<Answered, JoinError> {
        let root = &clinic().doctor.root;
        answer.open(&self.ticket, &self.request, &self.keys, root, NOW)
    }

    fn accept(&self, bytes: &[u8]) -> Result<JoinRequest, JoinError> {
        JoinRequest::accept(bytes, &self.ticket, &clinic().doctor.root)
    }
}

fn certified(clinic: &Clinic, ticket: &JoinTicket, request: &JoinRequest) -> Answered {
    let issuer = (&clinic.doctor.root, &clinic.root);
    let key = request.signing_key.clone();
    let newcomer = (&ticket.subject, ticket.role);
    Answered {
        certificate: certify_staff(issuer, newcomer, key, NOW, &mut OsRandom),
        revoked_number: 7,
        grant: grant(ticket.role),
    }
}

/// One doctor who joined, made once.
fn scene() -> &'static Scene {
    static SCENE: LazyLock<Scene> = LazyLock::new(|| Scene::new(clinic(), Role::Doctor));
    &SCENE
}

fn error<T: std::fmt::Debug>(result: Result<T, JoinError>) -> JoinError {
    result.unwrap_err()
}

#[test]
fn each_role_is_given_what_belongs_to_it() {
    for role in Role::STAFF {
        let scene = Scene::new(clinic(), role);
        let answered = scene.open(&scene.answer).unwrap();
        let subject = answered.certificate.subject();
        assert_eq!((subject.role, subject.identifier.as_str()), (role, "D2"));
        assert_eq!(subject.signing_key, *scene.keys.signing.verifying_key());
        assert_eq!(answered.revoked_number, 7);
        match (role, answered.grant) {
            (Role::Doctor, Grant::DataKey(key)) => assert_eq!(*key.expose(), [4; 32]),
            (Role::Assistant, Grant::Columns(keys)) => {
                let names: Vec<&str> = keys.names().collect();
                assert_eq!(names, ["message", "other"]);
                assert_eq!(*keys.get("message").unwrap().expose(), [5; 128]);
                assert!(keys.get("record").is_none());
            }
            (Role::Auditor, Grant::Nothing) => {}
            (role, grant) => panic!("{role} was given {grant:?}"),
        }
    }
}

#[test]
fn nothing_is_made_for_another_role_than_the_tickets() {
    let scene = scene();
    let good = || certified(clinic(), &scene.ticket, &scene.request);
    let make = |answered: &Answered| {
        JoinAnswer::make(&scene.ticket, &scene.request, answered, &mut OsRandom)
    };
    assert!(make(&good()).is_some());
    for role in [Role::Assistant, Role::Auditor] {
        let other = Answered {
            grant: grant(role),
            ..good()
        };
        assert!(make(&other).is_none());
        let ticket = changed(&scene.ticket, |ticket| ticket.role = role);
        let other = certified(clinic(), &ticket, &scene.request);
        assert!(make(&other).is_none());
    }
    let stranger = Scene::new(clinic(), Role::Doctor);
    let other = certified(clinic(), &scene.ticket, &stranger.request);
    assert!(make(&other).is_none());
    let ticket = changed(&scene.ticket, |ticket| {
        ticket.subject = "D3".parse().unwrap();
    });
    let other = certified(clinic(), &ticket, &scene.request);
    assert!(make(&other).is_none());
}

#[test]
fn a_request_goes_with_its_own_ticket_only() {
    let scene = scene();
    let bytes = scene.request.as_bytes();
    assert_eq!(JoinRequest::ticket_of(bytes), Some(scene.ticket.id));
    assert!(scene.accept(bytes).is_ok());
    let accept = |change: &dyn Fn(&mut JoinTicket)| {
        let ticket = changed(&scene.ticket, change);
        error(JoinRequest::accept(bytes, &ticket, &clinic().doctor.root))
    };
    let secret = || Secret::from_slice(&[0; 16]).unwrap();
    assert_eq!(accept(&|t| t.secret = secret()), JoinError::WrongProof);
    // Replayed under another ticket of the same person.
    assert_eq!(accept(&|t| t.id = [0; 16]), JoinError::OtherTicket);
    for role in [Role::Assistant, Role::Auditor] {
        assert_eq!(accept(&|t| t.role = role), JoinError::OtherTicket);
    }
    let other = accept(&|t| t.subject = "D3".parse().unwrap());
    assert_eq!(other, JoinError::OtherTicket);
    assert_eq!(accept(&|t| t.clinic = [0; 16]), JoinError::OtherTicket);
    let elsewhere = Clinic::new();
    let there = JoinRequest::accept(bytes, &scene.ticket, &elsewhere.doctor.root);
    assert_eq!(error(there), JoinError::OtherTicket);
}

#[test]
fn a_role_cannot_be_raised_on_the_way() {
    const ROLE: usize = 1 + 16 + 32 + 16;
    let scene = Scene::new(clinic(), Role::Auditor);
    let mut bytes = scene.request.as_bytes().to_vec();
    assert_eq!(bytes[ROLE], Role::Auditor.to_byte());
    bytes[ROLE] = Role::Doctor.to_byte();
    assert_eq!(error(scene.accept(&bytes)), JoinError::OtherTicket);
    // Not even where the stored ticket was changed with it.
    let raised = changed(&scene.ticket, |ticket| ticket.role = Role::Doctor);
    let result = JoinRequest::accept(&bytes, &raised, &clinic().doctor.root);
    assert_eq!(error(result), JoinError::WrongProof);
    // Nor is an auditor's answer taken by who expects to be a doctor.
    let root = &clinic().doctor.root;
    let result = scene
        .answer
        .open(&raised, &scene.request, &scene.keys, root, NOW);
    assert!(matches!(error(result), JoinError::Certificate(_)));
}

#[test]
fn a_changed_bit_in_the_request_is_refused() {
    let scene = scene();
    let genuine = scene.request.as_bytes();
    for position in 0..genuine.len() {
        let mut bytes = genuine.to_vec();
        bytes[position] ^= 1 << (position % 8);
        assert!(scene.accept(&bytes).is_err(), "byte {position}");
    }
    for len in 0..genuine.len() {
        assert!(scene.accept(&genuine[..len]).is_err());
    }
    assert!(scene.accept(&[genuine, &[0]].concat()).is_err());
}

#[test]
fn a_key_that_the_newcomer_does_not_hold_is_not_certified() {
    let scene = scene();
    let hers = NewcomerKeys::generate(clinic().doctor.group(), &mut OsRandom);
    // The ticket's owner claims the doctor's key, and signs with her own.
    let (claimed, len) = (clinic().doctor.signing.verifying_key(), 256);
    let request = JoinRequest::make(&hers, &scene.ticket, NOW, &mut OsRandom);
    let mut bytes = request.as_bytes().to_vec();
    let place = bytes.len() - 64 - 4 * len;
    bytes[place..place + len].copy_from_slice(claimed.as_bytes());
    let proved = &bytes[..bytes.len() - 64];
    let proof = request::proof(&scene.ticket, proved);
    let forged = [proved, &proof].concat();
    assert_eq!(error(scene.accept(&forged)), JoinError::BadSignature);
}

#[test]
fn a_changed_bit_in_the_answer_is_refused() {
    let scene = scene();
    let genuine = scene.answer.as_bytes();
    assert!(scene.open(&scene.answer).is_ok());
    let step = |position: usize| position < 300 || position.is_multiple_of(16);
    for position in (0..genuine.len()).filter(|position| step(*position)) {
        let mut bytes = genuine.to_vec();
        bytes[position] ^= 1 << (position % 8);
        let result = scene.open(&JoinAnswer::from_bytes(bytes));
        assert!(result.is_err(), "byte {position}");
    }
    for len in (0..genuine.len()).step_by(7) {
        let cut = JoinAnswer::from_bytes(genuine[..len].to_vec());
        assert!(scene.open(&cut).is_err());
    }
    let longer = JoinAnswer::from_bytes([genuine, &[0]].concat());
    assert!(scene.open(&longer).is_err());
}

#[test]
fn an_answer_opens_for_its_own_request_only() {
    let (mine, other) = (scene(), Scene::new(clinic(), Role::Doctor));
    // Swapped.
    assert_eq!(error(mine.open(&other.answer)), JoinError::OtherTicket);
    let mut bytes = other.answer.as_bytes().to_vec();
    bytes[1..17].copy_from_slice(&mine.ticket.id);
    let swapped = JoinAnswer::from_bytes(bytes);
    assert_eq!(error(mine.open(&swapped)), JoinError::CannotBeOpened);
    // A second request with the same keys and ticket does not open it either.
    let root = &clinic().doctor.root;
    let again = JoinRequest::make(&mine.keys, &mine.ticket, at(1), &mut OsRandom);
    let result = mine
        .answer
        .open(&mine.ticket, &again, &mine.keys, root, NOW);
    assert_eq!(error(result), JoinError::CannotBeOpened);
    // Nor the right keys without the ticket, nor the ticket without the keys.
    let zero = Secret::from_slice(&[0; 16]).unwrap();
    let wrong = changed(&mine.ticket, |ticket| ticket.secret = zero);
    let result = mine
        .answer
        .open(&wrong, &mine.request, &mine.keys, root, NOW);
    assert_eq!(error(result), JoinError::CannotBeOpened);
    let result = mine
        .answer
        .open(&mine.ticket, &mine.request, &other.keys, root, NOW);
    assert_eq!(error(result), JoinError::CannotBeOpened);
}

#[test]
fn an_answer_of_another_clinic_is_refused() {
    let (scene, elsewhere) = (scene(), Clinic::new());
    let root = &elsewhere.doctor.root;
    let result = scene
        .answer
        .open(&scene.ticket, &scene.request, &scene.keys, root, NOW);
    assert_eq!(error(result), JoinError::OtherTicket);
    // Who knows the ticket, but is not the root, certifies nobody.
    let answered = certified(&elsewhere, &scene.ticket, &scene.request);
    let forged = JoinAnswer::make(&scene.ticket, &scene.request, &answered, &mut OsRandom);
    let result = scene.open(&forged.unwrap());
    assert!(matches!(error(result), JoinError::Certificate(_)));
}

#[test]
fn a_certificate_that_a_doctor_signed_is_refused() {
    let scene = scene();
    let subject = Subject {
        signing_key: scene.request.signing_key.clone(),
        identifier: scene.ticket.subject.clone(),
        ..clinic().doctor.certificate.subject().clone()
    };
    let hers: &SignSecret = &clinic().doctor.signing;
    let answered = Answered {
        certificate: VerifiedCertificate::issue(subject, hers, &mut OsRandom),
        ..certified(clinic(), &scene.ticket, &scene.request)
    };
    let forged = JoinAnswer::make(&scene.ticket, &scene.request, &answered, &mut OsRandom);
    let result = scene.open(&forged.unwrap());
    assert!(matches!(error(result), JoinError::Certificate(_)));
}

#[test]
fn a_certificate_outside_its_time_is_refused() {
    let scene = scene();
    let root = &clinic().doctor.root;
    let never = at(400 * 24 * 3_600);
    let result = scene
        .answer
        .open(&scene.ticket, &scene.request, &scene.keys, root, never);
    assert!(matches!(error(result), JoinError::Certificate(_)));
}

#[test]
fn column_keys_are_read_strictly() {
    let key = || Secret::from_slice(&[5; 128]).unwrap();
    let Grant::Columns(keys) = grant(Role::Assistant) else {
        panic!("an assistant is given columns");
    };
    let bytes = keys.encode();
    let again = ColumnKeys::decode(bytes.expose()).unwrap();
    assert_eq!(again.encode().expose(), bytes.expose());
    for len in 0..bytes.expose().len() {
        assert!(ColumnKeys::decode(&bytes.expose()[..len]).is_err());
    }
    let named = |name: &str| (name.to_owned(), key());
    assert!(ColumnKeys::new(vec![named("a"), named("a")]).is_err());
    assert!(ColumnKeys::new(vec![named("")]).is_err());
    assert!(ColumnKeys::new(vec![named(&"a".repeat(33))]).is_err());
    let many = (0..17).map(|number| named(&number.to_string())).collect();
    assert!(ColumnKeys::new(many).is_err());
}

#[test]
fn debug_shows_no_key() {
    for role in Role::STAFF {
        let text = format!("{:?}", grant(role));
        assert!(!text.contains("4, 4") && !text.contains("5, 5"), "{text}");
    }
}
