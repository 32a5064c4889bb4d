//! The origin's side of the QUIC protocol, driven by an edge that says whatever a test wants.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod push {
    mod delivery;
    pub(crate) mod edge;
    mod engagement;
    mod erasures;
    mod orders;
    pub(crate) mod origin;
    mod storm;
}

use std::sync::{Arc, Weak};

use liveevents_origin::limits::FEED_BYTES;
use liveevents_origin::push::feed::Next;
use liveevents_origin::store::regions;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::token::Role;
use push::edge::ScriptedEdge;
use push::origin::{Origin, eventually, now};
use sqlx::PgPool;

const REGION: &str = "us-east";

#[sqlx::test(migrations = "../migrations")]
async fn a_new_edge_gets_a_snapshot_then_rows_and_a_returning_one_only_rows(pool: PgPool) {
    let origin = Origin::start(pool).await;
    origin.change(REGION, 100).await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, None)]).await;
    assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
    let OriginFrame::SnapshotChunk(chunk) = edge.next().await else {
        panic!("a snapshot comes first");
    };
    assert_eq!((chunk.index, chunk.last), (0, true));
    assert_eq!(chunk.position.position.version, Version(1));

    origin.change(REGION, 200).await;
    let rows = edge.next_rows().await;
    assert_eq!(rows.rows.len(), 1);
    assert_eq!(rows.position.position.version, Version(2));
    let row = &rows.rows[0];
    let digest = chunk
        .position
        .position
        .digest
        .chain(row.version, row.change, 1, &row.entries);
    assert_eq!(
        digest, rows.position.position.digest,
        "edges can check the chain"
    );
    edge.drop_connection();

    for exposure in 300..310 {
        origin.change(REGION, exposure).await;
    }
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, Some(rows.position))])
        .await;
    assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
    let logged = origin.logged(REGION).await;
    for version in 3..=12 {
        let told = edge.next_rows().await;
        assert_eq!(told.position.position.version, Version(version));
        assert_eq!(told.rows, logged[version as usize - 1..][..1], "as stored");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn rows_that_left_the_feed_come_from_the_log_and_compacted_ones_as_a_snapshot(pool: PgPool) {
    let origin = Origin::start(pool).await;
    origin.change(REGION, 1).await;
    let held = origin.sealed(REGION).await;
    for exposure in 0..20 {
        origin.change(REGION, exposure + 2).await;
    }
    // A fresh follower has no rows, only the head.
    let origin = origin.restart().await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, Some(held))]).await;
    assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
    let rows = edge.next_rows().await;
    assert_eq!(
        (rows.rows.len(), rows.position.position.version),
        (20, Version(21))
    );
    assert_eq!(rows.rows, origin.logged(REGION).await[1..], "as stored");
    edge.drop_connection();

    origin.compact(REGION, 5).await;
    let origin = origin.restart().await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, Some(held))]).await;
    assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
    let OriginFrame::SnapshotChunk(chunk) = edge.next().await else {
        panic!("below the floor there is only a snapshot");
    };
    assert_eq!(
        (chunk.position.position.version, chunk.floor),
        (Version(21), Version(16))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_position_changes_nothing_and_an_impossible_one_begins_an_epoch(pool: PgPool) {
    let origin = Origin::start(pool).await;
    origin.change(REGION, 100).await;
    let true_one = origin.sealed(REGION).await;
    let epoch = true_one.position.epoch;
    let ahead = Position {
        version: Version(50),
        ..true_one.position
    };
    let later = Position {
        epoch: Epoch(uuid::Uuid::max()),
        ..true_one.position
    };
    let other = Position {
        digest: Digest([1; 32]),
        ..true_one.position
    };
    for position in [ahead, later, other] {
        let forged = SealedPosition {
            position,
            mac: true_one.mac,
        };
        let mut edge = ScriptedEdge::connect(&origin).await;
        edge.hello(&origin, "e1", &[(REGION, Some(forged))]).await;
        assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
        assert!(matches!(edge.next().await, OriginFrame::SnapshotChunk(_)));
        assert_eq!(origin.epoch().await, epoch);
    }
    assert_eq!(origin.metrics.forged_positions.get(), 3);

    // What this origin itself once handed out, and the log does not know, is proof.
    let mut known = epoch;
    for position in [
        ahead,
        Position {
            digest: Digest([1; 32]),
            ..true_one.position
        },
    ] {
        let position = Position {
            epoch: known,
            ..position
        };
        let sealed = origin.sealer.seal(&REGION.parse().unwrap(), position);
        let mut edge = ScriptedEdge::connect(&origin).await;
        edge.hello(&origin, "e1", &[(REGION, Some(sealed))]).await;
        assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
        let OriginFrame::SnapshotChunk(chunk) = edge.next().await else {
            panic!("a new epoch is told by snapshot");
        };
        assert!(chunk.position.position.epoch > known);
        known = chunk.position.position.epoch;
        assert_eq!(origin.epoch().await, known);
        // In the next epoch the position of row 1 is the same row: make its digest known again.
        origin.change(REGION, 300).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn acks_are_written_down_and_false_ones_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let change = origin.change(REGION, 100).await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, None)]).await;
    edge.next().await;
    let OriginFrame::SnapshotChunk(chunk) = edge.next().await else {
        panic!("a snapshot")
    };
    let Position { epoch, version, .. } = chunk.position.position;
    let ack = |version| EdgeFrame::Ack {
        region: REGION.parse().unwrap(),
        epoch,
        version,
        applied_at: now(),
    };
    edge.send(&ack(version)).await;
    origin.until_acked(change, "e1").await;
    origin.change(REGION, 200).await;
    let second = edge.next_rows().await.position.position.version;
    edge.send(&ack(second)).await;
    origin
        .until_metric("liveevents_change_converged_seconds_count{region=\"us-east\"} 2")
        .await;

    edge.send(&ack(Version(9))).await;
    assert_eq!(edge.closed().await, Some(CloseReason::Malformed));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_edge_with_the_same_id_replaces_the_first(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let mut first = ScriptedEdge::connect(&origin).await;
    first.hello(&origin, "twin", &[(REGION, None)]).await;
    first.next().await;
    let mut second = ScriptedEdge::connect(&origin).await;
    second.hello(&origin, "twin", &[(REGION, None)]).await;
    assert!(matches!(second.next().await, OriginFrame::Welcome { .. }));
    assert_eq!(first.closed().await, Some(CloseReason::Superseded));
    assert!(matches!(second.next().await, OriginFrame::SnapshotChunk(_)));
    origin.change(REGION, 100).await;
    assert_eq!(second.next_rows().await.rows.len(), 1);
    // A claim at another replica, which this one hears of by notification.
    origin.claim_elsewhere("twin").await;
    assert_eq!(second.closed().await, Some(CloseReason::Superseded));
}

#[sqlx::test(migrations = "../migrations")]
async fn who_may_not_replicate_is_told_why_and_nobody_else_notices(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let mut witness = ScriptedEdge::connect(&origin).await;
    witness.hello(&origin, "witness", &[(REGION, None)]).await;
    witness.next().await;
    witness.next().await;

    let good = origin.claims(Role::Edge, &[REGION, "eu-west"]);
    let expired = {
        let mut claims = good.clone();
        claims.expires_at = now() - jiff::SignedDuration::from_secs(1);
        claims
    };
    let foreign = {
        let mut claims = good.clone();
        claims.installation = "another-title".parse().unwrap();
        claims
    };
    let table = [
        (origin.sign(&expired), REGION, CloseReason::TokenExpired),
        (
            origin.sign(&foreign),
            REGION,
            CloseReason::ForeignInstallation,
        ),
        (origin.sign_revoked(), REGION, CloseReason::TokenRevoked),
        ("rubbish".to_owned(), REGION, CloseReason::TokenInvalid),
        (
            origin.sign_by_another_key(&good),
            REGION,
            CloseReason::TokenInvalid,
        ),
        (
            origin.sign(&origin.claims(Role::GameServer, &[REGION])),
            REGION,
            CloseReason::RoleNotAllowed,
        ),
        (origin.sign(&good), "us-west", CloseReason::RegionNotAllowed),
        (
            origin.sign(&origin.claims(Role::Edge, &["atlantis"])),
            "atlantis",
            CloseReason::RegionNotAllowed,
        ),
    ];
    for (token, region, expected) in table {
        let mut edge = ScriptedEdge::connect(&origin).await;
        edge.hello_with(&origin, "intruder", &token, &[(region, None)])
            .await;
        assert_eq!(edge.closed().await, Some(expected));
    }
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello_of_installation(&origin, "another-title").await;
    assert_eq!(edge.closed().await, Some(CloseReason::ForeignInstallation));
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "intruder", &[]).await;
    assert_eq!(edge.closed().await, Some(CloseReason::Malformed));

    origin.change(REGION, 100).await;
    assert_eq!(witness.next_rows().await.rows.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn garbage_is_refused_with_a_reason(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let heartbeat = EdgeFrame::Heartbeat { sent_at: now() };
    let before_hello: [(Vec<u8>, CloseReason); 4] = [
        (
            vec![0, 0, 0, 9, 1, 0, 255, 255, 255, 255, 255, 255, 255],
            CloseReason::Malformed,
        ),
        (vec![255; 32], CloseReason::TooLarge),
        (vec![0, 0, 0, 3, 77, 0, 0], CloseReason::Malformed),
        (push::edge::encode(&heartbeat), CloseReason::Malformed),
    ];
    for (bytes, expected) in before_hello {
        let mut edge = ScriptedEdge::connect(&origin).await;
        edge.send_bytes(&bytes).await;
        assert_eq!(edge.closed().await, Some(expected), "{bytes:?}");
    }
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "e1", &[(REGION, None)]).await;
    edge.next().await;
    edge.send_bytes(&[0, 0, 0, 3, 99, 0, 0]).await;
    assert_eq!(edge.closed().await, Some(CloseReason::Malformed));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_that_takes_nothing_delays_nobody_and_ends_current(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let region = REGION.parse().unwrap();
    let mut slow = ScriptedEdge::connect(&origin).await;
    slow.hello(&origin, "slow", &[(REGION, None)]).await;
    slow.next().await;
    slow.next().await;
    let mut quick = ScriptedEdge::connect(&origin).await;
    quick.hello(&origin, "quick", &[(REGION, None)]).await;
    quick.next().await;
    quick.next().await;
    // 60 contents of 200 KB that hardly compress: far more than the slow edge's window, and the feed's.
    let mut rows = Vec::new();
    for n in 0..60 {
        let before = origin.sealed(REGION).await.position;
        origin.large_change(REGION, n).await;
        assert_eq!(
            quick.next_rows().await.position.position.version,
            Version(n + 1)
        );
        let Next::Row(row) = origin.hub.feed(&region).unwrap().next(Some(&before)) else {
            panic!("the newest row is in the feed");
        };
        rows.push(Arc::downgrade(&row));
    }
    // The slow edge is in the middle of a row. That one, and what the feed keeps, is all there is.
    let kept = || rows.iter().filter_map(Weak::upgrade);
    let largest = kept().map(|row| row.frame.len()).max().unwrap();
    let bytes: usize = kept().map(|row| row.frame.len()).sum();
    assert!(kept().count() < rows.len(), "some have left the feed");
    assert!(bytes <= FEED_BYTES + largest, "{bytes} bytes are kept");

    let mut reached = Version::ZERO;
    while reached < Version(60) {
        let rows = slow.next_rows().await;
        assert_eq!(rows.rows[0].version, reached.next());
        reached = rows.position.position.version;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_region_made_while_the_origin_runs_is_served_without_a_restart(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let enters = async |origin: &Origin| {
        let mut edge = ScriptedEdge::connect(origin).await;
        edge.hello(origin, "e1", &[("ap-nepal", None)]).await;
        let welcome = edge.try_next().await;
        matches!(welcome, Ok(OriginFrame::Welcome { .. })).then_some(edge)
    };
    assert!(enters(&origin).await.is_none(), "there is no such region");

    let fields = serde_json::json!({ "displayName": "Nepal", "timezone": "Asia/Kathmandu" });
    let fields = serde_json::from_value(fields).unwrap();
    let nepal = liveevents_origin::region::Description::new(&fields).unwrap();
    let mut tx = pool.begin().await.unwrap();
    let id = "ap-nepal".parse().unwrap();
    regions::insert(&mut tx, &id, &nepal).await.unwrap();
    tx.commit().await.unwrap();

    let mut edge = eventually("an edge of the new region enters", async || {
        enters(&origin).await
    })
    .await;
    assert_eq!(edge.next_snapshot().await.version, Version(0));
    origin.change("ap-nepal", 100).await;
    let rows = edge.next_rows().await;
    assert_eq!(rows.position.position.version, Version(1));
}
