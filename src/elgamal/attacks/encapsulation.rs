//! Ciphertexts and shared secrets that tell something.

use super::*;

#[test]
fn an_element_that_reveals_or_fixes_the_secret_is_refused() {
    let group = Group::ffdhe2048();
    let p = p(&group);
    for tag in 0..4 {
        // p - 1 to the power of a secret shows whether it is odd.
        let secret = KemSecret::generate(&group, &mut Seeded(tag));
        let minus_one = Element::unchecked(&group, &padded(&(&p - 1u32), 256));
        let odd = secret.to_bytes().expose()[31] & 1 == 1;
        assert_eq!(
            secret.agree(&minus_one).expose()[0] != 0,
            odd,
            "the leak exists"
        );
    }
    let non_residue = &p - 4u32;
    for weak in [
        BigUint::zero(),
        BigUint::one(),
        &p - 1u32,
        p.clone(),
        &p + 4u32,
        non_residue,
    ] {
        assert!(
            Element::from_bytes(&group, &padded(&weak, 256)).is_err(),
            "{weak}"
        );
    }
    assert!(Element::from_bytes(&group, &padded(&BigUint::from(4u32), 256)).is_ok());
    assert!(Element::from_bytes(&group, &padded(&BigUint::from(4u32), 257)).is_err());
    assert!(Element::from_bytes(&group, &[4]).is_err());
    assert!(Element::from_bytes(&group, &[]).is_err());
}

#[test]
fn a_shared_secret_with_a_leading_zero_byte_keeps_its_length() {
    let group = Group::ffdhe2048();
    let mut random = Seeded(0);
    let ours = KemSecret::generate(&group, &mut random);
    let found = (0..5000).find_map(|_| {
        let theirs = KemSecret::generate(&group, &mut random);
        let shared = ours.agree(theirs.public());
        assert_eq!(shared.expose().len(), 256);
        (shared.expose()[0] == 0).then_some((theirs, shared))
    });
    let (theirs, shared) = found.expect("one in 256 begins with a zero byte");
    let exponent = BigUint::from_bytes_be(ours.to_bytes().expose());
    let value = power(&group, &theirs.public().value(), &exponent);
    assert!(value.to_bytes_be().len() < 256);
    assert_eq!(shared.expose(), padded(&value, 256));
    assert_eq!(shared.expose(), theirs.agree(ours.public()).expose());
}

#[test]
fn an_exponent_has_exactly_the_length_its_group_needs() {
    for (group, len) in [
        (Group::ffdhe2048(), 32),
        (Group::ffdhe3072(), 40),
        (Group::ffdhe4096(), 48),
    ] {
        let secret = KemSecret::generate(&group, &mut Stuck);
        let bytes = secret.to_bytes();
        assert_eq!(
            (bytes.expose().len(), bytes.expose()[0]),
            (len, 0x5a | 0x80)
        );
        let again = KemSecret::from_bytes(&group, bytes.expose()).unwrap();
        assert!(again.public() == secret.public());
        let load = |bytes: &[u8]| KemSecret::from_bytes(&group, bytes).is_ok();
        assert!(load(&vec![0x80; len]));
        assert!(!load(&vec![0x7f; len]), "one bit too short");
        assert!(!load(&vec![0xff; len + 1]));
        assert!(!load(&vec![0xff; len - 1]));
        assert!(!load(&[]));
    }
}

#[test]
fn printing_a_secret_shows_nothing_of_it() {
    let group = Group::ffdhe2048();
    let signing = SignSecret::generate(&group, &mut OsRandom);
    let kem = KemSecret::generate(&group, &mut OsRandom);
    let shared = kem.agree(kem.public());
    let text = format!("{signing:?} {kem:?} {shared:?}");
    assert_eq!(
        text,
        "SignSecret(ffdhe2048, ..) KemSecret(ffdhe2048, ..) SharedSecret(SecretBytes(256 bytes))"
    );
}
