//! What own groups could bring in.

use super::*;

#[test]
fn signature_with_the_constant_r_of_a_bad_group_is_refused() {
    let group = Group::unchecked(&number(THREE_MOD_EIGHT), 4);
    let key = SignSecret::generate(&group, &mut Seeded(1));
    let key = key.verifying_key();
    // (p - 1)/2 is -1/2, a square here, and -2e undoes 4^e: no secret needed.
    let (r, q) = (q(&group), q(&group));
    let e = e_of(key, &r, b"anything at all");
    let s = &q - (&e * 2u32) % &q;
    assert!(key.satisfies(&e, &r, &s), "the forgery exists");
    assert_eq!(jacobi_vartime(&r, &p(&group)), 1);
    assert!(is_refused(
        key,
        b"anything at all",
        &signature(&group, &r, &s)
    ));
}

#[test]
fn with_generator_two_half_of_those_forgeries_remain_and_are_refused() {
    // 2 has order 2q here, and r = -1/2: what is even of e can be undone.
    let group = Group::unchecked(&number(THREE_MOD_EIGHT), 2);
    let y = power(&group, &BigUint::from(4u32), &BigUint::from(12_345u32));
    let key = VerifyingKey::from_bytes(&group, &padded(&y, 256)).unwrap();
    let (r, q) = (q(&group), q(&group));
    let message = (0u8..).find(|tag| !e_of(&key, &r, &[*tag]).bit(0)).unwrap();
    let e = e_of(&key, &r, &[message]);
    let s = &q - &e % &q;
    assert!(key.satisfies(&e, &r, &s), "the forgery exists");
    assert!(is_refused(&key, &[message], &signature(&group, &r, &s)));
}

#[test]
fn a_group_whose_prime_is_three_mod_eight_is_refused() {
    let bytes = padded(&number(THREE_MOD_EIGHT), 256);
    let found = Group::import(&bytes, &mut OsRandom).unwrap_err();
    assert_eq!(found, GroupError::NotSevenModEight);
}

#[test]
fn a_group_of_another_size_is_refused() {
    let p = number(SEVEN_MOD_EIGHT);
    let half = padded(&(&p >> 1), 256);
    for bytes in [
        &[][..],
        &[23],
        &padded(&p, 257),
        &padded(&p, 384),
        &half,
        &vec![0xff; 1 << 16],
    ] {
        let found = Group::import(bytes, &mut OsRandom).unwrap_err();
        assert_eq!(found, GroupError::Size { bytes: bytes.len() });
    }
}

#[test]
fn a_group_without_a_safe_prime_is_refused() {
    let prime = |n: &BigUint| is_probable_prime_vartime(n, 20, &mut Seeded(2));
    let start = number(SEVEN_MOD_EIGHT);
    let candidates = || (1u32..).map(|step| &start + 8 * step);
    let only_p = candidates().find(|p| prime(p) && !prime(&(p >> 1)));
    let only_q = candidates().find(|p| prime(&(p >> 1)) && !prime(p));
    for p in [only_p.unwrap(), only_q.unwrap(), start + 8u32] {
        let found = Group::import(&padded(&p, 256), &mut OsRandom).unwrap_err();
        assert_eq!(found, GroupError::NotSafePrime);
    }
}

#[test]
fn an_own_group_with_a_safe_prime_works() {
    let bytes = padded(&number(SEVEN_MOD_EIGHT), 256);
    let group = Group::import(&bytes, &mut OsRandom).unwrap();
    assert_eq!(group.name(), "own 2048-bit group");
    assert_eq!(group.modulus_bytes(), bytes);
    assert!(!group.is_built_in() && Group::built_in(group.id()).is_none());
    let secret = SignSecret::generate(&group, &mut OsRandom);
    let signature = secret.sign(label::SIG_M1, &[b"message"], &mut OsRandom);
    assert!(!is_refused(secret.verifying_key(), b"message", &signature));
}

#[test]
fn a_generator_of_the_attackers_choice_is_another_group() {
    let group = Group::ffdhe2048();
    assert_ne!(Group::unchecked(&p(&group), 4).id(), group.id());
    assert_eq!(Group::unchecked(&p(&group), 2).id(), group.id());
}
