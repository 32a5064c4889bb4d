//! Queries for many players at once: each is answered what an HTTP read answers, and whoever asks for too much is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::collections::BTreeMap;

use common::edge::Edge;
use common::game_server::{GameServer, hello};
use common::history::{put, try_on_all};
use common::start;
use common::timetable::Place;
use jiff::SignedDuration;
use liveevents_protocol::entry::{Entry, Value as Held};
use liveevents_protocol::limits::MAX_QUERY;
use liveevents_protocol::message::{
    ClientHello, ClientMessage, Level, PlayerMessage, Query, QueryResult, RefusedMessage,
    ServerMessage,
};
use liveevents_protocol::version::BasisPoints;
use serde_json::Value;

fn player(id: &str) -> PlayerMessage {
    PlayerMessage {
        player: id.to_owned(),
        keys: BTreeMap::new(),
        attributes: BTreeMap::new(),
        language: None,
        platform: None,
        build: None,
    }
}

fn query(id: &str, players: Vec<PlayerMessage>) -> Query {
    Query {
        id: id.to_owned(),
        players,
        include_config: true,
    }
}

/// The next message of these; there may be changes before.
async fn reply(server: &mut GameServer) -> Result<QueryResult, RefusedMessage> {
    loop {
        match server.receive().await {
            ServerMessage::Result(result) => return Ok(result),
            ServerMessage::Refused(refused) => return Err(refused),
            ServerMessage::Snapshot(_) | ServerMessage::Delta(_) => {}
            other => panic!("instead of an answer: {other:?}"),
        }
    }
}

async fn ask(server: &mut GameServer, query: Query) -> Result<QueryResult, RefusedMessage> {
    server.say(&ClientMessage::Query(query)).await;
    reply(server).await
}

/// Its events as JSON.
fn events(result: &QueryResult, index: usize) -> Value {
    let events = result.players[index].events.iter();
    let parsed = events.map(|event| serde_json::from_str(event.as_str()).unwrap());
    Value::Array(parsed.collect())
}

/// A candidate for three players of ten, one by match, and an event for all.
fn trials() -> Vec<Entry> {
    let share = |mut entries: Vec<Entry>| {
        let Some(Entry::Put(Held::Assignment(assignment))) = entries.pop() else {
            panic!("no assignment");
        };
        let mut assignment = (*assignment).clone();
        let candidate = assignment.candidate.as_mut().unwrap();
        candidate.exposure = BasisPoints::new(3_000).unwrap();
        entries.push(assignment.into());
        entries
    };
    let mut entries = put("cup", 1);
    entries.extend(share(try_on_all("cup", 1, 2, "match")));
    entries.extend(share(try_on_all("sale", 1, 2, "player")));
    entries
}

async fn world() -> (Place, Edge, common::origin::Link) {
    let mut world = Place::new();
    world.history.commit(trials(), start());
    let (edge, link) = world.edge().await;
    (world, edge, link)
}

#[tokio::test]
async fn a_query_answers_what_reads_answer_for_each_of_500_players() {
    let (world, edge, _link) = world().await;
    let mut server = GameServer::greeted(&edge, &world.token(), hello(Level::Region)).await;
    let players: Vec<_> = (0..MAX_QUERY)
        .map(|number| PlayerMessage {
            keys: match number % 2 {
                0 => BTreeMap::new(),
                _ => [("match".to_owned(), format!("m-{}", number / 10))].into(),
            },
            language: (number % 3 == 0).then(|| "de-AT".to_owned()),
            ..player(&format!("player-{number}"))
        })
        .collect();
    let result = ask(&mut server, query("q-1", players.clone()))
        .await
        .unwrap();
    assert_eq!((result.id.as_str(), result.version.0), ("q-1", 2));
    assert_eq!((result.stale, result.time), (false, start()));
    let ids: Vec<_> = result.players.iter().map(|player| &player.player).collect();
    let asked: Vec<_> = players.iter().map(|player| &player.player).collect();
    assert_eq!(ids, asked);
    let mut different = BTreeMap::new();
    for (index, player) in players.iter().enumerate().step_by(7) {
        let keys = player
            .keys
            .iter()
            .map(|(name, key)| format!("&key.{name}={key}"));
        let language = player.language.iter().map(|tag| format!("&language={tag}"));
        let parameters: String = keys.chain(language).collect();
        let read = world.read(&edge, &player.player, &parameters).await;
        let events = events(&result, index);
        assert_eq!(events, read, "{}", player.player);
        *different.entry(read.to_string()).or_insert(0) += 1;
    }
    assert!(
        different.len() >= 6,
        "candidates, live ones, and two languages: {different:?}"
    );
}

#[tokio::test]
async fn what_hello_says_counts_for_players_that_say_nothing() {
    let (world, edge, _link) = world().await;
    let said = ClientHello {
        language: Some("de".to_owned()),
        build: "1.2".parse().ok(),
        ..hello(Level::Local)
    };
    let mut server = GameServer::greeted(&edge, &world.token(), said).await;
    let english = PlayerMessage {
        language: Some("en".to_owned()),
        ..player("b")
    };
    let asked = Query {
        include_config: false,
        ..query("q-1", vec![player("a"), english])
    };
    let result = ask(&mut server, asked).await.unwrap();
    let expected = ["&language=de&includeConfig=false", "&includeConfig=false"];
    for (index, (id, parameters)) in ["a", "b"].into_iter().zip(expected).enumerate() {
        assert_eq!(
            events(&result, index),
            world.read(&edge, id, parameters).await
        );
    }
    assert!(events(&result, 0)[0].get("configuration").is_none());
}

#[tokio::test]
async fn an_answer_says_how_old_it_is() {
    let (world, edge, link) = world().await;
    let mut server = GameServer::greeted(&edge, &world.token(), hello(Level::Watch)).await;
    drop(link);
    world.origin.cut_off();
    edge.until("the origin is lost", |report| {
        report["uplink"]["state"] == "Waiting"
    })
    .await;
    world.hand.advance(SignedDuration::from_mins(1));
    server
        .say(&ClientMessage::Query(query("q-1", vec![player("a")])))
        .await;
    let result = loop {
        match server.receive().await {
            ServerMessage::Result(result) => break result,
            ServerMessage::Current(_) | ServerMessage::Contact(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(result.stale);
    assert!(
        (59_000..=60_000).contains(&result.age_ms),
        "{}",
        result.age_ms
    );
}

#[tokio::test]
async fn who_asks_wrongly_is_told_and_may_ask_again() {
    let (world, edge, _link) = world().await;
    let mut server = GameServer::greeted(&edge, &world.token(), hello(Level::Region)).await;
    let many = |count: usize| (0..count).map(|id| player(&id.to_string())).collect();
    let table = [
        (query("q-1", many(MAX_QUERY + 1)), "players"),
        (query("q-2", vec![]), "players"),
        (
            query("q-3", vec![player("a"), player("")]),
            "players[1].player",
        ),
    ];
    for (asked, field) in table {
        let id = asked.id.clone();
        let refused = ask(&mut server, asked).await.unwrap_err();
        assert_eq!((refused.about.as_str(), refused.id), ("query", Some(id)));
        assert_eq!(refused.field.as_deref(), Some(field));
    }
    let result = ask(&mut server, query("q-4", many(1))).await.unwrap();
    assert_eq!(result.id, "q-4");
}
