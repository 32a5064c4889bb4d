//! Guarantee: whatever an edge sends and wherever the client reconnects, what it holds never goes back,
//! has no gap, and ends as the state of one that never left.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{EARLIER, EPOCH, Edge, LATER, config, delta, snapshot, within};
use jiff::Timestamp;
use liveevents_client::{Client, Keys};
use liveevents_protocol::message::{AckStatus, Ahead, DeltaMessage, Level, ServerMessage};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};

fn events(client: &Client) -> Vec<String> {
    let state = client.state().unwrap();
    state
        .assignments()
        .map(|a| a.event_id.to_string())
        .collect()
}

fn position(client: &Client) -> (Epoch, Version) {
    let state = client.state().unwrap();
    (state.epoch(), state.version())
}

#[tokio::test]
async fn says_hello_takes_the_snapshot_and_acks_it() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.build = Some("1.2.3".parse().unwrap());
    let client = Client::connect(config).unwrap();
    assert!(client.state().is_none());
    assert!(client.shown(Keys(&[])).is_empty());

    let mut peer = edge.accept().await;
    assert_eq!(peer.request.uri().path(), "/api/v1/subscribe");
    assert_eq!(peer.request.headers()["authorization"], "Bearer t0ken");
    assert_eq!(
        peer.request.headers()["sec-websocket-protocol"],
        "liveevents.v1"
    );
    assert_eq!(peer.hello().region.as_str(), "us-east");
    assert_eq!(peer.hello().level, Level::Region);
    assert_eq!(peer.hello().build, "1.2.3".parse().ok());
    assert_eq!(peer.position(), None);

    // The edge lives in 1970, where the event is open: its time counts, not ours.
    peer.welcome("game-test", Timestamp::from_second(1_000).unwrap())
        .await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    let ack = peer.ack().await;
    assert_eq!(
        (ack.epoch, ack.version, ack.status),
        (EPOCH, Version(7), AckStatus::Applied)
    );

    // What is acked, readers see.
    assert_eq!(position(&client), (EPOCH, Version(7)));
    let shown = client.shown(Keys(&[("player", "p-1")]));
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].content.display_name, "sale 1");
    assert_eq!(client.edge_time().as_second() / 100, 10);
    client.close().await;
}

#[tokio::test]
async fn what_a_degraded_edge_lacked_is_told_by_the_next() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    // This edge could not use the cup of version 8.
    let ServerMessage::Delta(lacking) = delta(EPOCH, 7, 8, &[]) else {
        panic!("not a delta");
    };
    let degraded = true;
    peer.send(&ServerMessage::Delta(DeltaMessage {
        degraded,
        ..lacking
    }))
    .await;
    peer.acked(EPOCH, 8).await;
    // What follows does not make up for it: it may come from elsewhere, and begin after it.
    peer.delta(EPOCH, 8, 9, &["fest"]).await;
    peer.acked(EPOCH, 9).await;
    drop(peer);

    // One that is behind is of no use.
    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), None);
    peer.snapshot(EPOCH, 8, &["sale", "cup"]).await;
    peer.acked(EPOCH, 9).await;
    drop(peer);

    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), None);
    peer.snapshot(EPOCH, 9, &["sale", "cup", "fest"]).await;
    peer.acked(EPOCH, 9).await;
    assert_eq!(events(&client), ["cup", "fest", "sale"]);
    drop(peer);

    let peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 9)));
    client.close().await;
}

#[tokio::test]
async fn resumes_by_its_position_and_ends_as_one_that_never_left() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    peer.delta(EPOCH, 7, 8, &["cup"]).await;
    peer.acked(EPOCH, 8).await;
    drop(peer);

    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 8)));
    peer.delta(EPOCH, 8, 11, &["fest", "quest"]).await;
    peer.acked(EPOCH, 11).await;

    let ServerMessage::Snapshot(whole) = snapshot(EPOCH, 11, &["sale", "cup", "fest", "quest"])
    else {
        unreachable!();
    };
    let stayed = RegionState::from_snapshot(whole.into_snapshot()).unwrap();
    assert!(client.state().unwrap().same_as(&stayed));
}

#[tokio::test]
async fn what_it_holds_already_changes_nothing_and_is_acked() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    let before = client.state().unwrap();

    peer.delta(EPOCH, 5, 6, &["old"]).await;
    peer.acked(EPOCH, 7).await;
    peer.snapshot(EPOCH, 3, &["older"]).await;
    peer.acked(EPOCH, 7).await;
    peer.snapshot(EPOCH, 7, &[]).await;
    peer.acked(EPOCH, 7).await;
    assert!(std::sync::Arc::ptr_eq(&before, &client.state().unwrap()));

    // One that begins before what is held and leads on is taken.
    peer.delta(EPOCH, 5, 8, &["cup"]).await;
    peer.acked(EPOCH, 8).await;
    assert_eq!(events(&client), ["cup", "sale"]);
}

#[tokio::test]
async fn a_gap_makes_it_come_back_with_its_own_position() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    peer.delta(EPOCH, 8, 9, &["lost"]).await;
    peer.left().await;

    let peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 7)));
    assert_eq!(events(&client), ["sale"]);
}

#[tokio::test]
async fn a_later_epoch_replaces_and_an_earlier_one_is_refused() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 100, &["sale"]).await;
    peer.acked(EPOCH, 100).await;

    // A delta of another history cannot be applied, whatever its numbers say.
    peer.delta(LATER, 100, 101, &["cup"]).await;
    peer.left().await;
    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 100)));
    peer.snapshot(LATER, 60, &["cup"]).await;
    peer.acked(LATER, 60).await;
    assert_eq!(events(&client), ["cup"]);

    for epoch in [EPOCH, EARLIER] {
        peer.snapshot(epoch, 200, &["sale"]).await;
        peer.left().await;
        peer = edge.welcome().await;
        assert_eq!(peer.position(), Some((LATER, 60)));
        peer.delta(epoch, 60, 61, &["sale"]).await;
        peer.left().await;
        peer = edge.welcome().await;
        assert_eq!(position(&client), (LATER, Version(60)));
    }
    assert_eq!(events(&client), ["cup"]);
}

#[tokio::test]
async fn waits_for_an_edge_that_is_behind() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.timing.ahead_patience = std::time::Duration::ZERO;
    let client = Client::connect(config).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 9, &["sale"]).await;
    peer.acked(EPOCH, 9).await;
    drop(peer);

    // There is no other edge, so there is no point in leaving this one.
    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 9)));
    peer.send(&behind(8)).await;
    peer.delta(EPOCH, 9, 10, &["cup"]).await;
    peer.acked(EPOCH, 10).await;
    assert_eq!(events(&client), ["cup", "sale"]);
}

#[tokio::test]
async fn leaves_an_edge_that_stays_behind_for_another() {
    let (first, second) = (Edge::start().await, Edge::start().await);
    let mut config = config(&[&first, &second]);
    config.timing.ahead_patience = std::time::Duration::from_millis(10);
    let _client = Client::connect(config).unwrap();
    // Which one it begins with is chance.
    let (mut peer, other) = tokio::select! {
        peer = first.welcome() => (peer, &second),
        peer = second.welcome() => (peer, &first),
    };
    peer.snapshot(EPOCH, 9, &["sale"]).await;
    peer.acked(EPOCH, 9).await;
    peer.send(&behind(8)).await;
    peer.left().await;
    assert_eq!(other.welcome().await.position(), Some((EPOCH, 9)));
}

#[tokio::test]
async fn wakes_those_who_wait_once_they_can_read() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut changed = client.changed();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.delta(EPOCH, 7, 8, &["cup"]).await;
    let seen = within(
        "version 8",
        changed.wait_for(|c| c.is_some_and(|c| c.version.0 == 8)),
    );
    assert_eq!(seen.await.unwrap().map(|cursor| cursor.epoch), Some(EPOCH));
    assert_eq!(events(&client), ["cup", "sale"]);
}

fn behind(version: u64) -> ServerMessage {
    ServerMessage::Ahead(Ahead {
        epoch: EPOCH,
        version: Version(version),
        time: Timestamp::UNIX_EPOCH,
    })
}
