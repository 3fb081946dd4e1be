use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn an_object_is_one_line_of_json_or_one_line_of_fields() {
    let object = Object::new("device")
        .with("patient", "P1")
        .with("since", Timestamp::from_millis(0))
        .with("seconds", 3_u64)
        .with("resumed", true)
        .with("clock", None::<String>)
        .with("tags", vec!["a", "b"]);
    assert_eq!(
        object.json(),
        r#"{"v":1,"type":"device","patient":"P1","since":"1970-01-01T00:00:00Z","seconds":3,"resumed":true,"clock":null,"tags":["a","b"]}"#
    );
    assert_eq!(
        object.plain(),
        "device\tP1\t1970-01-01T00:00:00Z\t3\tyes\t\ta,b"
    );
}

#[test]
fn json_keeps_every_character_and_steers_no_terminal() {
    let text = "5 mg\r\n\u{202e}gm\t\"x\"\u{9b}31m\u{7f}\u{e0041} ä \u{1f489}\\";
    let object = Object::new("message").with("text", text);
    let json = object.json();
    assert!(!json.chars().any(text::is_hidden), "{json}");
    assert!(json.contains("ä \u{1f489}"), "{json}");
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["text"], text);
    let plain = object.plain();
    assert_eq!(plain.matches('\t').count(), 1, "{plain}");
    assert_eq!(plain, "message\t5 mg \u{23ce} gm    \"x\"31m ä \u{1f489}\\");
}

#[test]
fn the_form_is_known_even_if_the_command_line_is_wrong() {
    let of = |line: &[&str]| {
        let line: Vec<_> = line.iter().map(OsString::from).collect();
        Form::of_failures(&line)
    };
    assert_eq!(of(&["--json", "frob"]), Form::Json);
    assert_eq!(of(&["frob", "--", "--json"]), Form::People);
    assert!(Form::chosen(true, true).is_err());
}

/// The types that the code makes objects of, by its text.
fn types_in(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            types_in(&path, found);
        } else if !path.ends_with("output/tests.rs") {
            let code = fs::read_to_string(&path).unwrap();
            for part in code.split("Object::new(").skip(1) {
                let name = part.trim_start().strip_prefix('"').and_then(|part| {
                    let (name, _) = part.split_once('"')?;
                    Some(name.to_owned())
                });
                found.insert(name.unwrap_or_else(|| panic!("no literal in {path:?}: {part:.40}")));
            }
        }
    }
}

#[test]
fn every_type_of_object_is_documented_and_every_documented_one_is_made() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = BTreeSet::new();
    types_in(&root.join("src"), &mut made);
    let document = fs::read_to_string(root.join("docs/json.md")).unwrap();
    let examples = document
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('{'));
    let mut documented = BTreeSet::new();
    for example in examples {
        let start = r#"{"v":1,"type":""#;
        let name = example
            .strip_prefix(start)
            .unwrap_or_else(|| panic!("{example}"));
        let (name, _) = name.split_once('"').unwrap();
        let parsed: Value = serde_json::from_str(example).unwrap();
        assert_eq!(parsed["type"], name);
        assert!(documented.insert(name.to_owned()), "{name} twice");
        assert!(
            document.contains(&format!("`{name}`")),
            "{name} is not explained"
        );
    }
    assert_eq!(made, documented);
}
