//! Queries are answered for each player, and bounded.

use std::collections::BTreeMap;

use liveevents_protocol::evaluate::Moment;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::{PlayerMessage, ServerMessage};

use super::super::watch::Wants;
use super::*;
use crate::replica::Published;
use crate::replica::history::{History, assignment, content, epoch, try_on_all};

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

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

fn query(players: Vec<PlayerMessage>) -> Query {
    Query {
        id: "q-1".to_owned(),
        players,
        include_config: false,
    }
}

/// A region with an event whose configuration has so many bytes.
fn published(bytes: usize) -> Published {
    let mut history = History::new("us-east", epoch(5));
    let mut first = content("sale", 1);
    first.configuration = JsonText::new(format!(r#"{{"c":"{}"}}"#, "x".repeat(bytes))).unwrap();
    history.commit(vec![first.into(), assignment("sale", 1).into()], start());
    history.commit(try_on_all("sale", 1, 2, "match"), start());
    let head = history.head();
    Published::from_origin(history.state(head).clone(), history.position(head), None)
}

async fn ask(published: &Published, wants: &Wants, query: &Query) -> Result<Vec<u8>, Fault> {
    let view = View {
        published,
        at: Moment::fresh(start()),
        switches: 0,
        wants,
        selection: &None,
    };
    answer(view, query, Duration::from_millis(15_001))
        .await
        .unwrap()
}

#[tokio::test]
async fn each_player_is_answered_in_the_order_asked() {
    let mut other = player("b \"quoted\"");
    other.keys.insert("match".to_owned(), "m-1".to_owned());
    let query = query(vec![player("a"), other, player("a")]);
    judge(&query).unwrap();
    let text = ask(&published(10), &Wants::default(), &query)
        .await
        .unwrap();
    let message = ServerMessage::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    let ServerMessage::Result(result) = message else {
        panic!("instead of a result: {message:?}");
    };
    assert_eq!((result.id.as_str(), result.version.0), ("q-1", 2));
    assert_eq!(
        (result.age_ms, result.stale, result.time),
        (15_001, true, start())
    );
    let told: Vec<_> = result
        .players
        .iter()
        .map(|player| {
            let event: serde_json::Value = serde_json::from_str(player.events[0].as_str()).unwrap();
            (player.player.as_str(), event["revision"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(told, [("a", 1), ("b \"quoted\"", 2), ("a", 1)]);
}

#[tokio::test]
async fn an_answer_that_would_be_too_long_is_refused_before_it_is() {
    let published = published(MAX_ANSWER / 100);
    let players: Vec<_> = (0..101).map(|id| player(&id.to_string())).collect();
    let query = query(players);
    let with = Wants::default().with_configuration(true);
    let fault = ask(&published, &with, &query).await.unwrap_err();
    assert_eq!(fault.field, "players");
    let text = ask(&published, &Wants::default(), &query).await.unwrap();
    assert!(text.len() < 100_000);
}

#[test]
fn what_cannot_be_answered_is_refused_where_it_cannot() {
    let players = |count: usize| (0..count).map(|id| player(&id.to_string())).collect();
    let named = |id: &str| Query {
        id: id.to_owned(),
        ..query(players(1))
    };
    let table = [
        (named(""), "id"),
        (named(&"x".repeat(MAX_KEY + 1)), "id"),
        (query(players(0)), "players"),
        (query(players(MAX_QUERY + 1)), "players"),
        (query(vec![player("a"), player("")]), "players[1].player"),
    ];
    for (query, field) in table {
        assert_eq!(judge(&query).unwrap_err().field, field);
    }
    assert_eq!(judge(&query(players(MAX_QUERY))), Ok(()));
}

#[tokio::test(flavor = "current_thread")]
async fn a_long_query_lets_others_have_their_turn() {
    let mut history = History::new("us-east", epoch(5));
    let events = (0..400).flat_map(|id| {
        let id = format!("event-{id}");
        [content(&id, 1).into(), assignment(&id, 1).into()]
    });
    history.commit(events.collect(), start());
    let head = history.head();
    let published =
        Published::from_origin(history.state(head).clone(), history.position(head), None);
    let query = query((0..100).map(|id| player(&id.to_string())).collect());
    let wants = Wants::default();
    let mut turns = 0;
    let answered = ask(&published, &wants, &query);
    let mut answered = std::pin::pin!(answered);
    let others = async {
        loop {
            turns += 1;
            yield_now().await;
        }
    };
    tokio::select! {
        biased;
        text = &mut answered => assert!(text.is_ok()),
        () = others => {}
    }
    // 40,000 events to look at, the last slice of which needs no further turn.
    assert!(turns >= 100 * 400 / EVALUATIONS - 1);
}
