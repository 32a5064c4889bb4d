//! The OpenAPI document: complete, sound, and served with its page from here alone.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use sqlx::PgPool;

use crate::common::{Answer, Origin};

async fn get(origin: &Origin, path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    origin.send(request).await
}

/// Every operation of the document: method, path, and what is said of it.
pub(super) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

/// What a reference points to.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(pointer) => {
            let found = document.pointer(pointer.trim_start_matches('#'));
            found.unwrap_or_else(|| panic!("{pointer} leads nowhere"))
        }
        None => value,
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_says_what_it_takes_who_may_and_what_can_go_wrong(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let document = get(&origin, "/api/openapi.json").await.must(200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{what}: {id} is not unique");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{what} has no summary");
        let open = operation["security"].as_array().unwrap().is_empty();
        let roles = operation["x-roles"].as_array();
        assert_eq!(roles.is_none(), open, "{what}: roles and security differ");
        assert!(roles.is_none_or(|roles| !roles.is_empty()), "{what}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{what}"
        );
        for (status, response) in responses {
            let response = resolve(&document, response);
            assert!(
                !response["description"].as_str().unwrap().is_empty(),
                "{what} {status}"
            );
            let content = response["content"].as_object();
            assert!(
                content.is_some() || status == "204",
                "{what} {status} has no content"
            );
        }
        let must: &[&str] = if open {
            &["400", "500", "503"]
        } else {
            &["400", "401", "403", "500", "503"]
        };
        for status in must {
            assert!(
                responses.contains_key(*status),
                "{what} does not say {status}"
            );
        }
        let creates = responses.contains_key("201") && method == "POST";
        let named = |name: &str| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.filter(|one| one["name"] == name).count() == 1
        };
        assert!(
            !creates || named("Idempotency-Key"),
            "{what} creates and takes no key"
        );
        assert_eq!(named("limit"), named("offset"), "{what}");
        if named("limit") {
            assert_eq!(operation["x-rate-limit"], "lists", "{what}");
        }
        // What ends or takes back something is never refused for its rate.
        if ["/stop", "/resume", "/rollback"]
            .iter()
            .any(|end| path.ends_with(end))
        {
            assert!(operation["x-rate-limit"].is_null(), "{what} is limited");
        }
    }
    references(&document, &document);
}

/// Every reference leads somewhere.
fn references(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            resolve(document, value);
            fields
                .values()
                .for_each(|field| references(document, field));
        }
        Value::Array(items) => items.iter().for_each(|item| references(document, item)),
        _ => {}
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_page_loads_nothing_from_elsewhere(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let moved = get(&origin, "/api/docs").await;
    assert_eq!(moved.headers[header::LOCATION], "/api/docs/");
    let page = get(&origin, "/api/docs/").await;
    assert_eq!(page.status.as_u16(), 200);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "{}",
        page.text
    );
    for part in page
        .text
        .split(['"', '\''])
        .filter(|part| part.starts_with("./"))
    {
        let path = format!("/api/docs/{}", part.trim_start_matches("./"));
        assert_eq!(get(&origin, &path).await.status.as_u16(), 200, "{path}");
    }
    let settings = get(&origin, "/api/docs/swagger-initializer.js").await.text;
    assert!(settings.contains("/api/openapi.json"), "{settings}");
    assert!(settings.contains(r#""validatorUrl": "none""#), "{settings}");
}
