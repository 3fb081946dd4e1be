//! What goes in comes out, and nothing that was changed does.

use super::*;
use crate::aes::sealed_len;
use crate::random::{self, OsRandom};
use crate::vault::RecoveryCode;

type Entry = (String, Vec<u8>);

struct Sample {
    vault: Vault,
    header: Header,
}

impl Sample {
    fn new() -> Self {
        let vault = Vault::generate(&mut OsRandom);
        let code = RecoveryCode::generate(&mut OsRandom);
        let header = Header {
            doctor: "D1".parse().unwrap(),
            clinic: [7; 16],
            made: Timestamp::from_millis(1_795_435_200_000),
            wrapped: code.wrap(&vault, &mut OsRandom).unwrap(),
            salt: random::array(&mut OsRandom),
        };
        Self { vault, header }
    }

    fn written(&self, entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.header, &self.vault).unwrap();
        for (name, bytes) in entries {
            let len = bytes.len() as u64;
            writer.entry(name, len, &mut &bytes[..]).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(&self, bytes: &[u8]) -> Result<Vec<Entry>, BackupError> {
        let reader = Reader::new(bytes)?;
        if !fits(reader.header(), &self.vault) {
            return Err(BackupError::NotABackup);
        }
        let mut entries = reader.entries(&self.vault).unwrap();
        let mut found = Vec::new();
        while let Some((name, len)) = entries.next_entry()? {
            let mut bytes = Vec::new();
            entries.copy(len, &mut bytes)?;
            found.push((name, bytes));
        }
        Ok(found)
    }

    fn header_len(&self) -> usize {
        self.header.encode().0.len()
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|byte| (byte % 251) as u8).collect()
}

#[test]
fn what_goes_in_comes_out_whatever_its_length() {
    let sample = Sample::new();
    // The first entry's front has 10 bytes, the end of all has one.
    for len in [0, 1, CHUNK - 12, CHUNK - 11, CHUNK - 10, CHUNK, 3 * CHUNK] {
        let (first, second) = (content(len), content(5));
        let written = sample.written(&[("a", &first), ("b", &second)]);
        let read = sample.read(&written).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], ("a".to_owned(), first), "{len} bytes");
        assert_eq!(read[1], ("b".to_owned(), second));
    }
    assert_eq!(sample.read(&sample.written(&[])).unwrap(), []);
}

#[test]
fn the_header_says_whose_backup_it_is_before_any_key_is_there() {
    let sample = Sample::new();
    let written = sample.written(&[]);
    let reader = Reader::new(&written[..]).unwrap();
    assert_eq!(*reader.header(), sample.header);
}

#[test]
fn every_flipped_byte_is_found() {
    let sample = Sample::new();
    let written = sample.written(&[("a", &content(2_000))]);
    assert!(sample.read(&written).is_ok());
    for position in 0..written.len() {
        let mut changed = written.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(sample.read(&changed).is_err(), "byte {position}");
    }
}

#[test]
fn every_cut_is_found() {
    let sample = Sample::new();
    let written = sample.written(&[("a", &content(4 * CHUNK))]);
    let (chunk, first) = (sealed_len(CHUNK), sample.header_len());
    let boundaries = (0..5).map(|number| first + number * chunk);
    let near = boundaries.flat_map(|boundary| [boundary - 1, boundary, boundary + 1]);
    for len in near.chain((0..written.len()).step_by(997)) {
        assert!(len < written.len());
        assert!(sample.read(&written[..len]).is_err(), "{len} bytes");
    }
    let longer = [&written[..], &[0]].concat();
    assert!(sample.read(&longer).is_err());
    let twice = [&written[..], &written[first..]].concat();
    assert!(sample.read(&twice).is_err());
}

#[test]
fn chunks_that_were_moved_repeated_or_left_out_are_found() {
    let sample = Sample::new();
    let written = sample.written(&[("a", &content(4 * CHUNK))]);
    let (front, chunks) = written.split_at(sample.header_len());
    let chunks: Vec<&[u8]> = chunks.chunks(sealed_len(CHUNK)).collect();
    assert_eq!(chunks.len(), 5);
    for order in [
        &[1, 0, 2, 3, 4][..],
        &[0, 1, 3, 2, 4],
        &[0, 0, 1, 2, 3, 4],
        &[0, 2, 3, 4],
        &[0, 1, 2, 4],
        &[4],
        &[0, 1, 2, 3, 4, 4],
    ] {
        let moved: Vec<&[u8]> = order.iter().map(|number| chunks[*number]).collect();
        let moved = [front, &moved.concat()].concat();
        assert!(sample.read(&moved).is_err(), "{order:?}");
    }
}

#[test]
fn two_backups_of_the_same_practice_do_not_mix() {
    let sample = Sample::new();
    let mut later = Sample::new();
    later.vault = Vault::new(sample.vault.key().unwrap().duplicate());
    later.header.wrapped = sample.header.wrapped.clone();
    later.header.made = Timestamp::from_millis(1_795_435_200_001);
    let entries = [("a", &content(3 * CHUNK)[..])];
    let (one, other) = (sample.written(&entries), later.written(&entries));
    assert_eq!(one.len(), other.len());
    assert!(sample.read(&one).is_ok() && sample.read(&other).is_ok());
    let first = sample.header_len();
    for at in [
        first,
        first + sealed_len(CHUNK),
        first + 2 * sealed_len(CHUNK),
    ] {
        let spliced = [&one[..at], &other[at..]].concat();
        assert!(sample.read(&spliced).is_err(), "at {at}");
    }
    // Not even with the other one's salt under an own header.
    let mut forged = sample.header.clone();
    forged.salt = later.header.salt;
    let forged = [&forged.encode().0[..], &other[first..]].concat();
    assert!(sample.read(&forged).is_err());
}

#[test]
fn damage_names_the_place() {
    let sample = Sample::new();
    let mut written = sample.written(&[("a", &content(2 * CHUNK))]);
    let second = sample.header_len() + sealed_len(CHUNK);
    written[second + 100] ^= 1;
    let error = sample.read(&written).unwrap_err();
    assert!(
        matches!(error, BackupError::Damaged { at } if at == second as u64),
        "{error}"
    );
}

#[test]
fn another_file_is_no_backup_and_a_newer_one_is_told() {
    let sample = Sample::new();
    for other in [&b""[..], b"telemed-backup", &[0; 4_000], b"telemed-key\n"] {
        let error = sample.read(other).unwrap_err();
        assert!(matches!(error, BackupError::NotABackup), "{error}");
    }
    let mut newer = sample.written(&[]);
    newer[MAGIC.len()] = 2;
    let error = sample.read(&newer).unwrap_err();
    assert!(matches!(error, BackupError::Version(2)), "{error}");
}

#[test]
fn an_announced_length_takes_no_memory() {
    let sample = Sample::new();
    let mut writer = Writer::new(Vec::new(), &sample.header, &sample.vault).unwrap();
    // An entry that claims more than there is.
    let front = [&[1, b'a'][..], &u64::MAX.to_be_bytes()].concat();
    writer.put(&mut &front[..], front.len() as u64).unwrap();
    let written = writer.finish().unwrap();
    assert!(sample.read(&written).is_err());
    let reader = Reader::new(&written[..]).unwrap();
    let mut entries = reader.entries(&sample.vault).unwrap();
    let (_, len) = entries.next_entry().unwrap().unwrap();
    let error = entries.take(len, 4096).unwrap_err();
    assert!(matches!(error, BackupError::Malformed), "{error}");
}

#[test]
fn nothing_of_the_content_shows() {
    let sample = Sample::new();
    let written = sample.written(&[("signing.key", b"Ada Lovelace, P1, allergic to nuts")]);
    for word in ["signing", "Ada", "nuts", "P1,"] {
        let found = written
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!found, "{word}");
    }
}
