//! Signatures that nobody with the secret made.

use super::*;

#[test]
fn a_forgery_for_the_hash_zero_is_refused() {
    let (group, secret) = key_pair();
    let (key, q, b) = (secret.verifying_key(), q(&group), BigUint::from(7u32));
    let r = power(&group, &key.0.value(), &b);
    let s = &q - &r * b.modinv(&q).unwrap() % &q;
    for e in [BigUint::zero(), q] {
        assert!(key.equation_holds(&e, &r, &s), "the forgery exists");
        assert!(!key.satisfies(&e, &r, &s));
    }
}

#[test]
fn a_forgery_for_a_chosen_hash_is_no_signature() {
    let (group, secret) = key_pair();
    let (key, q) = (secret.verifying_key(), q(&group));
    let (a, b) = (BigUint::from(5u32), BigUint::from(7u32));
    let r = power(&group, &BigUint::from(2u32), &a) * power(&group, &key.0.value(), &b);
    let r = r % p(&group);
    let s = &q - &r * b.modinv(&q).unwrap() % &q;
    let e = &a * &s % &q;
    assert!(
        key.satisfies(&e, &r, &s),
        "whoever may choose the hash can sign"
    );
    assert!(is_refused(key, b"message", &signature(&group, &r, &s)));
}

#[test]
fn a_signature_has_one_form() {
    let (group, secret) = key_pair();
    let (key, p, q) = (secret.verifying_key(), p(&group), q(&group));
    let good = secret.sign(label::SIG_M1, &[b"mess", b"age"], &mut Seeded(9));
    let r = BigUint::from_bytes_be(&good[..256]);
    let s = BigUint::from_bytes_be(&good[256..]);
    assert!(!is_refused(key, b"message", &good));
    let e = e_of(key, &r, b"message");
    assert!(key.satisfies(&e, &r, &(&s + &q)), "the second form exists");
    assert!(is_refused(
        key,
        b"message",
        &signature(&group, &r, &(&s + &q))
    ));
    for (r, s) in [
        (&r, &BigUint::zero()),
        (&r, &q),
        (&BigUint::zero(), &s),
        (&BigUint::one(), &s),
        (&(&p - 1u32), &s),
        (&p, &s),
        (&(&p - &r), &s),
        (&q, &s),
    ] {
        assert!(
            is_refused(key, b"message", &signature(&group, r, s)),
            "{r} {s}"
        );
    }
    assert!(is_refused(key, b"message", &good[..511]));
    assert!(is_refused(key, b"message", &good[..256]));
    assert!(is_refused(key, b"message", &[]));
    assert!(is_refused(key, b"message", &[&good[..], &[0]].concat()));
    let longer_s = [&good[..256], &[0], &good[256..]].concat();
    assert!(
        is_refused(key, b"message", &longer_s),
        "the same number in 257 bytes"
    );
}

#[test]
fn an_r_outside_the_subgroup_is_refused() {
    // The owner of a key could sign with r = -2^k wherever s comes out even.
    let (group, secret) = key_pair();
    let (key, p, q) = (secret.verifying_key(), p(&group), q(&group));
    let x = BigUint::from_bytes_be(secret.to_bytes().expose());
    let (r, s) = (1u32..)
        .map(|step| {
            let k = &q - 1000u32 - step;
            let r = &p - power(&group, &BigUint::from(2u32), &k);
            let e = e_of(key, &r, b"message");
            let difference = (&e + &q * &r - &x * &r % &q) % &q;
            (r, difference * k.modinv(&q).unwrap() % &q)
        })
        .find(|(_, s)| !s.bit(0))
        .unwrap();
    assert!(
        key.satisfies(&e_of(key, &r, b"message"), &r, &s),
        "it exists"
    );
    assert!(is_refused(key, b"message", &signature(&group, &r, &s)));
}

#[test]
fn a_signature_is_bound_to_key_domain_group_and_message() {
    let (group, secret) = key_pair();
    let key = secret.verifying_key();
    let signature = secret.sign(label::SIG_M1, &[b"message"], &mut OsRandom);
    assert!(!is_refused(key, b"message", &signature));
    assert!(is_refused(key, b"messag", &signature));
    assert!(is_refused(key, b"massage", &signature));
    assert!(is_refused(key, b"message\0", &signature));
    assert!(
        key.verify(label::SIG_M2, &[b"message"], &signature)
            .is_err()
    );
    let other = SignSecret::generate(&group, &mut OsRandom);
    assert!(is_refused(other.verifying_key(), b"message", &signature));
    for position in [0, 100, 255, 256, 400, 511] {
        let mut flipped = signature.clone();
        flipped[position] ^= 1;
        assert!(is_refused(key, b"message", &flipped), "byte {position}");
    }
}

#[test]
fn a_stuck_generator_does_not_repeat_a_nonce() {
    let (_, secret) = key_pair();
    let sign = |message: &[u8]| secret.sign(label::SIG_M1, &[message], &mut Stuck);
    let (first, second) = (sign(b"first"), sign(b"second"));
    assert_ne!(
        first[..256],
        second[..256],
        "one r for two messages gives x away"
    );
    let domain = secret.sign(label::SIG_M2, &[b"first"], &mut Stuck);
    assert_ne!(first[..256], domain[..256]);
    assert_ne!(
        secret.sign(label::SIG_M1, &[b"first"], &mut OsRandom),
        first
    );
}
