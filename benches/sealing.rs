//! How fast messages are sealed and opened: the bare algorithm, AES-256-CBC
//! and HMAC-SHA-512; a sealing key, which pads and derives the IV from the
//! message; records of a session.
//!
//! `cargo bench --bench sealing`; `--quick` makes a few rounds only, `--json`
//! prints one object a line, `--bytes 65536` takes one size only.
//! `benches/openssl.py sealing` times OpenSSL beside it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[path = "common/timing.rs"]
mod timing;

use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use telemed::aes::a256cbc_hs512::{self, IV_LEN, KEY_LEN};
use telemed::aes::{MAX_SEALED_MESSAGE, SealingKey};
use telemed::framing::Frame;
use telemed::kdf::{self, Prk};
use telemed::random::{self, OsRandom, Random};
use telemed::session::channel::{Opener, Sealer};
use telemed::session::{Direction, SessionKey};

use timing::Row;

/// Lengths of messages in bytes.
const SIZES: [usize; 4] = [64, 1 << 10, 1 << 16, 1 << 20];
/// What messages' length is authenticated with: as much as a record has.
const AD: &[u8] = &[7; 16];

fn main() {
    // `cargo test --benches` only wants to see that it compiles.
    if !timing::has_argument("--bench") {
        return;
    }
    let rounds = if timing::has_argument("--quick") {
        7
    } else {
        31
    };
    let mut rows = Vec::new();
    let only = timing::number_after("--bytes").map(|bytes| bytes as usize);
    for size in SIZES
        .into_iter()
        .filter(|&size| only.is_none_or(|only| only == size))
    {
        add_parts(&mut rows, size);
        add_algorithm(&mut rows, size);
        // A message of a session is at most a byte shorter than 64 KiB.
        if size <= MAX_SEALED_MESSAGE + 1 {
            let size = size.min(MAX_SEALED_MESSAGE);
            add_sealing_key(&mut rows, size);
            add_records(&mut rows, size);
        }
    }
    for _ in 0..rounds {
        rows.iter_mut().for_each(Row::measure);
    }
    print(&rows);
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    OsRandom.fill(&mut bytes);
    bytes
}

/// What the algorithm is made of.
fn add_parts(rows: &mut Vec<Row>, size: usize) {
    let (key, iv): ([u8; 32], [u8; 16]) = (random::array(&mut OsRandom), [3; 16]);
    let mut data = bytes(size);
    rows.push(Row::new("AES-256-CBC encrypt", size, move || {
        let cipher = cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into());
        let len = data.len();
        cipher.encrypt_padded::<NoPadding>(&mut data, len).unwrap();
    }));
    let mut data = bytes(size);
    rows.push(Row::new("AES-256-CBC decrypt", size, move || {
        let cipher = cbc::Decryptor::<aes::Aes256>::new(&key.into(), &iv.into());
        cipher.decrypt_padded::<NoPadding>(&mut data).unwrap();
    }));
    let data = bytes(size);
    rows.push(Row::new("HMAC-SHA-512", size, move || {
        kdf::hmac(&key, &[&data])
    }));
}

fn add_algorithm(rows: &mut Vec<Row>, size: usize) {
    let key: [u8; KEY_LEN] = random::array(&mut OsRandom);
    let iv: [u8; IV_LEN] = random::array(&mut OsRandom);
    let message = bytes(size);
    let sealed = a256cbc_hs512::seal(&key, &iv, &[AD], &message);
    rows.push(Row::new("A256CBC-HS512 seal", size, move || {
        a256cbc_hs512::seal(&key, &iv, &[AD], &message)
    }));
    rows.push(Row::new("A256CBC-HS512 open", size, move || {
        a256cbc_hs512::open(&key, &[AD], &sealed).unwrap()
    }));
}

fn add_sealing_key(rows: &mut Vec<Row>, size: usize) {
    let new = || SealingKey::new(random::secret(&mut OsRandom));
    let (key, message) = (new(), bytes(size));
    rows.push(Row::new("sealing key, seal", size, move || {
        key.seal(1, &[AD], &message, &mut OsRandom)
    }));
    let key = new();
    let sealed = key.seal(1, &[AD], &bytes(size), &mut OsRandom);
    rows.push(Row::new("sealing key, open", size, move || {
        key.open(&[AD], &sealed).unwrap()
    }));
}

fn add_records(rows: &mut Vec<Row>, size: usize) {
    const OPCODE: u8 = telemed::protocol::opcode::PRIVATE;
    const RECORDS: u32 = 32;
    let session = SessionKey::new(Prk::from_secret(random::secret(&mut OsRandom)), [7; 64]);
    let (direction, message) = (Direction::DoctorToPatient, bytes(size));
    let mut sealer = Sealer::new(&session, direction);
    let records: Vec<Frame> = (0..RECORDS)
        .map(|_| sealer.seal(OPCODE, &message, &mut OsRandom))
        .collect();
    rows.push(Row::new("record, seal", size, move || {
        sealer.seal(OPCODE, &message, &mut OsRandom)
    }));
    // A record is opened in its turn only, so all of them are.
    let open = move || {
        let mut opener = Opener::new(&session, direction);
        for record in &records {
            opener.open(record).unwrap();
        }
    };
    rows.push(Row::new("record, open", size, open).repeating(RECORDS));
}

fn print(rows: &[Row]) {
    let in_json = timing::has_argument("--json");
    if !in_json {
        println!("| what | bytes | MB/s | µs each |\n| --- | ---: | ---: | ---: |");
    }
    for row in rows {
        let (what, bytes, each) = (row.what, row.bytes, 1e6 * row.median());
        // In millions of bytes a second, as OpenSSL counts.
        let rate = bytes as f64 / each;
        if in_json {
            println!("{{\"what\": \"{what}\", \"bytes\": {bytes}, \"mb_per_second\": {rate:.1}}}");
        } else {
            println!("| {what} | {bytes} | {rate:.0} | {each:.2} |");
        }
    }
}
