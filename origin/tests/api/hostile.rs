//! What nobody sensible sends, at every place of every request that the document knows of: a clear refusal or a sensible
//! answer, and never a failure of ours.

use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::schema::{Operation, all, document, pointers, sample};
use crate::common::{Answer, Choices, Origin, PASSWORD};

/// In the place of any text.
const TEXTS: &[&str] = &[
    "'; DROP TABLE live_events; --",
    "%' OR '1'='1",
    "\u{0}",
    "\u{202e}\u{feff}\u{1f4a3}",
    "../../etc/passwd",
    "Etc/Nowhere",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "2026-02-30T10:00:00Z",
    "2026-03-29T02:30:00+01:00[Europe/Berlin]",
    "P9999999Y",
    "-PT99999999999999H",
    "FREQ=SECONDLY;COUNT=99999999",
];

/// In the place of anything, as it stands in JSON.
const VALUES: &[&str] = &[
    "null",
    "-1",
    "99999999999999999999999",
    "1e400",
    "-0.0000001",
    r#""\ud800""#,
    "[[]]",
];

const HERE: &str = "@here@";

/// An origin in which what paths name is there.
async fn prepared(pool: PgPool) -> Origin {
    let choices = Choices {
        require_approval: false,
        ..Choices::default()
    };
    let origin = Origin::start_by(pool, choices).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let person = json!({ "username": "ada", "password": PASSWORD, "role": "Developer" });
    admin.post("/users", person).await.must(201);
    origin
}

/// The path to something that is there, where there is something.
fn uri(operation: &Operation, document: &Value) -> String {
    operation.uri(document, |name, schema| {
        let text = match (name, schema["format"].as_str()) {
            (_, Some("uuid")) => "00000000-0000-7000-8000-000000000000",
            ("revision", _) => "1",
            ("username", _) => "ada",
            _ if operation.path.contains("/events/") => "fest",
            _ if operation.path.contains("/regions/") => "us-east",
            _ => "hostile",
        };
        text.to_owned()
    })
}

/// Not our fault; and a refusal is one that says what is wrong.
#[track_caller]
fn check(answer: &Answer, what: &str) {
    let status = answer.status.as_u16();
    assert!(status < 500, "{what}: {}", answer.text);
    if status >= 400 {
        let message = answer.message();
        assert!(!message.is_empty(), "{what}: {}", answer.text);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_in_any_field_of_a_body_is_our_fault(pool: PgPool) {
    let origin = prepared(pool.clone()).await;
    let document = document(&origin).await;
    let token = origin.caller(Role::Admin, &[]).token;
    let quoted = TEXTS.iter().map(|text| json!(text).to_string());
    let values: Vec<String> = quoted
        .chain(VALUES.iter().map(|text| (*text).to_owned()))
        .collect();
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    for operation in all(&document) {
        let Some(schema) = operation.body(&document) else {
            continue;
        };
        let uri = uri(&operation, &document);
        let whole = sample(&document, schema, 5);
        for pointer in pointers(&whole, "") {
            let mut body = whole.clone();
            *body.pointer_mut(&pointer).unwrap() = json!(HERE);
            let body = body.to_string();
            for value in &values {
                let body = body.replace(&json!(HERE).to_string(), value);
                let answer = operation.send(&origin, &uri, Some(&token), body).await;
                check(&answer, &format!("{} {pointer} {value}", operation.name()));
            }
            let body = body.replace(&json!(HERE).to_string(), &deep);
            let answer = operation.send(&origin, &uri, Some(&token), body).await;
            answer.refused(400, "VALIDATION_ERROR");
        }
        // Of the whole body: what is no text, no JSON, no object, or more than is known.
        let unknown = json!({ "colour": 1 }).to_string();
        for (body, must) in [
            (b"{\"a\":\"\xff\xfe\"}".to_vec(), ""),
            (b"{".to_vec(), ""),
            (b"[]".to_vec(), ""),
            (b"1e999".to_vec(), ""),
            (unknown.into_bytes(), "colour"),
        ] {
            let answer = operation.send(&origin, &uri, Some(&token), body).await;
            assert!(
                answer.text.contains(must),
                "{}: {}",
                operation.name(),
                answer.text
            );
            answer.refused(400, "VALIDATION_ERROR");
        }
    }
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM live_events")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(events > 0);
}

/// Every byte as it can stand in an address.
fn escaped(text: &[u8]) -> String {
    text.iter().map(|byte| format!("%{byte:02x}")).collect()
}

fn in_address() -> Vec<String> {
    let texts = TEXTS.iter().map(|text| escaped(text.as_bytes()));
    let others = [
        escaped(b"\xff\xfe"),
        "x".repeat(5_000),
        "-1".to_owned(),
        "99999999999999999999".to_owned(),
    ];
    texts.chain(others).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_in_any_query_or_path_is_our_fault(pool: PgPool) {
    let origin = prepared(pool).await;
    let document = document(&origin).await;
    let token = origin.caller(Role::Admin, &[]).token;
    for operation in all(&document) {
        let uri = uri(&operation, &document);
        let body = || json!({}).to_string();
        for parameter in operation.parameters(&document, "query") {
            let name = parameter["name"].as_str().unwrap();
            for value in in_address() {
                let uri = format!("{uri}?{name}={value}");
                let answer = operation.send(&origin, &uri, Some(&token), body()).await;
                check(&answer, &format!("{} {uri}", operation.name()));
            }
            let twice = format!("{uri}?{name}=1&{name}=1");
            operation
                .send(&origin, &twice, Some(&token), body())
                .await
                .refused(400, "VALIDATION_ERROR");
        }
        let unknown = format!("{uri}?colour=red");
        let answer = operation
            .send(&origin, &unknown, Some(&token), body())
            .await;
        assert_eq!(
            answer.refused(400, "VALIDATION_ERROR"),
            ["colour"],
            "{}",
            operation.name()
        );
        for value in in_address() {
            let hostile = operation.uri(&document, |_, _| value.clone());
            if hostile != operation.path {
                let answer = operation
                    .send(&origin, &hostile, Some(&token), body())
                    .await;
                check(&answer, &format!("{} {hostile}", operation.name()));
            }
        }
    }
}
