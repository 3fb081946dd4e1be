//! A modulus at work: the kernel it uses, with room to compute.

use super::kernel::Prepared;
use super::kernel::portable::{self, Portable};
#[cfg(target_arch = "x86_64")]
use super::kernel::{adx::Adx, ifma};
use super::montgomery::Modulus;
use super::numbers::Numbers;
use super::uint::SecretUint;

/// Computes on numbers in the Montgomery form of a modulus's kernel: slices of
/// [`words`](Self::words) words that only this engine understands. Nothing
/// but making it, entering and leaving allocates. Constant time in all numbers.
pub(super) struct Engine<'a> {
    modulus: &'a Modulus,
    scratch: Numbers,
}

impl<'a> Engine<'a> {
    pub(super) fn new(modulus: &'a Modulus) -> Self {
        let mut engine = Self {
            modulus,
            scratch: Numbers::zero(0),
        };
        engine.scratch = Numbers::zero(2 * engine.words());
        engine
    }

    /// The modulus.
    pub(super) const fn modulus(&self) -> &'a Modulus {
        self.modulus
    }

    /// How many words a number takes.
    pub(super) fn words(&self) -> usize {
        match &self.modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => ifma.words(),
            _ => self.modulus.limbs.len(),
        }
    }

    /// Room for `count` numbers.
    pub(super) fn numbers(&self, count: usize) -> Numbers {
        Numbers::zero(count * self.words())
    }

    /// One, in Montgomery form.
    pub(super) fn one(&self) -> &'a [u64] {
        match &self.modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => ifma.one(),
            _ => &self.modulus.one,
        }
    }

    /// `out = a * b`.
    pub(super) fn multiply(&mut self, out: &mut [u64], a: &[u64], b: &[u64]) {
        let modulus = self.modulus;
        match &modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => ifma.multiply(out, a, b),
            Prepared::Portable => {
                let (n, inverse) = (&modulus.limbs, modulus.negative_inverse);
                portable::montgomery_mul::<Portable>(out, a, b, n, inverse, &mut self.scratch);
            }
            #[cfg(target_arch = "x86_64")]
            Prepared::Adx => {
                let (n, inverse) = (&modulus.limbs, modulus.negative_inverse);
                portable::montgomery_mul::<Adx>(out, a, b, n, inverse, &mut self.scratch);
            }
        }
    }

    /// `value = value^2`.
    pub(super) fn square(&mut self, value: &mut [u64]) {
        let modulus = self.modulus;
        match &modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => ifma.square(value, &mut self.scratch),
            Prepared::Portable => {
                let (n, inverse) = (&modulus.limbs, modulus.negative_inverse);
                portable::montgomery_square::<Portable>(value, n, inverse, &mut self.scratch);
            }
            #[cfg(target_arch = "x86_64")]
            Prepared::Adx => {
                let (n, inverse) = (&modulus.limbs, modulus.negative_inverse);
                portable::montgomery_square::<Adx>(value, n, inverse, &mut self.scratch);
            }
        }
    }

    /// `out = table[index]`; reads the whole table.
    pub(super) fn select(&self, out: &mut [u64], table: &[u64], index: u64) {
        match &self.modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => ifma.select(out, table, index),
            _ => portable::select(out, table, index),
        }
    }

    /// `out`, in Montgomery form, from the limbs of a number below n.
    pub(super) fn enter(&mut self, out: &mut [u64], limbs: &[u64]) {
        match &self.modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => {
                let mut digits = self.numbers(1);
                ifma::digits_from_limbs(&mut digits, limbs);
                ifma.multiply(out, &digits, ifma.r_squared());
            }
            _ => self.multiply(out, limbs, &self.modulus.r_squared),
        }
    }

    /// The limbs of `value`, out of Montgomery form: below n.
    pub(super) fn leave(&mut self, value: &[u64]) -> SecretUint {
        let mut one = self.numbers(1);
        one[0] = 1;
        let mut left = self.modulus.zero();
        match &self.modulus.kernel {
            #[cfg(target_arch = "x86_64")]
            Prepared::Ifma(ifma) => {
                let mut digits = self.numbers(1);
                ifma.multiply(&mut digits, value, &one);
                ifma::limbs_from_digits(left.limbs_mut(), &digits);
                // What is below 2n was made at most n.
                portable::subtract_once(left.limbs_mut(), 0, &self.modulus.limbs);
            }
            _ => self.multiply(left.limbs_mut(), value, &one),
        }
        left
    }
}
