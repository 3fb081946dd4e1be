use super::*;
use crate::doctor::records::{Content, Record, Summary};

const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_000);

fn listed(name: Option<&str>) -> Listed {
    Listed {
        patient: "P1".to_owned(),
        record: name.map(|name| Summary {
            name: name.into(),
            born: "".into(),
            phone: "0123".into(),
            archived: None,
        }),
        damaged: false,
        contact_only: true,
        unsplit: name.is_none(),
        device: None,
        last_seen: None,
    }
}

fn json(answer: &Answer) -> Value {
    let objects = objects(answer);
    serde_json::from_str(&objects[0].json()).unwrap()
}

#[test]
fn who_may_see_the_contact_part_only_is_told_so() {
    let record = |contact_only| Record {
        version: 1,
        created: NOW,
        changed: NOW,
        archived: None,
        contact_only,
        content: Content {
            name: "Ada".into(),
            ..Content::default()
        },
        consultations: Vec::new(),
    };
    let shown = |contact_only| {
        Answer::Shown(Box::new(Shown {
            patient: "P1".to_owned(),
            record: Some(record(contact_only)),
            devices: Vec::new(),
        }))
    };
    assert!(text(&shown(true)).contains(CONTACT_ONLY));
    assert!(!text(&shown(false)).contains(CONTACT_ONLY));
    let object = json(&shown(true));
    assert_eq!(object["contact_only"], true);
    assert_eq!(
        (&object["notes"], &object["tags"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(json(&shown(false))["tags"], serde_json::json!([]));

    let list = Answer::Listed(vec![listed(Some("Ada"))]);
    assert!(text(&list).ends_with(CONTACT_ONLY));
    assert_eq!(json(&list)["contact_only"], true);
    for (contact_only, says_so) in [(true, true), (false, false)] {
        let patients = Vec::new();
        let nothing = text(&Answer::Found {
            patients,
            contact_only,
        });
        assert!(nothing.starts_with("Nothing was found."));
        assert_eq!(nothing.contains("Only names"), says_so, "{nothing}");
    }
}

#[test]
fn a_record_that_is_not_split_yet_says_what_it_waits_for() {
    let list = Answer::Listed(vec![listed(None)]);
    assert!(text(&list).contains("when a doctor has started this version"));
    let object = json(&list);
    assert_eq!(
        (&object["unsplit"], &object["damaged"]),
        (&true.into(), &false.into())
    );
    assert_eq!(object["name"], Value::Null);
}
