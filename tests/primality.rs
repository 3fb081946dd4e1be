//! Wycheproof's primality set: composites made to pass careless tests.

use num_bigint::BigUint;
use telemed::bigint::is_probable_prime_vartime;
use telemed::random::OsRandom;
use wycheproof::TestResult;
use wycheproof::primality::{TestName, TestSet};

#[test]
fn no_composite_passes_and_no_prime_fails() {
    let set = TestSet::load(TestName::Primality).unwrap();
    let mut tested = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // The values are two's complement; our numbers have no sign.
        let negative = test.value.first().is_some_and(|byte| byte & 0x80 != 0);
        if negative {
            continue;
        }
        let value = BigUint::from_bytes_be(&test.value);
        let expected = test.result == TestResult::Valid;
        let found = is_probable_prime_vartime(&value, 40, &mut OsRandom);
        assert_eq!(
            found, expected,
            "test {}: {value}, {}",
            test.tc_id, test.comment
        );
        tested += 1;
    }
    assert!(tested > 300, "only {tested} of the set were tested");
}

#[test]
fn small_numbers_are_told_apart() {
    for n in 0u32..2000 {
        let prime = n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0);
        let found = is_probable_prime_vartime(&BigUint::from(n), 10, &mut OsRandom);
        assert_eq!(found, prime, "{n}");
    }
}
