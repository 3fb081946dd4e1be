//! Names that a person takes for one another, and what begins alike, as the stores
//! look them up.

/// What is left of a name for whoever looks at it in passing. Digits stay apart
/// from each other: `P10` and `P11` are not alike.
#[must_use]
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
        .replace(['.', '_'], "-")
        .replace(['i', '1'], "l")
        .replace('0', "o")
}

/// The same of a column. It is as long as the name, and in letters of ASCII as both
/// databases fold them.
fn folded_column(column: &str) -> String {
    [(".", "-"), ("_", "-"), ("i", "l"), ("1", "l"), ("0", "o")]
        .into_iter()
        .fold(format!("lower({column})"), |text, (from, to)| {
            format!("replace({text}, '{from}', '{to}')")
        })
}

/// Of the names that a statement gives in its column `name` one that is folded to the
/// first parameter: the second parameter itself, if it is among them. `mark` is what
/// stands before a parameter's number. However many names there are, one is read.
pub(super) fn like(names: &str, mark: char) -> String {
    let folded = folded_column("name");
    format!(
        "SELECT name FROM ({names}) AS known
         WHERE length(name) = length(CAST({mark}1 AS TEXT)) AND {folded} = {mark}1
         ORDER BY name <> {mark}2, name LIMIT 1"
    )
}

/// The names of all patients. A ticket that was taken back, or has ended by the time
/// of the third parameter and was not used, may have been a slip: whoever makes it
/// again is to be warned again.
pub(super) fn of_patients(mark: char) -> String {
    format!(
        "SELECT subject AS name FROM certificate
         UNION ALL
         SELECT subject FROM ticket
         WHERE state IN ('used', 'frozen') OR (state = 'open' AND expires >= {mark}3)
         UNION ALL
         SELECT patient FROM record"
    )
}

/// The first and the last of all identifiers that begin so.
pub(super) fn range(begin: &[u8]) -> ([u8; 16], [u8; 16]) {
    let (mut first, mut last) = ([0; 16], [0xff; 16]);
    for (at, byte) in begin.iter().take(16).enumerate() {
        (first[at], last[at]) = (*byte, *byte);
    }
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_case_punctuation_and_what_is_misread_are_overlooked() {
        let alike = [
            ("P1", "p1"),
            ("a.b_c-d", "A-B-C_D"),
            ("P10", "PlO"),
            ("Oil", "0I1"),
        ];
        for (one, other) in alike {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("P1", "P2"), ("P1", "P-1"), ("P10", "P11"), ("P1", "P11")] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
