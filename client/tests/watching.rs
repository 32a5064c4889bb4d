//! Guarantee: who watches players is told each one's events, whole and newest, from whatever edge.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{EPOCH, Edge, Peer, config, within};
use jiff::Timestamp;
use liveevents_client::{
    ClientConfig, ConfigError, Level, PlayerEvents, PlayerMessage, Updates, WatchClient, WatchError,
};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::{ClientMessage, Current, ServerMessage};
use liveevents_protocol::version::Version;

fn player(name: &str, guild: &str) -> PlayerMessage {
    serde_json::from_value(serde_json::json!({"player": name, "keys": {"guild": guild}})).unwrap()
}

async fn tell(peer: &mut Peer, player: &str, version: u64, event: &str) {
    let text = format!(r#"{{"eventId":"{event}"}}"#);
    peer.send(&ServerMessage::Player(PlayerEvents {
        player: player.to_owned(),
        epoch: EPOCH,
        version: Version(version),
        time: Timestamp::UNIX_EPOCH,
        events: vec![JsonText::new(text).unwrap()],
    }))
    .await;
}

async fn current(peer: &mut Peer, version: u64) {
    peer.send(&ServerMessage::Current(Current {
        epoch: EPOCH,
        version: Version(version),
        time: Timestamp::UNIX_EPOCH,
        committed_at: None,
    }))
    .await;
    peer.acked(EPOCH, version).await;
}

/// Names in `watch` messages, up to so many.
async fn named(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count {
        match peer.receive().await.unwrap() {
            ClientMessage::Watch(watch) => {
                names.extend(watch.players.into_iter().map(|p| p.player))
            }
            ClientMessage::Ack(_) => {}
            other => panic!("{other:?}"),
        }
    }
    names
}

fn event(events: &PlayerEvents) -> (String, String) {
    let text = events.events.first().unwrap().as_str();
    (events.player.clone(), text.to_owned())
}

async fn next(updates: &mut Updates) -> (String, String) {
    event(&within("an update", updates.next()).await.unwrap())
}

fn pair(player: &str, of: &str) -> (String, String) {
    (player.to_owned(), format!(r#"{{"eventId":"{of}"}}"#))
}

#[tokio::test]
async fn players_are_named_and_told_here_and_elsewhere() {
    let edge = Edge::start().await;
    let client = WatchClient::connect(config(&[&edge])).unwrap();
    client
        .watch([player("p-1", "owls"), player("p-2", "owls")])
        .unwrap();
    let mut updates = client.updates();
    let mut peer = edge.welcome().await;
    assert_eq!(peer.hello().level, Level::Watch);
    assert_eq!(peer.position(), None);
    assert_eq!(named(&mut peer, 2).await, ["p-1", "p-2"]);
    assert!(client.events("p-1").is_none());
    tell(&mut peer, "p-1", 3, "sale").await;
    tell(&mut peer, "p-2", 3, "cup").await;
    current(&mut peer, 3).await;
    assert_eq!(
        within("readiness", client.ready()).await.version,
        Version(3)
    );
    assert_eq!(event(&client.events("p-2").unwrap()), pair("p-2", "cup"));
    assert_eq!(next(&mut updates).await, pair("p-1", "sale"));
    assert_eq!(next(&mut updates).await, pair("p-2", "cup"));

    // One leaves, one comes, one has another guild now; the others are not told again.
    client.unwatch(["p-1"]);
    client
        .watch([player("p-2", "ravens"), player("p-3", "owls")])
        .unwrap();
    let mut gone = Vec::new();
    let mut names = Vec::new();
    while gone.len() + names.len() < 3 {
        match peer.receive().await.unwrap() {
            ClientMessage::Watch(watch) => names.extend(watch.players),
            ClientMessage::Unwatch(unwatch) => gone.extend(unwatch.players),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone, ["p-1"]);
    assert_eq!(names, [player("p-2", "ravens"), player("p-3", "owls")]);
    assert!(client.events("p-1").is_none());
    tell(&mut peer, "p-1", 4, "late").await;
    current(&mut peer, 4).await;
    assert!(client.events("p-1").is_none(), "nobody's concern any more");
    drop(peer);

    // Another connection: from where it is, everybody again, and only what is different is an update.
    let mut peer = edge.welcome().await;
    assert_eq!(peer.position(), Some((EPOCH, 4)));
    assert_eq!(named(&mut peer, 2).await, ["p-2", "p-3"]);
    tell(&mut peer, "p-2", 4, "cup").await;
    tell(&mut peer, "p-3", 4, "fest").await;
    current(&mut peer, 4).await;
    assert_eq!(next(&mut updates).await, pair("p-3", "fest"));
    within("the client's end", client.close()).await;
    assert!(within("the stream's end", updates.next()).await.is_none());
}

#[tokio::test]
async fn who_reads_slowly_gets_the_newest_of_each() {
    let edge = Edge::start().await;
    let client = WatchClient::connect(config(&[&edge])).unwrap();
    client
        .watch([player("p-1", "owls"), player("p-2", "owls")])
        .unwrap();
    let mut updates = client.updates();
    let mut peer = edge.welcome().await;
    named(&mut peer, 2).await;
    for version in 1..=50 {
        tell(&mut peer, "p-1", version, &format!("e-{version}")).await;
        tell(&mut peer, "p-2", version, "same").await;
        current(&mut peer, version).await;
    }
    assert_eq!(next(&mut updates).await, pair("p-1", "e-50"));
    assert_eq!(next(&mut updates).await, pair("p-2", "same"));
    tell(&mut peer, "p-2", 51, "other").await;
    assert_eq!(next(&mut updates).await, pair("p-2", "other"));
}

#[tokio::test]
async fn an_edge_that_is_behind_does_not_take_it_back() {
    let edge = Edge::start().await;
    let client = WatchClient::connect(config(&[&edge])).unwrap();
    client.watch([player("p-1", "owls")]).unwrap();
    let mut peer = edge.welcome().await;
    named(&mut peer, 1).await;
    tell(&mut peer, "p-1", 9, "sale").await;
    current(&mut peer, 9).await;
    // Older news of a player change nothing,
    tell(&mut peer, "p-1", 8, "old").await;
    current(&mut peer, 9).await;
    assert_eq!(event(&client.events("p-1").unwrap()), pair("p-1", "sale"));
    // and an edge of an earlier history is left.
    peer.send(&ServerMessage::Current(Current {
        epoch: common::EARLIER,
        version: Version(100),
        time: Timestamp::UNIX_EPOCH,
        committed_at: None,
    }))
    .await;
    peer.left().await;
    assert_eq!(edge.accept().await.position(), Some((EPOCH, 9)));
    assert_eq!(client.changed().borrow().unwrap().version, Version(9));
}

#[tokio::test]
async fn many_players_are_named_in_messages_that_an_edge_takes() {
    let edge = Edge::start().await;
    let client = WatchClient::connect(config(&[&edge])).unwrap();
    let many = |from: usize, to: usize| {
        let guild = "g".repeat(200);
        (from..to).map(move |n| player(&format!("player-{n}"), &guild))
    };
    client.watch(many(0, 10_000)).unwrap();
    assert_eq!(
        client.watch(many(10_000, 10_001)),
        Err(WatchError::TooMany(10_001))
    );
    let long = player("p", &"x".repeat(300_000));
    assert!(matches!(client.watch([long]), Err(WatchError::TooLong(p)) if p == "p"));
    let mut peer = edge.welcome().await;
    let (mut names, mut messages) = (0, 0);
    while names < 10_000 {
        let message = peer.receive().await.unwrap();
        let limit = liveevents_protocol::limits::MAX_CLIENT_MESSAGE;
        assert!(message.print().unwrap().len() <= limit);
        match message {
            ClientMessage::Watch(watch) => names += watch.players.len(),
            other => panic!("{other:?}"),
        }
        messages += 1;
    }
    assert!((5..30).contains(&messages), "{messages}");
}

#[tokio::test]
async fn each_kind_of_client_refuses_what_is_the_others() {
    let edge = Edge::start().await;
    let watching = ClientConfig {
        level: Level::Watch,
        ..config(&[&edge])
    };
    assert!(matches!(
        liveevents_client::Client::connect(watching),
        Err(ConfigError::Level)
    ));
    let keeping = ClientConfig {
        state_file: Some("state".into()),
        ..config(&[&edge])
    };
    assert!(matches!(
        WatchClient::connect(keeping),
        Err(ConfigError::StateFile)
    ));
}
