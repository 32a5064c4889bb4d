//! The life of an event, by hand.

use axum::http::Method;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin};

const REGIONS: &[&str] = &["us-east", "eu-west"];

/// Brings a new event to a state.
async fn brought_to(admin: &Caller<'_>, id: &str, state: &str) {
    admin.approved_event(id, json!({})).await;
    let commands: &[&str] = match state {
        "Draft" => return,
        "Scheduled" => &[],
        "Active" => &["activate"],
        "Paused" => &["activate", "pause"],
        "Completed" => &["activate", "deactivate"],
        "Cancelled" => &["cancel"],
        other => panic!("{other}"),
    };
    admin.deploy(id, REGIONS, 100.0).await;
    for command in commands {
        admin.command(id, command).await.must(200);
    }
    assert_eq!(admin.event(id).await["state"], state);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_whole_table_and_nothing_else(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let states = [
        "Draft",
        "Scheduled",
        "Active",
        "Paused",
        "Completed",
        "Cancelled",
    ];
    let commands = [
        "activate",
        "deactivate",
        "pause",
        "resume",
        "cancel",
        "extend",
    ];
    let table = [
        ("Scheduled", "activate", "Active"),
        ("Active", "pause", "Paused"),
        ("Paused", "resume", "Active"),
        ("Active", "deactivate", "Completed"),
        ("Paused", "deactivate", "Completed"),
        ("Scheduled", "cancel", "Cancelled"),
        ("Active", "cancel", "Cancelled"),
        ("Paused", "cancel", "Cancelled"),
        ("Scheduled", "extend", "Scheduled"),
        ("Active", "extend", "Active"),
        ("Paused", "extend", "Paused"),
    ];
    for state in states {
        for command in commands {
            let id = format!("{}-{command}", state.to_lowercase());
            brought_to(&admin, &id, state).await;
            let answer = if command == "extend" {
                admin.extend(&id, json!({ "extendBy": "PT1H" })).await
            } else {
                admin.command(&id, command).await
            };
            let expected = table.iter().find(|row| row.0 == state && row.1 == command);
            if let Some((_, _, to)) = expected {
                let done = answer.must(200);
                assert_eq!(done["event"]["state"], *to, "{id}");
                assert_eq!(done["regions"].as_object().unwrap().len(), 2, "{id}");
                let change = format!("/changes/{}", done["changeId"].as_str().unwrap());
                let change = admin.get(&change).await.must(200);
                assert_eq!(change["eventId"], json!(id));
                let over = matches!(*to, "Completed" | "Cancelled");
                let served = done["event"]["regions"].as_object().unwrap().len();
                assert_eq!(served, if over { 0 } else { 2 }, "{id}");
                assert_eq!(done["event"]["endedAt"].is_string(), over, "{id}");
                // Said again, it is a conflict; but for an extension.
                let again = if command == "extend" {
                    continue;
                } else {
                    admin.command(&id, command).await
                };
                again.refused(409, "CONFLICT");
                assert_eq!(admin.event(&id).await["state"], *to, "{id}");
            } else {
                assert!(answer.message().contains(state), "{}", answer.text);
                answer.refused(409, "CONFLICT");
                assert_eq!(admin.event(&id).await["state"], state, "{id}");
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_ends_an_event_says_why_and_is_written_down(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    brought_to(&admin, "fest", "Active").await;
    for command in ["deactivate", "cancel"] {
        for body in [
            json!({}),
            json!({ "reason": " " }),
            json!({ "reason": "x".repeat(2001) }),
        ] {
            let answer = admin.post(&format!("/events/fest/{command}"), body).await;
            assert_eq!(answer.refused(400, "VALIDATION_ERROR"), ["reason"]);
        }
        let unknown = json!({ "why": "so" });
        let answer = admin
            .post(&format!("/events/fest/{command}"), unknown)
            .await;
        answer.refused(400, "VALIDATION_ERROR");
    }
    let nul = json!({ "reason": "a\0b" });
    let answer = admin.post("/events/fest/cancel", nul).await;
    answer.refused(400, "VALIDATION_ERROR");
    // Elsewhere nothing need be said.
    admin.post("/events/fest/pause", json!({})).await.must(200);
    let listed = admin
        .get("/audit?subject=fest&action=event.pause")
        .await
        .must(200);
    let row = &listed["entries"][0];
    assert_eq!(
        (&row["before"]["state"], &row["after"]["state"]),
        (&json!("Active"), &json!("Paused"))
    );
    assert!(row["after"]["changeId"].is_string());
    admin.command("fest", "cancel").await.must(200);
    let listed = admin
        .get("/audit?subject=fest&action=event.cancel")
        .await
        .must(200);
    assert_eq!(listed["entries"][0]["after"]["reason"], "so they said");
    admin
        .post("/events/nothing/pause", json!({}))
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_who_may_and_only_where_they_may(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    brought_to(&admin, "fest", "Active").await;
    for role in [Role::GameDesigner, Role::Developer, Role::GameServer] {
        let caller = origin.caller(role, &[]);
        for command in ["activate", "deactivate", "pause", "resume", "cancel"] {
            caller
                .command("fest", command)
                .await
                .refused(403, "FORBIDDEN");
        }
        let longer = json!({ "extendBy": "PT1H" });
        caller
            .extend("fest", longer)
            .await
            .refused(403, "FORBIDDEN");
        caller
            .delete("/events/fest")
            .await
            .refused(403, "FORBIDDEN");
    }
    // An event that is served elsewhere too is not one region's alone.
    let american = origin.caller(Role::Operator, &["us-east"]);
    american
        .command("fest", "pause")
        .await
        .refused(403, "FORBIDDEN");
    assert_eq!(admin.event("fest").await["state"], "Active");
    origin
        .caller(Role::Operator, REGIONS)
        .command("fest", "pause")
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn activated_it_is_open_in_every_region_at_once_and_in_those_that_come_later(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin
        .deployed_event("fest", &["us-east", "ap-northeast"], json!({}))
        .await;
    let wall = json!({
        "regionLocal": true, "startTime": "2026-07-01T18:00:00", "endTime": "2026-07-02T00:00:00",
    });
    admin
        .deployed_event("night", &["us-east", "ap-northeast"], wall)
        .await;
    let daily =
        json!({ "recurrence": { "rule": "FREQ=DAILY", "duration": "PT2H", "zone": "UTC" } });
    admin
        .deployed_event("happy-hour", &["us-east"], daily)
        .await;
    origin.clock.set("2026-06-20T08:00:00.25Z".parse().unwrap());
    for id in ["fest", "night", "happy-hour"] {
        let done = admin.command(id, "activate").await.must(200);
        assert_eq!(done["event"]["activatedAt"], "2026-06-20T08:00:00Z");
        admin.deploy(id, &["eu-west"], 100.0).await;
    }
    let event = admin.event("fest").await;
    assert_eq!(event["startTime"], "2026-06-20T08:00:00Z");
    for region in ["us-east", "ap-northeast", "eu-west"] {
        let shown = admin.shown("fest", region).await;
        assert_eq!(
            shown,
            ["2026-06-20T08:00:00Z/2026-07-15T10:00:00Z"],
            "{region}"
        );
    }
    // Open now, and until midnight by each wall clock.
    for (region, closes) in [
        ("us-east", "2026-07-02T04:00:00Z"),
        ("ap-northeast", "2026-07-01T15:00:00Z"),
        ("eu-west", "2026-07-01T23:00:00Z"),
    ] {
        let shown = admin.shown("night", region).await;
        assert_eq!(
            shown,
            [format!("2026-06-20T08:00:00Z/{closes}")],
            "{region}"
        );
    }
    assert_eq!(
        admin.event("night").await["startTime"],
        "2026-07-01T18:00:00"
    );
    let shown = admin.shown("happy-hour", "eu-west").await;
    assert_eq!(
        shown[..2],
        [
            "2026-06-20T08:00:00Z/2026-06-20T10:00:00Z",
            "2026-07-01T10:00:00Z/2026-07-01T12:00:00Z"
        ]
    );
    let starts: Vec<String> = sqlx::query_scalar("SELECT start_time::text FROM live_events")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(
        starts
            .iter()
            .all(|start| start.starts_with("2026-06-20 08:00:00")),
        "{starts:?}"
    );

    // An edit and its deployment change nothing of that.
    for id in ["night", "happy-hour"] {
        admin
            .put(&format!("/events/{id}"), json!({ "priority": 7 }))
            .await
            .must(200);
        admin
            .post(&format!("/events/{id}/approve"), json!({}))
            .await
            .must(200);
        let before = admin.shown(id, "us-east").await;
        admin.deploy(id, &["us-east"], 100.0).await;
        assert_eq!(admin.shown(id, "us-east").await, before);
        assert_eq!(admin.event(id).await["activatedAt"], "2026-06-20T08:00:00Z");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_pause_and_a_stop_are_lifted_each_by_its_own(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    brought_to(&admin, "fest", "Paused").await;
    admin
        .post(
            "/stop",
            json!({ "events": ["fest"], "regions": ["us-east"] }),
        )
        .await
        .must(200);
    let suspension = |event: &Value, region: &str| {
        let served = &event["regions"][region];
        (
            served["paused"].as_bool().unwrap(),
            served["stopped"].as_bool().unwrap(),
        )
    };
    // Into a further region it comes paused.
    admin.deploy("fest", &["us-west"], 100.0).await;
    let event = admin.event("fest").await;
    assert_eq!(suspension(&event, "us-east"), (true, true));
    assert_eq!(suspension(&event, "eu-west"), (true, false));
    assert_eq!(suspension(&event, "us-west"), (true, false));
    let event = &admin.command("fest", "resume").await.must(200)["event"];
    assert_eq!(suspension(event, "us-east"), (false, true));
    assert_eq!(suspension(event, "us-west"), (false, false));
    admin.command("fest", "pause").await.must(200);
    admin
        .post("/resume", json!({ "all": true }))
        .await
        .must(200);
    assert_eq!(
        suspension(&admin.event("fest").await, "us-east"),
        (true, false)
    );
    // Taking a deployment back leaves both alone, and so does an extension.
    admin.post("/stop", json!({ "all": true })).await.must(200);
    admin
        .extend("fest", json!({ "extendBy": "-PT1H" }))
        .await
        .must(200);
    assert_eq!(
        suspension(&admin.event("fest").await, "eu-west"),
        (true, true)
    );
    admin.command("fest", "deactivate").await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_ends_takes_its_deployments_along_and_its_end_is_now(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    brought_to(&admin, "fest", "Active").await;
    origin.clock.set("2026-06-02T00:00:00Z".parse().unwrap());
    let running = admin.deploy("fest", &["us-west"], 100.0).await;
    sqlx::query(
        "UPDATE deployments SET status = 'InProgress' WHERE deployment_id = $1::text::uuid",
    )
    .bind(running["deploymentId"].as_str().unwrap())
    .execute(&pool)
    .await
    .unwrap();
    origin.clock.set("2026-06-05T00:00:00.5Z".parse().unwrap());
    let done = admin.command("fest", "deactivate").await.must(200);
    assert_eq!(done["event"]["endTime"], "2026-06-05T00:00:01Z");
    assert_eq!(done["event"]["endedAt"], "2026-06-05T00:00:00.5Z");
    assert_eq!(done["regions"].as_object().unwrap().len(), 3);
    let listed = admin.get("/deployments?eventId=fest").await.must(200);
    let status = |n: usize| listed["deployments"][n]["status"].clone();
    assert_eq!(
        (status(0), status(1)),
        (json!("Cancelled"), json!("Completed"))
    );
    let ended: bool = sqlx::query_scalar(
        "SELECT end_time = '2026-06-05 00:00:00.5+00' AND end_time > start_time FROM live_events",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(ended);
    // What is over cannot be deployed, edited or taken back.
    let body = json!({ "eventId": "fest", "regions": ["us-east"] });
    admin
        .post("/deployments", body)
        .await
        .refused(409, "CONFLICT");
    admin
        .put("/events/fest", json!({ "priority": 1 }))
        .await
        .refused(409, "CONFLICT");

    // Called off before it began, it keeps the times that were announced.
    brought_to(&admin, "cup", "Scheduled").await;
    let done = admin.command("cup", "cancel").await.must(200);
    assert_eq!(done["event"]["startTime"], "2026-07-01T10:00:00Z");
    assert_eq!(done["event"]["endTime"], "2026-07-15T10:00:00Z");

    // Begun and ended within the same second.
    brought_to(&admin, "flash", "Completed").await;
    let event = admin.event("flash").await;
    assert!(event["startTime"].as_str() < event["endTime"].as_str());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_command_is_judged_by_what_the_event_is_by_then(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for id in ["fest", "cup", "fair"] {
        admin.deployed_event(id, &["us-east"], json!({})).await;
    }
    // Nobody has noted that they opened.
    origin.clock.set("2026-07-02T00:00:00Z".parse().unwrap());
    admin
        .command("fest", "activate")
        .await
        .refused(409, "CONFLICT");
    admin.command("cup", "pause").await.must(200);
    // Nor that they are over.
    origin.clock.set("2026-07-16T00:00:00Z".parse().unwrap());
    for command in ["resume", "pause", "cancel", "deactivate"] {
        let refused = admin.command("cup", command).await;
        assert!(refused.message().contains("Completed"), "{}", refused.text);
        refused.refused(409, "CONFLICT");
    }
    let longer = json!({ "endTime": "2026-08-01T00:00:00Z" });
    admin.extend("fair", longer).await.refused(409, "CONFLICT");
    let body = json!({ "eventId": "fair", "regions": ["us-west"] });
    admin
        .post("/deployments", body)
        .await
        .refused(409, "CONFLICT");
    let deeds = admin.deeds("fair").await;
    let last: Vec<(&str, &str, &str)> = deeds[deeds.len() - 2..]
        .iter()
        .map(|(who, what, after)| (&**who, &**what, after["dueAt"].as_str().unwrap()))
        .collect();
    assert_eq!(
        last,
        [
            ("scheduler", "event.open", "2026-07-01T10:00:00Z"),
            ("scheduler", "event.complete", "2026-07-15T10:00:00Z"),
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_ends_while_a_command_waits_for_it_is_over(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin.deployed_event("fest", &["us-east"], json!({})).await;
    origin.at("2026-07-15T09:59:59Z").await;
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM live_events FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let letting_go = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            if waiting > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        origin.clock.set("2026-07-15T10:00:00Z".parse().unwrap());
        held.commit().await.unwrap();
    };
    let longer = json!({ "endTime": "2026-08-01T00:00:00Z" });
    let (answer, ()) = tokio::join!(admin.extend("fest", longer), letting_go);
    assert!(answer.message().contains("Completed"), "{}", answer.text);
    answer.refused(409, "CONFLICT");
    let event = admin.event("fest").await;
    assert_eq!(
        (&event["state"], &event["endedAt"]),
        (&json!("Completed"), &json!("2026-07-15T10:00:00Z"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_draft_can_be_deleted_and_nothing_else(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for (id, state) in [
        ("a", "Scheduled"),
        ("b", "Active"),
        ("c", "Completed"),
        ("d", "Cancelled"),
    ] {
        brought_to(&admin, id, state).await;
        admin
            .delete(&format!("/events/{id}"))
            .await
            .refused(409, "CONFLICT");
    }
    brought_to(&admin, "fest", "Draft").await;
    // A stop has named it, along with what it had to stop.
    admin
        .post("/stop", json!({ "events": ["fest"] }))
        .await
        .must(200);
    let stale = admin
        .call(Method::DELETE, "/events/fest", &[("If-Match", "\"9\"")], "")
        .await;
    stale.refused(412, "PRECONDITION_FAILED");
    admin.delete("/events/fest").await.must(204);
    admin.get("/events/fest").await.refused(404, "NOT_FOUND");
    admin.delete("/events/fest").await.refused(404, "NOT_FOUND");
    admin.get("/events?q=fest").await.must(200);
    let listed = admin
        .get("/audit?subject=fest&action=event.delete")
        .await
        .must(200);
    assert_eq!(listed["entries"][0]["before"]["displayName"], "Summer Fest");
    // The name is free again.
    admin.approved_event("fest", json!({})).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn stops_and_commands_at_once_neither_block_nor_undo_each_other(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for round in 0..8 {
        let id = format!("fest-{round}");
        admin.deployed_event(&id, REGIONS, json!({})).await;
        let (other, scheduler) = (origin.named("ada"), origin.scheduler());
        let (events, everywhere) = (json!({ "events": [id] }), json!({ "all": true }));
        let (longer, shorter) = (json!({ "extendBy": "P1D" }), json!({ "extendBy": "-P1D" }));
        let (stopped, _, activated, extended, _, _, all) = tokio::join!(
            admin.post("/stop", events),
            other.deploy(&id, &["us-west"], 100.0),
            admin.command(&id, "activate"),
            other.extend(&id, longer),
            admin.extend(&id, shorter),
            async { scheduler.catch_up().await.unwrap() },
            other.post("/stop", everywhere),
        );
        for answer in [stopped, activated, extended, all] {
            answer.must(200);
        }
        let paused = admin.command(&id, "pause");
        let (paused, resumed) = tokio::join!(paused, admin.post("/resume", json!({ "all": true })));
        paused.must(200);
        resumed.must(200);
        let event = admin.event(&id).await;
        assert_eq!(event["state"], "Paused");
        assert_eq!(
            event["endTime"], "2026-07-15T10:00:00Z",
            "one day later and one earlier"
        );
        for region in ["us-east", "eu-west", "us-west"] {
            let served = &event["regions"][region];
            assert_eq!(
                (&served["paused"], &served["stopped"]),
                (&json!(true), &json!(false))
            );
            assert_eq!(served["schedule"][0]["closes"], "2026-07-15T10:00:00Z");
        }
        admin.command(&id, "cancel").await.must(200);
    }
}
