//! Arithmetic on numbers of some thousand bits.
//!
//! Secret numbers live here and nowhere else: on 64-bit limbs (least
//! significant first) whose count is public, wiped on drop, computed on in
//! time that depends on sizes only. Public numbers are [`num_bigint::BigUint`].
//! Every function says what its time is constant in, or its name ends in
//! `_vartime` and all its inputs must be public.
//!
//! - [`SecretUint`]: a secret number of a fixed number of limbs.
//! - [`Modulus`]: an odd public modulus n with its Montgomery constants
//!   (P. Montgomery, Modular multiplication without trial division, 1985).
//! - [`Residue`]: a secret number below some modulus.
//! - [`Modulus::pow`]: exponentiation with a secret exponent.
//! - [`Modulus::pow_vartime`], [`Modulus::double_pow_vartime`]: with public
//!   ones; the second computes a product of two powers in one go.
//! - [`FixedBase`]: a public base whose powers are computed with tables.
//! - [`Kernel`]: the inner loops that powers are computed with, the fastest that
//!   the processor has unless one is named.
//! - [`jacobi_vartime`]: the Jacobi symbol; [`inverse_vartime`]: inverses.
//! - [`is_probable_prime_vartime`] is Miller-Rabin.

mod engine;
mod fixed_base;
mod gcd;
mod inverse;
mod jacobi;
mod kernel;
mod montgomery;
mod multi_exp;
mod numbers;
mod pow;
mod prime;
mod uint;

pub use fixed_base::FixedBase;
pub use inverse::inverse_vartime;
pub use jacobi::jacobi_vartime;
pub use kernel::Kernel;
pub use montgomery::{Modulus, Residue};
pub use prime::is_probable_prime_vartime;
pub use uint::SecretUint;

/// The widest modulus, in bits.
pub const MAX_BITS: usize = 4096;
