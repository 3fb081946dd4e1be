//! What may be known to everyone though secrets went into it.
//!
//! `make check-constant-time` runs the arithmetic under valgrind with all
//! secrets marked as undefined memory. Memcheck then reports every branch and
//! every index that depends on them. Where a secret, or what was made of it,
//! turns public on purpose, the mark must go: that is said here, so that these
//! places can be searched for. Only with the feature `check-constant-time` is
//! any of it more than words.

#![cfg_attr(
    feature = "check-constant-time",
    expect(unsafe_code, reason = "valgrind is spoken to in machine code")
)]

/// Says that `bytes` are public from here on.
#[cfg_attr(
    not(feature = "check-constant-time"),
    expect(unused_variables, reason = "nobody listens")
)]
#[inline(always)]
pub fn declassify(bytes: &mut [u8]) {
    #[cfg(feature = "check-constant-time")]
    valgrind::make_defined(bytes);
}

/// `flag`, which is public from here on.
#[must_use]
#[inline(always)]
pub fn declassify_flag(flag: bool) -> bool {
    let mut byte = [u8::from(flag)];
    declassify(&mut byte);
    byte[0] != 0
}

#[cfg(feature = "check-constant-time")]
pub use valgrind::{is_running, is_secret, make_secret, reports};

/// Client requests: instructions that do nothing, which valgrind takes for
/// calls (valgrind.h and memcheck.h, version 3.19, for x86-64).
#[cfg(feature = "check-constant-time")]
mod valgrind {
    use core::arch::asm;

    const RUNNING_ON_VALGRIND: usize = 0x1001;
    const COUNT_ERRORS: usize = 0x1201;
    /// Memcheck's own requests begin with its initials.
    const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
    const MAKE_MEM_DEFINED: usize = 0x4d43_0002;
    const GET_VBITS: usize = 0x4d43_0008;

    /// Whether valgrind runs this program.
    #[must_use]
    pub fn is_running() -> bool {
        request(RUNNING_ON_VALGRIND, [0; 3]) != 0
    }

    /// How many errors valgrind has reported so far.
    #[must_use]
    pub fn reports() -> usize {
        request(COUNT_ERRORS, [0; 3])
    }

    /// Marks `bytes` as secret.
    pub fn make_secret(bytes: &mut [u8]) {
        request(
            MAKE_MEM_UNDEFINED,
            [bytes.as_mut_ptr().addr(), bytes.len(), 0],
        );
    }

    /// Marks `bytes` as public.
    pub fn make_defined(bytes: &mut [u8]) {
        request(
            MAKE_MEM_DEFINED,
            [bytes.as_mut_ptr().addr(), bytes.len(), 0],
        );
    }

    /// Whether every byte depends on something secret.
    #[must_use]
    pub fn is_secret(bytes: &[u8]) -> bool {
        let mut marks = vec![0u8; bytes.len()];
        let done = request(
            GET_VBITS,
            [
                bytes.as_ptr().addr(),
                marks.as_mut_ptr().addr(),
                bytes.len(),
            ],
        );
        done == 1 && marks.iter().all(|&mark| mark != 0)
    }

    /// Valgrind's answer; 0 where it does not run.
    fn request(what: usize, arguments: [usize; 3]) -> usize {
        let [first, second, third] = arguments;
        let request = [what, first, second, third, 0, 0];
        let answer: usize;
        // SAFETY: without valgrind rdi is rotated by 128 bits in all and rbx
        // exchanged with itself. Valgrind reads the six words, and of what they
        // name it changes its own notes or, asked for marks, fills a vector as
        // long as it is told.
        unsafe {
            asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") request.as_ptr(),
                inout("rdx") 0usize => answer,
                options(nostack),
            );
        }
        answer
    }
}
