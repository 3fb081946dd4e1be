//! Rows of products with the BMI2 and ADX instructions of x86-64: a
//! multiplication that leaves the flags alone, and two additions with a carry
//! each of their own, so that neither carry has to be saved. Compilers do not
//! use the second carry. All else is the portable kernel's.
//!
//! Constant time in all values: what repeats the loop is the length.

#![expect(unsafe_code, reason = "two carries at once need assembly language")]

use core::arch::asm;

use super::portable::{Rows, multiply_add};

/// Limbs that one turn of the loop deals with.
const TURN: usize = 4;

/// Whether this processor can run what lies here.
pub fn is_here() -> bool {
    is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx")
}

/// The rows of this kernel; only for processors where it [`is_here`].
pub struct Adx;

impl Rows for Adx {
    #[inline]
    fn add_two(sum: &mut [u64], a: &[u64], b0: u64, b1: u64, carry: u64) -> (u64, u64) {
        let Some((&last, others)) = a.split_last() else {
            return (carry, 0);
        };
        let carry0 = add_one(sum, a, b0, carry);
        let mut carry1 = add_one(&mut sum[1..], others, b1, 0);
        let low = multiply_add(carry0, last, b1, &mut carry1);
        (low, carry1)
    }
}

/// Adds `a * b + carry` to `sum`, which is as long as `a`; returns the carry.
#[inline]
fn add_one(sum: &mut [u64], a: &[u64], b: u64, mut carry: u64) -> u64 {
    let (sums, last_sums) = sum.as_chunks_mut::<TURN>();
    let (factors, last_factors) = a.as_chunks::<TURN>();
    let turns = sums.len().min(factors.len());
    if turns > 0 {
        // SAFETY: `turns` times four limbs are read from `factors` and changed in
        // `sums`; both have as many. The instructions exist: whoever names this
        // kernel has asked `is_here`. Nothing else is touched but what is named.
        unsafe {
            asm!(
                // Clears both carries.
                "xor {low:e}, {low:e}",
                "2:",
                "mulx {high0}, {low}, qword ptr [{a}]",
                "adcx {low}, {carry}",
                "adox {low}, qword ptr [{sum}]",
                "mov qword ptr [{sum}], {low}",
                "mulx {high1}, {low}, qword ptr [{a} + 8]",
                "adcx {low}, {high0}",
                "adox {low}, qword ptr [{sum} + 8]",
                "mov qword ptr [{sum} + 8], {low}",
                "mulx {high0}, {low}, qword ptr [{a} + 16]",
                "adcx {low}, {high1}",
                "adox {low}, qword ptr [{sum} + 16]",
                "mov qword ptr [{sum} + 16], {low}",
                "mulx {carry}, {low}, qword ptr [{a} + 24]",
                "adcx {low}, {high0}",
                "adox {low}, qword ptr [{sum} + 24]",
                "mov qword ptr [{sum} + 24], {low}",
                // None of these touches a carry.
                "lea {a}, [{a} + 32]",
                "lea {sum}, [{sum} + 32]",
                "lea rcx, [rcx - 1]",
                "jrcxz 3f",
                "jmp 2b",
                "3:",
                "mov {low:e}, 0",
                "adcx {carry}, {low}",
                "adox {carry}, {low}",
                a = inout(reg) factors.as_ptr() => _,
                sum = inout(reg) sums.as_mut_ptr() => _,
                carry = inout(reg) carry,
                low = out(reg) _,
                high0 = out(reg) _,
                high1 = out(reg) _,
                inout("rcx") turns => _,
                in("rdx") b,
                options(nostack),
            );
        }
    }
    for (sum, &a) in last_sums.iter_mut().zip(last_factors) {
        *sum = multiply_add(*sum, a, b, &mut carry);
    }
    carry
}
