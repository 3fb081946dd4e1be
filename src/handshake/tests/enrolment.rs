//! What somebody may try with a ticket, or without one.

mod answer;

use super::forge::open_box;
use crate::aes;
use crate::codec::Writer;
use crate::elgamal::{KemSecret, SignSecret};
use crate::framing::Frame;
use crate::handshake::doctor::{Refusal, RefusalReason, Step};
use crate::handshake::enrol::{self, AwaitCertificate, ExpectConfirmation, NewKeys};
use crate::handshake::patient::HandshakeError;
use crate::handshake::registry::{Standing, TicketUse};
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::ticket::Ticket;
use crate::kdf::{self, label};
use crate::protocol::opcode::ENROL;
use crate::protocol::{AlertCode, SUITE, enrol_sub, sub};
use crate::random::{self, OsRandom};
use crate::secret::Secret;
use crate::testing::{NOW, Node, at, clinic, copy_of, copy_of_kem};

/// A node with one open ticket, for P7, and keys for it.
fn open_ticket() -> (Node<'static>, Ticket, NewKeys) {
    let node = Node::of(&clinic().doctor);
    let ticket = ticket_on(&node);
    let keys = NewKeys::generate(clinic().doctor.group(), &mut OsRandom);
    (node, ticket, keys)
}

fn ticket_on(node: &Node<'_>) -> Ticket {
    let pinned = node.identity.root.fingerprint();
    let doctor = node.identity.identifier();
    node.registry.ticket_for(doctor, "P7", pinned, at(3_600))
}

fn copy_of_keys(keys: &NewKeys) -> NewKeys {
    NewKeys {
        signing: copy_of(&keys.signing),
        encryption: copy_of_kem(&keys.encryption),
    }
}

fn begin(keys: &NewKeys, ticket: &Ticket) -> (Frame, AwaitCertificate) {
    enrol::begin(keys, ticket, &clinic().known(), NOW, &mut OsRandom)
}

fn enrolling(step: Result<Step, Refusal>) -> (Frame, ExpectConfirmation) {
    match step.unwrap() {
        Step::Enrolling(e2, next) => (e2, *next),
        other => panic!("no certificate: {other:?}"),
    }
}

fn state_of(node: &Node<'_>, ticket: &Ticket) -> TicketUse {
    node.registry.lock().tickets[&ticket.id].state.clone()
}

/// Refused without a word; the ticket is as it was.
fn silently(node: &Node<'_>, ticket: &Ticket, e1: &Frame) -> RefusalReason {
    let refusal = node.first(e1).unwrap_err();
    assert!(refusal.answer.is_none(), "told something: {refusal:?}");
    assert!(matches!(state_of(node, ticket), TicketUse::Open));
    assert!(node.registry.lock().certificates.is_empty());
    refusal.reason
}

/// Refused with a code that the newcomer can open.
fn refused(node: &Node<'_>, keys: &NewKeys, ticket: &Ticket) -> (AlertCode, RefusalReason) {
    let (e1, state) = begin(keys, ticket);
    let refusal = node.first(&e1).unwrap_err();
    let answer = refusal.answer.unwrap();
    assert_eq!((answer.opcode(), answer.sub()), (ENROL, enrol_sub::REFUSED));
    let error = state
        .on_frame(keys, ticket, &clinic().known(), &answer, NOW)
        .unwrap_err();
    match error {
        HandshakeError::Refused { code, .. } => (code, refusal.reason),
        other => panic!("not refused: {other:?}"),
    }
}

/// E1 before it is sealed.
struct Request<'a> {
    ticket: &'a Ticket,
    secret: Secret<16>,
    signing_key: Vec<u8>,
    encryption_key: Vec<u8>,
    signer: &'a SignSecret,
    suite: u16,
}

impl<'a> Request<'a> {
    /// One with nothing wrong in it.
    fn new(keys: &'a NewKeys, ticket: &'a Ticket) -> Self {
        Self {
            ticket,
            secret: ticket.secret.duplicate(),
            signing_key: keys.signing.verifying_key().as_bytes().to_vec(),
            encryption_key: keys.encryption.public().as_bytes().to_vec(),
            signer: &keys.signing,
            suite: SUITE,
        }
    }

    fn seal(self) -> Frame {
        let known = clinic().known();
        let group = known.group();
        let kem = KemSecret::generate(group, &mut OsRandom);
        let fields = Writer::new()
            .u16(self.suite)
            .bytes(&known.prekey().id())
            .bytes(&self.ticket.id)
            .u64(NOW.as_millis())
            .bytes(&random::array::<32>(&mut OsRandom))
            .bytes(kem.public().as_bytes())
            .finish();
        let box_len = aes::sealed_len(4 * group.element_len() + 64);
        let header = Frame::header(ENROL, enrol_sub::E1, fields.len() + 2 + box_len);
        let binding = schedule::binding(
            &[&header[..], &fields].concat(),
            &known.certificate().fingerprint(),
            &known.prekey().hash(),
        );
        let early = EarlySecret::new(group, &kem.agree(known.prekey().key()), &binding);
        let proved: [&[u8]; 3] = [
            early.binding_hash(),
            &self.signing_key,
            &self.encryption_key,
        ];
        let signature = self.signer.sign(label::SIG_CSR, &proved, &mut OsRandom);
        let key: Secret<64> =
            kdf::extract(&self.ticket.id, &[self.secret.expose()]).expand(label::TICKET_P, &[]);
        let mac = kdf::hmac(key.expose(), &proved);
        let content = [proved[1], proved[2], &signature, &mac].concat();
        let sealed = early
            .enrol_box_key()
            .seal(0, &[&binding], &content, &mut OsRandom);
        let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
        Frame::new(ENROL, enrol_sub::E1, &body)
    }
}

#[test]
fn the_forge_forges_well() {
    let (node, ticket, keys) = open_ticket();
    enrolling(node.first(&Request::new(&keys, &ticket).seal()));
}

#[test]
fn the_tickets_secret_is_never_sent() {
    let (_, ticket, keys) = open_ticket();
    let (e1, _) = begin(&keys, &ticket);
    let secret = ticket.secret.expose();
    let shows = |bytes: &[u8]| bytes.windows(16).any(|window| window == secret);
    assert!(!shows(e1.as_bytes()));
    assert!(!shows(&open_box(&clinic().doctor, &e1)));
}

#[test]
fn who_does_not_know_the_tickets_secret_is_refused_and_does_not_use_it_up() {
    let (node, ticket, keys) = open_ticket();
    let guess = Request {
        secret: Secret::from_slice(&[1; 16]).unwrap(),
        ..Request::new(&keys, &ticket)
    };
    let reason = silently(&node, &ticket, &guess.seal());
    assert_eq!(
        reason,
        RefusalReason::WrongTicketProof(ticket.subject.clone())
    );
    // The secret of another ticket of hers neither.
    let other = ticket_on(&node);
    let swapped = Request {
        secret: other.secret.duplicate(),
        ..Request::new(&keys, &ticket)
    };
    silently(&node, &ticket, &swapped.seal());
    enrolling(node.first(&begin(&keys, &ticket).0));
}

#[test]
fn an_unknown_ticket_is_refused() {
    let (node, mut ticket, keys) = open_ticket();
    let known = ticket.id;
    ticket.id = [0xee; 16];
    let (e1, _) = begin(&keys, &ticket);
    ticket.id = known;
    assert_eq!(silently(&node, &ticket, &e1), RefusalReason::UnknownTicket);
}

#[test]
fn where_tickets_cannot_be_looked_up_the_newcomer_is_told_to_come_later() {
    let (node, ticket, keys) = open_ticket();
    node.registry.lock().are_unreadable = true;
    let (code, reason) = refused(&node, &keys, &ticket);
    assert_eq!(code, AlertCode::Busy);
    assert!(matches!(reason, RefusalReason::Registry(_)), "{reason:?}");
    node.registry.lock().are_unreadable = false;
    enrolling(node.first(&begin(&keys, &ticket).0));
}

#[test]
fn an_expired_ticket_is_refused_and_only_its_holder_is_told() {
    let (mut node, ticket, keys) = open_ticket();
    node.now = at(3_600);
    enrolling(node.first(&begin(&keys, &ticket).0));
    let (mut node, ticket, keys) = open_ticket();
    node.now = at(3_601);
    let (code, _) = refused(&node, &keys, &ticket);
    assert_eq!(code, AlertCode::TicketExpired);
    let guess = Request {
        secret: Secret::zero(),
        ..Request::new(&keys, &ticket)
    };
    silently(&node, &ticket, &guess.seal());
}

#[test]
fn a_withdrawn_ticket_is_refused() {
    let (node, ticket, keys) = open_ticket();
    node.registry
        .lock()
        .tickets
        .get_mut(&ticket.id)
        .unwrap()
        .state = TicketUse::Withdrawn;
    let (code, _) = refused(&node, &keys, &ticket);
    assert_eq!(code, AlertCode::TicketWithdrawn);
}

/// The whole certificate that `keys` are given now.
fn certificate_of(node: &Node<'_>, keys: &NewKeys, ticket: &Ticket) -> Vec<u8> {
    let (e1, state) = begin(keys, ticket);
    let (e2, confirmation) = enrolling(node.first(&e1));
    let (e3, done) = state
        .on_frame(keys, ticket, &clinic().known(), &e2, NOW)
        .unwrap();
    let (e4, _) = confirmation.on_frame(&node.registry, &e3).unwrap();
    done.on_frame(&e4).unwrap().0.as_bytes().to_vec()
}

#[test]
fn the_same_keys_are_given_the_same_certificate_again() {
    let (mut node, ticket, keys) = open_ticket();
    // E2 was lost.
    enrolling(node.first(&begin(&keys, &ticket).0));
    let first = certificate_of(&node, &keys, &ticket);
    // E4 was lost, and the ticket's time is over meanwhile.
    node.now = at(7_200);
    assert_eq!(certificate_of(&node, &keys, &ticket), first);
    assert_eq!(node.registry.lock().certificates.len(), 1);
}

#[test]
fn a_ticket_used_by_a_second_device_is_frozen_with_its_certificate() {
    let (node, ticket, first) = open_ticket();
    let certificate = certificate_of(&node, &first, &ticket);
    let serial = certificate[1..17].try_into().unwrap();
    assert_eq!(node.registry.standing(&serial), Some(Standing::Active));

    let second = NewKeys::generate(clinic().doctor.group(), &mut OsRandom);
    let (code, reason) = refused(&node, &second, &ticket);
    assert_eq!(code, AlertCode::TicketUsed);
    assert_eq!(
        reason,
        RefusalReason::TicketUsedTwice(ticket.subject.clone())
    );
    assert_eq!(node.registry.standing(&serial), Some(Standing::Stopped));
    // The first one is not given it again either.
    for keys in [&first, &second] {
        let (code, _) = refused(&node, keys, &ticket);
        assert_eq!(code, AlertCode::TicketWithdrawn);
    }
}

#[test]
fn a_confirmation_on_its_way_does_not_thaw_a_frozen_certificate() {
    let (node, ticket, keys) = open_ticket();
    let (e1, state) = begin(&keys, &ticket);
    let (e2, confirmation) = enrolling(node.first(&e1));
    let (e3, _) = state
        .on_frame(&keys, &ticket, &clinic().known(), &e2, NOW)
        .unwrap();
    let thief = NewKeys::generate(clinic().doctor.group(), &mut OsRandom);
    refused(&node, &thief, &ticket);
    let refusal = confirmation.on_frame(&node.registry, &e3).unwrap_err();
    assert!(matches!(refusal.reason, RefusalReason::Registry(_)));
}

#[test]
fn half_of_the_same_keys_are_other_keys() {
    let (node, ticket, first) = open_ticket();
    certificate_of(&node, &first, &ticket);
    let mut mixed = copy_of_keys(&first);
    mixed.encryption = KemSecret::generate(clinic().doctor.group(), &mut OsRandom);
    let (code, _) = refused(&node, &mixed, &ticket);
    assert_eq!(code, AlertCode::TicketUsed);
}

#[test]
fn keys_in_another_certificate_are_refused() {
    let (node, ticket, keys) = open_ticket();
    let expected = RefusalReason::KeysInUse(ticket.subject.clone());
    for taken in [
        keys.signing.verifying_key().as_bytes(),
        keys.encryption.public().as_bytes(),
    ] {
        node.registry.lock().taken_keys = vec![taken.to_vec()];
        let (e1, _) = begin(&keys, &ticket);
        assert_eq!(silently(&node, &ticket, &e1), expected);
    }
    // Nor are the doctor's own.
    node.registry.lock().taken_keys.clear();
    let doctor = &clinic().doctor;
    let mut hers = copy_of_keys(&keys);
    hers.signing = copy_of(&doctor.signing);
    assert_eq!(silently(&node, &ticket, &begin(&hers, &ticket).0), expected);
    let mut hers = copy_of_keys(&keys);
    hers.encryption = copy_of_kem(&doctor.prekeys[0].secret);
    assert_eq!(silently(&node, &ticket, &begin(&hers, &ticket).0), expected);
}

#[test]
fn a_signing_key_that_is_not_ones_own_is_not_certified() {
    let (node, ticket, keys) = open_ticket();
    let victim = clinic().patients[0].signing().verifying_key();
    let claimed = Request {
        signing_key: victim.as_bytes().to_vec(),
        ..Request::new(&keys, &ticket)
    };
    let reason = silently(&node, &ticket, &claimed.seal());
    assert_eq!(reason, RefusalReason::BadSignature);
}

#[test]
fn an_encryption_key_that_is_not_ones_own_never_becomes_active() {
    let (node, ticket, keys) = open_ticket();
    let victim = clinic().patients[0].encryption().public();
    let claimed = Request {
        encryption_key: victim.as_bytes().to_vec(),
        ..Request::new(&keys, &ticket)
    };
    let (_, confirmation) = enrolling(node.first(&claimed.seal()));
    // E2 is sealed to the victim's key, so E3 can only be guessed.
    let e3 = Frame::new(ENROL, enrol_sub::E3, &[0; 64]);
    assert!(confirmation.on_frame(&node.registry, &e3).is_err());
    let TicketUse::Issued(bytes) = state_of(&node, &ticket) else {
        panic!("not issued");
    };
    let serial = bytes[1..17].try_into().unwrap();
    assert_eq!(node.registry.standing(&serial), Some(Standing::Inactive));
}

#[test]
fn keys_that_are_no_keys_or_twice_the_same_are_refused() {
    let (node, ticket, keys) = open_ticket();
    let len = clinic().doctor.group().element_len();
    let one = [vec![0; len - 1], vec![1]].concat();
    let same = keys.signing.verifying_key().as_bytes().to_vec();
    for (signing, encryption) in [
        (Some(one.clone()), None),
        (Some(vec![0xff; len]), None),
        (None, Some(one)),
        (None, Some(vec![0; len])),
        (None, Some(same)),
    ] {
        let mut request = Request::new(&keys, &ticket);
        request.signing_key = signing.unwrap_or(request.signing_key);
        request.encryption_key = encryption.unwrap_or(request.encryption_key);
        let reason = silently(&node, &ticket, &request.seal());
        assert_eq!(reason, RefusalReason::Unexpected);
    }
    for suite in [0, 2] {
        let request = Request {
            suite,
            ..Request::new(&keys, &ticket)
        };
        silently(&node, &ticket, &request.seal());
    }
}

#[test]
fn an_old_prekey_is_answered_with_the_new_one() {
    let (_, ticket, keys) = open_ticket();
    let mut renewed = clinic().same_doctor();
    let prekey =
        crate::identity::authority::OwnPrekey::generate(&renewed.signing, NOW, &mut OsRandom);
    renewed.prekeys = vec![prekey];
    let refusal = Node::of(&renewed)
        .first(&begin(&keys, &ticket).0)
        .unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::UnknownPrekey);
    assert_eq!(refusal.answer.unwrap().sub(), sub::CERT);
}

#[test]
fn the_check_code_is_of_these_two_messages() {
    let [a, b] = [1, 2].map(|byte| Frame::new(ENROL, enrol_sub::E1, &[byte]));
    let code = enrol::check_code(&a, &b);
    assert_eq!(code.len(), 15);
    assert!(code.chars().all(|c| c.is_ascii_digit() || c == ' '));
    assert_ne!(code, enrol::check_code(&b, &a));
    assert_ne!(code, enrol::check_code(&a, &a));
}
