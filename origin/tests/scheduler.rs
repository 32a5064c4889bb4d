//! What events do by themselves is recorded once, at its moment, whoever is killed and however long everybody was away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use common::Origin;
use jiff::{SignedDuration, Timestamp};
use liveevents_origin::metrics::SchedulerMetrics;
use liveevents_origin::scheduler::Scheduler;
use liveevents_origin::store::database_clock::DatabaseClock;
use liveevents_service::clock::Clock;
use liveevents_service::metrics::Metrics;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);

/// What the scheduler has written down of an event: what, and when it was due.
async fn recorded(origin: &Origin, id: &str) -> Vec<(String, String)> {
    let deeds = origin.admin().deeds(id).await.into_iter();
    deeds
        .filter(|(actor, _, after)| actor == "scheduler" && after["dueAt"].is_string())
        .map(|(_, action, after)| (action, after["dueAt"].as_str().unwrap().to_owned()))
        .collect()
}

fn both() -> Vec<(String, String)> {
    [
        ("event.open", "2026-07-01T10:00:00Z"),
        ("event.complete", "2026-07-15T10:00:00Z"),
    ]
    .map(|(action, due)| (action.to_owned(), due.to_owned()))
    .to_vec()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_opens_and_closes_by_itself(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .deployed_event("fest", &["us-east", "eu-west"], json!({}))
        .await;
    origin.at("2026-07-01T09:59:59Z").await;
    assert_eq!(admin.event("fest").await["state"], "Scheduled");
    origin.at("2026-07-01T10:00:00Z").await;
    let event = admin.event("fest").await;
    assert_eq!(event["state"], "Active");
    // Edges have opened by themselves: regions are told nothing.
    let opened = admin
        .get("/audit?subject=fest&action=event.open")
        .await
        .must(200);
    assert_eq!(opened["entries"][0]["after"]["changeId"], Value::Null);
    assert_eq!(event["regions"].as_object().unwrap().len(), 2);
    origin.at("2026-07-15T10:00:00Z").await;
    let event = admin.event("fest").await;
    assert_eq!(event["state"], "Completed");
    assert_eq!(event["endedAt"], "2026-07-15T10:00:00Z");
    assert_eq!(event["regions"], json!({}));
    let closed = admin
        .get("/audit?subject=fest&action=event.complete")
        .await
        .must(200);
    let change = closed["entries"][0]["after"]["changeId"].as_str().unwrap();
    let change = admin.get(&format!("/changes/{change}")).await.must(200);
    assert_eq!(
        (&change["kind"], &change["actor"]),
        (&json!("Completion"), &json!("scheduler"))
    );
    assert_eq!(change["regions"].as_object().unwrap().len(), 2);
    assert_eq!(recorded(&origin, "fest").await, both());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paused_and_a_stopped_event_go_on_too(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for id in ["paused", "stopped", "cancelled", "withdrawn"] {
        admin.deployed_event(id, &["us-east"], json!({})).await;
    }
    admin
        .post("/stop", json!({ "events": ["stopped"] }))
        .await
        .must(200);
    admin.command("cancelled", "cancel").await.must(200);
    let deployed = admin.get("/deployments?eventId=withdrawn").await.must(200);
    let deployed = deployed["deployments"][0]["deploymentId"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .post(&format!("/deployments/{deployed}/rollback"), json!({}))
        .await
        .must(200);
    origin.at("2026-07-01T10:00:00Z").await;
    admin.command("paused", "pause").await.must(200);
    let origin = &origin;
    let state = |id: &'static str| async move { origin.admin().event(id).await["state"].clone() };
    assert_eq!(state("stopped").await, "Active");
    // In no region, it has not opened.
    assert_eq!(state("withdrawn").await, "Scheduled");
    origin.at("2026-07-15T10:00:00Z").await;
    for id in ["paused", "stopped"] {
        assert_eq!(state(id).await, "Completed");
        assert_eq!(recorded(origin, id).await, both(), "{id}");
    }
    assert_eq!(state("cancelled").await, "Cancelled");
    assert_eq!(recorded(origin, "cancelled").await, []);
    // Taken out of its last region while it was open, it is over when it would have been.
    admin
        .deployed_event(
            "taken",
            &["us-east"],
            json!({
                "startTime": "2026-07-16T00:00:00Z", "endTime": "2026-07-17T00:00:00Z",
            }),
        )
        .await;
    admin.command("taken", "activate").await.must(200);
    let deployed = admin.get("/deployments?eventId=taken").await.must(200);
    let deployed = deployed["deployments"][0]["deploymentId"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .post(&format!("/deployments/{deployed}/rollback"), json!({}))
        .await
        .must(200);
    origin.at("2026-07-16T23:59:59Z").await;
    assert_eq!(state("taken").await, "Active");
    origin.at("2026-07-17T00:00:00Z").await;
    assert_eq!(state("taken").await, "Completed");
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_that_was_missed_is_recorded_with_its_moment(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for n in 0..20 {
        admin
            .deployed_event(&format!("fest-{n}"), &["us-east", "eu-west"], json!({}))
            .await;
    }
    origin.scheduler().catch_up().await.unwrap();
    // Everybody was away for the whole of it.
    origin.at("2026-08-01T00:00:00Z").await;
    for n in 0..20 {
        let id = format!("fest-{n}");
        let event = admin.event(&id).await;
        assert_eq!(
            (&event["state"], &event["regions"]),
            (&json!("Completed"), &json!({}))
        );
        assert_eq!(recorded(&origin, &id).await, both());
    }
    assert_eq!(
        admin.get("/audit?subject=fest-0").await.must(200)["entries"][0]["at"],
        "2026-08-01T00:00:00Z"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn several_replicas_do_everything_once(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let events = 40;
    for n in 0..events {
        let wall = n % 2 == 0;
        let (start, end) = if wall {
            ("2026-07-01T10:00:00", "2026-07-15T10:00:00")
        } else {
            ("2026-07-01T10:00:00Z", "2026-07-15T10:00:00Z")
        };
        let times = json!({ "regionLocal": wall, "startTime": start, "endTime": end });
        admin
            .deployed_event(
                &format!("fest-{n}"),
                &["us-east", "eu-west", "sa-east"],
                times,
            )
            .await;
    }
    for moment in ["2026-07-01T10:00:00Z", "2026-07-16T10:00:00Z"] {
        origin.clock.set(moment.parse().unwrap());
        let replicas = [origin.scheduler(), origin.scheduler(), origin.scheduler()];
        let (a, b, c) = tokio::join!(
            replicas[0].catch_up(),
            replicas[1].catch_up(),
            replicas[2].catch_up()
        );
        for done in [a, b, c] {
            done.unwrap();
        }
        // What one had claimed when another came to its end.
        origin.scheduler().catch_up().await.unwrap();
    }
    let counted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT action, count(*) FROM audit_log WHERE actor = 'scheduler' GROUP BY action ORDER BY action",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(
        counted,
        [
            ("event.complete".to_owned(), events),
            ("event.open".to_owned(), events)
        ]
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM assignments")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_is_killed_has_done_all_of_it_or_nothing(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    for n in 0..10 {
        admin
            .deployed_event(&format!("fest-{n}"), &["us-east"], json!({}))
            .await;
    }
    origin.clock.set("2026-08-01T00:00:00Z".parse().unwrap());
    // Dropped after one more poll each time, wherever that is.
    for polls in 1..60 {
        let scheduler = origin.scheduler();
        let mut looking = Box::pin(scheduler.catch_up());
        for _ in 0..polls {
            let polled = tokio::time::timeout(Duration::from_millis(2), &mut looking).await;
            if polled.is_ok() {
                break;
            }
        }
    }
    origin.scheduler().catch_up().await.unwrap();
    for n in 0..10 {
        let id = format!("fest-{n}");
        assert_eq!(recorded(&origin, &id).await, both());
        assert_eq!(admin.event(&id).await["state"], "Completed");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_in_somebodys_hands_is_left_to_them_and_not_forgotten(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    for id in ["held", "free"] {
        admin.deployed_event(id, &["us-east"], json!({})).await;
    }
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM live_events WHERE event_id = 'held' FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    origin.clock.set("2026-07-01T10:00:00Z".parse().unwrap());
    let sleep = origin.scheduler().catch_up().await.unwrap();
    assert!(
        sleep < Duration::from_secs(1),
        "{sleep:?}: it comes back for it"
    );
    assert_eq!(admin.event("free").await["state"], "Active");
    assert_eq!(admin.event("held").await["state"], "Scheduled");
    held.rollback().await.unwrap();
    let sleep = origin.scheduler().catch_up().await.unwrap();
    assert_eq!(sleep, Duration::from_secs(3600), "the interval at the most");
    assert_eq!(admin.event("held").await["state"], "Active");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_series_is_topped_up_under_the_approval_it_has(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let daily = json!({
        "endTime": "2026-12-31T00:00:00Z",
        "recurrence": { "rule": "FREQ=DAILY", "duration": "PT2H", "except": ["2026-09-03"] },
    });
    admin
        .deployed_event("happy-hour", &["us-east", "eu-west"], daily)
        .await;
    assert_eq!(admin.shown("happy-hour", "us-east").await.len(), 60);
    origin.at("2026-07-01T11:00:00Z").await;
    assert_eq!(admin.event("happy-hour").await["state"], "Active");
    admin.post("/stop", json!({ "all": true })).await.must(200);
    let mut changes = 0;
    for day in 2..=10 {
        origin.at(&format!("2026-07-{day:02}T11:00:00Z")).await;
        let shown = admin.shown("happy-hour", "us-east").await;
        // Those of today until 60 days from now, one of which is excepted.
        let last = shown.last().unwrap();
        let horizon: Timestamp = format!("2026-07-{day:02}T11:00:00Z").parse().unwrap();
        let horizon = horizon + SignedDuration::from_hours(60 * 24);
        let opens: Timestamp = last.split('/').next().unwrap().parse().unwrap();
        assert!(
            opens < horizon && horizon - SignedDuration::from_hours(49) < opens,
            "{day}: {last}"
        );
        assert_eq!(shown, admin.shown("happy-hour", "eu-west").await);
        changes += 1;
    }
    let deeds = admin.deeds("happy-hour").await;
    let topped_up: Vec<&Value> = deeds
        .iter()
        .filter(|(actor, action, _)| actor == "scheduler" && action == "event.top-up")
        .map(|(_, _, after)| after)
        .collect();
    assert!(topped_up.len() >= changes - 1, "{deeds:?}");
    let regions = topped_up[0]["regions"].as_object().unwrap();
    assert_eq!(regions.len(), 2, "one change for both");
    let event = admin.event("happy-hour").await;
    assert_eq!(
        (&event["revision"], &event["approvalStatus"]),
        (&json!(1), &json!("Approved"))
    );
    assert_eq!(
        event["regions"]["us-east"]["stopped"], true,
        "which it leaves alone"
    );
    // After four months away it has what lies ahead, and then its end.
    origin.at("2026-11-15T11:00:00Z").await;
    let shown = admin.shown("happy-hour", "us-east").await;
    assert!(
        shown[0].starts_with("2026-11-15") && shown.last().unwrap().starts_with("2026-12-30"),
        "{shown:?}"
    );
    origin.at("2026-12-30T11:59:59Z").await;
    assert_eq!(admin.event("happy-hour").await["state"], "Active");
    origin.at("2026-12-30T12:00:00Z").await;
    assert_eq!(admin.event("happy-hour").await["state"], "Completed");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_occurrence_that_would_come_beside_its_like_is_left_out_and_that_is_told(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let weekly = json!({
        "category": "shop", "endTime": "2026-12-31T00:00:00Z",
        "recurrence": { "rule": "FREQ=WEEKLY", "duration": "PT6H" },
    });
    admin
        .deployed_event("club", &["us-east", "eu-west"], weekly)
        .await;
    let autumn = json!({
        "category": "shop", "startTime": "2026-09-16T00:00:00Z", "endTime": "2026-09-17T00:00:00Z",
    });
    admin.deployed_event("autumn", &["us-east"], autumn).await;
    for day in 1..=30 {
        origin.at(&format!("2026-07-{day:02}T10:00:00Z")).await;
    }
    let has = |shown: &[String], day: &str| shown.iter().any(|o| o.starts_with(day));
    let american = admin.shown("club", "us-east").await;
    let european = admin.shown("club", "eu-west").await;
    assert!(
        has(&european, "2026-09-16") && has(&european, "2026-09-23"),
        "{european:?}"
    );
    assert!(
        !has(&american, "2026-09-16") && has(&american, "2026-09-23"),
        "{american:?}"
    );
    let deeds = admin.deeds("club").await;
    let skipped = deeds
        .iter()
        .find(|(_, action, _)| action == "event.skip-occurrence");
    let (_, _, skipped) = skipped.unwrap();
    assert_eq!(
        (&skipped["region"], &skipped["beside"]),
        (&json!("us-east"), &json!("autumn"))
    );
    assert_eq!(skipped["occurrence"]["opens"], "2026-09-16T10:00:00Z");
    // A later end brings what follows, and not what was left out.
    admin
        .extend("club", json!({ "extendBy": "P1D" }))
        .await
        .must(200);
    assert!(!has(&admin.shown("club", "us-east").await, "2026-09-16"));
}

#[sqlx::test(migrations = "../migrations")]
async fn it_wakes_by_the_databases_clock_and_by_whoever_changes_a_schedule(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let metrics = Metrics::new().unwrap();
    let scheduler = Scheduler {
        pool: pool.clone(),
        time: DatabaseClock::default(),
        // Never, within this test.
        interval: Duration::from_secs(3600),
        metrics: SchedulerMetrics::new(&metrics).unwrap(),
    };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(scheduler.run(stop.clone()));
    // It sleeps for an hour. The process's clock is a day off, as a machine's may be.
    let now = Clock::system().now();
    origin.clock.set(now - SignedDuration::from_hours(24));
    let second = |after: i64| {
        Timestamp::from_second(now.as_second() + after)
            .unwrap()
            .to_string()
    };
    let admin = origin.admin();
    let times = json!({ "startTime": second(2), "endTime": second(4) });
    admin.approved_event("flash", times).await;
    admin.deploy("flash", &["us-east"], 100.0).await;
    let state = |expected: &'static str| {
        let admin = &admin;
        async move {
            while admin.event("flash").await["state"] != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(LIMIT, state("Completed"))
        .await
        .unwrap();
    assert_eq!(
        recorded(&origin, "flash").await,
        [
            ("event.open".to_owned(), second(2)),
            ("event.complete".to_owned(), second(4))
        ]
    );
    // Shown to people, once it has come to its rest.
    let rested = async {
        loop {
            let health = Request::get("/health").body(Body::empty()).unwrap();
            let health = origin.send(health).await.must(200);
            let ran: Timestamp = health["lastSchedulerRun"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            if ran >= second(4).parse().unwrap() {
                break health;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let health = tokio::time::timeout(LIMIT, rested).await.unwrap();
    assert_eq!(
        (&health["activeEvents"], &health["scheduledEvents"]),
        (&json!(0), &json!(0))
    );
    stop.cancel();
    tokio::time::timeout(LIMIT, tasks.join_all()).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn events_of_which_nothing_could_be_recorded_are_counted(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    for event in ["fest", "gala"] {
        admin.deployed_event(event, &["us-east"], json!({})).await;
    }
    let metrics = Metrics::new().unwrap();
    let scheduler = Scheduler {
        metrics: SchedulerMetrics::new(&metrics).unwrap(),
        ..origin.scheduler()
    };
    let failed = || {
        let text = metrics.render().unwrap();
        let line = "liveevents_activation_failures_total{reason=\"not_recorded\"} ";
        let number = text.lines().find_map(|found| found.strip_prefix(line));
        number.unwrap().to_owned()
    };
    let refuse =
        "ALTER TABLE audit_log ADD CONSTRAINT nothing_opens CHECK (action <> 'event.open')";
    sqlx::query(refuse).execute(&pool).await.unwrap();
    origin.clock.set("2026-07-02T00:00:00Z".parse().unwrap());
    assert!(scheduler.catch_up().await.is_err());
    assert_eq!(failed(), "2");
    let allow = "ALTER TABLE audit_log DROP CONSTRAINT nothing_opens";
    sqlx::query(allow).execute(&pool).await.unwrap();
    scheduler.catch_up().await.unwrap();
    assert_eq!(failed(), "2");
    assert_eq!(admin.event("fest").await["state"], "Active");
}

#[sqlx::test(migrations = "../migrations")]
async fn every_metric_moves(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let weekly = json!({
        "category": "shop", "endTime": "2026-12-31T00:00:00Z",
        "recurrence": { "rule": "FREQ=WEEKLY", "duration": "PT6H" },
    });
    admin.deployed_event("club", &["us-east"], weekly).await;
    let times = json!({
        "category": "shop", "startTime": "2026-09-09T00:00:00Z", "endTime": "2026-09-17T00:00:00Z",
    });
    admin.deployed_event("autumn", &["us-east"], times).await;
    admin.deployed_event("fest", &["us-east"], json!({})).await;
    let metrics = Metrics::new().unwrap();
    let scheduler = Scheduler {
        time: DatabaseClock::instead(origin.clock.clock()),
        metrics: SchedulerMetrics::new(&metrics).unwrap(),
        ..origin.scheduler()
    };
    for moment in [
        "2026-07-02T00:00:00Z",
        "2026-07-20T00:00:00Z",
        "2026-08-01T00:00:00Z",
    ] {
        origin.clock.set(moment.parse().unwrap());
        scheduler.catch_up().await.unwrap();
    }
    pool.close().await;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(scheduler.run(stop.clone()));
    let failed = async {
        while metrics
            .render()
            .unwrap()
            .contains("scheduler_failures_total 0\n")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, failed).await.unwrap();
    stop.cancel();
    tasks.join_all().await;
    let text = metrics.render().unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .filter(|name| name.contains("scheduler"));
    for name in names {
        let moved = |line: &str| line.starts_with(name) && !line.ends_with(" 0");
        assert!(text.lines().any(moved), "{name} has not moved in {text}");
    }
}
