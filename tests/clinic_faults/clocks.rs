//! Nodes whose clocks differ, with libfaketime before the program of one.

use std::fs;
use std::path::PathBuf;

use crate::scene::Scene;
use crate::skip::skip;

/// The library of Debian's package `faketime`.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists())
}

#[test]
fn nodes_whose_clocks_are_twenty_seconds_apart_serve_one_clinic() {
    let Some(library) = library() else {
        skip("no libfaketime: install the package 'faketime'");
        return;
    };
    let Some(mut scene) = Scene::new(&["P1", "P2"]) else {
        return;
    };
    for (round, (shift, name)) in [("+20s", "D2"), ("-20s", "D2")].into_iter().enumerate() {
        scene.kill_node(name);
        let variables = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME", shift),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        scene
            .environment
            .insert(name.to_owned(), variables.to_vec());
        scene.start_node(name);
        if round == 0 {
            scene.watch("P1", &["--failover"]);
            scene.knows_both("P1");
            scene.watch("P2", &[]);
            scene.knows_both("P2");
            scene.end_watch("P2");
            scene.watch("P2", &["--doctor-id", "D2", "--failover"]);
        }
        let connected = scene.is_connected("P2", "D2");
        assert!(connected["clock"].is_null(), "{connected}");
        for _ in 0..2 {
            for doctor in ["D1", "D2"] {
                scene.send_now(doctor, None).unwrap();
                scene.send_now(doctor, Some("P1")).unwrap();
                scene.send_now(doctor, Some("P2")).unwrap();
            }
            for patient in ["P1", "P2"] {
                let written = scene.write(patient);
                scene.note(written).unwrap();
            }
        }
        scene.settle();
        // The patient of one goes to the other, and back.
        scene.kill_node("D1");
        let connected = scene.is_connected("P1", "D2");
        assert!(connected["clock"].is_null(), "{connected}");
        scene.send_now("D2", None).unwrap();
        scene.settle();
        scene.start_node("D1");
    }
    // The clock was one that differs.
    for doctor in ["D1", "D2"] {
        scene.send_now(doctor, None).unwrap();
    }
    let apart = "SELECT max(written) - min(written) FROM
                 (SELECT written FROM message ORDER BY number DESC LIMIT 2) AS last";
    let apart = scene.number(apart);
    assert!((10_000..30_000).contains(&apart), "{apart}");
    scene.account();
}
