//! Keys derived, boxes sealed and opened.

use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use telemed::aes::SealingKey;
use telemed::kdf::{self, label};
use telemed::memcheck;
use telemed::random::Random;
use telemed::secret::{Secret, ct_eq};

use crate::Checks;
use crate::secrets::{Source, hidden};

/// Associated data, which is public.
const AD: &[&[u8]] = &[b"associated data"];

pub fn check(checks: &mut Checks) {
    let (a, b) = (hidden(64), hidden(64));
    checks.clean("comparison of equal secrets", || assert!(ct_eq(&a, &b)));
    checks.clean("comparison of different secrets", || {
        assert!(!ct_eq(&a[..32], &b[32..]));
    });
    let shared = hidden(384);
    checks.clean_secret("extract and expand", || {
        let prk = kdf::extract(b"salt", &[&shared]);
        let key: Secret<128> = prk.expand(label::K1, &[b"context"]);
        key.expose().to_vec()
    });
    let message = hidden(1000);
    let whole = key(memcheck::make_secret);
    checks.clean_secret("seal", || {
        whole.seal(7, AD, &message, &mut Source::hidden())
    });
    check_opening(checks);
    let instructions = if is_x86_feature_detected!("aes") {
        "with"
    } else {
        "without"
    };
    println!("AES: {instructions} the processor's instructions");
    checks.clean_secret("AES-256-CBC backwards", || {
        let (key, iv, mut blocks) = (hidden(32), [0; 16], hidden(1024));
        let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, &iv).unwrap();
        cipher.decrypt_padded::<NoPadding>(&mut blocks).unwrap();
        blocks
    });
}

/// What is in a box that was opened may be branched on: it is authentic. For
/// this check to know that it is not secret, the key that it was encrypted with
/// bears no mark; the next check, of the cipher alone, makes up for it.
fn check_opening(checks: &mut Checks) {
    let sealed = key(|_| ()).seal(7, AD, b"message", &mut Source::open());
    let whole = key(memcheck::make_secret);
    let authenticating = key(|bytes| memcheck::make_secret(&mut bytes[..32]));
    checks.clean("open", || {
        let opened = authenticating.open(AD, &sealed).unwrap();
        assert_eq!(opened.expose(), b"message");
    });
    for (what, position) in [
        (
            "open, wrong in the first byte of the tag",
            sealed.len() - 32,
        ),
        ("open, wrong in the last byte of the tag", sealed.len() - 1),
        ("open, wrong in the last block", sealed.len() - 33),
    ] {
        let mut wrong = sealed.clone();
        wrong[position] ^= 1;
        checks.clean(what, || assert!(whole.open(AD, &wrong).is_err()));
    }
}

/// Always the same key, with marks as asked for.
fn key(mark: impl Fn(&mut [u8])) -> SealingKey {
    let mut bytes = Secret::zero();
    Source::open().fill(bytes.expose_mut());
    mark(bytes.expose_mut());
    SealingKey::new(bytes)
}
