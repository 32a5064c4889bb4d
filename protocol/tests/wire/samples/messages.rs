//! One instance of every message between game server and edge.

use std::collections::BTreeMap;

use liveevents_protocol::engagement::{Batch, Refused};
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::*;
use liveevents_protocol::model::EventType;
use liveevents_protocol::version::{Revision, Version};

use super::super::sample::Value;
use super::engagement::session;
use super::{
    assignment, content, epoch, event, json, least_assignment, least_content, least_segment,
    region, removed_segment, segment, segmented, stamped, time,
};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let cursor = Cursor {
        epoch: epoch(),
        version: Version(300),
    };
    let snapshot = SnapshotMessage {
        epoch: epoch(),
        to: Version(300),
        time: time(6),
        committed_at: Some(time(7)),
        index: 1,
        last: true,
        segments: Vec::new(),
        contents: vec![content(), least_content()],
        assignments: vec![assignment(), least_assignment()],
        degraded: true,
        unread: Vec::new(),
    };
    let segments = SnapshotMessage {
        segments: vec![segment(), least_segment()],
        contents: vec![segmented()],
        ..snapshot.clone()
    };
    let delta = DeltaMessage {
        epoch: epoch(),
        from: Version(298),
        to: Version(300),
        time: time(6),
        committed_at: None,
        entries: stamped().into_iter().map(|s| s.entry.into()).collect(),
        degraded: true,
        unread: Vec::new(),
    };
    let segments_since = DeltaMessage {
        entries: vec![
            EntryMessage::Segment(segment()),
            EntryMessage::Content(segmented()),
            removed_segment().into(),
        ],
        ..delta.clone()
    };
    vec![
        (
            "client-hello",
            Value::Client(ClientMessage::Hello(ClientHello {
                region: region("us-east"),
                level: Level::Region,
                position: Some(cursor),
                build: Some("4.12.0".parse().unwrap()),
                filter: filter(),
                capabilities: vec!["segments".to_owned()],
                client: Some("starfall-server/1.2".to_owned()),
                include_config: false,
                language: Some("de".to_owned()),
            })),
        ),
        (
            "client-hello-least",
            Value::Client(ClientMessage::Hello(ClientHello {
                region: region("us-east"),
                level: Level::Watch,
                position: None,
                build: None,
                filter: Filter::default(),
                capabilities: Vec::new(),
                client: None,
                include_config: true,
                language: None,
            })),
        ),
        (
            "client-nack",
            Value::Client(ClientMessage::Nack(ClientNack {
                epoch: epoch(),
                version: Version(300),
                event_id: event("summer-fest-2025"),
                revision: Some(Revision(7)),
                reason: "unknown item".to_owned(),
            })),
        ),
        (
            "client-watch",
            Value::Client(ClientMessage::Watch(Watch {
                players: vec![player(), least_player()],
            })),
        ),
        (
            "client-unwatch",
            Value::Client(ClientMessage::Unwatch(Unwatch {
                players: vec!["p-1".to_owned()],
            })),
        ),
        (
            "client-query",
            Value::Client(ClientMessage::Query(Query {
                id: "q-17".to_owned(),
                players: vec![player()],
                include_config: false,
            })),
        ),
        (
            "client-reports",
            Value::Client(ClientMessage::Reports(Batch {
                session: session(1),
                batch: 300,
                reports: vec![
                    serde_json::json!({
                        "kind": "Purchase", "eventId": "summer-fest-2025", "player": "p-1", "amount": "4.99",
                        "currency": "EUR", "revision": 7, "variant": "b", "attributes": {"level": 12}, "platform": "ps5",
                    }),
                    serde_json::json!({
                        "kind": "SessionEnd", "eventId": "summer-fest-2025", "player": "p-2", "seconds": 1800,
                        "keys": {"match": "m-1"}, "position": {"epoch": epoch(), "version": 300},
                    }),
                ],
            })),
        ),
        (
            "client-token",
            Value::Client(ClientMessage::Token(Renewal {
                token: "header.claims.signature".to_owned(),
            })),
        ),
        (
            "client-ack",
            Value::Client(ClientMessage::Ack(ClientAck {
                epoch: epoch(),
                version: Version(300),
                status: AckStatus::Applied,
                held_ms: 730,
            })),
        ),
        (
            "server-welcome",
            Value::Server(ServerMessage::Welcome(Welcome {
                edge: "us-east-1.dc3".parse().unwrap(),
                installation: "starfall-production".parse().unwrap(),
                region: region("us-east"),
                time: time(6),
                position: Some(cursor),
                contact_at: Some(time(5)),
                ack_interval_ms: 1_000,
                token_expires_at: Some(time(90)),
                capabilities: vec!["segments".to_owned()],
            })),
        ),
        (
            "server-snapshot",
            Value::Server(ServerMessage::Snapshot(snapshot)),
        ),
        (
            "server-snapshot-segments",
            Value::Server(ServerMessage::Snapshot(segments)),
        ),
        (
            "server-delta-segments",
            Value::Server(ServerMessage::Delta(segments_since)),
        ),
        ("server-delta", Value::Server(ServerMessage::Delta(delta))),
        (
            "server-ahead",
            Value::Server(ServerMessage::Ahead(Ahead {
                epoch: epoch(),
                version: Version(299),
                time: time(6),
            })),
        ),
        (
            "server-activated",
            Value::Server(ServerMessage::Activated(notice(Cause::Schedule))),
        ),
        (
            "server-deactivated",
            Value::Server(ServerMessage::Deactivated(Notice {
                opens: None,
                closes: None,
                ..notice(Cause::Change)
            })),
        ),
        (
            "server-player",
            Value::Server(ServerMessage::Player(PlayerEvents {
                player: "p-1".to_owned(),
                epoch: epoch(),
                version: Version(300),
                time: time(6),
                events: vec![json(r#"{"eventId":"a","revision":1}"#)],
            })),
        ),
        (
            "server-current",
            Value::Server(ServerMessage::Current(Current {
                epoch: epoch(),
                version: Version(300),
                time: time(6),
                committed_at: Some(time(5)),
            })),
        ),
        (
            "server-result",
            Value::Server(ServerMessage::Result(QueryResult {
                id: "q-17".to_owned(),
                epoch: epoch(),
                version: Version(300),
                age_ms: 812,
                stale: false,
                time: time(6),
                players: vec![PlayerResult {
                    player: "p-1".to_owned(),
                    events: Vec::new(),
                }],
            })),
        ),
        (
            "server-counted",
            Value::Server(ServerMessage::Counted(CountedBatches {
                session: session(1),
                batch: 300,
                refused: vec![Refused {
                    batch: 299,
                    index: 17,
                    message: "score is 11, must be 0 to 10".to_owned(),
                }],
            })),
        ),
        (
            "server-resend",
            Value::Server(ServerMessage::Resend(Resend {
                session: session(1),
                from: 301,
                after_ms: 1_000,
            })),
        ),
        (
            "server-contact",
            Value::Server(ServerMessage::Contact(Contact {
                contact_at: Some(time(4)),
                stale: true,
                time: time(6),
            })),
        ),
        (
            "server-token-expiring",
            Value::Server(ServerMessage::TokenExpiring(TokenTime {
                expires_at: time(90),
            })),
        ),
        (
            "server-token-renewed",
            Value::Server(ServerMessage::TokenRenewed(TokenTime {
                expires_at: time(900),
            })),
        ),
        (
            "server-refused",
            Value::Server(ServerMessage::Refused(RefusedMessage {
                about: "query".to_owned(),
                id: Some("q-17".to_owned()),
                field: Some("players".to_owned()),
                message: "has 501, at most 500 may be".to_owned(),
            })),
        ),
        (
            "server-goaway",
            Value::Server(ServerMessage::Goaway(Goaway {
                reconnect_after_ms: 1_500,
            })),
        ),
        (
            "server-error",
            Value::Server(ServerMessage::Error(ErrorMessage {
                code: "region-not-served".to_owned(),
                message: "region us-west is not served here".to_owned(),
            })),
        ),
    ]
}

fn notice(cause: Cause) -> Notice {
    Notice {
        event_id: event("summer-fest-2025"),
        epoch: epoch(),
        version: Version(300),
        time: time(6),
        at: time(5),
        opens: Some(time(5)),
        closes: Some(time(50)),
        cause,
    }
}

fn filter() -> Filter {
    Filter {
        event_ids: [event("summer-fest-2025")].into(),
        types: [EventType::SeasonalPromotion].into(),
        tags: ["summer".to_owned(), "xp".to_owned()].into(),
    }
}

fn player() -> PlayerMessage {
    PlayerMessage {
        player: "p-1".to_owned(),
        keys: [("match".to_owned(), "m-17".to_owned())].into(),
        attributes: [
            ("level".to_owned(), Attribute::Number(42.into())),
            ("tier".to_owned(), Attribute::Text("gold".to_owned())),
            ("vip".to_owned(), Attribute::Flag(true)),
        ]
        .into(),
        language: Some("de".to_owned()),
        platform: Some("pc".to_owned()),
        build: Some("4.12.0".parse().unwrap()),
    }
}

fn least_player() -> PlayerMessage {
    PlayerMessage {
        player: "p-2".to_owned(),
        keys: BTreeMap::new(),
        attributes: BTreeMap::new(),
        language: None,
        platform: None,
        build: None,
    }
}
