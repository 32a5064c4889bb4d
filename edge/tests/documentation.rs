//! The examples in docs/protocol.md are what is really said: each is read, and printed again as it stands there.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use liveevents_protocol::message::{ClientMessage, ServerMessage};
use serde_json::Value;

/// The examples of a kind.
fn examples(kind: &str) -> Vec<&'static str> {
    let document = include_str!("../../docs/protocol.md");
    let fence = format!("```json {kind}\n");
    let blocks = document.split(fence.as_str()).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

fn assert_same(printed: &str, example: &str) {
    let printed: Value = serde_json::from_str(printed).unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(printed, example);
}

#[test]
fn what_game_servers_say_is_as_documented() {
    let examples = examples("game-server");
    assert_eq!(examples.len(), 2);
    for example in examples {
        let message = ClientMessage::parse(example).unwrap();
        assert_ne!(message, ClientMessage::Unknown, "{example}");
        assert_same(&message.print().unwrap(), example);
    }
}

#[test]
fn what_edges_say_is_as_documented() {
    let examples = examples("edge");
    assert_eq!(examples.len(), 6);
    for example in examples {
        let message = ServerMessage::parse(example).unwrap();
        assert_ne!(message, ServerMessage::Unknown, "{example}");
        assert_same(&message.print().unwrap(), example);
    }
}
