//! Inverses.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::One;

use super::gcd::{Round, is_one, negate, shorten};
use super::montgomery::inverse_mod_limb;

/// The inverse of a mod n, below n, if n is odd and above 1 and the two have no
/// common factor. Variable time: both must be public.
///
/// Along with a and n, u and v are kept with a = u a' and b = v a' mod n, where
/// a' is the number given.
#[must_use]
pub fn inverse_vartime(a: &BigUint, n: &BigUint) -> Option<BigUint> {
    if !n.bit(0) || n.is_one() {
        return None;
    }
    let limbs = n.to_u64_digits();
    let negative_inverse = inverse_mod_limb(limbs[0]).wrapping_neg();
    let mut b = limbs.clone();
    let mut a = (a % n).to_u64_digits();
    a.resize(b.len(), 0);
    let (mut u, mut v) = (vec![0; b.len() + 1], vec![0; b.len() + 1]);
    u[0] = 1;
    while a.iter().any(|&limb| limb != 0) {
        let round = Round::run(&a, &b);
        let (negate_u, negate_v) = round.apply(&mut a, &mut b);
        round.apply_mod(&mut u, &mut v, &limbs, negative_inverse);
        if negate_u {
            negate(&mut u);
        }
        if negate_v {
            negate(&mut v);
        }
        shorten(&mut a, &mut b);
    }
    let bytes: Vec<u8> = v.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    let inverse = BigInt::from_signed_bytes_le(&bytes).mod_floor(&n.clone().into());
    is_one(&b).then(|| inverse.magnitude().clone())
}
