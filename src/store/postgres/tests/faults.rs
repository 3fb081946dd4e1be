//! Connections that break, in the middle of a change and otherwise.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use super::proxy::{Mode, Proxy};
use super::{Temporary, temporary};
use crate::store::postgres::connection::value;
use crate::store::postgres::transaction::Lock;
use crate::store::{FactStore, PostgresStore, ReachStore, StoreError, StoreFault};

const PUT: &str = "INSERT INTO fact VALUES ('', 'a', 'x')";

/// A store, and the same through a proxy.
fn through_proxy() -> Option<(Temporary, PostgresStore, Proxy)> {
    let direct = temporary()?;
    let address = direct.schema.address();
    if address.socket_directory().is_some() || address.tls().is_some() {
        super::skip::skip("the server is not reached by TCP in clear");
        return None;
    }
    let proxy = Proxy::to(format!("{}:{}", address.host(), address.port()));
    let (user, database) = (address.user(), address.database());
    let url = format!("postgres://{user}@127.0.0.1:{}/{database}", proxy.port);
    let store = PostgresStore::open(&direct.schema.at(&url), &direct.schema.name).unwrap();
    Some((direct, store, proxy))
}

/// Makes a change; says how often it was tried.
fn put(store: &PostgresStore) -> (u32, Result<(), StoreError>) {
    let tried = Cell::new(0);
    let done = store.write(Lock::Shared, |connection| {
        tried.set(tried.get() + 1);
        connection.execute(PUT, &[]).map(drop)
    });
    (tried.get(), done)
}

fn facts(store: &PostgresStore) -> u64 {
    let sql = "SELECT count(*) FROM fact";
    store
        .read(|connection| connection.number(sql, &[]))
        .unwrap()
}

/// Ends the store's connections; says whether there were any.
fn end_all(store: &Temporary) -> bool {
    let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE application_name = $1";
    let name = format!("telemed {}", store.schema.name);
    let ended = store.schema.admin().query(sql, &[&name]).unwrap();
    !ended.is_empty()
}

/// Waits for this; not for ever.
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_and_not_done_again() {
    let Some((direct, store, proxy)) = through_proxy() else {
        return;
    };
    // Both on a new connection and on one that was used before.
    for _ in 0..2 {
        proxy.set(Mode::LoseAnswer);
        let (tried, done) = put(&store);
        done.unwrap();
        assert_eq!((tried, facts(&direct)), (1, 1));
        assert!(
            direct
                .write(Lock::Alone, |c| c.execute("DELETE FROM fact", &[]))
                .is_ok()
        );
        facts(&store);
    }
}

#[test]
fn a_commit_that_did_not_arrive_is_done_again() {
    let Some((direct, store, proxy)) = through_proxy() else {
        return;
    };
    facts(&store);
    proxy.set(Mode::LoseCommit);
    let (tried, done) = put(&store);
    done.unwrap();
    assert_eq!((tried, facts(&direct)), (2, 1));
}

#[test]
fn a_commit_that_nobody_can_tell_of_is_said_to_be_unknown() {
    let Some((direct, mut store, proxy)) = through_proxy() else {
        return;
    };
    store.patience = Duration::from_secs(2);
    proxy.set(Mode::LoseAnswerAndClose);
    let (tried, done) = put(&store);
    let error = done.unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Unknown), "{error}");
    assert!(error.to_string().contains("not known"), "{error}");
    assert_eq!((tried, facts(&direct)), (1, 1));
}

#[test]
fn what_was_lost_before_its_commit_is_done_again() {
    let Some(store) = temporary() else { return };
    let mut admin = store.schema.admin();
    let tried = Cell::new(0);
    let mut kill = |pid: i64| {
        let sql = "SELECT pg_terminate_backend($1::bigint::int, 5000)";
        admin.query_one(sql, &[&pid]).unwrap();
    };
    store
        .write(Lock::Shared, |connection| {
            connection.execute(PUT, &[])?;
            let pid = connection
                .first("SELECT pg_backend_pid()::bigint", &[])?
                .unwrap();
            tried.set(tried.get() + 1);
            if tried.get() == 1 {
                kill(value(&pid, 0)?);
            }
            connection.execute("UPDATE fact SET value = 'y'", &[])
        })
        .unwrap();
    assert_eq!((tried.get(), facts(&store)), (2, 1));
}

#[test]
fn what_the_server_ends_in_the_middle_of_its_commit_is_done_again() {
    let Some(store) = temporary() else { return };
    let mut admin = store.schema.admin();
    // A commit that waits until the test lets it go on.
    admin
        .batch_execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(current_schema())); RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON fact DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION wait();
             SELECT pg_advisory_lock(hashtext(current_schema()))",
        )
        .unwrap();
    let name = format!("telemed {}", store.schema.name);
    thread::scope(|scope| {
        let writer = scope.spawn(|| put(&store));
        wait_until("the commit waits", || {
            let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                       WHERE application_name = $1 AND query = 'COMMIT'
                         AND wait_event = 'advisory'";
            !admin.query(sql, &[&name]).unwrap().is_empty()
        });
        admin
            .batch_execute("SELECT pg_advisory_unlock_all()")
            .unwrap();
        let (tried, done) = writer.join().unwrap();
        done.unwrap();
        assert_eq!(tried, 2);
    });
    assert_eq!(facts(&store), 1);
}

#[test]
fn a_server_that_was_away_is_used_again() {
    let Some(store) = temporary() else { return };
    // Several connections, all of them idle.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                store
                    .read(|c| c.execute("SELECT pg_sleep(0.2)", &[]))
                    .unwrap()
            });
        }
    });
    for round in 0..4_u8 {
        assert!(end_all(&store));
        match round % 2 {
            0 => store.set_facts(&[("a", &[round])]).unwrap(),
            _ => assert_eq!(store.fact("a").unwrap().unwrap(), [round - 1]),
        }
    }
}

#[test]
fn while_the_server_is_away_that_is_said_at_once_and_since_when() {
    let Some((direct, store, proxy)) = through_proxy() else {
        return;
    };
    store.set_facts(&[("a", b"1")]).unwrap();
    let closed = |sql: &str| store.read(|c| c.execute(sql, &[]));
    proxy.set(Mode::Closed);
    end_all(&direct);
    let since = |error: &StoreError| match error.fault() {
        StoreFault::Away { since, .. } => *since,
        other => panic!("{other:?}"),
    };
    let first = since(&closed("SELECT 1").unwrap_err());
    let began = Instant::now();
    for _ in 0..100 {
        let error = store.set_facts(&[("a", b"2")]).unwrap_err();
        assert_eq!(since(&error), first);
        assert!(
            error.to_string().contains("does not answer since"),
            "{error}"
        );
        assert!(!error.to_string().contains("search_path"), "{error}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "it was tried each time"
    );
    proxy.set(Mode::Open);
    wait_until("it is back", || store.set_facts(&[("a", b"3")]).is_ok());
    assert_eq!(store.fact("a").unwrap().unwrap(), b"3");
}

#[test]
fn a_server_that_hangs_is_away_for_all_once_somebody_has_looked() {
    let Some((direct, store, proxy)) = through_proxy() else {
        return;
    };
    store.knock().unwrap();
    facts(&store);
    proxy.set(Mode::Silent);
    let began = Instant::now();
    thread::scope(|scope| {
        let reader = scope.spawn(|| store.fact("a"));
        let writer = scope.spawn(|| put(&store).1);
        let looked = store.knock().unwrap_err();
        assert!(
            matches!(looked.fault(), StoreFault::Away { .. }),
            "{looked}"
        );
        assert!(store.absence().is_some());
        for error in [
            reader.join().unwrap().unwrap_err(),
            writer.join().unwrap().unwrap_err(),
        ] {
            assert!(crate::store::is_away(&error), "{error}");
        }
    });
    assert!(began.elapsed() < Duration::from_secs(20), "they waited");
    let began = Instant::now();
    store.set_facts(&[("a", b"2")]).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "it was tried");
    proxy.set(Mode::Open);
    store.knock().unwrap();
    assert!(store.absence().is_none());
    store.set_facts(&[("a", b"3")]).unwrap();
    assert_eq!(direct.fact("a").unwrap().unwrap(), b"3");
}

#[test]
fn a_server_that_hangs_at_the_start_is_not_waited_for() {
    let Some((direct, _store, proxy)) = through_proxy() else {
        return;
    };
    let (user, database) = (direct.schema.address(), direct.schema.address());
    let (user, database) = (user.user(), database.database());
    let url = format!("postgres://{user}@127.0.0.1:{}/{database}", proxy.port);
    proxy.set(Mode::Silent);
    let began = Instant::now();
    let error = PostgresStore::open(&direct.schema.at(&url), "D1").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Away { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20));
    proxy.set(Mode::Open);
}

#[test]
fn a_server_that_is_not_there_is_away() {
    // A port on which nobody listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let address = format!("postgres://clinic@127.0.0.1:{port}/telemed");
    let error = PostgresStore::open(&address.parse().unwrap(), "D1").unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Away { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("127.0.0.1:{port}/telemed")),
        "{error}"
    );
}
