//! What makes a document, and what does not.

use super::*;
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "displayName": "Summer Fest",
        "type": "SeasonalPromotion",
        "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-07-15T10:00:00Z",
    })
}

fn with(changes: Value) -> Value {
    let mut event = base();
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn parse(event: &Value) -> Result<Document, Vec<(String, String)>> {
    // Through text: free-form JSON keeps its text, which a tree does not have.
    let fields: EventFields = serde_json::from_str(&event.to_string()).unwrap();
    Document::parse(&fields).map_err(|faults| {
        faults
            .into_vec()
            .into_iter()
            .map(|f| (f.field, f.message))
            .collect()
    })
}

fn fields_at_fault(event: &Value) -> Vec<String> {
    let faults = parse(event).expect_err("has faults");
    faults.into_iter().map(|(field, _)| field).collect()
}

#[test]
fn the_least_that_is_an_event() {
    let document = parse(&base()).unwrap();
    assert_eq!(document.timing.zone, Zone::utc());
    assert_eq!(document.configuration.as_str(), "{}");
    assert_eq!(document.bucket_by, BucketBy::default());
}

#[test]
fn each_rule_names_its_field() {
    let table = [
        (json!({"displayName": "  "}), "displayName"),
        (json!({"displayName": "x".repeat(201)}), "displayName"),
        (json!({"displayName": "two\nlines"}), "displayName"),
        (json!({"description": "x".repeat(20_001)}), "description"),
        (json!({"type": "Party"}), "type"),
        (json!({"requires": {"minBuild": "v4"}}), "requires.minBuild"),
        (
            json!({"requires": {"maxBuild": "4.x"}}),
            "requires.maxBuild",
        ),
        (
            json!({"requires": {"minBuild": "4.10", "maxBuild": "4.9"}}),
            "requires.maxBuild",
        ),
        (json!({"whenStale": "Hide"}), "whenStale"),
        (json!({"whenStale": 5}), "whenStale"),
        (
            json!({"whenStale": {"hideAfter": "PT1M", "dim": true}}),
            "whenStale",
        ),
        (
            json!({"whenStale": {"hideAfter": "PT0S"}}),
            "whenStale.hideAfter",
        ),
        (
            json!({"whenStale": {"hideAfter": 5}}),
            "whenStale.hideAfter",
        ),
        (json!({"category": ""}), "category"),
        (json!({"timezone": "Mars/Olympus"}), "timezone"),
        (json!({"startTime": "2026-07-01T10:00:00"}), "startTime"),
        (json!({"startTime": "soon"}), "startTime"),
        (json!({"endTime": "2026-07-01T10:00:00Z"}), "endTime"),
        (json!({"endTime": "2026-06-01T10:00:00Z"}), "endTime"),
        (
            json!({"regionLocal": true, "endTime": "2026-07-01T10:00:00"}),
            "endTime",
        ),
        (json!({"maxParticipants": 0}), "maxParticipants"),
        (json!({"maxParticipants": -5}), "maxParticipants"),
        (json!({"bucketBy": "no spaces"}), "bucketBy"),
        (json!({"tags": ["a", "b", "a"]}), "tags[2]"),
        (json!({"tags": ["a", ""]}), "tags[1]"),
        (
            json!({"targetSegments": ["whales", "Not A Slug"]}),
            "targetSegments[1]",
        ),
        (
            json!({"targetSegments": ["a", "b", "a"]}),
            "targetSegments[2]",
        ),
        (
            json!({"targetSegments": ["a"], "excludeSegments": ["a"]}),
            "excludeSegments[0]",
        ),
        (
            json!({"excludeSegments": (0..101).map(|n| format!("s-{n}")).collect::<Vec<_>>()}),
            "excludeSegments",
        ),
        (json!({"localizations": {"d": {}}}), "localizations.d"),
        (
            json!({"localizations": {"de": {"customFields": 1}}}),
            "localizations.de.customFields",
        ),
        (json!({"configuration": 7}), "configuration"),
        (
            json!({"configuration": {"multipliers": {"xp": 0}}}),
            "configuration.multipliers.xp",
        ),
        (
            json!({"configuration": {"rewards": {"items": [{"amount": 1}, {"amount": -1}]}}}),
            "configuration.rewards.items[1].amount",
        ),
        (
            json!({"configuration": {"text": "x".repeat(256 * 1024)}}),
            "configuration",
        ),
        (
            json!({"recurrence": {"duration": "PT1H"}}),
            "recurrence.rule",
        ),
        (
            json!({"recurrence": {"rule": "FREQ=DAILY"}}),
            "recurrence.duration",
        ),
        (
            json!({"recurrence": {"rule": "FREQ=DAILY", "duration": "-PT1H"}}),
            "recurrence.duration",
        ),
        (
            json!({"recurrence": {"rule": "FREQ=DAILY", "duration": "PT1H", "zone": "X"}}),
            "recurrence.zone",
        ),
        (
            json!({"recurrence": {"rule": "FREQ=DAILY", "duration": "PT1H", "except": ["x"]}}),
            "recurrence.except[0]",
        ),
        (
            json!({"recurrence": {"rule": "FREQ=DAILY", "duration": "PT1H", "until": "2026-01-01"}}),
            "recurrence.until",
        ),
        (
            json!({"regionLocal": true, "recurrence": {"rule": "FREQ=DAILY", "duration": "PT1H", "zone": "UTC"}}),
            "recurrence.zone",
        ),
    ];
    for (changes, field) in table {
        assert_eq!(
            fields_at_fault(&with(changes.clone())),
            [field],
            "{changes}"
        );
    }
}

#[test]
fn all_faults_are_in_one_answer() {
    let event = json!({
        "displayName": "",
        "startTime": "x",
        "timezone": "y",
        "tags": [""],
        "maxParticipants": 0,
    });
    let mut fields = fields_at_fault(&event);
    fields.sort();
    assert_eq!(
        fields,
        [
            "displayName",
            "endTime",
            "maxParticipants",
            "startTime",
            "tags[0]",
            "timezone",
            "type"
        ]
    );
}

#[test]
fn deep_nesting_is_refused_rather_than_stored() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let json =
        base()
            .to_string()
            .replacen('{', &format!("{{\"configuration\": {{\"x\": {deep}}}, "), 1);
    let refusal = serde_json::from_str::<EventFields>(&json).unwrap_err();
    assert!(refusal.to_string().contains("levels"), "{refusal}");
}

#[test]
fn what_no_database_keeps_is_refused_by_name() {
    let long = "9".repeat(limits::MAX_NUMBER + 1);
    let table = [
        (r#""description": "a\u0000b""#.to_owned(), "description"),
        (r#""displayName": "a\u0000b""#.to_owned(), "displayName"),
        (r#""tags": ["a\u0000b"]"#.to_owned(), "tags[0]"),
        (
            r#""localizations": {"de": {"description": "\u0000"}}"#.to_owned(),
            "localizations.de.description",
        ),
        (
            r#""localizations": {"de": {"customFields": {"a": "\u0000"}}}"#.to_owned(),
            "localizations.de.customFields",
        ),
        (
            r#""configuration": {"a": "\u0000"}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a\u0000": 1}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a": "\\\u0000"}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a": "\ud800"}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a": 1e400}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a": 1e-20000}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"a": 1e99999999999}"#.to_owned(),
            "configuration",
        ),
        (
            format!(r#""configuration": {{"a": {long}}}"#),
            "configuration",
        ),
        (
            format!(r#""configuration": {{"a": 0.{long}}}"#),
            "configuration",
        ),
    ];
    for (field, at_fault) in table {
        let mut event = base();
        event.as_object_mut().unwrap().remove("displayName");
        let name = if at_fault == "displayName" {
            ""
        } else {
            r#""displayName": "a", "#
        };
        let json = event
            .to_string()
            .replacen('{', &format!("{{{name}{field}, "), 1);
        let faults = Document::parse(&serde_json::from_str(&json).unwrap()).unwrap_err();
        let fields: Vec<_> = faults.into_vec().into_iter().map(|f| f.field).collect();
        assert_eq!(fields, [at_fault], "{field}");
    }
    // A backslash before the letter is no escape, and these numbers are large and small but numbers.
    let fine = r#"{"a": "\\u0000", "b": 1180591620717411303424, "c": -1.5e-300, "d": "1e400", "e\"": "\""}"#;
    let event = base()
        .to_string()
        .replacen('{', &format!(r#"{{"configuration": {fine}, "#), 1);
    let document = Document::parse(&serde_json::from_str(&event).unwrap()).unwrap();
    assert_eq!(document.configuration.as_str(), fine);
}

#[test]
fn configuration_keeps_its_text() {
    let json = r#"{"displayName": "a", "type": "ContentRelease", "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-07-15T10:00:00Z", "configuration": {"b": 1.50, "a": 1e2}}"#;
    let document = Document::parse(&serde_json::from_str(json).unwrap()).unwrap();
    assert_eq!(document.configuration.as_str(), r#"{"b": 1.50, "a": 1e2}"#);
    let stored = serde_json::to_string(&document.to_fields()).unwrap();
    assert!(stored.contains(r#"{"b": 1.50, "a": 1e2}"#), "{stored}");
}

#[test]
fn what_is_stored_reads_back_the_same() {
    let table = [
        json!({}),
        json!({"timezone": "Europe/Berlin", "tags": ["b", "a"], "priority": -3, "maxParticipants": 7}),
        json!({"regionLocal": true, "timezone": "Asia/Tokyo"}),
        json!({"regionLocal": true, "startTime": "2026-07-01T18:00:00", "endTime": "2026-07-03",
            "recurrence": {"rule": "FREQ=DAILY", "duration": "P1D"}}),
        json!({"recurrence": {"rule": "freq=weekly;byday=fr", "duration": "PT48H", "zone": "America/New_York",
            "except": ["2026-07-10"], "until": "2026-07-11T00:00:00Z"}}),
        json!({"targetSegments": ["vip-tier-1"], "excludeSegments": ["at-risk"], "allowOverlap": true}),
        json!({"localizations": {"pt-BR": {"displayName": "Festa", "customFields": {"x": 1}}}}),
    ];
    for changes in table {
        let document = parse(&with(changes.clone())).unwrap();
        let stored = serde_json::to_string(&document.to_fields()).unwrap();
        let back = Document::parse(&serde_json::from_str(&stored).unwrap()).unwrap();
        assert_eq!(back, document, "{changes}");
    }
}

#[test]
fn an_instant_of_a_region_local_event_is_read_in_its_zone() {
    let document = parse(&with(
        json!({"regionLocal": true, "timezone": "Europe/Berlin"}),
    ))
    .unwrap();
    assert_eq!(
        document.to_fields().start_time.as_deref(),
        Some("2026-07-01T12:00:00")
    );
    assert_eq!(document.bounds.0.to_string(), "2026-07-01T10:00:00Z");
}

#[test]
fn a_draft_may_start_five_minutes_ago() {
    let document = parse(&base()).unwrap();
    let at = |text: &str| document.check_draft(text.parse().unwrap());
    assert!(at("2026-07-01T10:05:00Z").is_ok());
    let faults = at("2026-07-01T10:05:01Z").unwrap_err().into_vec();
    assert_eq!(faults[0].field, "startTime");
}

#[test]
fn conditions_are_kept_and_come_back_as_they_were_meant() {
    let event = with(json!({
        "requires": { "minBuild": "4.12.0", "maxBuild": "5" }, "whenStale": { "hideAfter": "PT10M" },
    }));
    let document = parse(&event).unwrap();
    let content = document.to_content("sale".parse().unwrap(), Revision(1));
    assert!(content.requires.admits("4.13".parse().ok()));
    assert!(!content.requires.admits("5.0.1".parse().ok()));
    assert_eq!(
        content.when_stale.limit(),
        Some(std::time::Duration::from_mins(10))
    );

    let fields = serde_json::to_value(document.to_fields()).unwrap();
    assert_eq!(
        fields["requires"],
        json!({ "minBuild": "4.12", "maxBuild": "5.0" })
    );
    assert_eq!(fields["whenStale"], json!({ "hideAfter": "PT10M" }));
    let again: EventFields = serde_json::from_value(fields.clone()).unwrap();
    assert_eq!(Document::parse(&again).unwrap(), document);

    // An edit takes them back, and then nothing of them is stored.
    let edit = json!({ "requires": null, "whenStale": "Keep" }).to_string();
    let edit: EventFields = serde_json::from_str(&edit).unwrap();
    let edited = Document::parse(&edit.over(again)).unwrap();
    assert!(edited.requires.is_nothing());
    assert_eq!(edited.when_stale, WhenStale::Keep);
    let fields = serde_json::to_value(edited.to_fields()).unwrap();
    assert_eq!(
        (fields.get("requires"), fields.get("whenStale")),
        (None, None)
    );
}
