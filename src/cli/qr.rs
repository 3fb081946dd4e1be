//! QR codes for a terminal, so that a ticket can be scanned from the screen.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code, which scanners need (ISO/IEC 18004: four).
const BORDER: i32 = 4;

/// `text` as a QR code, line by line from the top; two modules stand in one
/// character, one above the other. Light modules are drawn and dark ones left
/// blank, which is right on a dark background and which scanners also read
/// inverted. A text of digits, upper-case letters and `$%*+-./: ` only makes a
/// smaller code. Nothing if the text is too long for a QR code.
#[must_use]
pub fn lines(text: &str) -> Option<Vec<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    // Outside the code every module counts as light.
    let light = |x, y| !code.get_module(x, y);
    let range = -BORDER..code.size() + BORDER;
    let rows = range.clone().step_by(2);
    let line = |y: i32| {
        let character = |x| match (light(x, y), light(x, y + 1)) {
            (true, true) => '\u{2588}',
            (true, false) => '\u{2580}',
            (false, true) => '\u{2584}',
            (false, false) => ' ',
        };
        range.clone().map(character).collect()
    };
    Some(rows.map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the module is light, read back from what is drawn.
    fn is_light(lines: &[String], x: usize, y: usize) -> bool {
        let upper = y.is_multiple_of(2);
        match lines[y / 2].chars().nth(x).unwrap() {
            '\u{2588}' => true,
            '\u{2580}' => upper,
            '\u{2584}' => !upper,
            ' ' => false,
            other => panic!("{other:?} is drawn"),
        }
    }

    #[test]
    fn what_is_drawn_is_the_code_with_its_border() {
        let text = "TELEMED1-0123-ABCD";
        let code = QrCode::encode_text(text, QrCodeEcc::Low).unwrap();
        let size = usize::try_from(code.size()).unwrap();
        let lines = lines(text).unwrap();
        // An odd number of rows: the last line's lower half is border too.
        assert_eq!(lines.len(), (size + 8).div_ceil(2));
        for y in 0..2 * lines.len() {
            for x in 0..size + 8 {
                let module = |v: usize| i32::try_from(v).unwrap() - 4;
                let dark = code.get_module(module(x), module(y));
                assert_eq!(is_light(&lines, x, y), !dark, "at {x}, {y}");
            }
        }
        assert!(lines.iter().all(|line| line.chars().count() == size + 8));
        assert!(lines[0].chars().all(|c| c == '\u{2588}'));
    }

    #[test]
    fn a_ticket_fits_a_terminal() {
        let ticket = "TELEMED1".to_owned() + &"0ABC".repeat(50);
        let lines = lines(&ticket).unwrap();
        assert!(lines.len() <= 30 && lines[0].chars().count() <= 60);
    }

    #[test]
    fn a_text_too_long_for_a_code_gives_none() {
        assert!(lines(&"x".repeat(4000)).is_none());
    }
}
