//! Who may say that a revision is deployed, and what holds when several do.

use axum::http::Method;
use liveevents_service::token::Role;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Choices, Origin, event};

async fn four_eyes(pool: PgPool) -> Origin {
    let choices = Choices {
        four_eyes: true,
        ..Choices::default()
    };
    Origin::start_by(pool, choices).await
}

#[sqlx::test(migrations = "../migrations")]
async fn with_four_eyes_nobody_approves_their_own_revision(pool: PgPool) {
    let origin = four_eyes(pool).await;
    let (ada, ben) = (origin.named("ada"), origin.named("ben"));
    ada.post("/events", event("fest", json!({})))
        .await
        .must(201);
    let refused = ada.post("/events/fest/approve", json!({})).await;
    assert!(refused.message().contains("four_eyes"), "{}", refused.text);
    refused.refused(403, "FORBIDDEN");
    // Another token of the same subject is the same person, or script.
    origin
        .named("ada")
        .post("/events/fest/approve", json!({}))
        .await
        .refused(403, "FORBIDDEN");
    ben.post("/events/fest/approve", json!({})).await.must(200);

    // It is the revision's author who counts, not the event's.
    ben.put("/events/fest", json!({ "priority": 1 }))
        .await
        .must(200);
    ben.post("/events/fest/approve", json!({}))
        .await
        .refused(403, "FORBIDDEN");
    ben.post("/events/fest/approve", json!({ "revision": 1 }))
        .await
        .must(200);
    let approved = ada.post("/events/fest/approve", json!({})).await.must(200);
    assert_eq!(
        (&approved["revision"], &approved["approvedBy"]),
        (&json!(2), &json!("ada"))
    );
    // Whoever clones is the clone's author; to reject one's own is everybody's right.
    ben.post("/events/fest/clone", json!({ "eventId": "copy" }))
        .await
        .must(201);
    ben.post("/events/copy/approve", json!({}))
        .await
        .refused(403, "FORBIDDEN");
    ben.post("/events/copy/reject", json!({})).await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_four_eyes_one_person_does_both(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let ada = origin.named("ada");
    ada.post("/events", event("fest", json!({})))
        .await
        .must(201);
    ada.post("/events/fest/approve", json!({})).await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_approvals_at_once_the_first_stands(pool: PgPool) {
    let origin = Origin::start(pool).await;
    origin
        .admin()
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let people: Vec<_> = (0..8)
        .map(|n| origin.named(&format!("person-{n}")))
        .collect();
    let answers = people
        .iter()
        .map(|person| person.post("/events/fest/approve", json!({})));
    let answers = futures_util::future::join_all(answers).await;
    let by: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.must(200)["approvedBy"].clone())
        .collect();
    assert!(by.iter().all(|one| *one == by[0]), "{by:?}");
    let log = origin
        .admin()
        .get("/audit?action=event.approve")
        .await
        .must(200);
    assert_eq!(log["total"], 1);
    assert_eq!(log["entries"][0]["actor"], by[0]);

    // Approving and rejecting at once: whichever came last holds, and both are on record.
    let (yes, no) = tokio::join!(
        people[0].post("/events/fest/reject", json!({ "notes": "no" })),
        people[1].post("/events/fest/reject", json!({ "notes": "never" })),
    );
    let (yes, no) = (yes.must(200), no.must(200));
    assert_eq!(yes["approvalNotes"], no["approvalNotes"]);
    assert_eq!(yes["approvalStatus"], "Rejected");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_approval_is_of_the_revision_that_was_looked_at(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    admin
        .put("/events/fest", json!({ "priority": 1 }))
        .await
        .must(200);
    let approve = |tag: &'static str| {
        let admin = origin.admin();
        async move {
            let headers = [("if-match", tag)];
            admin
                .call(Method::POST, "/events/fest/approve", &headers, "")
                .await
        }
    };
    approve("\"1\"").await.refused(412, "PRECONDITION_FAILED");
    // A superseded one is approved by its number, and is then the one that may be deployed.
    let answer = admin
        .post("/events/fest/approve", json!({ "revision": 1 }))
        .await
        .must(200);
    assert_eq!(
        (&answer["revision"], &answer["approvalStatus"]),
        (&json!(2), &json!("Pending"))
    );
    let deployed = admin.deploy("fest", &["us-east"], 100.0).await;
    assert_eq!(deployed["revision"], 1);
    let newest = json!({ "eventId": "fest", "revision": 2, "regions": ["us-east"] });
    admin
        .post("/deployments", newest.clone())
        .await
        .refused(409, "CONFLICT");
    admin
        .post("/events/fest/reject", json!({ "notes": "too dear" }))
        .await
        .must(200);
    admin
        .post("/deployments", newest.clone())
        .await
        .refused(409, "CONFLICT");
    approve("\"2\"").await.must(200);
    admin.post("/deployments", newest).await.must(201);
    let notes = json!({ "notes": "x".repeat(2001) });
    assert_eq!(
        admin
            .post("/events/fest/approve", notes)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["notes"]
    );
    let notes = json!({ "notes": "a\0b" });
    assert_eq!(
        admin
            .post("/events/fest/reject", notes)
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["notes"]
    );
    origin
        .caller(Role::GameDesigner, &[])
        .post("/events/fest/approve", json!({}))
        .await
        .refused(403, "FORBIDDEN");
}
