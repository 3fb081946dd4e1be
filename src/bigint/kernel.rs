//! The inner loops. What lies here works on bare limbs or digits, least
//! significant first, in time that depends on their number only, and allocates
//! nothing.
//!
//! The portable kernel is always built and is what every other one must equal
//! bit for bit. `unsafe` stands only in the kernels of one processor.

#[cfg(target_arch = "x86_64")]
pub(super) mod adx;
#[cfg(target_arch = "x86_64")]
pub(super) mod ifma;
pub(super) mod portable;

use num_bigint::BigUint;

/// Which inner loops compute powers. All give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// Safe Rust for every processor.
    Portable,
    /// The BMI2 and ADX instructions of x86-64.
    Adx,
    /// The AVX-512 IFMA instructions of x86-64, for moduli from 1025 to 4096
    /// bits; smaller ones are left to the others.
    Ifma,
}

impl Kernel {
    /// The fastest one that this processor has.
    #[must_use]
    pub fn fastest() -> Self {
        let by_speed = [Self::Ifma, Self::Adx];
        let here = by_speed.into_iter().find(|kernel| kernel.is_here());
        here.unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Adx => adx::is_here(),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => ifma::is_here(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Adx | Self::Ifma => false,
        }
    }
}

/// A kernel, with what it needs of one modulus beyond what the portable one
/// does.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Adx,
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::Modulus),
}

impl Prepared {
    /// Whether multiplications are cheap beside reading tables.
    pub(super) const fn is_ifma(&self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(_) => true,
            _ => false,
        }
    }

    /// For an odd modulus; a slower kernel where `kernel` cannot.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "the portable kernel needs no more")
    )]
    pub(super) fn new(kernel: Kernel, n: &BigUint) -> Self {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma => {
                ifma::Modulus::new(n).map_or_else(|| Self::new(Kernel::Adx, n), Self::Ifma)
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Adx if adx::is_here() => Self::Adx,
            _ => Self::Portable,
        }
    }
}
