//! A newcomer, and the server that answers her, are killed while she joins.

use std::thread;
use std::time::{Duration, Instant};

use telemed::hex;

use crate::clinic::files;
use crate::process::{Running, run};
use crate::scene::{Scene, until};

#[test]
fn joining_that_is_killed_anywhere_goes_on_with_one_set_of_keys() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    for round in 0..8_u64 {
        let doctor = format!("E{round}");
        let ticket = scene.clinic.command(&["enrol-doctor", &doctor]).code(0).out;
        let ticket = ticket.trim().to_owned();
        let join = |scene: &Scene| scene.as_doctor(&doctor, &["enrol", &ticket]);
        // From the first look at the ticket to the last key: the moments are the
        // point, nothing is waited for.
        for attempt in 0..4 {
            let newcomer = Running::start(join(&scene));
            thread::sleep(Duration::from_millis(15 + 40 * attempt + 9 * round));
            if (round + attempt) % 3 == 0 {
                scene.kill_node("D1");
                newcomer.kill();
                scene.start_node("D1");
            } else {
                newcomer.kill();
            }
        }
        run(join(&scene)).code(0).says("has joined the clinic");
        let keys = scene.clinic.path("doctor").join(&doctor);
        // Beside how far the database was, which each command notes.
        let files = || {
            let mut files = files(&keys);
            files.retain(|(path, _)| !path.ends_with("clinic.json"));
            files
        };
        let before = files();
        // Once more, and nothing is made anew.
        run(join(&scene)).code(0);
        assert_eq!(files(), before);
        let names: Vec<_> = before
            .iter()
            .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert!(!names.iter().any(|name| name.contains("join")), "{names:?}");
        let staff = format!("SELECT count(*) FROM staff WHERE id = '{doctor}'");
        assert_eq!(scene.number(&staff), 1);
        let left = "SELECT count(*) FROM join_ticket WHERE state <> 'used' OR answer IS NOT NULL";
        assert_eq!(scene.number(left), 0);
    }
    // Whoever has joined so serves.
    scene.start_node("E0");
    let sql = "SELECT certificate FROM staff ORDER BY id";
    let certificates: Vec<Vec<u8>> = scene
        .server
        .client()
        .query(sql, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut distinct: Vec<_> = certificates.iter().map(|it| hex::encode(it)).collect();
    distinct.dedup();
    assert_eq!(distinct.len(), 10);
}

#[test]
fn a_practice_is_restored_from_a_backup_into_an_empty_database() {
    use std::fs;

    use crate::postgres_server::PostgresServer;

    let Some(mut scene) = Scene::new(&["P1", "P2"]) else {
        return;
    };
    let Some(empty) = PostgresServer::start() else {
        return;
    };
    for patient in ["P1", "P2"] {
        scene.watch(patient, &[]);
        scene.is_connected(patient, "D1");
    }
    scene.send_now("D1", None).unwrap();
    scene.send_now("D2", Some("P1")).unwrap();
    let written = scene.write("P2");
    scene.note(written).unwrap();
    scene.settle();
    let add = ["patients", "add", "P1", "--name", "Ada"];
    scene.clinic.command(&add).code(0);
    // Somebody is away who is to get a message later.
    scene.end_watch("P2");
    until("P2 is gone", || {
        let listed = scene.clinic.command(&["list"]).code(0).out;
        !listed.contains("P2")
    });
    let later = scene.send("D1", Some("P2"));
    scene.note(later).unwrap();

    let (backup, code) = (scene.clinic.path("a.backup"), scene.clinic.path("code"));
    let files = scene.clinic.doctor_files();
    fs::copy(files.join("recovery-code.txt"), &code).unwrap();
    let (backup, code) = (backup.to_str().unwrap(), code.to_str().unwrap());
    scene.clinic.command(&["backup", backup]).code(0);
    // All is gone: both machines and the database.
    for doctor in ["D1", "D2"] {
        scene.kill_node(doctor);
    }
    scene.server.stop("immediate");
    fs::remove_dir_all(scene.clinic.path("doctor")).unwrap();
    let restore = ["restore", backup, "--recovery-code-file", code];
    run(scene.clinic.doctor(&restore)).code(0);
    let url = empty.url();
    let copy = ["store", "copy", "--from", "sqlite", "--to", &url];
    scene.clinic.command(&copy).code(0).says("are the same");

    scene.server = empty;
    scene.store = url;
    scene.start_node("D1");
    scene.is_connected("P1", "D1");
    scene.watch("P2", &[]);
    scene.is_connected("P2", "D1");
    scene.send_now("D1", None).unwrap();
    let written = scene.write("P1");
    scene.note(written).unwrap();
    scene.settle();
    let show = ["patients", "show", "P1"];
    run(scene.as_doctor("D1", &show)).code(0).says("Ada");
    // The other doctor joins again, as on a new machine.
    let began = Instant::now();
    let ticket = scene.clinic.command(&["enrol-doctor", "D3"]).code(0).out;
    run(scene.as_doctor("D3", &["enrol", ticket.trim()])).code(0);
    assert!(began.elapsed() < Duration::from_secs(60));
    scene.account();
}
