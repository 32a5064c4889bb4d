//! `Idempotency-Key`: what creates something, sent again, is answered again and not done again.

use axum::http::Method;
use jiff::SignedDuration;
use liveevents_origin::compaction::forget_keys;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Answer, Caller, Origin, PASSWORD, event};

async fn keyed(caller: &Caller<'_>, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key)];
    caller
        .call(Method::POST, path, &headers, body.to_string())
        .await
}

/// An event whose name is left to the origin: each that is created has another.
fn unnamed() -> Value {
    let mut event = event("x", json!({}));
    event.as_object_mut().unwrap().remove("eventId");
    event
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_request_gets_the_first_answer_again(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let first = keyed(&admin, "/events", "k1", &unnamed()).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    // Even where it would not be accepted any more.
    origin.clock.advance(SignedDuration::from_hours(23));
    let again = keyed(&admin, "/events", "k1", &unnamed()).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for header in ["location", "etag", "content-type"] {
        assert_eq!(
            again.headers.get(header),
            first.headers.get(header),
            "{header}"
        );
    }
    assert_eq!(count(&pool, "live_events").await, 1);
    assert_eq!(count(&pool, "audit_log").await, 1);

    let mut other = unnamed();
    other["priority"] = json!(7);
    let refused = keyed(&admin, "/events", "k1", &other).await;
    assert!(refused.message().contains("k1"), "{}", refused.text);
    refused.refused(409, "CONFLICT");
    // A key is its caller's, and its path's.
    keyed(&origin.named("ada"), "/events", "k1", &other)
        .await
        .must(201);
    let id = first.body["eventId"].as_str().unwrap();
    let clone = format!("/events/{id}/clone");
    keyed(&admin, &clone, "k1", &json!({})).await.must(201);
    assert_eq!(count(&pool, "live_events").await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_at_once_one_creates_and_all_are_answered_the_same(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let body = unnamed();
    let answers =
        futures_util::future::join_all((0..6).map(|_| keyed(&admin, "/events", "k", &body))).await;
    let first = answers[0].text.clone();
    for answer in answers {
        assert_eq!(answer.text, first);
        answer.must(201);
    }
    assert_eq!(count(&pool, "live_events").await, 1);
    assert_eq!(count(&pool, "idempotency_keys").await, 1);

    // Of different requests under one key one is carried out.
    let bodies = [1, 2, 3, 4].map(|priority| {
        let mut body = unnamed();
        body["priority"] = json!(priority);
        body
    });
    let answers = bodies
        .iter()
        .map(|body| keyed(&admin, "/events", "other", body));
    let answers = futures_util::future::join_all(answers).await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| answer.status.as_u16() == status)
            .count()
    };
    assert_eq!((of(201), of(409)), (1, 3));
    assert_eq!(count(&pool, "live_events").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_is_not_kept(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin
        .post("/events", event("taken", json!({})))
        .await
        .must(201);
    keyed(&admin, "/events", "k", &event("taken", json!({})))
        .await
        .refused(409, "CONFLICT");
    keyed(&admin, "/events", "k", &json!({ "displayName": "" }))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(count(&pool, "idempotency_keys").await, 0);
    keyed(&admin, "/events", "k", &event("free", json!({})))
        .await
        .must(201);
    for bad in ["", &"k".repeat(201)] {
        let fields = keyed(&admin, "/events", bad, &unnamed())
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(fields, ["Idempotency-Key"]);
    }
    // Nobody is told what another was answered, nor after their role is gone.
    let developer = origin.caller(Role::Developer, &[]);
    keyed(&developer, "/events", "k", &event("free", json!({})))
        .await
        .refused(403, "FORBIDDEN");
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_that_creates_takes_a_key_and_keeps_no_secret(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let new = [
        (
            "/users",
            json!({ "username": "ada", "password": PASSWORD, "role": "Developer" }),
        ),
        (
            "/regions",
            json!({ "regionId": "moon", "displayName": "Moon", "timezone": "UTC" }),
        ),
        (
            "/deployments",
            json!({ "eventId": "fest", "regions": ["us-east"], "percentage": 10 }),
        ),
        ("/events/fest/clone", json!({})),
    ];
    for (path, body) in &new {
        let first = keyed(&admin, path, "k", body).await;
        let again = keyed(&admin, path, "k", body).await;
        assert_eq!(first.text, again.text);
        first.must(201);
        again.must(201);
    }
    assert_eq!(count(&pool, "deployments").await, 1);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT idempotency_keys::text FROM idempotency_keys")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(kept.len(), new.len());
    assert!(!kept.iter().any(|row| row.contains(PASSWORD)), "{kept:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_are_forgotten_after_a_day(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let first = keyed(&admin, "/events", "k", &unnamed()).await.must(201);
    origin.clock.advance(SignedDuration::from_hours(24));
    let second = keyed(&admin, "/events", "k", &unnamed()).await.must(201);
    assert_ne!(first["eventId"], second["eventId"]);
    sqlx::query(
        "INSERT INTO idempotency_keys (caller, path, key, fingerprint, created_at)
         SELECT 'ada', '/old', n::text, decode(repeat('00', 32), 'hex'), '2026-06-01T11:00:00Z'
         FROM generate_series(1, 2500) n",
    )
    .execute(&pool)
    .await
    .unwrap();
    let clock = origin.clock.clock();
    assert_eq!(forget_keys(&pool, &clock).await.unwrap(), 2500);
    assert_eq!(forget_keys(&pool, &clock).await.unwrap(), 0);
    assert_eq!(count(&pool, "idempotency_keys").await, 1);
}
