//! Guarantee: an edge hears from a client what it needs to know, and not more often; and what the edge says besides the
//! state is heeded.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{EPOCH, Edge, Peer, assignment, config, content, within};
use jiff::Timestamp;
use liveevents_client::{
    AckPolicy, Client, Cursor, Disconnected, Filter, Keys, Level, Link, PlayerMessage, QueryError,
    Token,
};
use liveevents_protocol::conditions::{Patience, WhenStale};
use liveevents_protocol::message::{
    AckStatus, ClientAck, ClientMessage, ClientNack, Contact, QueryResult, RefusedMessage,
    ServerMessage, SnapshotMessage, TokenTime,
};
use liveevents_protocol::model::Content;
use liveevents_protocol::version::Version;
use tokio_tungstenite::tungstenite::protocol::Message;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn cursor(version: u64) -> Cursor {
    Cursor {
        epoch: EPOCH,
        version: Version(version),
    }
}

/// The next message that is no ack.
async fn said(peer: &mut Peer) -> ClientMessage {
    loop {
        match peer.receive().await.unwrap() {
            ClientMessage::Ack(_) => {}
            message => return message,
        }
    }
}

/// A welcomed client that holds version 1 with one event.
async fn holding(edge: &Edge) -> Peer {
    let mut peer = edge.accept().await;
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    peer.acked(EPOCH, 1).await;
    peer
}

#[tokio::test]
async fn says_what_it_is_and_wants() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.level = Level::Local;
    config.filter = Filter {
        tags: ["sale".to_owned()].into(),
        ..Filter::default()
    };
    let _client = Client::connect(config.clone()).unwrap();
    let peer = edge.accept().await;
    assert_eq!(peer.hello().level, Level::Local);
    assert_eq!(peer.hello().filter, config.filter);
    let library = peer.hello().client.clone().unwrap();
    assert!(library.starts_with("liveevents-client/"), "{library}");
}

#[tokio::test]
async fn a_burst_is_acked_at_once_and_then_once() {
    let edge = Edge::start().await;
    let _client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(1_000), |welcome| {
        welcome.ack_interval_ms = 400;
    })
    .await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    let first = peer.ack().await;
    assert_eq!((first.version, first.held_ms), (Version(1), 0));
    for version in 1..=20 {
        peer.delta(EPOCH, version, version + 1, &["cup"]).await;
    }
    // Those that came by the end of the interval, and all of them in the end.
    let mut acks: Vec<ClientAck> = Vec::new();
    while acks.last().is_none_or(|ack| ack.version < Version(21)) {
        acks.push(peer.ack().await);
    }
    assert!(acks.len() <= 2, "{acks:?}");
}

#[tokio::test]
async fn what_the_application_applies_later_is_deferred_until_then() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.ack_policy = AckPolicy::ByApplication;
    let client = Client::connect(config).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    let status = |ack: ClientAck| (ack.version.0, ack.status);
    assert_eq!(status(peer.ack().await), (1, AckStatus::Deferred));
    peer.delta(EPOCH, 1, 2, &["cup"]).await;
    assert_eq!(status(peer.ack().await), (2, AckStatus::Deferred));
    // The match ends.
    client.applied(cursor(2));
    assert_eq!(status(peer.ack().await), (2, AckStatus::Applied));
    peer.delta(EPOCH, 2, 3, &["fest"]).await;
    assert_eq!(status(peer.ack().await), (3, AckStatus::Deferred));
    drop(peer);
    // Another edge hears how far it is.
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(1_000), |welcome| {
        welcome.position = Some(cursor(3));
    })
    .await;
    assert_eq!(status(peer.ack().await), (3, AckStatus::Deferred));
}

#[tokio::test]
async fn pieces_of_a_snapshot_are_shown_together() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome("game-test", second(1_000)).await;
    let piece = |index, last, event| {
        ServerMessage::Snapshot(SnapshotMessage {
            epoch: EPOCH,
            to: Version(5),
            time: second(1_000),
            committed_at: None,
            index,
            last,
            segments: Vec::new(),
            contents: vec![content(event, 1)],
            assignments: vec![assignment(event, 1)],
            degraded: false,
            unread: Vec::new(),
        })
    };
    peer.send(&piece(0, false, "cup")).await;
    peer.send(&piece(1, false, "fest")).await;
    // What is pinged after them is answered after them.
    peer.message(Message::Ping(b"there".to_vec().into())).await;
    peer.pong(b"there").await;
    assert!(client.state().is_none());
    peer.send(&piece(2, true, "sale")).await;
    peer.acked(EPOCH, 5).await;
    assert_eq!(client.state().unwrap().assignments().count(), 3);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_nacked_and_kept_as_it_was() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = holding(&edge).await;
    let delta = common::delta(EPOCH, 1, 2, &["cup"]).print().unwrap();
    let newer = r#""entries":[{"content":{"eventId":"sale","revision":2,"type":"MoonFestival"}},
        {"assignment":{"eventId":"sale","salt":"salt","live":2}},"#;
    peer.message(Message::text(delta.replace(r#""entries":["#, newer)))
        .await;
    match peer.receive().await.unwrap() {
        ClientMessage::Nack(ClientNack {
            version,
            event_id,
            revision,
            reason,
            ..
        }) => {
            assert_eq!((version, event_id.as_str()), (Version(2), "sale"));
            assert_eq!(revision.map(|revision| revision.0), Some(2));
            assert!(reason.contains("MoonFestival"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    peer.acked(EPOCH, 2).await;
    let shown = client.shown(Keys(&[]));
    let names: Vec<_> = shown
        .iter()
        .map(|s| s.content.display_name.as_str())
        .collect();
    assert_eq!(names, ["cup 1", "sale 1"]);
    let unread: Vec<_> = client.unread().into_iter().collect();
    assert_eq!(unread, ["sale".parse().unwrap()]);
    // A later word of it is read, and all is well.
    peer.delta(EPOCH, 2, 3, &["sale"]).await;
    peer.acked(EPOCH, 3).await;
    assert!(client.unread().is_empty());
}

#[tokio::test]
async fn the_applications_nack_waits_for_an_edge() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let sale = "sale".parse().unwrap();
    assert!(!client.nack(&sale, None, "nothing is held yet"));
    let peer = holding(&edge).await;
    drop(peer);
    let mut link = client.link();
    let away = link.wait_for(|link| !matches!(link, Link::Connected { .. }));
    drop(within("being away", away).await.unwrap());
    assert!(client.nack(&sale, None, &"its map is missing ".repeat(100)));
    let mut peer = edge.welcome().await;
    match said(&mut peer).await {
        ClientMessage::Nack(nack) => {
            assert_eq!((nack.version, &nack.event_id), (Version(1), &sale));
            assert!(nack.reason.starts_with("its map is missing"));
            assert!(nack.reason.len() <= liveevents_protocol::limits::MAX_REASON);
        }
        other => panic!("{other:?}"),
    }
}

fn player(name: &str) -> PlayerMessage {
    serde_json::from_value(serde_json::json!({ "player": name })).unwrap()
}

#[tokio::test]
async fn a_query_is_answered_refused_or_has_no_edge() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = holding(&edge).await;
    let answer = async {
        let ClientMessage::Query(query) = said(&mut peer).await else {
            panic!("no query");
        };
        assert_eq!(query.players, [player("p-1"), player("p-2")]);
        peer.send(&ServerMessage::Result(QueryResult {
            id: query.id,
            epoch: EPOCH,
            version: Version(1),
            age_ms: 0,
            stale: false,
            time: second(1_000),
            players: Vec::new(),
        }))
        .await;
    };
    let players = vec![player("p-1"), player("p-2")];
    let (result, ()) = tokio::join!(client.query(players), answer);
    assert_eq!(result.unwrap().version, Version(1));

    let refuse = async {
        let ClientMessage::Query(query) = said(&mut peer).await else {
            panic!("no query");
        };
        peer.send(&ServerMessage::Refused(RefusedMessage {
            about: "query".to_owned(),
            id: Some(query.id),
            field: Some("players".to_owned()),
            message: "has nobody".to_owned(),
        }))
        .await;
    };
    let (result, ()) = tokio::join!(client.query(Vec::new()), refuse);
    assert!(matches!(result, Err(QueryError::Refused(refused)) if refused.message == "has nobody"));
    assert!(client.refused().borrow().is_some());

    // The edge leaves before it answers,
    let leave = async {
        assert!(matches!(said(&mut peer).await, ClientMessage::Query(_)));
        drop(peer);
    };
    let (result, ()) = tokio::join!(client.query(Vec::new()), leave);
    assert!(
        matches!(result, Err(QueryError::NotConnected)),
        "{result:?}"
    );
    let many = vec![player("p"); 501];
    assert!(matches!(
        client.query(many).await,
        Err(QueryError::TooMany(501))
    ));
}

#[tokio::test]
async fn a_token_that_expires_is_renewed_on_the_connection() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    let given = Arc::new(AtomicU32::new(1));
    let count = Arc::clone(&given);
    config.token = Token::provider(move || format!("t0ken-{}", count.load(Ordering::Relaxed)));
    let _client = Client::connect(config).unwrap();
    let mut peer = holding(&edge).await;
    assert_eq!(peer.request.headers()["authorization"], "Bearer t0ken-1");
    given.store(2, Ordering::Relaxed);
    let expires_at = second(2_000);
    peer.send(&ServerMessage::TokenExpiring(TokenTime { expires_at }))
        .await;
    match said(&mut peer).await {
        ClientMessage::Token(renewal) => assert_eq!(renewal.token, "t0ken-2"),
        other => panic!("{other:?}"),
    }
    peer.send(&ServerMessage::TokenRenewed(TokenTime { expires_at }))
        .await;
    peer.delta(EPOCH, 1, 2, &["cup"]).await;
    peer.acked(EPOCH, 2).await;
}

#[tokio::test]
async fn another_token_is_tried_soon_after_one_that_was_refused() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    let given = AtomicU32::new(1);
    config.token =
        Token::provider(move || format!("t0ken-{}", given.fetch_add(1, Ordering::Relaxed)));
    let _client = Client::connect(config).unwrap();
    edge.refuse(401, "").await;
    // Half a minute at least with the same token; here the test would not wait so long.
    let peer = edge.accept().await;
    assert_ne!(peer.request.headers()["authorization"], "Bearer t0ken-1");
}

#[tokio::test]
async fn a_full_edge_is_left_alone_for_as_long_as_it_says() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    edge.refuse_for(503, "", Some(1)).await;
    let refused = std::time::Instant::now();
    let mut link = client.link();
    let away = within(
        "being away",
        link.wait_for(|link| matches!(link, Link::Away { .. })),
    );
    match &*away.await.unwrap() {
        Link::Away {
            because:
                Disconnected::Refused {
                    status: 503,
                    retry_after,
                    ..
                },
            ..
        } => assert_eq!(*retry_after, Some(Duration::from_secs(1))),
        other => panic!("{other:?}"),
    }
    edge.accept().await;
    assert!(
        refused.elapsed() >= Duration::from_millis(990),
        "{:?}",
        refused.elapsed()
    );
}

#[tokio::test]
async fn what_hides_when_stale_goes_with_the_edges_contact_and_comes_back() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(1_000), |welcome| {
        welcome.contact_at = Some(second(999));
    })
    .await;
    let hiding = Content {
        when_stale: WhenStale::HideAfter(Patience::from_seconds(3_600).unwrap()),
        ..content("sale", 1)
    };
    peer.send(&ServerMessage::Snapshot(SnapshotMessage {
        epoch: EPOCH,
        to: Version(1),
        time: second(1_000),
        committed_at: None,
        index: 0,
        last: true,
        segments: Vec::new(),
        contents: vec![hiding],
        assignments: vec![assignment("sale", 1)],
        degraded: false,
        unread: Vec::new(),
    }))
    .await;
    peer.acked(EPOCH, 1).await;
    let sale = "sale".parse().unwrap();
    assert!(client.event(&sale, Keys(&[])).is_some());
    // The edge's clock goes on without its origin: a whole hour, told in one word.
    let mut changes = client.changes();
    within("the event", changes.next()).await.unwrap();
    within("its being active", changes.next()).await.unwrap();
    for (stale, contact_at, expected) in [(true, 1_001, false), (false, 4_700, true)] {
        peer.send(&ServerMessage::Contact(Contact {
            contact_at: Some(second(contact_at)),
            stale,
            time: second(4_700),
        }))
        .await;
        let change = within("a switch", changes.next()).await.unwrap();
        assert_eq!(
            matches!(change.what, liveevents_client::What::Activated { .. }),
            expected,
            "{change:?}"
        );
        assert_eq!(client.event(&sale, Keys(&[])).is_some(), expected);
    }
}
