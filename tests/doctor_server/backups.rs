//! The server while it is backed up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use telemed::backup::Reader;
use telemed::doctor::backup::{make, verify};
use telemed::doctor::recovery;
use telemed::elgamal::Group;

use crate::support::Practice;

#[test]
fn messages_flow_while_a_large_practice_is_backed_up() {
    let practice = Practice::with_database(&Group::ffdhe2048());
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    // Many steps of the copy, many chunks of the backup.
    for name in ["a", "b", "c", "d", "e", "f"] {
        practice.store.set_facts(&[(name, &[7; 1 << 20])]).unwrap();
    }
    let books = practice.server().practice();
    let new = recovery::make(books).unwrap();
    assert!(recovery::keep(books, &new.wrapped).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.backup");
    let looks = AtomicUsize::new(0);
    // Held in the middle of the copy, then in the middle of the sealing.
    let (reached, held) = mpsc::channel();
    let (release, released) = mpsc::channel();
    thread::scope(|scope| {
        let file = &file;
        let looks = &looks;
        let backup = scope.spawn(move || {
            make(books, file, "D1", &|| {
                if [3, 40].contains(&looks.fetch_add(1, Ordering::Relaxed)) {
                    reached.send(()).unwrap();
                    released.recv().unwrap();
                }
                true
            })
        });
        for text in ["while it is copied", "while it is sealed"] {
            held.recv().unwrap();
            let sent = practice.server().broadcast(text, true).unwrap();
            assert_eq!(session.message().text, text);
            practice.wait_for_state(sent.number, "P1", "delivered");
            practice.store.set_facts(&[("a", text.as_bytes())]).unwrap();
            release.send(()).unwrap();
        }
        backup.join().unwrap().unwrap();
    });
    let reader = Reader::new(std::fs::File::open(&file).unwrap()).unwrap();
    let checked = verify(directory.path(), reader, &books.vault).unwrap();
    assert!(checked.is_sound(), "{checked:?}");
}
