//! Deployments and their rollback.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin, event};

async fn served(caller: &Caller<'_>, region: &str) -> Value {
    caller.get("/events/fest").await.must(200)["regions"][region].clone()
}

async fn roll_back(caller: &Caller<'_>, deployment: &Value) -> crate::common::Answer {
    let id = deployment["deploymentId"].as_str().unwrap();
    caller
        .post(
            &format!("/deployments/{id}/rollback"),
            json!({ "reason": "too loud" }),
        )
        .await
}

#[sqlx::test(migrations = "../migrations")]
async fn ten_percent_then_everybody_in_two_regions_and_no_third(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .approved_event("fest", json!({ "bucketBy": "guild" }))
        .await;

    let tried = admin.deploy("fest", &["us-east", "eu-central"], 10.0).await;
    assert_eq!(tried["status"], "Completed");
    assert_eq!(tried["revision"], 1);
    assert_eq!(tried["percentage"], 10.0);
    assert_eq!(
        tried["regionVersions"],
        json!({ "us-east": 1, "eu-central": 1 })
    );
    let shown = admin.get("/events/fest").await.must(200);
    assert_eq!(shown["state"], "Scheduled");
    let candidate = json!({ "revision": 1, "percentage": 10.0, "bucketBy": "guild" });
    assert_eq!(shown["regions"]["us-east"]["candidate"], candidate);
    assert_eq!(shown["regions"]["us-east"]["live"], Value::Null);
    let occurrence = json!([{ "opens": "2026-07-01T10:00:00Z", "closes": "2026-07-15T10:00:00Z" }]);
    assert_eq!(shown["regions"]["us-east"]["schedule"], occurrence);
    assert!(shown["regions"].get("us-west").is_none());

    let done = admin
        .deploy("fest", &["us-east", "eu-central"], 100.0)
        .await;
    assert_eq!(
        done["regionVersions"],
        json!({ "us-east": 2, "eu-central": 2 })
    );
    let region = served(&admin, "us-east").await;
    assert_eq!(
        (&region["live"], &region["candidate"]),
        (&json!(1), &Value::Null)
    );

    let found = admin
        .get(&format!(
            "/deployments/{}",
            done["deploymentId"].as_str().unwrap()
        ))
        .await;
    assert_eq!(found.must(200), done);
    let change = admin
        .get(&format!("/changes/{}", done["changeId"].as_str().unwrap()))
        .await
        .must(200);
    assert_eq!(change["kind"], "Deployment");
    assert_eq!(change["eventId"], "fest");
    assert_eq!(change["deploymentId"], done["deploymentId"]);
    assert_eq!(change["regions"]["us-east"]["version"], 2);
    assert_eq!(
        change["regions"]["us-east"]["edges"],
        json!({ "verdict": "Waiting", "applied": 0, "of": 0, "stragglers": [], "awaited": [] })
    );
    assert_eq!(change["converged"], false);
}

#[sqlx::test(migrations = "../migrations")]
async fn each_region_local_schedule_is_in_its_own_zone(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let local = json!({
        "regionLocal": true, "startTime": "2026-07-03T18:00:00", "endTime": "2026-07-13T00:00:00",
        "recurrence": { "rule": "FREQ=WEEKLY;BYDAY=FR", "duration": "PT54H" },
    });
    admin.approved_event("fest", local).await;
    admin
        .deploy("fest", &["us-east", "ap-northeast"], 100.0)
        .await;
    let shown = admin.get("/events/fest").await.must(200);
    let opens = |region: &str| shown["regions"][region]["schedule"][1]["opens"].clone();
    assert_eq!(opens("us-east"), "2026-07-10T22:00:00Z");
    assert_eq!(opens("ap-northeast"), "2026-07-10T09:00:00Z");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_what_is_approved_is_deployed(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let newest = json!({ "eventId": "fest", "regions": ["us-east"] });
    let first = json!({ "eventId": "fest", "revision": 1, "regions": ["us-east"] });
    admin
        .post("/deployments", newest.clone())
        .await
        .refused(409, "CONFLICT");
    admin
        .post("/deployments", first.clone())
        .await
        .refused(409, "CONFLICT");
    admin.post("/events/fest/reject", json!({})).await.must(200);
    admin
        .post("/deployments", first.clone())
        .await
        .refused(409, "CONFLICT");
    assert_eq!(
        admin.get("/events/fest").await.must(200)["state"],
        "Draft",
        "nothing happened"
    );

    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
    admin
        .put("/events/fest", json!({ "priority": 1 }))
        .await
        .must(200);
    let second = json!({ "eventId": "fest", "revision": 2, "regions": ["us-east"] });
    admin
        .post("/deployments", second)
        .await
        .refused(409, "CONFLICT");
    // Without a revision named, the newest approved one.
    assert_eq!(
        admin.post("/deployments", newest).await.must(201)["revision"],
        1
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn without_the_rule_the_newest_revision_is_deployed(pool: PgPool) {
    let origin = Origin::start_with(pool, false).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    admin
        .put("/events/fest", json!({ "priority": 1 }))
        .await
        .must(200);
    assert_eq!(
        admin.deploy("fest", &["us-east"], 100.0).await["revision"],
        2
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deployment_has_to_be_sensible(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let table = [
        (json!({ "regions": [] }), &["regions"][..]),
        (
            json!({ "regions": ["us-east", "atlantis"] }),
            &["regions[1]"],
        ),
        (
            json!({ "regions": ["us-east", "us-east"] }),
            &["regions[1]"],
        ),
        (json!({ "percentage": 101 }), &["percentage"]),
        (json!({ "percentage": 0.001 }), &["percentage"]),
        (
            json!({ "percentage": -1, "regions": ["atlantis"] }),
            &["percentage", "regions[0]"],
        ),
        (json!({ "strategy": "Canary" }), &["strategy"]),
        (json!({ "regions": "us-east" }), &["regions"]),
    ];
    for (fields, at_fault) in table {
        let mut body = json!({ "eventId": "fest", "regions": ["us-east"] });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let found = admin
            .post("/deployments", body)
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(found, at_fault, "{fields}");
    }
    let nobody = json!({ "eventId": "feast", "regions": ["us-east"] });
    admin
        .post("/deployments", nobody)
        .await
        .refused(404, "NOT_FOUND");
    let nothing = json!({ "eventId": "fest", "revision": 7, "regions": ["us-east"] });
    admin
        .post("/deployments", nothing)
        .await
        .refused(404, "NOT_FOUND");
    assert_eq!(admin.get("/deployments").await.must(200)["total"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_served_already_or_over_is_not_deployed(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    let again = json!({ "eventId": "fest", "regions": ["us-east"] });
    admin
        .post("/deployments", again)
        .await
        .refused(409, "CONFLICT");
    // A region more: only there something happens, and only that would be rolled back.
    let more = admin.deploy("fest", &["us-east", "us-west"], 100.0).await;
    assert_eq!(more["regionVersions"], json!({ "us-west": 1 }));

    origin.clock.advance(SignedDuration::from_hours(24 * 60));
    let late = json!({ "eventId": "fest", "regions": ["sa-east"] });
    admin
        .post("/deployments", late)
        .await
        .refused(409, "CONFLICT");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_older_revision_with_other_times_is_not_deployed(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin
        .put("/events/fest", json!({ "endTime": "2026-07-20T10:00:00Z" }))
        .await
        .must(200);
    let older = json!({ "eventId": "fest", "regions": ["us-east"] });
    admin
        .post("/deployments", older.clone())
        .await
        .refused(409, "CONFLICT");
    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
    admin.post("/deployments", older).await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rollback_restores_what_was_before(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let first = admin.deploy("fest", &["us-east"], 100.0).await;
    admin
        .put("/events/fest", json!({ "priority": 9 }))
        .await
        .must(200);
    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
    let second = admin.deploy("fest", &["us-east", "us-west"], 100.0).await;
    assert_eq!(served(&admin, "us-east").await["live"], 2);

    // The first lies below the second.
    let refusal = roll_back(&admin, &first).await;
    let id = second["deploymentId"].as_str().unwrap();
    assert!(refusal.message().contains(id), "{}", refusal.text);
    refusal.refused(409, "CONFLICT");

    let answer = roll_back(&admin, &second).await.must(200);
    assert_eq!(answer["regions"], json!({ "us-east": 3, "us-west": 2 }));
    assert_eq!(answer["deployment"]["status"], "RolledBack");
    assert_eq!(answer["deployment"]["rolledBack"]["reason"], "too loud");
    assert_eq!(served(&admin, "us-east").await["live"], 1);
    assert_eq!(served(&admin, "us-west").await, Value::Null);
    let change = admin
        .get(&format!(
            "/changes/{}",
            answer["changeId"].as_str().unwrap()
        ))
        .await
        .must(200);
    assert_eq!(
        (&change["kind"], &change["reason"]),
        (&json!("Rollback"), &json!("too loud"))
    );
    roll_back(&admin, &second).await.refused(409, "CONFLICT");

    // Now the first is the last.
    roll_back(&admin, &first).await.must(200);
    assert_eq!(served(&admin, "us-east").await, Value::Null);
    assert_eq!(
        admin.get("/events/fest").await.must(200)["state"],
        "Scheduled",
        "the state stays"
    );
    admin
        .post(
            "/deployments/01a00000-0000-7000-8000-000000000000/rollback",
            json!({}),
        )
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rollback_keeps_a_stop(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    admin
        .put("/events/fest", json!({ "priority": 9 }))
        .await
        .must(200);
    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
    let second = admin.deploy("fest", &["us-east"], 30.0).await;
    admin
        .post("/stop", json!({ "events": ["fest"] }))
        .await
        .must(200);
    roll_back(&admin, &second).await.must(200);
    let region = served(&admin, "us-east").await;
    assert_eq!(
        (&region["live"], &region["candidate"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(region["stopped"], true);
}

#[sqlx::test(migrations = "../migrations")]
async fn deployments_of_one_region_at_once_take_one_version_each(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let events = ["a", "b", "c", "d", "e", "f"];
    for event in events {
        admin.approved_event(event, json!({})).await;
    }
    let deploy = |event| admin.deploy(event, &["us-east", "eu-west", "af-south"], 100.0);
    let (a, b, c, d, e, f) = tokio::join!(
        deploy("a"),
        deploy("b"),
        deploy("c"),
        deploy("d"),
        deploy("e"),
        deploy("f")
    );
    for region in ["us-east", "eu-west", "af-south"] {
        let mut versions: Vec<_> = [&a, &b, &c, &d, &e, &f]
            .map(|deployment| deployment["regionVersions"][region].as_u64().unwrap())
            .into();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4, 5, 6], "{region}");
    }
}
