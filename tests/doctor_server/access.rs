//! A patient sees only what is meant for that patient, whatever it sends.

use telemed::framing::Frame;
use telemed::protocol::message::MessageId;
use telemed::protocol::record::{Ack, Audience, DecMsg, Direct, GroupKey, Receipt, SessionToken};
use telemed::protocol::{DisconnectReason, enrol_sub, opcode, sub};
use telemed::secret::Secret;
use telemed::session::receipt::NO_TIME;

use crate::support::{Got, Practice, Session, holds};

/// What a patient may send as a record.
const ALLOWED: [u8; 6] = [
    opcode::DEC_MSG,
    opcode::ACK,
    opcode::DISCONNECT,
    opcode::PRIVATE,
    opcode::RECEIPT,
    opcode::HEARTBEAT,
];

/// P1 with a private message on its way, and P2 who is curious.
struct Curious {
    practice: Practice,
    secret: String,
    number: u64,
    id: MessageId,
}

impl Curious {
    fn new() -> (Self, crate::support::Person, Session) {
        let practice = Practice::open();
        let [mut one, mut two] = practice.admit(["P1", "P2"]);
        let mut first = one.connect(practice.address());
        let mut second = two.connect(practice.address());
        first.epoch_of(2);
        second.epoch_of(2);
        first.answering = false;
        let secret = "the result of the test is in".to_owned();
        let sent = practice
            .server()
            .message(&"P1".parse().unwrap(), &secret)
            .unwrap();
        let message = first.message();
        assert_eq!(message.text, secret);
        // P1 goes without having answered: the message stays the server's to
        // give away.
        first.wire.cut();
        practice.wait_for_members(1);
        let this = Self {
            practice,
            secret,
            number: sent.number,
            id: message.id,
        };
        (this, two, second)
    }

    fn check(&self, session: &Session) {
        assert!(!holds(&session.opened, &self.id.0));
        self.check_where_the_id_was_told(session);
    }

    /// The same where P2 has said the message's id herself, which is answered.
    fn check_where_the_id_was_told(&self, session: &Session) {
        assert!(!holds(&session.opened, self.secret.as_bytes()));
        assert_eq!(self.practice.state(self.number, "P1"), "sent");
        assert_eq!(self.practice.state(self.number, "P2"), "none");
    }
}

#[test]
fn opcodes_a_patient_may_not_use_close_without_a_word() {
    let opcodes = (0..=u8::MAX).filter(|opcode| !ALLOWED.contains(opcode));
    let opcodes: Vec<u8> = opcodes.collect();
    // Fewer at a time than a device may come back at once.
    for opcodes in opcodes.chunks(50) {
        let (curious, two, mut session) = Curious::new();
        for &opcode in opcodes {
            session.send(opcode, b"whatever this says");
            assert!(session.closed().is_empty(), "opcode {opcode}");
            curious.check(&session);
            let (ticket, progress) = session.drop_line();
            session = two.resume(curious.practice.address(), ticket, Some(progress));
        }
    }
}

#[test]
fn well_formed_records_of_the_doctors_close_when_a_patient_sends_them() {
    let (curious, two, mut session) = Curious::new();
    let now = curious.practice.now();
    let message = session.write("I am the doctor", now);
    let bodies = [
        (
            opcode::SESSION_TOKEN,
            SessionToken {
                token: [1; 32],
                lifetime: std::time::Duration::from_secs(3600),
                conference: session.conference,
                at: now,
            }
            .encode(),
        ),
        (
            opcode::GROUP_KEY,
            GroupKey {
                conference: session.conference,
                epoch: 99,
                next_mid: 1,
                members: 2,
                key: Secret::zero(),
            }
            .encode(),
        ),
        (
            opcode::DIRECT,
            Direct {
                audience: Audience::Everyone,
                message,
                signature: vec![1; 512],
            }
            .encode(),
        ),
        (opcode::ENC_MSG, vec![0; 400]),
    ];
    for (opcode, body) in bodies {
        session.send(opcode, &body);
        assert!(session.closed().is_empty(), "opcode {opcode}");
        curious.check(&session);
        let (ticket, progress) = session.drop_line();
        session = two.resume(curious.practice.address(), ticket, Some(progress));
    }
}

#[test]
fn frames_outside_the_records_close_without_a_word() {
    let (curious, two, mut session) = Curious::new();
    let frames = [
        Frame::new(opcode::ENC_MSG, sub::NONE, &[0; 400]),
        Frame::new(opcode::KEY_VERIFICATION, sub::CERT_REQUEST, &[]),
        Frame::new(opcode::KEY_VERIFICATION, sub::CERT, &[1; 40]),
        Frame::new(opcode::KEY_VERIFICATION, sub::M3, &[0; 64]),
        Frame::new(opcode::KEY_VERIFICATION, sub::NO_TOKEN, &[]),
        Frame::new(opcode::ENROL, enrol_sub::E1, &[0; 900]),
        Frame::new(opcode::GROUP_KEY, sub::NONE, &[]),
        Frame::new(0, 0, &[]),
        two.first_message().0,
    ];
    for frame in frames {
        session.wire.send(&frame);
        assert!(session.closed().is_empty(), "{frame:?}");
        curious.check(&session);
        let (ticket, progress) = session.drop_line();
        session = two.resume(curious.practice.address(), ticket, Some(progress));
    }
}

#[test]
fn records_that_do_not_open_close_without_a_word() {
    let (curious, two, mut session) = Curious::new();
    for fault in 0..4 {
        let good = session.seal(opcode::HEARTBEAT, &[0; 8]);
        let mut bytes = good.as_bytes().to_vec();
        let last = bytes.len() - 1;
        match fault {
            0 => bytes[last] ^= 1,
            // A sub-code, where there is none.
            1 => bytes[6] = 1,
            // A number that is not the next.
            2 => bytes[14] ^= 1,
            // Another opcode than it was sealed for.
            _ => bytes[5] = opcode::PRIVATE,
        }
        session.wire.send_bytes(&bytes);
        assert!(session.closed().is_empty(), "fault {fault}");
        let (ticket, progress) = session.drop_line();
        session = two.resume(curious.practice.address(), ticket, Some(progress));
    }
    // The same record twice.
    let good = session.seal(opcode::HEARTBEAT, &[0; 8]);
    session.wire.send(&good);
    session.wire.send(&good);
    assert!(session.closed().is_empty());
    curious.check(&session);
}

#[test]
fn records_that_say_nonsense_are_answered_with_protocol_error() {
    let (curious, two, mut session) = Curious::new();
    for opcode in ALLOWED {
        session.send(opcode, b"!");
        let last = session.until("DISCONNECT", |got| match got {
            Got::Disconnect(reason) => Some(*reason),
            _ => None,
        });
        assert_eq!(last, DisconnectReason::ProtocolError, "opcode {opcode}");
        curious.check(&session);
        let (ticket, progress) = session.drop_line();
        session = two.resume(curious.practice.address(), ticket, Some(progress));
    }
}

#[test]
fn receipts_for_somebody_elses_message_change_and_reveal_nothing() {
    let (curious, two, mut session) = Curious::new();
    let id = curious.id;
    session.confirm(&two, id, &[3; 64]);
    let receipt = Receipt {
        id,
        at: NO_TIME,
        mac: [0; 64],
    };
    session.send(opcode::RECEIPT, &receipt.encode());
    let decrypted = DecMsg {
        conference: session.conference,
        epoch: 1,
        mid: 1,
        id,
        mac: [0; 64],
    };
    session.send(opcode::DEC_MSG, &decrypted.encode());
    let ack = Ack {
        id,
        at: curious.practice.now(),
        signature: vec![0; 512],
    };
    session.send(opcode::ACK, &ack.encode());
    session.sync(curious.practice.now());
    curious.check_where_the_id_was_told(&session);
    // A receipt for somebody else's message is answered as one for a message that
    // does not exist: not at all.
    let frames = session.wire.received.len();
    let unknown = Receipt {
        id: MessageId([77; 16]),
        at: NO_TIME,
        mac: [0; 64],
    };
    session.send(opcode::RECEIPT, &unknown.encode());
    session.sync(curious.practice.now());
    assert_eq!(session.wire.received.len(), frames + 1);
}

#[test]
fn who_confirms_what_is_not_there_is_told_so_and_the_same_of_somebody_elses_message() {
    let (curious, two, mut session) = Curious::new();
    for id in [curious.id, MessageId([77; 16])] {
        session.confirm(&two, id, &[3; 64]);
        let (at, mac) = session.until("a last word", |got| match got {
            Got::Received(receipt) if receipt.id == id => Some((receipt.at, receipt.mac)),
            _ => None,
        });
        let receipt = Receipt { id, at, mac };
        assert!(session.end.proves_unknown(&receipt));
        assert!(!session.end.proves_confirmation(&[3; 64], &receipt));
    }
    curious.check_where_the_id_was_told(&session);
}

#[test]
fn a_private_message_reaches_nobody_else_however_they_come_back() {
    let (curious, mut two, session) = Curious::new();
    let (ticket, progress) = session.drop_line();
    curious.practice.wait_for_members(0);
    let mut resumed = two.resume(curious.practice.address(), ticket, Some(progress));
    resumed.sync(curious.practice.now());
    curious.check(&resumed);
    let mut again = two.connect(curious.practice.address());
    again.sync(curious.practice.now());
    curious.check(&again);
    let mut third = curious.practice.admit_one("P3");
    let mut session = third.connect(curious.practice.address());
    session.sync(curious.practice.now());
    curious.check(&session);
}

#[test]
fn a_patients_message_is_hers_even_under_an_id_in_use() {
    let (curious, _two, mut session) = Curious::new();
    // An id that belongs to the doctor's message for P1, with another text.
    let mut body = session.write("mine", curious.practice.now()).encode();
    body[..16].copy_from_slice(&curious.id.0);
    session.send(opcode::PRIVATE, &body);
    session.until("a receipt", |got| {
        matches!(got, Got::Received(_)).then_some(())
    });
    assert!(!holds(&session.opened, curious.secret.as_bytes()));
    assert_eq!(curious.practice.state(curious.number, "P1"), "sent");
}

#[test]
fn a_patients_own_message_under_an_old_id_ends_the_session() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    let message = session.write("first", practice.now());
    for _ in 0..2 {
        session.send(opcode::PRIVATE, &message.encode());
        session.until("a receipt", |got| {
            matches!(got, Got::Received(_)).then_some(())
        });
    }
    let shown = practice
        .events()
        .iter()
        .filter(|event| matches!(event, telemed::doctor::event::Event::Private(..)))
        .count();
    assert_eq!(shown, 1);
    let mut changed = message.encode();
    *changed.last_mut().unwrap() ^= 1;
    session.send(opcode::PRIVATE, &changed);
    assert_eq!(session.disconnected(), DisconnectReason::ProtocolError);
}
