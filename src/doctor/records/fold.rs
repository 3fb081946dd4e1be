//! Texts as they are compared when somebody searches: without case and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Fewer digits than this are no phone number.
const FEWEST_DIGITS: usize = 3;

/// `text` without case and accents, and with the letters that Unicode does not
/// take apart spelled as people do who lack them: `Łódź` is `lodz`, `Groß` is
/// `gross`.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let bare = text.nfkd().filter(|letter| !is_combining_mark(*letter));
    for letter in bare.flat_map(char::to_lowercase) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            // The lower case of İ brings its dot along.
            other if is_combining_mark(other) => {}
            other => folded.push(other),
        }
    }
    folded
}

/// What somebody looks for.
pub(super) struct Wanted {
    folded: String,
    /// The digits, if nothing but a phone number was typed.
    digits: Option<String>,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
        let digits = digits(text);
        let is_number = digits.len() >= FEWEST_DIGITS && !text.contains(char::is_alphabetic);
        Self {
            folded: fold(text.trim()),
            digits: is_number.then_some(digits),
        }
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        fold(text).contains(&self.folded)
    }

    /// The same for a phone number, which people write with blanks and dashes
    /// in many places.
    pub(super) fn is_in_number(&self, text: &str) -> bool {
        let found = |wanted: &String| digits(text).contains(wanted);
        self.is_in(text) || self.digits.as_ref().is_some_and(found)
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_make_no_difference() {
        for (text, wanted) in [
            ("Müller", "MULLER"),
            ("Mu\u{308}ller", "müller"),
            ("Muller", "müll"),
            ("François Łódź", "cois lodz"),
            ("Strauß", "STRAUSS"),
            ("Søren Ærø", "soren aero"),
            ("İpek Işık", "ipek isik"),
            ("Ａｄａ", "ada"),
            ("ΆΛΦΑ", "αλφα"),
        ] {
            assert!(Wanted::new(wanted).is_in(text), "{wanted} in {text}");
        }
        assert!(!Wanted::new("Meller").is_in("Müller"));
    }

    #[test]
    fn a_phone_number_is_found_however_it_is_written() {
        for wanted in ["030 123", "(030)-12 34", "1234", "+49 (0"] {
            assert!(
                Wanted::new(wanted).is_in_number("+49 (030) 1234"),
                "{wanted}"
            );
        }
        for wanted in ["99", "030 x", "4321"] {
            assert!(
                !Wanted::new(wanted).is_in_number("+49 (030) 1234"),
                "{wanted}"
            );
        }
        assert!(!Wanted::new("123").is_in("1-2-3"));
    }
}
