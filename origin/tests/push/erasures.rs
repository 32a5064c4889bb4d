//! Players whom edges are told to forget, at whichever replica, until they have confirmed.

use liveevents_origin::erasure::Names;
use liveevents_origin::store::erasures::{self, Erasure, New, Standing};
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::id::{BootId, ErasureId};
use liveevents_protocol::limits::MAX_FORGOTTEN;
use liveevents_service::keys::Keys;
use sqlx::PgPool;
use uuid::Uuid;

use super::edge::ScriptedEdge;
use super::origin::{Origin, eventually, now};

const REGION: &str = "us-east";

async fn erase(pool: &PgPool, player: &str) -> ErasureId {
    let keys = Keys::derive(&"a secret of at least thirty-two bytes".into()).unwrap();
    let new = New {
        id: ErasureId(Uuid::now_v7()),
        player,
        hash: Names::new(&keys.into()).hash(player),
        requested_by: "test",
        segments: &[],
    };
    let mut tx = pool.begin().await.unwrap();
    assert!(erasures::insert(&mut tx, &new, now()).await.unwrap());
    tx.commit().await.unwrap();
    new.id
}

/// The record, once that is so.
async fn until(pool: &PgPool, id: ErasureId, holds: impl Fn(&Erasure) -> bool) -> Erasure {
    eventually("an erasure has come so far", async || {
        let mut conn = pool.acquire().await.unwrap();
        let found = erasures::find(&mut conn, id).await.unwrap();
        found.filter(&holds)
    })
    .await
}

async fn enter(origin: &Origin, edge: &str) -> ScriptedEdge {
    ScriptedEdge::enter(origin, edge, REGION, BootId(Uuid::new_v4())).await
}

fn forgot(id: ErasureId) -> EdgeFrame {
    EdgeFrame::Forgotten(vec![id])
}

fn confirmed(erasure: &Erasure) -> usize {
    let edges = erasure.edges.iter();
    let confirmed = edges.filter(|(_, standing)| matches!(standing, Standing::Confirmed(_)));
    confirmed.count()
}

#[sqlx::test(migrations = "../migrations")]
async fn every_edge_at_every_replica_is_told_until_it_has_confirmed(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let other = origin.beside().await;
    let mut a = enter(&origin, "a").await;
    let mut b = enter(&other, "b").await;
    let id = erase(&pool, "zoe").await;
    assert_eq!(a.next_forgotten().await, (id, "zoe".to_owned()));
    assert_eq!(b.next_forgotten().await, (id, "zoe".to_owned()));
    a.send(&forgot(id)).await;
    until(&pool, id, |erasure| confirmed(erasure) == 1).await;

    // It did not say so, and is told again, at the other replica.
    b.drop_connection();
    let mut b = enter(&origin, "b").await;
    assert_eq!(b.next_forgotten().await, (id, "zoe".to_owned()));
    // What it was not told does not count, and harms nobody.
    b.send(&forgot(ErasureId(Uuid::now_v7()))).await;
    b.send(&forgot(id)).await;
    b.send(&forgot(id)).await;
    let done = until(&pool, id, |erasure| erasure.done_at.is_some()).await;
    assert_eq!(confirmed(&done), 2);

    // Whoever has confirmed is not told again; the next player is.
    a.drop_connection();
    let mut a = enter(&other, "a").await;
    let next = erase(&pool, "max").await;
    assert_eq!(a.next_forgotten().await, (next, "max".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_that_is_away_hears_of_it_when_it_is_back(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    enter(&origin, "a").await.drop_connection();
    origin
        .until_edges("it has left", |edges| !edges[0].connected)
        .await;
    let id = erase(&pool, "zoe").await;
    let origin = origin.restart().await;
    let mut a = enter(&origin, "a").await;
    assert_eq!(a.next_forgotten().await, (id, "zoe".to_owned()));
    a.send(&forgot(id)).await;
    until(&pool, id, |erasure| erasure.done_at.is_some()).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_that_cannot_is_told_nothing_and_its_word_is_none(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let mut old = ScriptedEdge::connect(&origin).await;
    old.hello(&origin, "old", &[(REGION, None)]).await;
    assert!(matches!(old.next().await, OriginFrame::Welcome { .. }));
    old.next_snapshot().await;
    let mut witness = enter(&origin, "witness").await;
    let id = erase(&pool, "zoe").await;
    witness.next_forgotten().await;
    witness.send(&forgot(id)).await;
    old.send(&forgot(id)).await;
    until(&pool, id, |erasure| confirmed(erasure) == 1).await;
    origin.change(REGION, 100).await;
    assert!(matches!(old.next().await, OriginFrame::Rows(_)));
    let erasure = until(&pool, id, |_| true).await;
    assert_eq!((confirmed(&erasure), erasure.done_at), (1, None));
    eventually("it is seen that it takes its time", async || {
        (origin.metrics.erasure_waits.get() > 0).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn more_players_than_are_told_at_once_come_one_lot_after_the_other(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    enter(&origin, "a").await.drop_connection();
    let mut all = Vec::new();
    for n in 0..=MAX_FORGOTTEN {
        all.push(erase(&pool, &format!("p-{n}")).await);
    }
    let mut a = enter(&origin, "a").await;
    let (first, last) = all.split_at(MAX_FORGOTTEN);
    for id in first {
        assert_eq!(a.next_forgotten().await.0, *id, "in their order");
    }
    a.send(&EdgeFrame::Forgotten(first.to_vec())).await;
    assert_eq!(a.next_forgotten().await.0, last[0]);
    a.send(&forgot(last[0])).await;
    for id in all {
        until(&pool, id, |erasure| erasure.done_at.is_some()).await;
    }
}
