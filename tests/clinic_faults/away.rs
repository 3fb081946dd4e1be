//! PostgreSQL is restarted, stopped, and hangs.

use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Running, run};
use crate::scene::{Scene, objects, timed, until};

const AWAY: &str = "\"type\":\"store_away\"";
const BACK: &str = "\"type\":\"store_back\"";

/// Two patients, one at each node.
fn two() -> Option<Scene> {
    let mut scene = Scene::new(&["P1", "P2", "P3"])?;
    for patient in ["P1", "P2"] {
        scene.watch(patient, &[]);
        scene.is_connected(patient, "D1");
        scene.knows_both(patient);
    }
    scene.end_watch("P2");
    scene.watch("P2", &["--doctor-id", "D2"]);
    scene.is_connected("P2", "D2");
    Some(scene)
}

#[test]
fn postgres_restarted_under_load_loses_nothing() {
    let Some(mut scene) = two() else { return };
    scene.watch("P3", &["--failover"]);
    for round in 0..4_u64 {
        let mut pending = Vec::new();
        for doctor in ["D1", "D2"] {
            pending.push(scene.send(doctor, None));
            pending.push(scene.send(doctor, Some("P1")));
        }
        for patient in ["P1", "P2"] {
            pending.push(scene.write(patient));
        }
        thread::sleep(Duration::from_millis(25 * round));
        let how = if round % 2 == 0 { "fast" } else { "immediate" };
        scene.server.stop(how);
        pending.push(scene.send("D1", Some("P2")));
        pending.push(scene.write("P2"));
        thread::sleep(Duration::from_millis(200));
        scene.server.start_again();
        for pending in pending {
            let _ = scene.note(pending);
        }
        until("the nodes have it back", || {
            let sent = ["D1", "D2"].map(|doctor| scene.send_now(doctor, None).is_ok());
            sent == [true; 2]
        });
    }
    scene.account_exactly();
}

#[test]
fn while_postgres_is_away_for_half_a_minute_nodes_say_so_and_sessions_go_on() {
    let Some(mut scene) = two() else { return };
    scene.watch("P3", &[]);
    scene.is_connected("P3", "D1");
    scene.send_now("D1", None).unwrap();
    scene.settle();
    let ticket = scene.clinic.ticket("P4");
    scene.server.stop("fast");
    let began = Instant::now();
    for doctor in ["D1", "D2"] {
        let line = scene.node_says(doctor, AWAY);
        assert!(line.contains("does not answer since"), "{line}");
    }
    // Whoever would enrol is told to come again.
    scene
        .clinic
        .enrol_with("P4", &ticket)
        .complains(&["full or stopping", "run the same command again"]);
    // Who leaves stands in the log when there is one again.
    scene.end_watch("P3");
    scene.node_says("D1", "\"type\":\"left\"");
    // Nothing is accepted that could not be kept.
    let mut refused = 0;
    while began.elapsed() < Duration::from_secs(30) {
        for doctor in ["D1", "D2"] {
            let sentence = scene.send_now(doctor, None).unwrap_err();
            assert!(sentence.contains("does not answer since"), "{sentence}");
            refused += 1;
        }
        if refused == 2 {
            for patient in ["P1", "P2"] {
                let written = scene.write(patient);
                // The patient's own program keeps it, and says that nobody else does.
                scene.note(written).unwrap();
                let watch = scene.watches.get_mut(patient).unwrap();
                watch.expect("\"type\":\"not_taken\"");
            }
        }
        thread::sleep(Duration::from_secs(2));
    }
    stays_connected(&mut scene);
    scene.server.start_again();
    for doctor in ["D1", "D2"] {
        scene.node_says(doctor, BACK);
        until("it accepts again", || scene.send_now(doctor, None).is_ok());
    }
    scene.clinic.enrol_with("P4", &ticket).code(0);
    until("it is logged who left", || {
        let log = scene
            .clinic
            .command(&["--json", "audit", "list"])
            .code(0)
            .out;
        let mut entries = objects(&log);
        entries.any(|entry| entry["action"] == "left" && entry["subject"] == "P3")
    });
    // She comes back for what was sent meanwhile.
    scene.watch("P3", &[]);
    scene.account_exactly();
}

#[test]
fn whoever_waits_for_confirmations_waits_while_postgres_is_away() {
    let Some(scene) = two() else { return };
    let words = ["broadcast", "--clinic", "--wait", "20", "The water is off."];
    let mut waiting = Running::start(scene.as_doctor("D1", &words));
    waiting.expect("sent to");
    scene.server.stop("fast");
    waiting.expect("the database does not answer now; waiting");
    scene.server.start_again();
    // Nobody confirms it.
    let said = waiting.finish().code(6);
    assert!(said.err.contains("did not confirm message"), "{}", said.err);
}

/// Nobody has lost a session until now.
#[track_caller]
pub fn stays_connected(scene: &mut Scene) {
    for (patient, watch) in &mut scene.watches {
        // Takes what has come.
        assert!(!watch.ends_within(Duration::from_millis(300)), "{patient}");
        let said = watch.transcript();
        for word in ["\"type\":\"lost\"", "\"type\":\"ended\"", "not_connected"] {
            assert!(!said.contains(word), "{patient}: {said}");
        }
    }
}

#[test]
fn while_postgres_hangs_heartbeats_go_on_and_commands_get_an_answer() {
    let Some(mut scene) = two() else { return };
    scene.watch("P3", &[]);
    scene.is_connected("P3", "D1");
    scene.send_now("D2", None).unwrap();
    scene.settle();
    scene.server.freeze();
    let began = Instant::now();
    for patient in ["P1", "P2"] {
        let written = scene.write(patient);
        scene.note(written).unwrap();
    }
    for doctor in ["D1", "D2"] {
        let pending = scene.send(doctor, None);
        let asked = Instant::now();
        // Whether a change was made that hung in the middle is not known.
        let sentence = scene.note(pending).unwrap_err();
        assert!(asked.elapsed() < Duration::from_secs(25), "{sentence}");
        assert!(
            sentence.contains("does not answer since") || sentence.contains("is not known"),
            "{sentence}"
        );
        scene.node_says(doctor, AWAY);
    }
    // A command that works on the database itself is not kept waiting either.
    let (finished, time) = timed(scene.as_doctor("D1", &["--json", "deliveries"]));
    assert!(time < Duration::from_secs(25), "{finished}");
    // Longer than a line may be silent.
    while began.elapsed() < Duration::from_secs(50) {
        let (finished, time) = timed(scene.as_doctor("D1", &["list"]));
        assert!(time < Duration::from_secs(10), "{time:?}: {finished}");
        thread::sleep(Duration::from_secs(2));
    }
    stays_connected(&mut scene);
    // A node that is told to stop does not wait for it either.
    let asked = Instant::now();
    scene.end_node("D2");
    assert!(asked.elapsed() < Duration::from_secs(30));
    scene.server.thaw();
    scene.node_says("D1", BACK);
    scene.start_node("D2");
    for doctor in ["D1", "D2"] {
        until("it accepts again", || scene.send_now(doctor, None).is_ok());
    }
    // D2's node has ended, and what it had not found out with it.
    scene.account();
}

#[test]
fn while_postgres_is_away_commands_say_so_in_a_sentence_and_end_with_3() {
    let Some(mut scene) = two() else { return };
    scene.server.stop("fast");
    scene.node_says("D1", AWAY);
    let commands: [&[&str]; 14] = [
        &["list", "--clinic"],
        &["broadcast", "--clinic", "nobody gets this"],
        &["message", "P1", "nobody gets this"],
        &["consult", "P1"],
        &["deliveries"],
        &["history", "P1"],
        &["inbox"],
        &["devices"],
        &["tickets"],
        &["patients", "list"],
        &["patients", "show", "P1"],
        &["audit", "list"],
        &["enrol", "P9"],
        &["patients", "transfer", "P1", "D2"],
    ];
    for arguments in commands {
        let (finished, time) = timed(scene.as_doctor("D1", arguments));
        let finished = finished.code(3).complains(&["does not answer since "]);
        assert_eq!(finished.err.lines().count(), 1, "{arguments:?}: {finished}");
        assert!(time < Duration::from_secs(15), "{arguments:?}: {time:?}");
    }
    // Who is connected here is known all the same, and that others may be elsewhere.
    let mine = [
        "does not answer since ",
        "only who is connected to this server is listed",
    ];
    let listed = run(scene.as_doctor("D1", &["list"]))
        .code(3)
        .complains(&mine);
    let listed = listed.says("1 device is connected:").says("P1");
    listed.never_says("P2");
    let listed = run(scene.as_doctor("D1", &["--json", "list"]))
        .code(3)
        .complains(&mine);
    assert_eq!(objects(&listed.out).count(), 1, "{listed}");
    let object = objects(&listed.err).next().unwrap();
    assert_eq!(
        (&object["type"], &object["exit"]),
        (&"error".into(), &3.into())
    );
    // What is wrong with the question itself is not temporary.
    run(scene.as_doctor("D1", &["broadcast", "--to", "not a name", "x"])).code(2);
    scene.server.start_again();
    scene.node_says("D1", BACK);
    until("it lists again", || {
        run(scene.as_doctor("D1", &["list"])).code == Some(0)
    });
    scene.account_exactly();
}
