//! Signatures.
//!
//! A signature is r and s, L bytes each, with
//! `e = OS2IP(H(LP8(label) ‖ id of the group ‖ y ‖ r ‖ LP32(message)))`.
//! It is checked in this order:
//!
//! 1. exactly 2L bytes, 1 < r < p - 1;
//! 2. r mod q is not 0: (p - 1)/2 is a square where p is 3 mod 8, has a known
//!    discrete logarithm, and takes the key out of the equation;
//! 3. 0 < s < q, so that no signature has a second form;
//! 4. r is a square mod p: outside the subgroup a part of the exponents could
//!    be chosen at will;
//! 5. e mod q is not 0: r = y^b, s = -r/b would be valid for every key;
//! 6. 2^e = y^r r^s mod p.
//!
//! The equation alone, with an e that the signer may choose, can be satisfied
//! without the secret; so nothing outside this layer can ask for it.

use std::fmt;

use num_bigint::BigUint;
use num_traits::Zero;

use super::drbg::HmacDrbg;
use super::group::{Group, padded};
use super::key::{Element, InvalidSecret, VerifyingKey, is_element};
use crate::bigint::{Residue, inverse_vartime};
use crate::codec::Writer;
use crate::kdf::{Label, hash, label};
use crate::memcheck::{declassify, declassify_flag};
use crate::random::{self, Random};
use crate::secret::{SecretBytes, ct_eq};

/// How many more bits than q a number has that is drawn to be reduced mod q:
/// its distance from uniform is below 2^-128 then.
const EXTRA_BITS: usize = 128;

/// A signing exponent may be this much shorter than q, no more: one that is
/// short by design could be computed from a signature or two.
const MISSING_BITS: usize = 64;

/// How many bytes each of the two numbers has that a signature is checked with:
/// what is wrong passes with a probability of 2^-64.
const CHECK_BYTES: usize = 8;

/// How often a signature is tried. One in 2^2000 does not succeed at once
/// unless the computer computes wrongly.
const ATTEMPTS: u32 = 4;

/// A signature that does not belong to this key, domain and message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidSignature;

impl fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not valid")
    }
}

impl std::error::Error for InvalidSignature {}

impl VerifyingKey {
    /// Checks a signature on all of `message`, one part after the other, made
    /// for the use that `domain` names. Variable time.
    ///
    /// # Errors
    /// [`InvalidSignature`] if it is not one.
    pub fn verify(
        &self,
        domain: Label,
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let len = self.group().element_len();
        let (r_bytes, s_bytes) = signature.split_at_checked(len).ok_or(InvalidSignature)?;
        let r = BigUint::from_bytes_be(r_bytes);
        let s = BigUint::from_bytes_be(s_bytes);
        let e = BigUint::from_bytes_be(&self.hash(domain, r_bytes, message));
        if self.is_well_formed(&r, s_bytes) && self.satisfies(&e, &r, &s) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    /// The checks that do not need the message: 1 to 4.
    fn is_well_formed(&self, r: &BigUint, s_bytes: &[u8]) -> bool {
        let (p, q) = (self.group().p(), self.group().q().value());
        let s = BigUint::from_bytes_be(s_bytes);
        s_bytes.len() == self.group().element_len()
            && !(r % q).is_zero()
            && !s.is_zero()
            && s < *q
            && is_element(p, r)
    }

    /// The last two checks: e mod q is not 0, and 2^e = y^r r^s mod p.
    pub(super) fn satisfies(&self, e: &BigUint, r: &BigUint, s: &BigUint) -> bool {
        !(e % self.group().q().value()).is_zero() && self.equation_holds(e, r, s)
    }

    /// 2^e = y^r r^s mod p.
    pub(super) fn equation_holds(&self, e: &BigUint, r: &BigUint, s: &BigUint) -> bool {
        let p = self.group().p();
        let left = p.pow_fixed_vartime(self.group().generator(), e);
        left == p.double_pow_vartime(&self.0.value(), r, r, s)
    }

    /// What is signed: domain, group, key, r (where there is one yet), message.
    pub(super) fn hash(&self, domain: Label, r: &[u8], message: &[&[u8]]) -> [u8; 64] {
        let domain = domain.encoded();
        let len = Writer::new().u32(total_len(message)).finish();
        let mut parts: Vec<&[u8]> = vec![&domain, self.group().id(), self.as_bytes(), r, &len];
        parts.extend_from_slice(message);
        hash(&parts)
    }
}

#[expect(clippy::expect_used, reason = "frames end far below 4 GiB")]
fn total_len(message: &[&[u8]]) -> u32 {
    let len: usize = message.iter().map(|part| part.len()).sum();
    u32::try_from(len).expect("a message of less than 4 GiB")
}

/// A signing exponent x, uniform below q, with its verifying key.
pub struct SignSecret {
    x: Residue,
    verifying_key: VerifyingKey,
}

impl SignSecret {
    /// A fresh one. Constant time in it.
    pub fn generate(group: &Group, random: &mut dyn Random) -> Self {
        loop {
            let x = group.q().reduce_wide(wide(group, random).expose());
            if is_long_enough(group, &x) {
                return Self::of(group, x);
            }
        }
    }

    /// The secret that [`to_bytes`](Self::to_bytes) gave: L bytes. Constant
    /// time in it.
    ///
    /// # Errors
    /// [`InvalidSecret`] if there are not exactly L bytes, if the number is not
    /// below q, or if it is more than 64 bits shorter than q.
    pub fn from_bytes(group: &Group, bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let x = group.q().reduce_wide(bytes);
        let reduced = x.to_be_bytes(group.element_len());
        if ct_eq(reduced.expose(), bytes) && is_long_enough(group, &x) {
            Ok(Self::of(group, x))
        } else {
            Err(InvalidSecret)
        }
    }

    /// The exponent in L big-endian bytes.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        self.x.to_be_bytes(self.group().element_len())
    }

    /// The key that checks what this one signs.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Signs all of `message`, one part after the other, for the use that
    /// `domain` names: 2L bytes. Constant time in the secret.
    ///
    /// The signature is checked before it is returned, since a wrong one (a
    /// flipped bit, a provoked fault) may give the secret away.
    ///
    /// # Panics
    /// If no attempt verifies: the hardware is broken.
    #[expect(clippy::panic, reason = "hardware that cannot compute must not sign")]
    pub fn sign(&self, domain: Label, message: &[&[u8]], random: &mut dyn Random) -> Vec<u8> {
        for _ in 0..ATTEMPTS {
            if let Some(signature) = self.attempt(domain, message, random) {
                return signature;
            }
        }
        panic!("this computer makes wrong signatures: {ATTEMPTS} of {ATTEMPTS}");
    }

    /// One signature; nothing if k or the blinding is 0, or if it is wrong.
    fn attempt(
        &self,
        domain: Label,
        message: &[&[u8]],
        random: &mut dyn Random,
    ) -> Option<Vec<u8>> {
        let (group, q) = (self.group(), self.group().q());
        let (k, z) = self.nonce(domain, message, random);
        let r = Element::power(group, &q.lengthen(&k), q.bits() + 1);
        let e = self.verifying_key.hash(domain, r.as_bytes(), message);

        // s = (t e - t x r) / (t k) with a random t: only the blinded product
        // t k leaves the constant-time arithmetic.
        let t = q.reduce_wide(wide(group, random).expose());
        let txr = q.mul(&q.mul(&t, &self.x), &q.reduce_wide(r.as_bytes()));
        let te = q.mul(&t, &q.reduce_wide(&e));
        let inverse = inverse_vartime(&q.mul(&t, &k).reveal_vartime(), q.value())?;
        let s = q.mul(&q.sub(&te, &txr), &q.residue_vartime(&inverse));

        let mut signature = r.as_bytes().to_vec();
        signature.extend(padded(&s.reveal_vartime(), group.element_len()));
        let e = BigUint::from_bytes_be(&self.verifying_key.hash(domain, r.as_bytes(), message));
        self.is_right(&k, &z, &e, &signature).then_some(signature)
    }

    /// Whether a signature just made with the nonce k is valid, without an
    /// exponentiation as long as a verification's. From y = 2^x, r = 2^k and
    /// e = k s + x r mod q follows what a verifier checks, 2^e = y^r r^s.
    ///
    /// The first two hold if y^z1 r^z2 = 2^(x z1 + k z2), for numbers z1 and z2
    /// of 64 bits that nobody can foresee: were one of them wrong, at most one
    /// z2 would hide it. (Batch verification: M. Bellare, J. Garay and T. Rabin,
    /// Fast Batch Verification for Modular Exponentiation and Digital
    /// Signatures, 1998.)
    ///
    /// Constant time in x and k. How long y^z1 r^z2 takes tells something of z1
    /// and z2, which is of no use.
    fn is_right(&self, k: &Residue, z: &SecretBytes, e: &BigUint, signature: &[u8]) -> bool {
        let (group, p, q) = (self.group(), self.group().p(), self.group().q());
        let (r_bytes, s_bytes) = signature.split_at(group.element_len());
        let (r, y) = (BigUint::from_bytes_be(r_bytes), &self.verifying_key.0);
        let ks = q.mul(k, &q.reduce_wide(s_bytes));
        let xr = q.mul(&self.x, &q.reduce_wide(r_bytes));
        let rest = q.sub(&q.residue_vartime(e), &q.add(&ks, &xr));

        let (z1, z2) = z.expose().split_at(CHECK_BYTES);
        let xz1 = q.mul(&self.x, &q.reduce_wide(z1));
        let kz2 = q.mul(k, &q.reduce_wide(z2));
        let exponent = q.lengthen(&q.add(&xz1, &kz2));
        let expected = Element::power(group, &exponent, q.bits() + 1).value();
        let [z1, z2] = [z1, z2].map(|z| {
            let mut z = z.to_vec();
            declassify(&mut z);
            BigUint::from_bytes_be(&z)
        });
        self.verifying_key.is_well_formed(&r, s_bytes)
            && !(e % q.value()).is_zero()
            && rest.reveal_vartime().is_zero()
            && p.double_pow_vartime(&y.value(), &z1, &r, &z2) == expected
    }

    /// k, from the secret, what is signed, and fresh bytes: unpredictable if
    /// either the secret or the bytes are, different for different messages
    /// even if the bytes repeat. As in RFC 6979 but from 128 bits more than q
    /// has, then reduced, so that no bias is left. With it come z1 and z2 for
    /// the check of the signature, eight bytes each that nobody can foresee.
    fn nonce(
        &self,
        domain: Label,
        message: &[&[u8]],
        random: &mut dyn Random,
    ) -> (Residue, SecretBytes) {
        let fresh = random::secret::<32>(random);
        let digest = self.verifying_key.hash(domain, &[], message);
        let drbg = HmacDrbg::new(&[
            self.to_bytes().expose(),
            &digest,
            fresh.expose(),
            &label::SIGN_NONCE.encoded(),
        ]);
        let len = wide_len(self.group());
        let bytes = drbg.generate(len + 2 * CHECK_BYTES);
        let (k, z) = bytes.expose().split_at(len);
        let k = self.group().q().reduce_wide(k);
        (k, SecretBytes::copy_of(z))
    }

    fn of(group: &Group, x: Residue) -> Self {
        let y = Element::power(group, x.as_uint(), group.q().bits());
        Self {
            x,
            verifying_key: VerifyingKey(y),
        }
    }

    const fn group(&self) -> &Group {
        self.verifying_key.group()
    }
}

fn is_long_enough(group: &Group, x: &Residue) -> bool {
    // It is of every secret that there is.
    declassify_flag(x.as_uint().has_bits(group.q().bits() - MISSING_BITS))
}

/// Random bytes that may be reduced mod q.
fn wide(group: &Group, random: &mut dyn Random) -> SecretBytes {
    let mut bytes = SecretBytes::new(vec![0; wide_len(group)]);
    random.fill(bytes.expose_mut());
    bytes
}

/// How many bytes are drawn to be reduced mod q.
fn wide_len(group: &Group) -> usize {
    (group.q().bits() + EXTRA_BITS).div_ceil(8)
}

impl fmt::Debug for SignSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignSecret({:?}, ..)", self.group())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;
    use crate::testing::Repeating;

    #[test]
    #[should_panic = "wrong signatures"]
    fn a_wrong_signature_is_never_released() {
        let group = Group::ffdhe2048();
        let mut secret = SignSecret::generate(&group, &mut OsRandom);
        // As a fault in memory would: the exponent is no longer the key's.
        secret.x = group.q().residue_vartime(&BigUint::from(3u32));
        let _ = secret.sign(label::SIG_M1, &[b"message"], &mut OsRandom);
    }

    #[test]
    fn a_nonce_is_as_long_as_the_order() {
        let group = Group::ffdhe2048();
        let secret = SignSecret::generate(&group, &mut OsRandom);
        for _ in 0..20 {
            let (k, _) = secret.nonce(label::SIG_M1, &[b"message"], &mut OsRandom);
            assert!(is_long_enough(&group, &k));
        }
    }

    #[test]
    fn the_signer_releases_only_what_everybody_accepts() {
        let group = Group::ffdhe2048();
        let secret = SignSecret::generate(&group, &mut OsRandom);
        let len = group.element_len();
        let (p, q) = (group.p().value(), group.q());
        let message: [&[u8]; 1] = [b"message"];
        let (k, z) = secret.nonce(label::SIG_M1, &message, &mut Repeating(7));
        let signature = secret
            .attempt(label::SIG_M1, &message, &mut Repeating(7))
            .unwrap();
        let e = BigUint::from_bytes_be(&secret.verifying_key.hash(
            label::SIG_M1,
            &signature[..len],
            &message,
        ));
        assert!(secret.is_right(&k, &z, &e, &signature));
        for position in [0, 1, len / 2, len - 1, len, len + 1, 2 * len - 1] {
            let mut wrong = signature.clone();
            wrong[position] ^= 1;
            assert!(!secret.is_right(&k, &z, &e, &wrong), "byte {position}");
        }
        assert!(!secret.is_right(&k, &z, &(&e + 1u32), &signature));
        // An r that is not 2^k, or an e of 0, and what solves the equation then.
        let inverse = k.reveal_vartime().modinv(q.value()).unwrap();
        let solved = |r: &BigUint, e: &BigUint| {
            let xr = q.mul(&secret.x, &q.residue_vartime(r));
            let difference = q.sub(&q.residue_vartime(e), &xr);
            let s = q.mul(&difference, &q.residue_vartime(&inverse));
            [padded(r, len), padded(&s.reveal_vartime(), len)].concat()
        };
        let r = BigUint::from_bytes_be(&signature[..len]);
        assert_eq!(solved(&r, &e), signature);
        assert!(!secret.is_right(&k, &z, &BigUint::ZERO, &solved(&r, &BigUint::ZERO)));
        let other = r * 4u32 % p;
        assert!(!secret.is_right(&k, &z, &e, &solved(&other, &e)));
    }

    #[test]
    fn a_loaded_secret_has_the_same_public_key() {
        for group in [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()] {
            let secret = SignSecret::generate(&group, &mut OsRandom);
            let loaded = SignSecret::from_bytes(&group, secret.to_bytes().expose()).unwrap();
            assert_eq!(loaded.verifying_key(), secret.verifying_key());
            let signature = loaded.sign(label::SIG_M1, &[b"message"], &mut OsRandom);
            let key = VerifyingKey::from_bytes(&group, secret.verifying_key().as_bytes()).unwrap();
            assert_eq!(key.verify(label::SIG_M1, &[b"message"], &signature), Ok(()));
        }
    }
}
