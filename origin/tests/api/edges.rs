//! Edges, regions and changes as edges' words make them look, and what operators tell edges.

use std::time::Duration;

use jiff::SignedDuration;
use liveevents_origin::store::acks::{self, Ack};
use liveevents_origin::store::delivery::{self, Complaint, Counted, Degraded, Passage, Report};
use liveevents_origin::store::{self, edges};
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::{self, Hello, Quarantined, Standing};
use liveevents_protocol::id::{BootId, EdgeId};
use liveevents_protocol::version::{Epoch, Revision, Version};
use liveevents_service::clock::Clock;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::common::Origin;

const REGION: &str = "us-east";

/// An edge that has just connected, as this run of its process.
pub(super) async fn connect(origin: &Origin, edge: &str, boot: u128, capabilities: &[&str]) {
    let region = REGION.parse().unwrap();
    let hello = Hello {
        installation: crate::common::INSTALLATION.parse().unwrap(),
        edge: edge.parse().unwrap(),
        boot: BootId(Uuid::from_u128(boot)),
        token: String::new(),
        build: "1.2.3".to_owned(),
        capabilities: capabilities.iter().map(ToString::to_string).collect(),
        address: format!("http://{edge}"),
        regions: vec![(REGION.parse().unwrap(), None)],
    };
    let mut tx = origin.pool.begin().await.unwrap();
    acks::claim(&mut tx, &hello, &region, origin.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn epoch(origin: &Origin) -> Epoch {
    let mut conn = origin.pool.acquire().await.unwrap();
    store::epoch::read(&mut conn).await.unwrap().unwrap().epoch
}

/// The edge has acked a version, at a time by the clock that the database commits by.
async fn ack(origin: &Origin, edge: &str, version: u64) {
    let mut tx = origin.pool.begin().await.unwrap();
    let ack = Ack {
        edge: edge.parse().unwrap(),
        region: REGION.parse().unwrap(),
        epoch: epoch(origin).await,
        from: Version(version - 1),
        to: Version(version),
        at: Clock::system().now() + SignedDuration::from_secs(1),
    };
    acks::record(&mut tx, &[ack]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn report(origin: &Origin, edge: &str, connected: u32, standings: &[(u64, [u32; 3])]) {
    let report = Report {
        edge: edge.parse().unwrap(),
        region: REGION.parse().unwrap(),
        epoch: epoch(origin).await,
        connected,
        standings: standings
            .iter()
            .map(|&(version, [received, applied, deferred])| Standing {
                version: Version(version),
                received,
                applied,
                deferred,
            })
            .collect(),
        at: origin.now(),
    };
    let mut tx = origin.pool.begin().await.unwrap();
    delivery::record_reports(&mut tx, &[&report]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Two events in the region, so two versions. Gives the second change.
async fn two_changes(origin: &Origin) -> String {
    let admin = origin.admin();
    admin.approved_event("cup", json!({})).await;
    admin.approved_event("sale", json!({})).await;
    admin.deploy("cup", &[REGION], 100.0).await;
    let done = admin.deploy("sale", &[REGION], 100.0).await;
    done["changeId"].as_str().unwrap().to_owned()
}

async fn changed(origin: &Origin, change: &str) -> Value {
    origin
        .admin()
        .get(&format!("/changes/{change}"))
        .await
        .must(200)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_is_shown_with_all_who_have_it_and_all_who_have_not(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let change = two_changes(&origin).await;
    for edge in ["gone", "away", "left", "a", "b"] {
        connect(&origin, edge, 1, &[]).await;
        let advance = match edge {
            "gone" => SignedDuration::from_hours(20),
            "away" => SignedDuration::from_mins(10),
            _ => SignedDuration::ZERO,
        };
        origin.clock.advance(advance);
    }
    let mut conn = origin.pool.acquire().await.unwrap();
    acks::leave(&mut conn, &"left".parse().unwrap(), 1, true, origin.now())
        .await
        .unwrap();
    drop(conn);
    ack(&origin, "a", 2).await;
    ack(&origin, "b", 1).await;
    report(&origin, "a", 4, &[(1, [1, 1, 0]), (2, [3, 2, 1])]).await;
    report(&origin, "away", 9, &[(2, [9, 9, 0])]).await;

    let told = changed(&origin, &change).await;
    assert_eq!(told["converged"], false);
    let region = &told["regions"][REGION];
    assert_eq!(region["verdict"], "Waiting");
    assert_eq!(
        region["edges"],
        json!({ "verdict": "Waiting", "applied": 1, "of": 4, "stragglers": ["away", "b", "gone"],
            "awaited": ["away"] }),
        "commits are later than the clock of this test: the grace is not over"
    );
    assert_eq!(
        region["gameServers"],
        json!({ "verdict": "Waiting", "received": 3, "applied": 2, "deferred": 1, "of": 4 })
    );
    assert!(region["milliseconds"]["edges"]["last"].as_f64().unwrap() > 0.0);
    assert_eq!(region["milliseconds"]["gameServers"], Value::Null);

    ack(&origin, "b", 2).await;
    ack(&origin, "away", 2).await;
    report(&origin, "a", 4, &[(2, [4, 3, 1])]).await;
    let told = changed(&origin, &change).await;
    assert_eq!(told["converged"], true, "{told}");
    assert_eq!(told["regions"][REGION]["verdict"], "Converged");

    // When all are silent, nobody is live, and of nobody is known whether players have it.
    origin.clock.advance(SignedDuration::from_secs(16));
    let told = changed(&origin, &change).await;
    assert_eq!(told["converged"], false);
    assert_eq!(
        told["regions"][REGION]["gameServers"]["verdict"],
        "NotApplicable"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_is_shown_with_what_is_wrong_with_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let change = two_changes(&origin).await;
    connect(&origin, "a", 1, &[]).await;
    ack(&origin, "a", 2).await;
    let of = |version| Passage {
        region: REGION.parse().unwrap(),
        epoch: Epoch(Uuid::nil()),
        version: Version(version),
        edge: "a".parse().unwrap(),
    };
    let epoch = epoch(&origin).await;
    let complaint = |version, reason: &str| Complaint {
        of: Passage {
            epoch,
            ..of(version)
        },
        event: "sale".parse().unwrap(),
        revision: None,
        reason: reason.to_owned(),
    };
    let counted = Counted {
        count: 3,
        first_at: origin.now(),
        last_at: origin.now(),
    };
    let mut delays = Delays::default();
    delays.record(Duration::from_millis(12));
    let degraded = Degraded {
        edge: "a".parse().unwrap(),
        region: REGION.parse().unwrap(),
        epoch,
        entries: vec![
            Quarantined {
                key: EntryKey::Content("sale".parse().unwrap(), Revision(1)),
                version: Version(2),
                reason: "too deep".to_owned(),
            },
            Quarantined {
                key: EntryKey::Segment("vip".parse().unwrap()),
                version: Version(2),
                reason: "no such rule".to_owned(),
            },
        ],
        at: origin.now(),
    };
    let mut tx = origin.pool.begin().await.unwrap();
    let (told, earlier) = (
        complaint(2, "no such item"),
        complaint(1, "of the change before"),
    );
    delivery::record_nacks(&mut tx, &[(&told, &counted), (&earlier, &counted)])
        .await
        .unwrap();
    delivery::record_times(&mut tx, &[(&Passage { epoch, ..of(2) }, &delays)])
        .await
        .unwrap();
    delivery::record_degraded(&mut tx, &[&degraded])
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let told = changed(&origin, &change).await;
    assert_eq!(told["converged"], true, "the edge went on");
    let region = &told["regions"][REGION];
    assert_eq!(region["verdict"], "Breached");
    let now = json!(origin.now());
    assert_eq!(
        region["nacks"],
        json!([{ "eventId": "sale", "revision": null, "reason": "no such item", "count": 3,
            "firstAt": now, "lastAt": now }])
    );
    assert_eq!(
        region["quarantined"],
        json!([
            { "edgeId": "a", "eventId": "sale", "revision": 1, "version": 2, "reason": "too deep", "since": now },
            { "edgeId": "a", "segmentId": "vip", "revision": null, "version": 2, "reason": "no such rule",
                "since": now },
        ])
    );
    assert_eq!(
        region["milliseconds"]["gameServers"],
        json!({ "p50": 12.0, "p99": 12.0, "last": 12.0 })
    );

    let edge = &origin.admin().get("/edges").await.must(200)["edges"][0];
    assert_eq!(edge["degraded"][0]["region"], REGION);
    assert_eq!(edge["degraded"][0]["reason"], "too deep");
    let shown = origin.admin().get("/regions/us-east").await.must(200);
    assert_eq!(shown["health"], "Degraded");
}

#[sqlx::test(migrations = "../migrations")]
async fn edges_and_regions_say_who_is_how_far_behind(pool: PgPool) {
    let origin = Origin::start(pool).await;
    two_changes(&origin).await;
    connect(&origin, "a", 1, &[frame::DRAIN]).await;
    connect(&origin, "b", 1, &[]).await;
    ack(&origin, "a", 1).await;
    ack(&origin, "b", 2).await;
    report(&origin, "a", 3, &[(1, [3, 3, 0])]).await;
    report(&origin, "b", 5, &[(2, [5, 4, 1])]).await;
    let mut tx = origin.pool.begin().await.unwrap();
    let offset = [(
        "a".parse::<EdgeId>().unwrap(),
        Some(SignedDuration::from_millis(-250)),
    )];
    acks::seen(&mut tx, &offset.into(), origin.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let listed = origin.admin().get("/edges").await.must(200);
    let (a, b) = (&listed["edges"][0], &listed["edges"][1]);
    assert_eq!((&a["edgeId"], &b["edgeId"]), (&json!("a"), &json!("b")));
    for (field, expected) in [
        ("region", json!(REGION)),
        ("regions", json!([REGION])),
        ("address", json!("http://a")),
        ("build", json!("1.2.3")),
        ("live", json!(true)),
        ("connected", json!(true)),
        ("connectedAt", json!(origin.now())),
        ("draining", json!(false)),
        ("clockOffsetMilliseconds", json!(-250.0)),
        ("degraded", json!([])),
    ] {
        assert_eq!(a[field], expected, "{field}");
    }
    assert_eq!(b["clockOffsetMilliseconds"], Value::Null);
    assert_eq!(
        (&a["positions"][0]["behind"], &b["positions"][0]["behind"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(b["positions"][0]["lagSeconds"], 0.0);
    assert!(a["positions"][0]["lagSeconds"].is_number(), "{a}");
    assert_eq!(
        a["gameServers"][REGION],
        json!({ "current": 0, "deferred": 0, "of": 3, "reportedAt": origin.now() })
    );
    let region = origin.admin().get("/regions/us-east").await.must(200);
    assert_eq!(region["health"], "Healthy");
    assert_eq!(
        region["gameServers"],
        json!({ "current": 4, "deferred": 1, "of": 8 })
    );
    let empty = origin.admin().get("/regions/eu-west").await.must(200);
    assert_eq!(
        empty["gameServers"],
        json!({ "current": 0, "deferred": 0, "of": 0 })
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_that_is_here_can_be_drained_and_one_that_is_gone_forgotten(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let operator = origin.caller(Role::Operator, &[]);
    operator
        .post("/edges/a/drain", json!({}))
        .await
        .refused(404, "NOT_FOUND");
    operator.delete("/edges/a").await.refused(404, "NOT_FOUND");
    connect(&origin, "a", 1, &[frame::DRAIN]).await;
    connect(&origin, "old", 1, &[]).await;
    report(&origin, "a", 3, &[]).await;

    let refused = operator.post("/edges/old/drain", json!({})).await;
    assert!(
        refused.message().contains("cannot be told"),
        "{}",
        refused.text
    );
    refused.refused(409, "CONFLICT");
    operator.delete("/edges/a").await.refused(409, "CONFLICT");
    let draining =
        async || origin.admin().get("/edges").await.must(200)["edges"][0]["draining"].clone();
    for _ in 0..2 {
        let told = operator.post("/edges/a/drain", json!({})).await.must(200);
        assert_eq!(told, json!({ "edgeId": "a", "draining": true }));
        assert_eq!(draining().await, true);
    }
    // Another run of its process has not been told.
    connect(&origin, "a", 2, &[frame::DRAIN]).await;
    assert_eq!(draining().await, false);

    // Its origin was killed: it is not connected, whatever was written down last.
    origin.clock.advance(SignedDuration::from_secs(16));
    operator
        .post("/edges/a/drain", json!({}))
        .await
        .refused(409, "CONFLICT");
    operator.delete("/edges/a").await.must(204);
    operator.delete("/edges/a").await.refused(404, "NOT_FOUND");
    let left = origin.admin().get("/edges").await.must(200);
    assert_eq!(left["edges"].as_array().unwrap().len(), 1);

    let log = origin.admin().get("/audit?subject=a").await.must(200);
    let entries = log["entries"].as_array().unwrap().iter();
    let actions: Vec<_> = entries
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["edge.forget", "edge.drain"],
        "told twice, done once"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn every_region_is_ordered_to_be_pushed_once_more(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let orders = async || {
        let mut conn = origin.pool.acquire().await.unwrap();
        edges::warm_orders(&mut conn).await.unwrap()
    };
    let before = orders().await;
    let nobody = origin
        .admin()
        .post("/admin/cache/warm", json!({}))
        .await
        .must(200);
    assert_eq!(nobody, json!({ "edges": 0, "regions": 0 }));
    connect(&origin, "a", 1, &[]).await;
    connect(&origin, "b", 1, &[]).await;
    let told = origin
        .admin()
        .post("/admin/cache/warm", json!({}))
        .await
        .must(200);
    assert_eq!(told, json!({ "edges": 2, "regions": 1 }));
    assert_eq!(orders().await, before + 2);
    let log = origin
        .admin()
        .get("/audit?action=cache.warm")
        .await
        .must(200);
    assert_eq!(log["entries"][0]["after"], told);
}
