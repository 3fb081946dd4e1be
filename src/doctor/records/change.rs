//! Changing a record: what may stand in it, and a sentence for what may not.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::content::{Content, Field, Personal};
use super::fold::fold;

/// All texts and tags of a record together, in bytes.
pub const MAX_CONTENT: usize = 60_000;
/// A note of a consultation, in bytes.
pub const MAX_NOTE: usize = 16_000;
/// A text of one line, in bytes.
const MAX_LINE: usize = 200;
/// An address, in bytes.
const MAX_ADDRESS: usize = 1_000;
/// A tag, in characters.
const MAX_TAG: usize = 40;
/// The tags of a record.
const MAX_TAGS: usize = 50;
/// Nobody is older than this, in years.
const MAX_AGE: i16 = 150;

const SEXES: [&str; 4] = ["female", "male", "other", "unknown"];

/// What is to be changed. What is absent stays; an empty text is forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// See [`Content::name`]; a record always has one.
    pub name: Option<Personal>,
    /// See [`Content::born`].
    pub born: Option<Personal>,
    /// See [`Content::sex`].
    pub sex: Option<Personal>,
    /// See [`Content::phone`].
    pub phone: Option<Personal>,
    /// See [`Content::email`].
    pub email: Option<Personal>,
    /// See [`Content::address`].
    pub address: Option<Personal>,
    /// See [`Content::notes`].
    pub notes: Option<Personal>,
    /// The tags, instead of those there are.
    pub tags: Option<Vec<Personal>>,
    /// Further tags.
    pub add_tags: Vec<Personal>,
    /// Tags to be taken away.
    pub remove_tags: Vec<Personal>,
}

impl Change {
    /// Whether nothing at all is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The new text of a field, to be written to; the tags are none.
    pub const fn text_mut(&mut self, field: Field) -> Option<&mut Option<Personal>> {
        Some(match field {
            Field::Name => &mut self.name,
            Field::Born => &mut self.born,
            Field::Sex => &mut self.sex,
            Field::Phone => &mut self.phone,
            Field::Email => &mut self.email,
            Field::Address => &mut self.address,
            Field::Notes => &mut self.notes,
            Field::Tags => return None,
        })
    }

    const fn text(&self, field: Field) -> Option<&Personal> {
        match field {
            Field::Name => self.name.as_ref(),
            Field::Born => self.born.as_ref(),
            Field::Sex => self.sex.as_ref(),
            Field::Phone => self.phone.as_ref(),
            Field::Email => self.email.as_ref(),
            Field::Address => self.address.as_ref(),
            Field::Notes => self.notes.as_ref(),
            Field::Tags => None,
        }
    }

    /// The content after this change, and which fields are not as they were.
    ///
    /// # Errors
    /// A sentence that names the field and what is wrong with it, without what
    /// it says.
    pub fn apply(&self, before: &Content, today: Date) -> Result<(Content, Vec<Field>), String> {
        let mut content = before.clone();
        for field in Field::TEXTS {
            if let (Some(text), Some(place)) = (self.text(field), content.text_mut(field)) {
                *place = check_text(field, text.as_str(), today)?;
            }
        }
        self.change_tags(&mut content.tags)?;
        if content.name.is_empty() {
            return Err("a record has at least a name".to_owned());
        }
        if content.sex.is_empty() {
            content.sex = "unknown".into();
        }
        let len = content.len();
        if len > MAX_CONTENT {
            return Err(format!(
                "a record holds {MAX_CONTENT} bytes in all, with this it would have {len}; \
                 shorten the notes, or write them as notes of consultations"
            ));
        }
        let same = |field: &Field| match field {
            Field::Tags => content.tags == before.tags,
            text => content.text(*text) == before.text(*text),
        };
        let changed = Field::ALL.into_iter().filter(|field| !same(field));
        let changed = changed.collect();
        Ok((content, changed))
    }

    fn change_tags(&self, tags: &mut Vec<Personal>) -> Result<(), String> {
        if let Some(instead) = &self.tags {
            tags.clear();
            add_tags(tags, instead)?;
        }
        for tag in &self.remove_tags {
            tags.retain(|kept| fold(kept.as_str()) != fold(tag.as_str().trim()));
        }
        add_tags(tags, &self.add_tags)?;
        if tags.len() > MAX_TAGS {
            return Err(format!("a record has at most {MAX_TAGS} tags"));
        }
        Ok(())
    }
}

/// Adds those that are not there yet, in another spelling perhaps.
fn add_tags(tags: &mut Vec<Personal>, further: &[Personal]) -> Result<(), String> {
    for tag in further {
        let tag = check_tag(tag.as_str())?;
        if !tags
            .iter()
            .any(|kept| fold(kept.as_str()) == fold(tag.as_str()))
        {
            tags.push(tag);
        }
    }
    Ok(())
}

/// A text as it is kept: without blanks around it, lines ended by `\n`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_text(field: Field, text: &str, today: Date) -> Result<Personal, String> {
    let text = Personal::from(text.replace("\r\n", "\n").trim());
    if text.is_empty() {
        return Ok(text);
    }
    let words = text.as_str();
    let (max, lines) = match field {
        Field::Address => (MAX_ADDRESS, true),
        Field::Notes => (MAX_CONTENT, true),
        _ => (MAX_LINE, false),
    };
    check_shape(field.word(), words, max, lines)?;
    match field {
        Field::Born => check_born(words, today)?,
        Field::Sex => {
            let sex = words.to_lowercase();
            return match SEXES.contains(&&*sex) {
                true => Ok(sex.into()),
                false => Err(format!("sex: this is one of {}", SEXES.join(", "))),
            };
        }
        Field::Phone if words.chars().filter(char::is_ascii_digit).count() < 2 => {
            return Err("phone: that is no phone number".to_owned());
        }
        Field::Email if !is_email(words) => {
            return Err("email: that is no address such as ada@example.org".to_owned());
        }
        _ => {}
    }
    Ok(text)
}

/// A note of a consultation as it is kept.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_note(text: &str) -> Result<Personal, String> {
    let text = Personal::from(text.replace("\r\n", "\n").trim());
    if text.is_empty() {
        return Err("the note is empty".to_owned());
    }
    check_shape("note", text.as_str(), MAX_NOTE, true)?;
    Ok(text)
}

/// A tag as it is kept.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_tag(text: &str) -> Result<Personal, String> {
    let text = Personal::from(text.trim());
    let words = text.as_str();
    if words.is_empty() || words.contains(|c: char| c.is_whitespace() || c == ',') {
        return Err("tags: a tag is one word, without a comma".to_owned());
    }
    if words.chars().count() > MAX_TAG {
        return Err(format!("tags: a tag has at most {MAX_TAG} characters"));
    }
    check_shape("tags", words, MAX_LINE, false)?;
    Ok(text)
}

fn check_shape(name: &str, text: &str, max: usize, lines: bool) -> Result<(), String> {
    if text.len() > max {
        return Err(format!(
            "{name}: this has {} bytes, the longest possible has {max}",
            text.len()
        ));
    }
    let allowed = |c: char| !c.is_control() || (lines && matches!(c, '\n' | '\t'));
    match text.chars().find(|c| !allowed(*c)) {
        Some('\n' | '\r') => Err(format!("{name}: this is one line")),
        Some(control) => Err(format!(
            "{name}: the character U+{:04X} cannot stand in it",
            u32::from(control)
        )),
        None => Ok(()),
    }
}

fn check_born(text: &str, today: Date) -> Result<(), String> {
    let form = "write it as year-month-day, such as 1980-02-29";
    let looks_right = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !looks_right {
        return Err(format!("born: that is no date; {form}"));
    }
    let Ok(born) = text.parse::<Date>() else {
        return Err(format!("born: the calendar has no such day; {form}"));
    };
    if born > today {
        return Err(format!("born: that day is still to come; {form}"));
    }
    if today.year() - born.year() > MAX_AGE {
        return Err(format!("born: that is over {MAX_AGE} years ago; {form}"));
    }
    Ok(())
}

fn is_email(text: &str) -> bool {
    let halves = text.split_once('@');
    halves.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2027, 1, 15);

    fn named() -> Content {
        Content {
            name: "Ada".into(),
            sex: "unknown".into(),
            phone: "0123".into(),
            tags: vec!["Asthma".into()],
            ..Content::default()
        }
    }

    fn changed(change: &Change) -> (Content, Vec<Field>) {
        change.apply(&named(), TODAY).unwrap()
    }

    fn refusal(field: Field, text: &str) -> String {
        let sentence = check_text(field, text, TODAY).unwrap_err();
        assert!(sentence.starts_with(field.word()), "{sentence}");
        assert!(text.len() < 3 || !sentence.contains(text), "{sentence}");
        sentence
    }

    #[test]
    fn only_what_is_named_changes() {
        let change = Change {
            phone: Some("".into()),
            email: Some(" ada@example.org ".into()),
            name: Some("Ada".into()),
            ..Change::default()
        };
        let (content, fields) = changed(&change);
        assert_eq!(fields, [Field::Phone, Field::Email]);
        let expected = Content {
            phone: "".into(),
            email: "ada@example.org".into(),
            ..named()
        };
        assert_eq!(content, expected);
        assert_eq!(changed(&Change::default()), (named(), vec![]));
    }

    #[test]
    fn tags_are_added_taken_away_and_replaced_in_any_spelling() {
        let tags = |tags: Option<&[&str]>, add: &[&str], remove: &[&str]| {
            let all = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
            let change = Change {
                tags: tags.map(all),
                add_tags: all(add),
                remove_tags: all(remove),
                ..Change::default()
            };
            let (content, _) = changed(&change);
            let tags = content.tags.iter().map(|tag| tag.as_str().to_owned());
            tags.collect::<Vec<_>>()
        };
        assert_eq!(tags(None, &["asthma", "Nuts"], &[]), ["Asthma", "Nuts"]);
        assert_eq!(tags(None, &["b"], &["ASTHMA", "c"]), ["b"]);
        assert_eq!(tags(Some(&["b", "B"]), &["c"], &[]), ["b", "c"]);
        assert_eq!(tags(Some(&[]), &[], &[]), [""; 0]);
        for wrong in ["two words", "a,b", " ", "\u{1b}x", &"x".repeat(41)] {
            assert!(check_tag(wrong).unwrap_err().starts_with("tags: "));
        }
        let many = Change {
            add_tags: (0..50).map(|n| n.to_string().into()).collect(),
            ..Change::default()
        };
        assert!(many.apply(&named(), TODAY).unwrap_err().contains("50"));
    }

    #[test]
    fn a_date_of_birth_is_a_day_of_the_calendar_that_has_been() {
        for right in ["1980-02-29", "2027-01-15", "1877-01-15", ""] {
            let kept = check_text(Field::Born, right, TODAY).unwrap();
            assert_eq!(kept.as_str(), right);
        }
        for (wrong, part) in [
            ("1981-02-29", "no such day"),
            ("1980-13-01", "no such day"),
            ("2027-01-16", "still to come"),
            ("1876-12-31", "150 years"),
            ("29.2.1980", "no date"),
            ("1980-2-9", "no date"),
            ("19800229", "no date"),
            ("1980-02-29T00:00", "no date"),
            ("１９８０-02-29", "no date"),
        ] {
            let sentence = refusal(Field::Born, wrong);
            assert!(sentence.contains(part), "{wrong}: {sentence}");
            assert!(sentence.contains("year-month-day"), "{sentence}");
        }
    }

    #[test]
    fn every_field_refuses_what_it_cannot_hold() {
        for (field, wrong) in [
            (Field::Name, "two\nlines"),
            (Field::Name, "\u{1b}[2J"),
            (Field::Name, &"x".repeat(201)),
            (Field::Sex, "feminine"),
            (Field::Phone, "none"),
            (Field::Email, "nobody"),
            (Field::Email, "@host"),
            (Field::Email, "a@b@c"),
            (Field::Email, "a da@b"),
            (Field::Address, &"x".repeat(1_001)),
            (Field::Notes, "a\0b"),
            (Field::Notes, &"x".repeat(60_001)),
        ] {
            refusal(field, wrong);
        }
        for (field, right, kept) in [
            (Field::Sex, " Female ", "female"),
            (Field::Phone, "+49 30 12 (son)", "+49 30 12 (son)"),
            (Field::Address, "a\r\nb\r\n", "a\nb"),
            (Field::Notes, "\tx\n\n\ty", "x\n\n\ty"),
        ] {
            assert_eq!(check_text(field, right, TODAY).unwrap(), kept.into());
        }
    }

    #[test]
    fn a_record_has_a_name_and_ends_somewhere() {
        let nameless = Change {
            name: Some(" ".into()),
            ..Change::default()
        };
        assert!(
            nameless
                .apply(&named(), TODAY)
                .unwrap_err()
                .contains("name")
        );
        let notes = |len: usize| Change {
            notes: Some("x".repeat(len).into()),
            ..Change::default()
        };
        let rest = MAX_CONTENT - named().len();
        assert_eq!(changed(&notes(rest)).0.len(), MAX_CONTENT);
        let sentence = notes(rest + 1).apply(&named(), TODAY).unwrap_err();
        assert!(sentence.contains("60000") && sentence.contains("60001"));
    }

    #[test]
    fn a_note_has_words_and_an_end() {
        assert_eq!(check_note(" well\r\n").unwrap(), "well".into());
        assert!(check_note(&"x".repeat(MAX_NOTE)).is_ok());
        assert!(
            check_note(&"x".repeat(MAX_NOTE + 1))
                .unwrap_err()
                .contains("16000")
        );
        assert_eq!(check_note(" \n").unwrap_err(), "the note is empty");
    }
}
