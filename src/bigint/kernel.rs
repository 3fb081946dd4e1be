//! The inner loops. What lies here works on bare limbs, least significant
//! first, in time that depends on their number only, and allocates nothing.
//!
//! The portable kernel is always built and is what every other one must equal
//! bit for bit.

pub(super) mod portable;
