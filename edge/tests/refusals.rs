//! Bad input: each a clear refusal, counted, and nobody else's concern.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::{GameServer, refused, request};
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::MAX_CLIENT_MESSAGE;
use liveevents_protocol::message::{AckStatus, Cursor, ServerMessage};
use liveevents_protocol::version::Version;
use liveevents_service::token::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

struct World {
    identity: Identity,
    edge: Edge,
    link: Link,
    history: History,
    _origin: Origin,
}

impl World {
    async fn new() -> Self {
        let (identity, clock) = (Identity::new(), clock().clock());
        let origin = Origin::start(&identity, &clock);
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        let edge = Setup::new(&identity, &clock, &[origin.address])
            .start()
            .await;
        let link = origin.serve(&[&history]).await;
        Self {
            identity,
            edge,
            link,
            history,
            _origin: origin,
        }
    }

    fn token(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    /// A game server that is there while others misbehave still gets the next change.
    async fn check(&mut self, witness: &mut GameServer) {
        let version = self.history.commit(put("sale", 2), start());
        self.link
            .rows(&self.history, version.0 - 1, version.0)
            .await;
        assert_eq!(witness.update().await.version, version);
    }
}

#[tokio::test]
async fn an_upgrade_without_the_right_token_is_refused_in_the_envelope() {
    let world = World::new().await;
    let identity = &world.identity;
    let expired = {
        let mut claims = identity.claims(Role::GameServer, "gs", &["us-east"]);
        claims.expires_at = start() - SignedDuration::from_secs(1);
        identity.sign(&claims)
    };
    let foreign = {
        let mut claims = identity.claims(Role::GameServer, "gs", &["us-east"]);
        claims.installation = "another-installation".parse().unwrap();
        identity.sign(&claims)
    };
    let table = [
        (String::new(), 401, "UNAUTHORIZED"),
        ("garbage".to_owned(), 401, "UNAUTHORIZED"),
        (
            Identity::new().game_server(&["us-east"]),
            401,
            "UNAUTHORIZED",
        ),
        (expired, 401, "UNAUTHORIZED"),
        (foreign, 401, "UNAUTHORIZED"),
        (
            identity.token(Role::Player, "p", &["us-east"]),
            403,
            "FORBIDDEN",
        ),
        (
            identity.token(Role::Edge, "e", &["us-east"]),
            403,
            "FORBIDDEN",
        ),
        (identity.token(Role::Admin, "root", &[]), 403, "FORBIDDEN"),
    ];
    for (at, (token, status, code)) in table.into_iter().enumerate() {
        let (got, _, body) = refused(request(&world.edge, &token)).await;
        assert_eq!(
            (got, body["error"]["code"].as_str()),
            (status, Some(code)),
            "row {at}"
        );
    }
    let mut without = request(&world.edge, &world.token());
    without.headers_mut().remove("Authorization");
    assert_eq!(refused(without).await.0, 401);
}

#[tokio::test]
async fn an_upgrade_without_the_subprotocol_or_that_is_none_is_refused() {
    let world = World::new().await;
    let mut without = request(&world.edge, &world.token());
    without.headers_mut().remove("Sec-WebSocket-Protocol");
    let (status, _, body) = refused(without).await;
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (400, Some("VALIDATION_ERROR"))
    );
    let mut newer = request(&world.edge, &world.token());
    newer
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "liveevents.v9".parse().unwrap());
    assert_eq!(refused(newer).await.0, 400);
    // A plain GET.
    let (status, body) = world.edge.get("/api/v1/subscribe", &world.token()).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_str()),
        (400, Some("VALIDATION_ERROR"))
    );
}

#[tokio::test]
async fn what_is_not_the_protocol_closes_the_connection_with_a_reason() {
    let mut world = World::new().await;
    let mut witness = GameServer::subscribe(&world.edge, &world.token(), None).await;
    witness.update().await;
    let hello = r#"{"type":"hello","region":"us-east","level":"Region"}"#;
    let deep = format!("{}{}", r#"{"type":"#, "[".repeat(20_000));
    let long = format!(
        r#"{{"type":"hello","region":"{}"}}"#,
        "a".repeat(MAX_CLIENT_MESSAGE)
    );
    let table: Vec<(&str, Vec<Message>, CloseReason)> = vec![
        (
            "not JSON",
            vec![Message::text("hello?")],
            CloseReason::Malformed,
        ),
        ("no type", vec![Message::text("{}")], CloseReason::Malformed),
        (
            "an array",
            vec![Message::text("[1,2,3]")],
            CloseReason::Malformed,
        ),
        (
            "deeply nested",
            vec![Message::text(deep)],
            CloseReason::Malformed,
        ),
        (
            "a field missing",
            vec![Message::text(r#"{"type":"hello"}"#)],
            CloseReason::Malformed,
        ),
        (
            "no region's name",
            vec![Message::text(
                r#"{"type":"hello","region":"US East!","level":"Region"}"#,
            )],
            CloseReason::Malformed,
        ),
        (
            "an unknown level",
            vec![Message::text(
                r#"{"type":"hello","region":"us-east","level":"Everything"}"#,
            )],
            CloseReason::Malformed,
        ),
        (
            "binary",
            vec![Message::binary(vec![0, 159, 146, 150])],
            CloseReason::Malformed,
        ),
        (
            "too long",
            vec![Message::text(long.clone())],
            CloseReason::TooLarge,
        ),
        (
            "an ack first",
            vec![Message::text(format!(
                r#"{{"type":"ack","epoch":"{}","version":1,"status":"Applied"}}"#,
                epoch(5)
            ))],
            CloseReason::Malformed,
        ),
        (
            "something of the future first",
            vec![Message::text(r#"{"type":"watch"}"#)],
            CloseReason::Malformed,
        ),
        (
            "hello twice",
            vec![Message::text(hello), Message::text(hello)],
            CloseReason::Malformed,
        ),
        (
            "an ack that is none",
            vec![
                Message::text(hello),
                Message::text(r#"{"type":"ack","version":-1}"#),
            ],
            CloseReason::Malformed,
        ),
        (
            "too long later",
            vec![Message::text(hello), Message::text(long)],
            CloseReason::TooLarge,
        ),
        (
            "a region that the token does not name",
            vec![Message::text(
                r#"{"type":"hello","region":"eu-west","level":"Region"}"#,
            )],
            CloseReason::RegionNotAllowed,
        ),
    ];
    let mut closes = 0.0;
    for (what, messages, reason) in table {
        let mut server = GameServer::connect(&world.edge, &world.token()).await;
        for message in messages {
            server.send(message).await;
        }
        let (last, code) = server.closed().await;
        assert_eq!(code, reason.code(), "{what}");
        match last {
            Some(ServerMessage::Error(error)) => {
                assert_eq!(error.code, reason.as_str(), "{what}");
                assert!(!error.message.is_empty(), "{what}");
            }
            other => panic!("{what}: instead of an error: {other:?}"),
        }
        closes += 1.0;
    }
    assert_eq!(
        world
            .edge
            .metric("liveevents_game_server_closes_total")
            .await,
        Some(closes)
    );
    world.check(&mut witness).await;
}

#[tokio::test]
async fn a_region_that_is_not_replicated_here_is_refused() {
    let world = World::new().await;
    let token = world.identity.game_server(&["us-east", "eu-west"]);
    let mut server = GameServer::connect(&world.edge, &token).await;
    server.hello("eu-west", None).await;
    let (_, code) = server.closed().await;
    assert_eq!(code, CloseReason::RegionNotServed.code());
}

#[tokio::test]
async fn what_a_newer_client_says_is_passed_over() {
    let mut world = World::new().await;
    let mut server = GameServer::connect(&world.edge, &world.token()).await;
    let hello = r#"{"type":"hello","region":"us-east","level":"Region","filters":{"tag":"x"}}"#;
    server.send(Message::text(hello)).await;
    assert!(matches!(server.receive().await, ServerMessage::Welcome(_)));
    server
        .send(Message::text(r#"{"type":"applause","volume":11}"#))
        .await;
    server.update().await;
    world.check(&mut server).await;
}

#[tokio::test]
async fn an_ack_of_what_was_never_sent_is_no_harm() {
    let mut world = World::new().await;
    let mut server = GameServer::subscribe(&world.edge, &world.token(), None).await;
    server.update().await;
    for (number, version) in [(5, 900), (9, 1), (1, 1)] {
        let at = Cursor {
            epoch: epoch(number),
            version: Version(version),
        };
        server.ack(at, AckStatus::Applied).await;
    }
    world.check(&mut server).await;
}

#[tokio::test]
async fn garbage_on_the_port_is_no_harm() {
    let mut world = World::new().await;
    let mut witness = GameServer::subscribe(&world.edge, &world.token(), None).await;
    witness.update().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(world.edge.address)
            .await
            .unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Whatever it is, it ends.
        let _ = common::within("the edge to hang up", stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    }
    // A WebSocket frame that breaks RFC 6455.
    let mut server = GameServer::subscribe(&world.edge, &world.token(), None).await;
    server.update().await;
    match server.socket.get_mut() {
        tokio_tungstenite::MaybeTlsStream::Plain(stream) => {
            stream.write_all(&[0xff; 32]).await.unwrap();
        }
        _ => panic!("not a plain connection"),
    }
    let (_, code) = server.closed().await;
    assert_eq!(code, CloseReason::Malformed.code());
    world.check(&mut witness).await;
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_in_the_envelope() {
    let world = World::new().await;
    let (status, body) = world.edge.get("/api/v1/nothing", &world.token()).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_str()),
        (404, Some("NOT_FOUND"))
    );
    let url = format!(
        "http://{}/api/v1/regions/us-east/events",
        world.edge.address
    );
    let answer = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 405);
    let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "METHOD_NOT_ALLOWED");
}
