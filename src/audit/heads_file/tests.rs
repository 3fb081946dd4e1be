use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::random::OsRandom;
use crate::testing::{Clinic, NOW, clinic};

fn head(number: u64) -> Head {
    Head::sign(&clinic().doctor, (number, [1; 32]), NOW, &mut OsRandom)
}

fn frozen(serial: u8) -> Revocation {
    let whom = ([serial; 16], "P1");
    Revocation::sign(&clinic().doctor, whom, "frozen", NOW, &mut OsRandom)
}

fn in_directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("heads.jsonl");
    (directory, path)
}

fn papers() -> Papers {
    Papers::of(&clinic().doctor)
}

#[test]
fn what_was_appended_is_read_and_known_again() {
    let (_directory, path) = in_directory();
    let (file, known) = HeadsFile::open(&path, papers()).unwrap();
    assert_eq!(known, Known::default());
    let (one, two) = (head(1), head(2));
    file.append(&[Record::Head(one.clone())]).unwrap();
    let stopped = frozen(7);
    let unsigned = Revocation {
        serial: [8; 16],
        ..stopped.clone()
    };
    let both = [stopped.clone(), unsigned.clone()].map(Record::Revocation);
    file.append(&both).unwrap();
    file.append(&[Record::Head(two.clone())]).unwrap();
    let contents = read(&path).unwrap();
    assert_eq!(contents.papers, [papers()]);
    assert_eq!(contents.heads, [one, two.clone()]);
    assert_eq!(contents.revocations, [stopped, unsigned]);
    assert!(contents.unreadable.is_empty());
    let (_, known) = HeadsFile::open(&path, papers()).unwrap();
    assert_eq!(known.newest, Some(two));
    // What nobody signed must not keep the doctor from saying it.
    assert_eq!(known.stopped, [([7; 16], "frozen".to_owned())].into());
    // The papers stand in it once, before everything else.
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with(r#"{"v":1,"type":"certificates","root":""#),
        "{text}"
    );
    assert_eq!(read(&path).unwrap().papers.len(), 1);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_line_that_was_cut_short_spoils_nothing() {
    let (_directory, path) = in_directory();
    let (file, _) = HeadsFile::open(&path, papers()).unwrap();
    let line = json(&Record::Head(head(1)));
    for cut in [1, 20, line.len() / 2, line.len() - 2] {
        let mut raw = fs::OpenOptions::new().append(true).open(&path).unwrap();
        raw.write_all(&line.as_bytes()[..cut]).unwrap();
        file.append(&[Record::Head(head(2))]).unwrap();
    }
    let contents = read(&path).unwrap();
    assert_eq!(contents.heads.len(), 4);
    assert!(contents.unreadable.is_empty());
}

#[test]
fn nonsense_is_named_and_does_not_fill_the_memory() {
    let (_directory, path) = in_directory();
    let (file, _) = HeadsFile::open(&path, papers()).unwrap();
    let mut raw = fs::OpenOptions::new().append(true).open(&path).unwrap();
    raw.write_all(b"\xff\n{\"v\":2,\"type\":\"head\"}\n{\"v\":1,\"type\":\"new\",\"a\":1}\n")
        .unwrap();
    raw.write_all(&vec![b'['; 1 << 20]).unwrap();
    file.append(&[Record::Head(head(2))]).unwrap();
    let contents = read(&path).unwrap();
    assert_eq!(contents.unreadable, [2, 3, 5]);
    assert_eq!(contents.heads.len(), 1);
}

#[test]
fn a_file_that_was_moved_away_begins_anew_with_the_certificates() {
    let (_directory, path) = in_directory();
    let (file, _) = HeadsFile::open(&path, papers()).unwrap();
    fs::rename(&path, path.with_extension("old")).unwrap();
    file.append(&[Record::Head(head(1))]).unwrap();
    let contents = read(&path).unwrap();
    assert_eq!((contents.papers.len(), contents.heads.len()), (1, 1));
}

#[test]
fn another_clinics_file_is_refused_and_left_alone() {
    let (_directory, path) = in_directory();
    let foreign = Papers::of(&Clinic::new().doctor);
    drop(HeadsFile::open(&path, foreign).unwrap());
    let before = fs::read(&path).unwrap();
    let error = HeadsFile::open(&path, papers()).unwrap_err();
    assert!(matches!(error.fault(), HeadsFileFault::OtherClinic));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_in_words() {
    let (_directory, path) = in_directory();
    let error = HeadsFile::open(&path.join("x"), papers()).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("heads.jsonl/x' cannot be written"),
        "{sentence}"
    );
}
