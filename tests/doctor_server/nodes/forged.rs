//! What an assistant could put into the database: words under another's name, and
//! rows that send doctors' words to others.

use super::*;

use telemed::doctor::correspondence::{self, Answer, LetterReport, Request};
use telemed::doctor::messages::addressees::Addressees;
use telemed::elgamal::SignSecret;
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::patient::HandshakeError;
use telemed::identity::certificate::Role;
use telemed::identity::id::Identifier;
use telemed::identity::ticket::{Made, Maker, Ticket};
use telemed::protocol::AlertCode;
use telemed::protocol::message::Message;
use telemed::protocol::opcode;
use telemed::secret::Secret;
use telemed::store::{TicketRow, TicketState};
use telemed::vault::column;

use crate::support::Wire;
use crate::support::forged::put_broadcast;

/// Puts an urgent message for the first device into the books, as whoever has the
/// assistants' key does who can write to the database.
pub(super) fn put(practice: &Practice, author: &str, text: &str) {
    let vault = &practice.server().practice().vault;
    let message = Message::new(text, true, practice.now(), &mut OsRandom).unwrap();
    let message = message.by(author.parse().unwrap());
    let (name, bytes) = (message.id().0, Addressees::All.content(&message));
    let sealed = vault.seal(column::STAFF_MESSAGE, &name, &bytes, &mut OsRandom);
    let sealed = sealed.unwrap();
    put_broadcast(&*practice.store, (name, sealed), true, message.written());
}

fn refused(event: &Event) -> Option<()> {
    match event {
        Event::Trouble(sentence) => sentence.contains("given to nobody").then_some(()),
        _ => None,
    }
}

#[test]
fn what_bears_the_name_of_no_assistant_is_given_to_nobody_and_the_rest_goes_on() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    put(&first, "D1", "Take twice the dose.");
    let patient = "P1".parse().unwrap();
    let sent = first.server().message(&patient, "from D1").unwrap();
    assert_eq!(session.message().text, "from D1");
    second.wait_for("the word that it is refused", refused);
    // Of all messages there is no report: one of them is refused.
    eventually("it has arrived", || {
        first.store.delivery_counts(sent.number).unwrap().delivered == 1
    });
    // Nor when she comes anew.
    session.leave();
    second.wait_for_members(0);
    let mut session = connect_to(&mut person, &first);
    first.server().message(&patient, "once more").unwrap();
    assert_eq!(session.message().text, "once more");
    first.wait_for("the word that it is refused", refused);
}

#[test]
fn however_much_is_refused_what_lies_behind_it_is_given_and_each_is_told_once() {
    const FORGED: usize = 70;
    let Some((_schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    for _ in 0..FORGED {
        put(&first, "D1", "Take twice the dose.");
    }
    let patient = "P1".parse().unwrap();
    let letter = Letter {
        urgent: true,
        ..Letter::new(Recipients::One(patient), "from D1")
    };
    first.server().send(&letter).unwrap();
    // Urgent: it comes again until it is confirmed.
    for _ in 0..2 {
        let mut session = connect_to(&mut person, &first);
        assert_eq!(session.message().text, "from D1");
        session.leave();
        first.wait_for_members(0);
    }
    let told = first.events();
    assert_eq!(told.iter().filter_map(refused).count(), FORGED);
}

/// Numbers say what a session was given: one of somebody's own choice must not
/// stand for all that come before it.
#[test]
fn a_row_under_a_number_to_come_keeps_no_message_back() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    put(&first, "D1", "Take twice the dose.");
    let forge = "ALTER TABLE delivery DROP CONSTRAINT delivery_message_fkey;
                 UPDATE delivery SET message = 9000000000000000000;
                 UPDATE message SET number = 9000000000000000000;
                 SELECT pg_notify(current_schema(), 'message')";
    schema.admin().batch_execute(forge).unwrap();
    let patient = "P1".parse().unwrap();
    for text in ["one", "two"] {
        first.server().message(&patient, text).unwrap();
        assert_eq!(session.message().text, text);
    }
}

/// That a node gives somebody nothing that is for others.
fn wait_for_refusal(practice: &Practice) {
    practice.wait_for("the word that it is for others", |event| match event {
        Event::Trouble(sentence) => sentence.contains("not for whom").then_some(()),
        _ => None,
    });
}

#[test]
fn rows_that_name_another_patient_give_her_nothing_that_is_not_for_her() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut other = first.enrol("P2");
    let mut session = connect_to(&mut other, &second);
    let [p1, p2] = ["P1", "P2"].map(|name| name.parse().unwrap());
    let mut owner = first.enrol("P1");
    let private = first.server().message(&p1, "for P1 alone").unwrap().number;
    let chosen = Letter::new(Recipients::Chosen(vec![p1.clone()]), "for P1 and others");
    let chosen = first.server().send(&chosen).unwrap().number;
    let mut admin = schema.admin();
    // She becomes a recipient.
    for number in [private, chosen] {
        let sql = format!(
            "INSERT INTO delivery (message, device, patient, queued)
             SELECT {number}, fingerprint, 'P2', 0 FROM certificate WHERE subject = 'P2'"
        );
        admin.batch_execute(&sql).unwrap();
    }
    let sent = first.server().message(&p2, "for P2").unwrap();
    assert_eq!(session.message().text, "for P2");
    first.wait_for_state(sent.number, "P2", "delivered");
    session.leave();
    second.wait_for_members(0);
    let mut session = connect_to(&mut other, &second);
    wait_for_refusal(&second);
    let sent = first.server().message(&p2, "once more").unwrap();
    assert_eq!(session.message().text, "once more");
    first.wait_for_state(sent.number, "P2", "delivered");
    // The message becomes hers.
    session.leave();
    second.wait_for_members(0);
    let sql = format!("UPDATE message SET patient = 'P2' WHERE number = {private}");
    admin.batch_execute(&sql).unwrap();
    let mut session = connect_to(&mut other, &second);
    wait_for_refusal(&second);
    let sql = format!("UPDATE message SET patient = 'P1' WHERE number = {private}");
    admin.batch_execute(&sql).unwrap();
    // Her device becomes one of the other's, at whichever node she is.
    let sql = "UPDATE certificate SET subject = 'P1' WHERE subject = 'P2'";
    admin.batch_execute(sql).unwrap();
    first.server().message(&p1, "for P1 from D1").unwrap();
    wait_for_refusal(&second);
    second.server().message(&p1, "for P1 from D2").unwrap();
    wait_for_refusal(&second);
    assert!(session.all_messages(second.now()).is_empty());
    // Whose they are has them all.
    let mut session = connect_to(&mut owner, &first);
    let mut texts: Vec<_> = (0..4).map(|_| session.message().text).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "for P1 alone",
            "for P1 and others",
            "for P1 from D1",
            "for P1 from D2"
        ]
    );
}

/// What a doctor is told that her patients have written elsewhere.
fn wait_for_letter(practice: &Practice, text: &str) -> String {
    practice.wait_for("what was written elsewhere", |event| match event {
        Event::Elsewhere {
            patient, message, ..
        } if message.text() == text => Some(patient.clone()),
        _ => None,
    })
}

/// Waits until what comes elsewhere is heard of, which nothing is from before.
fn wait_until_heard(first: &Practice, session: &mut Session) {
    let mut number = 0;
    eventually("letters are heard of", || {
        if number % 20 == 0 {
            let message = session.write("Hello?", first.now());
            session.send(opcode::PRIVATE, &message.encode());
        }
        number += 1;
        let events = first.events();
        let mut events = events.iter();
        events.any(|event| matches!(event, Event::Elsewhere { .. }))
    });
}

#[test]
fn a_row_that_names_another_patient_puts_no_words_into_her_mouth() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2", "P3"]);
    let [_, hers, uncertified] = &mut people;
    let mut session = connect_to(hers, &second);
    let mut third = connect_to(uncertified, &second);
    wait_until_heard(&first, &mut session);
    let forge = format!(
        "CREATE FUNCTION {0}.forge() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.patient = 'P1'; RETURN new; END $$;
         CREATE TRIGGER forge BEFORE INSERT ON incoming
             FOR EACH ROW EXECUTE FUNCTION {0}.forge();
         UPDATE certificate SET bytes = (SELECT bytes FROM certificate WHERE subject = 'P1')
             WHERE subject = 'P3'",
        schema.name
    );
    schema.admin().batch_execute(&forge).unwrap();
    for (session, text) in [(&mut session, "I am P2."), (&mut third, "I am P3.")] {
        let message = session.write(text, first.now());
        session.send(opcode::PRIVATE, &message.encode());
    }
    assert_eq!(wait_for_letter(&first, "I am P2."), "P2");
    first.wait_for("the word that it is nobody's", |event| match event {
        Event::Trouble(sentence) => sentence.contains("is of nobody").then_some(()),
        _ => None,
    });
    let practice = first.server().practice();
    let patient = "P1".to_owned();
    let asked = [
        Request::Inbox { all: true },
        Request::History {
            patient,
            last: None,
        },
    ];
    for request in asked {
        let answer = correspondence::answer(practice, &request).unwrap();
        let (Answer::Inbox { letters, .. } | Answer::History { letters, .. }) = answer else {
            panic!("{answer:?}");
        };
        let forged = |text| {
            let is_it = |letter: &&LetterReport| letter.text.as_deref() == Some(text);
            let letter = letters.iter().find(is_it).unwrap();
            (letter.patient.clone(), letter.doubted)
        };
        assert_eq!(forged("I am P2."), ("P2".to_owned(), true));
        // The row's word, which nobody confirms.
        assert_eq!(forged("I am P3."), ("P1".to_owned(), true));
    }
}

/// A copy of a message of a patient's, under another name and this number.
fn put_letter(schema: &Schema, number: &str) {
    let forge = format!(
        "INSERT INTO incoming (number, doctor, device, patient, id, boundary, written, received,
                               shown, sealed)
         SELECT {number}, 'D2', device, patient,
                substring(sha256(({number})::text::bytea) FOR 16), boundary, written, received,
                shown, sealed
         FROM incoming LIMIT 1;
         SELECT pg_notify(current_schema(), 'incoming')"
    );
    schema.admin().batch_execute(&forge).unwrap();
}

#[test]
fn letters_under_numbers_to_come_keep_no_others_unheard_and_out() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut person = first.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    wait_until_heard(&first, &mut session);
    session.sync(second.now());
    put_letter(&schema, "9000000000000000000");
    let last = "(SELECT last FROM counter WHERE name = 'incoming')";
    for ahead in [1, 2, 4] {
        put_letter(&schema, &format!("{last} + {ahead}"));
    }
    for text in ["one", "two", "three"] {
        let message = session.write(text, first.now());
        session.send(opcode::PRIVATE, &message.encode());
        assert_eq!(wait_for_letter(&first, text), "P1");
    }
}

#[test]
fn a_row_of_a_certificate_that_no_doctor_has_issued_lets_nobody_in() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut papers = first.papers();
    papers.signing = SignSecret::generate(papers.group(), &mut OsRandom);
    let mut forged = first.admit_with(&papers, "P1");
    for practice in [&first, &second] {
        super::turn_to(&mut forged, practice);
        let mut wire = forged.dial(practice.address());
        let (m1, _) = forged.first_message();
        wire.send(&m1);
        wire.expect_closed();
    }
    // A doctor's lets in at every node.
    let mut genuine = first.admit_one("P1");
    for practice in [&first, &second, &first] {
        let mut session = connect_to(&mut genuine, practice);
        session.sync(practice.now());
        session.leave();
        practice.wait_for_members(0);
    }
}

#[test]
fn the_key_of_a_doctor_who_was_revoked_certifies_nobody_any_more() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let stolen = second.papers();
    let mut genuine = second.admit_one("P1");
    let mut unseen = second.admit_one("P2");
    connect_to(&mut genuine, &first).leave();
    first.wait_for_members(0);
    administration::revoke(&first, "D2");
    eventually("the first has heard of it", || {
        let practice = first.server().practice();
        practice
            .identity()
            .closed
            .contains(&stolen.certificate.key_id())
    });
    // Whoever has the key, and can write to the database.
    let mut forged = first.admit_with(&stolen, "P3");
    turn_to(&mut forged, &first);
    let refused = forged.try_connect(first.address(), None).map(drop);
    let code = AlertCode::Revoked;
    assert!(
        matches!(refused, Err(HandshakeError::Refused { code: found, .. }) if found == code),
        "{refused:?}"
    );
    // Whom she has enrolled before is still let in, verified before or not.
    for person in [&mut genuine, &mut unseen] {
        let mut session = connect_to(person, &first);
        session.sync(first.now());
        session.leave();
        first.wait_for_members(0);
    }
}

#[test]
fn a_ticket_whose_row_names_another_patient_certifies_nobody() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    let address = first.address();
    let subject = "P9".parse().unwrap();
    let ticket = first.server().enrol(&subject, &address.to_string());
    let mut ticket = ticket.unwrap();
    let sql = "UPDATE ticket SET subject = 'P1'";
    schema.admin().batch_execute(sql).unwrap();
    // She who holds it says what the row says.
    ticket.subject = "P1".parse().unwrap();
    let doctor = first.known_doctor(&first.papers());
    let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
    let (e1, awaiting) = enrol::begin(&keys, &ticket, &doctor, first.now(), &mut OsRandom);
    let mut wire = Wire::dial(address);
    wire.send(&e1);
    let answer = wire.next();
    let taken = answer.map(|answer| {
        let now = first.now();
        awaiting.on_frame(&keys, &ticket, &doctor, &answer, now)
    });
    assert!(!matches!(taken, Some(Ok(_))));
    assert!(first.store.certificates().unwrap().is_empty());
}

/// Who has the data key and writes rows, such as the thief of a colleague's
/// machine, seals whatever he likes; the doctor's own key he has not got.
#[test]
fn a_ticket_that_the_doctor_has_not_signed_certifies_nobody() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let (address, papers, thiefs) = (first.address(), first.papers(), second.papers());
    let maker = Maker::of(&papers);
    let subject: Identifier = "P1".parse().unwrap();
    let secret = Secret::from_slice(&[7; 16]).unwrap();
    let doctor = first.known_doctor(&papers);
    let tries = [
        (1, None, false),
        (2, Some(&thiefs.signing), false),
        (3, Some(&papers.signing), true),
    ];
    for (number, signing, is_good) in tries {
        let mut row = TicketRow {
            id: [number; 16],
            subject: subject.to_string(),
            sealed: Vec::new(),
            created: first.now(),
            expires: first.now().plus(Duration::from_secs(60 * 60)),
            state: TicketState::Open,
            serial: None,
        };
        let made = Made {
            id: &row.id,
            secret: &secret,
            role: Role::Patient,
            subject: &subject,
            made: row.created,
            expires: row.expires,
        };
        let signature = signing.map(|key| maker.sign(key, &made, &mut OsRandom));
        let signature = signature.unwrap_or_default();
        let content = [secret.expose(), &row.name()[..], &signature].concat();
        let vault = &first.server().practice().vault;
        let sealed = vault.seal(column::TICKET, &row.id, &content, &mut OsRandom);
        row.sealed = sealed.unwrap();
        first.store.add_ticket(&row, &[]).unwrap();
        let ticket = Ticket {
            root: papers.root.fingerprint(),
            address: address.to_string(),
            doctor: papers.identifier().clone(),
            subject: subject.clone(),
            id: row.id,
            secret: secret.duplicate(),
            expires: row.expires,
        };
        let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
        let (e1, awaiting) = enrol::begin(&keys, &ticket, &doctor, first.now(), &mut OsRandom);
        let mut wire = Wire::dial(address);
        wire.send(&e1);
        let answer = wire.next().unwrap();
        let taken = awaiting.on_frame(&keys, &ticket, &doctor, &answer, first.now());
        assert_eq!(taken.is_ok(), is_good, "ticket {number}");
        if is_good {
            break;
        }
        assert!(first.store.certificates().unwrap().is_empty());
        first.wait_for("the word that it is not hers", |event| match event {
            Event::Refused(_, reason) => {
                let said = reason.to_string();
                said.contains("make a new one: doctor enrol P1")
                    .then_some(())
            }
            _ => None,
        });
    }
}
