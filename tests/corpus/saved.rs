//! A few well-formed inputs for what a clinic's doctors read, to begin with.

use crate::clinic::SCENE;

/// What reads it, and how often it is changed: the rarer, the longer it takes.
pub type Target = (fn(&[u8]), usize);

/// Each with what reads it.
pub fn seeds() -> Vec<(Target, Vec<Vec<u8>>)> {
    let scene = &*SCENE;
    let entry = scene.entry.as_bytes().to_vec();
    let some = [entry.clone(), b"no entry".to_vec(), entry.clone()];
    let records = telemed::protocol::record::Roster::records(&some);
    let mut rosters: Vec<_> = records.map(|record| record.encode()).collect();
    rosters.push(entry);
    let ticket = scene.ticket.to_text();
    let tickets = [
        ticket.clone(),
        ticket.to_lowercase(),
        ticket.replace('-', " "),
    ];
    let request = scene.request.as_bytes();
    // Without the proof, which is made anew.
    let requests = [request, &request[..request.len() - 64]];
    let columns = b"\x01\x07message"
        .iter()
        .chain(&[9; 128])
        .copied()
        .collect();
    let content = [&[0, 9][..], &[3; 9], &[0; 8], &[3]].concat();
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_mut, reason = "one target less")
    )]
    let mut all: Vec<(Target, Vec<Vec<u8>>)> = vec![
        ((crate::clinic::roster, 400), rosters),
        (
            (crate::clinic::join_ticket, 3_000),
            tickets.map(String::into_bytes).to_vec(),
        ),
        (
            (crate::clinic::join_request, 400),
            requests.map(<[u8]>::to_vec).to_vec(),
        ),
        (
            (crate::clinic::join_answer, 200),
            vec![scene.answer.as_bytes().to_vec(), columns, content],
        ),
    ];
    #[cfg(feature = "postgres")]
    all.push((
        (crate::clinic::store_address, 3_000),
        [
            "postgres://telemed@db.example:5432/clinic?sslrootcert=/etc/ca.pem",
            "postgres://telemed@/clinic?host=/run/postgresql&options=-csearch_path%3Da",
            "postgresql://user:a-password-that-nobody-may-see@[::1]/x?sslmode=disable",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
    ));
    all
}
