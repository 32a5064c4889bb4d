//! What old and new peers make of each other's messages, and that a game server ends with the edge's state.

use liveevents_protocol::entry::{Delta, Entry};
use liveevents_protocol::message::{
    ClientMessage, DeltaMessage, EntryMessage, ServerMessage, SnapshotMessage,
};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::decode::Decoder;
use super::generate::{self, json, time};
use super::sample::Value;
use super::samples;

/// Adds a member that nobody knows to every object but those whose members are data.
fn add_unknown(json: &mut Json) {
    match json {
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                match name.as_str() {
                    // Data; and what demands more than is known admits nobody, so it is not ignored.
                    "configuration" | "customFields" | "keys" | "attributes" | "events"
                    | "requires" | "criteria" | "reports" => {}
                    "localizations" => value
                        .as_object_mut()
                        .unwrap()
                        .values_mut()
                        .for_each(add_unknown),
                    _ => add_unknown(value),
                }
            }
            members.insert(
                "addedLater".to_owned(),
                json!({"deep": [1, {"type": "hello"}]}),
            );
        }
        Json::Array(items) => items.iter_mut().for_each(add_unknown),
        _ => {}
    }
}

#[test]
fn unknown_fields_are_ignored_wherever_they_are() {
    let mut tried = 0;
    for sample in samples::all() {
        let decoder = sample.value.decoder();
        if !matches!(decoder, Decoder::Client | Decoder::Server) {
            continue;
        }
        // Only the free-form texts are compared to the letter, and `Value` does not keep them so.
        let plain = String::from_utf8(sample.value.encode()).unwrap();
        let plain = plain.replace(
            r#"{"multipliers": {"xp": 2.50}, "big": 12345678901234567890123}"#,
            "{}",
        );
        let plain = plain.replace(r#"{"cta": "Los!"}"#, r#"{"cta":"Los!"}"#);
        let expected = decoder.decode(plain.as_bytes()).unwrap();
        let mut json: Json = serde_json::from_str(&plain).unwrap();
        add_unknown(&mut json);
        let text = json.to_string();
        assert!(text.contains("addedLater"));
        assert_eq!(
            decoder.decode(text.as_bytes()),
            Ok(expected),
            "{}",
            sample.name
        );
        tried += 1;
    }
    assert_eq!(tried, 28);
}

#[test]
fn unknown_types_are_unknown_and_no_error() {
    for text in [
        r#"{"type":"later"}"#,
        r#"{"type":""}"#,
        r#"{"type":"Hello","region":7}"#,
        r#"{"region":7,"type":"l\u0061ter"}"#,
    ] {
        assert_eq!(ClientMessage::parse(text).unwrap(), ClientMessage::Unknown);
        assert_eq!(ServerMessage::parse(text).unwrap(), ServerMessage::Unknown);
    }
    assert_eq!(
        ClientMessage::parse(r#"{"type":"delta"}"#).unwrap(),
        ClientMessage::Unknown
    );
    assert_eq!(
        ServerMessage::parse(r#"{"type":"ack"}"#).unwrap(),
        ServerMessage::Unknown
    );
}

#[test]
fn a_value_of_a_newer_edge_costs_its_own_event_and_no_other() {
    let of = |value: &str| {
        let text = format!(
            r#"{{"type":"delta","epoch":"{}","from":1,"to":2,"time":"2026-01-01T00:00:00Z","entries":{value}}}"#,
            Uuid::nil()
        );
        match ServerMessage::parse(&text) {
            Ok(ServerMessage::Delta(delta)) => delta,
            other => panic!("{other:?}"),
        }
    };
    let content = |event: &str, kind: &str| {
        format!(
            r#"{{"content":{{"eventId":"{event}","revision":3,"type":"{kind}","displayName":"","configuration":{{}}}}}}"#
        )
    };
    let delta = of(&format!(
        r#"[{},{},{{"orbit":{{"eventId":"c"}}}},{{"removedAssignment":{{"eventId":"d"}}}}]"#,
        content("a", "MoonFestival"),
        content("b", "ContentRelease")
    ));
    let events: Vec<_> = delta
        .entries
        .into_iter()
        .map(|entry| Entry::from(entry).key())
        .collect();
    let events: Vec<_> = events
        .iter()
        .filter_map(|key| Some(key.event()?.as_str()))
        .collect();
    assert_eq!(events, ["b", "d"], "a kind that is not known is not missed");
    let [unread] = delta.unread.as_slice() else {
        panic!("{:?}", delta.unread);
    };
    assert_eq!(unread.event.as_ref().map(|event| event.as_str()), Some("a"));
    assert_eq!(unread.revision.map(|revision| revision.0), Some(3));
    assert!(unread.reason.contains("MoonFestival"), "{}", unread.reason);

    // What is not even an event's is told too, and the rest is read.
    let delta = of(&format!(
        r#"[{{"content":5}},{}]"#,
        content("b", "ContentRelease")
    ));
    assert_eq!((delta.entries.len(), delta.unread.len()), (1, 1));
    assert_eq!(
        delta.unread.first().and_then(|unread| unread.event.clone()),
        None
    );

    // Nobody is made to keep a book of complaints.
    let long = content("e", &"x".repeat(10_000));
    let delta = of(&format!("[{}]", vec![long; 500].join(",")));
    assert_eq!(delta.unread.len(), 500);
    let words: usize = delta.unread.iter().map(|unread| unread.reason.len()).sum();
    assert!(words <= 100 * 200, "{words}");

    // In a snapshot just as well.
    let text = format!(
        r#"{{"type":"snapshot","epoch":"{}","to":2,"time":"2026-01-01T00:00:00Z","index":0,"last":true,"contents":[],
           "assignments":[{{"eventId":"a","salt":7}},{{"eventId":"b","salt":"s"}}]}}"#,
        Uuid::nil()
    );
    let Ok(ServerMessage::Snapshot(snapshot)) = ServerMessage::parse(&text) else {
        panic!("{text}");
    };
    assert_eq!((snapshot.assignments.len(), snapshot.unread.len()), (1, 1));
}

#[test]
fn what_is_no_message_is_an_error_that_says_why() {
    let table = [
        ("", "EOF"),
        ("null", "invalid type: null"),
        ("[]", "invalid length 0"),
        ("{}", "missing field `type`"),
        (r#"{"type":null}"#, "invalid type: null"),
        (
            r#"{"type":"hello","type":"hello"}"#,
            "duplicate field `type`",
        ),
        (r#"{"type":"hello"} x"#, "trailing characters"),
        (r#"{"type":"hello"}"#, "missing field `region`"),
        (
            r#"{"type":"hello","region":"us-east"}"#,
            "missing field `level`",
        ),
        (
            r#"{"type":"hello","region":"US","level":"Region"}"#,
            "lower-case letters",
        ),
        (
            r#"{"type":"hello","region":"us","level":"Galaxy"}"#,
            "unknown variant `Galaxy`",
        ),
        (
            r#"{"type":"ack","epoch":"x","version":1,"status":"Applied"}"#,
            "UUID",
        ),
        (
            r#"{"type":"ack","epoch":"00000000-0000-0000-0000-000000000000","version":-1}"#,
            "invalid value",
        ),
    ];
    for (text, expected) in table {
        let error = ClientMessage::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// A client of today, told of a kind of entry that only comes tomorrow, takes the rest of the delta.
#[test]
fn unknown_kinds_of_entry_are_left_out() {
    let delta = samples::all()
        .into_iter()
        .find_map(|sample| match sample.value {
            Value::Server(ServerMessage::Delta(delta)) => Some(delta),
            _ => None,
        });
    let mut delta = delta.unwrap();
    delta.entries.truncate(1);
    let text = ServerMessage::Delta(delta.clone()).print().unwrap();
    for unknown in [
        r#"{"variant": {"id": "blue", "weights": [1, 2]}}"#,
        r#"{"removedVariant": "blue"}"#,
        "{}",
    ] {
        let text = text.replace(r#""entries":["#, &format!(r#""entries":[{unknown}, "#));
        assert!(text.contains(unknown));
        assert_eq!(
            ServerMessage::parse(&text).unwrap(),
            ServerMessage::Delta(delta.clone())
        );
    }
    for wrong in [
        r#"{"content": {}}"#,
        r#"{"removedAssignment": {"eventId": "A"}}"#,
        "7",
    ] {
        let text = text.replace(r#""entries":["#, &format!(r#""entries":[{wrong}, "#));
        let ServerMessage::Delta(read) = ServerMessage::parse(&text).unwrap() else {
            panic!("{text}");
        };
        assert_eq!(
            (read.entries, read.unread.len()),
            (delta.entries.clone(), 1)
        );
    }
}

fn rows() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    // Few events, so that they change again and are removed.
    let entry = (generate::entry(), "[ab]").prop_map(|(entry, id)| {
        let event: liveevents_protocol::id::EventId = id.parse().unwrap();
        match EntryMessage::from(entry) {
            EntryMessage::Segment(mut segment) => {
                segment.id = id.parse().unwrap();
                segment.into()
            }
            EntryMessage::RemovedSegment { .. } => {
                let segment_id = id.parse().unwrap();
                EntryMessage::RemovedSegment { segment_id }.into()
            }
            EntryMessage::Content(mut content) => {
                content.event_id = event;
                content.revision.0 %= 2;
                content.into()
            }
            EntryMessage::Assignment(mut assignment) => {
                assignment.event_id = event;
                assignment.into()
            }
            EntryMessage::RemovedContent { mut revision, .. } => {
                revision.0 %= 2;
                let event_id = event;
                EntryMessage::RemovedContent { event_id, revision }.into()
            }
            EntryMessage::RemovedAssignment { .. } => {
                EntryMessage::RemovedAssignment { event_id: event }.into()
            }
        }
    });
    vec(vec(entry, 0..3), 1..6)
}

fn states(rows: Vec<Vec<Entry>>) -> Vec<RegionState> {
    let epoch = Epoch(Uuid::nil());
    let mut states = vec![RegionState::empty(epoch)];
    for row in rows {
        let state = states.last().unwrap();
        let next = state.apply(&Delta::of_row(epoch, state.version().next(), row));
        states.push(next.unwrap());
    }
    states
}

fn over_the_wire(message: ServerMessage) -> ServerMessage {
    ServerMessage::parse(&message.print().unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_game_server_ends_with_the_state_of_the_edge(rows in rows(), now in time()) {
        let states = states(rows);
        let last = states.last().unwrap();
        for (version, state) in (0..).map(Version).zip(&states) {
            let snapshot = SnapshotMessage::new(state.snapshot(), now, None);
            let ServerMessage::Snapshot(snapshot) = over_the_wire(ServerMessage::Snapshot(snapshot)) else {
                panic!("a snapshot stays one");
            };
            let held = RegionState::from_snapshot(snapshot.into_snapshot()).unwrap();
            prop_assert!(held.same_as(state));
            prop_assert_eq!(held.floor(), version, "what came before was not told");
            prop_assert!(held.snapshot().entries.iter().all(|e| e.version == version));

            let delta = DeltaMessage::new(last.since(version).unwrap(), now, Some(now));
            let ServerMessage::Delta(delta) = over_the_wire(ServerMessage::Delta(delta)) else {
                panic!("a delta stays one");
            };
            prop_assert!(held.apply(&delta.into_delta()).unwrap().same_as(last));
        }
    }

    #[test]
    fn free_form_json_arrives_to_the_letter(configuration in json(), mut content in generate::content()) {
        content.configuration = configuration.clone();
        let text = over_the_wire_as_text(content);
        prop_assert!(text.contains(configuration.as_str()));
        let ServerMessage::Delta(delta) = ServerMessage::parse(&text).unwrap() else {
            panic!("a delta stays one");
        };
        let Some(EntryMessage::Content(content)) = delta.entries.first() else {
            panic!("a content stays one");
        };
        prop_assert_eq!(&content.configuration, &configuration);
    }
}

fn over_the_wire_as_text(content: liveevents_protocol::model::Content) -> String {
    let delta = DeltaMessage {
        epoch: Epoch(Uuid::nil()),
        from: Version(0),
        to: Version(1),
        time: jiff::Timestamp::UNIX_EPOCH,
        committed_at: None,
        entries: vec![EntryMessage::Content(content)],
        degraded: false,
        unread: Vec::new(),
    };
    ServerMessage::Delta(delta).print().unwrap()
}
