//! A doctor's seat.

use std::time::{Duration, Instant};

use super::super::seat::prepare;
use super::faults::wait_until;
use super::{PostgresStore, Schema, with_path};
use crate::store::StoreFault;
use crate::store::nodes::{NodeRow, NodeStore};

fn ago(seconds: u64) -> Instant {
    Instant::now() - Duration::from_secs(seconds)
}

#[test]
fn one_process_at_a_time_has_a_doctors_seat() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    let mut seat = store.take_seat(Instant::now(), &[]).unwrap();
    let copy = schema.open("D1").unwrap();
    let began = Instant::now();
    let error = copy.take_seat(Instant::now(), &[]).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10));
    let StoreFault::SeatTaken { doctor, since, at } = error.fault() else {
        panic!("{error}");
    };
    assert_eq!(doctor, "D1");
    assert!(since.is_some());
    assert_eq!(at.as_deref(), Some("127.0.0.1"));
    let sentence = error.to_string();
    assert!(
        sentence.contains("D1 is being served already, since"),
        "{sentence}"
    );
    seat.beat().unwrap();
    // Neither another doctor of the clinic nor one of another's is concerned.
    schema
        .open("D2")
        .unwrap()
        .take_seat(Instant::now(), &[])
        .unwrap();
    let other = Schema::new().unwrap();
    other
        .open("D1")
        .unwrap()
        .take_seat(Instant::now(), &[])
        .unwrap();
    drop(seat);
    copy.take_seat(Instant::now(), &[]).unwrap();
}

#[test]
fn who_has_a_seat_is_told_to_whoever_looks() {
    let Some(schema) = Schema::new() else { return };
    let [first, looking] = [(); 2].map(|()| schema.open("D1").unwrap());
    assert_eq!(looking.seat_holder().unwrap(), None);
    let seat = first.take_seat(Instant::now(), &[]).unwrap();
    let holder = looking.seat_holder().unwrap().unwrap();
    assert!(holder.since.is_some());
    assert_eq!(holder.at.as_deref(), Some("127.0.0.1"));
    // It is D1's alone.
    assert_eq!(schema.open("D2").unwrap().seat_holder().unwrap(), None);
    drop(seat);
    wait_until("it is free", || looking.seat_holder().unwrap().is_none());
}

#[test]
fn a_process_takes_its_own_seat_from_a_connection_that_hangs() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    // The server does not see that nobody is at the other end any more.
    let mut dead = store.take_seat(Instant::now(), &[]).unwrap();
    let mut seat = store.take_seat(Instant::now(), &[]).unwrap();
    seat.beat().unwrap();
    dead.beat().unwrap_err();
}

#[test]
fn a_process_takes_its_own_seat_from_a_connection_whose_answer_was_lost() {
    let Some(schema) = Schema::new() else { return };
    let path = format!("{},pg_catalog", schema.name);
    let store = PostgresStore::open(&with_path(&schema.url, &path), "D1").unwrap();
    drop(store.take_seat(Instant::now(), &[]).unwrap());
    // The seat is taken, and the word of it does not come.
    let mut admin = schema.admin();
    let lost = "CREATE FUNCTION pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE plpgsql AS
                $$BEGIN PERFORM pg_advisory_lock($1); RAISE EXCEPTION 'lost'; END$$";
    admin.batch_execute(lost).unwrap();
    let mut half = store.pool.connect_apart().unwrap();
    store.lock_seat(&mut half).unwrap_err();
    let found = format!("DROP FUNCTION {}.pg_try_advisory_lock(bigint)", schema.name);
    admin.batch_execute(&found).unwrap();
    let mut seat = store.take_seat(Instant::now(), &[]).unwrap();
    seat.beat().unwrap();
    half.batch("SELECT 1").unwrap_err();
}

#[test]
fn who_runs_is_who_has_a_seat_and_the_start_is_that_of_the_process() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    let before = Instant::now();
    let seat = first.take_seat(ago(3_000), &[]).unwrap();
    let node = || -> NodeRow { second.running().unwrap().remove(0) };
    let begun = node();
    assert!(begun.has_seat);
    // As when the server has restarted.
    drop(seat);
    wait_until("it has no seat", || !node().has_seat);
    // Another process meanwhile.
    let copy = schema.open("D1").unwrap();
    drop(copy.take_seat(ago(9), &[]).unwrap());
    assert!(node().started > begun.started);
    let mut seat = first
        .take_seat(before - Duration::from_secs(3_000), &[])
        .unwrap();
    let again = node();
    assert!(again.has_seat);
    assert!(again.started.since(begun.started) < Duration::from_secs(60));
    assert!(begun.started.since(again.started) < Duration::from_secs(60));
    // A row that somebody has taken away comes back with it.
    schema.admin().batch_execute("DELETE FROM node").unwrap();
    seat.beat().unwrap();
    assert!(begun.started.since(node().started) < Duration::from_secs(60));
    assert!(node().started.since(begun.started) < Duration::from_secs(60));
}

#[test]
fn the_server_is_told_when_to_free_the_seat_of_a_process_that_falls_silent() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    let mut connection = store.pool.connect_apart().unwrap();
    prepare(&mut connection).unwrap();
    let mut setting = |name: &str| connection.batch(&format!("SHOW {name}")).unwrap().unwrap();
    assert_eq!(setting("idle_session_timeout"), "45s");
    assert_eq!(setting("tcp_keepalives_idle"), "5");
    assert_eq!(setting("tcp_keepalives_interval"), "2");
    assert_eq!(setting("tcp_keepalives_count"), "3");
    assert_eq!(setting("tcp_user_timeout"), "10000");
}
