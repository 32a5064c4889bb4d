//! Stop and resume.

use liveevents_origin::change::{self, Decision, Edit, Request};
use liveevents_origin::event::document::Document;
use liveevents_origin::event::fields::EventFields;
use liveevents_origin::store::{self, region_log};
use liveevents_protocol::codec;
use liveevents_protocol::entry::Delta;
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::{Assignment, Suspension};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Revision, Version};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, NOW, Origin};

async fn deployed(pool: PgPool) -> Origin {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for (id, tag) in [("sale", "store"), ("cup", "esports"), ("fair", "store")] {
        admin.approved_event(id, json!({ "tags": [tag] })).await;
        admin.deploy(id, &["us-east", "eu-west"], 100.0).await;
    }
    origin
}

/// The events stopped in a region.
async fn stopped(caller: &Caller<'_>, region: &str) -> Vec<String> {
    let listed = caller.get("/events").await.must(200);
    let mut stopped: Vec<String> = listed["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["regions"][region]["stopped"] == true)
        .map(|event| event["eventId"].as_str().unwrap().to_owned())
        .collect();
    stopped.sort();
    stopped
}

#[sqlx::test(migrations = "../migrations")]
async fn one_event_a_tag_or_everything_in_all_regions_or_some(pool: PgPool) {
    let origin = deployed(pool).await;
    let admin = origin.admin();

    let done = admin
        .post("/stop", json!({ "events": ["cup"], "reason": "cheats" }))
        .await
        .must(200);
    assert_eq!(done["regions"], json!({ "us-east": 4, "eu-west": 4 }));
    assert_eq!(stopped(&admin, "us-east").await, ["cup"]);
    let change = admin
        .get(&format!("/changes/{}", done["changeId"].as_str().unwrap()))
        .await
        .must(200);
    assert_eq!(
        (&change["kind"], &change["reason"]),
        (&json!("Stop"), &json!("cheats"))
    );

    let done = admin
        .post("/stop", json!({ "tag": "store", "regions": ["eu-west"] }))
        .await
        .must(200);
    assert_eq!(
        done["regions"],
        json!({ "eu-west": 5 }),
        "two events in one version"
    );
    assert_eq!(stopped(&admin, "eu-west").await, ["cup", "fair", "sale"]);
    assert_eq!(stopped(&admin, "us-east").await, ["cup"]);

    let done = admin.post("/stop", json!({ "all": true })).await.must(200);
    assert_eq!(
        done["regions"],
        json!({ "us-east": 5 }),
        "eu-west had stopped everything already"
    );
    assert_eq!(stopped(&admin, "us-east").await, ["cup", "fair", "sale"]);

    let done = admin
        .post("/resume", json!({ "tag": "store" }))
        .await
        .must(200);
    assert_eq!(done["regions"], json!({ "us-east": 6, "eu-west": 6 }));
    assert_eq!(stopped(&admin, "us-east").await, ["cup"]);
    assert_eq!(stopped(&admin, "eu-west").await, ["cup"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stop_holds_against_a_later_deployment(pool: PgPool) {
    let origin = deployed(pool).await;
    let admin = origin.admin();
    admin
        .post("/stop", json!({ "events": ["sale"] }))
        .await
        .must(200);
    admin
        .put("/events/sale", json!({ "priority": 1 }))
        .await
        .must(200);
    admin
        .post("/events/sale/approve", json!({}))
        .await
        .must(200);
    admin.deploy("sale", &["us-east"], 100.0).await;
    assert_eq!(stopped(&admin, "us-east").await, ["sale"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn stopping_what_is_stopped_is_no_error_and_no_version(pool: PgPool) {
    let origin = deployed(pool).await;
    let admin = origin.admin();
    admin.post("/stop", json!({ "all": true })).await.must(200);
    let again = admin.post("/stop", json!({ "all": true })).await.must(200);
    assert_eq!(again["regions"], json!({}));
    let nothing = admin
        .post("/stop", json!({ "tag": "unknown" }))
        .await
        .must(200);
    assert_eq!(nothing["regions"], json!({}));
    admin
        .get(&format!(
            "/changes/{}",
            nothing["changeId"].as_str().unwrap()
        ))
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_order_says_one_thing(pool: PgPool) {
    let origin = deployed(pool).await;
    let table: &[(Value, &[&str])] = &[
        (json!({}), &["events"]),
        (json!({ "all": false }), &["events"]),
        (json!({ "all": true, "tag": "store" }), &["events"]),
        (json!({ "events": ["sale"], "tag": "store" }), &["events"]),
        (json!({ "events": [] }), &["events"]),
        (json!({ "events": ["sale", "feast"] }), &["events[1]"]),
        (json!({ "all": true, "regions": [] }), &["regions"]),
        (
            json!({ "all": true, "regions": ["us-east", "atlantis"] }),
            &["regions[1]"],
        ),
        (
            json!({ "all": true, "reason": "x".repeat(2001) }),
            &["reason"],
        ),
    ];
    for (order, at_fault) in table {
        let found = origin
            .admin()
            .post("/stop", order.clone())
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(&found, at_fault, "{order}");
    }
    assert!(stopped(&origin.admin(), "us-east").await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stop_waits_for_no_event(pool: PgPool) {
    let origin = deployed(pool.clone()).await;
    // Somebody holds the event's row and does not let go.
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM live_events WHERE event_id = 'sale' FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    origin
        .admin()
        .post("/stop", json!({ "events": ["sale"] }))
        .await
        .must(200);
    drop(held);
    assert_eq!(stopped(&origin.admin(), "us-east").await, ["sale"]);
}

/// Puts events with assignments of 100 KB into a region. In life a thousand occurrences make them large, or
/// there are many; a long salt is quicker to encode.
async fn crowd(pool: &PgPool, region: &str, count: usize) {
    let fields = crate::common::event("crowd", json!({}));
    let mut fields: EventFields = serde_json::from_value(fields).unwrap();
    fields.event_id = None;
    let document = Document::parse(&fields).unwrap();
    for part in (0..count).collect::<Vec<_>>().chunks(20) {
        let mut tx = pool.begin().await.unwrap();
        let (mut edits, mut contents) = (Vec::new(), Vec::new());
        for n in part {
            let event: EventId = format!("crowd-{n}").parse().unwrap();
            store::events::insert(
                &mut tx,
                &event,
                "salt",
                &document,
                "test",
                NOW.parse().unwrap(),
            )
            .await
            .unwrap();
            contents.push(document.to_content(event.clone(), Revision(1)));
            edits.push(Edit::Put(Assignment {
                event_id: event,
                salt: "s".repeat(100_000),
                live: Some(Revision(1)),
                candidate: None,
                schedule: Schedule::default(),
                suspension: Suspension::default(),
                full: false,
            }));
        }
        let decision = Decision {
            kind: "Test",
            actor: "test".to_owned(),
            reason: None,
            event: None,
            deployment: None,
            trace_id: None,
        };
        let request = Request {
            decision,
            edits: [(region.parse().unwrap(), edits)].into(),
            contents,
        };
        change::commit(&mut tx, &request).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stop_of_more_than_one_version_holds_is_made_in_several(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    crowd(&pool, "us-east", 60).await;
    let admin = origin.admin();
    let done = admin.post("/stop", json!({ "all": true })).await.must(200);
    assert_eq!(
        done["regions"],
        json!({ "us-east": 5 }),
        "after three versions two more, of which the last is named"
    );

    let mut tx = store::begin_snapshot(&pool).await.unwrap();
    let region = "us-east".parse().unwrap();
    let (snapshot, position) = store::snapshot::read(&mut tx, &region)
        .await
        .unwrap()
        .unwrap();
    let of_log = region_log::position(&mut tx, &region, Version(5)).await;
    assert_eq!(of_log.unwrap(), Some(position));
    let mut state = RegionState::empty(position.epoch);
    let rows = region_log::rows_after(&mut tx, &region, Version::ZERO, 10, usize::MAX)
        .await
        .unwrap();
    assert_eq!(rows[3].change, rows[4].change, "one decision");
    for row in rows {
        let entries = codec::decode_entries(row.format, &row.entries).unwrap();
        let delta = Delta::of_row(position.epoch, row.version, entries);
        state = state.apply(&delta).unwrap();
    }
    assert!(
        RegionState::from_snapshot(snapshot)
            .unwrap()
            .same_as(&state)
    );
    let assigned = state.assignments().count();
    let stopped = state.assignments().filter(|a| a.suspension.stopped).count();
    assert_eq!((assigned, stopped), (60, 60));

    let resumed = admin
        .post("/resume", json!({ "all": true }))
        .await
        .must(200);
    assert_eq!(resumed["regions"], json!({ "us-east": 7 }));
}
