//! The calendar tells what regions hold, what goes on beyond that, what overlaps and what was deployed.

use axum::http::{Method, header};
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin};

async fn occurrences(caller: &Caller<'_>, query: &str) -> Vec<(String, Value, String)> {
    let answer = caller.get(&format!("/calendar{query}")).await.must(200);
    let occurrences = answer["occurrences"].as_array().unwrap().iter();
    occurrences
        .map(|o| {
            let text = |name: &str| o[name].as_str().unwrap().to_owned();
            (text("eventId"), o["region"].clone(), text("opens"))
        })
        .collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn tells_every_regions_occurrences_by_its_own_clock(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let local = json!({
        "regionLocal": true, "category": "sales",
        "startTime": "2026-06-10T10:00:00", "endTime": "2026-06-10T20:00:00",
    });
    admin.approved_event("local", local).await;
    admin
        .deploy("local", &["eu-central", "ap-northeast"], 100.0)
        .await;
    let weekly = json!({
        "startTime": "2026-06-05T16:00:00Z", "endTime": "2027-06-05T16:00:00Z", "category": "sales",
        "allowOverlap": true,
        "recurrence": { "rule": "FREQ=WEEKLY;BYDAY=WE", "zone": "UTC", "duration": "P1D" },
    });
    admin.approved_event("weekly", weekly).await;
    admin.deploy("weekly", &["eu-central"], 100.0).await;
    admin
        .approved_event("draft", json!({ "startTime": "2026-06-20T00:00:00Z" }))
        .await;

    let june = "?from=2026-06-08T00:00:00Z&to=2026-06-18T00:00:00Z";
    let of = |id: &str, region: &str, opens: &str| (id.to_owned(), json!(region), opens.to_owned());
    assert_eq!(
        occurrences(&admin, june).await,
        [
            of("local", "ap-northeast", "2026-06-10T01:00:00Z"),
            of("local", "eu-central", "2026-06-10T08:00:00Z"),
            of("weekly", "eu-central", "2026-06-10T16:00:00Z"),
            of("weekly", "eu-central", "2026-06-17T16:00:00Z"),
        ]
    );
    let there = format!("{june}&region=ap-northeast");
    assert_eq!(occurrences(&admin, &there).await.len(), 1);
    let answer = admin.get(&format!("/calendar{june}")).await.must(200);
    assert_eq!(
        answer["overlaps"],
        json!([{
            "region": "eu-central", "category": "sales", "events": ["local", "weekly"],
            "opens": "2026-06-10T16:00:00Z", "closes": "2026-06-10T18:00:00Z", "allowed": true,
        }])
    );
    assert_eq!(answer["deployments"], json!([]), "they were made before");

    // What is not held yet follows the rule, a draft is planned, and without words it is a month from now.
    let winter = "?from=2026-12-01T00:00:00Z&to=2026-12-08T00:00:00Z";
    assert_eq!(
        occurrences(&admin, winter).await,
        [of("weekly", "eu-central", "2026-12-02T16:00:00Z")]
    );
    let planned = occurrences(
        &admin,
        "?from=2026-06-19T00:00:00Z&to=2026-06-21T00:00:00Z&drafts=true",
    );
    assert_eq!(
        planned.await,
        [(
            "draft".to_owned(),
            Value::Null,
            "2026-06-20T00:00:00Z".to_owned()
        )]
    );
    let answer = admin.get("/calendar").await.must(200);
    assert_eq!(answer["from"], "2026-06-01T12:00:00Z");
    assert_eq!(answer["to"], "2026-07-01T12:00:00Z");
    assert_eq!(answer["deployments"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn is_read_by_other_calendars_and_knows_what_is_suspended(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .approved_event("fest", json!({ "displayName": "Fest; all, of it" }))
        .await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    admin.post("/stop", json!({ "all": true })).await.must(200);
    let path = "/calendar?format=ics&to=2026-08-01T00:00:00Z";
    let answer = admin.call(Method::GET, path, &[], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "text/calendar; charset=utf-8"
    );
    for line in [
        "UID:fest.us-east.20260701T100000Z@title-test",
        "DTEND:20260715T100000Z",
        "SUMMARY:Fest\\; all\\, of it (us-east)",
        "STATUS:TENTATIVE",
        "SUMMARY:Deployment of fest revision 1",
    ] {
        assert!(
            answer.text.contains(&format!("\r\n{line}\r\n")),
            "{line} in {}",
            answer.text
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_told_is_said(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let developer = origin.caller(Role::Developer, &[]);
    for (query, field) in [
        ("?format=xls", "format"),
        ("?region=atlantis", "region"),
        ("?from=2026-06-02T00:00:00Z&to=2026-06-01T00:00:00Z", "to"),
        ("?from=2026-06-02T00:00:00Z&to=2027-07-01T00:00:00Z", "to"),
        ("?from=9999-06-02T00:00:00Z&to=9999-06-01T00:00:00Z", "to"),
    ] {
        let answer = developer.get(&format!("/calendar{query}")).await;
        assert_eq!(answer.refused(400, "VALIDATION_ERROR"), [field], "{query}");
    }
    for query in [
        "?from=yesterday",
        "?until=2026-06-01T00:00:00Z",
        "?drafts=maybe",
    ] {
        let answer = developer.get(&format!("/calendar{query}")).await;
        answer.refused(400, "VALIDATION_ERROR");
    }
    // Before any time that the database can tell, and the last days that there are.
    let answer = developer
        .get("/calendar?from=-009999-02-01T00:00:00Z")
        .await;
    answer.refused(400, "VALIDATION_ERROR");
    let last = "/calendar?from=9999-12-29T00:00:00Z";
    developer.get(last).await.must(200);
    let player = origin.caller(Role::Player, &["us-east"]);
    player.get("/calendar").await.refused(403, "FORBIDDEN");
}
