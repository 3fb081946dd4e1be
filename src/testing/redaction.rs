//! Printing anything with Debug, as logs and error reports do, shows no byte
//! of a secret.

use std::fmt::Debug;
use std::time::Duration;

use super::{NOW, Node, Recorded, answered, at, clinic, copy_of, copy_of_kem, handshaken_pair};
use crate::group::sender::Sender;
use crate::handshake::enrol::{self, NewKeys};
use crate::handshake::patient;
use crate::handshake::registry::{KnownTicket, Resumable, TicketRegistry};
use crate::handshake::resume::{self, ResumptionTicket};
use crate::identity::authority::OwnPrekey;
use crate::protocol::message::Message;
use crate::protocol::opcode::{DIRECT, GROUP_KEY, PRIVATE};
use crate::protocol::record::{Audience, Direct, GroupKey};
use crate::random::OsRandom;
use crate::secret::Secret;
use crate::session::patient::AwaitToken;

/// Whether the beginning or the end of a secret is in what is printed, as
/// numbers or in hexadecimal.
fn shows(value: &dyn Debug, secret: &[u8]) -> bool {
    let printed = format!("{value:?} {value:#?}").to_lowercase();
    let printed: String = printed.split_whitespace().collect();
    [&secret[..6], &secret[secret.len() - 6..]]
        .iter()
        .any(|part| {
            let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            printed.contains(&numbers.join(",")) || printed.contains(&hex)
        })
}

fn hides(value: &dyn Debug, secrets: &[&[u8]]) {
    for secret in secrets {
        assert!(!shows(value, secret), "a secret in {value:?}");
    }
}

#[test]
fn the_search_finds_what_is_shown() {
    let secret = [9_u8, 8, 7, 6, 5, 4, 3];
    assert!(shows(&secret, &secret));
    assert!(shows(&Some(vec![8_u8, 7, 6, 5, 4, 3]), &secret));
    assert!(shows(&"0x090807060504", &secret));
    assert!(!shows(&[9_u8, 8, 7, 6, 5], &secret));
}

#[test]
fn keys_and_identities_hide_their_secrets() {
    let doctor = clinic().same_doctor();
    let signing = doctor.signing.to_bytes();
    let prekey = doctor.prekeys[0].secret.to_bytes();
    hides(&doctor, &[signing.expose(), prekey.expose()]);
    let own: &OwnPrekey = &doctor.prekeys[0];
    hides(own, &[prekey.expose()]);
    let patient = &clinic().patients[0];
    let signing = patient.signing().to_bytes();
    let encryption = patient.encryption().to_bytes();
    hides(patient, &[signing.expose(), encryption.expose()]);
    let keys = NewKeys {
        signing: copy_of(patient.signing()),
        encryption: copy_of_kem(patient.encryption()),
    };
    hides(&keys, &[signing.expose(), encryption.expose()]);
    let shared = patient.encryption().agree(own.secret.public());
    hides(&shared, &[shared.expose()]);
}

#[test]
fn tickets_hide_their_secret() {
    let node = Node::new();
    let mut ticket = node.registry.ticket_for(
        node.identity.identifier(),
        "P7",
        node.identity.root.fingerprint(),
        at(60),
    );
    let secret = *b"\x61\x1f\xc3\x07\x99\x32 sixteen!!";
    ticket.secret = Secret::from_slice(&secret).unwrap();
    hides(&ticket, &[&secret]);
    let row: KnownTicket = node.registry.ticket(&ticket.id).unwrap().unwrap();
    let stored = KnownTicket {
        secret: ticket.secret.duplicate(),
        ..row
    };
    hides(&stored, &[&secret]);
}

#[test]
fn states_of_a_handshake_hide_their_secrets() {
    let node = Node::new();
    let identity = &clinic().patients[0];
    let known = clinic().known();
    let mut drawn = Recorded::default();
    let (m1, state) = patient::begin(identity, &known, NOW, &mut drawn);
    // The exponents of both key pairs, but for their highest bits.
    let [a, ephemeral] = [&drawn.0[0][1..], &drawn.0[1][1..]];
    hides(&state, &[a, ephemeral]);

    let (m2, proof) = answered(node.first(&m1).unwrap());
    let step = state.on_frame(identity, &known, &m2, NOW, &mut OsRandom);
    let step = step.unwrap();
    let gsec = |session: &crate::session::SessionKey| *session.group_contribution().expose();
    let patient::Step::Answered { m3, agreed, .. } = &step else {
        panic!("no session");
    };
    let verification = agreed.session.verification();
    hides(&step, &[&gsec(&agreed.session), &verification]);
    hides(&proof, &[&verification]);
    let established = proof.on_frame(m3).unwrap();
    let receipt_key = established.session.receipt_key();
    hides(
        &established,
        &[
            &gsec(&established.session),
            receipt_key.expose(),
            &verification,
        ],
    );

    let token = [0xd1, 0x5e, 0x77, 0x21, 0x08, 0xbb].repeat(6)[..32]
        .try_into()
        .unwrap();
    let key = established.session.resumption_key(&token);
    let rms = *key.secret().expose();
    let entry = Resumable {
        doctor: established.doctor,
        revoked_number: established.revoked_number,
        key,
        certificate: established.certificate,
        full_handshake: NOW,
        expires: at(60),
    };
    hides(&entry, &[&rms]);
    let hour = Duration::from_secs(3_600);
    let ticket = ResumptionTicket::new(&agreed.session, &token, hour, NOW).unwrap();
    hides(&ticket, &[&rms, &token]);
    let mut drawn = Recorded::default();
    let (_, state) = resume::begin(ticket, known.group(), NOW, &mut drawn);
    hides(&state, &[&rms, &drawn.0[0][1..]]);
}

#[test]
fn states_of_an_enrolment_hide_their_secrets() {
    let node = Node::new();
    let known = clinic().known();
    let doctor = node.identity.identifier();
    let pinned = node.identity.root.fingerprint();
    let ticket = node.registry.ticket_for(doctor, "P7", pinned, at(60));
    let keys = NewKeys::generate(known.group(), &mut OsRandom);
    let (e1, state) = enrol::begin(&keys, &ticket, &known, NOW, &mut OsRandom);
    let crate::handshake::doctor::Step::Enrolling(e2, confirmation) = node.first(&e1).unwrap()
    else {
        panic!("no certificate");
    };
    let (e3, done) = state.on_frame(&keys, &ticket, &known, &e2, NOW).unwrap();
    let secret = ticket.secret.expose();
    hides(&confirmation, &[e3.body(), secret]);
    let (e4, _) = confirmation.on_frame(&node.registry, &e3).unwrap();
    hides(&done, &[e4.body(), secret]);
}

#[test]
fn both_ends_of_a_session_hide_their_keys() {
    let mut pair = handshaken_pair();
    let receipt_key = *pair.doctor_key.receipt_key().expose();
    let gsec = *pair.contribution.expose();
    let verification = pair.doctor_key.verification();
    hides(&pair.doctor_key, &[&receipt_key, &gsec, &verification]);
    hides(&pair.doctor, &[&receipt_key]);
    hides(&pair.patient, &[&receipt_key]);
    let random: [u8; 32] = crate::random::array(&mut OsRandom);
    pair.token.token = random;
    hides(&pair.token, &[&random]);
    let keys: [&dyn Debug; 3] = [&pair.to_patient, &pair.to_doctor, &pair.contribution];
    for key in keys {
        assert!(!format!("{key:?}").contains('['));
    }
    let state = AwaitToken::new(pair.patient_key);
    hides(&state, &[&receipt_key, &gsec, &verification]);
}

#[test]
fn a_group_key_is_hidden_wherever_it_lies() {
    let mut pair = handshaken_pair();
    let mut sender = Sender::new(&mut OsRandom);
    let record = sender.rekey(vec![(pair.device(), &pair.contribution)], &mut OsRandom);
    let decoded = GroupKey::decode(record.expose()).unwrap();
    let group_key = *decoded.key.expose();
    hides(&decoded, &[&group_key]);
    hides(&record, &[&group_key]);
    hides(&sender, &[&group_key]);
    let own = GroupKey {
        conference: pair.token.conference,
        ..decoded
    };
    let epoch = pair.tell_patient(GROUP_KEY, &own.encode()).unwrap();
    hides(&epoch, &[&group_key]);
    hides(&pair.patient, &[&group_key]);
}

#[test]
fn what_is_written_is_hidden_wherever_it_lies() {
    let mut pair = handshaken_pair();
    let message = Message::new("diagnosis", true, NOW, &mut OsRandom).unwrap();
    let text = message.text().as_bytes().to_vec();
    let shows_nothing = |value: &dyn Debug| {
        hides(value, &[&text]);
        assert!(!format!("{value:?}").contains("diagnosis"));
    };
    shows_nothing(&message);
    let parties = *pair.doctor.parties();
    let direct: Direct = crate::session::signed::sign_direct(
        &clinic().doctor.signing,
        Audience::Chosen,
        message.clone(),
        &parties,
        &mut OsRandom,
    );
    shows_nothing(&direct);
    shows_nothing(&pair.tell_patient(DIRECT, &direct.encode()).unwrap());
    shows_nothing(&pair.tell_doctor(PRIVATE, &message.encode()).unwrap());
    shows_nothing(&pair.seal_to_patient(PRIVATE, &message.encode()));
}
