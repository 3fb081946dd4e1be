//! Crockford's base32 (crockford.com/base32): bytes as letters that survive
//! being copied by hand.

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters as a person may have typed them: case, hyphens and white space do
/// not count.
#[must_use]
pub fn as_typed(typed: &str) -> String {
    typed
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

/// `bytes` as letters, most significant bit first; the last letter is filled with zero bits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut letters = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let mut pending: u16 = 0;
    let mut bits = 0;
    for &byte in bytes {
        pending = (pending << 8) | u16::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letters.push(letter_of(pending >> bits));
            pending &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        letters.push(letter_of(pending << (5 - bits)));
    }
    letters
}

/// Letters in groups of so many, with hyphens between, for copying by hand.
#[must_use]
pub fn in_groups(letters: &str, group: usize) -> String {
    let mut text = String::with_capacity(letters.len() + letters.len() / group);
    for (position, letter) in letters.chars().enumerate() {
        if position > 0 && position % group == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

fn letter_of(value: u16) -> char {
    char::from(ALPHABET[usize::from(value & 31)])
}

/// The bytes that these letters stand for, as [`as_typed`] gives them; none if
/// a letter is not of the alphabet, or if the last one has more than the bits
/// it needs.
#[must_use]
pub fn decode(letters: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(letters.len() * 5 / 8);
    let mut pending: u16 = 0;
    let mut bits = 0;
    for letter in letters.bytes() {
        let letter = match letter {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        };
        let value = ALPHABET
            .iter()
            .position(|known| *known == letter)
            .and_then(|position| u16::try_from(position).ok())?;
        pending = (pending << 5) | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits) as u8);
            pending &= (1 << bits) - 1;
        }
    }
    if bits >= 5 || pending != 0 {
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_letter_is_filled_with_zero_bits_only() {
        assert_eq!(encode(&[255]), "ZW");
        assert_eq!(decode("ZW").unwrap(), [255]);
        assert!(decode("ZX").is_none());
        assert!(decode("ZW0").is_none());
    }

    #[test]
    fn look_alikes_are_read_as_what_was_meant() {
        assert_eq!(decode(&as_typed("o1-il 0")), decode("01110"));
    }
}
