//! Many at once: nobody's word is lost, nobody is told what is not so, and a stop is always made.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Origin, event};

#[sqlx::test(migrations = "../migrations")]
async fn of_edits_of_one_revision_one_is_made(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    for revision in 1..=4 {
        let tag = format!("\"{revision}\"");
        let edit = async |priority: u32| {
            let body = json!({ "priority": priority }).to_string();
            let headers = [("if-match", tag.as_str())];
            admin
                .call(Method::PUT, "/events/fest", &headers, body)
                .await
        };
        let answers = join_all((0..6).map(|n| edit(revision * 10 + n))).await;
        let mut statuses: Vec<u16> = answers
            .iter()
            .map(|answer| answer.status.as_u16())
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412]);
        let made = answers
            .into_iter()
            .find(|answer| answer.status == 200)
            .unwrap()
            .body;
        let stored = admin.get("/events/fest").await.must(200);
        assert_eq!(
            (&stored["revision"], &stored["priority"]),
            (&made["revision"], &made["priority"])
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_edits_without_a_condition_all_are_made_one_after_another(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let edits = [
        json!({ "priority": 7 }),
        json!({ "category": "sales" }),
        json!({ "tags": ["summer"] }),
    ];
    let answers = join_all(edits.map(|edit| admin.put("/events/fest", edit))).await;
    for answer in answers {
        answer.must(200);
    }
    let stored = admin.get("/events/fest").await.must(200);
    assert_eq!(stored["revision"], 4);
    assert_eq!(
        (&stored["priority"], &stored["category"]),
        (&json!(7), &json!("sales"))
    );
    assert_eq!(stored["tags"], json!(["summer"]));
}

#[sqlx::test(migrations = "../migrations")]
async fn of_creations_of_one_name_one_is_made(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let answers = join_all((0..6).map(|_| admin.post("/events", event("fest", json!({}))))).await;
    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(admin.get("/events/fest").await.must(200)["revision"], 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stop_during_everything_else_is_made_and_the_log_has_no_gap(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let (regions, ids) = (["us-east", "eu-west"], ["a", "b", "c"]);
    for id in ids {
        admin.approved_event(id, json!({})).await;
        admin.deploy(id, &regions, 100.0).await;
    }
    for round in 0..6_u32 {
        let work = ids.map(|id| {
            let admin = &admin;
            async move {
                let path = |command: &str| format!("/events/{id}/{command}");
                let (event, rollback, pause) =
                    (format!("/events/{id}"), path("rollback"), path("pause"));
                let deployment =
                    json!({ "eventId": id, "regions": regions, "percentage": round + 1 });
                let edit = admin.put(&event, json!({ "priority": round + 1 }));
                let (edited, deployed, back, paused) = tokio::join!(
                    edit,
                    admin.post("/deployments", deployment),
                    admin.post(&rollback, json!({})),
                    admin.post(&pause, json!({})),
                );
                let approved = admin.post(&path("approve"), json!({})).await;
                [edited, deployed, back, paused, approved]
            }
        });
        let (answers, stopped) =
            tokio::join!(join_all(work), admin.post("/stop", json!({ "all": true })));
        for answer in answers.into_iter().flatten() {
            let status = answer.status.as_u16();
            assert!(
                matches!(status, 200 | 201 | 409),
                "{status}: {}",
                answer.text
            );
        }
        stopped.must(200);
        for region in regions {
            let served = admin
                .get(&format!("/regions/{region}/events"))
                .await
                .must(200);
            for assignment in served["assignments"].as_array().unwrap() {
                // What came into the region after the stop was not there to be stopped.
                let held = assignment["suspension"]["stopped"] == true;
                let came_since = !held && came_after_the_stop(&pool, region, assignment).await;
                assert!(held || came_since, "{region}: {assignment}");
            }
        }
        admin
            .post("/resume", json!({ "all": true }))
            .await
            .must(200);
    }
    for region in regions {
        let told: Vec<i64> = sqlx::query_scalar(
            "SELECT version FROM region_log WHERE region_id = $1 ORDER BY version",
        )
        .bind(region)
        .fetch_all(&pool)
        .await
        .unwrap();
        let head: i64 = sqlx::query_scalar("SELECT version FROM region_heads WHERE region_id = $1")
            .bind(region)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(told, (1..=head).collect::<Vec<_>>(), "{region}");
        let changes: i64 =
            sqlx::query_scalar("SELECT count(*) FROM change_regions WHERE region_id = $1")
                .bind(region)
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(
            changes, head,
            "every version is a change that can be asked for"
        );
    }
}

/// Whether an assignment was removed and came anew: then its first version is above the newest stop's.
async fn came_after_the_stop(pool: &PgPool, region: &str, assignment: &serde_json::Value) -> bool {
    sqlx::query_scalar(
        "SELECT a.version > COALESCE(max(r.version), 0)
         FROM assignments a, change_regions r JOIN changes c USING (change_id)
         WHERE a.region_id = $1 AND a.event_id = $2 AND r.region_id = $1 AND c.kind = 'Stop'
         GROUP BY a.version",
    )
    .bind(region)
    .bind(assignment["eventId"].as_str())
    .fetch_one(pool)
    .await
    .unwrap()
}
