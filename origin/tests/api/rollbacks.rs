//! An event goes back to what it was before, everywhere at once; and what went back is told for good.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin};

/// What a region serves of an event: live, and candidate.
async fn serves(caller: &Caller<'_>, region: &str) -> (Value, Value) {
    let path = format!("/regions/{region}/events");
    let served = caller.get(&path).await.must(200);
    let assignment = &served["assignments"][0];
    let candidate = assignment["candidate"]["revision"].clone();
    (assignment["live"].clone(), candidate)
}

async fn edit_and_approve(admin: &Caller<'_>, priority: u32) {
    let edit = json!({ "priority": priority });
    admin.put("/events/fest", edit).await.must(200);
    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
}

async fn back(admin: &Caller<'_>, order: Value) -> Value {
    admin.post("/events/fest/rollback", order).await.must(200)
}

#[sqlx::test(migrations = "../migrations")]
async fn the_newest_revision_goes_back_region_by_region_to_what_was_there(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east", "eu-west"], 100.0).await;
    edit_and_approve(&admin, 2).await;
    admin.deploy("fest", &["us-east"], 10.0).await;
    let second = admin.deploy("fest", &["us-east"], 100.0).await;
    let west = serves(&admin, "eu-west").await;

    let done = back(&admin, json!({ "reason": "prices are wrong" })).await;
    assert_eq!(done["regions"], json!({ "us-east": 4 }));
    let (one, two, nothing) = (
        json!({ "live": 1, "candidate": null }),
        json!({ "live": 2, "candidate": null }),
        json!({ "live": null, "candidate": null }),
    );
    assert_eq!(
        done["moves"],
        json!({ "us-east": { "from": two, "to": one } })
    );
    assert_eq!(done["deployments"].as_array().unwrap().len(), 2);
    assert_eq!(serves(&admin, "us-east").await, (json!(1), json!(null)));
    assert_eq!(serves(&admin, "eu-west").await, west);
    let path = format!("/deployments/{}", second["deploymentId"].as_str().unwrap());
    let deployment = admin.get(&path).await.must(200);
    assert_eq!(deployment["status"], "RolledBack");
    assert_eq!(deployment["rolledBack"]["changeId"], done["changeId"]);
    let event = admin.get("/events/fest").await.must(200);
    assert_eq!(event["state"], "Scheduled", "the state does not change");

    // Once more: before the first there was nothing, anywhere.
    let done = back(&admin, json!({})).await;
    let gone = json!({ "from": one, "to": nothing });
    assert_eq!(done["moves"], json!({ "us-east": gone, "eu-west": gone }));
    let served = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["assignments"], json!([]));
    let refused = admin.post("/events/fest/rollback", json!({})).await;
    refused.refused(409, "CONFLICT");

    let history = admin.get("/events/fest/rollback-history").await.must(200);
    assert_eq!(history["total"], 2);
    assert_eq!(history["rollbacks"][1]["reason"], "prices are wrong");
    assert_eq!(history["rollbacks"][1]["regions"]["us-east"]["to"], one);
    assert_eq!(history["rollbacks"][0]["changeId"], done["changeId"]);
    let audit = admin.get("/events/fest/audit?limit=100").await.must(200);
    let audit = audit["entries"].as_array().unwrap().iter();
    let actions: Vec<&str> = audit
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "event.rollback",
            "event.rollback",
            "deployment.create",
            "deployment.create",
            "event.approve",
            "event.edit",
            "deployment.create",
            "event.approve",
            "event.create",
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_suspended_or_tried_stays_suspended_and_is_withdrawn(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    edit_and_approve(&admin, 2).await;
    admin.deploy("fest", &["us-east"], 10.0).await;
    assert_eq!(serves(&admin, "us-east").await, (json!(1), json!(2)));
    admin.post("/stop", json!({ "all": true })).await.must(200);
    back(&admin, json!({})).await;
    assert_eq!(serves(&admin, "us-east").await, (json!(1), json!(null)));
    let served = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["assignments"][0]["suspension"]["stopped"], true);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_revision_that_is_named_comes_back_everywhere_if_it_may(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east", "eu-west"], 100.0).await;
    edit_and_approve(&admin, 2).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    edit_and_approve(&admin, 3).await;
    admin.deploy("fest", &["us-east"], 10.0).await;
    let unapproved = json!({ "priority": 4 });
    admin.put("/events/fest", unapproved).await.must(200);

    let named = |revision: u32| json!({ "toRevision": revision, "reason": "as it was" });
    let to = async |revision| admin.post("/events/fest/rollback", named(revision)).await;
    assert_eq!(to(9).await.refused(400, "VALIDATION_ERROR"), ["toRevision"]);
    to(4).await.refused(409, "CONFLICT");
    let done = to(2).await.must(200);
    assert_eq!(done["deployments"].as_array().unwrap().len(), 1);
    for region in ["us-east", "eu-west"] {
        assert_eq!(serves(&admin, region).await, (json!(2), json!(null)));
    }
    to(2).await.refused(409, "CONFLICT");
    to(1).await.must(200);
    assert_eq!(serves(&admin, "us-east").await, (json!(1), json!(null)));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deployments_rollback_is_in_the_history_and_what_cannot_go_back_is_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let refused = admin.post("/events/fest/rollback", json!({})).await;
    refused.refused(409, "CONFLICT");
    let missing = admin.post("/events/nothing/rollback", json!({})).await;
    missing.refused(404, "NOT_FOUND");
    let first = admin.deploy("fest", &["us-east"], 100.0).await;
    let path = format!(
        "/deployments/{}/rollback",
        first["deploymentId"].as_str().unwrap()
    );
    let why = json!({ "reason": "too early" });
    admin.post(&path, why).await.must(200);
    let history = admin.get("/events/fest/rollback-history").await.must(200);
    let told = &history["rollbacks"][0];
    assert_eq!(told["deploymentId"], first["deploymentId"]);
    assert_eq!(told["reason"], "too early");
    assert_eq!(told["regions"]["us-east"]["from"]["live"], 1);

    admin.deploy("fest", &["us-east"], 100.0).await;
    let why = json!({ "reason": "called off" });
    admin.post("/events/fest/cancel", why).await.must(200);
    let refused = admin.post("/events/fest/rollback", json!({})).await;
    refused.refused(409, "CONFLICT");
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_rollbacks_at_once_each_goes_one_back(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    for priority in [2, 3] {
        edit_and_approve(&admin, priority).await;
        admin.deploy("fest", &["us-east"], 100.0).await;
    }
    let (one, other, stop) = tokio::join!(
        admin.post("/events/fest/rollback", json!({})),
        admin.post("/events/fest/rollback", json!({})),
        admin.post("/stop", json!({ "all": true })),
    );
    for done in [one, other, stop] {
        done.must(200);
    }
    assert_eq!(serves(&admin, "us-east").await, (json!(1), json!(null)));
    let served = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["assignments"][0]["suspension"]["stopped"], true);
    assert_eq!(
        served["version"], 6,
        "three deployments, two rollbacks, a stop"
    );
}
