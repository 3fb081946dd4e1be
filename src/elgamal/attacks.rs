//! What an attacker tries. Each test first shows, where it can, that the
//! attack works on what is left without the check, then that it is refused.

mod encapsulation;
mod groups;
mod keys;
mod signatures;

use num_bigint::BigUint;
use num_traits::{One, Zero};

use super::group::{Group, GroupError, padded};
use super::key::{Element, VerifyingKey};
use super::{KemSecret, SignSecret};
use crate::bigint::{is_probable_prime_vartime, jacobi_vartime};
use crate::kdf::{hash, label};
use crate::random::{OsRandom, Random};

/// Bytes that are the same in every run.
struct Seeded(u64);

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(64) {
            self.0 += 1;
            chunk.copy_from_slice(&hash(&[&self.0.to_be_bytes()])[..chunk.len()]);
        }
    }
}

/// A generator that is broken: the same byte for ever.
struct Stuck;

impl Random for Stuck {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

/// A safe prime of 2048 bits that is 3 mod 8, by `openssl dhparam -5 2048`.
const THREE_MOD_EIGHT: &str = "\
    95161e203dfb85e22a2efddb675c04acfe0d30930297a0b8d1393d3abdff138e\
    8a5cd40f87cea08b9bc8417cd4a52f62254e08517947cf6e16a685356d839111\
    3782806448d24412815f113a17a012b6f7e1ea7a9cd2ed647f337fe8f40bd670\
    4f094463e35ec67755c145247fb6ef7f542db8d06159729e3e8550fe1a7b4ff8\
    efd10e63a8ba6f992fd4a6ca3362aa988c3d32d813b1ede0c4fcc228c56e34bb\
    697a145ea9da898d80a4e81b98a85cbca1c0a3b83524477800019f28e64d453b\
    ceeff9a661d193da90e21f972d6079b8f15f618257d19f507e52289dc1682382\
    da970f356db1d35d16bca457321fcd62ced03d5262944e93bb28ec734a4f8ceb";

/// A safe prime of 2048 bits that is 7 mod 8, by `openssl dhparam -5 2048`.
pub(super) const SEVEN_MOD_EIGHT: &str = "\
    eb1a5a58a4095fd50c069bf8dd928c6a531e3b6c31d8c0d813b53e4a5981d430\
    96cf35db5fdce0cbb86e44efbe800e8006df6590a5ddba22758d7888042d0a8c\
    a910b6ffc10ff4a217129d503f00583426b430c341707aea4c1e88cb2c0ca785\
    622f236cb251a116ddd2bd9290da05ff492e7a4f39cb3a98ce5766ac2a22c187\
    af708d24abf1c0cecf1b5ecc9cd4ba2de880a269eb773810b0075c7e7dd6163a\
    a1271526d88f89f5815a1d92f4c057c517b991b3cc232b6bc362597b3785f62f\
    199a0b45b3ae984dbe17026501b9532100ceea6eff69326f4fe961db5ca9b586\
    9152d1ededa2d071793082e2d0d402a8852cae9b586756f83bd5d222a9ee219f";

pub(super) fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

fn p(group: &Group) -> BigUint {
    group.p().value().clone()
}

fn q(group: &Group) -> BigUint {
    group.q().value().clone()
}

fn power(group: &Group, base: &BigUint, exponent: &BigUint) -> BigUint {
    base.modpow(exponent, group.p().value())
}

/// r and s as a signature.
fn signature(group: &Group, r: &BigUint, s: &BigUint) -> Vec<u8> {
    let len = group.element_len();
    [padded(r, len), padded(s, len)].concat()
}

/// The hash that a signature with this r is checked against.
fn e_of(key: &VerifyingKey, r: &BigUint, message: &[u8]) -> BigUint {
    let r = padded(r, key.group().element_len());
    BigUint::from_bytes_be(&key.hash(label::SIG_M1, &r, &[message]))
}

fn is_refused(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    key.verify(label::SIG_M1, &[message], signature).is_err()
}

fn key_pair() -> (Group, SignSecret) {
    let group = Group::ffdhe2048();
    let secret = SignSecret::generate(&group, &mut Seeded(0));
    (group, secret)
}
