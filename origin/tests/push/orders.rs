//! What operators tell edges, at whichever replica, and what edges are told of each other.

use liveevents_origin::store;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::id::BootId;
use liveevents_protocol::version::Version;
use sqlx::PgPool;
use uuid::Uuid;

use super::edge::ScriptedEdge;
use super::origin::{Origin, now};

const REGION: &str = "us-east";

async fn order_drain(pool: &PgPool, edge: &str) {
    let mut tx = pool.begin().await.unwrap();
    store::edges::drain(&mut tx, &edge.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_is_told_to_drain_once_a_connection_for_as_long_as_its_process_runs(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let other = origin.beside().await;
    let boot = BootId(Uuid::new_v4());
    let mut edge = ScriptedEdge::enter(&origin, "a", REGION, boot).await;
    let mut witness = ScriptedEdge::enter(&other, "b", REGION, BootId(Uuid::new_v4())).await;
    witness
        .until_directory(&[(REGION, &["http://a", "http://b"])])
        .await;

    order_drain(&pool, "a").await;
    assert_eq!(edge.until_drained().await, 30_000);
    witness.until_directory(&[(REGION, &["http://b"])]).await;
    assert!(origin.until_edges("edges", |_| true).await[0].draining);

    // It comes again, at another replica: the same run of it still drains.
    let mut edge = ScriptedEdge::enter(&other, "a", REGION, boot).await;
    assert_eq!(edge.until_drained().await, 30_000);

    // A new process does not, and is named again.
    let mut edge = ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await;
    edge.until_directory(&[(REGION, &["http://a", "http://b"])])
        .await;
    assert!(!edge.is_drained());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_that_knows_neither_is_sent_neither(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let mut witness = ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "old", &[(REGION, None)]).await;
    assert!(matches!(edge.next().await, OriginFrame::Welcome { .. }));
    edge.next_snapshot().await;
    witness
        .until_directory(&[(REGION, &["http://a", "http://127.0.0.1:1"])])
        .await;
    order_drain(&pool, "old").await;
    witness.until_directory(&[(REGION, &["http://a"])]).await;
    origin.change(REGION, 100).await;
    assert!(matches!(edge.next().await, OriginFrame::Rows(_)));
}

#[sqlx::test(migrations = "../migrations")]
async fn who_signs_off_leaves_the_directory(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let mut a = ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await;
    let mut b = ScriptedEdge::enter(&origin, "b", "eu-west", BootId(Uuid::new_v4())).await;
    a.until_directory(&[("eu-west", &["http://b"]), (REGION, &["http://a"])])
        .await;
    b.send(&EdgeFrame::Bye).await;
    a.until_directory(&[(REGION, &["http://a"])]).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forgotten_edges_forgotten_connection_ends(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let mut edge = ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await;
    let mut tx = pool.begin().await.unwrap();
    store::edges::forget(&mut tx, &"a".parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(edge.closed().await, Some(CloseReason::Superseded));
    origin
        .until_edges("no edge is known", <[_]>::is_empty)
        .await;

    // It may come again, as a new one.
    let mut edge = ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await;
    origin.change(REGION, 100).await;
    assert_eq!(edge.next_rows().await.position.position.version, Version(1));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_edge_at_every_replica_is_sent_its_regions_once_more(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let other = origin.beside().await;
    origin.change(REGION, 100).await;
    let mut edges = [
        ScriptedEdge::enter(&origin, "a", REGION, BootId(Uuid::new_v4())).await,
        ScriptedEdge::enter(&other, "b", REGION, BootId(Uuid::new_v4())).await,
    ];
    origin.change(REGION, 200).await;
    for edge in &mut edges {
        edge.next_rows().await;
    }
    let mut tx = pool.begin().await.unwrap();
    store::edges::warm(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let head = origin.sealed(REGION).await.position;
    for edge in &mut edges {
        assert_eq!(edge.next_snapshot().await, head, "not one of before");
        // What it acks was sent, and it goes on from there.
        edge.send(&EdgeFrame::Ack {
            region: REGION.parse().unwrap(),
            epoch: head.epoch,
            version: head.version,
            applied_at: now(),
        })
        .await;
    }
    origin.change(REGION, 300).await;
    for edge in &mut edges {
        assert_eq!(edge.next_rows().await.position.position.version, Version(3));
    }
}
