//! Guarantee: the client comes back from whatever an edge does to it, and never hammers one.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::time::{Duration, Instant};

use common::{EPOCH, Edge, config, within};
use liveevents_client::{Client, Disconnected, Link};
use liveevents_protocol::close::{CloseReason, Retry};
use liveevents_protocol::message::{ErrorMessage, Goaway, ServerMessage};
use tokio_tungstenite::tungstenite::protocol::Message;

/// Waits until the client has been sent away, and tells why and for how long.
async fn away(client: &Client) -> (Disconnected, Duration) {
    let mut link = client.link();
    let away = within(
        "being away",
        link.wait_for(|link| matches!(link, Link::Away { .. })),
    );
    match &*away.await.unwrap() {
        Link::Away { because, retry_in } => (because.clone(), *retry_in),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_killed_and_back_is_found_again() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    let address = edge.address;
    drop((peer, edge));

    // Nobody listens: what is held stays readable.
    assert!(matches!(
        away(&client).await.0,
        Disconnected::Ended | Disconnected::Io(_)
    ));
    assert_eq!(client.state().unwrap().version().0, 7);
    let edge = Edge::start_at(address).await;
    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 7)));
    peer.delta(EPOCH, 7, 8, &["cup"]).await;
    peer.acked(EPOCH, 8).await;
}

#[tokio::test]
async fn goes_to_the_other_address_when_one_is_gone() {
    let (first, second) = (Edge::start().await, Edge::start().await);
    let _client = Client::connect(config(&[&first, &second])).unwrap();
    let (mut peer, mut gone, mut other) = tokio::select! {
        peer = first.welcome() => (peer, first, second),
        peer = second.welcome() => (peer, second, first),
    };
    for version in 1..=4 {
        peer.snapshot(EPOCH, version, &["sale"]).await;
        peer.acked(EPOCH, version).await;
        // This edge dies, and is back by the time the other one does.
        let address = gone.address;
        drop((peer, gone));
        peer = other.welcome().await;
        assert_eq!(peer.position(), Some((EPOCH, version)));
        gone = other;
        other = Edge::start_at(address).await;
    }
}

#[tokio::test]
async fn goaway_is_obeyed() {
    let edge = Edge::start().await;
    let _client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    let asked = Instant::now();
    peer.send(&goaway(300)).await;
    // Until then it is served,
    peer.delta(EPOCH, 7, 8, &["cup"]).await;
    peer.acked(EPOCH, 8).await;
    peer.left().await;
    let mut peer = edge.welcome().await;
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert_eq!(peer.position(), Some((EPOCH, 8)));

    // and it does not come back sooner if the edge closes first.
    peer.delta(EPOCH, 8, 9, &["fest"]).await;
    peer.acked(EPOCH, 9).await;
    let asked = Instant::now();
    peer.send(&goaway(300)).await;
    peer.close(CloseReason::GoingAway).await;
    edge.welcome().await;
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_soon() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    edge.refuse(401, r#"{"error": {"message": "the token has expired"}}"#)
        .await;
    let (because, retry_in) = away(&client).await;
    assert_eq!(
        because.to_string(),
        "the edge refused the connection: HTTP 401, the token has expired"
    );
    assert_eq!(because.retry(), Retry::Fix);
    assert!(retry_in >= Duration::from_secs(30), "{retry_in:?}");
}

#[tokio::test]
async fn a_token_refused_after_the_upgrade_is_not_tried_again_soon_either() {
    for with_close in [true, false] {
        let edge = Edge::start().await;
        let client = Client::connect(config(&[&edge])).unwrap();
        let mut peer = edge.accept().await;
        let error = ErrorMessage {
            code: CloseReason::TokenRevoked.as_str().to_owned(),
            message: "the token was revoked".to_owned(),
        };
        peer.send(&ServerMessage::Error(error)).await;
        if with_close {
            peer.close(CloseReason::TokenRevoked).await;
        }
        drop(peer);
        let (because, retry_in) = away(&client).await;
        assert_eq!(
            because.to_string(),
            "the edge closed the connection: token-revoked, the token was revoked"
        );
        assert!(retry_in >= Duration::from_secs(30), "{retry_in:?}");
    }
}

#[tokio::test]
async fn an_edge_that_does_not_serve_the_region_is_left_for_one_that_does() {
    let (first, second) = (Edge::start().await, Edge::start().await);
    let _client = Client::connect(config(&[&first, &second])).unwrap();
    let (mut peer, other) = tokio::select! {
        peer = first.accept() => (peer, &second),
        peer = second.accept() => (peer, &first),
    };
    peer.close(CloseReason::RegionNotServed).await;
    for version in 1..=3 {
        // It stays with the other, though that one breaks off again and again.
        let mut peer = other.welcome().await;
        peer.snapshot(EPOCH, version, &["sale"]).await;
        peer.acked(EPOCH, version).await;
    }
}

#[tokio::test]
async fn garbage_costs_the_connection_and_nothing_else() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;

    let garbage = [
        Message::text("{"),
        Message::text("[]"),
        Message::text(r#"{"type": "delta", "from": "seven"}"#),
        Message::text(r#"{"type": "snapshot", "epoch": 5}"#),
        Message::text(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        Message::binary(vec![0; 100]),
    ];
    for message in garbage {
        peer.message(message).await;
        peer.left().await;
        peer = edge.welcome().await;
        assert_eq!(peer.position(), Some((EPOCH, 7)));
    }
    // A second welcome, and content before the first.
    peer.welcome("game-test", jiff::Timestamp::UNIX_EPOCH).await;
    peer.left().await;
    let mut peer = edge.accept().await;
    peer.snapshot(EPOCH, 8, &["cup"]).await;
    peer.left().await;
    assert_eq!(client.state().unwrap().version().0, 7);

    // Bytes that are not WebSocket at all.
    let mut peer = edge.welcome().await;
    tokio::io::AsyncWriteExt::write_all(peer.socket.get_mut(), &[0xff; 64])
        .await
        .unwrap();
    drop(peer);
    assert_eq!(edge.welcome().await.position(), Some((EPOCH, 7)));
}

#[tokio::test]
async fn what_a_newer_edge_says_is_passed_over() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.accept().await;
    peer.message(Message::text(r#"{"type": "weather", "sunny": true}"#))
        .await;
    peer.welcome("game-test", jiff::Timestamp::UNIX_EPOCH).await;
    peer.message(Message::text(r#"{"type": "weather"}"#)).await;
    let known = common::snapshot(EPOCH, 7, &["sale"]).print().unwrap();
    let newer = known.replacen('{', r#"{"mood": ["new"], "#, 1);
    peer.message(Message::text(newer)).await;
    peer.acked(EPOCH, 7).await;
    assert_eq!(client.state().unwrap().version().0, 7);
}

#[tokio::test]
async fn another_installation_is_refused() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    drop(peer);
    let mut peer = edge.accept().await;
    peer.welcome("other-game", jiff::Timestamp::UNIX_EPOCH)
        .await;
    peer.left().await;
    let (because, retry_in) = away(&client).await;
    assert_eq!(
        because.to_string(),
        "the edge serves other-game in us-east, ours is game-test in us-east"
    );
    assert!(retry_in >= Duration::from_secs(30));
}

#[tokio::test]
async fn delays_grow_until_an_edge_has_been_of_use() {
    let edge = Edge::start().await;
    let config = config(&[&edge]);
    let base = config.timing.backoff_base;
    let client = Client::connect(config).unwrap();
    let mut longest = Duration::ZERO;
    // Being welcomed is not yet being served. That ten draws all stay below the first bound is a
    // matter of one in a hundred million.
    for _ in 0..10 {
        drop(edge.welcome().await);
        longest = longest.max(away(&client).await.1);
    }
    assert!(longest > base, "{longest:?}");

    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    peer.acked(EPOCH, 7).await;
    drop(peer);
    let (_, retry_in) = away(&client).await;
    assert!(retry_in <= base, "{retry_in:?}");
}

fn goaway(reconnect_after_ms: u64) -> ServerMessage {
    ServerMessage::Goaway(Goaway { reconnect_after_ms })
}
