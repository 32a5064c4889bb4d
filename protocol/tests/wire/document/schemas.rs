//! The schemas: whatever the code prints fits them, and nothing in it is undocumented; whatever they call an example
//! the code reads, and it demands what they call required.

use liveevents_protocol::message::{ClientMessage, ServerMessage};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::published::Schemas;
use crate::decode::read_whole;
use crate::generate::{client_message, server_message};
use crate::sample::Value;
use crate::samples;

fn parse(text: &str) -> Result<Value, String> {
    let client = ClientMessage::parse(text).map_err(|error| error.to_string())?;
    if client != ClientMessage::Unknown {
        return Ok(Value::Client(client));
    }
    let server = read_whole(text)?;
    if server != ServerMessage::Unknown {
        return Ok(Value::Server(server));
    }
    Err("nobody knows it".to_owned())
}

/// What an edge evaluates is another test's; here it is any JSON.
fn without_events(message: &mut Json) {
    let Json::Object(members) = message else {
        return;
    };
    if let Some(events) = members.get_mut("events") {
        *events = json!([]);
    }
    if let Some(Json::Array(players)) = members.get_mut("players") {
        players.iter_mut().for_each(without_events);
    }
}

#[test]
fn every_sample_is_documented_and_every_message_has_a_sample() {
    let schemas = Schemas::load();
    let mut told = std::collections::BTreeSet::new();
    for sample in samples::all() {
        if !matches!(sample.value, Value::Client(_) | Value::Server(_)) {
            continue;
        }
        let mut message: Json = serde_json::from_slice(&sample.value.encode()).unwrap();
        without_events(&mut message);
        schemas.assert_documented(&message);
        told.insert(message["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), schemas.kinds());
}

#[test]
fn every_example_is_read_and_printed_as_it_stands() {
    for (name, schema) in &Schemas::load().0 {
        let examples = schema.text["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            assert_eq!(example["type"], name.as_str());
            assert!(schema.closed.is_valid(example), "{example}");
            let printed = parse(&example.to_string()).unwrap().encode();
            let printed: Json = serde_json::from_slice(&printed).unwrap();
            assert_eq!(printed, canonical(example.clone()), "{name}");
        }
    }
}

/// What is printed for what a person wrote: 1.14.0 is 1.14, and what is meant if nothing is said is not said.
fn canonical(mut example: Json) -> Json {
    if let Some(Json::String(build)) = example.get_mut("build")
        && let Some(short) = build.strip_suffix(".0")
    {
        *build = short.to_owned();
    }
    example
}

/// Paths of members by which a schema may be broken, wherever the examples have them.
fn members(value: &Json, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Json::Object(object) => {
            for (name, inner) in object {
                found.push((path.to_owned(), name.clone()));
                if !matches!(
                    name.as_str(),
                    "configuration" | "customFields" | "keys" | "attributes"
                ) {
                    members(inner, &format!("{path}/{name}"), found);
                }
            }
        }
        Json::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                members(inner, &format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_code_demands_what_the_schemas_call_required_and_nothing_else() {
    let mut tried = 0;
    for schema in Schemas::load().0.values() {
        for example in schema.text["examples"].as_array().unwrap() {
            let mut found = Vec::new();
            members(example, "", &mut found);
            for (path, name) in found {
                // What is shown to a player passes through unread, reports are judged one by one, and a map's members are
                // not demanded by anyone.
                if path.contains("/events/")
                    || path.contains("/reports/")
                    || path.ends_with("/localizations")
                {
                    continue;
                }
                let mut less = example.clone();
                let object = less.pointer_mut(&path).unwrap().as_object_mut().unwrap();
                object.remove(&name);
                // An entry of no kind is one of a kind that nobody knows.
                if object.is_empty() && path.starts_with("/entries/") {
                    continue;
                }
                let read = parse(&less.to_string());
                assert_eq!(
                    schema.open.is_valid(&less),
                    read.is_ok(),
                    "without {path}/{name}: {read:?}\n{less}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn what_a_newer_peer_adds_is_allowed() {
    for schema in Schemas::load().0.values() {
        let mut example = schema.text["examples"][0].clone();
        example["addedLater"] = json!({"deep": [1]});
        assert!(schema.open.is_valid(&example), "{example}");
        assert!(!schema.closed.is_valid(&example), "{example}");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_is_documented(client in client_message(), server in server_message()) {
        thread_local!(static SCHEMAS: Schemas = Schemas::load());
        for text in [client.print().unwrap(), server.print().unwrap()] {
            // Numbers that no machine type holds are beyond this reader of JSON.
            let Ok(mut message) = serde_json::from_str::<Json>(&text) else {
                continue;
            };
            if message["type"] == "unknown" {
                continue;
            }
            without_events(&mut message);
            SCHEMAS.with(|schemas| schemas.assert_documented(&message));
        }
    }
}
