//! A player is to be forgotten: whatever this edge holds of the player goes, and it says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::collections::BTreeMap;

use common::game_server::{GameServer, hello};
use common::history::put;
use common::world::World;
use liveevents_protocol::frame::{EdgeFrame, FORGET, OriginFrame};
use liveevents_protocol::id::ErasureId;
use liveevents_protocol::limits::MAX_FORGOTTEN;
use liveevents_protocol::message::{
    ClientMessage, Level, PlayerMessage, ServerMessage, Unwatch, Watch,
};
use liveevents_protocol::version::Version;
use uuid::Uuid;

fn erasure(n: u128) -> ErasureId {
    ErasureId(Uuid::from_u128(n))
}

async fn forget(world: &World, n: u128, player: &str) {
    let (id, player) = (erasure(n), player.to_owned());
    world.link.send(&OriginFrame::Forget { id, player }).await;
}

/// What the edge says next that it has forgotten.
async fn forgotten(world: &mut World) -> Vec<ErasureId> {
    loop {
        match world.link.next().await {
            Some(EdgeFrame::Forgotten(ids)) => return ids,
            Some(EdgeFrame::Ack { .. }) => {}
            other => panic!("instead of word of a player forgotten: {other:?}"),
        }
    }
}

async fn watch(server: &mut GameServer, players: &[&str]) {
    let player = |name: &&str| PlayerMessage {
        player: (*name).to_owned(),
        keys: BTreeMap::new(),
        attributes: BTreeMap::new(),
        language: None,
        platform: None,
        build: None,
    };
    let players = players.iter().map(player).collect();
    server.say(&ClientMessage::Watch(Watch { players })).await;
}

/// Who is told, until everybody has been as of a version.
async fn told(server: &mut GameServer, version: u64) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match server.receive().await {
            ServerMessage::Player(player) => told.push(player.player),
            ServerMessage::Current(current) if current.version >= Version(version) => return told,
            ServerMessage::Current(_) => {}
            other => panic!("instead of a player: {other:?}"),
        }
    }
}

/// The next so many who are told.
async fn next_told(server: &mut GameServer, many: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < many {
        match server.receive().await {
            ServerMessage::Player(player) => told.push(player.player),
            ServerMessage::Current(_) => {}
            other => panic!("instead of a player: {other:?}"),
        }
    }
    told
}

#[tokio::test]
async fn a_player_is_watched_nowhere_any_more_until_named_anew() {
    let mut world = World::new().await;
    let knows = |name: &str| world.link.hello.capabilities.iter().any(|c| c == name);
    assert!(knows(FORGET));
    let mut servers = Vec::new();
    for _ in 0..2 {
        let hello = hello(Level::Watch);
        let mut server = GameServer::greeted(&world.edge, &world.token(), hello).await;
        watch(&mut server, &["zoe", "max"]).await;
        assert_eq!(next_told(&mut server, 2).await, ["max", "zoe"]);
        servers.push(server);
    }
    // One that watches nobody has nothing to forget.
    let _other = GameServer::subscribe(&world.edge, &world.token(), None).await;

    forget(&world, 1, "zoe").await;
    assert_eq!(forgotten(&mut world).await, [erasure(1)]);
    world.change(put("sale", 2)).await;
    for server in &mut servers {
        assert_eq!(told(server, 2).await, ["max"]);
    }
    watch(&mut servers[0], &["zoe"]).await;
    assert_eq!(next_told(&mut servers[0], 1).await, ["zoe"]);
    // Taking back one who is not there is harmless.
    let players = vec!["zoe".to_owned()];
    servers[1]
        .say(&ClientMessage::Unwatch(Unwatch { players }))
        .await;
    world.change(put("sale", 3)).await;
    assert_eq!(told(&mut servers[0], 3).await, ["max", "zoe"]);
    assert_eq!(told(&mut servers[1], 3).await, ["max"]);
}

#[tokio::test]
async fn how_often_a_player_asked_is_forgotten_too() {
    let mut world = World::with(|setup| setup.with("players-reads-per-minute", "1")).await;
    let token = world.token();
    let mut statuses = Vec::new();
    for step in 0..6 {
        if step == 2 {
            forget(&world, 7, "p-1").await;
            assert_eq!(forgotten(&mut world).await, [erasure(7)]);
        }
        let player = if step < 4 { "p-1" } else { "p-2" };
        let path = format!("/api/v1/players/{player}/events?region=us-east");
        statuses.push(world.edge.get(&path, &token).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 429, 200, 429, 200, 429]);
}

#[tokio::test]
async fn however_many_are_to_be_forgotten_each_is_confirmed_and_nobody_else_notices() {
    let mut world = World::new().await;
    let most = u128::try_from(3 * MAX_FORGOTTEN).unwrap();
    for n in 0..most {
        forget(&world, n, &format!("p-{n}")).await;
    }
    // Said again, and of nobody who was ever here.
    forget(&world, 0, "\u{202e}\u{0}%").await;
    let mut confirmed = Vec::new();
    while confirmed.len() <= 3 * MAX_FORGOTTEN {
        let ids = forgotten(&mut world).await;
        assert!((1..=MAX_FORGOTTEN).contains(&ids.len()));
        confirmed.extend(ids);
    }
    let mut expected: Vec<ErasureId> = (0..most).map(erasure).collect();
    expected.push(erasure(0));
    assert_eq!(confirmed, expected);
    world.change(put("sale", 2)).await;
    world.edge.at_version(2).await;
}
