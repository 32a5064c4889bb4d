//! How often one caller may ask, what they are told of it, and what is never limited.

use liveevents_origin::quotas::PerMinute;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Answer, Choices, Origin, event};

fn header(answer: &Answer, name: &str) -> Option<u64> {
    answer.headers.get(name)?.to_str().unwrap().parse().ok()
}

async fn limited(pool: PgPool) -> Origin {
    let per_minute = PerMinute {
        events: 3,
        deployments: 1,
        lists: 2,
        metrics: 2,
    };
    Origin::start_by(
        pool,
        Choices {
            per_minute,
            ..Choices::default()
        },
    )
    .await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_caller_is_told_what_is_left_and_when_to_come_again(pool: PgPool) {
    let origin = limited(pool).await;
    let admin = origin.admin();
    let first = admin.post("/events", event("a", json!({}))).await;
    assert_eq!(header(&first, "x-ratelimit-limit"), Some(3));
    assert_eq!(header(&first, "x-ratelimit-remaining"), Some(2));
    assert_eq!(header(&first, "x-ratelimit-reset"), Some(20));
    first.must(201);
    // What is refused counts as well, and is told the same.
    let refused = admin.post("/events", event("a", json!({}))).await;
    assert_eq!(header(&refused, "x-ratelimit-remaining"), Some(1));
    refused.refused(409, "CONFLICT");
    admin.post("/events/a/clone", json!({})).await.must(201);
    let limited = admin.post("/events", event("b", json!({}))).await;
    assert_eq!(header(&limited, "x-ratelimit-limit"), Some(3));
    assert_eq!(header(&limited, "x-ratelimit-remaining"), Some(0));
    assert!((1..=20).contains(&header(&limited, "retry-after").unwrap()));
    limited.refused(429, "RATE_LIMIT_EXCEEDED");
    // Others, and other things, are not concerned.
    origin
        .named("ada")
        .post("/events", event("b", json!({})))
        .await
        .must(201);
    admin.get("/events").await.must(200);
    admin.get("/users").await.must(200);
    admin
        .get("/audit")
        .await
        .refused(429, "RATE_LIMIT_EXCEEDED");
    admin.get("/events/a").await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn stopping_and_taking_back_are_never_limited(pool: PgPool) {
    let origin = limited(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let deployed = admin.deploy("fest", &["us-east"], 10.0).await;
    let again = json!({ "eventId": "fest", "regions": ["us-east"], "percentage": 20 });
    admin
        .post("/deployments", again)
        .await
        .refused(429, "RATE_LIMIT_EXCEEDED");
    for _ in 0..30 {
        let stopped = admin.post("/stop", json!({ "all": true })).await;
        assert_eq!(header(&stopped, "x-ratelimit-limit"), None);
        stopped.must(200);
        admin
            .post("/resume", json!({ "all": true }))
            .await
            .must(200);
    }
    let id = deployed["deploymentId"].as_str().unwrap();
    let back = format!("/deployments/{id}/rollback");
    admin.post(&back, json!({ "reason": "r" })).await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn switched_off_nobody_is_limited_or_told_so(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for _ in 0..100 {
        let answer = admin.get("/events?limit=1").await;
        assert_eq!(header(&answer, "x-ratelimit-limit"), None);
        answer.must(200);
    }
}
