//! The class project's table, measured anew: real key sizes, this machine, now.

use std::error::Error;
use std::time::{Duration, Instant};

use telemed::aes::SealingKey;
use telemed::elgamal::{Group, KemSecret, SignSecret};
use telemed::random::{self, OsRandom};

/// Length of the message that is sealed and opened, in bytes.
const MESSAGE_LEN: usize = 1024;

/// Average time of one call in `runs`.
fn average(
    runs: u32,
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    for _ in 0..runs {
        work()?;
    }
    Ok(begun.elapsed() / runs)
}

/// Measures and prints the table; the broadcast was measured by the story.
pub fn print(group: &Group, broadcast: Duration, recipients: usize) -> Result<(), Box<dyn Error>> {
    let generation = average(5, || {
        let signing = SignSecret::generate(group, &mut OsRandom);
        let encryption = KemSecret::generate(group, &mut OsRandom);
        drop((signing, encryption));
        Ok(())
    })?;
    let key = SealingKey::new(random::secret(&mut OsRandom));
    let message = [b'x'; MESSAGE_LEN];
    let mut sealed = Vec::new();
    let sealing = average(2000, || {
        sealed = key.seal(0, &[], &message, &mut OsRandom);
        Ok(())
    })?;
    let opening = average(2000, || {
        key.open(&[], &sealed)?;
        Ok(())
    })?;
    println!("  {:<68} {:>12}", "operation", "average");
    let row = |name: String, time: Duration| {
        println!("  {name:<68} {:>10.6} s", time.as_secs_f64());
    };
    row(
        format!(
            "ElGamal key generation ({}, a signing and an encryption key)",
            group.name()
        ),
        generation,
    );
    row(
        format!("AES-256 encryption ({MESSAGE_LEN} bytes, CBC with HMAC-SHA-512)"),
        sealing,
    );
    row(
        format!("AES-256 decryption ({MESSAGE_LEN} bytes, CBC with HMAC-SHA-512)"),
        opening,
    );
    row(
        format!("broadcast message ({recipients} patients, until the last receipt)"),
        broadcast,
    );
    Ok(())
}
