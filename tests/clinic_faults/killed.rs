//! Nodes that are killed.

use std::thread;
use std::time::Duration;

use crate::scene::Scene;

#[test]
fn a_node_killed_in_a_clinic_wide_broadcast_loses_nothing() {
    let patients = ["P1", "P2", "P3", "P4"];
    let Some(mut scene) = Scene::new(&patients) else {
        return;
    };
    for (patient, doctor) in patients.iter().zip(["D1", "D1", "D2", "D2"]) {
        // Two go to the other doctor, and to hers while she is down.
        scene.watch(patient, &[]);
        scene.knows_both(patient);
        if doctor == "D2" {
            scene.end_watch(patient);
            scene.watch(patient, &["--doctor-id", "D2", "--failover"]);
            scene.is_connected(patient, "D2");
        }
    }
    for round in 0..6_u64 {
        let (dies, lives) = match round % 2 {
            0 => ("D2", "D1"),
            _ => ("D1", "D2"),
        };
        let mut pending: Vec<_> = (0..3).map(|_| scene.send(dies, None)).collect();
        pending.push(scene.send(lives, None));
        pending.push(scene.write(patients[usize::try_from(round % 4).unwrap()]));
        // The random moment is the point here, nothing is waited for.
        thread::sleep(Duration::from_millis(20 * round + 5));
        scene.kill_node(dies);
        for pending in pending {
            let _ = scene.note(pending);
        }
        scene.send_now(lives, None).unwrap();
        scene.start_node(dies);
    }
    for doctor in ["D1", "D2"] {
        scene.send_now(doctor, None).unwrap();
    }
    scene.account();
}

#[test]
fn a_patient_goes_to_the_other_doctor_and_back_and_is_told() {
    let Some(mut scene) = Scene::new(&["P1"]) else {
        return;
    };
    scene.watch("P1", &["--failover"]);
    scene.is_connected("P1", "D1");
    scene.knows_both("P1");
    scene.send_now("D1", Some("P1")).unwrap();

    scene.kill_node("D1");
    let connected = scene.is_connected("P1", "D2");
    assert_eq!(connected["instead_of"], "D1");
    scene.send_now("D2", None).unwrap();
    let written = scene.write("P1");
    scene.note(written).unwrap();
    scene.settle();
    // What is for her alone is found by whoever is there.
    scene.send_now("D2", Some("P1")).unwrap();

    // The first is back: the next session is with her.
    scene.start_node("D1");
    scene.kill_node("D2");
    let connected = scene.is_connected("P1", "D1");
    assert!(connected["instead_of"].is_null(), "{connected}");
    scene.send_now("D1", None).unwrap();

    scene.kill_node("D1");
    let watch = scene.watches.get_mut("P1").unwrap();
    let unreached = watch.expect("\"type\":\"not_connected\"");
    assert!(unreached.contains("sentence"), "{unreached}");
    let written = scene.write("P1");
    let _ = scene.note(written);
    scene.start_node("D2");
    scene.is_connected("P1", "D2");
    scene.start_node("D1");
    scene.send_now("D1", None).unwrap();
    scene.send_now("D2", Some("P1")).unwrap();
    scene.account();
}
