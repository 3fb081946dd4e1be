//! What comes from outside and must lie in the group: public keys,
//! ciphertexts, ephemerals.

use std::fmt;

use num_bigint::BigUint;
use num_traits::One;

use super::group::Group;
use crate::bigint::{Modulus, SecretUint, jacobi_vartime};
use crate::memcheck::declassify;

/// A number that is not an element of the group other than 1, or not written
/// in exactly L bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidElement;

impl fmt::Display for InvalidElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an element of the group")
    }
}

impl std::error::Error for InvalidElement {}

/// Bytes that are no secret key of the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidSecret;

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a secret key of the group")
    }
}

impl std::error::Error for InvalidSecret {}

/// An element of a group, never 1: an encryption key, a ciphertext or an
/// ephemeral. Whoever holds one knows that all checks were made.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Element {
    group: Group,
    bytes: Box<[u8]>,
}

impl Element {
    /// The element that `bytes` stand for. They must be exactly L, so that no
    /// element has two names; 1 < v < p - 1, since those two have order 1 and
    /// 2; and v a square mod p, since what is not tells whoever sent it the
    /// lowest bit of the secret exponent it is raised to. Variable time.
    ///
    /// # Errors
    /// [`InvalidElement`] if one of these does not hold.
    pub fn from_bytes(group: &Group, bytes: &[u8]) -> Result<Self, InvalidElement> {
        let value = BigUint::from_bytes_be(bytes);
        if bytes.len() == group.element_len() && is_element(group.p(), &value) {
            Ok(Self {
                group: group.clone(),
                bytes: bytes.into(),
            })
        } else {
            Err(InvalidElement)
        }
    }

    /// The element in L big-endian bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The group it belongs to.
    #[must_use]
    pub const fn group(&self) -> &Group {
        &self.group
    }

    /// The element as a number.
    pub(super) fn value(&self) -> BigUint {
        BigUint::from_bytes_be(&self.bytes)
    }

    /// The generator to the power of the lowest `bits` bits of a secret
    /// exponent that is not 0 mod q. Constant time in the exponent.
    pub(super) fn power(group: &Group, exponent: &SecretUint, bits: usize) -> Self {
        let power = group.p().pow_fixed(group.generator(), exponent, bits);
        let mut bytes: Box<[u8]> = power.to_be_bytes(group.element_len()).expose().into();
        // An element is what the other side gets to see.
        declassify(&mut bytes);
        Self {
            group: group.clone(),
            bytes,
        }
    }

    /// Anything as an element, for tests of what it would allow.
    #[cfg(test)]
    pub(crate) fn unchecked(group: &Group, bytes: &[u8]) -> Self {
        Self {
            group: group.clone(),
            bytes: bytes.into(),
        }
    }
}

/// Whether 1 < v < p - 1 and v is a square.
pub(super) fn is_element(p: &Modulus, value: &BigUint) -> bool {
    !value.is_one() && *value < p.value() - 1u32 && jacobi_vartime(value, p.value()) == 1
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({:?}, ", self.group)?;
        for byte in &self.bytes[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..)")
    }
}

/// A key that checks signatures. It obeys the same rules as an [`Element`] and
/// is none: a key that signs never encrypts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyingKey(pub(super) Element);

impl VerifyingKey {
    /// The verifying key that `bytes` stand for, under the rules of
    /// [`Element::from_bytes`]: with 1 or p - 1 for a key anyone could sign,
    /// and p - y would check some of the signatures that y does.
    ///
    /// # Errors
    /// [`InvalidElement`] if one of the rules does not hold.
    pub fn from_bytes(group: &Group, bytes: &[u8]) -> Result<Self, InvalidElement> {
        Element::from_bytes(group, bytes).map(Self)
    }

    /// The key in L big-endian bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The group it belongs to.
    #[must_use]
    pub const fn group(&self) -> &Group {
        self.0.group()
    }
}
