//! What is a schema, what is refused before it is run, and how faults are named.

use serde_json::json;

use super::*;

fn text(value: &Value) -> JsonText {
    JsonText::new(value.to_string()).unwrap()
}

fn refused(value: &Value) -> (String, String) {
    let faults = Schema::new(&text(value))
        .expect_err("is refused")
        .into_vec();
    assert_eq!(faults.len(), 1, "{faults:?}");
    (faults[0].field.clone(), faults[0].message.clone())
}

fn faults(schema: &Value, configuration: &Value) -> Vec<(String, String)> {
    let mut faults = Faults::default();
    Schema::new(&text(schema))
        .unwrap()
        .check("sale", configuration, &mut faults);
    let faults = faults.into_vec().into_iter();
    faults.map(|fault| (fault.field, fault.message)).collect()
}

#[test]
fn faults_are_named_as_fields_of_the_request() {
    let schema = json!({
        "type": "object",
        "required": ["rewards"],
        "properties": {
            "rewards": { "properties": { "items": { "items": { "$ref": "#/$defs/item" } } } },
            "a/b": { "type": "string", "pattern": "^[a-z]+$" },
        },
        "$defs": { "item": { "required": ["itemId"], "properties": { "amount": { "maximum": 10 } } } },
    });
    assert_eq!(faults(&schema, &json!({ "rewards": {}, "a/b": "x" })), []);
    let wrong =
        json!({ "rewards": { "items": [{ "itemId": "a", "amount": 11 }, {}] }, "a/b": "X" });
    let found: Vec<_> = faults(&schema, &wrong)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(
        found,
        [
            "configuration.a/b",
            "configuration.rewards.items[0].amount",
            "configuration.rewards.items[1]"
        ]
    );
    let (field, message) = faults(&schema, &json!({})).remove(0);
    assert_eq!(field, "configuration");
    assert!(
        message.contains("rewards") && message.contains("schema sale"),
        "{message}"
    );
}

#[test]
fn a_fault_does_not_repeat_the_value() {
    let secret = "s".repeat(10_000);
    let found = faults(
        &json!({ "enum": ["t".repeat(5_000)] }),
        &json!({ "x": secret }),
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].1.chars().count() < 400 && !found[0].1.contains("sss"),
        "{}",
        found[0].1
    );
}

#[test]
fn the_draft_is_the_newest_unless_it_is_said() {
    let dialect = |value: &Value| Schema::new(&text(value)).unwrap().dialect();
    assert_eq!(dialect(&json!({})), Dialect::Draft202012);
    for (uri, expected) in [
        ("http://json-schema.org/draft-07/schema#", Dialect::Draft7),
        (
            "https://json-schema.org/draft/2019-09/schema",
            Dialect::Draft201909,
        ),
        (
            "https://json-schema.org/draft/2020-12/schema",
            Dialect::Draft202012,
        ),
    ] {
        assert_eq!(dialect(&json!({ "$schema": uri })), expected);
    }
    // What a draft knows is what counts: draft 7 has no prefixItems.
    let draft7 = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [{ "type": "string" }] });
    assert_eq!(faults(&draft7, &json!([1])), []);
    assert_eq!(
        faults(
            &json!({ "prefixItems": [{ "type": "string" }] }),
            &json!([1])
        )
        .len(),
        1
    );
}

#[test]
fn what_is_no_schema_or_would_reach_out_is_refused() {
    let table = [
        (json!(true), "schema"),
        (json!({ "type": "thing" }), "schema.type"),
        (
            json!({ "$schema": "https://example.com/own" }),
            "schema.$schema",
        ),
        (json!({ "$schema": 7 }), "schema.$schema"),
        (
            json!({ "properties": { "a": { "$ref": "https://example.com/a.json" } } }),
            "schema.properties.a.$ref",
        ),
        (json!({ "$ref": "file:///etc/passwd" }), "schema.$ref"),
        (json!({ "$ref": "other.json#/a" }), "schema.$ref"),
        (json!({ "$ref": "#anchor" }), "schema.$ref"),
        (json!({ "$ref": "#/$defs/missing" }), "schema.$ref"),
        (
            json!({ "properties": { "a": { "$id": "http://example.com/x" } } }),
            "schema.properties.a.$id",
        ),
        (json!({ "$dynamicRef": "#x" }), "schema.$dynamicRef"),
        (json!({ "pattern": "(" }), "schema.pattern"),
        (
            json!({ "description": "x".repeat(limits::MAX_SCHEMA) }),
            "schema",
        ),
    ];
    for (schema, field) in table {
        assert_eq!(refused(&schema).0, field, "{schema}");
    }
}

#[test]
fn circles_chains_and_bombs_are_refused_before_they_are_run() {
    for circle in [
        json!({ "$ref": "#" }),
        json!({ "properties": { "child": { "$ref": "#" } } }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
    ] {
        let (_, message) = refused(&circle);
        assert!(message.contains("itself"), "{message}");
    }
    let link = |n: usize, of: Value| (format!("d{n}"), of);
    let to = |n: usize| json!({ "$ref": format!("#/$defs/d{n}") });
    let chain: serde_json::Map<_, _> = (0..500)
        .map(|n| link(n, to(n + 1)))
        .chain([link(500, json!({}))])
        .collect();
    let (_, message) = refused(&json!({ "$defs": chain }));
    assert!(message.contains("chain"), "{message}");
    let bomb = |links: usize| {
        let twice = |n: usize| json!({ "allOf": [to(n + 1), to(n + 1)] });
        let all = (0..links)
            .map(|n| link(n, twice(n)))
            .chain([link(links, json!({}))]);
        let defs: serde_json::Map<_, _> = all.collect();
        json!({ "$ref": "#/$defs/d0", "$defs": defs })
    };
    let (_, message) = refused(&bomb(30));
    assert!(message.contains("unfolds"), "{message}");
    assert_eq!(faults(&bomb(5), &json!({})), []);
}

#[test]
fn patterns_are_few_small_and_linear() {
    let (_, message) = refused(&json!({ "pattern": "(a+)+(?!b)" }));
    assert!(!message.is_empty());
    let (field, _) = refused(&json!({ "pattern": "(\\w{1000}){1000}" }));
    assert_eq!(field, "schema.pattern");
    let many: serde_json::Map<_, _> = (0..=limits::MAX_PATTERNS)
        .map(|n| (format!("^p{n}"), json!({})))
        .collect();
    let (_, message) = refused(&json!({ "patternProperties": many }));
    assert!(message.contains("patterns"), "{message}");
    // The pattern that takes others' engines for ever.
    let evil = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
    assert_eq!(
        faults(&evil, &json!({ "a": "a".repeat(50_000) + "b" })).len(),
        1
    );
}
