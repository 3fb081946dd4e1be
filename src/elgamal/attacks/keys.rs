//! Keys that are not what they seem.

use super::*;

#[test]
fn a_key_with_which_everyone_can_sign_is_refused() {
    let group = Group::ffdhe2048();
    let (p, q, two) = (p(&group), q(&group), BigUint::from(2u32));
    // r = 2^k with r even, s = e/k: valid for y = 1 and, as r is even, p - 1.
    let k = (1u32..).map(|step| &q - step);
    let k = k
        .into_iter()
        .find(|k| !power(&group, &two, k).bit(0))
        .unwrap();
    let r = power(&group, &two, &k);
    for weak in [BigUint::one(), &p - 1u32] {
        let key = VerifyingKey(Element::unchecked(&group, &padded(&weak, 256)));
        let e = e_of(&key, &r, b"message");
        let s = &e * k.modinv(&q).unwrap() % &q;
        assert!(
            !is_refused(&key, b"message", &signature(&group, &r, &s)),
            "the forgery exists"
        );
    }
    for weak in [
        BigUint::zero(),
        BigUint::one(),
        &p - 1u32,
        p.clone(),
        &p + 1u32,
        &p * 2u32 - 1u32,
    ] {
        for len in [256, 257] {
            assert!(
                VerifyingKey::from_bytes(&group, &padded(&weak, len)).is_err(),
                "{weak}"
            );
        }
    }
}

#[test]
fn a_key_has_neither_a_twin_nor_a_second_name() {
    let (group, secret) = key_pair();
    let key = secret.verifying_key();
    let (p, y) = (p(&group), key.0.value());
    // p - y satisfies the same equation as y where r is even.
    let twin = VerifyingKey(Element::unchecked(&group, &padded(&(&p - &y), 256)));
    let (e, r, s) = (0u8..)
        .map(|tag| {
            let signature = secret.sign(label::SIG_M1, &[&[tag]], &mut Seeded(tag.into()));
            let r = BigUint::from_bytes_be(&signature[..256]);
            (
                e_of(key, &r, &[tag]),
                r,
                BigUint::from_bytes_be(&signature[256..]),
            )
        })
        .find(|(_, r, _)| !r.bit(0))
        .unwrap();
    assert!(key.satisfies(&e, &r, &s) && twin.satisfies(&e, &r, &s));
    assert!(VerifyingKey::from_bytes(&group, &padded(&(&p - &y), 256)).is_err());
    assert!(VerifyingKey::from_bytes(&group, &padded(&(&p + &y), 257)).is_err());
    assert!(VerifyingKey::from_bytes(&group, &padded(&y, 257)).is_err());
    assert!(VerifyingKey::from_bytes(&group, &padded(&y, 256)).is_ok());
    // One that fits L bytes although p is added: small y only.
    let small = BigUint::from(4u32);
    assert!(VerifyingKey::from_bytes(&group, &padded(&(&p + &small), 256)).is_err());
    assert!(VerifyingKey::from_bytes(&group, &padded(&small, 256)).is_ok());
}

#[test]
fn a_short_signing_exponent_is_refused() {
    let group = Group::ffdhe2048();
    let q = q(&group);
    let load = |x: &BigUint, len| SignSecret::from_bytes(&group, &padded(x, len));
    let shortest = BigUint::one() << (2047 - 64 - 1);
    assert!(load(&shortest, 256).is_ok());
    assert!(load(&(&shortest - 1u32), 256).is_err());
    assert!(load(&(&q - 1u32), 256).is_ok());
    for x in [
        BigUint::zero(),
        BigUint::one(),
        q.clone(),
        q.clone() + 1u32,
        (BigUint::one() << 2048) - 1u32,
    ] {
        assert!(load(&x, 256).is_err(), "{x}");
    }
    assert!(load(&shortest, 255).is_err());
    assert!(load(&shortest, 257).is_err());
}

#[test]
fn an_encryption_secret_does_not_sign() {
    for group in [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()] {
        let secret = KemSecret::generate(&group, &mut OsRandom);
        let bytes = secret.to_bytes();
        let padded = padded(&BigUint::from_bytes_be(bytes.expose()), group.element_len());
        assert!(SignSecret::from_bytes(&group, bytes.expose()).is_err());
        assert!(SignSecret::from_bytes(&group, &padded).is_err());
    }
}
