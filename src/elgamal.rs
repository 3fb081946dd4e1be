//! ElGamal over safe-prime groups: signatures and key encapsulation.
//!
//! A [`Group`] is a prime p with q = (p - 1)/2 prime as well and p = 7 mod 8,
//! so that 2 generates the subgroup of order q, the squares. L is the length
//! of p in bytes: 256, 384 or 512. Numbers on the wire have exactly L bytes.
//!
//! - Signing key x, verifying key y = 2^x. A signature (r, s) has r = 2^k and
//!   s = (e - x r)/k mod q, where e hashes message, key and r; it is valid if
//!   2^e = y^r r^s mod p ([`SignSecret`], [`VerifyingKey`]; [`sign`] says why
//!   every check is there). This is ElGamal's signature as D. Pointcheval and
//!   J. Stern proved it secure (Security Arguments for Digital Signatures and
//!   Blind Signatures, 2000).
//! - Encapsulation to a public element y: draw b, send c = 2^b, share y^b
//!   ([`KemSecret`], [`SharedSecret`]). Its exponents are short, which only a
//!   safe-prime group allows and only where nothing is signed with them: the
//!   two kinds of secret are two types, and nothing turns one into the other.
//!
//! What comes from outside becomes a [`Group`], an [`Element`] or a
//! [`VerifyingKey`] only by passing every check. So does the prime of a group
//! that [`Group::generate`] makes.

#[cfg(test)]
mod attacks;
mod drbg;
pub mod generate;
mod group;
mod kem;
mod key;
pub mod sign;

pub use group::{Group, GroupError};
pub use kem::{KemSecret, SharedSecret};
pub use key::{Element, InvalidElement, InvalidSecret, VerifyingKey};
pub use sign::{InvalidSignature, SignSecret};
