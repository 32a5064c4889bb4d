//! Every endpoint refuses whoever may not, and every malformed request is refused in the envelope.

use axum::body::Body;
use axum::http::{Method, Request};
use liveevents_service::token::Role;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Origin, event};

const ANY: &str = "01a00000-0000-7000-8000-000000000000";

/// Every endpoint with the roles that may use it, by first letters: Admin, Operator, GameDesigner,
/// Developer.
fn endpoints() -> Vec<(Method, String, &'static str)> {
    let table = [
        ("GET", "/tokens", "A"),
        ("POST", "/tokens", "A"),
        ("DELETE", "/tokens/{id}", "A"),
        ("GET", "/users", "A"),
        ("POST", "/users", "A"),
        ("GET", "/users/somebody", "A"),
        ("PUT", "/users/somebody", "A"),
        ("DELETE", "/users/somebody", "A"),
        ("GET", "/events", "AOGD"),
        ("POST", "/events", "AOG"),
        ("GET", "/events/some", "AOGD"),
        ("PUT", "/events/some", "AOG"),
        ("POST", "/events/some/approve", "AO"),
        ("POST", "/events/some/reject", "AO"),
        ("GET", "/events/some/revisions", "AOGD"),
        ("GET", "/events/some/revisions/1", "AOGD"),
        ("GET", "/deployments", "AOGD"),
        ("POST", "/deployments", "AO"),
        ("GET", "/deployments/{id}", "AOGD"),
        ("POST", "/deployments/{id}/rollback", "AO"),
        ("POST", "/stop", "AO"),
        ("POST", "/resume", "AO"),
        ("GET", "/changes/{id}", "AOGD"),
        ("GET", "/regions", "AOGD"),
        ("GET", "/regions/us-east", "AOGD"),
        ("GET", "/edges", "AOGD"),
        ("POST", "/edges/some/drain", "AO"),
        ("DELETE", "/edges/some", "AO"),
        ("POST", "/admin/cache/warm", "AO"),
        ("GET", "/audit", "AO"),
    ];
    table
        .into_iter()
        .map(|(method, path, roles)| (method.parse().unwrap(), path.replace("{id}", ANY), roles))
        .collect()
}

/// A body that each POST and PUT can at least be read from, so that roles are what is tested.
fn readable(path: &str) -> String {
    let body = match path {
        "/tokens" => json!({ "role": "Player", "subject": "" }),
        "/users" => json!({ "username": "", "password": "", "role": "Admin" }),
        "/deployments" => json!({ "eventId": "some", "regions": [] }),
        _ => json!({}),
    };
    body.to_string()
}

#[sqlx::test(migrations = "../migrations")]
async fn every_endpoint_lets_in_its_roles_and_nobody_else(pool: PgPool) {
    let origin = Origin::start(pool).await;
    for (method, path, roles) in endpoints() {
        let letters = [
            (Role::Admin, 'A'),
            (Role::Operator, 'O'),
            (Role::GameDesigner, 'G'),
            (Role::Developer, 'D'),
            (Role::Player, '-'),
            (Role::GameServer, '-'),
            (Role::Edge, '-'),
        ];
        for (role, letter) in letters {
            let caller = origin.caller(role, &["us-east"]);
            let answer = caller
                .call(method.clone(), &path, &[], readable(&path))
                .await;
            let refused = answer.status.as_u16() == 403;
            assert_eq!(
                !refused,
                roles.contains(letter),
                "{method} {path} as {role}: {}",
                answer.text
            );
            assert!(
                !answer.status.is_server_error(),
                "{method} {path} as {role}: {}",
                answer.text
            );
        }
        let answer = origin
            .bearing("")
            .call(method.clone(), &path, &[], readable(&path))
            .await;
        assert_eq!(
            answer.status.as_u16(),
            401,
            "{method} {path} without a token"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn malformed_requests_get_the_envelope(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let post = |path: &'static str, body: String| admin.call(Method::POST, path, &[], body);

    post("/events", "{".to_owned())
        .await
        .refused(400, "VALIDATION_ERROR");
    post("/events", "{} {}".to_owned())
        .await
        .refused(400, "VALIDATION_ERROR");
    post("/events", "[]".to_owned())
        .await
        .refused(400, "VALIDATION_ERROR");
    let unknown = event("e", json!({ "colour": "blue" })).to_string();
    assert_eq!(
        post("/events", unknown)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["colour"]
    );
    let nested = event("e", json!({ "recurrence": { "rules": "x" } })).to_string();
    assert_eq!(
        post("/events", nested)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["recurrence.rules"]
    );
    let wrong = event("e", json!({ "priority": "high" })).to_string();
    assert_eq!(
        post("/events", wrong)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["priority"]
    );
    let wrong = event("e", json!({ "tags": ["a", 1] })).to_string();
    assert_eq!(
        post("/events", wrong)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["tags[1]"]
    );
    let deep = format!(
        r#"{{"configuration": {}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    post("/events", deep).await.refused(400, "VALIDATION_ERROR");
    let large = event("e", json!({ "description": "x".repeat(1024 * 1024) })).to_string();
    post("/events", large)
        .await
        .refused(413, "PAYLOAD_TOO_LARGE");
    post("/stop", json!({ "everything": true }).to_string())
        .await
        .refused(400, "VALIDATION_ERROR");

    admin.get("/nothing").await.refused(404, "NOT_FOUND");
    admin
        .delete("/events")
        .await
        .refused(405, "METHOD_NOT_ALLOWED");
    let fields = admin
        .get("/events?limit=0&state=Asleep")
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["limit", "state"]);
    assert_eq!(
        admin
            .get("/events?colour=blue")
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["colour"]
    );
    assert_eq!(
        admin
            .get("/events?limit=many")
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["limit"]
    );
    admin
        .get("/events/Not%20A%20Slug")
        .await
        .refused(400, "VALIDATION_ERROR");
    admin
        .get("/changes/not-a-uuid")
        .await
        .refused(400, "VALIDATION_ERROR");
    admin
        .get("/events/some/revisions/first")
        .await
        .refused(400, "VALIDATION_ERROR");

    // Nothing of it left anything behind.
    let listed = admin.get("/events").await.must(200);
    assert_eq!(listed["total"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_for_some_regions_acts_in_no_other(pool: PgPool) {
    let origin = Origin::start(pool).await;
    origin.admin().approved_event("fest", json!({})).await;
    let local = origin.caller(Role::Operator, &["us-east"]);
    let deployment = |regions: &[&str]| json!({ "eventId": "fest", "regions": regions });
    local
        .post("/deployments", deployment(&["us-east", "us-west"]))
        .await
        .refused(403, "FORBIDDEN");
    local
        .post("/deployments", deployment(&["us-east"]))
        .await
        .must(201);
    let elsewhere = origin.admin().deploy("fest", &["us-west"], 100.0).await;

    local
        .post("/stop", json!({ "all": true }))
        .await
        .refused(403, "FORBIDDEN");
    local
        .post("/stop", json!({ "all": true, "regions": ["us-east"] }))
        .await
        .must(200);
    let path = format!(
        "/deployments/{}/rollback",
        elsewhere["deploymentId"].as_str().unwrap()
    );
    local.post(&path, json!({})).await.refused(403, "FORBIDDEN");
}

#[sqlx::test(migrations = "../migrations")]
async fn health_and_metrics_need_no_token(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    origin.admin().approved_event("fest", json!({})).await;
    origin.admin().deploy("fest", &["us-east"], 100.0).await;
    let get = |path: &'static str| origin.send(Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(get("/health/live").await.must(200)["status"], "Up");
    assert_eq!(get("/health/ready").await.must(200)["status"], "Up");
    let health = get("/health").await.must(200);
    assert_eq!(
        (&health["activeEvents"], &health["scheduledEvents"]),
        (&json!(0), &json!(1))
    );
    let metrics = get("/metrics").await;
    assert_eq!(metrics.status.as_u16(), 200);
    assert!(
        metrics
            .text
            .contains("liveevents_changes_total{kind=\"Deployment\"} 1"),
        "{}",
        metrics.text
    );

    // With the database away it lives, but is not ready.
    pool.close().await;
    assert_eq!(get("/health/live").await.must(200)["status"], "Up");
    assert_eq!(get("/health/ready").await.must(503)["status"], "Down");
    assert_eq!(get("/health").await.must(503)["status"], "Down");
    origin
        .admin()
        .get("/events")
        .await
        .refused(503, "UNAVAILABLE");
}
