//! Powers, and what is made of them.

use num_bigint::BigUint;
use telemed::bigint::{FixedBase, Kernel, Modulus, SecretUint};
use telemed::elgamal::{Element, Group, KemSecret, SignSecret, VerifyingKey};
use telemed::kdf::label;
use telemed::memcheck;

use crate::Checks;
use crate::secrets::{Source, hidden};

use kernel::adx::Adx;
use kernel::ifma::{digits_from_limbs, limbs_from_digits};
use kernel::portable::{Portable, Rows, montgomery_mul, montgomery_square};

/// The library's own files once more. Valgrind knows the instructions BMI2 and
/// ADX but tells programs that there is no ADX, so the library does not use
/// them here.
#[path = "../../src/bigint/kernel"]
#[allow(dead_code, reason = "each is here for a function or two")]
mod kernel {
    pub mod adx;
    pub mod ifma;
    pub mod portable;
}

/// Limbs of a number of 3072 bits, and of one that does not come out even in
/// the assembly language's turns of four.
const LENGTHS: [usize; 2] = [48, 50];

/// The inner loops of both kernels for 64-bit limbs, and how the third gets its
/// digits. What it does with them valgrind cannot see.
pub fn check_kernels(checks: &mut Checks) {
    checks.clean_secret("IFMA kernel: digits from limbs and back", || {
        let (mut digits, mut back) = ([0; 64], [0; 48]);
        digits_from_limbs(&mut digits, &limbs(&hidden(8 * 48)));
        limbs_from_digits(&mut back, &digits);
        bytes(&back)
    });
    check_kernel::<Portable>(checks, "portable kernel");
    if is_x86_feature_detected!("bmi2") {
        check_kernel::<Adx>(checks, "ADX kernel");
    } else {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        let skipped = "ADX kernel: not checked, since this processor has no BMI2";
        println!("{skipped}");
        checks.require(!required, skipped);
    }
}

fn check_kernel<R: Rows>(checks: &mut Checks, name: &str) {
    for len in LENGTHS {
        let n = vec![u64::MAX; len];
        let (mut a, b) = (limbs(&hidden(8 * len)), limbs(&hidden(8 * len)));
        let mut wide = vec![0; 2 * len];
        let mut out = vec![0; len];
        checks.clean_secret(&format!("{name}: product of {len} limbs"), || {
            montgomery_mul::<R>(&mut out, &a, &b, &n, 1, &mut wide);
            bytes(&out)
        });
        checks.clean_secret(&format!("{name}: square of {len} limbs"), || {
            montgomery_square::<R>(&mut a, &n, 1, &mut wide);
            bytes(&a)
        });
    }
}

fn limbs(bytes: &[u8]) -> Vec<u64> {
    let (limbs, _) = bytes.as_chunks();
    limbs.iter().copied().map(u64::from_le_bytes).collect()
}

fn bytes(limbs: &[u64]) -> Vec<u8> {
    limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

/// All that this group is used for with secrets.
pub fn check(checks: &mut Checks, group: &Group) {
    check_powers(checks, group);
    check_signing(checks, group);
    check_encapsulation(checks, group);
}

fn check_powers(checks: &mut Checks, group: &Group) {
    let (name, len) = (group.name(), group.element_len());
    let p = BigUint::from_bytes_be(group.modulus_bytes());
    let modulus = Modulus::with_kernel(&p, Kernel::Portable).unwrap();
    let base = modulus.reduce_wide(&hidden(len));
    let secret = SecretUint::from_be_bytes(&hidden(len));
    let public = SecretUint::from_be_bytes(&vec![0xa5; len]);
    checks.clean_secret(&format!("{name}: power of a secret base"), || {
        let power = modulus.pow(&base, &secret, modulus.bits());
        power.to_be_bytes(len).expose().to_vec()
    });
    let generator = FixedBase::new(BigUint::from(2u32));
    let mut power = |what: &str| {
        checks.clean_secret(&format!("{name}: power of a fixed base, {what}"), || {
            let power = modulus.pow_fixed(&generator, &secret, modulus.bits());
            power.to_be_bytes(len).expose().to_vec()
        });
    };
    power("without tables");
    // The next one makes them.
    let _ = modulus.pow_fixed(&generator, &public, modulus.bits());
    power("with tables");
    let a = modulus.reduce_wide(&hidden(2 * len));
    checks.clean_secret(&format!("{name}: sum, difference, product"), || {
        let sum = modulus.add(&a, &base);
        let product = modulus.mul(&modulus.sub(&sum, &modulus.mul(&a, &a)), &base);
        product.to_be_bytes(len).expose().to_vec()
    });
}

fn check_signing(checks: &mut Checks, group: &Group) {
    let name = group.name();
    let message: [&[u8]; 1] = [b"message"];
    let mut bytes = SignSecret::generate(group, &mut Source::open()).to_bytes();
    memcheck::make_secret(bytes.expose_mut());
    let secret = checks.clean(&format!("{name}: load a signing key"), || {
        SignSecret::from_bytes(group, bytes.expose()).unwrap()
    });
    checks.clean_secret(&format!("{name}: store a signing key"), || {
        secret.to_bytes().expose().to_vec()
    });
    let signature = checks.clean(&format!("{name}: sign"), || {
        secret.sign(label::SIG_DIRECT, &message, &mut Source::hidden())
    });
    let key = VerifyingKey::from_bytes(group, secret.verifying_key().as_bytes()).unwrap();
    let right = key.verify(label::SIG_DIRECT, &message, &signature).is_ok();
    checks.require(right, &format!("{name}: the signature is not valid"));
    checks.clean(&format!("{name}: generate a signing key"), || {
        SignSecret::generate(group, &mut Source::hidden())
    });
}

fn check_encapsulation(checks: &mut Checks, group: &Group) {
    let name = group.name();
    let secret = checks.clean(&format!("{name}: generate an encryption key"), || {
        KemSecret::generate(group, &mut Source::hidden())
    });
    let stored = secret.to_bytes();
    checks.clean(&format!("{name}: load an encryption key"), || {
        KemSecret::from_bytes(group, stored.expose()).unwrap()
    });
    let sent = KemSecret::generate(group, &mut Source::open());
    let sent = Element::from_bytes(group, sent.public().as_bytes()).unwrap();
    checks.clean_secret(&format!("{name}: decapsulate"), || {
        secret.agree(&sent).expose().to_vec()
    });
}
