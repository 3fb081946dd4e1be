//! Text from the other side, made fit for a terminal.
//!
//! A message may hold anything that is UTF-8: escape sequences that clear the
//! screen or set the window's title, direction marks that turn "do not take 10"
//! around, new lines that imitate this program's own output. None of it reaches
//! the terminal.

/// Longest text of a message, in bytes of UTF-8.
pub const MAX_MESSAGE: usize = 16_000;

/// What stands in the place of a line break in a message that is shown on one
/// line.
const LINE_BREAK: &str = " \u{23ce} ";

/// `text` on one line, without anything that could steer a terminal or deceive
/// its reader. Line breaks become ` ⏎ ` (so that a message cannot imitate a
/// line of this program), tabs become spaces, and control, escape, direction,
/// zero-width and other invisible characters are left out. Everything from the
/// other side, and everything typed that is shown again, goes through here.
#[must_use]
pub fn clean(text: &str) -> String {
    clean_lines(text).trim_end().replace('\n', LINE_BREAK)
}

/// The same, but line breaks stay, as `\n`. For text of this program's own that
/// has several lines.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.replace("\r\n", "\n").chars() {
        match character {
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                cleaned.push('\n');
            }
            '\t' => cleaned.push_str("    "),
            other if is_hidden(other) => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// `text` cleaned and shortened, for quoting wrong input in a sentence.
#[must_use]
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let text = clean(text);
    if text.chars().count() <= LONGEST {
        return format!("\"{text}\"");
    }
    let front: String = text.chars().take(LONGEST).collect();
    format!("\"{front}...\"")
}

/// A reason as errors carry it, cleaned, with a capital letter in front and a
/// full stop behind.
#[must_use]
pub fn sentence(reason: &str) -> String {
    let reason = clean(reason);
    let mut characters = reason.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().collect::<String>() + characters.as_str() + "."
}

/// Whether a message may have this text.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_message(text: &str) -> Result<(), String> {
    if clean(text).trim().is_empty() {
        return Err("the message is empty".to_owned());
    }
    if text.len() > MAX_MESSAGE {
        return Err(format!(
            "the message has {} bytes, the longest possible has {MAX_MESSAGE}; \
             send it in parts",
            text.len()
        ));
    }
    Ok(())
}

/// Characters that draw nothing of their own but change what is seen around
/// them: Unicode's control and format characters (categories Cc and Cf) without
/// the few that are drawn, and fillers that look like nothing. Variation
/// selectors (FE00-FE0F) stay: they only choose between two looks of a sign.
pub(super) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        for text in [
            "Take 5 mg, twice a day.",
            "Größe: 1,80 m – 70 % ≤ 37 °C",
            "血圧 120/80",
            "ضغط الدم",
            "रक्तचाप",
            "\u{1f489} \u{2764}\u{fe0f}",
            "e\u{301}",
        ] {
            assert_eq!(clean(text), text);
            assert_eq!(clean_lines(text), text);
        }
    }

    #[test]
    fn hostile_text_loses_its_power() {
        for (hostile, harmless) in [
            ("\x1b[2J\x1b[1;1Hgone", "[2J[1;1Hgone"),
            ("\x1b]0;title\x07x", "]0;titlex"),
            ("\u{9b}31mred\u{9d}52;c;eA==\u{9c}", "31mred52;c;eA=="),
            ("ten\x08\x08\x08one\x7f", "tenone"),
            ("5 mg\r10 mg", "5 mg \u{23ce} 10 mg"),
            ("\u{202e}gm 01\u{202c} \u{2066}x\u{2069}", "gm 01 x"),
            ("a\u{200b}b\u{200d}c\u{feff}d\u{ad}e\u{2060}f", "abcdef"),
            ("\u{61c}a\u{200e}b\u{200f}", "ab"),
            ("tag\u{e0041}\u{e007f}", "tag"),
            ("\u{fff9}a\u{fffa}b\u{fffb}", "ab"),
            ("nul\0 bell\x07", "nul bell"),
            ("a\tb", "a    b"),
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    #[test]
    fn no_kind_of_line_break_starts_a_line() {
        for line_break in [
            "\n", "\r\n", "\r", "\x0b", "\x0c", "\u{85}", "\u{2028}", "\u{2029}",
        ] {
            let text = format!("hello{line_break}doctor: all is well{line_break}");
            assert_eq!(clean(&text), "hello \u{23ce} doctor: all is well");
            assert_eq!(clean_lines(&text), "hello\ndoctor: all is well\n");
        }
    }

    #[test]
    fn no_character_of_the_hidden_kind_survives() {
        let all: String = ('\0'..=char::MAX).collect();
        let cleaned = clean(&all);
        assert!(!cleaned.chars().any(|c| is_hidden(c) || c.is_control()));
        assert!(cleaned.contains('ä') && cleaned.contains('漢'));
    }

    #[test]
    fn a_quotation_is_short_and_clean() {
        assert_eq!(quoted("x\x1b[0m"), "\"x[0m\"");
        assert_eq!(
            quoted(&"ä".repeat(41)),
            format!("\"{}...\"", "ä".repeat(40))
        );
    }

    #[test]
    fn an_empty_or_over_long_message_is_refused() {
        assert!(check_message("Take 5 mg.").is_ok());
        assert!(check_message(&"x".repeat(MAX_MESSAGE)).is_ok());
        for empty in ["", "  \n", "\u{200b}"] {
            assert_eq!(check_message(empty).unwrap_err(), "the message is empty");
        }
        let sentence = check_message(&"ä".repeat(8001)).unwrap_err();
        assert!(
            sentence.contains("16002") && sentence.contains("16000"),
            "{sentence}"
        );
    }
}
