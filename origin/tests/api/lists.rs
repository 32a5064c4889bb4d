//! Lists: filters and pages.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Origin, event};

fn ids(listed: &Value) -> Vec<&str> {
    let events = listed["events"].as_array().unwrap().iter();
    events
        .map(|event| event["eventId"].as_str().unwrap())
        .collect()
}

/// Three events, the last created first in every list.
async fn three(pool: PgPool) -> Origin {
    let origin = Origin::start(pool).await;
    let events = [
        (
            "alpha",
            json!({ "category": "store", "tags": ["sale", "gold"], "type": "LimitedTimeOffer" }),
        ),
        (
            "beta",
            json!({ "category": "store", "tags": ["sale"], "description": "50% off", "allowOverlap": true }),
        ),
        (
            "gamma",
            json!({ "startTime": "2026-08-01T00:00:00Z", "endTime": "2026-08-02T00:00:00Z", "displayName": "Cup" }),
        ),
    ];
    for (id, more) in events {
        origin.admin().approved_event(id, more).await;
        origin.clock.advance(SignedDuration::from_secs(1));
    }
    origin
        .admin()
        .deploy("alpha", &["us-east", "eu-west"], 100.0)
        .await;
    origin
}

#[sqlx::test(migrations = "../migrations")]
async fn each_filter_and_their_conjunction(pool: PgPool) {
    let origin = three(pool).await;
    let table: &[(&str, &[&str])] = &[
        ("", &["gamma", "beta", "alpha"]),
        ("state=Draft", &["gamma", "beta"]),
        ("state=Scheduled", &["alpha"]),
        ("type=LimitedTimeOffer", &["alpha"]),
        ("category=store", &["beta", "alpha"]),
        ("tag=gold", &["alpha"]),
        ("tag=sale&state=Draft", &["beta"]),
        ("region=eu-west", &["alpha"]),
        ("region=af-south", &[]),
        ("from=2026-07-15T10:00:00Z", &["gamma"]),
        ("from=2026-07-15T09:59:59Z", &["gamma", "beta", "alpha"]),
        ("to=2026-08-01T00:00:00Z", &["beta", "alpha"]),
        ("q=CUP", &["gamma"]),
        ("q=alph", &["alpha"]),
        ("q=50%25", &["beta"]),
        ("q=_", &[]),
    ];
    for (query, expected) in table {
        let listed = origin
            .admin()
            .get(&format!("/events?{query}"))
            .await
            .must(200);
        assert_eq!(&ids(&listed), expected, "{query}");
        assert_eq!(listed["total"], expected.len(), "{query}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_tell_the_whole(pool: PgPool) {
    let origin = three(pool).await;
    let table: &[(&str, &[&str])] = &[
        ("limit=2", &["gamma", "beta"]),
        ("limit=2&offset=2", &["alpha"]),
        ("limit=2&offset=3", &[]),
        ("offset=1&category=store", &["alpha"]),
    ];
    for (query, expected) in table {
        let listed = origin
            .admin()
            .get(&format!("/events?{query}"))
            .await
            .must(200);
        assert_eq!(&ids(&listed), expected, "{query}");
        let total = if query.contains("category") { 2 } else { 3 };
        assert_eq!(listed["total"], total, "{query}");
    }
    let listed = origin.admin().get("/events?limit=100").await.must(200);
    assert_eq!(
        (&listed["limit"], &listed["offset"]),
        (&json!(100), &json!(0))
    );
    let fields = origin
        .admin()
        .get("/events?limit=101")
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["limit"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_listed_event_is_the_whole_event(pool: PgPool) {
    let origin = three(pool).await;
    let listed = origin.admin().get("/events?q=alpha").await.must(200);
    let shown = origin.admin().get("/events/alpha").await.must(200);
    assert_eq!(listed["events"][0], shown);
    assert_eq!(shown["regions"]["eu-west"]["live"], 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn deployments_by_event_region_and_status(pool: PgPool) {
    let origin = three(pool).await;
    let admin = origin.admin();
    origin.clock.advance(SignedDuration::from_secs(1));
    let beta = admin.deploy("beta", &["us-east"], 50.0).await;
    let path = format!(
        "/deployments/{}/rollback",
        beta["deploymentId"].as_str().unwrap()
    );
    admin.post(&path, json!({})).await.must(200);
    let table: &[(&str, &[&str])] = &[
        ("", &["beta", "alpha"]),
        ("eventId=alpha", &["alpha"]),
        ("region=us-east", &["beta", "alpha"]),
        ("region=eu-west", &["alpha"]),
        ("status=RolledBack", &["beta"]),
        ("limit=1&offset=1", &["alpha"]),
    ];
    for (query, expected) in table {
        let listed = admin.get(&format!("/deployments?{query}")).await.must(200);
        let deployments = listed["deployments"].as_array().unwrap().iter();
        let events: Vec<_> = deployments
            .map(|one| one["eventId"].as_str().unwrap())
            .collect();
        assert_eq!(&events, expected, "{query}");
    }
    let fields = admin
        .get("/deployments?status=Done")
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["status"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn ten_regions_are_there(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let listed = origin.admin().get("/regions").await.must(200);
    let regions = listed["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 10);
    let berlin = origin.admin().get("/regions/eu-central").await.must(200);
    assert_eq!(berlin["timezone"], "Europe/Berlin");
    assert_eq!(berlin["countries"][0], "DE");
    assert_eq!(berlin["health"], "Unserved");
    assert_eq!(berlin["version"], 0);
    origin
        .admin()
        .get("/regions/atlantis")
        .await
        .refused(404, "NOT_FOUND");
    let edges = origin.admin().get("/edges").await.must(200);
    assert_eq!(edges["edges"], json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_audit_log_tells_who_did_what(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    admin
        .put("/events/fest", json!({ "priority": 5 }))
        .await
        .must(200);
    admin
        .put("/events/fest", json!({ "priority": -1, "tags": [""] }))
        .await
        .refused(400, "VALIDATION_ERROR");
    let log = admin.get("/audit?subject=fest").await.must(200);
    let actions: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["event.edit", "event.create"],
        "what was refused is not in it"
    );
    let edit = &log["entries"][0];
    assert_eq!(
        (&edit["before"]["priority"], &edit["after"]["priority"]),
        (&json!(0), &json!(5))
    );
    assert_eq!(edit["actor"], "Admin");
    assert_eq!(edit["traceId"].as_str().map(str::len), Some(32));
    assert_eq!(
        admin.get("/audit?action=create").await.must(200)["total"],
        1
    );
    assert_eq!(admin.get("/audit?actor=nobody").await.must(200)["total"], 0);
    // From then on, and before then.
    for (stretch, total) in [
        ("from=2026-06-01T12:00:00Z", 2),
        ("from=2026-06-01T12:00:01Z", 0),
        ("to=2026-06-01T12:00:00Z", 0),
        ("from=2026-06-01T12:00:00Z&to=2026-06-01T12:00:01Z", 2),
    ] {
        let log = admin.get(&format!("/audit?{stretch}")).await.must(200);
        assert_eq!(log["total"], total, "{stretch}");
    }
    assert_eq!(
        admin.get("/audit?limit=1&offset=1").await.must(200)["entries"][0]["action"],
        "event.create"
    );
}
