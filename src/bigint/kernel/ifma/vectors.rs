//! The IFMA kernel's arithmetic on vectors of eight digits.
//!
//! A row of a product is one digit times a whole number. Rows whose digits
//! stand at the same place in their vectors need no shift against each other.
//! So the eight places are taken from the highest to the lowest, and the sum is
//! shifted by one digit between them (Horner's rule): one shift instead of one
//! for each row.
//!
//! The reduction is not digit by digit, where each waits for the one before,
//! but whole: q = -T/n mod R from the lower half of a product, then the upper
//! half of q n. See [`reduce`] for the carry out of the half not computed.

#![expect(
    unsafe_code,
    reason = "vectors are loaded and stored by reinterpreting 64 bytes"
)]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask,
    _mm512_cmpgt_epu64_mask, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_add_epi64,
    _mm512_mask_mov_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srli_epi64,
};
use core::mem::transmute;

use super::{Constants, DIGIT_BITS, Digits, LANES, MASK};

/// The statements once for every `$index` from 0 to 9, as a constant, so that
/// arrays of vectors end up in registers.
macro_rules! for_each_index {
    ($index:ident, $body:block) => {
        for_each_index!($index, $body, 0 1 2 3 4 5 6 7 8 9)
    };
    ($index:ident, $body:block, $($value:literal)*) => {
        $({
            const $index: usize = $value;
            $body
        })*
    };
}

/// Whether a digit is zero in every number: 60 digits hold 3072 bits and one
/// more, and no longer modulus is computed with in 8 vectors.
#[inline]
const fn is_always_zero(vectors: usize, row: usize, place: usize) -> bool {
    vectors == 8 && row == 7 && place >= 4
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load(digits: &Digits) -> __m512i {
    // SAFETY: both types are 64 bytes of which every value is valid.
    unsafe { transmute::<Digits, __m512i>(*digits) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn store(digits: &mut Digits, vector: __m512i) {
    // SAFETY: both types are 64 bytes of which every value is valid.
    *digits = unsafe { transmute::<__m512i, Digits>(vector) };
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn broadcast(digit: u64) -> __m512i {
    _mm512_set1_epi64(digit.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load_all<const V: usize>(number: &[Digits; V]) -> [__m512i; V] {
    let mut vectors = [_mm512_setzero_si512(); V];
    for_each_index!(I, {
        if I < V {
            vectors[I] = load(&number[I]);
        }
    });
    vectors
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn store_all<const V: usize>(number: &mut [Digits; V], vectors: &[__m512i; V]) {
    for_each_index!(I, {
        if I < V {
            store(&mut number[I], vectors[I]);
        }
    });
}

/// The highest lane of `below`, then the seven lower ones of `vector`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn shifted_up(vector: __m512i, below: __m512i) -> __m512i {
    _mm512_alignr_epi64::<7>(vector, below)
}

macro_rules! shift_up {
    ($sum:ident, $len:expr, $below:expr) => {
        for_each_index!(I, {
            if I + 1 < $len {
                $sum[$len - 1 - I] = shifted_up($sum[$len - 1 - I], $sum[$len - 2 - I]);
            }
        });
        for_each_index!(I, {
            if I + 11 < $len {
                $sum[$len - 11 - I] = shifted_up($sum[$len - 11 - I], $sum[$len - 12 - I]);
            }
        });
        $sum[0] = shifted_up($sum[0], $below);
    };
}

/// `a * b` in digits that may be longer than 52 bits; W is 2 V.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn product<const V: usize, const W: usize>(a: &[__m512i; V], b: &[Digits; V]) -> [__m512i; W] {
    let zero = _mm512_setzero_si512();
    let mut sum = [zero; W];
    for place in (0..LANES).rev() {
        for_each_index!(ROW, {
            if ROW < V && !is_always_zero(V, ROW, place) {
                let digit = broadcast(b[ROW][place]);
                for_each_index!(I, {
                    if I < V {
                        sum[ROW + I] = _mm512_madd52hi_epu64(sum[ROW + I], a[I], digit);
                    }
                });
            }
        });
        shift_up!(sum, W, zero);
        for_each_index!(ROW, {
            if ROW < V && !is_always_zero(V, ROW, place) {
                let digit = broadcast(b[ROW][place]);
                for_each_index!(I, {
                    if I < V {
                        sum[ROW + I] = _mm512_madd52lo_epu64(sum[ROW + I], a[I], digit);
                    }
                });
            }
        });
    }
    sum
}

/// `a * a` in digits that may be longer than 52 bits; W is 2 V. Products of
/// digits from different vectors are computed once, with twice the number.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn square_of<const V: usize, const W: usize>(
    number: &[Digits; V],
    twice: &mut [Digits; V],
    next: &mut [Digits; V],
) -> [__m512i; W] {
    let zero = _mm512_setzero_si512();
    let a = load_all(number);
    // 2a, and each of its vectors without what the vector before carried into
    // it, to be multiplied with just that vector.
    let mut tops = [zero; V];
    for_each_index!(I, {
        if I < V {
            let doubled = _mm512_and_si512(_mm512_slli_epi64::<1>(a[I]), broadcast(MASK));
            tops[I] = _mm512_srli_epi64::<51>(a[I]);
            let below = if I == 0 {
                zero
            } else {
                tops[I.saturating_sub(1)]
            };
            let carried_into = |below| _mm512_or_si512(doubled, shifted_up(tops[I], below));
            store(&mut twice[I], carried_into(below));
            store(&mut next[I], carried_into(zero));
        }
    });
    let mut sum = [zero; W];
    for place in (0..LANES).rev() {
        macro_rules! add_rows {
            ($multiply_add:ident) => {
                for_each_index!(ROW, {
                    if ROW < V {
                        let digit = broadcast(number[ROW][place]);
                        sum[2 * ROW] = $multiply_add(sum[2 * ROW], load(&number[ROW]), digit);
                        for_each_index!(I, {
                            if ROW < I && I < V {
                                let factor = load(if I == ROW + 1 { &next[I] } else { &twice[I] });
                                sum[ROW + I] = $multiply_add(sum[ROW + I], factor, digit);
                            }
                        });
                    }
                });
            };
        }
        add_rows!(_mm512_madd52hi_epu64);
        shift_up!(sum, W, zero);
        add_rows!(_mm512_madd52lo_epu64);
    }
    sum
}

/// The lower half of `a * b`, in digits that may be longer than 52 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn lower_half<const V: usize>(a: &[__m512i; V], b: &[Digits; V]) -> [__m512i; V] {
    let zero = _mm512_setzero_si512();
    let mut sum = [zero; V];
    for place in (0..LANES).rev() {
        macro_rules! add_rows {
            ($multiply_add:ident) => {
                let mut rows = [zero; V];
                for_each_index!(ROW, {
                    if ROW < V {
                        let digit = broadcast(b[ROW][place]);
                        for_each_index!(I, {
                            if ROW + I < V {
                                rows[ROW + I] = $multiply_add(rows[ROW + I], a[I], digit);
                            }
                        });
                    }
                });
                for_each_index!(I, {
                    if I < V {
                        sum[I] = _mm512_add_epi64(sum[I], rows[I]);
                    }
                });
            };
        }
        add_rows!(_mm512_madd52hi_epu64);
        shift_up!(sum, V, zero);
        add_rows!(_mm512_madd52lo_epu64);
    }
    sum
}

/// The upper half of `a * b`, in digits that may be longer than 52 bits, and
/// one vector below, of which only the highest digit means anything.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn upper_half<const V: usize>(a: &[__m512i; V], b: &[Digits; V]) -> (__m512i, [__m512i; V]) {
    let zero = _mm512_setzero_si512();
    let (mut below, mut sum) = (zero, [zero; V]);
    for place in (0..LANES).rev() {
        // What the next lower vector would shift into the highest digit of the
        // one below.
        let mut second_below = zero;
        if place == LANES - 1 {
            for_each_index!(ROW, {
                if ROW + 1 < V {
                    let digit = broadcast(b[ROW][LANES - 1]);
                    second_below = _mm512_madd52hi_epu64(second_below, a[V - 2 - ROW], digit);
                }
            });
        }
        macro_rules! add_rows {
            ($multiply_add:ident) => {
                let (mut row_below, mut rows) = (zero, [zero; V]);
                for_each_index!(ROW, {
                    if ROW < V && !is_always_zero(V, ROW, place) {
                        let digit = broadcast(b[ROW][place]);
                        row_below = $multiply_add(row_below, a[V - 1 - ROW], digit);
                        for_each_index!(I, {
                            if (V - ROW..V).contains(&I) {
                                rows[ROW + I - V] = $multiply_add(rows[ROW + I - V], a[I], digit);
                            }
                        });
                    }
                });
                below = _mm512_add_epi64(below, row_below);
                for_each_index!(I, {
                    if I < V {
                        sum[I] = _mm512_add_epi64(sum[I], rows[I]);
                    }
                });
            };
        }
        add_rows!(_mm512_madd52hi_epu64);
        shift_up!(sum, V, below);
        below = shifted_up(below, second_below);
        add_rows!(_mm512_madd52lo_epu64);
    }
    (below, sum)
}

/// The same number, or the same mod R, in digits of 52 bits, from digits of at
/// most 63; what the highest digit of `below` carries is added.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn carried<const V: usize>(digits: &[__m512i; V], below: __m512i) -> [__m512i; V] {
    let mask = broadcast(MASK);
    let (mut carry, mut carried) = ([mask; V], [mask; V]);
    // One bit for each digit: whether it carries now, and whether it would if
    // the one before it does.
    let (mut carries, mut passes) = (0u128, 0u128);
    for_each_index!(I, {
        if I < V {
            carry[I] = _mm512_srli_epi64::<52>(digits[I]);
            let carry_below = if I == 0 {
                _mm512_srli_epi64::<52>(below)
            } else {
                carry[I.saturating_sub(1)]
            };
            carried[I] = _mm512_add_epi64(
                _mm512_and_si512(digits[I], mask),
                shifted_up(carry[I], carry_below),
            );
            carries |= u128::from(_mm512_cmpgt_epu64_mask(carried[I], mask)) << (LANES * I);
            passes |= u128::from(_mm512_cmpeq_epi64_mask(carried[I], mask)) << (LANES * I);
        }
    });
    let carried_into = ((carries << 1) + passes) ^ passes;
    for_each_index!(I, {
        if I < V {
            let lanes = (carried_into >> (LANES * I)) as u8;
            let digit = _mm512_mask_add_epi64(carried[I], lanes, carried[I], broadcast(1));
            carried[I] = _mm512_and_si512(digit, mask);
        }
    });
    carried
}

/// `wide / R mod n`, below 2n for `wide` below 4n^2.
///
/// With q = -wide/n mod R, wide + q n is a multiple of R, and the quotient is
/// the upper half of wide, plus the upper half of q n, plus what their lower
/// halves carry. That carry is an integer, and what the highest digits of the
/// lower halves alone contribute to it falls short by less than 2^-40: rounding
/// gives it exactly.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce<const V: usize, const W: usize>(
    wide: &[__m512i; W],
    constants: &Constants<V>,
) -> [__m512i; V] {
    let zero = _mm512_setzero_si512();
    let (mut low, mut high) = ([zero; V], [zero; V]);
    for_each_index!(I, {
        if I < V {
            low[I] = wide[I];
            high[I] = wide[V + I];
        }
    });
    let low_digits = carried(&low, zero);
    let q = carried(&lower_half(&low_digits, &constants.negative_inverse), zero);
    let (below, mut sum) = upper_half(&q, &constants.n);
    for_each_index!(I, {
        if I < V {
            sum[I] = _mm512_add_epi64(sum[I], high[I]);
        }
    });
    let half = broadcast(1 << (DIGIT_BITS - 1));
    let below = _mm512_add_epi64(_mm512_add_epi64(below, low[V - 1]), half);
    carried(&sum, below)
}

/// `out = a * b / R mod n`, all below 2n.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn multiply<const V: usize, const W: usize>(
    out: &mut [Digits; V],
    a: &[Digits; V],
    b: &[Digits; V],
    constants: &Constants<V>,
) {
    let wide = product::<V, W>(&load_all(a), b);
    store_all(out, &reduce(&wide, constants));
}

/// `value = value^2 / R mod n`, both below 2n.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn square<const V: usize, const W: usize>(
    value: &mut [Digits; V],
    constants: &Constants<V>,
    twice: &mut [Digits; V],
    next: &mut [Digits; V],
) {
    let wide = square_of::<V, W>(value, twice, next);
    store_all(value, &reduce(&wide, constants));
}

/// `out = table[index]`; reads every entry.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn select<const V: usize>(out: &mut [Digits; V], table: &[[Digits; V]], index: u64) {
    let mut chosen = [_mm512_setzero_si512(); V];
    let (mut position, wanted) = (_mm512_setzero_si512(), broadcast(index));
    for entry in table {
        let this = _mm512_cmpeq_epi64_mask(position, wanted);
        for_each_index!(I, {
            if I < V {
                chosen[I] = _mm512_mask_mov_epi64(chosen[I], this, load(&entry[I]));
            }
        });
        position = _mm512_add_epi64(position, broadcast(1));
    }
    store_all(out, &chosen);
}

/// What [`carried`] makes, for tests of carries that products hardly ever have.
#[cfg(test)]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn carried_digits<const V: usize>(digits: &[Digits; V], below: &Digits) -> [Digits; V] {
    let mut out = [[0; LANES]; V];
    store_all(&mut out, &carried(&load_all(digits), load(below)));
    out
}
