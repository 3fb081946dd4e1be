//! What a session is given where the database fails in the middle, or another node
//! sends something at the same time; and who begins one without the database.

use super::*;

use telemed::doctor::shared::{Settings, Timing};
use telemed::elgamal::SignSecret;
use telemed::handshake::resume;
use telemed::identity::authority::certify_staff;
use telemed::identity::certificate::Role;
use telemed::protocol::opcode;
use telemed::store::clinic::StaffRow;

use super::forged::put;
use super::proxy::{Mode, Proxy};

/// A clinic of two, of whom the second reaches the database through a program that
/// can cut her off, and lets people in from memory for so long then. None where the
/// tests' server is not reached by TCP and in clear.
pub(super) fn behind_proxy(
    schema: &Schema,
    from_memory: Duration,
) -> Option<(Proxy, Practice, Practice)> {
    let url = schema.url();
    let (user, rest) = url.split_once('@')?;
    let (server, database) = rest.split_once('/')?;
    let proxy = Proxy::to(server.to_owned());
    let url = format!("{user}@127.0.0.1:{}/{database}", proxy.port);
    let name = schema.unique();
    let store = Arc::new(crate::support::postgres::open(&url, &name));
    let first = Practice::in_clinic(schema);
    let timing = Timing {
        from_memory,
        ..Timing::default()
    };
    let settings = Settings {
        timing,
        ..Settings::default()
    };
    let second = first.colleague_with(store, &name, settings);
    Some((proxy, first, second))
}

/// Cuts her off, until she knows it.
pub(super) fn take_away(proxy: &Proxy, schema: &Schema, second: &Practice) {
    proxy.set(Mode::Closed);
    schema.cut(&schema.unique());
    second.wait_for("the word that it is away", |event| match event {
        Event::StoreAway(_) => Some(()),
        _ => None,
    });
}

/// How many wait for a lock on this table.
pub(super) fn waiting(schema: &Schema, table: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_locks
               WHERE NOT granted AND relation = ($1::text)::regclass";
    let table = format!("{}.{table}", schema.name);
    schema.admin().query_one(sql, &[&table]).unwrap().get(0)
}

#[test]
fn what_is_from_before_a_session_comes_before_what_another_node_sends_meanwhile() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let (mut person, mut other) = (first.enrol("P1"), first.enrol("P2"));
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    session.leave();
    second.wait_for_members(0);
    for text in ["one", "two"] {
        first.server().send(&to_clinic(text)).unwrap();
    }
    let mut there = connect_to(&mut other, &first);
    assert_eq!([there.message().text, there.message().text], ["one", "two"]);
    // Her session begins, and its own thread gets no further than to the table.
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE welcomed IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let mut session = connect_to(&mut person, &first);
    eventually("it waits", || waiting(&schema, "welcomed") == 1);
    second.server().send(&to_clinic("three")).unwrap();
    // Given to all who can be given it.
    assert_eq!(there.message().text, "three");
    lock.commit().unwrap();
    let texts: Vec<_> = (0..3).map(|_| session.message().text).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn a_session_for_which_the_database_was_busy_is_begun_anew() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    first.server().send(&to_clinic("kept")).unwrap();
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let mut session = connect_to(&mut person, &first);
    first.wait_for("the word that it is not given", |event| match event {
        Event::Trouble(sentence) => sentence.contains("not given what is kept").then_some(()),
        _ => None,
    });
    lock.commit().unwrap();
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    assert_eq!(connect_to(&mut person, &first).message().text, "kept");
}

#[test]
fn a_session_is_begun_anew_after_what_was_written_while_the_database_was_busy() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &first);
    session.epoch();
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE incoming IN SHARE MODE")
        .unwrap();
    let message = session.write("it hurts", first.now());
    session.send(opcode::PRIVATE, &message.encode());
    eventually("it waits", || waiting(&schema, "incoming") == 1);
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    lock.commit().unwrap();
}

#[test]
fn a_session_is_begun_anew_after_a_receipt_that_came_while_the_database_was_busy() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &first);
    session.epoch();
    let sent = first.server().send(&to_clinic("kept")).unwrap();
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE delivery IN SHARE MODE")
        .unwrap();
    assert_eq!(session.message().text, "kept");
    eventually("it waits", || waiting(&schema, "delivery") == 1);
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    lock.commit().unwrap();
    let mut session = connect_to(&mut person, &first);
    assert_eq!(session.message().text, "kept");
    first.wait_for_state(sent.number, "P1", "delivered");
}

#[test]
fn sessions_are_begun_anew_on_an_older_copy_of_the_database() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    for text in ["one", "two"] {
        first.server().send(&to_clinic(text)).unwrap();
        assert_eq!(session.message().text, text);
    }
    let put_back = "TRUNCATE message, delivery;
                    UPDATE counter SET last = 0 WHERE name = 'message';
                    SELECT pg_notify(current_schema(), 'message')";
    schema.admin().batch_execute(put_back).unwrap();
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    first.server().send(&to_clinic("after")).unwrap();
    assert_eq!(session.message().text, "after");
}

#[test]
fn on_an_older_copy_nobody_is_given_what_had_the_number_before() {
    let Some((schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    for text in ["before", "after"] {
        // Signed for her who was not there.
        first.server().send(&to_clinic(text)).unwrap();
        let mut session = connect_to(&mut person, &first);
        assert_eq!(session.message().text, text);
        session.sync(first.now());
        session.leave();
        first.wait_for_members(0);
        let put_back = "TRUNCATE message, delivery;
                        UPDATE counter SET last = 0 WHERE name = 'message'";
        schema.admin().batch_execute(put_back).unwrap();
    }
}

#[test]
fn what_cannot_be_opened_now_is_given_to_a_live_session_later() {
    let Some((schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    let papers = first.papers();
    let signing = SignSecret::generate(papers.group(), &mut OsRandom);
    let certificate = certify_staff(
        (&papers.root, &first.root(&papers)),
        (&"A1".parse().unwrap(), Role::Assistant),
        signing.verifying_key().clone(),
        first.now(),
        &mut OsRandom,
    );
    let row = StaffRow {
        id: "A1".to_owned(),
        role: "assistant".to_owned(),
        certificate: certificate.as_bytes().to_vec(),
        joined: first.now(),
    };
    let clinic = first.store.clinic().unwrap();
    assert!(clinic.add_staff_if_new(&row).unwrap());
    // Whether she may write cannot be read for now.
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE staff IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    put(&first, "A1", "The water is off.");
    eventually("it is asked", || waiting(&schema, "staff") >= 1);
    eventually("it is given up", || waiting(&schema, "staff") == 0);
    lock.commit().unwrap();
    assert_eq!(session.message().text, "The water is off.");
}

#[test]
fn when_the_database_is_away_for_long_sessions_are_renewed_and_no_others_begun() {
    let Some(schema) = Schema::new() else { return };
    let Some((proxy, _first, second)) = behind_proxy(&schema, Duration::ZERO) else {
        return;
    };
    let mut person = second.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    take_away(&proxy, &schema, &second);
    let (m3, awaiting) = session.ask_to_renew(&person).unwrap();
    session.wire.send(&m3);
    session.renewed(&person, awaiting);
    // The same token on a connection of its own, though the session is still there.
    let (group, now) = (person.doctor.group(), person.now());
    let (request, _) = resume::begin(session.ticket(), group, now, &mut OsRandom);
    let mut wire = person.dial(second.address());
    wire.send(&request);
    // Neither resumed nor told that there is no such token.
    let answer = wire.next();
    assert!(answer.is_none(), "{answer:?}");
    assert_eq!(second.server().connected().len(), 1);
}
