//! The connection to PostgreSQL is cut in the middle of a commit.

use std::thread;
use std::time::Duration;

use crate::postgres_server::PostgresServer;
use crate::proxy::{Mode, Proxy};
use crate::scene::{Scene, until};

/// Every program reaches the server by way of a proxy that cuts connections.
fn through_proxy() -> Option<(Scene, Proxy)> {
    let server = PostgresServer::start()?;
    let proxy = Proxy::to(server.address());
    let store = format!("postgres://telemed@127.0.0.1:{}/postgres", proxy.port);
    let mut scene = Scene::on(server, &["P1", "P2"], |_| store);
    for patient in ["P1", "P2"] {
        scene.watch(patient, &[]);
        scene.is_connected(patient, "D1");
    }
    Some((scene, proxy))
}

#[test]
fn a_connection_cut_before_or_after_a_commit_loses_nothing_and_doubles_nothing() {
    let Some((mut scene, proxy)) = through_proxy() else {
        return;
    };
    // Whichever commit is the next: of a message, a receipt or an entry; in every
    // third round that of what the patient writes.
    for round in 0..12_u64 {
        let mode = match round % 2 {
            0 => Mode::LoseAnswer,
            _ => Mode::LoseCommit,
        };
        let doctor = if round % 4 < 2 { "D1" } else { "D2" };
        match round % 3 {
            0 => proxy.set_for(mode, "received"),
            _ => proxy.set(mode),
        }
        let before = proxy.cuts();
        let pending = [
            scene.send(doctor, None),
            scene.send("D1", Some("P1")),
            scene.write("P2"),
        ];
        thread::sleep(Duration::from_millis(11 * round));
        if round % 3 > 0 {
            proxy.set(mode);
        }
        for pending in pending {
            // It is found out what became of it, or it is done again.
            scene.note(pending).unwrap();
        }
        until("a commit was cut off", || proxy.cuts() > before);
    }
    proxy.set(Mode::Open);
    scene.account_exactly();
}

#[test]
fn a_commit_of_which_nobody_can_tell_is_said_to_be_unknown_and_is_there_once_at_most() {
    let Some((mut scene, proxy)) = through_proxy() else {
        return;
    };
    for doctor in ["D1", "D2"] {
        proxy.set_for(Mode::LoseAnswerAndClose, "broadcast");
        let cuts = proxy.cuts();
        let sentence = scene.send_now(doctor, None).unwrap_err();
        assert!(sentence.contains("is not known"), "{sentence}");
        assert_eq!(proxy.cuts(), cuts + 1);
        let written = scene.write("P1");
        scene.note(written).unwrap();
        proxy.set(Mode::Open);
        until("it accepts again", || scene.send_now(doctor, None).is_ok());
    }
    scene.account_exactly();
}
