//! Values as rows hold them.

use super::connection::Value;
use crate::clock::Timestamp;
use crate::store::clinic::JoinState;
use crate::store::messages::{BoundaryMark, Kind};
use crate::store::{CertificateState, TicketState};

/// A number as a row can hold it; one that is too large is nobody's.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit, as a row can hold it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Value for Timestamp {
    type Raw<'r> = i64;

    fn read(raw: i64) -> Option<Self> {
        u64::try_from(raw).ok().map(Self::from_millis)
    }
}

impl Value for u64 {
    type Raw<'r> = i64;

    fn read(raw: i64) -> Option<Self> {
        Self::try_from(raw).ok()
    }
}

impl Value for usize {
    type Raw<'r> = i64;

    fn read(raw: i64) -> Option<Self> {
        Self::try_from(raw).ok()
    }
}

impl Value for i64 {
    type Raw<'r> = i64;

    fn read(raw: i64) -> Option<Self> {
        Some(raw)
    }
}

impl Value for bool {
    type Raw<'r> = Self;

    fn read(raw: Self) -> Option<Self> {
        Some(raw)
    }
}

impl Value for String {
    type Raw<'r> = &'r str;

    fn read(raw: &str) -> Option<Self> {
        Some(raw.to_owned())
    }
}

impl Value for Vec<u8> {
    type Raw<'r> = &'r [u8];

    fn read(raw: &[u8]) -> Option<Self> {
        Some(raw.to_vec())
    }
}

impl<const N: usize> Value for [u8; N] {
    type Raw<'r> = &'r [u8];

    fn read(raw: &[u8]) -> Option<Self> {
        raw.try_into().ok()
    }
}

impl<T: Value> Value for Option<T> {
    type Raw<'r> = Option<T::Raw<'r>>;

    fn read(raw: Self::Raw<'_>) -> Option<Self> {
        match raw {
            None => Some(None),
            Some(raw) => T::read(raw).map(Some),
        }
    }
}

/// Words of which a column holds one.
macro_rules! words {
    ($($word:ty),*) => {
        $(impl Value for $word {
            type Raw<'r> = &'r str;

            fn read(raw: &str) -> Option<Self> {
                Self::from_word(raw)
            }
        })*
    };
}

words!(CertificateState, TicketState, JoinState, Kind, BoundaryMark);
