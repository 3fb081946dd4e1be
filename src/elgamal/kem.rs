//! Key encapsulation: c = 2^b for a fresh b, shared secret y^b = c^a.

use std::fmt;

use super::group::Group;
use super::key::{Element, InvalidSecret};
use crate::bigint::SecretUint;
use crate::random::Random;
use crate::secret::SecretBytes;

/// A secret exponent that agrees on shared secrets, with its public element.
/// Certified keys, prekeys and ephemerals are all of this kind: to encapsulate
/// to y, generate one, send [`public`](Self::public), [`agree`](Self::agree)
/// with y.
///
/// The exponent has exactly 256, 320 or 384 bits in groups of 2048, 3072 and
/// 4096. In a group that has small subgroups so short an exponent could be
/// pieced together; a [`Group`] has passed the checks that exclude them.
pub struct KemSecret {
    exponent: SecretUint,
    public: Element,
}

impl KemSecret {
    /// A fresh one. Constant time in it.
    pub fn generate(group: &Group, random: &mut dyn Random) -> Self {
        let mut bytes = SecretBytes::new(vec![0; group.short_exponent_bits() / 8]);
        random.fill(bytes.expose_mut());
        bytes.expose_mut()[0] |= 0x80;
        Self::of(group, &bytes)
    }

    /// The secret that [`to_bytes`](Self::to_bytes) gave: 32, 40 or 48 bytes.
    /// Constant time in it.
    ///
    /// # Errors
    /// [`InvalidSecret`] if the number does not have exactly the group's bits.
    pub fn from_bytes(group: &Group, bytes: &[u8]) -> Result<Self, InvalidSecret> {
        if bytes.len() != group.short_exponent_bits() / 8 || bytes[0] < 0x80 {
            return Err(InvalidSecret);
        }
        Ok(Self::of(group, &SecretBytes::copy_of(bytes)))
    }

    /// The exponent in 32, 40 or 48 big-endian bytes.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        self.exponent.to_be_bytes(self.bits() / 8)
    }

    /// What may be known to everyone: the generator to the secret's power.
    #[must_use]
    pub const fn public(&self) -> &Element {
        &self.public
    }

    /// Their element to the power of our secret. Constant time in the secret
    /// and in the result.
    ///
    /// # Panics
    /// If the two are of different groups. Whoever made the element chose the
    /// group, so no peer can lead there.
    #[must_use]
    pub fn agree(&self, theirs: &Element) -> SharedSecret {
        let group = self.public.group();
        assert!(group == theirs.group(), "an element of another group");
        let base = group.p().reduce_wide(theirs.as_bytes());
        let power = group.p().pow(&base, &self.exponent, self.bits());
        SharedSecret(power.to_be_bytes(group.element_len()))
    }

    fn of(group: &Group, bytes: &SecretBytes) -> Self {
        let exponent = SecretUint::from_be_bytes(bytes.expose());
        let public = Element::power(group, &exponent, group.short_exponent_bits());
        Self { exponent, public }
    }

    fn bits(&self) -> usize {
        self.public.group().short_exponent_bits()
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemSecret({:?}, ..)", self.public.group())
    }
}

/// What both sides of an encapsulation know: always L bytes. Leading zeros
/// stay, since a hash whose input is shorter now and then tells by its
/// duration when the secret begins with zeros, which is enough to find it
/// (R. Merget and others, Raccoon Attack, 2021).
#[derive(Debug)]
pub struct SharedSecret(SecretBytes);

impl SharedSecret {
    /// The L bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}
