//! Where the clinic's doctors are reached, as a server tells it.

use crate::support::{Got, Practice};

fn told(got: &Got) -> Option<Vec<Vec<u8>>> {
    match got {
        Got::Roster(entries) => Some(entries.clone()),
        _ => None,
    }
}

#[test]
fn the_clinics_doctors_are_told_at_the_beginning_of_a_session_and_when_they_change() {
    let practice = Practice::open();
    let [mut early, mut late] = practice.admit(["P1", "P2"]);
    let mut there = early.connect(practice.address());
    // A message shows that nothing came before it.
    practice.server().broadcast("nobody else", false).unwrap();
    there.until("the message", |got| match got {
        Got::Message(_) => Some(()),
        Got::Roster(_) => panic!("a roster"),
        _ => None,
    });
    let entries = vec![b"one".to_vec(), b"two".to_vec()];
    practice.server().set_roster(entries.clone());
    assert_eq!(there.until("a roster", told), entries);
    let mut session = late.connect(practice.address());
    assert_eq!(session.until("a roster", told), entries);
    // Anew, to both; as many records as it takes.
    let more: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 100]).collect();
    practice.server().set_roster(more.clone());
    for session in [&mut there, &mut session] {
        // The earlier one comes twice to whose session began meanwhile.
        let is_new = |told: &Vec<Vec<u8>>| *told != entries;
        let mut all = session.until("a roster", |got| told(got).filter(is_new));
        all.extend(session.until("the rest", told));
        assert_eq!(all, more);
    }
}
