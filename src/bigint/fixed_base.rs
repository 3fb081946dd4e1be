//! Powers of a public base that stays the same, with tables.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use num_bigint::BigUint;

use super::engine::Engine;
use super::montgomery::{Modulus, Residue};
use super::numbers::Numbers;
use super::pow::bits_at;
use super::uint::SecretUint;

/// How the bits of an exponent are dealt with.
#[derive(Clone, Copy)]
struct Shape {
    /// Bits that one multiplication deals with.
    teeth: usize,
    /// How far these bits are apart, and how many squarings a power takes.
    spacing: usize,
}

impl Shape {
    /// What was fastest. Where multiplications are cheap, reading the tables
    /// weighs more, so that smaller ones are worth some multiplications; not at
    /// 3072 bits, where the larger ones fit exponents just so.
    const fn of(modulus: &Modulus) -> Self {
        let (teeth, spacing) = match modulus.bits() {
            ..=2048 | 4096.. if modulus.kernel.is_ifma() => (5, 26),
            _ => (6, 32),
        };
        Self { teeth, spacing }
    }

    /// Bits of the exponent that one table deals with.
    const fn block(self) -> usize {
        self.teeth * self.spacing
    }

    /// Powers that one table holds.
    const fn entries(self) -> usize {
        1 << self.teeth
    }
}

/// A public base with tables of its powers, for one modulus. The tables are
/// made when the powers computed without them have cost as much as making them
/// does, so that a base which is hardly used costs nothing.
pub struct FixedBase {
    base: BigUint,
    /// Bits of exponents dealt with before there were tables.
    spent: AtomicUsize,
    tables: OnceLock<Numbers>,
}

impl FixedBase {
    /// A base without tables, so far.
    #[must_use]
    pub const fn new(base: BigUint) -> Self {
        Self {
            base,
            spent: AtomicUsize::new(0),
            tables: OnceLock::new(),
        }
    }

    /// The base itself.
    #[must_use]
    pub const fn base(&self) -> &BigUint {
        &self.base
    }

    /// The tables, where an exponent of so many bits is worth it.
    fn tables(&self, modulus: &Modulus, exponent_bits: usize) -> Option<&Numbers> {
        if exponent_bits > modulus.bits() {
            return None;
        }
        if self.tables.get().is_none() {
            let spent = self.spent.fetch_add(exponent_bits, Ordering::Relaxed);
            if spent < modulus.bits() {
                return None;
            }
        }
        Some(self.tables.get_or_init(|| make_tables(modulus, &self.base)))
    }
}

impl Modulus {
    /// As [`pow`](Self::pow) for a base always used with this modulus: constant
    /// time in the exponent, four times as fast from the second full-size
    /// exponent on.
    ///
    /// The exponent is cut into blocks, each with a table of the products of
    /// the base's powers to 2^(spacing i), i below the number of teeth, and all
    /// blocks share their squarings (C. H. Lim and P. J. Lee, More Flexible
    /// Exponentiation with Precomputation, 1994). Every look-up reads a whole
    /// table.
    #[must_use]
    pub fn pow_fixed(
        &self,
        base: &FixedBase,
        exponent: &SecretUint,
        exponent_bits: usize,
    ) -> Residue {
        let Some(tables) = base.tables(self, exponent_bits) else {
            return self.pow(&self.residue_vartime(&base.base), exponent, exponent_bits);
        };
        let shape = Shape::of(self);
        let mut engine = Engine::new(self);
        let mut factor = engine.numbers(1);
        let mut product = engine.numbers(1);
        let mut power = engine.numbers(1);
        power.copy_from_slice(engine.one());
        for column in (0..shape.spacing).rev() {
            engine.square(&mut power);
            let blocks = tables.chunks_exact(shape.entries() * engine.words());
            for (start, table) in (0..exponent_bits).step_by(shape.block()).zip(blocks) {
                let positions = (start + column..exponent_bits).step_by(shape.spacing);
                let index = (0..shape.teeth)
                    .zip(positions)
                    .fold(0, |index, (tooth, position)| {
                        index | bits_at(exponent.limbs(), position, 1) << tooth
                    });
                engine.select(&mut factor, table, index);
                engine.multiply(&mut product, &power, &factor);
                std::mem::swap(&mut power, &mut product);
            }
        }
        Residue(engine.leave(&power))
    }

    /// As [`pow_vartime`](Self::pow_vartime) for a base always used with this
    /// modulus. Variable time: the exponent must be public.
    #[must_use]
    pub fn pow_fixed_vartime(&self, base: &FixedBase, exponent: &BigUint) -> BigUint {
        let exponent_bits = usize::try_from(exponent.bits()).unwrap_or(usize::MAX);
        let Some(tables) = base.tables(self, exponent_bits) else {
            return self.pow_vartime(&base.base, exponent);
        };
        let shape = Shape::of(self);
        let mut engine = Engine::new(self);
        let len = engine.words();
        let mut product = engine.numbers(1);
        let mut power = engine.numbers(1);
        power.copy_from_slice(engine.one());
        for column in (0..shape.spacing).rev() {
            engine.square(&mut power);
            let blocks = tables.chunks_exact(shape.entries() * len);
            for (start, table) in (0..exponent_bits).step_by(shape.block()).zip(blocks) {
                let positions = (start + column..exponent_bits).step_by(shape.spacing);
                let index = (0..shape.teeth)
                    .zip(positions)
                    .fold(0, |index, (tooth, position)| {
                        index | usize::from(exponent.bit(position as u64)) << tooth
                    });
                if index != 0 {
                    engine.multiply(&mut product, &power, &table[index * len..][..len]);
                    std::mem::swap(&mut power, &mut product);
                }
            }
        }
        Residue(engine.leave(&power)).reveal_vartime()
    }
}

/// One table for each block of an exponent as long as the modulus. Entry e of a
/// table is the product of the block's powers whose bits are set in e.
fn make_tables(modulus: &Modulus, base: &BigUint) -> Numbers {
    let shape = Shape::of(modulus);
    let mut engine = Engine::new(modulus);
    let len = engine.words();
    let mut tables = engine.numbers(shape.entries() * modulus.bits().div_ceil(shape.block()));
    let mut power = engine.numbers(1);
    engine.enter(&mut power, modulus.residue_vartime(base).0.limbs());
    for table in tables.chunks_exact_mut(shape.entries() * len) {
        table[..len].copy_from_slice(engine.one());
        for tooth in 0..shape.teeth {
            let (lower, upper) = table.split_at_mut(len << tooth);
            for (without, with) in lower.chunks_exact(len).zip(upper.chunks_exact_mut(len)) {
                engine.multiply(with, without, &power);
            }
            for _ in 0..shape.spacing {
                engine.square(&mut power);
            }
        }
    }
    tables
}

impl fmt::Debug for FixedBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.tables.get().is_some() {
            "with"
        } else {
            "without"
        };
        write!(f, "FixedBase({}, {state} tables)", self.base)
    }
}
