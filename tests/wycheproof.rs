//! The test vectors of Project Wycheproof for what sealing and key derivation
//! are made of. Every test counts its vectors, so that none passes on nothing.

use telemed::aes::a256cbc_hs512::{self, IV_LEN, TAG_LEN};
use telemed::kdf;
use telemed::secret::Secret;
use wycheproof::{aead, cipher, hkdf, mac};

/// Any one of the labels; which one does not matter here.
const LABEL: kdf::Label = kdf::label::K1;

#[test]
fn a256cbc_hs512_agrees() {
    let set = aead::TestSet::load(aead::TestName::Aes256CbcHmacSha512).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = test.key.first_chunk().unwrap();
        let iv = test.nonce.first_chunk().unwrap();
        let sealed = [&iv[..], &test.ct, &test.tag].concat();
        let opened = a256cbc_hs512::open(key, &[&test.aad], &sealed);
        if test.result.must_fail() {
            invalid += 1;
            assert!(opened.is_err(), "vector {} opens", test.tc_id);
        } else {
            valid += 1;
            assert_eq!(opened.unwrap().expose(), &test.pt[..], "{}", test.tc_id);
            let ours = a256cbc_hs512::seal(key, iv, &[&test.aad], &test.pt);
            assert_eq!(ours, sealed, "vector {}", test.tc_id);
        }
    }
    assert_eq!((valid, invalid), (67, 27));
}

/// The cipher alone is no part of the library: the vectors run with a right tag
/// around them, which also shows that wrong padding is refused when nothing but
/// the padding is wrong.
#[test]
fn aes_256_cbc_agrees() {
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    let groups = set.test_groups.iter().filter(|group| group.key_size == 256);
    for test in groups.flat_map(|group| &group.tests) {
        let mac_key = [0x5a; 32];
        let key = [&mac_key[..], &test.key].concat();
        let key = key.first_chunk().unwrap();
        let iv = test.nonce.first_chunk().unwrap();
        let mut sealed = [&iv[..], &test.ct].concat();
        let tag = kdf::hmac(&mac_key, &[&sealed, &[0; 8]]);
        sealed.extend_from_slice(&tag[..TAG_LEN]);
        let opened = a256cbc_hs512::open(key, &[], &sealed);
        if test.result.must_fail() {
            invalid += 1;
            assert!(opened.is_err(), "vector {} opens", test.tc_id);
        } else {
            valid += 1;
            assert_eq!(opened.unwrap().expose(), &test.pt[..], "{}", test.tc_id);
            let ours = a256cbc_hs512::seal(key, iv, &[], &test.pt);
            let ciphertext = &ours[IV_LEN..ours.len() - TAG_LEN];
            assert_eq!(ciphertext, &test.ct[..], "vector {}", test.tc_id);
        }
    }
    assert_eq!((valid, invalid), (24, 48));
}

#[test]
fn hmac_sha_512_agrees() {
    let set = mac::TestSet::load(mac::TestName::HmacSha512).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let ours = kdf::hmac(&test.key, &[&test.msg]);
            let same = ours[..group.tag_size / 8] == test.tag[..];
            if test.result.must_fail() {
                invalid += 1;
                assert!(!same, "vector {} is accepted", test.tc_id);
            } else {
                valid += 1;
                assert!(same, "vector {} is refused", test.tc_id);
            }
        }
    }
    assert_eq!((valid, invalid), (66, 108));
}

/// Expand as RFC 5869, section 2.3 writes it, for every `info` and length. The
/// library's own takes its labels only.
fn expand(prk: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let mut block = Vec::new();
    let mut number = 0_u8;
    while output.len() < len {
        number = number.checked_add(1)?;
        block = kdf::hmac(prk, &[&block, info, &[number]]).to_vec();
        output.extend_from_slice(&block);
    }
    output.truncate(len);
    Some(output)
}

#[test]
fn hkdf_sha_512_agrees() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha512).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let prk = kdf::extract(&test.salt, &[&test.ikm]);
        let okm = expand(prk.secret().expose(), &test.info, test.size);
        if test.result.must_fail() {
            invalid += 1;
            assert_eq!(okm, None, "vector {} is accepted", test.tc_id);
        } else {
            valid += 1;
            assert_eq!(okm.as_deref(), Some(&test.okm[..]), "{}", test.tc_id);
            library_expand_agrees::<32>(&prk, &test.info);
            library_expand_agrees::<64>(&prk, &test.info);
            library_expand_agrees::<65>(&prk, &test.info);
            library_expand_agrees::<128>(&prk, &test.info);
        }
    }
    assert_eq!((valid, invalid), (80, 3));
}

/// What the vectors have shown to be right, the library's expand does as well.
fn library_expand_agrees<const N: usize>(prk: &kdf::Prk, context: &[u8]) {
    let ours: Secret<N> = prk.expand(LABEL, &[context]);
    let info = [&LABEL.encoded(), context].concat();
    let expected = expand(prk.secret().expose(), &info, N);
    assert_eq!(Some(&ours.expose()[..]), expected.as_deref());
}
