//! Two servers of one doctor, and a server that is gone: who holds her seat.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::away::stays_connected;
use crate::cut_off::Namespace;
use crate::postgres_server::PostgresServer;
use crate::process::{Running, run};
use crate::proxy::{Mode, Proxy};
use crate::scene::{Scene, objects, until};

/// Copies a doctor's directory to another machine, so to speak.
fn copy(scene: &Scene) {
    let [from, to] = ["doctor", "copy"].map(|name| scene.clinic.path(name));
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// `doctor` there, with this store.
fn command(scene: &Scene, doctor: &str, store: &str, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doctor"));
    command.env_clear().env("HOME", scene.clinic.path(""));
    command.arg("--data").arg(scene.clinic.path("copy"));
    command.args(["--id", doctor, "--store", store]).args(line);
    command
}

/// What serves a doctor there, with this store.
fn serve(scene: &Scene, doctor: &str, store: &str) -> Command {
    let line = ["--listen", "127.0.0.1:0", "--json", "serve"];
    command(scene, doctor, store, &line)
}

/// To how many devices a broadcast of the first doctor's is given elsewhere.
fn elsewhere(scene: &Scene) -> u64 {
    let command = scene.as_doctor("D1", &["--json", "broadcast", "--clinic", "who is there?"]);
    let said = run(command).code(0).out;
    let sent = objects(&said).find(|object| object["type"] == "sent");
    sent.unwrap()["elsewhere"].as_u64().unwrap()
}

/// How many devices the clinic's list says are connected to this doctor.
fn listed(scene: &Scene, doctor: &str) -> Option<u64> {
    let said = run(scene.as_doctor("D1", &["--json", "list", "--clinic"]))
        .code(0)
        .out;
    let node = objects(&said).find(|it| it["type"] == "node" && it["doctor"] == doctor);
    node?["devices"].as_u64()
}

#[test]
fn a_copied_directory_does_not_serve_beside_the_first() {
    let Some(mut scene) = Scene::new(&["P1"]) else {
        return;
    };
    copy(&scene);
    scene.watch("P1", &[]);
    scene.is_connected("P1", "D1");
    run(serve(&scene, "D1", &scene.store)).code(1).complains(&[
        "doctor D1 is being served already, since ",
        "by a program at 127.",
        "stop that one",
    ]);
    stays_connected(&mut scene);
    scene.send_now("D1", Some("P1")).unwrap();
    scene.settle();
    // Commands there say where she is served.
    let there = |line: &[&str]| run(command(&scene, "D1", &scene.store, line)).code(3);
    for line in [&["list"][..], &["broadcast", "Who hears this?"], &["stop"]] {
        let said = there(line).complains(&[
            "doctor D1 is served elsewhere, since ",
            ", by a program at 127.",
            "say it on that machine",
        ]);
        said.never_says("no server is running for doctor D1");
    }
    // It serves at once when the other is gone, however that came to its end.
    scene.kill_node("D1");
    until("nobody serves her", || {
        let said = run(command(&scene, "D1", &scene.store, &["list"])).code(3);
        said.err.contains("no server is running for doctor D1")
    });
    let mut taken = Running::start(serve(&scene, "D1", &scene.store));
    taken.expect("\"type\":\"serving\"");
    run(scene.as_doctor("D1", &["--listen", "127.0.0.1:0", "serve"]))
        .code(1)
        .complains(&["doctor D1 is being served already"]);
    taken.signal(Signal::TERM);
    taken.finish().code(0);
    scene.start_node("D1");
    scene.send_now("D1", None).unwrap();
    scene.account();
}

#[test]
fn a_server_that_finds_its_seat_taken_says_so_and_ends() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.address());
    let store = format!("postgres://telemed@127.0.0.1:{}/postgres", proxy.port);
    let mut scene = Scene::on(server, &["P1"], |_| store);
    copy(&scene);
    scene.watch("P1", &[]);
    scene.is_connected("P1", "D1");
    // The first is cut off, and the other takes over.
    proxy.set(Mode::Closed);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = 'telemed D1'";
    scene.number(cut);
    scene.node_says("D1", "\"type\":\"store_away\"");
    let mut other = Running::start(serve(&scene, "D1", &scene.server.url()));
    other.expect("\"type\":\"serving\"");
    stays_connected(&mut scene);
    proxy.set(Mode::Open);
    let first = scene.nodes.remove("D1").unwrap();
    first
        .finish()
        .code(1)
        .says("this server ends: doctor D1 is being served already")
        .complains(&["doctor D1 is being served already, since ", "stop that one"]);
    let watch = scene.watches.get_mut("P1").unwrap();
    watch.expect("shutting down");
    // What the first one's end forgets is not the other's.
    let seats = "SELECT count(*) FROM node WHERE doctor = 'D1'";
    assert_eq!(scene.number(seats), 1);
    other.signal(Signal::TERM);
    other.finish().code(0);
}

#[test]
fn whoever_was_connected_to_a_killed_server_counts_as_connected_no_more() {
    let Some(mut scene) = Scene::new(&["P1"]) else {
        return;
    };
    scene.watch("P1", &[]);
    scene.knows_both("P1");
    scene.end_watch("P1");
    scene.watch("P1", &["--doctor-id", "D2"]);
    scene.is_connected("P1", "D2");
    until("that is known", || elsewhere(&scene) == 1);
    assert_eq!(listed(&scene, "D2"), Some(1));
    scene.kill_node("D2");
    let killed = Instant::now();
    until("it is not given there", || elsewhere(&scene) == 0);
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "{:?}",
        killed.elapsed()
    );
    // What was heard of last is told for as long as a line may be silent.
    until("it is forgotten", || listed(&scene, "D2") == Some(0));
    assert!(
        killed.elapsed() < Duration::from_secs(60),
        "{:?}",
        killed.elapsed()
    );
}

#[test]
fn a_machine_that_dies_without_a_word_frees_its_seat_in_time() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let Some((mut scene, store)) = namespace.scene(&["P1", "P2"]) else {
        return;
    };
    scene.watch("P2", &["--doctor-id", "D2"]);
    scene.is_connected("P2", "D2");
    until("that is known", || elsewhere(&scene) == 1);
    copy(&scene);
    // Nothing that it, or the kernel for it, sends arrives any more.
    namespace.set("down");
    let died = Instant::now();
    scene.kill_node("D2");
    let seats = "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)
                 WHERE application_name = 'telemed D2' AND locktype = 'advisory'
                   AND (classid::bigint << 32 | objid::bigint)
                       = hashtextextended(current_schema() || E'\\nD2', 1953325874)";
    assert_eq!(scene.number(seats), 1, "the server cannot know yet");
    run(serve(&scene, "D2", &store))
        .code(1)
        .complains(&["doctor D2 is being served already", &namespace.inside]);
    // Keepalives: 5 s, and 3 of 2 s each.
    until("its seat is free", || scene.number(seats) == 0);
    assert!(
        died.elapsed() < Duration::from_secs(20),
        "{:?}",
        died.elapsed()
    );
    assert_eq!(elsewhere(&scene), 0);
    let mut other = Running::start(serve(&scene, "D2", &store));
    other.expect("\"type\":\"serving\"");
    assert_eq!(listed(&scene, "D2"), Some(0));
    other.signal(Signal::TERM);
    other.finish().code(0);
}
