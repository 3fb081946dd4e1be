//! Key files that are sealed.

use super::*;
use crate::random::OsRandom;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(SecretBytes::copy_of(text.as_bytes())).unwrap()
}

fn stretched() -> PassphraseKey {
    PassphraseKey::generate(&passphrase("correct horse"), Cost::LEAST, &mut OsRandom).unwrap()
}

/// A key file sealed under a passphrase, and what was stretched from it.
fn sealed() -> (TempDir, PathBuf, PassphraseKey) {
    let (directory, path) = directory();
    let under = stretched();
    save_bytes(&path, &encode_sealed(&key(), &under, &mut OsRandom)).unwrap();
    (directory, path, under)
}

fn open(path: &Path, under: &PassphraseKey) -> Result<SecretBytes, KeyFileError> {
    let opened = Closed::read(path)?.open_with(under);
    let opened = opened.map_err(|fault| KeyFileError::new(path, fault))?;
    Ok(opened.secret)
}

#[test]
fn what_was_sealed_opens_with_its_passphrase_alone() {
    let (_directory, path, under) = sealed();
    let right = passphrase("correct horse");
    let (group, secret) = load_sealed(&path, KeyKind::PatientSigning, &right).unwrap();
    assert_eq!(group, [7; 32]);
    assert_eq!(secret.expose(), [171; 384]);
    assert_eq!(open(&path, &under).unwrap().expose(), [171; 384]);
    for wrong in ["correct horse ", "Correct horse", "c"] {
        let wrong = passphrase(wrong);
        let error = load_sealed(&path, KeyKind::PatientSigning, &wrong).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::WrongPassphrase));
        assert!(error.to_string().contains("the passphrase is wrong"));
    }
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Locked));
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(4).any(|window| window == [171; 4]));
}

#[test]
fn the_sealed_format_is_the_documented_one() {
    let (_directory, path, under) = sealed();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[..15], b"telemed-key\n\x01\x01\x04");
    assert_eq!(bytes[15..47], [7; 32]);
    assert_eq!(bytes[47..56], [0, 0, 0x20, 0, 0, 0, 0, 1, 1]);
    assert_eq!(bytes[56..72], under.salt);
    // The bucket above 384 bytes, a block, an IV and a tag.
    assert_eq!(bytes[72..74], [2, 64]);
    assert_eq!(bytes.len(), 74 + 576 + 32);
    // Argon2id itself, by itself.
    let mut stretched = crate::secret::Secret::<64>::zero();
    let params = argon2::Params::new(8192, 1, 1, Some(64)).unwrap();
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(b"correct horse", &bytes[56..72], stretched.expose_mut())
        .unwrap();
    let prk = crate::kdf::Prk::from_secret(stretched);
    let key = prk.expand(crate::kdf::label::KEY_PASSPHRASE, &[]);
    let key = crate::aes::SealingKey::new(key);
    let opened = key.open(&[&bytes[..74]], &bytes[74..650]).unwrap();
    assert_eq!(opened.expose(), [171; 384]);
}

#[test]
fn a_sealed_file_cut_anywhere_is_said_to_be_cut() {
    let (_directory, path, under) = sealed();
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let error = open(&path, &under).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::Cut), "{len}: {error}");
    }
}

#[test]
fn a_flipped_bit_is_no_wrong_passphrase() {
    let (_directory, path, under) = sealed();
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = open(&path, &under).unwrap_err();
        let fault = error.fault();
        assert!(
            matches!(
                fault,
                KeyFileFault::NotAKeyFile | KeyFileFault::Cut | KeyFileFault::Damaged
            ),
            "{position}: {error}"
        );
    }
}

#[test]
fn nothing_of_the_header_can_be_changed_even_with_a_fresh_checksum() {
    let (_directory, path, under) = sealed();
    let whole = fs::read(&path).unwrap();
    for position in 12..whole.len() - CHECKSUM_LEN {
        fs::write(&path, &whole).unwrap();
        rewrite(&path, |bytes| bytes[position] ^= 1);
        assert!(open(&path, &under).is_err(), "{position}");
    }
}

#[test]
fn a_cost_out_of_bounds_is_refused_before_it_is_paid() {
    let (_directory, path, _) = sealed();
    let whole = fs::read(&path).unwrap();
    let costs: [[u8; 9]; 7] = [
        [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1],
        [0, 0x10, 0, 1, 0, 0, 0, 1, 1],
        [0, 0, 0x1f, 0xff, 0, 0, 0, 1, 1],
        [0, 0, 0x20, 0, 0, 0, 0, 0, 1],
        [0, 0, 0x20, 0, 0, 0, 0, 21, 1],
        [0, 0, 0x20, 0, 0, 0, 0, 1, 0],
        [0, 0, 0x20, 0, 0, 0, 0, 1, 5],
    ];
    for cost in costs {
        fs::write(&path, &whole).unwrap();
        rewrite(&path, |bytes| bytes[47..56].copy_from_slice(&cost));
        let right = passphrase("correct horse");
        let error = load_sealed(&path, KeyKind::PatientSigning, &right).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::Cost), "{cost:?}");
    }
}

#[test]
fn a_wrapped_file_opens_with_its_own_wrapping_key_only() {
    let (_directory, path) = directory();
    let wrapping = WrappingKey::generate(&mut OsRandom);
    save_bytes(&path, &encode_wrapped(&key(), &wrapping, &mut OsRandom)).unwrap();
    let closed = Closed::read(&path).unwrap();
    let opened = closed.unwrap(&wrapping).unwrap();
    assert_eq!(opened.secret.expose(), [171; 384]);
    let again = WrappingKey::from_key(&wrapping.to_key()).unwrap();
    assert!(closed.unwrap(&again).is_ok());
    let other = WrappingKey::generate(&mut OsRandom);
    let fault = closed.unwrap(&other).unwrap_err();
    assert!(matches!(fault, KeyFileFault::OtherWrappingKey));
    let fault = closed.open_with(&stretched()).unwrap_err();
    assert!(matches!(fault, KeyFileFault::WrongPassphrase));
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Locked));
    let whole = fs::read(&path).unwrap();
    for position in 12..whole.len() - CHECKSUM_LEN {
        fs::write(&path, &whole).unwrap();
        rewrite(&path, |bytes| bytes[position] ^= 1);
        let opened = Closed::read(&path).map(|closed| closed.unwrap(&wrapping).is_ok());
        assert!(!matches!(opened, Ok(true)), "{position}");
    }
}

#[test]
fn a_replaced_file_is_whole_its_owners_and_the_old_bytes_are_gone() {
    let (directory, path) = saved();
    let second_name = directory.path().join("second name");
    fs::hard_link(&path, &second_name).unwrap();
    let other = KeyFile {
        secret: SecretBytes::copy_of(&[1; 20]),
        ..key()
    };
    replace(&path, encode(&other).expose()).unwrap();
    let (_, secret) = load(&path, KeyKind::PatientSigning).unwrap();
    assert_eq!(secret.expose(), [1; 20]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        fs::read(&second_name)
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_passphrase_has_a_length_and_shows_no_byte() {
    assert!(Passphrase::new(SecretBytes::default()).is_none());
    assert!(Passphrase::new(SecretBytes::new(vec![b'x'; 1025])).is_none());
    assert!(!passphrase("seven 7").may_be_set());
    assert!(!passphrase("äöüäöü7").may_be_set());
    assert!(passphrase("äöüäöü78").may_be_set());
    let shown = format!(
        "{:?} {:?} {:?}",
        passphrase("correct horse"),
        stretched(),
        WrappingKey::generate(&mut OsRandom)
    );
    assert!(!shown.contains("correct"), "{shown}");
    assert!(shown.contains("SealingKey(..)") && shown.contains("Secret<32>(..)"));
}
