//! What a patient sends while the connection to the database breaks during the
//! commit: for a while nobody knows whether it is there.

use super::given::behind_proxy;
use super::proxy::{Mode, Proxy};
use super::*;

use telemed::protocol::opcode;

/// From now on the server forgets, with each change of this kind, whose change was
/// committed on which connection: nobody finds out any more.
fn lose_trace(schema: &Schema, change: &str) {
    let sql = format!(
        "CREATE FUNCTION {0}.lose() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN DELETE FROM last_commit; RETURN NULL; END $$;
         CREATE TRIGGER lose AFTER {change} FOR EACH STATEMENT EXECUTE FUNCTION {0}.lose()",
        schema.name
    );
    schema.admin().batch_execute(&sql).unwrap();
}

/// Waits until the commit is done that nobody was told of.
fn wait_for_cut(proxy: &Proxy, schema: &Schema, is_there: &str) {
    let mut admin = schema.admin();
    eventually("it is in the books", || {
        admin.query_one(is_there, &[]).unwrap().get::<_, i64>(0) == 1
    });
    assert_eq!(proxy.cuts(), 1);
}

fn is_private(event: &Event, text: &str) -> bool {
    matches!(event, Event::Private(_, message) if message.text() == text)
}

#[test]
fn a_message_of_which_nobody_knew_whether_it_is_in_the_books_is_shown_once() {
    let Some(schema) = Schema::new() else { return };
    let Some((proxy, _first, second)) = behind_proxy(&schema, Duration::from_secs(300)) else {
        return;
    };
    let mut person = second.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    lose_trace(&schema, "INSERT ON incoming");
    proxy.set_for(Mode::LoseAnswer, "received");
    let message = session.write("it hurts", second.now());
    session.send(opcode::PRIVATE, &message.encode());
    wait_for_cut(&proxy, &schema, "SELECT count(*) FROM incoming");
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    second.wait_for("the message", |event| {
        is_private(event, "it hurts").then_some(())
    });
    // She has no answer, and says it again.
    let mut session = connect_to(&mut person, &second);
    session.send(opcode::PRIVATE, &message.encode());
    let later = session.write("later", second.now());
    session.send(opcode::PRIVATE, &later.encode());
    second.wait_for("what she writes then", |event| {
        is_private(event, "later").then_some(())
    });
    let again = second.events();
    let again = again.iter().filter(|it| is_private(it, "it hurts"));
    assert_eq!(again.count(), 0);
}

#[test]
fn a_confirmation_of_which_nobody_knew_whether_it_is_in_the_books_is_shown_once() {
    let Some(schema) = Schema::new() else { return };
    let Some((proxy, _first, second)) = behind_proxy(&schema, Duration::from_secs(300)) else {
        return;
    };
    let mut person = second.admit_one("P1");
    let mut session = connect_to(&mut person, &second);
    session.epoch();
    let sent = second.server().send(&to_clinic("leave")).unwrap();
    let came = session.message();
    second.wait_for_state(sent.number, "P1", "delivered");
    lose_trace(&schema, "UPDATE OF confirmed ON delivery");
    proxy.set_for(Mode::LoseAnswer, "confirmed");
    session.confirm(&person, came.id, &came.hash);
    let is_there = "SELECT count(*) FROM delivery WHERE confirmed IS NOT NULL";
    wait_for_cut(&proxy, &schema, is_there);
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    let is_confirmed =
        |event: &Event| matches!(event, Event::Confirmed(_, number) if *number == sent.number);
    second.wait_for("the confirmation", |event| {
        is_confirmed(event).then_some(())
    });
    let mut session = connect_to(&mut person, &second);
    session.confirm(&person, came.id, &came.hash);
    session.sync(second.now());
    let again = second.events();
    assert_eq!(again.iter().filter(|it| is_confirmed(it)).count(), 0);
}
