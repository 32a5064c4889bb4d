//! Events: created, edited, approved; their revisions.

use axum::http::Method;
use jiff::SignedDuration;
use liveevents_origin::store;
use liveevents_protocol::entry::{self, Entry};
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Origin, event};

#[sqlx::test(migrations = "../migrations")]
async fn an_event_is_created_as_a_pending_draft(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let designer = origin.caller(Role::GameDesigner, &[]);
    let answer = designer
        .post("/events", event("fest", json!({ "tags": ["summer"] })))
        .await;
    assert_eq!(answer.headers["location"], "/api/v1/events/fest");
    assert_eq!(answer.headers["etag"], "\"1\"");
    let created = answer.must(201);
    for (field, value) in [
        ("eventId", json!("fest")),
        ("state", json!("Draft")),
        ("revision", json!(1)),
        ("approvalStatus", json!("Pending")),
        ("timezone", json!("UTC")),
        ("regionLocal", json!(false)),
        ("configuration", json!({})),
        ("tags", json!(["summer"])),
        ("createdBy", json!("GameDesigner")),
        ("createdAt", json!("2026-06-01T12:00:00Z")),
        ("regions", json!({})),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    let shown = designer.get("/events/fest").await;
    assert_eq!(shown.headers["etag"], "\"1\"");
    assert_eq!(shown.must(200), created);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_identifier_is_taken_once_and_made_where_none_is_given(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    admin
        .post("/events", event("fest", json!({})))
        .await
        .refused(409, "CONFLICT");

    let mut nameless = event("", json!({}));
    nameless.as_object_mut().unwrap().remove("eventId");
    for expected in ["summer-fest", "summer-fest-2", "summer-fest-3"] {
        let created = admin.post("/events", nameless.clone()).await.must(201);
        assert_eq!(created["eventId"], expected);
    }
    nameless["displayName"] = json!("夏祭り");
    let fields = admin
        .post("/events", nameless)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["eventId"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn all_faults_are_named_in_one_answer(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let bad = json!({
        "eventId": "Not A Slug",
        "displayName": "",
        "type": "Party",
        "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-06-01T10:00:00Z",
        "timezone": "Mars/Olympus",
        "maxParticipants": 0,
        "configuration": { "multipliers": { "xp": -1 } },
    });
    let mut fields = origin
        .admin()
        .post("/events", bad)
        .await
        .refused(400, "VALIDATION_ERROR");
    fields.sort();
    assert_eq!(
        fields,
        [
            "configuration.multipliers.xp",
            "displayName",
            "endTime",
            "eventId",
            "maxParticipants",
            "timezone",
            "type",
        ]
    );
    let past = event("fest", json!({ "startTime": "2026-06-01T11:54:59Z" }));
    let fields = origin
        .admin()
        .post("/events", past)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["startTime"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edit_makes_the_next_revision_of_the_fields_given(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let configuration: Value = json!({ "multipliers": { "xp": 2 } });
    admin
        .approved_event(
            "fest",
            json!({ "category": "seasonal", "configuration": configuration }),
        )
        .await;

    origin.clock.advance(SignedDuration::from_secs(60));
    let edited = admin
        .put(
            "/events/fest",
            json!({ "description": "More!", "category": null }),
        )
        .await;
    assert_eq!(edited.headers["etag"], "\"2\"");
    let edited = edited.must(200);
    assert_eq!(edited["revision"], 2);
    assert_eq!(edited["approvalStatus"], "Pending");
    assert_eq!(edited["description"], "More!");
    assert_eq!(edited["category"], Value::Null);
    assert_eq!(edited["configuration"], configuration);
    assert_eq!(edited["createdAt"], "2026-06-01T12:00:00Z");
    assert_eq!(edited["updatedAt"], "2026-06-01T12:01:00Z");

    // The same again changes nothing: PUT may be repeated.
    let again = admin
        .put("/events/fest", json!({ "description": "More!" }))
        .await
        .must(200);
    assert_eq!(again["revision"], 2);

    let revisions = admin.get("/events/fest/revisions").await.must(200);
    let numbers: Vec<_> = revisions["revisions"].as_array().unwrap().iter().collect();
    assert_eq!(numbers.len(), 2);
    assert_eq!(
        (&numbers[0]["revision"], &numbers[0]["approvalStatus"]),
        (&json!(2), &json!("Pending"))
    );
    assert_eq!(
        (&numbers[1]["revision"], &numbers[1]["approvalStatus"]),
        (&json!(1), &json!("Approved"))
    );
    let first = admin.get("/events/fest/revisions/1").await.must(200);
    assert_eq!(
        (&first["category"], &first["description"]),
        (&json!("seasonal"), &json!(""))
    );
    admin
        .get("/events/fest/revisions/3")
        .await
        .refused(404, "NOT_FOUND");
    admin
        .get("/events/feast/revisions")
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_edits_what_they_have_not_seen_is_told(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let put = |tag: &'static str, name: &str| {
        let body = json!({ "displayName": name }).to_string();
        let admin = origin.admin();
        async move {
            admin
                .call(Method::PUT, "/events/fest", &[("if-match", tag)], body)
                .await
        }
    };
    put("\"1\"", "First").await.must(200);
    put("\"1\"", "Second")
        .await
        .refused(412, "PRECONDITION_FAILED");
    put("\"7\", \"2\"", "Third").await.must(200);
    put("*", "Fourth").await.must(200);
    assert_eq!(
        admin.get("/events/fest").await.must(200)["displayName"],
        "Fourth"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn once_deployed_type_and_times_are_fixed_and_an_edit_is_not_served(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;

    for fixed in [
        json!({ "type": "LimitedTimeOffer" }),
        json!({ "startTime": "2026-07-02T10:00:00Z" }),
        json!({ "endTime": "2026-07-16T10:00:00Z" }),
        json!({ "regionLocal": true }),
    ] {
        admin
            .put("/events/fest", fixed)
            .await
            .refused(409, "CONFLICT");
    }
    // Saying them again is no change.
    let same = json!({ "startTime": "2026-07-01T12:00:00+02:00", "displayName": "Fest" });
    let edited = admin.put("/events/fest", same).await.must(200);
    assert_eq!(
        (&edited["revision"], &edited["state"]),
        (&json!(2), &json!("Scheduled"))
    );
    assert_eq!(edited["regions"]["us-east"]["live"], 1);

    // While it runs, its start may lie in the past.
    origin.clock.advance(SignedDuration::from_hours(24 * 35));
    admin
        .put("/events/fest", json!({ "displayName": "Still on" }))
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_identifier_stays(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let fields = admin
        .put("/events/fest", json!({ "eventId": "feast" }))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["eventId"]);
    admin
        .put("/events/fest", json!({ "eventId": "fest", "priority": 3 }))
        .await
        .must(200);
    admin
        .put("/events/feast", json!({}))
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn approval_belongs_to_a_revision(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let operator = origin.caller(Role::Operator, &[]);
    operator
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    operator
        .put("/events/fest", json!({ "priority": 1 }))
        .await
        .must(200);

    let first = json!({ "revision": 1, "notes": "good" });
    let answer = operator.post("/events/fest/approve", first).await.must(200);
    assert_eq!(
        (&answer["revision"], &answer["approvalStatus"]),
        (&json!(2), &json!("Pending"))
    );
    let one = operator.get("/events/fest/revisions/1").await.must(200);
    assert_eq!(one["approvalStatus"], "Approved");
    assert_eq!(one["approvedBy"], "Operator");
    assert_eq!(one["approvedAt"], "2026-06-01T12:00:00Z");
    assert_eq!(one["approvalNotes"], "good");

    // No body at all means the newest, without a word.
    let rejected = operator
        .call(Method::POST, "/events/fest/reject", &[], "")
        .await
        .must(200);
    assert_eq!(rejected["approvalStatus"], "Rejected");
    operator
        .post("/events/fest/approve", json!({ "revision": 9 }))
        .await
        .refused(404, "NOT_FOUND");
    operator
        .post("/events/feast/approve", json!({}))
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_over_is_neither_edited_nor_judged_nor_deployed(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    let deployed = admin.deploy("fest", &["us-east"], 100.0).await;
    let rollback = format!(
        "/deployments/{}/rollback",
        deployed["deploymentId"].as_str().unwrap()
    );
    for state in ["Completed", "Cancelled"] {
        sqlx::query("UPDATE live_events SET state = $1")
            .bind(state)
            .execute(&pool)
            .await
            .unwrap();
        let deployment = json!({ "eventId": "fest", "regions": ["us-west"] });
        admin
            .put("/events/fest", json!({ "priority": 1 }))
            .await
            .refused(409, "CONFLICT");
        admin
            .post("/events/fest/approve", json!({}))
            .await
            .refused(409, "CONFLICT");
        admin
            .post("/events/fest/reject", json!({}))
            .await
            .refused(409, "CONFLICT");
        admin
            .post("/deployments", deployment)
            .await
            .refused(409, "CONFLICT");
        admin
            .post(&rollback, json!({}))
            .await
            .refused(409, "CONFLICT");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_an_event_requires_travels_with_its_revision(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let requires = json!({ "minBuild": "4.12", "maxBuild": "5.1.3" });
    let when_stale = json!({ "hideAfter": "PT10M" });
    let more = json!({ "requires": requires, "whenStale": when_stale });
    admin.approved_event("sale", more).await;
    let shown = admin.get("/events/sale").await.must(200);
    assert_eq!(
        (&shown["requires"], &shown["whenStale"]),
        (&requires, &when_stale)
    );
    admin.deploy("sale", &["us-east"], 100.0).await;

    let edit = json!({ "requires": null, "whenStale": "Keep", "displayName": "For all" });
    let edited = admin.put("/events/sale", edit).await.must(200);
    assert_eq!(
        (&edited["requires"], &edited["whenStale"]),
        (&Value::Null, &Value::Null)
    );
    let first = admin.get("/events/sale/revisions/1").await.must(200);
    assert_eq!(
        (&first["requires"], &first["whenStale"]),
        (&requires, &when_stale)
    );

    let mut tx = store::begin_snapshot(&pool).await.unwrap();
    let region = "us-east".parse().unwrap();
    let (snapshot, _) = store::snapshot::read(&mut tx, &region)
        .await
        .unwrap()
        .unwrap();
    let content = snapshot
        .entries
        .iter()
        .find_map(|stamped| match &stamped.entry {
            Entry::Put(entry::Value::Content(content)) => Some(content.clone()),
            _ => None,
        });
    let content = content.unwrap();
    assert_eq!(json!(content.requires), requires);
    assert_eq!(json!(content.when_stale), when_stale);

    let wrong = json!({ "requires": { "minBuild": "5", "maxBuild": "4" }, "whenStale": "Hide" });
    let at_fault = admin.post("/events", event("other", wrong)).await;
    assert_eq!(
        at_fault.refused(400, "VALIDATION_ERROR"),
        ["requires.maxBuild", "whenStale"]
    );
}
